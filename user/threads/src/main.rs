//! Ordinary multi-threaded programs, one per word: what Rust's std, rayon, crossbeam, tokio and `ochre-sync` ask of a kernel.
//!
//! `threads NAME` runs one of them, `threads` lists them. None knows what
//! kernel it runs on; what one prints is the same on every run and on any
//! number of processors, whatever order its threads take. A program that
//! deadlocks never ends, and whoever runs it has to give it a limit.
//!
//! `threads child WHAT` is what some of them start as other processes.
#![forbid(unsafe_code)]

mod atomics;
mod basics;
mod channels;
mod child;
mod crawler;
mod crowd;
mod locks;
mod ordering;
mod parking;
mod philosophers;
mod pools;
mod sleepers;
mod tasks;

use core::error::Error;
use std::{env, process::ExitCode};

/// What a program ends with.
type Outcome = Result<(), Box<dyn Error>>;

/// A program: what it is called, and what it does.
type Program = (&'static str, fn() -> Outcome);

const PROGRAMS: [Program; 12] = [
    ("philosophers", philosophers::run),
    ("basics", basics::run),
    ("channels", channels::run),
    ("locks", locks::run),
    ("parking", parking::run),
    ("sleepers", sleepers::run),
    ("atomics", atomics::run),
    ("ordering", ordering::run),
    ("crawler", crawler::run),
    ("crowd", crowd::run),
    ("pools", pools::run),
    ("tasks", tasks::run),
];

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["child", what] => child::run(what),
        [name] => match PROGRAMS.iter().find(|(known, _)| *known == name) {
            Some((_, program)) => ended(program()),
            None => usage(),
        },
        _ => usage(),
    }
}

fn ended(outcome: Outcome) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: threads NAME, which is one of");
    for (name, _) in PROGRAMS {
        eprintln!("  {name}");
    }
    ExitCode::from(2)
}

/// Runs `body` without the words of panics on standard error: those that a
/// program makes on purpose name threads by numbers that differ.
fn quietly<T>(body: impl FnOnce() -> T) -> T {
    std::panic::set_hook(Box::new(|_| {}));
    let answer = body();
    let _ = std::panic::take_hook();
    answer
}
