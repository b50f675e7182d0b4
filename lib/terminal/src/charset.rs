//! The character sets that `ESC (` and `ESC )` choose.

/// What printed bytes mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Charset {
    /// What they are.
    #[default]
    Plain,
    /// DEC's special graphics: lines and corners in the place of small letters.
    Graphics,
}

/// What `_` to `~` mean among the special graphics.
const GRAPHICS: [char; 32] = [
    ' ', '◆', '▒', '␉', '␌', '␍', '␊', '°', '±', '␤', '␋', '┘', '┐', '┌', '└', '┼', '⎺', '⎻', '─',
    '⎼', '⎽', '├', '┤', '┴', '┬', '│', '≤', '≥', 'π', '≠', '£', '·',
];

impl Charset {
    /// By the last byte of its sequence. What is not known is plain.
    pub(crate) fn named(byte: u8) -> Charset {
        match byte {
            b'0' => Charset::Graphics,
            _ => Charset::Plain,
        }
    }

    /// What a character means.
    pub(crate) fn map(self, character: char) -> char {
        match (self, character) {
            (Charset::Graphics, '_'..='~') => {
                let index = u32::from(character) - u32::from('_');
                // CAST: below 32.
                GRAPHICS[index as usize]
            }
            _ => character,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Charset;

    #[test]
    fn draws_lines() {
        let map = |text: &str| -> std::string::String {
            text.chars().map(|c| Charset::Graphics.map(c)).collect()
        };
        assert_eq!(map("lqwqk"), "┌─┬─┐");
        assert_eq!(map("x x x"), "│ │ │");
        assert_eq!(map("tqnqu"), "├─┼─┤");
        assert_eq!(map("mqvqj"), "└─┴─┘");
        assert_eq!(map("AZ09é"), "AZ09é");
        assert_eq!(Charset::Plain.map('q'), 'q');
    }
}
