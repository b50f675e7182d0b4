//! Where a read puts bytes and a write takes them from.
//!
//! Cursors over user memory (one range or many) or over a kernel buffer. They
//! *never resolve a fault*: `put` and `take` move as many bytes as they can and
//! return the count, so that a file may call them with its lock held. A short
//! count with bytes remaining means a fault; the file then returns what it did
//! so far, and the system call, which holds no lock, faults the page in
//! ([`Sink::recover`]) and asks again. A file consumes exactly what was moved:
//! nothing is lost.

use core::ops;

use ochre_abi::Errno;
use ochre_hal::memory::{CopyFault, UserFrame};
use ochre_hal::user::Access;

use super::File;
use crate::memory::AddressSpace;

/// Reads a file at an offset until the buffer is full or the file ends; answers
/// how many bytes came.
///
/// # Errors
/// As the file's.
pub(crate) fn read_at(file: &dyn File, offset: u64, to: &mut [u8]) -> Result<usize, Errno> {
    let mut position = offset;
    let mut sink = Sink::kernel(to);
    while sink.remaining() > 0 {
        if file.read(&mut sink, &mut position)? == 0 {
            break;
        }
    }
    Ok(sink.moved())
}

/// One range of user memory, as the program named it.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    /// First address.
    pub address: u64,
    /// Bytes.
    pub len: usize,
}

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

/// Where the bytes of a [`Movement`] lie: `B` is a kernel buffer, to write or
/// to read.
enum Memory<'a, B> {
    User(Cursor<'a>),
    Kernel(B),
}

/// What one copy of a [`Movement`] works on.
enum Part<'m, B> {
    /// User memory from an address on.
    User(&'m AddressSpace, u64),
    /// The kernel's buffer from a place in it on.
    Kernel(&'m mut B, usize),
}

/// The other side of a read or a write: a place, and how far it is used.
pub struct Movement<'a, B> {
    memory: Memory<'a, B>,
    remaining: usize,
    moved: usize,
    /// Whether earlier operations moved bytes of the same call.
    continues: bool,
    is_only_try: bool,
}

/// Destination of a read.
pub type Sink<'a> = Movement<'a, &'a mut [u8]>;

/// Source of a write.
pub type Source<'a> = Movement<'a, &'a [u8]>;

impl<'a, B> Movement<'a, B> {
    /// User memory; `ranges` sum up to at most `isize::MAX` (checked by the call).
    #[must_use]
    pub fn user(space: &'a AddressSpace, ranges: &'a [Range]) -> Movement<'a, B> {
        let sum = ranges.iter().map(|range| range.len).sum();
        Movement::window(space, ranges, 0, sum)
    }

    /// `window` bytes of user memory from `skip` bytes into `ranges` on, which
    /// hold that many.
    #[must_use]
    pub fn window(
        space: &'a AddressSpace,
        ranges: &'a [Range],
        skip: usize,
        window: usize,
    ) -> Movement<'a, B> {
        let mut cursor = Cursor::new(space, ranges);
        if skip > 0 {
            cursor.skip(skip);
        }
        Movement {
            remaining: window,
            memory: Memory::User(cursor),
            moved: 0,
            continues: skip > 0,
            is_only_try: false,
        }
    }

    fn of_kernel(buffer: B, len: usize) -> Movement<'a, B> {
        Movement {
            remaining: len,
            memory: Memory::Kernel(buffer),
            moved: 0,
            continues: false,
            is_only_try: false,
        }
    }

    /// Says whether the caller will not wait: what is not moved now, it comes
    /// for later.
    pub fn set_only_try(&mut self, is_only_try: bool) {
        self.is_only_try = is_only_try;
    }

    /// Whether the caller will not wait.
    #[must_use]
    pub fn is_only_try(&self) -> bool {
        self.is_only_try
    }

    /// Bytes still to be moved, or that still fit.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.remaining
    }

    /// Bytes moved so far.
    #[must_use]
    pub fn moved(&self) -> usize {
        self.moved
    }

    /// Whether nothing of the call's bytes was moved yet.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.moved == 0 && !self.continues
    }

    /// Whether the last movement stopped at a fault.
    #[must_use]
    pub fn faulted(&self) -> bool {
        matches!(&self.memory, Memory::User(cursor) if cursor.fault.is_some())
    }

    /// What a file answers that moves all of something or nothing of it, when
    /// `moved` bytes were too few: 0 if it is to be asked again once the fault
    /// was resolved.
    ///
    /// # Errors
    /// EFAULT if a part was moved, or there was no fault.
    pub fn moved_too_little(&self, moved: usize) -> Result<usize, Errno> {
        if self.faulted() && moved == 0 {
            Ok(0)
        } else {
            Err(Errno::EFAULT)
        }
    }

    fn recover_for(&mut self, access: Access) -> Result<(), Errno> {
        match &mut self.memory {
            Memory::User(cursor) => cursor.recover(access),
            Memory::Kernel(_) => Ok(()),
        }
    }

    /// Moves up to `want` bytes; returns how many. `copy` moves those of the
    /// bytes that its range names to or from the part of the memory it is given.
    #[inline]
    fn advance(
        &mut self,
        want: usize,
        mut copy: impl FnMut(Part<'_, B>, ops::Range<usize>) -> Result<(), CopyFault>,
    ) -> usize {
        let want = want.min(self.remaining);
        let answer = |len, copied: Result<(), CopyFault>| match copied {
            Ok(()) => (len, None),
            Err(fault) => (fault.copied, Some(fault.address)),
        };
        let count = match &mut self.memory {
            Memory::User(cursor) => cursor.advance(want, |space, address, offset, len| {
                answer(len, copy(Part::User(space, address), offset..offset + len))
            }),
            Memory::Kernel(buffer) => {
                answer(want, copy(Part::Kernel(buffer, self.moved), 0..want)).0
            }
        };
        self.moved += count;
        self.remaining -= count;
        count
    }
}

impl<'a> Sink<'a> {
    /// A kernel buffer.
    #[must_use]
    pub fn kernel(buffer: &'a mut [u8]) -> Sink<'a> {
        let len = buffer.len();
        Movement::of_kernel(buffer, len)
    }

    /// Puts bytes; returns how many went.
    pub fn put(&mut self, bytes: &[u8]) -> usize {
        self.advance(bytes.len(), |part, which| match part {
            Part::User(space, address) => space.copy_out(address, &bytes[which]),
            Part::Kernel(buffer, at) => {
                buffer[at..at + which.len()].copy_from_slice(&bytes[which]);
                Ok(())
            }
        })
    }

    /// Puts `len` bytes of a frame from `offset` on; returns how many went.
    pub fn put_frame(&mut self, frame: &UserFrame, offset: usize, len: usize) -> usize {
        self.advance(len, |part, which| match part {
            Part::User(space, address) => {
                space.copy_out_frame(address, frame, offset + which.start, which.len())
            }
            Part::Kernel(buffer, at) => {
                frame.read(offset + which.start, &mut buffer[at..at + which.len()]);
                Ok(())
            }
        })
    }

    /// Puts `len` zeroes; returns how many went.
    pub fn put_zeroes(&mut self, len: usize) -> usize {
        self.advance(len, |part, which| match part {
            Part::User(space, address) => space.zero_out(address, which.len()),
            Part::Kernel(buffer, at) => {
                buffer[at..at + which.len()].fill(0);
                Ok(())
            }
        })
    }

    /// Resolves the fault that stopped the last movement, if there was one.
    /// Call it with no lock held.
    ///
    /// # Errors
    /// EFAULT if the address is not the program's to write.
    pub fn recover(&mut self) -> Result<(), Errno> {
        self.recover_for(Access::Write)
    }
}

impl<'a> Source<'a> {
    /// A kernel buffer.
    #[must_use]
    pub fn kernel(buffer: &'a [u8]) -> Source<'a> {
        Movement::of_kernel(buffer, buffer.len())
    }

    /// Takes bytes into `to`; returns how many came.
    pub fn take(&mut self, to: &mut [u8]) -> usize {
        self.advance(to.len(), |part, which| match part {
            Part::User(space, address) => space.copy_in(address, &mut to[which]),
            Part::Kernel(buffer, at) => {
                let len = which.len();
                to[which].copy_from_slice(&buffer[at..at + len]);
                Ok(())
            }
        })
    }

    /// Takes `len` bytes into a frame from `offset` on; returns how many came.
    pub fn take_frame(&mut self, frame: &UserFrame, offset: usize, len: usize) -> usize {
        self.advance(len, |part, which| match part {
            Part::User(space, address) => {
                space.copy_in_frame(address, frame, offset + which.start, which.len())
            }
            Part::Kernel(buffer, at) => {
                frame.write(offset + which.start, &buffer[at..at + which.len()]);
                Ok(())
            }
        })
    }

    /// Passes over all that remains without looking at it, valid memory or
    /// not; returns how many bytes that is.
    pub fn skip(&mut self) -> usize {
        let count = core::mem::take(&mut self.remaining);
        self.moved += count;
        count
    }

    /// Resolves the fault that stopped the last movement, if there was one.
    /// Call it with no lock held.
    ///
    /// # Errors
    /// EFAULT if the address is not the program's to read.
    pub fn recover(&mut self) -> Result<(), Errno> {
        self.recover_for(Access::Read)
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
