//! When a page is wanted and no frame is left: somebody has to go.
//!
//! First what the kernel keeps ready for itself is given back, on every
//! processor; those who were asked for it are not waited for, the thread comes
//! again. If that was not enough, the process with the most memory goes (or the one that somebody wants to go
//! first), whoever asked: a small program that happens to ask last is not the
//! culprit. The thread that asked lets others
//! run and asks again.
//!
//! It does not come to that for the kernel's own objects: who makes one asks
//! first ([`check_headroom`]), and leaves the reserve to those that cannot.

use alloc::sync::Arc;

use ochre_abi::Errno;
use ochre_hal::memory::{self, Given};
use ochre_sync::primitive::atomic::Ordering;

use crate::process::{ExitStatus, Process, table};

/// Frames that must be free for a new object to be made.
pub(super) const HEADROOM: usize = 4;

const SIGKILL: u32 = 9;

/// The adjustment of a process that is never killed for memory.
const NEVER: i32 = -1000;

/// Fails when the kernel has no memory left for another object.
///
/// # Errors
/// ENOMEM.
#[cfg(not(test))]
pub fn check_headroom() -> Result<(), Errno> {
    if memory::has_headroom(HEADROOM) {
        Ok(())
    } else {
        Err(Errno::ENOMEM)
    }
}

/// Fails when the kernel has no memory left for another object; a host has.
///
/// # Errors
/// None.
#[cfg(test)]
pub fn check_headroom() -> Result<(), Errno> {
    let _ = HEADROOM;
    Ok(())
}

/// Has the kernel give back what it keeps ready; when that was not enough, kills
/// the process with the most memory, unless one that was killed before still has
/// to give its memory back.
pub fn relieve() {
    if memory::give(0) != Given::Nothing {
        return;
    }
    let mut largest: Option<(u64, usize, Arc<Process>)> = None;
    for relations in table::lock().iter() {
        let process = &relations.process;
        let pages = process.space.lock().resident_pages();
        if pages == 0 {
            continue;
        }
        if process.exit_status().is_some() {
            return;
        }
        if process.signals.is_protected() {
            continue;
        }
        let score = score(process, pages);
        if score > 0 && largest.as_ref().is_none_or(|(most, ..)| score > *most) {
            largest = Some((score, pages, Arc::clone(process)));
        }
    }
    let Some((_, pages, process)) = largest else {
        return;
    };
    memory::note_relief();
    log::warn!(
        "out of memory: killed process {}, {} KiB resident",
        process.pid,
        pages.saturating_mul(4)
    );
    process.begin_group_exit(ExitStatus::signaled(SIGKILL, false));
}

/// How much a process with so many pages deserves to go: its pages, and what
/// `/proc/PID/oom_score_adj` adds, in thousandths of the machine's memory.
#[must_use]
pub fn score(process: &Process, pages: usize) -> u64 {
    let adjustment = process.control.oom_adjustment.load(Ordering::Relaxed);
    if adjustment == NEVER {
        return 0;
    }
    let total = memory::stats().total as i64;
    let added = total.saturating_mul(i64::from(adjustment)) / 1000;
    let score = (pages as i64).saturating_add(added).max(1);
    score.unsigned_abs()
}
