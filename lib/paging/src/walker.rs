//! Reading tables: one address ([`walk`]) or every leaf of a range ([`visit`]).

use core::ops::Range;

use crate::address::{ENTRIES, index, span};
use crate::format::{Attributes, Entry, Format};

/// Tables in memory, by physical address.
pub trait TableMemory {
    /// An entry of the table at physical address `table`; `index` is below [`ENTRIES`].
    fn read(&self, table: u64, index: usize) -> u64;

    /// Writes an entry.
    fn write(&mut self, table: u64, index: usize, entry: u64);

    /// A new table of empty entries; `None` if there is no memory.
    fn allocate(&mut self) -> Option<u64>;
}

/// One table on the way to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The table's level.
    pub level: u32,
    /// The table's physical address.
    pub table: u64,
    /// The entry that the address goes through.
    pub index: usize,
    /// That entry, as the machine reads it.
    pub raw: u64,
}

/// The tables that an address goes through, root first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walk {
    steps: [Option<Step>; 4],
    /// What the last entry says.
    pub end: Entry,
}

impl Walk {
    /// The steps, root first.
    pub fn steps(&self) -> impl Iterator<Item = Step> + '_ {
        self.steps.iter().flatten().copied()
    }
}

/// A page or block, as [`visit`] finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// The virtual address.
    pub virtual_address: u64,
    /// The physical address.
    pub physical_address: u64,
    /// Bytes.
    pub len: u64,
    /// What is said of it.
    pub attributes: Attributes,
    /// Remembered but not mapped.
    pub kept: bool,
}

/// Follows one address down from the root.
pub fn walk<F: Format>(memory: &impl TableMemory, root: u64, address: u64) -> Walk {
    let mut steps = [None; 4];
    let mut table = root;
    let mut end = Entry::Empty;
    for (step, level) in steps.iter_mut().zip((0..F::LEVELS).rev()) {
        let index = index(address, level);
        let raw = memory.read(table, index);
        *step = Some(Step {
            level,
            table,
            index,
            raw,
        });
        end = F::decode(raw, level);
        match end {
            Entry::Table(next) => table = next,
            _ => break,
        }
    }
    Walk { steps, end }
}

/// Calls `found` for every page and block that begins in `range`, in order of
/// address. Absent tables cost one look.
pub fn visit<F: Format>(
    memory: &impl TableMemory,
    root: u64,
    range: Range<u64>,
    mut found: impl FnMut(Leaf),
) {
    let mut address = range.start;
    while address < range.end {
        let walk = walk::<F>(memory, root, address);
        let level = walk.steps().last().map_or(0, |step| step.level);
        let (physical, attributes, kept) = match walk.end {
            Entry::Leaf {
                address,
                attributes,
            } => (address, attributes, false),
            Entry::Kept {
                address,
                attributes,
            } => (address, attributes, true),
            Entry::Empty | Entry::Table(_) => {
                address = next(address, level);
                if address == 0 {
                    return;
                }
                continue;
            }
        };
        if address.is_multiple_of(span(level)) {
            found(Leaf {
                virtual_address: address,
                physical_address: physical,
                len: span(level),
                attributes,
                kept,
            });
        }
        address = next(address, level);
        if address == 0 {
            return;
        }
    }
}

/// The address after the entry; 0 at the end of the address space.
fn next(address: u64, level: u32) -> u64 {
    let next = (address & !(span(level) - 1)).wrapping_add(span(level));
    // From the end of the lower half the next entry is the upper half's first.
    if crate::is_canonical(address) && !crate::is_canonical(next) {
        return crate::sign_extend(next);
    }
    next
}

const _: () = assert!(ENTRIES == 512);
