//! What time it is, for the records of files.

use super::Timestamp;

/// The wall clock.
#[cfg(not(test))]
#[must_use]
pub fn now() -> Timestamp {
    let ns = crate::time::wall_ns();
    Timestamp {
        seconds: (ns / 1_000_000_000).cast_signed(),
        nanoseconds: (ns % 1_000_000_000) as u32,
    }
}

/// A clock that moves on with every look, for tests.
#[cfg(test)]
#[must_use]
pub fn now() -> Timestamp {
    use ochre_sync::primitive::atomic::{AtomicU32, Ordering};
    static TICKS: AtomicU32 = AtomicU32::new(0);
    Timestamp {
        seconds: 1_000_000,
        nanoseconds: TICKS.fetch_add(1, Ordering::Relaxed) % 1_000_000_000,
    }
}
