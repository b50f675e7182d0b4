//! Where the parts of a program are: in other places with each start, as far
//! apart as is promised, unless that is switched off.

use std::process::Command;

use crate::arch::IS_ANYWHERE;
use crate::call;
use crate::report::{check, check_child, line};
use crate::sys;

/// How often the program is started: so often that a bit which is random is
/// nearly never the same each time.
const STARTS: usize = 32;

/// What is looked at: the name, the size of the steps, and how many bits are
/// random at least, as far as can be seen: what starts a program may align its
/// stack, and newer Linux puts a program at the start of a large page.
const PLACES: [(&str, u32, u32); 5] = [
    ("stack", 4, 28),
    ("mappings", 12, 28),
    ("program", 12, 18),
    ("heap", 12, 13),
    ("vdso", 12, 20),
];

/// What is looked at in the second group, likewise.
const LOW_PLACES: [(&str, u32, u32); 1] = [("below 2 GiB", 12, 10)];

/// Where `MAP_32BIT` looks, whose name is x86_64's alone; so is the second group.
const LOW: core::ops::Range<i64> = 0x4000_0000..0x8000_0000;
const MAP_32BIT: i32 = 0x40;

const AT_SYSINFO_EHDR: u64 = 33;
const ADDR_NO_RANDOMIZE: usize = 0x4_0000;

type Places = [u64; PLACES.len() + LOW_PLACES.len()];

/// What a started program says: where its parts are.
pub(crate) fn role() -> i32 {
    let local = 0_u8;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let mapping = call!(SYS_mmap, 0, 4096, libc::PROT_READ, flags, -1, 0);
    let places: Places = [
        (&raw const local).expose_provenance() as u64,
        mapping.unwrap_or(0) as u64,
        role as *const () as u64,
        sys::program_break(0) as u64,
        sys::auxv(AT_SYSINFO_EHDR),
        low(0, 4096, 0).unwrap_or(0) as u64,
    ];
    line(&places.map(|place| place.to_string()).join(" "));
    0
}

/// Starts programs, and compares the bits of their places from the `first` on.
fn compare(first: usize, places: &[(&str, u32, u32)]) {
    let seen: Vec<Places> = (0..STARTS).filter_map(|_| start()).collect();
    check("starts", seen.len());
    for (at, (name, step, bits)) in places.iter().enumerate() {
        let at = first + at;
        let moved = seen
            .iter()
            .zip(&seen[1..])
            .fold(0, |moved, (one, other)| moved | one[at] ^ other[at]);
        // A program that has one place only is there.
        let is_fixed = *name == "program" && !IS_ANYWHERE;
        let expected = if is_fixed {
            moved == 0
        } else {
            (moved >> step).count_ones() >= *bits
        };
        check(&format!("{name}: {bits} bits or more"), expected);
    }
}

/// The cases that x86_64 alone has.
pub(crate) fn low_ones() {
    compare(PLACES.len(), &LOW_PLACES);
    check_child("below 2 GiB", below_2_gib);
}

/// The cases.
pub(crate) fn run() {
    compare(0, &PLACES);
    check_child("a fork", || {
        let before = sys::program_break(0);
        check("  keeps the heap", sys::program_break(0) == before);
        0
    });
    switched_off();
}

/// Maps `len` bytes below 2 GiB, as wanted at `at`, with these flags too.
fn low(at: usize, len: usize, flags: i32) -> sys::Ret {
    let flags = flags | MAP_32BIT | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    call!(SYS_mmap, at, len, libc::PROT_NONE, flags, -1, 0)
}

/// Several mappings there, wishes, and what comes when no more fits.
fn below_2_gib() -> i32 {
    let is_low = |at: i64, len: usize| {
        LOW.contains(&at) && at + len as i64 <= LOW.end && at % sys::PAGE as i64 == 0
    };
    let mut made = Vec::new();
    for len in [1, 4096, 12_288, 1 << 20, (2 << 20) + 4096, 64 << 20, 4096] {
        match low(0, len, 0) {
            Ok(at) => {
                check(&format!("  {len} bytes"), is_low(at, len));
                made.push(at..at + len.next_multiple_of(sys::PAGE) as i64);
            }
            Err(error) => check(&format!("  {len} bytes"), error.0),
        }
    }
    made.sort_by_key(|one| one.start);
    let apart = made.windows(2).all(|two| two[0].end <= two[1].start);
    check("  none is in another", apart);
    let wish = 0x1000_0000;
    check(
        "  a wish below 1 GiB",
        low(wish, 4096, 0) == Ok(wish as i64),
    );
    let answer = low(5 << 30, 4096, 0);
    check("  a wish above 2 GiB", answer.map(|at| is_low(at, 4096)));
    let answer = low(LOW.end as usize - 4096, 8192, 0);
    check("  a wish over the end", answer.map(|at| is_low(at, 8192)));
    let fixed = 5 << 30;
    let answer = low(fixed, 4096, libc::MAP_FIXED);
    check("  fixed above 2 GiB", answer == Ok(fixed as i64));
    check(
        "  more than there is",
        low(0, (1 << 30) + 4096, 0).map(|_| ()),
    );
    let large = 32 << 20;
    let error = (0..100).find_map(|_| match low(0, large, 0) {
        Ok(at) if is_low(at, large) => None,
        other => Some(other.map(|_| "not there")),
    });
    check("  until no more fits", error);
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let answer = call!(SYS_mmap, 0, large, libc::PROT_NONE, flags, -1, 0);
    check("  but elsewhere", answer.is_ok());
    let freed = made.iter().find(|one| one.end - one.start >= 64 << 20);
    let freed = freed.cloned().unwrap_or_default();
    let _ = call!(SYS_munmap, freed.start, freed.end - freed.start);
    check(
        "  and where it is free again",
        low(0, large, 0).map(|at| is_low(at, large)),
    );
    0
}

fn switched_off() {
    const ASK: usize = 0xffff_ffff;
    check("personality", call!(SYS_personality, ASK));
    check_child("without", || {
        check("  set", call!(SYS_personality, ADDR_NO_RANDOMIZE));
        check("  asked", call!(SYS_personality, ASK));
        let text = std::fs::read_to_string("/proc/self/personality");
        check("  in proc", text.unwrap_or_default().trim());
        let seen: Vec<Places> = (0..4).filter_map(|_| start()).collect();
        check("  starts", seen.len());
        check(
            "  all in the same places",
            seen.iter().all(|one| *one == seen[0]),
        );
        check("  set back", call!(SYS_personality, 0));
        check("  other places again", start() != start());
        0
    });
    check("ours", call!(SYS_personality, ASK));
}

/// Starts the program once more.
fn start() -> Option<Places> {
    let output = Command::new("/proc/self/exe")
        .arg("--places")
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let words: Vec<u64> = text
        .split_whitespace()
        .filter_map(|w| w.parse().ok())
        .collect();
    words.try_into().ok()
}
