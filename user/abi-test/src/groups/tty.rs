//! The terminal: modes, window, session, input and job control.
//!
//! Where standard input is no terminal these groups say nothing. Where it is,
//! it must not be the controlling terminal of anybody (`abi-test terminal`
//! sees to that), and somebody must type what lines like `type "ab\x03"` ask
//! for, once the line is there. A case that waits for what is typed waits in a
//! way that does not depend on who is faster.
//!
//! Compared are a pseudo-terminal of Linux and the console of Ochre. So
//! nothing here is about what only one of them has: modem lines, the character
//! size, and the hang-up when the leader ends, which spares a pseudo-terminal.

mod input;
mod jobs;
mod output;
mod signals;
mod storms;

use crate::call;
use crate::report::{check, line, wait};
use crate::sys::{self, BAD, Ret};

pub(crate) use input::{canonical, editing, raw};
pub(crate) use jobs::run as jobs;
pub(crate) use output::run as output;
pub(crate) use signals::run as signals;
pub(crate) use storms::run as storms;

/// The kernel's `struct termios`.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(C)]
struct Termios {
    iflag: u32,
    oflag: u32,
    cflag: u32,
    lflag: u32,
    line: u8,
    cc: [u8; 19],
}

/// What every terminal of Linux starts with.
const USUAL: Termios = Termios {
    iflag: libc::ICRNL | libc::IXON,
    oflag: libc::OPOST | libc::ONLCR,
    cflag: libc::B38400 | libc::CS8 | libc::CREAD,
    lflag: libc::ISIG
        | libc::ICANON
        | libc::ECHO
        | libc::ECHOE
        | libc::ECHOK
        | libc::ECHOCTL
        | libc::ECHOKE
        | libc::IEXTEN,
    line: 0,
    cc: [
        3, 0x1c, 0x7f, 0x15, 4, 0, 1, 0, 0x11, 0x13, 0x1a, 0, 0x12, 0x0f, 0x17, 0x16, 0, 0, 0,
    ],
};

/// [`USUAL`] with something changed.
fn usual(change: impl FnOnce(&mut Termios)) -> Termios {
    let mut modes = USUAL;
    change(&mut modes);
    modes
}

/// The modes as they are; nothing if this is no terminal.
fn modes() -> Option<Termios> {
    let mut modes = USUAL;
    call!(SYS_ioctl, 0, libc::TCGETS, &mut modes).ok()?;
    Some(modes)
}

/// Sets the modes.
fn set(modes: &Termios) -> Ret {
    call!(SYS_ioctl, 0, libc::TCSETSW, modes)
}

/// Runs `body` with the terminal as the controlling one of this session and
/// gives it up again.
fn with_terminal(body: impl FnOnce()) {
    if modes().is_none() || set(&USUAL).is_err() {
        return;
    }
    check("TIOCSCTTY", call!(SYS_ioctl, 0, libc::TIOCSCTTY, 0));
    body();
    // Giving it up means a hang-up for the group in the foreground.
    sys::set_disposition(libc::SIGHUP, libc::SIG_IGN);
    sys::set_disposition(libc::SIGTTOU, libc::SIG_IGN);
    check("modes at the end", set(&USUAL));
    check("TIOCNOTTY", call!(SYS_ioctl, 0, libc::TIOCNOTTY));
}

/// Asks for these keys.
fn ask(keys: &str) {
    line(&format!("type \"{}\"", keys.as_bytes().escape_ascii()));
}

/// Reads once.
fn read(want: usize) -> Result<String, crate::errno::Errno> {
    let mut buffer = [0_u8; 64];
    let buffer = &mut buffer[..want];
    let len = call!(SYS_read, 0, &mut *buffer, want)?;
    let len = usize::try_from(len).unwrap_or(0);
    Ok(format!("\"{}\"", buffer[..len].escape_ascii()))
}

/// How much there is to read.
fn readable() -> Result<i32, crate::errno::Errno> {
    let mut count = 0_i32;
    call!(SYS_ioctl, 0, libc::FIONREAD, &mut count)?;
    Ok(count)
}

/// Waits until there is so much to read.
fn await_readable(least: i32) {
    while readable().is_ok_and(|count| count < least) {
        std::thread::yield_now();
    }
}

/// The group in the foreground, as its relation to the caller.
fn foreground(file: i32) -> Result<&'static str, crate::errno::Errno> {
    let mut group = 0_i32;
    call!(SYS_ioctl, file, libc::TIOCGPGRP, &mut group)?;
    Ok(if Ok(i64::from(group)) == call!(SYS_getpgid, 0) {
        "ours"
    } else {
        "another"
    })
}

/// The session and its terminal.
pub(crate) fn run() {
    let Some(first) = modes() else {
        return;
    };
    check("iflag", format!("{:o}", first.iflag));
    check("oflag", format!("{:o}", first.oflag));
    check("lflag", format!("{:o}", first.lflag));
    check("line", u32::from(first.line));
    check("control characters", first.cc);

    let tty = || call!(SYS_open, c"/dev/tty", libc::O_RDWR, 0);
    check("no controlling terminal yet", tty());
    check("TIOCGPGRP of nobody's", foreground(0));
    let mut word = 0_i32;
    check(
        "TIOCGSID of nobody's",
        call!(SYS_ioctl, 0, libc::TIOCGSID, &mut word),
    );
    check(
        "TIOCSPGRP of nobody's",
        call!(SYS_ioctl, 0, libc::TIOCSPGRP, &word),
    );
    check(
        "TIOCNOTTY of nobody's",
        call!(SYS_ioctl, 0, libc::TIOCNOTTY),
    );
    let child = sys::fork(|| {
        check(
            "TIOCSCTTY, no leader",
            call!(SYS_ioctl, 0, libc::TIOCSCTTY, 0),
        );
        0
    });
    check("child", wait(child));
    with_terminal(|| {
        check("TIOCSCTTY again", call!(SYS_ioctl, 0, libc::TIOCSCTTY, 0));
        let opened = tty();
        check("/dev/tty", opened.map(|_| ()));
        let file = opened.map_or(-1, |file| file as i32);
        let mut stat: libc::stat = sys::zeroed();
        check("fstat", call!(SYS_fstat, file, &mut stat));
        check("its number", stat.st_rdev);
        check("foreground", foreground(file));
        check(
            "TIOCGSID",
            call!(SYS_ioctl, file, libc::TIOCGSID, &mut word),
        );
        check("is ours", Ok(i64::from(word)) == call!(SYS_getsid, 0));
        check(
            "write",
            call!(SYS_write, file, b"by /dev/tty\n".as_slice(), 12),
        );
        check("lseek", call!(SYS_lseek, file, 0, libc::SEEK_CUR));
        check("pread", call!(SYS_pread64, file, &mut [0_u8], 1, 0));
        check("pwrite", call!(SYS_pwrite64, file, b"x".as_slice(), 1, 0));
        check("ftruncate", call!(SYS_ftruncate, file, 0));
        groups(file);
        others(file);
        let _ = call!(SYS_close, file);
    });
    check("none any more", tty());
    window();
    changes();
    requests();
}

/// Who may be put in the foreground.
fn groups(file: i32) {
    let put = |group: i32| call!(SYS_ioctl, file, libc::TIOCSPGRP, &group);
    check("no such group", put(0x3fff_ffff));
    check("negative", put(-1));
    check("zero", put(0));
    check(
        "another session's",
        put(call!(SYS_getppid).map_or(0, |pid| pid as i32)),
    );
    check(
        "TIOCSPGRP bad",
        call!(SYS_ioctl, file, libc::TIOCSPGRP, BAD),
    );
    check(
        "TIOCGPGRP bad",
        call!(SYS_ioctl, file, libc::TIOCGPGRP, BAD),
    );
    check("TIOCGSID bad", call!(SYS_ioctl, file, libc::TIOCGSID, BAD));
    let child = sys::fork(|| {
        let _ = call!(SYS_setpgid, 0, 0);
        loop {
            let _ = call!(SYS_pause);
        }
    });
    let _ = call!(SYS_setpgid, child, child);
    check("a child's group", put(child));
    check("foreground", foreground(file));
    let _ = call!(SYS_kill, child, libc::SIGKILL);
    check("child", wait(child));
    check("a group that is gone", foreground(file));
    // We are in the background now, and an orphan, so asking is EIO.
    sys::set_disposition(libc::SIGTTOU, libc::SIG_IGN);
    check(
        "ours again",
        put(call!(SYS_getpgid, 0).map_or(0, |group| group as i32)),
    );
    sys::set_disposition(libc::SIGTTOU, libc::SIG_DFL);
    check("foreground", foreground(file));
}

/// What another session can do with it.
fn others(file: i32) {
    let child = sys::fork(|| {
        let mut word = 0_i32;
        check("setsid", call!(SYS_setsid).map(|_| ()));
        check("/dev/tty", call!(SYS_open, c"/dev/tty", libc::O_RDWR, 0));
        check("TIOCGPGRP", foreground(file));
        check(
            "TIOCGSID",
            call!(SYS_ioctl, file, libc::TIOCGSID, &mut word),
        );
        check("TIOCSPGRP", call!(SYS_ioctl, file, libc::TIOCSPGRP, &word));
        check("TIOCNOTTY", call!(SYS_ioctl, file, libc::TIOCNOTTY));
        check("TIOCSCTTY", call!(SYS_ioctl, 0, libc::TIOCSCTTY, 0));
        check(
            "TIOCSCTTY by force",
            call!(SYS_ioctl, 0, libc::TIOCSCTTY, 1),
        );
        check(
            "write",
            call!(SYS_write, file, b"by another\n".as_slice(), 11),
        );
        check("modes", set(&USUAL));
        0
    });
    check("child", wait(child));
    let child = sys::fork(|| {
        check(
            "/dev/tty",
            call!(SYS_open, c"/dev/tty", libc::O_RDWR, 0).map(|_| ()),
        );
        check("TIOCSCTTY", call!(SYS_ioctl, 0, libc::TIOCSCTTY, 0));
        check("TIOCNOTTY", call!(SYS_ioctl, 0, libc::TIOCNOTTY));
        check(
            "/dev/tty",
            call!(SYS_open, c"/dev/tty", libc::O_RDWR, 0).map(|_| ()),
        );
        check("TIOCGPGRP", foreground(file));
        let grandchild = sys::fork(|| {
            check(
                "its child",
                call!(SYS_open, c"/dev/tty", libc::O_RDWR, 0).map(|_| ()),
            );
            0
        });
        check("grandchild", wait(grandchild));
        0
    });
    check("child", wait(child));
    check("still ours", foreground(file));
}

/// The window's size.
fn window() {
    let size = || -> Result<(u32, u32, u32, u32), crate::errno::Errno> {
        let mut size = [0_u16; 4];
        call!(SYS_ioctl, 0, libc::TIOCGWINSZ, &mut size)?;
        let [rows, columns, x, y] = size.map(u32::from);
        Ok((rows, columns, x, y))
    };
    check("window", size());
    check("TIOCGWINSZ bad", call!(SYS_ioctl, 0, libc::TIOCGWINSZ, BAD));
    check("TIOCSWINSZ bad", call!(SYS_ioctl, 0, libc::TIOCSWINSZ, BAD));
    for window in [
        [30_u16, 90, 5, 6],
        [0, 0, 0, 0],
        [65535, 65535, 65535, 65535],
        [24, 80, 0, 0],
    ] {
        check("TIOCSWINSZ", call!(SYS_ioctl, 0, libc::TIOCSWINSZ, &window));
        check("window", size());
    }
}

/// Modes that are set are there.
fn changes() {
    check("TCGETS bad", call!(SYS_ioctl, 0, libc::TCGETS, BAD));
    check("TCSETS bad", call!(SYS_ioctl, 0, libc::TCSETS, BAD));
    let echoless = usual(|modes| modes.lflag &= !libc::ECHO);
    for request in [libc::TCSETS, libc::TCSETSW, libc::TCSETSF] {
        check("set", call!(SYS_ioctl, 0, request, &echoless));
        check("lflag", modes().map(|modes| modes.lflag & libc::ECHO));
        check("usual", call!(SYS_ioctl, 0, request, &USUAL));
        check("lflag", modes().map(|modes| modes.lflag & libc::ECHO));
    }
    let all = Termios {
        iflag: u32::MAX,
        lflag: !libc::EXTPROC,
        cc: core::array::from_fn(|at| at as u8 + 1),
        ..USUAL
    };
    check("everything", set(&all));
    let now = modes();
    check("iflag", now.map(|now| format!("{:o}", now.iflag)));
    check("oflag", now.map(|now| format!("{:o}", now.oflag)));
    check("lflag", now.map(|now| format!("{:o}", now.lflag)));
    check("control characters", now.map(|now| now.cc));
    check("usual", set(&USUAL));
    // System V's structure: 16 bit flags, 8 characters.
    let mut short = [0_u16; 9];
    check("TCGETA", call!(SYS_ioctl, 0, 0x5405, &mut short));
    check("iflag", format!("{:o}", short[0]));
    check("lflag", format!("{:o}", short[3]));
    short[3] &= !(libc::ECHO as u16);
    check("TCSETA", call!(SYS_ioctl, 0, 0x5406, &short));
    check("lflag", modes().map(|modes| format!("{:o}", modes.lflag)));
    check("usual", set(&USUAL));
    let mut modes: libc::termios2 = sys::zeroed();
    let get = |modes: &mut libc::termios2| call!(SYS_ioctl, 0, libc::TCGETS2, modes);
    check("TCGETS2", get(&mut modes));
    check("speeds", (modes.c_ispeed, modes.c_ospeed));
    modes.c_cflag = modes.c_cflag & !libc::CBAUD | libc::B9600;
    check("TCSETS2", call!(SYS_ioctl, 0, libc::TCSETS2, &modes));
    let _ = get(&mut modes);
    check(
        "speeds",
        (modes.c_ispeed, modes.c_ospeed, modes.c_cflag & libc::CBAUD),
    );
    modes.c_cflag = modes.c_cflag & !libc::CBAUD | libc::BOTHER;
    (modes.c_ispeed, modes.c_ospeed) = (12_345, 12_345);
    check("TCSETS2 any", call!(SYS_ioctl, 0, libc::TCSETS2, &modes));
    let _ = get(&mut modes);
    check(
        "speeds",
        (modes.c_ispeed, modes.c_ospeed, modes.c_cflag & libc::CBAUD),
    );
    check("usual", set(&USUAL));
    let _ = get(&mut modes);
    check(
        "speeds",
        (modes.c_ispeed, modes.c_ospeed, modes.c_cflag & libc::CBAUD),
    );
}

/// The other requests.
fn requests() {
    let mut word = 7_i32;
    check("FIONREAD", readable());
    check("FIONREAD bad", call!(SYS_ioctl, 0, libc::FIONREAD, BAD));
    check("TIOCGETD", call!(SYS_ioctl, 0, libc::TIOCGETD, &mut word));
    check("discipline", word);
    check("TIOCSETD", call!(SYS_ioctl, 0, libc::TIOCSETD, &0));
    check("TIOCSETD unknown", call!(SYS_ioctl, 0, libc::TIOCSETD, &29));
    check("TCFLSH", call!(SYS_ioctl, 0, libc::TCFLSH, libc::TCIFLUSH));
    check("TCFLSH unknown", call!(SYS_ioctl, 0, libc::TCFLSH, 9));
    check("TCXONC unknown", call!(SYS_ioctl, 0, libc::TCXONC, 9));
    check("TCSBRK", call!(SYS_ioctl, 0, libc::TCSBRK, 1));
    check("TCSBRKP", call!(SYS_ioctl, 0, libc::TCSBRKP, 0));
    check("unknown", call!(SYS_ioctl, 0, 0x54ff, 0));
    check("of other devices", call!(SYS_ioctl, 0, 0x1260, 0));
    check("TIOCGEXCL", call!(SYS_ioctl, 0, libc::TIOCGEXCL, &mut word));
    check("exclusive", word);
    check("TIOCEXCL", call!(SYS_ioctl, 0, libc::TIOCEXCL));
    let _ = call!(SYS_ioctl, 0, libc::TIOCGEXCL, &mut word);
    check("exclusive", word);
    check("TIOCNXCL", call!(SYS_ioctl, 0, libc::TIOCNXCL));
    check("isatty of a pipe", {
        let mut ends = [0_i32; 2];
        let _ = call!(SYS_pipe2, &mut ends, 0);
        call!(SYS_ioctl, ends[0], libc::TCGETS, &mut { USUAL })
    });
    check("write bad", call!(SYS_write, 1, BAD, 5));
}
