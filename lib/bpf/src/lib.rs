//! Classic BPF: programs that nobody vouches for, checked once and then run.
//!
//! A program is a list of [`Instruction`]s for a machine with an accumulator,
//! an index register and sixteen words of memory. [`Program::check`] refuses
//! what Linux's checks for seccomp(2) refuse; what it accepts ends, because
//! every jump goes forward, after at most as many steps as there are
//! instructions, and reads nothing but the words it is given and memory that it
//! wrote before.
//!
//! # Invariants
//! Nothing here panics or reads out of bounds, whatever a program is. A checked
//! program is made of `Step`s, which can express nothing that the
//! check refuses but a jump too far; that would end the program with 0.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod check;
mod instruction;
mod program;
mod step;
#[cfg(test)]
mod tests;

pub use instruction::{Instruction, MAX_INSTRUCTIONS, code};
pub use program::{Program, Refused};
