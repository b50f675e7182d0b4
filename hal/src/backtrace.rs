//! The calls that led to a place in the kernel, by frame pointers.
//!
//! With names, if the kernel has some (`names.rs`); otherwise the host's tool,
//! which knows the kernel's file, adds them.
//!
//! # What must hold
//! It runs where anything may be broken: each word is read as one that may not
//! be there, and frames only ever go up, so that it ends.

use core::fmt::{self, Write};

use crate::arch::machine::report::{CALL_LEN_MIN, frame_pointer, kernel_word};
use crate::names::Named;

/// Calls that a backtrace shows at most.
const DEPTH: usize = 40;

/// Prints the calls that led to a frame, innermost first, after the place that
/// was `first` there.
pub(crate) fn print(
    out: &mut (impl Write + ?Sized),
    first: Option<u64>,
    frame_pointer: u64,
) -> fmt::Result {
    writeln!(out, "backtrace:")?;
    for place in first.into_iter().chain(calls(frame_pointer).take(DEPTH)) {
        writeln!(out, "  at {}", Named(place))?;
    }
    Ok(())
}

/// The calls that led to here, innermost first; fills up as far as there are any.
#[inline(never)]
pub(crate) fn callers(places: &mut [u64]) {
    for (place, call) in places.iter_mut().zip(calls(frame_pointer())) {
        *place = call;
    }
}

/// The calls that led to a frame, innermost first.
fn calls(mut frame: u64) -> impl Iterator<Item = u64> {
    core::iter::from_fn(move || {
        let back = frame.checked_add(8).and_then(kernel_word)?;
        if back == 0 {
            return None;
        }
        let next = kernel_word(frame)?;
        // Stacks grow down, so callers are above.
        frame = if next > frame { next } else { 0 };
        // The call, not what comes after it: a call that never returns may be
        // its function's last instruction.
        Some(back.wrapping_sub(CALL_LEN_MIN))
    })
}
