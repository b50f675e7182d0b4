//! `futex`: how a wait ends: deadlines on both clocks, signals, the newer calls.

use core::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use crate::call;
use crate::report::check;
use crate::sleeper::{Sleeper, at};
use crate::sys::{self, BAD, KERNEL, Ret};

const PRIVATE: i32 = libc::FUTEX_PRIVATE_FLAG;
const WAIT: i32 = libc::FUTEX_WAIT;
const WAKE: i32 = libc::FUTEX_WAKE;
const WAIT_BITSET: i32 = libc::FUTEX_WAIT_BITSET;
const REALTIME: i32 = libc::FUTEX_CLOCK_REALTIME;

const SIZE_U32: u32 = 2;
const PRIVATE2: u32 = 128;

static TAKEN: AtomicI32 = AtomicI32::new(0);

extern "C" fn take(_: i32, _: &libc::siginfo_t, _: usize) {
    TAKEN.fetch_add(1, Ordering::SeqCst);
}

fn later(clock: i32, milliseconds: i64) -> libc::timespec {
    let mut now: libc::timespec = sys::zeroed();
    let _ = call!(SYS_clock_gettime, clock, &mut now);
    let nanoseconds = now.tv_nsec + milliseconds * 1_000_000;
    libc::timespec {
        tv_sec: now.tv_sec + nanoseconds.div_euclid(1_000_000_000),
        tv_nsec: nanoseconds.rem_euclid(1_000_000_000),
    }
}

/// The cases.
pub(crate) fn run() {
    deadlines();
    signals();
}

fn deadlines() {
    static WORD: AtomicU32 = AtomicU32::new(3);
    let wait = |flags: i32, value: u32, time: &libc::timespec| {
        call!(
            SYS_futex,
            at(&WORD),
            WAIT_BITSET | flags | PRIVATE,
            value,
            time,
            0,
            u32::MAX
        )
    };
    let monotonic = |ms| later(libc::CLOCK_MONOTONIC, ms);
    let wall = |ms| later(libc::CLOCK_REALTIME, ms);
    check("monotonic, soon", wait(0, 3, &monotonic(20)));
    check("monotonic, past", wait(0, 3, &monotonic(-1000)));
    check("wall, soon", wait(REALTIME, 3, &wall(20)));
    check("wall, past", wait(REALTIME, 3, &wall(-1000)));
    check(
        "monotonic deadline on the wall clock",
        wait(REALTIME, 3, &monotonic(20)),
    );
    check("past, another value", wait(0, 4, &monotonic(-1000)));
    let time = |tv_sec, tv_nsec| libc::timespec { tv_sec, tv_nsec };
    check("negative seconds", wait(0, 3, &time(-1, 0)));
    check("negative nanoseconds", wait(0, 3, &time(1, -1)));
    check("too many nanoseconds", wait(0, 3, &time(1, 1_000_000_000)));
    check(
        "seconds beyond measure, another value",
        wait(0, 4, &time(i64::MAX, 0)),
    );
    let sleeper = Sleeper::new(move || {
        let time = time(i64::MAX, 999_999_999);
        call!(SYS_futex, at(&WORD), WAIT_BITSET | PRIVATE, 3, &time, 0, 1)
    });
    check(
        "woken long before",
        call!(SYS_futex, at(&WORD), WAKE | PRIVATE, 1),
    );
    check("woken", sleeper.answer());
    let sleeper = Sleeper::new(move || {
        let time = time(i64::MAX, 0);
        call!(SYS_futex, at(&WORD), WAIT | PRIVATE, 3, &time)
    });
    check(
        "relative, beyond measure",
        call!(SYS_futex, at(&WORD), WAKE | PRIVATE, 1),
    );
    check("woken", sleeper.answer());
}

fn signals() {
    static WORD: AtomicU32 = AtomicU32::new(0);
    let me = call!(SYS_getpid).unwrap_or(0);
    let tell = |sleeper: &Sleeper| {
        let before = TAKEN.load(Ordering::SeqCst);
        let _ = call!(SYS_tgkill, me, sleeper.tid, libc::SIGUSR1);
        while TAKEN.load(Ordering::SeqCst) == before {
            std::thread::yield_now();
        }
    };
    let far = libc::timespec {
        tv_sec: 1000,
        tv_nsec: 0,
    };
    sys::on_signal(libc::SIGUSR1, 0, take);
    let sleeper = Sleeper::new(|| call!(SYS_futex, at(&WORD), WAIT | PRIVATE, 0, 0));
    tell(&sleeper);
    check("a handler, no time", sleeper.answer());
    let sleeper = Sleeper::new(move || call!(SYS_futex, at(&WORD), WAIT | PRIVATE, 0, &far));
    tell(&sleeper);
    check("a handler, time", sleeper.answer());
    sys::on_signal(libc::SIGUSR1, libc::SA_RESTART, take);
    let sleeper = Sleeper::new(move || call!(SYS_futex, at(&WORD), WAIT | PRIVATE, 0, &far));
    tell(&sleeper);
    check("SA_RESTART, time", sleeper.answer());
    let sleeper = Sleeper::new(|| call!(SYS_futex, at(&WORD), WAIT | PRIVATE, 0, 0));
    tell(&sleeper);
    sleeper.until_asleep();
    check(
        "SA_RESTART, no time: it waits again",
        call!(SYS_futex, at(&WORD), WAKE | PRIVATE, 9),
    );
    check("woken", sleeper.answer());
    let sleeper = Sleeper::new(|| call!(SYS_futex, at(&WORD), WAIT | PRIVATE, 0, 0));
    WORD.store(1, Ordering::SeqCst);
    tell(&sleeper);
    check("SA_RESTART, another value meanwhile", sleeper.answer());
    WORD.store(0, Ordering::SeqCst);
    // A signal without a handler: the wait goes on, with the same end.
    sys::set_disposition(libc::SIGUSR2, libc::SIG_IGN);
    let soon = libc::timespec {
        tv_sec: 0,
        tv_nsec: 50_000_000,
    };
    let sleeper = Sleeper::new(move || call!(SYS_futex, at(&WORD), WAIT | PRIVATE, 0, &soon));
    let _ = call!(SYS_tgkill, me, sleeper.tid, libc::SIGUSR2);
    let _ = call!(SYS_tgkill, me, sleeper.tid, libc::SIGCONT);
    check("signals that do nothing", sleeper.answer());
    crate::report::check_child("stopped and continued", || {
        let child = sys::fork(|| {
            let answer = call!(SYS_futex, at(&WORD), WAIT | PRIVATE, 0, &soon);
            check("in the child", answer);
            0
        });
        let _ = call!(SYS_kill, child, libc::SIGSTOP);
        let mut status = 0_i32;
        let _ = call!(SYS_wait4, child, &mut status, libc::WUNTRACED, 0);
        let _ = call!(SYS_kill, child, libc::SIGCONT);
        check("child", crate::report::wait(child));
        0
    });
}

/// `futex_waitv`, `futex_wake`, `futex_wait` and `futex_requeue`.
pub(crate) fn newer() {
    static WORDS: [AtomicU32; 3] = [const { AtomicU32::new(0) }; 3];
    let entry =
        |word: usize, value: u64, flags: u32| [value, at(&WORDS[word]) as u64, u64::from(flags)];
    let own = SIZE_U32 | PRIVATE2;
    let waitv = |list: &[[u64; 3]], flags: u32| -> Ret {
        call!(SYS_futex_waitv, list, list.len(), flags, 0, 0)
    };
    check("no words", waitv(&[], 0));
    check("129 words", waitv(&[entry(0, 1, own); 129], 0));
    check(
        "128 words, another value",
        waitv(&[entry(0, 1, own); 128], 0),
    );
    check("flags", waitv(&[entry(0, 1, own)], 1));
    check(
        "another value",
        waitv(&[entry(0, 0, own), entry(1, 1, own)], 0),
    );
    for flags in [0, 1, 2, 3, 64 | 2, 256 | 2] {
        check(
            &format!("size and flags {flags}"),
            waitv(&[entry(0, 1, flags)], 0),
        );
    }
    check(
        "a reserved word",
        waitv(&[[1, at(&WORDS[0]) as u64, 1 << 32 | u64::from(own)]], 0),
    );
    check("a value of 33 bits", waitv(&[entry(0, 1 << 32, own)], 0));
    check("null", call!(SYS_futex_waitv, 0, 1, 0, 0, 0));
    check("bad list", call!(SYS_futex_waitv, KERNEL, 1, 0, 0, 0));
    check("bad word", waitv(&[[0, BAD as u64, u64::from(own)]], 0));
    check(
        "misaligned word",
        waitv(&[[0, at(&WORDS[0]) as u64 + 1, u64::from(own)]], 0),
    );
    let one = [entry(0, 0, own)];
    let soon = later(libc::CLOCK_MONOTONIC, 20);
    check(
        "a deadline",
        call!(
            SYS_futex_waitv,
            &one[..],
            1,
            0,
            &soon,
            libc::CLOCK_MONOTONIC
        ),
    );
    let soon = later(libc::CLOCK_REALTIME, 20);
    check(
        "on the wall clock",
        call!(SYS_futex_waitv, &one[..], 1, 0, &soon, libc::CLOCK_REALTIME),
    );
    check(
        "on another clock",
        call!(SYS_futex_waitv, &one[..], 1, 0, &soon, libc::CLOCK_BOOTTIME),
    );
    check(
        "bad deadline",
        call!(SYS_futex_waitv, &one[..], 1, 0, BAD, libc::CLOCK_MONOTONIC),
    );
    for woken in 0..3 {
        let list = [entry(0, 0, own), entry(1, 0, own), entry(2, 0, own)];
        let sleeper = Sleeper::new(move || call!(SYS_futex_waitv, &list[..], 3, 0, 0, 0));
        check(
            "wake one word",
            call!(SYS_futex, at(&WORDS[woken]), WAKE | PRIVATE, 9),
        );
        check("which", sleeper.answer());
        check(
            "it waits nowhere else",
            call!(SYS_futex, at(&WORDS[2 - woken]), WAKE | PRIVATE, 9),
        );
    }
    sys::on_signal(libc::SIGUSR1, 0, take);
    let list = [entry(0, 0, own), entry(1, 0, own)];
    let sleeper = Sleeper::new(move || call!(SYS_futex_waitv, &list[..], 2, 0, 0, 0));
    let me = call!(SYS_getpid).unwrap_or(0);
    let _ = call!(SYS_tgkill, me, sleeper.tid, libc::SIGUSR1);
    check("a signal", sleeper.answer());

    let word = at(&WORDS[0]);
    let (wake, wait, requeue) = (454, 455, 456);
    let all = u64::from(u32::MAX);
    let raw = |number: i64, words: &[usize]| sys::raw(number, words);
    check(
        "wake nobody",
        raw(wake, &[word, all as usize, 1, own as usize]),
    );
    check("wake, no bits", raw(wake, &[word, 0, 1, own as usize]));
    check(
        "wake, 33 bits",
        raw(wake, &[word, 1 << 32, 1, own as usize]),
    );
    check("wake, flags", raw(wake, &[word, 1, 1, 1]));
    check(
        "wait, another value",
        raw(wait, &[word, 1, 1, own as usize, 0, 0]),
    );
    check(
        "wait, no bits",
        raw(wait, &[word, 0, 0, own as usize, 0, 0]),
    );
    check(
        "wait, 33 bits",
        raw(wait, &[word, 1 << 32, 1, own as usize, 0, 0]),
    );
    let sleeper = Sleeper::new(move || raw(wait, &[word, 0, 4, own as usize, 0, 0]));
    check("wake 0", raw(wake, &[word, 4, 0, own as usize]));
    check("wake other bits", raw(wake, &[word, 3, 1, own as usize]));
    check("wake its bits", raw(wake, &[word, 6, 1, own as usize]));
    check("woken", sleeper.answer());
    let pair = [entry(0, 0, own), entry(1, 7, own)];
    let list = pair.as_ptr().expose_provenance();
    let sleepers: Vec<Sleeper> = (0..3)
        .map(|_| Sleeper::new(move || raw(wait, &[word, 0, all as usize, own as usize, 0, 0])))
        .collect();
    check("requeue, flags", raw(requeue, &[list, 1, 1, 1]));
    check("requeue, -1", raw(requeue, &[list, 0, usize::MAX, 1]));
    check("requeue 1, 1", raw(requeue, &[list, 0, 1, 1]));
    check(
        "at the second word",
        call!(SYS_futex, at(&WORDS[1]), WAKE | PRIVATE, 9),
    );
    check(
        "at the first word",
        call!(SYS_futex, at(&WORDS[0]), WAKE | PRIVATE, 9),
    );
    for sleeper in sleepers {
        check("woken", sleeper.answer());
    }
    let other = [entry(0, 1, own), entry(1, 7, own)];
    check("requeue, another value", call_list(requeue, &other));
    check("requeue, null", raw(requeue, &[0, 0, 1, 1]));
}

fn call_list(number: i64, list: &[[u64; 3]; 2]) -> Ret {
    sys::raw(number, &[list.as_ptr().expose_provenance(), 0, 1, 1])
}
