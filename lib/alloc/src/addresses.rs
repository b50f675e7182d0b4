//! The buddy system over addresses that are not memory: windows for devices'
//! registers, say, where PCI wants each BAR aligned to its size.
//!
//! Nothing can be kept in what is managed, and the windows are far larger than
//! what is used of them, so the free blocks are a table of `N`, outside. A
//! window is cut into the largest aligned blocks; a request splits the smallest
//! block that holds it, a free merges buddies.
//!
//! ```text
//! window    0xe000_0000 ..                        0xf000_0000
//! free      | 64 K | 64 K used | 128 K | ... |      128 M    |
//! ```
//!
//! The table is small and looked through from one end to the other: this is
//! done at boot or when a device appears. A table that is full is an error,
//! not a loss: a request that would need room for its halves is refused, and a
//! free that finds no room says so.

use crate::heap::OutOfMemory;

/// Free blocks of addresses, up to `N` of them.
///
/// ```
/// use ochre_alloc::Addresses;
///
/// let mut window: Addresses<64> = Addresses::new();
/// window.add(0xe000_0000, 0x1000_0000)?;
/// let bar = window.allocate(0x1_0000)?;
/// assert_eq!(bar % 0x1_0000, 0);
/// window.free(bar, 0x1_0000)?;
/// # Ok::<(), ochre_alloc::AddressError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Addresses<const N: usize> {
    free: [Block; N],
    len: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Block {
    start: u64,
    order: u8,
}

/// Why addresses were not given or taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressError {
    /// No free block is large enough.
    Exhausted,
    /// The table has no room for the free blocks that there would be.
    Full,
    /// The size is zero, or the range wraps around or is not aligned to its size.
    Malformed,
    /// A part of the range is free already.
    AlreadyFree,
}

impl core::fmt::Display for AddressError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            AddressError::Exhausted => "no free block of addresses is large enough",
            AddressError::Full => "the table of free blocks is full",
            AddressError::Malformed => "a malformed range of addresses",
            AddressError::AlreadyFree => "a part of the range is free already",
        })
    }
}

impl core::error::Error for AddressError {}

impl From<AddressError> for OutOfMemory {
    fn from(_: AddressError) -> OutOfMemory {
        OutOfMemory
    }
}

impl Block {
    /// The last address, included: a block may end where addresses end.
    fn last(self) -> u64 {
        self.start | ((1_u64 << self.order) - 1)
    }

    fn meets(self, other: Block) -> bool {
        self.start <= other.last() && other.start <= self.last()
    }
}

impl<const N: usize> Default for Addresses<N> {
    fn default() -> Addresses<N> {
        Addresses::new()
    }
}

impl<const N: usize> Addresses<N> {
    /// No addresses.
    #[must_use]
    pub const fn new() -> Addresses<N> {
        Addresses {
            free: [Block { start: 0, order: 0 }; N],
            len: 0,
        }
    }

    /// Gives a window of any size and alignment.
    ///
    /// # Errors
    /// The window is malformed, or meets what is free, or the table has no room
    /// for its blocks; then nothing has changed.
    pub fn add(&mut self, start: u64, len: u64) -> Result<(), AddressError> {
        let last = len
            .checked_sub(1)
            .and_then(|len| start.checked_add(len))
            .ok_or(AddressError::Malformed)?;
        let before = self.clone();
        let mut next = start;
        loop {
            // At most 63: a block of all addresses has no size in 64 bits.
            let by_alignment = next.trailing_zeros().min(63);
            let left = last - next;
            let by_size = left.checked_add(1).map_or(63, u64::ilog2);
            // CAST: at most 63.
            let order = by_alignment.min(by_size) as u8;
            let block = Block { start: next, order };
            if let Err(error) = self.insert(block) {
                *self = before;
                return Err(error);
            }
            if block.last() == last {
                return Ok(());
            }
            next = block.last() + 1;
        }
    }

    /// The start of `size` addresses, rounded up to a power of two and aligned to it.
    ///
    /// # Errors
    /// [`AddressError::Exhausted`], [`Full`](AddressError::Full) if the halves
    /// would not fit in the table, [`Malformed`](AddressError::Malformed) for
    /// a size that cannot be rounded.
    pub fn allocate(&mut self, size: u64) -> Result<u64, AddressError> {
        let order = order_of(size)?;
        let found = (0..self.len)
            .filter(|&at| self.free[at].order >= order)
            .min_by_key(|&at| (self.free[at].order, self.free[at].start))
            .ok_or(AddressError::Exhausted)?;
        let block = self.free[found];
        let halves = usize::from(block.order - order);
        if self.len - 1 + halves > N {
            return Err(AddressError::Full);
        }
        self.remove(found);
        for smaller in order..block.order {
            let half = Block {
                start: block.start + (1 << smaller),
                order: smaller,
            };
            self.push(half)?;
        }
        Ok(block.start)
    }

    /// Takes addresses back, with the size that they were asked for with.
    ///
    /// # Errors
    /// A part of them is free already, or they cannot have come from
    /// [`allocate`](Addresses::allocate), or the table is full; then nothing
    /// has changed.
    pub fn free(&mut self, start: u64, size: u64) -> Result<(), AddressError> {
        let order = order_of(size)?;
        if start & ((1 << order) - 1) != 0 {
            return Err(AddressError::Malformed);
        }
        self.insert(Block { start, order })
    }

    /// How many addresses are free.
    #[must_use]
    pub fn free_addresses(&self) -> u128 {
        self.blocks().map(|block| 1_u128 << block.order).sum()
    }

    fn blocks(&self) -> impl Iterator<Item = Block> {
        self.free.iter().copied().take(self.len)
    }

    /// Makes a block free, merged with its buddies.
    fn insert(&mut self, block: Block) -> Result<(), AddressError> {
        if self.blocks().any(|free| free.meets(block)) {
            return Err(AddressError::AlreadyFree);
        }
        let mut block = block;
        while block.order < 63 {
            let buddy = Block {
                start: block.start ^ (1 << block.order),
                order: block.order,
            };
            let Some(at) = self.blocks().position(|free| free == buddy) else {
                break;
            };
            self.remove(at);
            block = Block {
                start: block.start.min(buddy.start),
                order: block.order + 1,
            };
        }
        self.push(block)
    }

    fn push(&mut self, block: Block) -> Result<(), AddressError> {
        let slot = self.free.get_mut(self.len).ok_or(AddressError::Full)?;
        *slot = block;
        self.len += 1;
        Ok(())
    }

    fn remove(&mut self, at: usize) {
        self.len -= 1;
        self.free.swap(at, self.len);
    }
}

fn order_of(size: u64) -> Result<u8, AddressError> {
    if size == 0 {
        return Err(AddressError::Malformed);
    }
    let size = size
        .checked_next_power_of_two()
        .ok_or(AddressError::Malformed)?;
    // CAST: at most 63.
    Ok(size.trailing_zeros() as u8)
}

#[cfg(test)]
mod tests;
