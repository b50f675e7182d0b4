//! Files: opening, reading, writing, seeking, cutting.

use crate::call;
use crate::report::{check, check_child};
use crate::sys::{BAD, Ret};

fn open_at(path: &core::ffi::CStr, flags: i32) -> Ret {
    call!(SYS_open, path, flags, 0o644)
}

fn close(fd: Ret) {
    if let Ok(fd) = fd {
        let _ = call!(SYS_close, fd);
    }
}

/// Opens and answers only whether it worked.
fn tried(path: &core::ffi::CStr, flags: i32) -> Result<(), crate::errno::Errno> {
    let fd = open_at(path, flags);
    close(fd);
    fd.map(|_| ())
}

/// Which descriptor comes next.
fn lowest() -> i64 {
    let fd = open_at(c"/dev/null", 0);
    close(fd);
    fd.unwrap_or(-1)
}

/// `open`, `openat`, `creat`, `close`.
pub(crate) fn open() {
    use libc::{
        O_APPEND, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_PATH, O_RDONLY, O_RDWR, O_TRUNC,
        O_WRONLY,
    };
    check("missing", tried(c"/nope", 0));
    check("missing folder", tried(c"/nope/x", O_CREAT | O_WRONLY));
    check("empty path", tried(c"", 0));
    check("bad pointer", call!(SYS_open, BAD, 0, 0));
    check("create", tried(c"a", O_CREAT | O_WRONLY));
    check("create again", tried(c"a", O_CREAT | O_WRONLY));
    check("O_EXCL", tried(c"a", O_CREAT | O_EXCL | O_WRONLY));
    check("O_EXCL new", tried(c"b", O_CREAT | O_EXCL | O_WRONLY));
    check("creat", call!(SYS_creat, c"c", 0o600).is_ok());
    check("folder for reading", tried(c".", O_RDONLY));
    check("folder for writing", tried(c".", O_WRONLY));
    check("folder, O_CREAT", tried(c".", O_CREAT | O_RDONLY));
    check(
        "folder with slash, O_CREAT",
        tried(c"new/", O_CREAT | O_RDWR),
    );
    check("O_DIRECTORY of a file", tried(c"a", O_DIRECTORY));
    check("O_DIRECTORY of a folder", tried(c".", O_DIRECTORY));
    check("file as folder", tried(c"a/x", 0));
    check("file with slash", tried(c"a/", 0));
    check("dot after file", tried(c"a/.", 0));
    let _ = call!(SYS_symlink, c"a", c"to-a");
    let _ = call!(SYS_symlink, c"gone", c"dangling");
    let _ = call!(SYS_symlink, c"self-loop", c"self-loop");
    check("through a symlink", tried(c"to-a", 0));
    check("O_NOFOLLOW", tried(c"to-a", O_NOFOLLOW));
    check("O_NOFOLLOW and O_PATH", tried(c"to-a", O_NOFOLLOW | O_PATH));
    check("dangling", tried(c"dangling", 0));
    check(
        "dangling, O_EXCL",
        tried(c"dangling", O_CREAT | O_EXCL | O_WRONLY),
    );
    check(
        "dangling, O_CREAT makes its target",
        tried(c"dangling", O_CREAT | O_WRONLY),
    );
    check("target", tried(c"gone", 0));
    check("loop", tried(c"self-loop", 0));
    check("O_TMPFILE of a file", tried(c"a", libc::O_TMPFILE | O_RDWR));
    check("access mode 3", tried(c"a", 3));
    check("O_RDONLY and O_TRUNC", tried(c"a", O_TRUNC));
    let first = lowest();
    let one = open_at(c"a", 0).unwrap_or(-1);
    let two = open_at(c"a", 0).unwrap_or(-1);
    check("lowest numbers", (one - first, two - first));
    let _ = call!(SYS_close, one);
    check("lowest again", lowest() - first);
    let _ = call!(SYS_close, two);
    check("close twice", call!(SYS_close, two));
    check("close -1", call!(SYS_close, -1));
    check("close huge", call!(SYS_close, 0x7fff_ffff));

    let folder = open_at(c".", O_DIRECTORY).unwrap_or(-1);
    let at = |path: &core::ffi::CStr, flags: i32| {
        let fd = call!(SYS_openat, folder, path, flags, 0o644);
        close(fd);
        fd.map(|_| ())
    };
    check("openat", at(c"a", 0));
    check("openat missing", at(c"nope", 0));
    check("openat absolute", at(c"/dev/null", 0));
    check("openat empty", at(c"", 0));
    let file = open_at(c"a", O_RDWR).unwrap_or(-1);
    check("openat of a file", call!(SYS_openat, file, c"x", 0, 0));
    check("openat bad descriptor", call!(SYS_openat, 999, c"x", 0, 0));
    check(
        "openat bad descriptor, absolute",
        call!(SYS_openat, 999, c"/dev/null", 0, 0).is_ok(),
    );
    let path = open_at(c"a", O_PATH).unwrap_or(-1);
    check("O_PATH read", call!(SYS_read, path, &mut [0_u8], 1));
    check("O_PATH write", call!(SYS_write, path, b"x", 1));
    check("O_PATH lseek", call!(SYS_lseek, path, 0, 0));
    check("O_PATH fchmod", call!(SYS_fchmod, path, 0o600));
    check(
        "O_PATH ioctl",
        call!(SYS_ioctl, path, libc::FIONREAD, &mut 0_i32),
    );
    check(
        "O_PATH flags",
        call!(SYS_fcntl, path, libc::F_GETFL, 0).map(|flags| flags & i64::from(O_PATH) != 0),
    );
    check("O_PATH dup", call!(SYS_dup, path).is_ok());
    check(
        "F_GETFL",
        call!(SYS_fcntl, file, libc::F_GETFL, 0).map(|flags| flags & 0xff),
    );
    let append = open_at(c"a", O_WRONLY | O_APPEND).unwrap_or(-1);
    check(
        "F_GETFL append",
        call!(SYS_fcntl, append, libc::F_GETFL, 0).map(|flags| flags & 0x7fff),
    );
    check_child("umask", || {
        let _ = call!(SYS_umask, 0o077);
        let fd = call!(SYS_open, c"masked", O_CREAT | O_WRONLY, 0o777);
        let mut stat: libc::stat = crate::sys::zeroed();
        let _ = call!(SYS_fstat, fd.unwrap_or(-1), &mut stat);
        check("mode", format!("{:o}", stat.st_mode));
        0
    });
    check_child("mode of a new file need not let its opener in", || {
        let fd = call!(SYS_open, c"closed", O_CREAT | O_RDWR, 0);
        check("write", call!(SYS_write, fd.unwrap_or(-1), b"x", 1));
        0
    });
    check("close_range is here or not at all", {
        let answer = call!(SYS_close_range, 1000, 1001, 0);
        answer == Ok(0) || answer == Err(crate::errno::Errno(libc::ENOSYS))
    });
    let tmp = call!(SYS_open, c".", libc::O_TMPFILE | O_RDWR, 0o600);
    check(
        "O_TMPFILE",
        tmp.is_ok() || tmp == Err(crate::errno::Errno(libc::EOPNOTSUPP)),
    );
}

/// `read`, `write`, `pread64`, `pwrite64`.
pub(crate) fn read_write() {
    use libc::{O_APPEND, O_CREAT, O_RDWR, O_TRUNC, O_WRONLY};
    let fd = open_at(c"f", O_RDWR | O_CREAT | O_TRUNC).unwrap_or(-1);
    let mut buffer = [b'.'; 16];
    check("write", call!(SYS_write, fd, b"hello world", 11));
    check("read at the end", call!(SYS_read, fd, &mut buffer, 16));
    check("pread64", call!(SYS_pread64, fd, &mut buffer, 5, 6));
    check("bytes", buffer);
    check(
        "pread64 beyond",
        call!(SYS_pread64, fd, &mut buffer, 5, 100),
    );
    check("pread64 part", call!(SYS_pread64, fd, &mut buffer, 16, 8));
    check(
        "pread64 negative",
        call!(SYS_pread64, fd, &mut buffer, 5, -1),
    );
    check("pwrite64", call!(SYS_pwrite64, fd, b"J", 1, 0));
    check("pwrite64 negative", call!(SYS_pwrite64, fd, b"J", 1, -5));
    check("offset stays", call!(SYS_lseek, fd, 0, libc::SEEK_CUR));
    check("pwrite64 far", call!(SYS_pwrite64, fd, b"Z", 1, 20_000));
    check(
        "hole reads zero",
        call!(SYS_pread64, fd, &mut buffer, 16, 10_000),
    );
    check("bytes", buffer);
    check("size", call!(SYS_lseek, fd, 0, libc::SEEK_END));
    check("read 0 bytes", call!(SYS_read, fd, &mut buffer, 0));
    check("write 0 bytes", call!(SYS_write, fd, &buffer, 0));
    let _ = call!(SYS_lseek, fd, 0, 0);
    check("read bad pointer", call!(SYS_read, fd, BAD, 5));
    check("write bad pointer", call!(SYS_write, fd, BAD, 5));
    check("read 0 to a bad pointer", call!(SYS_read, fd, BAD, 0));
    check(
        "offset after the failures",
        call!(SYS_lseek, fd, 0, libc::SEEK_CUR),
    );
    check(
        "read into the kernel",
        call!(SYS_read, fd, crate::sys::KERNEL, 5),
    );
    check(
        "read huge count",
        call!(SYS_read, fd, &mut buffer, usize::MAX),
    );
    let read_only = open_at(c"f", 0).unwrap_or(-1);
    let write_only = open_at(c"f", O_WRONLY).unwrap_or(-1);
    check("write to read-only", call!(SYS_write, read_only, b"x", 1));
    check(
        "read of write-only",
        call!(SYS_read, write_only, &mut buffer, 1),
    );
    check(
        "pread64 of write-only",
        call!(SYS_pread64, write_only, &mut buffer, 1, 0),
    );
    check("read closed", call!(SYS_read, 999, &mut buffer, 1));
    check("write closed", call!(SYS_write, 999, &buffer, 1));
    check("closed wins over bad pointer", call!(SYS_read, 999, BAD, 1));
    check(
        "read of a folder",
        call!(SYS_read, open_at(c".", 0).unwrap_or(-1), &mut buffer, 1),
    );
    check(
        "pread64 of a folder",
        call!(
            SYS_pread64,
            open_at(c".", 0).unwrap_or(-1),
            &mut buffer,
            1,
            0
        ),
    );
    let append = open_at(c"f", O_WRONLY | O_APPEND).unwrap_or(-1);
    check("append", call!(SYS_write, append, b"END", 3));
    check("offset", call!(SYS_lseek, append, 0, libc::SEEK_CUR));
    let _ = call!(SYS_lseek, append, 0, 0);
    check("append after lseek", call!(SYS_write, append, b"!", 1));
    check("offset", call!(SYS_lseek, append, 0, libc::SEEK_CUR));
    check(
        "pread64 there",
        call!(SYS_pread64, fd, &mut buffer, 16, 19_998),
    );
    check("bytes", buffer);
    // Half of the buffer is there: what could be copied counts.
    let page = super::memory::fresh(2);
    let _ = call!(SYS_munmap, page + 4096, 4096);
    let _ = call!(SYS_lseek, fd, 0, 0);
    check("read over the edge", call!(SYS_read, fd, page + 4090, 100));
    let _ = call!(SYS_lseek, fd, 0, 0);
    check(
        "write over the edge",
        call!(SYS_write, fd, page + 4090, 100),
    );
    check("offset", call!(SYS_lseek, fd, 0, libc::SEEK_CUR));
    shared_offset();
    let big = vec![7_u8; 1 << 20];
    let fd = open_at(c"big", O_RDWR | O_CREAT).unwrap_or(-1);
    check("1 MiB", call!(SYS_write, fd, big.as_slice(), big.len()));
    let mut back = vec![0_u8; 1 << 20];
    check(
        "back",
        call!(SYS_pread64, fd, back.as_mut_slice(), back.len(), 0),
    );
    check("same", back == big);
    check("fsync", call!(SYS_fsync, fd));
    check("fdatasync", call!(SYS_fdatasync, fd));
    check("fsync closed", call!(SYS_fsync, 999));
    check("sync", call!(SYS_sync));
    check("syncfs", call!(SYS_syncfs, fd));
    check(
        "fadvise64",
        call!(SYS_fadvise64, fd, 0, 0, libc::POSIX_FADV_SEQUENTIAL),
    );
    check("fadvise64 bad", call!(SYS_fadvise64, fd, 0, 0, 99));
}

/// Fork and dup share the offset; a second open does not.
fn shared_offset() {
    let fd = open_at(c"f", libc::O_RDWR).unwrap_or(-1);
    let copy = call!(SYS_dup, fd).unwrap_or(-1);
    let other = open_at(c"f", libc::O_RDWR).unwrap_or(-1);
    let _ = call!(SYS_lseek, fd, 40, 0);
    check(
        "dup shares the offset",
        call!(SYS_lseek, copy, 0, libc::SEEK_CUR),
    );
    check("open does not", call!(SYS_lseek, other, 0, libc::SEEK_CUR));
    check_child("fork shares it", || {
        let _ = call!(SYS_lseek, fd, 60, 0);
        0
    });
    check("after the child", call!(SYS_lseek, fd, 0, libc::SEEK_CUR));
    for fd in [fd, copy, other] {
        let _ = call!(SYS_close, fd);
    }
}

/// `lseek`.
pub(crate) fn lseek() {
    let fd = open_at(c"s", libc::O_RDWR | libc::O_CREAT).unwrap_or(-1);
    let _ = call!(SYS_write, fd, b"0123456789", 10);
    check("SEEK_SET", call!(SYS_lseek, fd, 4, libc::SEEK_SET));
    check("SEEK_CUR", call!(SYS_lseek, fd, -1, libc::SEEK_CUR));
    check("SEEK_END", call!(SYS_lseek, fd, -3, libc::SEEK_END));
    check(
        "beyond the end",
        call!(SYS_lseek, fd, 1_i64 << 40, libc::SEEK_SET),
    );
    check("before the start", call!(SYS_lseek, fd, -1, libc::SEEK_SET));
    check("far before", call!(SYS_lseek, fd, i64::MIN, libc::SEEK_SET));
    check("overflow", {
        let _ = call!(SYS_lseek, fd, 10, libc::SEEK_SET);
        call!(SYS_lseek, fd, i64::MAX, libc::SEEK_CUR)
    });
    check("bad whence", call!(SYS_lseek, fd, 0, 99));
    check("SEEK_DATA", call!(SYS_lseek, fd, 3, libc::SEEK_DATA));
    check("SEEK_HOLE", call!(SYS_lseek, fd, 3, libc::SEEK_HOLE));
    check(
        "SEEK_DATA beyond",
        call!(SYS_lseek, fd, 10, libc::SEEK_DATA),
    );
    check("closed", call!(SYS_lseek, 999, 0, 0));
    let mut ends = [0_i32; 2];
    let _ = call!(SYS_pipe2, &mut ends, 0);
    check("pipe", call!(SYS_lseek, ends[0], 0, 0));
    check("pipe, bad whence", call!(SYS_lseek, ends[0], 0, 99));
    let null = open_at(c"/dev/null", 0).unwrap_or(-1);
    check("/dev/null", call!(SYS_lseek, null, 0, libc::SEEK_END));
    let folder = open_at(c".", 0).unwrap_or(-1);
    check("folder", call!(SYS_lseek, folder, 0, libc::SEEK_SET));
}

/// `truncate`, `ftruncate`, `fallocate`.
pub(crate) fn truncate() {
    let fd = open_at(c"t", libc::O_RDWR | libc::O_CREAT).unwrap_or(-1);
    let size = || call!(SYS_lseek, fd, 0, libc::SEEK_END);
    let _ = call!(SYS_write, fd, b"0123456789", 10);
    check("ftruncate shorter", call!(SYS_ftruncate, fd, 4));
    check("size", size());
    check("ftruncate longer", call!(SYS_ftruncate, fd, 8));
    let mut bytes = [b'.'; 8];
    let _ = call!(SYS_pread64, fd, &mut bytes, 8, 0);
    check("zeroes come", bytes);
    check("ftruncate over pages", call!(SYS_ftruncate, fd, 100_000));
    check("and back into one", call!(SYS_ftruncate, fd, 3));
    let _ = call!(SYS_ftruncate, fd, 8);
    let _ = call!(SYS_pread64, fd, &mut bytes, 8, 0);
    check("nothing comes back", bytes);
    check("ftruncate negative", call!(SYS_ftruncate, fd, -1));
    check("ftruncate closed", call!(SYS_ftruncate, 999, 0));
    let read_only = open_at(c"t", 0).unwrap_or(-1);
    check("ftruncate read-only", call!(SYS_ftruncate, read_only, 0));
    let mut ends = [0_i32; 2];
    let _ = call!(SYS_pipe2, &mut ends, 0);
    check("ftruncate pipe", call!(SYS_ftruncate, ends[1], 0));
    check("truncate", call!(SYS_truncate, c"t", 5));
    check("size", size());
    check("truncate missing", call!(SYS_truncate, c"nope", 5));
    check("truncate folder", call!(SYS_truncate, c".", 5));
    check("truncate negative", call!(SYS_truncate, c"t", -5));
    check("truncate bad pointer", call!(SYS_truncate, BAD, 5));
    check(
        "O_TRUNC",
        open_at(c"t", libc::O_WRONLY | libc::O_TRUNC).is_ok(),
    );
    check("size", size());
    check("fallocate", call!(SYS_fallocate, fd, 0, 0, 5000));
    check("size", size());
    check("fallocate length 0", call!(SYS_fallocate, fd, 0, 0, 0));
    check("fallocate negative", call!(SYS_fallocate, fd, 0, -1, 5));
    check_child("RLIMIT_FSIZE", || {
        let limit = libc::rlimit {
            rlim_cur: 6000,
            rlim_max: 6000,
        };
        let _ = call!(SYS_setrlimit, libc::RLIMIT_FSIZE, &limit);
        crate::sys::set_disposition(libc::SIGXFSZ, libc::SIG_IGN);
        check(
            "write up to it",
            call!(SYS_pwrite64, fd, &[0_u8; 100], 100, 5990),
        );
        check("write beyond", call!(SYS_pwrite64, fd, b"x", 1, 6000));
        check("ftruncate beyond", call!(SYS_ftruncate, fd, 6001));
        crate::sys::set_disposition(libc::SIGXFSZ, libc::SIG_DFL);
        let zero = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        let _ = call!(SYS_setrlimit, libc::RLIMIT_CORE, &zero);
        let _ = call!(SYS_pwrite64, fd, b"x", 1, 6000);
        0
    });
}
