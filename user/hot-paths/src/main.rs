//! What programs ask of a kernel most, each from two processes on a processor each.
//!
//! For each family two processes are made, which share one page and nothing
//! else of their own. Both make ready, do the same some hundred times (so that
//! whatever is made once is there), meet, open a *window*, do it again, close the
//! window and meet once more. Who watches from outside (`tests/store-watch`) sees
//! the windows as stores to a page at a place that is agreed on.
//!
//! `hot-paths NAME...` does those families; `hot-paths` lists them, in the order of
//! the windows' numbers.
#![expect(
    unsafe_code,
    reason = "system calls without a library, and stores at an address that is agreed on"
)]

use core::{
    ptr,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use std::{process::ExitCode, time::Instant};

/// Where windows are marked; `tests/store-watch` has the same.
const MARKS: usize = 0x4f43_0000_0000;

const PAGE: usize = 4096;

/// How often each is done before the window, and in it.
const WARM: u32 = 300;
const ROUNDS: u32 = 2000;

/// What both processes share.
struct Shared {
    arrived: AtomicU32,
}

/// What a family has at hand: made in each process.
struct Hands {
    zero: i32,
    file: i32,
    /// One that both processes have from their parent: the same open file.
    inherited: i32,
    pipe: [i32; 2],
    pages: *mut u8,
    word: AtomicU32,
}

/// A family: its name, and what is done in a round.
type Family = (&'static str, fn(&Hands));

const FAMILIES: [Family; 13] = [
    ("computing", computing),
    ("getppid", getppid),
    ("clock_gettime", clock),
    ("reading zeroes", zeroes),
    ("reading a file", file),
    ("writing a file", written),
    ("futex", futex),
    ("pipe", pipe),
    ("faults", faults),
    ("mapping", mapping),
    ("sched_yield", yielding),
    ("signals", signals),
    // Not without shared writes, for it asks for them: whoever watches must see.
    ("one file's place", place),
];

fn main() -> ExitCode {
    let names: Vec<String> = std::env::args().skip(1).collect();
    if names.is_empty() {
        for (name, _) in FAMILIES {
            println!("{name}");
        }
        return ExitCode::SUCCESS;
    }
    for wanted in names {
        let Some(window) = FAMILIES.iter().position(|(name, _)| *name == wanted) else {
            eprintln!("hot-paths: no {wanted:?}");
            return ExitCode::from(2);
        };
        if !both(window) {
            println!("{wanted}: failed");
            return ExitCode::FAILURE;
        }
        println!("{wanted}");
    }
    ExitCode::SUCCESS
}

/// A page of memory, shared with children or not.
fn page(at: usize, flags: i32) -> *mut u8 {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = flags | libc::MAP_ANONYMOUS;
    let at = ptr::without_provenance_mut(at);
    // SAFETY: the kernel chooses the place, or takes this one only if it is free.
    let page = unsafe { libc::mmap(at, PAGE, protection, flags, -1, 0) };
    assert_ne!(page, libc::MAP_FAILED, "a page");
    page.cast()
}

/// Runs a family in two processes; says whether both came through.
fn both(window: usize) -> bool {
    let shared: *mut Shared = page(0, libc::MAP_SHARED).cast();
    // SAFETY: a page of zeroes is one that nobody has arrived at, and is never unmapped.
    let shared = unsafe { &*shared };
    let inherited = open(c"/tmp/place");
    let children = [0, 1].map(|processor| {
        // SAFETY: this process has one thread.
        match unsafe { libc::fork() } {
            0 => {
                let done = child(shared, window, processor, inherited);
                // SAFETY: it ends the process, without what the parent would do twice.
                unsafe { libc::_exit(i32::from(done.is_none())) }
            }
            child => child,
        }
    });
    close(inherited);
    children.into_iter().all(|child| {
        let mut status = 0;
        // SAFETY: the status is a place of ours.
        child > 0 && unsafe { libc::waitpid(child, &raw mut status, 0) } == child && status == 0
    })
}

/// All that one of the two does.
fn child(shared: &Shared, window: usize, processor: usize, inherited: i32) -> Option<()> {
    // SAFETY: a set of zeroes is the empty set.
    let mut set: libc::cpu_set_t = unsafe { core::mem::zeroed() };
    // SAFETY: the number is small.
    unsafe { libc::CPU_SET(processor, &mut set) };
    // SAFETY: the set is a place of ours, of that size.
    let moved = unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) };
    let marks = page(MARKS, libc::MAP_PRIVATE | libc::MAP_FIXED_NOREPLACE);
    let mut ends = [0; 2];
    // SAFETY: two places of ours.
    let piped = unsafe { libc::pipe(ends.as_mut_ptr()) };
    let hands = Hands {
        zero: open(c"/dev/zero"),
        file: open([c"/tmp/first", c"/tmp/second"][processor]),
        inherited,
        pipe: ends,
        pages: page(0, libc::MAP_PRIVATE),
        word: AtomicU32::new(0),
    };
    // SAFETY: it asks for nothing.
    let here = usize::try_from(unsafe { libc::sched_getcpu() }).ok()?;
    if moved != 0 || piped != 0 || here != processor || marks.addr() != MARKS {
        return None;
    }
    // SAFETY: the handler does nothing, which is safe at any time.
    unsafe { libc::signal(libc::SIGUSR1, nothing as *const () as libc::sighandler_t) };
    let (_, round) = FAMILIES.get(window)?;
    let mark = |offset: usize| {
        let place = marks.wrapping_add(offset).cast::<u64>();
        // SAFETY: the page is ours, and there are fewer windows than it has room for.
        unsafe { place.write_volatile(1) };
    };
    // Written once before, so that nothing is made in the window for it.
    mark(PAGE - 8);
    for _ in 0..WARM {
        round(&hands);
    }
    meet(shared, 2);
    mark(window * 16);
    for _ in 0..ROUNDS {
        round(&hands);
    }
    mark(window * 16 + 8);
    meet(shared, 4);
    Some(())
}

/// Waits, without the kernel, until so many have arrived.
fn meet(shared: &Shared, all: u32) {
    // ORDERING: Relaxed; nothing is handed over.
    shared.arrived.fetch_add(1, Ordering::Relaxed);
    while shared.arrived.load(Ordering::Relaxed) < all {
        core::hint::spin_loop();
    }
}

extern "C" fn nothing(_: i32) {}

fn open(path: &core::ffi::CStr) -> i32 {
    // SAFETY: the path is a text that ends with a zero.
    unsafe { libc::open(path.as_ptr(), libc::O_RDWR | libc::O_CREAT, 0o600) }
}

fn close(file: i32) {
    // SAFETY: nobody uses it any more.
    unsafe { libc::close(file) };
}

/// A system call whose arguments are numbers, or places of this process.
fn call(number: libc::c_long, arguments: [usize; 4]) {
    let [a, b, c, d] = arguments;
    // SAFETY: each caller gives what the call wants.
    unsafe { libc::syscall(number, a, b, c, d) };
}

fn number(file: i32) -> usize {
    usize::try_from(file).unwrap_or(usize::MAX)
}

/// Only what interrupts do, for long enough that there are many.
fn computing(_: &Hands) {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_micros(100) {
        core::hint::spin_loop();
    }
}

fn getppid(_: &Hands) {
    call(libc::SYS_getppid, [0; 4]);
}

fn clock(_: &Hands) {
    let mut now = [0_u64; 2];
    call(libc::SYS_clock_gettime, [1, now.as_mut_ptr().addr(), 0, 0]);
}

fn zeroes(hands: &Hands) {
    let mut bytes = [1_u8; 64];
    let into = bytes.as_mut_ptr().addr();
    call(libc::SYS_read, [number(hands.zero), into, bytes.len(), 0]);
}

fn file(hands: &Hands) {
    let mut bytes = [1_u8; 64];
    let into = bytes.as_mut_ptr().addr();
    call(
        libc::SYS_pread64,
        [number(hands.file), into, bytes.len(), 0],
    );
}

fn written(hands: &Hands) {
    let bytes = [1_u8; 64];
    let from = bytes.as_ptr().addr();
    call(
        libc::SYS_pwrite64,
        [number(hands.file), from, bytes.len(), 0],
    );
}

fn futex(hands: &Hands) {
    let wake = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
    call(
        libc::SYS_futex,
        [hands.word.as_ptr().addr(), number(wake), 1, 0],
    );
}

fn pipe(hands: &Hands) {
    let mut byte = [7_u8];
    let at = byte.as_mut_ptr().addr();
    call(libc::SYS_write, [number(hands.pipe[1]), at, 1, 0]);
    call(libc::SYS_read, [number(hands.pipe[0]), at, 1, 0]);
}

fn faults(hands: &Hands) {
    // SAFETY: the page is ours, and nobody has a reference into it.
    unsafe { hands.pages.write_volatile(1) };
    let advice = number(libc::MADV_DONTNEED);
    call(libc::SYS_madvise, [hands.pages.addr(), PAGE, advice, 0]);
}

fn mapping(_: &Hands) {
    let page = page(0, libc::MAP_PRIVATE);
    // SAFETY: it was mapped above.
    unsafe { page.write_volatile(1) };
    // SAFETY: it was mapped above, and is not used any more.
    unsafe { libc::munmap(page.cast(), PAGE) };
}

fn yielding(_: &Hands) {
    call(libc::SYS_sched_yield, [0; 4]);
}

fn signals(_: &Hands) {
    // SAFETY: the signal has a handler.
    unsafe { libc::raise(libc::SIGUSR1) };
}

fn place(hands: &Hands) {
    call(libc::SYS_lseek, [number(hands.inherited), 0, 0, 0]);
}
