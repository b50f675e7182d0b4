//! Signals and kills in every call that waits: no wake-up is lost, nothing
//! hangs, nothing is left behind.

mod cases;
mod world;

use core::sync::atomic::{AtomicU32, Ordering};

use self::cases::{CASES, Case};
use self::world::World;
use crate::call;
use crate::errno::Errno;
use crate::report::{check, wait};
use crate::sleeper::{Sleeper, state};
use crate::sys;

/// Signals before what ends the wait; more come until it has ended.
const SIGNALS: usize = 30;

static TAKEN: AtomicU32 = AtomicU32::new(0);

extern "C" fn take(_: i32, _: &libc::siginfo_t, _: usize) {
    TAKEN.fetch_add(1, Ordering::SeqCst);
}

/// Signals to a thread in each call; with handlers that end calls and such
/// that restart them.
pub(crate) fn signals() {
    for (kind, flags) in [("EINTR", 0), ("SA_RESTART", libc::SA_RESTART)] {
        sys::on_signal(libc::SIGUSR1, flags, take);
        for case in &CASES {
            if let Some(end) = case.end {
                check(&format!("{}, {kind}", case.name), storm(case, end));
            }
        }
    }
}

fn storm(case: &'static Case, end: fn(&World, i32)) -> &'static str {
    let world = World::new();
    let sleeper = Sleeper::start(move || {
        loop {
            match (case.body)(&world) {
                Err(Errno(libc::EINTR)) => {}
                answer => return answer,
            }
        }
    });
    sleeper.until_waiting();
    let me = call!(SYS_getpid).unwrap_or(0);
    for _ in 0..SIGNALS {
        let _ = call!(SYS_tgkill, me, sleeper.tid, libc::SIGUSR1);
        std::thread::yield_now();
    }
    end(&world, sleeper.tid);
    while !sleeper.has_ended() {
        let _ = call!(SYS_tgkill, me, sleeper.tid, libc::SIGUSR1);
        std::thread::yield_now();
    }
    let answer = sleeper.answer();
    world.end();
    match answer {
        Ok(_) | Err(Errno(libc::EAGAIN)) => "ended",
        Err(error) => error.name(),
    }
}

/// A process that is killed in each call, as its only thread and as another.
pub(crate) fn kills() {
    for case in &CASES {
        check(case.name, (kill(case, false), kill(case, true)));
    }
}

fn kill(case: &'static Case, in_thread: bool) -> String {
    let world = World::new();
    let pid = sys::fork(move || {
        let parent = call!(SYS_getpid);
        let child = sys::fork(|| {
            // It must not outlive the one that is killed, nor hold its locks.
            let _ = call!(SYS_close_range, 3, 63, 0);
            let _ = call!(SYS_prctl, libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
            while call!(SYS_getppid) == parent {
                let _ = call!(SYS_pause);
            }
            0
        });
        let pidfd = call!(SYS_pidfd_open, child, 0).unwrap_or(-1) as i32;
        let world = World {
            child,
            pidfd,
            ..world
        };
        if in_thread {
            let sleeper = Sleeper::start(move || (case.body)(&world));
            sleeper.until_waiting();
            sys::poke(world.page + 128, 1);
            let _ = call!(SYS_pause);
        } else {
            sys::poke(world.page + 128, 1);
            let _ = (case.body)(&world);
        }
        77
    });
    while sys::peek(world.page + 128) == 0 || state_of(pid) == Some('R') {
        std::thread::yield_now();
    }
    let _ = call!(SYS_kill, pid, libc::SIGKILL);
    let answer = wait(pid);
    world.end();
    answer
}

/// The state of a process's first thread as `/proc` has it.
pub(crate) fn state_of(pid: i32) -> Option<char> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    rest.trim_start().chars().next()
}

/// Storms and kills again and again, for `bad_input`: what they took is there
/// again afterwards. (Where other programs run, memory comes and goes.)
pub(crate) fn role() -> i32 {
    let me = call!(SYS_getpid).unwrap_or(0) as i32;
    check("runs", state(me).is_some());
    let mut free = Vec::new();
    let mut alive = Vec::new();
    for _ in 0..4 {
        sys::on_signal(libc::SIGUSR1, 0, take);
        for case in &CASES {
            if let Some(end) = case.end {
                let _ = storm(case, end);
            }
            let _ = kill(case, false);
            let _ = kill(case, true);
        }
        forks();
        super::thread_ends::each_once();
        super::futex_gone::races_once();
        let objects = objects_at_rest(alive.first());
        alive.push(objects);
        drop_caches();
        free.push(free_kib());
    }
    check("objects were counted", alive[0].contains("threads "));
    alive.dedup();
    if alive.len() > 1 {
        check("  objects after each round", format!("{alive:?}"));
    }
    check("no object is left", alive.len() == 1);
    // The same objects are spread over a few pages more or less.
    let lost = free[0].saturating_sub(free[3]);
    let is_back = lost <= 32;
    check("memory is back", is_back);
    if !is_back {
        check("  KiB free after each round", format!("{free:?}"));
    }
    0
}

/// Forks in a thread that signals come to all the time: some are begun again.
fn forks() {
    let sleeper = Sleeper::start(|| {
        for _ in 0..100 {
            let _ = wait(sys::fork(|| 0));
        }
        Ok(0)
    });
    let me = call!(SYS_getpid).unwrap_or(0);
    while !sleeper.has_ended() {
        let _ = call!(SYS_tgkill, me, sleeper.tid, libc::SIGUSR1);
        std::thread::yield_now();
    }
    let _ = sleeper.answer();
}

/// The kernel's count of what is alive once what has ended is gone: that may
/// still be on its way out on another processor. A later count waits for the
/// `first` one to come back.
pub(crate) fn objects_at_rest(first: Option<&String>) -> String {
    let mut objects = objects();
    for _ in 0..1000 {
        // Whoever is left here has one thread, and is in the list.
        let processes = counted(&objects, "processes");
        let is_at_rest = counted(&objects, "threads") == processes && processes == Some(listed());
        if is_at_rest && first.is_none_or(|first| *first == objects) {
            break;
        }
        std::thread::sleep(core::time::Duration::from_millis(2));
        objects = self::objects();
    }
    objects
}

/// How many processes `/proc` lists: those that have ended and been asked after
/// are not among them, though they may be there still.
fn listed() -> u64 {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let is_number = |name: std::ffi::OsString| name.as_encoded_bytes()[0].is_ascii_digit();
    entries.filter(|entry| is_number(entry.file_name())).count() as u64
}

/// How many there are of one `kind` of object.
fn counted(objects: &str, kind: &str) -> Option<u64> {
    let mut lines = objects.lines().filter_map(|line| line.split_once(' '));
    let (_, count) = lines.find(|(name, _)| *name == kind)?;
    count.parse().ok()
}

/// The kernel's own count of what is alive.
pub(crate) fn objects() -> String {
    std::fs::read_to_string("/proc/ochre/objects").unwrap_or_default()
}

/// Has every processor give back what it keeps for reuse, and forget whose
/// address space it ran last.
pub(crate) fn drop_caches() {
    let mut all = [0_u64; 16];
    let _ = call!(SYS_sched_getaffinity, 0, 128, &mut all);
    for processor in 0..1024 {
        let mut one = [0_u64; 16];
        one[processor / 64] = all[processor / 64] & 1 << (processor % 64);
        if one != [0; 16] {
            let _ = call!(SYS_sched_setaffinity, 0, 128, &one);
            let _ = std::fs::write("/proc/sys/vm/drop_caches", "2");
        }
    }
    let _ = call!(SYS_sched_setaffinity, 0, 128, &all);
}

pub(crate) fn free_kib() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("MemFree:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .unwrap_or(0)
}
