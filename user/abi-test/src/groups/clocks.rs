//! Clocks and sleeping.

use crate::call;
use crate::report::{check, check_child};
use crate::sys::{self, BAD};

fn now(clock: i32) -> Result<i64, crate::errno::Errno> {
    let mut time: libc::timespec = sys::zeroed();
    call!(SYS_clock_gettime, clock, &mut time).map(|_| time.tv_sec * 1_000_000_000 + time.tv_nsec)
}

/// `clock_gettime` and its elders.
pub(crate) fn run() {
    for (name, clock) in [
        ("REALTIME", libc::CLOCK_REALTIME),
        ("MONOTONIC", libc::CLOCK_MONOTONIC),
        ("MONOTONIC_RAW", libc::CLOCK_MONOTONIC_RAW),
        ("REALTIME_COARSE", libc::CLOCK_REALTIME_COARSE),
        ("MONOTONIC_COARSE", libc::CLOCK_MONOTONIC_COARSE),
        ("BOOTTIME", libc::CLOCK_BOOTTIME),
        ("PROCESS_CPUTIME_ID", libc::CLOCK_PROCESS_CPUTIME_ID),
        ("THREAD_CPUTIME_ID", libc::CLOCK_THREAD_CPUTIME_ID),
    ] {
        check(name, now(clock).map(|time| time > 0));
        let mut resolution: libc::timespec = sys::zeroed();
        check(
            "resolution",
            call!(SYS_clock_getres, clock, &mut resolution).map(|_| resolution.tv_sec == 0),
        );
    }
    let mut resolution: libc::timespec = sys::zeroed();
    let _ = call!(SYS_clock_getres, libc::CLOCK_MONOTONIC, &mut resolution);
    check("MONOTONIC's resolution", resolution.tv_nsec);
    check("bad clock", now(99));
    check(
        "getres bad clock",
        call!(SYS_clock_getres, 99, &mut resolution),
    );
    check(
        "getres null",
        call!(SYS_clock_getres, libc::CLOCK_REALTIME, 0),
    );
    check(
        "bad pointer",
        call!(SYS_clock_gettime, libc::CLOCK_REALTIME, BAD),
    );
    check("bad clock wins", call!(SYS_clock_gettime, 99, BAD));
    check(
        "after 2020",
        now(libc::CLOCK_REALTIME).map(|time| time > 1_577_836_800_000_000_000),
    );
    let mut last = 0;
    let rising = (0..10_000).all(|_| {
        let time = now(libc::CLOCK_MONOTONIC).unwrap_or(0);
        core::mem::replace(&mut last, time) <= time
    });
    check("MONOTONIC never falls", rising);
    // What is asked for, and what the answer has of it and of adjtime(3).
    for (name, modes) in [
        ("adjtimex", 0_u64),
        ("what adjtime has left", 0xa001),
        ("the same without its lowest bit", 0xa000),
        ("adjtime", 0x8001),
        ("frequency", 2),
        ("read only, but not of adjtime", 0x2000),
    ] {
        let mut buffer = [0_u64; 26];
        buffer[0] = modes;
        let answer = call!(SYS_adjtimex, &mut buffer);
        check(name, answer.map(|_| (buffer[0], buffer[1])));
    }
    let mut day: libc::timeval = sys::zeroed();
    check("gettimeofday", call!(SYS_gettimeofday, &mut day, 0));
    let real = now(libc::CLOCK_REALTIME).unwrap_or(0);
    check(
        "agrees with REALTIME",
        (real / 1_000_000_000 - day.tv_sec).abs() <= 1,
    );
    check("gettimeofday bad", call!(SYS_gettimeofday, BAD, 0));
    check("gettimeofday null", call!(SYS_gettimeofday, 0, 0));
    let mut seconds = 0_i64;
    let answer = call!(SYS_time, &mut seconds).unwrap_or(0);
    check(
        "time",
        answer == seconds && (seconds - day.tv_sec).abs() <= 1,
    );
    let before = now(libc::CLOCK_THREAD_CPUTIME_ID).unwrap_or(0);
    let mut n = 0_u64;
    while n < 3_000_000 {
        n = core::hint::black_box(n + 1);
    }
    check(
        "working costs processor time",
        now(libc::CLOCK_THREAD_CPUTIME_ID).is_ok_and(|time| time > before),
    );
    check("std's clock goes on", {
        let start = std::time::Instant::now();
        std::thread::sleep(core::time::Duration::from_millis(5));
        start.elapsed().as_millis() >= 5
    });
    check_child("clock_settime without rights", || {
        if call!(SYS_geteuid) == Ok(0) {
            return 1;
        }
        let time = libc::timespec {
            tv_sec: 1,
            tv_nsec: 0,
        };
        check(
            "REALTIME",
            call!(SYS_clock_settime, libc::CLOCK_REALTIME, &time),
        );
        check(
            "MONOTONIC",
            call!(SYS_clock_settime, libc::CLOCK_MONOTONIC, &time),
        );
        1
    });
}

/// `nanosleep` and `clock_nanosleep`.
pub(crate) fn nanosleep() {
    let time = |sec: i64, nsec: i64| libc::timespec {
        tv_sec: sec,
        tv_nsec: nsec,
    };
    let start = now(libc::CLOCK_MONOTONIC).unwrap_or(0);
    check("30 ms", call!(SYS_nanosleep, &time(0, 30_000_000), 0));
    check(
        "took 30 ms",
        now(libc::CLOCK_MONOTONIC).is_ok_and(|end| end - start >= 30_000_000),
    );
    check("0", call!(SYS_nanosleep, &time(0, 0), 0));
    check(
        "bad nanoseconds",
        call!(SYS_nanosleep, &time(0, 1_000_000_000), 0),
    );
    check(
        "negative nanoseconds",
        call!(SYS_nanosleep, &time(0, -1), 0),
    );
    check("negative seconds", call!(SYS_nanosleep, &time(-1, 0), 0));
    check("bad pointer", call!(SYS_nanosleep, BAD, 0));
    let monotonic = libc::CLOCK_MONOTONIC;
    check(
        "clock_nanosleep",
        call!(SYS_clock_nanosleep, monotonic, 0, &time(0, 1_000_000), 0),
    );
    let until = now(monotonic).unwrap_or(0) + 20_000_000;
    let until_spec = time(until / 1_000_000_000, until % 1_000_000_000);
    let absolute = libc::TIMER_ABSTIME;
    check(
        "until a time",
        call!(SYS_clock_nanosleep, monotonic, absolute, &until_spec, 0),
    );
    check(
        "it is that time",
        now(monotonic).is_ok_and(|now| now >= until),
    );
    check(
        "until a past time",
        call!(SYS_clock_nanosleep, monotonic, absolute, &time(0, 1), 0),
    );
    check(
        "realtime",
        call!(
            SYS_clock_nanosleep,
            libc::CLOCK_REALTIME,
            0,
            &time(0, 1_000_000),
            0
        ),
    );
    check(
        "bad clock",
        call!(SYS_clock_nanosleep, 99, 0, &time(0, 1), 0),
    );
    check(
        "thread clock",
        call!(
            SYS_clock_nanosleep,
            libc::CLOCK_THREAD_CPUTIME_ID,
            0,
            &time(0, 1),
            0
        ),
    );
    let parent = call!(SYS_getpid).unwrap_or(0);
    extern "C" fn nothing(_: i32, _: &libc::siginfo_t, _: usize) {}
    sys::on_signal(libc::SIGUSR1, 0, nothing);
    let child = sys::fork(|| {
        std::thread::sleep(core::time::Duration::from_millis(60));
        let _ = call!(SYS_kill, parent, libc::SIGUSR1);
        0
    });
    let mut left: libc::timespec = sys::zeroed();
    check(
        "interrupted",
        call!(SYS_nanosleep, &time(100, 0), &mut left),
    );
    check("left", left.tv_sec == 99);
    check("child", crate::report::wait(child));
    check_child("a stop does not end a sleep", || {
        let child = sys::fork(|| {
            let start = now(monotonic).unwrap_or(0);
            check("nanosleep", call!(SYS_nanosleep, &time(0, 150_000_000), 0));
            i32::from(now(monotonic).is_ok_and(|end| end - start >= 150_000_000))
        });
        std::thread::sleep(core::time::Duration::from_millis(30));
        let _ = call!(SYS_kill, child, libc::SIGSTOP);
        std::thread::sleep(core::time::Duration::from_millis(30));
        let _ = call!(SYS_kill, child, libc::SIGCONT);
        check("sleeper", crate::report::wait(child));
        0
    });
}
