//! The rows about threads: waking, starting, switching, scaling, and what a blocked one costs.
//!
//! Each row says on which processors its threads run, for it is another row if
//! they share one. With one processor everything shares it.

use core::{
    hint::black_box,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use std::{thread, time::Instant};

use crate::{are_online, clock, is_wanted, print_row, print_ticks, row, say, sys};

/// How often two threads wake each other for a sample, at most.
const ROUNDS: u32 = 500;

/// How long a sample goes on in which threads on two processors wake each
/// other. A host that does other work, too, may take milliseconds for each
/// wake-up, in every round: a processor of the guest is a thread of the host
/// that waits for another's time slice to end.
const LIMIT: Duration = Duration::from_millis(250);

/// How many steps independent work has.
const WORK: u32 = 10_000_000;

/// How often it is done, of which the best counts: what disturbs it is not what
/// is measured.
const TIMES: usize = 5;

/// How many threads are to block at once.
const BLOCKED: u32 = 100_000;

/// The programs that are run as they come, and with what words.
const PROGRAMS: [(&str, &[&core::ffi::CStr]); 3] = [
    (
        "hackbench_processes",
        &[
            c"/usr/bin/hackbench",
            c"-p",
            c"-g",
            c"2",
            c"-f",
            c"10",
            c"-l",
            c"100",
        ],
    ),
    (
        "hackbench_threads",
        &[
            c"/usr/bin/hackbench",
            c"-p",
            c"-T",
            c"-g",
            c"2",
            c"-f",
            c"10",
            c"-l",
            c"100",
        ],
    ),
    (
        "sysbench_threads",
        &[
            c"/usr/bin/sysbench",
            c"threads",
            c"--threads=4",
            c"--events=400",
            c"--time=0",
            c"--thread-yields=50",
            c"--thread-locks=4",
            c"run",
        ],
    ),
];

/// Measures and prints all of them, with this many processors.
pub(crate) fn run(processors: usize) {
    sys::mount(c"devtmpfs", c"/dev");
    sys::mount(c"proc", c"/proc");
    if !are_online(processors) {
        return;
    }
    let other = usize::from(processors > 1);
    row("futex_wake", || {
        clock::sampled(ROUNDS, |n| wake(n, 0, other)) / 2.0
    });
    if processors > 1 {
        row("futex_wake_shared", || {
            clock::sampled(ROUNDS, |n| wake(n, 0, 0)) / 2.0
        });
    }
    sys::bind(0);
    row("create_join", || {
        clock::each(100, || {
            // What the thread ends with is nothing, and it does not panic.
            let _ = thread::spawn(|| ()).join();
        })
    });
    row("switch", || clock::sampled(ROUNDS, switches) / 2.0);
    row("pipe", || clock::sampled(ROUNDS, |n| pipes(n, other)));
    sys::unbind();
    for (name, words) in PROGRAMS {
        row(name, || clock::once(|| sys::run(words)));
    }
    if !is_wanted(&["work_one", "work_all", "scaling"]) {
        return;
    }
    let one = work(1);
    row("work_one", || one);
    if processors > 1 {
        let all = work(processors);
        row("work_all", || all);
        print_row("scaling", one / all);
    }
}

/// Rounds that end after so many, or by the clock if they go from one processor
/// to another. (With one, every run is to be the same.)
struct Rounds {
    most: u32,
    end: Option<Instant>,
}

impl Rounds {
    /// Looks at the clock are this far apart.
    const STEP: u32 = 8;

    fn new(most: u32, here: usize, there: usize) -> Self {
        let end = (here != there).then(|| Instant::now() + LIMIT);
        Self { most, end }
    }

    /// Whether this round, counted from 1, is the last.
    fn ends_with(&self, round: u32) -> bool {
        let is_late = || self.end.is_some_and(|end| Instant::now() >= end);
        round >= self.most || round.is_multiple_of(Self::STEP) && is_late()
    }
}

/// Two threads at two words: each wakes the other and waits. A word has the
/// round, and in its lowest bit whether that is the last.
fn wake(most: u32, here: usize, there: usize) -> u32 {
    let words = [const { AtomicU32::new(0) }; 2];
    let wait_for = |me: usize, round: u32| {
        loop {
            // ORDERING: Release and Acquire pair; the words are all that is
            // shared.
            let seen = words[me].load(Ordering::Acquire);
            if seen >> 1 == round {
                return seen & 1 == 1;
            }
            sys::futex_wait(&words[me], seen);
        }
    };
    let wake = |other: usize, round: u32, is_last: bool| {
        words[other].store(round << 1 | u32::from(is_last), Ordering::Release);
        sys::futex_wake(&words[other]);
    };
    let mut done = 0;
    thread::scope(|scope| {
        scope.spawn(|| {
            sys::bind(there);
            for round in 1.. {
                let is_last = wait_for(1, round);
                wake(0, round, is_last);
                if is_last {
                    break;
                }
            }
        });
        sys::bind(here);
        let rounds = Rounds::new(most, here, there);
        let mut is_last = false;
        while !is_last {
            done += 1;
            is_last = rounds.ends_with(done);
            wake(1, done, is_last);
            wait_for(0, done);
        }
    });
    sys::unbind();
    done
}

/// Two threads on one processor that do nothing but yield: two switches for
/// each round of one of them.
fn switches(rounds: u32) -> u32 {
    let yields = || {
        for _ in 0..rounds {
            sys::sched_yield();
        }
    };
    thread::scope(|scope| {
        scope.spawn(yields);
        yields();
    });
    rounds
}

/// A byte to a thread on another processor and back; it says whether it is the
/// last.
fn pipes(most: u32, there: usize) -> u32 {
    let [there_read, there_write] = sys::pipe();
    let [back_read, back_write] = sys::pipe();
    let mut done = 0;
    thread::scope(|scope| {
        scope.spawn(|| {
            sys::bind(there);
            let mut byte = [0];
            while byte[0] == 0 {
                sys::read(there_read, &mut byte);
                sys::write(back_write, &byte);
            }
        });
        let rounds = Rounds::new(most, 0, there);
        let mut byte = [0];
        while byte[0] == 0 {
            done += 1;
            byte[0] = u8::from(rounds.ends_with(done));
            sys::write(there_write, &byte);
            sys::read(back_read, &mut byte);
        }
    });
    for end in [there_read, there_write, back_read, back_write] {
        sys::close(end);
    }
    done
}

/// Prints what independent work takes beside that of other machines, which all
/// begin when a line comes.
pub(crate) fn beside() {
    say("bench ready\n");
    // Whatever comes, it is the sign to begin.
    let _ = sys::read(0, &mut [0]);
    // The second half is there so that nobody's first half ends alone.
    let times = [(); 2 * TIMES].map(|()| clock::once(steps));
    print_ticks(
        "work_beside",
        times.into_iter().take(TIMES).fold(f64::INFINITY, f64::min),
    );
}

/// Independent work.
fn steps() {
    let mut n = 1_u64;
    for _ in 0..WORK {
        n = black_box(n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
}

/// What independent work takes that each of `threads` does all of.
fn work(threads: usize) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..TIMES {
        let ready = AtomicU32::new(0);
        let start = AtomicU32::new(0);
        thread::scope(|scope| {
            let mut others = Vec::new();
            for processor in 1..threads {
                let (ready, start) = (&ready, &start);
                // Bound: what is measured is the machine with all its
                // processors, and not how soon work finds them.
                others.push(scope.spawn(move || {
                    sys::bind(processor);
                    // ORDERING: both pair with the other side's.
                    ready.fetch_add(1, Ordering::AcqRel);
                    while start.load(Ordering::Acquire) == 0 {
                        core::hint::spin_loop();
                    }
                    steps();
                }));
            }
            sys::bind(0);
            while (ready.load(Ordering::Acquire) as usize) < threads - 1 {
                sys::sched_yield();
            }
            let took = clock::once(|| {
                start.store(1, Ordering::Release);
                steps();
                for other in others {
                    let _ = other.join();
                }
            });
            best = best.min(took);
        });
        sys::unbind();
    }
    best
}

/// Blocks as many threads as there may be at futexes, and prints what of the
/// kernel's memory each takes.
pub(crate) fn blocked() {
    sys::mount(c"proc", c"/proc");
    // As far as the kernel lets anyone raise them.
    sys::write_file("/proc/sys/kernel/pid_max", b"4194304");
    sys::write_file("/proc/sys/kernel/threads-max", b"200000");
    let words: Vec<AtomicU32> = (0..BLOCKED).map(|_| AtomicU32::new(0)).collect();
    let words: &'static [AtomicU32] = words.leak();
    let begun: &'static AtomicU32 = Box::leak(Box::new(AtomicU32::new(0)));
    let before = sys::free_memory();
    let started = sys::counter();
    let mut count = 0;
    for word in words {
        if !sys::block_a_thread(word, begun) {
            break;
        }
        count += 1;
        // The kernel that kills when memory is short must not come to that.
        if count % 512 == 0 && sys::free_memory() < (64 << 20) {
            break;
        }
    }
    while begun.load(Ordering::Acquire) < count {
        sys::sched_yield();
    }
    sys::sleep_ms(200);
    let after = sys::free_memory();
    let took = sys::counter() - started;
    let each = before.saturating_sub(after) as f64 / f64::from(count.max(1));
    print_row("blocked_threads", f64::from(count));
    print_row("blocked_memory", each);
    print_ticks("blocked_time", took as f64 / f64::from(count.max(1)));
}
