//! Who is in the foreground, and what the others may do.

use super::{USUAL, ask, foreground, read, set, usual, with_terminal};
use crate::call;
use crate::report::{check, wait, wait_with};
use crate::sys::{self, Ret};

/// Puts a group in the foreground, whoever is there now.
fn put_in_front(group: i32) -> Ret {
    let block = 1_u64 << (libc::SIGTTOU - 1);
    let _ = call!(SYS_rt_sigprocmask, libc::SIG_BLOCK, &block, 0, 8);
    let answer = call!(SYS_ioctl, 0, libc::TIOCSPGRP, &group);
    let _ = call!(SYS_rt_sigprocmask, libc::SIG_UNBLOCK, &block, 0, 8);
    answer
}

/// A job: a child in a group of its own.
fn job(body: impl FnOnce() -> i32) -> i32 {
    let mut ends = [0_i32; 2];
    let _ = call!(SYS_pipe2, &mut ends, 0);
    let child = sys::fork(|| {
        let _ = call!(SYS_read, ends[0], &mut [0_u8], 1);
        body()
    });
    let _ = call!(SYS_setpgid, child, child);
    let _ = call!(SYS_write, ends[1], &[1_u8], 1);
    let _ = call!(SYS_close, ends[0]);
    let _ = call!(SYS_close, ends[1]);
    child
}

/// Starts a job in the background, brings it to the front when it is stopped,
/// asks for `keys` if there are any, and waits for its end.
fn stopped_job(name: &str, keys: &str, body: impl FnOnce() -> i32) {
    let child = job(body);
    check(name, wait_with(child, libc::WUNTRACED));
    check("to the front", put_in_front(child));
    // Told after the end: both write to the same terminal, and may run at once.
    let continued = call!(SYS_kill, -child, libc::SIGCONT);
    if !keys.is_empty() {
        ask(keys);
    }
    let ended = wait(child);
    check("continue", continued);
    check("end", ended);
    check(
        "back",
        put_in_front(call!(SYS_getpgid, 0).map_or(0, |group| group as i32)),
    );
}

/// A job in the background that ends without having been stopped.
fn background_job(name: &str, body: impl FnOnce() -> i32) {
    let child = job(body);
    check(name, wait_with(child, libc::WUNTRACED));
    let _ = call!(SYS_kill, -child, libc::SIGKILL);
}

fn block(signal: i32) {
    let set = 1_u64 << (signal - 1);
    let _ = call!(SYS_rt_sigprocmask, libc::SIG_BLOCK, &set, 0, 8);
}

/// The cases.
pub(crate) fn run() {
    with_terminal(|| {
        reading();
        writing();
        changing();
        keys();
        windows();
        orphans();
    });
    hang_up();
}

fn reading() {
    stopped_job("reading", "for the job\n", || {
        check("read", read(64));
        check("foreground", foreground(0));
        0
    });
    background_job("reading without the signal", || {
        sys::set_disposition(libc::SIGTTIN, libc::SIG_IGN);
        check("ignored", read(64));
        sys::set_disposition(libc::SIGTTIN, libc::SIG_DFL);
        block(libc::SIGTTIN);
        check("blocked", read(64));
        check("nothing", read(0));
        0
    });
    background_job("asking", || {
        let mut modes = USUAL;
        check("TCGETS", call!(SYS_ioctl, 0, libc::TCGETS, &mut modes));
        check("foreground", foreground(0));
        check("readable", super::readable());
        0
    });
    let tty = call!(SYS_open, c"/dev/tty", libc::O_RDWR | libc::O_NONBLOCK, 0);
    let tty = tty.map_or(-1, |file| file as i32);
    stopped_job("reading /dev/tty", "", || {
        check("read", call!(SYS_read, tty, &mut [0_u8; 8], 8));
        0
    });
    let _ = call!(SYS_close, tty);
}

fn writing() {
    background_job("writing", || {
        check(
            "write",
            call!(SYS_write, 1, b"from behind\n".as_slice(), 12),
        );
        0
    });
    let strict = usual(|modes| modes.lflag |= libc::TOSTOP);
    let _ = set(&strict);
    stopped_job("writing under TOSTOP", "", || {
        check(
            "write",
            call!(SYS_write, 1, b"from the front\n".as_slice(), 15),
        );
        0
    });
    background_job("writing without the signal", || {
        sys::set_disposition(libc::SIGTTOU, libc::SIG_IGN);
        check("ignored", call!(SYS_write, 1, b"ignored\n".as_slice(), 8));
        sys::set_disposition(libc::SIGTTOU, libc::SIG_DFL);
        block(libc::SIGTTOU);
        check("blocked", call!(SYS_write, 1, b"blocked\n".as_slice(), 8));
        0
    });
    let _ = set(&USUAL);
}

fn changing() {
    stopped_job("changing the modes", "", || {
        check("TCSETS", set(&USUAL));
        0
    });
    stopped_job("taking the front", "", || {
        let own = call!(SYS_getpgid, 0).map_or(0, |group| group as i32);
        check("TIOCSPGRP", call!(SYS_ioctl, 0, libc::TIOCSPGRP, &own));
        0
    });
    stopped_job("flushing", "", || {
        check("TCFLSH", call!(SYS_ioctl, 0, libc::TCFLSH, libc::TCIFLUSH));
        0
    });
    background_job("resizing", || {
        check(
            "TIOCSWINSZ",
            call!(SYS_ioctl, 0, libc::TIOCSWINSZ, &[24_u16, 80, 0, 0]),
        );
        0
    });
    background_job("changing without the signal", || {
        sys::set_disposition(libc::SIGTTOU, libc::SIG_IGN);
        check("ignored", set(&USUAL));
        sys::set_disposition(libc::SIGTTOU, libc::SIG_DFL);
        block(libc::SIGTTOU);
        check("blocked", set(&USUAL));
        let own = call!(SYS_getpgid, 0).map_or(0, |group| group as i32);
        check("TIOCSPGRP", call!(SYS_ioctl, 0, libc::TIOCSPGRP, &own));
        check("foreground", foreground(0));
        0
    });
    check(
        "ours again",
        put_in_front(call!(SYS_getpgid, 0).map_or(0, |group| group as i32)),
    );
}

/// Keys reach the whole group in front and nobody else.
fn keys() {
    let _ = set(&usual(|modes| modes.lflag &= !libc::ECHO));
    for keys in ["\x03", "\x1c"] {
        let child = job(|| {
            loop {
                let _ = call!(SYS_pause);
            }
        });
        // A second one in the same group.
        let second = sys::fork(|| {
            let _ = call!(SYS_setpgid, 0, child);
            loop {
                let _ = call!(SYS_pause);
            }
        });
        let _ = call!(SYS_setpgid, second, child);
        check("to the front", put_in_front(child));
        ask(keys);
        check("first", wait(child));
        check("second", wait(second));
        check(
            "back",
            put_in_front(call!(SYS_getpgid, 0).map_or(0, |group| group as i32)),
        );
    }
    let child = job(|| {
        check("read", read(64));
        0
    });
    check("waits for the front", wait_with(child, libc::WUNTRACED));
    check("to the front", put_in_front(child));
    // In this order: a SIGCONT would undo what the key does. Wherever the job
    // is when the key comes, it stops.
    let _ = call!(SYS_kill, -child, libc::SIGCONT);
    ask("\x1a");
    check("stopped by", {
        let how = wait_with(child, libc::WUNTRACED);
        how.starts_with("stopped")
    });
    let _ = call!(SYS_kill, -child, libc::SIGKILL);
    check("end", wait(child));
    check(
        "back",
        put_in_front(call!(SYS_getpgid, 0).map_or(0, |group| group as i32)),
    );
    let _ = set(&USUAL);
}

extern "C" fn window_changed(_: i32, _: &libc::siginfo_t, _: usize) {
    sys::exit(21);
}

/// A new size is told to the group in front.
fn windows() {
    let child = job(|| {
        sys::on_signal(libc::SIGWINCH, 0, window_changed);
        let _ = call!(SYS_kill, call!(SYS_getpid).unwrap_or(0), libc::SIGSTOP);
        loop {
            let _ = call!(SYS_pause);
        }
    });
    check("ready", wait_with(child, libc::WUNTRACED));
    check("to the front", put_in_front(child));
    check(
        "TIOCSWINSZ",
        call!(SYS_ioctl, 0, libc::TIOCSWINSZ, &[11_u16, 22, 0, 0]),
    );
    check("continue", call!(SYS_kill, -child, libc::SIGCONT));
    check("told", wait(child));
    check(
        "back",
        put_in_front(call!(SYS_getpgid, 0).map_or(0, |group| group as i32)),
    );
    let _ = call!(SYS_ioctl, 0, libc::TIOCSWINSZ, &[24_u16, 80, 0, 0]);
}

/// A group in the background that nobody could continue is not stopped.
fn orphans() {
    let mut ends = [0_i32; 2];
    let _ = call!(SYS_pipe2, &mut ends, 0);
    let [told, tell] = ends;
    let middle = sys::fork(|| {
        let _ = sys::fork(|| {
            let _ = call!(SYS_setpgid, 0, 0);
            let parent = call!(SYS_getppid);
            let _ = call!(SYS_kill, parent.unwrap_or(0), libc::SIGKILL);
            while call!(SYS_getppid) == parent {
                std::thread::yield_now();
            }
            check("read", read(64));
            check("modes", set(&USUAL));
            check("write", call!(SYS_write, 1, b"an orphan\n".as_slice(), 10));
            let _ = call!(SYS_write, tell, &[1_u8], 1);
            0
        });
        loop {
            let _ = call!(SYS_pause);
        }
    });
    check("done", call!(SYS_read, told, &mut [0_u8], 1));
    check("its parent", wait(middle));
}

extern "C" fn hung_up(_: i32, _: &libc::siginfo_t, _: usize) {
    sys::exit(22);
}

/// Who gives up the terminal hangs up on the group in front.
fn hang_up() {
    with_terminal(|| {
        let child = job(|| {
            sys::on_signal(libc::SIGHUP, 0, hung_up);
            // Stopped, so that it has to be continued too.
            let _ = call!(SYS_kill, call!(SYS_getpid).unwrap_or(0), libc::SIGSTOP);
            loop {
                let _ = call!(SYS_pause);
            }
        });
        check("ready", wait_with(child, libc::WUNTRACED));
        check("to the front", put_in_front(child));
        check("TIOCNOTTY", call!(SYS_ioctl, 0, libc::TIOCNOTTY));
        check("told", wait(child));
        check("foreground", foreground(0));
        check("once more", call!(SYS_ioctl, 0, libc::TIOCSCTTY, 0));
        check("foreground", foreground(0));
    });
}
