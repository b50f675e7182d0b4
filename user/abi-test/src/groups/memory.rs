//! Memory: `brk`, `mmap`, `munmap`, `mprotect`, `mremap`, `madvise`.

use crate::call;
use crate::report::{check, check_child};
use crate::sys::{self, ANON, KERNEL, NONCANONICAL, PAGE, RW, Ret};

/// Maps fresh pages.
pub(super) fn fresh(pages: usize) -> usize {
    call!(SYS_mmap, 0, pages * PAGE, RW, ANON, -1, 0).unwrap_or(0) as usize
}

/// Whether an address can be read, asked without touching it.
pub(super) fn readable(addr: usize) -> bool {
    let fd = call!(SYS_open, c"/dev/null", libc::O_WRONLY, 0).unwrap_or(-1);
    let mut ends = [0_i32; 2];
    let _ = call!(SYS_pipe2, &mut ends, 0);
    let answer = call!(SYS_write, ends[1], addr, 1);
    for fd in [fd, ends[0].into(), ends[1].into()] {
        let _ = call!(SYS_close, fd);
    }
    answer == Ok(1)
}

/// `brk`.
pub(crate) fn brk() {
    let start = sys::program_break(0);
    check("there is a break", start != 0);
    check(
        "grow",
        sys::program_break(start + 10 * PAGE) == start + 10 * PAGE,
    );
    check(
        "it is zero",
        (0..10).all(|page| sys::peek(start + page * PAGE + 77) == 0),
    );
    sys::poke(start + 5 * PAGE, 7);
    check("shrink", sys::program_break(start + PAGE) == start + PAGE);
    check("beyond is gone", readable(start + 6 * PAGE));
    check(
        "grow again",
        sys::program_break(start + 10 * PAGE) == start + 10 * PAGE,
    );
    check("it is zero again", sys::peek(start + 5 * PAGE));
    check(
        "not page aligned",
        sys::program_break(start + 5) == start + 5,
    );
    check("below the start", sys::program_break(0x1000) == start + 5);
    check("the kernel's", sys::program_break(KERNEL) == start + 5);
    check("back", sys::program_break(start) == start);
    check_child("RLIMIT_DATA holds it", || {
        let limit = libc::rlimit {
            rlim_cur: 1 << 20,
            rlim_max: 1 << 20,
        };
        let _ = call!(SYS_setrlimit, libc::RLIMIT_DATA, &limit);
        check("grow 2 MiB", sys::program_break(start + (2 << 20)) == start);
        0
    });
}

/// Anonymous mappings, placement and errors.
pub(crate) fn mmap() {
    let at = fresh(4);
    check("aligned", at != 0 && at.is_multiple_of(PAGE));
    check("zero", (0..4).all(|page| sys::peek(at + page * PAGE) == 0));
    sys::poke(at + 3 * PAGE + 5, 9);
    check("written", sys::peek(at + 3 * PAGE + 5));
    check("unmap the middle", call!(SYS_munmap, at + PAGE, PAGE));
    check("first stays", readable(at));
    check("second is gone", readable(at + PAGE));
    check("third stays", readable(at + 2 * PAGE));
    check("unmap a hole", call!(SYS_munmap, at + PAGE, PAGE));
    check("unmap all", call!(SYS_munmap, at, 4 * PAGE));
    let at = fresh(8);
    let _ = call!(SYS_munmap, at, 8 * PAGE);
    let hint = call!(SYS_mmap, at, PAGE, RW, ANON, -1, 0);
    check("a free hint is taken", hint == Ok(at as i64));
    let again = call!(SYS_mmap, at, PAGE, RW, ANON, -1, 0).unwrap_or(0) as usize;
    check("a used hint is not", again != at && again != 0);
    sys::poke(at, 5);
    let fixed = call!(SYS_mmap, at, PAGE, RW, ANON | libc::MAP_FIXED, -1, 0);
    check(
        "MAP_FIXED replaces",
        fixed == Ok(at as i64) && sys::peek(at) == 0,
    );
    let noreplace = ANON | libc::MAP_FIXED_NOREPLACE;
    check(
        "MAP_FIXED_NOREPLACE",
        call!(SYS_mmap, at, PAGE, RW, noreplace, -1, 0),
    );
    let free = call!(SYS_mmap, at + 4 * PAGE, PAGE, RW, noreplace, -1, 0);
    check(
        "MAP_FIXED_NOREPLACE, free",
        free == Ok((at + 4 * PAGE) as i64),
    );
    check(
        "hint not aligned",
        call!(SYS_mmap, at + 5 * PAGE + 1, PAGE, RW, ANON, -1, 0).is_ok(),
    );
    let odd = call!(SYS_mmap, 0, 5, RW, ANON, -1, 0).unwrap_or(0) as usize;
    check("5 bytes are a page", sys::peek(odd + 4095));
    check("length 0", call!(SYS_mmap, 0, 0, RW, ANON, -1, 0));
    check(
        "MAP_FIXED not aligned",
        call!(SYS_mmap, 5, PAGE, RW, ANON | libc::MAP_FIXED, -1, 0),
    );
    check(
        "neither shared nor private",
        call!(SYS_mmap, 0, PAGE, RW, libc::MAP_ANONYMOUS, -1, 0),
    );
    check(
        "length wraps",
        call!(SYS_mmap, 0, usize::MAX - 10, RW, ANON, -1, 0),
    );
    check(
        "length of half the space",
        call!(SYS_mmap, 0, 1_usize << 47, RW, ANON, -1, 0),
    );
    let fixed = ANON | libc::MAP_FIXED;
    check(
        "fixed in the kernel's half",
        call!(SYS_mmap, KERNEL, PAGE, RW, fixed, -1, 0),
    );
    check(
        "fixed non-canonical",
        call!(SYS_mmap, NONCANONICAL, PAGE, RW, fixed, -1, 0),
    );
    check(
        "offset not aligned",
        call!(SYS_mmap, 0, PAGE, RW, ANON, -1, 5),
    );
    check("munmap not aligned", call!(SYS_munmap, at + 1, PAGE));
    check("munmap length 0", call!(SYS_munmap, at, 0));
    check("munmap the kernel's", call!(SYS_munmap, KERNEL, PAGE));
    check("munmap wraps", call!(SYS_munmap, at, usize::MAX & !4095));
    check(
        "bad prot bits",
        call!(SYS_mmap, 0, PAGE, 0x1000, ANON, -1, 0).is_ok(),
    );
    let sparse = call!(
        SYS_mmap,
        0,
        1_usize << 32,
        RW,
        ANON | libc::MAP_NORESERVE,
        -1,
        0
    )
    .unwrap_or(0) as usize;
    check("4 GiB without reserve", sparse != 0);
    for gib in 0..4 {
        sys::poke(sparse + (gib << 30) + 123, gib as u8);
    }
    check(
        "its corners",
        (0..4).all(|gib| sys::peek(sparse + (gib << 30) + 123) == gib as u8),
    );
    check("unmap 4 GiB", call!(SYS_munmap, sparse, 1_usize << 32));
    check_child("RLIMIT_AS holds it", || {
        let limit = libc::rlimit {
            rlim_cur: 64 << 20,
            rlim_max: 64 << 20,
        };
        let _ = call!(SYS_setrlimit, libc::RLIMIT_AS, &limit);
        check(
            "mmap 128 MiB",
            call!(SYS_mmap, 0, 128 << 20, RW, ANON, -1, 0),
        );
        0
    });
    let shared = call!(
        SYS_mmap,
        0,
        PAGE,
        RW,
        libc::MAP_SHARED | libc::MAP_ANONYMOUS,
        -1,
        0
    )
    .unwrap_or(0) as usize;
    check("shared anonymous", shared != 0);
    check_child("child writes to it", || {
        sys::poke(shared, 33);
        0
    });
    check("parent sees", sys::peek(shared));
    populated();
}

fn populated() {
    let at =
        call!(SYS_mmap, 0, 4 * PAGE, RW, ANON | libc::MAP_POPULATE, -1, 0).unwrap_or(0) as usize;
    let mut present = [0_u8; 4];
    check(
        "MAP_POPULATE, mincore",
        call!(SYS_mincore, at, 4 * PAGE, &mut present),
    );
    check("present", present.iter().all(|byte| byte & 1 == 1));
    let lazy = fresh(4);
    sys::poke(lazy + PAGE, 1);
    check("mincore", call!(SYS_mincore, lazy, 4 * PAGE, &mut present));
    check("present", present.map(|byte| b'0' + (byte & 1)));
    check("mincore of a hole", {
        let _ = call!(SYS_munmap, lazy, PAGE);
        call!(SYS_mincore, lazy, PAGE, &mut present)
    });
    check(
        "mincore not aligned",
        call!(SYS_mincore, at + 1, PAGE, &mut present),
    );
    check("mincore bad vector", call!(SYS_mincore, at, PAGE, sys::BAD));
}

/// Private and shared file mappings.
pub(crate) fn mmap_file() {
    let open = |flags: i32| call!(SYS_open, c"file", flags, 0o644).unwrap_or(-1);
    let fd = open(libc::O_RDWR | libc::O_CREAT);
    let content: Vec<u8> = (0..10_000_u32).map(|i| (i % 251) as u8).collect();
    let _ = call!(SYS_write, fd, content.as_slice(), content.len());
    let private = libc::MAP_PRIVATE;
    let at = call!(SYS_mmap, 0, 10_000, libc::PROT_READ, private, fd, 0).unwrap_or(0) as usize;
    check(
        "content",
        (0..10_000).all(|i| sys::peek(at + i) == content[i]),
    );
    check("zeroes after the end", sys::peek(at + 10_001));
    let second = call!(SYS_mmap, 0, PAGE, RW, private, fd, PAGE).unwrap_or(0) as usize;
    check("offset", sys::peek(second) == content[PAGE]);
    sys::poke(second, 250);
    check(
        "private write stays private",
        sys::peek(at + PAGE) == content[PAGE],
    );
    let mut byte = [0_u8];
    let _ = call!(SYS_pread64, fd, &mut byte, 1, PAGE);
    check("and out of the file", byte[0] == content[PAGE]);
    let _ = call!(SYS_pwrite64, fd, &[222_u8], 1, 3);
    check("a write shows in an untouched mapping", sys::peek(at + 3));
    let shared = call!(SYS_mmap, 0, PAGE, RW, libc::MAP_SHARED, fd, 0).unwrap_or(0) as usize;
    check("MAP_SHARED", shared != 0);
    if shared != 0 {
        sys::poke(shared + 7, 111);
        let _ = call!(SYS_pread64, fd, &mut byte, 1, 7);
        check("shared write reaches the file", byte[0]);
        check("msync", call!(SYS_msync, shared, PAGE, libc::MS_SYNC));
        check("msync bad flags", call!(SYS_msync, shared, PAGE, 0x100));
        check(
            "msync both",
            call!(SYS_msync, shared, PAGE, libc::MS_SYNC | libc::MS_ASYNC),
        );
        check(
            "msync not aligned",
            call!(SYS_msync, shared + 1, PAGE, libc::MS_SYNC),
        );
    }
    let _ = call!(SYS_close, fd);
    check(
        "mapping outlives the descriptor",
        sys::peek(at + 1) == content[1],
    );
    let _ = call!(SYS_unlink, c"file");
    check("and the name", sys::peek(at + 2) == content[2]);
    check(
        "closed descriptor",
        call!(SYS_mmap, 0, PAGE, RW, private, fd, 0),
    );
    let fd = open(libc::O_WRONLY | libc::O_CREAT);
    let _ = call!(SYS_write, fd, b"x", 1);
    check(
        "write-only descriptor",
        call!(SYS_mmap, 0, PAGE, libc::PROT_READ, private, fd, 0),
    );
    let fd = open(libc::O_RDONLY);
    check(
        "read-only, private, writable",
        call!(SYS_mmap, 0, PAGE, RW, private, fd, 0).is_ok(),
    );
    check(
        "read-only, shared, writable",
        call!(SYS_mmap, 0, PAGE, RW, libc::MAP_SHARED, fd, 0),
    );
    check(
        "offset not aligned",
        call!(SYS_mmap, 0, PAGE, RW, private, fd, 5),
    );
    let mut ends = [0_i32; 2];
    let _ = call!(SYS_pipe2, &mut ends, 0);
    check(
        "a pipe",
        call!(SYS_mmap, 0, PAGE, libc::PROT_READ, private, ends[0], 0),
    );
    let folder = call!(SYS_open, c".", libc::O_RDONLY, 0).unwrap_or(-1);
    check(
        "a folder",
        call!(SYS_mmap, 0, PAGE, libc::PROT_READ, private, folder, 0),
    );
    let zero = call!(SYS_open, c"/dev/zero", libc::O_RDWR, 0).unwrap_or(-1);
    let at = call!(SYS_mmap, 0, PAGE, RW, private, zero, 0).unwrap_or(0) as usize;
    check("/dev/zero", at != 0 && sys::peek(at + 9) == 0);
}

/// `mprotect`.
pub(crate) fn mprotect() {
    let at = fresh(3);
    sys::poke(at + PAGE, 0xc3);
    check(
        "to read",
        call!(SYS_mprotect, at + PAGE, PAGE, libc::PROT_READ),
    );
    check("value stays", sys::peek(at + PAGE));
    check_child("write to it", || {
        sys::poke(at + PAGE, 1);
        0
    });
    check("neighbours stay writable", {
        sys::poke(at, 1);
        sys::poke(at + 2 * PAGE, 1);
        true
    });
    check(
        "to run",
        call!(
            SYS_mprotect,
            at + PAGE,
            PAGE,
            libc::PROT_READ | libc::PROT_EXEC
        ),
    );
    check_child("run it", || {
        sys::jump(at + PAGE);
        4
    });
    check(
        "to none",
        call!(SYS_mprotect, at, 3 * PAGE, libc::PROT_NONE),
    );
    check("kernel cannot read it", readable(at));
    check("back", call!(SYS_mprotect, at, 3 * PAGE, RW));
    check(
        "values stay",
        (
            sys::peek(at),
            sys::peek(at + PAGE),
            sys::peek(at + 2 * PAGE),
        ),
    );
    check("length 0", call!(SYS_mprotect, at, 0, RW));
    check("not aligned", call!(SYS_mprotect, at + 1, PAGE, RW));
    check("bad prot", call!(SYS_mprotect, at, PAGE, 0x100));
    let _ = call!(SYS_munmap, at + PAGE, PAGE);
    check(
        "over a hole",
        call!(SYS_mprotect, at, 3 * PAGE, libc::PROT_READ),
    );
    check("wraps", call!(SYS_mprotect, at, usize::MAX & !4095, RW));
    check("the kernel's", call!(SYS_mprotect, KERNEL, PAGE, RW));
}

/// `mremap`.
pub(crate) fn mremap() {
    let may_move = libc::MREMAP_MAYMOVE;
    let remap = |at: usize, old: usize, new: usize, flags: i32| -> Ret {
        call!(SYS_mremap, at, old, new, flags, 0)
    };
    let at = fresh(4);
    for page in 0..4 {
        sys::poke(at + page * PAGE, page as u8 + 1);
    }
    check("shrink", remap(at, 4 * PAGE, 2 * PAGE, 0) == Ok(at as i64));
    check("tail is gone", readable(at + 2 * PAGE));
    check(
        "grow in place",
        remap(at, 2 * PAGE, 3 * PAGE, 0) == Ok(at as i64),
    );
    check("new page is zero", sys::peek(at + 2 * PAGE));
    let fence = call!(
        SYS_mmap,
        at + 3 * PAGE,
        PAGE,
        RW,
        ANON | libc::MAP_FIXED,
        -1,
        0
    );
    check("fence", fence.is_ok());
    // A mapping of the same kind beside it may merge; a fence of another kind
    // does not.
    let _ = call!(SYS_mprotect, at + 3 * PAGE, PAGE, libc::PROT_NONE);
    check("no room", remap(at, 3 * PAGE, 10 * PAGE, 0));
    let moved = remap(at, 3 * PAGE, 10 * PAGE, may_move).unwrap_or(0) as usize;
    check("moved", moved != 0 && moved != at);
    check(
        "content moved",
        (
            sys::peek(moved),
            sys::peek(moved + PAGE),
            sys::peek(moved + 9 * PAGE),
        ),
    );
    check("old is gone", readable(at));
    let target = fresh(10);
    let fixed = call!(
        SYS_mremap,
        moved,
        2 * PAGE,
        2 * PAGE,
        may_move | libc::MREMAP_FIXED,
        target
    );
    check("to a fixed place", fixed == Ok(target as i64));
    check("content", (sys::peek(target), sys::peek(target + PAGE)));
    check(
        "fixed without may-move",
        call!(SYS_mremap, target, PAGE, PAGE, libc::MREMAP_FIXED, moved),
    );
    check(
        "fixed over itself",
        call!(
            SYS_mremap,
            target,
            2 * PAGE,
            2 * PAGE,
            may_move | libc::MREMAP_FIXED,
            target + PAGE
        ),
    );
    check("not aligned", remap(target + 1, PAGE, PAGE, 0));
    check("to nothing", remap(target, PAGE, 0, 0));
    check("bad flags", remap(target, PAGE, PAGE, 0x100));
    check("of nothing", remap(0x1000, PAGE, 2 * PAGE, may_move));
    check("too long", remap(target, 20 * PAGE, 30 * PAGE, may_move));
}

/// `madvise`.
pub(crate) fn madvise() {
    let at = fresh(4);
    sys::poke(at + PAGE, 9);
    for (name, advice) in [
        ("NORMAL", libc::MADV_NORMAL),
        ("RANDOM", libc::MADV_RANDOM),
        ("SEQUENTIAL", libc::MADV_SEQUENTIAL),
        ("WILLNEED", libc::MADV_WILLNEED),
        ("DONTFORK off", libc::MADV_DOFORK),
    ] {
        check(name, call!(SYS_madvise, at, 4 * PAGE, advice));
    }
    check("value stays", sys::peek(at + PAGE));
    check(
        "DONTNEED",
        call!(SYS_madvise, at, 4 * PAGE, libc::MADV_DONTNEED),
    );
    check("value is zero", sys::peek(at + PAGE));
    check("FREE", call!(SYS_madvise, at, 4 * PAGE, libc::MADV_FREE));
    check("bad advice", call!(SYS_madvise, at, PAGE, 999));
    check(
        "not aligned",
        call!(SYS_madvise, at + 1, PAGE, libc::MADV_DONTNEED),
    );
    check("length 0", call!(SYS_madvise, at, 0, libc::MADV_DONTNEED));
    check(
        "wraps",
        call!(SYS_madvise, at, usize::MAX - 5, libc::MADV_DONTNEED),
    );
    let _ = call!(SYS_munmap, at + PAGE, PAGE);
    check(
        "over a hole",
        call!(SYS_madvise, at, 4 * PAGE, libc::MADV_DONTNEED),
    );
    let fd = call!(SYS_open, c"advised", libc::O_RDWR | libc::O_CREAT, 0o644).unwrap_or(-1);
    let _ = call!(SYS_write, fd, b"abc", 3);
    let file = call!(SYS_mmap, 0, PAGE, RW, libc::MAP_PRIVATE, fd, 0).unwrap_or(0) as usize;
    sys::poke(file, b'z');
    let _ = call!(SYS_madvise, file, PAGE, libc::MADV_DONTNEED);
    check(
        "DONTNEED of a private file page rereads the file",
        sys::peek(file) as char,
    );
}
