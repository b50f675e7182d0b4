//! Addresses translated through each kind of mapping.

use alloc::vec::Vec;

use ochre_paging::{Attributes, Rights, TableMemory, map};

use crate::arch::machine::layout;
use crate::arch::machine::paging::Machine;
use crate::boot::image;
use crate::ktest;
use crate::memory::kernel_map::Direct;
use crate::memory::table::Table;
use crate::memory::walk::{self, Target, walk_kernel};
use crate::memory::{PAGE_SIZE, frames};

const PAGE: u64 = PAGE_SIZE as u64;
const MIB_2: u64 = 2 << 20;
const GIB_1: u64 = 1 << 30;

/// Tables of which no processor knows, given back in the end.
struct Scratch {
    tables: Vec<u64>,
}

impl TableMemory for Scratch {
    fn read(&self, table: u64, index: usize) -> u64 {
        Direct.read(table, index)
    }

    fn write(&mut self, table: u64, index: usize, entry: u64) {
        Direct.write(table, index, entry);
    }

    fn allocate(&mut self) -> Option<u64> {
        let table = Direct.allocate()?;
        self.tables.push(table);
        Some(table)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let mut list = frames::FrameList::new();
        for table in &self.tables {
            for index in 0..ochre_paging::ENTRIES {
                Direct.write(*table, index, 0);
            }
            // CAST: a frame number, of 28 bits.
            list.push((table / PAGE) as u32);
        }
        frames::free_tables(list);
    }
}

/// Where an address leads to: the physical address, and how many bytes are mapped as one.
fn translate(walk: impl FnOnce(&mut dyn FnMut(&walk::Step)), address: u64) -> Option<(u64, u64)> {
    let mut found = None;
    walk(&mut |step| {
        if let Target::Memory {
            frame,
            len,
            kept: false,
        } = step.target
        {
            found = Some((frame * PAGE + address % len, len));
        }
    });
    found
}

#[ktest]
fn addresses_translate_through_pages_of_4_kib_2_mib_and_1_gib() {
    let mut scratch = Scratch { tables: Vec::new() };
    let root_address = scratch.allocate().expect("the machine has memory");
    let root = Table::new().expect("the machine has memory");
    scratch.tables.push(u64::from(root.frame()) * PAGE);
    let rights = Attributes {
        rights: Rights::WRITE,
        ..Attributes::default()
    };
    // Each at an address of its own, and one at its own number: identity.
    for (at, physical, len, level) in [
        (0x12_3456_7000, 0x7000, PAGE, 0),
        (0x21_0020_0000, 0x60_0000, MIB_2, 1),
        (0x40_0000_0000, GIB_1, GIB_1, 2),
        (5 * GIB_1, 5 * GIB_1, GIB_1, 2),
    ] {
        let range = at..at + len;
        map::<Machine>(&mut scratch, root_address, range, physical, rights, level)
            .expect("there is memory and nothing in the way");
        let look = |address| {
            // SAFETY: the test's own table, which lives as long as `scratch`.
            let table = unsafe { Table::at((root_address / PAGE) as u32) };
            translate(|see| walk::walk(table, address, see), address)
        };
        for offset in [0, 1, len / 2 + 5, len - 1] {
            assert_eq!(look(at + offset), Some((physical + offset, len)));
        }
        assert_eq!(look(at + len), None, "nothing is behind it");
        assert_eq!(look(at - 1), None, "nothing is before it");
    }
    // One that was never mapped, and an empty root.
    assert_eq!(translate(|see| walk::walk(root, 0x1000, see), 0x1000), None);
}

#[ktest]
fn the_kernels_own_addresses_translate() {
    let look = |address| translate(|see| walk_kernel(address, see), address);
    let text = image::text().start + 0x123;
    assert_eq!(look(text), Some((layout::to_physical(text), PAGE)));
    // Somewhere in the direct map there are huge pages.
    let mut largest = None;
    walk::visit_kernel(|block| {
        if largest.as_ref().is_none_or(|(_, len)| block.entry > *len) {
            largest = Some((block.range.start, block.entry));
        }
    });
    let (start, len) = largest.expect("the kernel is mapped");
    assert!(len >= MIB_2, "the largest page has {len} bytes");
    let address = start + len / 2 + 0x45;
    assert_eq!(look(address), Some((address - layout::direct_map(), len)));
    assert_eq!(look(0xffff_fe00_0000_0000), None);
    assert_eq!(look(0x1000), None, "not the kernel's");
}
