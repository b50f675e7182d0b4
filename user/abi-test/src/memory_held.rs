//! How much memory the kernel has given away, to the object.
//!
//! Pages tell too little of the kernel's heap: the same objects are spread over a
//! few more or fewer of them, depending on which came first. So what of the heap is
//! in use is counted by its objects (`/proc/slabinfo`), and all other memory by
//! its pages (`/proc/meminfo`), but for programs' own, of which the one that asks
//! needs more from time to time.
//!
//! On Linux the same files say nearly the same, and nearly is not enough to
//! compare: this is for tests of Ochre alone.

use crate::call;

const PAGE: u64 = 4096;

/// Bytes that may stay from one round of a test to a later one when all that they
/// used is given back: queues keep room for the most that ever waited at once, and
/// how many that is differs. (A round ends hundreds of waits, each of which has
/// objects of some hundred bytes.)
pub(crate) const MAY_STAY: u64 = 16 << 10;

/// Bytes that are held once everything has come to rest: another processor may
/// still have the space of a process that has ended, with its tables. Where it is
/// more than it was `before`, and may stay, some time is given to it.
pub(crate) fn at_rest(before: Option<u64>) -> u64 {
    let mut held = now();
    for _ in 0..200 {
        if before.is_none_or(|before| held <= before + MAY_STAY) {
            break;
        }
        std::thread::sleep(core::time::Duration::from_millis(5));
        held = now();
    }
    held
}

/// Bytes that are held now, once what is kept without need has been given back.
fn now() -> u64 {
    give_back_what_is_spare();
    let information = read("/proc/meminfo");
    let kib = |name| field(&information, name);
    let heap = kib("Slab:") * 1024;
    let others = kib("MemTotal:") - kib("MemFree:") - kib("AnonPages:");
    let others = others * 1024 - heap;
    let (mut pages, mut in_use) = (0, 0);
    for line in read("/proc/slabinfo").lines().skip(2) {
        let mut words = line.split_whitespace();
        let mut number = |skip| words.nth(skip).and_then(|word| word.parse::<u64>().ok());
        if let (Some(active), Some(size), Some(slabs)) = (number(1), number(1), number(9)) {
            in_use += active * size;
            pages += slabs;
        }
    }
    others + in_use + heap.saturating_sub(pages * PAGE)
}

/// Has each processor give back what it keeps ready, and forget whose address
/// space it ran last.
pub(crate) fn give_back_what_is_spare() {
    let mut all = [0_u64; 16];
    let _ = call!(SYS_sched_getaffinity, 0, 128, &mut all);
    for processor in 0..1024 {
        let mut one = [0_u64; 16];
        one[processor / 64] = all[processor / 64] & 1 << (processor % 64);
        if one != [0; 16] {
            let _ = call!(SYS_sched_setaffinity, 0, 128, &one);
            let _ = std::fs::write("/proc/sys/vm/drop_caches", "2");
        }
    }
    let _ = call!(SYS_sched_setaffinity, 0, 128, &all);
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// The number behind a name.
fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .unwrap_or(0)
}
