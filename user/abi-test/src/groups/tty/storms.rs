//! Signals and kills in calls that wait for the terminal.

use super::{USUAL, ask, set, usual, with_terminal};
use crate::call;
use crate::report::{check, wait};
use crate::sys::{self, Ret};

use super::super::storms::{state_of, storm_of};

const HIDDEN: &[u8] = b"never seen\n";

extern "C" fn take(_: i32, _: &libc::siginfo_t, _: usize) {}

/// Stops the output, and fills what takes some of it all the same, so that the
/// next write waits; whether anything did.
fn stop() -> (Ret, bool) {
    // What was said before is not to be lost.
    let _ = call!(SYS_ioctl, 0, libc::TCSBRK, 1);
    let stopped = call!(SYS_ioctl, 0, libc::TCXONC, libc::TCOOFF);
    let flags = libc::O_WRONLY | libc::O_NONBLOCK;
    let file = call!(SYS_open, c"/dev/tty", flags, 0).unwrap_or(-1);
    let mut is_filled = false;
    while call!(SYS_write, file, &[b'-'; 512][..], 512).is_ok_and(|count| count > 0) {
        is_filled = true;
    }
    let _ = call!(SYS_close, file);
    (stopped, is_filled)
}

/// Drops what a stopped terminal took, and has it go on.
fn go_on(is_filled: bool) -> Ret {
    if is_filled {
        let _ = call!(SYS_ioctl, 0, libc::TCFLSH, libc::TCOFLUSH);
    }
    call!(SYS_ioctl, 0, libc::TCXONC, libc::TCOON)
}

fn read_line() -> Ret {
    call!(SYS_read, 0, &mut [0_u8; 16][..], 16)
}

fn write_line() -> Ret {
    call!(SYS_write, 1, b"written at last\n".as_slice(), 16)
}

fn poll_line() -> Ret {
    let mut fds = [libc::pollfd {
        fd: 0,
        events: libc::POLLIN,
        revents: 0,
    }];
    call!(SYS_poll, &mut fds[..], 1, -1)
}

/// The cases.
pub(crate) fn run() {
    with_terminal(|| {
        let quiet = usual(|modes| modes.lflag &= !libc::ECHO);
        let raw = usual(|modes| {
            modes.lflag &= !(libc::ECHO | libc::ICANON);
            modes.cc[libc::VMIN] = 3;
        });
        for (kind, flags) in [("EINTR", 0), ("SA_RESTART", libc::SA_RESTART)] {
            sys::on_signal(libc::SIGUSR1, flags, take);
            for (name, modes) in [("a line", &quiet), ("three bytes", &raw)] {
                let _ = set(modes);
                let answer = storm_of(read_line, true, || true, |_| ask("ab\n"));
                check(&format!("read of {name}, {kind}"), answer);
            }
            let _ = set(&quiet);
            let answer = storm_of(poll_line, true, || true, |_| ask("ab\n"));
            check(&format!("poll, {kind}"), (answer, read_line()));
            let (stopped, is_filled) = stop();
            let mut went_on = Ok(0);
            let answer = storm_of(write_line, true, || true, |_| went_on = go_on(is_filled));
            check(
                &format!("write while stopped, {kind}"),
                (stopped, went_on, answer),
            );
        }
        kills();
        let _ = set(&USUAL);
    });
}

/// A call, and its name.
type NamedCall = (&'static str, fn() -> Ret);

/// A process that is killed while it waits for the terminal.
fn kills() {
    let calls: [NamedCall; 3] = [
        ("read", read_line),
        ("poll", poll_line),
        ("write", || call!(SYS_write, 1, HIDDEN, HIDDEN.len())),
    ];
    for (name, body) in calls {
        let (stopped, is_filled) = stop();
        let child = sys::fork(|| {
            let _ = body();
            77
        });
        while !matches!(state_of(child), Some('S' | 'Z')) {
            std::thread::yield_now();
        }
        let _ = call!(SYS_kill, child, libc::SIGKILL);
        let end = wait(child);
        let went_on = go_on(is_filled);
        check(name, (stopped, went_on, end));
    }
    // What comes now is the next reader's.
    ask("cd\n");
    check("read", super::read(16));
}
