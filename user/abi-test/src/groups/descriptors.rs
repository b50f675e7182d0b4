//! Descriptors: `dup` and family, `fcntl`'s flags.

use crate::call;
use crate::report::{check, check_child};
use crate::sys;

/// `dup`, `dup2`, `dup3`, `F_DUPFD`.
pub(crate) fn dup() {
    let fd = call!(SYS_open, c"f", libc::O_RDWR | libc::O_CREAT, 0o644).unwrap_or(-1);
    let copy = call!(SYS_dup, fd).unwrap_or(-1);
    check("dup takes the next", copy - fd);
    check("dup2", call!(SYS_dup2, fd, 50));
    check("dup2 onto itself", call!(SYS_dup2, 50, 50));
    check(
        "dup2 over an open one",
        call!(SYS_dup2, fd, copy) == Ok(copy),
    );
    check("dup2 closed", call!(SYS_dup2, 999, 51));
    check("dup2 closed onto itself", call!(SYS_dup2, 999, 999));
    check("dup2 negative", call!(SYS_dup2, fd, -1));
    check("dup closed", call!(SYS_dup, 999));
    check("dup3", call!(SYS_dup3, fd, 52, libc::O_CLOEXEC));
    check("dup3's flag", call!(SYS_fcntl, 52, libc::F_GETFD, 0));
    check("original's flag", call!(SYS_fcntl, fd, libc::F_GETFD, 0));
    check("dup3 onto itself", call!(SYS_dup3, fd, fd, 0));
    check("dup3 bad flags", call!(SYS_dup3, fd, 53, libc::O_APPEND));
    check("dup clears the flag", {
        let copy = call!(SYS_dup, 52).unwrap_or(-1);
        call!(SYS_fcntl, copy, libc::F_GETFD, 0)
    });
    check("F_DUPFD from 70", call!(SYS_fcntl, fd, libc::F_DUPFD, 70));
    check(
        "F_DUPFD from 70 again",
        call!(SYS_fcntl, fd, libc::F_DUPFD, 70),
    );
    check(
        "F_DUPFD_CLOEXEC",
        call!(SYS_fcntl, fd, libc::F_DUPFD_CLOEXEC, 80),
    );
    check("its flag", call!(SYS_fcntl, 80, libc::F_GETFD, 0));
    check("F_DUPFD negative", call!(SYS_fcntl, fd, libc::F_DUPFD, -1));
    check_child("RLIMIT_NOFILE", || {
        let limit = libc::rlimit {
            rlim_cur: 60,
            rlim_max: 60,
        };
        let _ = call!(SYS_setrlimit, libc::RLIMIT_NOFILE, &limit);
        check("dup2 at the limit", call!(SYS_dup2, fd, 60));
        check("dup2 below", call!(SYS_dup2, fd, 59));
        check(
            "F_DUPFD from the limit",
            call!(SYS_fcntl, fd, libc::F_DUPFD, 60),
        );
        check("an open one above stays", call!(SYS_write, 70, b"x", 1));
        let mut last = Ok(0);
        for _ in 0..100 {
            last = call!(SYS_dup, fd);
            if last.is_err() {
                break;
            }
        }
        check("dup when full", last);
        check("open when full", call!(SYS_open, c"f", 0, 0));
        check("pipe when full", call!(SYS_pipe2, &mut [0_i32; 2], 0));
        0
    });
}

/// `fcntl` flags, `FIONBIO`, `FIOCLEX`.
pub(crate) fn fcntl() {
    let fd = call!(SYS_open, c"f", libc::O_RDWR | libc::O_CREAT, 0o644).unwrap_or(-1);
    let get = |what: i32| call!(SYS_fcntl, fd, what, 0);
    check("F_GETFD", get(libc::F_GETFD));
    check(
        "F_SETFD",
        call!(SYS_fcntl, fd, libc::F_SETFD, libc::FD_CLOEXEC),
    );
    check("F_GETFD", get(libc::F_GETFD));
    check(
        "F_SETFD other bits",
        call!(SYS_fcntl, fd, libc::F_SETFD, 0xfe),
    );
    check("F_GETFD", get(libc::F_GETFD));
    check("F_GETFL", get(libc::F_GETFL).map(|flags| flags & 0x7fff));
    check(
        "F_SETFL",
        call!(
            SYS_fcntl,
            fd,
            libc::F_SETFL,
            libc::O_APPEND | libc::O_NONBLOCK
        ),
    );
    check("F_GETFL", get(libc::F_GETFL).map(|flags| flags & 0x7fff));
    check(
        "F_SETFL cannot change the access",
        call!(SYS_fcntl, fd, libc::F_SETFL, libc::O_WRONLY | libc::O_CREAT),
    );
    check("F_GETFL", get(libc::F_GETFL).map(|flags| flags & 0x7fff));
    let copy = call!(SYS_dup, fd).unwrap_or(-1);
    let _ = call!(SYS_fcntl, copy, libc::F_SETFL, libc::O_APPEND);
    check(
        "dup shares status flags",
        get(libc::F_GETFL).map(|flags| flags & 0x7fff),
    );
    check("unknown command", call!(SYS_fcntl, fd, 7777, 0));
    check("closed", call!(SYS_fcntl, 999, libc::F_GETFD, 0));
    check("F_GETOWN", get(libc::F_GETOWN));
    let mut ends = [0_i32; 2];
    let _ = call!(SYS_pipe2, &mut ends, 0);
    check("FIONBIO", call!(SYS_ioctl, ends[0], libc::FIONBIO, &1_i32));
    check("read now", call!(SYS_read, ends[0], &mut [0_u8], 1));
    check("FIOCLEX", call!(SYS_ioctl, ends[0], libc::FIOCLEX, 0));
    check("flag", call!(SYS_fcntl, ends[0], libc::F_GETFD, 0));
    check("FIONCLEX", call!(SYS_ioctl, ends[0], libc::FIONCLEX, 0));
    check("flag", call!(SYS_fcntl, ends[0], libc::F_GETFD, 0));
    let _ = call!(SYS_write, ends[1], b"12345", 5);
    let mut waiting = 0_i32;
    check(
        "FIONREAD",
        call!(SYS_ioctl, ends[0], libc::FIONREAD, &mut waiting),
    );
    check("waiting", waiting);
    check(
        "F_GETPIPE_SZ",
        call!(SYS_fcntl, ends[0], libc::F_GETPIPE_SZ, 0),
    );
    check(
        "F_SETPIPE_SZ",
        call!(SYS_fcntl, ends[0], libc::F_SETPIPE_SZ, 4096),
    );
    check(
        "F_GETPIPE_SZ",
        call!(SYS_fcntl, ends[0], libc::F_GETPIPE_SZ, 0),
    );
    check("F_GETPIPE_SZ of a file", get(libc::F_GETPIPE_SZ));
    check("unknown ioctl", call!(SYS_ioctl, fd, 0x1234, 0));
    check(
        "terminal ioctl of a file",
        call!(SYS_ioctl, fd, libc::TCGETS, &mut [0_u8; 64]),
    );
    check(
        "terminal ioctl of a pipe",
        call!(SYS_ioctl, ends[0], libc::TIOCGWINSZ, &mut [0_u8; 64]),
    );
    check(
        "ioctl closed",
        call!(SYS_ioctl, 999, libc::TCGETS, sys::BAD),
    );
}
