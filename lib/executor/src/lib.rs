//! Stackless tasks, run queues, wakers and timers.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
extern crate alloc;
