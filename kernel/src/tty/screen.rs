//! The screen's virtual terminals, as the keyboard and the kernel's keys see them.
//!
//! One of the terminals is active: it is shown, and what is typed goes to it.
//! On a machine without a screen there is none; then what is typed goes
//! nowhere and every other request is refused.
//!
//! # Invariants
//! Nothing here waits. [`input`] takes what there is room for: who has more
//! waits for [`room`].

use crate::wait::WaitQueue;

/// What programs asked of the keys that send sequences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyModes {
    /// Cursor keys send `ESC O A`, not `ESC [ A` (DECCKM).
    pub application_cursor: bool,
    /// The keypad sends sequences, not digits (DECKPAM).
    pub application_keypad: bool,
}

/// Gives bytes to the active terminal as typed there; returns how many it took.
/// The rest is for the caller to keep until [`room`] is woken.
pub fn input(bytes: &[u8]) -> usize {
    bytes.len()
}

/// Woken when the active terminal takes input again; `None` without a screen.
#[must_use]
pub fn room() -> Option<WaitQueue> {
    None
}

/// Shows terminal `number` (from 1) and gives it the keyboard; false if there is
/// no such terminal.
pub fn switch_to(number: usize) -> bool {
    let _ = number;
    false
}

/// The number of the active terminal; 0 without a screen.
#[must_use]
pub fn active() -> usize {
    0
}

/// Moves what is shown by so many lines towards older ones (or, negative,
/// newer ones), as far as they are kept. Output and input go back to the newest.
pub fn scroll_back(lines: isize) {
    let _ = lines;
}

/// Lines shown at a time, for scrolling by pages.
#[must_use]
pub fn lines() -> usize {
    0
}

/// How the active terminal's program wants its keys.
#[must_use]
pub fn key_modes() -> KeyModes {
    KeyModes::default()
}
