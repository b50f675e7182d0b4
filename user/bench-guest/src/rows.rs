//! The rows about system calls, processes and memory.

use core::hint::black_box;

use crate::{
    clock::{self, SAMPLES},
    is_wanted, row, sys,
};

/// A page.
const PAGE: usize = 4096;

/// The file that is opened, asked about, and mapped.
const FILE: &core::ffi::CStr = c"/bench-file";

/// How many pages the mapped file has.
const FILE_PAGES: usize = 256;

/// The program that fork+exec executes: this one.
const PROGRAM: &core::ffi::CStr = c"/init";

/// Measures and prints all rows.
pub(crate) fn run() {
    sys::mount(c"devtmpfs", c"/dev");
    let zero = sys::open(c"/dev/zero", libc::O_RDONLY);
    let null = sys::open(c"/dev/null", libc::O_WRONLY);
    let file = sys::open(FILE, libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC);
    for page in 0..FILE_PAGES {
        sys::write(file, &[page as u8; PAGE]);
    }
    let mut byte = [0_u8];
    row("null_call", || clock::each(20_000, sys::getppid));
    row("read_1_byte", || {
        clock::each(20_000, || {
            sys::read(zero, &mut byte);
        })
    });
    row("write_1_byte", || {
        clock::each(20_000, || {
            sys::write(null, &[1]);
        })
    });
    row("open_close", || {
        clock::each(2_000, || sys::close(sys::open(FILE, libc::O_RDONLY)))
    });
    row("stat", || clock::each(4_000, || sys::stat(FILE)));
    row("fstat", || clock::each(10_000, || sys::fstat(file)));
    let signal = libc::SIGUSR1;
    row("signal_install", || {
        clock::each(10_000, || sys::install_handler(signal))
    });
    let me = sys::getpid();
    row("signal_deliver", || {
        sys::install_handler(signal);
        clock::each(5_000, || sys::raise(me, signal))
    });
    if is_wanted(&["pipe_round_trip", "pipe_alone", "context_switch"]) {
        pipes();
    }
    processes();
    memory(file);
}

/// Two processes and pipes between them.
fn pipes() {
    let mut byte = [0_u8];
    let [there_read, there_write] = sys::pipe();
    let [back_read, back_write] = sys::pipe();
    let child = sys::fork(|| {
        sys::close(there_write);
        while sys::read(there_read, &mut byte) == 1 {
            sys::write(back_write, &byte);
        }
    });
    sys::close(there_read);
    let round_trip = clock::each(2_000, || {
        sys::write(there_write, &byte);
        sys::read(back_read, &mut byte);
    });
    row("pipe_round_trip", || round_trip);
    sys::close(there_write);
    sys::wait(child);
    sys::close(back_read);
    sys::close(back_write);
    // lat_ctx: what remains of a hop without the pipe's own work, which one
    // process that writes to itself shows.
    let [read, write] = sys::pipe();
    if !is_wanted(&["pipe_alone", "context_switch"]) {
        return;
    }
    let alone = clock::each(10_000, || {
        sys::write(write, &byte);
        sys::read(read, &mut byte);
    });
    row("pipe_alone", || alone);
    row("context_switch", || (round_trip / 2.0 - alone).max(0.0));
}

/// Starting processes.
fn processes() {
    row("fork_exit", || {
        clock::each(60, || {
            sys::wait(sys::fork(|| ()));
        })
    });
    row("fork_exec", || {
        clock::each(30, || {
            let child = sys::fork(|| sys::exec(PROGRAM, c"exit"));
            assert_eq!(sys::wait(child), 0, "the program leaves with 0");
        })
    });
}

/// Mappings.
fn memory(file: i32) {
    row("file_fault", || file_faults(file));
    row("mmap_1_mib", || {
        clock::each(40, || {
            let mapping = sys::Mapping::new(-1, 1 << 20);
            for page in 0..256 {
                mapping.poke(page * PAGE);
            }
        })
    });
}

/// lat_pagefault: every page of a mapped file is touched once, in an order
/// that defeats guessing; mapping and unmapping do not count.
fn file_faults(file: i32) -> f64 {
    let mut sum = 0_u64;
    let mut samples = [0.0; SAMPLES];
    for sample in &mut samples {
        let mapping = sys::Mapping::new(file, FILE_PAGES * PAGE);
        let start = sys::counter();
        for n in 0..FILE_PAGES {
            let page = (n * 97) % FILE_PAGES;
            sum += u64::from(mapping.peek(page * PAGE));
        }
        *sample = (sys::counter() - start) as f64 / FILE_PAGES as f64;
    }
    black_box(sum);
    samples.sort_by(f64::total_cmp);
    samples[SAMPLES / 2]
}
