//! Waiting for many descriptors: `poll`, `ppoll`, `select`, `pselect6`.

use core::sync::atomic::{AtomicI32, Ordering};

use crate::call;
use crate::report::{check, check_child, wait};
use crate::sys::{self, BAD};

/// A `struct pollfd` as one word: descriptor, events, and the answer.
fn pollfd(fd: i64, events: i16) -> u64 {
    u64::from(fd as u32) | u64::from(events.cast_unsigned()) << 32
}

fn answer(word: u64) -> String {
    let bits = (word >> 48) as i16;
    let names = [
        (libc::POLLIN, "IN"),
        (libc::POLLPRI, "PRI"),
        (libc::POLLOUT, "OUT"),
        (libc::POLLERR, "ERR"),
        (libc::POLLHUP, "HUP"),
        (libc::POLLNVAL, "NVAL"),
        (libc::POLLRDNORM, "RDNORM"),
        (libc::POLLWRNORM, "WRNORM"),
    ];
    let names: Vec<&str> = names
        .iter()
        .filter(|(bit, _)| bits & bit != 0)
        .map(|(_, name)| *name)
        .collect();
    names.join("|")
}

const ALL: i16 = libc::POLLIN | libc::POLLOUT | libc::POLLPRI | libc::POLLRDNORM | libc::POLLWRNORM;

fn poll_one(name: &str, fd: i64, events: i16) {
    let mut word = pollfd(fd, events);
    check(
        name,
        call!(SYS_poll, &mut word, 1, 0).map(|count| format!("{count} {}", answer(word))),
    );
}

static ALARMS: AtomicI32 = AtomicI32::new(0);

extern "C" fn alarmed(_: i32, _: &libc::siginfo_t, _: usize) {
    ALARMS.fetch_add(1, Ordering::SeqCst);
}

/// `poll` and `ppoll`.
pub(crate) fn run() {
    let mut ends = [0_i32; 2];
    let _ = call!(SYS_pipe2, &mut ends, libc::O_NONBLOCK);
    let (read, write) = (i64::from(ends[0]), i64::from(ends[1]));
    poll_one("empty pipe, reader", read, ALL);
    poll_one("empty pipe, writer", write, ALL);
    let _ = call!(SYS_write, write, b"x", 1);
    poll_one("pipe with a byte", read, ALL);
    poll_one("only what is asked for", read, libc::POLLOUT);
    while call!(SYS_write, write, &[0_u8; 4096], 4096).is_ok() {}
    poll_one("full pipe, writer", write, ALL);
    let _ = call!(SYS_close, read);
    poll_one("no reader, writer", write, ALL);
    let _ = call!(SYS_pipe2, &mut ends, 0);
    let _ = call!(SYS_write, ends[1], b"x", 1);
    let _ = call!(SYS_close, ends[1]);
    poll_one("no writer, a byte left", ends[0].into(), ALL);
    let _ = call!(SYS_read, ends[0], &mut [0_u8], 1);
    poll_one("no writer", ends[0].into(), ALL);
    poll_one("no writer, nothing asked", ends[0].into(), 0);
    let file = call!(SYS_open, c"f", libc::O_RDWR | libc::O_CREAT, 0o644).unwrap_or(-1);
    poll_one("a file", file, ALL);
    poll_one(
        "/dev/null",
        call!(SYS_open, c"/dev/null", libc::O_RDWR, 0).unwrap_or(-1),
        ALL,
    );
    poll_one("closed", 999, ALL);
    poll_one("negative", -1, ALL);
    let mut many = [
        pollfd(-1, ALL),
        pollfd(file, libc::POLLIN),
        pollfd(999, 0),
        pollfd(file, 0),
    ];
    check("several", call!(SYS_poll, &mut many, 4, -1));
    check("none, no time", call!(SYS_poll, 0, 0, 0));
    check("none, some time", call!(SYS_poll, 0, 0, 20));
    check("bad pointer", call!(SYS_poll, BAD, 1, 0));
    check("too many", call!(SYS_poll, &mut many, 0x7fff_ffff, 0));
    check_child("more than the limit of files", || {
        let limit = libc::rlimit {
            rlim_cur: 3,
            rlim_max: 3,
        };
        let _ = call!(SYS_setrlimit, libc::RLIMIT_NOFILE, &limit);
        check("poll", call!(SYS_poll, &mut [0_u64; 4], 4, 0));
        0
    });
    let second = libc::timespec {
        tv_sec: 0,
        tv_nsec: 20_000_000,
    };
    let mut word = pollfd(file, libc::POLLIN);
    check("ppoll", call!(SYS_ppoll, &mut word, 1, &second, 0, 8));
    check("ppoll times out", call!(SYS_ppoll, 0, 0, &second, 0, 8));
    let bad = libc::timespec {
        tv_sec: 0,
        tv_nsec: 1_000_000_000,
    };
    check("ppoll bad time", call!(SYS_ppoll, 0, 0, &bad, 0, 8));
    check(
        "ppoll bad mask size",
        call!(SYS_ppoll, 0, 0, &second, &0_u64, 4),
    );
    check_child("poll wakes for a writer", || {
        let mut ends = [0_i32; 2];
        let _ = call!(SYS_pipe2, &mut ends, 0);
        let child = sys::fork(|| {
            std::thread::sleep(core::time::Duration::from_millis(30));
            let _ = call!(SYS_write, ends[1], b"x", 1);
            0
        });
        let mut word = pollfd(ends[0].into(), libc::POLLIN);
        check("poll", call!(SYS_poll, &mut word, 1, 5000));
        check("events", answer(word));
        let _ = wait(child);
        0
    });
    check_child("poll wakes when the last writer goes", || {
        let mut ends = [0_i32; 2];
        let _ = call!(SYS_pipe2, &mut ends, 0);
        let child = sys::fork(|| {
            std::thread::sleep(core::time::Duration::from_millis(30));
            0
        });
        let _ = call!(SYS_close, ends[1]);
        let mut word = pollfd(ends[0].into(), libc::POLLIN);
        check("poll", call!(SYS_poll, &mut word, 1, 5000));
        check("events", answer(word));
        let _ = wait(child);
        0
    });
    check_child("ppoll lets a blocked signal in", || {
        sys::on_signal(libc::SIGALRM, 0, alarmed);
        let alarm = 1_u64 << (libc::SIGALRM - 1);
        let _ = call!(SYS_rt_sigprocmask, libc::SIG_BLOCK, &alarm, 0, 8);
        let _ = call!(SYS_kill, call!(SYS_getpid).unwrap_or(0), libc::SIGALRM);
        check("alarms before", ALARMS.load(Ordering::SeqCst));
        check("ppoll", call!(SYS_ppoll, 0, 0, 0, &0_u64, 8));
        check("alarms after", ALARMS.load(Ordering::SeqCst));
        let mut mask = 0_u64;
        let _ = call!(SYS_rt_sigprocmask, 0, 0, &mut mask, 8);
        check("mask is back", mask == alarm);
        0
    });
}

type Set = [u64; 16];

fn set(fds: &[i64]) -> Set {
    let mut set = [0_u64; 16];
    for fd in fds {
        set[*fd as usize / 64] |= 1 << (fd % 64);
    }
    set
}

/// `select` and `pselect6`.
pub(crate) fn select() {
    let mut ends = [0_i32; 2];
    let _ = call!(SYS_pipe2, &mut ends, 0);
    let (read, write) = (i64::from(ends[0]), i64::from(ends[1]));
    let most = read.max(write) + 1;
    let zero = || libc::timeval {
        tv_sec: 0,
        tv_usec: 0,
    };
    let (mut readers, mut writers) = (set(&[read]), set(&[write]));
    check(
        "empty pipe",
        call!(SYS_select, most, &mut readers, &mut writers, 0, &mut zero()),
    );
    check("reader not ready", readers == set(&[]));
    check("writer ready", writers == set(&[write]));
    let _ = call!(SYS_write, write, b"x", 1);
    let mut readers = set(&[read]);
    check(
        "with a byte",
        call!(SYS_select, most, &mut readers, 0, 0, 0),
    );
    check("reader ready", readers == set(&[read]));
    let (mut one, mut two) = (set(&[read]), set(&[write]));
    check(
        "both count",
        call!(SYS_select, most, &mut one, &mut two, 0, 0),
    );
    let mut readers = set(&[read]);
    check(
        "below nfds only",
        call!(SYS_select, read, &mut readers, 0, 0, &mut zero()),
    );
    // One beyond the table's size is passed over; how large that is, is the
    // kernel's business.
    let gone = call!(SYS_dup, read).unwrap_or(0);
    let _ = call!(SYS_close, gone);
    let mut closed = set(&[gone]);
    check(
        "closed",
        call!(SYS_select, gone + 1, &mut closed, 0, 0, &mut zero()),
    );
    check("negative nfds", call!(SYS_select, -1, 0, 0, 0, &mut zero()));
    check("bad set", call!(SYS_select, most, BAD, 0, 0, &mut zero()));
    check("bad time", call!(SYS_select, 0, 0, 0, 0, BAD));
    let mut negative = libc::timeval {
        tv_sec: -1,
        tv_usec: 0,
    };
    check(
        "negative time",
        call!(SYS_select, 0, 0, 0, 0, &mut negative),
    );
    let mut time = libc::timeval {
        tv_sec: 0,
        tv_usec: 20_000,
    };
    check("only time", call!(SYS_select, 0, 0, 0, 0, &mut time));
    check("time left", (time.tv_sec, time.tv_usec));
    let mut time = libc::timeval {
        tv_sec: 100,
        tv_usec: 0,
    };
    let mut readers = set(&[read]);
    let _ = call!(SYS_select, most, &mut readers, 0, 0, &mut time);
    check("time is left", time.tv_sec >= 99);
    let short = libc::timespec {
        tv_sec: 0,
        tv_nsec: 10_000_000,
    };
    check("pselect6", call!(SYS_pselect6, 0, 0, 0, 0, &short, 0));
    check(
        "pselect6 mask size",
        call!(
            SYS_pselect6,
            0,
            0,
            0,
            0,
            &short,
            &[core::ptr::from_ref(&short).addr(), 4]
        ),
    );
    let _ = call!(SYS_close, write);
    let _ = call!(SYS_read, read, &mut [0_u8], 1);
    let mut readers = set(&[read]);
    check(
        "end of file is readable",
        call!(SYS_select, most, &mut readers, 0, 0, &mut zero()),
    );
}
