//! Readiness of many files at once (epoll(7)).
//!
//! Each watched file is an `Item`, which is itself a waker registered at the
//! file's queues: a change puts the item on the instance's ready list, without
//! allocating (room is reserved when the item is added). A wait takes items
//! off the list, asks each file what it is ready for, and puts level-triggered
//! ones back.
//!
//! # Lock protocol
//! A file's queue is locked when an item is woken; then the ready list, then
//! the instance's own queue. Files are asked (`poll`) with none of these held.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::{Arc, Weak};
use alloc::task::Wake;
use alloc::vec::Vec;
use core::any::Any;
use core::task::Waker;

use ochre_abi::Errno;
use ochre_sync::SpinLock;
use ochre_sync::primitive::atomic::{AtomicBool, Ordering};

use crate::memory;
use crate::memory::MakeRoom;
use crate::vfs::{Events, File, OpenFile};
use crate::wait::{PollTable, WaitQueue};

/// Wake one waiter only; accepted.
pub const EPOLLEXCLUSIVE: u32 = 1 << 28;
/// Accepted and without effect.
pub const EPOLLWAKEUP: u32 = 1 << 29;
/// Report once, then wait for `EPOLL_CTL_MOD`.
pub const EPOLLONESHOT: u32 = 1 << 30;
/// Report changes, not states.
pub const EPOLLET: u32 = 1 << 31;

/// How deep instances may watch instances (epoll_ctl(2), ELOOP).
const NESTING: usize = 5;

/// Names a watched file: the descriptor and the description it stood for.
type Key = (i32, usize);

/// An epoll instance.
pub struct Epoll {
    shared: Arc<Shared>,
    items: SpinLock<BTreeMap<Key, Arc<Item>>>,
}

struct Shared {
    ready: SpinLock<VecDeque<Arc<Item>>>,
    changed: WaitQueue,
}

struct Item {
    shared: Weak<Shared>,
    file: Weak<OpenFile>,
    settings: SpinLock<Settings>,
    /// Whether the item stands on the ready list.
    listed: AtomicBool,
    /// The registrations at the file; given up when the item is removed.
    table: SpinLock<Option<PollTable>>,
}

#[derive(Clone, Copy)]
struct Settings {
    /// What to report, with the `EPOLL*` flags.
    mask: u32,
    data: u64,
    /// Cleared by a report of a one-shot item.
    armed: bool,
}

impl Settings {
    fn events(self) -> Events {
        if self.armed {
            Events::from_bits_truncate(self.mask) | Events::ERR | Events::HUP
        } else {
            Events::empty()
        }
    }
}

impl Item {
    fn list(self: &Arc<Item>) {
        // ORDERING: AcqRel: the wait that clears the flag afterwards asks the
        // file, and sees what led to this wake-up.
        if self.listed.swap(true, Ordering::AcqRel) {
            return;
        }
        if let Some(shared) = self.shared.upgrade() {
            shared.ready.lock().push_back(Arc::clone(self));
            shared.changed.wake();
        }
    }

    fn remove(&self) {
        let table = self.table.lock().take();
        drop(table);
        self.settings.lock().armed = false;
    }
}

impl Wake for Item {
    fn wake(self: Arc<Item>) {
        self.list();
    }

    fn wake_by_ref(self: &Arc<Item>) {
        self.list();
    }
}

fn key(fd: i32, file: &Arc<OpenFile>) -> Key {
    (fd, Arc::as_ptr(file).addr())
}

/// An event to report: what, and the data given with the item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// What happened.
    pub events: u32,
    /// `epoll_data` of the item.
    pub data: u64,
}

impl Epoll {
    /// An instance that watches nothing.
    #[must_use]
    pub fn new() -> Epoll {
        Epoll {
            shared: Arc::new(Shared {
                ready: SpinLock::new(VecDeque::new()),
                changed: WaitQueue::new(),
            }),
            items: SpinLock::new(BTreeMap::new()),
        }
    }

    /// Watches a file (`EPOLL_CTL_ADD`).
    ///
    /// # Errors
    /// EEXIST, ELOOP, ENOMEM.
    pub fn add(&self, fd: i32, file: &Arc<OpenFile>, mask: u32, data: u64) -> Result<(), Errno> {
        if let Some(other) = file.file().as_any().downcast_ref::<Epoll>() {
            self.check_loop(other, 1)?;
        }
        memory::check_headroom()?;
        let item = Arc::new(Item {
            shared: Arc::downgrade(&self.shared),
            file: Arc::downgrade(file),
            settings: SpinLock::new(Settings {
                mask,
                data,
                armed: true,
            }),
            listed: AtomicBool::new(false),
            table: SpinLock::new(None),
        });
        {
            let mut items = self.items.lock();
            let key = key(fd, file);
            if items
                .get(&key)
                .is_some_and(|item| item.file.strong_count() > 0)
            {
                return Err(Errno::EEXIST);
            }
            let mut ready = self.shared.ready.lock();
            let wanted = items.len() + 1;
            let missing = wanted.saturating_sub(ready.len());
            ready.make_room(missing)?;
            drop(ready);
            items.insert(key, Arc::clone(&item));
        }
        let mut table = PollTable::new(Waker::from(Arc::clone(&item)));
        let events = file.file().poll(Some(&mut table));
        if table.check().is_err() {
            drop(table);
            self.items.lock().remove(&key(fd, file));
            return Err(Errno::ENOMEM);
        }
        *item.table.lock() = Some(table);
        let wanted = item.settings.lock().events();
        if events.intersects(wanted) {
            item.list();
        }
        self.forget_closed();
        Ok(())
    }

    /// Changes what is reported of a file (`EPOLL_CTL_MOD`).
    ///
    /// # Errors
    /// ENOENT.
    pub fn modify(&self, fd: i32, file: &Arc<OpenFile>, mask: u32, data: u64) -> Result<(), Errno> {
        let item = self
            .items
            .lock()
            .get(&key(fd, file))
            .cloned()
            .ok_or(Errno::ENOENT)?;
        let settings = Settings {
            mask,
            data,
            armed: true,
        };
        *item.settings.lock() = settings;
        if file.file().poll(None).intersects(settings.events()) {
            item.list();
        }
        Ok(())
    }

    /// Stops watching a file (`EPOLL_CTL_DEL`).
    ///
    /// # Errors
    /// ENOENT.
    pub fn remove(&self, fd: i32, file: &Arc<OpenFile>) -> Result<(), Errno> {
        let item = self
            .items
            .lock()
            .remove(&key(fd, file))
            .ok_or(Errno::ENOENT)?;
        item.remove();
        Ok(())
    }

    /// Up to `limit` reports; empty when nothing is ready. Registers for
    /// changes when a table is given.
    pub fn collect(&self, limit: usize, table: Option<&mut PollTable>) -> Vec<Report> {
        if let Some(table) = table {
            table.add(&self.shared.changed);
        }
        let mut reports = Vec::new();
        let mut left = self.shared.ready.lock().len();
        while left > 0 && reports.len() < limit {
            left -= 1;
            let next = self.shared.ready.lock().pop_front();
            let Some(item) = next else {
                break;
            };
            // ORDERING: AcqRel; a change from here on lists the item again.
            item.listed.swap(false, Ordering::AcqRel);
            let Some(file) = item.file.upgrade() else {
                continue;
            };
            let settings = *item.settings.lock();
            let events = file.file().poll(None) & settings.events();
            if events.is_empty() {
                continue;
            }
            if reports.make_room(1).is_err() {
                item.list();
                break;
            }
            reports.push(Report {
                events: events.bits(),
                data: settings.data,
            });
            if settings.mask & EPOLLONESHOT != 0 {
                item.settings.lock().armed = false;
            } else if settings.mask & EPOLLET == 0 {
                item.list();
            }
        }
        reports
    }

    fn check_loop(&self, other: &Epoll, depth: usize) -> Result<(), Errno> {
        if Arc::ptr_eq(&self.shared, &other.shared) {
            return Err(Errno::ELOOP);
        }
        if depth >= NESTING {
            return Err(Errno::ELOOP);
        }
        let mut watched = Vec::new();
        let items = other.items.lock();
        watched.make_room(items.len())?;
        watched.extend(items.values().filter_map(|item| item.file.upgrade()));
        drop(items);
        for file in watched {
            if let Some(next) = file.file().as_any().downcast_ref::<Epoll>() {
                self.check_loop(next, depth + 1)?;
            }
        }
        Ok(())
    }

    /// Drops items whose file has been closed everywhere.
    fn forget_closed(&self) {
        let mut gone = Vec::new();
        let mut items = self.items.lock();
        if items.values().all(|item| item.file.strong_count() > 0) {
            return;
        }
        items.retain(|_, item| {
            let lives = item.file.strong_count() > 0;
            if !lives && gone.make_room(1).is_ok() {
                gone.push(Arc::clone(item));
                return false;
            }
            true
        });
        drop(items);
        for item in gone {
            item.remove();
        }
    }
}

impl Default for Epoll {
    fn default() -> Epoll {
        Epoll::new()
    }
}

impl Drop for Epoll {
    fn drop(&mut self) {
        let items = core::mem::take(self.items.get_mut());
        for item in items.into_values() {
            item.remove();
        }
    }
}

impl File for Epoll {
    fn poll(&self, table: Option<&mut PollTable>) -> Events {
        if let Some(table) = table {
            table.add(&self.shared.changed);
        }
        let mut listed = Vec::new();
        let ready = self.shared.ready.lock();
        if listed.make_room(ready.len()).is_err() {
            // Whoever asks looks again, and for that there may be memory.
            return Events::READABLE;
        }
        listed.extend(ready.iter().cloned());
        drop(ready);
        let ready = listed.iter().any(|item| {
            let wanted = item.settings.lock().events();
            item.file
                .upgrade()
                .is_some_and(|file| file.file().poll(None).intersects(wanted))
        });
        if ready {
            Events::READABLE
        } else {
            Events::empty()
        }
    }

    fn ignores_seeks(&self) -> bool {
        true
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::{EPOLLET, EPOLLONESHOT, Epoll};
    use crate::ipc::pipe::Pipe;
    use crate::vfs::{Events, File, OpenFile, Sink, Source, StatusFlags};
    use ochre_abi::Errno;
    use std::sync::Arc;

    const IN: u32 = Events::IN.bits();

    struct Fixture {
        epoll: Epoll,
        reader: Arc<OpenFile>,
        writer: Arc<OpenFile>,
    }

    fn open(file: Arc<dyn File>) -> Arc<OpenFile> {
        Arc::new(OpenFile::new(file, true, true, StatusFlags::empty()))
    }

    fn fixture() -> Fixture {
        let pipe = Pipe::new();
        Fixture {
            epoll: Epoll::new(),
            reader: open(pipe.open(true, false)),
            writer: open(pipe.open(false, true)),
        }
    }

    impl Fixture {
        fn write(&self) {
            self.writer
                .file()
                .write(&mut Source::kernel(b"x"), &mut 0)
                .expect("the pipe has room");
        }

        fn read(&self) {
            self.reader
                .file()
                .read(&mut Sink::kernel(&mut [0; 9]), &mut 0)
                .expect("the pipe has bytes");
        }

        fn reports(&self) -> Vec<(u32, u64)> {
            self.epoll
                .collect(9, None)
                .iter()
                .map(|report| (report.events, report.data))
                .collect()
        }
    }

    #[test]
    fn level_triggered_reports_as_long_as_it_is_so() {
        let f = fixture();
        f.epoll.add(3, &f.reader, IN, 7).expect("added");
        assert_eq!(f.reports(), []);
        f.write();
        assert_eq!(f.reports(), [(IN, 7)]);
        assert_eq!(f.reports(), [(IN, 7)]);
        f.read();
        assert_eq!(f.reports(), []);
    }

    #[test]
    fn edge_triggered_reports_each_change_once() {
        let f = fixture();
        f.epoll.add(3, &f.reader, IN | EPOLLET, 7).expect("added");
        f.write();
        assert_eq!(f.reports(), [(IN, 7)]);
        assert_eq!(f.reports(), []);
        f.write();
        assert_eq!(f.reports(), [(IN, 7)]);
    }

    #[test]
    fn one_shot_wants_to_be_armed_again() {
        let f = fixture();
        f.epoll
            .add(3, &f.reader, IN | EPOLLONESHOT, 7)
            .expect("added");
        f.write();
        assert_eq!(f.reports(), [(IN, 7)]);
        f.write();
        assert_eq!(f.reports(), []);
        f.epoll
            .modify(3, &f.reader, IN | EPOLLONESHOT, 8)
            .expect("known");
        assert_eq!(f.reports(), [(IN, 8)]);
    }

    #[test]
    fn what_is_ready_when_added_is_reported() {
        let f = fixture();
        f.write();
        f.epoll.add(3, &f.reader, IN, 1).expect("added");
        assert_eq!(f.reports(), [(IN, 1)]);
        assert_eq!(f.epoll.add(3, &f.reader, IN, 1), Err(Errno::EEXIST));
        f.epoll.remove(3, &f.reader).expect("known");
        assert_eq!(f.epoll.remove(3, &f.reader), Err(Errno::ENOENT));
        assert_eq!(f.reports(), []);
    }

    #[test]
    fn a_closed_file_is_forgotten() {
        let f = fixture();
        f.write();
        f.epoll.add(3, &f.reader, IN, 1).expect("added");
        drop(f.reader);
        assert_eq!(f.epoll.collect(9, None), []);
    }

    #[test]
    fn an_instance_cannot_watch_itself_through_another() {
        let (a, b) = (open(Arc::new(Epoll::new())), open(Arc::new(Epoll::new())));
        let as_epoll = |file: &Arc<OpenFile>, target: &Arc<OpenFile>| {
            file.file()
                .as_any()
                .downcast_ref::<Epoll>()
                .expect("an epoll instance")
                .add(4, target, IN, 0)
        };
        assert_eq!(as_epoll(&a, &b), Ok(()));
        assert_eq!(as_epoll(&b, &a), Err(Errno::ELOOP));
        assert_eq!(as_epoll(&a, &a), Err(Errno::ELOOP));
    }
}
