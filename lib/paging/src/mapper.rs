//! Writing tables: a range of addresses to a range of memory, with the largest
//! blocks that fit.
//!
//! For tables that are built once (the kernel's own). Tables that change all
//! the time want a faster way that counts what it does.

use core::ops::Range;

use crate::address::{PAGE_SIZE, index, is_page_aligned, span};
use crate::format::{Attributes, Entry, Format, Rights};
use crate::walker::TableMemory;

/// Why a range could not be mapped. What was mapped before stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapError {
    /// No memory for a table.
    OutOfMemory,
    /// Something is mapped there already, from this address on.
    Occupied(u64),
    /// An address is not at a page, or a range runs over the end.
    Unaligned,
}

/// Maps `range` to physical memory from `physical` on. Blocks stand at levels
/// up to `max_level`.
///
/// # Errors
/// See [`MapError`].
pub fn map<F: Format>(
    memory: &mut impl TableMemory,
    root: u64,
    range: Range<u64>,
    physical: u64,
    attributes: Attributes,
    max_level: u32,
) -> Result<(), MapError> {
    let len = range.end.checked_sub(range.start);
    let len = len.ok_or(MapError::Unaligned)?;
    if !is_page_aligned(range.start | physical | len) || physical.checked_add(len).is_none() {
        return Err(MapError::Unaligned);
    }
    let max_level = max_level.min(F::MAX_LEAF_LEVEL);
    let mut done = 0;
    while done < len {
        let (address, physical) = (range.start + done, physical + done);
        let level = (0..=max_level)
            .rev()
            .find(|&level| {
                let mask = span(level) - 1;
                (address | physical) & mask == 0 && len - done >= span(level)
            })
            .unwrap_or(0);
        let table = table_at::<F>(memory, root, address, level, attributes.rights)?;
        let index = index(address, level);
        if F::decode(memory.read(table, index), level) != Entry::Empty {
            return Err(MapError::Occupied(address));
        }
        memory.write(table, index, F::leaf(physical, level, attributes));
        done += span(level).max(PAGE_SIZE);
    }
    Ok(())
}

/// The table at `level` that `address` goes through, made if it is not there.
fn table_at<F: Format>(
    memory: &mut impl TableMemory,
    root: u64,
    address: u64,
    level: u32,
    rights: Rights,
) -> Result<u64, MapError> {
    let mut table = root;
    for above in (level + 1..F::LEVELS).rev() {
        let index = index(address, above);
        table = match F::decode(memory.read(table, index), above) {
            Entry::Table(next) => next,
            Entry::Empty => {
                let next = memory.allocate().ok_or(MapError::OutOfMemory)?;
                let user = rights.contains(Rights::USER);
                memory.write(table, index, F::table(next, user));
                next
            }
            _ => return Err(MapError::Occupied(address)),
        };
    }
    Ok(table)
}

#[cfg(test)]
mod tests;
