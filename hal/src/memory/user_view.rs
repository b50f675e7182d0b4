//! The second root of a space: what the processor has while a program runs,
//! where programs have tables of their own (`arch/x86_64/apart.rs`).
//!
//! The view has the same entries as the root in the user half, so all tables
//! below are shared; of the kernel's half it has one entry, the window's. The
//! root says where its view is, in an entry that is no mapping.
//!
//! # Invariants
//! 1. Where programs have tables of their own, every root but the kernel's has
//!    a view, from [`attach`] to [`free`], as long as the root's own frame.
//! 2. A table leaves the view when it leaves the root, before processors are
//!    made to forget it: [`link`] and [`unlink`] are the only ways.
//!
//! Elsewhere all of this is a look at one word.

use ochre_sync::primitive::atomic::Ordering;

use crate::arch::machine::apart;

use super::table::Table;
use super::{OutOfMemory, PAGE_SIZE, frames};

/// Makes the view of a new root, which nobody else knows.
///
/// # Errors
/// [`OutOfMemory`] for it.
pub(super) fn attach(root: Table) -> Result<(), OutOfMemory> {
    let view = Table::new()?;
    let address = u64::from(view.frame()) * PAGE_SIZE as u64;
    // ORDERING: Relaxed, all three; nobody else knows the tables, and the
    // kernel's entries do not change.
    let window = root.entries()[apart::WINDOW].load(Ordering::Relaxed);
    view.entries()[apart::WINDOW].store(window, Ordering::Relaxed);
    root.entries()[apart::VIEW].store(address, Ordering::Relaxed);
    Ok(())
}

/// The view of a root that has one.
pub(super) fn of(root: Table) -> Table {
    // ORDERING: Relaxed; it does not change.
    let address = root.entries()[apart::VIEW].load(Ordering::Relaxed);
    // CAST: frames have 28-bit numbers.
    let frame = (address / PAGE_SIZE as u64) as u32;
    // SAFETY: invariant 1.
    unsafe { Table::at(frame) }
}

/// Fills an entry of a root's user half that was zero.
pub(super) fn link(root: Table, at: usize, entry: u64) {
    if !apart::is_on() {
        return root.set(at, entry);
    }
    root.set(at, apart::in_kernel(entry));
    // ORDERING: Release, as in `Table::set`.
    of(root).entries()[at].store(entry, Ordering::Release);
}

/// Empties an entry of a root's user half that is used; what it was.
pub(super) fn unlink(root: Table, at: usize) -> u64 {
    if apart::is_on() {
        // ORDERING: Relaxed; the flush orders it against the processors.
        of(root).entries()[at].store(0, Ordering::Relaxed);
    }
    root.clear(at)
}

/// Frees a root and its view.
pub(super) fn free(root: u32) {
    // SAFETY: a root's frame, until the last line.
    let view = of(unsafe { Table::at(root) });
    frames::free_used_table(view.frame());
    frames::free_used_table(root);
}
