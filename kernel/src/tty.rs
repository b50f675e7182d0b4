//! Terminals: the line discipline between a program and a person.
//!
//! [`LineDiscipline`] and [`Output`] are pure: bytes in, bytes and effects out.
//! [`Terminal`] puts a lock, wait queues, sessions and ioctls around them; the
//! device that moves the bytes is in [`device`](crate::device).

mod byte_queue;
mod control;
mod file;
mod job_control;
mod line_buffer;
mod line_discipline;
mod output;
mod registry;
pub mod screen;
mod terminal;

pub use byte_queue::ByteQueue;
pub use file::TerminalFile;
pub use line_discipline::{Effects, LineDiscipline, TerminalSignal};
pub use output::Output;
pub use registry::{
    acquire, console, controlling, leader_exited, serial, set_console, set_serial, terminal_of,
    terminals,
};
pub use terminal::Terminal;
