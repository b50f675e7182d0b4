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
pub mod profile;
mod timer;

pub use cpu::{active, must_give_way, take_tags, takes_tags};
pub use executor::{
    Entity, TaskRef, all_processors, allow, boost, bring_up, longest_poll, run, set_attributes,
    spawn, spawn_thread, yield_now,
};
pub use ochre_executor::{Attributes, MAX_PRIORITY, Policy, SLICE_NS, Step, TURN_NS};
pub use timer::Timer;

pub(crate) use executor::note_kernel_time;
