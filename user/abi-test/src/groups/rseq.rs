//! `rseq`, `membarrier` and `getcpu`: what a thread knows of its processor and
//! what others may make of it.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::arch;
use crate::call;
use crate::report::{check, check_child};
use crate::sys::{self, BAD, KERNEL, Ret, RseqArea};

const SIGNATURE: u32 = arch::RSEQ_SIGNATURE;

/// The cases: glibc's own registration stands.
pub(crate) fn run() {
    let mut area = RseqArea::new();
    check("another area", register(&mut area, 32, 0, SIGNATURE));
    // The rest wants a thread that is not registered yet.
    let tunable = c"GLIBC_TUNABLES=glibc.pthread.rseq=0";
    check_child("without glibc's", || {
        super::exec::exec(crate::runner::SELF, &[c"self", c"--rseq"], &[tunable])
    });
    membarrier();
    getcpu();
}

fn register(area: &mut RseqArea, len: u32, flags: i32, signature: u32) -> Ret {
    let at = area.address();
    call!(SYS_rseq, at, len, flags, signature)
}

/// The cases of a program whose threads are not registered.
pub(crate) fn role() -> i32 {
    let mut area = RseqArea::new();
    let at = area.address();
    // (What of a length that reaches past the address space depends on where
    // the stack happens to be.)
    for len in [0, 28, 31, 33, 64] {
        let answer = register(&mut area, len, 0, SIGNATURE);
        check(&format!("length {len}"), answer);
        if answer.is_ok() {
            let _ = register(&mut area, len, 1, SIGNATURE);
        }
    }
    check("flags 2", register(&mut area, 32, 2, SIGNATURE));
    check("not registered", register(&mut area, 32, 1, SIGNATURE));
    check("misaligned", call!(SYS_rseq, at + 16, 32, 0, SIGNATURE));
    check("null", call!(SYS_rseq, 0, 32, 0, SIGNATURE));
    check("bad address", call!(SYS_rseq, BAD & !31, 32, 0, SIGNATURE));
    check(
        "the kernel's address",
        call!(SYS_rseq, KERNEL, 32, 0, SIGNATURE),
    );
    area.words[2] = 77;
    check("register", register(&mut area, 32, 0, SIGNATURE));
    check("names no section", area.read(2));
    let cpu = current();
    check("its processor", area.read(1) == cpu);
    check("where to start", area.read(0) == cpu);
    check("its node", area.read(5));
    check("its number among those that run", area.read(6) < 4096);
    check("again", register(&mut area, 32, 0, SIGNATURE));
    check("with another signature", register(&mut area, 32, 0, 1));
    check("with another length", register(&mut area, 64, 0, SIGNATURE));
    check("elsewhere", call!(SYS_rseq, at + 32, 32, 0, SIGNATURE));
    check(
        "unregister with another signature",
        register(&mut area, 32, 1, 1),
    );
    check(
        "unregister with flags",
        register(&mut area, 32, 3, SIGNATURE),
    );
    check_child("a fork keeps it", || {
        check("register", register(&mut area, 32, 0, SIGNATURE));
        i32::from(area.read(1) == current())
    });
    let thread = std::thread::spawn(move || call!(SYS_rseq, at, 32, 0, SIGNATURE));
    check("a thread has its own", thread.join().unwrap_or(Ok(-1)));
    sections(&mut area);
    check("unregister", register(&mut area, 32, 1, SIGNATURE));
    check("no processor", area.read(1));
    check("unregister again", register(&mut area, 32, 1, SIGNATURE));
    check_child("an area that goes away", || {
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let at = call!(SYS_mmap, 0, 4096, prot, flags, -1, 0).unwrap_or(0) as usize;
        check("register", call!(SYS_rseq, at, 32, 0, SIGNATURE));
        sys::set_disposition(libc::SIGSEGV, libc::SIG_DFL);
        sys::on_signal(libc::SIGUSR1, 0, take);
        let _ = call!(SYS_munmap, at, 4096);
        let _ = call!(SYS_kill, call!(SYS_getpid).unwrap_or(0), libc::SIGUSR1);
        3
    });
    0
}

fn current() -> u32 {
    let mut cpu = u32::MAX;
    let _ = call!(SYS_getcpu, &mut cpu, 0, 0);
    cpu
}

static TAKEN: AtomicU64 = AtomicU64::new(0);

extern "C" fn take(_: i32, _: &libc::siginfo_t, _: usize) {
    TAKEN.fetch_add(1, Ordering::SeqCst);
}

fn sections(area: &mut RseqArea) {
    sys::on_signal(libc::SIGALRM, 0, take);
    let soon = libc::itimerval {
        it_interval: sys::zeroed(),
        it_value: libc::timeval {
            tv_sec: 0,
            tv_usec: 20_000,
        },
    };
    let _ = call!(SYS_setitimer, libc::ITIMER_REAL, &soon, 0);
    // It has no end of its own: what ends it is the signal, or another
    // thread's turn on the processor.
    arch::spin_in_section(area);
    check("an endless section was aborted", true);
    check("it is named no more", area.read(2) + area.read(3));
    for (name, change) in [
        ("version 1", Bad::Version),
        ("flags", Bad::Flags),
        ("an abort address inside", Bad::Abort),
        ("another signature", Bad::Signature),
        ("a length that wraps", Bad::Length),
        ("an address in the kernel", Bad::Start),
        ("a section that is not there", Bad::Missing),
    ] {
        check_child(name, || {
            sys::set_disposition(libc::SIGSEGV, libc::SIG_DFL);
            sys::on_signal(libc::SIGUSR1, 0, take);
            change.name_in(area);
            let _ = call!(SYS_kill, call!(SYS_getpid).unwrap_or(0), libc::SIGUSR1);
            i32::from(area.read(2) == 0)
        });
    }
}

/// What is wrong with a section.
#[derive(Clone, Copy)]
enum Bad {
    Version,
    Flags,
    Abort,
    Signature,
    Length,
    Start,
    Missing,
}

impl Bad {
    fn name_in(self, area: &mut RseqArea) {
        // Some code, with the signature in front of where it would go on.
        static CODE: [u32; 8] = [0, 0, 0, 0, 0, 0, SIGNATURE, 0];
        let code = CODE.as_ptr().expose_provenance() as u64;
        let mut section = [0, code, 8, code + 28];
        match self {
            Bad::Version => section[0] = 1,
            Bad::Flags => section[0] = 1 << 32,
            Bad::Abort => section[3] = code + 4,
            Bad::Signature => section[3] = code + 24,
            Bad::Length => section[2] = u64::MAX,
            Bad::Start => section[1] = KERNEL as u64,
            Bad::Missing => {}
        }
        let at = match self {
            Bad::Missing => BAD as u64,
            _ => Box::leak(Box::new(section)).as_ptr().expose_provenance() as u64,
        };
        area.name(at);
    }
}

fn membarrier() {
    let barrier = |command: i32, flags: u32| call!(SYS_membarrier, command, flags, 0);
    check("query", barrier(0, 0));
    check("query with flags", barrier(0, 1));
    check_child("in a process of its own", || {
        check("registrations", barrier(512, 0));
        for bit in [1, 2, 8, 32, 128] {
            check(
                &format!("command {bit} before it is registered"),
                barrier(bit, 0),
            );
        }
        for bit in [4, 16, 64, 256] {
            check(&format!("register {bit}"), barrier(bit, 0));
        }
        for bit in [1, 2, 8, 32, 128] {
            check(&format!("command {bit}"), barrier(bit, 0));
        }
        check("registrations", barrier(512, 0));
        check("for one processor", barrier(128, 1));
        check("for one processor, not so", barrier(8, 1));
        check("flags 2", barrier(128, 2));
        check("two commands", barrier(24, 0));
        check("unknown", barrier(1 << 10, 0));
        check("negative", barrier(-1, 0));
        let thread =
            std::thread::spawn(move || (0..100).filter(|_| barrier(8, 0) == Ok(0)).count());
        check(
            "from here",
            (0..100).filter(|_| barrier(8, 0) == Ok(0)).count(),
        );
        check("and there", thread.join().unwrap_or(0));
        0
    });
}

fn getcpu() {
    let (mut cpu, mut node) = (u32::MAX, u32::MAX);
    check("getcpu", call!(SYS_getcpu, &mut cpu, &mut node, 0));
    check("a processor", cpu < 4096);
    check("its node", node);
    check("nothing asked", call!(SYS_getcpu, 0, 0, 0));
    check("bad cpu", call!(SYS_getcpu, BAD, 0, 0));
    check("bad node", call!(SYS_getcpu, 0, BAD, 0));
    check("a cache is not looked at", call!(SYS_getcpu, 0, 0, BAD));
}
