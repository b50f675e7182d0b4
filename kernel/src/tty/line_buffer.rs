//! The input buffer: a ring with marks where lines end.
//!
//! Three counters that only grow, `tail <= complete <= head`:
//!
//! | bytes | are |
//! |---|---|
//! | `tail..complete` | whole lines, for canonical reads; the last byte is marked |
//! | `complete..head` | the line being typed, which can still be edited |
//!
//! A mark says either that the byte ends a line, or that it stands for the end
//! of the file and is not data.

use alloc::boxed::Box;

/// Bytes in the buffer: Linux's number, which limits the length of a line.
pub(super) const SIZE: usize = 4096;

/// What stands at a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Mark {
    /// An ordinary byte.
    None,
    /// The last byte of a line.
    LineEnd,
    /// No byte: the end of the file.
    FileEnd,
}

/// See the module.
#[derive(Debug)]
pub(super) struct LineBuffer {
    slots: Box<[(u8, Mark); SIZE]>,
    tail: u64,
    complete: u64,
    head: u64,
}

/// What a read can have now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Portion {
    /// Bytes of data from the front.
    pub(super) len: usize,
    /// Whether the end of the file stands right behind them and goes with them.
    pub(super) with_file_end: bool,
}

impl LineBuffer {
    pub(super) fn new() -> LineBuffer {
        LineBuffer {
            slots: Box::new([(0, Mark::None); SIZE]),
            tail: 0,
            complete: 0,
            head: 0,
        }
    }

    fn index(position: u64) -> usize {
        (position % SIZE as u64) as usize
    }

    /// Positions in use, marks for the end of the file included.
    pub(super) fn used(&self) -> usize {
        (self.head - self.tail) as usize
    }

    /// Bytes of the line being typed.
    pub(super) fn editable(&self) -> usize {
        (self.head - self.complete) as usize
    }

    /// Whether a whole line is there.
    pub(super) fn has_line(&self) -> bool {
        self.complete != self.tail
    }

    /// Adds to the line being typed; false if the buffer is full.
    pub(super) fn push(&mut self, byte: u8, mark: Mark) -> bool {
        if self.used() == SIZE {
            return false;
        }
        self.slots[Self::index(self.head)] = (byte, mark);
        self.head += 1;
        true
    }

    /// What is typed so far counts as read-ready.
    pub(super) fn finish_line(&mut self) {
        self.complete = self.head;
    }

    /// The byte `back` positions before the end of the line being typed.
    pub(super) fn typed(&self, back: usize) -> Option<u8> {
        (back < self.editable()).then(|| self.slots[Self::index(self.head - 1 - back as u64)].0)
    }

    /// Takes `count` bytes off the end of the line being typed.
    pub(super) fn erase(&mut self, count: usize) {
        self.head -= count.min(self.editable()) as u64;
    }

    /// Drops everything.
    pub(super) fn clear(&mut self) {
        self.tail = self.head;
        self.complete = self.head;
    }

    /// Forgets line ends: everything is one run of bytes, all still editable.
    pub(super) fn forget_lines(&mut self) {
        // Marks for the end of the file are no data: they go with the lines.
        let (mut from, mut to) = (self.tail, self.tail);
        while from < self.head {
            let (byte, mark) = self.slots[Self::index(from)];
            from += 1;
            if mark != Mark::FileEnd {
                self.slots[Self::index(to)] = (byte, Mark::None);
                to += 1;
            }
        }
        self.head = to;
        self.complete = self.tail;
    }

    /// Makes one line of everything that is there.
    pub(super) fn join_lines(&mut self) {
        self.forget_lines();
        if self.head != self.tail {
            self.slots[Self::index(self.head - 1)].1 = Mark::LineEnd;
        }
        self.complete = self.head;
    }

    /// What a canonical read of `want` bytes gets: at most one line.
    pub(super) fn line_portion(&self, want: usize) -> Option<Portion> {
        if !self.has_line() {
            return None;
        }
        let mut len = 0;
        while len as u64 + self.tail < self.complete {
            match self.slots[Self::index(self.tail + len as u64)].1 {
                Mark::FileEnd => {
                    return Some(Portion {
                        len,
                        with_file_end: true,
                    });
                }
                _ if len == want => break,
                Mark::LineEnd => {
                    len += 1;
                    break;
                }
                Mark::None => len += 1,
            }
        }
        Some(Portion {
            len,
            with_file_end: false,
        })
    }

    /// Gives up to `len` bytes from the front to `put`, which answers how many
    /// it took; drops those. Returns how many went.
    pub(super) fn take(&mut self, len: usize, put: &mut dyn FnMut(&[u8]) -> usize) -> usize {
        const PIECE: usize = 64;
        let mut sum = 0;
        while sum < len {
            let mut piece = [0; PIECE];
            let count = PIECE.min(len - sum);
            for (offset, byte) in piece[..count].iter_mut().enumerate() {
                *byte = self.slots[Self::index(self.tail + offset as u64)].0;
            }
            let taken = put(&piece[..count]).min(count);
            self.tail += taken as u64;
            sum += taken;
            if taken < count {
                break;
            }
        }
        // A raw read takes from the line being typed as well.
        self.complete = self.complete.max(self.tail);
        sum
    }

    /// Drops the mark at the front.
    pub(super) fn take_file_end(&mut self) {
        if self.tail < self.head {
            self.tail += 1;
            self.complete = self.complete.max(self.tail);
        }
    }

    /// Bytes of data in whole lines.
    pub(super) fn complete_len(&self) -> usize {
        (self.tail..self.complete)
            .filter(|at| self.slots[Self::index(*at)].1 != Mark::FileEnd)
            .count()
    }
}
