//! One place on the screen.

use bitflags::bitflags;

use crate::Colour;

bitflags! {
    /// How a cell is shown, and which part of a wide character it is.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Attributes: u16 {
        /// Bright.
        const BOLD = 1;
        /// Dark.
        const DIM = 2;
        /// Slanted, or coloured where that cannot be shown.
        const ITALIC = 4;
        /// Underlined, or coloured where that cannot be shown.
        const UNDERLINE = 8;
        /// Blinking, or on a bright background where that cannot be shown.
        const BLINK = 16;
        /// Foreground and background exchanged.
        const REVERSE = 32;
        /// Not shown.
        const HIDDEN = 64;
        /// The left half of a wide character; the next cell is the other one.
        const WIDE = 128;
        /// The right half of a wide character; its own character is a blank.
        const SECOND_HALF = 256;
    }
}

/// One place on the screen: a character, its colours and attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// What is there; a space if nothing is.
    pub character: char,
    /// Foreground in the low half, background in the high one.
    pub(crate) colours: u8,
    /// How it is shown.
    pub attributes: Attributes,
}

impl Cell {
    /// Nothing, in the usual colours.
    pub const BLANK: Cell = Cell::new(
        ' ',
        Colour::FOREGROUND,
        Colour::BACKGROUND,
        Attributes::empty(),
    );

    /// A cell.
    #[must_use]
    pub const fn new(
        character: char,
        foreground: Colour,
        background: Colour,
        attributes: Attributes,
    ) -> Cell {
        Cell {
            character,
            colours: foreground.number() | background.number() << 4,
            attributes,
        }
    }

    /// The colour it was given.
    #[must_use]
    pub const fn foreground(self) -> Colour {
        Colour::new(self.colours)
    }

    /// The background it was given.
    #[must_use]
    pub const fn background(self) -> Colour {
        Colour::new(self.colours >> 4)
    }

    /// Foreground and background as a screen of sixteen colours shows them,
    /// which has no other way to show the attributes.
    #[must_use]
    pub fn shown(self) -> (Colour, Colour) {
        let has = |attribute| self.attributes.contains(attribute);
        let mut front = self.foreground();
        let mut back = self.background();
        if has(Attributes::ITALIC) {
            front = Colour::ITALIC;
        }
        if has(Attributes::UNDERLINE) {
            front = Colour::UNDERLINE;
        }
        if has(Attributes::DIM) {
            front = Colour::DIM;
        }
        if has(Attributes::BOLD) {
            front = front.bright();
        }
        if has(Attributes::REVERSE) {
            (front, back) = (back, front);
        }
        if has(Attributes::BLINK) {
            back = back.bright();
        }
        if has(Attributes::HIDDEN) {
            front = back;
        }
        (front, back)
    }
}

#[cfg(test)]
mod tests {
    use super::{Attributes, Cell};
    use crate::Colour;

    #[test]
    fn a_cell_is_a_word() {
        assert_eq!(size_of::<Cell>(), 8);
    }

    #[test]
    fn shows_attributes_in_colours() {
        let check = |attributes, front, back| {
            let cell = Cell::new('x', Colour::new(1), Colour::new(4), attributes);
            let shown = cell.shown();
            assert_eq!((shown.0.number(), shown.1.number()), (front, back));
        };
        check(Attributes::empty(), 1, 4);
        check(Attributes::BOLD, 9, 4);
        check(Attributes::REVERSE, 4, 1);
        check(Attributes::BOLD | Attributes::REVERSE, 4, 9);
        check(Attributes::DIM, 8, 4);
        check(Attributes::UNDERLINE, 6, 4);
        check(Attributes::BLINK, 1, 12);
        check(Attributes::HIDDEN, 4, 4);
    }
}
