//! Processes: numbers, parents, exit, sessions and process groups.

use crate::call;
use crate::report::{check, check_child, check_ok, describe, wait};
use crate::sys::{self, BAD};

/// Numbers, exit statuses, orphans, resource use.
pub(crate) fn run() {
    let me = call!(SYS_getpid).unwrap_or(0);
    check("getpid is positive", me > 1);
    check("gettid is getpid", call!(SYS_gettid) == Ok(me));
    check("getppid differs", call!(SYS_getppid) != Ok(me));
    check_child("child's parent is me", || {
        i32::from(call!(SYS_getppid) == Ok(me))
    });
    check_child("child's tid is its pid", || {
        i32::from(call!(SYS_gettid) == call!(SYS_getpid))
    });
    let child = sys::fork(|| 0);
    check("fork gives a new number", i64::from(child) != me);
    check("its end", wait(child));
    for status in [0, 1, 7, 127, 128, 255, 256, 257, -1] {
        check_child(&format!("exit({status})"), || status);
    }
    check_child("exit_group(9)", || {
        let _ = call!(SYS_exit_group, 9);
        1
    });
    check_child("exit(8)", || {
        let _ = call!(SYS_exit, 8);
        1
    });
    check_child("abort", || {
        std::process::abort();
    });
    orphan();
    check_child("deep fork", || {
        fn deep(left: i32) -> i32 {
            if left == 0 {
                return 5;
            }
            let pid = sys::fork(|| deep(left - 1));
            let mut status = 0;
            let _ = call!(SYS_wait4, pid, &mut status, 0, 0);
            libc::WEXITSTATUS(status) + 1
        }
        deep(10)
    });
    many();
    usage();
    check_ok("sched_yield", call!(SYS_sched_yield));
    check("set_tid_address", call!(SYS_set_tid_address, 0) == Ok(me));
    check("getpriority", call!(SYS_getpriority, libc::PRIO_PROCESS, 0));
    check_child("nice 5", || {
        check(
            "setpriority 5",
            call!(SYS_setpriority, libc::PRIO_PROCESS, 0, 5),
        );
        check(
            "getpriority after",
            call!(SYS_getpriority, libc::PRIO_PROCESS, 0),
        );
        check(
            "setpriority 100",
            call!(SYS_setpriority, libc::PRIO_PROCESS, 0, 100),
        );
        check("clamped", call!(SYS_getpriority, libc::PRIO_PROCESS, 0));
        check(
            "back to 0",
            call!(SYS_setpriority, libc::PRIO_PROCESS, 0, 0),
        );
        0
    });
    check("getpriority bad which", call!(SYS_getpriority, 9, 0));
    check(
        "getpriority no process",
        call!(SYS_getpriority, libc::PRIO_PROCESS, 99_999_999),
    );
    check("setpriority bad which", call!(SYS_setpriority, -1, 0, 0));
}

/// A child whose parent is gone gets another parent.
fn orphan() {
    let mut ends = [0_i32; 2];
    let _ = call!(SYS_pipe2, &mut ends, 0);
    let [read, write] = ends;
    let middle = sys::fork(|| {
        let parent = call!(SYS_getpid);
        sys::fork(|| {
            for _ in 0..2000 {
                if call!(SYS_getppid) != parent {
                    break;
                }
                std::thread::sleep(core::time::Duration::from_millis(1));
            }
            let adopted = call!(SYS_getppid) != parent;
            let _ = call!(SYS_write, write, &[u8::from(adopted)], 1);
            0
        });
        0
    });
    check("middle", wait(middle));
    let mut byte = [9_u8];
    let _ = call!(SYS_close, write);
    check("read from orphan", call!(SYS_read, read, &mut byte, 1));
    check("orphan was adopted", byte[0]);
    check("orphan is not mine", call!(SYS_wait4, -1, 0, 0, 0));
    let _ = call!(SYS_close, read);
}

impl crate::report::Show for u8 {
    fn show(&self) -> String {
        self.to_string()
    }
}

/// Many children at once, all reaped.
fn many() {
    let children: Vec<i32> = (0..50).map(|n| sys::fork(|| n)).collect();
    let mut sum = 0;
    let mut unknown = 0;
    for _ in &children {
        let mut status = 0_i32;
        match call!(SYS_wait4, -1, &mut status, 0, 0) {
            Ok(pid) if children.contains(&(pid as i32)) => sum += libc::WEXITSTATUS(status),
            _ => unknown += 1,
        }
    }
    check("50 children's statuses add up to", sum);
    check("strangers", unknown);
    check("no more", call!(SYS_wait4, -1, 0, 0, 0));
}

fn usage() {
    let mut usage: libc::rusage = sys::zeroed();
    check_ok(
        "getrusage self",
        call!(SYS_getrusage, libc::RUSAGE_SELF, &mut usage),
    );
    check("ru_maxrss > 0", usage.ru_maxrss > 0);
    check_ok(
        "getrusage children",
        call!(SYS_getrusage, libc::RUSAGE_CHILDREN, &mut usage),
    );
    check_ok(
        "getrusage thread",
        call!(SYS_getrusage, libc::RUSAGE_THREAD, &mut usage),
    );
    check("getrusage bad who", call!(SYS_getrusage, 77, &mut usage));
    check("getrusage bad pointer", call!(SYS_getrusage, 0, BAD));
    let mut times: libc::tms = sys::zeroed();
    check("times", call!(SYS_times, &mut times).is_ok());
    check("times null", call!(SYS_times, 0).is_ok());
    check("times bad pointer", call!(SYS_times, BAD));
    let pid = sys::fork(|| {
        let mut n = 0_u64;
        for i in 0..20_000_000_u64 {
            n = core::hint::black_box(n ^ i);
        }
        0
    });
    let mut status = 0_i32;
    let mut usage: libc::rusage = sys::zeroed();
    let waited = call!(SYS_wait4, pid, &mut status, 0, &mut usage);
    check("wait4 with rusage", waited == Ok(i64::from(pid)));
    check("status", describe(status));
    let spent = usage.ru_utime.tv_sec * 1_000_000
        + usage.ru_utime.tv_usec
        + usage.ru_stime.tv_sec * 1_000_000
        + usage.ru_stime.tv_usec;
    check("its time was counted", spent > 0);
}

/// Sessions and process groups.
pub(crate) fn sessions() {
    let me = call!(SYS_getpid).unwrap_or(0);
    check("runner made a session", call!(SYS_getsid, 0) == Ok(me));
    check("leader's group", call!(SYS_getpgid, 0) == Ok(me));
    check("getpgrp", call!(SYS_getpgrp) == Ok(me));
    check("setsid as leader", call!(SYS_setsid));
    check("setpgid as session leader", call!(SYS_setpgid, 0, 0));
    check("getsid no process", call!(SYS_getsid, 99_999_999));
    check("getpgid no process", call!(SYS_getpgid, 99_999_999));
    check("getpgid negative", call!(SYS_getpgid, -5));
    check("setpgid negative group", call!(SYS_setpgid, 0, -1));
    check("setpgid no process", call!(SYS_setpgid, 99_999_999, 0));
    check("setpgid of init", call!(SYS_setpgid, 1, 0));
    check_child("child inherits", || {
        check("session", call!(SYS_getsid, 0) == Ok(me));
        check("group", call!(SYS_getpgid, 0) == Ok(me));
        0
    });
    check_child("own group", || {
        let pid = call!(SYS_getpid);
        check("setpgid(0, 0)", call!(SYS_setpgid, 0, 0));
        check("group is pid", call!(SYS_getpgrp) == pid);
        check("session stays", call!(SYS_getsid, 0) == Ok(me));
        check("setpgid to no group", call!(SYS_setpgid, 0, 99_999_999));
        check("back to the session's", call!(SYS_setpgid, 0, me));
        0
    });
    check_child("own session", || {
        let pid = call!(SYS_getpid);
        check("setsid", call!(SYS_setsid) == pid);
        check("group", call!(SYS_getpgrp) == pid);
        check("session", call!(SYS_getsid, 0) == pid);
        check("join another session's group", call!(SYS_setpgid, 0, me));
        0
    });
    check_child("group leader cannot setsid", || {
        let _ = call!(SYS_setpgid, 0, 0);
        check("setsid", call!(SYS_setsid));
        0
    });
    let mut ends = [0_i32; 2];
    let _ = call!(SYS_pipe2, &mut ends, 0);
    let child = sys::fork(|| {
        let _ = call!(SYS_close, ends[1]);
        let _ = call!(SYS_read, ends[0], &mut [0_u8], 1);
        0
    });
    check("setpgid of child", call!(SYS_setpgid, child, child));
    check(
        "getpgid of child",
        call!(SYS_getpgid, child) == Ok(i64::from(child)),
    );
    check("kill own child's group 0", call!(SYS_kill, -child, 0));
    let _ = call!(SYS_close, ends[1]);
    check("child", wait(child));
    check("kill gone group", call!(SYS_kill, -child, 0));
    let child = sys::fork(|| {
        let program = crate::runner::SELF;
        let args = [
            program.as_ptr().expose_provenance(),
            c"--sleep".as_ptr().expose_provenance(),
            0,
        ];
        let _ = call!(SYS_execve, program, &args, &[0_usize]);
        1
    });
    // The role stops itself once it runs, which is after its exec.
    check(
        "child after exec",
        crate::report::wait_with(child, libc::WUNTRACED),
    );
    check(
        "setpgid of child that has exec'd",
        call!(SYS_setpgid, child, child),
    );
    let _ = call!(SYS_kill, child, libc::SIGKILL);
    check("killed", wait(child));
}
