//! Stackless tasks, the run queues of several processors, wakers and timers.
//!
//! `no_std`, no unsafe code, knows nothing of Ochre. A [`Task`] is a state word
//! and a body; its waker puts it on a run queue; [`Processors`] are the queues
//! of a machine and decide who runs where; a [`TimerQueue`] wakes by time;
//! [`Passes`] tell which processors have been between two tasks or programs. What
//! polling a body means is the user's business.
#![cfg_attr(not(any(test, loom)), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod list;
mod node;
mod passes;
mod policy;
mod processors;
mod run_queue;
mod task;
#[cfg(all(test, not(loom)))]
mod testing;
mod timer_queue;

pub use node::TURN_NS;
pub use passes::Passes;
pub use policy::{Attributes, MAX_PRIORITY, Policy, virtual_time, weight_of_nice};
pub use processors::{Machine, Next, Processors};
pub use run_queue::SLICE_NS;
pub use task::{Body, Polled, Step, Task};
pub use timer_queue::{TimerKey, TimerQueue};
