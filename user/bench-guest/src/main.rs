//! The guest half of the benchmarks: times system calls in loops, as lmbench
//! does, and prints a line for each row.
//!
//! It is process 1, on Linux and on Ochre from the same archive; its host half
//! (`ochre-bench`) boots both and reads what it prints:
//!
//! ```text
//! bench start <counter>
//! bench ticks <name> <counter's ticks per operation>
//! bench row <name> <a number that is no time>
//! bench memory <free bytes> <all bytes> <bytes of this program's file, which are memory, too>
//! bench end <counter>
//! ```
//!
//! Arguments: `boot` stops after the first line; `rows` measures; `threads`
//! measures threads, on as many processors as `smp=N` says, `space` memory and
//! `stress` stress-ng's stressors of it, on as many; `beside` measures work beside other machines', which begins when
//! a line comes; `console` writes to terminals; `blocked` counts the memory of many
//! blocked threads; `memory` prints the memory line; `exit`
//! leaves at once (what fork+exec executes). `only=ROW`, once or several times,
//! leaves the other rows out.
//! The counter is the processor's own, which is the same on any kernel and
//! as fine as can be: a kernel that does not trust it on several processors may
//! have a clock that goes in steps of milliseconds. With QEMU's `-icount
//! shift=0` it counts instructions; otherwise the host says what a tick is, by
//! its own clock between the first line and the last. With `stay` it never
//! leaves, as Linux takes the end of process 1 badly.
//!
//! Method: each row runs its operation in a loop long enough to drown the two
//! clock readings, subtracts the time of the empty loop, does that an odd
//! number of times and reports the median.
//!
//! The program has a C `main`, so that what fork+exec measures is the kernel
//! and not Rust's start-up.
#![no_main]
#![expect(
    unsafe_code,
    reason = "system calls are what is measured; all but the entry is in sys.rs and arch.rs"
)]

mod arch;
mod clock;
mod console;
mod memory;
mod rows;
mod stress;
mod sys;
mod threads;

use core::ffi::c_char;
use std::{
    sync::{Mutex, PoisonError},
    thread,
};

/// The rows that are wanted; all, if there are none.
static ONLY: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// What the command line asked for.
#[derive(Clone, Copy, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a word of the command line"
)]
struct Options {
    boot: bool,
    rows: bool,
    threads: bool,
    space: bool,
    stress: bool,
    console: bool,
    beside: bool,
    blocked: bool,
    processors: usize,
    memory: bool,
    stay: bool,
}

/// C's entry; with `no_main` no other `main` is linked.
///
/// # Safety
/// What a C library gives to `main`. (Not every one tells Rust's of it.)
#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(count: i32, words: *const *const c_char) -> i32 {
    // SAFETY: as `words` asks for, by this function's contract.
    let words = unsafe { sys::words(count, words) };
    let mut options = Options::default();
    for word in words.into_iter().skip(1) {
        let word = word.to_bytes();
        if let Some(name) = word.strip_prefix(b"only=") {
            only().push(String::from_utf8_lossy(name).into_owned());
            continue;
        }
        match word {
            b"exit" => return 0,
            b"boot" => options.boot = true,
            b"rows" => options.rows = true,
            b"threads" => options.threads = true,
            b"space" => options.space = true,
            b"stress" => options.stress = true,
            b"console" => options.console = true,
            b"beside" => options.beside = true,
            b"blocked" => options.blocked = true,
            [b's', b'm', b'p', b'=', digit @ b'1'..=b'9'] => {
                options.processors = usize::from(digit - b'0');
            }
            b"memory" => options.memory = true,
            b"stay" => options.stay = true,
            _ => {}
        }
    }
    run(options);
    0
}

fn run(options: Options) {
    let started = sys::counter();
    let measures = options.rows || options.threads || options.space || options.stress;
    if options.boot || measures || options.console || options.beside || options.blocked {
        say(&format!("bench start {started}\n"));
    }
    if options.rows {
        rows::run();
    }
    if options.threads {
        threads::run(options.processors.max(1));
    }
    if options.space {
        memory::run(options.processors.max(1));
    }
    if options.stress {
        stress::run(options.processors.max(1));
    }
    if options.beside {
        threads::beside();
    }
    if options.console {
        console::run();
    }
    if options.blocked {
        threads::blocked();
    }
    if options.memory {
        let (free, all) = sys::memory();
        let own = sys::own_file();
        say(&format!("bench memory {free} {all} {own}\n"));
    }
    say(&format!("bench end {}\n", sys::counter()));
    if options.stay {
        sys::park();
    }
}

fn only() -> impl core::ops::DerefMut<Target = Vec<String>> {
    ONLY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether one of these rows is asked for.
fn is_wanted(names: &[&str]) -> bool {
    let only = only();
    only.is_empty() || only.iter().any(|wanted| names.contains(&wanted.as_str()))
}

/// Measures and prints a row, in ticks of the counter, if it is asked for.
fn row(name: &str, ticks: impl FnOnce() -> f64) {
    if is_wanted(&[name]) {
        print_ticks(name, ticks());
    }
}

/// Whether there are so many processors: otherwise, what would be measured is not
/// what the rows say.
fn are_online(processors: usize) -> bool {
    let online = thread::available_parallelism().map_or(1, usize::from);
    print_row("processors", online as f64);
    online >= processors
}

fn print_ticks(name: &str, ticks: f64) {
    say(&format!("bench ticks {name} {ticks:.3}\n"));
}

/// Prints a row that is no time.
fn print_row(name: &str, value: f64) {
    say(&format!("bench row {name} {value:.3}\n"));
}

fn say(line: &str) {
    sys::write(1, line.as_bytes());
}
