//! Record locks of `fcntl`, and `flock`.

use crate::call;
use crate::report::{check, check_child, wait};
use crate::sys::{self, BAD};

fn lock(kind: i32, start: i64, length: i64) -> libc::flock {
    let mut lock: libc::flock = sys::zeroed();
    lock.l_type = kind as i16;
    lock.l_whence = libc::SEEK_SET as i16;
    lock.l_start = start;
    lock.l_len = length;
    lock
}

fn open() -> i64 {
    call!(SYS_open, c"locked", libc::O_RDWR | libc::O_CREAT, 0o644).unwrap_or(-1)
}

/// What another process would be told about a write lock of everything.
fn seen_by_another() -> String {
    let owner = call!(SYS_getpid).unwrap_or(0);
    let child = sys::fork(|| {
        let mut ask = lock(libc::F_WRLCK, 0, 0);
        let _ = call!(SYS_fcntl, open(), libc::F_GETLK, &mut ask);
        let kind = match i32::from(ask.l_type) {
            libc::F_RDLCK => "read",
            libc::F_WRLCK => "write",
            _ => "none",
        };
        let mine = i64::from(ask.l_pid) == owner;
        check(
            "  F_GETLK",
            format!("{kind} {} {} owner {mine}", ask.l_start, ask.l_len),
        );
        0
    });
    wait(child)
}

/// What `/proc/locks` says of this process, without the numbers that differ.
fn told() -> String {
    let process = call!(SYS_getpid).unwrap_or(0).to_string();
    let text = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    let mut lines: Vec<String> = text
        .lines()
        .filter_map(|line| {
            let (_, told) = line.split_once(": ")?;
            let owner = told.split_whitespace().nth(3)?;
            let file = told.split_whitespace().nth(4)?;
            let numbers = format!(" {owner} {file} ");
            (owner == process).then(|| told.replace(&numbers, " OWN FILE "))
        })
        .collect();
    lines.sort();
    lines.join(", ")
}

/// The cases.
pub(crate) fn run() {
    let fd = open();
    let set = |lock: &libc::flock| call!(SYS_fcntl, fd, libc::F_SETLK, lock);
    check("none", seen_by_another());
    check("write lock 10..20", set(&lock(libc::F_WRLCK, 10, 10)));
    check("asked", seen_by_another());
    check("unlock its middle", set(&lock(libc::F_UNLCK, 13, 4)));
    check("asked", seen_by_another());
    check(
        "first part becomes a read lock",
        set(&lock(libc::F_RDLCK, 10, 3)),
    );
    check("/proc/locks", told());
    check("asked", seen_by_another());
    check("negative length", set(&lock(libc::F_WRLCK, 100, -50)));
    check("before the start", set(&lock(libc::F_WRLCK, 10, -50)));
    check("negative start", set(&lock(libc::F_WRLCK, -1, 5)));
    check("bad type", set(&lock(77, 0, 5)));
    check("bad pointer", call!(SYS_fcntl, fd, libc::F_SETLK, BAD));
    check("own locks never conflict", set(&lock(libc::F_WRLCK, 0, 0)));
    check_child("another's try", || {
        check(
            "F_SETLK",
            call!(SYS_fcntl, open(), libc::F_SETLK, &lock(libc::F_WRLCK, 5, 1)),
        );
        check(
            "read lock",
            call!(SYS_fcntl, open(), libc::F_SETLK, &lock(libc::F_RDLCK, 5, 1)),
        );
        0
    });
    check("unlock all", set(&lock(libc::F_UNLCK, 0, 0)));
    check_child("two read locks", || {
        let _ = set(&lock(libc::F_RDLCK, 0, 0));
        check_child("the other", || {
            check(
                "read",
                call!(SYS_fcntl, open(), libc::F_SETLK, &lock(libc::F_RDLCK, 0, 0)),
            );
            check(
                "write",
                call!(SYS_fcntl, open(), libc::F_SETLK, &lock(libc::F_WRLCK, 0, 0)),
            );
            0
        });
        0
    });
    let _ = set(&lock(libc::F_WRLCK, 0, 0));
    check("/proc/locks to the end", told());
    let second = open();
    check(
        "closing any descriptor of the file",
        call!(SYS_close, second),
    );
    check("drops the locks", seen_by_another());
    let _ = set(&lock(libc::F_WRLCK, 0, 1));
    check_child("a child does not inherit them", || {
        check(
            "F_SETLK",
            call!(SYS_fcntl, fd, libc::F_SETLK, &lock(libc::F_WRLCK, 0, 1)),
        );
        0
    });
    waiting(fd);
    deadlock();
    let read_only = call!(SYS_open, c"locked", libc::O_RDONLY, 0).unwrap_or(-1);
    check(
        "write lock, read-only",
        call!(
            SYS_fcntl,
            read_only,
            libc::F_SETLK,
            &lock(libc::F_WRLCK, 0, 1)
        ),
    );
    let write_only = call!(SYS_open, c"locked", libc::O_WRONLY, 0).unwrap_or(-1);
    check(
        "read lock, write-only",
        call!(
            SYS_fcntl,
            write_only,
            libc::F_SETLK,
            &lock(libc::F_RDLCK, 0, 1)
        ),
    );
    flock();
}

/// A waiter gets the lock when its owner ends.
fn waiting(fd: i64) {
    let _ = call!(SYS_fcntl, fd, libc::F_SETLK, &lock(libc::F_WRLCK, 0, 0));
    let mut ends = [0_i32; 2];
    let _ = call!(SYS_pipe2, &mut ends, 0);
    let child = sys::fork(|| {
        let _ = call!(SYS_write, ends[1], b"w", 1);
        check(
            "F_SETLKW",
            call!(
                SYS_fcntl,
                open(),
                libc::F_SETLKW,
                &lock(libc::F_WRLCK, 0, 0)
            ),
        );
        0
    });
    let _ = call!(SYS_read, ends[0], &mut [0_u8], 1);
    std::thread::sleep(core::time::Duration::from_millis(30));
    crate::report::line("unlocking");
    let _ = call!(SYS_fcntl, fd, libc::F_SETLK, &lock(libc::F_UNLCK, 0, 0));
    check("waiter", wait(child));
}

/// Two that wait for each other: one is told.
fn deadlock() {
    let (mut up, mut down) = ([0_i32; 2], [0_i32; 2]);
    let _ = call!(SYS_pipe2, &mut up, 0);
    let _ = call!(SYS_pipe2, &mut down, 0);
    let fd = open();
    let _ = call!(SYS_fcntl, fd, libc::F_SETLK, &lock(libc::F_WRLCK, 0, 1));
    let child = sys::fork(|| {
        let fd = open();
        let _ = call!(SYS_fcntl, fd, libc::F_SETLK, &lock(libc::F_WRLCK, 1, 1));
        let _ = call!(SYS_write, up[1], b"h", 1);
        let _ = call!(SYS_fcntl, fd, libc::F_SETLKW, &lock(libc::F_WRLCK, 0, 1));
        0
    });
    let _ = call!(SYS_read, up[0], &mut [0_u8], 1);
    std::thread::sleep(core::time::Duration::from_millis(60));
    check(
        "F_SETLKW in a ring",
        call!(SYS_fcntl, fd, libc::F_SETLKW, &lock(libc::F_WRLCK, 1, 1)),
    );
    let _ = call!(SYS_close, fd);
    check("child", wait(child));
}

fn flock() {
    let fd = open();
    check("flock", call!(SYS_flock, fd, libc::LOCK_EX | libc::LOCK_NB));
    check("/proc/locks of a whole file", told());
    let other = open();
    check(
        "another description",
        call!(SYS_flock, other, libc::LOCK_EX | libc::LOCK_NB),
    );
    check(
        "shared",
        call!(SYS_flock, other, libc::LOCK_SH | libc::LOCK_NB),
    );
    let copy = call!(SYS_dup, fd).unwrap_or(-1);
    check(
        "same description",
        call!(SYS_flock, copy, libc::LOCK_SH | libc::LOCK_NB),
    );
    check(
        "now both shared",
        call!(SYS_flock, other, libc::LOCK_SH | libc::LOCK_NB),
    );
    check("unlock", call!(SYS_flock, fd, libc::LOCK_UN));
    check(
        "then exclusive",
        call!(SYS_flock, other, libc::LOCK_EX | libc::LOCK_NB),
    );
    check("bad operation", call!(SYS_flock, fd, 0));
    check("closed", call!(SYS_flock, 999, libc::LOCK_SH));
}
