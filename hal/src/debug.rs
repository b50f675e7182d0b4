//! The kernel log's way out, and panics told for a person.
//!
//! Until a port is set nothing is written anywhere: boot is silent unless
//! asked.

/// Sends the kernel log to an output-only byte port (QEMU's `isa-debugcon`).
/// Ports other than 0x402 and 0xe9 are refused with `false`: an arbitrary port
/// write could reprogram a device.
#[must_use]
pub fn set_log_port(port: u16) -> bool {
    let _ = port;
    unimplemented!()
}

/// Whether panics are also painted on the first serial port.
pub fn set_panic_to_serial(yes: bool) {
    let _ = yes;
    unimplemented!()
}

/// Writes bytes to the log port, if one is set.
pub fn write(bytes: &[u8]) {
    let _ = bytes;
    unimplemented!()
}
