//! Address spaces as the processors see them: counted roots, and which one is active.
//!
//! The root table's record counts its handles: [`SpaceRef`]s, and one for each
//! processor on which the space is active ([`presence`]). A processor keeps the
//! last space active until it needs another, so that going back to the same
//! program costs a comparison; its handle keeps the root from being reused
//! under it.
//!
//! The kernel half of every root holds the same entries, made once at boot for
//! all the kernel will ever map; so kernel mappings appear in all spaces at once.
//! (On a machine where the kernel's half has a root register of its own, only
//! the kernel's root has them.)

use ochre_sync::primitive::atomic::{AtomicU32, Ordering, fence};

use crate::arch::machine::{apart, paging, percpu, tlb};
use crate::cpu;

use super::presence::{self, Need, Presence};
use super::table::Table;
use super::{OutOfMemory, PAGE_SIZE, frames, numbers, user_view};

/// The kernel's own root; 0 before it is made.
static KERNEL_ROOT: AtomicU32 = AtomicU32::new(0);

/// A cheap handle to an address space's root, with which programs are run and
/// user memory is copied. It can outlive the [`PageTable`](super::PageTable):
/// then nothing is mapped any more.
#[derive(Debug)]
pub struct SpaceRef {
    /// INVARIANT: a root table, of whose count one is ours.
    root: u32,
}

impl SpaceRef {
    /// A new root with an empty user half.
    pub(super) fn new() -> Result<SpaceRef, OutOfMemory> {
        if let Some(root) = frames::reuse_root() {
            // ORDERING: Relaxed; nobody else knows the table.
            frames::record(root).word().store(1, Ordering::Relaxed);
            let space = SpaceRef { root };
            if tlb::BROADCASTS {
                numbers::begin(space.table());
            }
            return Ok(space);
        }
        let root = Table::new()?;
        // ORDERING: Relaxed; set at boot.
        let kernel = KERNEL_ROOT.load(Ordering::Relaxed);
        if kernel != 0 && !tlb::BROADCASTS {
            // SAFETY: the kernel's root is a table for ever.
            let kernel = unsafe { Table::at(kernel) };
            let both = kernel.entries().iter().zip(root.entries());
            for (theirs, ours) in both.skip(paging::USER_ROOT_ENTRIES) {
                // ORDERING: Relaxed; nobody else knows the table, and the
                // kernel's entries do not change.
                ours.store(theirs.load(Ordering::Relaxed), Ordering::Relaxed);
            }
            if apart::is_on()
                && let Err(error) = user_view::attach(root)
            {
                frames::free_used_table(root.frame());
                return Err(error);
            }
        }
        let word = frames::record(root.frame()).word();
        // ORDERING: Relaxed; nobody else knows the table.
        word.store(1, Ordering::Relaxed);
        Ok(SpaceRef { root: root.frame() })
    }

    /// The root's frame.
    #[inline]
    pub(super) fn root(&self) -> u32 {
        self.root
    }

    /// The root table.
    #[inline]
    pub(super) fn table(&self) -> Table {
        // SAFETY: the type's invariant; the handle keeps it.
        unsafe { Table::at(self.root) }
    }

    /// Makes this the space of the current processor.
    #[cfg(any(test, feature = "boottest", feature = "ktest"))]
    pub(crate) fn activate(&self) {
        let here = percpu::presence();
        if !here.is_simply(self.root) {
            self.prepare(here);
        }
    }

    /// Makes this the space of the current processor, which goes to user mode
    /// at once, or [`withdraw`](Presence::withdraw)s.
    #[inline]
    pub(crate) fn enter_user(&self, here: &Presence) {
        if !here.is_simply(self.root) {
            self.enter_guarded(here, presence::USER);
        }
    }

    /// Makes this the space of the current processor, which copies from or to
    /// it now, and [`withdraw`](Presence::withdraw)s then. Whether the
    /// processor runs alone and plainly, so that nothing else is to be looked at.
    #[inline]
    pub(crate) fn enter_copy(&self, here: &Presence) -> bool {
        let simply = here.is_simply(self.root);
        if !simply {
            self.enter_guarded(here, presence::COPY);
        }
        simply
    }

    /// With several processors, each time; with one, when the space changes.
    #[inline(never)]
    fn enter_guarded(&self, here: &Presence, mode: u32) {
        if cpu::online() > 1 {
            here.announce(mode);
        }
        if here.needs(self.root).is_some() {
            self.prepare(here);
        }
    }

    /// The number under which this processor is to use the space.
    #[inline]
    fn number(&self) -> u16 {
        if tlb::BROADCASTS {
            numbers::enter(self.table())
        } else {
            0
        }
    }

    #[cold]
    fn prepare(&self, here: &Presence) {
        while let Some(need) = here.needs(self.root) {
            match need {
                Need::Forget => {
                    here.settle(self.root, || {});
                }
                Need::Switch => {
                    let handle = self.clone();
                    // SAFETY: a root made by `new`: its kernel half is the kernel's.
                    let load = || unsafe { tlb::load_root(physical(self.root), self.number()) };
                    // The word takes the handle over and gives the old one back.
                    let before = here.settle(handle.root, load);
                    core::mem::forget(handle);
                    drop_root(before);
                }
            }
        }
    }
}

impl Clone for SpaceRef {
    #[inline]
    fn clone(&self) -> SpaceRef {
        let word = frames::record(self.root).word();
        // ORDERING: Relaxed; this handle keeps the root meanwhile.
        let before = word.fetch_add(1, Ordering::Relaxed);
        assert!(
            before < u32::MAX / 2,
            "handles of an address space are lost"
        );
        SpaceRef { root: self.root }
    }
}

impl Drop for SpaceRef {
    #[inline]
    fn drop(&mut self) {
        drop_root(self.root);
    }
}

/// Gives one handle of a root back; 0 is no root.
#[inline]
fn drop_root(root: u32) {
    if root == 0 {
        return;
    }
    // ORDERING: Release, and Acquire below: every use of the root comes before its end.
    if frames::record(root).word().fetch_sub(1, Ordering::Release) == 1 {
        fence(Ordering::Acquire);
        if apart::is_on() {
            return user_view::free(root);
        }
        frames::free_root(root);
    }
}

/// Takes this processor off `root`, where it is on it.
pub(super) fn leave(root: u32) {
    let here = percpu::presence();
    if here.root() == root {
        go_home(here);
    }
}

/// Takes this processor to the kernel's own root.
pub(super) fn go_home(here: &Presence) {
    // ORDERING: Relaxed; set at boot.
    let kernel = KERNEL_ROOT.load(Ordering::Relaxed);
    // SAFETY: the kernel's own root.
    let load = || unsafe { tlb::load_root(physical(kernel), 0) };
    drop_root(here.settle(0, load));
}

/// Makes every processor forget the pages of `start..end` in the space of
/// `root`: when it returns nobody uses what was remembered of them.
pub(super) fn forget(root: u32, start: u64, end: u64) {
    if start >= end {
        return;
    }
    #[cfg(test)]
    // SAFETY: the caller changed its entries, so it is a table.
    super::host::note_forgotten(unsafe { Table::at(root) }, start);
    if tlb::BROADCASTS {
        // SAFETY: the caller changed its entries, so it is a table.
        return numbers::forget(unsafe { Table::at(root) }, start, end);
    }
    if percpu::presence().root() == root {
        presence::forget(start, end);
    }
    presence::shoot(root, start, end);
}

/// The physical address of the kernel's own root, for a processor that starts.
pub(crate) fn kernel_root_address() -> u64 {
    // ORDERING: Relaxed; set at boot.
    physical(KERNEL_ROOT.load(Ordering::Relaxed))
}

/// Loads the finished kernel root and takes it as the pattern of every other.
///
/// # Safety
/// `root` is a table that maps all that the kernel uses, in its kernel half.
pub(super) unsafe fn adopt_kernel_root(root: Table) {
    // ORDERING: Relaxed; other processors start later.
    KERNEL_ROOT.store(root.frame(), Ordering::Relaxed);
    // SAFETY: the caller's promise.
    unsafe { tlb::load_kernel_root(physical(root.frame())) };
}

/// The kernel's own root, for the mappings that it makes later.
pub(super) fn kernel_root() -> Option<Table> {
    // ORDERING: Relaxed; set at boot.
    let root = KERNEL_ROOT.load(Ordering::Relaxed);
    // SAFETY: the kernel's root is a table for ever.
    (root != 0).then(|| unsafe { Table::at(root) })
}

fn physical(root: u32) -> u64 {
    u64::from(root) * PAGE_SIZE as u64
}
