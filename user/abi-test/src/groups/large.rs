//! Calls about so much memory, or so many areas, that a kernel may do them by
//! parts: what comes of them does not show it.
//!
//! The host runs this too, where what a file in memory is given is memory: the
//! ranges are of pages that are only read, the files of a few MiB.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::fs::File;
use std::io::Read as _;
use std::thread;

use super::exec;
use super::memory::readable;
use crate::call;
use crate::report::{check, check_child, wait};
use crate::runner::SELF;
use crate::sys::{self, ANON, PAGE, RW};

/// Pages of the large range.
const PAGES: usize = 30_000;

/// Areas of the large space.
const AREAS: usize = 3000;

/// A large range of which every page was read.
fn looked_at() -> usize {
    let kind = ANON | libc::MAP_NORESERVE;
    let at = call!(SYS_mmap, 0, PAGES * PAGE, RW, kind, -1, 0).unwrap_or(0) as usize;
    // Huge pages of the host are none of this.
    let _ = call!(SYS_madvise, at, PAGES * PAGE, libc::MADV_NOHUGEPAGE);
    for page in 0..PAGES {
        let _ = sys::peek(at + page * PAGE);
    }
    at
}

/// A space of many areas, of which some have pages: where they begin.
fn patchwork() -> usize {
    let at = call!(SYS_mmap, 0, AREAS * PAGE, RW, ANON, -1, 0).unwrap_or(0) as usize;
    for area in (0..AREAS).step_by(2) {
        let _ = call!(SYS_mprotect, at + area * PAGE, PAGE, libc::PROT_READ);
    }
    for area in (1..AREAS).step_by(100) {
        sys::poke(at + area * PAGE, 7);
    }
    at
}

/// How many areas begin in the space. The text is one that was made before the
/// space was: a heap that grows by `mmap` would put it where the space has been.
fn areas_in(at: usize, text: &mut String) -> usize {
    text.clear();
    let maps = File::open("/proc/self/maps");
    let _ = maps.and_then(|mut maps| maps.read_to_string(text));
    let starts = text.lines().filter_map(|line| {
        let start = line.split('-').next()?;
        usize::from_str_radix(start, 16).ok()
    });
    starts
        .filter(|start| (at..at + AREAS * PAGE).contains(start))
        .count()
}

/// The cases.
pub(crate) fn run() {
    let at = looked_at();
    sys::poke(at + (PAGES - 1) * PAGE, 9);
    check(
        "DONTNEED",
        call!(SYS_madvise, at, PAGES * PAGE, libc::MADV_DONTNEED),
    );
    check("the last page", sys::peek(at + (PAGES - 1) * PAGE));
    let beyond = call!(SYS_munmap, at + (PAGES - 1) * PAGE, PAGE);
    check("a page less", beyond);
    for page in 0..PAGES - 1 {
        let _ = sys::peek(at + page * PAGE);
    }
    let answer = call!(SYS_madvise, at, PAGES * PAGE, libc::MADV_DONTNEED);
    check("DONTNEED and a page too many", answer);
    check("munmap", call!(SYS_munmap, at, PAGES * PAGE));
    let left = (0..PAGES)
        .step_by(1000)
        .any(|page| readable(at + page * PAGE));
    check("left", left);

    check_child("a large process ends", || {
        looked_at();
        7
    });
    check_child("and one whose memory another program follows", || {
        looked_at();
        exec::exec(SELF, &[SELF, c"--exit", c"8"], &[])
    });
    killed_while_it_unmaps();
    others_map_meanwhile();

    let mut text = String::with_capacity(1 << 20);
    let at = patchwork();
    check("areas", areas_in(at, &mut text));
    check_child("forked", || {
        check("areas", areas_in(at, &mut text));
        sys::poke(at + PAGE, 3);
        i32::from(sys::peek(at + 101 * PAGE)) + i32::from(sys::peek(at + PAGE))
    });
    check("the parent's", sys::peek(at + PAGE));
    check("munmap", call!(SYS_munmap, at, AREAS * PAGE));
    check("areas", areas_in(at, &mut text));
    allocated();
}

/// A process that maps and unmaps much is killed at any time.
fn killed_while_it_unmaps() {
    for round in 0..3 {
        let mut ends = [0_i32; 2];
        let _ = call!(SYS_pipe2, &mut ends, 0);
        let child = sys::fork(|| {
            loop {
                let at = looked_at();
                let _ = call!(SYS_write, ends[1], b"x", 1);
                let _ = call!(SYS_munmap, at, PAGES * PAGE);
            }
        });
        let mut byte = [0_u8];
        for _ in 0..=round {
            let _ = call!(SYS_read, ends[0], &mut byte, 1);
        }
        let _ = call!(SYS_kill, child, libc::SIGKILL);
        check("killed", wait(child));
        for end in ends {
            let _ = call!(SYS_close, end);
        }
    }
}

/// What other threads map and fork while one unmaps is theirs.
fn others_map_meanwhile() {
    static STOP: AtomicBool = AtomicBool::new(false);
    static ROUNDS: AtomicUsize = AtomicUsize::new(0);
    let other = thread::spawn(|| {
        let mut wrong = 0;
        while !STOP.load(Ordering::Relaxed) {
            let at = call!(SYS_mmap, 0, 3 * PAGE, RW, ANON, -1, 0).unwrap_or(0) as usize;
            sys::poke(at, 1);
            sys::poke(at + 2 * PAGE, 2);
            if ROUNDS.fetch_add(1, Ordering::Relaxed).is_multiple_of(16) {
                let child = sys::fork(|| i32::from(sys::peek(at) + sys::peek(at + 2 * PAGE)));
                let mut status = 0;
                let _ = call!(SYS_wait4, child, &mut status, 0, 0);
                wrong += usize::from(libc::WEXITSTATUS(status) != 3);
            }
            wrong += usize::from(sys::peek(at) != 1 || sys::peek(at + 2 * PAGE) != 2);
            let _ = call!(SYS_munmap, at, 3 * PAGE);
        }
        wrong
    });
    for _ in 0..4 {
        let at = looked_at();
        let _ = call!(SYS_munmap, at, PAGES * PAGE);
    }
    // At least one round of the other's with all its parts.
    while ROUNDS.load(Ordering::Relaxed) < 2 {
        thread::yield_now();
    }
    STOP.store(true, Ordering::Relaxed);
    check(
        "what others found wrong",
        other.join().unwrap_or(usize::MAX),
    );
}

/// `fallocate` of many pages.
fn allocated() {
    let fd = call!(SYS_memfd_create, c"large", 0).unwrap_or(-1);
    let mut stat: libc::stat = sys::zeroed();
    let mut blocks = |name: &str| {
        let _ = call!(SYS_fstat, fd, &mut stat);
        check(name, (stat.st_size, stat.st_blocks));
    };
    let len = 1500 * PAGE;
    let hole = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    check("fallocate", call!(SYS_fallocate, fd, 0, 0, len));
    blocks("made");
    check(
        "again, and more",
        call!(SYS_fallocate, fd, 0, PAGE / 2, len),
    );
    blocks("made");
    let answer = call!(SYS_fallocate, fd, hole, PAGE / 2, len - PAGE);
    check("a hole", answer);
    blocks("left");
    let answer = call!(SYS_fallocate, fd, hole, 0, i64::MAX - PAGE as i64);
    check("a hole to the end of all files", answer);
    blocks("left");
    let _ = call!(SYS_close, fd);
}
