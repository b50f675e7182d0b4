//! Where each processor is and which translations it may remember, so that
//! others can make it forget them.
//!
//! # The words
//! A processor's [`Presence`] is written by itself and marked by others.
//!
//! | word | writer | meaning |
//! |---|---|---|
//! | `space`, low half | its processor | the root that it runs on (0: the kernel's); one handle of it |
//! | `space`, [`GUARDED`] | its processor, once | every way to user memory looks at `mode` and SMAP |
//! | `space`, [`STALE`] | others set, it clears | forget the pages of `range` before user memory is used |
//! | `space`, [`HOLD`] | others set, it clears | someone waits with tables until it has forgotten ([`quarantine`]) |
//! | `space`, [`BUSY`] | its processor | between roots: the loaded one may be another than said |
//! | `range` | others widen, it takes | what to forget |
//! | `mode` | its processor | [`KERNEL`], [`USER`], [`COPY`], [`IDLE`] |
//!
//! # The protocol
//! Who uses user memory, in user mode or copying for the kernel, says so first
//! and looks then; who changes page tables marks first and looks then:
//!
//! ```text
//! user:     mode = USER | COPY   (full barrier)   space == root?  else forget first
//! changer:  tables; space |= STALE (full barrier) mode == USER | COPY?  wait
//! ```
//! At least one sees the other. In user mode the processor is interrupted,
//! which makes it leave; a copy by the kernel ends soon, for it takes no lock
//! and waits for nothing. A processor in the kernel is not waited for: it
//! forgets before it touches user memory again. So nobody waits for one that
//! waits for a lock, and a changer may hold what locks it likes.
//!
//! After [`shoot`] no processor *uses* a translation that is gone, and the
//! frames behind it may have another use. A processor that has not forgotten
//! yet may still walk tables that it remembers, ahead of time, and set
//! accessed bits in them: so tables wait in [`quarantine`].
//!
//! # Machines that tell all processors at once
//! There ([`tlb::BROADCASTS`]) nothing is marked but that a space has ended, and
//! who uses user memory looks for the root only (`numbers`); `mode` is for
//! whoever looks for processors that are stuck, and [`IDLE`] for whoever sends
//! processors home.
//!
//! # One processor
//! Then `space` is the bare root, and the way to user memory is a comparison.

#[cfg(feature = "ktest")]
use ochre_sync::primitive::atomic::AtomicBool;
use ochre_sync::primitive::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use ochre_sync::primitive::spin_loop;

use crate::arch::machine::{interrupts, percpu, tlb};
use crate::cpu;

use super::{PAGE_SIZE, quarantine};

/// The processor does not touch user memory.
pub(crate) const KERNEL: u32 = 0;
/// It runs a program, or is about to; it takes interrupts.
pub(crate) const USER: u32 = 1;
/// The kernel copies from or to user memory, with interrupts off.
pub(crate) const COPY: u32 = 2;
/// It sleeps, and takes interrupts.
const IDLE: u32 = 3;

/// Comparing `space` with a root is never enough.
pub(super) const GUARDED: u64 = 1 << 32;
const STALE: u64 = 1 << 33;
const HOLD: u64 = 1 << 34;
const BUSY: u64 = 1 << 35;

/// Up to this many pages are forgotten one by one; beyond, all at once.
const ONE_BY_ONE: u64 = 32;

/// [`Presence::range`]: everything.
const EVERYTHING: u64 = u64::MAX;

const PAGE: u64 = PAGE_SIZE as u64;

/// See the module.
#[repr(C, align(64))]
pub(crate) struct Presence {
    space: AtomicU64,
    /// The first page's number times 256, plus the number of pages; 0 for none.
    range: AtomicU64,
    mode: Mode,
}

/// Written whenever user mode is entered and left, so it has a cache line that
/// nobody else's search for a root touches.
#[repr(align(64))]
struct Mode(AtomicU32);

impl Presence {
    /// Where the trap code finds the mode.
    pub(crate) const MODE: usize = core::mem::offset_of!(Presence, mode);

    /// A processor on the kernel's root.
    pub(crate) const fn new() -> Presence {
        Presence {
            space: AtomicU64::new(0),
            range: AtomicU64::new(0),
            mode: Mode(AtomicU32::new(KERNEL)),
        }
    }

    /// Whether the processor runs on `root` and nothing else is to be looked at.
    #[inline]
    pub(super) fn is_simply(&self, root: u32) -> bool {
        // ORDERING: Relaxed; the bare root is only seen with one processor.
        self.space.load(Ordering::Relaxed) == u64::from(root)
    }

    /// The root that the processor runs on; 0 for the kernel's.
    #[inline]
    pub(super) fn root(&self) -> u32 {
        // CAST: the low half. ORDERING: Relaxed; asked by the processor itself.
        self.space.load(Ordering::Relaxed) as u32
    }

    /// Says where the processor is going, before it looks at [`needs`](Self::needs).
    #[inline]
    pub(super) fn announce(&self, mode: u32) {
        if tlb::BROADCASTS && mode != IDLE {
            // ORDERING: Relaxed; nobody waits for it. Of one that goes to sleep
            // a space's end must know, or it keeps the root for as long.
            self.mode.0.store(mode, Ordering::Relaxed);
        } else {
            // ORDERING: SeqCst: a full barrier between this and the look at
            // `space`; the other side is `mark` and the look at `mode` in `shoot`.
            self.mode.0.swap(mode, Ordering::SeqCst);
        }
    }

    /// What must be done before `root` is used.
    #[inline]
    pub(super) fn needs(&self, root: u32) -> Option<Need> {
        // ORDERING: SeqCst; see `announce`.
        let word = self.space.load(Ordering::SeqCst);
        if word & !GUARDED == u64::from(root) {
            None
        } else if word as u32 == root {
            Some(Need::Forget)
        } else {
            Some(Need::Switch)
        }
    }

    /// The processor is back from where it announced to go.
    #[inline]
    pub(crate) fn withdraw(&self) {
        // ORDERING: Release: the use of user memory comes before.
        self.mode.0.store(KERNEL, Ordering::Release);
    }

    /// Forgets what others want forgotten, or goes to another root with
    /// `load`. Gives back the root it was on. Only the processor itself.
    pub(super) fn settle(&self, root: u32, load: impl FnOnce()) -> u32 {
        // ORDERING: Relaxed; the bit only changes on this processor.
        let guarded = self.space.load(Ordering::Relaxed) & GUARDED;
        // ORDERING: SeqCst here and below: full barriers. A changer that saw
        // the word before this has its marks taken with it; one that looks
        // later and does not find its root changed the tables before `load`
        // and the walks that follow.
        let before = self
            .space
            .swap(u64::from(root) | guarded | BUSY, Ordering::SeqCst);
        // After the marks: who widens the range marks afterwards, so that what
        // is taken here too early is forgotten all the same.
        let range = self.range.swap(0, Ordering::SeqCst);
        if before as u32 != root {
            load();
        } else if before & HOLD != 0 {
            tlb::forget_all();
        } else {
            forget_range(range);
        }
        // ORDERING: SeqCst: the new root is loaded before it is all there is.
        self.space.fetch_and(!BUSY, Ordering::SeqCst);
        if before & HOLD != 0 {
            quarantine::passed();
        }
        // CAST: the low half.
        before as u32
    }

    /// Marks the processor if it may know translations of `root`: to forget
    /// the pages of `range`.
    fn mark(&self, root: u32, range: u64) -> bool {
        // ORDERING: SeqCst: the range is wider before the mark is made or found.
        let widened = self
            .range
            .try_update(Ordering::SeqCst, Ordering::Relaxed, |old| {
                Some(union(old, range))
            });
        debug_assert!(widened.is_ok(), "the closure always gives a value");
        self.set(STALE, |word| word as u32 == root)
    }

    /// Marks the processor if it may walk tables of `root`; with `widely`, of
    /// any program.
    pub(super) fn mark_hold(&self, root: u32, widely: bool) -> bool {
        self.set(HOLD, |word| {
            let on = word as u32;
            on == root || widely && on != 0 || word & BUSY != 0
        })
    }

    fn set(&self, bit: u64, concerns: impl Fn(u64) -> bool) -> bool {
        // ORDERING: SeqCst; see `announce` and `settle`.
        self.space
            .try_update(Ordering::SeqCst, Ordering::SeqCst, |word| {
                concerns(word).then_some(word | bit)
            })
            .is_ok()
    }

    /// Whether the processor may still use a translation that it was marked to forget.
    fn is_using(&self, root: u32) -> bool {
        // ORDERING: SeqCst; see `announce`.
        let word = self.space.load(Ordering::SeqCst);
        word as u32 == root
            && word & STALE != 0
            && matches!(self.mode.0.load(Ordering::SeqCst), USER | COPY)
    }

    fn is_in(&self, mode: u32) -> bool {
        // ORDERING: SeqCst; see `announce`.
        self.mode.0.load(Ordering::SeqCst) == mode
    }

    /// Whether the kernel works there, with interrupts off.
    pub(crate) fn is_in_kernel(&self) -> bool {
        // ORDERING: Relaxed; a sample.
        matches!(self.mode.0.load(Ordering::Relaxed), KERNEL | COPY)
    }
}

/// See [`Presence::needs`].
pub(super) enum Need {
    /// The root is loaded, with something to forget.
    Forget,
    /// Another root is loaded.
    Switch,
}

/// Makes every way to user memory of this processor the guarded one.
pub(crate) fn guard() {
    // ORDERING: SeqCst, as all changes of the word.
    percpu::presence().space.fetch_or(GUARDED, Ordering::SeqCst);
}

/// The processor is about to sleep: it may sleep long, so nobody should have
/// to wait for it.
pub(crate) fn begin_idle() {
    if cpu::online() > 1 {
        let here = percpu::presence();
        here.announce(IDLE);
        heed(here);
    }
}

/// The processor is awake.
pub(crate) fn end_idle() {
    if cpu::online() > 1 {
        let here = percpu::presence();
        here.withdraw();
        heed(here);
    }
}

/// Between two tasks: lets those go on who wait for this processor.
#[inline]
pub(crate) fn between_tasks() {
    heed(percpu::presence());
}

#[inline]
fn heed(here: &'static Presence) {
    // ORDERING: SeqCst; see `Presence::announce`.
    while here.space.load(Ordering::SeqCst) & HOLD != 0 {
        super::space::go_home(here);
    }
}

/// Whether a test has left out what [`shoot`] does, to see that this is noticed.
#[cfg(feature = "ktest")]
pub(crate) static LEFT_OUT: AtomicBool = AtomicBool::new(false);

#[cfg(feature = "ktest")]
pub(super) fn is_left_out() -> bool {
    LEFT_OUT.load(Ordering::Relaxed)
}

#[cfg(not(feature = "ktest"))]
pub(super) const fn is_left_out() -> bool {
    false
}

/// Makes all other processors forget the pages of `start..end` in the space of
/// `root`: when it returns no processor uses what was remembered of them.
pub(super) fn shoot(root: u32, start: u64, end: u64) {
    let online = cpu::online();
    if online == 1 || is_left_out() {
        return;
    }
    // ORDERING: SeqCst: the tables were changed before the look at the roots;
    // the other side is `settle`.
    fence(Ordering::SeqCst);
    let range = pack(start, end);
    let me = cpu::current().index();
    let others = || {
        (0..online)
            .filter(move |index| *index != me)
            .filter_map(|index| Some((index, percpu::presence_of(index)?)))
    };
    let mut marked = 0_u64;
    for (index, there) in others() {
        // ORDERING: Relaxed; after the fence. `mark` looks again.
        if there.space.load(Ordering::Relaxed) as u32 == root && there.mark(root, range) {
            marked |= 1 << index;
            if there.is_in(USER) {
                interrupts::interrupt_for_flush(index);
            }
        }
    }
    if marked == 0 {
        return;
    }
    for (index, there) in others() {
        if marked & 1 << index != 0 {
            while there.is_using(root) {
                spin_loop();
            }
        }
    }
}

/// Forgets every translation of programs on this processor.
pub(super) fn forget_all() {
    tlb::forget_all();
}

/// Marks all other processors that may walk tables of `root` (of any program,
/// if `widely`), and wakes those that sleep; which ones they are, as bits.
pub(super) fn hold_all(root: u32, widely: bool) -> u64 {
    // ORDERING: SeqCst; as in `shoot`.
    fence(Ordering::SeqCst);
    let me = cpu::current().index();
    let mut marked = 0;
    for index in 0..cpu::online() {
        let there = percpu::presence_of(index).filter(|_| index != me);
        if let Some(there) = there.filter(|there| there.mark_hold(root, widely)) {
            marked |= 1 << index;
            if there.is_in(IDLE) {
                interrupts::interrupt_for_flush(index);
            }
        }
    }
    marked
}

/// Has all other processors that are on the root of a space that ended leave
/// it when they can: it is a frame.
pub(super) fn send_home(root: u32) {
    if cpu::online() > 1 {
        hold_all(root, false);
    }
}

/// Forgets pages on this processor.
pub(super) fn forget(start: u64, end: u64) {
    forget_range(pack(start, end));
}

fn forget_range(range: u64) {
    let (first, count) = (range >> 8, range & 0xff);
    if count > ONE_BY_ONE {
        return tlb::forget_all();
    }
    for page in 0..count {
        tlb::forget_page((first + page) * PAGE);
    }
}

/// A range of pages as one word.
fn pack(start: u64, end: u64) -> u64 {
    let pages = (end - start).div_ceil(PAGE);
    if pages > ONE_BY_ONE {
        EVERYTHING
    } else {
        (start / PAGE) << 8 | pages
    }
}

/// A range that has both.
fn union(one: u64, other: u64) -> u64 {
    match (one, other) {
        (0, range) | (range, 0) => range,
        (EVERYTHING, _) | (_, EVERYTHING) => EVERYTHING,
        _ => {
            let start = (one >> 8).min(other >> 8);
            let end = ((one >> 8) + (one & 0xff)).max((other >> 8) + (other & 0xff));
            pack(start * PAGE, end * PAGE)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{EVERYTHING, PAGE, pack, union};

    #[test]
    fn ranges_join() {
        let pages = |first: u64, count: u64| pack(first * PAGE, (first + count) * PAGE);
        assert_eq!(union(0, pages(5, 2)), pages(5, 2));
        assert_eq!(union(pages(5, 2), 0), pages(5, 2));
        assert_eq!(union(pages(5, 2), pages(9, 1)), pages(5, 5));
        assert_eq!(union(pages(9, 1), pages(5, 2)), pages(5, 5));
        assert_eq!(union(pages(5, 2), pages(600, 1)), EVERYTHING);
        assert_eq!(union(EVERYTHING, pages(5, 2)), EVERYTHING);
        assert_eq!(pages(0, 33), EVERYTHING);
        let last = 0x7fff_ffff_f000 / PAGE - 1;
        assert_eq!(
            union(pages(last, 1), pages(last - 1, 1)),
            pages(last - 1, 2)
        );
    }
}
