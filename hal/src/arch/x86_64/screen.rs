//! This machine's screen: a picture, where the machine was given one, or a PC's
//! text mode: 80 by 25 places, each a character of code page 437 and its colours.
//!
//! The picture comes first because nobody has one without asking for it, while
//! a PC that was told nothing has an adapter.
//!
//! Whether there is text mode the adapter itself is asked: its registers say that its
//! memory is a colour text at 0xb8000, which no other device answers. (Where
//! there is no adapter the ports read as ones.) What the firmware set up is
//! used as it is, but for the blinking, which gives way to bright backgrounds.

mod cp437;

use core::ptr::NonNull;

use ochre_sync::Once;

use super::port::Port;
use crate::memory::mmio;
use crate::screen::{Device, Glyph, picture};

/// Where the text is, and how large.
const TEXT: u64 = 0xb_8000;
const ROWS: usize = 25;
const COLUMNS: usize = 80;

// SAFETY: what the adapter was told last in general; reading changes nothing.
const MISCELLANEOUS: Port<u8> = unsafe { Port::new(0x3cc) };
// SAFETY: chooses one of the adapter's drawing registers.
const DRAWING_INDEX: Port<u8> = unsafe { Port::new(0x3ce) };
// SAFETY: a register that says how the adapter uses its own memory.
const DRAWING: Port<u8> = unsafe { Port::new(0x3cf) };
// SAFETY: chooses one of the registers that time the picture.
const TIMING_INDEX: Port<u8> = unsafe { Port::new(0x3d4) };
// SAFETY: a register that times the picture or places the cursor.
const TIMING: Port<u8> = unsafe { Port::new(0x3d5) };
// SAFETY: index and value in turns of the registers for colours.
const ATTRIBUTE: Port<u8> = unsafe { Port::new(0x3c0) };
// SAFETY: reads a register for colours.
const ATTRIBUTE_READ: Port<u8> = unsafe { Port::new(0x3c1) };
// SAFETY: reading makes the next value an index.
const ATTRIBUTE_RESET: Port<u8> = unsafe { Port::new(0x3da) };

/// The timing registers' numbers.
mod timing {
    pub(super) const LAST_COLUMN: u8 = 0x01;
    pub(super) const CURSOR_SHAPE: u8 = 0x0a;
    pub(super) const START_HIGH: u8 = 0x0c;
    pub(super) const START_LOW: u8 = 0x0d;
    pub(super) const CURSOR_HIGH: u8 = 0x0e;
    pub(super) const CURSOR_LOW: u8 = 0x0f;
}

/// Miscellaneous: the timing registers are those of a colour screen.
const COLOUR: u8 = 1 << 0;

/// The drawing register that says where the memory is and what it means.
const DRAWING_MODE: u8 = 6;
const GRAPHICS: u8 = 1 << 0;
const PLACE: u8 = 0b11 << 2;

/// The cursor is off.
const NO_CURSOR: u8 = 1 << 5;

/// The colour register of modes; bit 5 of an index leaves the picture on.
const COLOUR_MODE: u8 = 0x10;
const PICTURE_ON: u8 = 1 << 5;
const BLINKING: u8 = 1 << 3;

static SCREEN: Once<Text> = Once::new();

/// The text, mapped.
struct Text {
    base: NonNull<u16>,
}

// SAFETY: it is mapped for ever and for every processor; an access is one
// volatile instruction, and racing ones show one of the two characters.
unsafe impl Send for Text {}
// SAFETY: as above.
unsafe impl Sync for Text {}

/// Finds the screen; when the memory module has started.
pub(crate) fn find() -> Option<&'static dyn Device> {
    picture::find().or_else(text)
}

/// The adapter's.
fn text() -> Option<&'static dyn Device> {
    if !is_text() {
        return None;
    }
    // Refused where the loader says that there is memory.
    let base = mmio::map(TEXT, ROWS * COLUMNS * size_of::<u16>()).ok()?;
    for register in [timing::START_HIGH, timing::START_LOW] {
        write_timing(register, 0);
    }
    let _ = ATTRIBUTE_RESET.read();
    ATTRIBUTE.write(COLOUR_MODE | PICTURE_ON);
    let mode = ATTRIBUTE_READ.read();
    ATTRIBUTE.write(mode & !BLINKING);
    let _ = SCREEN.set(Text { base: base.cast() });
    let text: &'static Text = SCREEN.get()?;
    Some(text)
}

/// Whether there is an adapter and it shows a text of 80 columns.
fn is_text() -> bool {
    let general = MISCELLANEOUS.read();
    if general == 0xff || general & COLOUR == 0 {
        return false;
    }
    DRAWING_INDEX.write(DRAWING_MODE);
    let mode = DRAWING.read();
    TIMING_INDEX.write(timing::LAST_COLUMN);
    mode != 0xff && mode & (GRAPHICS | PLACE) == PLACE && usize::from(TIMING.read()) + 1 == COLUMNS
}

fn write_timing(register: u8, value: u8) {
    TIMING_INDEX.write(register);
    TIMING.write(value);
}

fn read_timing(register: u8) -> u8 {
    TIMING_INDEX.write(register);
    TIMING.read()
}

/// The adapter's number of a colour: it has red and blue the other way round.
const fn number(colour: u8) -> u8 {
    colour & 0b1010 | colour << 2 & 0b100 | colour >> 2 & 1
}

impl Device for Text {
    fn size(&self) -> (usize, usize) {
        (ROWS, COLUMNS)
    }

    fn put(&self, row: usize, column: usize, glyph: Glyph) {
        if row >= ROWS || column >= COLUMNS {
            return;
        }
        let colours = number(glyph.foreground) | number(glyph.background) << 4;
        let value = u16::from_le_bytes([cp437::encode(glyph.character), colours]);
        // SAFETY: inside the text, by the check above.
        let place = unsafe { self.base.add(row * COLUMNS + column) };
        // SAFETY: mapped and aligned; the adapter's memory is nobody else's.
        unsafe { place.write_volatile(value) };
    }

    fn set_cursor(&self, place: Option<(usize, usize)>) {
        let shape = read_timing(timing::CURSOR_SHAPE);
        match place {
            None => write_timing(timing::CURSOR_SHAPE, shape | NO_CURSOR),
            Some((row, column)) => {
                let at = row.min(ROWS - 1) * COLUMNS + column.min(COLUMNS - 1);
                // CAST: below 2000.
                let [high, low] = (at as u16).to_be_bytes();
                write_timing(timing::CURSOR_HIGH, high);
                write_timing(timing::CURSOR_LOW, low);
                write_timing(timing::CURSOR_SHAPE, shape & !NO_CURSOR);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn colours_have_the_adapters_numbers() {
        let numbers: Vec<u8> = (0..16).map(number).collect();
        let bright = [8, 12, 10, 14, 9, 13, 11, 15];
        assert_eq!(numbers[..8], [0, 4, 2, 6, 1, 5, 3, 7]);
        assert_eq!(numbers[8..], bright);
    }
}
