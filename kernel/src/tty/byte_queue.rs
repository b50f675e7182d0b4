//! A bounded queue of bytes.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use ochre_abi::Errno;

use crate::memory::MakeRoom;

/// Bytes in order, at most as many as it was made for.
#[derive(Debug)]
pub struct ByteQueue {
    bytes: Box<[u8]>,
    /// Index of the oldest byte.
    first: usize,
    len: usize,
}

impl ByteQueue {
    /// An empty queue for `capacity` bytes (at least one).
    #[must_use]
    pub fn new(capacity: usize) -> ByteQueue {
        ByteQueue {
            bytes: vec![0; capacity.max(1)].into_boxed_slice(),
            first: 0,
            len: 0,
        }
    }

    /// The same.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn try_new(capacity: usize) -> Result<ByteQueue, Errno> {
        let capacity = capacity.max(1);
        let mut bytes = Vec::new();
        bytes.make_room_exact(capacity)?;
        bytes.resize(capacity, 0);
        Ok(ByteQueue {
            bytes: bytes.into_boxed_slice(),
            first: 0,
            len: 0,
        })
    }

    /// Bytes in the queue, at most.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes in the queue.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that still fit.
    #[must_use]
    pub fn free(&self) -> usize {
        self.bytes.len() - self.len
    }

    /// Adds a byte; false if the queue is full.
    pub fn push(&mut self, byte: u8) -> bool {
        if self.free() == 0 {
            return false;
        }
        let at = (self.first + self.len) % self.bytes.len();
        self.bytes[at] = byte;
        self.len += 1;
        true
    }

    /// Adds as many bytes as fit; returns how many.
    pub fn extend(&mut self, from: &[u8]) -> usize {
        let count = from.len().min(self.free());
        let at = (self.first + self.len) % self.bytes.len();
        let until_end = count.min(self.bytes.len() - at);
        let (head, tail) = from[..count].split_at(until_end);
        self.bytes[at..at + head.len()].copy_from_slice(head);
        self.bytes[..tail.len()].copy_from_slice(tail);
        self.len += count;
        count
    }

    /// The oldest bytes, as far as they lie in one piece; empty only if the
    /// queue is.
    #[must_use]
    pub fn front(&self) -> &[u8] {
        let end = (self.first + self.len).min(self.bytes.len());
        &self.bytes[self.first..end]
    }

    /// Drops the oldest `count` bytes, or all.
    pub fn consume(&mut self, count: usize) {
        let count = count.min(self.len);
        self.first = (self.first + count) % self.bytes.len();
        self.len -= count;
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        self.consume(self.len);
    }
}

#[cfg(test)]
mod tests {
    use super::ByteQueue;
    use std::collections::VecDeque;

    #[test]
    fn keeps_order_around_the_end() {
        let mut queue = ByteQueue::new(7);
        let mut model = VecDeque::new();
        let mut next = 0_u8;
        for round in 0..200_usize {
            let batch: Vec<u8> = (0..round % 5)
                .map(|_| {
                    next = next.wrapping_add(1);
                    next
                })
                .collect();
            let taken = queue.extend(&batch);
            assert_eq!(taken, batch.len().min(7 - model.len()));
            model.extend(&batch[..taken]);
            if round % 3 == 0 && queue.push(99) {
                model.push_back(99);
            }
            let front = queue.front();
            assert_eq!(front.is_empty(), model.is_empty());
            assert!(front.iter().eq(model.iter().take(front.len())));
            let drop = round % 4;
            queue.consume(drop);
            model.drain(..drop.min(model.len()));
            assert_eq!((queue.len(), queue.free()), (model.len(), 7 - model.len()));
        }
    }
}
