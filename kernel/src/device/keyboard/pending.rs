//! What was typed and the terminal has no room for yet.
//!
//! A keyboard cannot be told to wait. It keeps a few keys, QEMU's sixteen bytes
//! or sixty-four events, and drops the rest; and a device that is left alone
//! until the program reads would hold back the keys for the kernel too, by
//! which a person gets away from a program that does not. So keys are taken as
//! they come, and bytes wait here: a small queue for people, which grows while
//! something is pasted faster than it is read, and shrinks when all is handed
//! over.
//!
//! # Invariants
//! Bytes come out in the order in which they went in; what is one key's goes in
//! whole or not at all: half a sequence is another key.

use crate::tty::ByteQueue;

/// Bytes that there is always room for.
const USUAL: usize = 1024;

/// The most bytes. Who pastes more than this to a program that does not read
/// loses the rest.
pub(super) const MOST: usize = 256 << 10;

/// See the module.
pub(super) struct Pending {
    queue: ByteQueue,
}

impl Pending {
    /// An empty one.
    pub(super) fn new() -> Pending {
        Pending {
            queue: ByteQueue::new(USUAL),
        }
    }

    /// Bytes in it.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Takes a key's bytes, whole or not at all; says whether.
    pub(super) fn keep(&mut self, bytes: &[u8]) -> bool {
        let has_room = |queue: &ByteQueue| bytes.len() <= queue.free();
        if !has_room(&self.queue) {
            self.move_to(self.queue.capacity().saturating_mul(2).min(MOST));
        }
        let fits = has_room(&self.queue);
        if fits {
            self.queue.extend(bytes);
        }
        fits
    }

    /// Hands bytes over as far as `take` takes them: it says how many.
    pub(super) fn hand_over(&mut self, mut take: impl FnMut(&[u8]) -> usize) {
        while !self.queue.is_empty() {
            let taken = take(self.queue.front());
            if taken == 0 {
                return;
            }
            self.queue.consume(taken);
        }
        self.shrink();
    }

    /// Drops everything.
    pub(super) fn clear(&mut self) {
        self.queue.clear();
        self.shrink();
    }

    fn shrink(&mut self) {
        if self.queue.capacity() > USUAL {
            self.move_to(USUAL);
        }
    }

    /// Goes to a queue of another size, if there is memory for it and all fits.
    fn move_to(&mut self, capacity: usize) {
        if capacity == self.queue.capacity() || capacity < self.queue.len() {
            return;
        }
        let Ok(mut queue) = ByteQueue::try_new(capacity) else {
            return;
        };
        // It lies in two pieces at most.
        while !self.queue.is_empty() {
            let moved = queue.extend(self.queue.front());
            self.queue.consume(moved);
        }
        self.queue = queue;
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST, Pending, USUAL};

    #[test]
    fn what_is_pasted_waits_for_a_slow_reader() {
        let mut pending = Pending::new();
        let mut expected = Vec::new();
        let mut came: Vec<u8> = Vec::new();
        for key in 0..25_000_u32 {
            // Four bytes a key, a hundred thousand in all.
            let bytes = key.to_le_bytes();
            assert!(pending.keep(&bytes), "key {key}");
            expected.extend(bytes);
            // The reader takes one byte in the time of a key, and sometimes none.
            let mut room = usize::from(key % 5 != 0);
            pending.hand_over(|bytes| {
                let taken = bytes.len().min(room);
                came.extend(&bytes[..taken]);
                room -= taken;
                taken
            });
        }
        assert_eq!(pending.len(), 80_000);
        pending.hand_over(|bytes| {
            let taken = bytes.len().min(7);
            came.extend(&bytes[..taken]);
            taken
        });
        assert!(came == expected, "other bytes, or in another order");
        assert_eq!((pending.len(), pending.queue.capacity()), (0, USUAL));
    }

    #[test]
    fn the_most_is_kept_by_whole_keys() {
        let mut pending = Pending::new();
        let kept = (0..MOST).take_while(|_| pending.keep(b"\x1b[3~ ")).count();
        assert_eq!(kept, MOST / 5);
        assert!(!pending.keep(b"\x1b[3~ "));
        assert!(pending.keep(&[b'x'; MOST % 5]), "a shorter one fits");
        assert!(!pending.keep(b"x"));
        pending.clear();
        assert_eq!((pending.len(), pending.queue.capacity()), (0, USUAL));
        assert!(pending.keep(b"x"));
    }
}
