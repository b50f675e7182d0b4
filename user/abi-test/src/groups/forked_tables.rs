//! Forks of so many pages that whole page tables may be shared: what one process
//! does to its part, the others never see.

use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crate::call;
use crate::report::{check, check_child, wait};
use crate::sys::{self, PAGE, RW};

/// Pages of four tables and a bit on both sides.
const PAGES: usize = 2200;

/// Memory of which every page says something else.
fn filled() -> usize {
    let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let at = call!(SYS_mmap, 0, PAGES * PAGE, RW, kind, -1, 0).unwrap_or(0) as usize;
    // Huge pages of the host would change who shares what.
    let _ = call!(SYS_madvise, at, PAGES * PAGE, libc::MADV_NOHUGEPAGE);
    for page in 0..PAGES {
        sys::poke(at + page * PAGE, mark(page));
    }
    at
}

fn mark(page: usize) -> u8 {
    (page % 251) as u8
}

/// How many pages of a range say what they said.
fn right(at: usize, pages: Range<usize>) -> usize {
    let mut count = 0;
    for page in pages {
        count += usize::from(sys::peek(at + page * PAGE) == mark(page));
    }
    count
}

fn all_right(at: usize) -> i32 {
    i32::from(right(at, 0..PAGES) == PAGES)
}

/// A child that does something when it is told to, and what it says then.
struct Child {
    pid: i32,
    tell: i32,
}

impl Child {
    fn new(work: impl FnOnce() -> i32) -> Child {
        let mut ends = [0_i32; 2];
        let _ = call!(SYS_pipe2, &mut ends, 0);
        let pid = sys::fork(|| {
            let mut byte = [0_u8];
            let _ = call!(SYS_read, ends[0], &mut byte, 1);
            work()
        });
        let _ = call!(SYS_close, ends[0]);
        let tell = ends[1];
        Child { pid, tell }
    }

    fn go(self) -> String {
        let _ = call!(SYS_write, self.tell, b"x", 1);
        let _ = call!(SYS_close, self.tell);
        wait(self.pid)
    }
}

/// The kilobytes that `/proc/self/smaps` says of the area that starts here.
fn sizes(at: usize) -> String {
    let text = std::fs::read_to_string("/proc/self/smaps").unwrap_or_default();
    let head = format!("{at:x}-");
    let wanted = ["Rss", "Pss", "Shared_Dirty", "Private_Dirty", "Anonymous"];
    let of_area = text.lines().skip_while(|line| !line.starts_with(&head));
    let lines = of_area.skip(1).take_while(|line| !line.contains('-'));
    let found = lines.filter_map(|line| {
        let (name, size) = line.split_once(':')?;
        wanted
            .contains(&name)
            .then(|| format!("{name} {}", size.trim()))
    });
    found.collect::<Vec<_>>().join(", ")
}

/// The cases.
pub(crate) fn run() {
    let at = filled();
    check_child("a child reads", || all_right(at));
    check("the parent, after that", all_right(at));
    let child = Child::new(|| all_right(at));
    check("sizes while there is a child", sizes(at));
    for page in (0..PAGES).step_by(3) {
        sys::poke(at + page * PAGE, 255);
    }
    check("sizes when a third is written", sizes(at));
    check("the child has the old ones", child.go());
    for page in (0..PAGES).step_by(3) {
        sys::poke(at + page * PAGE, mark(page));
    }
    check("sizes when it is gone", sizes(at));

    // What is done to a part of a table, and to all of it.
    type Work = fn(usize);
    let works: [(&str, Work); 7] = [
        ("stores", |at| {
            for page in (7..PAGES).step_by(200) {
                sys::poke(at + page * PAGE, 255);
            }
        }),
        ("munmap of some pages", |at| {
            let _ = call!(SYS_munmap, at + 600 * PAGE, 20 * PAGE);
        }),
        ("munmap of three tables", |at| {
            let _ = call!(SYS_munmap, at + 100 * PAGE, 1900 * PAGE);
        }),
        ("madvise(MADV_DONTNEED)", |at| {
            let _ = call!(
                SYS_madvise,
                at + 10 * PAGE,
                1500 * PAGE,
                libc::MADV_DONTNEED
            );
        }),
        ("mprotect", |at| {
            let _ = call!(SYS_mprotect, at + 10 * PAGE, 1500 * PAGE, libc::PROT_NONE);
        }),
        ("mremap", |at| {
            let (len, flags) = (700 * PAGE, libc::MREMAP_MAYMOVE);
            let moved = call!(SYS_mremap, at + 400 * PAGE, len, 2 * len, flags).unwrap_or(0);
            sys::poke(moved as usize, 255);
        }),
        ("mmap of another file on it", |at| {
            let fd = call!(SYS_memfd_create, c"over", 0).unwrap_or(-1);
            let _ = call!(SYS_ftruncate, fd, 600 * PAGE);
            let flags = libc::MAP_PRIVATE | libc::MAP_FIXED;
            let _ = call!(SYS_mmap, at + 300 * PAGE, 600 * PAGE, RW, flags, fd, 0);
            sys::poke(at + 301 * PAGE, 255);
            let _ = call!(SYS_ftruncate, fd, 0);
        }),
    ];
    for (name, work) in works {
        let other = Child::new(|| all_right(at));
        check_child(name, || {
            let grandchild = Child::new(|| all_right(at));
            work(at);
            i32::from(grandchild.go() == "exit 1")
        });
        check("its parent", all_right(at));
        check("its sibling", other.go());
    }
    check_child("the parent's part, too", || {
        let child = Child::new(|| all_right(at));
        for (_, work) in &works[..2] {
            work(at);
        }
        let before = right(at, 0..600);
        i32::from(child.go() == "exit 1" && before == 597)
    });
    threads(at);
    let _ = call!(SYS_munmap, at, PAGES * PAGE);
}

/// Threads that store all the time: a child's memory stands still.
fn threads(at: usize) {
    const WORDS: usize = 600;
    static ENDS: AtomicBool = AtomicBool::new(false);
    static ROUNDS: AtomicUsize = AtomicUsize::new(0);
    let store = move |first: usize| {
        move || {
            while !ENDS.load(Ordering::Relaxed) {
                for page in first..first + WORDS {
                    let byte = sys::peek(at + page * PAGE).wrapping_add(1);
                    sys::poke(at + page * PAGE, byte);
                }
                ROUNDS.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    let writers = [0, 900].map(|first| thread::spawn(store(first)));
    let mut still = 0;
    for _ in 0..20 {
        let before = ROUNDS.load(Ordering::Relaxed);
        let child = Child::new(|| {
            let look = || {
                (0..PAGES)
                    .map(|page| sys::peek(at + page * PAGE))
                    .collect::<Vec<_>>()
            };
            let first = look();
            for page in (0..PAGES).step_by(100) {
                sys::poke(at + page * PAGE + 1, 1);
            }
            i32::from(first == look())
        });
        // The child is there, and the parent's threads go on.
        while ROUNDS.load(Ordering::Relaxed) < before + 4 {
            thread::yield_now();
        }
        still += i32::from(child.go() == "exit 1");
    }
    ENDS.store(true, Ordering::Relaxed);
    for writer in writers {
        let _ = writer.join();
    }
    check("children whose memory stood still", still);
    let strange = (0..PAGES).filter(|page| sys::peek(at + page * PAGE + 1) != 0);
    check("what children wrote", strange.count());
}
