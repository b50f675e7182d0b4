//! Bytes out without interrupts: the log's port, and the first serial port for
//! the last words.

use super::port::Port;

/// Ports that a log may go to: debug consoles, which print a byte on the host
/// and do nothing else.
pub(crate) const LOG_PORTS: [u16; 2] = [0x402, 0xe9];

/// Writes to one of [`LOG_PORTS`]; nothing to another port.
pub(crate) fn write_log(port: u16, bytes: &[u8]) {
    if !LOG_PORTS.contains(&port) {
        return;
    }
    // SAFETY: a debug console, by the check above.
    let console: Port<u8> = unsafe { Port::new(port) };
    for byte in bytes {
        console.write(*byte);
    }
}

/// Polls one byte out of the first serial port, whatever state its owner left
/// it in; gives up on a port that never gets ready.
pub(crate) fn serial_byte(byte: u8) {
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
