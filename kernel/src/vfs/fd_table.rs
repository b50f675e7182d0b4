//! File descriptors: small numbers for open files.
//!
//! # Lock protocol
//! One lock per table, held for a few loads and stores. Open files are dropped
//! after it: their drop may do anything.

use alloc::sync::Arc;
use alloc::vec::Vec;

use ochre_abi::Errno;
use ochre_hal::cpu;
use ochre_sync::SpinLock;

use super::OpenFile;
use crate::memory::MakeRoom;

/// Highest descriptor plus one, whatever the limit says (`/proc/sys/fs/nr_open`).
pub const DESCRIPTORS_MAX: usize = 1 << 20;

/// The descriptors of a process; shared by `CLONE_FILES`.
#[derive(Debug, Default)]
pub struct FdTable {
    inner: SpinLock<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    slots: Vec<Option<Slot>>,
    /// No descriptor below is free.
    first_free: usize,
}

/// What was open; dropping it closes it.
#[derive(Debug)]
pub struct Closed(#[expect(dead_code, reason = "it is there to be dropped")] Vec<Option<Slot>>);

#[derive(Clone, Debug)]
struct Slot {
    file: Arc<OpenFile>,
    close_on_exec: bool,
}

impl Inner {
    fn slot(&self, fd: i32) -> Result<&Slot, Errno> {
        usize::try_from(fd)
            .ok()
            .and_then(|index| cpu::lookup(&self.slots, index))
            .and_then(Option::as_ref)
            .ok_or(Errno::EBADF)
    }

    /// The lowest free descriptor that is at least `from`, with its slot there.
    fn reserve(&mut self, from: usize, limit: usize) -> Result<usize, Errno> {
        let mut index = from.max(self.first_free);
        while matches!(self.slots.get(index), Some(Some(_))) {
            index += 1;
        }
        if index >= limit.min(DESCRIPTORS_MAX) {
            return Err(Errno::EMFILE);
        }
        self.extend_to(index)?;
        if from <= self.first_free {
            self.first_free = index;
        }
        Ok(index)
    }

    fn extend_to(&mut self, index: usize) -> Result<(), Errno> {
        if index >= self.slots.len() {
            let more = index + 1 - self.slots.len();
            self.slots.make_room(more)?;
            self.slots.resize_with(index + 1, || None);
        }
        Ok(())
    }
}

impl FdTable {
    /// A table without descriptors.
    #[must_use]
    pub fn new() -> Arc<FdTable> {
        Arc::new(FdTable::default())
    }

    /// A copy for a child that does not share it.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn duplicate(&self) -> Result<Arc<FdTable>, Errno> {
        let inner = self.inner.lock();
        let mut slots = Vec::new();
        slots.make_room(inner.slots.len())?;
        slots.extend(inner.slots.iter().cloned());
        Ok(Arc::new(FdTable {
            inner: SpinLock::new(Inner {
                slots,
                first_free: inner.first_free,
            }),
        }))
    }

    /// The open file of a descriptor, one opened with `O_PATH` too.
    ///
    /// # Errors
    /// EBADF.
    #[inline]
    pub fn get_any(&self, fd: i32) -> Result<Arc<OpenFile>, Errno> {
        self.inner
            .lock()
            .slot(fd)
            .map(|slot| Arc::clone(&slot.file))
    }

    /// The open file of a descriptor.
    ///
    /// # Errors
    /// EBADF, also for one opened with `O_PATH`.
    #[inline]
    pub fn get(&self, fd: i32) -> Result<Arc<OpenFile>, Errno> {
        let file = self.get_any(fd)?;
        if file.is_only_path() {
            return Err(Errno::EBADF);
        }
        Ok(file)
    }

    /// Fails when no descriptor is free, before anything else is done.
    ///
    /// # Errors
    /// EMFILE at `limit` (`RLIMIT_NOFILE`), ENOMEM.
    pub fn check_room(&self, limit: usize) -> Result<(), Errno> {
        self.inner.lock().reserve(0, limit).map(|_| ())
    }

    /// Gives an open file the lowest free descriptor.
    ///
    /// # Errors
    /// EMFILE at `limit` (`RLIMIT_NOFILE`), ENOMEM.
    pub fn insert(
        &self,
        file: Arc<OpenFile>,
        close_on_exec: bool,
        limit: usize,
    ) -> Result<i32, Errno> {
        self.insert_from(0, file, close_on_exec, limit)
    }

    /// Gives an open file the lowest free descriptor that is at least `from`.
    ///
    /// # Errors
    /// EMFILE at `limit`, ENOMEM.
    pub fn insert_from(
        &self,
        from: usize,
        file: Arc<OpenFile>,
        close_on_exec: bool,
        limit: usize,
    ) -> Result<i32, Errno> {
        let mut inner = self.inner.lock();
        let index = inner.reserve(from, limit)?;
        if inner.first_free == index {
            inner.first_free = index + 1;
        }
        inner.slots[index] = Some(Slot {
            file,
            close_on_exec,
        });
        Ok(index as i32)
    }

    /// Gives an open file that very descriptor; what had it is returned, and is
    /// closed by its drop.
    ///
    /// # Errors
    /// EBADF at `limit`, ENOMEM.
    pub fn replace(
        &self,
        fd: i32,
        file: Arc<OpenFile>,
        close_on_exec: bool,
        limit: usize,
    ) -> Result<Option<Arc<OpenFile>>, Errno> {
        let index = usize::try_from(fd)
            .ok()
            .filter(|index| *index < limit.min(DESCRIPTORS_MAX))
            .ok_or(Errno::EBADF)?;
        let mut inner = self.inner.lock();
        inner.extend_to(index)?;
        let old = inner.slots[index].replace(Slot {
            file,
            close_on_exec,
        });
        Ok(old.map(|slot| slot.file))
    }

    /// Takes a descriptor away; dropping what comes back closes it.
    ///
    /// # Errors
    /// EBADF.
    pub fn remove(&self, fd: i32) -> Result<Arc<OpenFile>, Errno> {
        let index = usize::try_from(fd).map_err(|_| Errno::EBADF)?;
        let mut inner = self.inner.lock();
        let slot = inner
            .slots
            .get_mut(index)
            .and_then(Option::take)
            .ok_or(Errno::EBADF)?;
        inner.first_free = inner.first_free.min(index);
        Ok(slot.file)
    }

    /// Takes the first descriptor of a range away that is there, and says which.
    #[must_use]
    pub fn remove_in(&self, first: u32, last: u32) -> Option<(i32, Arc<OpenFile>)> {
        let mut inner = self.inner.lock();
        let end = (last as usize).saturating_add(1).min(inner.slots.len());
        let index = (first as usize..end).find(|index| inner.slots[*index].is_some())?;
        let slot = inner.slots[index].take()?;
        inner.first_free = inner.first_free.min(index);
        Some((index as i32, slot.file))
    }

    /// Whether the descriptor goes away at exec.
    ///
    /// # Errors
    /// EBADF.
    pub fn is_close_on_exec(&self, fd: i32) -> Result<bool, Errno> {
        Ok(self.inner.lock().slot(fd)?.close_on_exec)
    }

    /// Says whether the descriptor goes away at exec.
    ///
    /// # Errors
    /// EBADF.
    pub fn set_close_on_exec(&self, fd: i32, value: bool) -> Result<(), Errno> {
        let mut inner = self.inner.lock();
        inner.slot(fd)?;
        if let Some(Some(slot)) = inner.slots.get_mut(fd as usize) {
            slot.close_on_exec = value;
        }
        Ok(())
    }

    /// Marks every descriptor of a range to go away at exec.
    pub fn mark_range(&self, first: u32, last: u32) {
        let mut inner = self.inner.lock();
        let end = (last as usize).saturating_add(1).min(inner.slots.len());
        for index in first as usize..end {
            if let Some(slot) = &mut inner.slots[index] {
                slot.close_on_exec = true;
            }
        }
    }

    /// Closes what exec closes, one after the other: there is no list of them
    /// that memory would be needed for.
    pub fn close_on_exec(&self) {
        let mut from = 0;
        while let Some((index, file)) = self.take_close_on_exec(from) {
            drop(file);
            from = index + 1;
        }
    }

    fn take_close_on_exec(&self, from: usize) -> Option<(usize, Arc<OpenFile>)> {
        let mut inner = self.inner.lock();
        let mut slots = inner.slots.iter_mut().enumerate().skip(from);
        let (index, slot) = slots.find_map(|(index, slot)| {
            let slot = slot.take_if(|slot| slot.close_on_exec)?;
            Some((index, slot))
        })?;
        inner.first_free = inner.first_free.min(index);
        Some((index, slot.file))
    }

    /// Takes everything away; dropping the result closes it.
    #[must_use]
    pub fn clear(&self) -> Closed {
        Closed(core::mem::take(&mut *self.inner.lock()).slots)
    }

    /// Descriptors that there is room for, for `/proc/PID/status`.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.inner.lock().slots.len()
    }

    /// The first descriptor in use at or after `from`, for `/proc/PID/fd`.
    #[must_use]
    pub fn next_from(&self, from: usize) -> Option<(i32, Arc<OpenFile>)> {
        let inner = self.inner.lock();
        let index = (from..inner.slots.len()).find(|index| inner.slots[*index].is_some())?;
        let slot = inner.slots[index].as_ref()?;
        Some((index as i32, Arc::clone(&slot.file)))
    }
}

#[cfg(test)]
mod tests {
    use super::FdTable;
    use crate::vfs::{File, OpenFile, StatusFlags};
    use core::any::Any;
    use ochre_abi::Errno;
    use std::sync::Arc;

    struct Nothing;

    impl File for Nothing {
        fn as_any(&self) -> &dyn Any {
            self
        }
    }

    fn open() -> Arc<OpenFile> {
        Arc::new(OpenFile::new(
            Arc::new(Nothing),
            true,
            true,
            StatusFlags::empty(),
        ))
    }

    #[test]
    fn the_lowest_free_descriptor_is_given() {
        let table = FdTable::new();
        for expected in 0..4 {
            assert_eq!(table.insert(open(), false, 8), Ok(expected));
        }
        drop(table.remove(1));
        drop(table.remove(2));
        assert_eq!(table.insert_from(2, open(), false, 8), Ok(2));
        assert_eq!(table.insert(open(), false, 8), Ok(1));
        assert_eq!(table.insert(open(), false, 8), Ok(4));
        assert_eq!(table.insert(open(), false, 5), Err(Errno::EMFILE));
        assert_eq!(table.insert_from(9, open(), false, 5), Err(Errno::EMFILE));
    }

    #[test]
    fn exec_closes_what_is_marked() {
        let table = FdTable::new();
        table.insert(open(), true, 8).unwrap();
        table.insert(open(), false, 8).unwrap();
        table.insert(open(), false, 8).unwrap();
        table.set_close_on_exec(2, true).unwrap();
        table.close_on_exec();
        assert_eq!(table.get(0).err(), Some(Errno::EBADF));
        assert_eq!(table.get(2).err(), Some(Errno::EBADF));
        assert!(table.get(1).is_ok());
        assert_eq!(table.insert(open(), false, 8), Ok(0));
    }

    #[test]
    fn a_copy_shares_files_but_not_descriptors() {
        let table = FdTable::new();
        let file = open();
        table.insert(Arc::clone(&file), false, 8).unwrap();
        let copy = table.duplicate().unwrap();
        drop(table.remove(0));
        assert!(Arc::ptr_eq(&copy.get(0).unwrap(), &file));
    }

    #[test]
    fn replacing_returns_the_old_file() {
        let table = FdTable::new();
        assert!(table.replace(5, open(), false, 8).unwrap().is_none());
        assert!(table.replace(5, open(), false, 8).unwrap().is_some());
        assert_eq!(table.replace(8, open(), false, 8).err(), Some(Errno::EBADF));
        assert_eq!(
            table.replace(-1, open(), false, 8).err(),
            Some(Errno::EBADF)
        );
        assert_eq!(table.insert(open(), false, 8), Ok(0));
        assert!(table.remove_in(1, u32::MAX).is_some());
        assert!(table.remove_in(1, u32::MAX).is_none());
    }
}
