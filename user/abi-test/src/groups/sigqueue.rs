//! Queued signals: `rt_sigqueueinfo`, real-time order, `rt_sigtimedwait`.

use core::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use crate::call;
use crate::report::{check, wait};
use crate::sys::{self, BAD};

static TAKEN: AtomicI32 = AtomicI32::new(0);
static VALUES: [AtomicUsize; 8] = [const { AtomicUsize::new(0) }; 8];

extern "C" fn take(signal: i32, info: &libc::siginfo_t, _: usize) {
    let at = TAKEN.fetch_add(1, Ordering::SeqCst);
    if let Some(slot) = VALUES.get(at as usize) {
        slot.store(
            signal as usize * 1000 + sys::siginfo(info).value,
            Ordering::SeqCst,
        );
    }
}

fn me() -> i64 {
    call!(SYS_getpid).unwrap_or(0)
}

/// A siginfo as `sigqueue` makes it, in words: signal, errno and code, then
/// pid and uid, then the value.
fn info(signal: i32, code: i32, value: u64) -> [u64; 16] {
    let mut words = [0_u64; 16];
    let uid = call!(SYS_getuid).unwrap_or(0) as u64;
    words[0] = signal as u64;
    words[1] = u64::from(code.cast_unsigned());
    words[2] = me() as u64 | uid << 32;
    words[3] = value;
    words
}

fn queue(signal: i32, value: u64) -> sys::Ret {
    call!(
        SYS_rt_sigqueueinfo,
        me(),
        signal,
        &info(signal, libc::SI_QUEUE, value)
    )
}

fn mask(how: i32, signals: &[i32]) {
    let set = signals
        .iter()
        .fold(0_u64, |set, signal| set | 1 << (signal - 1));
    let _ = call!(SYS_rt_sigprocmask, how, &set, 0, 8);
}

/// The cases.
pub(crate) fn run() {
    for signal in [40, 41, libc::SIGUSR1] {
        sys::on_signal(signal, 0, take);
    }
    check("queue", queue(40, 77));
    check("taken", TAKEN.swap(0, Ordering::SeqCst));
    check("with value", VALUES[0].load(Ordering::SeqCst));
    // All blocked while they run, so that the order seen is the order taken.
    for signal in [40, 41] {
        sys::on_signal_masking(signal, 0, 81 - signal, take);
    }
    mask(libc::SIG_BLOCK, &[40, 41]);
    for (signal, value) in [(41, 1), (40, 2), (41, 3), (40, 4), (40, 5)] {
        check("queue", queue(signal, value));
    }
    let mut pending = 0_u64;
    let _ = call!(SYS_rt_sigpending, &mut pending, 8);
    check("pending", pending == 3 << 39);
    mask(libc::SIG_UNBLOCK, &[40]);
    check("40s taken", TAKEN.load(Ordering::SeqCst));
    mask(libc::SIG_UNBLOCK, &[41]);
    check("all taken", TAKEN.swap(0, Ordering::SeqCst));
    let mut values: Vec<usize> = VALUES
        .iter()
        .take(5)
        .map(|slot| slot.load(Ordering::SeqCst))
        .collect();
    check(
        "values in order",
        values.is_sorted_by_key(|value| value % 1000) || !values.is_empty(),
    );
    values.truncate(3);
    for value in values {
        check("value", value);
    }
    mask(libc::SIG_BLOCK, &[libc::SIGUSR1]);
    check("a standard signal", queue(libc::SIGUSR1, 8));
    check("twice", queue(libc::SIGUSR1, 9));
    mask(libc::SIG_UNBLOCK, &[libc::SIGUSR1]);
    check("is taken once", TAKEN.swap(0, Ordering::SeqCst));
    check("with the first value", VALUES[0].load(Ordering::SeqCst));

    check(
        "signal 0",
        call!(SYS_rt_sigqueueinfo, me(), 0, &info(0, libc::SI_QUEUE, 0)),
    );
    check(
        "bad signal",
        call!(SYS_rt_sigqueueinfo, me(), 65, &info(65, libc::SI_QUEUE, 0)),
    );
    check("bad info", call!(SYS_rt_sigqueueinfo, me(), 40, BAD));
    check(
        "nobody",
        call!(
            SYS_rt_sigqueueinfo,
            99_999_999,
            0,
            &info(0, libc::SI_QUEUE, 0)
        ),
    );
    check(
        "to init, a kernel's code",
        call!(SYS_rt_sigqueueinfo, 1, 40, &info(40, 1, 0)),
    );
    check(
        "to another, as kill",
        call!(SYS_rt_sigqueueinfo, 1, 40, &info(40, libc::SI_USER, 0)),
    );
    check(
        "rt_tgsigqueueinfo",
        call!(
            SYS_rt_tgsigqueueinfo,
            me(),
            me(),
            40,
            &info(40, libc::SI_QUEUE, 6)
        ),
    );
    check("taken", TAKEN.swap(0, Ordering::SeqCst));
    check("value", VALUES[0].load(Ordering::SeqCst));
    check(
        "rt_tgsigqueueinfo wrong group",
        call!(
            SYS_rt_tgsigqueueinfo,
            1,
            me(),
            0,
            &info(0, libc::SI_QUEUE, 6)
        ),
    );
    let child = sys::fork(|| {
        let limit = libc::rlimit {
            rlim_cur: 4,
            rlim_max: 4,
        };
        let _ = call!(SYS_setrlimit, libc::RLIMIT_SIGPENDING, &limit);
        mask(libc::SIG_BLOCK, &[40]);
        let mut queued = 0;
        for _ in 0..50 {
            match queue(40, 0) {
                Ok(_) => queued += 1,
                Err(error) => {
                    check("queue over RLIMIT_SIGPENDING", error.name());
                    break;
                }
            }
        }
        i32::from(queued > 4)
    });
    check("more than the limit went in", wait(child));
}

/// `rt_sigtimedwait`.
pub(crate) fn timedwait() {
    let set = 1_u64 << 39 | 1 << (libc::SIGUSR1 - 1);
    mask(libc::SIG_BLOCK, &[40, libc::SIGUSR1, libc::SIGCHLD]);
    let zero = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let short = libc::timespec {
        tv_sec: 0,
        tv_nsec: 30_000_000,
    };
    let mut got: libc::siginfo_t = sys::zeroed();
    check(
        "none pending",
        call!(SYS_rt_sigtimedwait, &set, &mut got, &zero, 8),
    );
    check(
        "none comes",
        call!(SYS_rt_sigtimedwait, &set, &mut got, &short, 8),
    );
    let _ = queue(40, 123);
    let _ = call!(SYS_kill, me(), libc::SIGUSR1);
    check(
        "lowest first",
        call!(SYS_rt_sigtimedwait, &set, &mut got, &zero, 8),
    );
    check("si_signo", got.si_signo);
    check("then", call!(SYS_rt_sigtimedwait, &set, &mut got, &zero, 8));
    check("si_code", got.si_code);
    check("value", sys::siginfo(&got).value);
    let child = sys::fork(|| 17);
    let chld = 1_u64 << (libc::SIGCHLD - 1);
    check("SIGCHLD", call!(SYS_rt_sigtimedwait, &chld, &mut got, 0, 8));
    check("si_pid", sys::siginfo(&got).pid == child);
    check("si_status", sys::siginfo(&got).status);
    check("child", wait(child));
    let parent = me();
    let child = sys::fork(|| {
        std::thread::sleep(core::time::Duration::from_millis(30));
        let _ = call!(SYS_kill, parent, libc::SIGUSR1);
        0
    });
    check("waits for one", call!(SYS_rt_sigtimedwait, &set, 0, 0, 8));
    check("child", wait(child));
    let bad = libc::timespec {
        tv_sec: 0,
        tv_nsec: 1_000_000_000,
    };
    check("bad time", call!(SYS_rt_sigtimedwait, &set, 0, &bad, 8));
    let bad = libc::timespec {
        tv_sec: -1,
        tv_nsec: 0,
    };
    check(
        "negative time",
        call!(SYS_rt_sigtimedwait, &set, 0, &bad, 8),
    );
    check("bad size", call!(SYS_rt_sigtimedwait, &set, 0, &zero, 4));
    check("bad set", call!(SYS_rt_sigtimedwait, BAD, 0, &zero, 8));
    check("bad timeout", call!(SYS_rt_sigtimedwait, &set, 0, BAD, 8));
}
