//! What threads tell each other with: pipes, event counters, epoll.

pub mod epoll;
pub mod eventfd;
pub mod pipe;
mod ring;
