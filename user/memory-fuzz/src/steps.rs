//! The steps of a sequence.

use core::fmt::Write as _;

use crate::arch;
use crate::arena::{Arena, FILE_PAGES, PAGE, WINDOW, WINDOW_PAGES};
use crate::random::Random;
use crate::sys::{self, address, address_mut, call};

/// Pages of a huge one.
const HUGE_PAGES: usize = 512;

const NONE: i32 = libc::PROT_NONE;
const R: i32 = libc::PROT_READ;
const W: i32 = libc::PROT_WRITE;
const X: i32 = libc::PROT_EXEC;

/// Does one step and tells of it.
pub(crate) fn one(arena: &mut Arena, random: &mut Random, number: u64, trace: &mut String) {
    let which = if number < 3 { 0 } else { random.below(32) };
    match which {
        0..=5 => map(arena, random, trace),
        6..=8 => range_call(arena, random, trace, "munmap", libc::SYS_munmap, &[]),
        9..=12 => protect(arena, random, trace),
        13..=16 => remap(arena, random, trace),
        17..=19 => advise(arena, random, trace),
        20..=23 => touch(arena, random, number, trace),
        24..=25 => lock(arena, random, trace),
        26 => sync(arena, random, trace),
        27 => residence(arena, random, trace),
        28..=29 => file(arena, random, number, trace),
        30 => copy(arena, random, number, trace),
        _ => whole(arena, random, trace),
    }
}

/// Maps a huge page around the window, if the kernel has any, and stores to all
/// of it: whatever is done in the window is done to a part of it.
pub(crate) fn huge(arena: &mut Arena, trace: &mut String) {
    let len = HUGE_PAGES * PAGE;
    let at = WINDOW / len * len;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    let words = [at, len, (R | W) as usize, flags as usize, usize::MAX, 0];
    let mapped = call(libc::SYS_mmap, &words);
    let advised = call(libc::SYS_madvise, &[at, len, libc::MADV_HUGEPAGE as usize]);
    let stored = (0..HUGE_PAGES).filter(|page| sys::store(at + page * PAGE, *page as u8).is_ok());
    let _ = writeln!(
        trace,
        "huge: {} {} {}",
        arena.answer(mapped),
        arena.answer(advised),
        stored.count()
    );
}

/// An address in the window, rarely one that is wrong.
pub(crate) fn place(random: &mut Random) -> usize {
    match random.below(60) {
        0 => WINDOW + 5,
        1 => arch::END,
        2 => 0xffff_8000_0000_0000,
        3 => WINDOW - 3 * PAGE,
        // CAST: small.
        _ => WINDOW + random.below(WINDOW_PAGES as u64) as usize * PAGE,
    }
}

/// A length, rarely one that reaches beyond everything in the window, but to
/// nothing else that is mapped.
pub(crate) fn length(random: &mut Random) -> usize {
    length_or(random, 1 << 40)
}

/// A length, rarely `far` or one that is wrong.
fn length_or(random: &mut Random, far: usize) -> usize {
    match random.below(60) {
        0 => 0,
        1 => usize::MAX,
        2 => usize::MAX - PAGE,
        3 => far,
        4 => 7,
        5 => PAGE + 1,
        6 => 16 * PAGE,
        _ => (1 + random.below(5) as usize) * PAGE,
    }
}

fn rights(random: &mut Random) -> i32 {
    random.pick(&[NONE, R, R, R | W, R | W, R | W, R | X, W, X, R | W | X])
}

fn map(arena: &mut Arena, random: &mut Random, trace: &mut String) {
    let mut flags = random.pick(&[
        libc::MAP_PRIVATE,
        libc::MAP_PRIVATE,
        libc::MAP_PRIVATE,
        libc::MAP_SHARED,
        libc::MAP_SHARED_VALIDATE,
    ]);
    if random.one_in(40) {
        // The last is `MAP_DROPPABLE`, of Linux 6.11.
        flags = random.pick(&[0, 4, if arena.is_older { 0x40 } else { 8 }]);
    }
    let of_file = random.one_in(3);
    if !of_file {
        flags |= libc::MAP_ANONYMOUS;
    }
    let mut at = place(random);
    flags |= match random.below(8) {
        0 => {
            at = 0;
            0
        }
        1 => 0,
        2 | 3 => libc::MAP_FIXED_NOREPLACE,
        _ => libc::MAP_FIXED,
    };
    for (flag, times) in [
        (libc::MAP_POPULATE, 8),
        (libc::MAP_NORESERVE, 12),
        (libc::MAP_LOCKED, 16),
        (libc::MAP_GROWSDOWN, 24),
        (libc::MAP_STACK, 12),
        (libc::MAP_NONBLOCK, 24),
        (libc::MAP_DENYWRITE, 40),
        (libc::MAP_SYNC, 60),
        (1 << 27, 60),
    ] {
        // A stack has no large pages since Linux 6.7, and so is another area.
        if random.one_in(times) && !(arena.is_older && flag == libc::MAP_STACK) {
            flags |= flag;
        }
    }
    if arena.is_older {
        // Memory that is accounted for is another area; until when, has changed.
        flags |= libc::MAP_NORESERVE;
    }
    // More than there is of addresses.
    let len = length_or(random, arch::MORE);
    let rights = rights(random);
    let mut offset = random.below(FILE_PAGES as u64 + 2) as usize * PAGE;
    if random.one_in(40) {
        offset = random.pick(&[5, usize::MAX - PAGE + 1, 0x7fff_ffff_ffff_f000]);
    }
    let fd = if random.one_in(50) { 99 } else { arena.fd };
    let words = [at, len, rights as usize, flags as usize, fd, offset];
    let answer = call(libc::SYS_mmap, &words);
    let _ = write!(
        trace,
        "mmap {} {len:#x} {rights} {flags:#x} fd {} +{offset:#x} = {}",
        arena.name(at),
        of_file,
        arena.answer(answer)
    );
}

/// A call about a range, with more words behind.
fn range_call(
    arena: &mut Arena,
    random: &mut Random,
    trace: &mut String,
    name: &str,
    number: i64,
    more: &[usize],
) {
    let (at, len) = (place(random), length(random));
    let mut words = vec![at, len];
    words.extend(more);
    let answer = call(number, &words);
    let _ = write!(
        trace,
        "{name} {} {len:#x} {more:x?} = {}",
        arena.name(at),
        arena.answer(answer)
    );
}

fn protect(arena: &mut Arena, random: &mut Random, trace: &mut String) {
    let mut rights = rights(random);
    match random.below(40) {
        0 => rights |= libc::PROT_GROWSDOWN,
        1 => rights |= libc::PROT_GROWSUP,
        2 => rights |= 0x40,
        3 => rights |= 8,
        _ => {}
    }
    let number = libc::SYS_mprotect;
    range_call(arena, random, trace, "mprotect", number, &[rights as usize]);
}

fn remap(arena: &mut Arena, random: &mut Random, trace: &mut String) {
    let may_move = libc::MREMAP_MAYMOVE;
    let flags = match random.below(20) {
        0..=4 => 0,
        5..=9 => may_move,
        10..=15 => may_move | libc::MREMAP_FIXED,
        16 => may_move | libc::MREMAP_DONTUNMAP,
        17 => may_move | libc::MREMAP_DONTUNMAP | libc::MREMAP_FIXED,
        18 => libc::MREMAP_FIXED,
        _ => random.pick(&[libc::MREMAP_DONTUNMAP, 8, 0x100]),
    };
    let (at, old_len) = (place(random), length(random));
    let new_len = if random.one_in(3) {
        old_len
    } else {
        length_or(random, arch::MORE)
    };
    let to = if flags & libc::MREMAP_FIXED != 0 || random.one_in(2) {
        place(random)
    } else {
        0
    };
    // What is looked at first has changed in Linux 6.17, and what is unmapped
    // before a call fails, as that of nothing of a private area does; and what
    // `MREMAP_DONTUNMAP` lets become one area.
    let makes_second = old_len == 0 && flags & libc::MREMAP_FIXED != 0;
    let is_usual = |arena: &mut Arena| {
        new_len < arch::MORE
            && flags & libc::MREMAP_DONTUNMAP == 0
            && arena.is_in_one(at, old_len)
            && (!makes_second || arena.is_in_shared(at, old_len))
    };
    if arena.is_older && !is_usual(arena) {
        trace.push_str("no mremap");
        return;
    }
    let words = [at, old_len, new_len, flags as usize, to];
    let answer = call(libc::SYS_mremap, &words);
    let _ = write!(
        trace,
        "mremap {} {old_len:#x} {new_len:#x} {flags} {} = {}",
        arena.name(at),
        arena.name(to),
        arena.answer(answer)
    );
}

fn advise(arena: &mut Arena, random: &mut Random, trace: &mut String) {
    let advice = random.pick(&[
        libc::MADV_NORMAL,
        libc::MADV_RANDOM,
        libc::MADV_SEQUENTIAL,
        libc::MADV_WILLNEED,
        libc::MADV_DONTNEED,
        libc::MADV_DONTNEED,
        libc::MADV_DONTNEED,
        libc::MADV_FREE,
        libc::MADV_REMOVE,
        libc::MADV_DONTFORK,
        libc::MADV_DOFORK,
        libc::MADV_HUGEPAGE,
        libc::MADV_NOHUGEPAGE,
        libc::MADV_DONTDUMP,
        libc::MADV_DODUMP,
        libc::MADV_WIPEONFORK,
        libc::MADV_KEEPONFORK,
        libc::MADV_COLD,
        libc::MADV_POPULATE_READ,
        libc::MADV_POPULATE_WRITE,
        24,
        77,
    ]);
    let (at, len) = (place(random), length(random));
    if advice == 77 && (at / PAGE).is_multiple_of(2) {
        collapse(arena, at, len, trace);
        return;
    }
    // How Linux tells of what is not mapped or not allowed there has changed.
    let populates = [libc::MADV_POPULATE_READ, libc::MADV_POPULATE_WRITE].contains(&advice);
    if arena.is_older && populates && !arena.is_in_one(at, len) {
        trace.push_str("no madvise");
        return;
    }
    let words = [at, len, advice as usize];
    let answer = call(libc::SYS_madvise, &words);
    let _ = write!(
        trace,
        "madvise {} {len:#x} {advice} = {}",
        arena.name(at),
        arena.answer(answer)
    );
    if advice == libc::MADV_FREE {
        // A store settles what a page holds; of the others it is left open, so
        // it is settled.
        if (WINDOW..WINDOW + WINDOW_PAGES * PAGE).contains(&at) {
            let stored = sys::store(at, 0x5a).and_then(|_| sys::load(at));
            let _ = match stored {
                Ok(byte) => write!(trace, ", then {byte:x}"),
                Err(fault) => write!(trace, ", then ({fault})"),
            };
        }
        let words = [at, len, 24];
        let answer = call(libc::SYS_madvise, &words);
        let _ = write!(trace, ", dropped = {}", arena.answer(answer));
    }
}

/// Gathers pages to huge ones: of a range, and of the 2 MiB around the window,
/// which are one area where [`huge`] made them and nothing has changed a part.
pub(crate) fn collapse(arena: &mut Arena, at: usize, len: usize, trace: &mut String) {
    const COLLAPSE: usize = 25;
    if arena.is_older {
        // Linux 6.1 refuses what cannot be written.
        trace.push_str("no collapse");
        return;
    }
    let answer = call(libc::SYS_madvise, &[at, len, COLLAPSE]);
    let block = HUGE_PAGES * PAGE;
    let around = call(
        libc::SYS_madvise,
        &[WINDOW / block * block, block, COLLAPSE],
    );
    let _ = write!(
        trace,
        "collapse {} {len:#x} = {}, around = {}",
        arena.name(at),
        arena.answer(answer),
        arena.answer(around)
    );
}

fn touch(arena: &mut Arena, random: &mut Random, number: u64, trace: &mut String) {
    let at = WINDOW + random.below(WINDOW_PAGES as u64) as usize * PAGE;
    let write = !random.one_in(3);
    let _ = write!(
        trace,
        "{} {}",
        if write { "store" } else { "load" },
        arena.name(at)
    );
    for page in 0..1 + random.below(6) as usize {
        let at = at + page * PAGE;
        let outcome = if write {
            sys::store(at, 0x10 + number as u8)
        } else {
            sys::load(at)
        };
        match outcome {
            Ok(byte) => {
                let _ = write!(trace, " {byte:x}");
            }
            Err(fault) => {
                let _ = write!(trace, " ({fault})");
            }
        }
    }
}

fn lock(arena: &mut Arena, random: &mut Random, trace: &mut String) {
    match random.below(8) {
        0..=2 => range_call(arena, random, trace, "mlock", libc::SYS_mlock, &[]),
        3 | 4 => range_call(arena, random, trace, "mlock2", libc::SYS_mlock2, &[1]),
        _ => range_call(arena, random, trace, "munlock", libc::SYS_munlock, &[]),
    }
}

fn sync(arena: &mut Arena, random: &mut Random, trace: &mut String) {
    let flags = random.below(9) as usize;
    range_call(arena, random, trace, "msync", libc::SYS_msync, &[flags]);
}

fn residence(arena: &mut Arena, random: &mut Random, trace: &mut String) {
    let (at, len) = (place(random), length(random));
    let mut vector = [0xaa_u8; 24];
    let answer = if len > 16 * PAGE {
        call(libc::SYS_mincore, &[at, len, 16])
    } else {
        call(libc::SYS_mincore, &[at, len, address_mut(&mut vector)])
    };
    let _ = write!(
        trace,
        "mincore {} {len:#x} = {}",
        arena.name(at),
        arena.answer(answer)
    );
    // Linux leaves out of a child what it can find again, pages of zeroes too.
    if answer.is_ok() && !arena.is_child {
        let pages = len.div_ceil(PAGE).min(16);
        let _ = write!(trace, " {:x?}", &vector[..pages + 1]);
    }
}

fn file(arena: &mut Arena, random: &mut Random, number: u64, trace: &mut String) {
    let page = random.below(FILE_PAGES as u64 + 2) as usize;
    match random.below(6) {
        0..=2 => {
            let size = page * PAGE + random.pick(&[0, 0, 0, 100]);
            let answer = call(libc::SYS_ftruncate, &[arena.fd, size]);
            let _ = write!(trace, "ftruncate {size:#x} = {}", arena.answer(answer));
        }
        3 => {
            let byte = [0x40 + number as u8];
            let words = [arena.fd, address(&byte), 1, page * PAGE];
            let answer = call(libc::SYS_pwrite64, &words);
            let _ = write!(trace, "pwrite {page} = {}", arena.answer(answer));
        }
        _ => {
            let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
            let len = (1 + random.below(3) as usize) * PAGE;
            let words = [arena.fd, mode as usize, page * PAGE, len];
            let answer = call(libc::SYS_fallocate, &words);
            let _ = write!(trace, "punch {page} {len:#x} = {}", arena.answer(answer));
        }
    }
}

/// The kernel itself reads or writes the window.
fn copy(arena: &mut Arena, random: &mut Random, number: u64, trace: &mut String) {
    let at = WINDOW + random.below(WINDOW_PAGES as u64) as usize * PAGE;
    let page = random.below(FILE_PAGES as u64) as usize;
    let len = random.pick(&[1, 1, PAGE, PAGE + 1]);
    let (name, call_number) = if random.one_in(2) {
        ("read into", libc::SYS_pread64)
    } else {
        ("write from", libc::SYS_pwrite64)
    };
    // What a write finds in pages that it makes by itself has changed, too.
    if arena.is_older && call_number == libc::SYS_pwrite64 && sys::load(at).is_err() {
        trace.push_str("no write");
        return;
    }
    let answer = call(call_number, &[arena.fd, at, len, page * PAGE]);
    let done = answer.unwrap_or(0);
    if call_number == libc::SYS_pwrite64 && done < len {
        // Linux leaves open whether the page in which a write met a fault is
        // still a hole and the file as short as before: newer ones look at
        // the buffer only after they have the page. So it is written now.
        let byte = [0x60 + number as u8];
        let words = [arena.fd, address(&byte), 1, page * PAGE + done];
        let _ = call(libc::SYS_pwrite64, &words);
    }
    let _ = write!(
        trace,
        "{name} {} {len:#x} {page} = {}",
        arena.name(at),
        arena.answer(answer)
    );
}

/// Calls about the whole address space.
fn whole(arena: &mut Arena, random: &mut Random, trace: &mut String) {
    match random.below(4) {
        0 => {
            let answer = call(libc::SYS_munlockall, &[]);
            let _ = write!(trace, "munlockall = {}", arena.answer(answer));
        }
        _ => {
            let flags = random.pick(&[0, 1, 3, 4, 8, 16]);
            let answer = call(libc::SYS_mlockall, &[flags]);
            let _ = write!(trace, "mlockall {flags} = {}", arena.answer(answer));
        }
    }
}
