//! Code page 437: the characters that a PC's text mode has.

/// What 0x00 to 0x1f show. (The first shows nothing.)
const LOW: [char; 32] = [
    ' ', '☺', '☻', '♥', '♦', '♣', '♠', '•', '◘', '○', '◙', '♂', '♀', '♪', '♫', '☼', '►', '◄', '↕',
    '‼', '¶', '§', '▬', '↨', '↑', '↓', '→', '←', '∟', '↔', '▲', '▼',
];

/// What 0x80 to 0xff show.
const HIGH: [char; 128] = [
    'Ç', 'ü', 'é', 'â', 'ä', 'à', 'å', 'ç', 'ê', 'ë', 'è', 'ï', 'î', 'ì', 'Ä', 'Å', 'É', 'æ', 'Æ',
    'ô', 'ö', 'ò', 'û', 'ù', 'ÿ', 'Ö', 'Ü', '¢', '£', '¥', '₧', 'ƒ', 'á', 'í', 'ó', 'ú', 'ñ', 'Ñ',
    'ª', 'º', '¿', '⌐', '¬', '½', '¼', '¡', '«', '»', '░', '▒', '▓', '│', '┤', '╡', '╢', '╖', '╕',
    '╣', '║', '╗', '╝', '╜', '╛', '┐', '└', '┴', '┬', '├', '─', '┼', '╞', '╟', '╚', '╔', '╩', '╦',
    '╠', '═', '╬', '╧', '╨', '╤', '╥', '╙', '╘', '╒', '╓', '╫', '╪', '┘', '┌', '█', '▄', '▌', '▐',
    '▀', 'α', 'ß', 'Γ', 'π', 'Σ', 'σ', 'µ', 'τ', 'Φ', 'Θ', 'Ω', 'δ', '∞', 'φ', 'ε', '∩', '≡', '±',
    '≥', '≤', '⌠', '⌡', '÷', '≈', '°', '∙', '·', '√', 'ⁿ', '²', '■', '\u{a0}',
];

/// What is shown for a character that is not there.
const MISSING: u8 = 0xfe;

/// The byte that shows a character, or what looks most like it.
pub(crate) fn encode(character: char) -> u8 {
    match character {
        // CAST: ASCII.
        ' '..='~' => character as u8,
        _ => find(character)
            .or_else(|| find(like(character)?))
            .unwrap_or(MISSING),
    }
}

fn find(character: char) -> Option<u8> {
    if character.is_ascii() {
        // CAST: ASCII.
        return (' '..='~').contains(&character).then_some(character as u8);
    }
    let at = |from: &[char], first: u8| {
        let index = from.iter().position(|c| *c == character)?;
        first.checked_add(u8::try_from(index).ok()?)
    };
    at(&HIGH, 0x80).or_else(|| at(&LOW, 0))
}

/// A character that may stand for one that is not there.
fn like(character: char) -> Option<char> {
    Some(match character {
        '━' | '┄' | '┅' | '┈' | '┉' | '╌' | '╍' | '⎺' | '⎻' | '⎼' | '⎽' | '—' | '–' | '―' => {
            '─'
        }
        '┃' | '┆' | '┇' | '┊' | '┋' | '╎' | '╏' => '│',
        '╭' | '┏' => '┌',
        '╮' | '┓' => '┐',
        '╰' | '┗' => '└',
        '╯' | '┛' => '┘',
        '┣' => '├',
        '┫' => '┤',
        '┳' => '┬',
        '┻' => '┴',
        '╋' => '┼',
        '◆' => '♦',
        '●' => '•',
        '▪' | '\u{25fc}' => '■',
        '‘' | '’' | '‹' | '›' | '′' => '\'',
        '“' | '”' | '„' | '″' => '"',
        '…' => '.',
        '‐' | '‑' | '−' => '-',
        'À' | 'Á' | 'Â' | 'Ã' => 'A',
        'È' | 'Ê' | 'Ë' | '€' => 'E',
        'Ì' | 'Í' | 'Î' | 'Ï' => 'I',
        'Ò' | 'Ó' | 'Ô' | 'Õ' | 'Ø' => 'O',
        'Ù' | 'Ú' | 'Û' => 'U',
        'Ý' => 'Y',
        'ã' => 'a',
        'õ' | 'ø' => 'o',
        'ý' => 'y',
        'š' => 's',
        'Š' => 'S',
        'ž' => 'z',
        'Ž' => 'Z',
        '×' => 'x',
        '¦' => '|',
        '©' => 'c',
        '®' => 'r',
        'μ' => 'µ',
        'β' => 'ß',
        '✓' | '✔' => '√',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{HIGH, LOW, MISSING, encode, find, like};

    #[test]
    fn every_byte_has_its_character() {
        for (table, first) in [(&HIGH[..], 0x80_usize), (&LOW[1..], 1)] {
            for (index, character) in table.iter().enumerate() {
                assert_eq!(usize::from(encode(*character)), first + index);
            }
        }
        for byte in b' '..=b'~' {
            assert_eq!(encode(char::from(byte)), byte);
        }
    }

    #[test]
    fn what_is_not_there_looks_like_something() {
        for (character, byte) in [
            ('╭', 0xda),
            ('━', 0xc4),
            ('Ø', b'O'),
            ('日', MISSING),
            ('\u{7f}', MISSING),
        ] {
            assert_eq!(encode(character), byte, "{character}");
        }
        for number in 0x80..0x3000 {
            let replaced = char::from_u32(number).and_then(like);
            assert!(
                replaced.is_none_or(|replaced| find(replaced).is_some()),
                "{number:x}"
            );
        }
    }
}
