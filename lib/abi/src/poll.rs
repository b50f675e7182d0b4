//! Structures of poll(2), select(2) and epoll(7).

pub use crate::arch::EPOLL_EVENT_SIZE;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `struct pollfd`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct PollFd {
    /// The descriptor; negative ones are passed over.
    pub fd: i32,
    /// What is asked for.
    pub events: i16,
    /// What is so.
    pub revents: i16,
}

const _: () = assert!(size_of::<PollFd>() == 8);

/// `struct epoll_event`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpollEvent {
    /// `EPOLL*` bits.
    pub events: u32,
    /// What the program gave with the file.
    pub data: u64,
}

impl EpollEvent {
    /// From its bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; EPOLL_EVENT_SIZE]) -> EpollEvent {
        let mut events = [0; 4];
        events.copy_from_slice(&bytes[..4]);
        let mut data = [0; 8];
        data.copy_from_slice(&bytes[EPOLL_EVENT_SIZE - 8..]);
        EpollEvent {
            events: u32::from_ne_bytes(events),
            data: u64::from_ne_bytes(data),
        }
    }

    /// To its bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; EPOLL_EVENT_SIZE] {
        let mut bytes = [0; EPOLL_EVENT_SIZE];
        bytes[..4].copy_from_slice(&self.events.to_ne_bytes());
        bytes[EPOLL_EVENT_SIZE - 8..].copy_from_slice(&self.data.to_ne_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::{EPOLL_EVENT_SIZE, EpollEvent};

    #[test]
    fn an_event_survives_its_bytes() {
        let event = EpollEvent {
            events: 0x8000_0001,
            data: 0x0123_4567_89ab_cdef,
        };
        let bytes = event.to_bytes();
        assert_eq!(bytes.len(), EPOLL_EVENT_SIZE);
        assert_eq!(EpollEvent::from_bytes(&bytes), event);
    }
}
