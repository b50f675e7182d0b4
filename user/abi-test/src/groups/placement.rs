//! Where the parts of a program are: in other places with each start, as far
//! apart as is promised, unless that is switched off.

use std::process::Command;

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

const AT_SYSINFO_EHDR: u64 = 33;
const ADDR_NO_RANDOMIZE: usize = 0x4_0000;

type Places = [u64; PLACES.len()];

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
    ];
    line(&places.map(|place| place.to_string()).join(" "));
    0
}

/// The cases.
pub(crate) fn run() {
    let seen: Vec<Places> = (0..STARTS).filter_map(|_| start()).collect();
    check("starts", seen.len());
    for (at, (name, step, bits)) in PLACES.into_iter().enumerate() {
        let moved = seen
            .iter()
            .zip(&seen[1..])
            .fold(0, |moved, (one, other)| moved | one[at] ^ other[at]);
        check(
            &format!("{name}: {bits} bits or more"),
            (moved >> step).count_ones() >= bits,
        );
    }
    check_child("a fork", || {
        let before = sys::program_break(0);
        check("  keeps the heap", sys::program_break(0) == before);
        0
    });
    switched_off();
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
