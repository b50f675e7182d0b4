//! The terminal, where standard output is one: termios, sizes, foreground
//! group. Where it is not, there is nothing to say.

use crate::call;
use crate::report::{check, check_child, wait, wait_with};
use crate::sys::{self, BAD};

/// The kernel's `struct termios`, 36 bytes.
type Termios = [u8; 36];

fn flags(termios: &Termios) -> [u32; 4] {
    let word = |at: usize| {
        u32::from_ne_bytes([
            termios[at],
            termios[at + 1],
            termios[at + 2],
            termios[at + 3],
        ])
    };
    [word(0), word(4), word(8), word(12)]
}

/// The cases.
pub(crate) fn run() {
    let mut termios: Termios = [0; 36];
    if call!(SYS_ioctl, 1, libc::TCGETS, &mut termios).is_err() {
        return;
    }
    if call!(SYS_getsid, 0) != call!(SYS_getpid) {
        return;
    }
    check(
        "no controlling terminal yet",
        call!(SYS_open, c"/dev/tty", libc::O_RDWR, 0),
    );
    check(
        "TIOCSCTTY of a used one",
        call!(SYS_ioctl, 1, libc::TIOCSCTTY, 0),
    );
    let [input, output, control, local] = flags(&termios);
    check("iflag", format!("{input:o}"));
    check("oflag", format!("{output:o}"));
    check("cflag without speed", format!("{:o}", control & !0o10_017));
    check("lflag", format!("{local:o}"));
    check(
        "control characters",
        termios[17..36].escape_ascii().to_string(),
    );
    check("TCGETS bad", call!(SYS_ioctl, 1, libc::TCGETS, BAD));
    let mut raw = termios;
    raw[12..16].copy_from_slice(&(local & !(libc::ICANON | libc::ECHO)).to_ne_bytes());
    check("TCSETS", call!(SYS_ioctl, 1, libc::TCSETS, &raw));
    let mut now: Termios = [0; 36];
    let _ = call!(SYS_ioctl, 1, libc::TCGETS, &mut now);
    check("changed", now == raw);
    check("TCSETSW", call!(SYS_ioctl, 1, libc::TCSETSW, &termios));
    check("TCSETSF", call!(SYS_ioctl, 1, libc::TCSETSF, &termios));
    let mut size = [0_u16; 4];
    check(
        "TIOCGWINSZ",
        call!(SYS_ioctl, 1, libc::TIOCGWINSZ, &mut size),
    );
    let kept = size;
    check(
        "TIOCSWINSZ",
        call!(SYS_ioctl, 1, libc::TIOCSWINSZ, &[30_u16, 90, 0, 0]),
    );
    let _ = call!(SYS_ioctl, 1, libc::TIOCGWINSZ, &mut size);
    check("size", (u32::from(size[0]), u32::from(size[1])));
    let _ = call!(SYS_ioctl, 1, libc::TIOCSWINSZ, &kept);
    check("TCFLSH", call!(SYS_ioctl, 1, libc::TCFLSH, 0));
    check("TCFLSH bad", call!(SYS_ioctl, 1, libc::TCFLSH, 9));
    check("TIOCOUTQ", call!(SYS_ioctl, 1, libc::TIOCOUTQ, &mut 0_i32));
    check("unknown ioctl", call!(SYS_ioctl, 1, 0x54ff, 0));
    let mut group = 0_i32;
    check(
        "TIOCGPGRP of another session's",
        call!(SYS_ioctl, 1, libc::TIOCGPGRP, &mut group),
    );
    check(
        "TIOCSPGRP of another session's",
        call!(SYS_ioctl, 1, libc::TIOCSPGRP, &group),
    );
    check("lseek", call!(SYS_lseek, 1, 0, 0));
    check_child("foreground", || {
        let child = sys::fork(|| 0);
        check("child", wait(child));
        check("no stop", wait_with(child, libc::WUNTRACED));
        0
    });
}
