//! Signals and kills in every call that waits: no wake-up is lost, nothing
//! hangs, nothing is left behind.

mod cases;
mod world;

use core::sync::atomic::{AtomicU32, Ordering};

use self::cases::{BUSY, CASES, Case, IS_THERE};
use self::world::World;
use crate::call;
use crate::errno::Errno;
use crate::memory_held;
use crate::report::{check, wait};
use crate::sleeper::{Sleeper, state};
use crate::sys::{self, Ret};

/// Signals before what ends the wait; more come until it has ended.
const SIGNALS: usize = 30;

static TAKEN: AtomicU32 = AtomicU32::new(0);

/// What all storms have for a handler.
pub(super) extern "C" fn take(_: i32, _: &libc::siginfo_t, _: usize) {
    TAKEN.fetch_add(1, Ordering::SeqCst);
}

/// Signals to a thread in each call; with handlers that end calls and such
/// that restart them.
pub(crate) fn signals() {
    for (kind, flags) in [("EINTR", 0), ("SA_RESTART", libc::SA_RESTART)] {
        sys::on_signal(libc::SIGUSR1, flags, take);
        for (case, is_busy) in all() {
            if let Some(end) = case.end {
                check(&format!("{}, {kind}", case.name), storm(case, is_busy, end));
            }
        }
    }
    execs();
}

/// All calls, and whether one comes back by itself.
fn all() -> impl Iterator<Item = (&'static Case, bool)> {
    let waiting = CASES.iter().map(|case| (case, false));
    waiting.chain(BUSY.iter().map(|case| (case, true)))
}

fn storm(case: &'static Case, is_busy: bool, end: fn(&World, i32)) -> &'static str {
    let world = World::new();
    let is_there = move || !is_busy || sys::peek(world.page + IS_THERE) != 0;
    let body = move || (case.body)(&world);
    let answer = storm_of(body, !is_busy, is_there, |tid| end(&world, tid));
    world.end();
    answer
}

/// Signals to a thread in a call, before and after what ends the call for good.
/// The thread is there once `is_there`, and asleep if it `sleeps`.
pub(super) fn storm_of(
    body: impl Fn() -> Ret + Send + 'static,
    sleeps: bool,
    is_there: impl Fn() -> bool,
    end: impl FnOnce(i32),
) -> &'static str {
    let sleeper = Sleeper::start(move || {
        loop {
            match body() {
                Err(Errno(libc::EINTR)) => {}
                answer => return answer,
            }
        }
    });
    while !is_there() && !sleeper.has_ended() {
        std::thread::yield_now();
    }
    if sleeps {
        sleeper.until_waiting();
    }
    let me = call!(SYS_getpid).unwrap_or(0);
    for _ in 0..SIGNALS {
        let _ = call!(SYS_tgkill, me, sleeper.tid, libc::SIGUSR1);
        std::thread::yield_now();
    }
    end(sleeper.tid);
    while !sleeper.has_ended() {
        let _ = call!(SYS_tgkill, me, sleeper.tid, libc::SIGUSR1);
        std::thread::yield_now();
    }
    match sleeper.answer() {
        Ok(_) | Err(Errno(libc::EAGAIN)) => "ended",
        Err(error) => error.name(),
    }
}

/// A process that is killed in each call, as its only thread and as another.
pub(crate) fn kills() {
    for (case, is_busy) in all() {
        let ends = (kill(case, is_busy, false), kill(case, is_busy, true));
        check(case.name, ends);
    }
    killed_execs();
}

fn kill(case: &'static Case, is_busy: bool, in_thread: bool) -> String {
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
            if !is_busy {
                sleeper.until_waiting();
            }
            sys::poke(world.page + 128, 1);
            let _ = call!(SYS_pause);
        } else {
            sys::poke(world.page + 128, 1);
            let _ = (case.body)(&world);
        }
        77
    });
    let awaited = if is_busy { IS_THERE } else { 128 };
    let may_run = is_busy && !in_thread;
    while sys::peek(world.page + awaited) == 0 || !may_run && state_of(pid) == Some('R') {
        std::thread::yield_now();
    }
    let _ = call!(SYS_kill, pid, libc::SIGKILL);
    let answer = wait(pid);
    world.end();
    answer
}

/// Processes that become another program while their threads wait, and signals
/// come all the time: who executes waits for the end of the others.
const EXECS: usize = 12;

/// Threads of each, and what they wait in.
const OTHERS: usize = 12;

/// A process with threads that wait, which executes in its first thread or in
/// another as soon as they are there.
fn executing(in_first: bool, page: usize) -> i32 {
    let ready = |more: i64| {
        while sys::peek32(page) < more as u32 {
            std::thread::yield_now();
        }
    };
    sys::poke32(page, 0);
    let pid = sys::fork(|| {
        sys::on_signal(libc::SIGWINCH, 0, take);
        let mut ends = [0_i32; 2];
        let _ = call!(SYS_pipe2, &mut ends, libc::O_CLOEXEC);
        let begun = std::sync::Arc::new(AtomicU32::new(0));
        for number in 0..OTHERS {
            let own = std::sync::Arc::clone(&begun);
            let builder = std::thread::Builder::new().stack_size(16 << 10);
            let _ = builder.spawn(move || {
                own.fetch_add(1, Ordering::SeqCst);
                loop {
                    let _ = match number % 3 {
                        0 => call!(SYS_pause),
                        1 => call!(SYS_read, ends[0], &mut [0_u8][..], 1),
                        _ => call!(SYS_futex, page + 64, libc::FUTEX_WAIT, 0, 0),
                    };
                }
            });
        }
        while begun.load(Ordering::SeqCst) < OTHERS as u32 {
            std::thread::yield_now();
        }
        sys::poke32(page, 1);
        let exe = c"/proc/self/exe";
        let exec = || super::exec::exec(exe, &[c"self", c"--exit", c"5"], &[]);
        if in_first {
            return exec();
        }
        let _ = std::thread::spawn(exec).join();
        1
    });
    ready(1);
    pid
}

/// A page that children share.
fn shared_page() -> usize {
    let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
    call!(SYS_mmap, 0, sys::PAGE, sys::RW, flags, -1, 0).unwrap_or(0) as usize
}

/// Has processes execute, each with `trouble` from outside until it has ended;
/// how they ended.
fn executed(in_first: bool, trouble: fn(i32, usize)) -> Vec<String> {
    let page = shared_page();
    let ends = (0..EXECS).map(|round| {
        let pid = executing(in_first, page);
        trouble(pid, round);
        wait(pid)
    });
    let mut ends: Vec<String> = ends.collect();
    let _ = call!(SYS_munmap, page, sys::PAGE);
    ends.sort_unstable();
    ends.dedup();
    ends
}

/// Signals to the process until it has ended.
fn signals_to(pid: i32, _: usize) {
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    loop {
        // `si_signo` is set once there is something to ask after.
        let mut info: [u32; 32] = [0; 32];
        let _ = call!(SYS_waitid, libc::P_PID, pid, &mut info, options, 0);
        if info[0] != 0 {
            return;
        }
        let _ = call!(SYS_kill, pid, libc::SIGWINCH);
        let _ = call!(SYS_sched_yield);
    }
}

/// A kill, somewhere on the way.
fn kill_at(pid: i32, round: usize) {
    for _ in 0..round {
        let _ = call!(SYS_sched_yield);
    }
    let _ = call!(SYS_kill, pid, libc::SIGKILL);
}

fn execs() {
    for (name, in_first) in [("execve", true), ("execve in another thread", false)] {
        let ends = executed(in_first, signals_to);
        check(&format!("{name}, signals"), format!("{ends:?}"));
    }
}

fn killed_execs() {
    for (name, in_first) in [("execve", true), ("execve in another thread", false)] {
        let mut ends = executed(in_first, kill_at);
        // Which of the two comes first differs.
        ends.retain(|end| !["exit 5", "killed by SIGKILL"].contains(&end.as_str()));
        check(name, format!("{ends:?}"));
    }
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
    let mut held = Vec::new();
    let mut alive = Vec::new();
    for _ in 0..4 {
        sys::on_signal(libc::SIGUSR1, 0, take);
        for (case, is_busy) in all() {
            if let Some(end) = case.end {
                let _ = storm(case, is_busy, end);
            }
            let _ = kill(case, is_busy, false);
            let _ = kill(case, is_busy, true);
        }
        for in_first in [true, false] {
            let _ = executed(in_first, signals_to);
            let _ = executed(in_first, kill_at);
        }
        forks();
        super::thread_ends::each_once();
        super::futex_gone::races_once();
        let objects = objects_at_rest(alive.first());
        alive.push(objects);
        held.push(memory_held::at_rest(held.last().copied()));
    }
    check("objects were counted", alive[0].contains("threads "));
    alive.dedup();
    if alive.len() > 1 {
        check("  objects after each round", format!("{alive:?}"));
    }
    check("no object is left", alive.len() == 1);
    // What the first round made for good is there in the others.
    let is_back = held[3].saturating_sub(held[1]) <= memory_held::MAY_STAY;
    check("memory is back", is_back);
    if !is_back {
        check("  bytes held after each round", format!("{held:?}"));
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
