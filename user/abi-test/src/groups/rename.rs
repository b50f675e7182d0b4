//! `rename`, `renameat2`.

use core::ffi::CStr;

use crate::call;
use crate::report::check;
use crate::sys::{self, BAD, Ret};

fn touch(name: &CStr, content: &[u8]) {
    let fd = call!(SYS_creat, name, 0o644).unwrap_or(-1);
    let _ = call!(SYS_write, fd, content, content.len());
    let _ = call!(SYS_close, fd);
}

fn size(name: &CStr) -> Ret {
    let mut stat: libc::stat = sys::zeroed();
    call!(SYS_lstat, name, &mut stat).map(|_| stat.st_size)
}

/// The cases.
pub(crate) fn run() {
    let rename = |from: &CStr, to: &CStr| call!(SYS_rename, from, to);
    touch(c"a", b"a");
    touch(c"bb", b"bb");
    check("rename", rename(c"a", c"c"));
    check("old name", size(c"a"));
    check("new name", size(c"c"));
    check("over a file", rename(c"bb", c"c"));
    check("replaced", size(c"c"));
    check("onto itself", rename(c"c", c"c"));
    check("missing", rename(c"nope", c"x"));
    check("into a missing folder", rename(c"c", c"nope/x"));
    check("empty", rename(c"", c"x"));
    check("to empty", rename(c"c", c""));
    check("bad pointer", call!(SYS_rename, BAD, c"x"));
    check("bad target", call!(SYS_rename, c"c", BAD));
    for name in [c"d", c"d/sub", c"e", c"full", c"full/x"] {
        let _ = call!(SYS_mkdir, name, 0o755);
    }
    check("folder over a file", rename(c"d", c"c"));
    check("file over a folder", rename(c"c", c"d"));
    check("folder over an empty folder", rename(c"d", c"e"));
    check("its content came", size(c"e/sub").is_ok());
    check("folder over a full folder", rename(c"e", c"full"));
    check("into itself", rename(c"e", c"e/sub/x"));
    check("into its own child", rename(c"e", c"e/x"));
    check("over its own parent", rename(c"e/sub", c"e"));
    check("dot", rename(c"e/.", c"x"));
    check("dotdot", rename(c"e/sub/..", c"x"));
    check("to dot", rename(c"e", c"full/."));
    check("root", rename(c"/", c"x").is_err());
    check("file with slash", rename(c"c/", c"x"));
    check("file to a name with slash", rename(c"c", c"x/"));
    check("folder to a name with slash", rename(c"e", c"x/"));
    check("it is there", size(c"x/sub").is_ok());
    check("across devices", rename(c"c", c"/proc/x"));
    let _ = call!(SYS_link, c"c", c"same");
    check("over another name of the same file", rename(c"c", c"same"));
    check("both stay", (size(c"c"), size(c"same")));
    let _ = call!(SYS_symlink, c"c", c"link");
    touch(c"f", b"four");
    check("over a symlink", rename(c"f", c"link"));
    check("the link is replaced", size(c"link"));
    check("not its target", size(c"c"));
    check("a symlink itself", {
        let _ = call!(SYS_symlink, c"12345", c"s");
        rename(c"s", c"s2")
    });
    check("its size", size(c"s2"));
    let fd = call!(SYS_open, c"link", libc::O_RDONLY, 0).unwrap_or(-1);
    touch(c"new", b"n");
    check("over an open file", rename(c"new", c"link"));
    check("the open one stays", call!(SYS_read, fd, &mut [0_u8; 8], 8));
    check("folder's parent is the new one", {
        let _ = call!(SYS_mkdir, c"p1", 0o755);
        let _ = call!(SYS_mkdir, c"p2", 0o755);
        let _ = call!(SYS_mkdir, c"p1/m", 0o755);
        let _ = rename(c"p1/m", c"p2/m");
        let (mut up, mut parent): (libc::stat, libc::stat) = (sys::zeroed(), sys::zeroed());
        let _ = call!(SYS_stat, c"p2/m/..", &mut up);
        let _ = call!(SYS_stat, c"p2", &mut parent);
        up.st_ino == parent.st_ino
    });

    let cwd = libc::AT_FDCWD;
    let with = |from: &CStr, to: &CStr, flags: u32| call!(SYS_renameat2, cwd, from, cwd, to, flags);
    touch(c"one", b"1");
    touch(c"two", b"22");
    check("renameat2", with(c"one", c"uno", 0));
    check(
        "NOREPLACE taken",
        with(c"uno", c"two", libc::RENAME_NOREPLACE),
    );
    check(
        "NOREPLACE free",
        with(c"uno", c"one", libc::RENAME_NOREPLACE),
    );
    check("EXCHANGE", with(c"one", c"two", libc::RENAME_EXCHANGE));
    check("exchanged", (size(c"one"), size(c"two")));
    check(
        "EXCHANGE missing",
        with(c"one", c"nope", libc::RENAME_EXCHANGE),
    );
    check(
        "EXCHANGE file and folder",
        with(c"one", c"p1", libc::RENAME_EXCHANGE),
    );
    let both = libc::RENAME_EXCHANGE | libc::RENAME_NOREPLACE;
    check("both flags", with(c"one", c"two", both));
    check("bad flags", with(c"one", c"two", 0x100));
    check(
        "renameat closed",
        call!(SYS_renameat, 999, c"one", cwd, c"x"),
    );
    let folder = call!(SYS_open, c"p2", libc::O_RDONLY, 0).unwrap_or(-1);
    check(
        "renameat",
        call!(SYS_renameat, cwd, c"two", folder, c"moved"),
    );
    check("there", size(c"p2/moved"));
}
