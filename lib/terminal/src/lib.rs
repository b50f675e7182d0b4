//! A terminal's screen: bytes and escape sequences in, cells out.
//!
//! [`Emulator`] understands what Linux's console (console_codes(4)) and xterm
//! agree on: enough for `vi`, `less`, `top` and whatever else is drawn by
//! terminfo's entries `linux` and `xterm`. It knows of no device: who shows it
//! asks which rows changed and paints them.
//!
//! ```text
//!  bytes ── Guard, Assembler, vte::Parser ──> Screen ──> Grid of Cells ── draw ──> rows that changed
//!                                                │  └───> History, bounded
//!                                                └──────> replies, bounded
//! ```
//!
//! # Invariants
//! Whatever the bytes are, nothing panics and nothing grows: memory is asked
//! for when a screen is made or resized, when the alternate screen is entered
//! and for lines of history up to a limit, and its lack is an error or a line
//! that is not kept. The cursor is inside the screen. A wide character has both
//! its halves or is not there.
//!
//! # Example
//! ```
//! let mut screen = ochre_terminal::Emulator::new(24, 80, 0)?;
//! screen.write(b"plain \x1b[1;31mred\x1b[0m\r\n");
//! assert_eq!(screen.text(0).trim_end(), "plain red");
//! assert_eq!(screen.cursor(), Some((1, 0)));
//! # Ok::<(), ochre_terminal::OutOfMemory>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod cell;
mod charset;
mod colour;
mod control;
mod emulator;
mod grid;
mod history;
mod palette_guard;
mod replies;
mod screen;
#[cfg(test)]
mod tests;
mod utf8;

pub use cell::{Attributes, Cell};
pub use colour::{Colour, PALETTE};
pub use emulator::Emulator;
pub use screen::Modes;

/// There is no memory for what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

impl core::fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("no memory for a screen")
    }
}

impl core::error::Error for OutOfMemory {}

impl From<alloc::collections::TryReserveError> for OutOfMemory {
    fn from(_: alloc::collections::TryReserveError) -> OutOfMemory {
        OutOfMemory
    }
}
