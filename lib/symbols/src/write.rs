//! Writing a table.

use core::fmt;
use std::vec::Vec;

use crate::table::{self, HEADER, ID_BYTES, MAGIC, MAX_BYTES, MAX_NAME, VERSION};

/// What stands for the end of a name that is too long.
const CUT: &[u8] = b"...";

/// Why no table was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// A function does not begin after the one before it.
    Order(String),
    /// A function without a name.
    NoName,
    /// The table would be too long to be read.
    TooLong,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Order(name) => write!(f, "{name} does not come after the one before it"),
            Refused::NoName => f.write_str("a function without a name"),
            Refused::TooLong => f.write_str("too many names"),
        }
    }
}

impl core::error::Error for Refused {}

/// Writes the table of a kernel: where each function begins, from the image's
/// start on, and what it is called. Names that are too long are cut; what is
/// not printable ASCII becomes a question mark.
///
/// # Errors
/// If they are not in order, or too many.
pub fn write<'a>(
    id: [u8; ID_BYTES],
    functions: impl IntoIterator<Item = (u32, &'a str)>,
) -> Result<Vec<u8>, Refused> {
    let (mut starts, mut ends, mut names) = (Vec::new(), Vec::new(), Vec::new());
    let (mut before, mut count) = (None, 0_u32);
    for (start, name) in functions {
        if before >= Some(start) {
            return Err(Refused::Order(name.to_owned()));
        }
        if name.is_empty() {
            return Err(Refused::NoName);
        }
        before = Some(start);
        count += 1;
        let is_cut = name.len() > MAX_NAME;
        let kept = if is_cut {
            MAX_NAME - CUT.len()
        } else {
            name.len()
        };
        let bytes = name.bytes().take(kept);
        names.extend(bytes.map(|byte| {
            if table::is_printable(&byte) {
                byte
            } else {
                b'?'
            }
        }));
        if is_cut {
            names.extend(CUT);
        }
        starts.extend(start.to_le_bytes());
        ends.extend(len(&names)?.to_le_bytes());
    }
    let mut bytes = Vec::with_capacity(HEADER + starts.len() + ends.len() + names.len());
    bytes.extend(MAGIC);
    for field in [VERSION, count, len(&names)?, 0] {
        bytes.extend(field.to_le_bytes());
    }
    bytes.extend(id);
    for part in [&starts, &ends, &names] {
        bytes.extend(part);
    }
    if bytes.len() > MAX_BYTES {
        return Err(Refused::TooLong);
    }
    Ok(bytes)
}

fn len(names: &[u8]) -> Result<u32, Refused> {
    u32::try_from(names.len()).map_err(|_| Refused::TooLong)
}
