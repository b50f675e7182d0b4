//! `futex`: mutexes with priority inheritance, and mutexes whose owner dies.

use core::sync::atomic::{AtomicU32, Ordering};
use std::sync::Mutex;

use crate::call;
use crate::report::{check, check_child, wait};
use crate::sleeper::{Sleeper, at};
use crate::sys::{self, BAD, Ret};

const LOCK: i32 = libc::FUTEX_LOCK_PI;
const UNLOCK: i32 = libc::FUTEX_UNLOCK_PI;
const TRYLOCK: i32 = libc::FUTEX_TRYLOCK_PI;
const WAIT: i32 = libc::FUTEX_WAIT;
const WAKE: i32 = libc::FUTEX_WAKE;
const WAIT_REQUEUE: i32 = libc::FUTEX_WAIT_REQUEUE_PI;
const CMP_REQUEUE_PI: i32 = libc::FUTEX_CMP_REQUEUE_PI;
const LOCK2: i32 = 13;
const PRIVATE: i32 = libc::FUTEX_PRIVATE_FLAG;
const REALTIME: i32 = libc::FUTEX_CLOCK_REALTIME;

const WAITERS: u32 = 0x8000_0000;
const DIED: u32 = 0x4000_0000;
const OWNER: u32 = 0x3fff_ffff;

fn tid() -> u32 {
    call!(SYS_gettid).unwrap_or(0) as u32
}

fn lock(word: &AtomicU32) -> Ret {
    call!(SYS_futex, at(word), LOCK | PRIVATE, 0, 0)
}

fn try_lock(word: &AtomicU32) -> Ret {
    call!(SYS_futex, at(word), TRYLOCK | PRIVATE, 0, 0)
}

fn unlock(word: &AtomicU32) -> Ret {
    call!(SYS_futex, at(word), UNLOCK | PRIVATE, 0, 0)
}

/// A word in words: whose it is and what bits it has.
fn shown(word: &AtomicU32) -> String {
    let value = word.load(Ordering::SeqCst);
    let owner = match value & OWNER {
        0 => "nobody's",
        owner if owner == tid() => "ours",
        _ => "another's",
    };
    let waiters = if value & WAITERS != 0 {
        ", waited for"
    } else {
        ""
    };
    let died = if value & DIED != 0 {
        ", its owner died"
    } else {
        ""
    };
    format!("{owner}{waiters}{died}")
}

/// What threads saw, to be told in the order in which they saw it.
static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn saw(what: String) {
    SEEN.lock().expect("no thread panics").push(what);
}

fn tell_seen() {
    for what in SEEN.lock().expect("no thread panics").drain(..) {
        check("seen", what);
    }
}

/// A call in a thread that must not fail.
fn check_zero(answer: Ret) {
    if answer != Ok(0) {
        saw(answer.map_or_else(|error| error.name().to_owned(), |n| n.to_string()));
    }
}

/// A time from now on a clock.
fn later(clock: i32, milliseconds: i64) -> libc::timespec {
    let mut now: libc::timespec = sys::zeroed();
    let _ = call!(SYS_clock_gettime, clock, &mut now);
    let nanoseconds = now.tv_nsec + milliseconds * 1_000_000;
    libc::timespec {
        tv_sec: now.tv_sec + nanoseconds.div_euclid(1_000_000_000),
        tv_nsec: nanoseconds.rem_euclid(1_000_000_000),
    }
}

extern "C" fn take(_: i32, _: &libc::siginfo_t, _: usize) {}

/// The cases.
pub(crate) fn run() {
    alone();
    contended();
    deadlines();
    mixed();
    deadlocks();
    owners_that_end();
}

fn alone() {
    static WORD: AtomicU32 = AtomicU32::new(0);
    check("lock", (lock(&WORD), shown(&WORD)));
    check("lock again", (lock(&WORD), shown(&WORD)));
    check("try again", (try_lock(&WORD), shown(&WORD)));
    check("unlock", (unlock(&WORD), shown(&WORD)));
    check("unlock again", (unlock(&WORD), shown(&WORD)));
    check("try", (try_lock(&WORD), shown(&WORD)));
    WORD.fetch_or(WAITERS, Ordering::SeqCst);
    check("unlock, as if waited for", (unlock(&WORD), shown(&WORD)));
    WORD.store(WAITERS, Ordering::SeqCst);
    check(
        "lock nobody's, as if waited for",
        (lock(&WORD), shown(&WORD)),
    );
    WORD.store(DIED, Ordering::SeqCst);
    check("lock a dead one's", (lock(&WORD), shown(&WORD)));
    check("unlock it", (unlock(&WORD), shown(&WORD)));
    // A number that no thread has.
    WORD.store(0x3fff_fff0, Ordering::SeqCst);
    check("lock of an owner that there is not", lock(&WORD));
    check("the word", WORD.load(Ordering::SeqCst));
    check("try", try_lock(&WORD));
    check("unlock another's", unlock(&WORD));
    for (name, address) in [("bad address", BAD), ("misaligned", at(&WORD) + 1)] {
        for (kind, operation) in [("lock", LOCK), ("try", TRYLOCK), ("unlock", UNLOCK)] {
            for (scope, flag) in [("private", PRIVATE), ("shared", 0)] {
                let answer = call!(SYS_futex, address, operation | flag, 0, 0);
                check(&format!("{kind}, {name}, {scope}"), answer);
            }
        }
    }
    let prot = libc::PROT_READ;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let read_only = call!(SYS_mmap, 0, 4096, prot, flags, -1, 0).unwrap_or(0) as usize;
    check(
        "lock, only read",
        call!(SYS_futex, read_only, LOCK | PRIVATE, 0, 0),
    );
    check(
        "try, only read",
        call!(SYS_futex, read_only, TRYLOCK | PRIVATE, 0, 0),
    );
    check(
        "unlock, only read",
        call!(SYS_futex, read_only, UNLOCK | PRIVATE, 0, 0),
    );
    for (name, operation) in [
        ("lock", LOCK),
        ("lock2", LOCK2),
        ("try", TRYLOCK),
        ("unlock", UNLOCK),
    ] {
        WORD.store(tid(), Ordering::SeqCst);
        let answer = call!(SYS_futex, at(&WORD), operation | REALTIME, 0, 0);
        check(&format!("{name} with CLOCK_REALTIME"), answer);
    }
}

fn contended() {
    static WORD: AtomicU32 = AtomicU32::new(0);
    check("lock", lock(&WORD));
    let one = Sleeper::new(|| {
        let answer = lock(&WORD);
        saw(format!("the first has it: {}", shown(&WORD)));
        check_zero(answer);
        unlock(&WORD)
    });
    check("it is waited for", shown(&WORD));
    let other = Sleeper::new(|| {
        let answer = lock(&WORD);
        saw(format!("the second has it: {}", shown(&WORD)));
        check_zero(answer);
        unlock(&WORD)
    });
    check("unlock", unlock(&WORD));
    check("the first gives it up", one.answer());
    check("the second gives it up", other.answer());
    check("nobody has it", shown(&WORD));
    tell_seen();
    static SUM: AtomicU32 = AtomicU32::new(0);
    let threads: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(|| {
                for _ in 0..500 {
                    let own = tid();
                    if WORD
                        .compare_exchange(0, own, Ordering::SeqCst, Ordering::SeqCst)
                        .is_err()
                    {
                        let _ = lock(&WORD);
                    }
                    SUM.store(SUM.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                    if WORD
                        .compare_exchange(own, 0, Ordering::SeqCst, Ordering::SeqCst)
                        .is_err()
                    {
                        let _ = unlock(&WORD);
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        let _ = thread.join();
    }
    check("four threads", (SUM.load(Ordering::SeqCst), shown(&WORD)));
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
    let shared = call!(SYS_mmap, 0, 4096, prot, flags, -1, 0).unwrap_or(0) as usize;
    check(
        "lock of two processes",
        call!(SYS_futex, shared, LOCK, 0, 0),
    );
    let child = sys::fork(|| {
        check("try in the child", call!(SYS_futex, shared, TRYLOCK, 0, 0));
        check("lock in the child", call!(SYS_futex, shared, LOCK, 0, 0));
        i32::from(sys::peek32(shared) & OWNER == tid())
    });
    while sys::peek32(shared) & WAITERS == 0 {
        std::thread::yield_now();
    }
    let unlocked = call!(SYS_futex, shared, UNLOCK, 0, 0);
    check("child", wait(child));
    check("unlock", unlocked);
}

fn deadlines() {
    static WORD: AtomicU32 = AtomicU32::new(0);
    check("lock", lock(&WORD));
    let try_for = |operation: i32, time: libc::timespec| {
        std::thread::spawn(move || call!(SYS_futex, at(&WORD), operation | PRIVATE, 0, &time))
            .join()
            .unwrap_or(Ok(-1))
    };
    check("wall, soon", try_for(LOCK, later(libc::CLOCK_REALTIME, 20)));
    check(
        "wall, past",
        try_for(LOCK, later(libc::CLOCK_REALTIME, -20)),
    );
    check(
        "monotonic, soon",
        try_for(LOCK2, later(libc::CLOCK_MONOTONIC, 20)),
    );
    check(
        "lock2, wall",
        try_for(LOCK2 | REALTIME, later(libc::CLOCK_REALTIME, 20)),
    );
    let bad = libc::timespec {
        tv_sec: 0,
        tv_nsec: -1,
    };
    check("bad time", try_for(LOCK, bad));
    check("bad time for try", try_for(TRYLOCK, bad));
    check("left", shown(&WORD));
    sys::on_signal(libc::SIGUSR1, 0, take);
    let sleeper = Sleeper::new(|| {
        let answer = lock(&WORD);
        let _ = unlock(&WORD);
        answer
    });
    let me = call!(SYS_getpid).unwrap_or(0);
    for _ in 0..3 {
        let _ = call!(SYS_tgkill, me, sleeper.tid, libc::SIGUSR1);
        sleeper.until_asleep();
    }
    check("unlock", unlock(&WORD));
    check("signals do not end a wait", sleeper.answer());
}

/// Words that are used in both ways.
fn mixed() {
    static WORD: AtomicU32 = AtomicU32::new(0);
    check("lock", lock(&WORD));
    let sleeper = Sleeper::new(|| {
        let answer = lock(&WORD);
        let _ = unlock(&WORD);
        answer
    });
    check(
        "wake of one that waits for it",
        call!(SYS_futex, at(&WORD), WAKE | PRIVATE, 1),
    );
    static OTHER: AtomicU32 = AtomicU32::new(0);
    check(
        "requeue of it",
        call!(
            SYS_futex,
            at(&WORD),
            libc::FUTEX_REQUEUE | PRIVATE,
            1,
            1,
            at(&OTHER)
        ),
    );
    check("unlock", unlock(&WORD));
    check("it got it", sleeper.answer());
    OTHER.store(0x1234_5678, Ordering::SeqCst);
    let sleeper = Sleeper::new(|| call!(SYS_futex, at(&OTHER), WAIT | PRIVATE, 0x1234_5678, 0));
    OTHER.store(0, Ordering::SeqCst);
    check("lock where one waits", lock(&OTHER));
    OTHER.store(tid(), Ordering::SeqCst);
    check("unlock where one waits", unlock(&OTHER));
    check("wake it", call!(SYS_futex, at(&OTHER), WAKE | PRIVATE, 1));
    check("woken", sleeper.answer());
}

fn deadlocks() {
    static WORDS: [AtomicU32; 3] = [const { AtomicU32::new(0) }; 3];
    check("lock the first", lock(&WORDS[0]));
    let second = Sleeper::new(|| {
        let _ = lock(&WORDS[1]);
        let answer = lock(&WORDS[0]);
        let _ = unlock(&WORDS[0]);
        let _ = unlock(&WORDS[1]);
        answer
    });
    let third = Sleeper::new(|| {
        let _ = lock(&WORDS[2]);
        let answer = lock(&WORDS[1]);
        let _ = unlock(&WORDS[1]);
        let _ = unlock(&WORDS[2]);
        answer
    });
    check("a circle of two", lock(&WORDS[1]));
    check("a circle of three", lock(&WORDS[2]));
    check("try is no circle", try_lock(&WORDS[2]));
    check("unlock", unlock(&WORDS[0]));
    check("the second", second.answer());
    check("the third", third.answer());
    check(
        "all free",
        (shown(&WORDS[0]), shown(&WORDS[1]), shown(&WORDS[2])),
    );
}

fn owners_that_end() {
    static WORD: AtomicU32 = AtomicU32::new(0);
    static GO: AtomicU32 = AtomicU32::new(0);
    let owner = Sleeper::new(|| {
        let _ = lock(&WORD);
        while GO.load(Ordering::SeqCst) == 0 {
            let _ = call!(SYS_futex, at(&GO), WAIT | PRIVATE, 0, 0);
        }
        Ok(0)
    });
    let waiter = Sleeper::new(|| {
        let answer = lock(&WORD);
        saw(format!("after the owner's end: {}", shown(&WORD)));
        check_zero(answer);
        unlock(&WORD)
    });
    GO.store(1, Ordering::SeqCst);
    let _ = call!(SYS_futex, at(&GO), WAKE | PRIVATE, 1);
    check("the owner", owner.answer());
    check("the one that waited", waiter.answer());
    check("free", shown(&WORD));
    tell_seen();
    let dead = std::thread::spawn(|| {
        let _ = lock(&WORD);
        tid()
    });
    let dead = dead.join().unwrap_or(0);
    check(
        "the owner ended, nobody waited",
        WORD.load(Ordering::SeqCst) == dead,
    );
    while crate::sleeper::is_alive(dead.cast_signed()) {
        std::thread::yield_now();
    }
    check("lock", lock(&WORD));
    WORD.store(0, Ordering::SeqCst);
}

/// `WAIT_REQUEUE_PI` and `CMP_REQUEUE_PI`.
pub(crate) fn requeue() {
    static COND: AtomicU32 = AtomicU32::new(0);
    static MUTEX: AtomicU32 = AtomicU32::new(0);
    let wait_at = |flags: i32, value: u32, time: Option<&libc::timespec>, to: usize| match time {
        None => call!(
            SYS_futex,
            at(&COND),
            WAIT_REQUEUE | flags | PRIVATE,
            value,
            0,
            to
        ),
        Some(time) => call!(
            SYS_futex,
            at(&COND),
            WAIT_REQUEUE | flags | PRIVATE,
            value,
            time,
            to
        ),
    };
    let requeue = |wake: i32, requeue: i32, value: u32, to: usize| {
        call!(
            SYS_futex,
            at(&COND),
            CMP_REQUEUE_PI | PRIVATE,
            wake,
            requeue,
            to,
            value
        )
    };
    let mutex = at(&MUTEX);
    check("wait, another value", wait_at(0, 1, None, mutex));
    check("wait at the mutex itself", wait_at(0, 0, None, at(&COND)));
    check(
        "wait for a misaligned mutex",
        wait_at(0, 0, None, mutex + 1),
    );
    check("wait for a bad mutex", wait_at(0, 0, None, BAD + 1));
    let soon = later(libc::CLOCK_MONOTONIC, 20);
    check("wait, monotonic", wait_at(0, 0, Some(&soon), mutex));
    let soon = later(libc::CLOCK_REALTIME, 20);
    check("wait, wall", wait_at(REALTIME, 0, Some(&soon), mutex));
    check("requeue nobody", requeue(1, 5, 0, mutex));
    check("requeue, another value", requeue(1, 5, 1, mutex));
    check("requeue 0", requeue(0, 5, 0, mutex));
    check("requeue 2", requeue(2, 5, 0, mutex));
    check("requeue -1", requeue(1, -1, 0, mutex));
    check("requeue to itself", requeue(1, 5, 0, at(&COND)));
    check("requeue to a misaligned mutex", requeue(1, 5, 0, mutex + 1));
    let sleepers = |count: usize| -> Vec<Sleeper> {
        (0..count)
            .map(|_| {
                Sleeper::new(move || {
                    let answer = wait_at(0, 0, None, mutex);
                    if answer.is_ok() {
                        let has = MUTEX.load(Ordering::SeqCst) & OWNER == tid();
                        saw(format!("it has the mutex: {has}"));
                        let _ = unlock(&MUTEX);
                    }
                    answer
                })
            })
            .collect()
    };
    let answers = |sleepers: Vec<Sleeper>| {
        for sleeper in sleepers {
            check("answer", sleeper.answer());
        }
        tell_seen();
    };
    let all = sleepers(3);
    check(
        "requeue 3, the mutex is free",
        requeue(1, i32::MAX, 0, mutex),
    );
    answers(all);
    check("free", MUTEX.load(Ordering::SeqCst));
    check("lock", lock(&MUTEX));
    let all = sleepers(3);
    check(
        "requeue 1 and 1, the mutex is ours",
        requeue(1, 1, 0, mutex),
    );
    check("the rest", requeue(1, 5, 0, mutex));
    check("nobody", requeue(1, 5, 0, mutex));
    check("the word", shown(&MUTEX));
    check("unlock", unlock(&MUTEX));
    answers(all);
    check("free", MUTEX.load(Ordering::SeqCst));
    let one = sleepers(1);
    check(
        "wake instead",
        call!(SYS_futex, at(&COND), WAKE | PRIVATE, 1),
    );
    check(
        "requeue instead",
        call!(
            SYS_futex,
            at(&COND),
            libc::FUTEX_REQUEUE | PRIVATE,
            1,
            1,
            at(&MUTEX)
        ),
    );
    static OTHER: AtomicU32 = AtomicU32::new(0);
    check("to another mutex", requeue(1, 1, 0, at(&OTHER)));
    check("to its own", requeue(1, 0, 0, mutex));
    answers(one);
    let plain = Sleeper::new(|| call!(SYS_futex, at(&COND), WAIT | PRIVATE, 0, 0));
    check("requeue of one that only waits", requeue(1, 1, 0, mutex));
    check("wake it", call!(SYS_futex, at(&COND), WAKE | PRIVATE, 1));
    check("woken", plain.answer());

    sys::on_signal(libc::SIGUSR1, 0, take);
    let me = call!(SYS_getpid).unwrap_or(0);
    let signalled = Sleeper::new(move || wait_at(0, 0, None, mutex));
    COND.store(1, Ordering::SeqCst);
    let _ = call!(SYS_tgkill, me, signalled.tid, libc::SIGUSR1);
    check("a signal, and the word changed", signalled.answer());
    COND.store(0, Ordering::SeqCst);
    check("lock", lock(&MUTEX));
    let moved = Sleeper::new(move || wait_at(0, 0, None, mutex));
    check("requeue it", requeue(1, 0, 0, mutex));
    let _ = call!(SYS_tgkill, me, moved.tid, libc::SIGUSR1);
    check("a signal after it was moved", moved.answer());
    // Late enough for a busy host.
    let soon = later(libc::CLOCK_MONOTONIC, 1000);
    let timed = Sleeper::new(move || wait_at(0, 0, Some(&soon), mutex));
    check("requeue one with a deadline", requeue(1, 0, 0, mutex));
    check("it passes", timed.answer());
    check("unlock", unlock(&MUTEX));
    check("free", MUTEX.load(Ordering::SeqCst));
}

/// A robust mutex: an entry of the list and its word, laid out as the kernel
/// is told.
#[repr(C)]
struct Robust {
    next: AtomicU64Word,
    word: AtomicU32,
}

type AtomicU64Word = core::sync::atomic::AtomicU64;

/// Robust lists: their owners die with mutexes, or with nonsense.
pub(crate) fn robust() {
    static MUTEXES: [Robust; 3] = [const {
        Robust {
            next: AtomicU64Word::new(0),
            word: AtomicU32::new(0),
        }
    }; 3];
    static HEAD: [AtomicU64Word; 3] = [const { AtomicU64Word::new(0) }; 3];
    let head = HEAD[0].as_ptr().expose_provenance() as u64;
    let entry = |n: usize| MUTEXES[n].next.as_ptr().expose_provenance() as u64;
    // The list as a thread leaves it: which mutexes, whether each inherits,
    // and which it was about to take.
    let die_with = |list: &[u64], pending: u64, words: [u32; 3]| {
        let list = list.to_vec();
        let thread = std::thread::spawn(move || {
            let own = tid();
            let mut from = &HEAD[0];
            for at in &list {
                from.store(*at, Ordering::SeqCst);
                from = MUTEXES
                    .iter()
                    .map(|mutex| &mutex.next)
                    .find(|next| next.as_ptr().expose_provenance() as u64 == at & !1)
                    .unwrap_or(from);
            }
            from.store(head, Ordering::SeqCst);
            HEAD[1].store(8, Ordering::SeqCst);
            HEAD[2].store(pending, Ordering::SeqCst);
            for (mutex, word) in MUTEXES.iter().zip(words) {
                let value = if word & OWNER == 1 {
                    word & !OWNER | own
                } else {
                    word
                };
                mutex.word.store(value, Ordering::SeqCst);
            }
            let _ = call!(SYS_set_robust_list, head as usize, 24);
            own
        });
        let dead = thread.join().unwrap_or(0);
        while crate::sleeper::is_alive(dead.cast_signed()) {
            std::thread::yield_now();
        }
        let shown: Vec<String> = MUTEXES
            .iter()
            .map(|mutex| match mutex.word.load(Ordering::SeqCst) {
                value if value & OWNER == dead => format!("owned {:x}", value >> 30),
                value => format!("{value:x}"),
            })
            .collect();
        shown.join(" ")
    };
    let (a, b, c) = (entry(0), entry(1), entry(2));
    check("nothing", die_with(&[], 0, [1, 1, 1]));
    check("two of three", die_with(&[a, c], 0, [1, 1, 1]));
    check("with waiters", die_with(&[a, b], 0, [1 | WAITERS, 1, 1]));
    check("another's", die_with(&[a, b], 0, [7, 1, 0]));
    check("inheriting", die_with(&[a | 1, b], 0, [1 | WAITERS, 1, 0]));
    check("about to take one", die_with(&[a], b, [1, 1, 1]));
    check(
        "about to take one on the list",
        die_with(&[a, b], b, [1, 1, 1]),
    );
    check("about to take nobody's", die_with(&[a], b, [1, 0, 1]));
    check("a circle", die_with(&[a, b, a], 0, [1, 1, 1]));
    check(
        "an entry that is not there",
        die_with(&[a, BAD as u64 & !7, b], 0, [1, 1, 1]),
    );
    check("a misaligned entry", die_with(&[a + 2, b], 0, [1, 1, 1]));
    check(
        "an entry in the kernel",
        die_with(&[a, sys::KERNEL as u64], c, [1, 1, 1]),
    );
    for (name, list) in [
        ("not there", BAD),
        ("in the kernel", sys::KERNEL),
        ("misaligned", head as usize + 1),
    ] {
        check_child(&format!("a head that is {name}"), || {
            let thread = std::thread::spawn(move || call!(SYS_set_robust_list, list, 24));
            check("set", thread.join().unwrap_or(Ok(-1)));
            0
        });
    }
    // Who waits is woken, as at a shared word.
    static GO: AtomicU32 = AtomicU32::new(0);
    MUTEXES[0].word.store(0, Ordering::SeqCst);
    let owner = Sleeper::new(move || {
        HEAD[0].store(a, Ordering::SeqCst);
        MUTEXES[0].next.store(head, Ordering::SeqCst);
        HEAD[2].store(0, Ordering::SeqCst);
        MUTEXES[0].word.store(tid() | WAITERS, Ordering::SeqCst);
        let _ = call!(SYS_set_robust_list, head as usize, 24);
        while GO.load(Ordering::SeqCst) == 0 {
            let _ = call!(SYS_futex, at(&GO), WAIT | PRIVATE, 0, 0);
        }
        Ok(0)
    });
    let waiters: Vec<Sleeper> = (0..2)
        .map(|_| {
            Sleeper::new(|| {
                let value = MUTEXES[0].word.load(Ordering::SeqCst);
                call!(SYS_futex, at(&MUTEXES[0].word), WAIT, value, 0)
            })
        })
        .collect();
    GO.store(1, Ordering::SeqCst);
    let _ = call!(SYS_futex, at(&GO), WAKE | PRIVATE, 1);
    check("the owner", owner.answer());
    check(
        "the word",
        MUTEXES[0].word.load(Ordering::SeqCst) == WAITERS | DIED,
    );
    let mut others = 0;
    for _ in 0..1000 {
        others += call!(SYS_futex, at(&MUTEXES[0].word), WAKE, 1).unwrap_or(0);
        if others == 1 {
            break;
        }
    }
    check("one was woken already", others);
    for waiter in waiters {
        check("woken", waiter.answer());
    }
    let other = std::thread::spawn(|| {
        let (mut list, mut size) = (0_usize, 0_usize);
        call!(SYS_get_robust_list, 0, &mut list, &mut size)
    });
    check("get_robust_list", other.join().unwrap_or(Ok(-1)));
    let (mut list, mut size) = (0_usize, 0_usize);
    check(
        "of nobody",
        call!(SYS_get_robust_list, 0x3fff_fff0, &mut list, &mut size),
    );
    check(
        "of a negative number",
        call!(SYS_get_robust_list, -1, &mut list, &mut size),
    );
    check(
        "bad addresses",
        call!(SYS_get_robust_list, 0, BAD, &mut size),
    );
    check(
        "of another user's",
        call!(SYS_get_robust_list, 1, &mut list, &mut size),
    );
}
