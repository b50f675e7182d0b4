//! Address space numbers, on machines whose instructions make all processors
//! forget at once ([`tlb::BROADCASTS`]).
//!
//! There, a processor that goes from one space to another forgets nothing, and
//! what it remembers of the first counts again when it comes back. So it is no
//! matter where a space is active: who changes its tables makes everybody
//! forget what is remembered by its number. `presence` and `quarantine`, which
//! have each processor forget for itself, are not asked.
//!
//! A space's slot ([`ochre_paging::SpaceNumbers`]) is a word of its root, in
//! the half that is the kernel's on other machines.
//!
//! # What comes before what
//! ```text
//! who changes:  tables; DSB (full barrier); the slot; TLBI by its number; DSB
//! who enters:   presence says the root; the slot; DSB; TTBR0; ISB; uses the tables
//! ```
//! - The two first DSBs order each side's store before its look, so who enters
//!   walks the changed tables, or who changes sees the number that is entered.
//!   (A number that a third processor gave the space is known to all before
//!   this one can read it.)
//! - The last DSB ends when every processor has ended what it did by the old
//!   translations, in programs and in copies, and walks no tables that only
//!   those led to. After it frames and tables may have another use.
//! - An old number in the slot, from an earlier generation, is that of
//!   processors that still run the space, or nobody's: then more is forgotten
//!   than need be.

use ochre_paging::{SpaceNumbers, space_number};
#[cfg(feature = "ktest")]
use ochre_sync::primitive::atomic::{AtomicU16, AtomicUsize};
use ochre_sync::primitive::atomic::{AtomicU64, Ordering};

use crate::arch::machine::{paging, percpu, tlb};
use crate::cpu::{self, MAX_CPUS};

use super::table::Table;
use super::{PAGE_SIZE, presence};

static NUMBERS: SpaceNumbers<MAX_CPUS> = SpaceNumbers::new();

/// Up to this many pages are forgotten one by one; beyond, all of the space's.
const ONE_BY_ONE: u64 = 32;

/// The last number that is given out, if a test wants generations to be short.
#[cfg(feature = "ktest")]
pub(crate) static LAST: AtomicU16 = AtomicU16::new(u16::MAX);

/// How often a processor was made to forget; `tlb` counts.
#[cfg(feature = "ktest")]
pub(crate) static FORGOTTEN: AtomicUsize = AtomicUsize::new(0);

fn last() -> u16 {
    let last = tlb::last_number();
    #[cfg(feature = "ktest")]
    let last = last.min(LAST.load(Ordering::Relaxed));
    last
}

/// The slot of a space.
fn slot(root: Table) -> &'static AtomicU64 {
    &root.entries()[paging::USER_ROOT_ENTRIES]
}

/// Prepares the slot of a new space.
#[inline]
pub(super) fn begin(root: Table) {
    // ORDERING: Relaxed; nobody else knows the table.
    slot(root).store(0, Ordering::Relaxed);
}

/// The number under which this processor is to use a space from now on.
pub(super) fn enter(root: Table) -> u16 {
    let here = percpu::index() as usize;
    NUMBERS.enter(here, slot(root), last, tlb::forget_all)
}

/// Makes all processors forget the pages of `start..end` of a space, and what
/// they remember of the tables on the way to them.
pub(super) fn forget(root: Table, start: u64, end: u64) {
    tlb::show_tables();
    let Some(number) = space_number(slot(root)) else {
        return;
    };
    let widely = cpu::online() > 1 && !presence::is_left_out();
    let page = PAGE_SIZE as u64;
    if (end - start).div_ceil(page) > ONE_BY_ONE {
        tlb::forget_space(number, widely);
    } else {
        let pages = (start / page)..end.div_ceil(page);
        tlb::forget_pages(number, pages, widely);
    }
}
