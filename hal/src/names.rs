//! Names for the addresses in the kernel's reports, where it was given a table
//! of them (`lib/symbols`).
//!
//! A machine that does not want names has no table, and prints addresses bare.
//! A table comes from outside: it is checked whole before it is kept, has to be
//! of this very image by the linker's build id, and lies in memory that is only
//! read. A dying kernel may look up: that allocates nothing and takes no lock.

use core::fmt;

use ochre_symbols::{ID_BYTES, Table, Wrong};
use ochre_sync::Once;

use crate::boot::image;
use crate::memory::{OutOfMemory, constants};

/// The names, once there are any.
static NAMES: Once<Table<'static>> = Once::new();

/// What precedes the id in its note: the lengths of name and id, the kind, the name.
const NOTE_HEADER: [u8; 16] = *b"\x04\0\0\0\x08\0\0\0\x03\0\0\0GNU\0";

/// Why a table was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is none.
    Wrong(Wrong),
    /// It is another image's.
    OtherKernel,
    /// There is one already.
    Second,
    /// There is no memory for it.
    OutOfMemory,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Wrong(wrong) => wrong.fmt(f),
            Refused::OtherKernel => f.write_str("it is another kernel's"),
            Refused::Second => f.write_str("there is one already"),
            Refused::OutOfMemory => f.write_str("no memory"),
        }
    }
}

impl core::error::Error for Refused {}

/// Keeps a table of the image's functions, for reports from now on; how many
/// functions it names.
///
/// # Errors
/// If it is no table, not this image's, or cannot be kept.
pub fn keep(bytes: &[u8]) -> Result<usize, Refused> {
    let table = Table::check(bytes).map_err(Refused::Wrong)?;
    if build_id() != Some(table.id()) {
        return Err(Refused::OtherKernel);
    }
    if NAMES.get().is_some() {
        return Err(Refused::Second);
    }
    let kept = constants::keep(bytes).map_err(|OutOfMemory| Refused::OutOfMemory)?;
    let table = Table::check(kept).map_err(Refused::Wrong)?;
    let count = table.count();
    NAMES.set(table).map_err(|_| Refused::Second)?;
    Ok(count)
}

/// An address of code, for a person: with the function, if that is known.
pub(crate) struct Named(pub(crate) u64);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)?;
        let text = image::text();
        let offset = self.0.checked_sub(text.start);
        let place = NAMES
            .get()
            .filter(|_| text.contains(&self.0))
            .zip(offset.and_then(|offset| u32::try_from(offset).ok()))
            .and_then(|(names, offset)| names.find(offset));
        match place {
            Some(place) => write!(f, " {}+{:#x}", place.name, place.offset),
            None => Ok(()),
        }
    }
}

/// The id that the linker gave this image, if it was asked for one.
fn build_id() -> Option<[u8; ID_BYTES]> {
    let note = image::build_id_note();
    // CAST: an address and a length in memory.
    let (start, len) = (note.start as usize, (note.end - note.start) as usize);
    let first = core::ptr::with_exposed_provenance(start);
    // SAFETY: the linker script has the symbols around a section of the
    // image's constants, which nobody writes.
    let note: &[u8] = unsafe { core::slice::from_raw_parts(first, len) };
    note.strip_prefix(&NOTE_HEADER)?.try_into().ok()
}
