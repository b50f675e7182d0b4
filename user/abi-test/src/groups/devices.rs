//! `/dev`: null, zero, full, random, urandom, fd.

use core::ffi::CStr;

use crate::call;
use crate::report::check;
use crate::sys::BAD;

fn open(path: &CStr) -> i64 {
    call!(SYS_open, path, libc::O_RDWR, 0).unwrap_or(-1)
}

/// The cases.
pub(crate) fn run() {
    let mut bytes = [b'.'; 8];
    let null = open(c"/dev/null");
    check("null: read", call!(SYS_read, null, &mut bytes, 8));
    check("null: write", call!(SYS_write, null, &bytes, 8));
    check(
        "null: write from a bad pointer",
        call!(SYS_write, null, BAD, 8),
    );
    check(
        "null: huge write",
        call!(SYS_write, null, 0x1000, 0x7fff_ffff_usize),
    );
    check("null: ftruncate", call!(SYS_ftruncate, null, 0));
    let zero = open(c"/dev/zero");
    check("zero: read", call!(SYS_read, zero, &mut bytes, 8));
    check("zero: bytes", bytes);
    check("zero: write", call!(SYS_write, zero, &bytes, 8));
    check("zero: read to a bad pointer", call!(SYS_read, zero, BAD, 8));
    check(
        "zero: pread64",
        call!(SYS_pread64, zero, &mut bytes, 8, 1_000_000),
    );
    let full = open(c"/dev/full");
    check("full: write", call!(SYS_write, full, &bytes, 8));
    check("full: read", call!(SYS_read, full, &mut bytes, 8));
    for name in [c"/dev/random", c"/dev/urandom"] {
        let fd = open(name);
        let mut many = [0_u8; 256];
        check("random: read", call!(SYS_read, fd, &mut many, 256));
        check(
            "random: not all the same",
            many.iter().any(|byte| *byte != many[0]),
        );
        let mut again = [0_u8; 256];
        let _ = call!(SYS_read, fd, &mut again, 256);
        check("random: not twice the same", many != again);
        check("random: read to a bad pointer", call!(SYS_read, fd, BAD, 8));
    }
    for (name, fd) in [("null", null), ("zero", zero), ("full", full)] {
        for (whence, offset) in [(0, 1 << 40), (0, -5), (1, i64::MIN), (2, i64::MAX), (9, 0)] {
            check(
                &format!("{name}: lseek {whence}"),
                call!(SYS_lseek, fd, offset, whence),
            );
        }
    }
    let _ = call!(SYS_symlink, c"/dev/null", c"n");
    check(
        "through a symlink",
        call!(SYS_open, c"n", libc::O_RDONLY, 0).is_ok(),
    );
    check(
        "O_TRUNC of a device",
        call!(SYS_open, c"/dev/null", libc::O_WRONLY | libc::O_TRUNC, 0).is_ok(),
    );
    check(
        "O_DIRECTORY of a device",
        call!(SYS_open, c"/dev/null", libc::O_DIRECTORY, 0),
    );
    let fd = call!(SYS_open, c"f", libc::O_RDWR | libc::O_CREAT, 0o644).unwrap_or(-1);
    let _ = call!(SYS_write, fd, b"content", 7);
    let path = std::ffi::CString::new(format!("/dev/fd/{fd}")).expect("no NUL");
    let again = call!(SYS_open, path.as_c_str(), libc::O_RDONLY, 0).unwrap_or(-1);
    check("/dev/fd opens anew", call!(SYS_read, again, &mut bytes, 8));
    check(
        "/dev/stdin leads to",
        std::fs::read_link("/dev/stdin").is_ok_and(|to| to.as_os_str() == "/proc/self/fd/0"),
    );
}
