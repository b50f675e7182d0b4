//! Resource limits, and running into them.

use crate::call;
use crate::report::{check, check_child, describe, wait};
use crate::sys::{self, BAD};

/// `getrlimit`, `setrlimit`, `prlimit64`.
pub(crate) fn rlimits() {
    let mut limit = libc::rlimit {
        rlim_cur: 1,
        rlim_max: 1,
    };
    for resource in 0..16 {
        check("getrlimit", call!(SYS_getrlimit, resource, &mut limit));
        check("soft is not above hard", limit.rlim_cur <= limit.rlim_max);
    }
    check(
        "getrlimit bad resource",
        call!(SYS_getrlimit, 16, &mut limit),
    );
    check("setrlimit bad resource", call!(SYS_setrlimit, 99, &limit));
    check("getrlimit bad pointer", call!(SYS_getrlimit, 0, BAD));
    check("setrlimit bad pointer", call!(SYS_setrlimit, 0, BAD));
    check_child("lower and raise", || {
        let set = |cur: u64, max: u64| {
            let limit = libc::rlimit {
                rlim_cur: cur,
                rlim_max: max,
            };
            call!(SYS_setrlimit, libc::RLIMIT_NOFILE, &limit)
        };
        check("soft above hard", set(60, 50));
        check("lower", set(40, 50));
        let mut limit = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        check(
            "read",
            call!(SYS_getrlimit, libc::RLIMIT_NOFILE, &mut limit),
        );
        check("limits", (limit.rlim_cur, limit.rlim_max));
        check("soft up to hard", set(50, 50));
        check("hard up", set(50, 60));
        check_child("inherited", || {
            let mut limit = libc::rlimit {
                rlim_cur: 0,
                rlim_max: 0,
            };
            let _ = call!(SYS_getrlimit, libc::RLIMIT_NOFILE, &mut limit);
            limit.rlim_max as i32
        });
        let mut old = limit;
        let new = libc::rlimit {
            rlim_cur: 30,
            rlim_max: 50,
        };
        check(
            "prlimit64",
            call!(SYS_prlimit64, 0, libc::RLIMIT_NOFILE, &new, &mut old),
        );
        check("old", (old.rlim_cur, old.rlim_max));
        check(
            "prlimit64 of nobody",
            call!(SYS_prlimit64, 99_999_999, libc::RLIMIT_NOFILE, 0, &mut old),
        );
        check(
            "prlimit64 of init",
            call!(SYS_prlimit64, 1, libc::RLIMIT_NOFILE, 0, &mut old),
        );
        check(
            "prlimit64 bad resource",
            call!(SYS_prlimit64, 0, 99, 0, &mut old),
        );
        0
    });
    check_child("RLIMIT_CPU", || {
        let limit = libc::rlimit {
            rlim_cur: 1,
            rlim_max: 2,
        };
        let _ = call!(SYS_setrlimit, libc::RLIMIT_CPU, &limit);
        let zero = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        let _ = call!(SYS_setrlimit, libc::RLIMIT_CORE, &zero);
        let mut n = 0_u64;
        loop {
            n = core::hint::black_box(n + 1);
        }
    });
    check_child("RLIMIT_STACK", || {
        let limit = libc::rlimit {
            rlim_cur: 256 << 10,
            rlim_max: 256 << 10,
        };
        let _ = call!(SYS_setrlimit, libc::RLIMIT_STACK, &limit);
        let zero = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        let _ = call!(SYS_setrlimit, libc::RLIMIT_CORE, &zero);
        sys::set_disposition(libc::SIGSEGV, libc::SIG_DFL);
        fn deep(left: u32) -> u32 {
            let block = core::hint::black_box([left; 256]);
            if left == 0 {
                3
            } else {
                deep(left - 1) + block[9] - left
            }
        }
        check("20 KiB is fine", deep(16));
        deep(100_000) as i32
    });
}

/// Too many processes, too much memory, too many files: errors, not ends.
pub(crate) fn run() {
    check_child("RLIMIT_NPROC", || {
        if call!(SYS_geteuid) == Ok(0) {
            return 1;
        }
        let limit = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        let _ = call!(SYS_setrlimit, libc::RLIMIT_NPROC, &limit);
        check("fork", call!(SYS_fork));
        check("clone", call!(SYS_clone, libc::SIGCHLD, 0, 0, 0, 0));
        1
    });
    check_child("1,000 descriptors", || {
        let limit = libc::rlimit {
            rlim_cur: 1024,
            rlim_max: 1024,
        };
        let _ = call!(SYS_setrlimit, libc::RLIMIT_NOFILE, &limit);
        let mut highest = 0;
        while let Ok(fd) = call!(SYS_open, c"/dev/null", 0, 0) {
            highest = fd;
        }
        check("highest", highest);
        0
    });
    check("a mapping of more than there is", {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        call!(
            SYS_mmap,
            0,
            1_usize << 46,
            libc::PROT_READ | libc::PROT_WRITE,
            flags,
            -1,
            0
        )
    });
    check_child("many mappings", || {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let base =
            call!(SYS_mmap, 0, 4000 * 4096, libc::PROT_READ, flags, -1, 0).unwrap_or(0) as usize;
        let mut done = 0;
        for page in (0..4000).step_by(2) {
            let prot = libc::PROT_READ | libc::PROT_WRITE;
            done += i32::from(call!(SYS_mprotect, base + page * 4096, 4096, prot).is_ok());
        }
        check("split", done);
        check("unmap", call!(SYS_munmap, base, 4000 * 4096));
        0
    });
    let mut status = 0_i32;
    let pids: Vec<i32> = (0..100)
        .map(|_| {
            sys::fork(|| {
                let _ = call!(SYS_pause);
                0
            })
        })
        .collect();
    check("100 at once", pids.iter().all(|pid| *pid > 0));
    for pid in &pids {
        let _ = call!(SYS_kill, *pid, libc::SIGKILL);
    }
    let mut killed = 0;
    for pid in &pids {
        let _ = call!(SYS_wait4, *pid, &mut status, 0, 0);
        killed += i32::from(describe(status) == "killed by SIGKILL");
    }
    check("killed", killed);
    check("still here", wait(sys::fork(|| 0)));
}
