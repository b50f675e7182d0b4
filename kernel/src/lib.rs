//! The safe kernel: all policy, no unsafe code.
//!
//! Folders are the design: [`sched`] runs threads as tasks, [`process`] owns
//! what a program has, [`memory`] its address space, [`signal`] what interrupts
//! it, [`vfs`] and `fs` its files, `ipc` pipes and events, `tty` and
//! `device` the outside, `time` clocks; [`syscall`] is the way in.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod audit;
pub mod boot;
pub mod config;
pub mod device;
pub mod fs;
pub mod ipc;
mod line;
pub mod log_sink;
pub mod memory;
pub mod objects;
pub mod process;
pub mod sched;
pub mod signal;
pub mod syscall;
pub mod sysrq;
pub mod time;
pub mod tty;
pub mod vfs;
pub mod wait;
