//! Permission bits and owners: what an ordinary user may not, and root may.

use core::ffi::CStr;

use crate::call;
use crate::errno::Errno;
use crate::report::{check, check_child};
use crate::sys::{self, BAD};

fn mode(name: &CStr) -> Result<String, Errno> {
    let mut stat: libc::stat = sys::zeroed();
    call!(SYS_stat, name, &mut stat).map(|_| format!("{:o}", stat.st_mode & 0o7777))
}

fn touch(name: &CStr) {
    let _ = call!(SYS_close, call!(SYS_creat, name, 0o644).unwrap_or(-1));
}

/// As an ordinary user.
pub(crate) fn run() {
    touch(c"f");
    for bits in [0o644, 0o000, 0o777, 0o4755, 0o2755, 0o1777, 0o10644] {
        check("chmod", call!(SYS_chmod, c"f", bits));
        check("mode", mode(c"f"));
    }
    check("chmod missing", call!(SYS_chmod, c"nope", 0o644));
    check("chmod bad pointer", call!(SYS_chmod, BAD, 0o644));
    check("chmod of root's", call!(SYS_chmod, c"/dev/null", 0o644));
    let fd = call!(SYS_open, c"f", libc::O_RDONLY, 0).unwrap_or(-1);
    check("fchmod", call!(SYS_fchmod, fd, 0o600));
    check("fchmod closed", call!(SYS_fchmod, 999, 0o600));
    check("fchmodat", call!(SYS_fchmodat, libc::AT_FDCWD, c"f", 0o640));
    check("mode", mode(c"f"));
    let open = |name: &CStr, flags: i32| call!(SYS_open, name, flags, 0).map(|_| ());
    let _ = call!(SYS_chmod, c"f", 0o000);
    check("read of 000", open(c"f", libc::O_RDONLY));
    check("O_PATH of 000", open(c"f", libc::O_PATH));
    let _ = call!(SYS_chmod, c"f", 0o400);
    check("read of 400", open(c"f", libc::O_RDONLY));
    check("write of 400", open(c"f", libc::O_WRONLY));
    check("truncate of 400", call!(SYS_truncate, c"f", 0));
    check("access W_OK of 400", call!(SYS_access, c"f", libc::W_OK));
    let _ = call!(SYS_chmod, c"f", 0o077);
    check(
        "owner's bits count, not the others'",
        open(c"f", libc::O_RDONLY),
    );
    let _ = call!(SYS_mkdir, c"d", 0o755);
    touch(c"d/x");
    let _ = call!(SYS_chmod, c"d", 0o600);
    check("folder without x: open inside", open(c"d/x", 0));
    check("folder without x: stat inside", mode(c"d/x"));
    check("folder without x: chdir", call!(SYS_chdir, c"d"));
    check("folder without x: listing", open(c"d", libc::O_RDONLY));
    let _ = call!(SYS_chmod, c"d", 0o300);
    check("folder without r: listing", open(c"d", libc::O_RDONLY));
    check("folder without r: open inside", open(c"d/x", 0));
    let _ = call!(SYS_chmod, c"d", 0o500);
    check("folder without w: create", call!(SYS_creat, c"d/y", 0o644));
    check("folder without w: unlink", call!(SYS_unlink, c"d/x"));
    check("folder without w: mkdir", call!(SYS_mkdir, c"d/z", 0o755));
    check(
        "folder without w: rename",
        call!(SYS_rename, c"d/x", c"d/y"),
    );
    check("folder without w: link", call!(SYS_link, c"f", c"d/y"));
    check(
        "folder without w: open for writing",
        open(c"d/x", libc::O_WRONLY),
    );
    let _ = call!(SYS_chmod, c"d", 0o755);
    check("chown to root", call!(SYS_chown, c"f", 0, -1));
    check("chgrp to root", call!(SYS_chown, c"f", -1, 0));
    check("chown nothing", call!(SYS_chown, c"f", -1, -1));
    let (uid, gid) = (
        call!(SYS_getuid).unwrap_or(0),
        call!(SYS_getgid).unwrap_or(0),
    );
    check("chown to myself", call!(SYS_chown, c"f", uid, gid));
    let _ = call!(SYS_chmod, c"f", 0o4755);
    let _ = call!(SYS_chown, c"f", -1, gid);
    check("chown takes the set-user bit", mode(c"f"));
    check("lchown", call!(SYS_lchown, c"f", uid, gid));
    check("fchown", call!(SYS_fchown, fd, uid, gid));
    check(
        "fchownat",
        call!(SYS_fchownat, libc::AT_FDCWD, c"f", uid, gid, 0),
    );
    check(
        "fchownat bad flags",
        call!(SYS_fchownat, libc::AT_FDCWD, c"f", uid, gid, 1),
    );
    check("chown missing", call!(SYS_chown, c"nope", uid, gid));
    check(
        "write to a root's folder",
        call!(SYS_creat, c"/dev/abi-test", 0o644),
    );
    check(
        "remove from a root's folder",
        call!(SYS_unlink, c"/dev/null"),
    );
    check(
        "sticky /tmp-like folder is not ours to clean",
        call!(SYS_rmdir, c"../self"),
    );
    check("mount", call!(SYS_mount, c"none", c"d", c"tmpfs", 0, 0));
    check("umount", call!(SYS_umount2, c"/", 0));
    check("chroot", call!(SYS_chroot, c"."));
    check("sethostname", call!(SYS_sethostname, c"x", 1));
    check("settimeofday", call!(SYS_settimeofday, &[1_i64, 1], 0));
    check("kill init", call!(SYS_kill, 1, 0));
    check_child("write clears the set-user bit", || {
        touch(c"suid");
        let _ = call!(SYS_chmod, c"suid", 0o4755);
        let fd = call!(SYS_open, c"suid", libc::O_WRONLY, 0).unwrap_or(-1);
        let _ = call!(SYS_write, fd, b"x", 1);
        check("mode", mode(c"suid"));
        0
    });
}

/// As root, and as one who was.
pub(crate) fn as_root() {
    touch(c"f");
    let _ = call!(SYS_chmod, c"f", 0o000);
    check(
        "root reads 000",
        call!(SYS_open, c"f", libc::O_RDWR, 0).is_ok(),
    );
    check("root cannot run 000", call!(SYS_access, c"f", libc::X_OK));
    check("chown", call!(SYS_chown, c"f", 1000, 1001));
    let mut stat: libc::stat = sys::zeroed();
    let _ = call!(SYS_stat, c"f", &mut stat);
    check("owner", (stat.st_uid, stat.st_gid));
    let _ = call!(SYS_chmod, c"f", 0o6777);
    let _ = call!(SYS_chown, c"f", -1, 50);
    check("chown by root takes the bits of a program too", mode(c"f"));
    let _ = call!(SYS_mkdir, c"sticky", 0o777);
    let _ = call!(SYS_chmod, c"sticky", 0o1777);
    touch(c"sticky/roots");
    let _ = call!(SYS_chmod, c".", 0o755);
    let _ = call!(SYS_chmod, c"sticky/roots", 0o666);
    let _ = call!(SYS_mkdir, c"setgid", 0o777);
    let _ = call!(SYS_chown, c"setgid", 0, 77);
    let _ = call!(SYS_chmod, c"setgid", 0o2777);
    check_child("as user 1000, group 1000", || {
        let _ = call!(SYS_setgroups, 0, 0);
        let _ = call!(SYS_setresgid, 1000, 1000, 1000);
        let _ = call!(SYS_setresuid, 1000, 1000, 1000);
        check(
            "remove another's from a sticky folder",
            call!(SYS_unlink, c"sticky/roots"),
        );
        check(
            "rename another's in a sticky folder",
            call!(SYS_rename, c"sticky/roots", c"sticky/x"),
        );
        check(
            "write to it",
            call!(SYS_open, c"sticky/roots", libc::O_WRONLY, 0).is_ok(),
        );
        touch(c"sticky/mine");
        check("remove my own", call!(SYS_unlink, c"sticky/mine"));
        touch(c"setgid/x");
        let mut stat: libc::stat = sys::zeroed();
        let _ = call!(SYS_stat, c"setgid/x", &mut stat);
        check("a set-group folder gives its group", stat.st_gid);
        let _ = call!(SYS_mkdir, c"setgid/d", 0o755);
        check("and the bit to folders", mode(c"setgid/d"));
        check(
            "chmod of another's",
            call!(SYS_chmod, c"sticky/roots", 0o777),
        );
        check(
            "utimes to now of a writable file",
            call!(SYS_utimensat, libc::AT_FDCWD, c"sticky/roots", 0, 0),
        );
        check(
            "utimes to a time",
            call!(
                SYS_utimensat,
                libc::AT_FDCWD,
                c"sticky/roots",
                &[[1_i64, 1], [1, 1]],
                0
            ),
        );
        check("setuid 0", call!(SYS_setuid, 0));
        check(
            "kill a root's process",
            call!(SYS_kill, call!(SYS_getppid).unwrap_or(0), 0),
        );
        0
    });
    check_child("with a supplementary group", || {
        let _ = call!(SYS_chown, c"f", 0, 77);
        let _ = call!(SYS_chmod, c"f", 0o640);
        let _ = call!(SYS_setgroups, 1, &[77_u32]);
        let _ = call!(SYS_setresgid, 1000, 1000, 1000);
        let _ = call!(SYS_setresuid, 1000, 1000, 1000);
        check(
            "read by group",
            call!(SYS_open, c"f", libc::O_RDONLY, 0).is_ok(),
        );
        check(
            "write by group",
            call!(SYS_open, c"f", libc::O_WRONLY, 0).map(|_| ()),
        );
        0
    });
    check_child("set-user program", || {
        let _ = std::fs::copy("../self", "suid");
        let _ = call!(SYS_chown, c"suid", 1234, 0);
        let _ = call!(SYS_chmod, c"suid", 0o4755);
        super::exec::exec(c"suid", &[c"suid", c"--ids"], &[])
    });
    let without = || {
        let _ = call!(SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        super::exec::exec(c"suid", &[c"suid", c"--ids"], &[])
    };
    check_child("the same under no_new_privs", without);
    let as_user = |body: &dyn Fn() -> i32| {
        let _ = call!(SYS_setresuid, 1000, 1000, 1000);
        body()
    };
    check_child("a root's program, as user 1000", || {
        let _ = call!(SYS_chown, c"suid", 0, 0);
        let _ = call!(SYS_chmod, c"suid", 0o4755);
        as_user(&|| super::exec::exec(c"suid", &[c"suid", c"--ids"], &[]))
    });
    check_child("the same under no_new_privs, as user 1000", || {
        as_user(&without)
    });
    check_child("the same in what such a one forks", || {
        let _ = call!(SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        as_user(&|| {
            check_child("  child", || {
                super::exec::exec(c"suid", &[c"suid", c"--ids"], &[])
            });
            0
        })
    });
}
