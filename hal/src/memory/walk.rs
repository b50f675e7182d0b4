//! Looking at tables entry by entry: what `/proc` shows of them.
//!
//! A walk changes nothing, and what it reports may have changed when somebody
//! reads it: the processor sets bits meanwhile. Frame numbers and raw entries
//! are for whoever may know where memory is; the caller hides them from others.
//!
//! # What must hold
//! A program's tables are walked with their owner borrowed, so that none of
//! them is freed meanwhile. The kernel's are never freed.

use core::ops::Range;

use ochre_paging::{Attributes, Entry, Format as _, is_canonical, span};

use crate::arch::machine::paging::Machine;

use super::kernel_map::Direct;
use super::table::Table;
use super::{PAGE_SIZE, USER_END, space};

const PAGE: u64 = PAGE_SIZE as u64;

/// What an entry leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Nothing.
    Nothing,
    /// The next table, in this frame.
    Table(u64),
    /// Memory that begins at this frame: a page, or a block of many.
    Memory {
        /// The first frame's number.
        frame: u64,
        /// Bytes.
        len: u64,
        /// Whether it is remembered only, and nobody can reach it.
        kept: bool,
    },
}

/// One entry on the way to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// How far above the page: 3 for the root's entries, 0 for the last.
    pub level: u32,
    /// The frame of the table that the entry is in.
    pub table: u64,
    /// Which of its 512 entries.
    pub index: usize,
    /// The entry, as the machine reads it.
    pub raw: u64,
    /// What it leads to.
    pub target: Target,
}

impl Step {
    /// The names of the entry's bits that are set.
    pub fn flags(&self) -> impl Iterator<Item = &'static str> {
        Machine::flags(self.raw, self.level)
    }
}

/// Memory of the kernel's that is mapped alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The addresses.
    pub range: Range<u64>,
    /// Bytes that one entry maps.
    pub entry: u64,
    /// An entry for it, without an address: for its names.
    raw: u64,
    level: u32,
}

impl Block {
    /// The names of the bits that are set in the entries of it.
    pub fn flags(&self) -> impl Iterator<Item = &'static str> {
        Machine::flags(self.raw, self.level)
    }
}

/// Shows each entry on the way to an address, from this root on.
pub(super) fn walk(root: Table, address: u64, mut see: impl FnMut(&Step)) {
    let root = u64::from(root.frame()) * PAGE;
    for step in ochre_paging::walk::<Machine>(&Direct, root, address).steps() {
        let target = match Machine::decode(step.raw, step.level) {
            Entry::Empty => Target::Nothing,
            Entry::Table(address) => Target::Table(address / PAGE),
            Entry::Leaf { address, .. } => memory(address, step.level, false),
            Entry::Kept { address, .. } => memory(address, step.level, true),
        };
        see(&Step {
            level: step.level,
            table: step.table / PAGE,
            index: step.index,
            raw: step.raw,
            target,
        });
    }
}

fn memory(address: u64, level: u32, kept: bool) -> Target {
    Target::Memory {
        frame: address / PAGE,
        len: span(level),
        kept,
    }
}

/// Shows each entry on the way to one of the kernel's addresses. Nothing for
/// an address that is not the kernel's.
pub fn walk_kernel(address: u64, see: impl FnMut(&Step)) {
    if let Some(root) = space::kernel_root()
        && address > USER_END
        && is_canonical(address)
    {
        walk(root, address, see);
    }
}

/// Shows all memory of the kernel's, what is mapped alike at once.
pub fn visit_kernel(mut see: impl FnMut(&Block)) {
    let Some(root) = space::kernel_root() else {
        return;
    };
    let root = u64::from(root.frame()) * PAGE;
    let start = ochre_paging::sign_extend(1 << 47);
    let mut last: Option<(Block, Attributes)> = None;
    ochre_paging::visit::<Machine>(&Direct, root, start..u64::MAX, |leaf| {
        let end = leaf.virtual_address.wrapping_add(leaf.len);
        // Which of the pages the machine has touched is no difference.
        let attributes = Attributes {
            accessed: true,
            dirty: false,
            ..leaf.attributes
        };
        if let Some((block, of)) = &mut last {
            let goes_on = block.range.end == leaf.virtual_address && block.entry == leaf.len;
            if goes_on && *of == attributes {
                block.range.end = end;
                return;
            }
            see(block);
        }
        let level = (leaf.len / PAGE).trailing_zeros() / 9;
        let block = Block {
            range: leaf.virtual_address..end,
            entry: leaf.len,
            raw: Machine::leaf(0, level, attributes),
            level,
        };
        last = Some((block, attributes));
    });
    if let Some((block, _)) = &last {
        see(block);
    }
}
