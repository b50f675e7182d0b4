//! Signals that are typed.

use super::{Termios, ask, await_readable, read, readable, set, usual, with_terminal};
use crate::call;
use crate::errno::Errno;
use crate::groups::storms::state_of;
use crate::report::{check, signal_name, wait};
use crate::sleeper::Sleeper;
use crate::sys::{self, Ret};

/// Signals that keys make.
const SET: u64 =
    1 << (libc::SIGINT - 1) | 1 << (libc::SIGQUIT - 1) | 1 << (libc::SIGTSTP - 1) | WINDOW;

/// The one that a new size makes.
const WINDOW: u64 = 1 << (libc::SIGWINCH - 1);

/// Waits for one of them; who sent it is the kernel.
fn next() -> Result<String, Errno> {
    let mut info: libc::siginfo_t = sys::zeroed();
    let signal = call!(SYS_rt_sigtimedwait, &SET, &mut info, 0, 8)?;
    let signal = i32::try_from(signal).unwrap_or(0);
    let name = match signal {
        libc::SIGWINCH => "SIGWINCH".to_owned(),
        _ => signal_name(signal),
    };
    Ok(format!("{name} code {:#x}", info.si_code))
}

fn none() -> Result<i64, Errno> {
    let at_once: libc::timespec = sys::zeroed();
    call!(SYS_rt_sigtimedwait, &SET, 0, &at_once, 8)
}

extern "C" fn handler(_: i32, _: &libc::siginfo_t, _: usize) {}

/// The cases.
pub(crate) fn run() {
    with_terminal(|| {
        let _ = call!(SYS_rt_sigprocmask, libc::SIG_BLOCK, &SET, 0, 8);
        // One that is ignored by default is not even pending otherwise.
        sys::on_signal(libc::SIGWINCH, 0, handler);
        let quiet = usual(|modes| modes.lflag &= !libc::ECHO);
        let _ = set(&quiet);
        for keys in ["\x03", "\x1c", "\x1a"] {
            ask(keys);
            check("key", next());
        }
        check("no more", none());
        ask("line\n");
        await_readable(5);
        ask("\x03");
        check("key", next());
        check("input is dropped", readable());
        let keeping = usual(|modes| {
            modes.lflag &= !libc::ECHO;
            modes.lflag |= libc::NOFLSH;
        });
        let _ = set(&keeping);
        ask("ab\x03cd\n");
        check("key", next());
        check("input is kept", read(64));
        key("without ISIG", |modes| modes.lflag &= !libc::ISIG);
        key("another key", |modes| modes.cc[libc::VINTR] = b'k');
        key("no key", |modes| modes.cc[libc::VINTR] = 0);
        key("without lines", |modes| modes.lflag &= !libc::ICANON);
        key("taken literally", |modes| modes.cc[libc::VLNEXT] = b'\\');
        ask("\x03\n");
        check("shown", (read(64), next()));
        let _ = set(&quiet);
        windows();
        interrupted();
        storms();
        killed();
    });
}

/// Types a backslash, the usual key, and another.
fn key(name: &str, change: impl FnOnce(&mut Termios)) {
    let modes = usual(|modes| {
        modes.lflag &= !libc::ECHO;
        modes.lflag |= libc::NOFLSH;
        change(modes);
    });
    let _ = set(&modes);
    ask("\\\x03k\n");
    if modes.lflag & libc::ICANON == 0 {
        await_readable(3);
    }
    check(name, read(64));
    check("signal", none());
    let _ = set(&usual(|_| {}));
}

/// The window changes its size.
fn windows() {
    for size in [
        [24_u16, 80, 0, 0],
        [25, 80, 0, 0],
        [25, 80, 0, 0],
        [25, 80, 1, 0],
        [24, 80, 0, 0],
    ] {
        let _ = call!(SYS_ioctl, 0, libc::TIOCSWINSZ, &size);
        check("resized", none());
    }
}

/// A wait for input that a signal ends.
fn interrupted() {
    sys::on_signal(libc::SIGINT, libc::SA_RESTART, handler);
    ask("\x03");
    // The descriptor, then the event asked for: input.
    let mut wanted = [u64::from(libc::POLLIN as u16) << 32];
    check("ppoll", call!(SYS_ppoll, &mut wanted, 1, 0, &0_u64, 8));
    let unblock = || call!(SYS_rt_sigprocmask, libc::SIG_UNBLOCK, &SET, 0, 8);
    let _ = unblock();
    // Whether it comes before the read or in it, the line is what is read.
    let modes = usual(|modes| {
        modes.lflag &= !libc::ECHO;
        modes.lflag |= libc::NOFLSH;
    });
    let _ = set(&modes);
    ask("\x03after it\n");
    check("read goes on", read(64));
}

/// Signals that a reader gets before its line is typed.
const SIGNALS: usize = 30;

/// Reads a line, however often it has to be tried.
fn read_line() -> Ret {
    loop {
        match call!(SYS_read, 0, &mut [0_u8; 64][..], 64) {
            Err(Errno(libc::EINTR)) => {}
            answer => return answer,
        }
    }
}

/// Signals all the time to a thread that reads.
fn storms() {
    let me = call!(SYS_getpid).unwrap_or(0);
    for (kind, flags) in [
        ("a storm, EINTR", 0),
        ("a storm, SA_RESTART", libc::SA_RESTART),
    ] {
        sys::on_signal(libc::SIGUSR1, flags, handler);
        let reader = Sleeper::new(read_line);
        for _ in 0..SIGNALS {
            let _ = call!(SYS_tgkill, me, reader.tid, libc::SIGUSR1);
            std::thread::yield_now();
        }
        ask("line\n");
        check(kind, reader.answer());
    }
}

/// A reader that is killed, as its process's only thread and as another, takes
/// nothing from whoever reads next.
fn killed() {
    for in_thread in [false, true] {
        let pid = sys::fork(|| {
            if in_thread {
                let _reader = Sleeper::new(read_line);
                let _ = call!(SYS_pause);
            } else {
                let _ = read_line();
            }
            77
        });
        while state_of(pid) != Some('S') {
            std::thread::yield_now();
        }
        let _ = call!(SYS_kill, pid, libc::SIGKILL);
        check("a reader is killed", wait(pid));
    }
    ask("next\n");
    check("what is typed then", read(64));
}
