//! Stackless tasks, run queues, wakers and timers.
//!
//! `no_std`, no unsafe code, knows nothing of Ochre. A [`Task`] is a state word
//! and a body; its waker puts it on a run queue; a [`RunQueue`] picks the one
//! that has had least; a [`TimerQueue`] wakes by time. What polling a body
//! means is the user's business.
#![cfg_attr(not(any(test, loom)), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod run_queue;
mod task;
mod timer_queue;

pub use run_queue::{RunQueue, virtual_time, weight_of_nice};
pub use task::{Body, Polled, Task};
pub use timer_queue::{TimerKey, TimerQueue};
