//! Event counters (eventfd(2)).

use core::any::Any;

use ochre_abi::Errno;
use ochre_sync::SpinLock;

use crate::vfs::{Events, File, Sink, Source};
use crate::wait::{PollTable, WaitQueue};

/// The highest count; a write that would pass it waits.
const HIGHEST: u64 = u64::MAX - 1;

/// A counter that is read and written as a file.
#[derive(Debug)]
pub struct EventFd {
    count: SpinLock<u64>,
    semaphore: bool,
    changed: WaitQueue,
}

impl EventFd {
    /// A counter at `count`; with `semaphore` each read takes one.
    #[must_use]
    pub fn new(count: u32, semaphore: bool) -> EventFd {
        EventFd {
            count: SpinLock::new(u64::from(count)),
            semaphore,
            changed: WaitQueue::new(),
        }
    }
}

impl File for EventFd {
    fn read(&self, sink: &mut Sink<'_>, _position: &mut u64) -> Result<usize, Errno> {
        if sink.remaining() < 8 {
            return Err(Errno::EINVAL);
        }
        let mut count = self.count.lock();
        if *count == 0 {
            return Err(Errno::EAGAIN);
        }
        let value = if self.semaphore { 1 } else { *count };
        let put = sink.put(&value.to_ne_bytes());
        if put < 8 {
            return sink.moved_too_little(put);
        }
        *count -= value;
        drop(count);
        self.changed.wake();
        Ok(8)
    }

    fn write(&self, source: &mut Source<'_>, _position: &mut u64) -> Result<usize, Errno> {
        if source.remaining() < 8 {
            return Err(Errno::EINVAL);
        }
        let mut bytes = [0; 8];
        let taken = source.take(&mut bytes);
        if taken < 8 {
            return source.moved_too_little(taken);
        }
        let value = u64::from_ne_bytes(bytes);
        if value == u64::MAX {
            return Err(Errno::EINVAL);
        }
        let mut count = self.count.lock();
        match count.checked_add(value) {
            Some(sum) if sum <= HIGHEST => *count = sum,
            _ => return Err(Errno::EAGAIN),
        }
        drop(count);
        self.changed.wake();
        Ok(8)
    }

    fn poll(&self, table: Option<&mut PollTable>) -> Events {
        if let Some(table) = table {
            table.add(&self.changed);
        }
        let count = *self.count.lock();
        let mut events = Events::empty();
        if count > 0 {
            events |= Events::READABLE;
        }
        if count < HIGHEST {
            events |= Events::WRITABLE;
        }
        events
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
    use super::EventFd;
    use crate::vfs::{Events, File, Sink, Source};
    use ochre_abi::Errno;

    fn read(file: &EventFd) -> Result<u64, Errno> {
        let mut bytes = [0; 8];
        file.read(&mut Sink::kernel(&mut bytes), &mut 0)?;
        Ok(u64::from_ne_bytes(bytes))
    }

    fn write(file: &EventFd, value: u64) -> Result<usize, Errno> {
        file.write(&mut Source::kernel(&value.to_ne_bytes()), &mut 0)
    }

    #[test]
    fn counts_and_resets() {
        let file = EventFd::new(3, false);
        assert_eq!(write(&file, 4), Ok(8));
        assert_eq!(read(&file), Ok(7));
        assert_eq!(read(&file), Err(Errno::EAGAIN));
    }

    #[test]
    fn a_semaphore_gives_one_at_a_time() {
        let file = EventFd::new(2, true);
        assert_eq!(read(&file), Ok(1));
        assert_eq!(read(&file), Ok(1));
        assert_eq!(read(&file), Err(Errno::EAGAIN));
    }

    #[test]
    fn the_highest_count_is_a_limit() {
        let file = EventFd::new(1, false);
        assert_eq!(write(&file, u64::MAX), Err(Errno::EINVAL));
        assert_eq!(write(&file, u64::MAX - 2), Ok(8));
        assert_eq!(write(&file, 1), Err(Errno::EAGAIN));
        assert_eq!(file.poll(None), Events::READABLE);
    }
}
