//! The buddy system over bytes: blocks of powers of two, split and merged.
//!
//! A request takes a block of the next power of two; a larger one is halved
//! until it fits. When a block is freed and its *buddy* (the other half, whose
//! address differs in one bit) is free, too, they become one again, and so on
//! upwards. Both operations take one step for each order at most.
//!
//! ```text
//! order 3 |               free               |     allocate 1 unit:
//! order 2 |       split      |     free      |
//! order 1 | split  |  free   |     free      |
//! order 0 |used|free|  free  |     free      |
//!           0x0  0x20  0x40        0x80            buddy(0x40, 1) = 0x40 ^ 0x40 = 0x0
//! ```
//!
//! Whether a buddy is free is one byte to look at: each region keeps a *tag*
//! for each of its units of 32 bytes. Blocks are aligned to their size in the
//! address space, not in the region, so every alignment is served that fits;
//! a region's odd edges become smaller blocks.
//!
//! ```text
//! region | header | tags: one byte for each unit | units ...                |
//! tag    0: no free block begins here    n + 1: a free block of order n does
//! ```
//!
//! # Invariants
//! 1. A tag is not zero exactly where a free block begins; the block is on the
//!    list of its order, and no part of it is allocated.
//! 2. No two buddies of one order, in one region, are both free.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::heap::{Heap, OutOfMemory, Region};

/// Bytes of the smallest block, as a power of two.
const UNIT_SHIFT: u32 = 5;
const UNIT: usize = 1 << UNIT_SHIFT;
/// The largest block is a gigabyte.
const ORDERS: usize = 26;

/// What a region begins with; the tags follow.
#[repr(C)]
#[derive(Debug)]
struct Header {
    next: Option<NonNull<Header>>,
    /// The first unit, and how many there are.
    base: NonNull<u8>,
    units: usize,
}

/// What a free block begins with.
#[repr(C)]
#[derive(Debug)]
struct Node {
    next: Option<NonNull<Node>>,
    previous: Option<NonNull<Node>>,
    region: NonNull<Header>,
}

const _: () = assert!(size_of::<Node>() <= UNIT);

/// A heap of buddies; see the module's picture in the README.
#[derive(Debug)]
pub struct BuddyHeap {
    lists: [Option<NonNull<Node>>; ORDERS],
    regions: Option<NonNull<Header>>,
    free: usize,
}

// SAFETY: the regions are the heap's alone, so they move with it.
unsafe impl Send for BuddyHeap {}

impl Default for BuddyHeap {
    fn default() -> BuddyHeap {
        BuddyHeap::new()
    }
}

impl BuddyHeap {
    /// A heap without memory.
    #[must_use]
    pub const fn new() -> BuddyHeap {
        BuddyHeap {
            lists: [None; ORDERS],
            regions: None,
            free: 0,
        }
    }

    /// Bytes in free blocks.
    #[must_use]
    pub fn free_bytes(&self) -> usize {
        self.free
    }

    /// The region that an address lies in.
    #[inline]
    fn region_of(&self, address: usize) -> Option<NonNull<Header>> {
        let mut next = self.regions;
        while let Some(at) = next {
            // SAFETY: regions on the list are valid, and never change.
            let region = unsafe { at.as_ref() };
            if address.wrapping_sub(region.base.addr().get()) >> UNIT_SHIFT < region.units {
                return Some(at);
            }
            next = region.next;
        }
        None
    }

    /// Where the tag of the unit at an address is; `None` outside of the region.
    #[inline]
    fn tag(region: NonNull<Header>, address: usize) -> Option<NonNull<u8>> {
        // SAFETY: regions are valid, and never change.
        let header = unsafe { region.as_ref() };
        let unit = address.wrapping_sub(header.base.addr().get()) >> UNIT_SHIFT;
        if unit >= header.units {
            return None;
        }
        // SAFETY: the tags follow the header.
        let tags = unsafe { region.add(1) }.cast::<u8>();
        // SAFETY: one for each unit.
        Some(unsafe { tags.add(unit) })
    }

    fn set_tag(region: NonNull<Header>, address: usize, value: u8) {
        if let Some(tag) = BuddyHeap::tag(region, address) {
            // SAFETY: tags are the heap's, and `&mut self` of the callers makes this the only access.
            unsafe { tag.write(value) };
        }
    }

    /// Whether a free block of exactly this order begins at the address.
    #[inline]
    fn is_free(region: NonNull<Header>, address: usize, order: usize) -> bool {
        BuddyHeap::tag(region, address).is_some_and(|tag| {
            // SAFETY: as in `set_tag`.
            usize::from(unsafe { tag.read() }) == order + 1
        })
    }

    /// Puts a block on its list.
    fn push(&mut self, region: NonNull<Header>, block: NonNull<u8>, order: usize) {
        let Some(list) = self.lists.get_mut(order) else {
            return;
        };
        let node = block.cast::<Node>();
        let next = list.replace(node);
        if let Some(mut next) = next {
            // SAFETY: blocks on a list are free and hold a node (invariant 1).
            unsafe { next.as_mut() }.previous = Some(node);
        }
        let value = Node {
            next,
            previous: None,
            region,
        };
        // SAFETY: a unit at least, aligned to it, free.
        unsafe { node.write(value) };
        // CAST: below ORDERS.
        BuddyHeap::set_tag(region, block.addr().get(), order as u8 + 1);
        self.free += UNIT << order;
    }

    /// Takes a block off its list.
    fn unlink(&mut self, node: NonNull<Node>, order: usize) -> NonNull<Header> {
        // SAFETY: blocks on a list are free and hold a node (invariant 1).
        let Node {
            next,
            previous,
            region,
        } = unsafe { node.read() };
        match previous {
            // SAFETY: as above.
            Some(mut previous) => unsafe { previous.as_mut() }.next = next,
            None => {
                if let Some(list) = self.lists.get_mut(order) {
                    *list = next;
                }
            }
        }
        if let Some(mut next) = next {
            // SAFETY: as above.
            unsafe { next.as_mut() }.previous = previous;
        }
        BuddyHeap::set_tag(region, node.addr().get(), 0);
        self.free -= UNIT << order;
        region
    }

    /// Makes a block free, merged with its buddies.
    fn give(&mut self, region: NonNull<Header>, block: NonNull<u8>, order: usize) {
        let (mut block, mut order) = (block, order);
        while order + 1 < ORDERS {
            let size = UNIT << order;
            let address = block.addr().get();
            let buddy = address ^ size;
            if !BuddyHeap::is_free(region, buddy, order) {
                break;
            }
            let (low, high) = if buddy < address {
                // SAFETY: the buddy is in the same region, right below.
                let low = unsafe { block.sub(size) };
                (low, low)
            } else {
                // SAFETY: the buddy is in the same region, right above.
                (block, unsafe { block.add(size) })
            };
            self.unlink(high.cast(), order);
            block = low;
            order += 1;
        }
        self.push(region, block, order);
    }

    /// In checked builds: no part of the block is free.
    fn check_allocated(region: NonNull<Header>, address: usize, order: usize) {
        assert!(
            address.is_multiple_of(UNIT << order),
            "freed at an address that is no block's"
        );
        for part in (address..address + (UNIT << order)).step_by(UNIT) {
            let tag = BuddyHeap::tag(region, part).map(|tag| {
                // SAFETY: as in `set_tag`.
                unsafe { tag.read() }
            });
            assert_eq!(tag, Some(0), "a block is freed twice");
        }
        for larger in order + 1..ORDERS {
            let around = address & !((UNIT << larger) - 1);
            assert!(
                !BuddyHeap::is_free(region, around, larger),
                "a block is freed twice"
            );
        }
    }
}

/// The order that serves a layout.
#[inline]
fn order_of(layout: Layout) -> Option<usize> {
    let size = layout.size().max(layout.align()).max(UNIT);
    let order = size.checked_next_power_of_two()?.trailing_zeros() - UNIT_SHIFT;
    ((order as usize) < ORDERS).then_some(order as usize)
}

// SAFETY: a block that leaves its list is nobody's (invariant 1); it is
// aligned to its size, which is no less than the request's size and alignment.
unsafe impl Heap for BuddyHeap {
    fn allocate(&mut self, layout: Layout) -> Result<NonNull<u8>, OutOfMemory> {
        let order = order_of(layout).ok_or(OutOfMemory)?;
        let mut found = order;
        let node = loop {
            match self.lists.get(found) {
                Some(Some(node)) => break *node,
                Some(None) => found += 1,
                None => return Err(OutOfMemory),
            }
        };
        let region = self.unlink(node, found);
        let block = node.cast::<u8>();
        for smaller in (order..found).rev() {
            // SAFETY: the upper half of a block of the next order.
            let half = unsafe { block.add(UNIT << smaller) };
            self.push(region, half, smaller);
        }
        Ok(block)
    }

    unsafe fn free(&mut self, memory: NonNull<u8>, layout: Layout) {
        let address = memory.addr().get();
        let (Some(order), Some(region)) = (order_of(layout), self.region_of(address)) else {
            debug_assert!(false, "freed, but not from here");
            return;
        };
        if cfg!(debug_assertions) {
            BuddyHeap::check_allocated(region, address, order);
        }
        // SAFETY: regions are valid, and never change.
        let base = unsafe { region.as_ref() }.base;
        // SAFETY: `region_of` found the address inside of the region; from
        // its base, so that neighbours may be reached.
        let block = unsafe { base.add(address - base.addr().get()) };
        self.give(region, block, order);
    }

    unsafe fn resize(&mut self, _: NonNull<u8>, old: Layout, new_size: usize) -> bool {
        Layout::from_size_align(new_size, old.align())
            .is_ok_and(|new| order_of(new).is_some() && order_of(new) == order_of(old))
    }
}

// SAFETY: a region of twice the block's size has a block of that size aligned
// to it; `room_for` adds header and tags.
unsafe impl Region for BuddyHeap {
    fn room_for(layout: Layout) -> Option<usize> {
        let block = UNIT.checked_shl(u32::try_from(order_of(layout)?).ok()?)?;
        let room = block.checked_mul(2)?;
        let tags = room / (UNIT - 1) + 1;
        room.checked_add(tags)?
            .checked_add(size_of::<Header>() + 2 * UNIT)
    }

    unsafe fn add(&mut self, start: NonNull<u8>, len: usize) {
        let padding = start.align_offset(align_of::<Header>());
        // Header and tags, then whole units.
        let head = padding.saturating_add(size_of::<Header>());
        let most = len.saturating_sub(head) / (UNIT + 1);
        let first = start.addr().get().saturating_add(head).saturating_add(most);
        let base = first.saturating_add(UNIT - 1) / UNIT * UNIT;
        let skipped = base - start.addr().get();
        let units = len.saturating_sub(skipped) / UNIT;
        let units = units.min(most);
        if units == 0 {
            return;
        }
        // SAFETY: in the region, for `units` is not zero.
        let region = unsafe { start.add(padding) }.cast::<Header>();
        // SAFETY: as above.
        let base = unsafe { start.add(skipped) };
        let header = Header {
            next: self.regions,
            base,
            units,
        };
        // SAFETY: the bytes are the heap's, aligned, before the first unit.
        unsafe { region.write(header) };
        // SAFETY: `most` tags fit between the header and the base.
        let tags = unsafe { region.add(1) }.cast::<u8>();
        // SAFETY: as above.
        unsafe { tags.write_bytes(0, units) };
        self.regions = Some(region);
        let mut offset = 0;
        while offset < units * UNIT {
            let by_alignment = (base.addr().get() + offset).trailing_zeros() - UNIT_SHIFT;
            let by_size = (units - offset / UNIT).ilog2();
            // CAST: at most 63.
            let order = (by_alignment.min(by_size) as usize).min(ORDERS - 1);
            // SAFETY: `offset` is inside of the units.
            self.push(region, unsafe { base.add(offset) }, order);
            offset += UNIT << order;
        }
    }
}

#[cfg(test)]
mod tests;
