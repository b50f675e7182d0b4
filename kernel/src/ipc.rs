//! What threads tell each other with: pipes, event counters, epoll, futexes,
//! System V shared memory.

pub mod epoll;
pub mod eventfd;
pub mod fifo;
pub mod futex;
pub mod pipe;
mod ring;
pub mod sysv;
