//! Terminals: how fast lines go to the screen's first one and to the serial line.
//!
//! A row writes [`BYTES`] to a terminal, in pieces as `cat` has them, and waits
//! until the last has gone (tcdrain). What it reports is the time of 1 KiB. A
//! machine without a screen has the serial line's rows only.

use core::ffi::CStr;

use crate::{row, sys};

/// Bytes of a row.
const BYTES: usize = 2 << 20;

/// Bytes written at a time.
const PIECE: usize = 4096;

/// Bytes written before the clock runs.
const WARM: usize = 64 << 10;

/// The terminals: what their rows begin with, where they are, their device.
const TERMINALS: [(&str, &CStr, [u32; 2]); 2] = [
    ("screen", c"/dev/tty1", [4, 1]),
    ("serial", c"/dev/ttyS0", [4, 64]),
];

/// Colours by name and by number, bold, a cleared line's end, and a line that
/// is put in at the top: what listings and full-screen programs send.
const RICH: &str = "\x1b[1;34mdrwxr-xr-x\x1b[0m 2 root \x1b[32mroot\x1b[m 4096 \
    \x1b[38;5;208mNov 22\x1b[0m \x1b[7m 18:10 \x1b[27m \x1b[4mname\x1b[24m\x1b[K\n\
    \x1b7\x1b[2;1H\x1b[Ltop\x1b8";

pub(crate) fn run() {
    // 64 characters and a newline, none of which is what the host waits for.
    let plain: String = (b' '..b'`').map(char::from).chain(['\n']).collect();
    for (name, path, [major, minor]) in TERMINALS {
        sys::make_device(path, major, minor);
        let Some(terminal) = sys::try_open_terminal(path) else {
            continue;
        };
        for (kind, line) in [("plain", plain.as_str()), ("rich", RICH)] {
            let text = line.repeat(PIECE.div_ceil(line.len()));
            let piece = text.as_bytes();
            write(terminal, piece, WARM);
            row(&format!("{name}_{kind}"), || {
                let start = sys::counter();
                let bytes = write(terminal, piece, BYTES);
                let ticks = sys::counter() - start;
                // What is said next has to begin a line, there, too.
                sys::write(terminal, b"\x1b[m\n");
                ticks as f64 * 1024.0 / bytes as f64
            });
        }
        sys::write(terminal, b"\x1bc\n");
        sys::close(terminal);
    }
}

/// Writes whole pieces, at least so many bytes, and waits until they are gone;
/// how many it were.
fn write(terminal: i32, piece: &[u8], bytes: usize) -> usize {
    let mut sum = 0;
    while sum < bytes {
        let mut done = 0;
        while let Some(rest) = piece.get(done..).filter(|rest| !rest.is_empty()) {
            done += usize::try_from(sys::write(terminal, rest)).unwrap_or(0);
        }
        sum += piece.len();
    }
    sys::drain(terminal);
    sum
}
