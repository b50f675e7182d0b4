//! Processes, threads, signals.

use super::{Lab, Step};
use crate::call;
use crate::errno::Errno;
use crate::sys::{self, Ret};

/// The steps.
pub(super) const STEPS: &[Step] = &[
    Step {
        name: "fork",
        body: |lab| {
            reaped(lab.meant(|| match call!(SYS_fork) {
                Ok(0) => sys::exit(0),
                other => other,
            }))
        },
    },
    Step {
        name: "vfork",
        body: |lab| {
            // The child of a `vfork` may not come back from the wrapper.
            let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
            let (mut stack, mut words) = (vec![0_u64; 2048], [0; 2]);
            let made = lab.meant(|| sys::clone_on_stack(flags, &mut stack, &mut words, nothing));
            reaped(made)
        },
    },
    Step {
        name: "clone3",
        body: |lab| {
            // `struct clone_args`: no flag but that a descriptor is wanted.
            let mut descriptor = -1_i32;
            let mut words = [0_u64; 11];
            words[0] = libc::CLONE_PIDFD as u64;
            words[1] = core::ptr::from_mut(&mut descriptor).expose_provenance() as u64;
            words[4] = libc::SIGCHLD as u64;
            let made = reaped(lab.meant(|| match call!(SYS_clone3, &words, 88) {
                Ok(0) => sys::exit(0),
                other => other,
            }));
            if made.is_ok() {
                let _ = call!(SYS_close, descriptor);
            }
            made
        },
    },
    Step {
        name: "a thread",
        body: |lab| {
            let flags = libc::CLONE_VM
                | libc::CLONE_FS
                | libc::CLONE_FILES
                | libc::CLONE_SIGHAND
                | libc::CLONE_THREAD
                | libc::CLONE_PARENT_SETTID
                | libc::CLONE_CHILD_CLEARTID;
            let (mut stack, mut words) = (vec![0_u64; 2048], [0_i32, 1]);
            let made = lab.meant(|| sys::clone_on_stack(flags, &mut stack, &mut words, nothing));
            let at = core::ptr::from_ref(&words[1]).expose_provenance();
            while made.is_ok() && sys::peek32(at) != 0 {
                let _ = call!(SYS_futex, at, libc::FUTEX_WAIT, 1, 0);
            }
            made
        },
    },
    Step {
        name: "execve",
        body: |lab| {
            let words = [
                c"abi-test".as_ptr().expose_provenance(),
                c"--executed".as_ptr().expose_provenance(),
                0,
            ];
            let environment = [
                c"A=b".as_ptr().expose_provenance(),
                c"C=d".as_ptr().expose_provenance(),
                0,
            ];
            executed(lab, || {
                call!(SYS_execve, c"/proc/self/exe", &words, &environment)
            })
        },
    },
    Step {
        name: "execve of a script",
        body: |lab| {
            use std::os::unix::fs::PermissionsExt;
            let _ = std::fs::write("script", "#!/bin/abi-test --executed\n");
            let _ = std::fs::set_permissions("script", std::fs::Permissions::from_mode(0o755));
            let words = [c"script".as_ptr().expose_provenance(), 0];
            let answer = executed(lab, || call!(SYS_execve, c"script", &words, &[0_usize]));
            let _ = std::fs::remove_file("script");
            answer
        },
    },
    Step {
        name: "wait4",
        body: |lab| {
            let child = sys::fork(|| 0);
            let mut usage: libc::rusage = sys::zeroed();
            let answer = lab.meant(|| call!(SYS_wait4, child, 0, 0, &mut usage));
            if answer.is_err() {
                let _ = call!(SYS_wait4, child, 0, 0, 0);
            }
            answer
        },
    },
    Step {
        name: "waitid",
        body: |lab| {
            let child = sys::fork(|| 0);
            let answer = lab.meant(|| call!(SYS_waitid, libc::P_PID, child, 0, libc::WEXITED, 0));
            if answer.is_err() {
                let _ = call!(SYS_wait4, child, 0, 0, 0);
            }
            answer
        },
    },
    Step {
        name: "setsid",
        body: |lab| in_child(lab, |lab| lab.meant(|| call!(SYS_setsid))),
    },
    Step {
        name: "setpgid",
        body: |lab| in_child(lab, |lab| lab.meant(|| call!(SYS_setpgid, 0, 0))),
    },
    Step {
        name: "a child's group",
        body: |lab| beside_child(|child| lab.meant(|| call!(SYS_setpgid, child, child))),
    },
    Step {
        name: "setgroups",
        body: |lab| {
            in_child(lab, |lab| {
                lab.meant(|| call!(SYS_setgroups, 200, [5_u32; 200].as_slice()))
            })
        },
    },
    Step {
        name: "getgroups",
        body: |lab| lab.meant(|| call!(SYS_getgroups, 0, 0)),
    },
    Step {
        name: "setresuid",
        body: |lab| {
            in_child(lab, |lab| {
                lab.meant(|| call!(SYS_setresuid, 1234, 1234, 1234))
            })
        },
    },
    Step {
        name: "unshared files",
        body: |lab| {
            in_child(lab, |lab| {
                lab.meant(|| call!(SYS_close_range, 50, u32::MAX, 2))
            })
        },
    },
    Step {
        name: "chroot",
        body: |lab| in_child(lab, |lab| lab.meant(|| call!(SYS_chroot, c"/tmp"))),
    },
    Step {
        name: "exit_group",
        body: |lab| {
            let nth = lab.nth;
            reaped(Ok(i64::from(sys::fork(move || {
                let lab = Lab { nth, ..Lab::new() };
                let _ = lab.meant(|| call!(SYS_exit_group, 0));
                1
            }))))?;
            lab.struck = Some(false);
            Ok(0)
        },
    },
    Step {
        name: "prctl",
        body: |lab| lab.meant(|| call!(SYS_prctl, libc::PR_SET_NAME, c"abi-test", 0, 0, 0)),
    },
    Step {
        name: "kill",
        body: |lab| {
            sys::set_disposition(libc::SIGUSR2, libc::SIG_IGN);
            let me = call!(SYS_getpid)?;
            lab.meant(|| call!(SYS_kill, me, libc::SIGUSR2))
        },
    },
    Step {
        name: "kill of a group",
        body: |lab| {
            in_child(lab, |lab| {
                let _ = call!(SYS_setsid);
                sys::set_disposition(libc::SIGUSR2, libc::SIG_IGN);
                lab.meant(|| call!(SYS_kill, 0, libc::SIGUSR2))
            })
        },
    },
    Step {
        name: "rt_sigqueueinfo",
        body: |lab| {
            in_child(lab, |lab| {
                let set = 1_u64 << 39;
                let _ = call!(SYS_rt_sigprocmask, libc::SIG_BLOCK, &set, 0, 8);
                let mut words = [0_i32; 32];
                (words[0], words[2]) = (40, libc::SI_QUEUE);
                let me = call!(SYS_getpid)?;
                lab.meant(|| call!(SYS_rt_sigqueueinfo, me, 40, &words))
            })
        },
    },
    Step {
        name: "rt_sigaction",
        body: |lab| {
            let words = [libc::SIG_IGN as u64, 0, 0, 0];
            lab.meant(|| call!(SYS_rt_sigaction, 41, &words, 0, 8))
        },
    },
    Step {
        name: "rt_sigtimedwait",
        body: |lab| {
            let (set, span) = (
                1_u64 << 50,
                libc::timespec {
                    tv_sec: 0,
                    tv_nsec: 1,
                },
            );
            expected(
                lab.meant(|| call!(SYS_rt_sigtimedwait, &set, 0, &span, 8)),
                libc::EAGAIN,
            )
        },
    },
    Step {
        name: "signalfd4",
        body: |lab| {
            let set = 1_u64 << 50;
            super::files::closed(lab.meant(|| call!(SYS_signalfd4, -1, &set, 8, 0)))
        },
    },
    Step {
        name: "pidfd_open",
        body: |lab| {
            let me = call!(SYS_getpid)?;
            super::files::closed(lab.meant(|| call!(SYS_pidfd_open, me, 0)))
        },
    },
    Step {
        name: "sched_setaffinity",
        body: |lab| lab.meant(|| call!(SYS_sched_setaffinity, 0, 8, &u64::MAX)),
    },
    Step {
        name: "setpriority",
        body: |lab| {
            in_child(lab, |lab| {
                lab.meant(|| call!(SYS_setpriority, libc::PRIO_USER, 0, 1))
            })
        },
    },
    Step {
        name: "setrlimit",
        body: |lab| {
            in_child(lab, |lab| {
                let limit = libc::rlimit {
                    rlim_cur: 5,
                    rlim_max: 5,
                };
                lab.meant(|| call!(SYS_setrlimit, libc::RLIMIT_CPU, &limit))
            })
        },
    },
    Step {
        name: "seccomp",
        body: |lab| {
            in_child(lab, |lab| {
                install(|program| {
                    lab.meant(|| call!(SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, program))
                })
            })
        },
    },
    Step {
        name: "seccomp for all threads",
        body: |lab| {
            in_child(lab, |lab| {
                install(|program| {
                    let _ = call!(SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, program);
                    let flags = libc::SECCOMP_FILTER_FLAG_TSYNC;
                    lab.meant(|| call!(SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, program))
                })
            })
        },
    },
    Step {
        name: "fork under a filter",
        body: |lab| {
            in_child(lab, |lab| {
                install(|program| {
                    let _ = call!(SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, program);
                    reaped(lab.meant(|| match call!(SYS_fork) {
                        Ok(0) => sys::exit(0),
                        other => other,
                    }))
                })
            })
        },
    },
    Step {
        name: "membarrier",
        body: |lab| lab.meant(|| call!(SYS_membarrier, 1, 0, 0)),
    },
];

/// Does something with a filter that lets every call pass.
fn install(body: impl FnOnce(&libc::sock_fprog) -> Ret) -> Ret {
    let _ = call!(SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    let mut filter = [libc::sock_filter {
        code: 6,
        jt: 0,
        jf: 0,
        k: libc::SECCOMP_RET_ALLOW,
    }; 9];
    body(&libc::sock_fprog {
        len: 9,
        filter: filter.as_mut_ptr(),
    })
}

extern "C" fn nothing(_: *mut libc::c_void) -> i32 {
    0
}

/// Waits for the child that a call made.
fn reaped(made: Ret) -> Ret {
    if let Ok(child) = made {
        let _ = call!(SYS_wait4, child, 0, 0, 0);
    }
    made
}

/// Does something while there is a child, which does nothing.
pub(super) fn beside_child(body: impl FnOnce(i32) -> Ret) -> Ret {
    let child = sys::fork(|| {
        let _ = call!(SYS_pause);
        0
    });
    let answer = body(child);
    let _ = call!(SYS_kill, child, libc::SIGKILL);
    let _ = call!(SYS_wait4, child, 0, 0, 0);
    answer
}

/// What it should come to.
fn expected(answer: Ret, error: i32) -> Ret {
    match answer {
        Err(Errno(other)) if other == error => Ok(0),
        other => other,
    }
}

/// Makes the call in a child, which says by its end what came of it.
pub(super) fn in_child(lab: &mut Lab, body: fn(&Lab) -> Ret) -> Ret {
    let nth = lab.nth;
    let child = sys::fork(move || {
        let lab = Lab { nth, ..Lab::new() };
        let error = body(&lab).map_or_else(|Errno(error)| error, |_| 0);
        // Numbers of errors that are answered are below 128.
        error | if lab.has_struck() { 128 } else { 0 }
    });
    let mut status = 0_i32;
    let _ = call!(SYS_wait4, child, &mut status, 0, 0);
    if !libc::WIFEXITED(status) {
        lab.struck = Some(true);
        return Err(Errno(libc::EINTR));
    }
    let code = libc::WEXITSTATUS(status);
    lab.struck = Some(code & 128 != 0);
    match code & 127 {
        0 => Ok(0),
        error => Err(Errno(error)),
    }
}

/// Executes in a child what runs [`super::executed`]. What fails when the old
/// program is gone already ends the process.
fn executed(lab: &mut Lab, execute: impl Fn() -> Ret) -> Ret {
    let nth = lab.nth;
    let child = sys::fork(|| {
        let lab = Lab { nth, ..Lab::new() };
        lab.meant(execute).map_or_else(|Errno(error)| error, |_| 0)
    });
    let mut status = 0_i32;
    let _ = call!(SYS_wait4, child, &mut status, 0, 0);
    lab.struck = Some(true);
    if !libc::WIFEXITED(status) {
        let was_killed = libc::WTERMSIG(status) == libc::SIGKILL;
        return Err(Errno(if was_killed {
            libc::ENOMEM
        } else {
            libc::EINTR
        }));
    }
    match libc::WEXITSTATUS(status) {
        100 => Ok(0),
        101 => {
            lab.struck = Some(false);
            Ok(0)
        }
        error => Err(Errno(error)),
    }
}
