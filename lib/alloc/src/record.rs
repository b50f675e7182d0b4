//! The eight bytes kept for every frame.
//!
//! ```text
//! tag   | kind: 4 bits | payload: 28 bits |
//! word  | 32 bits, the owner's            |
//!
//! kind   who owns payload and word   payload         word
//! 0      nobody: not managed         -               -
//! 1      the buddy allocator: free   next + 1        previous + 1, order in the top 4 bits
//! 2      whoever allocated it        0 at first      0 at first
//! 3..13  as 2, for the owner to tell kinds apart
//! 14     a processor's cache: free   next + 1        -
//! 15     as 1, the order 16 higher   next + 1        previous + 1, order - 16 in the top 4 bits
//! ```
//!
//! | field | read by | written by |
//! |---|---|---|
//! | kind | anyone | the allocator while free; the owner while allocated |
//! | payload, word | the owner of the kind | the owner of the kind |
//!
//! The fields are atomics so that one array serves the allocator (under its
//! lock) and the owners of allocated frames (reference counts) at once. Each
//! access here is Relaxed: a frame changes owner through the allocator's lock,
//! which orders everything; an owner that shares a frame brings its own order.

use ochre_sync::primitive::atomic::{AtomicU32, Ordering};

const PAYLOAD_BITS: u32 = 28;
const PAYLOAD_MASK: u32 = (1 << PAYLOAD_BITS) - 1;

/// What is known of one frame; see the module's table.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Record {
    tag: AtomicU32,
    word: AtomicU32,
}

impl Record {
    /// A frame that nobody manages: all zero bytes.
    pub const UNMANAGED: u8 = 0;
    /// The first frame of a free block.
    pub const FREE: u8 = 1;
    /// Allocated, of no kind in particular. Kinds from here to 13 are the owner's.
    pub const USED: u8 = 2;
    /// Free, and kept in a processor's cache.
    pub const CACHED: u8 = 14;
    /// The first frame of a free block of an order that four bits cannot say.
    const FREE_LARGE: u8 = 15;

    /// Frames with numbers from here on cannot be linked, so not managed either.
    pub const MAX_FRAMES: u32 = PAYLOAD_MASK;

    /// A frame that nobody manages.
    #[must_use]
    pub const fn new() -> Record {
        Record {
            tag: AtomicU32::new(0),
            word: AtomicU32::new(0),
        }
    }

    /// The frame's kind.
    #[inline]
    pub fn kind(&self) -> u8 {
        // CAST: four bits.
        (self.load() >> PAYLOAD_BITS) as u8
    }

    /// The payload, 28 bits.
    #[inline]
    pub fn payload(&self) -> u32 {
        self.load() & PAYLOAD_MASK
    }

    /// Sets kind (of which four bits count) and payload (of which 28 count).
    #[inline]
    pub fn set(&self, kind: u8, payload: u32) {
        let tag = u32::from(kind) << PAYLOAD_BITS | (payload & PAYLOAD_MASK);
        // ORDERING: Relaxed, see the module.
        self.tag.store(tag, Ordering::Relaxed);
    }

    /// The owner's word.
    #[inline]
    pub fn word(&self) -> &AtomicU32 {
        &self.word
    }

    fn load(&self) -> u32 {
        // ORDERING: Relaxed, see the module.
        self.tag.load(Ordering::Relaxed)
    }

    /// Whether the frame belongs to an allocator: free, kept, or not known at all.
    #[inline]
    pub fn is_allocated(&self) -> bool {
        !matches!(
            self.kind(),
            Record::UNMANAGED | Record::FREE | Record::FREE_LARGE | Record::CACHED
        )
    }

    /// Makes this a frame of a cache, before another one.
    #[inline]
    pub(crate) fn set_cached(&self, next: Option<u32>) {
        self.set(Record::CACHED, link(next));
    }

    /// The next frame of a cache, where this is one.
    #[inline]
    pub(crate) fn cached(&self) -> Option<u32> {
        let tag = self.load();
        if tag >> PAYLOAD_BITS == u32::from(Record::CACHED) {
            unlink(tag & PAYLOAD_MASK)
        } else {
            None
        }
    }

    /// Makes this the first frame of a free block between two others of a list.
    #[inline]
    pub(crate) fn set_free(&self, order: u8, previous: Option<u32>, next: Option<u32>) {
        let kind = if order < 16 {
            Record::FREE
        } else {
            Record::FREE_LARGE
        };
        self.set(kind, link(next));
        let word = u32::from(order % 16) << PAYLOAD_BITS | link(previous);
        // ORDERING: Relaxed, see the module.
        self.word.store(word, Ordering::Relaxed);
    }

    /// Makes this an allocated frame with nothing in it.
    #[inline]
    pub(crate) fn set_used(&self) {
        self.set(Record::USED, 0);
        // ORDERING: Relaxed, see the module.
        self.word.store(0, Ordering::Relaxed);
    }

    /// Order, previous and next, where this is the first frame of a free block.
    #[inline]
    pub(crate) fn free_block(&self) -> Option<(u8, Option<u32>, Option<u32>)> {
        let base = match self.kind() {
            Record::FREE => 0,
            Record::FREE_LARGE => 16,
            _ => return None,
        };
        // ORDERING: Relaxed, see the module.
        let word = self.word.load(Ordering::Relaxed);
        // CAST: four bits.
        let order = (word >> PAYLOAD_BITS) as u8 + base;
        Some((order, unlink(word & PAYLOAD_MASK), unlink(self.payload())))
    }
}

/// A list link in 28 bits: 0 is none. Frames are below `MAX_FRAMES`, so `+ 1` fits.
fn link(frame: Option<u32>) -> u32 {
    frame.map_or(0, |frame| frame + 1)
}

fn unlink(link: u32) -> Option<u32> {
    link.checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::Record;

    #[test]
    fn is_eight_bytes() {
        assert_eq!(size_of::<Record>(), 8);
    }

    #[test]
    fn keeps_a_free_block_whole() {
        let record = Record::default();
        assert_eq!(record.kind(), Record::UNMANAGED);
        assert_eq!(record.free_block(), None);
        let last = Record::MAX_FRAMES - 1;
        record.set_free(10, Some(0), Some(last));
        assert_eq!(record.free_block(), Some((10, Some(0), Some(last))));
        record.set_free(0, None, None);
        assert_eq!(record.free_block(), Some((0, None, None)));
        assert!(!record.is_allocated());
        record.set_free(18, Some(1 << 18), Some(last));
        assert_eq!(record.free_block(), Some((18, Some(1 << 18), Some(last))));
        assert!(!record.is_allocated());
        record.set_used();
        assert!(record.is_allocated());
        record.set_cached(Some(last));
        assert_eq!(
            (record.cached(), record.is_allocated()),
            (Some(last), false)
        );
    }

    #[test]
    fn keeps_kind_and_payload_apart() {
        let record = Record::default();
        record.set(15, u32::MAX);
        assert_eq!((record.kind(), record.payload()), (15, (1 << 28) - 1));
        record.set(3, 5);
        assert_eq!((record.kind(), record.payload()), (3, 5));
    }
}
