//! Steps that sequences have from seed [`FIRST`] on: a seed below it makes what it
//! always made, so that those that found something stay what they are.

use core::fmt::Write as _;

use crate::arch;
use crate::arena::{Arena, HEAP_PAGES, PAGE, WINDOW, WINDOW_PAGES};
use crate::random::Random;
use crate::steps;
use crate::sys::{self, address, address_mut, call};

/// The first seed that has them.
pub(crate) const FIRST: u64 = 1_000_000;

/// Kinds of steps: one in how many is of those here.
const KINDS: u64 = 5;

const R: i32 = libc::PROT_READ;
const W: i32 = libc::PROT_WRITE;

/// Pages below the window where stacks are: from there down nothing else is, but
/// for what a step puts in their way.
const STACKS: usize = WINDOW - 64 * PAGE;

/// Does one step, perhaps one of these; `depth` children deep.
pub(crate) fn one(
    arena: &mut Arena,
    random: &mut Random,
    number: u64,
    depth: u32,
    trace: &mut String,
) {
    if number < 3 || random.below(KINDS) > 1 {
        return steps::one(arena, random, number, trace);
    }
    match random.below(12) {
        0 | 1 => set_break(arena, random, trace),
        2 | 3 => heap(arena, random, number, trace),
        4 | 5 if depth == 0 => child(arena, random, number, trace),
        4..=6 => low(arena, random, trace),
        7 => advise(arena, random, trace),
        8 | 9 => stack(arena, random, trace),
        10 => other(arena, random, number, trace),
        _ => lock(arena, random, trace),
    }
}

/// Moves the end of the heap, sometimes to where it cannot be.
fn set_break(arena: &mut Arena, random: &mut Random, trace: &mut String) {
    let base = arena.heap;
    let to = match random.below(12) {
        0 => 0,
        1 => 0x1_0000,
        2 => base + random.below(HEAP_PAGES as u64 * PAGE as u64) as usize,
        3 => arch::END - PAGE,
        4 => usize::MAX,
        _ => base + random.below(HEAP_PAGES as u64) as usize * PAGE,
    };
    let answer = call(libc::SYS_brk, &[to]);
    let _ = write!(trace, "brk {} = {}", arena.name(to), arena.answer(answer));
}

/// Something about the heap's pages.
fn heap(arena: &mut Arena, random: &mut Random, number: u64, trace: &mut String) {
    let at = arena.heap + random.below(HEAP_PAGES as u64) as usize * PAGE;
    let len = (1 + random.below(4) as usize) * PAGE;
    let fixed = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    let (name, answer) = match random.below(8) {
        0 => ("munmap", call(libc::SYS_munmap, &[at, len])),
        1 => ("mprotect", call(libc::SYS_mprotect, &[at, len, R as usize])),
        2 => {
            let advice = random.pick(&[4, 8, 10, 18, 24]);
            let answer = call(libc::SYS_madvise, &[at, len, advice]);
            if advice == 8 {
                // Whether the content is still there is left open.
                let _ = call(libc::SYS_madvise, &[at, len, 24]);
            }
            ("madvise", answer)
        }
        3 => ("mlock", call(libc::SYS_mlock, &[at, len])),
        4 => {
            let words = [at, len, (R | W) as usize, fixed as usize, usize::MAX, 0];
            ("mmap", call(libc::SYS_mmap, &words))
        }
        _ => {
            let _ = write!(trace, "heap {}", arena.name(at));
            return touch(at, 1 + random.below(4) as usize, number, trace);
        }
    };
    let _ = write!(
        trace,
        "heap {name} {} {len:#x} = {}",
        arena.name(at),
        arena.answer(answer)
    );
}

/// Stores to pages, and tells what came of each.
fn touch(at: usize, pages: usize, number: u64, trace: &mut String) {
    for page in 0..pages {
        let _ = match sys::store(at + page * PAGE, 0x30 + number as u8) {
            Ok(byte) => write!(trace, " {byte:x}"),
            Err(fault) => write!(trace, " ({fault})"),
        };
    }
}

/// A child makes steps of its own and tells what it sees, its parent goes on.
fn child(arena: &mut Arena, random: &mut Random, number: u64, trace: &mut String) {
    let steps = random.below(4);
    let seed = random.next();
    let mut ends = [0_i32; 2];
    if call(libc::SYS_pipe2, &[address_mut(&mut ends), 0]).is_err() {
        trace.push_str("no pipe");
        return;
    }
    let [reads, writes] = ends.map(|end| end as usize);
    let made = sys::fork();
    if made == Ok(0) {
        let mut seen = String::new();
        arena.look_at_own();
        for number in 0..steps {
            let mut random = Random::new(seed.wrapping_add(number));
            let _ = write!(seen, "  child {number}: ");
            one(arena, &mut random, number + 3, 1, &mut seen);
            seen.push('\n');
        }
        let mut shown = String::new();
        arena.show_areas(&mut shown);
        arena.show_content(&mut shown);
        for line in shown.lines() {
            let _ = writeln!(seen, "  child: {line}");
        }
        sys::write(writes, &seen);
        sys::exit(0);
    }
    let _ = call(libc::SYS_close, &[writes]);
    let _ = write!(trace, "child {}", made.is_ok());
    let mut part = [0_u8; 512];
    let mut seen = Vec::new();
    while let Ok(count @ 1..) = call(libc::SYS_read, &[reads, address_mut(&mut part), 512]) {
        seen.extend_from_slice(&part[..count]);
    }
    let _ = call(libc::SYS_close, &[reads]);
    let mut status = 0_i32;
    if let Ok(child) = made {
        let _ = call(libc::SYS_wait4, &[child, address_mut(&mut status), 0, 0]);
    }
    let _ = write!(trace, " {status:#x}\n{}", String::from_utf8_lossy(&seen));
    // It stores where the child may have stored.
    let at = WINDOW + random.below(WINDOW_PAGES as u64) as usize * PAGE;
    let _ = write!(trace, "  then {}", arena.name(at));
    touch(at, 3, number, trace);
}

/// `MAP_32BIT`: where that is differs with each start of a program.
fn low(arena: &mut Arena, random: &mut Random, trace: &mut String) {
    let Some(flag) = arch::MAP_32BIT else {
        trace.push_str("no low mapping");
        return;
    };
    let kind = random.pick(&[libc::MAP_PRIVATE, libc::MAP_SHARED]);
    let len = random.pick(&[PAGE, 5 * PAGE, 0, 1 << 20, 1 << 31, 1 << 32, 1 << 47]);
    let hint = match random.below(5) {
        0 => WINDOW + random.below(WINDOW_PAGES as u64) as usize * PAGE,
        1 => usize::MAX - PAGE + 1,
        _ => 0,
    };
    let fixed = match random.below(4) {
        0 if hint == WINDOW => libc::MAP_FIXED_NOREPLACE,
        _ => 0,
    };
    let flags = kind | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | flag | fixed;
    let words = [hint, len, (R | W) as usize, flags as usize, usize::MAX, 0];
    let answer = call(libc::SYS_mmap, &words);
    let _ = write!(
        trace,
        "mmap low {} {len:#x} {flags:#x} = ",
        arena.name(hint)
    );
    match answer {
        Ok(at) => {
            let is_low = at.checked_add(len).is_some_and(|end| end <= 1 << 31);
            let place = if is_low {
                "low".to_owned()
            } else {
                arena.name(at)
            };
            let _ = write!(trace, "{place}, {}", at.is_multiple_of(PAGE));
            if is_low {
                touch(at, 1, 1, trace);
                let moved = call(libc::SYS_mremap, &[at, PAGE, PAGE, 3, WINDOW + 3 * PAGE]);
                let _ = write!(trace, ", moved {}", arena.answer(moved));
                let _ = call(libc::SYS_munmap, &[at, len]);
            }
        }
        Err(error) => {
            let _ = write!(trace, "E{error}");
        }
    }
}

/// Advice that changes nothing that can be seen, and some that may be refused.
fn advise(arena: &mut Arena, random: &mut Random, trace: &mut String) {
    let advice = random.pick(&[
        libc::MADV_PAGEOUT,
        libc::MADV_PAGEOUT,
        libc::MADV_COLD,
        libc::MADV_MERGEABLE,
        libc::MADV_MERGEABLE,
        libc::MADV_UNMERGEABLE,
        libc::MADV_WILLNEED,
        libc::MADV_FREE,
        24,
        77,
    ]);
    let at = steps::place(random);
    let len = steps::length(random);
    if advice == 77 {
        return steps::collapse(arena, at, len, trace);
    }
    let answer = call(libc::SYS_madvise, &[at, len, advice as usize]);
    if advice == libc::MADV_FREE {
        let _ = call(libc::SYS_madvise, &[at, len, 24]);
    }
    let _ = write!(
        trace,
        "madvise {} {len:#x} {advice} = {}",
        arena.name(at),
        arena.answer(answer)
    );
}

/// A stack, something in its way or nothing, and touches below it.
fn stack(arena: &mut Arena, random: &mut Random, trace: &mut String) {
    let below = random.below(40) as usize;
    let at = STACKS - below * PAGE;
    let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let noreplace = random.pick(&[libc::MAP_FIXED, libc::MAP_FIXED_NOREPLACE]);
    let pages = 1 + random.below(3) as usize;
    let rights = random.pick(&[R | W, R | W, R | W, R]);
    let more = random.pick(&[0, 0, 0, libc::MAP_STACK, libc::MAP_LOCKED]);
    let flags = kind | noreplace | libc::MAP_GROWSDOWN | more;
    let words = [
        at,
        pages * PAGE,
        rights as usize,
        flags as usize,
        usize::MAX,
        0,
    ];
    let answer = call(libc::SYS_mmap, &words);
    let _ = write!(
        trace,
        "stack {} {pages} {rights} {flags:#x} = {}",
        arena.name(at),
        arena.answer(answer)
    );
    if random.one_in(3) {
        // The gap is 256 pages.
        let far = random.pick(&[10, 200, 250, 255, 256, 257, 258, 260, 300]);
        let way = at - far * PAGE;
        let rights = random.pick(&[0, R, R | W]);
        let flags = kind | libc::MAP_FIXED_NOREPLACE | random.pick(&[0, 0, libc::MAP_GROWSDOWN]);
        let words = [way, PAGE, rights as usize, flags as usize, usize::MAX, 0];
        let answer = call(libc::SYS_mmap, &words);
        let _ = write!(
            trace,
            ", {far} below {rights} {flags:#x} = {}",
            arena.answer(answer)
        );
    }
    for _ in 0..1 + random.below(4) {
        let below = random.pick(&[1, 1, 2, 3, 5, 9, 44, 60]);
        let place = at - below * PAGE + random.pick(&[0, 8, 4095]);
        let outcome = match random.below(4) {
            0 => sys::load(place),
            1 => {
                // The kernel touches it.
                let words = [arena.fd, place, 1, 0];
                let answer = call(libc::SYS_pread64, &words);
                let _ = write!(trace, " -{below}: {}", arena.answer(answer));
                continue;
            }
            _ => sys::store(place, 0x21),
        };
        let _ = match outcome {
            Ok(byte) => write!(trace, " -{below}: {byte:x}"),
            Err(fault) => write!(trace, " -{below}: ({fault})"),
        };
    }
}

/// A process's memory by the calls for other processes' memory.
fn other(arena: &mut Arena, random: &mut Random, number: u64, trace: &mut String) {
    let mut bytes = [0x50 + number as u8; 3 * PAGE];
    let me = call(libc::SYS_getpid, &[]).unwrap_or(0);
    let count = 1 + random.below(3) as usize;
    let mut theirs = [[0_usize; 2]; 3];
    for part in &mut theirs[..count] {
        *part = [
            steps::place(random) + random.pick(&[0, 0, 100, 4095]),
            random.pick(&[0, 1, 1, 8, PAGE, PAGE + 1]),
        ];
    }
    let ours = [[
        address_mut(&mut bytes),
        random.pick(&[1, 10, PAGE, 3 * PAGE]),
    ]];
    let (name, number) = if random.one_in(2) {
        ("process_vm_readv", libc::SYS_process_vm_readv)
    } else {
        ("process_vm_writev", libc::SYS_process_vm_writev)
    };
    let words = [me, address(&ours), 1, address(&theirs), count, 0];
    let answer = call(number, &words);
    let _ = write!(trace, "{name} {}", ours[0][1]);
    for [at, len] in &theirs[..count] {
        let _ = write!(trace, " {} {len}", arena.name(*at));
    }
    let sum = bytes.iter().fold(0_u32, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u32::from(*byte))
    });
    let _ = write!(trace, " = {}, {sum:x}", arena.answer(answer));
}

/// Locks with every flag, and of what is anywhere.
fn lock(arena: &mut Arena, random: &mut Random, trace: &mut String) {
    let (at, len) = (steps::place(random), steps::length(random));
    let flags = random.pick(&[0, 0, 1, 1, 2, 3, usize::MAX]);
    let (name, answer) = match random.below(3) {
        0 => ("mlock", call(libc::SYS_mlock, &[at, len])),
        1 => ("mlock2", call(libc::SYS_mlock2, &[at, len, flags])),
        _ => ("munlock", call(libc::SYS_munlock, &[at, len])),
    };
    let _ = write!(
        trace,
        "{name} {} {len:#x} {flags:x} = {}",
        arena.name(at),
        arena.answer(answer)
    );
}
