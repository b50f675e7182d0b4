//! The kernel log: lines to the log port, and the last of them in memory.
//!
//! Written through the `log` crate, and no faster than a machine can bear
//! (`rate`). The ring is what `syslog(2)` and `/proc/kmsg` read.

mod rate;

use alloc::vec::Vec;
use core::fmt::{self, Write};

use log::{Level, LevelFilter, Log, Metadata, Record};
use ochre_abi::Errno;
use ochre_hal::clock;
use ochre_sync::SpinLock;

use crate::line;
use crate::memory::MakeRoom;
use crate::tty::screen;

/// Bytes of log kept in memory.
const RING: usize = 16 * 1024;

/// The longest line; the rest is cut.
const LINE: usize = 512;

struct Ring {
    bytes: [u8; RING],
    /// Bytes ever written.
    written: usize,
}

static KEPT: SpinLock<Ring> = SpinLock::new(Ring {
    bytes: [0; RING],
    written: 0,
});

static LIMIT: rate::Limit = rate::Limit::new();

struct Sink;

/// A line being put together without the heap.
struct Line {
    bytes: [u8; LINE],
    len: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = LINE - 1 - self.len;
        let part = text.len().min(room);
        self.bytes[self.len..self.len + part].copy_from_slice(&text.as_bytes()[..part]);
        self.len += part;
        Ok(())
    }
}

impl Log for Sink {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let now_ns = clock::now_ns();
        // Who wants to see everything sees everything.
        let left_out = if record.level() <= Level::Info {
            let Some(left_out) = LIMIT.admit(now_ns) else {
                return;
            };
            left_out
        } else {
            0
        };
        if left_out > 0 {
            let told = format_args!("log: {left_out} lines left out");
            put(now_ns, Level::Warn, told);
        }
        put(now_ns, record.level(), *record.args());
    }

    fn flush(&self) {}
}

/// Writes one line.
fn put(now_ns: u64, level: Level, text: fmt::Arguments<'_>) {
    let mut line = Line {
        bytes: [0; LINE],
        len: 0,
    };
    let now_us = now_ns / 1000;
    let written = writeln!(
        line,
        "[{:5}.{:06}] {level:5} {text}",
        now_us / 1_000_000,
        now_us % 1_000_000,
    );
    if written.is_ok() {
        if line.len > 0 && line.bytes[line.len - 1] != b'\n' {
            line.bytes[line.len] = b'\n';
            line.len += 1;
        }
        let bytes = &line.bytes[..line.len];
        line::tell(bytes);
        keep(bytes);
        screen::note();
    }
}

fn keep(bytes: &[u8]) {
    let mut ring = KEPT.lock();
    for byte in bytes {
        let at = ring.written % RING;
        ring.bytes[at] = *byte;
        ring.written += 1;
    }
}

/// Copies what was logged from byte `position` on and moves that on; returns how
/// many bytes. What is not kept any more is passed over.
pub fn read_from(position: &mut usize, to: &mut [u8]) -> usize {
    let ring = KEPT.lock();
    *position = (*position).max(ring.written.saturating_sub(RING));
    let count = to.len().min(ring.written - *position);
    for (place, at) in to.iter_mut().zip(*position..*position + count) {
        *place = ring.bytes[at % RING];
    }
    *position += count;
    count
}

/// The last lines, oldest first; the first may be cut.
///
/// # Errors
/// When there is no memory for the copy.
pub fn kept() -> Result<Vec<u8>, Errno> {
    let ring = KEPT.lock();
    let count = ring.written.min(RING);
    let mut copy = Vec::new();
    copy.make_room_exact(count)?;
    for index in ring.written - count..ring.written {
        copy.push(ring.bytes[index % RING]);
    }
    Ok(copy)
}

/// Starts logging at `level`.
pub fn start(level: LevelFilter) {
    static SINK: Sink = Sink;
    if log::set_logger(&SINK).is_ok() {
        log::set_max_level(level);
    }
}
