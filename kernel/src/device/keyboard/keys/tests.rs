//! Keys as both sets tell them, and codes in any order.

use ochre_hal::keyboard::ScanCodes;
use proptest::prelude::*;

use super::{Keys, Stroke};
use crate::device::keyboard::Layout;
use crate::tty::screen::KeyModes;

const NUMBERS: KeyModes = KeyModes {
    application_cursor: false,
    application_keypad: false,
};

const APPLICATION: KeyModes = KeyModes {
    application_cursor: true,
    application_keypad: true,
};

fn keyboard(codes: ScanCodes, layout: &str) -> Keys {
    Keys::new(codes, Layout::named(layout.as_bytes()).expect("a layout"))
}

/// What the program gets; other strokes are shown in brackets.
fn typed(keys: &mut Keys, bytes: &[u8], modes: KeyModes) -> String {
    let mut shown = Vec::new();
    for byte in bytes {
        match keys.byte(*byte, modes) {
            None => {}
            Some(Stroke::Type(sequence)) => shown.extend_from_slice(sequence.as_bytes()),
            Some(other) => shown.extend_from_slice(format!("<{other:?}>").as_bytes()),
        }
    }
    String::from_utf8(shown).expect("UTF-8")
}

const ALL: [ScanCodes; 3] = [ScanCodes::Set1, ScanCodes::Set2, ScanCodes::Events];

/// The codes of set 1 and set 2 for a key.
struct Key(&'static [u8], &'static [u8]);

const A: Key = Key(&[0x1e], &[0x1c]);
const C: Key = Key(&[0x2e], &[0x21]);
const T: Key = Key(&[0x14], &[0x2c]);
const Y: Key = Key(&[0x15], &[0x35]);
const MINUS: Key = Key(&[0x0c], &[0x4e]);
const DOT: Key = Key(&[0x34], &[0x49]);
const EQUAL: Key = Key(&[0x0d], &[0x55]);
const GRAVE: Key = Key(&[0x29], &[0x0e]);
const BRACKET: Key = Key(&[0x1a], &[0x54]);
const QUOTE: Key = Key(&[0x28], &[0x52]);
const TWO: Key = Key(&[0x03], &[0x1e]);
const SPACE: Key = Key(&[0x39], &[0x29]);
const RETURN: Key = Key(&[0x1c], &[0x5a]);
const BACKSPACE: Key = Key(&[0x0e], &[0x66]);
const TAB: Key = Key(&[0x0f], &[0x0d]);
const ESCAPE: Key = Key(&[0x01], &[0x76]);
const F1: Key = Key(&[0x3b], &[0x05]);
const F2: Key = Key(&[0x3c], &[0x06]);
const F7: Key = Key(&[0x41], &[0x83]);
const F12: Key = Key(&[0x58], &[0x07]);
const UP: Key = Key(&[0xe0, 0x48], &[0xe0, 0x75]);
const HOME: Key = Key(&[0xe0, 0x47], &[0xe0, 0x6c]);
const DELETE: Key = Key(&[0xe0, 0x53], &[0xe0, 0x71]);
const PAGE_UP: Key = Key(&[0xe0, 0x49], &[0xe0, 0x7d]);
const PAGE_DOWN: Key = Key(&[0xe0, 0x51], &[0xe0, 0x7a]);
const PAD_7: Key = Key(&[0x47], &[0x6c]);
const PAD_5: Key = Key(&[0x4c], &[0x73]);
const PAD_DOT: Key = Key(&[0x53], &[0x71]);
const PAD_PLUS: Key = Key(&[0x4e], &[0x79]);
const PAD_ENTER: Key = Key(&[0xe0, 0x1c], &[0xe0, 0x5a]);
const MENU: Key = Key(&[0xe0, 0x5d], &[0xe0, 0x2f]);
const SHIFT: Key = Key(&[0x2a], &[0x12]);
const CONTROL: Key = Key(&[0x1d], &[0x14]);
const ALT: Key = Key(&[0x38], &[0x11]);
const ALT_GR: Key = Key(&[0xe0, 0x38], &[0xe0, 0x11]);
const CAPS: Key = Key(&[0x3a], &[0x58]);
const NUM: Key = Key(&[0x45], &[0x77]);
const SYSRQ: Key = Key(&[0x54], &[0x84]);
const PRINT: Key = Key(&[0xe0, 0x37], &[0xe0, 0x7c]);

impl Key {
    fn down(&self, codes: ScanCodes) -> Vec<u8> {
        match codes {
            ScanCodes::Set1 => self.0.to_vec(),
            ScanCodes::Set2 => self.1.to_vec(),
            ScanCodes::Events => vec![0, self.number()],
        }
    }

    /// Linux's number.
    fn number(&self) -> u8 {
        match self.0 {
            // It has one number for the key with and without Alt.
            [0x54] => 99,
            [plain] => *plain,
            [0xe0, code] => {
                let found = super::ESCAPED.iter().find(|(_, escaped)| escaped == code);
                found.expect("a number").0
            }
            other => panic!("no key: {other:?}"),
        }
    }

    fn up(&self, codes: ScanCodes) -> Vec<u8> {
        let mut bytes = self.down(codes);
        match codes {
            ScanCodes::Set1 => *bytes.last_mut().expect("some") |= 0x80,
            ScanCodes::Set2 => bytes.insert(bytes.len() - 1, 0xf0),
            ScanCodes::Events => bytes[0] |= 0x80,
        }
        bytes
    }
}

/// Presses chords one after the other: all keys of one down, then up.
fn chords(codes: ScanCodes, chords: &[&[&Key]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for chord in chords {
        bytes.extend(chord.iter().flat_map(|key| key.down(codes)));
        bytes.extend(chord.iter().rev().flat_map(|key| key.up(codes)));
    }
    bytes
}

#[track_caller]
fn check(layout: &str, modes: KeyModes, pressed: &[&[&Key]], expected: &str) {
    for codes in ALL {
        let mut keys = keyboard(codes, layout);
        let bytes = chords(codes, pressed);
        assert_eq!(typed(&mut keys, &bytes, modes), expected, "{codes:?}");
    }
}

#[test]
fn characters_and_modifiers() {
    let us = |pressed: &[&[&Key]], expected| check("us", NUMBERS, pressed, expected);
    us(
        &[&[&A], &[&SHIFT, &A], &[&A], &[&TWO], &[&SHIFT, &TWO]],
        "aAa2@",
    );
    us(
        &[&[&CAPS], &[&A], &[&SHIFT, &A], &[&TWO], &[&CAPS], &[&A]],
        "Aa2a",
    );
    us(
        &[&[&RETURN], &[&BACKSPACE], &[&TAB], &[&ESCAPE], &[&SPACE]],
        "\r\x7f\t\x1b ",
    );
    us(
        &[
            &[&CONTROL, &C],
            &[&CONTROL, &SHIFT, &C],
            &[&CONTROL, &SPACE],
        ],
        "\x03\x03\0",
    );
    us(&[&[&CONTROL, &MINUS], &[&CONTROL, &BACKSPACE]], "\x1f\x08");
    us(
        &[&[&ALT, &A], &[&ALT, &BACKSPACE], &[&ALT, &CONTROL, &C]],
        "\x1ba\x1b\x7f\x1b\x03",
    );
    us(&[&[&SHIFT, &TAB], &[&CONTROL], &[&A]], "\x1b\ta");
}

#[test]
fn a_held_key_repeats_and_a_held_lock_does_not() {
    for codes in ALL {
        let mut keys = keyboard(codes, "us");
        let a = A.down(codes).repeat(5);
        assert_eq!(typed(&mut keys, &a, NUMBERS), "aaaaa");
        let caps = CAPS.down(codes).repeat(4);
        assert_eq!(typed(&mut keys, &caps, NUMBERS), "");
        assert_eq!(typed(&mut keys, &a, NUMBERS), "AAAAA");
    }
}

#[test]
fn layouts_have_their_characters() {
    check(
        "de",
        NUMBERS,
        &[&[&Y], &[&MINUS], &[&QUOTE], &[&SHIFT, &QUOTE]],
        "zßäÄ",
    );
    check(
        "de",
        NUMBERS,
        &[&[&ALT_GR, &MINUS], &[&ALT, &QUOTE]],
        "\\\x1bä",
    );
    check("uk", NUMBERS, &[&[&SHIFT, &TWO], &[&SHIFT, &QUOTE]], "\"@");
    check("fr", NUMBERS, &[&[&A], &[&TWO], &[&CONTROL, &A]], "qé\x11");
    check("dvorak", NUMBERS, &[&[&C], &[&CONTROL, &C]], "j\x0a");
}

#[test]
fn dead_keys_wait_for_a_letter() {
    let de = |pressed: &[&[&Key]], expected| check("de", NUMBERS, pressed, expected);
    de(&[&[&EQUAL], &[&A], &[&SHIFT, &EQUAL], &[&A]], "áà");
    de(&[&[&GRAVE], &[&SPACE], &[&GRAVE], &[&GRAVE], &[&A]], "^^a");
    de(&[&[&GRAVE], &[&T], &[&GRAVE], &[&RETURN], &[&A]], "^t\ra");
    // With Alt it is for the program at once; composed, a character like others.
    de(&[&[&ALT, &GRAVE], &[&A]], "\x1b^a");
    de(&[&[&MENU], &[&GRAVE], &[&A]], "â");
    check("fr", NUMBERS, &[&[&BRACKET], &[&TWO]], "^é");
    check("us", NUMBERS, &[&[&GRAVE], &[&A]], "`a");
    let mut plain = Keys::new(
        ScanCodes::Set1,
        Layout::named(b"de").expect("a layout").without_dead_keys(),
    );
    let bytes = chords(ScanCodes::Set1, &[&[&GRAVE], &[&A]]);
    assert_eq!(typed(&mut plain, &bytes, NUMBERS), "^a");
}

#[test]
fn keys_that_send_sequences() {
    let us = |pressed: &[&[&Key]], expected| check("us", NUMBERS, pressed, expected);
    us(&[&[&F1], &[&F7], &[&F12]], "\x1b[[A\x1b[18~\x1b[24~");
    us(&[&[&SHIFT, &F1], &[&SHIFT, &F12]], "\x1b[23~\x1b[24~");
    us(
        &[&[&UP], &[&HOME], &[&DELETE], &[&PAGE_UP]],
        "\x1b[A\x1b[1~\x1b[3~\x1b[5~",
    );
    us(
        &[
            &[&PAD_7],
            &[&PAD_5],
            &[&PAD_DOT],
            &[&PAD_PLUS],
            &[&PAD_ENTER],
        ],
        "75.+\r",
    );
    us(
        &[&[&NUM], &[&PAD_7], &[&PAD_5], &[&PAD_DOT]],
        "\x1b[1~\x1b[G\x1b[3~",
    );
    let application = |pressed: &[&[&Key]], expected| check("us", APPLICATION, pressed, expected);
    application(
        &[&[&UP], &[&HOME], &[&PAD_7], &[&PAD_ENTER]],
        "\x1bOA\x1b[1~\x1bOw\x1bOM",
    );
    // Shift has the digits all the same.
    application(&[&[&SHIFT, &PAD_PLUS]], "+");
}

#[test]
fn keys_for_the_kernel() {
    let us = |pressed: &[&[&Key]], expected| check("us", NUMBERS, pressed, expected);
    us(
        &[&[&ALT, &F2], &[&CONTROL, &ALT, &F1]],
        "<Terminal(2)><Terminal(1)>",
    );
    us(
        &[&[&SHIFT, &PAGE_UP], &[&SHIFT, &PAGE_DOWN]],
        "<Back><Forth>",
    );
    us(&[&[&ALT, &SYSRQ, &T], &[&T]], "<Request('t')>t");
    us(&[&[&ALT, &PRINT, &T], &[&PRINT, &T]], "<Request('t')>t");
    // It is asked once, however long the key is held.
    for codes in ALL {
        let mut keys = keyboard(codes, "us");
        let mut bytes = [ALT.down(codes), SYSRQ.down(codes)].concat();
        bytes.extend(T.down(codes).repeat(3));
        assert_eq!(typed(&mut keys, &bytes, NUMBERS), "<Request('t')>");
    }
}

#[test]
fn composes() {
    let us = |pressed: &[&[&Key]], expected| check("us", NUMBERS, pressed, expected);
    us(&[&[&MENU], &[&SHIFT, &QUOTE], &[&A], &[&A]], "äa");
    us(&[&[&CONTROL, &DOT], &[&QUOTE], &[&T], &[&A]], "'ta");
    us(&[&[&MENU], &[&QUOTE], &[&ESCAPE], &[&A]], "\x1ba");
}

/// The keyboard that lost keys may have lost that Shift came up.
#[test]
fn lost_keys_are_told_and_nothing_stays_down() {
    let mut keys = keyboard(ScanCodes::Set2, "us");
    let bytes = [SHIFT.1, A.1, &[0x00], A.1].concat();
    assert_eq!(typed(&mut keys, &bytes, NUMBERS), "A<Lost>a");
}

/// A number that is no key's does nothing, and is not down for ever.
#[test]
fn a_number_of_no_key_is_passed_over() {
    let mut keys = keyboard(ScanCodes::Events, "us");
    let bytes = [
        &[0, 84],
        &*ALT.down(ScanCodes::Events),
        &A.down(ScanCodes::Events),
    ]
    .concat();
    assert_eq!(typed(&mut keys, &bytes, NUMBERS), "\x1ba");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever comes, nothing breaks, everything that is typed is whole
    /// characters, and after every key was let go a letter is a letter again.
    #[test]
    fn codes_in_any_order(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        codes in proptest::sample::select(ALL.to_vec()),
        layout in 0..11_usize,
        modes: (bool, bool),
    ) {
        let name = Layout::NAMES
            .trim_start_matches("is one of ")
            .split(", ")
            .nth(layout)
            .expect("eleven names");
        let mut keys = keyboard(codes, name);
        let modes = KeyModes { application_cursor: modes.0, application_keypad: modes.1 };
        let _ = typed(&mut keys, &bytes, modes);
        // Ends any code that was begun.
        let end: &[u8] = match codes {
            ScanCodes::Set1 | ScanCodes::Set2 => &[0x7e, 0x7e],
            ScanCodes::Events if bytes.len().is_multiple_of(2) => &[],
            ScanCodes::Events => &[0],
        };
        let _ = typed(&mut keys, end, modes);
        for key in [SHIFT, CONTROL, ALT, ALT_GR, SYSRQ, PRINT] {
            let _ = typed(&mut keys, &key.up(codes), modes);
        }
        let others: &[&[u8]] = match codes {
            ScanCodes::Set1 => &[&[0xe0, 0x9d], &[0xb6], &[0xe1, 0x9d]],
            ScanCodes::Set2 => &[&[0xe0, 0xf0, 0x14], &[0xf0, 0x59], &[0xe1, 0xf0, 0x14]],
            ScanCodes::Events => &[&[0x80, 97], &[0x80, 54]],
        };
        for other in others {
            let _ = typed(&mut keys, other, modes);
        }
        let _ = typed(&mut keys, &chords(codes, &[&[&ESCAPE]]), modes);
        let last = typed(&mut keys, &chords(codes, &[&[&RETURN]]), modes);
        prop_assert_eq!(last, "\r");
    }
}
