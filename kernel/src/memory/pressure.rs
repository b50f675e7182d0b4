//! When a page is wanted and no frame is left: somebody has to go.
//!
//! The process with the most memory does, whoever asked: a small program that
//! happens to ask last is not the culprit. The thread that asked lets others
//! run and asks again.

use alloc::sync::Arc;

use crate::process::{ExitStatus, Process, table};

const SIGKILL: u32 = 9;

/// Kills the process with the most memory, unless one that was killed before
/// still has to give its memory back.
pub fn relieve() {
    let mut largest: Option<(usize, Arc<Process>)> = None;
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
        if largest.as_ref().is_none_or(|(most, _)| pages > *most) {
            largest = Some((pages, Arc::clone(process)));
        }
    }
    let Some((pages, process)) = largest else {
        return;
    };
    log::warn!(
        "out of memory: killed process {}, {} KiB resident",
        process.pid,
        pages.saturating_mul(4)
    );
    process.begin_group_exit(ExitStatus::signaled(SIGKILL, false));
}
