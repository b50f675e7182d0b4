//! What an entry says, whatever machine wrote it.

use bitflags::bitflags;

bitflags! {
    /// Who may do what with a mapped page. Loads are always allowed to
    /// whoever may reach the page: no format here can forbid them alone.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Rights: u8 {
        /// Stores.
        const WRITE = 1;
        /// Instruction fetches (by programs with `USER`, else by the kernel).
        const EXECUTE = 2;
        /// Programs may reach the page.
        const USER = 4;
        /// The translation is the same in every address space.
        const GLOBAL = 8;
        /// Jumps through registers lead to landing pads only, on machines that
        /// know such.
        const GUARDED = 16;
    }
}

/// What lies behind an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Memory {
    /// Ordinary memory, cached.
    #[default]
    Normal,
    /// Device registers: not cached, not reordered, not combined.
    Device,
}

/// Everything an entry says of a page or block besides its address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Who may do what.
    pub rights: Rights,
    /// What lies there.
    pub memory: Memory,
    /// The machine recorded an access.
    pub accessed: bool,
    /// The machine recorded a store.
    pub dirty: bool,
}

/// An entry, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Nothing.
    Empty,
    /// A page that is remembered but that nobody can reach (`PROT_NONE`).
    Kept {
        /// The page's physical address.
        address: u64,
        /// As when it was last mapped.
        attributes: Attributes,
    },
    /// The next table's physical address.
    Table(u64),
    /// A page (level 0) or a block (levels 1 and 2).
    Leaf {
        /// Its physical address.
        address: u64,
        /// What is said of it.
        attributes: Attributes,
    },
}

/// A bit of an entry and what it is called, for people who look at tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flag {
    /// The bits that it stands for.
    pub mask: u64,
    /// What they are when it is so.
    pub value: u64,
    /// Whether it means something in entries that point to a table, too.
    pub in_tables: bool,
    /// Its name.
    pub name: &'static str,
}

impl Flag {
    /// A bit that has a meaning in pages and blocks only.
    pub(crate) const fn of_leaves(mask: u64, name: &'static str) -> Flag {
        Flag {
            mask,
            value: mask,
            in_tables: false,
            name,
        }
    }

    /// A bit that has a meaning in every entry.
    pub(crate) const fn of_all(mask: u64, name: &'static str) -> Flag {
        Flag {
            in_tables: true,
            ..Flag::of_leaves(mask, name)
        }
    }
}

/// One machine's way to write entries.
pub trait Format {
    /// Levels of tables; the root is at `LEVELS - 1`.
    const LEVELS: u32;
    /// The bits of an entry that hold a physical address.
    const ADDRESS_MASK: u64;
    /// The highest level at which a block may stand.
    const MAX_LEAF_LEVEL: u32;

    /// An entry for a page or block at `level`.
    fn leaf(address: u64, level: u32, attributes: Attributes) -> u64;

    /// An entry for a page (level 0) that is remembered but not mapped.
    fn kept(address: u64, attributes: Attributes) -> u64;

    /// An entry that points to the next table; `user` if any page behind it may be a program's.
    fn table(address: u64, user: bool) -> u64;

    /// What an entry of a table at `level` says.
    fn decode(entry: u64, level: u32) -> Entry;

    /// The bits that have names, from the lowest on.
    const FLAGS: &'static [Flag];

    /// The names of the bits that are set in an entry of a table at `level`.
    fn flags(entry: u64, level: u32) -> impl Iterator<Item = &'static str> {
        let is_table = matches!(Self::decode(entry, level), Entry::Table(_));
        Self::FLAGS
            .iter()
            .filter(move |flag| flag.in_tables || !is_table)
            .filter(move |flag| entry != 0 && entry & flag.mask == flag.value)
            .map(|flag| flag.name)
    }
}

#[cfg(test)]
mod tests;
