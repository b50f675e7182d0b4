//! Descriptors of processes and threads.

use core::sync::atomic::{AtomicI32, Ordering};

use crate::call;
use crate::report::{check, wait};
use crate::sleeper::Sleeper;
use crate::sys::{self, BAD, Ret};

const CLONE_PIDFD: i32 = libc::CLONE_PIDFD;
const P_PIDFD: i32 = 3;

static TAKEN: AtomicI32 = AtomicI32::new(0);

extern "C" fn take(_: i32, info: &libc::siginfo_t, _: usize) {
    TAKEN.store(100 * info.si_code + 1, Ordering::SeqCst);
}

fn sleep() -> i32 {
    let _ = call!(SYS_pause);
    9
}

/// `clone` as a fork with these flags; the word is where `parent_tid` points.
fn fork_with(flags: i32, word: &mut i32, body: impl FnOnce() -> i32) -> Ret {
    match call!(SYS_clone, flags | libc::SIGCHLD, 0, word, 0, 0) {
        Ok(0) => sys::exit(body()),
        answer => answer,
    }
}

/// What `poll` says of a descriptor, without waiting or with.
fn events(fd: i32, timeout: i32) -> String {
    let mut fds = [libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    }];
    match call!(SYS_poll, &mut fds[..], 1, timeout) {
        Ok(_) => format!("{:x}", fds[0].revents),
        Err(error) => error.name().to_owned(),
    }
}

fn wait_pidfd(fd: i32, options: i32) -> String {
    let mut info: libc::siginfo_t = sys::zeroed();
    let answer = call!(SYS_waitid, P_PIDFD, fd, &mut info, options, 0);
    let told = sys::siginfo(&info);
    format!("{:?} {} {}", answer, info.si_signo, told.status)
}

/// `Pid:` of a descriptor's facts, against a number.
fn number(fd: i32, pid: i64) -> String {
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Pid:\t"));
    match line.and_then(|line| line.parse::<i64>().ok()) {
        Some(found) if found == pid => "right".to_owned(),
        Some(found) => found.to_string(),
        None => "none".to_owned(),
    }
}

/// The cases.
pub(crate) fn run() {
    made();
    opened();
    refused();
    signals();
    threads();
}

fn made() {
    let mut fd = -1;
    let pid = fork_with(CLONE_PIDFD, &mut fd, sleep).unwrap_or(-1);
    check("clone gives a descriptor", fd >= 0);
    check("  closed by exec", call!(SYS_fcntl, fd, libc::F_GETFD));
    check("  its number", number(fd, pid));
    check("  read", call!(SYS_read, fd, &mut [0_u8; 8][..], 8));
    check("  write", call!(SYS_write, fd, &[0_u8; 8][..], 8));
    check("  lives", events(fd, 0));
    check(
        "  nothing to wait for",
        wait_pidfd(fd, libc::WEXITED | libc::WNOHANG),
    );
    check(
        "  stop",
        call!(SYS_pidfd_send_signal, fd, libc::SIGSTOP, 0, 0),
    );
    check("  stopped", wait_pidfd(fd, libc::WSTOPPED));
    check(
        "  continue",
        call!(SYS_pidfd_send_signal, fd, libc::SIGCONT, 0, 0),
    );
    check("  continued", wait_pidfd(fd, libc::WCONTINUED));
    check(
        "  kill",
        call!(SYS_pidfd_send_signal, fd, libc::SIGKILL, 0, 0),
    );
    check("  ends", events(fd, -1));
    check(
        "  a signal to what has ended",
        call!(SYS_pidfd_send_signal, fd, libc::SIGKILL, 0, 0),
    );
    check("  left", wait_pidfd(fd, libc::WEXITED | libc::WNOWAIT));
    check("  asked after", wait_pidfd(fd, libc::WEXITED));
    check("  again", wait_pidfd(fd, libc::WEXITED));
    check(
        "  a signal to nobody",
        call!(SYS_pidfd_send_signal, fd, 0, 0, 0),
    );
    check("  its number is nobody's", number(fd, pid));
    check("  still readable", events(fd, 0) != "0");
    check("  close", call!(SYS_close, fd));
    // A child does not get the descriptor of itself.
    let mut fd = -1;
    let lowest = call!(SYS_dup, 0).unwrap_or(-1) as i32;
    let _ = call!(SYS_close, lowest);
    let pid = fork_with(CLONE_PIDFD, &mut fd, || {
        i32::from(call!(SYS_fcntl, lowest, libc::F_GETFD).is_ok())
    });
    check("the child has it too", wait(pid.unwrap_or(-1) as i32));
    check("the lowest number", fd == lowest);
    let _ = call!(SYS_close, fd);
}

fn opened() {
    let pid = sys::fork(sleep);
    let fd = call!(SYS_pidfd_open, pid, 0).unwrap_or(-1) as i32;
    check("pidfd_open", fd >= 0);
    check("  closed by exec", call!(SYS_fcntl, fd, libc::F_GETFD));
    let epoll = call!(SYS_epoll_create1, 0).unwrap_or(-1);
    let event = libc::epoll_event {
        events: libc::EPOLLIN as u32,
        u64: 5,
    };
    check(
        "  watched",
        call!(SYS_epoll_ctl, epoll, libc::EPOLL_CTL_ADD, fd, &event),
    );
    let mut found: libc::epoll_event = sys::zeroed();
    check("  alive", call!(SYS_epoll_wait, epoll, &mut found, 1, 0));
    let _ = call!(SYS_kill, pid, libc::SIGTERM);
    check("  ends", call!(SYS_epoll_wait, epoll, &mut found, 1, -1));
    check("  wait", wait_pidfd(fd, libc::WEXITED));
    let _ = (call!(SYS_close, fd), call!(SYS_close, epoll));
    let pid = sys::fork(sleep);
    let fd = call!(SYS_pidfd_open, pid, libc::O_NONBLOCK).unwrap_or(-1) as i32;
    check("that never waits", wait_pidfd(fd, libc::WEXITED));
    check(
        "  asked not to",
        wait_pidfd(fd, libc::WEXITED | libc::WNOHANG),
    );
    let _ = call!(SYS_kill, pid, libc::SIGKILL);
    check("  ends", events(fd, -1));
    check("  wait", wait_pidfd(fd, libc::WEXITED));
    let _ = call!(SYS_close, fd);
    let own = call!(SYS_pidfd_open, call!(SYS_getpid).unwrap_or(-1), 0).unwrap_or(-1) as i32;
    check("of our own", own >= 0);
    check("  a wait for it", wait_pidfd(own, libc::WEXITED));
    let _ = call!(SYS_close, own);
}

fn refused() {
    for (pid, flags) in [(0, 0), (-1, 0), (1 << 30, 0), (1, 1), (1, 1 << 20)] {
        check(
            &format!("pidfd_open {pid} {flags:o}"),
            call!(SYS_pidfd_open, pid, flags).map(|_| 0),
        );
    }
    check("P_PIDFD -1", wait_pidfd(-1, libc::WEXITED));
    check("P_PIDFD closed", wait_pidfd(63, libc::WEXITED));
    check("P_PIDFD of a file", wait_pidfd(1, libc::WEXITED));
    check(
        "send to a closed one",
        call!(SYS_pidfd_send_signal, 63, 0, 0, 0),
    );
    let mut fd = -1;
    let both = CLONE_PIDFD | libc::CLONE_PARENT_SETTID;
    check(
        "PIDFD and PARENT_SETTID",
        fork_with(both, &mut fd, || 0).map(|_| 0),
    );
    let detached = CLONE_PIDFD | libc::CLONE_DETACHED;
    check(
        "PIDFD and DETACHED",
        fork_with(detached, &mut fd, || 0).map(|_| 0),
    );
    check("nothing was stored", fd);
    check(
        "at a bad address",
        match call!(SYS_clone, CLONE_PIDFD | libc::SIGCHLD, 0, BAD, 0, 0) {
            Ok(0) => sys::exit(0),
            answer => answer,
        },
    );
    let before = call!(SYS_dup, 0).unwrap_or(-1);
    let _ = call!(SYS_close, before);
    check(
        "no child is left",
        call!(SYS_wait4, -1, 0, libc::WNOHANG, 0),
    );
    let none = libc::rlimit {
        rlim_cur: before as u64,
        rlim_max: before as u64,
    };
    crate::report::check_child("no more descriptors", || {
        let _ = call!(SYS_setrlimit, libc::RLIMIT_NOFILE, &none);
        let mut fd = -1;
        check("  clone", fork_with(CLONE_PIDFD, &mut fd, || 0));
        check(
            "  pidfd_open",
            call!(SYS_pidfd_open, call!(SYS_getpid).unwrap_or(0), 0),
        );
        check("  no child", call!(SYS_wait4, -1, 0, libc::WNOHANG, 0));
        0
    });
}

fn signals() {
    sys::on_signal(libc::SIGUSR1, 0, take);
    let fd = call!(SYS_pidfd_open, call!(SYS_getpid).unwrap_or(-1), 0).unwrap_or(-1) as i32;
    let send = |name: &str, signal: i32, info: Option<[i32; 32]>, flags: u32| {
        TAKEN.store(0, Ordering::SeqCst);
        let answer = match &info {
            Some(info) => call!(SYS_pidfd_send_signal, fd, signal, &info[..], flags),
            None => call!(SYS_pidfd_send_signal, fd, signal, 0, flags),
        };
        check(name, answer);
        check("  taken", TAKEN.load(Ordering::SeqCst));
    };
    let info = |signal: i32, code: i32| {
        let mut info = [0; 32];
        (info[0], info[2]) = (signal, code);
        Some(info)
    };
    send("a signal", libc::SIGUSR1, None, 0);
    send("0 asks only", 0, None, 0);
    send("a signal that is none", 65, None, 0);
    send("with details", libc::SIGUSR1, info(libc::SIGUSR1, -1), 0);
    send(
        "with those of another",
        libc::SIGUSR1,
        info(libc::SIGUSR2, -1),
        0,
    );
    send("as the kernel", libc::SIGUSR1, info(libc::SIGUSR1, 0), 0);
    send("two ways", libc::SIGUSR1, None, 3);
    send("an unknown flag", libc::SIGUSR1, None, 8);
    check(
        "bad details",
        call!(SYS_pidfd_send_signal, fd, libc::SIGUSR1, BAD, 0),
    );
    let child = sys::fork(sleep);
    let other = call!(SYS_pidfd_open, child, 0).unwrap_or(-1) as i32;
    let pretended = info(libc::SIGUSR1, 0).unwrap_or_default();
    let answer = call!(
        SYS_pidfd_send_signal,
        other,
        libc::SIGUSR1,
        &pretended[..],
        0
    );
    check("as the kernel, to another", answer);
    let _ = call!(SYS_kill, child, libc::SIGKILL);
    check("  its end", wait(child));
    let _ = (call!(SYS_close, fd), call!(SYS_close, other));
}

/// A thread's, which is ready when it ends.
fn threads() {
    const PIDFD_THREAD: i32 = libc::O_EXCL;
    let mut ends = [0_i32; 2];
    let _ = call!(SYS_pipe2, &mut ends, 0);
    let sleeper = Sleeper::new(move || call!(SYS_read, ends[0], &mut [0_u8; 1][..], 1));
    let fd = call!(SYS_pidfd_open, sleeper.tid, PIDFD_THREAD).unwrap_or(-1) as i32;
    check("a thread", fd >= 0);
    check("  its number", number(fd, i64::from(sleeper.tid)));
    check("  lives", events(fd, 0));
    check("  a signal", call!(SYS_pidfd_send_signal, fd, 0, 0, 0));
    check("  a wait", wait_pidfd(fd, libc::WEXITED));
    let _ = call!(SYS_close, ends[1]);
    check("  ends", events(fd, -1) != "0");
    check("  what it was answered", sleeper.answer());
    let _ = (call!(SYS_close, fd), call!(SYS_close, ends[0]));
}
