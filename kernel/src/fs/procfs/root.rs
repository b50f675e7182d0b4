//! The directories that are the same for ever: tables of entries.
//!
//! An inode's number is its directory's times 64 plus its place in the table;
//! those of processes are above 2^32.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

use ochre_abi::Errno;

use super::node::{Arrow, Content, Identity, Leaf, Listing, Target};
use super::text::{Made, Text};
use super::{machine, memory, process, shortage, sys};
use crate::memory::shortage::AVAILABLE;
use crate::process::{Pid, table};
use crate::vfs::{Entry as Listed, Inode, Kind, Link, Metadata, Open, Opened, Permissions, now};

/// Numbers of inodes in one directory.
const SPAN: u64 = 64;

/// Cursors below stand for entries of the table, those above for processes.
const PROCESSES: u64 = 1 << 16;

/// A name in a table.
pub(super) struct Entry {
    pub(super) name: &'static str,
    pub(super) mode: u32,
    pub(super) what: What,
}

/// What a name stands for.
pub(super) enum What {
    /// A text.
    Text(fn(&mut Text) -> Made),
    /// A text that can be changed.
    Setting(fn(&mut Text) -> Made, fn(&[u8]) -> Result<(), Errno>),
    /// More names.
    Directory(&'static [Entry]),
    /// A link to what the function says.
    Link(fn() -> Result<Vec<u8>, Errno>),
    /// A directory that the function makes, with this number.
    Made(fn(u64) -> Arc<dyn Inode>),
}

impl Entry {
    pub(super) const fn text(name: &'static str, make: fn(&mut Text) -> Made) -> Entry {
        Entry {
            name,
            mode: 0o444,
            what: What::Text(make),
        }
    }

    pub(super) const fn setting(
        name: &'static str,
        make: fn(&mut Text) -> Made,
        take: fn(&[u8]) -> Result<(), Errno>,
    ) -> Entry {
        Entry {
            name,
            mode: 0o644,
            what: What::Setting(make, take),
        }
    }

    pub(super) const fn directory(name: &'static str, entries: &'static [Entry]) -> Entry {
        Entry {
            name,
            mode: 0o555,
            what: What::Directory(entries),
        }
    }

    const fn made(name: &'static str, make: fn(u64) -> Arc<dyn Inode>) -> Entry {
        Entry {
            name,
            mode: 0o555,
            what: What::Made(make),
        }
    }

    const fn link(name: &'static str, target: fn() -> Result<Vec<u8>, Errno>) -> Entry {
        Entry {
            name,
            mode: 0o777,
            what: What::Link(target),
        }
    }

    fn kind(&self) -> Kind {
        match self.what {
            What::Text(_) | What::Setting(..) => Kind::Regular,
            What::Directory(_) | What::Made(_) => Kind::Directory,
            What::Link(_) => Kind::Symlink,
        }
    }
}

const TOP: &[Entry] = &[
    Entry::link("self", own_directory),
    Entry::link("thread-self", own_thread_directory),
    Entry::text("buddyinfo", memory::blocks),
    Entry::text("cmdline", machine::command_line),
    Entry::text("cpuinfo", machine::processors),
    Entry::text("devices", machine::devices),
    Entry::text("diskstats", machine::nothing),
    Entry::text("filesystems", machine::file_systems),
    Entry::text("interrupts", machine::interrupts),
    Entry::text("loadavg", machine::load),
    Entry::text("locks", machine::locks),
    Entry::text("meminfo", memory::information),
    Entry::text("modules", machine::nothing),
    Entry::link("mounts", || Ok(b"self/mounts".to_vec())),
    Entry::directory("ochre", OCHRE),
    Entry::text("partitions", machine::partitions),
    Entry {
        mode: 0o400,
        ..Entry::text("slabinfo", memory::objects)
    },
    Entry::text("stat", machine::activity),
    Entry::text("swaps", machine::swaps),
    Entry::directory("sys", sys::TOP),
    // Linux has it for root alone, and nothing to read there.
    Entry {
        mode: 0o200,
        ..Entry::setting("sysrq-trigger", machine::nothing, machine::ask_kernel)
    },
    Entry::directory("sysvipc", SYSVIPC),
    Entry::directory("tty", TTY),
    Entry::text("uptime", machine::uptime),
    Entry::text("version", machine::version),
    Entry::text("vmstat", memory::counters),
];

const OCHRE: &[Entry] = if AVAILABLE {
    OCHRE_WITH_SHORTAGE
} else {
    OCHRE_WITH_SHORTAGE.split_last().expect("there are some").1
};

const OCHRE_WITH_SHORTAGE: &[Entry] = &[
    Entry::text("boot", machine::boot),
    Entry::text("longest_poll", machine::longest_poll),
    Entry::text("memory", memory::frames),
    Entry::text("objects", machine::objects),
    Entry::made("pagetable", process::pagetable::directory),
    Entry::text("unknown_syscalls", machine::unknown_calls),
    // Of a kernel for tests.
    Entry::directory("shortage", shortage::FILES),
];

const SYSVIPC: &[Entry] = &[Entry::text("shm", memory::segments)];

const TTY: &[Entry] = &[Entry::text("drivers", machine::terminal_drivers)];

/// The reader's process, by its number.
pub(super) fn own_directory() -> Result<Vec<u8>, Errno> {
    let (process, _) = current()?;
    Ok(alloc::format!("{process}").into_bytes())
}

fn own_thread_directory() -> Result<Vec<u8>, Errno> {
    let (process, thread) = current()?;
    Ok(alloc::format!("{process}/task/{thread}").into_bytes())
}

/// Who asks: process and thread.
fn current() -> Result<(Pid, Pid), Errno> {
    let thread = table::current_thread().ok_or(Errno::ENOENT)?;
    Ok((thread.process.pid, thread.tid()))
}

/// The directory at the top.
pub(super) fn top() -> Arc<dyn Inode> {
    Arc::new(Directory {
        entries: TOP,
        number: 1,
        mode: 0o555,
        is_top: true,
    })
}

/// A directory of a table; the top has the processes too.
struct Directory {
    entries: &'static [Entry],
    number: u64,
    mode: u32,
    is_top: bool,
}

impl Directory {
    fn number_of(&self, index: usize) -> u64 {
        self.number * SPAN + index as u64
    }

    fn identity(&self) -> Identity {
        Identity::of_root(self.number, self.mode)
    }

    fn links(&self) -> u32 {
        let below = |entry: &&Entry| entry.kind() == Kind::Directory;
        let mut links = 2 + self.entries.iter().filter(below).count() as u32;
        if self.is_top {
            let processes = table::lock().iter().count();
            links = links.saturating_add(u32::try_from(processes).unwrap_or(u32::MAX));
        }
        links
    }
}

impl Inode for Directory {
    fn kind(&self) -> Kind {
        Kind::Directory
    }

    fn permissions(&self) -> Permissions {
        self.identity().permissions()
    }

    fn metadata(&self) -> Metadata {
        self.identity()
            .metadata(Kind::Directory, self.links(), 0, now())
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        let found = self
            .entries
            .iter()
            .enumerate()
            .find(|(_, entry)| entry.name.as_bytes() == name);
        let Some((index, entry)) = found else {
            return if self.is_top {
                process::look_up(name)
            } else {
                Err(Errno::ENOENT)
            };
        };
        let number = self.number_of(index);
        Ok(match entry.what {
            What::Text(_) | What::Setting(..) => Leaf::inode(Fixed { entry, number }),
            What::Link(_) => Arrow::inode(Fixed { entry, number }),
            What::Made(make) => make(number),
            What::Directory(entries) => Arc::new(Directory {
                entries,
                number,
                mode: entry.mode,
                is_top: false,
            }),
        })
    }

    fn read_dir(
        &self,
        cursor: u64,
        visit: &mut dyn FnMut(&Listed<'_>) -> bool,
    ) -> Result<(), Errno> {
        let start = usize::try_from(cursor).unwrap_or(usize::MAX);
        for (index, entry) in self.entries.iter().enumerate().skip(start) {
            let listed = Listed {
                inode: self.number_of(index),
                next: index as u64 + 1,
                kind: entry.kind(),
                name: entry.name.as_bytes(),
            };
            if !visit(&listed) {
                return Ok(());
            }
        }
        if self.is_top {
            list_processes(cursor, 0, visit);
        }
        Ok(())
    }

    fn open(self: Arc<Self>, _open: &Open<'_>) -> Result<Opened, Errno> {
        Ok(Opened::File(Arc::new(Listing)))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Lists processes behind the fixed names of a directory; `more` is added to
/// the numbers of their inodes.
pub(super) fn list_processes(cursor: u64, more: u64, visit: &mut dyn FnMut(&Listed<'_>) -> bool) {
    let mut from = u32::try_from(cursor.saturating_sub(PROCESSES)).unwrap_or(u32::MAX);
    loop {
        // The table is free again before anybody is told.
        let pid = table::lock()
            .process_from(Pid(from))
            .map(|of| of.process.pid);
        let Some(pid) = pid else {
            return;
        };
        from = pid.0.saturating_add(1);
        let mut digits = Digits::default();
        let listed = Listed {
            inode: process::directory_number(pid) + more,
            next: PROCESSES + u64::from(from),
            kind: Kind::Directory,
            name: digits.of(pid.0),
        };
        if !visit(&listed) {
            return;
        }
    }
}

/// A number's digits, without the heap.
#[derive(Default)]
pub(super) struct Digits([u8; 10]);

impl Digits {
    pub(super) fn of(&mut self, mut number: u32) -> &[u8] {
        let mut start = self.0.len();
        loop {
            start -= 1;
            self.0[start] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 || start == 0 {
                return &self.0[start..];
            }
        }
    }
}

/// The number that a name is, written as the kernel writes it.
pub(super) fn parse_number(name: &[u8]) -> Option<u32> {
    let is_canonical = name.first().is_some_and(|first| *first != b'0') || name == b"0";
    if !is_canonical || !name.iter().all(u8::is_ascii_digit) {
        return None;
    }
    core::str::from_utf8(name).ok()?.parse().ok()
}

/// A file or link of a table.
struct Fixed {
    entry: &'static Entry,
    number: u64,
}

impl Content for Fixed {
    fn identity(&self) -> Identity {
        Identity::of_root(self.number, self.entry.mode)
    }

    fn render(&self, text: &mut Text) -> Made {
        match self.entry.what {
            What::Text(make) | What::Setting(make, _) => make(text),
            What::Directory(_) | What::Link(_) | What::Made(_) => Ok(()),
        }
    }

    fn store(&self, bytes: &[u8]) -> Result<(), Errno> {
        match self.entry.what {
            What::Setting(_, take) => take(bytes),
            _ => Err(Errno::EINVAL),
        }
    }
}

impl Target for Fixed {
    fn identity(&self) -> Identity {
        Identity::of_root(self.number, self.entry.mode)
    }

    fn target(&self) -> Result<Link, Errno> {
        match self.entry.what {
            What::Link(target) => Ok(Link::Text(target()?.into())),
            _ => Err(Errno::EINVAL),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Digits, Entry, SPAN, TOP, What, parse_number};

    fn check(entries: &[Entry], number: u64) {
        assert!((entries.len() as u64) < SPAN);
        assert!(
            number < 1 << 26,
            "numbers must stay below those of processes"
        );
        for (index, entry) in entries.iter().enumerate() {
            let same = entries.iter().filter(|other| other.name == entry.name);
            assert_eq!(same.count(), 1, "{}", entry.name);
            if let What::Directory(below) = entry.what {
                check(below, number * SPAN + index as u64);
            }
        }
    }

    #[test]
    fn names_and_numbers_are_unique() {
        check(TOP, 1);
    }

    #[test]
    fn digits_are_the_numbers() {
        for number in [0, 7, 10, 32768, u32::MAX] {
            let mut digits = Digits::default();
            assert_eq!(digits.of(number), number.to_string().as_bytes());
            assert_eq!(parse_number(number.to_string().as_bytes()), Some(number));
        }
        for name in ["", "01", "+1", "1a", "4294967296", "-1"] {
            assert_eq!(parse_number(name.as_bytes()), None, "{name}");
        }
    }
}
