//! System V shared memory.

use crate::arch::{self, ENDS_AT_47_BITS};
use crate::call;
use crate::report::{check, check_child, check_ok, wait};
use crate::sys::{self, ANON, BAD, KERNEL, PAGE, RW};

const NEW: i32 = libc::IPC_CREAT | libc::IPC_EXCL;

fn get(key: i32, size: usize, flags: i32) -> sys::Ret {
    call!(SYS_shmget, key, size, flags)
}

fn attach(id: i64, at: usize, flags: i32) -> sys::Ret {
    call!(SYS_shmat, id, at, flags)
}

fn detach(at: usize) -> sys::Ret {
    call!(SYS_shmdt, at)
}

fn remove(id: i64) -> sys::Ret {
    call!(SYS_shmctl, id, libc::IPC_RMID, 0)
}

fn status(id: i64) -> Result<libc::shmid_ds, crate::errno::Errno> {
    let mut status: libc::shmid_ds = sys::zeroed();
    call!(SYS_shmctl, id, libc::IPC_STAT, &mut status).map(|_| status)
}

/// What is the same on every run.
fn show(name: &str, id: i64) {
    let own = std::process::id() as i32;
    let text = status(id).map(|of| {
        format!(
            "{} bytes, {} attached, mode {:o}, private {}, made here {}, last here {}, times {} {} {}",
            of.shm_segsz,
            of.shm_nattch,
            of.shm_perm.mode,
            arch::key(&of.shm_perm) == 0,
            of.shm_cpid == own,
            of.shm_lpid == own,
            of.shm_atime != 0,
            of.shm_dtime != 0,
            of.shm_ctime != 0
        )
    });
    check(name, text);
}

/// A key that nobody else has.
fn key(number: i32) -> i32 {
    0x0c00_0000 + std::process::id() as i32 * 16 + number
}

/// Making and finding.
fn making() {
    check("no size", get(libc::IPC_PRIVATE, 0, 0o600));
    check("a huge size", get(libc::IPC_PRIVATE, usize::MAX, 0o600));
    check(
        "too many pages",
        get(libc::IPC_PRIVATE, usize::MAX - (1 << 24) - 1, 0o600),
    );
    check("more than there is", get(libc::IPC_PRIVATE, 1 << 46, 0o600));
    check("nobody's key", get(key(0), PAGE, 0o600));
    let id = get(key(0), PAGE + 1, NEW | 0o640);
    check_ok("a key", id);
    let id = id.unwrap_or(-1);
    show("new", id);
    check("found", get(key(0), 0, 0) == Ok(id));
    check("found, smaller", get(key(0), PAGE, 0o600) == Ok(id));
    check(
        "found, as large",
        get(key(0), PAGE + 1, libc::IPC_CREAT) == Ok(id),
    );
    check("larger", get(key(0), PAGE + 2, 0o600));
    check("to be new", get(key(0), PAGE, NEW | 0o600));
    check(
        "exclusive only",
        get(key(0), PAGE, libc::IPC_EXCL | 0o600) == Ok(id),
    );
    check("remove", remove(id));
    check("gone", get(key(0), PAGE, 0o600));
    check("remove it again", remove(id));
    check("status", status(id).map(|_| ()));
    check("attach", attach(id, 0, 0).map(|_| ()));
    for flags in [0o777, 0o400, 0o200, 0o7_0000_0777] {
        let id = get(libc::IPC_PRIVATE, 1, flags).unwrap_or(-1);
        show("private", id);
        let _ = remove(id);
    }
}

/// Attaching and detaching.
fn attaching() {
    let id = get(libc::IPC_PRIVATE, 2 * PAGE + 5, 0o600).unwrap_or(-1);
    let at = attach(id, 0, 0).unwrap_or(0) as usize;
    show("attached", id);
    check("zeroes", (sys::peek(at), sys::peek(at + 2 * PAGE)));
    sys::poke(at + PAGE, 7);
    let again = attach(id, 0, libc::SHM_RDONLY).unwrap_or(0) as usize;
    check("the same", (again != at, sys::peek(again + PAGE)));
    show("attached twice", id);
    check_child("for reading only", || {
        sys::poke(again, 1);
        0
    });
    check(
        "to write all the same",
        call!(SYS_mprotect, again, PAGE, RW),
    );
    check(
        "to execute",
        call!(SYS_mprotect, again, PAGE, libc::PROT_READ | libc::PROT_EXEC),
    );
    let child = sys::fork(|| {
        sys::poke(at, 9);
        let forked = status(id).map_or(0, |of| of.shm_nattch);
        let detached = detach(at).is_ok();
        let left = status(id).map_or(0, |of| of.shm_nattch);
        forked as i32 * 10 + left as i32 + i32::from(!detached) * 100
    });
    check("a child has it too", wait(child));
    check("what it wrote", (sys::peek(at), sys::peek(again)));
    show("the child is gone", id);
    check("detach inside", detach(at + PAGE));
    check("detach between", detach(at + 1));
    check("detach nothing", detach(BAD & !15));
    check("detach the kernel", detach(KERNEL));
    check("detach", detach(again));
    check("twice", detach(again));
    show("detached once", id);

    let fixed = |at: usize, flags: i32| {
        let got = attach(id, at, flags);
        let is_there = got == Ok(at as i64);
        if let Ok(got) = got
            && got as usize != at
        {
            let _ = detach(got as usize);
        }
        got.map(|_| is_there)
    };
    let room = call!(SYS_mmap, 0, 8 * PAGE, RW, ANON, -1, 0).unwrap_or(0) as usize;
    sys::poke(room + 2 * PAGE, 5);
    check("where something is", fixed(room, 0));
    let _ = call!(SYS_munmap, room, PAGE);
    check("where something follows", fixed(room, 0));
    check("in its place", fixed(room, libc::SHM_REMAP));
    check(
        "its page",
        (sys::peek(room + PAGE), sys::peek(room + 3 * PAGE)),
    );
    check("detach", detach(room));
    check("free", fixed(room, 0));
    check("between pages", fixed(room + 5, 0));
    check(
        "rounded",
        attach(id, room + 5, libc::SHM_RND | libc::SHM_REMAP) == Ok(room as i64),
    );
    check("rounded, taken", fixed(room + 5, libc::SHM_RND));
    check("no address in its place", fixed(0, libc::SHM_REMAP));
    check(
        "page 0 in its place",
        fixed(5, libc::SHM_REMAP | libc::SHM_RND),
    );
    check("page 0", fixed(5, libc::SHM_RND));
    if ENDS_AT_47_BITS {
        check("high", fixed(0x7fff_ffff_f000, 0));
        check("the last pages", fixed(0x7fff_ffff_d000, 0));
    }
    check("the kernel's", fixed(KERNEL, 0));
    check("round the end", fixed(usize::MAX & !(PAGE - 1), 0));
    let code = attach(id, 0, libc::SHM_EXEC).unwrap_or(0) as usize;
    sys::poke(code, 0xc3);
    let _ = sys::jump(code);
    check("code", detach(code));
    check(
        "unknown flags",
        attach(id, 0, 7).map(|at| detach(at as usize)),
    );

    // A piece is cut out, and a piece moves.
    let whole = attach(id, 0, 0).unwrap_or(0) as usize;
    let before = status(id).map_or(0, |of| of.shm_nattch);
    let _ = call!(SYS_munmap, whole + PAGE, PAGE);
    check(
        "cut in two",
        status(id).map_or(0, |of| of.shm_nattch) - before,
    );
    check("detach both", detach(whole));
    check(
        "as before",
        before - status(id).map_or(0, |of| of.shm_nattch),
    );
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let line = maps.lines().find(|line| line.contains("SYSV"));
    check(
        "its name",
        line.and_then(|line| line.split_whitespace().nth(5))
            .unwrap_or("-")
            .to_owned(),
    );
    check("remove", remove(id));
    show("removed, attached", id);
    check(
        "attached once more",
        attach(id, 0, 0).map(|at| detach(at as usize)),
    );
    check("still there", sys::peek(at + PAGE));
    check("unmapped", call!(SYS_munmap, at, 2 * PAGE));
    show("partly", id);
    let left = call!(SYS_munmap, at + 2 * PAGE, PAGE);
    check("the rest", left);
    let _ = detach(room);
    show("all", id);
}

/// Ends that detach.
fn ends() {
    let fresh = || {
        let id = get(libc::IPC_PRIVATE, PAGE, 0o600).unwrap_or(-1);
        let at = attach(id, 0, 0).unwrap_or(0) as usize;
        (id, at)
    };
    let (id, at) = fresh();
    check_child("a child removes it and ends", || {
        let removed = remove(id);
        sys::poke(at, 4);
        i32::from(removed.is_err())
    });
    check("the parent has it", sys::peek(at));
    check("detach", detach(at));
    show("then it is gone", id);
    let (id, at) = fresh();
    let _ = detach(at);
    check_child("attached by a child that is killed", || {
        let at = attach(id, 0, 0).unwrap_or(0) as usize;
        sys::poke(at, 1);
        let _ = remove(id);
        let _ = call!(SYS_kill, call!(SYS_getpid).unwrap_or(0), libc::SIGKILL);
        0
    });
    show("gone with it", id);
    let (id, at) = fresh();
    let _ = detach(at);
    check_child("attached by a child that executes", || {
        let _ = attach(id, 0, 0);
        let _ = remove(id);
        let _ = call!(
            SYS_execve,
            crate::runner::SELF,
            [0_usize; 1].as_slice(),
            [0_usize; 1].as_slice()
        );
        9
    });
    show("gone with that", id);
}

/// `shmctl`.
fn control() {
    let id = get(libc::IPC_PRIVATE, PAGE, 0o600).unwrap_or(-1);
    check("bad status", call!(SYS_shmctl, id, libc::IPC_STAT, BAD));
    check("bad set", call!(SYS_shmctl, id, libc::IPC_SET, BAD));
    check("unknown", call!(SYS_shmctl, id, 77, 0));
    check("negative", call!(SYS_shmctl, id, -1, 0));
    check("negative number", call!(SYS_shmctl, -1, libc::IPC_STAT, 0));
    check(
        "old structures",
        call!(SYS_shmctl, id, libc::IPC_STAT | 0x100, BAD),
    );
    let mut new = status(id).unwrap_or_else(|_| sys::zeroed());
    new.shm_perm.mode = 0o7466;
    new.shm_segsz = 1;
    check("set", call!(SYS_shmctl, id, libc::IPC_SET, &new));
    show("what came of it", id);
    new.shm_perm.uid = u32::MAX;
    check("nobody's", call!(SYS_shmctl, id, libc::IPC_SET, &new));
    check("lock", call!(SYS_shmctl, id, libc::SHM_LOCK, 0));
    show("locked", id);
    check("unlock", call!(SYS_shmctl, id, libc::SHM_UNLOCK, 0));
    show("unlocked", id);
    let limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    check_child("no limit to lock with", || {
        let _ = call!(SYS_setrlimit, libc::RLIMIT_MEMLOCK, &limit);
        call!(SYS_shmctl, id, libc::SHM_LOCK, 0).map_or_else(|error| error.0, |_| 0)
    });
    let limit = libc::rlimit {
        rlim_cur: PAGE as u64 - 1,
        rlim_max: PAGE as u64 - 1,
    };
    check_child("a limit that is too low", || {
        let _ = call!(SYS_setrlimit, libc::RLIMIT_MEMLOCK, &limit);
        call!(SYS_shmctl, id, libc::SHM_LOCK, 0).map_or_else(|error| error.0, |_| 0)
    });
    let mut limits = [0_u64; 9];
    check_ok("limits", call!(SYS_shmctl, 0, libc::IPC_INFO, &mut limits));
    check("what they are", format!("{:?}", &limits[..5]));
    let mut usage = [0_u64; 6];
    check_ok("use", call!(SYS_shmctl, 0, 14, &mut usage));
    check("at least one", (usage[0] >= 1, usage[1] >= 1));
    check("bad limits", call!(SYS_shmctl, 0, libc::IPC_INFO, BAD));
    let mut of: libc::shmid_ds = sys::zeroed();
    check(
        "by place",
        call!(SYS_shmctl, id & 0x7fff, 13, &mut of) == Ok(id),
    );
    check(
        "by place, whoever asks",
        call!(SYS_shmctl, id & 0x7fff, 15, &mut of) == Ok(id),
    );
    check("a far place", call!(SYS_shmctl, 0x7ffe, 13, &mut of));
    check(
        "by a stale number",
        call!(SYS_shmctl, id ^ 1 << 30, libc::IPC_STAT, &mut of),
    );
    let listed = std::fs::read_to_string("/proc/sysvipc/shm").unwrap_or_default();
    let own = listed
        .lines()
        .find(|line| line.split_whitespace().nth(1) == Some(&id.to_string()));
    let fields = own.map(|line| line.split_whitespace().collect::<Vec<_>>());
    check(
        "listed",
        fields.map_or(String::new(), |fields| {
            [
                fields[0], fields[2], fields[3], fields[6], fields[14], fields[15],
            ]
            .join(" ")
        }),
    );
    check(
        "the columns",
        listed.lines().next().unwrap_or_default().to_owned(),
    );
    check("remove", remove(id));
    for name in ["shmmax", "shmall", "shmmni"] {
        let text = std::fs::read_to_string(format!("/proc/sys/kernel/{name}"));
        check(name, text.unwrap_or_default().trim().to_owned());
    }
}

/// The cases.
pub(crate) fn run() {
    making();
    attaching();
    ends();
    control();
}

/// Who may do what.
pub(crate) fn as_root() {
    let id = get(key(1), PAGE, NEW | 0o640).unwrap_or(-1);
    let other = |name: &str, uid: u32, gid: u32, body: &dyn Fn() -> sys::Ret| {
        check_child(name, || {
            let _ = call!(SYS_setgroups, 0, 0);
            let _ = call!(SYS_setresgid, gid, gid, gid);
            let _ = call!(SYS_setresuid, uid, uid, uid);
            body().map_or_else(|error| error.0, |_| 0)
        });
    };
    for (name, uid, gid) in [("another user", 1000, 1000), ("a member", 1000, 0)] {
        check("who", name);
        other("find", uid, gid, &|| get(key(1), 0, 0));
        other("find to read", uid, gid, &|| get(key(1), 0, 0o400));
        other("find to write", uid, gid, &|| get(key(1), 0, 0o600));
        other("attach to read", uid, gid, &|| {
            attach(id, 0, libc::SHM_RDONLY)
        });
        other("attach", uid, gid, &|| attach(id, 0, 0));
        other("attach to execute", uid, gid, &|| {
            attach(id, 0, libc::SHM_EXEC | libc::SHM_RDONLY)
        });
        other("status", uid, gid, &|| status(id).map(|_| 0));
        other("by place", uid, gid, &|| {
            let mut of: libc::shmid_ds = sys::zeroed();
            call!(SYS_shmctl, id & 0x7fff, 13, &mut of)
        });
        other("by place, whoever asks", uid, gid, &|| {
            let mut of: libc::shmid_ds = sys::zeroed();
            call!(SYS_shmctl, id & 0x7fff, 15, &mut of)
        });
        other("lock", uid, gid, &|| {
            call!(SYS_shmctl, id, libc::SHM_LOCK, 0)
        });
        other("unlock", uid, gid, &|| {
            call!(SYS_shmctl, id, libc::SHM_UNLOCK, 0)
        });
        other("set", uid, gid, &|| {
            let of: libc::shmid_ds = sys::zeroed();
            call!(SYS_shmctl, id, libc::IPC_SET, &of)
        });
        other("remove", uid, gid, &|| remove(id));
    }
    let mut new = status(id).unwrap_or_else(|_| sys::zeroed());
    new.shm_perm.uid = 1000;
    new.shm_perm.mode = 0o200;
    check("give away", call!(SYS_shmctl, id, libc::IPC_SET, &new));
    other("the owner, no right to read", 1000, 1000, &|| {
        attach(id, 0, 0)
    });
    other("the owner sets", 1000, 1000, &|| {
        let mut of: libc::shmid_ds = sys::zeroed();
        of.shm_perm.uid = 1000;
        of.shm_perm.mode = 0o600;
        call!(SYS_shmctl, id, libc::IPC_SET, &of)
    });
    other("and attaches", 1000, 1000, &|| attach(id, 0, 0));
    other("and removes", 1000, 1000, &|| remove(id));
    check("gone", status(id).map(|_| ()));
}
