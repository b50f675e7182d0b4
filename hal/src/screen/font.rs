//! What characters look like: eight lines of eight points, the leftmost in the
//! lowest bit.

use font8x8::legacy::{BASIC_LEGACY, BLOCK_LEGACY, BOX_LEGACY, GREEK_LEGACY, LATIN_LEGACY};

static BASIC: [[u8; 8]; 128] = BASIC_LEGACY;
static LATIN: [[u8; 8]; 96] = LATIN_LEGACY;
static GREEK: [[u8; 8]; 58] = GREEK_LEGACY;
static BOX: [[u8; 8]; 128] = BOX_LEGACY;
static BLOCK: [[u8; 8]; 32] = BLOCK_LEGACY;

/// What a character looks like that is not there: a frame.
static MISSING: [u8; 8] = [0, 0x7e, 0x42, 0x42, 0x42, 0x42, 0x7e, 0];

/// The lines of a character.
pub(super) fn lines(character: char) -> &'static [u8; 8] {
    let number = u32::from(character);
    let (table, first): (&[[u8; 8]], u32) = match number {
        0x00..0x80 => (&BASIC, 0x00),
        0xa0..0x100 => (&LATIN, 0xa0),
        0x390..0x3ca => (&GREEK, 0x390),
        0x2500..0x2580 => (&BOX, 0x2500),
        0x2580..0x25a0 => (&BLOCK, 0x2580),
        _ => return &MISSING,
    };
    // CAST: below 128.
    table.get((number - first) as usize).unwrap_or(&MISSING)
}
