//! One kind of thing after the other until there is no memory for more, for the
//! suite `bad_input`: what the kernel keeps for itself must be left, and the
//! next who comes must be served.
//!
//! Each kind has a process of its own, which first fills most of the memory
//! with a file, so that little is left to be used up. It says by its end how
//! the last call ended; what it took is given back with it.

use crate::call;
use crate::memory_held;
use crate::report::{check, line, wait};
use crate::sys::{self, Ret};

/// What is left for the kind, in bytes.
const LITTLE: i64 = 1 << 19;

/// As much, where what follows takes a part of it again.
const MUCH: i64 = 12 << 20;

/// No kind fits so often into what is left.
const LIMIT: usize = 400_000;

const FOLDER: &core::ffi::CStr = c"/tmp/exhaust";

/// Something that there can be more of.
struct Kind {
    name: &'static str,
    /// Makes the `nth` one more.
    more: fn(nth: usize) -> Ret,
    /// What there is for them, in bytes.
    left: i64,
    /// Done to each of them when there is no more memory.
    then: fn(nth: usize) -> Ret,
}

fn nothing(_: usize) -> Ret {
    Ok(0)
}

const KINDS: &[Kind] = &[
    Kind {
        name: "descriptors of events",
        more: |_| call!(SYS_eventfd2, 0, 0),
        left: LITTLE,
        then: nothing,
    },
    Kind {
        name: "pipes",
        more: |_| call!(SYS_pipe2, &mut [0_i32; 2], 0),
        left: LITTLE,
        then: nothing,
    },
    Kind {
        name: "epolls",
        more: |_| call!(SYS_epoll_create1, 0),
        left: LITTLE,
        then: nothing,
    },
    Kind {
        name: "what an epoll watches",
        more: |nth| {
            if nth == 0 {
                let _ = call!(SYS_dup2, call!(SYS_epoll_create1, 0)?, 1000);
                let _ = call!(SYS_dup2, call!(SYS_eventfd2, 0, 0)?, 1001);
            }
            let event: libc::epoll_event = sys::zeroed();
            let copy = call!(SYS_fcntl, 1001, libc::F_DUPFD, 1002 + nth)?;
            call!(SYS_epoll_ctl, 1000, libc::EPOLL_CTL_ADD, copy, &event)
        },
        left: LITTLE,
        then: nothing,
    },
    Kind {
        name: "descriptors of timers, then set",
        more: |_| call!(SYS_timerfd_create, libc::CLOCK_MONOTONIC, 0),
        left: MUCH,
        then: |nth| call!(SYS_timerfd_settime, nth + 4, 0, &far(), 0),
    },
    Kind {
        name: "timers, then set",
        more: |_| call!(SYS_timer_create, libc::CLOCK_MONOTONIC, 0, &mut 0_i32),
        left: MUCH,
        then: |nth| call!(SYS_timer_settime, nth, 0, &far(), 0),
    },
    Kind {
        name: "memory files",
        more: |_| call!(SYS_memfd_create, c"name", 0),
        left: LITTLE,
        then: nothing,
    },
    Kind {
        name: "descriptors",
        more: |nth| call!(SYS_fcntl, 1, libc::F_DUPFD, nth * 4 + 5),
        left: LITTLE,
        then: nothing,
    },
    Kind {
        name: "open files",
        more: |_| call!(SYS_open, c"/dev/null", libc::O_RDWR, 0),
        left: LITTLE,
        then: nothing,
    },
    Kind {
        name: "files",
        more: |nth| {
            let file = call!(SYS_open, name(nth).as_slice(), libc::O_CREAT, 0o600)?;
            call!(SYS_close, file)
        },
        left: LITTLE,
        then: nothing,
    },
    Kind {
        name: "folders",
        more: |nth| call!(SYS_mkdir, name(nth).as_slice(), 0o700),
        left: LITTLE,
        then: nothing,
    },
    Kind {
        name: "symbolic links",
        more: |nth| call!(SYS_symlink, c"some/where/else", name(nth).as_slice()),
        left: LITTLE,
        then: nothing,
    },
    Kind {
        name: "links",
        more: |nth| call!(SYS_link, c"filled", name(nth).as_slice()),
        left: LITTLE,
        then: nothing,
    },
    Kind {
        name: "mounts",
        more: |nth| match nth {
            0 => call!(SYS_mkdir, c"d", 0o700),
            _ => call!(SYS_mount, c"none", c"d", c"tmpfs", 0, 0),
        },
        left: LITTLE,
        then: nothing,
    },
    Kind {
        name: "mounts of what is there",
        more: |nth| match nth {
            0 => call!(SYS_mkdir, c"d", 0o700),
            _ => call!(SYS_mount, c"/usr", c"d", 0, libc::MS_BIND, 0),
        },
        left: LITTLE,
        then: nothing,
    },
    Kind {
        name: "locks",
        more: |nth| {
            let mut part: libc::flock = sys::zeroed();
            part.l_type = libc::F_WRLCK as i16;
            (part.l_start, part.l_len) = (nth as i64 * 2, 1);
            call!(SYS_fcntl, 3, libc::F_SETLK, &part)
        },
        left: LITTLE,
        then: nothing,
    },
    Kind {
        name: "locked files",
        more: |_| {
            let file = call!(SYS_memfd_create, c"name", 0)?;
            call!(SYS_flock, file, libc::LOCK_EX)
        },
        left: LITTLE,
        then: nothing,
    },
    Kind {
        name: "mappings",
        more: |nth| {
            let protection = if nth.is_multiple_of(2) {
                libc::PROT_NONE
            } else {
                libc::PROT_READ
            };
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            call!(SYS_mmap, 0, 4096, protection, flags, -1, 0)
        },
        left: LITTLE,
        then: nothing,
    },
    Kind {
        name: "parts of a mapping",
        more: |nth| match nth {
            0 => {
                let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
                call!(SYS_mmap, AREA, 1_usize << 30, libc::PROT_NONE, flags, -1, 0)
            }
            _ => call!(SYS_mprotect, AREA + nth * 8192, 4096, libc::PROT_READ),
        },
        left: LITTLE,
        then: nothing,
    },
    Kind {
        name: "holes in a mapping",
        more: |nth| match nth {
            0 => {
                let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
                call!(SYS_mmap, AREA, 1_usize << 30, libc::PROT_NONE, flags, -1, 0)
            }
            _ => call!(SYS_munmap, AREA + nth * 8192, 4096),
        },
        left: LITTLE,
        then: nothing,
    },
    Kind {
        name: "a mapping cut short",
        more: |nth| match nth {
            0 => {
                let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
                call!(SYS_mmap, AREA, 1_usize << 30, libc::PROT_NONE, flags, -1, 0)
            }
            _ => call!(SYS_mremap, AREA + nth * 12_288, 8192, 4096, 0),
        },
        left: LITTLE,
        then: nothing,
    },
    Kind {
        name: "signals",
        more: |nth| {
            if nth == 0 {
                let _ = call!(SYS_rt_sigprocmask, libc::SIG_BLOCK, &(1_u64 << 39), 0, 8);
            }
            let mut words = [0_i32; 32];
            (words[0], words[2]) = (40, libc::SI_QUEUE);
            call!(SYS_rt_sigqueueinfo, call!(SYS_getpid)?, 40, &words)
        },
        left: LITTLE,
        then: nothing,
    },
    Kind {
        name: "processes",
        more: |_| match call!(SYS_fork) {
            Ok(0) => {
                let _ = call!(SYS_prctl, libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
                let _ = call!(SYS_pause);
                sys::exit(0)
            }
            other => other,
        },
        left: LITTLE,
        then: nothing,
    },
    Kind {
        name: "descriptors of processes",
        more: |_| call!(SYS_pidfd_open, call!(SYS_getpid)?, 0),
        left: LITTLE,
        then: nothing,
    },
    Kind {
        name: "descriptors of signals",
        more: |_| call!(SYS_signalfd4, -1, &(1_u64 << 40), 8, 0),
        left: LITTLE,
        then: nothing,
    },
];

/// Where a mapping is that is cut into parts.
const AREA: usize = 0x1000_0000_0000;

/// Each kind in turn.
pub(crate) fn role(words: &[String]) -> i32 {
    let _ = call!(SYS_mkdir, FOLDER, 0o700);
    // The processes of a kind have the file that fills the memory, as long as
    // they are there.
    let _ = call!(SYS_prctl, libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    for kind in KINDS {
        if !words.is_empty() && !words.iter().any(|word| word == kind.name) {
            continue;
        }
        // Its mounts and files go with the file system that it has.
        let _ = call!(SYS_mount, c"none", FOLDER, c"tmpfs", 0, c"size=100%");
        let end = wait(sys::fork(|| use_up(kind)));
        while call!(SYS_wait4, -1, 0, 0, 0).is_ok() {}
        while call!(SYS_umount2, c"/tmp/exhaust/d", libc::MNT_DETACH).is_ok() {}
        while call!(SYS_umount2, FOLDER, libc::MNT_DETACH).is_ok() {}
        check(kind.name, end);
    }
    line("the next is served");
    0
}

/// What other processors keep ready is had from this one: it was used there by
/// processes that are gone.
pub(crate) fn given_back() -> i32 {
    let mut all = 0_u64;
    let _ = call!(SYS_sched_getaffinity, 0, 8, &mut all);
    let last = 1_u64 << (63 - all.leading_zeros());
    // Each by itself first, so that one knows what is left then.
    memory_held::give_back_what_is_spare();
    let before = heap_frames();
    let _ = call!(SYS_sched_setaffinity, 0, 8, &last);
    // A table of a thousand descriptors is four pages.
    let children: Vec<i32> = (0..16)
        .map(|_| {
            sys::fork(|| {
                let _ = call!(SYS_fcntl, 1, libc::F_DUPFD, 1000);
                let _ = call!(SYS_pause);
                0
            })
        })
        .collect();
    for child in children {
        while crate::groups::storms::state_of(child) != Some('S') {
            let _ = call!(SYS_sched_yield);
        }
        let _ = call!(SYS_kill, child, libc::SIGKILL);
        let _ = wait(child);
    }
    let used = heap_frames();
    let _ = call!(SYS_sched_setaffinity, 0, 8, &1_u64);
    let _ = std::fs::write("/proc/sys/vm/drop_caches", "2");
    let is_given = (0..1000).any(|_| {
        let _ = call!(SYS_sched_yield);
        heap_frames() <= before + 12
    });
    check("given back", is_given);
    if !is_given {
        check(
            "  frames of the heap",
            format!("{before} {used} {}", heap_frames()),
        );
    }
    0
}

/// Frames of the kernel's heap.
fn heap_frames() -> u64 {
    let text = std::fs::read_to_string("/proc/ochre/memory").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("heap "));
    line.and_then(|count| count.parse().ok()).unwrap_or(0)
}

/// Fills the memory, then makes more and more; the end is the error.
fn use_up(kind: &Kind) -> i32 {
    let limit = libc::rlimit {
        rlim_cur: 1 << 20,
        rlim_max: 1 << 20,
    };
    for resource in [libc::RLIMIT_NOFILE, libc::RLIMIT_SIGPENDING] {
        let _ = call!(SYS_setrlimit, resource, &limit);
    }
    let _ = call!(SYS_chdir, FOLDER);
    // Descriptor 3, whatever was open.
    let _ = call!(SYS_close_range, 3, u32::MAX, 0);
    let file = call!(SYS_open, c"filled", libc::O_CREAT | libc::O_RDWR, 0o600).unwrap_or(0);
    // What is touched from now on was touched before.
    if (kind.more)(0).is_err() {
        return 1;
    }
    let block = vec![5_u8; 1 << 16];
    let mut end = 0;
    while let Ok(written @ 1..) = call!(SYS_write, file, block.as_slice(), block.len()) {
        end += written;
    }
    let _ = call!(SYS_ftruncate, file, (end - kind.left).max(0));
    for nth in 1..LIMIT {
        if let Err(error) = (kind.more)(nth) {
            // The file may have the rest now.
            while let Ok(1..) = call!(
                SYS_pwrite64,
                file,
                block.as_slice(),
                block.len(),
                end - kind.left
            ) {
                end += block.len() as i64;
            }
            for each in 0..nth {
                let _ = (kind.then)(each);
            }
            return error.0;
        }
    }
    2
}

/// A name of its own for each number.
fn name(nth: usize) -> [u8; 8] {
    let mut name = *b"f000000\0";
    let mut rest = nth;
    for digit in name[1..7].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    name
}

/// A time that does not come.
fn far() -> libc::itimerspec {
    let mut when: libc::itimerspec = sys::zeroed();
    when.it_value.tv_sec = 10_000;
    when
}
