//! AArch64, VMSAv8-64 stage 1 with 4 KiB granule and 48-bit addresses (Arm ARM, D8.3).
//!
//! | bit | in a leaf | in a table entry |
//! |---|---|---|
//! | 0 | valid | valid |
//! | 1 | 1 at level 0 (page), 0 above (block) | 1 |
//! | 2..5 | index into MAIR: [`NORMAL`](Arm::NORMAL), [`DEVICE`](Arm::DEVICE) | - |
//! | 6 | EL0 may reach it | - |
//! | 7 | stores are *not* allowed | - |
//! | 8, 9 | inner shareable | - |
//! | 10 | access flag | - |
//! | 11 | not global | - |
//! | 12..48 | physical address | physical address |
//! | 50 | guarded: indirect jumps must land on landing pads | - |
//! | 51 | dirty bit modifier: a store may clear bit 7 | - |
//! | 53, 54 | execute-never at EL1, at EL0 | - |
//! | 55 | software: kept (only without valid) | - |
//! | 56 | software: dirty | - |
//! | 57 | software: the content can be spared (only read-only) | - |
//! | 62 | - | stores are *not* allowed to anything behind it |
//!
//! Rights are in the leaf; of the hierarchical bits only the one against stores is used.

use crate::format::{Attributes, Entry, Flag, Format, Memory, Rights};

/// The format of AArch64 with a 4 KiB granule.
#[derive(Clone, Copy, Debug)]
pub enum Arm {}

impl Arm {
    /// The machine uses the entry.
    pub const VALID: u64 = 1;
    /// A table, or a page at level 0; a block without it.
    pub const TABLE_OR_PAGE: u64 = 1 << 1;
    /// MAIR index of ordinary memory.
    pub const NORMAL: u64 = 0;
    /// MAIR index of device registers (nGnRE).
    pub const DEVICE: u64 = 1;
    /// EL0 may reach the page.
    pub const EL0: u64 = 1 << 6;
    /// Stores are not allowed.
    pub const READ_ONLY: u64 = 1 << 7;
    /// Coherent between processors.
    pub const INNER_SHAREABLE: u64 = 3 << 8;
    /// Accessed; without it an access faults or sets it.
    pub const ACCESSED: u64 = 1 << 10;
    /// Belongs to one address space.
    pub const NOT_GLOBAL: u64 = 1 << 11;
    /// Indirect jumps must land on landing pads (GP).
    pub const GUARDED: u64 = 1 << 50;
    /// No fetches at EL1.
    pub const NEVER_EL1: u64 = 1 << 53;
    /// No fetches at EL0.
    pub const NEVER_EL0: u64 = 1 << 54;
    /// Ours: remembered but unreachable; never together with `VALID`.
    pub const KEPT: u64 = 1 << 55;
    /// Ours: a store was recorded.
    pub const DIRTY: u64 = 1 << 56;
    /// Ours: the page may be taken from the program; only with `READ_ONLY`.
    pub const SPARE: u64 = 1 << 57;

    /// In an entry for a table: no stores to anything behind it (APTable).
    pub const NO_STORES_BEHIND: u64 = 1 << 62;

    const ATTRIBUTE_SHIFT: u32 = 2;
    const ATTRIBUTE_MASK: u64 = 7 << Arm::ATTRIBUTE_SHIFT;
}

impl Format for Arm {
    const LEVELS: u32 = 4;
    const ADDRESS_MASK: u64 = 0x0000_ffff_ffff_f000;
    const MAX_LEAF_LEVEL: u32 = 2;

    #[inline]
    fn leaf(address: u64, level: u32, attributes: Attributes) -> u64 {
        let page = if level == 0 { Arm::TABLE_OR_PAGE } else { 0 };
        Arm::VALID | page | encode(address, attributes)
    }

    #[inline]
    fn kept(address: u64, attributes: Attributes) -> u64 {
        Arm::KEPT | encode(address, attributes)
    }

    #[inline]
    fn table(address: u64, _user: bool) -> u64 {
        Arm::VALID | Arm::TABLE_OR_PAGE | (address & Arm::ADDRESS_MASK)
    }

    #[inline]
    fn decode(entry: u64, level: u32) -> Entry {
        let address = entry & Arm::ADDRESS_MASK;
        let attributes = attributes(entry);
        let valid = entry & Arm::VALID != 0;
        let table_or_page = entry & Arm::TABLE_OR_PAGE != 0;
        match (valid, table_or_page, level) {
            (true, true, 1..) => Entry::Table(address),
            (true, true, 0) | (true, false, 1..=Arm::MAX_LEAF_LEVEL) => Entry::Leaf {
                address,
                attributes,
            },
            (false, ..) if entry & Arm::KEPT != 0 => Entry::Kept {
                address,
                attributes,
            },
            // Valid without bit 1 at level 0 or the root is reserved: it faults.
            _ => Entry::Empty,
        }
    }

    const FLAGS: &'static [Flag] = &[
        Flag::of_all(Arm::VALID, "valid"),
        Flag {
            value: Arm::DEVICE << Arm::ATTRIBUTE_SHIFT,
            ..Flag::of_leaves(Arm::ATTRIBUTE_MASK, "device")
        },
        Flag::of_leaves(Arm::EL0, "el0"),
        Flag::of_leaves(Arm::READ_ONLY, "read-only"),
        Flag::of_leaves(Arm::INNER_SHAREABLE, "inner-shareable"),
        Flag::of_leaves(Arm::ACCESSED, "accessed"),
        Flag::of_leaves(Arm::NOT_GLOBAL, "not-global"),
        Flag::of_leaves(Arm::GUARDED, "guarded"),
        Flag::of_leaves(Arm::NEVER_EL1, "never-el1"),
        Flag::of_leaves(Arm::NEVER_EL0, "never-el0"),
        Flag::of_leaves(Arm::KEPT, "kept"),
        Flag::of_leaves(Arm::DIRTY, "dirty"),
        Flag::of_leaves(Arm::SPARE, "spare"),
        Flag::of_all(Arm::NO_STORES_BEHIND, "no-stores-behind"),
    ];
}

fn encode(address: u64, attributes: Attributes) -> u64 {
    let mut entry = (address & Arm::ADDRESS_MASK) | Arm::INNER_SHAREABLE;
    let mut set = |bits, yes| entry |= if yes { bits } else { 0 };
    let rights = attributes.rights;
    let user = rights.contains(Rights::USER);
    let execute = rights.contains(Rights::EXECUTE);
    set(Arm::READ_ONLY, !rights.contains(Rights::WRITE));
    set(Arm::EL0, user);
    set(Arm::NOT_GLOBAL, !rights.contains(Rights::GLOBAL));
    set(Arm::GUARDED, rights.contains(Rights::GUARDED));
    // A program's page is never the kernel's code, nor the reverse.
    set(Arm::NEVER_EL1, user || !execute);
    set(Arm::NEVER_EL0, !user || !execute);
    let index = match attributes.memory {
        Memory::Normal => Arm::NORMAL,
        Memory::Device => Arm::DEVICE,
    };
    set(index << Arm::ATTRIBUTE_SHIFT, true);
    set(Arm::ACCESSED, attributes.accessed);
    set(Arm::DIRTY, attributes.dirty);
    entry
}

fn attributes(entry: u64) -> Attributes {
    let has = |bit| entry & bit != 0;
    let user = has(Arm::EL0);
    let never = if user { Arm::NEVER_EL0 } else { Arm::NEVER_EL1 };
    let mut rights = Rights::empty();
    rights.set(Rights::WRITE, !has(Arm::READ_ONLY));
    rights.set(Rights::USER, user);
    rights.set(Rights::GLOBAL, !has(Arm::NOT_GLOBAL));
    rights.set(Rights::EXECUTE, !has(never));
    rights.set(Rights::GUARDED, has(Arm::GUARDED));
    let memory = if entry & Arm::ATTRIBUTE_MASK == Arm::DEVICE << Arm::ATTRIBUTE_SHIFT {
        Memory::Device
    } else {
        Memory::Normal
    };
    Attributes {
        rights,
        memory,
        accessed: has(Arm::ACCESSED),
        dirty: has(Arm::DIRTY),
    }
}
