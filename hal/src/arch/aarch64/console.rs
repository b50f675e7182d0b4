//! Bytes out without interrupts: the log, process 1's status, last words.
//!
//! This machine has no ports, so the numbers on the command line are names:
//! [`LOG_CONSOLE`] is the first serial port itself, for whoever has no other.

use super::uart;

/// The log goes to the first serial port.
const LOG_CONSOLE: u16 = 1;

/// "Ports" that a log may go to.
pub(crate) const LOG_PORTS: [u16; 1] = [LOG_CONSOLE];

/// Writes to one of [`LOG_PORTS`]; nothing to another port.
pub(crate) fn write_log(port: u16, bytes: &[u8]) {
    if port == LOG_CONSOLE {
        for byte in bytes {
            if *byte == b'\n' {
                uart::last_byte(b'\r');
            }
            uart::last_byte(*byte);
        }
    }
}

/// Polls one byte out of the first serial port.
pub(crate) fn serial_byte(byte: u8) {
    uart::last_byte(byte);
}

/// Says where the status goes; false for a place that there is not.
pub(super) fn set_status_port(_port: u16) -> bool {
    false
}

/// Sends the status of process 1, where somebody wants it.
pub(super) fn write_status(_status: u8) {}
