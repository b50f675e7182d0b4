//! Who runs before whom: real-time policies on one processor, and on another.
//!
//! Nothing is measured. What happens first follows from priorities, and what
//! would never end without a preemption does not end without one.

use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use std::thread::JoinHandle;

use crate::call;
use crate::report::{check, check_child};
use crate::sleeper::{at, state};

const OTHER: i32 = libc::SCHED_OTHER;
const FIFO: i32 = libc::SCHED_FIFO;
const RR: i32 = libc::SCHED_RR;

/// The priority of the thread that directs.
const DIRECTOR: i32 = 50;

/// Times that the same thing is tried.
const ROUNDS: u32 = 20;

/// Words that threads tell each other something with.
struct Stage {
    /// What one waits at.
    word: AtomicU32,
    /// Whose turn it is, or that somebody may stop.
    turn: AtomicU32,
    /// What happened, a digit each.
    events: AtomicU32,
}

impl Stage {
    fn new() -> &'static Stage {
        Box::leak(Box::new(Stage {
            word: AtomicU32::new(0),
            turn: AtomicU32::new(0),
            events: AtomicU32::new(0),
        }))
    }

    fn add(&self, event: u32) {
        let before = self.events.load(Ordering::SeqCst);
        self.events.store(10 * before + event, Ordering::SeqCst);
    }

    fn events(&self) -> u32 {
        self.events.load(Ordering::SeqCst)
    }

    fn wait(&self) {
        while self.word.load(Ordering::SeqCst) == 0 {
            let _ = call!(SYS_futex, at(&self.word), libc::FUTEX_WAIT, 0, 0);
        }
    }

    fn wake(&self) {
        self.word.store(1, Ordering::SeqCst);
        let _ = call!(SYS_futex, at(&self.word), libc::FUTEX_WAKE, 1);
    }

    fn spin_until(&self, turn: u32) {
        while self.turn.load(Ordering::SeqCst) != turn {
            core::hint::spin_loop();
        }
    }
}

/// Processors that this process may use, a bit each.
fn allowed() -> [u64; 16] {
    let mut mask = [0; 16];
    let _ = call!(SYS_sched_getaffinity, 0, 128, &mut mask);
    mask
}

fn bind(processor: usize) {
    let mut mask = [0_u64; 16];
    mask[processor / 64] = 1 << (processor % 64);
    let _ = call!(SYS_sched_setaffinity, 0, 128, &mask);
}

fn first_and_last() -> (usize, usize) {
    let mask = allowed();
    let is_in = |n: &usize| mask[n / 64] & 1 << (n % 64) != 0;
    let first = (0..1024).find(is_in).unwrap_or(0);
    (first, (0..1024).rfind(is_in).unwrap_or(first))
}

fn become_of(policy: i32, priority: i32) {
    let _ = call!(SYS_sched_setscheduler, 0, policy, &priority);
}

/// A thread of a policy, which begins with it.
struct Actor {
    thread: JoinHandle<()>,
    tid: i32,
}

fn start(policy: i32, priority: i32, body: impl FnOnce() + Send + 'static) -> Actor {
    let (tell, told) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let _ = tell.send(call!(SYS_gettid).unwrap_or(0) as i32);
        become_of(policy, priority);
        body();
    });
    let tid = told.recv().unwrap_or(0);
    Actor { thread, tid }
}

impl Actor {
    /// Lets others run until this one sleeps.
    fn until_asleep(&self) {
        loop {
            std::thread::sleep(Duration::from_millis(1));
            if state(self.tid) == Some('S') || self.thread.is_finished() {
                return;
            }
        }
    }

    fn join(self) {
        let _ = self.thread.join();
    }
}

/// The cases.
pub(crate) fn run() {
    check_child("real time", || {
        let (first, last) = first_and_last();
        bind(first);
        become_of(FIFO, DIRECTOR);
        wake_ups();
        alarms();
        turns();
        changes();
        elsewhere(first, last);
        0
    });
}

/// One of a policy wakes one of another: who goes on first, 1 or 2?
fn wake_ups() {
    for (name, waker, woken) in [
        ("OTHER wakes FIFO", (OTHER, 0), (FIFO, 1)),
        ("OTHER wakes RR", (OTHER, 0), (RR, 1)),
        ("FIFO wakes a higher one", (FIFO, 10), (FIFO, 11)),
        ("FIFO wakes an equal one", (FIFO, 10), (FIFO, 10)),
        ("FIFO wakes a lower one", (FIFO, 10), (FIFO, 9)),
        ("RR wakes FIFO of the same", (RR, 10), (FIFO, 10)),
        ("FIFO wakes RR, higher", (FIFO, 10), (RR, 11)),
        ("FIFO wakes OTHER", (FIFO, 1), (OTHER, 0)),
    ] {
        let mut seen = Vec::new();
        for _ in 0..ROUNDS {
            let stage = Stage::new();
            let sleeper = start(woken.0, woken.1, || {
                stage.wait();
                stage.add(2);
            });
            sleeper.until_asleep();
            let waker = start(waker.0, waker.1, || {
                stage.wake();
                stage.add(1);
            });
            waker.join();
            sleeper.join();
            seen.push(stage.events());
        }
        seen.sort_unstable();
        seen.dedup();
        check(name, format!("{seen:?}"));
    }
}

/// One that sleeps ends a more lowly one's loop.
fn alarms() {
    for (name, spinner, sleeper) in [
        (
            "a sleeper of FIFO 20, a loop of FIFO 10",
            (FIFO, 10),
            (FIFO, 20),
        ),
        (
            "a sleeper of RR 20, a loop of FIFO 10",
            (FIFO, 10),
            (RR, 20),
        ),
        (
            "a sleeper of FIFO 1, a loop of OTHER",
            (OTHER, 0),
            (FIFO, 1),
        ),
    ] {
        for _ in 0..5 {
            let stage = Stage::new();
            let sleeper = start(sleeper.0, sleeper.1, || {
                stage.spin_until(0);
                std::thread::sleep(Duration::from_millis(3));
                stage.turn.store(1, Ordering::SeqCst);
            });
            sleeper.until_asleep();
            start(spinner.0, spinner.1, || stage.spin_until(1)).join();
            sleeper.join();
        }
        check(name, "ends");
    }
}

/// Equals: RR takes turns, FIFO does not, unless it says so.
fn turns() {
    let stage = Stage::new();
    let player = |own: u32, next: u32| {
        move || {
            for _ in 0..3 {
                stage.spin_until(own);
                stage.add(own + 1);
                stage.turn.store(next, Ordering::SeqCst);
            }
        }
    };
    let players = [start(RR, 10, player(0, 1)), start(RR, 10, player(1, 0))];
    players.into_iter().for_each(Actor::join);
    check("RR takes turns", stage.events());
    for (name, policy, yields) in [
        ("FIFO does not", FIFO, false),
        ("FIFO that yields", FIFO, true),
    ] {
        let stage = Stage::new();
        let player = |own: u32| {
            move || {
                stage.wait();
                for _ in 0..3 {
                    stage.add(own);
                    for n in 0..300_000 {
                        core::hint::black_box(n);
                    }
                    if yields {
                        let _ = call!(SYS_sched_yield);
                    }
                }
            }
        };
        let players = [start(policy, 10, player(1)), start(policy, 10, player(2))];
        players.iter().for_each(Actor::until_asleep);
        stage.word.store(1, Ordering::SeqCst);
        let _ = call!(SYS_futex, at(&stage.word), libc::FUTEX_WAKE, 2);
        players.into_iter().for_each(Actor::join);
        check(name, stage.events());
    }
}

/// Priorities that change while somebody waits to run.
fn changes() {
    let stage = Stage::new();
    let other = start(FIFO, 10, || {
        stage.wait();
        stage.add(2);
    });
    other.until_asleep();
    let one = start(FIFO, 20, || {
        stage.wake();
        stage.add(1);
        become_of(FIFO, 5);
        stage.add(3);
    });
    one.join();
    other.join();
    check("one that lowers itself", stage.events());
    let stage = Stage::new();
    let other = start(FIFO, 10, || {
        stage.wait();
        stage.add(2);
    });
    other.until_asleep();
    let tid = other.tid;
    let one = start(FIFO, 20, move || {
        stage.wake();
        stage.add(1);
        let _ = call!(SYS_sched_setscheduler, tid, FIFO, &30_i32);
        stage.add(3);
    });
    one.join();
    other.join();
    check("one that raises another", stage.events());
    let stage = Stage::new();
    let other = start(OTHER, 0, || {
        stage.wait();
        stage.add(2);
    });
    other.until_asleep();
    let one = start(FIFO, 20, || {
        stage.wake();
        stage.add(1);
        std::thread::sleep(Duration::from_millis(3));
        stage.add(3);
    });
    one.join();
    other.join();
    check("one that sleeps", stage.events());
}

/// Real-time work without a wait, up to its limit and beyond.
pub(crate) fn limits() {
    static WARNED: AtomicU32 = AtomicU32::new(0);
    extern "C" fn warn(_: i32, info: &libc::siginfo_t, _: usize) {
        WARNED.fetch_add(1, Ordering::SeqCst);
        let mut limit: libc::rlimit = crate::sys::zeroed();
        let _ = call!(SYS_getrlimit, libc::RLIMIT_RTTIME, &mut limit);
        check("  warned, the limit is now", limit.rlim_cur as i64);
        check("  by the kernel", info.si_code == libc::SI_KERNEL);
    }
    let limit = |soft: u64, hard: u64| {
        let limit = libc::rlimit {
            rlim_cur: soft,
            rlim_max: hard,
        };
        call!(SYS_setrlimit, libc::RLIMIT_RTTIME, &limit)
    };
    let spin = || loop {
        core::hint::spin_loop();
    };
    let prepare = || {
        crate::sys::on_signal(libc::SIGXCPU, 0, warn);
        bind(first_and_last().1);
    };
    for policy in [FIFO, RR] {
        check_child("warned, then killed", || {
            prepare();
            check("  limit", limit(100_000, 300_000));
            become_of(policy, 10);
            spin()
        });
    }
    check_child("a limit that comes later", || {
        prepare();
        become_of(FIFO, 10);
        check("  limit", limit(100_000, 300_000));
        spin()
    });
    check_child("a child has it too", || {
        prepare();
        check("  limit", limit(100_000, 300_000));
        become_of(FIFO, 10);
        let child = crate::sys::fork(spin);
        check("  child", crate::report::wait(child));
        0
    });
    check_child("a thread, while the first one waits", || {
        prepare();
        check("  limit", limit(100_000, 300_000));
        let _ = std::thread::spawn(move || {
            become_of(FIFO, 10);
            spin()
        })
        .join();
        0
    });
    check_child("without the default's end", || {
        crate::sys::set_disposition(libc::SIGXCPU, libc::SIG_DFL);
        check("  limit", limit(50_000, 30_000_000));
        become_of(FIFO, 10);
        spin()
    });
    check_child("one that waits now and then", || {
        prepare();
        check("  limit", limit(400_000, 500_000));
        become_of(FIFO, 10);
        for _ in 0..70 {
            let start = std::time::Instant::now();
            while start.elapsed() < Duration::from_millis(10) {}
            std::thread::sleep(Duration::from_micros(100));
        }
        check("  warned", WARNED.load(Ordering::SeqCst));
        0
    });
    check_child("one that is not of real time", || {
        prepare();
        check("  limit", limit(1000, 2000));
        let start = std::time::Instant::now();
        while start.elapsed() < Duration::from_millis(50) {}
        check("  warned", WARNED.load(Ordering::SeqCst));
        0
    });
}

/// Timers of processor time that a thread on another processor works off.
pub(crate) fn clocks() {
    static RUNG: AtomicU32 = AtomicU32::new(0);
    extern "C" fn ring(_: i32, _: &libc::siginfo_t, _: usize) {
        RUNG.store(1, Ordering::SeqCst);
    }
    crate::sys::on_signal(libc::SIGPROF, 0, ring);
    crate::sys::on_signal(libc::SIGXCPU, 0, ring);
    let (first, last) = first_and_last();
    bind(first);
    for (name, arm) in [
        (
            "ITIMER_PROF",
            (|| {
                let mut soon: libc::itimerval = crate::sys::zeroed();
                soon.it_value.tv_usec = 30_000;
                let _ = call!(SYS_setitimer, libc::ITIMER_PROF, &soon, 0);
            }) as fn(),
        ),
        ("RLIMIT_CPU", || {
            let limit = libc::rlimit {
                rlim_cur: 1,
                rlim_max: 30,
            };
            let _ = call!(SYS_setrlimit, libc::RLIMIT_CPU, &limit);
        }),
    ] {
        RUNG.store(0, Ordering::SeqCst);
        let spinner = std::thread::spawn(move || {
            bind(last);
            while RUNG.load(Ordering::SeqCst) == 0 {
                core::hint::spin_loop();
            }
        });
        arm();
        check(name, spinner.join().is_ok());
    }
}

/// The same from another processor, where there is one.
fn elsewhere(first: usize, last: usize) {
    for (name, lower, higher) in [
        ("woken elsewhere: FIFO over FIFO", (FIFO, 10), (FIFO, 11)),
        ("woken elsewhere: FIFO over RR", (RR, 10), (FIFO, 11)),
        ("woken elsewhere: RR over OTHER", (OTHER, 0), (RR, 1)),
    ] {
        for _ in 0..ROUNDS {
            let stage = Stage::new();
            bind(last);
            let woken = start(higher.0, higher.1, || {
                stage.wait();
                stage.turn.store(1, Ordering::SeqCst);
            });
            woken.until_asleep();
            let spinner = start(lower.0, lower.1, || {
                stage.events.store(1, Ordering::SeqCst);
                stage.spin_until(1);
            });
            bind(first);
            while stage.events() == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
            stage.wake();
            spinner.join();
            woken.join();
        }
        check(name, "ends");
    }
}
