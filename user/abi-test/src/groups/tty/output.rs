//! What output becomes on its way.

use super::{set, usual, with_terminal};
use crate::call;
use crate::report::check;

/// Written under each mode; a line for itself, since it is what is compared.
const TEXT: &[u8] = b"ab\tc\rD\n\n\rEf\x08g\x07\x01\t\xc3\xa9\t\xdf\xf7\xff|\r\n";

/// The cases.
pub(crate) fn run() {
    with_terminal(|| {
        for (name, flags) in [
            ("as it is", 0),
            ("OPOST", libc::OPOST),
            ("ONLCR", libc::OPOST | libc::ONLCR),
            ("ONLCR alone", libc::ONLCR),
            ("OCRNL", libc::OPOST | libc::OCRNL),
            ("both", libc::OPOST | libc::OCRNL | libc::ONLCR),
            ("ONOCR", libc::OPOST | libc::ONOCR),
            ("ONLRET", libc::OPOST | libc::ONLRET),
            ("ONLRET and OCRNL", libc::OPOST | libc::ONLRET | libc::OCRNL),
            ("OLCUC", libc::OPOST | libc::OLCUC),
            ("XTABS", libc::OPOST | libc::ONLCR | libc::XTABS),
            (
                "everything",
                libc::OPOST | libc::ONLCR | libc::XTABS | libc::ONOCR | libc::OLCUC,
            ),
        ] {
            let modes = usual(|modes| modes.oflag = flags);
            check(name, set(&modes));
            check("written", call!(SYS_write, 1, TEXT, TEXT.len()));
        }
        let modes = usual(|modes| {
            modes.oflag |= libc::XTABS;
            modes.iflag |= libc::IUTF8;
        });
        check("XTABS and UTF-8", set(&modes));
        check("written", call!(SYS_write, 1, TEXT, TEXT.len()));
        let parts: [&[u8]; 3] = [b"one\n", b"", b"two\n"];
        for part in parts {
            check("part", call!(SYS_write, 1, part, part.len()));
        }
        let long = [b'x'; 10_000];
        check(
            "more than fits",
            call!(SYS_write, 1, long.as_slice(), long.len()),
        );
    });
}
