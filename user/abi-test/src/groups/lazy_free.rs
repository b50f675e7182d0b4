//! `MADV_FREE`: content that may go until it is stored to again, and which memory
//! that can be said of.
//!
//! What a page holds then is left open, so only what must be is compared: the
//! content of what was stored to since, and that of the rest is the old one or
//! zeroes. [`role`] sees on a machine with little memory that it is taken.

use crate::call;
use crate::report::{check, check_child, line};
use crate::sys::{self, ANON, PAGE, RW};

/// More than a processor of Linux's collects before it marks any.
const PAGES: usize = 128;

/// Pages that are no huge one.
fn fresh(pages: usize) -> usize {
    let at = call!(SYS_mmap, 0, pages * PAGE, RW, ANON, -1, 0).unwrap_or(0) as usize;
    let _ = call!(SYS_madvise, at, pages * PAGE, libc::MADV_NOHUGEPAGE);
    at
}

fn number(page: usize) -> u8 {
    (page % 250) as u8 + 1
}

fn fill(at: usize, pages: usize) {
    for page in 0..pages {
        sys::poke(at + page * PAGE, number(page));
    }
}

fn free(at: usize, pages: usize) -> Result<i64, crate::errno::Errno> {
    call!(SYS_madvise, at, pages * PAGE, libc::MADV_FREE)
}

/// Whether each page has its number or nothing.
fn old_or_nothing(at: usize, pages: usize) -> bool {
    holds(at, 0..pages)
}

/// The same of all but the first two.
fn rest_is_right(at: usize) -> bool {
    holds(at, 2..PAGES)
}

fn holds(at: usize, mut pages: core::ops::Range<usize>) -> bool {
    pages.all(|page| [0, number(page)].contains(&sys::peek(at + page * PAGE)))
}

/// Pages that `/proc/self/smaps` says of the area that starts here may go.
fn lazy(at: usize) -> usize {
    let text = std::fs::read_to_string("/proc/self/smaps").unwrap_or_default();
    let head = format!("{at:x}-");
    let mut lines = text.lines().skip_while(|line| !line.starts_with(&head));
    let size = lines.find_map(|line| line.strip_prefix("LazyFree:"));
    let kib = size.and_then(|size| size.trim().strip_suffix(" kB"));
    kib.and_then(|kib| kib.parse::<usize>().ok()).unwrap_or(0) * 1024 / PAGE
}

/// The cases.
pub(crate) fn run() {
    let at = fresh(PAGES);
    fill(at, PAGES);
    check("none at first", lazy(at));
    check("free", free(at, PAGES));
    check("most may go", lazy(at) >= PAGES / 2);
    check("old content or none", old_or_nothing(at, PAGES));
    fill(at, PAGES);
    check("none after stores", lazy(at));
    check(
        "all is there",
        (0..PAGES).all(|page| sys::peek(at + page * PAGE) == number(page)),
    );

    check("free again", free(at, PAGES));
    let source = [7_u8; PAGE];
    let mut ends = [0_i32; 2];
    let _ = call!(SYS_pipe2, &mut ends, 0);
    let _ = call!(SYS_write, ends[1], &source, PAGE);
    check(
        "a copy of the kernel's",
        call!(SYS_read, ends[0], at + PAGE, PAGE),
    );
    check("is a store", sys::peek(at + PAGE));
    check_child("a child has old content or none", || {
        i32::from(rest_is_right(at))
    });
    check_child("and what was stored", || i32::from(sys::peek(at + PAGE)));
    check_child("a child's store is its own", || {
        sys::poke(at + 2 * PAGE, 99);
        i32::from(sys::peek(at + 2 * PAGE))
    });
    check("not its parent's", rest_is_right(at));
    let none = call!(SYS_mprotect, at, 2 * PAGE, libc::PROT_NONE);
    check("forbidden", none);
    check("free what is forbidden", free(at, 2));
    check("allowed", call!(SYS_mprotect, at, 2 * PAGE, RW));
    let seen = sys::peek(at + PAGE);
    check("old content or none there", seen == 0 || seen == 7);

    refusals(at);
}

/// What cannot be freed so, with what comes before it.
fn refusals(at: usize) {
    check("of no pages", call!(SYS_madvise, at, 0, libc::MADV_FREE));
    check(
        "not aligned",
        call!(SYS_madvise, at + 1, PAGE, libc::MADV_FREE),
    );
    check(
        "wraps",
        call!(SYS_madvise, at, usize::MAX - 5, libc::MADV_FREE),
    );
    let fd = call!(SYS_memfd_create, c"freed", 0).unwrap_or(-1);
    let _ = call!(SYS_ftruncate, fd, 4 * PAGE);
    for (name, flags, fd) in [
        ("shared memory", libc::MAP_SHARED | libc::MAP_ANONYMOUS, -1),
        ("a file, shared", libc::MAP_SHARED, fd),
        ("a file, private", libc::MAP_PRIVATE, fd),
    ] {
        let mapped = call!(SYS_mmap, 0, PAGE, RW, flags, fd, 0).unwrap_or(0) as usize;
        sys::poke(mapped, 5);
        check(name, free(mapped, 1));
        check("its content", sys::peek(mapped));
    }
    let locked = fresh(2);
    fill(locked, 2);
    check("lock", call!(SYS_mlock, locked + PAGE, PAGE));
    check("the second is locked", free(locked, 2));
    check("the locked one", free(locked + PAGE, 1));
    check("its content", sys::peek(locked + PAGE));
    let hole = fresh(3);
    fill(hole, 3);
    let _ = call!(SYS_munmap, hole + PAGE, PAGE);
    check("over a hole", free(hole, 3));
    check(
        "read-only",
        call!(SYS_mprotect, hole, PAGE, libc::PROT_READ),
    );
    check("free what is read-only", free(hole, 1));
}

/// A number of `/proc/vmstat`, or of `/proc/meminfo` in KiB.
fn counted(path: &str, name: &str) -> usize {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let word = line.and_then(|line| line.split_whitespace().next());
    word.and_then(|word| word.parse().ok()).unwrap_or(0)
}

fn taken() -> usize {
    counted("/proc/vmstat", "pglazyfreed ")
}

/// On a machine with little memory: half of what is free is filled and freed
/// lazily, an eighth of that stored to again, and three quarters wanted then, each
/// time by something else (of a file: three quarters, and three eighths). What was
/// stored to is there, and nobody goes.
pub(crate) fn role() {
    let available = counted("/proc/meminfo", "MemFree:") * 1024 / PAGE;
    let (pages, wanted) = (available / 2, available / 4 * 3);
    let mine = |page: usize| page.is_multiple_of(8);
    let round = |name: &str, pages: usize, wanted: usize, want: &dyn Fn(usize) -> bool| {
        let at = fresh(pages);
        fill(at, pages);
        let answer = free(at, pages);
        for page in (0..pages).filter(|&page| mine(page)) {
            sys::poke(at + page * PAGE + 8, 3);
            sys::poke(at + page * PAGE, number(page));
        }
        let before = taken();
        let is_had = want(wanted);
        line(&format!("{name}: {answer:?}, had: {is_had}"));
        check("pages were taken", taken() > before);
        let stays = |page: usize| {
            let (first, second) = (sys::peek(at + page * PAGE), sys::peek(at + page * PAGE + 8));
            first == number(page) && second == 3
        };
        check(
            "what was stored to is there",
            (0..pages).filter(|&page| mine(page)).all(stays),
        );
        check("old content or none", old_or_nothing(at, pages));
        let _ = call!(SYS_munmap, at, pages * PAGE);
    };
    let touch = |wanted: usize| {
        let at = fresh(wanted);
        fill(at, wanted);
        let is_right = (0..wanted).all(|page| sys::peek(at + page * PAGE) == number(page));
        let _ = call!(SYS_munmap, at, wanted * PAGE);
        is_right
    };
    round("stores", pages, wanted, &touch);
    round("a child's stores", pages, wanted, &|wanted| {
        crate::report::wait(sys::fork(move || i32::from(touch(wanted)))) == "exit 1"
    });
    round("pages at once", pages, wanted, &|wanted| {
        let flags = ANON | libc::MAP_POPULATE;
        let at = call!(SYS_mmap, 0, wanted * PAGE, RW, flags, -1, 0).unwrap_or(0) as usize;
        let mut there = vec![0_u8; wanted];
        let _ = call!(SYS_mincore, at, wanted * PAGE, there.as_mut_slice());
        let _ = call!(SYS_munmap, at, wanted * PAGE);
        there.iter().all(|byte| byte & 1 == 1)
    });
    // A file system in memory may have half of it.
    round("a file", wanted, pages / 4 * 3, &|wanted| {
        let path = c"/tmp/spare";
        let fd = call!(SYS_creat, path, 0o644).unwrap_or(-1);
        let block = vec![5_u8; 16 * PAGE];
        let is_written = (0..wanted / 16)
            .all(|_| call!(SYS_write, fd, block.as_slice(), block.len()) == Ok(16 * PAGE as i64));
        let _ = call!(SYS_unlink, path);
        let _ = call!(SYS_close, fd);
        is_written
    });
}
