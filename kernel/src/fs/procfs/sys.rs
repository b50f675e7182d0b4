//! `/proc/sys`: what can be tuned, or at least asked for.

use core::fmt::Write;

use ochre_abi::Errno;
use ochre_abi::credentials::NGROUPS_MAX;
use ochre_abi::system::{NAME_SIZE, trimmed};
use ochre_sync::Once;

use super::root::Entry;
use super::text::{Made, Text};
use crate::device::random;
use crate::ipc::pipe;
use crate::ipc::sysv::shm;
use crate::memory;
use crate::memory::commit::{self, Overcommit};
use crate::process::{LAST_CAPABILITY, OPEN_FILES_MAX, attach, table, task_limit};
use crate::syscall::system;

pub(super) const TOP: &[Entry] = &[
    Entry::directory("fs", FS),
    Entry::directory("kernel", KERNEL),
    Entry::directory("vm", VM),
];

const FS: &[Entry] = &[
    // Memory is the limit.
    Entry::text("file-max", |text| line(text, i64::MAX)),
    Entry::text("nr_open", |text| line(text, OPEN_FILES_MAX)),
    Entry::text("overflowgid", |text| line(text, NOBODY)),
    Entry::text("overflowuid", |text| line(text, NOBODY)),
    Entry::text("pipe-max-size", |text| line(text, pipe::MAX_CAPACITY)),
];

const KERNEL: &[Entry] = &[
    Entry::text("cap_last_cap", |text| line(text, LAST_CAPABILITY)),
    Entry::setting("domainname", domain_name, set_domain_name),
    Entry::setting("hostname", host_name, set_host_name),
    Entry::text("ngroups_max", |text| line(text, NGROUPS_MAX)),
    Entry::text("osrelease", |text| line(text, system::RELEASE)),
    Entry::text("ostype", |text| line(text, "Linux")),
    Entry::text("overflowgid", |text| line(text, NOBODY)),
    Entry::text("overflowuid", |text| line(text, NOBODY)),
    Entry::setting(
        "pid_max",
        |text| line(text, table::pid_max()),
        |bytes| table::set_pid_max(number(bytes)?),
    ),
    Entry::directory("random", RANDOM),
    Entry::setting(
        "randomize_va_space",
        |text| line(text, memory::randomised()),
        |bytes| memory::set_randomised(number(bytes)?),
    ),
    Entry::setting(
        "shmall",
        |text| line(text, shm::MOST_PAGES.get()),
        set_all_pages,
    ),
    Entry::setting(
        "shmmax",
        |text| line(text, shm::MOST_BYTES.get()),
        set_most_bytes,
    ),
    Entry::setting(
        "shmmni",
        |text| line(text, shm::MOST_SEGMENTS.get()),
        set_segments,
    ),
    Entry::setting(
        "threads-max",
        |text| line(text, task_limit::task_limit()),
        |bytes| task_limit::set_task_limit(number(bytes)?),
    ),
    Entry::text("version", |text| line(text, system::VERSION)),
    Entry::directory("yama", YAMA),
];

const YAMA: &[Entry] = &[Entry::setting(
    "ptrace_scope",
    |text| line(text, attach::scope()),
    set_attach_scope,
)];

const RANDOM: &[Entry] = &[
    Entry::text("boot_id", boot_id),
    Entry::text("entropy_avail", |text| line(text, ENTROPY_BITS)),
    Entry::text("poolsize", |text| line(text, ENTROPY_BITS)),
    Entry::text("uuid", |text| write_uuid(text, random_uuid())),
];

const VM: &[Entry] = &[
    Entry {
        mode: 0o200,
        ..Entry::setting("drop_caches", |_| Ok(()), drop_caches)
    },
    Entry::text("max_map_count", |text| line(text, memory::MAX_AREAS)),
    Entry::text("mmap_min_addr", |text| line(text, memory::LOWEST)),
    // None are kept for those who ask for them by name, and none can be.
    Entry::text("nr_hugepages", |text| line(text, 0)),
    Entry::setting(
        "overcommit_kbytes",
        |text| line(text, commit::kib()),
        |bytes| number(bytes).map(commit::set_kib),
    ),
    Entry::setting(
        "overcommit_memory",
        |text| line(text, Overcommit::now() as u32),
        |bytes| Overcommit::from_number(number(bytes)?).map(Overcommit::set),
    ),
    Entry::setting(
        "overcommit_ratio",
        |text| line(text, commit::ratio()),
        |bytes| number(bytes).map(commit::set_ratio),
    ),
];

/// Who stands for users that cannot be named.
const NOBODY: u32 = 65534;

/// What the generator's key holds.
const ENTROPY_BITS: u32 = 256;

/// Gives back what processors keep for reuse: the writer's at once, the others
/// as soon as they can; of files there is nothing that could be dropped. As on
/// Linux, 1 means files, 2 the kernel's objects, 3 both, and 4 is for who wants
/// no line in the log about it.
fn drop_caches(bytes: &[u8]) -> Result<(), Errno> {
    match number::<u32>(bytes)? {
        what @ 1..=4 => {
            if what & 2 != 0 {
                ochre_hal::memory::reclaim();
                ochre_hal::memory::ask_others();
            }
            Ok(())
        }
        _ => Err(Errno::EINVAL),
    }
}

fn set_all_pages(bytes: &[u8]) -> Result<(), Errno> {
    shm::MOST_PAGES.set(number(bytes)?);
    Ok(())
}

fn set_most_bytes(bytes: &[u8]) -> Result<(), Errno> {
    shm::MOST_BYTES.set(number(bytes)?);
    Ok(())
}

fn set_segments(bytes: &[u8]) -> Result<(), Errno> {
    match number(bytes)? {
        count @ 0..=shm::PLACES => {
            shm::MOST_SEGMENTS.set(count);
            Ok(())
        }
        _ => Err(Errno::EINVAL),
    }
}

fn set_attach_scope(bytes: &[u8]) -> Result<(), Errno> {
    let asking = table::current_thread().ok_or(Errno::EPERM)?;
    attach::set_scope(&asking, number(bytes)?)
}

fn line(text: &mut Text, value: impl core::fmt::Display) -> Made {
    writeln!(text, "{value}")?;
    Ok(())
}

fn name_line(text: &mut Text, name: &[u8]) -> Made {
    text.push(trimmed(name))?;
    text.push(b"\n")
}

fn host_name(text: &mut Text) -> Made {
    name_line(text, &system::host_name())
}

fn domain_name(text: &mut Text) -> Made {
    name_line(text, &system::domain_name())
}

/// A name as it is written to a file: up to the first line's end.
fn written_name(bytes: &[u8]) -> &[u8] {
    let end = |byte: &u8| matches!(byte, b'\n' | 0);
    let name = bytes.split(end).next().unwrap_or(&[]);
    &name[..name.len().min(NAME_SIZE - 1)]
}

fn set_host_name(bytes: &[u8]) -> Result<(), Errno> {
    system::set_host_name(written_name(bytes));
    Ok(())
}

fn set_domain_name(bytes: &[u8]) -> Result<(), Errno> {
    system::set_domain_name(written_name(bytes));
    Ok(())
}

/// A number that was written, with or without the line's end.
pub(super) fn number<T: core::str::FromStr>(bytes: &[u8]) -> Result<T, Errno> {
    core::str::from_utf8(bytes)
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .ok_or(Errno::EINVAL)
}

/// A random UUID (version 4).
fn random_uuid() -> [u8; 16] {
    let mut uuid = [0; 16];
    random::fill(&mut uuid);
    uuid[6] = uuid[6] & 0x0f | 0x40;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    uuid
}

fn boot_id(text: &mut Text) -> Made {
    static BOOT_ID: Once<[u8; 16]> = Once::new();
    if BOOT_ID.get().is_none() {
        // Whoever was faster has set the one that counts.
        let _ = BOOT_ID.set(random_uuid());
    }
    write_uuid(text, BOOT_ID.get().copied().unwrap_or_default())
}

fn write_uuid(text: &mut Text, uuid: [u8; 16]) -> Made {
    for (index, byte) in uuid.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push(b"-")?;
        }
        write!(text, "{byte:02x}")?;
    }
    text.push(b"\n")
}

#[cfg(test)]
mod tests {
    use super::{Text, boot_id, random_uuid, write_uuid, written_name};

    #[test]
    fn uuids_say_that_they_are_random() {
        let mut text = Text::default();
        write_uuid(&mut text, random_uuid()).unwrap();
        let text = String::from_utf8(text.into_bytes()).unwrap();
        assert_eq!(text.len(), 37);
        assert_eq!(text.as_bytes()[14], b'4');
        assert!(b"89ab".contains(&text.as_bytes()[19]), "{text}");
        let groups: Vec<usize> = text.trim_end().split('-').map(str::len).collect();
        assert_eq!(groups, [8, 4, 4, 4, 12]);
    }

    #[test]
    fn the_boot_has_one() {
        let mut one = Text::default();
        let mut other = Text::default();
        boot_id(&mut one).unwrap();
        boot_id(&mut other).unwrap();
        assert_eq!(one.into_bytes(), other.into_bytes());
    }

    #[test]
    fn names_end_with_the_line() {
        assert_eq!(written_name(b"box\nmore"), b"box");
        assert_eq!(written_name(&[b'x'; 100]).len(), 64);
        assert_eq!(written_name(b""), b"");
    }
}
