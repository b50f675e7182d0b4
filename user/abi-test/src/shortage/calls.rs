//! Events, timers, waits.

use super::Step;
use super::files::{close, closed, pipe};
use super::memory::mapped;
use crate::call;
use crate::errno::Errno;
use crate::sys::{self, Ret};

const SHARED: i32 = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
const SOON: libc::timespec = libc::timespec {
    tv_sec: 0,
    tv_nsec: 1000,
};

/// A mask of signals that is another one than there is.
const OTHERS: u64 = 1 << 33;

/// The steps.
pub(super) const STEPS: &[Step] = &[
    Step {
        name: "eventfd2",
        body: |lab| closed(lab.meant(|| call!(SYS_eventfd2, 0, 0))),
    },
    Step {
        name: "timerfd_create",
        body: |lab| closed(lab.meant(|| call!(SYS_timerfd_create, libc::CLOCK_REALTIME, 0))),
    },
    Step {
        name: "timerfd_settime",
        body: |lab| {
            let timer = call!(SYS_timerfd_create, libc::CLOCK_REALTIME, 0)?;
            let answer = lab.meant(|| call!(SYS_timerfd_settime, timer, 0, &far(), 0));
            closed(Ok(timer))?;
            answer
        },
    },
    Step {
        name: "timerfd_settime by the wall",
        body: |lab| {
            let timer = call!(SYS_timerfd_create, libc::CLOCK_REALTIME, 0)?;
            let mut when = far();
            when.it_value.tv_sec = 4_000_000_000;
            // Absolute, and told when the clock is set.
            let answer = lab.meant(|| call!(SYS_timerfd_settime, timer, 3, &when, 0));
            closed(Ok(timer))?;
            answer
        },
    },
    Step {
        name: "timer_create",
        body: |lab| {
            let mut timer = 0_i32;
            let answer =
                lab.meant(|| call!(SYS_timer_create, libc::CLOCK_MONOTONIC, 0, &mut timer));
            if answer.is_ok() {
                let _ = call!(SYS_timer_delete, timer);
            }
            answer
        },
    },
    Step {
        name: "timer_settime",
        body: |lab| {
            let mut timer = 0_i32;
            call!(SYS_timer_create, libc::CLOCK_MONOTONIC, 0, &mut timer)?;
            let answer = lab.meant(|| call!(SYS_timer_settime, timer, 0, &far(), 0));
            let _ = call!(SYS_timer_delete, timer);
            answer
        },
    },
    Step {
        name: "setitimer",
        body: |lab| {
            let mut when: libc::itimerval = sys::zeroed();
            when.it_value.tv_sec = 10_000;
            let answer = lab.meant(|| call!(SYS_setitimer, libc::ITIMER_REAL, &when, 0));
            when.it_value.tv_sec = 0;
            let _ = call!(SYS_setitimer, libc::ITIMER_REAL, &when, 0);
            answer
        },
    },
    Step {
        name: "alarm",
        body: |lab| {
            let answer = lab.meant(|| call!(SYS_alarm, 10_000));
            // It has no error to answer.
            let was_set = call!(SYS_alarm, 0) != Ok(0);
            answer.and(if was_set {
                Ok(0)
            } else {
                Err(Errno(libc::ENOMEM))
            })
        },
    },
    Step {
        name: "nanosleep",
        body: |lab| lab.meant(|| call!(SYS_nanosleep, &SOON, 0)),
    },
    Step {
        name: "clock_nanosleep",
        body: |lab| lab.meant(|| call!(SYS_clock_nanosleep, libc::CLOCK_REALTIME, 0, &SOON, 0)),
    },
    Step {
        name: "epoll_create1",
        body: |lab| closed(lab.meant(|| call!(SYS_epoll_create1, 0))),
    },
    Step {
        name: "epoll_ctl",
        body: |lab| {
            watched(|epoll, ends| {
                let mut event: libc::epoll_event = sys::zeroed();
                event.events = libc::EPOLLIN as u32;
                lab.meant(|| call!(SYS_epoll_ctl, epoll, libc::EPOLL_CTL_ADD, ends[0], &event))
            })
        },
    },
    Step {
        name: "epoll_ctl of many",
        body: |lab| {
            watched(|epoll, ends| {
                let mut event: libc::epoll_event = sys::zeroed();
                event.events = (libc::EPOLLIN | libc::EPOLLET) as u32;
                let copies: Vec<i64> = (0..40)
                    .filter_map(|_| call!(SYS_dup, ends[0]).ok())
                    .collect();
                for copy in &copies[1..] {
                    let _ = call!(SYS_epoll_ctl, epoll, libc::EPOLL_CTL_ADD, *copy, &event);
                }
                let answer = lab
                    .meant(|| call!(SYS_epoll_ctl, epoll, libc::EPOLL_CTL_ADD, copies[0], &event));
                for copy in copies {
                    let _ = call!(SYS_close, copy);
                }
                answer
            })
        },
    },
    Step {
        name: "epoll_ctl of what is ready",
        body: |lab| {
            watched(|epoll, ends| {
                let mut event: libc::epoll_event = sys::zeroed();
                event.events = libc::EPOLLOUT as u32;
                lab.meant(|| call!(SYS_epoll_ctl, epoll, libc::EPOLL_CTL_ADD, ends[1], &event))
            })
        },
    },
    Step {
        name: "epoll_wait",
        body: |lab| {
            watched(|epoll, ends| {
                let mut event: libc::epoll_event = sys::zeroed();
                event.events = libc::EPOLLOUT as u32;
                let _ = call!(SYS_epoll_ctl, epoll, libc::EPOLL_CTL_ADD, ends[1], &event);
                lab.meant(|| call!(SYS_epoll_wait, epoll, &mut event, 1, 100))
            })
        },
    },
    Step {
        name: "epoll_wait for nothing",
        body: |lab| {
            watched(|epoll, ends| {
                let mut event: libc::epoll_event = sys::zeroed();
                let _ = call!(SYS_epoll_ctl, epoll, libc::EPOLL_CTL_ADD, ends[0], &event);
                lab.meant(|| call!(SYS_epoll_wait, epoll, &mut event, 1, 1))
            })
        },
    },
    Step {
        name: "epoll of an epoll",
        body: |lab| {
            watched(|epoll, _| {
                let other = call!(SYS_epoll_create1, 0)?;
                let mut event: libc::epoll_event = sys::zeroed();
                event.events = libc::EPOLLIN as u32;
                let answer =
                    lab.meant(|| call!(SYS_epoll_ctl, other, libc::EPOLL_CTL_ADD, epoll, &event));
                closed(Ok(other))?;
                answer
            })
        },
    },
    Step {
        name: "a write that epoll tells of",
        body: |lab| {
            watched(|epoll, ends| {
                let mut event: libc::epoll_event = sys::zeroed();
                event.events = libc::EPOLLIN as u32;
                let _ = call!(SYS_epoll_ctl, epoll, libc::EPOLL_CTL_ADD, ends[0], &event);
                let answer = lab.meant(|| call!(SYS_write, ends[1], [1_u8; 4].as_slice(), 4));
                // Nothing may be lost by a shortage.
                let told = call!(SYS_epoll_wait, epoll, &mut event, 1, 0);
                if answer.is_ok() && told != Ok(1) {
                    Err(Errno(libc::EIO))
                } else {
                    answer
                }
            })
        },
    },
    Step {
        name: "poll",
        body: |lab| {
            let ends = pipe();
            let mut watched = [libc::pollfd {
                fd: ends[0],
                events: libc::POLLIN,
                revents: 0,
            }; 20];
            let answer = lab.meant(|| call!(SYS_poll, watched.as_mut_slice(), 20, 1));
            close(ends);
            answer
        },
    },
    Step {
        name: "select",
        body: |lab| {
            let ends = pipe();
            let mut set = [0_u64; 16];
            set[0] = 1 << ends[0];
            let span = libc::timeval {
                tv_sec: 0,
                tv_usec: 100,
            };
            let answer = lab.meant(|| call!(SYS_select, 1000, &mut set, 0, 0, &span));
            close(ends);
            answer
        },
    },
    Step {
        name: "ppoll",
        body: |lab| {
            let ends = pipe();
            let mut watched = [libc::pollfd {
                fd: ends[0],
                events: libc::POLLIN,
                revents: 0,
            }; 3];
            let answer =
                lab.meant(|| call!(SYS_ppoll, watched.as_mut_slice(), 3, &SOON, &OTHERS, 8));
            close(ends);
            answer
        },
    },
    Step {
        name: "pselect6",
        body: |lab| {
            let ends = pipe();
            let mut set = [0_u64; 16];
            set[0] = 1 << ends[0];
            let at = core::ptr::from_ref(&OTHERS).expose_provenance();
            let mask = [at, 8];
            let answer = lab.meant(|| call!(SYS_pselect6, 600, &mut set, 0, 0, &SOON, &mask));
            close(ends);
            answer
        },
    },
    Step {
        name: "epoll_pwait",
        body: |lab| {
            watched(|epoll, ends| {
                let mut event: libc::epoll_event = sys::zeroed();
                let _ = call!(SYS_epoll_ctl, epoll, libc::EPOLL_CTL_ADD, ends[0], &event);
                lab.meant(|| call!(SYS_epoll_pwait, epoll, &mut event, 1, 1, &OTHERS, 8))
            })
        },
    },
    Step {
        name: "a write that waits",
        body: |lab| {
            let mut ends = [-1_i32; 2];
            let _ = call!(SYS_pipe2, &mut ends, 0);
            let reader = sys::fork(|| {
                let _ = call!(SYS_close, ends[1]);
                let mut all = 0_i64;
                let mut bytes = vec![0_u8; 1 << 16];
                while let Ok(read @ 1..) =
                    call!(SYS_read, ends[0], bytes.as_mut_slice(), bytes.len())
                {
                    all += read;
                }
                i32::from(all != 100_000)
            });
            let bytes = vec![7_u8; 100_000];
            let answer = lab.meant(|| call!(SYS_write, ends[1], bytes.as_slice(), bytes.len()));
            close(ends);
            let mut status = 0_i32;
            let _ = call!(SYS_wait4, reader, &mut status, 0, 0);
            // What was written was answered for.
            match answer {
                Ok(written) if (status == 0) != (written == 100_000) => Err(Errno(libc::EIO)),
                other => other,
            }
        },
    },
    Step {
        name: "futex wait",
        body: |lab| {
            let word = 0_u32;
            over(lab.meant(|| call!(SYS_futex, &word, libc::FUTEX_WAIT, 0, &SOON)))
        },
    },
    Step {
        name: "shared futex wait",
        body: |lab| {
            mapped(SHARED, |at| {
                over(lab.meant(|| call!(SYS_futex, at, libc::FUTEX_WAIT, 1, &SOON)))
            })
        },
    },
    Step {
        name: "futex wake",
        body: |lab| {
            let word = 0_u32;
            lab.meant(|| call!(SYS_futex, &word, libc::FUTEX_WAKE, 1))
        },
    },
    Step {
        name: "futex requeue",
        body: |lab| {
            let words = [0_u32; 2];
            lab.meant(|| {
                call!(
                    SYS_futex,
                    &words[0],
                    libc::FUTEX_CMP_REQUEUE,
                    1,
                    1,
                    &words[1],
                    0
                )
            })
        },
    },
    Step {
        name: "futex lock and unlock",
        body: |lab| {
            let mut word = 0_u32;
            let answer = lab.meant(|| call!(SYS_futex, &mut word, libc::FUTEX_LOCK_PI, 0, 0));
            if answer.is_ok() {
                let _ = call!(SYS_futex, &mut word, libc::FUTEX_UNLOCK_PI, 0, 0);
            }
            answer
        },
    },
    Step {
        name: "futex_waitv",
        body: |lab| {
            let word = 0_u32;
            let at = core::ptr::from_ref(&word).expose_provenance() as u64;
            // Value, address, flags.
            let each = [[0_u64, at, 2]; 20];
            let now = libc::timespec {
                tv_sec: 0,
                tv_nsec: 1,
            };
            over(lab.meant(|| {
                call!(
                    SYS_futex_waitv,
                    each.as_slice(),
                    20,
                    0,
                    &now,
                    libc::CLOCK_MONOTONIC
                )
            }))
        },
    },
    Step {
        name: "sethostname",
        body: |lab| {
            lab.meant(|| {
                call!(
                    SYS_sethostname,
                    [b'o', b'c', b'h', b'r', b'e'].as_slice(),
                    5
                )
            })
        },
    },
    Step {
        name: "getrandom",
        body: |lab| lab.meant(|| call!(SYS_getrandom, [0_u8; 600].as_mut_slice(), 600, 0)),
    },
    Step {
        name: "sysinfo",
        body: |lab| {
            let mut info: libc::sysinfo = sys::zeroed();
            lab.meant(|| call!(SYS_sysinfo, &mut info))
        },
    },
    Step {
        name: "syslog",
        body: |lab| lab.meant(|| call!(SYS_syslog, 3, [0_u8; 4000].as_mut_slice(), 4000)),
    },
    Step {
        name: "a call that is not there",
        body: |lab| match lab.meant(|| sys::raw(9999, &[])) {
            Err(error) if error.0 == libc::ENOSYS => Ok(0),
            other => other,
        },
    },
];

/// A time that does not come.
fn far() -> libc::itimerspec {
    let mut when: libc::itimerspec = sys::zeroed();
    when.it_value.tv_sec = 10_000;
    when
}

/// Does something with an epoll and the ends of a pipe.
fn watched(body: impl FnOnce(i64, [i32; 2]) -> Ret) -> Ret {
    let epoll = call!(SYS_epoll_create1, 0)?;
    let ends = pipe();
    let answer = body(epoll, ends);
    close(ends);
    closed(Ok(epoll))?;
    answer
}

/// The time being over is what a wait should come to.
fn over(answer: Ret) -> Ret {
    match answer {
        Err(error) if error.0 == libc::ETIMEDOUT => Ok(0),
        other => other,
    }
}
