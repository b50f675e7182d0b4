//! What a file is: `stat` and family, `statx`, `statfs`, times.

use core::ffi::CStr;

use crate::call;
use crate::errno::Errno;
use crate::report::check;
use crate::sys::{self, BAD, Ret};

fn stat_of(name: &CStr) -> Result<libc::stat, Errno> {
    let mut stat: libc::stat = sys::zeroed();
    call!(SYS_lstat, name, &mut stat).map(|_| stat)
}

fn mode(name: &CStr) -> Result<String, Errno> {
    stat_of(name).map(|stat| format!("{:o}", stat.st_mode))
}

/// `stat`, `lstat`, `fstat`, `newfstatat`, `access`, `statfs`.
pub(crate) fn run() {
    let fd = call!(SYS_open, c"f", libc::O_RDWR | libc::O_CREAT, 0o640).unwrap_or(-1);
    let _ = call!(SYS_write, fd, &[1_u8; 5000], 5000);
    let stat = stat_of(c"f").unwrap_or_else(|_| sys::zeroed());
    check("file's mode", mode(c"f"));
    check("size", stat.st_size);
    check("blocks", stat.st_blocks > 0);
    check("blksize", stat.st_blksize);
    check("links", stat.st_nlink);
    check("uid", call!(SYS_getuid) == Ok(stat.st_uid.into()));
    check("gid", call!(SYS_getgid) == Ok(stat.st_gid.into()));
    check("rdev", stat.st_rdev);
    check("inode", stat.st_ino != 0);
    check(
        "times set",
        stat.st_atime > 0 && stat.st_mtime > 0 && stat.st_ctime > 0,
    );
    let mut same: libc::stat = sys::zeroed();
    check("fstat", call!(SYS_fstat, fd, &mut same));
    check(
        "same file",
        (same.st_ino, same.st_dev) == (stat.st_ino, stat.st_dev),
    );
    let _ = call!(SYS_mkdir, c"d", 0o750);
    check("folder's mode", mode(c"d"));
    let _ = call!(SYS_symlink, c"f", c"s");
    check("symlink's mode", mode(c"s"));
    check("symlink's size", stat_of(c"s").map(|stat| stat.st_size));
    check(
        "stat follows",
        call!(SYS_stat, c"s", &mut same).map(|_| same.st_size),
    );
    let _ = call!(SYS_mknod, c"p", libc::S_IFIFO | 0o600, 0);
    check("fifo's mode", mode(c"p"));
    check("null's mode", mode(c"/dev/null"));
    check(
        "null's rdev",
        stat_of(c"/dev/null").map(|stat| stat.st_rdev),
    );
    check(
        "zero's rdev",
        stat_of(c"/dev/zero").map(|stat| stat.st_rdev),
    );
    let mut ends = [0_i32; 2];
    let _ = call!(SYS_pipe2, &mut ends, 0);
    check(
        "pipe",
        call!(SYS_fstat, ends[0], &mut same)
            .map(|_| format!("{:o} {}", same.st_mode, same.st_size)),
    );
    check("stat missing", call!(SYS_stat, c"nope", &mut same));
    check("stat empty", call!(SYS_stat, c"", &mut same));
    check("stat bad path", call!(SYS_stat, BAD, &mut same));
    check("stat bad buffer", call!(SYS_stat, c"f", BAD));
    check("fstat closed", call!(SYS_fstat, 999, &mut same));
    check("fstat closed wins", call!(SYS_fstat, 999, BAD));
    check("fstat bad buffer", call!(SYS_fstat, fd, BAD));
    let at = |fd: i64, path: &CStr, flags: i32| -> Ret {
        let mut stat: libc::stat = sys::zeroed();
        call!(SYS_newfstatat, fd, path, &mut stat, flags).map(|_| stat.st_size)
    };
    let cwd = i64::from(libc::AT_FDCWD);
    check("newfstatat", at(cwd, c"s", 0));
    check(
        "newfstatat no follow",
        at(cwd, c"s", libc::AT_SYMLINK_NOFOLLOW),
    );
    check("newfstatat empty path", at(fd, c"", libc::AT_EMPTY_PATH));
    check("newfstatat empty without flag", at(fd, c"", 0));
    check("newfstatat of a file", at(fd, c"x", 0));
    check(
        "newfstatat bad flags",
        at(cwd, c"f", 0x8000_0000_u32.cast_signed()),
    );
    check("newfstatat closed", at(999, c"f", 0));
    check(
        "newfstatat cwd, empty path",
        at(cwd, c"", libc::AT_EMPTY_PATH).is_ok(),
    );
    let access = |path: &CStr, mode: i32| call!(SYS_access, path, mode);
    check("access F_OK", access(c"f", libc::F_OK));
    check("access rw", access(c"f", libc::R_OK | libc::W_OK));
    check("access x", access(c"f", libc::X_OK));
    check("access missing", access(c"nope", 0));
    check("access bad mode", access(c"f", 8));
    check("access dangling", {
        let _ = call!(SYS_symlink, c"gone", c"dangling");
        access(c"dangling", 0)
    });
    check("faccessat", call!(SYS_faccessat, cwd, c"f", libc::R_OK));
    check(
        "faccessat2",
        call!(
            SYS_faccessat2,
            cwd,
            c"dangling",
            0,
            libc::AT_SYMLINK_NOFOLLOW
        ),
    );
    check(
        "faccessat2 AT_EACCESS",
        call!(SYS_faccessat2, cwd, c"f", libc::R_OK, libc::AT_EACCESS),
    );
    check(
        "faccessat2 bad flags",
        call!(SYS_faccessat2, cwd, c"f", 0, 0x8000),
    );
    let mut fs: libc::statfs = sys::zeroed();
    check("statfs", call!(SYS_statfs, c".", &mut fs));
    check("bsize and namelen", (fs.f_bsize, fs.f_namelen));
    check("statfs missing", call!(SYS_statfs, c"nope", &mut fs));
    check("fstatfs", call!(SYS_fstatfs, fd, &mut fs));
    check("fstatfs closed", call!(SYS_fstatfs, 999, &mut fs));
    check(
        "statfs of proc",
        call!(SYS_statfs, c"/proc", &mut fs)
            .map(|_| fs.f_type as u64 == libc::PROC_SUPER_MAGIC as u64),
    );
}

/// `statx`.
pub(crate) fn statx() {
    let fd = call!(SYS_open, c"f", libc::O_RDWR | libc::O_CREAT, 0o640).unwrap_or(-1);
    let _ = call!(SYS_write, fd, b"12345", 5);
    let mut statx: libc::statx = sys::zeroed();
    let cwd = libc::AT_FDCWD;
    let basic = libc::STATX_BASIC_STATS;
    check("statx", call!(SYS_statx, cwd, c"f", 0, basic, &mut statx));
    check("mask", statx.stx_mask & basic == basic);
    check("mode", format!("{:o}", statx.stx_mode));
    check("size", statx.stx_size);
    check("links", statx.stx_nlink);
    let mut stat: libc::stat = sys::zeroed();
    let _ = call!(SYS_stat, c"f", &mut stat);
    check("inode", statx.stx_ino == stat.st_ino);
    check(
        "mtime",
        statx.stx_mtime.tv_sec == stat.st_mtime
            && i64::from(statx.stx_mtime.tv_nsec) == stat.st_mtime_nsec,
    );
    let device = libc::makedev(statx.stx_dev_major, statx.stx_dev_minor);
    check("device", device == stat.st_dev);
    check("mask 0", call!(SYS_statx, cwd, c"f", 0, 0, &mut statx));
    check(
        "empty path",
        call!(SYS_statx, fd, c"", libc::AT_EMPTY_PATH, basic, &mut statx),
    );
    check("size", statx.stx_size);
    check(
        "bad flags",
        call!(SYS_statx, cwd, c"f", 0x8000, basic, &mut statx),
    );
    check(
        "reserved mask",
        call!(SYS_statx, cwd, c"f", 0, 0x8000_0000_u32, &mut statx),
    );
    check(
        "both sync flags",
        call!(SYS_statx, cwd, c"f", 0x6000, basic, &mut statx),
    );
    check(
        "missing",
        call!(SYS_statx, cwd, c"nope", 0, basic, &mut statx),
    );
    check("bad buffer", call!(SYS_statx, cwd, c"f", 0, basic, BAD));
    check("closed", call!(SYS_statx, 999, c"f", 0, basic, &mut statx));
    let _ = call!(SYS_symlink, c"f", c"s");
    let nofollow = libc::AT_SYMLINK_NOFOLLOW;
    check(
        "no follow",
        call!(SYS_statx, cwd, c"s", nofollow, basic, &mut statx).map(|_| statx.stx_size),
    );
}

/// `utimensat` and what changes which time.
pub(crate) fn utimens() {
    let fd = call!(SYS_open, c"t", libc::O_RDWR | libc::O_CREAT, 0o640).unwrap_or(-1);
    let cwd = libc::AT_FDCWD;
    let time = |sec: i64, nsec: i64| [sec, nsec];
    let set = |path: &CStr, times: [[i64; 2]; 2], flags: i32| {
        call!(SYS_utimensat, cwd, path, &times, flags)
    };
    let times = || {
        stat_of(c"t").map(|stat| {
            format!(
                "{}.{} {}.{}",
                stat.st_atime, stat.st_atime_nsec, stat.st_mtime, stat.st_mtime_nsec
            )
        })
    };
    check("set", set(c"t", [time(1000, 5), time(2000, 6)], 0));
    check("times", times());
    check(
        "omit atime",
        set(c"t", [time(9, libc::UTIME_OMIT), time(3000, 7)], 0),
    );
    check("times", times());
    check(
        "omit both",
        set(
            c"t",
            [time(9, libc::UTIME_OMIT), time(9, libc::UTIME_OMIT)],
            0,
        ),
    );
    check("times", times());
    check(
        "now",
        set(c"t", [time(9, libc::UTIME_NOW), time(4000, 0)], 0),
    );
    check(
        "now is later",
        stat_of(c"t").map(|stat| stat.st_atime > 1_000_000_000 && stat.st_mtime == 4000),
    );
    check("null", call!(SYS_utimensat, cwd, c"t", 0, 0));
    check(
        "both now",
        stat_of(c"t").map(|stat| stat.st_atime > 1_000_000_000 && stat.st_mtime > 1_000_000_000),
    );
    check(
        "by descriptor",
        call!(SYS_utimensat, fd, 0, &[time(1, 2), time(3, 4)], 0),
    );
    check("times", times());
    check("before 1970", set(c"t", [time(-5, 1), time(-6, 2)], 0));
    check("times", times());
    check(
        "bad nanoseconds",
        set(c"t", [time(0, 1_000_000_000), time(0, 0)], 0),
    );
    check(
        "negative nanoseconds",
        set(c"t", [time(0, -1), time(0, 0)], 0),
    );
    check("missing", set(c"nope", [time(0, 0); 2], 0));
    check("bad flags", set(c"t", [time(0, 0); 2], 0x1));
    check("bad pointer", call!(SYS_utimensat, cwd, c"t", BAD, 0));
    check("bad path", call!(SYS_utimensat, cwd, BAD, 0, 0));
    check("closed", call!(SYS_utimensat, 999, 0, 0, 0));
    let _ = call!(SYS_symlink, c"t", c"s");
    check(
        "of a symlink",
        set(c"s", [time(11, 0), time(12, 0)], libc::AT_SYMLINK_NOFOLLOW),
    );
    check("symlink's", stat_of(c"s").map(|stat| stat.st_mtime));
    check("file keeps its own", times());
    check("utime", call!(SYS_utime, c"t", &[50_i64, 60]));
    check("utimes", {
        let _ = times();
        call!(SYS_utimes, c"t", &[[70_i64, 5], [80, 6]])
    });
    check("times", times());
    check(
        "utimes bad microseconds",
        call!(SYS_utimes, c"t", &[[70_i64, 1_000_000], [80, 6]]),
    );
    check("a write sets mtime", {
        let _ = call!(SYS_write, fd, b"x", 1);
        stat_of(c"t").map(|stat| stat.st_mtime > 1_000_000_000)
    });
    check("chmod sets ctime only", {
        let _ = set(c"t", [time(1, 0), time(2, 0)], 0);
        let _ = call!(SYS_chmod, c"t", 0o600);
        stat_of(c"t").map(|stat| stat.st_mtime == 2 && stat.st_ctime > 1_000_000_000)
    });
    check("a new name sets the folder's mtime", {
        let _ = call!(SYS_mkdir, c"d", 0o755);
        let _ = set(c"d", [time(1, 0), time(2, 0)], 0);
        let _ = call!(SYS_creat, c"d/x", 0o600);
        stat_of(c"d").map(|stat| stat.st_mtime > 1_000_000_000)
    });
}
