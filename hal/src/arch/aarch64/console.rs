//! Bytes out without interrupts: the log, process 1's status, last words.
//!
//! This machine has no ports. The numbers on the command line are a PC's, and
//! stand for what is the same here: the second and third port of the card that
//! the host's tool puts in ([`uart`]). [`LOG_CONSOLE`] is the first serial
//! port itself, for whoever has no card.

use ochre_sync::primitive::atomic::{AtomicBool, Ordering};

use super::uart;

/// The log goes to the first serial port.
const LOG_CONSOLE: u16 = 1;

/// The log has a port of its own.
const LOG_CARD: u16 = 0x402;

/// "Ports" that a log may go to.
pub(crate) const LOG_PORTS: [u16; 2] = [LOG_CONSOLE, LOG_CARD];

/// The status' only place.
const STATUS: u16 = 0x403;

/// Ports of the card.
const CARD_LOG: usize = 1;
const CARD_STATUS: usize = 2;

/// Whether somebody wants the status.
///
/// ORDERING: Relaxed; a lone value.
static WANTS_STATUS: AtomicBool = AtomicBool::new(false);

/// Writes to one of [`LOG_PORTS`]; nothing to another port.
pub(crate) fn write_log(port: u16, bytes: &[u8]) {
    for byte in bytes {
        match port {
            LOG_CARD => uart::last_byte_of_card(CARD_LOG, *byte),
            LOG_CONSOLE => {
                if *byte == b'\n' {
                    uart::last_byte(b'\r');
                }
                uart::last_byte(*byte);
            }
            _ => {}
        }
    }
}

/// Polls one byte out of the first serial port.
pub(crate) fn serial_byte(byte: u8) {
    uart::last_byte(byte);
}

/// Says where the status goes; false for a place that there is not.
pub(super) fn set_status_port(port: u16) -> bool {
    WANTS_STATUS.store(port == STATUS, Ordering::Relaxed);
    port == STATUS
}

/// Sends the status of process 1, where somebody wants it.
pub(super) fn write_status(status: u8) {
    if WANTS_STATUS.load(Ordering::Relaxed) {
        uart::last_byte_of_card(CARD_STATUS, status);
    }
}
