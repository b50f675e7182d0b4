//! The screen, as a grid of characters.
//!
//! A machine has one at most, found while its devices are set up; who opens it
//! owns it. Only a dying kernel paints without owning it
//! (`last_words`): nothing is held on the way, so the processor that was
//! stopped in the midst of painting keeps nobody from it.
//!
//! Colours are the sixteen of ECMA-48 and their bright twins: black, red,
//! green, yellow, blue, magenta, cyan, white.

mod font;
pub(crate) mod picture;

use ochre_sync::Once;
use ochre_sync::primitive::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::arch::machine::screen as machine;

/// What one place shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glyph {
    /// The character; one that the screen does not have is shown as another.
    pub character: char,
    /// The character's colour; the lower four bits count.
    pub foreground: u8,
    /// The colour around it; the lower four bits count.
    pub background: u8,
}

// ANCHOR: device
/// What drives a screen. Every operation may be called at any time from any
/// processor, and holds nothing.
pub(crate) trait Device: Sync {
    /// Rows and columns; at least one of each.
    fn size(&self) -> (usize, usize);

    /// Shows something in a place; nothing outside the screen.
    fn put(&self, row: usize, column: usize, glyph: Glyph);

    /// Shows the cursor in a place, or nowhere.
    fn set_cursor(&self, place: Option<(usize, usize)>);
}
// ANCHOR_END: device

/// The machine's screen, once it is found.
static DEVICE: Once<&'static dyn Device> = Once::new();

/// Whether somebody owns it.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Looks for the screen; when the memory module has started.
pub(crate) fn init() {
    if let Some(device) = machine::find() {
        let _ = DEVICE.set(device);
    }
}

/// The machine's screen.
pub struct Screen {
    device: &'static dyn Device,
}

impl core::fmt::Debug for Screen {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Screen")
            .field("size", &self.size())
            .finish()
    }
}

impl Screen {
    /// The screen, if the machine has one and nobody has it.
    #[must_use]
    pub fn open() -> Option<Screen> {
        let device = *DEVICE.get()?;
        // ORDERING: AcqRel pairs with `drop`: the next owner paints over what
        // the last one painted.
        let taken = TAKEN.swap(true, Ordering::AcqRel);
        (!taken).then_some(Screen { device })
    }

    /// Rows and columns; at least one of each.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        self.device.size()
    }

    /// Shows something in a place; nothing outside the screen.
    pub fn put(&mut self, row: usize, column: usize, glyph: Glyph) {
        self.device.put(row, column, glyph);
    }

    /// Shows the cursor in a place, or nowhere.
    pub fn set_cursor(&mut self, place: Option<(usize, usize)>) {
        self.device.set_cursor(place);
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // ORDERING: Release; see `open`.
        TAKEN.store(false, Ordering::Release);
    }
}

/// What last words look like: white on red.
const DYING: (u8, u8) = (15, 1);

/// Where the next of the last words goes, counted in places from the top.
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// Paints words of a dying kernel, from the top on. The first ones say why it
/// dies, so they stay, and what comes when the screen is full is not shown.
pub(crate) fn last_words(text: &str) {
    let Some(device) = DEVICE.get() else {
        return;
    };
    // ORDERING: Relaxed; one processor dies.
    let mut next = NEXT.load(Ordering::Relaxed);
    if next == 0 {
        device.set_cursor(None);
    }
    paint(*device, &mut next, text);
    // ORDERING: Relaxed; as above.
    NEXT.store(next, Ordering::Relaxed);
}

fn paint(device: &dyn Device, next: &mut usize, text: &str) {
    let (rows, columns) = device.size();
    let mut put = |character| {
        if *next < rows * columns {
            let (foreground, background) = DYING;
            let glyph = Glyph {
                character,
                foreground,
                background,
            };
            device.put(*next / columns, *next % columns, glyph);
            *next += 1;
        }
        !next.is_multiple_of(columns)
    };
    for character in text.chars() {
        match character {
            '\n' => while put(' ') {},
            _ => {
                put(character);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Device, Glyph, paint};
    use std::string::String;
    use std::sync::Mutex;

    struct Paper(Mutex<[[char; 5]; 3]>);

    impl Device for Paper {
        fn size(&self) -> (usize, usize) {
            (3, 5)
        }

        fn put(&self, row: usize, column: usize, glyph: Glyph) {
            assert_eq!((glyph.foreground, glyph.background), (15, 1));
            self.0.lock().unwrap()[row][column] = glyph.character;
        }

        fn set_cursor(&self, _: Option<(usize, usize)>) {}
    }

    fn painted(words: &[&str]) -> Vec<String> {
        let paper = Paper(Mutex::new([['.'; 5]; 3]));
        let mut next = 0;
        for text in words {
            paint(&paper, &mut next, text);
        }
        let rows = paper.0.into_inner().unwrap();
        rows.iter().map(|row| row.iter().collect()).collect()
    }

    #[test]
    fn last_words_begin_at_the_top_and_end_at_the_bottom() {
        assert_eq!(painted(&["a", "b\nc"]), ["ab   ", "c....", "....."]);
        assert_eq!(painted(&["abcdefg\n", "h"]), ["abcde", "fg   ", "h...."]);
        assert_eq!(
            painted(&["abcd\nefgh\nijkl\nmnop\n"]),
            ["abcd ", "efgh ", "ijkl "]
        );
        assert_eq!(painted(&["\n\n\n\n\n"]), ["     "; 3]);
    }
}
