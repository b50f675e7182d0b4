//! The kernel log's way out, and panics told for a person.
//!
//! Until a port is set nothing is written anywhere: boot is silent unless
//! asked.

use core::fmt::{self, Write};

use ochre_sync::primitive::atomic::{AtomicBool, AtomicU16, AtomicU32, Ordering};
use ochre_sync::primitive::spin_loop;

use crate::power::{self, ExitPorts};
use crate::screen;
use crate::{clock, cpu};

use crate::arch::machine::console;

/// The log port; 0 while there is none.
///
/// ORDERING: Relaxed throughout: a lone value, set in boot; nothing is published by it.
static LOG_PORT: AtomicU16 = AtomicU16::new(0);

/// Whether reports of a dying kernel also go to the first serial port.
static TO_SERIAL: AtomicBool = AtomicBool::new(false);

// ANCHOR: set_log_port
/// Sends the kernel log to an output-only byte port (x86: QEMU's `isa-debugcon`,
/// 0x402 or 0xe9). Other ports are refused with `false`: an arbitrary port
/// write could reprogram a device.
#[must_use]
pub fn set_log_port(port: u16) -> bool {
    let known = console::LOG_PORTS.contains(&port);
    if known {
        LOG_PORT.store(port, Ordering::Relaxed);
    }
    known
}
// ANCHOR_END: set_log_port

/// Whether panics are also painted on the first serial port.
pub fn set_panic_to_serial(yes: bool) {
    TO_SERIAL.store(yes, Ordering::Relaxed);
}

// ANCHOR: write
/// Writes bytes to the log port, if one is set.
pub fn write(bytes: &[u8]) {
    let port = LOG_PORT.load(Ordering::Relaxed);
    if port == 0 {
        return;
    }
    let turn = Turn::take(PATIENCE_NS);
    console::write_log(port, bytes);
    drop(turn);
}
// ANCHOR_END: write

/// The same when the kernel dies: who else writes may have been stopped.
fn write_last(bytes: &[u8]) {
    let port = LOG_PORT.load(Ordering::Relaxed);
    if port != 0 {
        let turn = Turn::take_over();
        console::write_log(port, bytes);
        drop(turn);
    }
}

/// How long the turn of another processor may be, before its bytes are mixed
/// with ours: it writes a line, and the host may be late to take that.
const PATIENCE_NS: u64 = 8_000_000_000;

/// Looks at it without one at the clock; all there are before the clock runs,
/// and when the kernel dies.
const LOOKS: u32 = 1_000_000;

/// One more than the number of the processor that writes; 0 for none.
static WRITER: AtomicU32 = AtomicU32::new(0);

/// The right to write alone, as far as that goes: the processor that has it
/// may have been stopped, or interrupted by what is written now, and what is
/// to be said then is said all the same.
struct Turn {
    taken: bool,
}

impl Turn {
    /// After this time without it.
    fn take(patience_ns: u64) -> Turn {
        let me = cpu::current().index() as u32 + 1;
        let began = clock::now_ns();
        loop {
            for _ in 0..LOOKS {
                // ORDERING: Relaxed; only the order of bytes on a port depends on it.
                match WRITER.compare_exchange_weak(0, me, Ordering::Relaxed, Ordering::Relaxed) {
                    Ok(_) => return Turn { taken: true },
                    Err(writer) if writer == me => return Turn { taken: false },
                    Err(_) => spin_loop(),
                }
            }
            let now = clock::now_ns();
            if now == 0 || now - began >= patience_ns {
                return Turn { taken: false };
            }
        }
    }

    /// After a few looks from whoever has it; this processor keeps it then, so
    /// that the next words need not wait.
    fn take_over() -> Turn {
        let turn = Turn::take(0);
        if !turn.taken {
            let me = cpu::current().index() as u32 + 1;
            // ORDERING: Relaxed; as above.
            WRITER.store(me, Ordering::Relaxed);
        }
        turn
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.taken {
            // ORDERING: Relaxed; as above.
            WRITER.store(0, Ordering::Relaxed);
        }
    }
}

/// Looks for `ochre.log=` and `ochre.exit=` on the command line, so that a
/// failure before the kernel reads it can be seen.
pub(crate) fn configure_early(cmdline: &[u8]) {
    for word in cmdline.split(u8::is_ascii_whitespace) {
        // What is refused here is told of when the kernel reads the line.
        if let Some(port) = word.strip_prefix(b"ochre.log=0x").and_then(hexadecimal) {
            let _ = set_log_port(port);
        }
        if word == b"ochre.exit=0xf4" {
            let _ = power::configure(ExitPorts {
                status: None,
                exit: Some(0xf4),
            });
        }
    }
}

fn hexadecimal(digits: &[u8]) -> Option<u16> {
    u16::from_str_radix(core::str::from_utf8(digits).ok()?, 16).ok()
}

/// The first serial port as a logger.
struct SerialLogger;

impl log::Log for SerialLogger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let _ = writeln!(Serial, "{:5} {}", record.level(), record.args());
    }

    fn flush(&self) {}
}

/// Sends what is logged to the first serial port, byte by byte: for programs
/// that have no logger of their own. A second call has no effect.
pub fn start_logger(level: log::LevelFilter) {
    if log::set_logger(&SerialLogger).is_ok() {
        log::set_max_level(level);
    }
}

/// The first serial port, polled.
struct Serial;

impl Write for Serial {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if byte == b'\n' {
                console::serial_byte(b'\r');
            }
            console::serial_byte(byte);
        }
        Ok(())
    }
}

/// The log as a place to format to.
pub(crate) struct Log;

impl Write for Log {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        write(text.as_bytes());
        Ok(())
    }
}

/// The log, the screen and, where asked for, the first serial port: for
/// reports of a kernel that is about to stop.
pub(crate) struct LastWords;

impl Write for LastWords {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        write_last(text.as_bytes());
        screen::last_words(text);
        if TO_SERIAL.load(Ordering::Relaxed) {
            Serial.write_str(text)?;
        }
        Ok(())
    }
}
