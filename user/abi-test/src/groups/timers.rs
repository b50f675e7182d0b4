//! Interval timers and `alarm`.

use core::sync::atomic::{AtomicI32, Ordering};

use crate::call;
use crate::report::{check, check_child};
use crate::sys::{self, BAD};

static COUNT: AtomicI32 = AtomicI32::new(0);

extern "C" fn count(_: i32, _: &libc::siginfo_t, _: usize) {
    COUNT.fetch_add(1, Ordering::SeqCst);
}

fn spec(first_ms: i64, every_ms: i64) -> libc::itimerval {
    let time = |ms: i64| libc::timeval {
        tv_sec: ms / 1000,
        tv_usec: ms % 1000 * 1000,
    };
    libc::itimerval {
        it_interval: time(every_ms),
        it_value: time(first_ms),
    }
}

/// The cases.
pub(crate) fn run() {
    sys::on_signal(libc::SIGALRM, 0, count);
    sys::on_signal(libc::SIGVTALRM, 0, count);
    sys::on_signal(libc::SIGPROF, 0, count);
    let set = |which: i32, timer: &libc::itimerval| call!(SYS_setitimer, which, timer, 0);
    let mut now = spec(0, 0);
    check(
        "getitimer off",
        call!(SYS_getitimer, libc::ITIMER_REAL, &mut now),
    );
    check("off", (now.it_value.tv_sec, now.it_value.tv_usec));
    check("alarm", call!(SYS_alarm, 100));
    check("alarm again gives what was left", call!(SYS_alarm, 0));
    check("alarm off", call!(SYS_alarm, 0));
    check("setitimer", set(libc::ITIMER_REAL, &spec(20, 0)));
    check("pause", call!(SYS_pause));
    check("one alarm", COUNT.swap(0, Ordering::SeqCst));
    check(
        "getitimer",
        call!(SYS_getitimer, libc::ITIMER_REAL, &mut now),
    );
    check("off", (now.it_value.tv_sec, now.it_value.tv_usec));
    check("every 10 ms", set(libc::ITIMER_REAL, &spec(10, 10)));
    while COUNT.load(Ordering::SeqCst) < 3 {
        let _ = call!(SYS_pause);
    }
    check(
        "interval",
        call!(SYS_getitimer, libc::ITIMER_REAL, &mut now).map(|_| now.it_interval.tv_usec),
    );
    let mut old = spec(0, 0);
    check(
        "stop, with the old",
        call!(SYS_setitimer, libc::ITIMER_REAL, &spec(0, 0), &mut old),
    );
    check("old interval", old.it_interval.tv_usec);
    COUNT.store(0, Ordering::SeqCst);
    check_child("a child has none of its parent's", || {
        let mut now = spec(5, 5);
        let _ = call!(SYS_getitimer, libc::ITIMER_REAL, &mut now);
        i32::from(now.it_value.tv_sec == 0 && now.it_value.tv_usec == 0)
    });
    for (name, which) in [
        ("virtual", libc::ITIMER_VIRTUAL),
        ("profiling", libc::ITIMER_PROF),
    ] {
        check(name, set(which, &spec(20, 0)));
        let mut n = 0_u64;
        while COUNT.load(Ordering::SeqCst) == 0 && n < 4_000_000_000 {
            n = core::hint::black_box(n + 1);
        }
        check("came while working", COUNT.swap(0, Ordering::SeqCst));
    }
    check("virtual does not run while asleep", {
        let _ = set(libc::ITIMER_VIRTUAL, &spec(30, 0));
        std::thread::sleep(core::time::Duration::from_millis(80));
        let _ = set(libc::ITIMER_VIRTUAL, &spec(0, 0));
        COUNT.swap(0, Ordering::SeqCst)
    });
    check("bad timer", set(9, &spec(1, 0)));
    check("getitimer bad timer", call!(SYS_getitimer, 9, &mut now));
    check("getitimer bad pointer", call!(SYS_getitimer, 0, BAD));
    check("setitimer bad pointer", call!(SYS_setitimer, 0, BAD, 0));
    let mut bad = spec(0, 0);
    bad.it_value.tv_usec = 1_000_000;
    check("bad microseconds", set(libc::ITIMER_REAL, &bad));
    bad.it_value.tv_usec = 0;
    bad.it_value.tv_sec = -1;
    check("negative seconds", set(libc::ITIMER_REAL, &bad));
    posix();
}

/// `timer_create` and family, where the kernel has them.
fn posix() {
    let mut id = 0_i32;
    let answer = call!(SYS_timer_create, 99, 0, &mut id);
    check("timer_create bad clock, or no such call", answer.is_err());
}
