//! What is done for a program outside of its calls: page faults and frames of
//! handlers. Nothing answers there, so a step answers EIO where memory does not
//! hold afterwards what it should.

use core::sync::atomic::{AtomicU32, Ordering};

use super::memory::{HUGE, SHARED, fresh, mapped, room_for_huge, segment};
use super::processes::beside_child;
use super::{Lab, Step};
use crate::call;
use crate::errno::Errno;
use crate::sys::{self, ANON, PAGE, RW, Ret};

/// The steps.
pub(super) const STEPS: &[Step] = &[
    Step {
        name: "a first load",
        body: |lab| fresh(|at| expect(0, lab.meant_outside(|| sys::peek(at)))),
    },
    Step {
        name: "a first store",
        body: |lab| fresh(|at| stores(lab, at)),
    },
    Step {
        name: "a store behind a load",
        body: |lab| {
            fresh(|at| {
                sys::peek(at);
                stores(lab, at)
            })
        },
    },
    Step {
        name: "a first store, far from all others",
        body: |lab| {
            // Tables of each level are missing there.
            let at = 0x0000_3000_0000_0000_usize;
            let flags = ANON | libc::MAP_FIXED_NOREPLACE;
            let at = call!(SYS_mmap, at, PAGE, RW, flags, -1, 0)? as usize;
            let answer = stores(lab, at);
            let _ = call!(SYS_munmap, at, PAGE);
            answer
        },
    },
    Step {
        name: "a store that many are near",
        body: |lab| {
            mapped(ANON, |at| {
                let answer = stores(lab, at + 4 * PAGE);
                answer.and(expect(1, sys::peek(at + 5 * PAGE)))
            })
        },
    },
    Step {
        name: "a first store to shared memory",
        body: |lab| mapped(SHARED, |at| stores(lab, at + 3 * PAGE)),
    },
    Step {
        name: "a first store to a segment",
        body: |lab| {
            segment(|id| {
                let at = call!(SYS_shmat, id, 0, 0)?;
                let answer = stores(lab, at as usize + PAGE);
                let _ = call!(SYS_shmdt, at);
                answer
            })
        },
    },
    Step {
        name: "a load of a file's hole",
        body: |lab| {
            of_file(libc::MAP_SHARED, |at| {
                expect(0, lab.meant_outside(|| sys::peek(at)))
            })
        },
    },
    Step {
        name: "a store to a file's hole",
        body: |lab| of_file(libc::MAP_SHARED, |at| stores(lab, at)),
    },
    Step {
        name: "a store to a copy of a file",
        body: |lab| of_file(libc::MAP_PRIVATE, |at| stores(lab, at + PAGE)),
    },
    Step {
        name: "a store behind a fork",
        body: |lab| mapped(ANON, |at| beside_child(|_| stores(lab, at))),
    },
    Step {
        name: "a stack that grows",
        body: |lab| {
            let room = call!(SYS_mmap, 0, 600 * PAGE, libc::PROT_NONE, ANON, -1, 0)? as usize;
            let _ = call!(SYS_munmap, room, 599 * PAGE);
            let flags = ANON | libc::MAP_FIXED | libc::MAP_GROWSDOWN;
            let top = call!(SYS_mmap, room + 598 * PAGE, PAGE, RW, flags, -1, 0)? as usize;
            let answer = stores(lab, top - 8 * PAGE);
            let _ = call!(SYS_munmap, room, 600 * PAGE);
            answer
        },
    },
    Step {
        name: "a huge page",
        body: |lab| huge(|at| stores(lab, at + 9 * PAGE)),
    },
    Step {
        name: "a part of a huge page",
        body: |lab| {
            huge(|at| {
                sys::poke(at, 1);
                beside_child(|_| stores(lab, at + 9 * PAGE).and(expect(1, sys::peek(at))))
            })
        },
    },
    Step {
        name: "a handler's frame",
        body: |lab| {
            fresh(|at| {
                handles(lab, at, |lab| {
                    let me = call!(SYS_getpid)?;
                    // The call has no order; what follows it has.
                    lab.meant_outside(|| call!(SYS_kill, me, libc::SIGUSR1))
                })
            })
        },
    },
];

fn expect(value: u8, found: u8) -> Ret {
    if value == found {
        Ok(0)
    } else {
        Err(Errno(libc::EIO))
    }
}

/// Stores as ordered; what is there then.
fn stores(lab: &Lab, at: usize) -> Ret {
    lab.meant_outside(|| sys::poke(at, 7));
    expect(7, sys::peek(at))
}

/// Does something with memory that may be one huge page.
fn huge(body: impl FnOnce(usize) -> Ret) -> Ret {
    room_for_huge(|at| {
        let _ = call!(SYS_madvise, at, HUGE, libc::MADV_HUGEPAGE);
        body(at)
    })
}

/// Does something with two pages of a file that has none.
fn of_file(kind: i32, body: impl FnOnce(usize) -> Ret) -> Ret {
    let file = call!(SYS_memfd_create, c"holes", libc::MFD_CLOEXEC)?;
    let _ = call!(SYS_ftruncate, file, 2 * PAGE);
    let answer = call!(SYS_mmap, 0, 2 * PAGE, RW, kind, file, 0).and_then(|at| {
        let answer = body(at as usize);
        let _ = call!(SYS_munmap, at, 2 * PAGE);
        answer
    });
    let _ = call!(SYS_close, file);
    answer
}

/// How often the handler ran.
static HANDLED: AtomicU32 = AtomicU32::new(0);

extern "C" fn handler(_: i32, _: &libc::siginfo_t, _: usize) {
    HANDLED.fetch_add(1, Ordering::Relaxed);
}

/// Does what makes SIGUSR1 pending, with its handler's stack at `stack`: it runs.
fn handles(lab: &Lab, stack: usize, body: impl FnOnce(&Lab) -> Ret) -> Ret {
    sys::on_signal(libc::SIGUSR1, libc::SA_ONSTACK, handler);
    let place = |flags: i32| libc::stack_t {
        ss_sp: core::ptr::with_exposed_provenance_mut(stack),
        ss_flags: flags,
        ss_size: 8 * PAGE,
    };
    let mut before = place(0);
    let _ = call!(SYS_sigaltstack, &place(0), &mut before);
    let count = HANDLED.load(Ordering::Relaxed);
    let answer = body(lab);
    let is_handled = HANDLED.load(Ordering::Relaxed) == count + 1;
    let _ = call!(SYS_sigaltstack, &before, 0);
    sys::set_disposition(libc::SIGUSR1, libc::SIG_DFL);
    answer.and(if is_handled {
        Ok(0)
    } else {
        Err(Errno(libc::EIO))
    })
}
