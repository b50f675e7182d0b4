//! What is typed, and what of it arrives.

use super::{Termios, USUAL, ask, await_readable, read, readable, set, usual, with_terminal};
use crate::call;
use crate::report::check;
use crate::sleeper::Sleeper;
use crate::sys;

/// Sets modes, lets something be typed, reads.
fn typed(name: &str, modes: &Termios, keys: &str) {
    let _ = set(modes);
    ask(keys);
    check(name, read(64));
}

extern "C" fn take(_: i32, _: &libc::siginfo_t, _: usize) {}

/// A read that waits for five, while a signal comes.
fn interrupted(modes: &Termios) {
    let _ = set(modes);
    let read_with_signal = || {
        let reader = Sleeper::new(|| call!(SYS_read, 0, &mut [0_u8; 64][..], 64));
        let me = call!(SYS_getpid).unwrap_or(0);
        let _ = call!(SYS_tgkill, me, reader.tid, libc::SIGUSR1);
        reader.answer()
    };
    sys::on_signal(libc::SIGUSR1, 0, take);
    check("interrupted with nothing", read_with_signal());
    for (name, flags) in [("EINTR", 0), ("SA_RESTART", libc::SA_RESTART)] {
        sys::on_signal(libc::SIGUSR1, flags, take);
        ask("abc");
        await_readable(3);
        check(
            &format!("interrupted with three, {name}"),
            read_with_signal(),
        );
        check("left", readable());
    }
}

/// Line by line.
pub(crate) fn canonical() {
    with_terminal(|| {
        typed("a line", &USUAL, "hello\n");
        typed("nothing", &USUAL, "\n");
        ask("in parts\n");
        check("first", read(3));
        check("then", read(1));
        check("rest", read(64));
        check("read of nothing", read(0));

        let quiet = usual(|modes| modes.lflag &= !libc::ECHO);
        let _ = set(&quiet);
        ask("one\ntwo\nthree\nrest");
        await_readable(14);
        check("readable", readable());
        check("one", read(64));
        check("two", read(2));
        check("readable", readable());
        check("two", read(64));
        check("three", read(64));
        check("readable", readable());
        ask("\n");
        check("rest", read(64));

        ask("end\x04");
        check("end of file after text", read(64));
        ask("\x04");
        check("end of file", read(64));
        ask("ab\x04cd\n");
        check("before", read(64));
        check("after", read(64));
        ask("exact\x04x\n");
        check("exactly", read(5));
        check("no empty read after it", read(64));

        let _ = call!(SYS_fcntl, 0, libc::F_SETFL, libc::O_RDWR | libc::O_NONBLOCK);
        check("nothing there", read(64));
        let _ = call!(SYS_fcntl, 0, libc::F_SETFL, libc::O_RDWR);
        poll();

        let _ = set(&quiet);
        ask("dropped\n");
        await_readable(8);
        check("TCFLSH", call!(SYS_ioctl, 0, libc::TCFLSH, libc::TCIFLUSH));
        check("readable", readable());
        ask("dropped\n");
        await_readable(8);
        check(
            "TCFLSH output",
            call!(SYS_ioctl, 0, libc::TCFLSH, libc::TCOFLUSH),
        );
        check("readable", readable());
        check("TCSETSF", call!(SYS_ioctl, 0, libc::TCSETSF, &quiet));
        check("readable", readable());
        ask("bad\n");
        await_readable(4);
        check("read to nowhere", call!(SYS_read, 0, sys::BAD, 64));
        // Linux has lost the line by now.
        let _ = call!(SYS_ioctl, 0, libc::TCFLSH, libc::TCIFLUSH);
    });
}

fn poll() {
    let mut wanted = [0_u64];
    let mut poll = |name: &str, timeout_ms: i32| {
        // The descriptor, then the events asked for: input and output.
        wanted[0] = u64::from((libc::POLLIN | libc::POLLOUT) as u16) << 32;
        let answer = call!(SYS_poll, &mut wanted, 1, timeout_ms);
        check(name, (answer, format!("{:#x}", wanted[0] >> 48)));
    };
    poll("poll", 0);
    ask("x\n");
    await_readable(2);
    poll("poll", -1);
    check("read", read(64));
    poll("poll", 0);
}

/// Editing, and how it looks.
pub(crate) fn editing() {
    with_terminal(|| {
        typed("erase", &USUAL, "abx\x7fc\n");
        typed("erase nothing", &USUAL, "\x7fa\n");
        typed("erase a control", &USUAL, "a\x01\x7fb\n");
        typed("erase a tab", &USUAL, "a\tb\t\x7f\x7fc\n");
        typed("erase a word", &USUAL, "one two_2 \x17three\n");
        typed("erase words", &USUAL, "one-two\x17\x17x\n");
        typed("kill", &USUAL, "all of it\x15new\n");
        typed("literally", &USUAL, "a\x16\x03b\x16\x7f\x16\nc\n");
        typed("reprint", &USUAL, "abc\x12d\n");
        typed("controls", &USUAL, "\x01\x1b[A\x08\t\n");
        typed("carriage return", &USUAL, "abc\r");
        typed("eight bits", &USUAL, "\u{e9}\u{20ac}\n");
        typed("erase a byte", &USUAL, "a\u{e9}\x7f\n");
        let modes = usual(|modes| modes.iflag |= libc::IUTF8);
        typed("erase a character", &modes, "a\u{e9}\x7f\u{20ac}\x7fb\n");
        let modes = usual(|modes| modes.lflag &= !libc::ECHOCTL);
        typed("controls as they are", &modes, "\x01b\x01\x7f\n");
        let modes = usual(|modes| modes.lflag &= !libc::ECHOE);
        typed("without ECHOE", &modes, "ab\x7fc\x17d\x15e\n");
        let modes = usual(|modes| modes.lflag &= !libc::ECHOKE);
        typed("without ECHOKE", &modes, "abc\x15d\n");
        let modes = usual(|modes| modes.lflag &= !(libc::ECHOKE | libc::ECHOK));
        typed("without ECHOK", &modes, "abc\x15d\n");
        let modes = usual(|modes| modes.lflag |= libc::ECHOPRT);
        typed("ECHOPRT", &modes, "abc\x7f\x7fd\x7f\x7fe\n");
        let modes = usual(|modes| modes.lflag &= !libc::IEXTEN);
        typed("without IEXTEN", &modes, "a b\x17\x12\x16c\n");
        let modes = usual(|modes| {
            modes.lflag &= !libc::ECHO;
            modes.lflag |= libc::ECHONL;
        });
        typed("only newlines", &modes, "secret\n");
        let modes = usual(|modes| modes.cc[libc::VERASE] = b'#');
        typed("another erase", &modes, "ab#c\x7f\n");
        let modes = usual(|modes| modes.cc[libc::VERASE] = 0);
        typed("no erase", &modes, "ab\x7f\n");
        let modes = usual(|modes| {
            modes.cc[libc::VEOL] = b';';
            modes.cc[libc::VEOL2] = b':';
        });
        typed("another end", &modes, "one;");
        typed("a second one", &modes, "two:");
        for (name, flags) in [
            ("no mapping", 0),
            ("IGNCR", libc::IGNCR),
            ("INLCR", libc::INLCR | libc::ICRNL),
            ("ISTRIP", libc::ISTRIP),
            ("IUCLC", libc::IUCLC),
            ("PARMRK", libc::PARMRK),
        ] {
            let modes = usual(|modes| modes.iflag = flags);
            typed(name, &modes, "AbC\r\u{ff}d\n\r");
            let _ = call!(SYS_ioctl, 0, libc::TCFLSH, libc::TCIFLUSH);
        }
        typed("stop and start", &USUAL, "a\x13\x11b\n");
        let modes = usual(|modes| modes.iflag |= libc::IXANY);
        typed("start by anything", &modes, "a\x13b\n");
    });
}

/// Byte by byte.
pub(crate) fn raw() {
    with_terminal(|| {
        let with = |least: u8, tenths: u8| {
            usual(|modes| {
                modes.iflag = 0;
                modes.lflag = 0;
                modes.cc[libc::VMIN] = least;
                modes.cc[libc::VTIME] = tenths;
            })
        };
        typed("one", &with(1, 0), "x");
        typed("controls", &with(6, 0), "\x03\x04\x1a\r\n\x7f");
        let _ = set(&with(3, 0));
        ask("abcde");
        await_readable(5);
        check("less than there is", read(2));
        check("less than the least", read(2));
        ask("fg");
        await_readable(3);
        check("three", read(64));
        let _ = set(&with(4, 0));
        ask("abcd");
        check("no less than four", read(64));
        let _ = set(&with(0, 0));
        check("at once", read(64));
        ask("xy");
        await_readable(2);
        check("what there is", read(64));
        let _ = set(&with(0, 1));
        check("after a while", read(64));
        let _ = set(&with(0, 100));
        ask("in time");
        await_readable(7);
        check("at once", read(64));
        let _ = set(&with(10, 1));
        ask("pause");
        check("after a pause", read(64));
        let _ = set(&with(3, 100));
        ask("enough");
        await_readable(6);
        check("at once", read(64));
        let _ = call!(SYS_fcntl, 0, libc::F_SETFL, libc::O_RDWR | libc::O_NONBLOCK);
        for modes in [with(1, 0), with(5, 0), with(0, 0), with(0, 5)] {
            let _ = set(&modes);
            check("nothing there", read(64));
        }
        let _ = set(&with(5, 0));
        ask("abc");
        await_readable(3);
        check("less than the least", read(64));
        let _ = call!(SYS_fcntl, 0, libc::F_SETFL, libc::O_RDWR);
        let _ = call!(SYS_ioctl, 0, libc::TCFLSH, libc::TCIFLUSH);
        interrupted(&with(5, 0));

        // What was typed in one mode is read in another.
        let quiet = usual(|modes| modes.lflag &= !libc::ECHO);
        let _ = set(&with(1, 0));
        ask("half a li");
        await_readable(9);
        let _ = set(&quiet);
        check("readable", readable());
        ask("ne\n");
        check("half", read(64));
        check("the other half", read(64));
        let _ = set(&quiet);
        ask("line\nand more");
        await_readable(5);
        let _ = set(&with(1, 0));
        await_readable(13);
        check("read", read(64));

        let echo = usual(|modes| modes.lflag = libc::ECHO | libc::ECHOCTL);
        let _ = set(&echo);
        ask("e\x01\x7f\tf");
        await_readable(5);
        check("echo", read(64));
    });
}
