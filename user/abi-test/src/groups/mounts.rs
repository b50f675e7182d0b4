//! Mounting: a tmpfs, a bind mount, and their ends.

use core::ffi::CStr;

use crate::call;
use crate::report::check;
use crate::sys::BAD;

fn exists(path: &CStr) -> bool {
    call!(SYS_access, path, 0).is_ok()
}

/// The cases; what they mount they take away again.
pub(crate) fn run() {
    let _ = call!(SYS_mkdir, c"m", 0o755);
    let _ = call!(SYS_mkdir, c"b", 0o755);
    let _ = call!(SYS_close, call!(SYS_creat, c"m/under", 0o644).unwrap_or(-1));
    check("tmpfs", call!(SYS_mount, c"none", c"m", c"tmpfs", 0, 0));
    check("covers what was there", exists(c"m/under"));
    let _ = call!(SYS_close, call!(SYS_creat, c"m/over", 0o644).unwrap_or(-1));
    check("has its own", exists(c"m/over"));
    check(
        "in /proc/mounts",
        std::fs::read_to_string("/proc/mounts").is_ok_and(|text| text.contains("/mounts/m tmpfs")),
    );
    check("rmdir of a mount point", call!(SYS_rmdir, c"m"));
    check("rename of a mount point", call!(SYS_rename, c"m", c"n"));
    check("link across", call!(SYS_link, c"m/over", c"x"));
    check("rename across", call!(SYS_rename, c"m/over", c"x"));
    check("dotdot goes out", exists(c"m/../m/over"));
    check("bind", call!(SYS_mount, c"m", c"b", 0, libc::MS_BIND, 0));
    check("shows the same", exists(c"b/over"));
    let _ = call!(SYS_close, call!(SYS_creat, c"b/new", 0o644).unwrap_or(-1));
    check("written through it", exists(c"m/new"));
    let fd = call!(SYS_open, c"m/over", libc::O_RDONLY, 0).unwrap_or(-1);
    check("umount while used", call!(SYS_umount2, c"m", 0));
    let _ = call!(SYS_close, fd);
    check("umount", call!(SYS_umount2, c"m", 0));
    check("what was there is back", exists(c"m/under"));
    check("the bind stays", exists(c"b/over"));
    check("umount the bind", call!(SYS_umount2, c"b", 0));
    check("umount again", call!(SYS_umount2, c"b", 0));
    check("umount missing", call!(SYS_umount2, c"nope", 0));
    check("umount bad flags", call!(SYS_umount2, c"b", 0x1000));
    check(
        "mount missing target",
        call!(SYS_mount, c"none", c"nope", c"tmpfs", 0, 0),
    );
    check(
        "mount unknown type",
        call!(SYS_mount, c"none", c"m", c"nofs", 0, 0),
    );
    check(
        "mount on a file",
        call!(SYS_mount, c"none", c"m/under", c"tmpfs", 0, 0),
    );
    check(
        "mount bad target",
        call!(SYS_mount, c"none", BAD, c"tmpfs", 0, 0),
    );
    check(
        "bind missing",
        call!(SYS_mount, c"nope", c"b", 0, libc::MS_BIND, 0),
    );
    check(
        "bind a file on a folder",
        call!(SYS_mount, c"m/under", c"b", 0, libc::MS_BIND, 0),
    );
    check("bind a file on a file", {
        let _ = call!(SYS_close, call!(SYS_creat, c"f", 0o644).unwrap_or(-1));
        call!(SYS_mount, c"m/under", c"f", 0, libc::MS_BIND, 0)
    });
    check("umount it", call!(SYS_umount2, c"f", 0));
    check(
        "read-only tmpfs",
        call!(SYS_mount, c"none", c"m", c"tmpfs", libc::MS_RDONLY, 0),
    );
    check("create in it", call!(SYS_creat, c"m/x", 0o644));
    check("mkdir in it", call!(SYS_mkdir, c"m/x", 0o755));
    check("access W_OK", call!(SYS_access, c"m", libc::W_OK));
    check("umount", call!(SYS_umount2, c"m", 0));
}
