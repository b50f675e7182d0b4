//! Giving back what lies ready, on every processor.
//!
//! A processor's part of the heap is its own: another one cannot empty it, only
//! ask. It does not wait for the answer, as the one asked may wait for a lock of
//! its own; who asked comes again and looks.
//!
//! | `ASKED` | means | who changes it |
//! | --- | --- | --- |
//! | a processor's bit is 0 | nobody asked it, or it has answered | itself, by [`answer`] |
//! | 1 | it was asked | anybody, by [`ask_others`], which kicks it |

use ochre_sync::Once;
use ochre_sync::primitive::atomic::{AtomicBool, AtomicU64, Ordering};

use super::{frames, heap};
use crate::cpu::{self, CpuId, MAX_CPUS};
use crate::irq;

static ASKED: AtomicU64 = AtomicU64::new(0);

const _: () = assert!(MAX_CPUS <= 64);

fn bit(cpu: CpuId) -> u64 {
    1 << cpu.index()
}

/// Gives memory back that the kernel's heap keeps for the next allocation on
/// this processor. Nothing else runs better for it: it is for whoever wants to
/// know what is in use, or has nothing else left.
pub fn reclaim() {
    heap::reclaim();
}

/// What [`give`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// There is enough now.
    Enough,
    /// Others were asked; it is worth to come again.
    Soon,
    /// There was nothing to be had.
    Nothing,
}

/// Whether every processor was asked since there was enough last.
///
/// ORDERING: Relaxed throughout; whoever is wrong about it asks once more than
/// there is need.
static EMPTIED: AtomicBool = AtomicBool::new(false);

/// Memory is short: gives back what lies ready here, and asks the others once,
/// until so many frames may be had without touching the reserve.
#[cold]
pub fn give(frames: usize) -> Given {
    // Before the frames are counted: else an answer that comes in between is
    // neither counted nor waited for.
    // ORDERING: Acquire pairs with the Release in `hand_over`: the counts of free
    // frames are as new as the answers.
    let comes = ASKED.load(Ordering::Acquire) != 0;
    heap::reclaim();
    if frames::has_headroom(frames) {
        EMPTIED.store(false, Ordering::Relaxed);
        return Given::Enough;
    }
    if comes || !EMPTIED.swap(true, Ordering::Relaxed) && ask_others() {
        Given::Soon
    } else {
        Given::Nothing
    }
}

/// Who takes what programs can spare.
static SPARING: Once<fn() -> usize> = Once::new();

/// From now on `take` is called before an allocation is refused, with whatever
/// locks held, so that it must not wait for any; it answers how many frames it
/// gave free. The first one called with counts.
pub fn spare_with(take: fn() -> usize) {
    // Another one is there for the same.
    let _ = SPARING.set(take);
}

/// Whether what programs could spare was enough for so many frames more.
#[cold]
#[inline(never)]
pub(super) fn is_spared(frames: usize) -> bool {
    let Some(take) = SPARING.get() else {
        return false;
    };
    while !frames::has_headroom(frames) {
        if take() == 0 {
            return false;
        }
    }
    true
}

/// Memory came back otherwise; there may be something to give again.
pub fn note_relief() {
    EMPTIED.store(false, Ordering::Relaxed);
}

/// Asks every other processor to do so. Whether there is any.
pub fn ask_others() -> bool {
    let me = cpu::current();
    let others = cpu::all().filter(|other| *other != me);
    let mask = others.map(bit).fold(0, |all, one| all | one);
    // ORDERING: Relaxed; the kick makes them look, and they change nothing of ours.
    ASKED.fetch_or(mask, Ordering::Relaxed);
    for other in cpu::all().filter(|other| *other != me) {
        irq::kick(other);
    }
    mask != 0
}

/// Does what this processor was asked for.
#[inline]
pub fn answer() {
    // ORDERING: Relaxed; only this processor takes its bit away.
    if ASKED.load(Ordering::Relaxed) & bit(cpu::current()) != 0 {
        hand_over();
    }
}

#[cold]
fn hand_over() {
    heap::reclaim();
    // ORDERING: Release; see `give`.
    ASKED.fetch_and(!bit(cpu::current()), Ordering::Release);
}
