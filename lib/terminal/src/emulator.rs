//! The terminal as its users see it.

use alloc::string::String;

use vte::Parser;

use crate::palette_guard::{END_MARK, Guard};
use crate::screen::{Modes, Screen};
use crate::utf8::Assembler;
use crate::{Cell, OutOfMemory};

/// Bytes kept of a title and the like, none of which is shown.
const STRING: usize = 32;

/// Rows and columns that a screen has at most.
const MAX_SIDE: usize = 1024;

/// See the [crate].
pub struct Emulator {
    parser: Parser<STRING>,
    guard: Guard,
    assembler: Assembler,
    screen: Screen,
}

impl core::fmt::Debug for Emulator {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Emulator").field(&self.screen).finish()
    }
}

/// A side that a screen can have.
fn side(wanted: usize) -> usize {
    wanted.clamp(1, MAX_SIDE)
}

impl Emulator {
    /// A blank screen (of at least one and at most 1024 rows and columns) that
    /// remembers up to `history` lines.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub fn new(rows: usize, columns: usize, history: usize) -> Result<Emulator, OutOfMemory> {
        Ok(Emulator {
            parser: Parser::new_with_size(),
            guard: Guard::default(),
            assembler: Assembler::default(),
            screen: Screen::new(side(rows), side(columns), history)?,
        })
    }

    /// Does what the bytes say. They need not be whole sequences, or text.
    pub fn write(&mut self, bytes: &[u8]) {
        self.screen.show_newest();
        let mut rest = bytes;
        while !rest.is_empty() {
            let (count, is_end) = self.guard.split(rest);
            let (now, later) = rest.split_at(count);
            let (parser, screen) = (&mut self.parser, &mut self.screen);
            self.assembler
                .feed(now, |bytes| parser.advance(screen, bytes));
            if is_end {
                self.parser.advance(&mut self.screen, END_MARK);
            }
            rest = later;
        }
    }

    /// Has another size, with as much of what there was as fits and the cursor
    /// in it.
    ///
    /// # Errors
    /// [`OutOfMemory`]; then nothing changed.
    pub fn resize(&mut self, rows: usize, columns: usize) -> Result<(), OutOfMemory> {
        self.screen.resize(side(rows), side(columns))
    }

    /// Rows and columns.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        (self.screen.rows(), self.screen.columns())
    }

    /// Row and column of the cursor, if it is shown.
    #[must_use]
    pub fn cursor(&self) -> Option<(usize, usize)> {
        self.screen.shown_cursor()
    }

    /// What programs have switched on.
    #[must_use]
    pub fn modes(&self) -> Modes {
        self.screen.modes
    }

    /// Takes answers to what programs asked, for the terminal's input; returns
    /// how many bytes.
    pub fn take_replies(&mut self, to: &mut [u8]) -> usize {
        self.screen.replies.take(to)
    }

    /// Whether there are answers.
    #[must_use]
    pub fn has_replies(&self) -> bool {
        !self.screen.replies.is_empty()
    }

    /// Whether the bell rang since the last time it was asked.
    pub fn take_bell(&mut self) -> bool {
        core::mem::take(&mut self.screen.bell)
    }

    /// Whether there is anything to [`draw`](Emulator::draw), apart from the
    /// cursor's place.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        self.screen.is_dirty()
    }

    /// Gives `paint` each row that changed since the last time, with its number.
    /// A row of history may be shorter or longer than the screen is wide.
    pub fn draw(&mut self, mut paint: impl FnMut(usize, &[Cell])) {
        for row in 0..self.screen.rows() {
            if self.screen.take_dirty(row) {
                paint(row, self.screen.shown(row));
            }
        }
    }

    /// Has all rows drawn the next time: something else was shown in between.
    pub fn touch(&mut self) {
        self.screen.touch();
    }

    /// Moves what is shown by so many lines towards older ones (or, negative,
    /// newer ones), as far as they are kept. The next output ends that.
    pub fn scroll_back(&mut self, lines: isize) {
        self.screen.scroll_back(lines);
    }

    /// The characters of a row, as it is shown; empty for a row that is not.
    #[must_use]
    pub fn text(&self, row: usize) -> String {
        self.row(row)
            .iter()
            .filter(|cell| !cell.attributes.contains(crate::Attributes::SECOND_HALF))
            .map(|cell| cell.character)
            .collect()
    }

    /// The cells of a row, as it is shown; empty for a row that is not.
    #[must_use]
    pub fn row(&self, row: usize) -> &[Cell] {
        if row < self.screen.rows() {
            self.screen.shown(row)
        } else {
            &[]
        }
    }
}
