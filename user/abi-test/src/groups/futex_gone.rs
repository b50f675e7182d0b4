//! `futex`: words in memory that goes, or becomes something else, while threads
//! are about them: unmapped, forbidden, moved, given up, cut off with its file.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::collections::BTreeSet;
use std::sync::{Barrier, Mutex};
use std::thread;

use crate::call;
use crate::report::{check, wait};
use crate::sleeper::Sleeper;
use crate::sys::{self, ANON, PAGE, RW, Ret};

const PRIVATE: i32 = libc::FUTEX_PRIVATE_FLAG;
/// `FUTEX2_SIZE_U32`, and `FUTEX2_PRIVATE` with it.
const WORD32: usize = 2;
const PRIVATE2: usize = 128;

/// How often the memory of a race goes.
const ROUNDS: u32 = 300;

/// How often every thread of a race goes through all operations, at least.
const PASSES: u32 = 3;

/// Threads of a race, beside the one that changes the memory.
const SIBLINGS: usize = 3;

/// Places of the words in their page: two to wait at, a mutex with priority
/// inheritance, and what is waited at to be moved there.
const PLAIN: usize = 0;
const OTHER: usize = 64;
const MUTEX: usize = 128;
const ONWARD: usize = 192;

/// A page for words, and a place where it can be meanwhile.
#[derive(Clone, Copy)]
struct Memory {
    at: usize,
    spare: usize,
    /// What it is of; -1 for memory of the process's own.
    file: i32,
}

impl Memory {
    fn new(of_file: bool) -> Memory {
        let mut memory = Memory {
            at: 0,
            spare: call!(SYS_mmap, 0, PAGE, libc::PROT_NONE, ANON, -1, 0).unwrap_or(0) as usize,
            file: -1,
        };
        if of_file {
            memory.file = call!(SYS_memfd_create, c"words", 0).unwrap_or(-1) as i32;
            let _ = call!(SYS_ftruncate, memory.file, PAGE);
        }
        memory.at = memory.map(0).unwrap_or(0) as usize;
        memory
    }

    fn map(&self, flags: i32) -> Ret {
        let flags = flags
            | if self.file < 0 {
                ANON
            } else {
                libc::MAP_SHARED
            };
        call!(SYS_mmap, self.at, PAGE, RW, flags, self.file, 0)
    }

    fn end(self) {
        let _ = call!(SYS_munmap, self.at, PAGE);
        let _ = call!(SYS_munmap, self.spare, PAGE);
        if self.file >= 0 {
            let _ = call!(SYS_close, self.file);
        }
    }
}

/// What happens to the memory.
struct Change {
    name: &'static str,
    /// Whether it is only possible for memory of a file.
    of_files: bool,
    away: fn(&Memory) -> Ret,
    back: fn(&Memory) -> Ret,
}

fn map_again(memory: &Memory) -> Ret {
    memory.map(libc::MAP_FIXED)
}

fn nothing(_: &Memory) -> Ret {
    Ok(0)
}

fn mremap(from: usize, to: usize) -> Ret {
    let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
    call!(SYS_mremap, from, PAGE, PAGE, flags, to)
}

static CHANGES: [Change; 7] = [
    Change {
        name: "munmap",
        of_files: false,
        away: |memory| call!(SYS_munmap, memory.at, PAGE),
        back: map_again,
    },
    Change {
        name: "mprotect",
        of_files: false,
        away: |memory| call!(SYS_mprotect, memory.at, PAGE, libc::PROT_NONE),
        back: |memory| call!(SYS_mprotect, memory.at, PAGE, RW),
    },
    Change {
        name: "mremap",
        of_files: false,
        away: |memory| mremap(memory.at, memory.spare),
        back: |memory| mremap(memory.spare, memory.at),
    },
    Change {
        name: "MADV_DONTNEED",
        of_files: false,
        away: |memory| call!(SYS_madvise, memory.at, PAGE, libc::MADV_DONTNEED),
        back: nothing,
    },
    Change {
        name: "another mapping",
        of_files: false,
        away: |memory| {
            let flags = ANON | libc::MAP_FIXED;
            let mapped = call!(SYS_mmap, memory.at, PAGE, libc::PROT_READ, flags, -1, 0);
            // Linux answers otherwise where no page is there yet.
            let _ = sys::peek(memory.at);
            mapped
        },
        back: map_again,
    },
    Change {
        name: "ftruncate",
        of_files: true,
        away: |memory| call!(SYS_ftruncate, memory.file, 0),
        back: |memory| call!(SYS_ftruncate, memory.file, PAGE),
    },
    Change {
        name: "a hole",
        of_files: true,
        away: |memory| {
            let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
            call!(SYS_fallocate, memory.file, mode, 0, PAGE)
        },
        back: nothing,
    },
];

/// Each kind of memory, each kind of word, each change: with a name.
fn each(mut body: impl FnMut(&str, bool, i32, &'static Change)) {
    for (kind, of_file) in [("own memory", false), ("a file's", true)] {
        for (scope, flag) in [("private", PRIVATE), ("shared", 0)] {
            for change in CHANGES.iter().filter(|change| of_file || !change.of_files) {
                let name = format!("{kind}, {scope}, {}", change.name);
                body(&name, of_file, flag, change);
            }
        }
    }
}

/// The flags of the newer calls for those of the older.
fn newer(flag: i32) -> usize {
    WORD32 | if flag == PRIVATE { PRIVATE2 } else { 0 }
}

fn waitv(address: usize, flag: i32, time: usize) -> Ret {
    let list = [[0_usize, address, newer(flag)]];
    let clock = libc::CLOCK_MONOTONIC;
    call!(SYS_futex_waitv, &list[..], 1, 0, time, clock)
}

/// `futex_wait`, for which C has no name yet.
fn newer_wait(address: usize, flag: i32, time: usize) -> Ret {
    let all = u32::MAX as usize;
    sys::raw(455, &[address, 0, all, newer(flag), time, 1])
}

fn wake(address: usize, flag: i32, count: i32) -> Ret {
    call!(SYS_futex, address, libc::FUTEX_WAKE | flag, count)
}

/// An operation on a mutex with priority inheritance, with a time or none.
fn inheriting(address: usize, operation: i32, flag: i32, time: usize) -> Ret {
    call!(SYS_futex, address, operation | flag, 0, time)
}

/// Threads that sleep when the memory goes.
pub(crate) fn run() {
    each(asleep);
    each(owned);
    each(orphaned);
}

/// What comes to those who wait at a word, while it is gone and after. Nothing
/// is told meanwhile: that may take memory, and there is a hole to be filled.
fn asleep(name: &str, of_file: bool, flag: i32, change: &'static Change) {
    let memory = Memory::new(of_file);
    let word = memory.at + PLAIN;
    let sleepers = [
        Sleeper::new(move || call!(SYS_futex, word, libc::FUTEX_WAIT | flag, 0, 0)),
        Sleeper::new(move || waitv(word, flag, 0)),
        Sleeper::new(move || newer_wait(word, flag, 0)),
    ];
    let away = (change.away)(&memory);
    let gone = (
        wake(word, flag, 1),
        call!(SYS_futex, word, libc::FUTEX_WAIT | flag, 5, 0),
    );
    let back = (change.back)(&memory);
    let rest = wake(word, flag, 9);
    let answers = sleepers.map(Sleeper::answer);
    check(name, (away.is_ok(), back.is_ok()));
    check("  wake and wait while it is gone", gone);
    check("  wake the rest", rest);
    for answer in answers {
        check("  woken", answer);
    }
    memory.end();
}

/// What comes to a mutex that somebody waits for.
fn owned(name: &str, of_file: bool, flag: i32, change: &'static Change) {
    let memory = Memory::new(of_file);
    let word = memory.at + MUTEX;
    let call = move |operation: i32| inheriting(word, operation, flag, 0);
    let taken = call(libc::FUTEX_LOCK_PI);
    let sleeper = Sleeper::new(move || call(libc::FUTEX_LOCK_PI));
    let before = sys::peek32(word);
    let away = (change.away)(&memory);
    let gone = (
        call(libc::FUTEX_TRYLOCK_PI),
        call(libc::FUTEX_LOCK_PI),
        call(libc::FUTEX_UNLOCK_PI),
    );
    let back = (change.back)(&memory);
    let is_kept = sys::peek32(word) == before;
    // It may have been there all the time.
    let mut given = gone.2.or_else(|_| call(libc::FUTEX_UNLOCK_PI));
    if given.is_err() {
        check("  what was there is gone", given);
        sys::poke32(word, before);
        given = call(libc::FUTEX_UNLOCK_PI);
    }
    let answer = sleeper.answer();
    check(name, (taken, away.is_ok(), back.is_ok()));
    check("  try, lock and unlock while it is gone", gone);
    check("  the word is kept", is_kept);
    check("  unlock", given);
    check("  the next one has it", answer);
    memory.end();
}

/// What comes to one who waits for a mutex when its owner ends meanwhile.
fn orphaned(name: &str, of_file: bool, flag: i32, change: &'static Change) {
    static STEP: AtomicU32 = AtomicU32::new(0);
    let await_step = |step: u32| {
        while STEP.load(Ordering::SeqCst) < step {
            thread::yield_now();
        }
    };
    STEP.store(0, Ordering::SeqCst);
    let memory = Memory::new(of_file);
    let word = memory.at + MUTEX;
    let owner = Sleeper::start(move || {
        let taken = inheriting(word, libc::FUTEX_LOCK_PI, flag, 0);
        STEP.store(1, Ordering::SeqCst);
        await_step(2);
        taken
    });
    await_step(1);
    let sleeper = Sleeper::new(move || inheriting(word, libc::FUTEX_LOCK_PI, flag, 0));
    let tid = sleeper.tid as u32;
    let away = (change.away)(&memory);
    STEP.store(2, Ordering::SeqCst);
    let taken = owner.answer();
    let answer = sleeper.answer();
    let back = (change.back)(&memory);
    let value = sys::peek32(word);
    check(name, (taken, away.is_ok(), back.is_ok()));
    check("  who waited", answer);
    check("  the word is theirs", value & 0x3fff_ffff == tid);
    check("  its bits", value & 0xc000_0000);
    memory.end();
}

/// A moment from now.
fn moment() -> libc::timespec {
    libc::timespec {
        tv_sec: 0,
        tv_nsec: 30_000,
    }
}

/// That moment on a clock.
fn until(clock: i32) -> libc::timespec {
    let mut now: libc::timespec = sys::zeroed();
    let _ = call!(SYS_clock_gettime, clock, &mut now);
    let nanoseconds = now.tv_nsec + moment().tv_nsec;
    libc::timespec {
        tv_sec: now.tv_sec + nanoseconds / 1_000_000_000,
        tv_nsec: nanoseconds % 1_000_000_000,
    }
}

/// An operation, and the errors that it may answer beside EFAULT.
struct Operation {
    name: &'static str,
    call: fn(usize, i32) -> Ret,
    errors: &'static [i32],
}

const LATE: &[i32] = &[libc::EAGAIN, libc::ETIMEDOUT];
/// A mutex whose word is not what the kernel knows of it.
const MIXED: &[i32] = &[
    libc::EAGAIN,
    libc::ETIMEDOUT,
    libc::EDEADLK,
    libc::EINVAL,
    libc::ESRCH,
];
const NOT_OWNED: &[i32] = &[libc::EAGAIN, libc::EPERM, libc::EINVAL];

fn lock(page: usize, flag: i32) -> Ret {
    let time = until(libc::CLOCK_REALTIME);
    call!(
        SYS_futex,
        page + MUTEX,
        libc::FUTEX_LOCK_PI | flag,
        0,
        &time
    )
}

fn unlock(page: usize, flag: i32) -> Ret {
    inheriting(page + MUTEX, libc::FUTEX_UNLOCK_PI, flag, 0)
}

/// `FUTEX_OP_ADD` of 0, and `FUTEX_OP_CMP_EQ` with 0.
const ADD_NOTHING: u32 = 1 << 28;

static OPERATIONS: [Operation; 19] = [
    Operation {
        name: "WAIT",
        call: |page, flag| call!(SYS_futex, page, libc::FUTEX_WAIT | flag, 0, &moment()),
        errors: LATE,
    },
    Operation {
        name: "WAKE",
        call: |page, flag| wake(page, flag, 1),
        errors: &[],
    },
    Operation {
        name: "WAIT_BITSET",
        call: |page, flag| {
            let (operation, time) = (libc::FUTEX_WAIT_BITSET, until(libc::CLOCK_MONOTONIC));
            call!(SYS_futex, page + OTHER, operation | flag, 0, &time, 0, 6)
        },
        errors: LATE,
    },
    Operation {
        name: "WAKE_BITSET",
        call: |page, flag| {
            let operation = libc::FUTEX_WAKE_BITSET | flag;
            call!(SYS_futex, page + OTHER, operation, 1, 0, 0, 4)
        },
        errors: &[],
    },
    Operation {
        name: "REQUEUE",
        call: |page, flag| {
            let operation = libc::FUTEX_REQUEUE | flag;
            call!(SYS_futex, page, operation, 1, 9, page + OTHER)
        },
        errors: &[],
    },
    Operation {
        name: "futex_waitv",
        call: |page, flag| {
            let (own, time) = (newer(flag), until(libc::CLOCK_MONOTONIC));
            let list = [[0_usize, page, own], [0, page + OTHER, own]];
            let clock = libc::CLOCK_MONOTONIC;
            call!(SYS_futex_waitv, &list[..], 2, 0, &time, clock)
        },
        errors: LATE,
    },
    Operation {
        name: "CMP_REQUEUE",
        call: |page, flag| {
            let operation = libc::FUTEX_CMP_REQUEUE | flag;
            call!(SYS_futex, page + OTHER, operation, 1, 9, page, 0)
        },
        errors: &[libc::EAGAIN],
    },
    Operation {
        name: "WAKE_OP",
        call: |page, flag| {
            let operation = libc::FUTEX_WAKE_OP | flag;
            call!(SYS_futex, page, operation, 1, 1, page + OTHER, ADD_NOTHING)
        },
        errors: &[],
    },
    Operation {
        name: "futex_wait",
        call: |page, flag| {
            let time = until(libc::CLOCK_MONOTONIC);
            newer_wait(page, flag, core::ptr::from_ref(&time).expose_provenance())
        },
        errors: LATE,
    },
    Operation {
        name: "futex_wake",
        call: |page, flag| sys::raw(454, &[page, u32::MAX as usize, 1, newer(flag)]),
        errors: &[],
    },
    Operation {
        name: "futex_requeue",
        call: |page, flag| {
            let list = [[0_usize, page, newer(flag)], [0, page + OTHER, newer(flag)]];
            sys::raw(456, &[list.as_ptr().expose_provenance(), 0, 1, 9])
        },
        errors: &[libc::EAGAIN],
    },
    Operation {
        name: "LOCK_PI",
        call: lock,
        errors: MIXED,
    },
    Operation {
        name: "UNLOCK_PI",
        call: unlock,
        errors: NOT_OWNED,
    },
    Operation {
        name: "TRYLOCK_PI",
        call: |page, flag| inheriting(page + MUTEX, libc::FUTEX_TRYLOCK_PI, flag, 0),
        errors: MIXED,
    },
    Operation {
        name: "UNLOCK_PI after it",
        call: unlock,
        errors: NOT_OWNED,
    },
    Operation {
        name: "WAIT_REQUEUE_PI",
        call: |page, flag| {
            let (operation, time) = (libc::FUTEX_WAIT_REQUEUE_PI, until(libc::CLOCK_MONOTONIC));
            let (from, to) = (page + ONWARD, page + MUTEX);
            call!(SYS_futex, from, operation | flag, 0, &time, to)
        },
        errors: MIXED,
    },
    Operation {
        name: "UNLOCK_PI of who was moved",
        call: unlock,
        errors: NOT_OWNED,
    },
    Operation {
        name: "CMP_REQUEUE_PI",
        call: |page, flag| {
            let operation = libc::FUTEX_CMP_REQUEUE_PI | flag;
            let (from, to) = (page + ONWARD, page + MUTEX);
            call!(SYS_futex, from, operation, 1, 9, to, 0)
        },
        errors: MIXED,
    },
    Operation {
        name: "LOCK_PI once more",
        call: lock,
        errors: MIXED,
    },
];

/// All operations once, from the `first` on; what is strange goes to `tell`.
fn pass(page: usize, flag: i32, first: usize, mut tell: impl FnMut(String)) {
    let (early, late) = OPERATIONS.split_at(first % OPERATIONS.len());
    for operation in late.iter().chain(early) {
        match (operation.call)(page, flag) {
            Ok(answer) if answer >= 0 => {}
            Err(error) if error.0 == libc::EFAULT || operation.errors.contains(&error.0) => {}
            Ok(answer) => tell(format!("{} {answer}", operation.name)),
            Err(error) => tell(format!("{} {}", operation.name, error.name())),
        }
    }
}

/// Operations on every processor while the memory goes and comes back: what
/// was answered that Linux would not.
fn race(of_file: bool, flag: i32, change: &'static Change, rounds: u32) -> BTreeSet<String> {
    let memory = Memory::new(of_file);
    let page = memory.at;
    // A process that has the file, too, and never loses sight of it but with the
    // file itself; private words are no business of its.
    let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
    let told = call!(SYS_mmap, 0, PAGE, RW, flags, -1, 0).unwrap_or(0) as usize;
    let other = (of_file && flag != PRIVATE).then(|| {
        let parent = call!(SYS_getpid);
        sys::fork(|| {
            let (mut strange, mut first) = (BTreeSet::new(), 0);
            while sys::peek(told) == 0 && call!(SYS_getppid) == parent {
                pass(page, flag, first, |what| {
                    strange.insert(what);
                });
                first += 1;
            }
            if !strange.is_empty() {
                check("  another process", format!("{strange:?}"));
            }
            i32::from(!strange.is_empty())
        })
    });
    let strange = Mutex::new(BTreeSet::new());
    let stop = AtomicBool::new(false);
    let passes = [const { AtomicU32::new(0) }; SIBLINGS];
    // What a thread that begins maps for itself must not come to where the memory
    // is gone for the moment: it would go when that comes back.
    let all_began = Barrier::new(SIBLINGS + 1);
    thread::scope(|scope| {
        for (number, passes) in passes.iter().enumerate() {
            let (strange, stop, all_began) = (&strange, &stop, &all_began);
            scope.spawn(move || {
                all_began.wait();
                let mut first = number * OPERATIONS.len() / SIBLINGS;
                while !stop.load(Ordering::Relaxed) {
                    pass(page, flag, first, |what| {
                        strange.lock().expect("no thread panics").insert(what);
                    });
                    first += 1;
                    passes.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let least = || passes.iter().map(|n| n.load(Ordering::Relaxed)).min();
        let mut round = 0;
        all_began.wait();
        while round < rounds || least() < Some(PASSES) {
            let _ = (change.away)(&memory);
            // Now and then it is gone for longer.
            if round.is_multiple_of(4) {
                let _ = call!(SYS_sched_yield);
            }
            let _ = (change.back)(&memory);
            let _ = call!(SYS_sched_yield);
            round += 1;
        }
        stop.store(true, Ordering::Relaxed);
    });
    let mut strange = strange.into_inner().expect("no thread panics");
    sys::poke(told, 1);
    let end = other.map_or_else(|| "exit 0".to_owned(), wait);
    if end != "exit 0" {
        strange.insert(format!("another process: {end}"));
    }
    let _ = call!(SYS_munmap, told, PAGE);
    memory.end();
    strange
}

/// Every operation beside every change.
pub(crate) fn races() {
    each(|name, of_file, flag, change| {
        check(name, format!("{:?}", race(of_file, flag, change, ROUNDS)));
    });
    check("still here", wait(sys::fork(|| 0)));
}

/// The same for who counts what is left; what is strange is told.
pub(crate) fn races_once() {
    each(|name, of_file, flag, change| {
        let strange = race(of_file, flag, change, ROUNDS / 10);
        if !strange.is_empty() {
            check(name, format!("{strange:?}"));
        }
    });
}
