//! Pipes and FIFOs (pipe(7)).
//!
//! One ring, two ends. Counts of readers and writers decide what an empty or a
//! full ring means; the ends keep them right by being created and dropped.
//! Writes of at most `PIPE_BUF` bytes go in whole or not at all.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

use ochre_abi::Errno;
use ochre_sync::SpinLock;
use ochre_sync::primitive::atomic::{AtomicU64, Ordering};

use super::ring::Ring;
use crate::syscall::{Call, FromArgument, Ptr};
use crate::vfs::{Events, File, Kind, Metadata, Sink, Source};
use crate::wait::{PollTable, WaitQueue};

/// Bytes that one write puts in without others in between.
pub const PIPE_BUF: usize = 4096;

/// What a new pipe can hold.
pub const DEFAULT_CAPACITY: usize = 65536;

/// What an unprivileged program may enlarge a pipe to (`/proc/sys/fs/pipe-max-size`).
pub const MAX_CAPACITY: usize = 1 << 20;

const FIONREAD: u32 = 0x541b;

/// A pipe or the content of a FIFO.
#[derive(Debug)]
pub struct Pipe {
    /// Its name: no two pipes have the same.
    number: u64,
    state: SpinLock<State>,
    /// Woken when there is more to read, or nobody is left to write.
    readers: WaitQueue,
    /// Woken when there is more room, or nobody is left to read.
    writers: WaitQueue,
}

#[derive(Debug)]
struct State {
    ring: Ring,
    readers: usize,
    writers: usize,
    /// Readers and writers that ever were, for opens that wait for the other end.
    readers_ever: u64,
    writers_ever: u64,
}

impl Pipe {
    /// A pipe without ends.
    #[must_use]
    pub fn new() -> Arc<Pipe> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Arc::new(Pipe {
            // ORDERING: Relaxed; only that they differ matters.
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            state: SpinLock::new(State {
                ring: Ring::new(DEFAULT_CAPACITY),
                readers: 0,
                writers: 0,
                readers_ever: 0,
                writers_ever: 0,
            }),
            readers: WaitQueue::new(),
            writers: WaitQueue::new(),
        })
    }

    /// A new end.
    #[must_use]
    pub fn open(self: &Arc<Pipe>, readable: bool, writable: bool) -> Arc<PipeEnd> {
        let mut state = self.state.lock();
        if readable {
            state.readers += 1;
            state.readers_ever += 1;
        }
        if writable {
            state.writers += 1;
            state.writers_ever += 1;
        }
        drop(state);
        self.readers.wake();
        self.writers.wake();
        Arc::new(PipeEnd {
            pipe: Arc::clone(self),
            readable,
            writable,
        })
    }

    /// Whether somebody has the pipe open for reading, and how many ever had.
    #[must_use]
    pub fn readers(&self) -> (bool, u64) {
        let state = self.state.lock();
        (state.readers > 0, state.readers_ever)
    }

    /// Whether somebody has the pipe open for writing, and how many ever had.
    #[must_use]
    pub fn writers(&self) -> (bool, u64) {
        let state = self.state.lock();
        (state.writers > 0, state.writers_ever)
    }

    /// The queue that announces new ends (both directions announce on it).
    #[must_use]
    pub fn opened(&self) -> &WaitQueue {
        &self.readers
    }

    /// What it can hold.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.state.lock().ring.capacity()
    }

    /// Changes what it can hold to at least `bytes`, in whole pages of a power
    /// of two; returns the new capacity (`F_SETPIPE_SZ`, fcntl(2)).
    ///
    /// # Errors
    /// EINVAL, EPERM beyond [`MAX_CAPACITY`] without `privileged`, EBUSY, ENOMEM.
    pub fn set_capacity(&self, bytes: usize, privileged: bool) -> Result<usize, Errno> {
        if bytes > 1 << 31 {
            return Err(Errno::EINVAL);
        }
        let size = bytes.max(PIPE_BUF).next_power_of_two();
        if size > MAX_CAPACITY && !privileged {
            return Err(Errno::EPERM);
        }
        self.state.lock().ring.set_capacity(size)?;
        self.writers.wake();
        Ok(size)
    }
}

/// One opened end (or both, for a FIFO opened for both).
#[derive(Debug)]
pub struct PipeEnd {
    pipe: Arc<Pipe>,
    readable: bool,
    writable: bool,
}

impl PipeEnd {
    /// The pipe.
    #[must_use]
    pub fn pipe(&self) -> &Arc<Pipe> {
        &self.pipe
    }
}

impl Drop for PipeEnd {
    fn drop(&mut self) {
        let mut state = self.pipe.state.lock();
        if self.readable {
            state.readers -= 1;
        }
        if self.writable {
            state.writers -= 1;
        }
        drop(state);
        if self.writable {
            self.pipe.readers.wake();
        }
        if self.readable {
            self.pipe.writers.wake();
        }
    }
}

impl File for PipeEnd {
    fn read(&self, sink: &mut Sink<'_>, _position: &mut u64) -> Result<usize, Errno> {
        let before = sink.moved();
        let mut state = self.pipe.state.lock();
        if state.ring.len() == 0 && sink.remaining() > 0 {
            return if state.writers == 0 {
                Ok(0)
            } else {
                Err(Errno::EAGAIN)
            };
        }
        while state.ring.len() > 0 && sink.remaining() > 0 {
            let count = sink.put(state.ring.readable());
            state.ring.consume(count);
            if sink.faulted() {
                break;
            }
        }
        drop(state);
        let count = sink.moved() - before;
        if count > 0 {
            self.pipe.writers.wake();
        }
        Ok(count)
    }

    fn write(&self, source: &mut Source<'_>, _position: &mut u64) -> Result<usize, Errno> {
        let want = source.remaining();
        if want == 0 {
            return Ok(0);
        }
        let mut state = self.pipe.state.lock();
        if state.readers == 0 {
            return Err(Errno::EPIPE);
        }
        let free = state.ring.free();
        // The rest of a larger one, after a fault, may be split.
        let whole = want <= PIPE_BUF && source.is_whole();
        if free == 0 || (whole && free < want) {
            return Err(Errno::EAGAIN);
        }
        let before = source.moved();
        while source.remaining() > 0 && state.ring.free() > 0 {
            state.ring.make_room(source.remaining())?;
            let count = source.take(state.ring.writable());
            state.ring.commit(count);
            if source.faulted() {
                break;
            }
        }
        drop(state);
        let count = source.moved() - before;
        if count > 0 {
            self.pipe.readers.wake();
        }
        Ok(count)
    }

    fn poll(&self, mut table: Option<&mut PollTable>) -> Events {
        if let Some(table) = &mut table {
            if self.readable {
                table.add(&self.pipe.readers);
            }
            if self.writable {
                table.add(&self.pipe.writers);
            }
        }
        let state = self.pipe.state.lock();
        let mut events = Events::empty();
        if self.readable {
            if state.ring.len() > 0 {
                events |= Events::READABLE;
            }
            // A FIFO that never had a writer is not hung up (fifo(7), as Linux has it).
            if state.writers == 0 && state.writers_ever > 0 {
                events |= Events::HUP;
            }
        }
        if self.writable {
            if state.ring.free() >= PIPE_BUF {
                events |= Events::WRITABLE;
            }
            if state.readers == 0 {
                events |= Events::ERR;
            }
        }
        events
    }

    fn ioctl(&self, call: &mut Call<'_>, request: u32, argument: u64) -> Result<usize, Errno> {
        if request != FIONREAD {
            return Err(Errno::ENOTTY);
        }
        let len = i32::try_from(self.pipe.state.lock().ring.len()).unwrap_or(i32::MAX);
        call.space
            .write_value(Ptr::<i32>::from_argument(argument), &len)?;
        Ok(0)
    }

    fn metadata(&self) -> Metadata {
        Metadata {
            inode: self.pipe.number,
            ..Metadata::anonymous(Kind::Fifo)
        }
    }

    fn description(&self) -> Vec<u8> {
        alloc::format!("pipe:[{}]", self.metadata().inode).into_bytes()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::{DEFAULT_CAPACITY, PIPE_BUF, Pipe};
    use crate::vfs::{Events, File, Sink, Source};
    use ochre_abi::Errno;

    fn write(end: &dyn File, bytes: &[u8]) -> Result<usize, Errno> {
        end.write(&mut Source::kernel(bytes), &mut 0)
    }

    fn read(end: &dyn File, room: usize) -> Result<Vec<u8>, Errno> {
        let mut buffer = vec![0; room];
        let count = end.read(&mut Sink::kernel(&mut buffer), &mut 0)?;
        buffer.truncate(count);
        Ok(buffer)
    }

    #[test]
    fn carries_bytes_and_ends() {
        let pipe = Pipe::new();
        let (reader, writer) = (pipe.open(true, false), pipe.open(false, true));
        assert_eq!(read(&*reader, 4), Err(Errno::EAGAIN));
        assert_eq!(write(&*writer, b"hello"), Ok(5));
        assert_eq!(read(&*reader, 3), Ok(b"hel".to_vec()));
        drop(writer);
        assert_eq!(read(&*reader, 9), Ok(b"lo".to_vec()));
        assert_eq!(read(&*reader, 9), Ok(Vec::new()));
    }

    #[test]
    fn nobody_to_read_is_an_error() {
        let pipe = Pipe::new();
        let (reader, writer) = (pipe.open(true, false), pipe.open(false, true));
        drop(reader);
        assert_eq!(write(&*writer, b"x"), Err(Errno::EPIPE));
        assert!(writer.poll(None).contains(Events::ERR));
    }

    #[test]
    fn small_writes_are_whole() {
        let pipe = Pipe::new();
        let (reader, writer) = (pipe.open(true, false), pipe.open(false, true));
        let big = vec![1; DEFAULT_CAPACITY - 10];
        assert_eq!(write(&*writer, &big), Ok(big.len()));
        assert_eq!(write(&*writer, &[2; 11]), Err(Errno::EAGAIN));
        assert_eq!(write(&*writer, &[2; PIPE_BUF + 1]), Ok(10));
        assert_eq!(writer.poll(None), Events::empty());
        assert_eq!(
            read(&*reader, PIPE_BUF).map(|bytes| bytes.len()),
            Ok(PIPE_BUF)
        );
        assert_eq!(writer.poll(None), Events::WRITABLE);
    }
}
