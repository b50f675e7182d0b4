//! Scheduling calls.

use ochre_abi::Errno;

use super::{Call, Outcome};
use crate::sched;

/// `sched_yield(2)`.
pub fn sched_yield(_call: &mut Call<'_>) -> Outcome {
    Outcome::wait(async {
        sched::yield_now().await;
        Ok::<usize, Errno>(0)
    })
}
