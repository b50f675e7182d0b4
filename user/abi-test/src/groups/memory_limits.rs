//! The limits of memory: address space, data, stack, locked memory.
//!
//! Each limit is set by what is used, a little above it, and what runs into it is
//! compared; then it is put back, so that nothing else of the program feels it.
//! Nothing in between may ask for memory of its own.

use crate::call;
use crate::report::{check, check_child, wait};
use crate::runner::SELF;
use crate::sys::{self, ANON, PAGE, RW, Ret};

/// What C libraries do not agree on.
type Resource = i64;

const AS: Resource = libc::RLIMIT_AS as Resource;
const DATA: Resource = libc::RLIMIT_DATA as Resource;
const STACK: Resource = libc::RLIMIT_STACK as Resource;
const MEMLOCK: Resource = libc::RLIMIT_MEMLOCK as Resource;

const NONE: u64 = libc::RLIM_INFINITY;

const SHARED: i32 = libc::MAP_SHARED | libc::MAP_ANONYMOUS;

/// Pages above what is used, up to the limit.
const ROOM: usize = 64;

/// What `/proc/self/status` says, in bytes; asks for no memory.
fn held(name: &str) -> u64 {
    let mut text = [0_u8; 4096];
    let fd = call!(SYS_open, c"/proc/self/status", 0, 0).unwrap_or(-1);
    let len = call!(SYS_read, fd, text.as_mut_slice(), 4096).unwrap_or(0);
    let _ = call!(SYS_close, fd);
    let text = core::str::from_utf8(&text[..len as usize]).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.strip_prefix(':')?.split_whitespace().next());
    kib.and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) << 10
}

fn get(resource: Resource) -> libc::rlimit {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    let _ = call!(SYS_getrlimit, resource, &mut limit);
    limit
}

fn set(resource: Resource, soft: u64, hard: u64) -> Ret {
    let limit = libc::rlimit {
        rlim_cur: soft,
        rlim_max: hard,
    };
    call!(SYS_setrlimit, resource, &limit)
}

/// Does something with another soft limit.
fn under<R>(resource: Resource, soft: u64, body: impl FnOnce() -> R) -> R {
    let old = get(resource);
    let is_set = set(resource, soft.min(old.rlim_max), old.rlim_max);
    let result = body();
    let is_back = set(resource, old.rlim_cur, old.rlim_max);
    if is_set.is_err() || is_back.is_err() {
        check("the limit is set, and put back", (is_set, is_back));
    }
    result
}

fn map(pages: usize, protection: i32, flags: i32) -> Ret {
    call!(SYS_mmap, 0, pages * PAGE, protection, flags, -1, 0)
}

/// Maps and unmaps again: whether it was possible.
fn try_map(pages: usize, protection: i32, flags: i32) -> Ret {
    map(pages, protection, flags).map(|at| {
        let _ = call!(SYS_munmap, at, pages * PAGE);
        0
    })
}

fn at(answer: Ret) -> usize {
    answer.map_or(0, |at| at as usize)
}

/// Whether the break moves up by so many pages; it is put back.
fn try_break(pages: usize) -> bool {
    let old = sys::program_break(0);
    let new = sys::program_break(old + pages * PAGE);
    sys::program_break(old);
    new != old
}

/// The cases for who has no rights.
pub(crate) fn run() {
    all();
    check("a higher hard limit", set(STACK, 1 << 20, 1 << 20));
    check("and back", set(STACK, 1 << 20, 2 << 20));
}

/// Those for root, who may lock what it likes. Whether it may raise a hard limit
/// depends on who started it.
pub(crate) fn as_root() {
    all();
}

fn all() {
    check_child("address space", || {
        address_space();
        0
    });
    check_child("data", || {
        data();
        0
    });
    check_child("stack", || {
        stack();
        0
    });
    check_child("locked", || {
        locked();
        0
    });
    check_child("locked, of a process and its child", || {
        locked_by_two();
        0
    });
    for (name, resource) in [
        ("AS", AS),
        ("DATA", DATA),
        ("STACK", STACK),
        ("MEMLOCK", MEMLOCK),
    ] {
        inherited(name, resource);
    }
}

/// What a child has, and the program that it runs.
fn inherited(name: &str, resource: Resource) {
    check_child(&format!("{name} is inherited"), || {
        // Enough for any program, and no default.
        let (soft, hard) = (3 << 30, 5 << 30);
        let soft = if resource == MEMLOCK {
            (3 << 16, 5 << 16)
        } else {
            (soft, hard)
        };
        check("  set", set(resource, soft.0, soft.1));
        check_child("  by a fork", || {
            let limit = get(resource);
            check("    found", (limit.rlim_cur, limit.rlim_max));
            0
        });
        super::exec::exec(SELF, &[c"self", c"--memory-limits"], &[])
    });
}

/// The program that [`inherited`] runs.
pub(crate) fn role() -> i32 {
    for (name, resource) in [
        ("AS", AS),
        ("DATA", DATA),
        ("STACK", STACK),
        ("MEMLOCK", MEMLOCK),
    ] {
        let limit = get(resource);
        let is_ours = |bytes: u64| [3 << 30, 5 << 30, 3 << 16, 5 << 16].contains(&bytes);
        if is_ours(limit.rlim_cur) {
            check(
                &format!("    by execve: {name}"),
                (limit.rlim_cur, is_ours(limit.rlim_max)),
            );
        }
    }
    0
}

fn address_space() {
    let resource = AS;
    // With nothing behind it: what is mapped there is nobody else's.
    let own = at(map(9, RW, ANON));
    let _ = call!(SYS_munmap, own + 8 * PAGE, PAGE);
    let segment = at(map(8, RW, SHARED));
    let id = call!(SYS_shmget, libc::IPC_PRIVATE, 2 * ROOM * PAGE, 0o600).unwrap_or(-1);
    let used = held("VmSize");
    let limit = used + (ROOM * PAGE) as u64;
    let asked = under(resource, limit, || {
        [
            ("all that is left", try_map(ROOM, RW, ANON)),
            ("a page more", try_map(ROOM + 1, RW, ANON)),
            ("of no rights", try_map(ROOM + 1, libc::PROT_NONE, ANON)),
            ("shared", try_map(ROOM + 1, RW, SHARED)),
            (
                "without reserve",
                try_map(ROOM + 1, RW, ANON | libc::MAP_NORESERVE),
            ),
            ("a stack", try_map(ROOM + 1, RW, ANON | libc::MAP_GROWSDOWN)),
            ("a segment", call!(SYS_shmat, id, 0, 0)),
        ]
    });
    for (name, answer) in asked {
        check(&format!("  {name}"), answer.map(|_| ()));
    }
    let moved = under(resource, limit, || [try_break(ROOM), try_break(ROOM + 1)]);
    check("  brk to the limit", moved[0]);
    check("  brk beyond", moved[1]);
    // With all of it used.
    let asked = under(resource, used, || {
        let fixed = ANON | libc::MAP_FIXED;
        let to = own + 4 * PAGE;
        [
            ("nothing is left", try_map(1, RW, ANON)),
            (
                "in place of another",
                call!(SYS_mmap, own, 4 * PAGE, RW, fixed, -1, 0).map(|_| 0),
            ),
            (
                "in place of less",
                call!(SYS_mmap, to, 5 * PAGE, RW, fixed, -1, 0).map(|_| 0),
            ),
            (
                "mremap to more",
                call!(
                    SYS_mremap,
                    segment,
                    8 * PAGE,
                    9 * PAGE,
                    libc::MREMAP_MAYMOVE
                )
                .map(|_| 0),
            ),
            (
                "mremap and leave",
                call!(SYS_mremap, own, PAGE, PAGE, 5, 0).map(|_| 0),
            ),
            (
                "mremap to less",
                call!(SYS_mremap, segment, 8 * PAGE, 7 * PAGE, 0).map(|_| 0),
            ),
            (
                "mprotect",
                call!(SYS_mprotect, own, PAGE, libc::PROT_READ).map(|_| 0),
            ),
        ]
    });
    for (name, answer) in asked {
        check(&format!("  {name}"), answer);
    }
    // With less than is used.
    let asked = under(resource, PAGE as u64, || {
        sys::poke(segment, 7);
        let child = sys::fork(|| {
            // Its own mappings are no less its own.
            sys::poke(segment + PAGE, 9);
            i32::from(try_map(1, RW, ANON).is_err())
        });
        let mut status = 0_i32;
        let _ = call!(SYS_wait4, child, &mut status, 0, 0);
        (
            i64::from(status >> 8),
            i64::from(sys::peek(segment + PAGE)),
            call!(SYS_munmap, segment, PAGE),
            try_map(1, RW, ANON),
        )
    });
    check("  below what is used: the child", asked.0);
    check("  it stores", asked.1);
    check("  munmap", asked.2);
    check("  mmap", asked.3);
    let _ = call!(SYS_shmctl, id, libc::IPC_RMID, 0);
    // Linux ends the caller, when the old program is gone; it may go on as well.
    let end = wait(sys::fork(|| {
        let _ = set(resource, 16 << 10, 16 << 10);
        let words = [SELF.as_ptr().expose_provenance(), 0];
        i32::from(call!(SYS_execve, SELF, &words, 0).is_err())
    }));
    check("  a program that does not fit runs", end == "exit 0");
    check_child("  a stack that does not fit", || {
        let stack = stack_below(512);
        let _ = set(resource, held("VmSize") + 8 * PAGE as u64, NONE);
        sys::poke(stack - 4 * PAGE, 1);
        // Beyond, it is a fault.
        sys::poke(stack - 40 * PAGE, 1);
        0
    });
}

/// A page of a stack that may grow down by so many; its address.
fn stack_below(pages: usize) -> usize {
    let none = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let room = at(map(pages + 600, libc::PROT_NONE, none));
    let _ = call!(SYS_munmap, room, (pages + 600) * PAGE);
    let flags = ANON | libc::MAP_GROWSDOWN | libc::MAP_FIXED;
    let top = room + (pages + 500) * PAGE;
    at(call!(SYS_mmap, top, PAGE, RW, flags, -1, 0))
}

fn data() {
    let resource = DATA;
    let readable = at(map(2 * ROOM, libc::PROT_READ, ANON));
    let own = at(map(4, RW, ANON));
    let shared = at(map(2 * ROOM, libc::PROT_READ, SHARED));
    let used = held("VmData");
    let limit = used + (ROOM * PAGE) as u64;
    let asked = under(resource, limit, || {
        let file = call!(SYS_open, c"/proc/self/exe", 0, 0).unwrap_or(-1);
        let of_file = |protection: i32| {
            let len = (ROOM + 1) * PAGE;
            let at = call!(SYS_mmap, 0, len, protection, libc::MAP_PRIVATE, file, 0)?;
            call!(SYS_munmap, at, len)
        };
        let protect = |at: usize, pages: usize| call!(SYS_mprotect, at, pages * PAGE, RW);
        let asked = [
            ("all that is left", try_map(ROOM, RW, ANON)),
            ("a page more", try_map(ROOM + 1, RW, ANON)),
            ("readable", try_map(ROOM + 1, libc::PROT_READ, ANON)),
            ("writable alone", try_map(ROOM + 1, libc::PROT_WRITE, ANON)),
            ("shared", try_map(ROOM + 1, RW, SHARED)),
            ("a stack", try_map(ROOM + 1, RW, ANON | libc::MAP_GROWSDOWN)),
            ("a file's, readable", of_file(libc::PROT_READ)),
            ("a file's, writable", of_file(RW)),
            ("mprotect of shared", protect(shared, 2 * ROOM)),
            ("mprotect of too much", protect(readable, ROOM + 1)),
            ("mprotect of what is left", protect(readable, ROOM)),
            (
                "mprotect of a page more",
                protect(readable + ROOM * PAGE, 1),
            ),
            ("what is writable already", protect(readable, ROOM)),
            ("nothing is left", try_map(1, RW, ANON)),
            (
                "mremap to more",
                call!(SYS_mremap, own, 4 * PAGE, 5 * PAGE, libc::MREMAP_MAYMOVE).map(|_| 0),
            ),
            (
                "mprotect back",
                call!(SYS_mprotect, readable, ROOM * PAGE, libc::PROT_READ),
            ),
            ("as much again", try_map(ROOM, RW, ANON)),
        ];
        let _ = call!(SYS_close, file);
        asked
    });
    for (name, answer) in asked {
        check(&format!("  {name}"), answer);
    }
    // What brk(2) counts are its own heap and the program's data, not all of it.
    let moved = under(resource, PAGE as u64, || {
        [try_break(1), try_map(1, RW, ANON).is_ok()]
    });
    check("  brk below what is used", moved[0]);
    check("  mmap below what is used", moved[1]);
    // Old programs that use no data: the hard limit counts.
    let none = under(resource, 0, || [try_break(1), try_map(1, RW, ANON).is_ok()]);
    check("  brk without any", none[0]);
    check("  mmap without any", none[1]);
    check_child("  brk to the limit", || {
        let start = sys::program_break(0);
        let far = sys::program_break(start + 256 * PAGE);
        sys::program_break(start);
        check("    without a limit", far == start + 256 * PAGE);
        let _ = set(resource, 64 << 20, NONE);
        let far = sys::program_break(start + (65 << 20));
        check("    beyond", far == start);
        let far = sys::program_break(start + (60 << 20));
        check("    below", far == start + (60 << 20));
        0
    });
    check_child("  a hard limit of nothing", || {
        let _ = set(resource, 0, 0);
        i32::from(try_map(1, RW, ANON).is_ok())
    });
}

fn stack() {
    let resource = STACK;
    const LIMIT: usize = 64;
    let limit = (LIMIT * PAGE) as u64;
    check_child("  within", || {
        let stack = stack_below(2 * LIMIT);
        let _ = set(resource, limit, NONE);
        sys::poke(stack - (LIMIT - 1) * PAGE, 1);
        i32::from(sys::peek(stack - PAGE))
    });
    check_child("  a page beyond", || {
        let stack = stack_below(2 * LIMIT);
        let _ = set(resource, limit, NONE);
        sys::poke(stack - LIMIT * PAGE, 1);
        0
    });
    check_child("  a call's copy beyond", || {
        let stack = stack_below(2 * LIMIT);
        let _ = set(resource, limit, NONE);
        check(
            "    within",
            call!(SYS_getcwd, stack - 8 * PAGE, 64).is_ok(),
        );
        check("    beyond", call!(SYS_getcwd, stack - LIMIT * PAGE, 64));
        0
    });
    check_child("  larger than the limit already", || {
        let stack = stack_below(2 * LIMIT);
        sys::poke(stack - LIMIT * PAGE, 1);
        let _ = set(resource, limit / 2, NONE);
        sys::poke(stack - (LIMIT - 3) * PAGE, 1);
        check("    what is there", sys::peek(stack - LIMIT * PAGE));
        sys::poke(stack - (LIMIT + 1) * PAGE, 1);
        0
    });
    check_child("  a limit raised again", || {
        let stack = stack_below(2 * LIMIT);
        let _ = set(resource, limit / 2, NONE);
        sys::poke(stack - (LIMIT / 4) * PAGE, 1);
        let _ = set(resource, limit, NONE);
        sys::poke(stack - (LIMIT - 1) * PAGE, 1);
        0
    });
    check_child("  a child's", || {
        let stack = stack_below(2 * LIMIT);
        let _ = set(resource, limit, NONE);
        check(
            "    child",
            wait(sys::fork(|| {
                sys::poke(stack - LIMIT * PAGE, 1);
                0
            })),
        );
        sys::poke(stack - (LIMIT - 1) * PAGE, 1);
        0
    });
    check_child("  arguments", || {
        // A quarter of the stack, and 128 KiB always.
        let long = std::ffi::CString::new(vec![b'x'; 100 << 10]).unwrap_or_default();
        let word = long.as_ptr().expose_provenance();
        let words = |count: usize| {
            let mut words = vec![SELF.as_ptr().expose_provenance(); 2];
            words[1] = c"--count".as_ptr().expose_provenance();
            words.extend(core::iter::repeat_n(word, count));
            words.push(0);
            words
        };
        for (name, bytes, count) in [
            ("100 of 128", 64 << 10, 1),
            ("200 of 128", 64 << 10, 2),
            ("200 of 256", 1 << 20, 2),
            ("300 of 256", 1 << 20, 3),
        ] {
            let words = words(count);
            let end = wait(sys::fork(|| {
                let _ = set(resource, bytes, NONE);
                let answer = call!(SYS_execve, SELF, words.as_slice(), 0);
                check(&format!("    {name}"), answer);
                1
            }));
            check(&format!("    {name}"), end);
        }
        0
    });
}

fn locked() {
    let resource = MEMLOCK;
    const LIMIT: usize = 16;
    let limit = (LIMIT * PAGE) as u64;
    let own = at(map(4 * LIMIT, RW, ANON));
    let lock = |at: usize, pages: usize| call!(SYS_mlock, at, pages * PAGE);
    let unlock = |at: usize, pages: usize| call!(SYS_munlock, at, pages * PAGE);
    let asked = under(resource, limit, || {
        [
            ("mlock of all", lock(own, LIMIT)),
            ("a page more", lock(own + LIMIT * PAGE, 1)),
            ("what is locked already", lock(own + 2 * PAGE, LIMIT - 2)),
            ("more than that", lock(own + 2 * PAGE, LIMIT)),
            ("mlock2", call!(SYS_mlock2, own + LIMIT * PAGE, PAGE, 1)),
            ("munlock", unlock(own, 4)),
            ("mlock elsewhere", lock(own + 2 * LIMIT * PAGE, 4)),
            ("too much", lock(own + 3 * LIMIT * PAGE, 1)),
            ("mlockall", call!(SYS_mlockall, libc::MCL_CURRENT)),
            ("MAP_LOCKED", try_map(1, RW, ANON | libc::MAP_LOCKED)),
            ("munlock of all", unlock(own, 4 * LIMIT)),
            (
                "MAP_LOCKED of all",
                try_map(LIMIT, RW, ANON | libc::MAP_LOCKED),
            ),
            (
                "MAP_LOCKED of more",
                try_map(LIMIT + 1, RW, ANON | libc::MAP_LOCKED),
            ),
        ]
    });
    for (name, answer) in asked {
        check(&format!("  {name}"), answer);
    }
    let _ = call!(SYS_munlockall);
    let asked = under(resource, limit, || {
        let area = at(map(LIMIT, RW, ANON));
        let asked = [
            ("locked to grow", lock(area, LIMIT)),
            (
                "mremap to more",
                call!(
                    SYS_mremap,
                    area,
                    LIMIT * PAGE,
                    (LIMIT + 1) * PAGE,
                    libc::MREMAP_MAYMOVE
                )
                .map(|_| 0),
            ),
            (
                "mremap elsewhere",
                call!(SYS_mremap, area, LIMIT * PAGE, LIMIT * PAGE, 3, own).map(|_| 0),
            ),
        ];
        let _ = call!(SYS_munlockall);
        asked
    });
    for (name, answer) in asked {
        check(&format!("  {name}"), answer);
    }
    let asked = under(resource, limit, || {
        let future = call!(SYS_mlockall, libc::MCL_FUTURE);
        let asked = [
            ("mlockall for the future", future),
            ("mmap of all", try_map(LIMIT, RW, ANON)),
            ("mmap of more", try_map(LIMIT + 1, RW, ANON)),
            ("brk", Ok(i64::from(try_break(LIMIT + 1)))),
        ];
        let _ = call!(SYS_munlockall);
        asked
    });
    for (name, answer) in asked {
        check(&format!("  {name}"), answer);
    }
    let id = call!(SYS_shmget, libc::IPC_PRIVATE, 2 * LIMIT * PAGE, 0o600).unwrap_or(-1);
    let asked = under(resource, 0, || {
        [
            ("mlock without any", lock(own, 1)),
            (
                "mlockall",
                call!(SYS_mlockall, libc::MCL_CURRENT).map(|_| 0),
            ),
            ("MAP_LOCKED", try_map(1, RW, ANON | libc::MAP_LOCKED)),
            ("munlock", unlock(own, 1)),
            ("SHM_LOCK", call!(SYS_shmctl, id, 11, 0)),
            ("SHM_UNLOCK", call!(SYS_shmctl, id, 12, 0)),
        ]
    });
    for (name, answer) in asked {
        check(&format!("  {name}"), answer);
    }
    let answer = under(resource, limit, || call!(SYS_shmctl, id, 11, 0));
    check("  SHM_LOCK of too much", answer);
    let _ = call!(SYS_shmctl, id, 12, 0);
    let _ = call!(SYS_shmctl, id, libc::IPC_RMID, 0);
    check_child("  a locked stack that grows", || {
        let stack = stack_below(LIMIT);
        let _ = call!(SYS_munlockall);
        let _ = set(resource, 4 * PAGE as u64, get(resource).rlim_max);
        check("    mlock", call!(SYS_mlock, stack, PAGE));
        sys::poke(stack - 2 * PAGE, 1);
        sys::poke(stack - 8 * PAGE, 1);
        0
    });
}

/// A child has no locks, and the whole limit.
fn locked_by_two() {
    let resource = MEMLOCK;
    let own = at(map(8, RW, ANON));
    under(resource, 8 * PAGE as u64, || {
        check("  mlock", call!(SYS_mlock, own, 8 * PAGE));
        check_child("  child", || {
            check("    VmLck", held("VmLck"));
            let other = at(map(8, RW, ANON));
            check("    mlock", call!(SYS_mlock, other, 8 * PAGE));
            check("    VmLck", held("VmLck"));
            0
        });
        check("  VmLck", held("VmLck"));
        let _ = call!(SYS_munlock, own, 8 * PAGE);
    });
}
