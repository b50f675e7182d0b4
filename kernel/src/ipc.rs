//! What threads tell each other with: pipes, event counters, epoll, futexes.

pub mod epoll;
pub mod eventfd;
pub mod fifo;
pub mod futex;
pub mod pipe;
mod ring;
