//! Characters from two keys: the compose key, a mark, a letter.
//!
//! A dead key is a mark that has been composed so far: it waits for the letter.

/// Marks, the letters that take them, and what comes of each.
const ACCENTS: &[(char, &str, &str)] = &[
    ('`', "AEIOUaeiou", "ÀÈÌÒÙàèìòù"),
    ('\'', "AEIOUYaeiouy", "ÁÉÍÓÚÝáéíóúý"),
    ('´', "AEIOUYaeiouy", "ÁÉÍÓÚÝáéíóúý"),
    ('^', "AEIOUaeiou", "ÂÊÎÔÛâêîôû"),
    ('"', "AEIOUaeiouy", "ÄËÏÖÜäëïöüÿ"),
    ('¨', "AEIOUaeiouy", "ÄËÏÖÜäëïöüÿ"),
    ('~', "ANOano", "ÃÑÕãñõ"),
    (',', "Cc", "Çç"),
    ('/', "Oo", "Øø"),
];

/// Pairs in the order in which they are written; the other order does too.
const PAIRS: &[(char, char, char)] = &[
    ('A', 'A', 'Å'),
    ('a', 'a', 'å'),
    ('A', 'E', 'Æ'),
    ('a', 'e', 'æ'),
    ('D', '-', 'Ð'),
    ('d', '-', 'ð'),
    ('T', 'H', 'Þ'),
    ('t', 'h', 'þ'),
    ('s', 's', 'ß'),
    ('<', '<', '«'),
    ('>', '>', '»'),
    ('!', '!', '¡'),
    ('?', '?', '¿'),
    ('c', '|', '¢'),
    ('L', '-', '£'),
    ('Y', '=', '¥'),
    ('E', '=', '€'),
    ('S', 'o', '§'),
    ('c', 'o', '©'),
    ('r', 'o', '®'),
    ('o', 'o', '°'),
    ('+', '-', '±'),
    ('m', 'u', 'µ'),
    ('1', '4', '¼'),
    ('1', '2', '½'),
    ('3', '4', '¾'),
    ('x', 'x', '×'),
    (':', '-', '÷'),
    ('a', '_', 'ª'),
    ('o', '_', 'º'),
    ('.', '-', '·'),
    ('-', ',', '¬'),
];

/// How far a composition has come.
///
/// | state | compose key | a dead key's mark | a character |
/// |---|---|---|---|
/// | `Idle` | `First` | kept, `Second` | goes through |
/// | `First` | stays | as any character | kept, `Second` |
/// | `Second` | `First` | as any character | composed or both, `Idle` |
///
/// A mark with a blank, or twice, is the mark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Compose {
    #[default]
    Idle,
    First,
    Second(char),
}

impl Compose {
    /// The compose key was pressed.
    pub(super) fn start(&mut self) {
        *self = Compose::First;
    }

    /// Another key than those of characters was pressed.
    pub(super) fn end(&mut self) {
        *self = Compose::Idle;
    }

    /// A dead key was pressed; what comes of it, as for any character.
    pub(super) fn mark(&mut self, mark: char) -> [Option<char>; 2] {
        if *self == Compose::Idle {
            *self = Compose::First;
        }
        self.take(mark)
    }

    /// A character was typed; what comes of it: none, one, or both where they
    /// do not go together.
    pub(super) fn take(&mut self, character: char) -> [Option<char>; 2] {
        match core::mem::take(self) {
            Compose::Idle => [Some(character), None],
            Compose::First => {
                *self = Compose::Second(character);
                [None, None]
            }
            Compose::Second(first) => match composed(first, character) {
                Some(one) => [Some(one), None],
                None if is_mark(first) && (character == ' ' || character == first) => {
                    [Some(first), None]
                }
                None => [Some(first), Some(character)],
            },
        }
    }
}

fn is_mark(character: char) -> bool {
    ACCENTS.iter().any(|(mark, ..)| *mark == character)
}

/// What two characters give, in either order.
fn composed(first: char, second: char) -> Option<char> {
    let accented = |mark: char, letter: char| {
        let lines = ACCENTS.iter().filter(|line| line.0 == mark);
        lines
            .flat_map(|(_, letters, made)| letters.chars().zip(made.chars()))
            .find(|(from, _)| *from == letter)
            .map(|(_, made)| made)
    };
    accented(first, second)
        .or_else(|| accented(second, first))
        .or_else(|| {
            let pair = |a: char, b: char| (a, b) == (first, second) || (b, a) == (first, second);
            let found = PAIRS.iter().find(|line| pair(line.0, line.1))?;
            Some(found.2)
        })
}

#[cfg(test)]
mod tests {
    use super::{ACCENTS, Compose, composed};

    #[test]
    fn every_letter_has_its_own() {
        for (mark, letters, made) in ACCENTS {
            assert_eq!(letters.chars().count(), made.chars().count(), "{mark}");
        }
        assert_eq!(composed('"', 'a'), Some('ä'));
        assert_eq!(composed('a', '"'), Some('ä'));
        assert_eq!(composed('=', 'E'), Some('€'));
        assert_eq!(composed('q', 'q'), None);
    }

    #[test]
    fn what_does_not_go_together_stays() {
        let mut compose = Compose::default();
        assert_eq!(compose.take('x'), [Some('x'), None]);
        compose.start();
        assert_eq!(compose.take('\''), [None, None]);
        assert_eq!(compose.take('e'), [Some('é'), None]);
        compose.start();
        assert_eq!(compose.take('q'), [None, None]);
        assert_eq!(compose.take('k'), [Some('q'), Some('k')]);
        compose.start();
        compose.end();
        assert_eq!(compose.take('y'), [Some('y'), None]);
    }
}
