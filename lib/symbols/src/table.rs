//! Reading a table that nobody vouches for.
//!
//! # Invariants
//! A [`Table`] was checked whole when it was made. Lookups do not rely on it.

use core::fmt;

/// What a table begins with.
pub(crate) const MAGIC: &[u8; 8] = b"ochresym";

/// The one version there is.
pub(crate) const VERSION: u32 = 1;

/// Bytes before the first function.
pub(crate) const HEADER: usize = 32;

/// Bytes of a build id.
pub const ID_BYTES: usize = 8;

/// Bytes of a name at most.
pub const MAX_NAME: usize = 255;

/// Bytes of a table at most: more than any kernel of ours could need.
pub const MAX_BYTES: usize = 16 << 20;

/// Where the build id is.
pub(crate) const ID_AT: usize = 24;

/// Bytes of a number.
const NUMBER: usize = 4;

/// Names by address.
#[derive(Clone, Copy)]
pub struct Table<'a> {
    id: [u8; ID_BYTES],
    /// Where functions begin.
    starts: &'a [u8],
    /// Where their names end.
    ends: &'a [u8],
    names: &'a [u8],
}

/// An address in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The function.
    pub name: &'a str,
    /// How far in it.
    pub offset: u32,
}

/// Why bytes are no table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It begins with something else, or ends before it begins.
    NotATable,
    /// A version that is not known.
    Version(u32),
    /// It is longer or shorter than it says.
    Length,
    /// This function does not begin after the one before it.
    Order(usize),
    /// This function's name is empty, too long, or has bytes that names do not have.
    Name(usize),
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wrong::NotATable => f.write_str("no table of symbols"),
            Wrong::Version(version) => write!(f, "version {version} is not known"),
            Wrong::Length => f.write_str("its length is not what it says"),
            Wrong::Order(index) => write!(f, "function {index} is out of order"),
            Wrong::Name(index) => write!(f, "function {index} has no proper name"),
        }
    }
}

impl core::error::Error for Wrong {}

impl fmt::Debug for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = f.debug_struct("Table");
        words.field("id", &self.id).field("count", &self.count());
        words.finish_non_exhaustive()
    }
}

impl<'a> Table<'a> {
    /// Checks all of a table.
    ///
    /// # Errors
    /// What is wrong with it first.
    pub fn check(bytes: &'a [u8]) -> Result<Table<'a>, Wrong> {
        let header = bytes.get(..HEADER).ok_or(Wrong::NotATable)?;
        if !header.starts_with(MAGIC) {
            return Err(Wrong::NotATable);
        }
        let field = |index| number(header, index).ok_or(Wrong::NotATable);
        let version = field(2)?;
        if version != VERSION {
            return Err(Wrong::Version(version));
        }
        let (count, names_len, zero) = (field(3)?, field(4)?, field(5)?);
        let id = header.get(ID_AT..).and_then(|id| id.try_into().ok());
        let id = id.ok_or(Wrong::NotATable)?;
        let rest = bytes.get(HEADER..).ok_or(Wrong::Length)?;
        let list = usize::try_from(count)
            .ok()
            .and_then(|count| count.checked_mul(NUMBER))
            .ok_or(Wrong::Length)?;
        let (starts, rest) = rest.split_at_checked(list).ok_or(Wrong::Length)?;
        let (ends, names) = rest.split_at_checked(list).ok_or(Wrong::Length)?;
        if zero != 0 || bytes.len() > MAX_BYTES || usize::try_from(names_len) != Ok(names.len()) {
            return Err(Wrong::Length);
        }
        let table = Table {
            id,
            starts,
            ends,
            names,
        };
        table.check_functions()?;
        Ok(table)
    }

    fn check_functions(&self) -> Result<(), Wrong> {
        let mut before = None;
        for index in 0..self.count() {
            let start = number(self.starts, index);
            if start <= before {
                return Err(Wrong::Order(index));
            }
            before = start;
            self.name(index).ok_or(Wrong::Name(index))?;
        }
        let last = self.count().checked_sub(1);
        let end = last.map_or(Some(0), |last| number(self.ends, last));
        if end.map(usize::try_from) != Some(Ok(self.names.len())) {
            return Err(Wrong::Length);
        }
        Ok(())
    }

    /// The build id of the kernel that it is of.
    #[must_use]
    pub fn id(&self) -> [u8; ID_BYTES] {
        self.id
    }

    /// How many functions it names.
    #[must_use]
    pub fn count(&self) -> usize {
        self.starts.len() / NUMBER
    }

    /// The function that begins at `offset` or last before it.
    #[must_use]
    pub fn find(&self, offset: u32) -> Option<Place<'a>> {
        // Functions before `low` begin at `offset` or before, those from `high` on behind.
        let (mut low, mut high) = (0, self.count());
        while low < high {
            let middle = low + (high - low) / 2;
            if number(self.starts, middle)? <= offset {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let index = low.checked_sub(1)?;
        Some(Place {
            name: self.name(index)?,
            offset: offset.checked_sub(number(self.starts, index)?)?,
        })
    }

    /// The name of a function, if it is a proper one.
    fn name(&self, index: usize) -> Option<&'a str> {
        let start = match index.checked_sub(1) {
            Some(before) => number(self.ends, before)?,
            None => 0,
        };
        let start = usize::try_from(start).ok()?;
        let end = usize::try_from(number(self.ends, index)?).ok()?;
        let name = self.names.get(start..end)?;
        let is_proper = (1..=MAX_NAME).contains(&name.len()) && name.iter().all(is_printable);
        is_proper.then_some(core::str::from_utf8(name).ok()?)
    }
}

/// Whether a byte can be part of a name: nothing that would move a cursor.
pub(crate) fn is_printable(byte: &u8) -> bool {
    byte.is_ascii_graphic() || *byte == b' '
}

/// A number of a list.
fn number(list: &[u8], index: usize) -> Option<u32> {
    let at = index.checked_mul(NUMBER)?;
    let bytes = list.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}
