//! Where a read puts bytes and a write takes them from.
//!
//! Cursors over user memory (one range or many) or over a kernel buffer. They
//! *never resolve a fault*: `put` and `take` move as many bytes as they can and
//! return the count, so that a file may call them with its lock held. A short
//! count with bytes remaining means a fault; the file then returns what it did
//! so far, and the system call, which holds no lock, faults the page in
//! ([`Sink::recover`]) and asks again. A file consumes exactly what was moved:
//! nothing is lost.

use ochre_abi::Errno;
use ochre_hal::memory::UserFrame;
use ochre_hal::user::Access;

use crate::memory::AddressSpace;

/// One range of user memory, as the program named it.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    /// First address.
    pub address: u64,
    /// Bytes.
    pub len: usize,
}

/// Bytes copied through the stack at a time between a frame and user memory.
const BOUNCE: usize = 512;

/// User ranges with a position, shared by both cursors.
struct Cursor<'a> {
    space: &'a AddressSpace,
    ranges: &'a [Range],
    /// Bytes done of the first of `ranges`.
    done: usize,
    fault: Option<u64>,
}

impl<'a> Cursor<'a> {
    fn new(space: &'a AddressSpace, ranges: &'a [Range]) -> Cursor<'a> {
        Cursor {
            space,
            ranges,
            done: 0,
            fault: None,
        }
    }

    /// Moves up to `want` bytes by `copy(address, offset, len)`, which answers
    /// how many it moved and where it faulted; returns the sum.
    #[inline]
    fn advance(
        &mut self,
        want: usize,
        mut copy: impl FnMut(&AddressSpace, u64, usize, usize) -> (usize, Option<u64>),
    ) -> usize {
        // Nearly always all of it lies in one range.
        if let Some(range) = self.ranges.first()
            && want <= range.len - self.done
        {
            let address = range.address.wrapping_add(self.done as u64);
            let (copied, fault) = copy(self.space, address, 0, want);
            self.done += copied;
            self.fault = fault;
            return copied;
        }
        self.advance_far(want, copy)
    }

    /// As [`advance`](Cursor::advance), across ranges.
    fn advance_far(
        &mut self,
        want: usize,
        mut copy: impl FnMut(&AddressSpace, u64, usize, usize) -> (usize, Option<u64>),
    ) -> usize {
        let mut moved = 0;
        while moved < want {
            let Some(range) = self.ranges.first() else {
                break;
            };
            let left = range.len - self.done;
            if left == 0 {
                self.ranges = &self.ranges[1..];
                self.done = 0;
                continue;
            }
            let len = left.min(want - moved);
            let address = range.address.wrapping_add(self.done as u64);
            let (copied, fault) = copy(self.space, address, moved, len);
            moved += copied;
            self.done += copied;
            if fault.is_some() {
                self.fault = fault;
                break;
            }
        }
        moved
    }

    /// Goes `count` bytes on without moving any.
    fn skip(&mut self, mut count: usize) {
        while let Some(range) = self.ranges.first() {
            let left = range.len - self.done;
            if count < left {
                self.done += count;
                break;
            }
            count -= left;
            self.ranges = &self.ranges[1..];
            self.done = 0;
        }
    }

    fn recover(&mut self, access: Access) -> Result<(), Errno> {
        match self.fault.take() {
            Some(address) => self.space.fault_for_copy(address, access),
            None => Ok(()),
        }
    }
}

enum SinkMemory<'a> {
    User(Cursor<'a>),
    Kernel(&'a mut [u8]),
}

/// Destination of a read.
pub struct Sink<'a> {
    memory: SinkMemory<'a>,
    remaining: usize,
    moved: usize,
    is_only_try: bool,
}

impl<'a> Sink<'a> {
    /// User memory; `ranges` sum up to at most `isize::MAX` (checked by the call).
    #[must_use]
    pub fn user(space: &'a AddressSpace, ranges: &'a [Range]) -> Sink<'a> {
        Sink {
            remaining: ranges.iter().map(|range| range.len).sum(),
            memory: SinkMemory::User(Cursor::new(space, ranges)),
            moved: 0,
            is_only_try: false,
        }
    }

    /// `window` bytes of user memory from `skip` bytes into `ranges` on, which
    /// hold that many.
    #[must_use]
    pub fn window(
        space: &'a AddressSpace,
        ranges: &'a [Range],
        skip: usize,
        window: usize,
    ) -> Sink<'a> {
        let mut cursor = Cursor::new(space, ranges);
        if skip > 0 {
            cursor.skip(skip);
        }
        Sink {
            remaining: window,
            memory: SinkMemory::User(cursor),
            moved: 0,
            is_only_try: false,
        }
    }

    /// A kernel buffer.
    #[must_use]
    pub fn kernel(buffer: &'a mut [u8]) -> Sink<'a> {
        Sink {
            remaining: buffer.len(),
            memory: SinkMemory::Kernel(buffer),
            moved: 0,
            is_only_try: false,
        }
    }

    /// Says whether the reader will not wait: what it is not given now, it
    /// comes for later.
    pub fn set_only_try(&mut self, is_only_try: bool) {
        self.is_only_try = is_only_try;
    }

    /// Whether the reader will not wait.
    #[must_use]
    pub fn is_only_try(&self) -> bool {
        self.is_only_try
    }

    /// Bytes that still fit.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.remaining
    }

    /// Bytes put so far.
    #[must_use]
    pub fn moved(&self) -> usize {
        self.moved
    }

    /// Puts bytes; returns how many went.
    pub fn put(&mut self, bytes: &[u8]) -> usize {
        let want = bytes.len().min(self.remaining);
        let count = match &mut self.memory {
            SinkMemory::User(cursor) => cursor.advance(want, |space, address, offset, len| {
                match space.root().copy_out(address, &bytes[offset..offset + len]) {
                    Ok(()) => (len, None),
                    Err(fault) => (fault.copied, Some(fault.address)),
                }
            }),
            SinkMemory::Kernel(buffer) => {
                buffer[self.moved..self.moved + want].copy_from_slice(&bytes[..want]);
                want
            }
        };
        self.moved += count;
        self.remaining -= count;
        count
    }

    /// Puts `len` bytes of a frame from `offset` on; returns how many went.
    pub fn put_frame(&mut self, frame: &UserFrame, offset: usize, len: usize) -> usize {
        let mut bounce = [0; BOUNCE];
        let mut sum = 0;
        while sum < len {
            let part = (len - sum).min(BOUNCE).min(self.remaining);
            if part == 0 {
                break;
            }
            frame.read(offset + sum, &mut bounce[..part]);
            let count = self.put(&bounce[..part]);
            sum += count;
            if count < part {
                break;
            }
        }
        sum
    }

    /// Puts `len` zeroes; returns how many went.
    pub fn put_zeroes(&mut self, len: usize) -> usize {
        let want = len.min(self.remaining);
        let count = match &mut self.memory {
            SinkMemory::User(cursor) => cursor.advance(want, |space, address, _, len| match space
                .root()
                .zero_out(address, len)
            {
                Ok(()) => (len, None),
                Err(fault) => (fault.copied, Some(fault.address)),
            }),
            SinkMemory::Kernel(buffer) => {
                buffer[self.moved..self.moved + want].fill(0);
                want
            }
        };
        self.moved += count;
        self.remaining -= count;
        count
    }

    /// Whether the last movement stopped at a fault.
    #[must_use]
    pub fn faulted(&self) -> bool {
        matches!(&self.memory, SinkMemory::User(cursor) if cursor.fault.is_some())
    }

    /// Resolves the fault that stopped the last movement, if there was one.
    /// Call it with no lock held.
    ///
    /// # Errors
    /// EFAULT if the address is not the program's to write.
    pub fn recover(&mut self) -> Result<(), Errno> {
        match &mut self.memory {
            SinkMemory::User(cursor) => cursor.recover(Access::Write),
            SinkMemory::Kernel(_) => Ok(()),
        }
    }
}

enum SourceMemory<'a> {
    User(Cursor<'a>),
    Kernel(&'a [u8]),
}

/// Source of a write.
pub struct Source<'a> {
    memory: SourceMemory<'a>,
    remaining: usize,
    moved: usize,
    /// Whether earlier operations took bytes of the same call.
    continues: bool,
}

impl<'a> Source<'a> {
    /// User memory; `ranges` sum up to at most `isize::MAX` (checked by the call).
    #[must_use]
    pub fn user(space: &'a AddressSpace, ranges: &'a [Range]) -> Source<'a> {
        Source {
            remaining: ranges.iter().map(|range| range.len).sum(),
            memory: SourceMemory::User(Cursor::new(space, ranges)),
            moved: 0,
            continues: false,
        }
    }

    /// `window` bytes of user memory from `skip` bytes into `ranges` on, which
    /// hold that many.
    #[must_use]
    pub fn window(
        space: &'a AddressSpace,
        ranges: &'a [Range],
        skip: usize,
        window: usize,
    ) -> Source<'a> {
        let mut cursor = Cursor::new(space, ranges);
        if skip > 0 {
            cursor.skip(skip);
        }
        Source {
            remaining: window,
            memory: SourceMemory::User(cursor),
            moved: 0,
            continues: skip > 0,
        }
    }

    /// A kernel buffer.
    #[must_use]
    pub fn kernel(buffer: &'a [u8]) -> Source<'a> {
        Source {
            remaining: buffer.len(),
            memory: SourceMemory::Kernel(buffer),
            moved: 0,
            continues: false,
        }
    }

    /// Bytes still to be taken.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.remaining
    }

    /// Bytes taken so far.
    #[must_use]
    pub fn moved(&self) -> usize {
        self.moved
    }

    /// Whether nothing of the call's bytes was taken yet.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.moved == 0 && !self.continues
    }

    /// Takes bytes into `to`; returns how many came.
    pub fn take(&mut self, to: &mut [u8]) -> usize {
        let want = to.len().min(self.remaining);
        let count = match &mut self.memory {
            SourceMemory::User(cursor) => cursor.advance(want, |space, address, offset, len| {
                match space.root().copy_in(address, &mut to[offset..offset + len]) {
                    Ok(()) => (len, None),
                    Err(fault) => (fault.copied, Some(fault.address)),
                }
            }),
            SourceMemory::Kernel(buffer) => {
                to[..want].copy_from_slice(&buffer[self.moved..self.moved + want]);
                want
            }
        };
        self.moved += count;
        self.remaining -= count;
        count
    }

    /// Passes over all that remains without looking at it, valid memory or
    /// not; returns how many bytes that is.
    pub fn skip(&mut self) -> usize {
        let count = core::mem::take(&mut self.remaining);
        self.moved += count;
        count
    }

    /// Takes `len` bytes into a frame from `offset` on; returns how many came.
    pub fn take_frame(&mut self, frame: &UserFrame, offset: usize, len: usize) -> usize {
        let mut bounce = [0; BOUNCE];
        let mut sum = 0;
        while sum < len {
            let part = (len - sum).min(BOUNCE).min(self.remaining);
            if part == 0 {
                break;
            }
            let count = self.take(&mut bounce[..part]);
            frame.write(offset + sum, &bounce[..count]);
            sum += count;
            if count < part {
                break;
            }
        }
        sum
    }

    /// Whether the last movement stopped at a fault.
    #[must_use]
    pub fn faulted(&self) -> bool {
        matches!(&self.memory, SourceMemory::User(cursor) if cursor.fault.is_some())
    }

    /// Resolves the fault that stopped the last movement, if there was one.
    /// Call it with no lock held.
    ///
    /// # Errors
    /// EFAULT if the address is not the program's to read.
    pub fn recover(&mut self) -> Result<(), Errno> {
        match &mut self.memory {
            SourceMemory::User(cursor) => cursor.recover(Access::Read),
            SourceMemory::Kernel(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Sink, Source};

    #[test]
    fn a_full_sink_takes_no_more() {
        let mut buffer = [0; 4];
        let mut sink = Sink::kernel(&mut buffer);
        assert_eq!(sink.put(b"abc"), 3);
        assert_eq!(sink.put_zeroes(9), 1);
        assert_eq!(sink.put(b"x"), 0);
        assert_eq!(buffer, *b"abc\0");
    }

    #[test]
    fn a_source_gives_each_byte_once() {
        let mut source = Source::kernel(b"hello");
        let mut to = [0; 3];
        assert_eq!(source.take(&mut to), 3);
        assert_eq!(source.take(&mut to), 2);
        assert_eq!(source.take(&mut to), 0);
        assert_eq!(&to, b"lol");
    }
}
