//! Signals: actions, delivery, masks, restarting, defaults, other stacks.

use core::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering};

use crate::call;
use crate::report::{check, check_child, check_ok, describe, signal_name, wait, wait_with};
use crate::sys::{self, BAD};

static COUNT: AtomicI32 = AtomicI32::new(0);
static LAST: AtomicI32 = AtomicI32::new(0);
static CODE: AtomicI32 = AtomicI32::new(0);
static SENDER: AtomicI32 = AtomicI32::new(0);
static ORDER: AtomicU64 = AtomicU64::new(0);
static MASK: AtomicU64 = AtomicU64::new(0);
static STACK: AtomicUsize = AtomicUsize::new(0);

extern "C" fn count(signal: i32, info: &libc::siginfo_t, _: usize) {
    COUNT.fetch_add(1, Ordering::SeqCst);
    LAST.store(signal, Ordering::SeqCst);
    CODE.store(info.si_code, Ordering::SeqCst);
    SENDER.store(sys::siginfo(info).pid, Ordering::SeqCst);
    let order = ORDER.load(Ordering::SeqCst);
    ORDER.store(order * 100 + signal as u64, Ordering::SeqCst);
    let mut mask = 0_u64;
    let _ = call!(SYS_rt_sigprocmask, 0, 0, &mut mask, 8);
    MASK.store(mask, Ordering::SeqCst);
    let here = 0_u8;
    STACK.store(core::ptr::from_ref(&here).addr(), Ordering::SeqCst);
}

fn me() -> i64 {
    call!(SYS_getpid).unwrap_or(0)
}

fn seen() -> i32 {
    COUNT.swap(0, Ordering::SeqCst)
}

fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

fn set_mask(how: i32, mask: u64) -> sys::Ret {
    call!(SYS_rt_sigprocmask, how, &mask, 0, 8)
}

/// Sending, handling, `SA_` flags and the errors.
pub(crate) fn run() {
    sys::on_signal(libc::SIGUSR1, 0, count);
    check("kill self", call!(SYS_kill, me(), libc::SIGUSR1));
    check("handled", seen());
    check("signal", signal_name(LAST.load(Ordering::SeqCst)));
    check(
        "si_code SI_USER",
        CODE.load(Ordering::SeqCst) == libc::SI_USER,
    );
    check("si_pid", i64::from(SENDER.load(Ordering::SeqCst)) == me());
    check(
        "mask while handled",
        MASK.load(Ordering::SeqCst) == bit(libc::SIGUSR1),
    );
    check("tgkill", call!(SYS_tgkill, me(), me(), libc::SIGUSR1));
    check("handled", seen());
    check(
        "si_code SI_TKILL",
        CODE.load(Ordering::SeqCst) == libc::SI_TKILL,
    );
    check("tkill", call!(SYS_tkill, me(), libc::SIGUSR1));
    check("handled", seen());
    check("kill 0", call!(SYS_kill, me(), 0));
    check("kill nobody", call!(SYS_kill, 99_999_999, 0));
    check("kill bad signal", call!(SYS_kill, me(), 65));
    check("kill negative signal", call!(SYS_kill, me(), -1));
    check("kill bad signal to nobody", call!(SYS_kill, 99_999_999, 65));
    check("tgkill wrong group", call!(SYS_tgkill, 1, me(), 0));
    check("tgkill zero", call!(SYS_tgkill, 0, me(), 0));
    check("tgkill bad signal", call!(SYS_tgkill, me(), me(), 65));
    check("tkill zero", call!(SYS_tkill, 0, 0));
    check("kill init", call!(SYS_kill, 1, libc::SIGUSR1));

    sys::on_signal(libc::SIGUSR1, libc::SA_NODEFER, count);
    let _ = call!(SYS_kill, me(), libc::SIGUSR1);
    check("SA_NODEFER mask", MASK.load(Ordering::SeqCst));
    sys::on_signal(libc::SIGUSR1, libc::SA_RESETHAND, count);
    let _ = call!(SYS_kill, me(), libc::SIGUSR1);
    let mut action = [0_u64; 4];
    let _ = call!(SYS_rt_sigaction, libc::SIGUSR1, 0, &mut action, 8);
    check("SA_RESETHAND leaves", action[0]);
    sys::on_signal_masking(libc::SIGUSR1, 0, libc::SIGUSR2, count);
    let _ = call!(SYS_kill, me(), libc::SIGUSR1);
    let both = bit(libc::SIGUSR1) | bit(libc::SIGUSR2);
    check("sa_mask while handled", MASK.load(Ordering::SeqCst) == both);
    let mut mask = 1_u64;
    let _ = call!(SYS_rt_sigprocmask, 0, 0, &mut mask, 8);
    check("mask after", mask);
    let _ = call!(SYS_rt_sigaction, libc::SIGUSR1, 0, &mut action, 8);
    check(
        "sigaction reads flags",
        action[1] & 0xffff_ffff & !0x0400_0000,
    );
    check("sigaction reads mask", action[3]);
    seen();

    for signal in [0, 65, -1, libc::SIGKILL, libc::SIGSTOP] {
        let new = [libc::SIG_IGN as u64, 0, 0, 0];
        check(
            &format!("sigaction {signal}"),
            call!(SYS_rt_sigaction, signal, &new, 0, 8),
        );
    }
    check(
        "sigaction reads SIGKILL",
        call!(SYS_rt_sigaction, libc::SIGKILL, 0, &mut action, 8),
    );
    check(
        "sigaction bad size",
        call!(SYS_rt_sigaction, libc::SIGUSR1, 0, &mut action, 4),
    );
    check(
        "sigaction bad new",
        call!(SYS_rt_sigaction, libc::SIGUSR1, BAD, 0, 8),
    );
    check(
        "sigaction bad old",
        call!(SYS_rt_sigaction, libc::SIGUSR1, 0, BAD, 8),
    );
    sys::set_disposition(libc::SIGUSR1, libc::SIG_IGN);
    let _ = call!(SYS_kill, me(), libc::SIGUSR1);
    check("ignored", seen());

    sys::on_signal(libc::SIGCHLD, 0, count);
    let pid = sys::fork(|| 5);
    check("child", wait(pid));
    check("SIGCHLD handled", seen());
    check(
        "si_code CLD_EXITED",
        CODE.load(Ordering::SeqCst) == libc::CLD_EXITED,
    );
    check("si_pid", SENDER.load(Ordering::SeqCst) == pid);
    sys::on_signal(libc::SIGCHLD, libc::SA_NOCLDWAIT, count);
    let _ = sys::fork(|| 5);
    check("SA_NOCLDWAIT", call!(SYS_wait4, -1, 0, 0, 0));
    seen();
    sys::on_signal(libc::SIGCHLD, libc::SA_NOCLDSTOP, count);
    let pid = sys::fork(|| {
        let _ = call!(SYS_pause);
        0
    });
    let _ = call!(SYS_kill, pid, libc::SIGSTOP);
    check("stopped", wait_with(pid, libc::WUNTRACED));
    check("SA_NOCLDSTOP: none", seen());
    let _ = call!(SYS_kill, pid, libc::SIGKILL);
    check("killed while stopped", wait(pid));
    check("SIGCHLD for the end", seen());
    sys::set_disposition(libc::SIGCHLD, libc::SIG_DFL);
    everyone();
}

/// To a group.
fn everyone() {
    let mut ends = [0_i32; 2];
    let _ = call!(SYS_pipe2, &mut ends, 0);
    let mut ready = [0_i32; 2];
    let _ = call!(SYS_pipe2, &mut ready, 0);
    let leader = sys::fork(|| {
        let _ = call!(SYS_setpgid, 0, 0);
        let _ = call!(SYS_write, ready[1], b"x", 1);
        let _ = call!(SYS_pause);
        0
    });
    let mut byte = [0_u8];
    let _ = call!(SYS_read, ready[0], &mut byte, 1);
    let members: Vec<i32> = (0..3)
        .map(|_| {
            sys::fork(|| {
                let _ = call!(SYS_setpgid, 0, leader);
                let _ = call!(SYS_write, ready[1], b"x", 1);
                let _ = call!(SYS_pause);
                0
            })
        })
        .collect();
    for _ in &members {
        let _ = call!(SYS_read, ready[0], &mut byte, 1);
    }
    check("kill a group", call!(SYS_kill, -leader, libc::SIGTERM));
    for pid in members.iter().chain([&leader]) {
        check("member", wait(*pid));
    }
    for fd in ends.iter().chain(&ready) {
        let _ = call!(SYS_close, *fd);
    }
}

/// Blocking, pending, waiting.
pub(crate) fn masks() {
    for signal in [libc::SIGUSR1, libc::SIGUSR2, libc::SIGALRM, 40] {
        sys::on_signal(signal, 0, count);
    }
    check_ok(
        "block",
        set_mask(libc::SIG_BLOCK, bit(libc::SIGUSR1) | bit(libc::SIGUSR2)),
    );
    let _ = call!(SYS_kill, me(), libc::SIGUSR2);
    let _ = call!(SYS_kill, me(), libc::SIGUSR1);
    let _ = call!(SYS_kill, me(), libc::SIGUSR1);
    check("blocked", seen());
    let mut pending = 0_u64;
    check("sigpending", call!(SYS_rt_sigpending, &mut pending, 8));
    check(
        "pending",
        pending == bit(libc::SIGUSR1) | bit(libc::SIGUSR2),
    );
    ORDER.store(0, Ordering::SeqCst);
    check_ok("unblock", set_mask(libc::SIG_UNBLOCK, !0));
    check("each once", seen());
    check("no longer pending", {
        let _ = call!(SYS_rt_sigpending, &mut pending, 8);
        pending
    });
    check_ok("block all", set_mask(libc::SIG_SETMASK, !0));
    let mut mask = 0_u64;
    let _ = call!(SYS_rt_sigprocmask, 0, 0, &mut mask, 8);
    check(
        "KILL and STOP stay open",
        mask == !(bit(libc::SIGKILL) | bit(libc::SIGSTOP)),
    );
    check_ok("none", set_mask(libc::SIG_SETMASK, 0));
    check("bad how", set_mask(7, 0));
    check(
        "bad how without set",
        call!(SYS_rt_sigprocmask, 7, 0, &mut mask, 8),
    );
    check("bad size", call!(SYS_rt_sigprocmask, 0, 0, 0, 4));
    check("bad set", call!(SYS_rt_sigprocmask, 0, BAD, 0, 8));
    check("bad old", call!(SYS_rt_sigprocmask, 0, 0, BAD, 8));
    check(
        "sigpending size",
        call!(SYS_rt_sigpending, &mut pending, 16),
    );
    check("sigpending small", call!(SYS_rt_sigpending, &mut mask, 0));
    check("sigpending bad", call!(SYS_rt_sigpending, BAD, 8));

    let _ = set_mask(libc::SIG_SETMASK, bit(libc::SIGUSR1));
    let _ = call!(SYS_kill, me(), libc::SIGUSR1);
    check(
        "sigsuspend with one pending",
        call!(SYS_rt_sigsuspend, &0_u64, 8),
    );
    check("handled", seen());
    let _ = call!(SYS_rt_sigprocmask, 0, 0, &mut mask, 8);
    check("mask is back", mask == bit(libc::SIGUSR1));
    check("sigsuspend size", call!(SYS_rt_sigsuspend, &0_u64, 4));
    check("sigsuspend bad", call!(SYS_rt_sigsuspend, BAD, 8));
    let _ = set_mask(libc::SIG_SETMASK, 0);
    check_child("blocked signals are inherited, pending ones not", || {
        let _ = set_mask(libc::SIG_SETMASK, bit(libc::SIGUSR1));
        let _ = call!(SYS_kill, me(), libc::SIGUSR1);
        check_child("child", || {
            let mut pending = 9_u64;
            let _ = call!(SYS_rt_sigpending, &mut pending, 8);
            let mut mask = 0_u64;
            let _ = call!(SYS_rt_sigprocmask, 0, 0, &mut mask, 8);
            i32::from(pending == 0) + 2 * i32::from(mask == bit(libc::SIGUSR1))
        });
        0
    });
    let pid = sys::fork(|| {
        check("pause", call!(SYS_pause));
        seen()
    });
    // The child may be anywhere before its pause, so signals are sent until
    // it is gone.
    let mut status = 0_i32;
    while call!(SYS_wait4, pid, &mut status, libc::WNOHANG, 0) == Ok(0) {
        let _ = call!(SYS_kill, pid, libc::SIGUSR1);
        std::thread::sleep(core::time::Duration::from_millis(20));
    }
    check("paused child", describe(status) != "exit 0");
}

/// Interrupted calls: EINTR or a restart.
pub(crate) fn restart() {
    for (name, flags) in [("EINTR", 0), ("SA_RESTART", libc::SA_RESTART)] {
        sys::on_signal(libc::SIGALRM, flags, count);
        check_child(&format!("read of a pipe, {name}"), || {
            let mut ends = [0_i32; 2];
            let _ = call!(SYS_pipe2, &mut ends, 0);
            let writer = sys::fork(|| {
                std::thread::sleep(core::time::Duration::from_millis(120));
                let _ = call!(SYS_write, ends[1], b"z", 1);
                0
            });
            soon();
            let mut byte = [0_u8];
            check("read", call!(SYS_read, ends[0], &mut byte, 1));
            check("alarms", seen());
            let _ = wait(writer);
            0
        });
        check_child(&format!("wait4, {name}"), || {
            let child = sys::fork(|| {
                std::thread::sleep(core::time::Duration::from_millis(120));
                3
            });
            soon();
            let mut status = 0_i32;
            let answer = call!(SYS_wait4, child, &mut status, 0, 0);
            check("wait4", answer.map(|pid| pid == i64::from(child)));
            check("alarms", seen());
            0
        });
        check_child(&format!("nanosleep, {name}"), || {
            soon();
            let ask = libc::timespec {
                tv_sec: 5,
                tv_nsec: 0,
            };
            let mut left: libc::timespec = sys::zeroed();
            check("nanosleep", call!(SYS_nanosleep, &ask, &mut left));
            check("left", left.tv_sec == 4);
            0
        });
        check_child(&format!("poll, {name}"), || {
            soon();
            check("poll", call!(SYS_poll, 0, 0, 5000));
            0
        });
        check_child(&format!("pause, {name}"), || {
            soon();
            check("pause", call!(SYS_pause));
            0
        });
        check_child(&format!("lock wait, {name}"), || {
            let fd = call!(SYS_open, c"lock", libc::O_RDWR | libc::O_CREAT, 0o644).unwrap_or(-1);
            let mut lock: libc::flock = sys::zeroed();
            lock.l_type = libc::F_WRLCK as i16;
            let _ = call!(SYS_fcntl, fd, libc::F_SETLK, &lock);
            let child = sys::fork(|| {
                let fd = call!(SYS_open, c"lock", libc::O_RDWR, 0).unwrap_or(-1);
                soon();
                check("F_SETLKW", call!(SYS_fcntl, fd, libc::F_SETLKW, &lock));
                0
            });
            std::thread::sleep(core::time::Duration::from_millis(150));
            let _ = call!(SYS_close, fd);
            let _ = wait(child);
            0
        });
    }
    check_child("write to a full pipe keeps what went", || {
        sys::on_signal(libc::SIGALRM, 0, count);
        let mut ends = [0_i32; 2];
        let _ = call!(SYS_pipe2, &mut ends, 0);
        let bytes = vec![0_u8; 100_000];
        soon();
        check(
            "write",
            call!(SYS_write, ends[1], bytes.as_slice(), bytes.len()),
        );
        soon();
        check(
            "write again",
            call!(SYS_write, ends[1], bytes.as_slice(), bytes.len()),
        );
        0
    });
}

/// An alarm in 40 ms.
fn soon() {
    let mut timer: libc::itimerval = sys::zeroed();
    timer.it_value.tv_usec = 40_000;
    let _ = call!(SYS_setitimer, libc::ITIMER_REAL, &timer, 0);
}

/// What each signal does by default.
pub(crate) fn defaults() {
    for signal in 1..=64 {
        if matches!(signal, 32 | 33) {
            continue; // glibc's own.
        }
        let pid = sys::fork(|| {
            let zero = libc::rlimit {
                rlim_cur: 0,
                rlim_max: 0,
            };
            let _ = call!(SYS_setrlimit, libc::RLIMIT_CORE, &zero);
            sys::set_disposition_if_possible(signal);
            let _ = call!(SYS_kill, me(), signal);
            0
        });
        let end = wait_with(pid, libc::WUNTRACED);
        check(&signal_name(signal), &end);
        if end.starts_with("stopped") {
            let _ = call!(SYS_kill, pid, libc::SIGCONT);
            check("then", wait(pid));
        }
    }
}

/// `sigaltstack`.
pub(crate) fn altstack() {
    let mut space = vec![0_u64; 16384];
    let bytes = space.len() * 8;
    let base = space.as_mut_ptr();
    let mut stack: libc::stack_t = sys::zeroed();
    let mut old: libc::stack_t = sys::zeroed();
    check("read", call!(SYS_sigaltstack, 0, &mut old));
    // std installs one to report stack overflows.
    let off = libc::stack_t {
        ss_sp: core::ptr::null_mut(),
        ss_flags: libc::SS_DISABLE,
        ss_size: 0,
    };
    check("disable", call!(SYS_sigaltstack, &off, 0));
    check("read", call!(SYS_sigaltstack, 0, &mut old));
    check("disabled", old.ss_flags == libc::SS_DISABLE);
    stack.ss_sp = base.cast();
    stack.ss_size = 100;
    check("too small", call!(SYS_sigaltstack, &stack, 0));
    stack.ss_size = bytes;
    stack.ss_flags = 77;
    check("bad flags", call!(SYS_sigaltstack, &stack, 0));
    stack.ss_flags = 0;
    check("set", call!(SYS_sigaltstack, &stack, &mut old));
    check("old was disabled", old.ss_flags == libc::SS_DISABLE);
    check("bad new", call!(SYS_sigaltstack, BAD, 0));
    check("bad old", call!(SYS_sigaltstack, 0, BAD));
    let inside = |at: usize| at >= base.addr() && at < base.addr() + bytes;
    sys::on_signal(libc::SIGUSR1, 0, count);
    let _ = call!(SYS_kill, me(), libc::SIGUSR1);
    check(
        "without SA_ONSTACK inside",
        inside(STACK.load(Ordering::SeqCst)),
    );
    sys::on_signal(libc::SIGUSR1, libc::SA_ONSTACK, count);
    let _ = call!(SYS_kill, me(), libc::SIGUSR1);
    check(
        "with SA_ONSTACK inside",
        inside(STACK.load(Ordering::SeqCst)),
    );
    sys::on_signal(libc::SIGUSR1, libc::SA_ONSTACK, on_stack);
    let _ = call!(SYS_kill, me(), libc::SIGUSR1);
    check("flags while on it", LAST.load(Ordering::SeqCst));
    check("setting it while on it", CODE.load(Ordering::SeqCst));
    check_child("child keeps it", || {
        let mut old: libc::stack_t = sys::zeroed();
        let _ = call!(SYS_sigaltstack, 0, &mut old);
        i32::from(old.ss_sp.addr() == base.addr())
    });
    check_child("stack overflow is caught on it", || {
        extern "C" fn overflowed(_: i32, _: &libc::siginfo_t, _: usize) {
            sys::exit(21);
        }
        sys::on_signal(libc::SIGSEGV, libc::SA_ONSTACK, overflowed);
        #[expect(unconditional_recursion, reason = "the case is about the overflow")]
        fn overflow(depth: u64) -> u64 {
            let block = core::hint::black_box([depth; 512]);
            overflow(depth + 1) + block[7]
        }
        overflow(0) as i32
    });
    let _ = call!(SYS_sigaltstack, &off, 0);
}

extern "C" fn on_stack(_: i32, _: &libc::siginfo_t, _: usize) {
    let mut old: libc::stack_t = sys::zeroed();
    let _ = call!(SYS_sigaltstack, 0, &mut old);
    LAST.store(old.ss_flags, Ordering::SeqCst);
    let answer = call!(SYS_sigaltstack, &old, 0);
    CODE.store(answer.map_or_else(|error| error.0, |_| 0), Ordering::SeqCst);
}
