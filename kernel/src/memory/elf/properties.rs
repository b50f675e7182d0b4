//! What a program says of all of its code, in a note: whether it has landing pads.
//!
//! ```text
//! | name's length, content's length, type | "GNU\0" | property | property | ...
//!                              a property: | type, length | data, padded to 8 bytes |
//! ```
//! Pure, and as strict as Linux: properties are sorted and there once each. Any
//! bytes may come.

use ochre_abi::arch::LANDING_PADS_PROPERTY;
use ochre_abi::elf::NOTE_PROPERTIES;

use super::ElfError;

/// The most bytes of a note that is read.
pub const LIMIT: usize = 1024;

/// The least: with its name.
pub const LEAST: usize = 16;

/// Where properties begin at multiples of.
const ALIGNMENT: usize = 8;

/// Bytes in front of a property's data.
const HEAD: usize = 8;

/// Bytes of the property that counts.
const WORD: usize = 4;

/// Whether the code has landing pads everywhere, by its note.
///
/// # Errors
/// [`ElfError::BadProperties`].
pub fn has_landing_pads(note: &[u8]) -> Result<bool, ElfError> {
    let word = |at: usize| word_at(note, at).ok_or(ElfError::BadProperties);
    let name = note.get(12..LEAST).ok_or(ElfError::BadProperties)?;
    if word(0)? != 4 || word(8)? != NOTE_PROPERTIES || name != b"GNU\0" {
        return Err(ElfError::BadProperties);
    }
    let len = word(4)? as usize;
    let mut rest = note
        .get(LEAST..)
        .and_then(|content| content.get(..len))
        .ok_or(ElfError::BadProperties)?;
    let mut found = false;
    let mut last = None;
    while !rest.is_empty() {
        let (kind, data, following) = split(rest).ok_or(ElfError::BadProperties)?;
        if last.is_some_and(|last| kind <= last) {
            return Err(ElfError::BadProperties);
        }
        if LANDING_PADS_PROPERTY == Some(kind) {
            if data.len() != WORD {
                return Err(ElfError::BadProperties);
            }
            found = word_at(data, 0).is_some_and(|features| features & 1 != 0);
        }
        last = Some(kind);
        rest = following;
    }
    Ok(found)
}

/// The first property's type and data, and what follows it.
fn split(properties: &[u8]) -> Option<(u32, &[u8], &[u8])> {
    let (kind, len) = (word_at(properties, 0)?, word_at(properties, 4)? as usize);
    let rest = properties.get(HEAD..)?;
    let following = rest.get(len.checked_next_multiple_of(ALIGNMENT)?..)?;
    Some((kind, rest.get(..len)?, following))
}

fn word_at(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::{ElfError, LANDING_PADS_PROPERTY, has_landing_pads};

    /// A note with these properties, each of a type and its data.
    fn note(properties: &[(u32, &[u8])]) -> Vec<u8> {
        let mut content = Vec::new();
        for (kind, data) in properties {
            content.extend_from_slice(&kind.to_le_bytes());
            content.extend_from_slice(&(data.len() as u32).to_le_bytes());
            content.extend_from_slice(data);
            content.resize(content.len().next_multiple_of(8), 0);
        }
        let mut note = Vec::new();
        for word in [4, content.len() as u32, 5] {
            note.extend_from_slice(&u32::to_le_bytes(word));
        }
        note.extend_from_slice(b"GNU\0");
        note.extend_from_slice(&content);
        note
    }

    #[test]
    fn the_lowest_bit_of_one_property_counts() {
        let kind = LANDING_PADS_PROPERTY.unwrap_or(0xc000_0000);
        let there = LANDING_PADS_PROPERTY.is_some();
        let of =
            |word: u32| has_landing_pads(&note(&[(1, b"12345678"), (kind, &word.to_le_bytes())]));
        assert_eq!(of(1), Ok(there));
        assert_eq!(of(3), Ok(there));
        assert_eq!(of(2), Ok(false));
        assert_eq!(has_landing_pads(&note(&[])), Ok(false));
        let other = note(&[(kind - 1, &[1, 0, 0, 0])]);
        assert_eq!(has_landing_pads(&other), Ok(false));
        let long = has_landing_pads(&note(&[(kind, &[1; 8])]));
        assert_eq!(long.is_err(), there);
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let good = note(&[(1, b"1234"), (2, b"1234")]);
        assert_eq!(has_landing_pads(&good), Ok(false));
        for len in 0..good.len() {
            assert!(has_landing_pads(&good[..len]).is_err(), "{len} bytes");
        }
        for (at, value) in [
            (0, 5),
            (4, 31),
            (4, 33),
            (8, 4),
            (12, b'g'),
            (20, 25),
            (16, 2),
            (16, 3),
        ] {
            let mut bad = good.clone();
            bad[at] = value;
            assert_eq!(has_landing_pads(&bad), Err(ElfError::BadProperties), "{at}");
        }
    }
}
