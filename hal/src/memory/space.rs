//! Address spaces as the processors see them: counted roots, and which one is active.
//!
//! The root table's record counts its handles: [`SpaceRef`]s, and one for each
//! processor on which the space is active. A processor keeps the last space
//! active until it needs another, so that going back to the same program costs
//! a comparison; its handle keeps the root from being reused under it.
//!
//! The kernel half of every root holds the same entries, made once at boot for
//! all the kernel will ever map; so kernel mappings appear in all spaces at once.

use ochre_sync::primitive::atomic::{AtomicU32, Ordering, fence};

use crate::arch::machine::{paging, tlb};
use crate::cpu::{self, MAX_CPUS};

use super::table::Table;
use super::{OutOfMemory, PAGE_SIZE, frames};

/// The kernel's own root; 0 before it is made.
static KERNEL_ROOT: AtomicU32 = AtomicU32::new(0);

/// The root that is loaded on each processor; 0 for the kernel's own.
static ACTIVE: [AtomicU32; MAX_CPUS] = [const { AtomicU32::new(0) }; MAX_CPUS];

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
            return Ok(SpaceRef { root });
        }
        let root = Table::new()?;
        // ORDERING: Relaxed; set at boot.
        let kernel = KERNEL_ROOT.load(Ordering::Relaxed);
        if kernel != 0 {
            // SAFETY: the kernel's root is a table for ever.
            let kernel = unsafe { Table::at(kernel) };
            let both = kernel.entries().iter().zip(root.entries());
            for (theirs, ours) in both.skip(paging::USER_ROOT_ENTRIES) {
                // ORDERING: Relaxed; nobody else knows the table, and the
                // kernel's entries do not change.
                ours.store(theirs.load(Ordering::Relaxed), Ordering::Relaxed);
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
    #[inline]
    pub(crate) fn activate(&self) {
        let active = active();
        // ORDERING: Relaxed; only this processor writes its own place.
        if active.load(Ordering::Relaxed) != self.root {
            self.switch(active);
        }
    }

    #[cold]
    fn switch(&self, active: &AtomicU32) {
        let handle = self.clone();
        // SAFETY: a root made by `new`: its kernel half is the kernel's.
        unsafe { tlb::load_root(physical(self.root)) };
        // ORDERING: Relaxed; as in `activate`. The place takes the handle over.
        let before = active.swap(handle.root, Ordering::Relaxed);
        core::mem::forget(handle);
        drop_root(before);
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
        frames::free_root(root);
    }
}

/// Loads the kernel's own root where `root` is active, so that no processor uses its user half.
pub(super) fn leave(root: u32) {
    let active = active();
    // ORDERING: Relaxed; as in `activate`.
    if active.load(Ordering::Relaxed) != root {
        return;
    }
    // ORDERING: Relaxed; set at boot.
    let kernel = KERNEL_ROOT.load(Ordering::Relaxed);
    // SAFETY: the kernel's own root.
    unsafe { tlb::load_root(physical(kernel)) };
    // ORDERING: Relaxed; as above.
    active.store(0, Ordering::Relaxed);
    drop_root(root);
}

/// Whether any processor may hold translations of `root`'s user half.
#[inline]
pub(super) fn is_active(root: u32) -> bool {
    // One processor today. With more: any of `ACTIVE`'s first `cpu::count()`.
    // ORDERING: Relaxed; as in `activate`.
    active().load(Ordering::Relaxed) == root
}

/// Loads the finished kernel root and takes it as the pattern of every other.
///
/// # Safety
/// `root` is a table that maps all that the kernel uses, in its kernel half.
pub(super) unsafe fn adopt_kernel_root(root: Table) {
    // ORDERING: Relaxed; other processors start later.
    KERNEL_ROOT.store(root.frame(), Ordering::Relaxed);
    // SAFETY: the caller's promise.
    unsafe { tlb::load_root(physical(root.frame())) };
}

/// The kernel's own root, for the mappings that it makes later.
pub(super) fn kernel_root() -> Option<Table> {
    // ORDERING: Relaxed; set at boot.
    let root = KERNEL_ROOT.load(Ordering::Relaxed);
    // SAFETY: the kernel's root is a table for ever.
    (root != 0).then(|| unsafe { Table::at(root) })
}

#[inline]
fn active() -> &'static AtomicU32 {
    // `MAX_CPUS` is the bound of every index.
    &ACTIVE[cpu::current().index() % MAX_CPUS]
}

fn physical(root: u32) -> u64 {
    u64::from(root) * PAGE_SIZE as u64
}
