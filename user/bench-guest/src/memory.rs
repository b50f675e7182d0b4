//! The rows about memory: faults, mappings, large forks, and processors that do
//! such things at the same time.
//!
//! What a page is made of is the kernel's choice, except where a row says 4 KiB:
//! there, huge pages are declined.

use std::thread;

use crate::{
    are_online,
    clock::{self, SAMPLES},
    is_wanted, print_row, row, sys,
};

const PAGE: usize = 4096;
const MIB: usize = 1 << 20;

/// Pages that are faulted in for a sample.
const FAULTS: usize = 512;

/// Bytes that each worker maps and touches at a time.
const TOUCHED: usize = 16 * MIB;

/// Bytes that each worker maps and does not touch.
const MAPPED: usize = 128 * MIB;

/// Measures and prints all of them, with this many processors.
pub(crate) fn run(processors: usize) {
    sys::mount(c"devtmpfs", c"/dev");
    if !are_online(processors) {
        return;
    }
    if processors == 1 {
        alone();
    }
    together(processors);
}

/// What one program does.
fn alone() {
    row("fault_zero", || {
        faults(|mapping, page| {
            mapping.peek(page * PAGE);
        })
    });
    row("fault_anonymous", || {
        faults(|mapping, page| mapping.poke(page * PAGE))
    });
    row("fault_file", || file_faults(libc::MAP_SHARED));
    row("fault_file_copy", || file_faults(libc::MAP_PRIVATE));
    row("fault_cow", copies);
    for (name, len, times) in [
        ("map_4_kib", PAGE, 2_000),
        ("map_1_mib", MIB, 2_000),
        ("map_64_mib", 64 * MIB, 2_000),
        ("map_1_gib", 1024 * MIB, 2_000),
    ] {
        row(name, || {
            clock::each(times, || drop(sys::Mapping::reserved(len)))
        });
    }
    row("map_touch_8_mib", || {
        clock::each(4, || {
            let mapping = sys::Mapping::new(-1, 8 * MIB);
            touch(&mapping, 8 * MIB);
        })
    });
    for (name, len, times) in [
        ("fork_1_mib", MIB, 20),
        ("fork_64_mib", 64 * MIB, 4),
        ("fork_512_mib", 512 * MIB, 1),
    ] {
        row(name, || {
            let mapping = sys::Mapping::new(-1, len);
            touch(&mapping, len);
            clock::each(times, || {
                sys::wait(sys::fork(|| ()));
            })
        });
    }
    row("brk", || {
        clock::sampled(2_000, |times| {
            grow_and_shrink(times, true);
            times
        })
    });
    row("copy_1_mib", || {
        let theirs = sys::Mapping::new(-1, MIB);
        touch(&theirs, MIB);
        let [read, write] = sys::pipe();
        let child = sys::fork(|| {
            sys::close(write);
            sys::read(read, &mut [0]);
        });
        let ours = sys::Mapping::new(-1, MIB);
        touch(&ours, MIB);
        let took = clock::each(20, || ours.copy_from(child, &theirs));
        sys::close(write);
        sys::close(read);
        sys::wait(child);
        took
    });
}

fn touch(mapping: &sys::Mapping, len: usize) {
    for at in (0..len).step_by(PAGE) {
        mapping.poke(at);
    }
}

/// The median of samples of `body`, each of so many pages.
fn per_page(pages: usize, mut body: impl FnMut() -> u64) -> f64 {
    body();
    let mut samples = [0.0; SAMPLES];
    for sample in &mut samples {
        *sample = body() as f64 / pages as f64;
    }
    samples.sort_by(f64::total_cmp);
    samples[SAMPLES / 2]
}

/// Ticks that `body` takes for each page of a fresh mapping of 4 KiB pages.
fn faults(body: impl Fn(&sys::Mapping, usize)) -> f64 {
    per_page(FAULTS, || {
        let mapping = sys::Mapping::new(-1, FAULTS * PAGE);
        mapping.decline_huge_pages();
        let start = sys::counter();
        for page in 0..FAULTS {
            body(&mapping, page);
        }
        sys::counter() - start
    })
}

/// The same for a file that is in memory, read (shared) or written (private).
fn file_faults(kind: i32) -> f64 {
    let file = sys::open(
        c"/bench-memory",
        libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC,
    );
    for _ in 0..FAULTS {
        sys::write(file, &[1; PAGE]);
    }
    let took = per_page(FAULTS, || {
        let mapping = sys::Mapping::of_file(file, FAULTS * PAGE, kind);
        let start = sys::counter();
        for n in 0..FAULTS {
            // In an order that defeats guessing.
            let page = (n * 97) % FAULTS;
            if kind == libc::MAP_SHARED {
                mapping.peek(page * PAGE);
            } else {
                mapping.poke(page * PAGE);
            }
        }
        sys::counter() - start
    });
    sys::close(file);
    took
}

/// A child stores to each page that it shares with its parent.
fn copies() -> f64 {
    let mapping = sys::Mapping::new(-1, FAULTS * PAGE);
    mapping.decline_huge_pages();
    touch(&mapping, FAULTS * PAGE);
    let [read, write] = sys::pipe();
    let took = per_page(FAULTS, || {
        let child = sys::fork(|| {
            let start = sys::counter();
            touch(&mapping, FAULTS * PAGE);
            let took = sys::counter() - start;
            sys::write(write, &took.to_ne_bytes());
        });
        let mut took = [0; 8];
        sys::read(read, &mut took);
        sys::wait(child);
        u64::from_ne_bytes(took)
    });
    sys::close(read);
    sys::close(write);
    took
}

/// Moves the end of the heap up by a page and back.
fn grow_and_shrink(times: u32, is_touched: bool) {
    let end = sys::brk(0);
    for _ in 0..times {
        sys::brk(end + PAGE);
        if is_touched {
            sys::poke(end);
        }
        sys::brk(end);
    }
}

/// Name, what a worker does, how many times, and as how many things each counts.
type Loop = (&'static str, fn(u32), u32, f64);

/// Runs so many workers, each of which does something so many times; gives the
/// time from their start to the end of the last.
type Workers = fn(usize, fn(u32), u32) -> u64;

/// The loops of will-it-scale's page_fault1, mmap1 and brk1.
const LOOPS: [Loop; 3] = [
    ("page_fault1", page_fault1, 8, (TOUCHED / PAGE) as f64),
    ("mmap1", mmap1, 4_000, 1.0),
    ("brk1", brk1, 4_000, 1.0),
];

fn page_fault1(times: u32) {
    for _ in 0..times {
        let mapping = sys::Mapping::new(-1, TOUCHED);
        touch(&mapping, TOUCHED);
    }
}

fn mmap1(times: u32) {
    for _ in 0..times {
        drop(sys::Mapping::reserved(MAPPED));
    }
}

fn brk1(times: u32) {
    grow_and_shrink(times, false);
}

/// Workers on all processors, as threads and as processes: what each thing that
/// one of them does takes of the time.
fn together(processors: usize) {
    for (name, body, times, count) in LOOPS {
        let things = f64::from(times) * count * processors as f64;
        for (kind, workers) in [("threads", threads as Workers), ("processes", processes)] {
            row(&format!("{name}_{kind}"), || {
                let mut samples = [0.0; 3];
                workers(processors, body, times.div_ceil(4));
                for sample in &mut samples {
                    *sample = workers(processors, body, times) as f64 / things;
                }
                samples.sort_by(f64::total_cmp);
                samples[1]
            });
            let scaling = format!("{name}_{kind}_scaling");
            if processors > 1 && is_wanted(&[&scaling]) {
                print_row(&scaling, more(processors, workers, body, times));
            }
        }
    }
}

/// How many times as much all processors do as one of them: in the middle of
/// rounds of one worker, then all.
fn more(processors: usize, workers: Workers, body: fn(u32), times: u32) -> f64 {
    workers(processors, body, times.div_ceil(4));
    let mut rounds = [0.0; 7];
    for round in &mut rounds {
        let one = workers(1, body, times) as f64;
        let all = workers(processors, body, times) as f64;
        *round = one * processors as f64 / all;
    }
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

fn threads(workers: usize, body: fn(u32), times: u32) -> u64 {
    let [read, write] = sys::pipe();
    let took = thread::scope(|scope| {
        let all: Vec<_> = (0..workers)
            .map(|worker| {
                scope.spawn(move || {
                    sys::bind(worker);
                    sys::read(read, &mut [0]);
                    body(times);
                })
            })
            .collect();
        sys::sleep_ms(10);
        let start = sys::counter();
        sys::write(write, &[0; 64][..workers]);
        for worker in all {
            let _ = worker.join();
        }
        sys::counter() - start
    });
    sys::close(read);
    sys::close(write);
    took
}

fn processes(workers: usize, body: fn(u32), times: u32) -> u64 {
    let [read, write] = sys::pipe();
    let all: Vec<i32> = (0..workers)
        .map(|worker| {
            sys::fork(|| {
                sys::bind(worker);
                sys::read(read, &mut [0]);
                body(times);
            })
        })
        .collect();
    sys::sleep_ms(10);
    let start = sys::counter();
    sys::write(write, &[0; 64][..workers]);
    for worker in all {
        sys::wait(worker);
    }
    let took = sys::counter() - start;
    sys::close(read);
    sys::close(write);
    took
}
