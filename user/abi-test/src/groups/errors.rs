//! Precedence: which error wins when several would fit, and calls given
//! arguments of the wrong kind.

use crate::call;
use crate::report::check;
use crate::sys::{BAD, KERNEL, NONCANONICAL};

/// The cases.
pub(crate) fn run() {
    let fd = call!(SYS_open, c"f", libc::O_RDWR | libc::O_CREAT, 0o644).unwrap_or(-1);
    let mut ends = [0_i32; 2];
    let _ = call!(SYS_pipe2, &mut ends, 0);
    let pipe = ends[0];
    let _ = call!(SYS_mkdir, c"d", 0o755);
    let cwd = libc::AT_FDCWD;
    for (name, address) in [
        ("page zero", BAD),
        ("kernel", KERNEL),
        ("non-canonical", NONCANONICAL),
        ("top", usize::MAX),
    ] {
        check(&format!("open, {name}"), call!(SYS_open, address, 0, 0));
        check(&format!("stat, {name}"), call!(SYS_stat, c"f", address));
        check(
            &format!("read, {name}"),
            call!(
                SYS_read,
                call!(SYS_open, c"/dev/zero", 0, 0).unwrap_or(-1),
                address,
                16
            ),
        );
        check(
            &format!("write, {name}"),
            call!(SYS_write, ends[1], address, 16),
        );
        check(&format!("getcwd, {name}"), call!(SYS_getcwd, address, 4096));
        check(&format!("uname, {name}"), call!(SYS_uname, address));
        check(&format!("pipe, {name}"), call!(SYS_pipe2, address, 0));
        check(
            &format!("nanosleep, {name}"),
            call!(SYS_nanosleep, address, 0),
        );
        check(
            &format!("sigaction, {name}"),
            call!(SYS_rt_sigaction, libc::SIGUSR1, address, 0, 8),
        );
        check(
            &format!("select, {name}"),
            call!(SYS_select, 1, address, 0, 0, 0),
        );
        check(
            &format!("writev, {name}"),
            call!(SYS_writev, fd, address, 1),
        );
        check(&format!("execve, {name}"), call!(SYS_execve, address, 0, 0));
        check(
            &format!("futex, {name}"),
            call!(SYS_futex, address, libc::FUTEX_WAIT, 0, 0),
        );
        check(
            &format!("clock_gettime, {name}"),
            call!(SYS_clock_gettime, 0, address).is_err(),
        );
        check(&format!("sysinfo, {name}"), call!(SYS_sysinfo, address));
        check(&format!("times, {name}"), call!(SYS_times, address));
        check(
            &format!("getrlimit, {name}"),
            call!(SYS_getrlimit, 1, address),
        );
        check(
            &format!("sigaltstack, {name}"),
            call!(SYS_sigaltstack, address, 0),
        );
    }
    check(
        "read length over the top",
        call!(
            SYS_read,
            call!(SYS_open, c"/dev/zero", 0, 0).unwrap_or(-1),
            BAD,
            usize::MAX
        ),
    );
    check(
        "write length over the top",
        call!(SYS_write, ends[1], KERNEL - 1, usize::MAX),
    );
    check("open: pointer before flags", call!(SYS_open, BAD, -1, 0));
    check(
        "open: folder and O_TRUNC",
        call!(SYS_open, c"d", libc::O_RDWR | libc::O_TRUNC, 0),
    );
    check(
        "open: O_CREAT and O_DIRECTORY, new",
        call!(
            SYS_open,
            c"new-dir-x",
            libc::O_CREAT | libc::O_DIRECTORY,
            0o644
        )
        .is_err(),
    );
    check(
        "open: O_CREAT, O_EXCL of a folder",
        call!(SYS_open, c"d", libc::O_CREAT | libc::O_EXCL, 0o644),
    );
    check(
        "mkdir: exists before parent's rights",
        call!(SYS_mkdir, c"/dev", 0o755),
    );
    check("mkdir: through a file", call!(SYS_mkdir, c"f/x/y", 0o755));
    check("rmdir: file", call!(SYS_rmdir, c"f"));
    check(
        "link: target exists before source's kind",
        call!(SYS_link, c"d", c"f"),
    );
    check(
        "link: source missing before target exists",
        call!(SYS_link, c"nope", c"f"),
    );
    check("symlink: exists", call!(SYS_symlink, c"x", c"d"));
    check(
        "rename: source missing before target missing",
        call!(SYS_rename, c"nope", c"nope2/x"),
    );
    check(
        "unlinkat: flags before path",
        call!(SYS_unlinkat, cwd, BAD, 0x8000),
    );
    check("dup2: closed before range", call!(SYS_dup2, 999, -1));
    check("dup3: flags before closed", call!(SYS_dup3, 999, 5, 0x10));
    check("dup3: same before closed", call!(SYS_dup3, 999, 999, 0));
    check("lseek: closed before whence", call!(SYS_lseek, 999, 0, 99));
    check(
        "pread64: negative before closed",
        call!(SYS_pread64, 999, BAD, 1, -1),
    );
    check(
        "pread64 of a pipe",
        call!(SYS_pread64, pipe, &mut [0_u8], 1, 0),
    );
    check(
        "pwrite64 to a pipe",
        call!(SYS_pwrite64, ends[1], &[0_u8], 1, 0),
    );
    check("readv: closed before vector", call!(SYS_readv, 999, BAD, 1));
    check(
        "ftruncate: length before closed",
        call!(SYS_ftruncate, 999, -1),
    );
    check("truncate: length before path", call!(SYS_truncate, BAD, -1));
    check("fchmod closed", call!(SYS_fchmod, 999, 0));
    check("fchown closed", call!(SYS_fchown, 999, 0, 0));
    check("fchdir of a pipe", call!(SYS_fchdir, pipe));
    check(
        "getdents64 of a pipe",
        call!(SYS_getdents64, pipe, &mut [0_u8; 64], 64),
    );
    check("fsync of a pipe", call!(SYS_fsync, pipe));
    check(
        "flock of closed before operation",
        call!(SYS_flock, 999, 77),
    );
    check(
        "sendfile from a folder",
        call!(
            SYS_sendfile,
            fd,
            call!(SYS_open, c"d", 0, 0).unwrap_or(-1),
            0,
            10
        ),
    );
    check(
        "utimensat: flags and null path",
        call!(SYS_utimensat, cwd, 0, 0, 0),
    );
    check("access: mode before path", call!(SYS_access, BAD, 77));
    check(
        "faccessat2: flags before path",
        call!(SYS_faccessat2, cwd, BAD, 0, 0x8000_0000_u32),
    );
    check(
        "statx: flags before path",
        call!(SYS_statx, cwd, BAD, 0x6000, 0, BAD),
    );
    check(
        "kill: signal before process",
        call!(SYS_kill, 99_999_999, 99),
    );
    check(
        "tgkill: signal before process",
        call!(SYS_tgkill, 99_999_999, 99_999_999, 99),
    );
    check(
        "rt_sigprocmask: size before how",
        call!(SYS_rt_sigprocmask, 99, 0, 0, 5),
    );
    check(
        "rt_sigprocmask: pointer before how",
        call!(SYS_rt_sigprocmask, 99, BAD, 0, 8),
    );
    check(
        "rt_sigaction: size before signal",
        call!(SYS_rt_sigaction, 99, 0, 0, 5),
    );
    check(
        "wait4: options before pointer",
        call!(SYS_wait4, -1, BAD, 0x7000_0000, 0),
    );
    check(
        "waitid: options before kind",
        call!(SYS_waitid, 99, 0, 0, 0x7000_0000, 0),
    );
    check(
        "setpgid: negative before process",
        call!(SYS_setpgid, 99_999_999, -1),
    );
    check(
        "setrlimit: resource before pointer",
        call!(SYS_setrlimit, 99, BAD),
    );
    check(
        "getrlimit: resource before pointer",
        call!(SYS_getrlimit, 99, BAD),
    );
    check(
        "clock_nanosleep: clock before pointer",
        call!(SYS_clock_nanosleep, 99, 0, BAD, 0),
    );
    check(
        "setitimer: timer before pointer",
        call!(SYS_setitimer, 99, &[0_u64; 4], 0),
    );
    check(
        "timerfd_create: clock",
        call!(SYS_timerfd_create, 99, 0x100),
    );
    check(
        "timerfd_settime: closed",
        call!(SYS_timerfd_settime, 999, 0, BAD, 0),
    );
    check(
        "epoll_ctl: closed epoll",
        call!(SYS_epoll_ctl, 999, libc::EPOLL_CTL_ADD, fd, &[0_u8; 12]),
    );
    check(
        "epoll_ctl: event before descriptor",
        call!(SYS_epoll_ctl, 999, libc::EPOLL_CTL_ADD, fd, BAD),
    );
    check("poll: pointer", call!(SYS_poll, BAD, 1, 0));
    check(
        "ppoll: time before pointer",
        call!(SYS_ppoll, BAD, 1, BAD, 0, 8),
    );
    check(
        "select: negative count before pointers",
        call!(SYS_select, -1, BAD, BAD, BAD, 0),
    );
    check(
        "mmap: length before descriptor",
        call!(SYS_mmap, 0, 0, 3, libc::MAP_PRIVATE, 999, 0),
    );
    check(
        "mmap: descriptor before kind",
        call!(SYS_mmap, 0, 4096, 3, 0, 999, 0),
    );
    check(
        "mprotect: prot before length",
        call!(SYS_mprotect, 4096, 0, 0x100),
    );
    check(
        "mremap: flags before address",
        call!(SYS_mremap, 1, 4096, 4096, 0x80, 0),
    );
    check(
        "getrandom: flags before pointer",
        call!(SYS_getrandom, BAD, 8, 0x80),
    );
    check("prctl: keys", call!(SYS_prctl, 54, 1 << 5, 0, 0, 0));
    check("prctl: no keys", call!(SYS_prctl, 54, 0, 1, 0, 0));
    check("prctl: unknown", call!(SYS_prctl, -1, 0, 0, 0, 0));
    check(
        "ioctl: closed before request",
        call!(SYS_ioctl, 999, 0x5401, BAD),
    );
    check("fcntl: closed before command", call!(SYS_fcntl, 999, 99, 0));
    check(
        "fcntl: F_SETLK pointer",
        call!(SYS_fcntl, fd, libc::F_GETLK, BAD),
    );
    check("readlink: size before path", call!(SYS_readlink, BAD, 0, 0));
    check("getcwd: small", call!(SYS_getcwd, 0, 1));
    check(
        "execveat: flags before path",
        call!(SYS_execveat, cwd, BAD, 0, 0, 0x8000),
    );
    check("mount: pointer", call!(SYS_mount, 0, BAD, 0, 0, 0).is_err());
    check("getgroups: negative", call!(SYS_getgroups, -1, BAD));
    check(
        "sched_getaffinity: pid -1",
        call!(SYS_sched_getaffinity, -1, 128, &mut [0_u64; 16]),
    );
}
