//! `/proc/PID` and `/proc/PID/task/TID`.
//!
//! A [`Subject`] names the process or thread that a file is about and holds
//! neither: when it is gone its files answer ESRCH and its names are stale.

mod descriptors;
mod links;
mod maps;
mod misc;
mod mounts;
mod pagemap;
pub(super) mod pagetable;
mod stat;
mod status;
mod tasks;

use alloc::sync::{Arc, Weak};
use core::any::Any;

use ochre_abi::Errno;
use ochre_sync::primitive::atomic::Ordering;

use super::node::{Arrow, Content, Identity, Leaf, Listing};
use super::root::parse_number;
use super::text::{Failure, Made, Text};
use crate::process::{Credentials, Pid, Process, Thread, table};
use crate::sched::account;
use crate::vfs::{
    Entry as Listed, FdTable, FsContext, Inode, Kind, Metadata, Open, Opened, Permissions, now,
};

/// Numbers of inodes of one process or thread start here, times its number.
const PROCESS_SPAN: u64 = 1 << 32;
/// Added for `task/TID`.
const TASK: u64 = 1 << 31;
/// Added for entries of `fd`.
const DESCRIPTOR: u64 = 1 << 30;
/// Added for entries of `fdinfo`.
const DESCRIPTOR_INFO: u64 = 1 << 29;
/// Added for what is in `/proc/ochre/pagetable`.
const PAGE_TABLE: u64 = 1 << 28;

/// The number of the inode of `/proc/PID`.
pub(super) fn directory_number(pid: Pid) -> u64 {
    (u64::from(pid.0) + 1) * PROCESS_SPAN
}

/// The process or thread that files are about.
#[derive(Clone)]
struct Subject {
    process: Weak<Process>,
    pid: Pid,
    tid: Pid,
    /// Whether it is one thread (`task/TID`), or the whole process.
    is_task: bool,
}

impl Subject {
    /// The process, while it is in the table.
    fn process(&self) -> Result<Arc<Process>, Errno> {
        let process = self.process.upgrade().ok_or(Errno::ESRCH)?;
        let listed = table::process(self.pid).ok_or(Errno::ESRCH)?;
        if Arc::ptr_eq(&process, &listed) {
            Ok(process)
        } else {
            Err(Errno::ESRCH)
        }
    }

    /// The thread that it is about, or the first one of the process; `None`
    /// once that has ended.
    fn thread(&self) -> Option<Arc<Thread>> {
        let thread = table::thread(self.tid)?;
        core::ptr::eq(Arc::as_ptr(&thread.process), self.process.as_ptr()).then_some(thread)
    }

    /// Who the thread is, or the process for others.
    fn credentials(&self, process: &Process) -> Arc<Credentials> {
        match self.thread() {
            Some(thread) if self.is_task => thread.credentials(),
            _ => process.credentials(),
        }
    }

    /// Its descriptors, or those of the process's first thread.
    fn files(&self) -> Result<Arc<FdTable>, Errno> {
        let process = self.process()?;
        match self.thread() {
            Some(thread) if self.is_task => Ok(thread.files()),
            _ => Ok(Arc::clone(&process.files.lock())),
        }
    }

    /// What it resolves paths with.
    fn fs(&self) -> Result<Arc<FsContext>, Errno> {
        let process = self.process()?;
        match self.thread() {
            Some(thread) if self.is_task => Ok(thread.fs()),
            _ => Ok(Arc::clone(&process.fs.lock())),
        }
    }

    fn is_gone(&self) -> bool {
        self.process().is_err() || (self.is_task && self.thread().is_none())
    }

    fn base(&self) -> u64 {
        if self.is_task {
            directory_number(self.tid) + TASK
        } else {
            directory_number(self.pid)
        }
    }

    /// Number, mode and owner of something of its. What belongs to a process
    /// that must not be looked into is the superuser's, its directory apart.
    fn identity(&self, number: u64, mode: u32, is_directory: bool) -> Identity {
        let mut identity = Identity::of_root(self.base() + number, mode);
        if let Some(process) = self.process.upgrade()
            && (is_directory || process.control.dumpable.load(Ordering::Relaxed) == 1)
        {
            let credentials = self.credentials(&process);
            identity.uid = credentials.uid.effective;
            identity.gid = credentials.gid.effective;
        }
        identity
    }

    /// Fails unless whoever asks may look into the process (ptrace(2), "access
    /// mode checking").
    fn check_inspection(&self) -> Result<(), Errno> {
        let Some(tid) = account::current_thread() else {
            return Ok(());
        };
        let asking = table::thread(tid).ok_or(Errno::EACCES)?;
        let process = self.process()?;
        if Arc::ptr_eq(&asking.process, &process) {
            return Ok(());
        }
        let asker = asking.credentials();
        let target = self.credentials(&process);
        let is_open = process.control.dumpable.load(Ordering::Relaxed) == 1;
        if asker.may_inspect(&target, is_open) {
            Ok(())
        } else {
            Err(Errno::EACCES)
        }
    }
}

/// A name in a process's directory.
struct Entry {
    name: &'static str,
    mode: u32,
    what: What,
    /// Whether opening it asks for the right to look into the process.
    guarded: bool,
}

enum What {
    Text(fn(&Subject, &mut Text) -> Made),
    /// A text in parts, from a mark on.
    Parts(fn(&Subject, u64, &mut Text) -> Result<Option<u64>, Failure>),
    Setting(
        fn(&Subject, &mut Text) -> Made,
        fn(&Subject, &[u8]) -> Result<(), Errno>,
    ),
    Link(links::Which),
    Descriptors(descriptors::Show),
    Pagemap,
    Tasks,
}

impl Entry {
    const fn text(name: &'static str, make: fn(&Subject, &mut Text) -> Made) -> Entry {
        Entry {
            name,
            mode: 0o444,
            what: What::Text(make),
            guarded: false,
        }
    }

    const fn guarded(
        name: &'static str,
        mode: u32,
        make: fn(&Subject, &mut Text) -> Made,
    ) -> Entry {
        Entry {
            name,
            mode,
            what: What::Text(make),
            guarded: true,
        }
    }

    /// What is mapped.
    const fn areas(
        name: &'static str,
        make: fn(&Subject, u64, &mut Text) -> Result<Option<u64>, Failure>,
    ) -> Entry {
        Entry {
            name,
            mode: 0o444,
            what: What::Parts(make),
            guarded: true,
        }
    }

    const fn other(name: &'static str, mode: u32, what: What) -> Entry {
        Entry {
            name,
            mode,
            what,
            guarded: false,
        }
    }

    fn kind(&self) -> Kind {
        match self.what {
            What::Text(_) | What::Parts(_) | What::Setting(..) | What::Pagemap => Kind::Regular,
            What::Link(_) => Kind::Symlink,
            What::Descriptors(_) | What::Tasks => Kind::Directory,
        }
    }

    /// Whether it is there for a process, for a thread.
    fn is_for(&self, is_task: bool) -> bool {
        match self.name {
            "task" => !is_task,
            "children" => is_task,
            _ => true,
        }
    }
}

const ENTRIES: &[Entry] = &[
    Entry::other("task", 0o555, What::Tasks),
    Entry::other("fd", 0o500, What::Descriptors(descriptors::Show::Links)),
    Entry::other("fdinfo", 0o555, What::Descriptors(descriptors::Show::Facts)),
    Entry::guarded("auxv", 0o400, misc::auxiliary),
    Entry::text("cgroup", misc::groups),
    Entry::text("children", misc::children),
    Entry::text("cmdline", misc::arguments),
    Entry::other("comm", 0o644, What::Setting(misc::name, misc::set_name)),
    Entry::other("cwd", 0o777, What::Link(links::Which::Working)),
    Entry::guarded("environ", 0o400, misc::environment),
    Entry::other("exe", 0o777, What::Link(links::Which::Executable)),
    Entry::text("limits", misc::limits),
    Entry::areas("maps", maps::maps),
    Entry::text("mountinfo", mounts::information),
    Entry::text("mounts", mounts::list),
    Entry::text("oom_score", misc::oom_score),
    Entry::other(
        "oom_score_adj",
        0o644,
        What::Setting(misc::oom_adjustment, misc::set_oom_adjustment),
    ),
    Entry::other("pagemap", 0o400, What::Pagemap),
    Entry::guarded("personality", 0o400, misc::personality),
    Entry::other("root", 0o777, What::Link(links::Which::Root)),
    Entry::areas("smaps", maps::detailed),
    Entry::guarded("smaps_rollup", 0o444, maps::summed),
    Entry::text("stat", stat::stat),
    Entry::text("statm", stat::sizes),
    Entry::text("status", status::status),
    Entry::text("wchan", misc::wait_channel),
];

/// The directory of a process by its name in `/proc`; threads are found too,
/// though they are not listed.
pub(super) fn look_up(name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
    let subject = named(name)?;
    Ok(Arc::new(Directory { subject }))
}

/// The process, or that of the thread, with a number as its name.
fn named(name: &[u8]) -> Result<Subject, Errno> {
    let pid = Pid(parse_number(name).ok_or(Errno::ENOENT)?);
    let (process, tid) = {
        let table = table::lock();
        match table.process(pid) {
            Some(process) => (process, pid),
            None => {
                let thread = table.thread(pid).ok_or(Errno::ENOENT)?;
                (Arc::clone(&thread.process), pid)
            }
        }
    };
    Ok(Subject {
        pid: process.pid,
        process: Arc::downgrade(&process),
        tid,
        is_task: false,
    })
}

/// `/proc/PID`, or `/proc/PID/task/TID`.
struct Directory {
    subject: Subject,
}

impl Directory {
    fn identity(&self) -> Identity {
        self.subject.identity(0, 0o555, true)
    }

    fn entries(&self) -> impl Iterator<Item = (u64, &'static Entry)> {
        let is_task = self.subject.is_task;
        (1..)
            .zip(ENTRIES)
            .filter(move |(_, entry)| entry.is_for(is_task))
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
        let below = self
            .entries()
            .filter(|(_, entry)| entry.kind() == Kind::Directory);
        let links = 2 + below.count() as u32;
        self.identity().metadata(Kind::Directory, links, 0, now())
    }

    fn is_stale(&self) -> bool {
        self.subject.is_gone()
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        let (number, entry) = self
            .entries()
            .find(|(_, entry)| entry.name.as_bytes() == name)
            .ok_or(Errno::ENOENT)?;
        if self.subject.is_gone() {
            return Err(Errno::ENOENT);
        }
        let subject = self.subject.clone();
        Ok(match entry.what {
            What::Text(_) | What::Parts(_) | What::Setting(..) => Leaf::inode(Fixed {
                subject,
                entry,
                number,
            }),
            What::Link(which) => Arrow::inode(links::ToFile {
                subject,
                number,
                which,
            }),
            What::Descriptors(show) => Arc::new(descriptors::Directory {
                subject,
                number,
                mode: entry.mode,
                show,
            }),
            What::Pagemap => Arc::new(pagemap::Inode { subject, number }),
            What::Tasks => Arc::new(tasks::Directory { subject, number }),
        })
    }

    fn read_dir(
        &self,
        cursor: u64,
        visit: &mut dyn FnMut(&Listed<'_>) -> bool,
    ) -> Result<(), Errno> {
        if self.subject.is_gone() {
            return Err(Errno::ENOENT);
        }
        for (number, entry) in self.entries().filter(|(number, _)| *number > cursor) {
            let listed = Listed {
                inode: self.subject.base() + number,
                next: number,
                kind: entry.kind(),
                name: entry.name.as_bytes(),
            };
            if !visit(&listed) {
                break;
            }
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

/// A file of the table.
struct Fixed {
    subject: Subject,
    entry: &'static Entry,
    number: u64,
}

impl Content for Fixed {
    fn identity(&self) -> Identity {
        self.subject.identity(self.number, self.entry.mode, false)
    }

    fn is_gone(&self) -> bool {
        self.subject.is_gone()
    }

    fn check_open(&self) -> Result<(), Errno> {
        if self.entry.guarded {
            self.subject.check_inspection()
        } else {
            Ok(())
        }
    }

    fn render(&self, text: &mut Text) -> Made {
        match self.entry.what {
            What::Text(make) | What::Setting(make, _) => make(&self.subject, text),
            What::Parts(make) => {
                let mut mark = 0;
                while let Some(next) = make(&self.subject, mark, text)? {
                    mark = next;
                }
                Ok(())
            }
            What::Link(_) | What::Descriptors(_) | What::Pagemap | What::Tasks => Ok(()),
        }
    }

    fn render_part(&self, mark: u64, text: &mut Text) -> Result<Option<u64>, Failure> {
        match self.entry.what {
            What::Parts(make) => make(&self.subject, mark, text),
            _ => {
                self.render(text)?;
                Ok(None)
            }
        }
    }

    fn store(&self, bytes: &[u8]) -> Result<(), Errno> {
        match self.entry.what {
            What::Setting(_, take) => take(&self.subject, bytes),
            _ => Err(Errno::EINVAL),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ENTRIES;
    use crate::process::{Credentials, Ids};

    fn user(uid: u32) -> Credentials {
        let mut credentials = Credentials::root();
        credentials.uid = Ids::all(uid);
        credentials.gid = Ids::all(uid);
        if uid != 0 {
            credentials.drop_all_capabilities();
        }
        credentials
    }

    #[test]
    fn only_the_same_user_or_the_superuser_looks_into_a_process() {
        assert!(user(5).may_inspect(&user(5), true));
        assert!(!user(5).may_inspect(&user(5), false));
        assert!(!user(5).may_inspect(&user(6), true));
        assert!(!user(5).may_inspect(&user(0), true));
        assert!(user(0).may_inspect(&user(5), false));
        let mut set_user = user(5);
        set_user.uid.saved = 0;
        assert!(!user(5).may_inspect(&set_user, true));
    }

    #[test]
    fn names_are_unique() {
        for entry in ENTRIES {
            let same = ENTRIES.iter().filter(|other| other.name == entry.name);
            assert_eq!(same.count(), 1, "{}", entry.name);
        }
    }
}
