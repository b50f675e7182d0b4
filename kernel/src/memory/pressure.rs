//! When a page is wanted and no frame is left: somebody has to go.
//!
//! First what programs can spare is taken (`spare`), then what the kernel keeps
//! ready for itself is given back, on every processor; those who were asked for it are not waited for, the thread comes
//! again. If that was not enough, the process with the most memory goes (or the
//! one that somebody wants to go first), whoever asked: a small program that
//! happens to ask last is not the culprit. The thread that asked lets others run
//! and asks again. Where no process may be killed (`oom_score_adj` of -1000 in
//! each) Linux ends the machine; here the process that asked goes, whatever it is.
//!
//! It does not come to that for the kernel's own objects: who makes one asks
//! first ([`check_headroom`]), and leaves the reserve to those that cannot.

use alloc::sync::Arc;

use ochre_abi::Errno;
use ochre_abi::system::trimmed;
use ochre_hal::memory::{self, Given};
use ochre_sync::primitive::atomic::{AtomicU16, AtomicU32, Ordering};

use super::{leftovers, spare};
use crate::process::{ExitStatus, Process, table};

/// Address spaces that are being given up, and those that were.
static GOING: AtomicU32 = AtomicU32::new(0);
static GONE: AtomicU16 = AtomicU16::new(0);

/// Does what gives up a process's address space.
pub fn giving_up(work: impl FnOnce()) {
    // ORDERING: SeqCst, here and in `is_still_short`: who finds neither somebody
    // going nor gone since looked before all of this, or tried after it.
    GOING.fetch_add(1, Ordering::SeqCst);
    work();
    GONE.fetch_add(1, Ordering::SeqCst);
    GOING.fetch_sub(1, Ordering::SeqCst);
}

/// Whether memory was short, and no address space has gone since the last time
/// (`seen`) nor goes now: otherwise it may be there, and the thread asks again
/// before anybody else is killed.
pub fn is_still_short(seen: &mut u16) -> bool {
    // ORDERING: SeqCst, as above; who is going is looked at first, so that one
    // who has gone in between is seen in the other.
    let is_going = GOING.load(Ordering::SeqCst) != 0;
    let gone = GONE.load(Ordering::SeqCst);
    let is_same = core::mem::replace(seen, gone) == gone;
    is_same && !is_going
}

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

/// Takes what programs can spare, or has the kernel give back what it keeps ready; when that was not enough, and there is still nothing, kills
/// the process with the most memory, unless one that was killed before still has
/// to give its memory back. Whether there is hope: not if nobody may be killed.
pub fn relieve() -> bool {
    // ORDERING: SeqCst; as in `is_still_short`.
    let gone = GONE.load(Ordering::SeqCst);
    if leftovers::give_some() > 0 || spare::take_some() {
        return true;
    }
    if memory::give(0) != Given::Nothing {
        return true;
    }
    // Others may have given something back since it was asked for: then nobody
    // has to go for it.
    if memory::has_headroom(HEADROOM) {
        return true;
    }
    let mut largest: Option<(i64, Arc<Process>)> = None;
    for relations in table::lock().iter() {
        let process = &relations.process;
        let pages = process.space.lock().resident_pages();
        if pages == 0 {
            continue;
        }
        if process.exit_status().is_some() {
            return true;
        }
        if process.signals.is_protected() {
            continue;
        }
        let Some(badness) = badness(process, pages) else {
            continue;
        };
        if largest.as_ref().is_none_or(|(most, _)| badness > *most) {
            largest = Some((badness, Arc::clone(process)));
        }
    }
    // One that was killed before may have had pages no more because it gives them
    // up since the caller looked: they come back, and nobody else has to go.
    // ORDERING: SeqCst, and in this order, as in `is_still_short`.
    if GOING.load(Ordering::SeqCst) != 0 || GONE.load(Ordering::SeqCst) != gone {
        return true;
    }
    let Some((_, process)) = largest else {
        return false;
    };
    kill(&process);
    true
}

/// [`relieve`] for a thread of `asker` that cannot go on without: where nobody
/// may be killed, it is.
pub fn relieve_or_end(asker: &Process) {
    if !relieve() {
        kill(asker);
    }
}

fn kill(process: &Process) {
    memory::note_relief();
    tell(process);
    process.begin_group_exit(ExitStatus::signaled(SIGKILL, false));
}

/// Says who goes, and why that one.
fn tell(process: &Process) {
    let space = Arc::clone(&process.space.lock());
    let sizes = space.sizes();
    let name = process.name();
    log::warn!(
        "out of memory: killed process {} ({}) of user {}, {} KiB mapped, {} KiB resident, \
         adjusted by {}",
        process.pid,
        trimmed(&name).escape_ascii(),
        process.credentials().uid.real,
        sizes.total / 1024,
        sizes.resident / 1024,
        process.control.oom_adjustment.load(Ordering::Relaxed)
    );
}

/// How much a process with so many pages deserves to go: its pages, and what
/// `/proc/PID/oom_score_adj` adds, in thousandths of the machine's memory, which
/// may be less than nothing. `None` for one that never goes.
fn badness(process: &Process, pages: usize) -> Option<i64> {
    let adjustment = process.control.oom_adjustment.load(Ordering::Relaxed);
    badness_of(pages, adjustment, memory::stats().total)
}

fn badness_of(pages: usize, adjustment: i32, total: usize) -> Option<i64> {
    // CAST: numbers of frames.
    let added = (total as i64).saturating_mul(i64::from(adjustment)) / 1000;
    (adjustment != NEVER).then(|| (pages as i64).saturating_add(added))
}

/// What `/proc/PID/oom_score` shows of that: 0 for one that never goes, else
/// two thirds of its thousandths of memory and a thousand, as Linux scales it.
#[must_use]
pub fn score(process: &Process, pages: usize) -> u64 {
    let total = memory::stats().total;
    badness(process, pages).map_or(0, |badness| scaled(badness, total))
}

fn scaled(badness: i64, total: usize) -> u64 {
    // CAST: a number of frames.
    let part = badness.saturating_mul(1000) / (total as i64).max(1);
    u64::try_from(part.saturating_add(1000).saturating_mul(2) / 3).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{badness_of, scaled};

    #[test]
    fn adjustments_are_thousandths_of_memory() {
        assert_eq!(badness_of(10, 0, 1000), Some(10));
        assert_eq!(badness_of(10, 1000, 1000), Some(1010));
        assert_eq!(badness_of(10, -500, 1000), Some(-490));
        assert_eq!(badness_of(999, -1000, 1000), None);
    }

    #[test]
    fn scores_are_between_0_and_2000() {
        let score =
            |pages, adjustment| badness_of(pages, adjustment, 1000).map(|of| scaled(of, 1000));
        assert_eq!(score(0, 0), Some(666));
        assert_eq!(score(0, -999), Some(0));
        assert_eq!(score(1000, 1000), Some(2000));
        assert_eq!(score(500, -500), Some(666));
    }
}
