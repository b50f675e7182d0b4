//! What memory is promised to programs, and how far that goes.
//!
//! Promised is what could be used up without another question: private memory
//! that may be written, and shared memory without a file. Each address space
//! and each shared object has a [`Promise`] of its size; their sum is
//! `Committed_AS` in `/proc/meminfo`. What is in memory of it is another matter.
//!
//! | `vm.overcommit_memory` | a promise is refused |
//! |---|---|
//! | 0 | if it could not be kept with all of memory |
//! | 1 | never |
//! | 2 | if all promises together would go beyond `CommitLimit` |

use ochre_abi::Errno;
use ochre_hal::cpu::{self, MAX_CPUS};
use ochre_hal::memory;
use ochre_sync::primitive::atomic::{AtomicU32, AtomicU64, Ordering};
use ochre_sync::{Counter, Processor};

/// Pages in a KiB, the other way round.
const PAGE_KIB: u64 = 4;

/// What is kept from promises for whoever has to put things right: 8 MiB, or a
/// part of a small memory.
const KEPT_PAGES: u64 = 2048;
const KEPT_SHARE: u64 = 32;

/// Who counts.
struct Here;

impl Processor for Here {
    #[inline]
    fn index() -> usize {
        cpu::current().index()
    }
}

/// Pages promised.
static PROMISED: Counter<Here, MAX_CPUS> = Counter::new();

static POLICY: AtomicU32 = AtomicU32::new(0);
static RATIO: AtomicU32 = AtomicU32::new(50);
static KIB: AtomicU64 = AtomicU64::new(0);

/// `vm.overcommit_memory`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overcommit {
    /// What is absurd is refused.
    Guess,
    /// Nothing is.
    Always,
    /// What could not be kept is.
    Never,
}

impl Overcommit {
    /// The policy of a number.
    ///
    /// # Errors
    /// EINVAL for another one than 0, 1 and 2.
    pub fn from_number(number: u32) -> Result<Overcommit, Errno> {
        match number {
            0 => Ok(Overcommit::Guess),
            1 => Ok(Overcommit::Always),
            2 => Ok(Overcommit::Never),
            _ => Err(Errno::EINVAL),
        }
    }

    /// The one that counts now.
    #[inline]
    #[must_use]
    pub fn now() -> Overcommit {
        // ORDERING: Relaxed; a number by itself.
        match POLICY.load(Ordering::Relaxed) {
            1 => Overcommit::Always,
            2 => Overcommit::Never,
            _ => Overcommit::Guess,
        }
    }

    /// From now on this one counts.
    pub fn set(self) {
        // ORDERING: as above.
        POLICY.store(self as u32, Ordering::Relaxed);
    }
}

/// `vm.overcommit_ratio`: the hundredths of memory that may be promised.
#[must_use]
pub fn ratio() -> u32 {
    // ORDERING: Relaxed; a number by itself.
    RATIO.load(Ordering::Relaxed)
}

/// Sets `vm.overcommit_ratio`, which counts then.
pub fn set_ratio(ratio: u32) {
    // ORDERING: as above; who reads in between sees a limit of before or after.
    RATIO.store(ratio, Ordering::Relaxed);
    KIB.store(0, Ordering::Relaxed);
}

/// `vm.overcommit_kbytes`: the KiB that may be promised; 0 if the ratio counts.
#[must_use]
pub fn kib() -> u64 {
    // ORDERING: Relaxed; a number by itself.
    KIB.load(Ordering::Relaxed)
}

/// Sets `vm.overcommit_kbytes`; then the ratio is 0 and does not count.
pub fn set_kib(kib: u64) {
    // ORDERING: as in `set_ratio`.
    KIB.store(kib, Ordering::Relaxed);
    RATIO.store(0, Ordering::Relaxed);
}

/// Pages that may be promised: `CommitLimit`.
#[must_use]
pub fn limit() -> u64 {
    limit_of(memory::total() as u64, kib(), ratio())
}

fn limit_of(total: u64, kib: u64, ratio: u32) -> u64 {
    match kib {
        0 => total.saturating_mul(u64::from(ratio)) / 100,
        kib => kib / PAGE_KIB,
    }
}

/// Pages promised: `Committed_AS`.
#[must_use]
pub fn promised() -> u64 {
    // While others count, the sum may be less than nothing for a moment.
    u64::try_from(PROMISED.sum().cast_signed()).unwrap_or(0)
}

/// Whether so many more pages may be promised.
#[inline]
#[must_use]
pub fn may_promise(pages: u64) -> bool {
    match Overcommit::now() {
        Overcommit::Guess => pages <= memory::total() as u64,
        Overcommit::Always => true,
        Overcommit::Never => {
            let limit = limit();
            let kept = KEPT_PAGES.min(limit / KEPT_SHARE);
            promised().saturating_add(pages) < limit.saturating_sub(kept)
        }
    }
}

/// Pages that are promised to somebody, until this is dropped.
#[derive(Debug, Default)]
pub struct Promise(u64);

impl Promise {
    /// A promise of so many pages.
    ///
    /// # Errors
    /// ENOMEM if it may not be given.
    pub fn new(pages: u64) -> Result<Promise, Errno> {
        if !may_promise(pages) {
            return Err(Errno::ENOMEM);
        }
        let mut promise = Promise::default();
        promise.set(pages);
        Ok(promise)
    }

    /// A promise of a shared object's pages; of none, if they are not reserved
    /// and the policy does not insist.
    ///
    /// # Errors
    /// As [`new`](Promise::new).
    pub fn of_shared(pages: u64, is_reserved: bool) -> Result<Promise, Errno> {
        let is_counted = is_reserved || Overcommit::now() == Overcommit::Never;
        Promise::new(if is_counted { pages } else { 0 })
    }

    /// How many pages.
    #[must_use]
    pub fn pages(&self) -> u64 {
        self.0
    }

    /// So many pages from now on, whatever the policy says.
    #[inline]
    pub fn set(&mut self, pages: u64) {
        if pages > self.0 {
            PROMISED.add(pages - self.0);
        } else if pages < self.0 {
            PROMISED.sub(self.0 - pages);
        }
        self.0 = pages;
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::{Overcommit, limit_of};
    use ochre_abi::Errno;

    #[test]
    fn the_limit_is_a_part_or_a_number() {
        assert_eq!(limit_of(1000, 0, 50), 500);
        assert_eq!(limit_of(1000, 0, 200), 2000);
        assert_eq!(limit_of(1000, 400, 0), 100);
        assert_eq!(limit_of(1000, 400, 50), 100);
    }

    #[test]
    fn policies_have_numbers() {
        for number in 0..3 {
            let policy = Overcommit::from_number(number).unwrap();
            assert_eq!(policy as u32, number);
        }
        assert_eq!(Overcommit::from_number(3), Err(Errno::EINVAL));
    }
}
