//! What C programs with threads do: glibc's pthread functions called directly, and futexes by hand.
//!
//! No C compiler is needed to build anything here, so the program that a C
//! programmer would write is written in Rust, with the C library's own
//! functions called through the crate `libc`: the locks, the waiting and the
//! cancelling that happen are glibc's. It is linked both ways, with glibc in
//! it (static) and with the system's (dynamic), and the suite runs both.
//!
//! `pthreads NAME` runs one program. What it prints is the same on every run
//! and on any number of processors. [`pthread`] and [`word`] hold the calls,
//! `cancel` and `data` show what cannot be had behind a safe interface; the
//! others are ordinary safe code.
#![expect(
    unsafe_code,
    reason = "calls the C library's functions, which is what it is for"
)]

mod cancel;
mod conditions;
mod data;
mod futexes;
mod inversion;
mod locks;
mod mutexes;
mod others;
mod pthread;
mod rwlocks;
mod shared;
mod word;

use std::{env, process::ExitCode};

/// A program: what it is called, and what it does.
type Program = (&'static str, fn());

const PROGRAMS: [Program; 12] = [
    ("mutexes", mutexes::run),
    ("inheriting", mutexes::run_inheriting),
    ("protecting", mutexes::run_protecting),
    ("rwlocks", rwlocks::run),
    ("conditions", conditions::run),
    ("others", others::run),
    ("shared", shared::run),
    ("cancel", cancel::run),
    ("futexes", futexes::run),
    ("either", futexes::either),
    ("data", data::run),
    ("inversion", inversion::run),
];

fn main() -> ExitCode {
    let name = env::args().nth(1).unwrap_or_default();
    if let Some((_, program)) = PROGRAMS.iter().find(|(known, _)| *known == name) {
        program();
        return ExitCode::SUCCESS;
    }
    eprintln!("usage: pthreads NAME, which is one of");
    for (name, _) in PROGRAMS {
        eprintln!("  {name}");
    }
    ExitCode::from(2)
}

/// The name of what a call answered: `ok`, or the error's.
fn name(answer: i32) -> &'static str {
    match answer {
        0 => "ok",
        libc::EAGAIN => "EAGAIN",
        libc::EBUSY => "EBUSY",
        libc::EDEADLK => "EDEADLK",
        libc::EINVAL => "EINVAL",
        libc::ENOTRECOVERABLE => "ENOTRECOVERABLE",
        libc::ENOTSUP => "ENOTSUP",
        libc::EOWNERDEAD => "EOWNERDEAD",
        libc::EPERM => "EPERM",
        libc::ESRCH => "ESRCH",
        libc::ETIMEDOUT => "ETIMEDOUT",
        _ => "another error",
    }
}
