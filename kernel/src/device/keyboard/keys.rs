//! From the keyboard's codes to what is to be done.
//!
//! Pure, and fed by a device that may send anything: no order of codes is
//! trusted. A key that comes up without having gone down, one that never comes
//! up, half a code: each is at worst a key that means nothing.
//!
//! | keys | do |
//! |---|---|
//! | Alt with F1 to F12 | show that terminal |
//! | Shift with page up or down | show older or newer lines |
//! | Alt, SysRq and a letter | ask the kernel ([`sysrq`](crate::sysrq)) |
//! | Menu, or Ctrl with the dot | compose the next two characters |
//! | a layout's dead keys | compose with the next character |
//! | all others | send bytes to the program |

use ochre_hal::keyboard::ScanCodes;
use pc_keyboard::{
    DecodedKey, HandleControl, KeyCode, KeyEvent, KeyState, KeyboardLayout, Modifiers, ScancodeSet,
    ScancodeSet1, ScancodeSet2,
};

use super::compose::Compose;
use super::layout::Layout;
use super::sequence::{self, Sequence};
use crate::tty::screen::KeyModes;

const ESCAPE: u8 = 0x1b;

/// What keyboards send for SysRq in set 2, and what the decoder knows it as.
const SYSRQ_SENT: u8 = 0x84;
const SYSRQ_KNOWN: u8 = 0x7f;

/// What a key wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stroke {
    /// The program gets these bytes.
    Type(Sequence),
    /// Show this terminal.
    Terminal(usize),
    /// Show older lines.
    Back,
    /// Show newer lines.
    Forth,
    /// The kernel is asked.
    Request(char),
    /// The keyboard says that it lost keys.
    Lost,
}

/// How bytes become keys.
enum Decoder {
    Set1(ScancodeSet1),
    Set2(ScancodeSet2),
    Events(Events),
}

/// Linux's numbers of keys are those of set 1 as far as that goes, and what
/// comes after an escape there has numbers of its own.
struct Events {
    set: ScancodeSet1,
    /// The upper byte of a key whose lower one is still to come.
    upper: Option<u8>,
}

impl Events {
    fn advance_state(&mut self, byte: u8) -> Option<KeyEvent> {
        const UP: u8 = 0x80;
        let Some(upper) = self.upper.take() else {
            self.upper = Some(byte);
            return None;
        };
        if upper & !UP != 0 {
            return None;
        }
        let up = upper & UP;
        if byte <= PLAIN_MAX && byte != SYSRQ_WITH_ALT {
            return self.set.advance_state(byte | up).ok()?;
        }
        let (_, code) = ESCAPED.iter().find(|(number, _)| *number == byte)?;
        // It answers nothing to the first of two.
        let _ = self.set.advance_state(ESCAPE_OF_SET1);
        self.set.advance_state(code | up).ok()?
    }
}

/// The last number that means the same in set 1.
const PLAIN_MAX: u8 = 88;

/// What set 1 has for SysRq with Alt: Linux has no such number, and the key one
/// number with Alt and without.
const SYSRQ_WITH_ALT: u8 = 84;

/// What comes before many codes of set 1.
const ESCAPE_OF_SET1: u8 = 0xe0;

/// Linux's numbers, and what comes after an escape in set 1.
const ESCAPED: [(u8, u8); 18] = [
    (96, 0x1c),
    (97, 0x1d),
    (98, 0x35),
    (99, 0x37),
    (100, 0x38),
    (102, 0x47),
    (103, 0x48),
    (104, 0x49),
    (105, 0x4b),
    (106, 0x4d),
    (107, 0x4f),
    (108, 0x50),
    (109, 0x51),
    (110, 0x52),
    (111, 0x53),
    (125, 0x5b),
    (126, 0x5c),
    (127, 0x5d),
];

/// A keyboard's state.
pub(super) struct Keys {
    decoder: Decoder,
    layout: Layout,
    modifiers: Modifiers,
    /// The keys that are down, a bit each.
    down: u128,
    compose: Compose,
}

fn bit(code: KeyCode) -> u128 {
    1_u128.checked_shl(code as u32).unwrap_or(0)
}

impl Keys {
    /// A keyboard with nothing pressed.
    pub(super) fn new(codes: ScanCodes, layout: Layout) -> Keys {
        Keys {
            decoder: match codes {
                ScanCodes::Set1 => Decoder::Set1(ScancodeSet1::new()),
                ScanCodes::Set2 => Decoder::Set2(ScancodeSet2::new()),
                ScanCodes::Events => Decoder::Events(Events {
                    set: ScancodeSet1::new(),
                    upper: None,
                }),
            },
            layout,
            modifiers: Modifiers {
                numlock: true,
                ..Modifiers::default()
            },
            down: 0,
            compose: Compose::default(),
        }
    }

    /// Takes one byte of codes.
    pub(super) fn byte(&mut self, byte: u8, modes: KeyModes) -> Option<Stroke> {
        let event = match &mut self.decoder {
            Decoder::Set1(set) => set.advance_state(byte),
            Decoder::Set2(set) if byte == SYSRQ_SENT => set.advance_state(SYSRQ_KNOWN),
            Decoder::Set2(set) => set.advance_state(byte),
            Decoder::Events(events) => Ok(events.advance_state(byte)),
        };
        // A code that nobody knows is a key that means nothing.
        self.event(&event.ok()??, modes)
    }

    /// Takes a key that went down (again, while it is held) or up.
    pub(super) fn event(&mut self, event: &KeyEvent, modes: KeyModes) -> Option<Stroke> {
        let code = event.code;
        match event.state {
            KeyState::SingleShot => {
                // Whatever was held, nobody will say that it is let go.
                self.let_go();
                (code == KeyCode::TooManyKeys).then_some(Stroke::Lost)
            }
            KeyState::Up => {
                self.down &= !bit(code);
                self.hold(code, false);
                None
            }
            KeyState::Down => {
                let again = self.down & bit(code) != 0;
                self.down |= bit(code);
                if self.hold(code, true) {
                    return None;
                }
                self.pressed(code, again, modes)
            }
        }
    }

    fn let_go(&mut self) {
        self.down = 0;
        self.modifiers = Modifiers {
            numlock: self.modifiers.numlock,
            capslock: self.modifiers.capslock,
            ..Modifiers::default()
        };
    }

    /// Takes note of a modifier; whether it is one.
    fn hold(&mut self, code: KeyCode, down: bool) -> bool {
        let modifiers = &mut self.modifiers;
        let held = match code {
            KeyCode::LShift => &mut modifiers.lshift,
            KeyCode::RShift => &mut modifiers.rshift,
            KeyCode::LControl => &mut modifiers.lctrl,
            KeyCode::RControl => &mut modifiers.rctrl,
            KeyCode::RControl2 => &mut modifiers.rctrl2,
            KeyCode::LAlt => &mut modifiers.lalt,
            KeyCode::RAltGr => &mut modifiers.ralt,
            // Comes with others and means nothing.
            KeyCode::RAlt2 => return true,
            _ => return false,
        };
        *held = down;
        true
    }

    fn pressed(&mut self, code: KeyCode, again: bool, modes: KeyModes) -> Option<Stroke> {
        let shift = self.modifiers.is_shifted();
        let control = self.modifiers.is_ctrl();
        let alt = self.modifiers.lalt;
        match code {
            // Held, they stay as they are.
            KeyCode::CapsLock => {
                self.modifiers.capslock ^= !again;
                return None;
            }
            KeyCode::NumpadLock => {
                // After the hidden control key it is the one for a pause.
                self.modifiers.numlock ^= !again && !self.modifiers.rctrl2;
                return None;
            }
            KeyCode::SysRq | KeyCode::PrintScreen => return None,
            _ if self.asks_kernel() => return self.request(code, again),
            KeyCode::Apps => {
                self.compose.start();
                return None;
            }
            KeyCode::PageUp if shift => return Some(Stroke::Back),
            KeyCode::PageDown if shift => return Some(Stroke::Forth),
            _ => {}
        }
        if let Some(number) = sequence::function_number(code) {
            self.compose.end();
            if alt {
                return Some(Stroke::Terminal(number));
            }
            return Some(Stroke::Type(Sequence::of(sequence::function(
                number, shift,
            ))));
        }
        if modes.application_keypad
            && !shift
            && let Some(last) = sequence::keypad(code)
        {
            self.compose.end();
            return Some(Stroke::Type(Sequence::of(&[ESCAPE, b'O', last])));
        }
        let special = match code {
            KeyCode::Backspace if control => Some('\x08'),
            KeyCode::Backspace => Some('\x7f'),
            KeyCode::Return | KeyCode::NumpadEnter => Some('\r'),
            KeyCode::Escape => Some('\x1b'),
            KeyCode::Tab if shift => {
                self.compose.end();
                return Some(Stroke::Type(Sequence::of(&[ESCAPE, b'\t'])));
            }
            KeyCode::Tab => Some('\t'),
            _ => None,
        };
        if let Some(special) = special {
            self.compose.end();
            return self.character(special, alt);
        }
        match self.meaning(code) {
            DecodedKey::RawKey(code) => {
                let bytes = sequence::movement(code, modes.application_cursor)?;
                self.compose.end();
                Some(Stroke::Type(Sequence::of(bytes)))
            }
            DecodedKey::Unicode('.') if control => {
                self.compose.start();
                None
            }
            DecodedKey::Unicode(character) if control => {
                self.compose.end();
                self.character(sequence::control(character), alt)
            }
            DecodedKey::Unicode(mark)
                if !alt && !self.modifiers.is_altgr() && self.layout.is_dead(mark) =>
            {
                let composed = self.compose.mark(mark);
                typed(Sequence::default(), composed)
            }
            DecodedKey::Unicode(character) => self.character(character, alt),
        }
    }

    /// What the layout says of a key. It is not told of Ctrl and Alt, which
    /// mean the same in every layout.
    fn meaning(&self, code: KeyCode) -> DecodedKey {
        let modifiers = Modifiers {
            lctrl: false,
            rctrl: false,
            lalt: false,
            ..self.modifiers.clone()
        };
        let layout = self.layout.characters();
        match code {
            KeyCode::Delete => DecodedKey::RawKey(code),
            KeyCode::Numpad5 if !modifiers.numlock => DecodedKey::RawKey(code),
            KeyCode::NumpadPeriod if !modifiers.numlock => DecodedKey::RawKey(KeyCode::Delete),
            _ => layout.map_keycode(code, &modifiers, HandleControl::Ignore),
        }
    }

    /// A character for the program, after an escape with Alt.
    fn character(&mut self, character: char, alt: bool) -> Option<Stroke> {
        let mut sequence = Sequence::default();
        if alt {
            self.compose.end();
            sequence.add(&[ESCAPE]);
        }
        let composed = self.compose.take(character);
        typed(sequence, composed)
    }

    /// Whether SysRq is held, which with Alt is the key for prints.
    fn asks_kernel(&self) -> bool {
        let sysrq = self.down & bit(KeyCode::SysRq) != 0;
        let print = self.down & bit(KeyCode::PrintScreen) != 0;
        sysrq || print && self.modifiers.is_alt()
    }

    fn request(&self, code: KeyCode, again: bool) -> Option<Stroke> {
        let layout = self.layout.characters();
        let plain = Modifiers::default();
        match layout.map_keycode(code, &plain, HandleControl::Ignore) {
            DecodedKey::Unicode(character) if !again => Some(Stroke::Request(character)),
            _ => None,
        }
    }
}

/// The program gets these characters behind a sequence, if that is anything.
fn typed(mut sequence: Sequence, characters: [Option<char>; 2]) -> Option<Stroke> {
    for character in characters.into_iter().flatten() {
        sequence.add_character(character);
    }
    (!sequence.as_bytes().is_empty()).then_some(Stroke::Type(sequence))
}

#[cfg(test)]
mod tests;
