//! Users and groups.

use crate::call;
use crate::report::{check, check_child};
use crate::sys::{self, BAD};

fn users() -> (u32, u32, u32) {
    let mut ids = [9_u32; 3];
    let [real, effective, saved] = &mut ids;
    let _ = call!(SYS_getresuid, real, effective, saved);
    (ids[0], ids[1], ids[2])
}

fn groups() -> (u32, u32, u32) {
    let mut ids = [9_u32; 3];
    let [real, effective, saved] = &mut ids;
    let _ = call!(SYS_getresgid, real, effective, saved);
    (ids[0], ids[1], ids[2])
}

/// As an ordinary user.
pub(crate) fn run() {
    let uid = call!(SYS_getuid).unwrap_or(-1);
    let gid = call!(SYS_getgid).unwrap_or(-1);
    check("not root", uid != 0 && gid != 0);
    check("effective user", call!(SYS_geteuid) == Ok(uid));
    check("effective group", call!(SYS_getegid) == Ok(gid));
    let (real, effective, saved) = users();
    check(
        "getresuid",
        [real, effective, saved]
            .iter()
            .all(|id| i64::from(*id) == uid),
    );
    check("getresuid bad", call!(SYS_getresuid, BAD, BAD, BAD));
    check("getresgid bad", call!(SYS_getresgid, BAD, BAD, BAD));
    check("setuid to myself", call!(SYS_setuid, uid));
    check("setuid to root", call!(SYS_setuid, 0));
    check("setuid -1", call!(SYS_setuid, -1));
    check("setgid to myself", call!(SYS_setgid, gid));
    check("setgid to root", call!(SYS_setgid, 0));
    check("setreuid to root", call!(SYS_setreuid, -1, 0));
    check("setregid to root", call!(SYS_setregid, 0, -1));
    check("setresuid nothing", call!(SYS_setresuid, -1, -1, -1));
    check("setresuid to root", call!(SYS_setresuid, -1, -1, 0));
    check("setresgid to root", call!(SYS_setresgid, 0, -1, -1));
    check("setgroups", call!(SYS_setgroups, 1, &[5_u32]));
    check("setfsuid gives the old", call!(SYS_setfsuid, -1) == Ok(uid));
    check("setfsgid gives the old", call!(SYS_setfsgid, -1) == Ok(gid));
    check("getgroups negative", call!(SYS_getgroups, -1, 0));
}

/// As root, in children that give it up.
pub(crate) fn as_root() {
    check("root", users());
    check_child("setuid gives up all three", || {
        check("setuid", call!(SYS_setuid, 1000));
        check("users", users());
        check("back", call!(SYS_setuid, 0));
        0
    });
    check_child("seteuid and back", || {
        check("setresuid", call!(SYS_setresuid, -1, 1000, -1));
        check("users", users());
        check("kept right", call!(SYS_setresuid, -1, 0, -1));
        check("users", users());
        0
    });
    check_child("setreuid sets the saved one", || {
        check("setreuid", call!(SYS_setreuid, 1000, 1001));
        check("users", users());
        check("to another", call!(SYS_setreuid, -1, 1002));
        0
    });
    check_child("groups", || {
        check("setgroups", call!(SYS_setgroups, 3, &[10_u32, 30, 20]));
        check("count", call!(SYS_getgroups, 0, 0));
        let mut list = [0_u32; 8];
        check("getgroups", call!(SYS_getgroups, 8, &mut list));
        let mut sorted = list[..3].to_vec();
        sorted.sort_unstable();
        check("list", (sorted[0], sorted[1], sorted[2]));
        check("getgroups too small", call!(SYS_getgroups, 2, &mut list));
        check("getgroups bad", call!(SYS_getgroups, 8, BAD));
        check("setgroups too many", call!(SYS_setgroups, 70_000, &list));
        check("setgroups bad", call!(SYS_setgroups, 3, BAD));
        check("setgid", call!(SYS_setgid, 500));
        check("groups", groups());
        check("setregid", call!(SYS_setregid, 501, 502));
        check("groups", groups());
        check("setresgid", call!(SYS_setresgid, 1, 2, 3));
        check("groups", groups());
        0
    });
    check_child("setfsuid", || {
        let _ = call!(SYS_chmod, c".", 0o777);
        check("old", call!(SYS_setfsuid, 1000));
        check("new", call!(SYS_setfsuid, -1));
        let _ = call!(SYS_close, call!(SYS_creat, c"x", 0o644).unwrap_or(-1));
        let mut stat: libc::stat = sys::zeroed();
        let _ = call!(SYS_stat, c"x", &mut stat);
        check("owner of a new file", stat.st_uid);
        0
    });
}
