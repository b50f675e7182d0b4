//! A ring of bytes that grows to a limit.
//!
//! A pipe that never carries much never has much: the buffer doubles from one
//! page up to the capacity, and goes when the ring is dropped. Growing is the
//! only allocation and may fail.

use alloc::vec::Vec;

use ochre_abi::Errno;

use crate::memory::MakeRoom;

const FIRST: usize = 4096;

/// Bytes in order, at most `capacity`.
#[derive(Debug)]
pub(super) struct Ring {
    buffer: Vec<u8>,
    head: usize,
    len: usize,
    capacity: usize,
}

impl Ring {
    pub(super) const fn new(capacity: usize) -> Ring {
        Ring {
            buffer: Vec::new(),
            head: 0,
            len: 0,
            capacity,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(super) fn free(&self) -> usize {
        self.capacity.saturating_sub(self.len)
    }

    /// Changes the limit.
    ///
    /// # Errors
    /// EBUSY if more bytes are in the ring than the new limit.
    pub(super) fn set_capacity(&mut self, capacity: usize) -> Result<(), Errno> {
        if capacity < self.len {
            return Err(Errno::EBUSY);
        }
        if capacity < self.buffer.len() {
            let mut smaller = Vec::new();
            smaller.make_room_exact(capacity)?;
            smaller.resize(capacity, 0);
            self.move_into(smaller);
        }
        self.capacity = capacity;
        Ok(())
    }

    fn move_into(&mut self, mut to: Vec<u8>) {
        let first = self.readable().len();
        to[..first].copy_from_slice(self.readable());
        let rest = self.len - first;
        to[first..first + rest].copy_from_slice(&self.buffer[..rest]);
        self.buffer = to;
        self.head = 0;
    }

    /// The longest run of bytes from the front that lies in one piece.
    pub(super) fn readable(&self) -> &[u8] {
        let end = (self.head + self.len).min(self.buffer.len());
        &self.buffer[self.head..end]
    }

    /// Takes `count` bytes off the front; at most what is there.
    pub(super) fn consume(&mut self, count: usize) {
        let count = count.min(self.len);
        self.len -= count;
        self.head = if self.len == 0 {
            0
        } else {
            (self.head + count) % self.buffer.len()
        };
    }

    /// Makes room for `want` more bytes, as far as the limit allows.
    ///
    /// # Errors
    /// ENOMEM, only when there is no room at all without growing.
    pub(super) fn make_room(&mut self, want: usize) -> Result<(), Errno> {
        let wanted = (self.len + want.min(self.free())).max(FIRST.min(self.capacity));
        if wanted <= self.buffer.len() {
            return Ok(());
        }
        let size = wanted.next_power_of_two().min(self.capacity);
        let mut larger = Vec::new();
        if larger.make_room_exact(size).is_err() {
            return if self.len < self.buffer.len() {
                Ok(())
            } else {
                Err(Errno::ENOMEM)
            };
        }
        larger.resize(size, 0);
        self.move_into(larger);
        Ok(())
    }

    /// The longest run of free bytes that lies in one piece; empty when
    /// [`make_room`](Ring::make_room) has to come first.
    pub(super) fn writable(&mut self) -> &mut [u8] {
        let size = self.buffer.len();
        if size == 0 {
            return &mut [];
        }
        let limit = self.capacity.min(size) - self.len;
        let start = (self.head + self.len) % size;
        let end = if start < self.head { self.head } else { size };
        let end = end.min(start + limit);
        &mut self.buffer[start..end]
    }

    /// Declares `count` bytes of [`writable`](Ring::writable) filled.
    pub(super) fn commit(&mut self, count: usize) {
        self.len += count;
        debug_assert!(self.len <= self.buffer.len());
    }
}

#[cfg(test)]
mod tests {
    use super::Ring;
    use std::collections::VecDeque;

    fn write(ring: &mut Ring, bytes: &[u8]) -> usize {
        let mut done = 0;
        while done < bytes.len() && ring.free() > 0 {
            ring.make_room(bytes.len() - done).expect("memory is there");
            let room = ring.writable();
            let count = room.len().min(bytes.len() - done);
            assert!(count > 0);
            room[..count].copy_from_slice(&bytes[done..done + count]);
            ring.commit(count);
            done += count;
        }
        done
    }

    fn read(ring: &mut Ring, count: usize) -> Vec<u8> {
        let mut out = Vec::new();
        while out.len() < count && ring.len() > 0 {
            let part = ring.readable();
            let part = &part[..part.len().min(count - out.len())];
            let taken = part.len();
            out.extend_from_slice(part);
            ring.consume(taken);
        }
        out
    }

    #[test]
    fn behaves_as_a_bounded_queue() {
        let mut ring = Ring::new(10_000);
        let mut model = VecDeque::new();
        let mut seed = 1_u32;
        for step in 0..5_000_u32 {
            seed = seed.wrapping_mul(1_103_515_245).wrapping_add(12_345);
            let size = (seed >> 8) as usize % 6_000;
            if seed & 0x10 == 0 {
                let bytes: Vec<u8> = (0..size).map(|i| (step as usize + i) as u8).collect();
                let done = write(&mut ring, &bytes);
                assert_eq!(done, bytes.len().min(10_000 - model.len()));
                model.extend(&bytes[..done]);
            } else {
                let got = read(&mut ring, size);
                let expected: Vec<u8> = model.drain(..size.min(model.len())).collect();
                assert_eq!(got, expected);
            }
            assert_eq!(ring.len(), model.len());
        }
    }

    #[test]
    fn the_limit_can_change_but_not_below_the_content() {
        let mut ring = Ring::new(8192);
        assert_eq!(write(&mut ring, &[7; 5000]), 5000);
        assert!(ring.set_capacity(4096).is_err());
        read(&mut ring, 2000);
        assert!(ring.set_capacity(4096).is_ok());
        assert_eq!(write(&mut ring, &[8; 5000]), 1096);
        assert_eq!(read(&mut ring, 9000)[..3000], [7; 3000]);
    }
}
