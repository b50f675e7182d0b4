//! The battery-backed clock: the date in seconds, and a second that it waits for.
//!
//! The clock compares itself with a *match*. When it gets there it raises a
//! status that stays until it is cleared, and interrupts if that is let: so a
//! match can be waited for by looking at the status or by sleeping.
//!
//! | | PL031 (AArch64) | a PC's chip |
//! | --- | --- | --- |
//! | counts | seconds since 1970, to 2106 | the date, to 2199 |
//! | a match is | any second | within the next day, and comes daily |
//! | the status | is a register | is gone when it is read, so `hal` keeps it |

mod date;

pub use date::Date;
use ochre_sync::primitive::atomic::{AtomicBool, Ordering};

use crate::arch::machine::rtc as machine;
use crate::irq::Line;

/// The machine's clock; there is one at most, and so is its owner.
#[derive(Debug)]
pub struct Rtc(());

/// Whether somebody has it.
static TAKEN: AtomicBool = AtomicBool::new(false);

impl Rtc {
    /// The clock, if the machine has one that can be read and nobody has it.
    #[must_use]
    pub fn open() -> Option<Rtc> {
        machine::read_seconds()?;
        // ORDERING: AcqRel pairs with `drop`: the next owner finds what the
        // last one did done.
        let taken = TAKEN.swap(true, Ordering::AcqRel);
        (!taken).then_some(Rtc(()))
    }

    /// Seconds since the Unix epoch; `None` for a date that there is not.
    #[must_use]
    pub fn now(&self) -> Option<u64> {
        machine::read_seconds()
    }

    /// Sets the clock; false for a time that it cannot keep.
    #[must_use]
    pub fn set(&mut self, seconds: u64) -> bool {
        machine::set_seconds(seconds)
    }

    /// Sets the second to wait for; false for one that it cannot wait for.
    #[must_use]
    pub fn set_match(&mut self, seconds: u64) -> bool {
        machine::set_match(seconds)
    }

    /// The raw status: whether the match came since it was last cleared.
    #[must_use]
    pub fn has_matched(&self) -> bool {
        machine::raw_status()
    }

    /// The masked status: the same, as far as it interrupts.
    #[must_use]
    pub fn interrupts(&self) -> bool {
        machine::masked_status()
    }

    /// Clears the status, and with it the line.
    pub fn clear(&mut self) {
        machine::clear();
    }

    /// Lets a match interrupt, or not.
    pub fn set_interrupt(&mut self, on: bool) {
        machine::set_interrupt(on);
    }

    /// The line of its interrupt, where it has one.
    #[must_use]
    pub fn line(&self) -> Option<Line> {
        machine::line()
    }
}

impl Drop for Rtc {
    fn drop(&mut self) {
        self.set_interrupt(false);
        // ORDERING: Release; see `open`.
        TAKEN.store(false, Ordering::Release);
    }
}
