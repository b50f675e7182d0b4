//! As many threads as a user may have, or the machine: one more is refused, and
//! what there is goes on.

use std::collections::BTreeSet;

use crate::call;
use crate::errno::Errno;
use crate::report::{check, check_child, wait};
use crate::sys::{self, PAGE, RW};

/// How many a user may have.
const LIMIT: u64 = 12;

/// Makers that make children at once.
const MAKERS: u64 = 4;

/// Becomes somebody of whom there is nobody else, who may have so many threads.
fn become_somebody(limit: u64) {
    // Linux counts all of a user's, wherever they come from.
    let user = 20_000 + call!(SYS_getpid).unwrap_or(0) % 40_000;
    let limits = libc::rlimit {
        rlim_cur: limit,
        rlim_max: limit,
    };
    let _ = call!(SYS_setgroups, 0, 0);
    let _ = call!(SYS_setresgid, user, user, user);
    let _ = call!(SYS_setrlimit, libc::RLIMIT_NPROC, &limits);
    check("  somebody else", call!(SYS_setresuid, user, user, user));
}

/// Makes children that wait until one is refused: them, and how it was.
fn fill() -> (Vec<i32>, Errno) {
    let mut children = Vec::new();
    loop {
        match call!(SYS_fork) {
            Ok(0) => loop {
                let _ = call!(SYS_pause);
            },
            Ok(child) => children.push(child as i32),
            Err(error) => return (children, error),
        }
    }
}

fn end(children: &[i32]) -> usize {
    for child in children {
        let _ = call!(SYS_kill, *child, libc::SIGKILL);
    }
    let is_killed = |child: &&i32| wait(**child) == "killed by SIGKILL";
    children.iter().filter(is_killed).count()
}

/// Makes threads that wait until one is refused: how many, and how it was.
fn fill_with_threads() -> (usize, String) {
    for made in 0.. {
        let builder = std::thread::Builder::new().stack_size(16 << 10);
        let thread = builder.spawn(|| {
            loop {
                let _ = call!(SYS_pause);
            }
        });
        if let Err(error) = thread {
            let number = error.raw_os_error().unwrap_or(0);
            return (made, Errno(number).name().to_owned());
        }
    }
    (0, String::new())
}

/// `RLIMIT_NPROC`, reached. Needs root's rights, to be somebody new.
pub(crate) fn run() {
    check_child("children", || {
        become_somebody(LIMIT);
        let (mut children, error) = fill();
        check("  made", children.len());
        check("  one more", Err::<i64, _>(error));
        check("  a thread", fill_with_threads());
        let vfork = libc::CLONE_VFORK | libc::SIGCHLD;
        check("  vfork", call!(SYS_clone, vfork, 0, 0, 0, 0));
        let gone = children.pop().map_or(0, |last| end(&[last]));
        check("  one less", gone);
        let (more, error) = fill();
        check("  as many again", more.len());
        check("  one more", Err::<i64, _>(error));
        check("  ended", end(&more) + end(&children));
        check("  one more", wait(sys::fork(|| 7)));
        0
    });
    check_child("threads", || {
        become_somebody(LIMIT);
        check("  made", fill_with_threads());
        check("  a child", call!(SYS_fork));
        0
    });
    check_child("who has ended and is not asked after", || {
        become_somebody(LIMIT);
        let (children, _) = fill();
        for child in &children {
            let _ = call!(SYS_kill, *child, libc::SIGKILL);
            let (mut info, kind) = (sys::zeroed::<libc::siginfo_t>(), libc::P_PID);
            let options = libc::WEXITED | libc::WNOWAIT;
            let _ = call!(SYS_waitid, kind, *child, &mut info, options, 0);
        }
        check("  one more", call!(SYS_fork));
        check("  asked after", end(&children));
        check("  one more", wait(sys::fork(|| 7)));
        0
    });
    check_child("a limit below what there is", || {
        become_somebody(LIMIT);
        let (children, _) = fill();
        let lower = libc::rlimit {
            rlim_cur: 3,
            rlim_max: 3,
        };
        check("  set", call!(SYS_setrlimit, libc::RLIMIT_NPROC, &lower));
        check("  one more", call!(SYS_fork));
        let alive = |child: &&i32| call!(SYS_kill, **child, 0).is_ok();
        check("  all go on", children.iter().filter(alive).count());
        check("  ended", end(&children));
        let (children, error) = fill();
        check("  made", children.len());
        check("  one more", Err::<i64, _>(error));
        check("  ended", end(&children));
        0
    });
    check_child("a program that is executed at the limit", || {
        become_somebody(LIMIT);
        let mut ends = [0_i32; 2];
        let _ = call!(SYS_pipe2, &mut ends, 0);
        let child = sys::fork(|| {
            let _ = call!(SYS_read, ends[0], &mut [0_u8][..], 1);
            super::exec::exec(c"/proc/self/exe", &[c"self", c"--exit", c"5"], &[])
        });
        let (children, _) = fill();
        let _ = call!(SYS_write, ends[1], &[1_u8][..], 1);
        check("  it ends", wait(child));
        check("  ended", end(&children));
        0
    });
    check_child("root", || {
        let none = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        let _ = call!(SYS_setrlimit, libc::RLIMIT_NPROC, &none);
        check("  a child", wait(sys::fork(|| 7)));
        0
    });
    check_child("several who make children at once", || {
        become_somebody(LIMIT);
        let made = at_once(20);
        let most = (LIMIT - 1 - MAKERS) as i32;
        check(
            "  more than there may be",
            made.iter().any(|made| *made > most),
        );
        check("  nobody got any", made.iter().any(|made| *made <= 0));
        check("  one more", wait(sys::fork(|| 7)));
        0
    });
}

/// Has several make children until each is refused: how many there were in each
/// round, -1 if something else came to a maker.
fn at_once(rounds: u32) -> BTreeSet<i32> {
    let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
    let page = call!(SYS_mmap, 0, PAGE, RW, flags, -1, 0).unwrap_or(0) as usize;
    let made = (0..rounds).map(|_| round(page)).collect();
    let _ = call!(SYS_munmap, page, PAGE);
    made
}

/// The makers tell how many they made, plus one, in words of a shared page: they
/// end their children when all have told.
fn round(page: usize) -> i32 {
    let words = || (0..MAKERS as usize).map(|maker| page + maker * 4);
    let told = || words().map(sys::peek32);
    words().for_each(|word| sys::poke32(word, 0));
    let begin = page + 64;
    sys::poke32(begin, 0);
    let makers: Vec<i32> = words()
        .map(|word| {
            sys::fork(|| {
                while sys::peek32(begin) == 0 {
                    let _ = call!(SYS_sched_yield);
                }
                let (children, error) = fill();
                sys::poke32(word, children.len() as u32 + 1);
                while told().any(|told| told == 0) {
                    let _ = call!(SYS_sched_yield);
                }
                let is_refused = error.0 == libc::EAGAIN;
                if !is_refused {
                    check("  refused", Err::<i64, _>(error));
                }
                i32::from(end(&children) != children.len() || !is_refused)
            })
        })
        .collect();
    sys::poke32(begin, 1);
    let ended: Vec<String> = makers.into_iter().map(wait).collect();
    if ended.iter().any(|ended| ended != "exit 0") {
        return -1;
    }
    told().map(|told| told as i32 - 1).sum()
}

/// How many threads there are.
fn tasks() -> u64 {
    let mut info: libc::sysinfo = sys::zeroed();
    let _ = call!(SYS_sysinfo, &mut info);
    u64::from(info.procs)
}

/// Sets one of the machine's limits.
fn set(name: &str, value: u64) {
    let done = std::fs::write(format!("/proc/sys/kernel/{name}"), value.to_string());
    check(&format!("{name} is set"), done.is_ok());
}

fn read(name: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

/// Waits until nobody is left but who was there.
fn at_rest(tasks_before: u64) {
    while tasks() > tasks_before {
        let _ = call!(SYS_sched_yield);
    }
}

/// The limits of the whole machine, for `bad_input`: Linux's host has one, too.
pub(crate) fn role() -> i32 {
    const MORE: u64 = 40;
    /// Those below 300 are given once only.
    const NUMBERS: u64 = 400;
    let mut alive = Vec::new();
    let (threads_max, pid_max) = (read("threads-max"), read("pid_max"));
    for _ in 0..2 {
        let there = tasks();
        set("threads-max", there + MORE);
        let (children, error) = fill();
        check("children", children.len() as u64 == MORE);
        check("one more", Err::<i64, _>(error));
        check("a thread", fill_with_threads());
        check(
            "a file all the same",
            std::fs::write("/tmp/file", "x").is_ok(),
        );
        check("ended", end(&children) as u64 == MORE);
        at_rest(there);
        check_child("threads", || {
            let (made, error) = fill_with_threads();
            check("  made", made as u64 == MORE - 1);
            check("  one more", error);
            0
        });
        at_rest(there);
        let made = at_once(4);
        let most = (MORE - MAKERS) as i32;
        check("more than there may be", made.iter().any(|n| *n > most));
        check("nobody got any", made.iter().any(|n| *n <= 0));
        at_rest(there);
        set("threads-max", threads_max);

        set("pid_max", NUMBERS);
        let (children, error) = fill();
        check("one more than numbers", Err::<i64, _>(error));
        check("many were let", children.len() > 80);
        let numbers: BTreeSet<i32> = children.iter().copied().collect();
        check("each has its own", numbers.len() == children.len());
        check(
            "none is too high",
            numbers.last().is_some_and(|last| *last < NUMBERS as i32),
        );
        check("a thread", fill_with_threads());
        let (some, others) = children.split_at(children.len() / 2);
        check("some end", end(some) == some.len());
        let (more, _) = fill();
        check("as many again", more.len() == some.len());
        check("ended", end(&more) + end(others) == children.len());
        at_rest(there);
        let made = at_once(4);
        check("several at once", made.iter().all(|n| *n > 0));
        at_rest(there);
        set("pid_max", pid_max);
        check("one more", wait(sys::fork(|| 7)));
        let _ = std::fs::remove_file("/tmp/file");
        alive.push(super::storms::objects_at_rest(alive.first()));
    }
    check("no object is left", alive[0] == alive[1]);
    0
}
