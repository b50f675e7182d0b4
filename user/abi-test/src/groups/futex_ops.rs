//! `futex`: whom a wake, a requeue and a `WAKE_OP` reach, and what they answer.

use core::sync::atomic::{AtomicU32, Ordering};

use crate::call;
use crate::report::{check, check_child, wait};
use crate::sleeper::{Sleeper, at};
use crate::sys::{self, BAD, KERNEL, Ret};

const PRIVATE: i32 = libc::FUTEX_PRIVATE_FLAG;
const WAIT: i32 = libc::FUTEX_WAIT;
const WAKE: i32 = libc::FUTEX_WAKE;
const WAIT_BITSET: i32 = libc::FUTEX_WAIT_BITSET;
const WAKE_BITSET: i32 = libc::FUTEX_WAKE_BITSET;
const REQUEUE: i32 = libc::FUTEX_REQUEUE;
const CMP_REQUEUE: i32 = libc::FUTEX_CMP_REQUEUE;
const WAKE_OP: i32 = libc::FUTEX_WAKE_OP;
const REALTIME: i32 = libc::FUTEX_CLOCK_REALTIME;

fn waiters(word: &'static AtomicU32, count: usize, flag: i32) -> Vec<Sleeper> {
    (0..count)
        .map(|_| Sleeper::new(move || call!(SYS_futex, at(word), WAIT | flag, 0, 0)))
        .collect()
}

fn wake(word: &AtomicU32, count: i32) -> Ret {
    call!(SYS_futex, at(word), WAKE | PRIVATE, count)
}

fn answers(sleepers: Vec<Sleeper>) -> String {
    let all: Vec<String> = sleepers
        .into_iter()
        .map(|sleeper| {
            sleeper
                .answer()
                .map_or_else(|e| e.name().to_owned(), |n| n.to_string())
        })
        .collect();
    all.join(" ")
}

/// The cases.
pub(crate) fn run() {
    wakes();
    bits();
    requeues();
    keys();
    wake_op();
    flags();
    addresses();
}

fn wakes() {
    static WORD: AtomicU32 = AtomicU32::new(0);
    let sleepers = waiters(&WORD, 5, PRIVATE);
    check("wake 2 of 5", wake(&WORD, 2));
    check("wake 0 wakes one", wake(&WORD, 0));
    check("wake -1 wakes one", wake(&WORD, -1));
    check("wake the rest", wake(&WORD, i32::MAX));
    check("wake nobody", wake(&WORD, i32::MAX));
    check("all were woken", answers(sleepers));
}

fn bits() {
    static WORD: AtomicU32 = AtomicU32::new(0);
    let wait = |bits: u32| {
        Sleeper::new(move || call!(SYS_futex, at(&WORD), WAIT_BITSET | PRIVATE, 0, 0, 0, bits))
    };
    let wake = |bits: u32| call!(SYS_futex, at(&WORD), WAKE_BITSET | PRIVATE, 9, 0, 0, bits);
    let sleepers = vec![wait(0b1100), wait(0b0011), wait(u32::MAX)];
    check("no bits", wake(0));
    check("0b0010", wake(0b0010));
    check("0b0010 again", wake(0b0010));
    check("0b0101", wake(0b0101));
    check("bitset waiters", answers(sleepers));
    let sleeper = wait(1);
    check(
        "a plain wake meets any bits",
        call!(SYS_futex, at(&WORD), WAKE | PRIVATE, 1),
    );
    check("woken", sleeper.answer());
}

fn requeues() {
    static FROM: AtomicU32 = AtomicU32::new(0);
    static TO: AtomicU32 = AtomicU32::new(0);
    let requeue = |operation: i32, wake: i32, requeue: i32, to: usize, value: u32| {
        call!(
            SYS_futex,
            at(&FROM),
            operation | PRIVATE,
            wake,
            requeue,
            to,
            value
        )
    };
    let to = at(&TO);
    let sleepers = waiters(&FROM, 3, PRIVATE);
    check(
        "CMP_REQUEUE, another value",
        requeue(CMP_REQUEUE, 1, 9, to, 7),
    );
    check(
        "CMP_REQUEUE 1, all",
        requeue(CMP_REQUEUE, 1, i32::MAX, to, 0),
    );
    check("nobody is left", wake(&FROM, 9));
    check("the others are there", wake(&TO, 9));
    check("all were woken", answers(sleepers));
    let sleepers = waiters(&FROM, 4, PRIVATE);
    check("REQUEUE 1, 2", requeue(REQUEUE, 1, 2, to, 0));
    check("left", wake(&FROM, 9));
    check("moved", wake(&TO, 9));
    check("all were woken", answers(sleepers));
    let sleepers = waiters(&FROM, 3, PRIVATE);
    check("REQUEUE 0, 1", requeue(REQUEUE, 0, 1, to, 0));
    check("REQUEUE 0, 0", requeue(REQUEUE, 0, 0, to, 0));
    check("REQUEUE to itself", requeue(REQUEUE, 1, 9, at(&FROM), 0));
    check("left", wake(&FROM, 9));
    check("moved", wake(&TO, 9));
    check("all were woken", answers(sleepers));
    check("REQUEUE nobody", requeue(REQUEUE, 1, 9, to, 0));
    check("REQUEUE -1", requeue(REQUEUE, -1, 1, to, 0));
    check("REQUEUE 1, -1", requeue(REQUEUE, 1, -1, to, 0));
    check("CMP_REQUEUE -1", requeue(CMP_REQUEUE, -1, 1, to, 0));
    check(
        "REQUEUE to a misaligned word",
        requeue(REQUEUE, 1, 1, to + 2, 0),
    );
    check("REQUEUE to the kernel", requeue(REQUEUE, 1, 1, KERNEL, 0));
    check(
        "REQUEUE to nothing, private",
        requeue(REQUEUE, 1, 1, BAD & !3, 0),
    );
    check(
        "REQUEUE to nothing, shared",
        call!(SYS_futex, at(&FROM), REQUEUE, 1, 1, BAD, 0),
    );
    check(
        "CMP_REQUEUE from nothing",
        call!(SYS_futex, BAD, CMP_REQUEUE | PRIVATE, 1, 1, to, 0),
    );
}

/// Private and shared waiters at one word, and words seen from two places.
fn keys() {
    static WORD: AtomicU32 = AtomicU32::new(0);
    let private = waiters(&WORD, 1, PRIVATE);
    check(
        "a shared wake does not find a private waiter",
        call!(SYS_futex, at(&WORD), WAKE, 9),
    );
    let shared = waiters(&WORD, 1, 0);
    check("a private wake finds one", wake(&WORD, 9));
    check(
        "a shared wake finds one",
        call!(SYS_futex, at(&WORD), WAKE, 9),
    );
    check("woken", answers(private));
    check("woken", answers(shared));

    let fd = call!(SYS_memfd_create, c"word", 0).unwrap_or(-1);
    let _ = call!(SYS_ftruncate, fd, 8192);
    let map = |len: usize, prot: i32, flags: i32| {
        call!(SYS_mmap, 0, len, prot, flags, fd, 0).unwrap_or(0) as usize
    };
    let both = libc::PROT_READ | libc::PROT_WRITE;
    let one = map(8192, both, libc::MAP_SHARED);
    let other = map(8192, libc::PROT_READ, libc::MAP_SHARED);
    let sleeper = Sleeper::new(move || call!(SYS_futex, one + 4096, WAIT, 0, 0));
    check("another page of the file", call!(SYS_futex, other, WAKE, 9));
    check(
        "the file elsewhere",
        call!(SYS_futex, other + 4096, WAKE, 9),
    );
    check("woken", sleeper.answer());
    let sleeper = Sleeper::new(move || call!(SYS_futex, one, WAIT, 0, 0));
    let _ = call!(SYS_munmap, one, 4096);
    check("unmapped while it waits", call!(SYS_futex, other, WAKE, 9));
    check("woken", sleeper.answer());
    check("wake where it was", call!(SYS_futex, one, WAKE, 1));
    check(
        "private wake where it was",
        call!(SYS_futex, one, WAKE | PRIVATE, 1),
    );
    let again = map(4096, both, libc::MAP_SHARED);
    let copy = map(4096, both, libc::MAP_PRIVATE);
    let sleeper = Sleeper::new(move || call!(SYS_futex, again, WAIT, 0, 0));
    check(
        "a private mapping is another word",
        call!(SYS_futex, copy, WAKE, 1),
    );
    check("woken", call!(SYS_futex, other, WAKE, 1));
    check("it was", sleeper.answer());
    let read_only = map(4096, libc::PROT_READ, libc::MAP_PRIVATE);
    let sleeper = Sleeper::new(move || call!(SYS_futex, again, WAIT, 0, 0));
    check(
        "a private mapping that is only read",
        call!(SYS_futex, read_only, WAKE, 1),
    );
    let _ = call!(SYS_futex, other, WAKE, 1);
    check("it was", sleeper.answer());
    check_child("past the file's end", || {
        let _ = call!(SYS_ftruncate, fd, 0);
        let past = map(4096, both, libc::MAP_SHARED);
        check("shared wait", call!(SYS_futex, past, WAIT, 0, 0));
        check("shared wake", call!(SYS_futex, past, WAKE, 1));
        check("private wait", call!(SYS_futex, past, WAIT | PRIVATE, 0, 0));
        let _ = call!(SYS_ftruncate, fd, 8192);
        0
    });
    let anonymous = map_anonymous(both);
    check_child("processes and threads at once", || {
        let child = sys::fork(|| call!(SYS_futex, anonymous, WAIT, 0, 0).unwrap_or(9) as i32);
        let sleeper = Sleeper::new(move || call!(SYS_futex, anonymous, WAIT, 0, 0));
        let mut woken = 0;
        while woken < 2 {
            woken += call!(SYS_futex, anonymous, WAKE, 9).unwrap_or(0);
        }
        check("child", wait(child));
        check("thread", sleeper.answer());
        0
    });
}

fn map_anonymous(prot: i32) -> usize {
    let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
    call!(SYS_mmap, 0, 4096, prot, flags, -1, 0).unwrap_or(0) as usize
}

/// As `FUTEX_OP` of futex(2).
fn encoded(operation: u32, operand: i32, comparison: u32, compared: i32) -> u32 {
    let field = |value: i32| value.cast_unsigned() & 0xfff;
    operation << 28 | comparison << 24 | field(operand) << 12 | field(compared)
}

fn wake_op() {
    static FIRST: AtomicU32 = AtomicU32::new(0);
    static SECOND: AtomicU32 = AtomicU32::new(0);
    let operate = |first: i32, second: i32, code: u32| {
        call!(
            SYS_futex,
            at(&FIRST),
            WAKE_OP | PRIVATE,
            first,
            second,
            at(&SECOND),
            code
        )
    };
    for (name, code) in [
        ("set 5", encoded(0, 5, 0, 0)),
        ("add 5", encoded(1, 5, 0, 0)),
        ("add -1", encoded(1, -1, 0, 0)),
        ("or 6", encoded(2, 6, 0, 0)),
        ("andn 2", encoded(3, 2, 0, 0)),
        ("xor 3", encoded(4, 3, 0, 0)),
        ("operation 5", encoded(5, 3, 0, 0)),
        ("operation 7", encoded(7, 3, 0, 0)),
        ("set 1 << 4", encoded(8, 4, 0, 0)),
        ("or 1 << 31", encoded(10, 31, 0, 0)),
        ("set 1 << 33", encoded(8, 33, 0, 0)),
        ("comparison 6", encoded(0, 1, 6, 0)),
        ("comparison 15", encoded(1, 1, 15, 0)),
    ] {
        SECOND.store(9, Ordering::SeqCst);
        let answer = operate(1, 1, code);
        check(name, (answer, SECOND.load(Ordering::SeqCst)));
    }
    for (name, comparison, compared) in [
        ("==", 0, 9),
        ("!=", 1, 9),
        ("<", 2, 10),
        ("<=", 3, 8),
        (">", 4, -1),
        (">=", 5, 10),
    ] {
        SECOND.store(0, Ordering::SeqCst);
        let first = waiters(&FIRST, 2, PRIVATE);
        let second = waiters(&SECOND, 2, PRIVATE);
        SECOND.store(9, Ordering::SeqCst);
        let answer = operate(1, 1, encoded(1, 0, comparison, compared));
        check(name, answer);
        check("left at the first", wake(&FIRST, 9));
        check("left at the second", wake(&SECOND, 9));
        check("all were woken", answers(first));
        check("all were woken", answers(second));
    }
    SECOND.store(0, Ordering::SeqCst);
    let same = waiters(&FIRST, 3, PRIVATE);
    let code = encoded(1, 0, 0, 0);
    check(
        "both are one word",
        call!(
            SYS_futex,
            at(&FIRST),
            WAKE_OP | PRIVATE,
            1,
            1,
            at(&FIRST),
            code
        ),
    );
    check("left", wake(&FIRST, 9));
    check("all were woken", answers(same));
    let first = waiters(&FIRST, 3, PRIVATE);
    check("counts 0 and -1", operate(0, -1, code));
    check("left", wake(&FIRST, 9));
    check("all were woken", answers(first));
    let read_only = map_anonymous(libc::PROT_READ);
    check(
        "a second word that is only read, shared",
        call!(SYS_futex, at(&FIRST), WAKE_OP, 1, 1, read_only, code),
    );
    check(
        "a second word that is only read, private",
        call!(
            SYS_futex,
            at(&FIRST),
            WAKE_OP | PRIVATE,
            1,
            1,
            read_only,
            code
        ),
    );
    check(
        "a second word that is not there",
        call!(SYS_futex, at(&FIRST), WAKE_OP | PRIVATE, 1, 1, BAD, code),
    );
    check(
        "a first word that is not there",
        call!(SYS_futex, BAD, WAKE_OP | PRIVATE, 1, 1, at(&SECOND), code),
    );
}

fn flags() {
    static WORD: AtomicU32 = AtomicU32::new(5);
    for (name, operation) in [
        ("WAIT", WAIT),
        ("WAKE", WAKE),
        ("FD", 2),
        ("REQUEUE", REQUEUE),
        ("CMP_REQUEUE", CMP_REQUEUE),
        ("WAKE_OP", WAKE_OP),
        ("WAIT_BITSET", WAIT_BITSET),
        ("WAKE_BITSET", WAKE_BITSET),
        ("operation 14", 14),
        ("operation 64", 64),
        ("operation 512", 512),
    ] {
        let answer = call!(
            SYS_futex,
            at(&WORD),
            operation | REALTIME,
            4,
            0,
            at(&WORD),
            1
        );
        check(&format!("{name} with CLOCK_REALTIME"), answer);
        let answer = call!(SYS_futex, at(&WORD), operation, 4, 0, at(&WORD), 1);
        check(&format!("{name} without"), answer);
    }
}

fn addresses() {
    let zero = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let nothing = call!(
        SYS_mmap,
        0,
        4096,
        libc::PROT_NONE,
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
        -1,
        0
    );
    let nothing = nothing.unwrap_or(0) as usize;
    let read_only = call!(
        SYS_mmap,
        0,
        4096,
        libc::PROT_READ,
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
        -1,
        0
    );
    let read_only = read_only.unwrap_or(0) as usize;
    let shared = map_anonymous(libc::PROT_READ);
    for (name, address) in [
        ("page zero", BAD),
        ("null", 0),
        ("the kernel", KERNEL),
        ("the last page", 0x7fff_ffff_f000),
        ("no protection", nothing),
        ("read-only, private memory", read_only),
        ("read-only, shared memory", shared),
        ("misaligned", read_only + 1),
        ("misaligned, not there", BAD + 2),
    ] {
        for (kind, flag) in [("private", PRIVATE), ("shared", 0)] {
            let wait = call!(SYS_futex, address, WAIT | flag, 0, &zero);
            let wake = call!(SYS_futex, address, WAKE | flag, 1);
            check(&format!("{name}, {kind}"), (wait, wake));
        }
    }
    check(
        "time not there, word not there",
        call!(SYS_futex, BAD, WAIT, 0, KERNEL),
    );
    check("bad time, misaligned word", {
        let bad = libc::timespec {
            tv_sec: -1,
            tv_nsec: 0,
        };
        call!(SYS_futex, BAD + 1, WAIT, 0, &bad)
    });
}
