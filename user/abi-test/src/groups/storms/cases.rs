//! The calls that wait, with what ends each for good.

use super::world::{USR2, World, range};
use crate::call;
use crate::errno::Errno;
use crate::sys::{self, Ret};

const FUTEX_WAITV: i64 = libc::SYS_futex_waitv;

/// `futex_wait`, for which C has no name yet.
const FUTEX_WAIT: i64 = 455;

/// A call that waits, and what ends it for good.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) body: fn(&World) -> Ret,
    /// `None` where only a signal ends it.
    pub(super) end: Option<fn(&World, i32)>,
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

fn set_and_wake(address: usize) {
    sys::poke(address, 1);
    let _ = call!(SYS_futex, address, libc::FUTEX_WAKE, i32::MAX);
}

/// A child of a `vfork` may go on, or who calls again and again is told to stop.
const GO_ON: usize = 132;
/// One is there.
pub(super) const IS_THERE: usize = 133;

/// Waits as the parent of a `vfork` does; the child ends with its parent.
fn await_vfork(world: &World, clone: impl Fn() -> Ret) -> Ret {
    let parent = call!(SYS_getpid);
    match clone()? {
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

/// A thousand years, at which nobody arrives.
const NEVER: libc::timespec = libc::timespec {
    tv_sec: 1 << 40,
    tv_nsec: 0,
};

/// Calls that wait until something happens.
pub(super) static CASES: [Case; 46] = [
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
            call!(SYS_futex, world.page, operation, 0, &NEVER, 0, u32::MAX)
        },
        end: Some(|world, _| set_and_wake(world.page)),
    },
    Case {
        name: "futex_wait",
        body: |world| sys::raw(FUTEX_WAIT, &[world.page, 0, u32::MAX as usize, 2, 0, 0]),
        end: Some(|world, _| set_and_wake(world.page)),
    },
    Case {
        name: "futex_wait until a time",
        body: |world| {
            let end = core::ptr::from_ref(&NEVER).expose_provenance();
            sys::raw(FUTEX_WAIT, &[world.page, 0, 1, 2, end, 0])
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
        name: "preadv2 of a pipe",
        body: |world| {
            let mut byte = [0_u8; 1];
            let vector = [byte.as_mut_ptr().expose_provenance(), 1];
            call!(SYS_preadv2, world.empty[0], &vector, 1, -1, -1, 0)
        },
        end: Some(fill_pipe),
    },
    Case {
        name: "pwritev2 to a pipe",
        body: |world| {
            let bytes = [1_u8; 4096];
            let vector = [bytes.as_ptr().expose_provenance(), 4096];
            call!(SYS_pwritev2, world.full[1], &vector, 1, -1, -1, 0)
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
        body: |world| {
            let flags = libc::CLONE_VFORK | libc::SIGCHLD;
            await_vfork(world, || call!(SYS_clone, flags, 0, 0, 0, 0))
        },
        end: Some(|world, _| sys::poke(world.page + GO_ON, 1)),
    },
    Case {
        name: "vfork by clone3",
        body: |world| {
            await_vfork(world, || {
                // Flags, and the signal for the parent.
                let flags = libc::CLONE_VFORK as u64;
                let arguments = [flags, 0, 0, 0, libc::SIGCHLD as u64, 0, 0, 0];
                call!(SYS_clone3, &arguments, 64)
            })
        },
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
            let clock = libc::CLOCK_REALTIME;
            call!(SYS_clock_nanosleep, clock, libc::TIMER_ABSTIME, &NEVER, 0)
        },
        end: None,
    },
    Case {
        name: "clock_nanosleep until time is used",
        body: |world| {
            let clock = libc::CLOCK_PROCESS_CPUTIME_ID;
            let flags = libc::TIMER_ABSTIME;
            call!(SYS_clock_nanosleep, clock, flags, &world.used, 0)
        },
        // Who sends the signals uses it.
        end: Some(|_, _| {}),
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

/// Calls again and again until told to stop.
fn again(world: &World, call: impl Fn() -> Ret) -> Ret {
    sys::poke(world.page + IS_THERE, 1);
    while sys::peek(world.page + GO_ON) == 0 {
        match call() {
            Ok(_) | Err(Errno(libc::EINTR)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(0)
}

fn tell_to_stop(world: &World, _: i32) {
    sys::poke(world.page + GO_ON, 1);
}

/// Bytes that a call handles which gives way to others meanwhile.
const MUCH: usize = 4 << 20;

/// So much memory, which goes again: a storm's body runs in the process that
/// counts what is left.
struct Much(usize);

impl Much {
    fn new() -> Result<Much, Errno> {
        let at = call!(SYS_mmap, 0, MUCH, sys::RW, sys::ANON, -1, 0)?;
        Ok(Much(at as usize))
    }
}

impl Drop for Much {
    fn drop(&mut self) {
        let _ = call!(SYS_munmap, self.0, MUCH);
    }
}

/// Calls that come back by themselves, but may wait or give way in between.
pub(super) static BUSY: [Case; 7] = [
    Case {
        name: "membarrier of all",
        body: |world| {
            again(world, || {
                let command = libc::MEMBARRIER_CMD_GLOBAL;
                call!(SYS_membarrier, command, 0, 0)
            })
        },
        end: Some(tell_to_stop),
    },
    Case {
        name: "membarrier of all, at once",
        body: |world| {
            again(world, || {
                let command = libc::MEMBARRIER_CMD_GLOBAL_EXPEDITED;
                call!(SYS_membarrier, command, 0, 0)
            })
        },
        end: Some(tell_to_stop),
    },
    Case {
        name: "membarrier of one's own",
        body: |world| {
            let command = libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED;
            call!(SYS_membarrier, command, 0, 0)?;
            again(world, || {
                let command = libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED;
                call!(SYS_membarrier, command, 0, 0)
            })
        },
        end: Some(tell_to_stop),
    },
    Case {
        name: "getrandom of much",
        body: |world| {
            let at = Much::new()?;
            again(world, || call!(SYS_getrandom, at.0, MUCH, 0))
        },
        end: Some(tell_to_stop),
    },
    Case {
        name: "reading one's own memory from outside",
        body: |world| {
            let (from, to) = (Much::new()?, Much::new()?);
            let me = call!(SYS_getpid)?;
            again(world, || {
                let (from, to) = ([from.0, MUCH], [to.0, MUCH]);
                call!(SYS_process_vm_readv, me, &to, 1, &from, 1, 0)
            })
        },
        end: Some(tell_to_stop),
    },
    Case {
        name: "copy_file_range of much",
        body: |world| {
            let files = [c"from", c"to"].map(|name| call!(SYS_memfd_create, name, 0));
            let [from, to] = files;
            let (from, to) = (from?, to?);
            let _ = call!(SYS_ftruncate, from, MUCH);
            let answer = again(world, || {
                let (mut at, mut onto) = (0_i64, 0_i64);
                call!(SYS_copy_file_range, from, &mut at, to, &mut onto, MUCH, 0)
            });
            for file in [from, to] {
                let _ = call!(SYS_close, file);
            }
            answer
        },
        end: Some(tell_to_stop),
    },
    Case {
        name: "munmap of much",
        body: |world| {
            again(world, || {
                let flags = sys::ANON | libc::MAP_POPULATE;
                let at = call!(SYS_mmap, 0, MUCH, sys::RW, flags, -1, 0)?;
                call!(SYS_munmap, at, MUCH)
            })
        },
        end: Some(tell_to_stop),
    },
];
