//! The kernel half of every address space.
//!
//! ```text
//! ffff_8000_0000_0000  direct map of all memory (W, no execution)
//! ffff_c000_0000_0000  device registers (W, no execution, uncached);
//!                      constants that come at boot (no execution)
//! ffff_d000_0000_0000  kernel stacks, an unmapped page below each
//! ffff_e000_0000_0000  where programs have tables of their own: what those show
//! ffff_ffff_8000_0000  the kernel image: code (X), constants, data (W)
//! ```
//! Each begins there or, where the machine's boot code moves things, somewhere
//! behind.
//! The root's entries for all four are made at boot, so that later mappings
//! show in every address space. Kernel mappings are global and never undone.

use core::ops::Range;

use ochre_paging::{Attributes, MapError, Memory, Rights, TableMemory, map};
use ochre_sync::SpinLock;
use ochre_sync::primitive::atomic::Ordering;

use crate::arch::machine::paging::Machine;
use crate::arch::machine::{apart, layout, tlb};
use crate::boot::{image, places};

use super::table::Table;
use super::{OutOfMemory, PAGE_SIZE, mmio, space, stacks};

/// Where device registers are mapped.
pub(super) const MMIO: Range<u64> = 0xffff_c000_0000_0000..0xffff_c080_0000_0000;

/// Where kernel stacks are mapped.
pub(super) const STACKS: Range<u64> = 0xffff_d000_0000_0000..0xffff_d080_0000_0000;

/// Where that is mapped which programs' own tables show of the kernel: empty,
/// and no table for it, where they have none.
pub(crate) const APART: Range<u64> = 0xffff_e000_0000_0000..0xffff_e080_0000_0000;

const ROOT_LEVEL: u32 = 3;

/// Held while the kernel's tables change. Taken before the frame allocator's lock.
static CHANGING: SpinLock<()> = SpinLock::new(());

/// Attributes of the kernel's data.
pub(crate) fn data() -> Attributes {
    kernel(Rights::WRITE)
}

/// Attributes of what is only read.
pub(crate) fn constants() -> Attributes {
    kernel(Rights::empty())
}

/// Attributes of device registers.
pub(super) fn device() -> Attributes {
    Attributes {
        memory: Memory::Device,
        ..data()
    }
}

/// Attributes of the kernel's code.
pub(crate) fn code() -> Attributes {
    kernel(Rights::EXECUTE)
}

fn kernel(rights: Rights) -> Attributes {
    Attributes {
        rights: rights | Rights::GLOBAL,
        // Set already, so that the processor need not.
        accessed: true,
        dirty: rights.contains(Rights::WRITE),
        ..Attributes::default()
    }
}

/// Tables in the direct map.
pub(super) struct Direct;

impl TableMemory for Direct {
    fn read(&self, table: u64, index: usize) -> u64 {
        at(table).load(index)
    }

    fn write(&mut self, table: u64, index: usize, entry: u64) {
        // ORDERING: Release: a processor that sees the entry sees the table behind it.
        if let Some(place) = at(table).entries().get(index) {
            place.store(entry, Ordering::Release);
        }
    }

    fn allocate(&mut self) -> Option<u64> {
        let table = Table::new().ok()?;
        Some(u64::from(table.frame()) * PAGE_SIZE as u64)
    }
}

fn at(table: u64) -> Table {
    // CAST: tables come from `allocate` or from entries, with 28-bit frame numbers.
    let frame = (table / PAGE_SIZE as u64) as u32;
    // SAFETY: the kernel's tables are never freed; a program's are not while
    // its owner lends them to `walk`.
    unsafe { Table::at(frame) }
}

/// Builds the kernel's root: the image, `memory` in the direct map, and the
/// entries for what comes later. Tables come from the frame allocator and must
/// be in the boot code's mapping.
pub(super) fn build(
    memory: impl Iterator<Item = Range<u64>>,
    huge_blocks: bool,
) -> Result<Table, MapError> {
    let root = Table::new().map_err(|OutOfMemory| MapError::OutOfMemory)?;
    let root_address = u64::from(root.frame()) * PAGE_SIZE as u64;
    let put = |range: Range<u64>, physical, attributes, max_level| {
        map::<Machine>(
            &mut Direct,
            root_address,
            range,
            physical,
            attributes,
            max_level,
        )
    };
    let down = |range: Range<u64>| layout::to_physical(range.start);
    let (text, rodata, data_range) = (image::text(), image::rodata(), image::data());
    put(text.clone(), down(text), code(), 0)?;
    put(rodata.clone(), down(rodata), constants(), 0)?;
    // The guard pages of the image's own stacks are left out.
    let mut at = data_range.start;
    while at < data_range.end {
        let end = at + PAGE_SIZE as u64;
        if !layout::guard_pages().contains(&at) {
            put(at..end, layout::to_physical(at), data(), 0)?;
        }
        at = end;
    }
    let max_level = if huge_blocks { 2 } else { 1 };
    for range in memory {
        let start = layout::direct_map() + range.start;
        let end = layout::direct_map() + range.end;
        put(start..end, range.start, data(), max_level)?;
    }
    let [stacks_offset, devices_offset] = places::window_offsets();
    stacks::start_at(stacks_offset);
    mmio::start_at(devices_offset);
    let windows = [Some(MMIO), Some(STACKS), apart::is_on().then_some(APART)];
    for window in windows.into_iter().flatten() {
        let table = Direct.allocate().ok_or(MapError::OutOfMemory)?;
        let index = ochre_paging::index(window.start, ROOT_LEVEL);
        let entry = <Machine as ochre_paging::Format>::table(table, false);
        Direct.write(root_address, index, entry);
    }
    Ok(root)
}

/// Maps pages in one of the kernel's windows, for ever.
///
/// # Errors
/// No memory for a table; nothing, or the beginning, is mapped then.
pub(crate) fn add(
    range: Range<u64>,
    physical: u64,
    attributes: Attributes,
) -> Result<(), OutOfMemory> {
    assert!(
        [MMIO, STACKS, APART]
            .iter()
            .any(|window| window.start <= range.start && range.end <= window.end),
        "a kernel mapping outside of its window"
    );
    let root = space::kernel_root().ok_or(OutOfMemory)?;
    let root_address = u64::from(root.frame()) * PAGE_SIZE as u64;
    let guard = CHANGING.lock();
    let result = map::<Machine>(&mut Direct, root_address, range, physical, attributes, 0);
    tlb::publish();
    drop(guard);
    match result {
        Ok(()) => Ok(()),
        Err(MapError::OutOfMemory) => Err(OutOfMemory),
        Err(error) => panic!("the kernel mapped over itself: {error:?}"),
    }
}
