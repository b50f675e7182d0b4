//! Terminals: the line discipline between a program and a person.
//!
//! [`LineDiscipline`] and [`Output`] are pure: bytes in, bytes and effects out.
//! [`Terminal`] puts a lock, wait queues, sessions and ioctls around them; the
//! device that moves the bytes is in [`device`](crate::device).

mod byte_queue;
mod line_buffer;
mod line_discipline;
mod output;

pub use byte_queue::ByteQueue;
pub use line_discipline::{Effects, LineDiscipline, TerminalSignal};
pub use output::Output;
