//! Faults by real instructions: which signal, code and address.

use core::sync::atomic::{AtomicUsize, Ordering};

use crate::arch::{self, Fault};
use crate::call;
use crate::report::{check, check_child, line, signal_name};
use crate::sys::{self, KERNEL};

static EXPECTED: AtomicUsize = AtomicUsize::new(0);

extern "C" fn report(signal: i32, info: &libc::siginfo_t, context: usize) {
    let fields = sys::siginfo(info);
    let right = fields.addr == EXPECTED.load(Ordering::SeqCst);
    line(&format!(
        "  {} code {} address {right} {}",
        signal_name(signal),
        info.si_code,
        arch::told(context)
    ));
    sys::exit(0);
}

fn case(name: &str, address: usize, body: impl Fn()) {
    check_child(&format!("{name}, caught"), || {
        for signal in [
            libc::SIGSEGV,
            libc::SIGBUS,
            libc::SIGILL,
            libc::SIGFPE,
            libc::SIGTRAP,
        ] {
            sys::on_signal(signal, 0, report);
        }
        EXPECTED.store(address, Ordering::SeqCst);
        body();
        77
    });
    check_child(&format!("{name}, default"), || {
        for signal in [libc::SIGSEGV, libc::SIGBUS] {
            sys::set_disposition(signal, libc::SIG_DFL);
        }
        body();
        77
    });
    check_child(&format!("{name}, ignored"), || {
        for signal in [
            libc::SIGSEGV,
            libc::SIGBUS,
            libc::SIGILL,
            libc::SIGFPE,
            libc::SIGTRAP,
        ] {
            sys::set_disposition(signal, libc::SIG_IGN);
        }
        body();
        77
    });
    check_child(&format!("{name}, blocked"), || {
        for signal in [
            libc::SIGSEGV,
            libc::SIGBUS,
            libc::SIGILL,
            libc::SIGFPE,
            libc::SIGTRAP,
        ] {
            sys::on_signal(signal, 0, report);
        }
        let _ = call!(SYS_rt_sigprocmask, libc::SIG_SETMASK, &!0_u64, 0, 8);
        body();
        77
    });
}

fn map(prot: i32) -> usize {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    call!(SYS_mmap, 0, 4096, prot, flags, -1, 0).unwrap_or(0) as usize
}

/// The cases.
pub(crate) fn run() {
    let zero = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    let _ = call!(SYS_setrlimit, libc::RLIMIT_CORE, &zero);
    case("read of page zero", 0x10, || {
        sys::peek(0x10);
    });
    case("write of page zero", 0x18, || sys::poke(0x18, 1));
    case("read of the kernel's half", KERNEL, || {
        sys::peek(KERNEL);
    });
    case("non-canonical", 0, || arch::fault(Fault::NonCanonical));
    let hole = map(libc::PROT_NONE);
    case("read of PROT_NONE", hole + 5, || {
        sys::peek(hole + 5);
    });
    let readable = map(libc::PROT_READ);
    case("write of PROT_READ", readable + 9, || {
        sys::poke(readable + 9, 1)
    });
    let data = map(libc::PROT_READ | libc::PROT_WRITE);
    // Whether there is a page already is told.
    sys::poke(data, 0);
    case("run of data", data, || {
        sys::jump(data);
    });
    case("jump to page zero", 0x20, || {
        sys::jump(0x20);
    });
    let gone = map(libc::PROT_READ);
    let _ = call!(SYS_munmap, gone, 4096);
    case("read after munmap", gone, || {
        sys::peek(gone);
    });
    case("ud2", 0, || {
        // The address is the instruction's; only that it is not zero is known.
        EXPECTED.store(usize::MAX, Ordering::SeqCst);
        arch::fault(Fault::Illegal);
    });
    case("hlt", 0, || arch::fault(Fault::Privileged));
    case("int3", 0, || arch::fault(Fault::Breakpoint));
    case("division by zero", 0, || {
        EXPECTED.store(usize::MAX, Ordering::SeqCst);
        arch::fault(Fault::Divide);
    });
    let fd = call!(SYS_open, c"short", libc::O_RDWR | libc::O_CREAT, 0o644).unwrap_or(-1);
    let _ = call!(SYS_write, fd, b"hello", 5);
    let file =
        call!(SYS_mmap, 0, 8192, libc::PROT_READ, libc::MAP_PRIVATE, fd, 0).unwrap_or(0) as usize;
    check(
        "last page is zero filled",
        sys::peek(file + 5) == 0 && sys::peek(file) == b'h',
    );
    case("beyond the end of a file", file + 4096, || {
        sys::peek(file + 4096);
    });
    check_child("a handler that repairs and returns", || {
        static HOLE: AtomicUsize = AtomicUsize::new(0);
        extern "C" fn repair(_: i32, _: &libc::siginfo_t, _: usize) {
            let prot = libc::PROT_READ | libc::PROT_WRITE;
            let _ = call!(SYS_mprotect, HOLE.load(Ordering::SeqCst), 4096, prot);
        }
        HOLE.store(hole, Ordering::SeqCst);
        sys::on_signal(libc::SIGSEGV, 0, repair);
        sys::poke(hole, 42);
        i32::from(sys::peek(hole))
    });
    check_child("a fault inside the handler", || {
        extern "C" fn again(_: i32, _: &libc::siginfo_t, _: usize) {
            sys::peek(0x30);
        }
        sys::on_signal(libc::SIGSEGV, 0, again);
        sys::peek(0x20);
        0
    });
}
