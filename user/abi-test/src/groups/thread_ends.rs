//! Processes that end, or become another program, while their threads make
//! more threads: nobody is left over, and nobody is waited for in vain.

use core::sync::atomic::{AtomicU32, Ordering};

use crate::call;
use crate::report::{check, wait};
use crate::sys;

/// Processes that end in each way.
const ROUNDS: usize = 25;

/// Threads of each that make others all the time.
const MAKERS: usize = 3;

/// Threads made before the end comes.
const MADE: u32 = 8;

const STACK: usize = 16 << 10;

/// This program, wherever it is.
const EXE: &core::ffi::CStr = c"/proc/self/exe";

/// Threads that are there and wait, or came and went.
static SEEN: AtomicU32 = AtomicU32::new(0);

fn spawn(body: fn()) -> bool {
    let builder = std::thread::Builder::new().stack_size(STACK);
    // More than there may be is refused; those made go on.
    builder.spawn(body).is_ok()
}

fn make() {
    loop {
        for body in [come_and_go as fn(), wait_for_ever, come_and_go] {
            if spawn(body) {
                SEEN.fetch_add(1, Ordering::SeqCst);
            } else {
                std::thread::yield_now();
            }
        }
        if SEEN.load(Ordering::SeqCst) > 64 {
            // Enough of those that stay; from now on they come and go.
            while spawn(come_and_go) {}
        }
    }
}

fn come_and_go() {}

fn wait_for_ever() {
    loop {
        let _ = call!(SYS_pause);
    }
}

/// A process whose threads make threads, until `end` is called in it.
fn process(end: fn() -> i32) -> String {
    wait(sys::fork(|| {
        for _ in 0..MAKERS {
            spawn(make);
        }
        while SEEN.load(Ordering::SeqCst) < MADE {
            std::thread::yield_now();
        }
        end()
    }))
}

/// A way to end: its name, what the parent is told, and what does it.
type Way = (&'static str, &'static str, fn() -> i32);

const WAYS: [Way; 4] = [
    ("execve", "exit 5", || {
        super::exec::exec(EXE, &[c"self", c"--exit", c"5"], &[])
    }),
    ("execve in another thread", "exit 6", || {
        let _ =
            std::thread::spawn(|| super::exec::exec(EXE, &[c"self", c"--exit", c"6"], &[])).join();
        1
    }),
    ("exit_group", "exit 7", || {
        let _ = call!(SYS_exit_group, 7);
        1
    }),
    ("SIGKILL", "killed by SIGKILL", || {
        let _ = call!(SYS_kill, call!(SYS_getpid).unwrap_or(0), libc::SIGKILL);
        1
    }),
];

/// Each way to end, many times: how often it came to what it should.
pub(crate) fn run() {
    for (name, expected, end) in WAYS {
        let mut answers: Vec<String> = (0..ROUNDS).map(|_| process(end)).collect();
        answers.retain(|answer| answer != expected);
        check(name, format!("{answers:?} instead of {expected}"));
    }
}

/// Each way to end, once.
pub(crate) fn each_once() {
    for (_, _, end) in WAYS {
        let _ = process(end);
    }
}
