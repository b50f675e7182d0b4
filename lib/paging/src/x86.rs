//! x86_64, four levels (Intel SDM volume 3, "4-level paging").
//!
//! | bit | in a leaf | in a table entry |
//! |---|---|---|
//! | 0 | present | present |
//! | 1 | writable | writable |
//! | 2 | user | user |
//! | 3, 4 | write-through, cache-disable | 0 |
//! | 5, 6 | accessed, dirty | accessed |
//! | 7 | block (levels 1, 2); PAT (level 0) | 0 |
//! | 8 | global | - |
//! | 9 | software: kept (only without present) | - |
//! | 10 | software: the content can be spared (only without writable) | - |
//! | 12..52 | physical address | physical address |
//! | 63 | no-execute | 0 |
//!
//! Whether the machine allows stores and fetches is the conjunction over all
//! levels, so table entries allow everything and the leaf decides.

use crate::format::{Attributes, Entry, Flag, Format, Memory, Rights};

/// The format of x86_64 with four levels.
#[derive(Clone, Copy, Debug)]
pub enum X86 {}

impl X86 {
    /// The machine uses the entry.
    pub const PRESENT: u64 = 1;
    /// Stores are allowed.
    pub const WRITE: u64 = 1 << 1;
    /// Programs may reach the page.
    pub const USER: u64 = 1 << 2;
    /// With [`CACHE_DISABLE`](X86::CACHE_DISABLE): uncached, whatever PAT holds by default.
    pub const WRITE_THROUGH: u64 = 1 << 3;
    /// Not cached.
    pub const CACHE_DISABLE: u64 = 1 << 4;
    /// Set by the machine on access.
    pub const ACCESSED: u64 = 1 << 5;
    /// Set by the machine on a store; in leaves only.
    pub const DIRTY: u64 = 1 << 6;
    /// A block, at levels 1 and 2.
    pub const BLOCK: u64 = 1 << 7;
    /// Survives a switch of address space.
    pub const GLOBAL: u64 = 1 << 8;
    /// Ours: remembered but unreachable; never together with `PRESENT`.
    pub const KEPT: u64 = 1 << 9;
    /// Ours: the page may be taken from the program; never together with `WRITE`.
    pub const SPARE: u64 = 1 << 10;
    /// Fetches are not allowed.
    pub const NO_EXECUTE: u64 = 1 << 63;
}

impl Format for X86 {
    const LEVELS: u32 = 4;
    const ADDRESS_MASK: u64 = 0x000f_ffff_ffff_f000;
    const MAX_LEAF_LEVEL: u32 = 2;

    #[inline]
    fn leaf(address: u64, level: u32, attributes: Attributes) -> u64 {
        let block = if level > 0 { X86::BLOCK } else { 0 };
        X86::PRESENT | block | encode(address, attributes)
    }

    #[inline]
    fn kept(address: u64, attributes: Attributes) -> u64 {
        X86::KEPT | encode(address, attributes)
    }

    #[inline]
    fn table(address: u64, user: bool) -> u64 {
        let user = if user { X86::USER } else { 0 };
        X86::PRESENT | X86::WRITE | user | (address & X86::ADDRESS_MASK)
    }

    #[inline]
    fn decode(entry: u64, level: u32) -> Entry {
        let address = entry & X86::ADDRESS_MASK;
        let has = |bit| entry & bit != 0;
        if has(X86::PRESENT) && level > 0 && !(has(X86::BLOCK) && level <= X86::MAX_LEAF_LEVEL) {
            return Entry::Table(address);
        }
        // A block's lowest address bit is PAT, which stays 0 here.
        let address = address & !(crate::span(level) - 1);
        let attributes = attributes(entry);
        if has(X86::PRESENT) {
            Entry::Leaf {
                address,
                attributes,
            }
        } else if has(X86::KEPT) {
            Entry::Kept {
                address,
                attributes,
            }
        } else {
            Entry::Empty
        }
    }

    const FLAGS: &'static [Flag] = &[
        Flag::of_all(X86::PRESENT, "present"),
        Flag::of_all(X86::WRITE, "writable"),
        Flag::of_all(X86::USER, "user"),
        Flag::of_all(X86::WRITE_THROUGH, "write-through"),
        Flag::of_all(X86::CACHE_DISABLE, "uncached"),
        Flag::of_all(X86::ACCESSED, "accessed"),
        Flag::of_leaves(X86::DIRTY, "dirty"),
        Flag::of_leaves(X86::GLOBAL, "global"),
        Flag::of_leaves(X86::KEPT, "kept"),
        Flag::of_leaves(X86::SPARE, "spare"),
        Flag::of_all(X86::NO_EXECUTE, "no-execute"),
    ];
}

fn encode(address: u64, attributes: Attributes) -> u64 {
    let mut entry = address & X86::ADDRESS_MASK;
    let mut set = |bits, yes| entry |= if yes { bits } else { 0 };
    let rights = attributes.rights;
    set(X86::WRITE, rights.contains(Rights::WRITE));
    set(X86::USER, rights.contains(Rights::USER));
    set(X86::GLOBAL, rights.contains(Rights::GLOBAL));
    set(X86::NO_EXECUTE, !rights.contains(Rights::EXECUTE));
    set(
        X86::WRITE_THROUGH | X86::CACHE_DISABLE,
        attributes.memory == Memory::Device,
    );
    set(X86::ACCESSED, attributes.accessed);
    set(X86::DIRTY, attributes.dirty);
    entry
}

fn attributes(entry: u64) -> Attributes {
    let has = |bit| entry & bit != 0;
    let mut rights = Rights::empty();
    rights.set(Rights::WRITE, has(X86::WRITE));
    rights.set(Rights::USER, has(X86::USER));
    rights.set(Rights::GLOBAL, has(X86::GLOBAL));
    rights.set(Rights::EXECUTE, !has(X86::NO_EXECUTE));
    let memory = if has(X86::CACHE_DISABLE) {
        Memory::Device
    } else {
        Memory::Normal
    };
    Attributes {
        rights,
        memory,
        accessed: has(X86::ACCESSED),
        dirty: has(X86::DIRTY),
    }
}
