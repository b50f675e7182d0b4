//! Threads as tasks: the executor of each processor, timers, time slices.
//!
//! Interrupts are events: they are taken in user mode, in idle and between two
//! polls, and handled by [`interrupt::dispatch`] in ordinary code. Nothing here
//! is ever entered twice on one processor.

pub mod account;
mod cpu;
mod executor;
pub mod interrupt;
pub mod load;
mod timer;

pub use cpu::{runnable, slice_is_over};
pub use executor::{Entity, TaskRef, longest_poll, run, spawn, spawn_thread, yield_now};
pub use timer::Timer;

pub(crate) use executor::note_kernel_time;
