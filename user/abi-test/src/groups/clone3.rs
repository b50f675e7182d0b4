//! `clone3`, flags that contradict each other, shared signal actions, and what
//! becomes of a thread that calls `execve`.

use core::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use crate::errno::Errno;
use crate::report::{check, check_child, wait, wait_with};
use crate::sleeper::{Sleeper, at};
use crate::sys::{self, BAD, KERNEL, Ret};
use crate::{arch, call};

/// `struct clone_args`, as words.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct Args {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
    more: [u64; 5],
}

const SIZE: usize = 88;

fn fork_like() -> Args {
    Args {
        exit_signal: libc::SIGCHLD as u64,
        ..Args::default()
    }
}

/// Makes the call; a child that comes to be leaves with 7, and its end is the
/// answer.
fn clone3(args: &Args, size: usize) -> String {
    told(call!(SYS_clone3, args, size))
}

fn told(answer: Ret) -> String {
    match answer {
        Ok(0) => sys::exit(7),
        Ok(pid) => wait_with(pid as i32, libc::__WALL),
        Err(error) => error.name().to_owned(),
    }
}

/// What only root may ask for: a number that others may have.
pub(crate) fn as_root() {
    numbers_of_sessions();
    rivals();
}

/// Several processes want the same number at the same time: one gets it.
fn rivals() {
    const RIVALS: usize = 4;
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
    let page = call!(SYS_mmap, 0, 4096, prot, flags, -1, 0).unwrap_or(0) as usize;
    // Bytes of the page: who is ready, and who has tried.
    let set = |at: usize, rival: usize| sys::poke(page + at + rival, 1);
    let await_all = |at: usize| {
        while (0..RIVALS).any(|rival| sys::peek(page + at + rival) == 0) {
            core::hint::spin_loop();
        }
    };
    // Numbers that nobody is given in the meantime: they go upwards, and begin
    // again at 300.
    let from = if call!(SYS_getpid).is_ok_and(|pid| pid > 1000) {
        299
    } else {
        30_000
    };
    let is_free = |pid: &i32| call!(SYS_kill, *pid, 0) == Err(Errno(libc::ESRCH));
    let number = (2..from).rev().find(is_free).unwrap_or(0) as u64;
    let wanted = core::ptr::from_ref(&number).expose_provenance() as u64;
    let args = Args {
        set_tid: wanted,
        set_tid_size: 1,
        ..fork_like()
    };
    let (mut children, mut refused) = (0, 0);
    for _ in 0..50 {
        (0..2 * RIVALS).for_each(|at| sys::poke(page + at, 0));
        let rivals = core::array::from_fn::<_, RIVALS, _>(|rival| {
            sys::fork(|| {
                set(0, rival);
                await_all(0);
                let answer = call!(SYS_clone3, &args, SIZE);
                if answer == Ok(0) {
                    sys::exit(7);
                }
                // The number is not free before all have tried.
                set(RIVALS, rival);
                await_all(RIVALS);
                match answer {
                    Ok(pid) => wait_with(pid as i32, libc::__WALL).len() as i32,
                    Err(Errno(libc::EEXIST)) => 0,
                    Err(Errno(other)) => 100 + other,
                }
            })
        });
        for rival in rivals {
            match wait(rival).as_str() {
                "exit 0" => refused += 1,
                "exit 6" => children += 1,
                other => check("neither", other),
            }
        }
    }
    check("children and refusals", (children, refused));
}

/// A session's number is not free while the session has anybody, be its leader
/// and its leader's group gone.
fn numbers_of_sessions() {
    let _ = call!(SYS_prctl, libc::PR_SET_CHILD_SUBREAPER, 1);
    let mut ends = [0_i32; 2];
    let _ = call!(SYS_pipe2, &mut ends, libc::O_CLOEXEC);
    let [read, write] = ends;
    let mut ready = [0_i32; 2];
    let _ = call!(SYS_pipe2, &mut ready, libc::O_CLOEXEC);
    let leader = sys::fork(|| {
        let _ = call!(SYS_setsid);
        sys::fork(|| {
            let _ = call!(SYS_setpgid, 0, 0);
            let _ = call!(SYS_close, write);
            let _ = call!(SYS_write, ready[1], &[1_u8], 1);
            let _ = call!(SYS_read, read, &mut [0_u8], 1);
            3
        });
        let _ = call!(SYS_read, ready[0], &mut [0_u8], 1);
        0
    });
    check("the leader", wait(leader));
    check("its group", call!(SYS_kill, -leader, 0));
    let number = leader as u64;
    let args = Args {
        set_tid: core::ptr::from_ref(&number).expose_provenance() as u64,
        set_tid_size: 1,
        ..fork_like()
    };
    check("a session's number", clone3(&args, SIZE));
    let _ = call!(SYS_close, write);
    check("its member", wait(-1));
    check("a number that was a session's", clone3(&args, SIZE));
    for end in [read, ready[0], ready[1]] {
        let _ = call!(SYS_close, end);
    }
    let _ = call!(SYS_prctl, libc::PR_SET_CHILD_SUBREAPER, 0);
}

/// The cases.
pub(crate) fn run() {
    sizes();
    contradictions();
    if let Some(set_base) = arch::SET_BASE {
        thread_pointers(set_base);
    }
    numbers();
    words();
    actions();
}

fn sizes() {
    let mut args = fork_like();
    for size in [0, 63, 64, 80, 88, 96, 128, 4097] {
        check(&format!("size {size}"), clone3(&args, size));
    }
    args.more[2] = 1;
    check("more than is known, zero", clone3(&args, 104));
    check("more than is known, not zero", clone3(&args, 112));
    check("null", call!(SYS_clone3, 0, SIZE));
    check("bad address", call!(SYS_clone3, BAD, SIZE));
    check("the kernel's address", call!(SYS_clone3, KERNEL, SIZE));
}

/// Where a thread's own data begins goes into a register that takes no address
/// of the kernel's half, and faults with one that is none at all.
fn thread_pointers(set_base: i64) {
    const SET_GS: usize = 0x1001;
    const SET_FS: usize = 0x1002;
    for at in [sys::NONCANONICAL, 1 << 47, KERNEL, usize::MAX] {
        let args = Args {
            flags: libc::CLONE_SETTLS as u64,
            tls: at as u64,
            ..fork_like()
        };
        check(&format!("SETTLS {at:x}"), clone3(&args, SIZE));
        for operation in [SET_GS, SET_FS] {
            let answer = sys::raw(set_base, &[operation, at]);
            check(&format!("arch_prctl {operation:x} {at:x}"), answer);
        }
    }
}

fn contradictions() {
    let flags = |flags: u64| Args {
        flags,
        ..fork_like()
    };
    let vm = libc::CLONE_VM as u64;
    let sighand = libc::CLONE_SIGHAND as u64;
    let thread = libc::CLONE_THREAD as u64;
    let parent = libc::CLONE_PARENT as u64;
    for (name, args) in [
        ("SIGHAND", flags(sighand)),
        ("THREAD", flags(thread)),
        ("THREAD VM", flags(thread | vm)),
        ("THREAD SIGHAND", flags(thread | sighand)),
        (
            "THREAD SIGHAND VM with an exit signal",
            flags(thread | sighand | vm),
        ),
        ("PARENT with an exit signal", flags(parent)),
        ("SIGHAND VM CLEAR_SIGHAND", flags(sighand | vm | 1 << 32)),
        ("DETACHED", flags(libc::CLONE_DETACHED as u64)),
        ("an exit signal in the flags", flags(17)),
        ("an unknown flag", flags(1 << 40)),
        ("the highest flag", flags(1 << 63)),
        (
            "NEWNS FS",
            flags(libc::CLONE_NEWNS as u64 | libc::CLONE_FS as u64),
        ),
        (
            "NEWUSER FS",
            flags(libc::CLONE_NEWUSER as u64 | libc::CLONE_FS as u64),
        ),
        ("NEWUTS", flags(libc::CLONE_NEWUTS as u64)),
        (
            "NEWPID THREAD SIGHAND VM",
            Args {
                flags: libc::CLONE_NEWPID as u64 | thread | sighand | vm,
                ..Args::default()
            },
        ),
    ] {
        check(name, clone3(&args, SIZE));
    }
    let stack = |stack: u64, stack_size: u64| Args {
        stack,
        stack_size,
        ..fork_like()
    };
    check(
        "a stack without a size",
        clone3(&stack(BAD as u64, 0), SIZE),
    );
    check("a size without a stack", clone3(&stack(0, 4096), SIZE));
    check(
        "a stack in the kernel",
        clone3(&stack(KERNEL as u64, 4096), SIZE),
    );
    check("a stack that wraps", clone3(&stack(4096, u64::MAX), SIZE));
    for signal in [65, 256, 1 << 32] {
        let args = Args {
            exit_signal: signal,
            ..Args::default()
        };
        check(&format!("exit signal {signal}"), clone3(&args, SIZE));
    }
    // The old call has no such rules about its signal and its unused bits.
    let old = |flags: u64| told(call!(SYS_clone, flags, 0, 0, 0, 0));
    check("clone, exit signal 200", old(200));
    check("clone, DETACHED", old(libc::CLONE_DETACHED as u64 | 17));
    check("clone, flags above 32 bits", old(1 << 40 | 17));
    check(
        "clone, NEWNS FS",
        old(libc::CLONE_NEWNS as u64 | libc::CLONE_FS as u64 | 17),
    );
    check("clone, THREAD VM", old(thread | vm));
    check("clone, IO UNTRACED", old(0x8080_0000 | 17));
}

fn numbers() {
    let wanted = [1_u32, 1];
    let number = |set_tid: u64, set_tid_size: u64| Args {
        set_tid,
        set_tid_size,
        ..fork_like()
    };
    let list = wanted.as_ptr().expose_provenance() as u64;
    check("a number, no size", clone3(&number(list, 0), SIZE));
    check("a size, no number", clone3(&number(0, 1), SIZE));
    check("33 numbers", clone3(&number(list, 33), SIZE));
    check("bad numbers", clone3(&number(BAD as u64, 1), SIZE));
    check("without the right to", clone3(&number(list, 1), SIZE));
    let zero = [0_u32];
    let list = zero.as_ptr().expose_provenance() as u64;
    check("number 0", clone3(&number(list, 1), SIZE));
}

fn words() {
    static PARENT: AtomicU32 = AtomicU32::new(0);
    static CHILD: AtomicU32 = AtomicU32::new(0);
    let args = Args {
        flags: (libc::CLONE_PARENT_SETTID | libc::CLONE_CHILD_SETTID) as u64,
        parent_tid: at(&PARENT) as u64,
        child_tid: at(&CHILD) as u64,
        ..fork_like()
    };
    match call!(SYS_clone3, &args, SIZE) {
        Ok(0) => {
            let own = call!(SYS_getpid).unwrap_or(0) as u32;
            let right = CHILD.load(Ordering::SeqCst) == own;
            sys::exit(i32::from(right))
        }
        Ok(pid) => {
            check(
                "PARENT_SETTID",
                i64::from(PARENT.load(Ordering::SeqCst)) == pid,
            );
            check("CHILD_SETTID", wait(pid as i32));
            check("not here", CHILD.load(Ordering::SeqCst));
        }
        Err(error) => check("clone3", Err::<i64, _>(error)),
    }
    let bad = Args {
        parent_tid: BAD as u64,
        child_tid: BAD as u64,
        ..args
    };
    check("both at bad addresses", clone3(&bad, SIZE));
    check("set_tid_address at a bad address", {
        let answer = call!(SYS_set_tid_address, BAD);
        answer == call!(SYS_gettid)
    });
    let _ = call!(SYS_set_tid_address, 0);
}

static TAKEN: AtomicI32 = AtomicI32::new(0);

extern "C" fn take(_: i32, _: &libc::siginfo_t, _: usize) {
    TAKEN.fetch_add(1, Ordering::SeqCst);
}

extern "C" fn catch_usr1(_: *mut libc::c_void) -> i32 {
    sys::on_signal(libc::SIGUSR1, 0, take);
    0
}

extern "C" fn exec_self(_: *mut libc::c_void) -> i32 {
    super::exec::exec(crate::runner::SELF, &[c"self", c"--exit", c"5"], &[])
}

/// What `SIGUSR1` does: sent to ourselves.
fn what_usr1_does() -> String {
    let child = || {
        let me = call!(SYS_getpid).unwrap_or(0);
        let before = TAKEN.load(Ordering::SeqCst);
        let _ = call!(SYS_kill, me, libc::SIGUSR1);
        TAKEN.load(Ordering::SeqCst) - before
    };
    wait(sys::fork(child))
}

fn actions() {
    let mut stack = vec![0_u64; 8192];
    let mut run = |flags: i32, body: extern "C" fn(*mut libc::c_void) -> i32| {
        let answer = sys::clone_on_stack(flags, &mut stack, &mut [0, 0], body);
        answer.map(|pid| wait(pid as i32))
    };
    sys::set_disposition(libc::SIGUSR1, libc::SIG_IGN);
    check("ignored", what_usr1_does());
    let vm = libc::CLONE_VM | libc::SIGCHLD;
    check("a child of its own sets a handler", run(vm, catch_usr1));
    check("ignored as before", what_usr1_does());
    let shared = vm | libc::CLONE_SIGHAND;
    check(
        "a child that shares sets a handler",
        run(shared, catch_usr1),
    );
    check("it is ours too", what_usr1_does());
    check("a child that shares executes", run(shared, exec_self));
    check("ours stays", what_usr1_does());
    sys::set_disposition(libc::SIGUSR2, libc::SIG_IGN);
    for (name, flags) in [("as they are", 0), ("CLEAR_SIGHAND", 1_u64 << 32)] {
        let args = Args {
            flags,
            ..fork_like()
        };
        match call!(SYS_clone3, &args, SIZE) {
            Ok(0) => {
                let mut seen = 0;
                for (bit, signal) in [(1, libc::SIGUSR1), (4, libc::SIGUSR2)] {
                    let mut action = [0_u64; 4];
                    let _ = call!(SYS_rt_sigaction, signal, 0, &mut action, 8);
                    seen += bit * action[0].min(2) as i32;
                }
                sys::exit(seen)
            }
            Ok(pid) => check(name, wait(pid as i32)),
            Err(error) => check(name, Err::<i64, _>(error)),
        }
    }
    sys::set_disposition(libc::SIGUSR1, libc::SIG_DFL);
}

/// Threads and `execve`, `exit` and signals: who is left under which number.
pub(crate) fn leaders() {
    let exec = || super::exec::exec(crate::runner::SELF, &[c"self", c"--leader"], &[]);
    check_child("exec from the first thread", || {
        let _others: Vec<Sleeper> = (0..3).map(|_| Sleeper::new(|| call!(SYS_pause))).collect();
        exec()
    });
    check_child("exec from another thread", move || {
        let _others: Vec<Sleeper> = (0..3).map(|_| Sleeper::new(|| call!(SYS_pause))).collect();
        let _ = std::thread::spawn(exec).join();
        1
    });
    check_child("exec after the first thread's end", move || {
        let first = call!(SYS_gettid).unwrap_or(0) as i32;
        std::thread::spawn(move || {
            while crate::sleeper::is_alive(first) {
                std::thread::yield_now();
            }
            exec()
        });
        let _ = call!(SYS_exit, 1);
        2
    });
    check_child("exec from two threads at once", move || {
        let _one = std::thread::spawn(exec);
        exec()
    });
    check_child(
        "a signal to the process after the first thread's end",
        || {
            let first = call!(SYS_gettid).unwrap_or(0) as i32;
            sys::on_signal(libc::SIGUSR1, 0, take);
            std::thread::spawn(move || {
                while crate::sleeper::is_alive(first) {
                    std::thread::yield_now();
                }
                let _ = call!(SYS_kill, call!(SYS_getpid).unwrap_or(0), libc::SIGUSR1);
                let _ = call!(SYS_exit_group, 10 + TAKEN.load(Ordering::SeqCst));
            });
            let _ = call!(SYS_exit, 1);
            2
        },
    );
    check_child("the last thread's exit code is not the process's", || {
        let first = call!(SYS_gettid).unwrap_or(0) as i32;
        std::thread::spawn(move || {
            while crate::sleeper::is_alive(first) {
                std::thread::yield_now();
            }
            let _ = call!(SYS_exit, 9);
        });
        let _ = call!(SYS_exit, 4);
        2
    });
    check_child("a wait for a process whose first thread has ended", || {
        let child = sys::fork(|| {
            let first = call!(SYS_gettid).unwrap_or(0) as i32;
            std::thread::spawn(move || {
                while crate::sleeper::is_alive(first) {
                    std::thread::yield_now();
                }
                let _ = call!(SYS_kill, call!(SYS_getpid).unwrap_or(0), libc::SIGSTOP);
                let _ = call!(SYS_exit_group, 6);
            });
            let _ = call!(SYS_exit, 4);
            2
        });
        let mut status = 0_i32;
        let _ = call!(SYS_wait4, child, &mut status, libc::WUNTRACED, 0);
        check("stopped", libc::WIFSTOPPED(status));
        check("not ended", call!(SYS_wait4, child, 0, libc::WNOHANG, 0));
        let _ = call!(SYS_kill, child, libc::SIGCONT);
        check("ended", wait(child));
        0
    });
    check_child("limits: no more threads", || {
        let limit = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        let _ = call!(SYS_setrlimit, libc::RLIMIT_NPROC, &limit);
        let refused = std::thread::Builder::new().spawn(|| ());
        let error = refused.err().and_then(|error| error.raw_os_error());
        check("a thread", Errno(error.unwrap_or(0)).name());
        check("clone3", clone3(&fork_like(), SIZE));
        check("fork", told(call!(SYS_fork)));
        0
    });
}
