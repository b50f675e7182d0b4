//! The smaller files of a process.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::Write;
use core::ops::Range;

use ochre_abi::Errno;
use ochre_abi::resource::{RLIM_INFINITY, RLimit};
use ochre_abi::system::trimmed;
use ochre_sync::primitive::atomic::Ordering;

use super::Subject;
use super::stat::Standing;
use crate::fs::procfs::text::{Made, Text, number};
use crate::memory::MakeRoom;
use crate::memory::{AddressSpace, pressure};
use crate::process::{Capability, Process, Resource, table};

/// Bytes of another process's memory looked at at a time.
const PIECE: usize = 4096;

/// How far a title that a program wrote over its arguments may go.
const TITLE_MAX: u64 = 4096;

/// Adds a range of a program's memory, as much of it as is there.
fn push_memory(text: &mut Text, space: &AddressSpace, range: Range<u64>) -> Made {
    let mut at = range.start;
    while at < range.end {
        // CAST: at most a piece.
        let len = (range.end - at).min(PIECE as u64) as usize;
        let before = text.len();
        if text
            .extend_with(len, |bytes| space.inspect(at, bytes))?
            .is_err()
        {
            text.truncate(before);
            break;
        }
        at += len as u64;
    }
    Ok(())
}

fn space_of(subject: &Subject) -> Result<Arc<AddressSpace>, Errno> {
    let process = subject.process()?;
    let space = Arc::clone(&process.space.lock());
    Ok(space)
}

/// `/proc/PID/cmdline`. A program that writes a title over its arguments, and
/// over the NUL behind the last, is taken at its word.
pub(super) fn arguments(subject: &Subject, text: &mut Text) -> Made {
    let space = space_of(subject)?;
    let facts = space.facts();
    let range = facts.arguments.clone();
    if range.is_empty() {
        return Ok(());
    }
    let mut last = [0];
    if space.inspect(range.end - 1, &mut last).is_err() || last == [0] {
        return push_memory(text, &space, range);
    }
    let start = text.len();
    let end = range
        .start
        .saturating_add(TITLE_MAX)
        .min(facts.environment.end.max(range.end));
    push_memory(text, &space, range.start..end)?;
    if let Some(len) = text.from(start).iter().position(|byte| *byte == 0) {
        text.truncate(start + len + 1);
    }
    Ok(())
}

/// `/proc/PID/environ`.
pub(super) fn environment(subject: &Subject, text: &mut Text) -> Made {
    let space = space_of(subject)?;
    push_memory(text, &space, space.facts().environment.clone())
}

/// `/proc/PID/auxv`.
pub(super) fn auxiliary(subject: &Subject, text: &mut Text) -> Made {
    text.push(&space_of(subject)?.facts().auxiliary)
}

/// `/proc/PID/comm`.
pub(super) fn name(subject: &Subject, text: &mut Text) -> Made {
    text.push(trimmed(&Standing::of(subject)?.name()))?;
    text.push(b"\n")
}

/// Writing to `/proc/PID/comm`: only threads of the process may.
pub(super) fn set_name(subject: &Subject, bytes: &[u8]) -> Result<(), Errno> {
    let asking = table::current_thread();
    let process = subject.process()?;
    if !asking.is_some_and(|thread| Arc::ptr_eq(&thread.process, &process)) {
        return Err(Errno::EINVAL);
    }
    let thread = subject.thread().ok_or(Errno::ESRCH)?;
    let mut name = [0; 16];
    let len = bytes.len().min(name.len() - 1);
    name[..len].copy_from_slice(&bytes[..len]);
    *thread.name.lock() = name;
    Ok(())
}

/// `/proc/PID/cgroup`: all are in the one there is.
pub(super) fn groups(subject: &Subject, text: &mut Text) -> Made {
    subject.process()?;
    text.push(b"0::/\n")
}

/// `/proc/PID/task/TID/children`: they belong to the process, and are shown
/// with its first thread.
pub(super) fn children(subject: &Subject, text: &mut Text) -> Made {
    let process = subject.process()?;
    if subject.tid != process.pid {
        return Ok(());
    }
    let children = {
        let table = table::lock();
        let of = table.relations(process.pid).ok_or(Errno::ESRCH)?;
        let mut children = Vec::new();
        children.make_room_exact(of.children.len())?;
        children.extend_from_slice(&of.children);
        children
    };
    for child in children {
        write!(text, "{child} ")?;
    }
    Ok(())
}

/// `/proc/PID/limits`.
pub(super) fn limits(subject: &Subject, text: &mut Text) -> Made {
    let process = subject.process()?;
    text.push(b"Limit                     Soft Limit           Hard Limit           Units     \n")?;
    for resource in Resource::ALL {
        write_limit(text, resource, process.limits.get(resource))?;
    }
    Ok(())
}

fn write_limit(text: &mut Text, resource: Resource, limit: RLimit) -> Made {
    let (name, unit) = resource.name();
    write!(text, "{name:<25} ")?;
    for value in [limit.soft, limit.hard] {
        match value {
            RLIM_INFINITY => write!(text, "{:<20} ", "unlimited")?,
            value => write!(text, "{value:<20} ")?,
        }
    }
    if unit.is_empty() {
        writeln!(text)?;
    } else {
        writeln!(text, "{unit:<10}")?;
    }
    Ok(())
}

fn resident_pages(process: &Process) -> usize {
    let space = Arc::clone(&process.space.lock());
    space.resident_pages()
}

/// `/proc/PID/oom_score`: what counts when memory is short.
pub(super) fn oom_score(subject: &Subject, text: &mut Text) -> Made {
    let process = subject.process()?;
    let score = pressure::score(&process, resident_pages(&process));
    writeln!(text, "{score}")?;
    Ok(())
}

/// `/proc/PID/oom_score_adj`.
pub(super) fn oom_adjustment(subject: &Subject, text: &mut Text) -> Made {
    let process = subject.process()?;
    let adjustment = process.control.oom_adjustment.load(Ordering::Relaxed);
    writeln!(text, "{adjustment}")?;
    Ok(())
}

/// Writing to `/proc/PID/oom_score_adj`; less than it was once set to with
/// privilege asks for privilege.
pub(super) fn set_oom_adjustment(subject: &Subject, bytes: &[u8]) -> Result<(), Errno> {
    let new = i32::try_from(number(bytes)?).map_err(|_| Errno::EINVAL)?;
    if !(-1000..=1000).contains(&new) {
        return Err(Errno::EINVAL);
    }
    let process = subject.process()?;
    let asking = table::current_thread().ok_or(Errno::EACCES)?;
    let control = &process.control;
    if asking.has(Capability::SysResource) {
        control.oom_least.store(new, Ordering::Relaxed);
    } else if new < control.oom_least.load(Ordering::Relaxed) {
        return Err(Errno::EACCES);
    }
    control.oom_adjustment.store(new, Ordering::Relaxed);
    Ok(())
}

/// `/proc/PID/personality`.
pub(super) fn personality(subject: &Subject, text: &mut Text) -> Made {
    let process = subject.process()?;
    let flags = process.control.personality.load(Ordering::Relaxed);
    writeln!(text, "{flags:08x}")?;
    Ok(())
}

/// `/proc/PID/wchan`: where a thread waits has no name here.
pub(super) fn wait_channel(subject: &Subject, text: &mut Text) -> Made {
    subject.process()?;
    text.push(b"0")
}

#[cfg(test)]
mod tests {
    use super::{RLIM_INFINITY, RLimit, Resource, Text, write_limit};

    fn line(resource: Resource, soft: u64, hard: u64) -> String {
        let mut text = Text::default();
        write_limit(&mut text, resource, RLimit { soft, hard }).unwrap();
        String::from_utf8(text.into_bytes()).unwrap()
    }

    #[test]
    fn limits_are_in_columns() {
        assert_eq!(
            line(Resource::OpenFiles, 1024, RLIM_INFINITY),
            "Max open files            1024                 unlimited            files     \n"
        );
        assert_eq!(
            line(Resource::Nice, 0, 0),
            "Max nice priority         0                    0                    \n"
        );
    }
}
