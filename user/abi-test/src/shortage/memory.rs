//! Mappings.

use core::ops::Range;

use super::processes::in_child;
use super::{Lab, Step};
use crate::call;
use crate::errno::Errno;
use crate::sys::{self, ANON, PAGE, RW, Ret};

/// Newer than some C libraries.
const MADV_COLLAPSE: i32 = 25;

/// Memory that children share.
pub(super) const SHARED: i32 = libc::MAP_SHARED | libc::MAP_ANONYMOUS;

/// Of eight pages.
const ALL: Range<usize> = 0..8;
const MIDDLE: Range<usize> = 1..2;

/// Bytes of a huge page.
pub(super) const HUGE: usize = 2 << 20;

/// The steps.
pub(super) const STEPS: &[Step] = &[
    Step {
        name: "mmap",
        body: |lab| maps(lab, 4, ANON),
    },
    Step {
        name: "mmap of much",
        body: |lab| maps(lab, 1 << 12, ANON),
    },
    Step {
        name: "mmap, populated",
        body: |lab| maps(lab, 4, ANON | libc::MAP_POPULATE),
    },
    Step {
        name: "mmap, locked",
        body: |lab| maps(lab, 4, ANON | libc::MAP_LOCKED),
    },
    Step {
        name: "mmap, shared",
        body: |lab| maps(lab, 4, SHARED),
    },
    Step {
        name: "mmap of a file",
        body: |lab| {
            let file = call!(SYS_open, c"/proc/self/exe", libc::O_RDONLY, 0)?;
            let flags = libc::MAP_PRIVATE | libc::MAP_POPULATE;
            let answer =
                lab.meant(|| call!(SYS_mmap, 0, 4 * PAGE, libc::PROT_READ, flags, file, 0));
            let _ = call!(SYS_close, file);
            unmapped(answer, 4)
        },
    },
    Step {
        name: "mmap in the middle",
        body: |lab| {
            mapped(ANON, |at| {
                let flags = ANON | libc::MAP_FIXED;
                lab.meant(|| call!(SYS_mmap, at + PAGE, PAGE, libc::PROT_READ, flags, -1, 0))
            })
        },
    },
    Step {
        name: "munmap in the middle",
        body: |lab| on_pages(lab, ANON, |at| call!(SYS_munmap, at + PAGE, PAGE)),
    },
    Step {
        name: "munmap",
        body: |lab| on_pages(lab, ANON, |at| call!(SYS_munmap, at, 8 * PAGE)),
    },
    Step {
        name: "mprotect in the middle",
        body: |lab| {
            on_pages(lab, ANON, |at| {
                call!(SYS_mprotect, at + PAGE, PAGE, libc::PROT_READ)
            })
        },
    },
    Step {
        name: "mprotect",
        body: |lab| {
            on_pages(lab, ANON, |at| {
                call!(SYS_mprotect, at, 8 * PAGE, libc::PROT_NONE)
            })
        },
    },
    Step {
        name: "mremap to more",
        body: |lab| {
            let at = map(ANON);
            let answer =
                lab.meant(|| call!(SYS_mremap, at, 8 * PAGE, 64 * PAGE, libc::MREMAP_MAYMOVE));
            match answer {
                Ok(_) => unmapped(answer, 64),
                Err(_) => unmapped(Ok(at as i64), 8).and(answer),
            }
        },
    },
    Step {
        name: "mremap elsewhere",
        body: |lab| {
            mapped(ANON, |at| {
                mapped(SHARED, |to| {
                    let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
                    lab.meant(|| call!(SYS_mremap, at + PAGE, 2 * PAGE, 2 * PAGE, flags, to + PAGE))
                })
            })
        },
    },
    Step {
        name: "mremap to less",
        body: |lab| on_pages(lab, ANON, |at| call!(SYS_mremap, at, 8 * PAGE, PAGE, 0)),
    },
    Step {
        name: "madvise DONTNEED",
        body: |lab| advise(lab, ALL, libc::MADV_DONTNEED),
    },
    Step {
        name: "madvise DONTFORK in the middle",
        body: |lab| advise(lab, MIDDLE, libc::MADV_DONTFORK),
    },
    Step {
        name: "madvise POPULATE_WRITE",
        body: |lab| advise(lab, ALL, libc::MADV_POPULATE_WRITE),
    },
    Step {
        name: "madvise REMOVE",
        body: |lab| {
            on_pages(lab, SHARED, |at| {
                call!(SYS_madvise, at, 8 * PAGE, libc::MADV_REMOVE)
            })
        },
    },
    Step {
        name: "mlock in the middle",
        body: |lab| on_pages(lab, ANON, |at| call!(SYS_mlock, at + PAGE, PAGE)),
    },
    Step {
        name: "munlock",
        body: |lab| {
            mapped(ANON, |at| {
                let _ = call!(SYS_mlock, at, 8 * PAGE);
                lab.meant(|| call!(SYS_munlock, at + PAGE, PAGE))
            })
        },
    },
    Step {
        name: "mincore",
        body: |lab| {
            on_pages(lab, ANON, |at| {
                call!(SYS_mincore, at, 8 * PAGE, [0_u8; 8].as_mut_slice())
            })
        },
    },
    Step {
        name: "msync",
        body: |lab| {
            on_pages(lab, SHARED, |at| {
                call!(SYS_msync, at, 8 * PAGE, libc::MS_SYNC)
            })
        },
    },
    Step {
        name: "brk",
        body: |lab| {
            let old = sys::program_break(0);
            let answer = lab.meant(|| call!(SYS_brk, old + 3 * PAGE));
            let now = sys::program_break(0);
            sys::program_break(old);
            // It has no error to answer; it does not move.
            answer.and(if now == old {
                Err(Errno(libc::ENOMEM))
            } else {
                Ok(0)
            })
        },
    },
    Step {
        name: "a copy to new pages",
        body: |lab| fresh(|at| lab.meant(|| call!(SYS_getcwd, at + PAGE - 4, 2 * PAGE))),
    },
    Step {
        name: "a read to new pages",
        body: |lab| {
            fresh(|at| {
                let zero = call!(SYS_open, c"/dev/zero", libc::O_RDONLY, 0)?;
                let answer = lab.meant(|| call!(SYS_read, zero, at, 8 * PAGE));
                let _ = call!(SYS_close, zero);
                answer
            })
        },
    },
    Step {
        name: "process_vm_readv",
        body: |lab| {
            mapped(ANON, |at| {
                fresh(|to| {
                    let (me, here, there) = (call!(SYS_getpid)?, parts(to), parts(at));
                    let (here, there) = (here.as_slice(), there.as_slice());
                    lab.meant(|| call!(SYS_process_vm_readv, me, here, 12, there, 12, 0))
                })
            })
        },
    },
    Step {
        name: "madvise FREE",
        body: |lab| advise(lab, ALL, libc::MADV_FREE),
    },
    Step {
        name: "madvise FREE in the middle",
        body: |lab| advise(lab, MIDDLE, libc::MADV_FREE),
    },
    Step {
        name: "madvise COLD",
        body: |lab| advise(lab, ALL, libc::MADV_COLD),
    },
    Step {
        name: "madvise COLD in the middle",
        body: |lab| advise(lab, MIDDLE, libc::MADV_COLD),
    },
    Step {
        name: "madvise PAGEOUT",
        body: |lab| advise(lab, ALL, libc::MADV_PAGEOUT),
    },
    Step {
        name: "madvise PAGEOUT in the middle",
        body: |lab| advise(lab, MIDDLE, libc::MADV_PAGEOUT),
    },
    Step {
        name: "madvise WILLNEED",
        body: |lab| advise(lab, ALL, libc::MADV_WILLNEED),
    },
    Step {
        name: "madvise WILLNEED in the middle",
        body: |lab| advise(lab, MIDDLE, libc::MADV_WILLNEED),
    },
    Step {
        name: "madvise HUGEPAGE",
        body: |lab| advise(lab, ALL, libc::MADV_HUGEPAGE),
    },
    Step {
        name: "madvise HUGEPAGE in the middle",
        body: |lab| advise(lab, MIDDLE, libc::MADV_HUGEPAGE),
    },
    Step {
        name: "madvise MERGEABLE",
        body: |lab| advise(lab, ALL, libc::MADV_MERGEABLE),
    },
    Step {
        name: "madvise MERGEABLE in the middle",
        body: |lab| advise(lab, MIDDLE, libc::MADV_MERGEABLE),
    },
    Step {
        name: "madvise WIPEONFORK",
        body: |lab| advise(lab, ALL, libc::MADV_WIPEONFORK),
    },
    Step {
        name: "madvise WIPEONFORK in the middle",
        body: |lab| advise(lab, MIDDLE, libc::MADV_WIPEONFORK),
    },
    Step {
        name: "madvise COLLAPSE",
        body: |lab| {
            room_for_huge(|at| {
                for page in [0, 1, 9, 511] {
                    sys::poke(at + page * PAGE, 1);
                }
                let answer = lab.meant(|| call!(SYS_madvise, at, HUGE, MADV_COLLAPSE));
                let kept = [0, 1, 9, 511]
                    .iter()
                    .all(|page| sys::peek(at + page * PAGE) == 1);
                answer.and(if kept { Ok(0) } else { Err(Errno(libc::EIO)) })
            })
        },
    },
    Step {
        name: "mlock2 on fault",
        body: |lab| {
            on_pages(lab, ANON, |at| {
                call!(SYS_mlock2, at + PAGE, PAGE, libc::MLOCK_ONFAULT)
            })
        },
    },
    Step {
        name: "mlockall",
        body: |lab| {
            in_child(lab, |lab| {
                let flags = libc::MCL_CURRENT | libc::MCL_FUTURE;
                mapped(ANON, |_| lab.meant(|| call!(SYS_mlockall, flags)))
            })
        },
    },
    Step {
        name: "munlockall",
        body: |lab| {
            in_child(lab, |lab| {
                let _ = call!(SYS_mlockall, libc::MCL_CURRENT);
                lab.meant(|| call!(SYS_munlockall))
            })
        },
    },
    Step {
        name: "mmap where all is locked",
        body: |lab| {
            in_child(lab, |lab| {
                let _ = call!(SYS_mlockall, libc::MCL_FUTURE);
                lab.meant(|| call!(SYS_mmap, 0, 4 * PAGE, RW, ANON, -1, 0))
            })
        },
    },
    Step {
        name: "shmget",
        body: |lab| {
            let made = lab.meant(|| call!(SYS_shmget, libc::IPC_PRIVATE, 8 * PAGE, 0o600));
            if let Ok(id) = made {
                let _ = call!(SYS_shmctl, id, libc::IPC_RMID, 0);
            }
            made
        },
    },
    Step {
        name: "shmat",
        body: |lab| {
            segment(|id| {
                let answer = lab.meant(|| call!(SYS_shmat, id, 0, 0));
                if let Ok(at) = answer {
                    let _ = call!(SYS_shmdt, at);
                }
                answer
            })
        },
    },
    Step {
        name: "shmat over another",
        body: |lab| {
            mapped(ANON, |at| {
                segment(|id| {
                    // SHM_REMAP
                    lab.meant(|| call!(SYS_shmat, id, at + PAGE, 0o40000))
                })
            })
        },
    },
    Step {
        name: "shmdt",
        body: |lab| {
            segment(|id| {
                let at = call!(SYS_shmat, id, 0, 0)?;
                sys::poke(at as usize, 1);
                lab.meant(|| call!(SYS_shmdt, at))
            })
        },
    },
    Step {
        name: "shmctl",
        body: |lab| {
            segment(|id| {
                let mut status: libc::shmid_ds = sys::zeroed();
                lab.meant(|| call!(SYS_shmctl, id, libc::IPC_STAT, &mut status))
            })
        },
    },
    Step {
        name: "the end of a segment",
        body: |lab| {
            let id = call!(SYS_shmget, libc::IPC_PRIVATE, 8 * PAGE, 0o600)?;
            let answer = lab.meant(|| call!(SYS_shmctl, id, libc::IPC_RMID, 0));
            if answer.is_err() {
                let _ = call!(SYS_shmctl, id, libc::IPC_RMID, 0);
            }
            answer
        },
    },
    Step {
        name: "process_vm_writev",
        body: |lab| {
            mapped(ANON, |at| {
                fresh(|to| {
                    let (me, here, there) = (call!(SYS_getpid)?, parts(at), parts(to));
                    let (here, there) = (here.as_slice(), there.as_slice());
                    lab.meant(|| call!(SYS_process_vm_writev, me, here, 12, there, 12, 0))
                })
            })
        },
    },
];

/// Eight pages, some of them touched.
fn map(flags: i32) -> usize {
    let at = call!(SYS_mmap, 0, 8 * PAGE, RW, flags, -1, 0).unwrap_or(0) as usize;
    for page in [0, 1, 5] {
        sys::poke(at + page * PAGE, 1);
    }
    at
}

/// Does something with eight pages of its own.
pub(super) fn mapped(flags: i32, body: impl FnOnce(usize) -> Ret) -> Ret {
    let at = map(flags);
    let answer = body(at);
    let _ = call!(SYS_munmap, at, 8 * PAGE);
    answer
}

/// Makes a call about eight pages of its own.
fn on_pages(lab: &Lab, flags: i32, call: impl FnOnce(usize) -> Ret) -> Ret {
    mapped(flags, |at| lab.meant(|| call(at)))
}

/// Gives an advice about some of eight pages.
fn advise(lab: &Lab, pages: Range<usize>, advice: i32) -> Ret {
    on_pages(lab, ANON, |at| {
        call!(
            SYS_madvise,
            at + pages.start * PAGE,
            pages.len() * PAGE,
            advice
        )
    })
}

/// Does something with eight pages that were never touched.
pub(super) fn fresh(body: impl FnOnce(usize) -> Ret) -> Ret {
    let at = call!(SYS_mmap, 0, 8 * PAGE, RW, ANON, -1, 0)? as usize;
    let answer = body(at);
    let _ = call!(SYS_munmap, at, 8 * PAGE);
    answer
}

/// Does something with memory in which a huge page can be, none of it touched.
pub(super) fn room_for_huge(body: impl FnOnce(usize) -> Ret) -> Ret {
    let room = call!(SYS_mmap, 0, 2 * HUGE, RW, ANON, -1, 0)? as usize;
    let answer = body(room.next_multiple_of(HUGE));
    let _ = call!(SYS_munmap, room, 2 * HUGE);
    answer
}

/// Does something with a segment of shared memory.
pub(super) fn segment(body: impl FnOnce(i64) -> Ret) -> Ret {
    let id = call!(SYS_shmget, libc::IPC_PRIVATE, 4 * PAGE, 0o600)?;
    let answer = body(id);
    let _ = call!(SYS_shmctl, id, libc::IPC_RMID, 0);
    answer
}

/// Twelve times two pages, to be copied from or to.
fn parts(at: usize) -> [libc::iovec; 12] {
    [libc::iovec {
        iov_base: core::ptr::with_exposed_provenance_mut(at),
        iov_len: 2 * PAGE,
    }; 12]
}

/// Maps so many pages, and takes them away.
fn maps(lab: &Lab, pages: usize, flags: i32) -> Ret {
    unmapped(
        lab.meant(|| call!(SYS_mmap, 0, pages * PAGE, RW, flags, -1, 0)),
        pages,
    )
}

/// Takes away what a call mapped.
fn unmapped(answer: Ret, pages: usize) -> Ret {
    if let Ok(at) = answer {
        let _ = call!(SYS_munmap, at, pages * PAGE);
    }
    answer
}
