//! The kernel log's way out, and panics told for a person.
//!
//! Until a port is set nothing is written anywhere: boot is silent unless
//! asked.

use core::fmt;

use ochre_sync::primitive::atomic::{AtomicBool, AtomicU16, AtomicU32, Ordering};
use ochre_sync::primitive::spin_loop;

use crate::cpu;
use crate::power::{self, ExitPorts};

use crate::arch::machine::port::Port;

/// The log port; 0 while there is none.
///
/// ORDERING: Relaxed throughout: a lone value, set in boot; nothing is published by it.
static LOG_PORT: AtomicU16 = AtomicU16::new(0);

/// Whether reports of a dying kernel also go to the first serial port.
static TO_SERIAL: AtomicBool = AtomicBool::new(false);

/// Sends the kernel log to an output-only byte port (QEMU's `isa-debugcon`).
/// Ports other than 0x402 and 0xe9 are refused with `false`: an arbitrary port
/// write could reprogram a device.
#[must_use]
pub fn set_log_port(port: u16) -> bool {
    let known = matches!(port, 0x402 | 0xe9);
    if known {
        LOG_PORT.store(port, Ordering::Relaxed);
    }
    known
}

/// Whether panics are also painted on the first serial port.
pub fn set_panic_to_serial(yes: bool) {
    TO_SERIAL.store(yes, Ordering::Relaxed);
}

/// Writes bytes to the log port, if one is set.
pub fn write(bytes: &[u8]) {
    let port = LOG_PORT.load(Ordering::Relaxed);
    if port == 0 {
        return;
    }
    // SAFETY: `set_log_port` admits debug consoles only: they print the byte
    // on the host and do nothing else.
    let console: Port<u8> = unsafe { Port::new(port) };
    let turn = Turn::take();
    for byte in bytes {
        console.write(*byte);
    }
    drop(turn);
}

/// Looks at the turn of another processor, before its bytes are mixed with ours.
const PATIENCE: u32 = 1_000_000;

/// One more than the number of the processor that writes; 0 for none.
static WRITER: AtomicU32 = AtomicU32::new(0);

/// The right to write alone, as far as that goes: the processor that has it
/// may have been stopped, or interrupted by what is written now, and what is
/// to be said then is said all the same.
struct Turn {
    taken: bool,
}

impl Turn {
    fn take() -> Turn {
        let me = cpu::current().index() as u32 + 1;
        for _ in 0..PATIENCE {
            // ORDERING: Relaxed; only the order of bytes on a port depends on it.
            match WRITER.compare_exchange_weak(0, me, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Turn { taken: true },
                Err(writer) if writer == me => break,
                Err(_) => spin_loop(),
            }
        }
        Turn { taken: false }
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
        let known = match word {
            b"ochre.log=0x402" => set_log_port(0x402),
            b"ochre.log=0xe9" => set_log_port(0xe9),
            b"ochre.exit=0xf4" => power::configure(ExitPorts {
                status: None,
                exit: Some(0xf4),
            }),
            _ => true,
        };
        debug_assert!(known, "all three are on the lists");
    }
}

/// The log as a place to format to.
pub(crate) struct Log;

impl fmt::Write for Log {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        write(text.as_bytes());
        Ok(())
    }
}

/// The log and, where asked for, the first serial port: for reports of a
/// kernel that is about to stop.
pub(crate) struct LastWords;

impl fmt::Write for LastWords {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        write(text.as_bytes());
        if TO_SERIAL.load(Ordering::Relaxed) {
            for byte in text.bytes() {
                if byte == b'\n' {
                    serial_byte(b'\r');
                }
                serial_byte(byte);
            }
        }
        Ok(())
    }
}

/// Polls one byte out of the first serial port, whatever state its owner left
/// it in; gives up on a port that never gets ready.
fn serial_byte(byte: u8) {
    // SAFETY: a 16550's transmit register: the byte goes out on the line.
    const DATA: Port<u8> = unsafe { Port::new(0x3f8) };
    // SAFETY: a 16550's line status register; reading clears error bits only.
    const LINE_STATUS: Port<u8> = unsafe { Port::new(0x3fd) };
    for _ in 0..100_000 {
        if LINE_STATUS.read() & 0x20 != 0 {
            break;
        }
    }
    DATA.write(byte);
}
