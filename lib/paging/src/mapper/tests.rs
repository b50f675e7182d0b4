//! Maps, walks and visits, in both formats, over tables in a hash map.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::{ProptestConfig, prop_assert_eq, proptest};

use super::{MapError, map};
use crate::format::{Attributes, Entry, Format, Rights};
use crate::walker::{TableMemory, visit, walk};
use crate::{Arm, ENTRIES, PAGE_SIZE, X86, index, span};

struct Tables {
    tables: HashMap<u64, [u64; ENTRIES]>,
    next: u64,
    limit: usize,
}

impl Tables {
    fn new(limit: usize) -> Tables {
        let mut tables = Tables {
            tables: HashMap::new(),
            next: ROOT,
            limit,
        };
        assert_eq!(tables.allocate(), Some(ROOT));
        tables
    }
}

const ROOT: u64 = 0x10_0000;

impl TableMemory for Tables {
    fn read(&self, table: u64, index: usize) -> u64 {
        self.tables[&table][index]
    }

    fn write(&mut self, table: u64, index: usize, entry: u64) {
        let table = self.tables.get_mut(&table).expect("a table made before");
        table[index] = entry;
    }

    fn allocate(&mut self) -> Option<u64> {
        if self.tables.len() == self.limit {
            return None;
        }
        let table = self.next;
        self.next += PAGE_SIZE;
        self.tables.insert(table, [0; ENTRIES]);
        Some(table)
    }
}

fn data() -> Attributes {
    Attributes {
        rights: Rights::WRITE | Rights::GLOBAL,
        ..Attributes::default()
    }
}

fn uses_the_largest_blocks<F: Format>(max_level: u32, expected_tables: usize) {
    let mut tables = Tables::new(usize::MAX);
    let base = 0xffff_8000_0000_0000;
    let len = (2 << 30) + (4 << 20) + 0x3000;
    let mapped = map::<F>(&mut tables, ROOT, base..base + len, 0, data(), max_level);
    assert_eq!(mapped, Ok(()));
    assert_eq!(tables.tables.len(), expected_tables);
    let mut sum = 0;
    visit::<F>(&tables, ROOT, base..base + len, |leaf| {
        assert_eq!(leaf.virtual_address, base + sum);
        assert_eq!(leaf.physical_address, sum);
        assert_eq!(leaf.attributes, data());
        sum += leaf.len;
    });
    assert_eq!(sum, len);
}

#[test]
fn blocks_keep_the_tables_few() {
    // Root, one of level 2, one of level 1, one of level 0.
    uses_the_largest_blocks::<X86>(2, 4);
    uses_the_largest_blocks::<Arm>(2, 4);
    // Three of level 1 without 1 GiB blocks.
    uses_the_largest_blocks::<X86>(1, 6);
    uses_the_largest_blocks::<Arm>(1, 6);
}

#[test]
fn errors_are_told_apart() {
    let mut tables = Tables::new(4);
    let mut to = |range, physical| map::<X86>(&mut tables, ROOT, range, physical, data(), 2);
    assert_eq!(to(0x1000..0x2000, 0x123), Err(MapError::Unaligned));
    assert_eq!(to(0x1000..0x2001, 0), Err(MapError::Unaligned));
    let backwards = core::ops::Range {
        start: 0x2000,
        end: 0x1000,
    };
    assert_eq!(to(backwards, 0), Err(MapError::Unaligned));
    assert_eq!(to(0x1000..0x3000, 0), Ok(()));
    assert_eq!(to(0x2000..0x3000, 0), Err(MapError::Occupied(0x2000)));
    assert_eq!(to(0..0x20_0000, 0), Err(MapError::Occupied(0)));
    let far = 1 << 40;
    assert_eq!(to(far..far + 0x1000, 0), Err(MapError::OutOfMemory));
}

#[test]
fn a_walk_tells_every_table_on_the_way() {
    let mut tables = Tables::new(usize::MAX);
    let address = 0x7f12_3456_7000;
    let mapped = map::<X86>(
        &mut tables,
        ROOT,
        address..address + PAGE_SIZE,
        0x5000,
        data(),
        0,
    );
    assert_eq!(mapped, Ok(()));
    let found = walk::<X86>(&tables, ROOT, address);
    assert_eq!(
        found.steps().map(|step| step.level).collect::<Vec<_>>(),
        [3, 2, 1, 0]
    );
    for step in found.steps() {
        assert_eq!(step.index, index(address, step.level));
        assert_eq!(step.raw, tables.read(step.table, step.index));
    }
    assert!(matches!(
        found.end,
        Entry::Leaf {
            address: 0x5000,
            ..
        }
    ));
    let beside = walk::<X86>(&tables, ROOT, address ^ span(2));
    assert_eq!(beside.steps().count(), 2);
    assert_eq!(beside.end, Entry::Empty);
}

#[test]
fn a_visit_reaches_the_last_page_there_is() {
    let mut tables = Tables::new(usize::MAX);
    let top = u64::MAX - 0xfff;
    // The end of the address space cannot be written as an exclusive end: one page less.
    let range = top - 0x1000..top;
    assert_eq!(
        map::<X86>(&mut tables, ROOT, range, 0x1000, data(), 0),
        Ok(())
    );
    let mut seen = Vec::new();
    visit::<X86>(&tables, ROOT, 0..u64::MAX, |leaf| {
        seen.push(leaf.virtual_address)
    });
    assert_eq!(seen, [top - 0x1000]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn agrees_with_a_map_of_pages(
        ranges in proptest::collection::vec((0_u64..4096, 1_u64..1200, 0_u64..4096), 1..8),
    ) {
        let mut tables = Tables::new(usize::MAX);
        let mut model: BTreeMap<u64, u64> = BTreeMap::new();
        for (start, len, physical) in ranges {
            let pages = start..start + len;
            let free = pages.clone().all(|page| !model.contains_key(&page));
            let range = pages.start * PAGE_SIZE..pages.end * PAGE_SIZE;
            let mapped = map::<X86>(&mut tables, ROOT, range, physical * PAGE_SIZE, data(), 2);
            prop_assert_eq!(mapped.is_ok(), free);
            let done = match mapped {
                Err(MapError::Occupied(at)) => (at / PAGE_SIZE).saturating_sub(start),
                _ => len,
            };
            for page in 0..done {
                model.insert(start + page, physical + page);
            }
        }
        let mut seen = BTreeMap::new();
        visit::<X86>(&tables, ROOT, 0..1 << 30, |leaf| {
            for page in 0..leaf.len / PAGE_SIZE {
                seen.insert(
                    leaf.virtual_address / PAGE_SIZE + page,
                    leaf.physical_address / PAGE_SIZE + page,
                );
            }
        });
        prop_assert_eq!(seen, model);
    }
}
