//! Attacks on every piece of memory that the kernel really has, for the suite
//! `bad_input`: the ends and the middle of each are read, written and executed,
//! and handed to calls. Where they are the kernel tells root
//! (`/proc/ochre/pagetable/kernel`); guesses would mostly meet nothing, as each
//! boot has other places.

use crate::call;
use crate::errno::Errno;
use crate::report::{check, line, wait};
use crate::sys;

const TABLE: &str = "/proc/ochre/pagetable/kernel";

/// What it is called, and what is done at an address.
type Attack = (&'static str, fn(usize));

const ATTACKS: [Attack; 3] = [
    ("read", |at| {
        sys::peek(at);
    }),
    ("written", |at| sys::poke(at, 0)),
    ("executed", |at| {
        sys::jump(at);
    }),
];

/// Makes all of them; says how each kind ended where it was not as it must be.
pub(crate) fn role() -> i32 {
    let table = std::fs::read_to_string(TABLE).unwrap_or_default();
    let places: Vec<usize> = table.lines().flat_map(places).collect();
    check("a dozen pieces", places.len() >= 3 * 12);
    check(
        "all are the kernel's",
        places.iter().all(|at| *at >> 47 != 0),
    );
    for (name, attack) in ATTACKS {
        let mut others = 0;
        for &at in &places {
            let ended = wait(sys::fork(|| {
                attack(at);
                0
            }));
            if ended != "killed by SIGSEGV" {
                others += 1;
                line(&format!("{at:x} {name}: {ended}"));
            }
        }
        check(&format!("{name}, and not ended"), others);
    }
    let mut pipe = [0_i32; 2];
    let _ = call!(SYS_pipe2, &mut pipe, 0);
    let sent = call!(SYS_write, pipe[1], b"secret", 6);
    check("sent", sent.is_ok());
    let mut taken = 0;
    for &at in &places {
        for answer in [
            call!(SYS_write, pipe[1], at, 8),
            call!(SYS_read, pipe[0], at, 8),
            call!(SYS_pipe2, at, 0),
            call!(SYS_openat, libc::AT_FDCWD, at, 0),
        ] {
            if answer != Err(Errno(libc::EFAULT)) {
                taken += 1;
                line(&format!("{at:x}: {answer:?}"));
            }
        }
    }
    check("taken by calls", taken);
    check("still here", wait(sys::fork(|| 0)));
    0
}

/// The first, a middle and the last byte of a line's range.
fn places(line: &str) -> Vec<usize> {
    let range = line.split(' ').next().unwrap_or_default();
    let number = |text| usize::from_str_radix(text, 16).ok();
    let ends = range.split_once('-');
    let Some((Some(start), Some(end))) = ends.map(|(start, end)| (number(start), number(end)))
    else {
        return Vec::new();
    };
    // The last range may end where addresses do.
    let last = end.wrapping_sub(1);
    vec![start, start + (last - start) / 2, last]
}
