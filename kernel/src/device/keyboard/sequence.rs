//! The bytes that a key sends to a program: those of `TERM=linux` (console_codes(4)).

use pc_keyboard::KeyCode;

/// A few bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sequence {
    bytes: [u8; Sequence::CAPACITY],
    len: usize,
}

impl Sequence {
    /// Two characters of four bytes, or an escape and the longest sequence.
    const CAPACITY: usize = 8;

    /// These bytes, as far as there is room.
    pub(super) fn of(bytes: &[u8]) -> Sequence {
        let mut sequence = Sequence::default();
        sequence.add(bytes);
        sequence
    }

    /// Adds bytes, as far as there is room.
    pub(super) fn add(&mut self, more: &[u8]) {
        for (slot, byte) in self.bytes.iter_mut().skip(self.len).zip(more) {
            *slot = *byte;
            self.len += 1;
        }
    }

    /// Adds a character in UTF-8.
    pub(super) fn add_character(&mut self, character: char) {
        self.add(character.encode_utf8(&mut [0; 4]).as_bytes());
    }

    /// The bytes.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// The number of a function key, from 1.
pub(super) fn function_number(code: KeyCode) -> Option<usize> {
    const KEYS: [KeyCode; 12] = [
        KeyCode::F1,
        KeyCode::F2,
        KeyCode::F3,
        KeyCode::F4,
        KeyCode::F5,
        KeyCode::F6,
        KeyCode::F7,
        KeyCode::F8,
        KeyCode::F9,
        KeyCode::F10,
        KeyCode::F11,
        KeyCode::F12,
    ];
    let index = KEYS.iter().position(|key| *key == code)?;
    Some(index + 1)
}

/// What a function key sends. With Shift the first ten are the eleventh to the
/// twentieth, as in Linux's own table.
pub(super) fn function(number: usize, shift: bool) -> &'static [u8] {
    const KEYS: [&[u8]; 20] = [
        b"\x1b[[A",
        b"\x1b[[B",
        b"\x1b[[C",
        b"\x1b[[D",
        b"\x1b[[E",
        b"\x1b[17~",
        b"\x1b[18~",
        b"\x1b[19~",
        b"\x1b[20~",
        b"\x1b[21~",
        b"\x1b[23~",
        b"\x1b[24~",
        b"\x1b[25~",
        b"\x1b[26~",
        b"\x1b[28~",
        b"\x1b[29~",
        b"\x1b[31~",
        b"\x1b[32~",
        b"\x1b[33~",
        b"\x1b[34~",
    ];
    let shifted = if shift && number <= 10 { 10 } else { 0 };
    let index = number.saturating_sub(1).saturating_add(shifted);
    KEYS.get(index).copied().unwrap_or_default()
}

/// What a key that moves sends, if it is one.
pub(super) fn movement(code: KeyCode, application: bool) -> Option<&'static [u8]> {
    Some(match (code, application) {
        (KeyCode::ArrowUp, false) => b"\x1b[A",
        (KeyCode::ArrowDown, false) => b"\x1b[B",
        (KeyCode::ArrowRight, false) => b"\x1b[C",
        (KeyCode::ArrowLeft, false) => b"\x1b[D",
        (KeyCode::ArrowUp, true) => b"\x1bOA",
        (KeyCode::ArrowDown, true) => b"\x1bOB",
        (KeyCode::ArrowRight, true) => b"\x1bOC",
        (KeyCode::ArrowLeft, true) => b"\x1bOD",
        (KeyCode::Home, _) => b"\x1b[1~",
        (KeyCode::Insert, _) => b"\x1b[2~",
        (KeyCode::Delete, _) => b"\x1b[3~",
        (KeyCode::End, _) => b"\x1b[4~",
        (KeyCode::PageUp, _) => b"\x1b[5~",
        (KeyCode::PageDown, _) => b"\x1b[6~",
        // The middle of the keypad, where it has no digit.
        (KeyCode::Numpad5, _) => b"\x1b[G",
        _ => return None,
    })
}

/// What a key of the keypad sends in application mode, if it is one.
pub(super) fn keypad(code: KeyCode) -> Option<u8> {
    Some(match code {
        KeyCode::Numpad0 => b'p',
        KeyCode::Numpad1 => b'q',
        KeyCode::Numpad2 => b'r',
        KeyCode::Numpad3 => b's',
        KeyCode::Numpad4 => b't',
        KeyCode::Numpad5 => b'u',
        KeyCode::Numpad6 => b'v',
        KeyCode::Numpad7 => b'w',
        KeyCode::Numpad8 => b'x',
        KeyCode::Numpad9 => b'y',
        KeyCode::NumpadAdd => b'l',
        KeyCode::NumpadSubtract => b'S',
        KeyCode::NumpadMultiply => b'R',
        KeyCode::NumpadDivide => b'Q',
        KeyCode::NumpadEnter => b'M',
        KeyCode::NumpadPeriod => b'n',
        _ => return None,
    })
}

/// What a character becomes while Ctrl is held.
pub(super) fn control(character: char) -> char {
    match character {
        'a'..='z' | 'A'..='Z' | '[' | '\\' | ']' | '^' | '_' => {
            char::from(u8::try_from(character).unwrap_or_default() & 0x1f)
        }
        ' ' | '@' | '2' | '`' => '\0',
        '3' => '\x1b',
        '4' => '\x1c',
        '5' => '\x1d',
        '6' => '\x1e',
        '7' | '/' | '-' => '\x1f',
        '8' | '?' => '\x7f',
        other => other,
    }
}
