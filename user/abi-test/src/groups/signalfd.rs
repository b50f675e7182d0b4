//! Signals that are read as a file: `signalfd`.

use crate::call;
use crate::errno::Errno;
use crate::report::{check, check_child, wait};
use crate::sleeper::Sleeper;
use crate::sys::{self, BAD, Ret};

const SET: u64 = 1 << (libc::SIGUSR1 - 1) | 1 << (libc::SIGUSR2 - 1) | 1 << (libc::SIGCHLD - 1);
const REAL_TIME: i32 = 40;
const ALL: u64 = SET | 1 << (REAL_TIME - 1) | 1 << (libc::SIGALRM - 1);

fn me() -> i64 {
    call!(SYS_getpid).unwrap_or(0)
}

fn new(set: u64, flags: i32) -> Ret {
    call!(SYS_signalfd4, -1, &set, 8, flags)
}

/// A file of all of them that does not wait.
fn quick() -> i64 {
    new(ALL, libc::SFD_NONBLOCK).unwrap_or(-1)
}

/// The signals that one read tells of, in order, with what is not an address, a
/// number of a process or a time.
fn read(fd: i64, room: usize) -> Result<String, Errno> {
    let mut infos = [[0_u32; 32]; 4];
    let len = call!(SYS_read, fd, &mut infos, room)? as usize;
    let mut text = format!("{len} bytes");
    for info in &infos[..len / 128] {
        let sender = match i64::from(info[3]) {
            0 => "nobody",
            pid if pid == me() => "me",
            pid if call!(SYS_getppid) == Ok(pid) => "parent",
            _ => "another",
        };
        text.push_str(&format!(
            ", {} errno {} code {} of {sender} uid {} status {} int {} ptr {}",
            info[0],
            info[1],
            info[2].cast_signed(),
            info[4],
            info[10].cast_signed(),
            info[11],
            u64::from(info[12]) | u64::from(info[13]) << 32,
        ));
    }
    Ok(text)
}

fn ready(fd: i64) -> Ret {
    let mut word = (fd as u64) | u64::from(libc::POLLIN as u16) << 32;
    call!(SYS_poll, &mut word, 1, 0).map(|_| (word >> 48) as i64)
}

fn raise(signal: i32) {
    let _ = call!(SYS_kill, me(), signal);
}

fn queue(signal: i32, value: u64) -> Ret {
    let uid = call!(SYS_getuid).unwrap_or(0) as u64;
    let mut words = [0_u64; 16];
    words[0] = signal as u64;
    words[1] = u64::from(libc::SI_QUEUE.cast_unsigned());
    words[2] = me() as u64 | uid << 32;
    words[3] = value;
    call!(SYS_rt_sigqueueinfo, me(), signal, &words)
}

/// The cases.
pub(crate) fn run() {
    let _ = call!(SYS_rt_sigprocmask, libc::SIG_BLOCK, &ALL, 0, 8);
    check("flags nobody knows", new(SET, 1));
    check("a short set", call!(SYS_signalfd4, -1, &SET, 4, 0));
    check(
        "a set that is not there",
        call!(SYS_signalfd4, -1, BAD, 8, 0),
    );
    check("no such file", call!(SYS_signalfd4, 99, &SET, 8, 0));
    check("another kind of file", call!(SYS_signalfd4, 0, &SET, 8, 0));
    check("signalfd", call!(SYS_signalfd, -1, &SET, 8).is_ok());
    let closing = new(SET, libc::SFD_CLOEXEC).unwrap_or(-1);
    check("CLOEXEC", call!(SYS_fcntl, closing, libc::F_GETFD, 0));
    let fd = quick();
    check("nothing there", (ready(fd), read(fd, 128)));
    raise(libc::SIGUSR1);
    check("ready", ready(fd));
    check("too short", read(fd, 127));
    check("SIGUSR1", read(fd, 128));
    check("taken", (ready(fd), read(fd, 128)));
    raise(libc::SIGUSR2);
    raise(libc::SIGUSR1);
    let _ = (queue(REAL_TIME, 7), queue(REAL_TIME, u64::MAX));
    check("several at once", read(fd, 512));
    raise(libc::SIGUSR1);
    let gone = call!(SYS_read, fd, BAD, 128);
    check("memory that is not there", gone);
    let narrow = 1_u64 << (libc::SIGUSR2 - 1);
    raise(libc::SIGUSR2);
    raise(libc::SIGUSR1);
    check(
        "another set",
        call!(SYS_signalfd4, fd, &narrow, 8, 0).is_ok(),
    );
    check("only that", (read(fd, 512), ready(fd)));
    let _ = call!(SYS_signalfd4, fd, &ALL, 8, 0);
    check("the other now", read(fd, 512));
    check("SIGKILL is left out", new(u64::MAX, 0).is_ok());
    check("write", call!(SYS_write, fd, &ALL, 8));
    check("lseek", call!(SYS_lseek, fd, 0, 0));
    children(fd);
    inherited(fd);
    of_threads(fd);
    waiting();
}

/// A child that ends.
fn children(fd: i64) {
    let child = sys::fork(|| 9);
    let mut word = (fd as u64) | u64::from(libc::POLLIN as u16) << 32;
    check(
        "a child's end is awaited",
        call!(SYS_poll, &mut word, 1, -1),
    );
    check("it tells how", read(fd, 128));
    check("and stays to be waited for", wait(child));
}

/// Who inherited the file reads signals of its own.
fn inherited(fd: i64) {
    raise(libc::SIGUSR1);
    check_child("inherited", || {
        check("the parent's is not seen", (ready(fd), read(fd, 128)));
        raise(libc::SIGUSR2);
        check("one's own is", (ready(fd), read(fd, 128)));
        0
    });
    let _ = read(fd, 128);
    raise(libc::SIGUSR1);
    check("the parent's is still there", read(fd, 512));
    check("nothing more", read(fd, 512));
}

/// A signal to a thread is there for that thread.
fn of_threads(fd: i64) {
    let tid = call!(SYS_gettid).unwrap_or(0);
    let _ = call!(SYS_tgkill, me(), tid, libc::SIGUSR1);
    let other = std::thread::spawn(move || (ready(fd), read(fd, 128)));
    check("not for another", other.join().ok());
    check("for itself", (ready(fd), read(fd, 128)));
    let own = std::thread::spawn(move || {
        let tid = call!(SYS_gettid).unwrap_or(0);
        let _ = call!(SYS_tgkill, me(), tid, libc::SIGUSR2);
        (ready(fd), read(fd, 128))
    });
    check("a thread reads its own", own.join().ok());
    raise(libc::SIGUSR2);
    let any = std::thread::spawn(move || (ready(fd), read(fd, 128)));
    check("the process's is for any", any.join().ok());
}

/// Readers that wait.
fn waiting() {
    let fd = new(ALL, 0).unwrap_or(-1);
    let reader = Sleeper::new(move || call!(SYS_read, fd, &mut [0_u8; 128], 128));
    let _ = call!(SYS_tgkill, me(), reader.tid, libc::SIGUSR1);
    check("its own wakes it", reader.answer());
    let reader = Sleeper::new(move || call!(SYS_read, fd, &mut [0_u8; 128], 128));
    raise(libc::SIGUSR2);
    check("the process's wakes it", reader.answer());
    let epoll = call!(SYS_epoll_create1, 0).unwrap_or(-1);
    let wanted = libc::epoll_event {
        events: libc::EPOLLIN as u32,
        u64: 5,
    };
    let added = call!(SYS_epoll_ctl, epoll, libc::EPOLL_CTL_ADD, fd, &wanted);
    check("watched", added);
    let waiter = Sleeper::new(move || {
        let mut event = [0_u8; 12];
        call!(SYS_epoll_wait, epoll, &mut event, 1, -1)
    });
    raise(libc::SIGALRM);
    check("epoll_wait", waiter.answer());
    check("read", read(fd, 128));
}
