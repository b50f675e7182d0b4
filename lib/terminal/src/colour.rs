//! Sixteen colours, and what of more colours becomes of them.

/// One of sixteen colours, numbered as SGR does: black, red, green, yellow,
/// blue, magenta, cyan, white, and the same bright.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour(u8);

/// Red, green and blue of each colour, as a PC's text mode has them.
pub const PALETTE: [[u8; 3]; 16] = [
    [0x00, 0x00, 0x00],
    [0xaa, 0x00, 0x00],
    [0x00, 0xaa, 0x00],
    [0xaa, 0x55, 0x00],
    [0x00, 0x00, 0xaa],
    [0xaa, 0x00, 0xaa],
    [0x00, 0xaa, 0xaa],
    [0xaa, 0xaa, 0xaa],
    [0x55, 0x55, 0x55],
    [0xff, 0x55, 0x55],
    [0x55, 0xff, 0x55],
    [0xff, 0xff, 0x55],
    [0x55, 0x55, 0xff],
    [0xff, 0x55, 0xff],
    [0x55, 0xff, 0xff],
    [0xff, 0xff, 0xff],
];

/// Levels of the 6x6x6 cube of 256 colours.
const LEVELS: [u8; 6] = [0x00, 0x5f, 0x87, 0xaf, 0xd7, 0xff];

impl Colour {
    /// What text has unless it says otherwise.
    pub const FOREGROUND: Colour = Colour(7);
    /// What is behind it.
    pub const BACKGROUND: Colour = Colour(0);
    /// What underlined text has on Linux's console.
    pub(crate) const UNDERLINE: Colour = Colour(6);
    /// What italic text has there.
    pub(crate) const ITALIC: Colour = Colour(2);
    /// What dim text has there.
    pub(crate) const DIM: Colour = Colour(8);

    /// By number; only the lowest four bits count.
    #[must_use]
    pub const fn new(number: u8) -> Colour {
        Colour(number & 0xf)
    }

    /// The number, below 16.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// The bright one of the two of a kind.
    #[must_use]
    pub const fn bright(self) -> Colour {
        Colour(self.0 | 8)
    }

    /// The nearest of the sixteen to one of 256.
    #[must_use]
    pub fn from_256(number: u8) -> Colour {
        match number {
            0..16 => Colour(number),
            16..232 => {
                let level = |step: u8| LEVELS[usize::from((number - 16) / step % 6)];
                Colour::from_rgb([level(36), level(6), level(1)])
            }
            232.. => Colour::from_rgb([(number - 232) * 10 + 8; 3]),
        }
    }

    /// The nearest of the sixteen.
    #[must_use]
    pub fn from_rgb(rgb: [u8; 3]) -> Colour {
        let distance = |colour: &[u8; 3]| -> u32 {
            let parts = colour.iter().zip(rgb);
            parts
                .map(|(have, want)| u32::from(have.abs_diff(want)).pow(2))
                .sum()
        };
        let nearest = (0..16_u8).min_by_key(|&number| distance(&PALETTE[usize::from(number)]));
        nearest.map_or(Colour::FOREGROUND, Colour)
    }
}

#[cfg(test)]
mod tests {
    use super::{Colour, PALETTE};

    #[test]
    fn the_palette_is_nearest_to_itself() {
        for number in 0..16_u8 {
            assert_eq!(Colour::from_256(number).number(), number);
            let rgb = PALETTE[usize::from(number)];
            assert_eq!(Colour::from_rgb(rgb).number(), number);
        }
    }

    #[test]
    fn finds_what_is_near() {
        let check = |number, nearest| {
            assert_eq!(Colour::from_256(number).number(), nearest, "{number}");
        };
        check(16, 0);
        check(196, 1); // Pure red: a bright one here is half white.
        check(21, 4);
        check(231, 15);
        check(232, 0);
        check(240, 8);
        check(249, 7);
        check(255, 15);
    }
}
