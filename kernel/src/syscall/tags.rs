//! Addresses with tags: system calls take them from threads that asked for it
//! (`PR_SET_TAGGED_ADDR_CTRL`), on machines whose programs have such.
//!
//! Nothing is looked at where an address has no tag. One with a tag is outside
//! the programs' half, so a copy refuses it, and only then it is asked whose
//! call this is: [`meant`]. For that each processor knows whether the call that
//! it works at takes tags. Threads whose calls do are told apart by the bound
//! that seccomp uses, and what goes on later is wrapped (`Tagged`), so others
//! pay nothing.
//!
//! Calls about the mappings themselves take tags from every thread, as on Linux
//! since 5.6, but for where something new is to go.

use alloc::boxed::Box;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use ochre_hal::memory::untagged;

use super::{Outcome, SysResult};
use crate::sched;

/// What an address stands for in the call that this processor works at: itself,
/// but for one with a tag, if the call takes such.
#[must_use]
pub fn meant(address: u64) -> u64 {
    if untagged(address) != address && sched::takes_tags() {
        untagged(address)
    } else {
        address
    }
}

/// Handles a call that takes tags.
pub(super) fn handle(handler: impl FnOnce() -> Outcome) -> Outcome {
    sched::take_tags(true);
    let outcome = handler();
    sched::take_tags(false);
    match outcome {
        Outcome::Wait(call) => Outcome::wait(Tagged { call }),
        outcome => outcome,
    }
}

/// A call that waits, and takes tags.
struct Tagged {
    call: Pin<Box<dyn Future<Output = SysResult> + Send>>,
}

impl Future for Tagged {
    type Output = SysResult;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<SysResult> {
        sched::take_tags(true);
        let polled = self.call.as_mut().poll(context);
        sched::take_tags(false);
        polled
    }
}
