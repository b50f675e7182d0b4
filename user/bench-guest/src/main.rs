//! The guest half of the benchmarks: times system calls in loops, as lmbench
//! does, and prints a line for each row.
//!
//! It is process 1, on Linux and on Ochre from the same archive; its host half
//! (`ochre-bench`) boots both and reads what it prints:
//!
//! ```text
//! bench start <counter>
//! bench row <name> <per operation>
//! bench memory <free bytes> <all bytes>
//! bench end
//! ```
//!
//! Arguments: `boot` stops after the first line; `rows` measures; `threads`
//! measures threads, on as many processors as `smp=N` says; `blocked` counts
//! the memory of many blocked threads; `memory` prints the memory line; `exit`
//! leaves at once (what fork+exec executes).
//! With `counted` the unit is instructions, read from the time-stamp counter,
//! which QEMU's `-icount shift=0` advances by one an instruction; without it,
//! nanoseconds of the monotonic clock. With `stay` it never leaves, as Linux
//! takes the end of process 1 badly.
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
    reason = "system calls are what is measured; all but the entry is in sys.rs"
)]

mod clock;
mod rows;
mod sys;
mod threads;

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
    blocked: bool,
    processors: usize,
    memory: bool,
    counted: bool,
    stay: bool,
}

/// C's entry; with `no_main` no other `main` is linked.
#[unsafe(no_mangle)]
pub extern "C" fn main() -> i32 {
    let mut options = Options::default();
    for word in std::env::args_os().skip(1) {
        match word.as_encoded_bytes() {
            b"exit" => return 0,
            b"boot" => options.boot = true,
            b"rows" => options.rows = true,
            b"threads" => options.threads = true,
            b"blocked" => options.blocked = true,
            [b's', b'm', b'p', b'=', digit @ b'1'..=b'9'] => {
                options.processors = usize::from(digit - b'0');
            }
            b"memory" => options.memory = true,
            b"counted" => options.counted = true,
            b"stay" => options.stay = true,
            _ => {}
        }
    }
    run(options);
    0
}

fn run(options: Options) {
    let started = sys::counter();
    if options.boot || options.rows || options.threads || options.blocked {
        say(&format!("bench start {started}\n"));
    }
    if options.rows {
        rows::run(options.counted);
    }
    if options.threads {
        threads::run(options.counted, options.processors.max(1));
    }
    if options.blocked {
        threads::blocked();
    }
    if options.memory {
        let (free, all) = sys::memory();
        say(&format!("bench memory {free} {all}\n"));
    }
    say("bench end\n");
    if options.stay {
        sys::park();
    }
}

/// Prints a row.
fn row(name: &str, value: f64) {
    say(&format!("bench row {name} {value:.3}\n"));
}

fn say(line: &str) {
    sys::write(1, line.as_bytes());
}
