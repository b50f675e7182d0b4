//! The load average: threads that run or wait to, over three spans of time.
//!
//! A job looks at the run queues every five seconds, as Linux does.

use core::future::poll_fn;
use core::task::Poll;

use ochre_abi::Errno;
use ochre_hal::clock;
use ochre_sync::SpinLock;

use super::{TaskRef, Timer, active, spawn};
use crate::objects::{self, Kind};

/// Time between two looks.
const PERIOD_NS: u64 = 5_000_000_000;

/// Bits behind the point.
pub const FRACTION_BITS: u32 = 11;

const ONE: u64 = 1 << FRACTION_BITS;

/// e^(-5 s / span) for one, five and fifteen minutes.
const DECAY: [u64; 3] = [1884, 2014, 2037];

static AVERAGES: SpinLock<[u64; 3]> = SpinLock::new([0; 3]);

/// The averages over one, five and fifteen minutes, with [`FRACTION_BITS`]
/// bits behind the point.
#[must_use]
pub fn averages() -> [u64; 3] {
    *AVERAGES.lock()
}

/// The average after a look that found `active` threads.
fn next(average: u64, decay: u64, active: u64) -> u64 {
    let active = active.saturating_mul(ONE);
    // Rounded towards what it goes to, or a steady load is never reached.
    let up = if active >= average { ONE - 1 } else { 0 };
    average
        .saturating_mul(decay)
        .saturating_add(active.saturating_mul(ONE - decay))
        .saturating_add(up)
        / ONE
}

/// Takes one look.
fn look() {
    // The job itself does not count.
    let active = active().saturating_sub(1) as u64;
    let mut averages = AVERAGES.lock();
    for (average, decay) in averages.iter_mut().zip(DECAY) {
        *average = next(*average, decay, active);
    }
}

async fn sleep_until(deadline_ns: u64) {
    let mut timer = None;
    poll_fn(|context| {
        if clock::now_ns() >= deadline_ns {
            return Poll::Ready(());
        }
        timer = Some(Timer::arm(deadline_ns, context.waker().clone()));
        Poll::Pending
    })
    .await;
}

/// Starts looking.
///
/// # Errors
/// ENOMEM.
pub fn start() -> Result<TaskRef, Errno> {
    spawn(async {
        // There is always one of its timers from here on.
        objects::is_own(Kind::Timer);
        loop {
            sleep_until(clock::now_ns().saturating_add(PERIOD_NS)).await;
            look();
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{DECAY, ONE, next};

    #[test]
    fn a_steady_load_is_reached_and_left() {
        for decay in DECAY {
            let mut average = 0;
            for _ in 0..2000 {
                average = next(average, decay, 3);
            }
            assert_eq!(average, 3 * ONE);
            for _ in 0..2000 {
                average = next(average, decay, 0);
            }
            assert_eq!(average, 0);
        }
    }

    #[test]
    fn a_minute_of_one_is_two_thirds() {
        let average = (0..12).fold(0, |average, _| next(average, DECAY[0], 1));
        assert_eq!(average * 100 / ONE, 63);
    }
}
