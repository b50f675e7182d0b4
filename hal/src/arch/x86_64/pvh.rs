//! The PVH start info: memory map, command line, initial archive, RSDP.
//!
//! All of it is hostile input: addresses and counts are checked before use,
//! and what the kernel keeps is copied, so that the loader's pages can be
//! handed out as free memory.

use core::ops::Range;

use crate::boot::memory_map::Ranges;

/// `XEN_HVM_START_MAGIC_VALUE`.
const MAGIC: u32 = 0x336e_c578;

/// Bytes of the start info with the memory map's fields (version 1).
const START_INFO_BYTES: usize = 56;

/// Bytes of a module list entry: address, size, command line, reserved.
const MODULE_BYTES: usize = 32;

/// Bytes of a memory map entry: address, size, type, reserved.
const MEMORY_BYTES: u64 = 24;

/// The memory map's type for ordinary memory.
const TYPE_RAM: u32 = 1;

/// Entries of the memory map that are read at most.
const MEMORY_ENTRIES_MAX: u32 = 1024;

/// Command line bytes that are kept.
pub(crate) const CMDLINE_MAX: usize = 4096;

/// Low memory that is left to firmware (its data areas) and to starting processors.
const LOW_RESERVED: Range<u64> = 0..0x1_0000;

/// What the loader handed over, copied and checked.
#[derive(Debug)]
pub(crate) struct Handover {
    cmdline: [u8; CMDLINE_MAX],
    cmdline_len: usize,
    /// Every page of memory that the machine has.
    pub(crate) ram: Ranges,
    /// The initial archive's place; inside `ram`.
    pub(crate) initramfs: Option<Range<u64>>,
    /// The ACPI root pointer's physical address, unchecked.
    pub(crate) rsdp: Option<u64>,
}

impl Handover {
    /// The command line without its NUL.
    pub(crate) fn cmdline(&self) -> &[u8] {
        self.cmdline.get(..self.cmdline_len).unwrap_or_default()
    }
}

/// A start info that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadHandover {
    /// An address outside the memory that can be read this early.
    Unreadable,
    /// Not a start info.
    Magic,
    /// Too old: no memory map.
    Version,
    /// No usable memory in the map.
    NoMemory,
}

/// Physical memory, as far as it can be read this early.
pub(crate) trait Physical {
    /// Copies bytes from `address`; `None` if any of them is out of reach.
    fn read(&self, address: u64, to: &mut [u8]) -> Option<()>;
}

/// Reads the start info at physical address `start_info`; `image` is the kernel's place.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn read(
    memory: &impl Physical,
    start_info: u64,
    image: &Range<u64>,
) -> Result<Handover, BadHandover> {
    let mut raw = [0; START_INFO_BYTES];
    memory
        .read(start_info, &mut raw)
        .ok_or(BadHandover::Unreadable)?;
    if u32_at(&raw, 0) != MAGIC {
        return Err(BadHandover::Magic);
    }
    if u32_at(&raw, 4) < 1 {
        return Err(BadHandover::Version);
    }
    let ram = memory_map(memory, u64_at(&raw, 40), u32_at(&raw, 48))?;
    let initramfs = match u32_at(&raw, 12) {
        0 => None,
        _ => module(memory, u64_at(&raw, 16)).filter(|range| {
            // Only whole pages of memory, and not the kernel's, can become
            // frames; the map ends on pages too.
            let range = range.start / 4096 * 4096..range.end;
            ram.contains(&range) && (range.end <= image.start || image.end <= range.start)
        }),
    };
    let mut handover = Handover {
        cmdline: [0; CMDLINE_MAX],
        cmdline_len: 0,
        ram,
        initramfs,
        rsdp: Some(u64_at(&raw, 32)).filter(|address| *address != 0),
    };
    handover.cmdline_len = command_line(memory, u64_at(&raw, 24), &mut handover.cmdline);
    Ok(handover)
}

// ANCHOR: memory_map
/// The usable memory of the map at `address`.
fn memory_map(memory: &impl Physical, address: u64, count: u32) -> Result<Ranges, BadHandover> {
    let entries = u64::from(count.min(MEMORY_ENTRIES_MAX));
    let mut ranges = Ranges::new();
    // Memory first, then everything that is not memory: the latter wins.
    for ram in [true, false] {
        for index in 0..entries {
            let mut raw = [0; MEMORY_BYTES as usize];
            address
                .checked_add(index * MEMORY_BYTES)
                .and_then(|at| memory.read(at, &mut raw))
                .ok_or(BadHandover::Unreadable)?;
            let start = u64_at(&raw, 0);
            let range = start..start.saturating_add(u64_at(&raw, 8));
            match (u32_at(&raw, 16) == TYPE_RAM, ram) {
                (true, true) => ranges.add(range),
                (false, false) => ranges.remove(range),
                _ => {}
            }
        }
    }
    ranges.remove(LOW_RESERVED);
    if ranges.is_empty() {
        return Err(BadHandover::NoMemory);
    }
    Ok(ranges)
}
// ANCHOR_END: memory_map

/// The first module's place.
fn module(memory: &impl Physical, address: u64) -> Option<Range<u64>> {
    let mut raw = [0; MODULE_BYTES];
    memory.read(address, &mut raw)?;
    let start = u64_at(&raw, 0);
    let end = start.checked_add(u64_at(&raw, 8))?;
    (start < end).then_some(start..end)
}

/// Copies the command line; returns its length without the NUL.
fn command_line(memory: &impl Physical, address: u64, to: &mut [u8]) -> usize {
    if address == 0 {
        return 0;
    }
    for (index, byte) in to.iter_mut().enumerate() {
        let mut one = [0];
        let read = address
            .checked_add(index as u64)
            .and_then(|at| memory.read(at, &mut one));
        if read.is_none() || one == [0] {
            return index;
        }
        *byte = one[0];
    }
    to.len()
}

/// The little-endian value at `at`; zero past the end (never asked for).
fn u32_at(raw: &[u8], at: usize) -> u32 {
    let bytes = raw.get(at..).and_then(|rest| rest.first_chunk());
    bytes.copied().map_or(0, u32::from_le_bytes)
}

/// See [`u32_at`].
fn u64_at(raw: &[u8], at: usize) -> u64 {
    let bytes = raw.get(at..).and_then(|rest| rest.first_chunk());
    bytes.copied().map_or(0, u64::from_le_bytes)
}

#[cfg(test)]
mod tests;
