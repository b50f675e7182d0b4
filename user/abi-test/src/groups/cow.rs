//! Copy-on-write: parent and child each see only their own writes.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use super::memory::fresh;
use crate::call;
use crate::report::{check, check_child, wait};
use crate::sys::{self, PAGE, RW};

/// The cases.
pub(crate) fn run() {
    let at = fresh(64);
    for page in 0..64 {
        sys::poke(at + page * PAGE, page as u8);
    }
    let mut ends = [0_i32; 2];
    let _ = call!(SYS_pipe2, &mut ends, 0);
    let child = sys::fork(|| {
        let mut byte = [0_u8];
        let _ = call!(SYS_read, ends[0], &mut byte, 1);
        let old = (0..64)
            .filter(|page| sys::peek(at + page * PAGE) == *page as u8)
            .count();
        for page in 0..64 {
            sys::poke(at + page * PAGE + 1, 200);
        }
        old as i32
    });
    for page in 0..64 {
        sys::poke(at + page * PAGE, 100);
    }
    let _ = call!(SYS_write, ends[1], b"x", 1);
    check("child sees the old pages", wait(child));
    check(
        "parent keeps its own",
        (0..64).all(|page| sys::peek(at + page * PAGE) == 100),
    );
    check(
        "and not the child's",
        (0..64).all(|page| sys::peek(at + page * PAGE + 1) == 0),
    );

    // The kernel's own writes break sharing as well.
    let mut buffer = [b'-'; 32];
    check_child("read(2) into a shared page", || {
        let fd = call!(SYS_open, c"/dev/zero", 0, 0).unwrap_or(-1);
        let _ = call!(SYS_read, fd, &mut buffer, 32);
        i32::from(buffer[0])
    });
    check("parent's buffer", buffer[0] as char);
    check_child("through three generations", || {
        sys::poke(at, 1);
        check_child("grandchild", || {
            sys::poke(at, 2);
            check_child("great-grandchild", || {
                let before = sys::peek(at);
                sys::poke(at, 3);
                i32::from(before)
            });
            i32::from(sys::peek(at))
        });
        i32::from(sys::peek(at))
    });
    check("parent", sys::peek(at));

    let never = fresh(4);
    check_child("a page nobody touched", || i32::from(sys::peek(never)));
    check_child("read, then written by the child", || {
        sys::poke(never, 4);
        i32::from(sys::peek(never))
    });
    check("parent", sys::peek(never));

    check_child("PROT_READ page shared, then made writable", || {
        let _ = call!(SYS_mprotect, at, PAGE, libc::PROT_READ);
        check_child("child", || {
            let _ = call!(SYS_mprotect, at, PAGE, libc::PROT_READ | libc::PROT_WRITE);
            sys::poke(at, 50);
            i32::from(sys::peek(at))
        });
        i32::from(sys::peek(at))
    });
    // Two pages of one file, private in both.
    let fd = call!(SYS_open, c"f", libc::O_RDWR | libc::O_CREAT, 0o644).unwrap_or(-1);
    let _ = call!(SYS_write, fd, b"file", 4);
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    let file = call!(SYS_mmap, 0, PAGE, prot, libc::MAP_PRIVATE, fd, 0).unwrap_or(0) as usize;
    check_child("private file page", || {
        sys::poke(file, b'F');
        i32::from(sys::peek(file))
    });
    check("parent", sys::peek(file) as char);
    let shared = call!(SYS_mmap, 0, PAGE, prot, libc::MAP_SHARED, fd, 0).unwrap_or(0) as usize;
    check_child("shared file page", || {
        sys::poke(shared, b'S');
        0
    });
    check("parent sees", sys::peek(shared) as char);
    let mut byte = [0_u8];
    let _ = call!(SYS_pread64, fd, &mut byte, 1, 0);
    check("file has", byte[0] as char);
    // More pages than a fork copies before others may run.
    let pages = 20_000;
    let large = fresh(pages);
    for page in 0..pages {
        if page.is_multiple_of(500) {
            sys::poke(large + page * PAGE, 1 + (page / 500) as u8);
        } else {
            sys::peek(large + page * PAGE);
        }
    }
    let child = sys::fork(|| {
        let is_right = |page: &usize| {
            let mark = sys::peek(large + page * PAGE);
            let is_marked = page.is_multiple_of(500);
            usize::from(mark) == usize::from(is_marked) * (1 + page / 500)
        };
        i32::from((0..pages).filter(is_right).count() == pages)
    });
    for page in (0..pages).step_by(250) {
        sys::poke(large + page * PAGE, 99);
    }
    check("a large space is as it was", wait(child));
    check("100 forks over dirty pages", {
        let mut right = 0;
        for round in 0..100_u8 {
            sys::poke(at + 5, round);
            let child = sys::fork(|| i32::from(sys::peek(at + 5)));
            sys::poke(at + 5, 255);
            right += i32::from(wait(child) == format!("exit {round}"));
        }
        right
    });
    threads();
}

/// Pages that threads fault at once.
const PAGES: usize = 32;

/// Threads that store at once, each its own byte of all pages, while the pages
/// are forked, given up and replaced.
fn threads() {
    const STORING: usize = 3;
    static ENDS: AtomicBool = AtomicBool::new(false);
    static ROUNDS: AtomicUsize = AtomicUsize::new(0);
    static LOST: AtomicUsize = AtomicUsize::new(0);
    static FOREIGN: AtomicUsize = AtomicUsize::new(0);
    let kept = fresh(PAGES);
    let replaced = fresh(PAGES);
    let file = call!(SYS_memfd_create, c"old", 0).unwrap_or(-1);
    for page in 0..PAGES {
        let _ = call!(SYS_pwrite64, file, &[page as u8; 8], 8, page * PAGE);
    }
    let store = move |mine: usize| {
        move || {
            let mut last = 0_u8;
            while !ENDS.load(Ordering::Relaxed) {
                let next = last.wrapping_add(1);
                for page in 0..PAGES {
                    let at = kept + page * PAGE + mine;
                    let is_lost = sys::peek(at) != last;
                    LOST.fetch_add(usize::from(is_lost), Ordering::Relaxed);
                    sys::poke(at, next);
                    let at = replaced + page * PAGE;
                    sys::poke(at + mine, page as u8);
                    // The file's bytes, or zeroes, or what a thread stored.
                    let is_foreign = |byte: usize| ![0, page as u8].contains(&sys::peek(at + byte));
                    let foreign = (0..16).filter(|byte| is_foreign(*byte)).count();
                    FOREIGN.fetch_add(foreign, Ordering::Relaxed);
                }
                last = next;
                ROUNDS.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    let storing: [_; STORING] = core::array::from_fn(|mine| thread::spawn(store(mine)));
    let mut still = 0;
    for round in 0..16_usize {
        let before = ROUNDS.load(Ordering::Relaxed);
        let child = sys::fork(|| {
            let look = || -> Vec<u8> {
                let bytes = (0..PAGES).flat_map(|page| (0..STORING).map(move |n| (page, n)));
                bytes
                    .map(|(page, n)| sys::peek(kept + page * PAGE + n))
                    .collect()
            };
            let first = look();
            for page in 0..PAGES {
                sys::poke(kept + page * PAGE + 8, 1);
            }
            i32::from(first == look())
        });
        for page in 0..PAGES {
            let at = replaced + page * PAGE;
            match (page + round) % 4 {
                0 => {
                    let _ = call!(SYS_madvise, at, PAGE, libc::MADV_DONTNEED);
                }
                1 => {
                    let kind = libc::MAP_PRIVATE | libc::MAP_FIXED;
                    let _ = call!(SYS_mmap, at, PAGE, RW, kind, file, page * PAGE);
                }
                2 => {
                    let kind = libc::MAP_PRIVATE | libc::MAP_FIXED | libc::MAP_ANONYMOUS;
                    let _ = call!(SYS_mmap, at, PAGE, RW, kind, -1, 0);
                }
                _ => {}
            }
        }
        while ROUNDS.load(Ordering::Relaxed) < before + STORING {
            thread::yield_now();
        }
        still += i32::from(wait(child) == "exit 1");
    }
    ENDS.store(true, Ordering::Relaxed);
    for thread in storing {
        let _ = thread.join();
    }
    check("children whose memory stood still", still);
    check("stores that were lost", LOST.load(Ordering::Relaxed));
    check("bytes of other pages", FOREIGN.load(Ordering::Relaxed));
    let _ = call!(SYS_close, file);
}
