//! Where the guest's clock and ours meet.

use core::time::Duration;
use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use crate::lines::Lines;

/// How long an unfinished line is kept back.
const MAX_LINE: usize = 4096;

/// Takes a kernel's log and minds when its lines arrive. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Arrivals(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    lines: Lines,
    /// The earliest moment that the guest's clock can have begun at.
    zero: Option<Instant>,
}

impl Default for Arrivals {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(State {
            lines: Lines::new(MAX_LINE),
            zero: None,
        })))
    }
}

impl Arrivals {
    /// When the guest's clock began.
    pub(super) fn zero(&self) -> Option<Instant> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).zero
    }

    fn arrived(&self, mut bytes: &[u8], now: Instant) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(line) = state.lines.next(&mut bytes) {
            let stamp = core::str::from_utf8(&line).ok().and_then(stamp);
            let zero = stamp.and_then(|stamp| now.checked_sub(stamp));
            state.zero = match (state.zero, zero) {
                // A line is late, never early.
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
        }
    }
}

/// The time that a line bears: `[    0.001234] ...`.
fn stamp(line: &str) -> Option<Duration> {
    let (stamp, _) = line.strip_prefix('[')?.split_once(']')?;
    let (seconds, micros) = stamp.trim().split_once('.')?;
    let is_micros = micros.len() == 6;
    let micros = micros.parse().ok().filter(|_| is_micros)?;
    Duration::from_secs(seconds.parse().ok()?).checked_add(Duration::from_micros(micros))
}

impl Write for Arrivals {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.arrived(bytes, Instant::now());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::time::Instant;

    use super::{Arrivals, stamp};

    #[test]
    fn stamps_are_seconds_and_microseconds() {
        let check = |line, micros: Option<u64>| {
            assert_eq!(stamp(line), micros.map(Duration::from_micros), "{line}");
        };
        check("[    1.000234] INFO  x", Some(1_000_234));
        check("[    0.1] INFO", None);
        check("kernel image moved by 0x2600000", None);
        check("[x.000000]", None);
        check("", None);
    }

    #[test]
    fn the_line_that_took_least_tells() {
        let arrivals = Arrivals::default();
        assert_eq!(arrivals.zero(), None);
        let zero = Instant::now();
        let late = |ms| zero + Duration::from_millis(ms);
        arrivals.arrived(
            b"kernel image moved by 0\n[    0.001000] INFO  one",
            late(2),
        );
        assert_eq!(arrivals.zero(), None);
        arrivals.arrived(b"\n", late(31));
        assert_eq!(arrivals.zero(), Some(late(30)));
        arrivals.arrived(b"[    0.050000] INFO  two\n", late(55));
        arrivals.arrived(b"[    0.060000] INFO  three\n", late(80));
        assert_eq!(arrivals.zero(), Some(late(5)));
    }
}
