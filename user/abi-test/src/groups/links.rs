//! Names of one file: hard links, removal, symbolic links.

use core::ffi::CStr;
use std::ffi::CString;

use crate::call;
use crate::report::check;
use crate::sys::{self, BAD};

fn touch(name: &CStr) {
    let _ = call!(SYS_close, call!(SYS_creat, name, 0o644).unwrap_or(-1));
}

fn links(name: &CStr) -> Result<i64, crate::errno::Errno> {
    let mut stat: libc::stat = sys::zeroed();
    call!(SYS_lstat, name, &mut stat).map(|_| i64::try_from(stat.st_nlink).unwrap_or(-1))
}

/// `link`, `linkat`, `unlink`.
pub(crate) fn run() {
    touch(c"a");
    check("link", call!(SYS_link, c"a", c"b"));
    check("links", links(c"a"));
    check("link over a file", call!(SYS_link, c"a", c"b"));
    check("link missing", call!(SYS_link, c"nope", c"c"));
    let _ = call!(SYS_mkdir, c"d", 0o755);
    check("link folder", call!(SYS_link, c"d", c"d2"));
    check(
        "link into a missing folder",
        call!(SYS_link, c"a", c"nope/x"),
    );
    check("link to a slash", call!(SYS_link, c"a", c"x/"));
    check("link bad pointer", call!(SYS_link, BAD, c"x"));
    let _ = call!(SYS_symlink, c"a", c"s");
    check("link of a symlink", call!(SYS_link, c"s", c"s2"));
    check(
        "is a symlink",
        call!(SYS_readlink, c"s2", &mut [0_u8; 8], 8),
    );
    let follow = libc::AT_SYMLINK_FOLLOW;
    let cwd = libc::AT_FDCWD;
    check(
        "linkat following",
        call!(SYS_linkat, cwd, c"s", cwd, c"c", follow),
    );
    check("links", links(c"a"));
    check(
        "linkat bad flags",
        call!(SYS_linkat, cwd, c"a", cwd, c"x", 1),
    );
    check("linkat closed", call!(SYS_linkat, 999, c"a", cwd, c"x", 0));
    check("across devices", call!(SYS_link, c"/proc/version", c"x"));
    check("unlink", call!(SYS_unlink, c"a"));
    check("links", links(c"b"));
    check("unlink again", call!(SYS_unlink, c"a"));
    check("unlink with slash", call!(SYS_unlink, c"b/"));
    check("unlink empty", call!(SYS_unlink, c""));
    check("unlink through a file", call!(SYS_unlink, c"b/x"));
    check("unlink bad pointer", call!(SYS_unlink, BAD));
    let fd = call!(SYS_open, c"b", libc::O_RDWR, 0).unwrap_or(-1);
    let _ = call!(SYS_unlink, c"b");
    let _ = call!(SYS_unlink, c"c");
    let mut stat: libc::stat = sys::zeroed();
    let _ = call!(SYS_fstat, fd, &mut stat);
    check("open without a name: links", stat.st_nlink);
    check("still writes", call!(SYS_write, fd, b"abc", 3));
    check("still reads", call!(SYS_pread64, fd, &mut [0_u8; 8], 8, 0));
    check("folder's links", links(c"d"));
    let _ = call!(SYS_mkdir, c"d/e", 0o755);
    check(
        "with a folder inside, no fewer",
        links(c"d").is_ok_and(|links| links >= 2 || links == 1),
    );
}

/// `symlink`, `readlink`, and walking through links.
pub(crate) fn symlinks() {
    let mut buffer = [b'.'; 12];
    check("symlink", call!(SYS_symlink, c"target", c"s"));
    check("symlink over it", call!(SYS_symlink, c"other", c"s"));
    check("symlink of nothing", call!(SYS_symlink, c"", c"t"));
    check("symlink to nothing", call!(SYS_symlink, c"x", c""));
    check("symlink bad pointer", call!(SYS_symlink, BAD, c"t"));
    check("readlink", call!(SYS_readlink, c"s", &mut buffer, 12));
    check("bytes", buffer);
    check("readlink cut", call!(SYS_readlink, c"s", &mut buffer, 3));
    check("readlink size 0", call!(SYS_readlink, c"s", &mut buffer, 0));
    check(
        "readlink negative",
        call!(SYS_readlink, c"s", &mut buffer, -1),
    );
    check(
        "readlink missing",
        call!(SYS_readlink, c"nope", &mut buffer, 12),
    );
    check("readlink bad buffer", call!(SYS_readlink, c"s", BAD, 12));
    touch(c"file");
    check(
        "readlink of a file",
        call!(SYS_readlink, c"file", &mut buffer, 12),
    );
    check(
        "readlink of a folder",
        call!(SYS_readlink, c".", &mut buffer, 12),
    );
    let fd = call!(SYS_open, c"s", libc::O_PATH | libc::O_NOFOLLOW, 0).unwrap_or(-1);
    check(
        "readlinkat of a descriptor",
        call!(SYS_readlinkat, fd, c"", &mut buffer, 12),
    );
    check(
        "symlinkat",
        call!(SYS_symlinkat, c"file", libc::AT_FDCWD, c"sf"),
    );
    let _ = call!(SYS_mkdir, c"d", 0o755);
    touch(c"d/inside");
    let _ = call!(SYS_symlink, c"d", c"sd");
    let exists = |path: &CStr| call!(SYS_access, path, libc::F_OK);
    check("through a link", exists(c"sd/inside"));
    check("dotdot after a link", exists(c"sd/../file"));
    check("link to a folder with slash", exists(c"sd/"));
    check("link to a file with slash", exists(c"sf/"));
    let absolute = std::env::current_dir().unwrap_or_default().join("d");
    let absolute = CString::new(absolute.as_os_str().as_encoded_bytes()).expect("no NUL");
    let _ = call!(SYS_symlink, absolute.as_c_str(), c"sa");
    check("absolute link", exists(c"sa/inside"));
    check("rmdir of a link to a folder", call!(SYS_rmdir, c"sd"));
    check("unlink of a link to a folder", call!(SYS_unlink, c"sd"));
    check("folder is still there", exists(c"d/inside"));
    // Forty links are followed, not forty-one.
    let _ = call!(SYS_symlink, c"file", c"l1");
    for n in 2..=41 {
        let (to, name) = (format!("l{}", n - 1), format!("l{n}"));
        let (to, name) = (
            CString::new(to).expect("no NUL"),
            CString::new(name).expect("no NUL"),
        );
        let _ = call!(SYS_symlink, to.as_c_str(), name.as_c_str());
    }
    check("40 links", exists(c"l40"));
    check("41 links", exists(c"l41"));
    let _ = call!(SYS_symlink, c"y", c"x");
    let _ = call!(SYS_symlink, c"x", c"y");
    check("two in a ring", exists(c"x"));
    let _ = call!(SYS_symlink, c"deep/x", c"deep");
    check("one that grows", exists(c"deep"));
    let long = CString::new("t".repeat(4095)).expect("no NUL");
    check(
        "target of 4,095 bytes",
        call!(SYS_symlink, long.as_c_str(), c"long"),
    );
    check("its size", {
        let mut stat: libc::stat = sys::zeroed();
        call!(SYS_lstat, c"long", &mut stat).map(|_| stat.st_size)
    });
    let long = CString::new("t".repeat(4096)).expect("no NUL");
    check(
        "target of 4,096 bytes",
        call!(SYS_symlink, long.as_c_str(), c"long2"),
    );
}
