//! Signals and kills in every call that waits: no wake-up is lost, nothing
//! hangs, nothing is left behind.

use core::sync::atomic::{AtomicU32, Ordering};

use crate::call;
use crate::errno::Errno;
use crate::report::{check, wait};
use crate::sleeper::{Sleeper, state};
use crate::sys::{self, Ret};

/// Signals before what ends the wait; more come until it has ended.
const SIGNALS: usize = 30;

const FUTEX_WAITV: i64 = libc::SYS_futex_waitv;

/// What the waits wait for: made anew for each, shared with children.
#[derive(Clone, Copy)]
struct World {
    /// Words that children see too: a futex, a mutex that is ours, a condition.
    page: usize,
    /// A pipe that is empty, and one that is full.
    empty: [i32; 2],
    full: [i32; 2],
    event: i32,
    /// A counter that can take no more.
    high: i32,
    /// `SIGUSR2`, to be read.
    signals: i32,
    timer: i32,
    epoll: i32,
    /// Two openings of a file; the first is locked.
    locked: [i32; 2],
    /// A child that waits for ever, with a lock on the file's 9th byte.
    child: i32,
    /// The child's descriptor.
    pidfd: i32,
}

/// A call that waits, and what ends it for good.
struct Case {
    name: &'static str,
    body: fn(&World) -> Ret,
    /// `None` where only a signal ends it.
    end: Option<fn(&World, i32)>,
}

fn poll_fds(world: &World) -> [libc::pollfd; 1] {
    [libc::pollfd {
        fd: world.empty[0],
        events: libc::POLLIN,
        revents: 0,
    }]
}

fn fill_pipe(world: &World, _: i32) {
    let _ = call!(SYS_write, world.empty[1], &[1_u8][..], 1);
}

fn drain_pipe(world: &World, _: i32) {
    let mut block = [0_u8; 65536];
    let _ = call!(SYS_read, world.full[0], &mut block[..], 65536);
}

/// A lock on one byte.
fn range(start: i64) -> libc::flock {
    let mut range: libc::flock = sys::zeroed();
    range.l_type = libc::F_WRLCK as i16;
    (range.l_start, range.l_len) = (start, 1);
    range
}

fn set_and_wake(address: usize) {
    sys::poke(address, 1);
    let _ = call!(SYS_futex, address, libc::FUTEX_WAKE, i32::MAX);
}

/// A mask with `SIGUSR2` alone.
const USR2: u64 = 1 << (libc::SIGUSR2 - 1);

/// A child of a `vfork` may go on, and one is there.
const GO_ON: usize = 132;
const IS_THERE: usize = 133;

/// Waits as the parent of a `vfork` does; the child ends with its parent.
fn await_vfork(world: &World) -> Ret {
    let parent = call!(SYS_getpid);
    match call!(SYS_clone, libc::CLONE_VFORK | libc::SIGCHLD, 0, 0, 0, 0)? {
        0 => {
            sys::poke(world.page + IS_THERE, 1);
            while sys::peek(world.page + GO_ON) == 0 && call!(SYS_getppid) == parent {
                let _ = call!(SYS_sched_yield);
            }
            sys::exit(7)
        }
        child => {
            let mut status = 0_i32;
            while call!(SYS_wait4, child, &mut status, 0, 0) == Err(Errno(libc::EINTR)) {}
            Ok(i64::from(status))
        }
    }
}

const FAR: libc::timespec = libc::timespec {
    tv_sec: 1000,
    tv_nsec: 0,
};

static CASES: [Case; 40] = [
    Case {
        name: "futex",
        body: |world| call!(SYS_futex, world.page, libc::FUTEX_WAIT, 0, 0),
        end: Some(|world, _| set_and_wake(world.page)),
    },
    Case {
        name: "futex with a time",
        body: |world| call!(SYS_futex, world.page, libc::FUTEX_WAIT, 0, &FAR),
        end: Some(|world, _| set_and_wake(world.page)),
    },
    Case {
        name: "futex_waitv",
        body: |world| {
            let list = [
                [0, world.page as u64, 2_u64],
                [0, world.page as u64 + 64, 2],
            ];
            sys::raw(
                FUTEX_WAITV,
                &[list.as_ptr().expose_provenance(), 2, 0, 0, 0],
            )
        },
        end: Some(|world, _| set_and_wake(world.page + 64)),
    },
    Case {
        name: "futex until a time",
        body: |world| {
            let operation = libc::FUTEX_WAIT_BITSET | libc::FUTEX_CLOCK_REALTIME;
            let end = libc::timespec {
                tv_sec: 1 << 40,
                tv_nsec: 0,
            };
            call!(SYS_futex, world.page, operation, 0, &end, 0, u32::MAX)
        },
        end: Some(|world, _| set_and_wake(world.page)),
    },
    Case {
        name: "LOCK_PI2",
        body: |world| call!(SYS_futex, world.page + 4, libc::FUTEX_LOCK_PI2, 0, 0),
        end: Some(|world, _| {
            let _ = call!(SYS_futex, world.page + 4, libc::FUTEX_UNLOCK_PI, 0, 0);
        }),
    },
    Case {
        name: "LOCK_PI",
        body: |world| call!(SYS_futex, world.page + 4, libc::FUTEX_LOCK_PI, 0, 0),
        end: Some(|world, _| {
            let _ = call!(SYS_futex, world.page + 4, libc::FUTEX_UNLOCK_PI, 0, 0);
        }),
    },
    Case {
        name: "WAIT_REQUEUE_PI",
        body: |world| {
            let operation = libc::FUTEX_WAIT_REQUEUE_PI;
            call!(SYS_futex, world.page + 8, operation, 0, 0, world.page + 4)
        },
        end: Some(|world, _| {
            let operation = libc::FUTEX_CMP_REQUEUE_PI;
            let _ = call!(
                SYS_futex,
                world.page + 8,
                operation,
                1,
                9,
                world.page + 4,
                0
            );
            sys::poke(world.page + 8, 1);
            let _ = call!(
                SYS_futex,
                world.page + 8,
                operation,
                1,
                9,
                world.page + 4,
                1
            );
            let _ = call!(SYS_futex, world.page + 4, libc::FUTEX_UNLOCK_PI, 0, 0);
        }),
    },
    Case {
        name: "read of a pipe",
        body: |world| call!(SYS_read, world.empty[0], &mut [0_u8; 1][..], 1),
        end: Some(fill_pipe),
    },
    Case {
        name: "readv of a pipe",
        body: |world| {
            let mut byte = [0_u8; 1];
            let vector = [byte.as_mut_ptr().expose_provenance(), 1];
            call!(SYS_readv, world.empty[0], &vector, 1)
        },
        end: Some(fill_pipe),
    },
    Case {
        name: "write to a pipe",
        body: |world| call!(SYS_write, world.full[1], &[1_u8; 4096][..], 4096),
        end: Some(drain_pipe),
    },
    Case {
        name: "writev to a pipe",
        body: |world| {
            let bytes = [1_u8; 4096];
            let vector = [bytes.as_ptr().expose_provenance(), 4096];
            call!(SYS_writev, world.full[1], &vector, 1)
        },
        end: Some(drain_pipe),
    },
    Case {
        name: "sendfile to a pipe",
        body: |world| {
            call!(
                SYS_sendfile,
                world.full[1],
                world.locked[0],
                &mut 0_i64,
                4096
            )
        },
        end: Some(drain_pipe),
    },
    Case {
        name: "write to an event counter",
        body: |world| call!(SYS_write, world.high, &1_u64, 8),
        end: Some(|world, _| {
            let _ = call!(SYS_read, world.high, &mut [0_u8; 8][..], 8);
        }),
    },
    Case {
        name: "read of signals",
        body: |world| {
            let _ = call!(SYS_rt_sigprocmask, libc::SIG_BLOCK, &USR2, 0, 8);
            call!(SYS_read, world.signals, &mut [0_u8; 128][..], 128)
        },
        end: Some(|_, _| {
            // Nobody may take it but the file's reader.
            let _ = call!(SYS_rt_sigprocmask, libc::SIG_BLOCK, &USR2, 0, 8);
            let _ = call!(SYS_kill, call!(SYS_getpid).unwrap_or(0), libc::SIGUSR2);
        }),
    },
    Case {
        name: "read of an event counter",
        body: |world| call!(SYS_read, world.event, &mut [0_u8; 8][..], 8),
        end: Some(|world, _| {
            let _ = call!(SYS_write, world.event, &1_u64, 8);
        }),
    },
    Case {
        name: "read of a timer",
        body: |world| call!(SYS_read, world.timer, &mut [0_u8; 8][..], 8),
        end: Some(|world, _| {
            let mut soon: libc::itimerspec = sys::zeroed();
            soon.it_value.tv_nsec = 1;
            let _ = call!(SYS_timerfd_settime, world.timer, 0, &soon, 0);
        }),
    },
    Case {
        name: "poll",
        body: |world| call!(SYS_poll, &mut poll_fds(world)[..], 1, -1),
        end: Some(fill_pipe),
    },
    Case {
        name: "poll with a time",
        body: |world| call!(SYS_poll, &mut poll_fds(world)[..], 1, 1_000_000),
        end: Some(fill_pipe),
    },
    Case {
        name: "ppoll",
        body: |world| call!(SYS_ppoll, &mut poll_fds(world)[..], 1, 0, &USR2, 8),
        end: Some(fill_pipe),
    },
    Case {
        name: "select",
        body: |world| {
            let mut set = [0_u64; 16];
            set[0] = 1 << world.empty[0];
            call!(SYS_select, world.empty[0] + 1, &mut set, 0, 0, 0)
        },
        end: Some(fill_pipe),
    },
    Case {
        name: "epoll_wait",
        body: |world| call!(SYS_epoll_wait, world.epoll, &mut [0_u8; 12][..], 1, -1),
        end: Some(fill_pipe),
    },
    Case {
        name: "pselect6",
        body: |world| {
            let mut set = [0_u64; 16];
            set[0] = 1 << world.empty[0];
            call!(SYS_pselect6, world.empty[0] + 1, &mut set, 0, 0, &FAR, 0)
        },
        end: Some(fill_pipe),
    },
    Case {
        name: "epoll_pwait",
        body: |world| {
            let mut event = [0_u8; 12];
            call!(
                SYS_epoll_pwait,
                world.epoll,
                &mut event[..],
                1,
                -1,
                &USR2,
                8
            )
        },
        end: Some(fill_pipe),
    },
    Case {
        name: "epoll_pwait2",
        body: |world| {
            let mut event = [0_u8; 12];
            call!(SYS_epoll_pwait2, world.epoll, &mut event[..], 1, &FAR, 0, 8)
        },
        end: Some(fill_pipe),
    },
    Case {
        name: "flock",
        body: |world| call!(SYS_flock, world.locked[1], libc::LOCK_EX),
        end: Some(|world, _| {
            let _ = call!(SYS_flock, world.locked[0], libc::LOCK_UN);
        }),
    },
    Case {
        name: "F_SETLKW",
        body: |world| call!(SYS_fcntl, world.locked[0], libc::F_SETLKW, &range(8)),
        end: Some(|world, _| {
            let _ = call!(SYS_kill, world.child, libc::SIGKILL);
        }),
    },
    Case {
        name: "F_OFD_SETLKW",
        body: |world| call!(SYS_fcntl, world.locked[1], libc::F_OFD_SETLKW, &range(4)),
        end: Some(|world, _| {
            let none = libc::flock {
                l_type: libc::F_UNLCK as i16,
                ..range(4)
            };
            let _ = call!(SYS_fcntl, world.locked[0], libc::F_OFD_SETLK, &none);
        }),
    },
    Case {
        name: "writing open of a FIFO",
        body: |_| call!(SYS_open, c"fifo", libc::O_WRONLY),
        end: Some(|_, _| {
            let _ = call!(SYS_open, c"fifo", libc::O_RDWR);
        }),
    },
    Case {
        name: "open of a FIFO",
        body: |_| call!(SYS_open, c"fifo", libc::O_RDONLY),
        end: Some(|_, _| {
            let _ = call!(SYS_open, c"fifo", libc::O_RDWR);
        }),
    },
    Case {
        name: "wait4",
        body: |world| call!(SYS_wait4, world.child, 0, 0, 0),
        end: Some(|world, _| {
            let _ = call!(SYS_kill, world.child, libc::SIGKILL);
        }),
    },
    Case {
        name: "waitid",
        body: |world| call!(SYS_waitid, libc::P_PID, world.child, 0, libc::WEXITED, 0),
        end: Some(|world, _| {
            let _ = call!(SYS_kill, world.child, libc::SIGKILL);
        }),
    },
    Case {
        name: "waitid of a descriptor",
        body: |world| call!(SYS_waitid, libc::P_PIDFD, world.pidfd, 0, libc::WEXITED, 0),
        end: Some(|world, _| {
            let _ = call!(SYS_kill, world.child, libc::SIGKILL);
        }),
    },
    Case {
        name: "poll of a process",
        body: |world| {
            let mut fds = [libc::pollfd {
                fd: world.pidfd,
                ..poll_fds(world)[0]
            }];
            call!(SYS_poll, &mut fds[..], 1, -1)
        },
        end: Some(|world, _| {
            let _ = call!(SYS_kill, world.child, libc::SIGKILL);
        }),
    },
    Case {
        name: "vfork",
        body: await_vfork,
        end: Some(|world, _| sys::poke(world.page + GO_ON, 1)),
    },
    Case {
        name: "rt_sigtimedwait",
        body: |_| {
            let _ = call!(SYS_rt_sigprocmask, libc::SIG_BLOCK, &USR2, 0, 8);
            call!(SYS_rt_sigtimedwait, &USR2, 0, &FAR, 8)
        },
        end: Some(|_, tid| {
            let me = call!(SYS_getpid).unwrap_or(0);
            let _ = call!(SYS_tgkill, me, tid, libc::SIGUSR2);
        }),
    },
    Case {
        name: "nanosleep",
        body: |_| call!(SYS_nanosleep, &FAR, 0),
        end: None,
    },
    Case {
        name: "clock_nanosleep",
        body: |_| call!(SYS_clock_nanosleep, libc::CLOCK_MONOTONIC, 0, &FAR, 0),
        end: None,
    },
    Case {
        name: "clock_nanosleep until a time",
        body: |_| {
            let end = libc::timespec {
                tv_sec: 1 << 40,
                tv_nsec: 0,
            };
            let clock = libc::CLOCK_REALTIME;
            call!(SYS_clock_nanosleep, clock, libc::TIMER_ABSTIME, &end, 0)
        },
        end: None,
    },
    Case {
        name: "pause",
        body: |_| call!(SYS_pause),
        end: None,
    },
    Case {
        name: "rt_sigsuspend",
        body: |_| call!(SYS_rt_sigsuspend, &USR2, 8),
        end: None,
    },
];

impl World {
    fn new() -> World {
        let mut world = World {
            page: 0,
            empty: [-1; 2],
            full: [-1; 2],
            event: call!(SYS_eventfd2, 0, 0).unwrap_or(-1) as i32,
            high: call!(SYS_eventfd2, 0, 0).unwrap_or(-1) as i32,
            signals: call!(SYS_signalfd4, -1, &USR2, 8, 0).unwrap_or(-1) as i32,
            timer: call!(SYS_timerfd_create, libc::CLOCK_MONOTONIC, 0).unwrap_or(-1) as i32,
            epoll: call!(SYS_epoll_create1, 0).unwrap_or(-1) as i32,
            locked: [0; 2].map(|_: i32| {
                let flags = libc::O_CREAT | libc::O_RDWR;
                call!(SYS_open, c"locked", flags, 0o600).unwrap_or(-1) as i32
            }),
            child: -1,
            pidfd: -1,
        };
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
        world.page = call!(SYS_mmap, 0, 4096, prot, flags, -1, 0).unwrap_or(0) as usize;
        world.child = sys::fork(|| {
            let _ = call!(SYS_fcntl, world.locked[0], libc::F_SETLK, &range(8));
            sys::poke(world.page + 129, 1);
            call!(SYS_pause).unwrap_or(0) as i32
        });
        world.pidfd = call!(SYS_pidfd_open, world.child, 0).unwrap_or(-1) as i32;
        while sys::peek(world.page + 129) == 0 {
            std::thread::yield_now();
        }
        // One who was killed before may be about to give it up.
        let _ = call!(SYS_fcntl, world.locked[0], libc::F_OFD_SETLKW, &range(4));
        let _ = call!(SYS_write, world.locked[0], &[7_u8; 4096][..], 4096);
        let _ = call!(SYS_write, world.high, &(u64::MAX - 1), 8);
        let _ = call!(SYS_futex, world.page + 4, libc::FUTEX_LOCK_PI, 0, 0);
        let _ = call!(SYS_pipe2, &mut world.empty, 0);
        let _ = call!(SYS_pipe2, &mut world.full, 0);
        let _ = call!(SYS_write, world.full[1], &[1_u8; 65536][..], 65536);
        let event = libc::epoll_event {
            events: libc::EPOLLIN as u32,
            u64: 0,
        };
        let _ = call!(
            SYS_epoll_ctl,
            world.epoll,
            libc::EPOLL_CTL_ADD,
            world.empty[0],
            &event
        );
        let _ = call!(SYS_flock, world.locked[0], libc::LOCK_EX);
        let _ = call!(SYS_mknod, c"fifo", libc::S_IFIFO | 0o600, 0);
        world
    }

    /// Gives everything back.
    fn end(self) {
        let _ = call!(SYS_kill, self.child, libc::SIGKILL);
        let _ = call!(SYS_wait4, self.child, 0, 0, 0);
        let _ = call!(SYS_munmap, self.page, 4096);
        let _ = call!(SYS_close_range, 3, 63, 0);
        let _ = call!(SYS_unlink, c"fifo");
    }
}

static TAKEN: AtomicU32 = AtomicU32::new(0);

extern "C" fn take(_: i32, _: &libc::siginfo_t, _: usize) {
    TAKEN.fetch_add(1, Ordering::SeqCst);
}

/// Signals to a thread in each call; with handlers that end calls and such
/// that restart them.
pub(crate) fn signals() {
    for (kind, flags) in [("EINTR", 0), ("SA_RESTART", libc::SA_RESTART)] {
        sys::on_signal(libc::SIGUSR1, flags, take);
        for case in &CASES {
            if let Some(end) = case.end {
                check(&format!("{}, {kind}", case.name), storm(case, end));
            }
        }
    }
}

fn storm(case: &'static Case, end: fn(&World, i32)) -> &'static str {
    let world = World::new();
    let sleeper = Sleeper::start(move || {
        loop {
            match (case.body)(&world) {
                Err(Errno(libc::EINTR)) => {}
                answer => return answer,
            }
        }
    });
    sleeper.until_waiting();
    let me = call!(SYS_getpid).unwrap_or(0);
    for _ in 0..SIGNALS {
        let _ = call!(SYS_tgkill, me, sleeper.tid, libc::SIGUSR1);
        std::thread::yield_now();
    }
    end(&world, sleeper.tid);
    while !sleeper.has_ended() {
        let _ = call!(SYS_tgkill, me, sleeper.tid, libc::SIGUSR1);
        std::thread::yield_now();
    }
    let answer = sleeper.answer();
    world.end();
    match answer {
        Ok(_) | Err(Errno(libc::EAGAIN)) => "ended",
        Err(error) => error.name(),
    }
}

/// A process that is killed in each call, as its only thread and as another.
pub(crate) fn kills() {
    for case in &CASES {
        check(case.name, (kill(case, false), kill(case, true)));
    }
}

fn kill(case: &'static Case, in_thread: bool) -> String {
    let world = World::new();
    let pid = sys::fork(move || {
        let parent = call!(SYS_getpid);
        let child = sys::fork(|| {
            // It must not outlive the one that is killed, nor hold its locks.
            let _ = call!(SYS_close_range, 3, 63, 0);
            let _ = call!(SYS_prctl, libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
            while call!(SYS_getppid) == parent {
                let _ = call!(SYS_pause);
            }
            0
        });
        let pidfd = call!(SYS_pidfd_open, child, 0).unwrap_or(-1) as i32;
        let world = World {
            child,
            pidfd,
            ..world
        };
        if in_thread {
            let sleeper = Sleeper::start(move || (case.body)(&world));
            sleeper.until_waiting();
            sys::poke(world.page + 128, 1);
            let _ = call!(SYS_pause);
        } else {
            sys::poke(world.page + 128, 1);
            let _ = (case.body)(&world);
        }
        77
    });
    while sys::peek(world.page + 128) == 0 || state_of(pid) == Some('R') {
        std::thread::yield_now();
    }
    let _ = call!(SYS_kill, pid, libc::SIGKILL);
    let answer = wait(pid);
    world.end();
    answer
}

/// The state of a process's first thread as `/proc` has it.
pub(crate) fn state_of(pid: i32) -> Option<char> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    rest.trim_start().chars().next()
}

/// Storms and kills again and again, for `bad_input`: what they took is there
/// again afterwards. (Where other programs run, memory comes and goes.)
pub(crate) fn role() -> i32 {
    let me = call!(SYS_getpid).unwrap_or(0) as i32;
    check("runs", state(me).is_some());
    let mut free = Vec::new();
    let mut alive = Vec::new();
    for _ in 0..4 {
        sys::on_signal(libc::SIGUSR1, 0, take);
        for case in &CASES {
            if let Some(end) = case.end {
                let _ = storm(case, end);
            }
            let _ = kill(case, false);
            let _ = kill(case, true);
        }
        forks();
        super::thread_ends::each_once();
        let objects = objects_at_rest(alive.first());
        alive.push(objects);
        drop_caches();
        free.push(free_kib());
    }
    check("objects were counted", alive[0].contains("threads "));
    alive.dedup();
    if alive.len() > 1 {
        check("  objects after each round", format!("{alive:?}"));
    }
    check("no object is left", alive.len() == 1);
    // The same objects are spread over a few pages more or less.
    let lost = free[0].saturating_sub(free[3]);
    let is_back = lost <= 32;
    check("memory is back", is_back);
    if !is_back {
        check("  KiB free after each round", format!("{free:?}"));
    }
    0
}

/// Forks in a thread that signals come to all the time: some are begun again.
fn forks() {
    let sleeper = Sleeper::start(|| {
        for _ in 0..100 {
            let _ = wait(sys::fork(|| 0));
        }
        Ok(0)
    });
    let me = call!(SYS_getpid).unwrap_or(0);
    while !sleeper.has_ended() {
        let _ = call!(SYS_tgkill, me, sleeper.tid, libc::SIGUSR1);
        std::thread::yield_now();
    }
    let _ = sleeper.answer();
}

/// The kernel's count of what is alive once what has ended is gone: that may
/// still be on its way out on another processor. A later count waits for the
/// `first` one to come back.
pub(crate) fn objects_at_rest(first: Option<&String>) -> String {
    let mut objects = objects();
    for _ in 0..1000 {
        // Whoever is left here has one thread.
        let is_at_rest = counted(&objects, "threads") == counted(&objects, "processes");
        if is_at_rest && first.is_none_or(|first| *first == objects) {
            break;
        }
        std::thread::sleep(core::time::Duration::from_millis(2));
        objects = self::objects();
    }
    objects
}

/// How many there are of one `kind` of object.
fn counted(objects: &str, kind: &str) -> Option<u64> {
    let mut lines = objects.lines().filter_map(|line| line.split_once(' '));
    let (_, count) = lines.find(|(name, _)| *name == kind)?;
    count.parse().ok()
}

/// The kernel's own count of what is alive.
pub(crate) fn objects() -> String {
    std::fs::read_to_string("/proc/ochre/objects").unwrap_or_default()
}

/// Has every processor give back what it keeps for reuse, and forget whose
/// address space it ran last.
pub(crate) fn drop_caches() {
    let mut all = [0_u64; 16];
    let _ = call!(SYS_sched_getaffinity, 0, 128, &mut all);
    for processor in 0..1024 {
        let mut one = [0_u64; 16];
        one[processor / 64] = all[processor / 64] & 1 << (processor % 64);
        if one != [0; 16] {
            let _ = call!(SYS_sched_setaffinity, 0, 128, &one);
            let _ = std::fs::write("/proc/sys/vm/drop_caches", "2");
        }
    }
    let _ = call!(SYS_sched_setaffinity, 0, 128, &all);
}

pub(crate) fn free_kib() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("MemFree:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .unwrap_or(0)
}
