//! What no program may do. Each attack is made by a child, which must end with
//! a signal, or with an error from the call; the kernel has to live on, and so
//! has whoever shares memory with the attacker.

use core::num::NonZero;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::thread;

use crate::arch::{self, Fault};
use crate::call;
use crate::report::{check, check_child};
use crate::sys::{self, NONCANONICAL, PAGE, RW};

const AT_SYSINFO_EHDR: u64 = 33;

/// Addresses of the kernel's half: its ends, and where kernels keep their view
/// of all memory, their image and their devices.
const KERNEL: [usize; 7] = [
    0xffff_8000_0000_0000,
    0xffff_8000_0010_0000,
    0xffff_8880_0000_0000,
    0xffff_c900_0000_0000,
    0xffff_ffff_8000_0000,
    0xffff_ffff_8020_0000,
    0xffff_ffff_ffff_f000,
];

/// How often the races are run.
const ROUNDS: u32 = 3000;

/// How often the one with a sibling on each processor is.
const CROWDED_ROUNDS: u32 = 2000;

/// The cases.
pub(crate) fn run() {
    for at in KERNEL {
        check_child(&format!("read {at:x}"), || i32::from(sys::peek(at)));
        check_child(&format!("write {at:x}"), || {
            sys::poke(at, 1);
            0
        });
        check_child(&format!("execute {at:x}"), || sys::jump(at) as i32);
    }
    check_child("jump to where nothing can be", || {
        sys::jump(NONCANONICAL) as i32
    });
    returns();
    read_only();
    no_code();
    aliases();
    check("still here", crate::report::wait(sys::fork(|| 0)));
}

/// What a forged frame is to have.
static TARGET: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];

extern "C" fn forge_target(_: i32, _: &libc::siginfo_t, context: usize) {
    let [high, low] = TARGET
        .each_ref()
        .map(|part| u64::from(part.load(Ordering::Relaxed)));
    arch::set_return(context, high << 32 | low);
}

extern "C" fn forge_flags(_: i32, _: &libc::siginfo_t, context: usize) {
    arch::set_all_flags(context);
}

/// Ways back into user mode that would not be taken there.
fn returns() {
    // One past the highest address, the hole's ends, the kernel's beginning.
    for target in [
        0x7fff_ffff_f000,
        0x8000_0000_0000,
        0xffff_7fff_ffff_ffff,
        KERNEL[0],
        KERNEL[5],
    ] {
        check_child(&format!("return to {target:x}"), || {
            TARGET[0].store((target >> 32) as u32, Ordering::Relaxed);
            TARGET[1].store(target as u32, Ordering::Relaxed);
            sys::on_signal(libc::SIGUSR1, 0, forge_target);
            let _ = call!(SYS_kill, call!(SYS_getpid).unwrap_or(0), libc::SIGUSR1);
            0
        });
    }
    check_child("return with all flags", || {
        sys::on_signal(libc::SIGUSR1, 0, forge_flags);
        let _ = call!(SYS_kill, call!(SYS_getpid).unwrap_or(0), libc::SIGUSR1);
        arch::fault(Fault::InterruptsOff);
        0
    });
    check_child("a call at the end of the address space", || {
        let at = 0x7fff_ffff_e000;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
        let mapped = call!(SYS_mmap, at, PAGE, RW | libc::PROT_EXEC, flags, -1, 0);
        check("  mapped", mapped.is_ok());
        // The next instruction would be beyond.
        let code = arch::A_CALL;
        let start = at + PAGE - code.len();
        for (offset, byte) in code.iter().enumerate() {
            sys::poke(start + offset, *byte);
        }
        sys::jump(start) as i32
    });
}

/// Stores to what may only be read.
fn read_only() {
    check_child("write to the program's code", || {
        sys::poke(run as *const () as usize, 0xc3);
        0
    });
    check_child("write to the program's constants", || {
        sys::poke(KERNEL.as_ptr().expose_provenance(), 0);
        0
    });
    let vdso = sys::auxv(AT_SYSINFO_EHDR) as usize;
    let before = sys::peek(vdso + 1);
    check_child("write to the vdso", || {
        sys::poke(vdso, 0);
        0
    });
    check_child("write to the vdso's data", || {
        sys::poke(vdso - PAGE, 0);
        0
    });
    check_child("make the vdso's data writable", || {
        let answer = call!(SYS_mprotect, vdso - PAGE, PAGE, RW);
        check("  refused", answer.is_err());
        0
    });
    check_child("make the vdso writable, and write", || {
        let made = call!(SYS_mprotect, vdso, PAGE, RW);
        if made.is_ok() {
            sys::poke(vdso + 1, before.wrapping_add(1));
        }
        0
    });
    check("the vdso is as before", sys::peek(vdso + 1) == before);
}

/// Executes what is data.
fn no_code() {
    const RETURN: u8 = 0xc3;
    check_child("execute the stack", || {
        let code = [RETURN; 16];
        sys::jump(core::hint::black_box(&code).as_ptr().expose_provenance()) as i32
    });
    check_child("execute the heap", || {
        let code = vec![RETURN; 16];
        sys::jump(core::hint::black_box(&code).as_ptr().expose_provenance()) as i32
    });
    check_child("execute a thread's stack", || {
        let _ = thread::spawn(|| {
            let code = [RETURN; 16];
            sys::jump(core::hint::black_box(&code).as_ptr().expose_provenance());
        })
        .join();
        0
    });
    check_child("execute a mapping", || sys::jump(pages(1)) as i32);
    check_child("execute what may be no more", || {
        let at = pages(1);
        sys::poke(at, RETURN);
        let both = libc::PROT_READ | libc::PROT_EXEC;
        check("  may", call!(SYS_mprotect, at, PAGE, both));
        let _ = sys::jump(at);
        check("  may not", call!(SYS_mprotect, at, PAGE, RW));
        sys::jump(at) as i32
    });
}

/// Private pages.
fn pages(count: usize) -> usize {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    call!(SYS_mmap, 0, count * PAGE, RW, flags, -1, 0).unwrap_or(0) as usize
}

/// One page in two places with other rights.
fn aliases() {
    let file = call!(SYS_memfd_create, c"page", 0).unwrap_or(-1);
    check("a page", call!(SYS_ftruncate, file, PAGE));
    let map = |rights: i32| {
        call!(SYS_mmap, 0, PAGE, rights, libc::MAP_SHARED, file, 0).unwrap_or(0) as usize
    };
    let (writable, readable) = (map(RW), map(libc::PROT_READ));
    sys::poke(writable, 7);
    check("seen in both places", sys::peek(readable) == 7);
    check_child("write to the one that is only read", || {
        sys::poke(readable, 8);
        0
    });
    check("unmap the other", call!(SYS_munmap, writable, PAGE));
    check_child("write to what is unmapped", || {
        sys::poke(writable, 8);
        0
    });
    check("unchanged", sys::peek(readable) == 7);
    let _ = call!(SYS_close, file);
}

/// Threads that change mappings while others have the kernel copy there.
pub(crate) fn races() {
    check_child(
        "memory that is made read-only does not change any more",
        || i32::from(changes_while_read_only() != 0),
    );
    check_child("pages that a sibling unmaps are not written", || {
        i32::from(writes_to_freed() != 0)
    });
    check("still here", crate::report::wait(sys::fork(|| 0)));
}

/// Has siblings read into `len` bytes at `at` until told to stop, each time
/// other bytes; what the calls answer is good or EFAULT.
fn beside_reads<R>(siblings: usize, at: usize, len: usize, body: impl FnOnce() -> R) -> R {
    let stop = AtomicBool::new(false);
    let begun = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..siblings {
            scope.spawn(|| {
                let mut is_first = true;
                while !stop.load(Ordering::Relaxed) {
                    let answer = call!(SYS_getrandom, at, len, 0);
                    let is_good = match answer {
                        Ok(count) => (0..=len as i64).contains(&count),
                        Err(error) => error.0 == libc::EFAULT,
                    };
                    if !is_good {
                        check("  a copy answers", answer);
                    }
                    if core::mem::take(&mut is_first) {
                        begun.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        while begun.load(Ordering::Relaxed) < siblings {
            let _ = call!(SYS_sched_yield);
        }
        let answer = body();
        stop.store(true, Ordering::Relaxed);
        answer
    })
}

fn changes_while_read_only() -> u32 {
    let at = pages(2);
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    beside_reads(processors, at, 2 * PAGE, || {
        let look = || {
            (0..2 * PAGE)
                .step_by(64)
                .map(|n| sys::peek(at + n))
                .collect::<Vec<_>>()
        };
        let mut changes = 0;
        for round in 0..CROWDED_ROUNDS {
            let _ = call!(SYS_mprotect, at, 2 * PAGE, libc::PROT_READ);
            let before = look();
            if round % 4 == 0 {
                let _ = call!(SYS_sched_yield);
            }
            changes += u32::from(look() != before);
            let _ = call!(SYS_mprotect, at, 2 * PAGE, RW);
        }
        changes
    })
}

fn writes_to_freed() -> u32 {
    let at = pages(1);
    beside_reads(1, at, PAGE, || {
        let mut writes = 0;
        for _ in 0..ROUNDS {
            let _ = call!(SYS_munmap, at, PAGE);
            // The frame that was there may be this one now: of zeroes, and
            // nobody's but ours.
            let fresh = pages(1);
            let elsewhere = if fresh == at { pages(1) } else { fresh };
            let _ = sys::peek(elsewhere);
            sys::poke(elsewhere, 0);
            writes += u32::from((0..PAGE).step_by(64).any(|n| sys::peek(elsewhere + n) != 0));
            let _ = call!(SYS_munmap, elsewhere, PAGE);
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
            let _ = call!(SYS_mmap, at, PAGE, RW, flags, -1, 0);
        }
        writes
    })
}
