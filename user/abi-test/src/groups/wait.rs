//! Waiting for children: `wait4` and `waitid`.

use crate::call;
use crate::report::{check, describe, signal_name, wait, wait_with};
use crate::sys::{self, BAD};

/// A child that stays until its standard pipe closes.
struct Parked {
    pid: i32,
    write: i32,
}

impl Parked {
    fn new(status: i32) -> Self {
        let mut ends = [0_i32; 2];
        let _ = call!(SYS_pipe2, &mut ends, libc::O_CLOEXEC);
        let [read, write] = ends;
        let pid = sys::fork(|| {
            let _ = call!(SYS_close, write);
            let _ = call!(SYS_read, read, &mut [0_u8], 1);
            status
        });
        let _ = call!(SYS_close, read);
        Self { pid, write }
    }

    fn release(&self) {
        let _ = call!(SYS_close, self.write);
    }
}

/// `wait4`.
pub(crate) fn run() {
    check("no children", call!(SYS_wait4, -1, 0, 0, 0));
    check("no such child", call!(SYS_wait4, 99_999_999, 0, 0, 0));
    check("not my child", call!(SYS_wait4, 1, 0, 0, 0));
    check("bad options", call!(SYS_wait4, -1, 0, 0x1000, 0));
    check("no such group", call!(SYS_wait4, -99_999_999, 0, 0, 0));
    check("most negative", call!(SYS_wait4, i32::MIN, 0, 0, 0));
    let child = Parked::new(3);
    check("WNOHANG while it runs", wait_with(child.pid, libc::WNOHANG));
    child.release();
    check("then", wait(child.pid));
    check("twice", wait(child.pid));

    let child = Parked::new(4);
    child.release();
    let mut status = 0_i32;
    check(
        "by group 0",
        call!(SYS_wait4, 0, &mut status, 0, 0) == Ok(i64::from(child.pid)),
    );
    check("status", describe(status));

    let child = Parked::new(5);
    let _ = call!(SYS_setpgid, child.pid, 0);
    check("group 0 has none", call!(SYS_wait4, 0, 0, libc::WNOHANG, 0));
    child.release();
    check(
        "by its group",
        call!(SYS_wait4, -child.pid, &mut status, 0, 0) == Ok(i64::from(child.pid)),
    );
    check("status", describe(status));

    let child = Parked::new(6);
    child.release();
    check("bad status pointer", call!(SYS_wait4, child.pid, BAD, 0, 0));
    check("was reaped all the same", wait(child.pid));

    let child = Parked::new(0);
    let _ = call!(SYS_kill, child.pid, libc::SIGSTOP);
    check("stopped", wait_with(child.pid, libc::WUNTRACED));
    check(
        "reported once",
        wait_with(child.pid, libc::WUNTRACED | libc::WNOHANG),
    );
    let _ = call!(SYS_kill, child.pid, libc::SIGCONT);
    check("continued", wait_with(child.pid, libc::WCONTINUED));
    check(
        "reported once",
        wait_with(child.pid, libc::WCONTINUED | libc::WNOHANG),
    );
    let _ = call!(SYS_kill, child.pid, libc::SIGKILL);
    check("killed", wait(child.pid));
    child.release();

    for signal in [
        libc::SIGTERM,
        libc::SIGKILL,
        libc::SIGSEGV,
        libc::SIGUSR1,
        34,
        64,
    ] {
        let child = Parked::new(0);
        let _ = call!(SYS_kill, child.pid, signal);
        check("killed by", wait(child.pid));
        child.release();
    }
    ignored();
}

/// With SIGCHLD ignored, children leave nothing to wait for.
fn ignored() {
    sys::set_disposition(libc::SIGCHLD, libc::SIG_IGN);
    let child = Parked::new(0);
    child.release();
    check("SIGCHLD ignored: wait4", call!(SYS_wait4, -1, 0, 0, 0));
    sys::set_disposition(libc::SIGCHLD, libc::SIG_DFL);
}

fn show(info: &libc::siginfo_t, pid: i32) -> String {
    let fields = sys::siginfo(info);
    let code = match info.si_code {
        libc::CLD_EXITED => format!("exited {}", fields.status),
        libc::CLD_KILLED => format!("killed {}", signal_name(fields.status)),
        libc::CLD_STOPPED => format!("stopped {}", signal_name(fields.status)),
        libc::CLD_CONTINUED => format!("continued {}", signal_name(fields.status)),
        other => format!("code {other}"),
    };
    let uid = call!(SYS_getuid) == Ok(i64::from(fields.uid));
    format!(
        "signo {} errno {} {code} pid {} uid {uid}",
        info.si_signo,
        info.si_errno,
        fields.pid == pid
    )
}

/// `waitid`.
pub(crate) fn waitid() {
    const P_ALL: i32 = 0;
    const P_PID: i32 = 1;
    const P_PGID: i32 = 2;
    let mut info: libc::siginfo_t = sys::zeroed();
    check(
        "no children",
        call!(SYS_waitid, P_ALL, 0, &mut info, libc::WEXITED, 0),
    );
    check(
        "no events asked for",
        call!(SYS_waitid, P_ALL, 0, &mut info, 0, 0),
    );
    check(
        "bad options",
        call!(SYS_waitid, P_ALL, 0, &mut info, libc::WEXITED | 0x100, 0),
    );
    check(
        "bad idtype",
        call!(SYS_waitid, 77, 0, &mut info, libc::WEXITED, 0),
    );
    check(
        "pid 0",
        call!(SYS_waitid, P_PID, 0, &mut info, libc::WEXITED, 0),
    );
    check(
        "pid -1",
        call!(SYS_waitid, P_PID, -1, &mut info, libc::WEXITED, 0),
    );
    let child = Parked::new(7);
    info.si_signo = 55;
    let options = libc::WEXITED | libc::WNOHANG;
    check(
        "WNOHANG",
        call!(SYS_waitid, P_PID, child.pid, &mut info, options, 0),
    );
    check("WNOHANG clears signo", info.si_signo);
    child.release();
    let options = libc::WEXITED | libc::WNOWAIT;
    check(
        "WNOWAIT",
        call!(SYS_waitid, P_PID, child.pid, &mut info, options, 0),
    );
    check("info", show(&info, child.pid));
    check(
        "again",
        call!(SYS_waitid, P_PID, child.pid, &mut info, libc::WEXITED, 0),
    );
    check("info", show(&info, child.pid));
    check(
        "gone",
        call!(SYS_waitid, P_PID, child.pid, &mut info, libc::WEXITED, 0),
    );

    let child = Parked::new(0);
    let _ = call!(SYS_kill, child.pid, libc::SIGSTOP);
    check(
        "stop",
        call!(SYS_waitid, P_PID, child.pid, &mut info, libc::WSTOPPED, 0),
    );
    check("info", show(&info, child.pid));
    let _ = call!(SYS_kill, child.pid, libc::SIGCONT);
    check(
        "continue",
        call!(SYS_waitid, P_PID, child.pid, &mut info, libc::WCONTINUED, 0),
    );
    check("info", show(&info, child.pid));
    let _ = call!(SYS_kill, child.pid, libc::SIGTERM);
    let group = call!(SYS_getpgrp).unwrap_or(0);
    check(
        "by group",
        call!(SYS_waitid, P_PGID, group, &mut info, libc::WEXITED, 0),
    );
    check("info", show(&info, child.pid));
    child.release();

    let child = Parked::new(300);
    child.release();
    let mut usage: libc::rusage = sys::zeroed();
    check(
        "with rusage",
        call!(SYS_waitid, P_ALL, 0, &mut info, libc::WEXITED, &mut usage),
    );
    check("info", show(&info, child.pid));
    check("maxrss", usage.ru_maxrss > 0);
    let child = Parked::new(1);
    child.release();
    check(
        "null info",
        call!(SYS_waitid, P_PID, child.pid, 0, libc::WEXITED, 0),
    );
    let child = Parked::new(1);
    child.release();
    check(
        "bad info",
        call!(SYS_waitid, P_PID, child.pid, BAD, libc::WEXITED, 0),
    );
}
