//! Stopping and continuing, and what an orphaned group gets.

use core::sync::atomic::{AtomicI32, Ordering};

use crate::call;
use crate::report::{check, wait, wait_with};
use crate::sys;

static SEEN: AtomicI32 = AtomicI32::new(0);

extern "C" fn seen(signal: i32, _: &libc::siginfo_t, _: usize) {
    SEEN.fetch_or(1 << (signal - 1), Ordering::SeqCst);
}

fn parked() -> i32 {
    sys::fork(|| {
        let _ = call!(SYS_setpgid, 0, 0);
        loop {
            let _ = call!(SYS_pause);
        }
    })
}

/// The cases.
pub(crate) fn run() {
    for signal in [libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU] {
        let pid = parked();
        let _ = call!(SYS_setpgid, pid, pid);
        check("stop", call!(SYS_kill, pid, signal));
        check("waited", wait_with(pid, libc::WUNTRACED));
        check(
            "a stopped process takes signals later",
            call!(SYS_kill, pid, libc::SIGTERM),
        );
        check(
            "nothing yet",
            wait_with(pid, libc::WUNTRACED | libc::WNOHANG),
        );
        check("continue", call!(SYS_kill, pid, libc::SIGCONT));
        check("waited", wait(pid));
    }
    let pid = parked();
    let _ = call!(SYS_setpgid, pid, pid);
    let _ = call!(SYS_kill, -pid, libc::SIGSTOP);
    check("group stopped", wait_with(pid, libc::WUNTRACED));
    let _ = call!(SYS_kill, -pid, libc::SIGCONT);
    check("group continued", wait_with(pid, libc::WCONTINUED));
    let _ = call!(SYS_kill, -pid, libc::SIGSTOP);
    check("group stopped again", wait_with(pid, libc::WUNTRACED));
    let _ = call!(SYS_kill, pid, libc::SIGKILL);
    check("killed while stopped", wait(pid));

    // It ends when it is told to: one that has ended has not just continued.
    let mut go = [0_i32; 2];
    check("pipe", call!(SYS_pipe2, &mut go, 0));
    let pid = sys::fork(|| {
        sys::on_signal(libc::SIGCONT, 0, seen);
        let _ = call!(SYS_kill, call!(SYS_getpid).unwrap_or(0), libc::SIGSTOP);
        let _ = call!(SYS_read, go[0], &mut [0_u8], 1);
        i32::from(SEEN.load(Ordering::SeqCst) == 1 << (libc::SIGCONT - 1))
    });
    check("stops itself", wait_with(pid, libc::WUNTRACED));
    let _ = call!(SYS_kill, pid, libc::SIGCONT);
    check("SIGCONT continues", wait_with(pid, libc::WCONTINUED));
    check("go on", call!(SYS_write, go[1], &[0_u8], 1));
    check("and is handled", wait(pid));

    let pid = sys::fork(|| {
        sys::set_disposition(libc::SIGTSTP, libc::SIG_IGN);
        let _ = call!(SYS_kill, call!(SYS_getpid).unwrap_or(0), libc::SIGTSTP);
        3
    });
    check("SIGTSTP ignored", wait_with(pid, libc::WUNTRACED));
    let pid = sys::fork(|| {
        sys::on_signal(libc::SIGTSTP, 0, seen);
        let _ = call!(SYS_kill, call!(SYS_getpid).unwrap_or(0), libc::SIGTSTP);
        i32::from(SEEN.load(Ordering::SeqCst) == 1 << (libc::SIGTSTP - 1))
    });
    check("SIGTSTP handled", wait_with(pid, libc::WUNTRACED));
    let pid = sys::fork(|| {
        // A stop takes back a pending SIGCONT and the other way round.
        let block = 1_u64 << (libc::SIGCONT - 1) | 1 << (libc::SIGTSTP - 1);
        let _ = call!(SYS_rt_sigprocmask, libc::SIG_BLOCK, &block, 0, 8);
        sys::on_signal(libc::SIGCONT, 0, seen);
        sys::on_signal(libc::SIGTSTP, 0, seen);
        let me = call!(SYS_getpid).unwrap_or(0);
        let mut pending = 0_u64;
        let _ = call!(SYS_kill, me, libc::SIGCONT);
        let _ = call!(SYS_kill, me, libc::SIGTSTP);
        let _ = call!(SYS_rt_sigpending, &mut pending, 8);
        check("TSTP takes back CONT", pending == 1 << (libc::SIGTSTP - 1));
        let _ = call!(SYS_kill, me, libc::SIGCONT);
        let _ = call!(SYS_rt_sigpending, &mut pending, 8);
        check("CONT takes back TSTP", pending == 1 << (libc::SIGCONT - 1));
        0
    });
    check("child", wait(pid));
    orphaned();
}

/// In an orphaned group the terminal's stops do nothing; a group that becomes
/// orphaned while stopped gets SIGHUP and SIGCONT.
fn orphaned() {
    let pid = sys::fork(|| {
        let _ = call!(SYS_setsid);
        let me = call!(SYS_getpid).unwrap_or(0);
        let _ = call!(SYS_kill, me, libc::SIGTSTP);
        let _ = call!(SYS_kill, me, libc::SIGTTIN);
        5
    });
    check(
        "orphaned group does not stop",
        wait_with(pid, libc::WUNTRACED),
    );
    let mut ends = [0_i32; 2];
    let _ = call!(SYS_pipe2, &mut ends, 0);
    let [read, write] = ends;
    let middle = sys::fork(|| {
        let _ = call!(SYS_setsid);
        let stopped = sys::fork(|| {
            let _ = call!(SYS_setpgid, 0, 0);
            let block = 1_u64 << (libc::SIGHUP - 1);
            let _ = call!(SYS_rt_sigprocmask, libc::SIG_BLOCK, &block, 0, 8);
            let _ = call!(SYS_kill, call!(SYS_getpid).unwrap_or(0), libc::SIGSTOP);
            let mut pending = 0_u64;
            let _ = call!(SYS_rt_sigpending, &mut pending, 8);
            let _ = call!(SYS_write, write, &[u8::from(pending == block)], 1);
            0
        });
        let _ = wait_with(stopped, libc::WUNTRACED);
        0
    });
    check("parent goes", wait(middle));
    let _ = call!(SYS_close, write);
    let mut byte = [9_u8];
    check(
        "the orphan was continued",
        call!(SYS_read, read, &mut byte, 1),
    );
    check("and got SIGHUP", byte[0]);
    let _ = call!(SYS_close, read);
}
