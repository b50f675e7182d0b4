//! `seccomp`: what a thread may not ask any more.
//!
//! Filters cannot be taken off, so most cases are children. Whether a program
//! is one can be asked without becoming subject to it: see [`Judge`].

use core::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use libc::{sock_filter, sock_fprog};

use crate::arch;
use crate::call;
use crate::errno::Errno;
use crate::report::{check, check_child, line};
use crate::runner::SELF;
use crate::sys::{self, BAD, KERNEL, Ret};

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const ERRNO: u32 = libc::SECCOMP_RET_ERRNO;
const TRAP: u32 = libc::SECCOMP_RET_TRAP;

/// Codes of instructions.
const LOAD: u16 = 0x20;
const EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
const RETURN_A: u16 = 0x16;

/// Programs whose check is compared, and those that are run.
const CHECKED: u32 = 4000;
const RUN: u32 = 120;

fn op(code: u16, k: u32) -> sock_filter {
    branch(code, k, 0, 0)
}

fn branch(code: u16, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

/// Answers `answer` for one call, and lets all others pass.
fn about(number: i64, answer: u32) -> Vec<sock_filter> {
    vec![
        op(LOAD, 0),
        branch(EQUAL, number as u32, 0, 1),
        op(RETURN, answer),
        op(RETURN, ALLOW),
    ]
}

fn install(program: &[sock_filter], flags: u64) -> Ret {
    let program = sock_fprog {
        len: program.len() as u16,
        filter: program.as_ptr().cast_mut(),
    };
    let operation = libc::SECCOMP_SET_MODE_FILTER;
    call!(SYS_seccomp, operation, flags, &program)
}

fn no_new_privileges() -> Ret {
    call!(SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
}

/// What the kernel answered, with the number of an error that has no name here.
fn raw(answer: Ret) -> i64 {
    answer.unwrap_or_else(|Errno(number)| -i64::from(number))
}

/// The cases.
pub(crate) fn run() {
    questions();
    refused();
    strict();
    answers();
    traps();
    what_filters_see();
    inherited();
    all_threads();
    too_many();
    check_child("random programs, checked", || {
        random_checks();
        0
    });
    random_runs();
}

fn questions() {
    check("mode", call!(SYS_prctl, libc::PR_GET_SECCOMP, 0, 0, 0, 0));
    for mode in [0_u64, 3, u64::MAX] {
        check(
            &format!("set mode {mode:x}"),
            call!(SYS_prctl, libc::PR_SET_SECCOMP, mode, 0, 0, 0),
        );
    }
    for action in [
        libc::SECCOMP_RET_KILL_PROCESS,
        libc::SECCOMP_RET_KILL_THREAD,
        TRAP,
        ERRNO,
        libc::SECCOMP_RET_TRACE,
        libc::SECCOMP_RET_LOG,
        ALLOW,
        ERRNO | 1,
        0x7ffe_0000,
    ] {
        let operation = libc::SECCOMP_GET_ACTION_AVAIL;
        check(
            &format!("action {action:x}"),
            call!(SYS_seccomp, operation, 0, &action),
        );
        if action == ALLOW {
            check("with flags", call!(SYS_seccomp, operation, 1, &action));
            check("nowhere", call!(SYS_seccomp, operation, 0, BAD));
        }
    }
    check("no operation", call!(SYS_seccomp, 77, 0, 0));
    check("strict with flags", call!(SYS_seccomp, 0, 1, 0));
    check("strict with an argument", call!(SYS_seccomp, 0, 0, BAD));
    check("an unknown flag", call!(SYS_seccomp, 1, 0x100, 0));
    check("killable without listener", call!(SYS_seccomp, 1, 32, 0));
    for at in [0, BAD, KERNEL] {
        check(
            &format!("no program at {at:x}"),
            call!(SYS_seccomp, 1, 0, at),
        );
    }
}

fn refused() {
    let allow = [op(RETURN, ALLOW)];
    check("without rights", install(&allow, 0));
    let many = vec![op(RETURN, ALLOW); 4097];
    check("without rights, too long", install(&many, 0));
    check_child("refused", || {
        check("no new privileges", no_new_privileges());
        for len in [0_u16, 1, 2, 4096, 4097, u16::MAX] {
            for filter in [0, BAD, KERNEL] {
                let filter = core::ptr::without_provenance_mut(filter);
                let program = sock_fprog { len, filter };
                let answer = call!(SYS_prctl, libc::PR_SET_SECCOMP, 2, &program, 0, 0);
                check(&format!("{len} instructions nowhere"), answer);
            }
        }
        check("too long", install(&many, 0));
        check("mode", call!(SYS_prctl, libc::PR_GET_SECCOMP, 0, 0, 0, 0));
        check("the longest", install(&many[1..], 0));
        check("mode", call!(SYS_prctl, libc::PR_GET_SECCOMP, 0, 0, 0, 0));
        check("no way back", call!(SYS_seccomp, 0, 0, 0));
        0
    });
}

fn strict() {
    let enter = || call!(SYS_prctl, libc::PR_SET_SECCOMP, 1, 0, 0, 0);
    check_child("strict: write and exit", || {
        let _ = enter();
        line("  still writes");
        let _ = call!(SYS_exit, 3);
        0
    });
    check_child("strict: read", || {
        let mut ends = [0_i32; 2];
        let _ = call!(SYS_pipe2, &mut ends, 0);
        let _ = call!(SYS_write, ends[1], b"x".as_slice(), 1);
        let _ = call!(SYS_seccomp, 0, 0, 0);
        let mut byte = [0_u8];
        let got = call!(SYS_read, ends[0], &mut byte, 1);
        let _ = call!(SYS_exit, got.unwrap_or(9));
        0
    });
    check_child("strict: getpid", || {
        let _ = enter();
        let _ = call!(SYS_getpid);
        0
    });
    check_child("strict: exit_group", || {
        let _ = enter();
        sys::exit(4)
    });
    check_child("strict: a call that there is not", || {
        let _ = enter();
        let _ = sys::raw(600, &[]);
        0
    });
    check_child("strict: a handler returns", || {
        extern "C" fn take(_: i32, _: &libc::siginfo_t, _: usize) {
            SEEN.store(1, Ordering::SeqCst);
        }
        sys::on_signal(libc::SIGALRM, 0, take);
        let soon = libc::itimerval {
            it_interval: sys::zeroed(),
            it_value: libc::timeval {
                tv_sec: 0,
                tv_usec: 20_000,
            },
        };
        let _ = call!(SYS_setitimer, libc::ITIMER_REAL, &soon, 0);
        let _ = enter();
        while SEEN.load(Ordering::SeqCst) == 0 {
            core::hint::spin_loop();
        }
        let _ = call!(SYS_exit, 5);
        0
    });
}

/// A child with one filter about `getppid`, and how it ends.
fn child_about(name: &str, answer: u32, then: fn()) {
    check_child(name, || {
        let _ = no_new_privileges();
        let program = about(libc::SYS_getppid, answer);
        if let Err(error) = install(&program, 0) {
            check("install", Err::<i64, _>(error));
        }
        then();
        7
    });
}

fn answers() {
    for data in [0, 1, 38, 512, 4095, 4096, 0xffff] {
        child_about(&format!("fails with {data}"), ERRNO | data, || {
            check("getppid", raw(call!(SYS_getppid)));
            check("others", call!(SYS_getpid).is_ok());
        });
    }
    for (name, answer) in [
        ("allowed", ALLOW),
        ("logged", libc::SECCOMP_RET_LOG | 5),
        ("traced by nobody", libc::SECCOMP_RET_TRACE | 5),
        ("told to nobody", libc::SECCOMP_RET_USER_NOTIF),
        ("kills the thread", libc::SECCOMP_RET_KILL_THREAD | 5),
        ("kills the process", libc::SECCOMP_RET_KILL_PROCESS | 5),
        ("no action", 0x0001_0000),
        ("no action either", 0xffff_0000),
    ] {
        child_about(name, answer, || {
            check("getppid", call!(SYS_getppid).map(|parent| parent > 0));
        });
    }
    check_child("the number's high half does not count", || {
        let _ = no_new_privileges();
        let own = call!(SYS_getpid);
        let number = libc::SYS_getpid | 1 << 32;
        check("getpid", sys::raw(number, &[]) == own);
        let _ = install(&about(libc::SYS_getpid, ERRNO | 99), 0);
        check("getpid", raw(sys::raw(number, &[])));
        0
    });
    check_child("the strictest counts", || {
        let _ = no_new_privileges();
        for answer in [ERRNO | 1, ALLOW, ERRNO | 2, libc::SECCOMP_RET_LOG] {
            let _ = install(&about(libc::SYS_getppid, answer), 0);
        }
        check("getppid", raw(call!(SYS_getppid)));
        restrictions();
        0
    });
}

/// The lines of `status` that say how a thread is restricted.
fn restrictions() {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    for text in status.lines() {
        if text.starts_with("NoNewPrivs") || text.starts_with("Seccomp") {
            line(&format!("  {text}"));
        }
    }
}

static SEEN: AtomicI32 = AtomicI32::new(0);
static WHERE: AtomicU64 = AtomicU64::new(0);

extern "C" fn caught(signal: i32, info: &libc::siginfo_t, context: usize) {
    let at = sys::siginfo(info).addr as u64;
    WHERE.store(at, Ordering::SeqCst);
    let words = sys::siginfo(info);
    check("signal", crate::report::signal_name(signal));
    check("code", info.si_code);
    check("reason", info.si_errno);
    check("call", words.status);
    check("machine", format!("{:x}", words.value >> 32));
    check("after the call", arch::instruction(context) == at);
    check("the call's number", arch::call_number(context));
    arch::set_answer(context, 77);
}

fn traps() {
    child_about("trap", TRAP | 0xabcd, || {
        sys::on_signal(libc::SIGSYS, 0, caught);
        check("getppid", raw(call!(SYS_getppid)));
    });
    child_about("trap without handler", TRAP, || {
        let _ = call!(SYS_getppid);
    });
    child_about("trap, ignored", TRAP, || {
        sys::set_disposition(libc::SIGSYS, libc::SIG_IGN);
        let _ = call!(SYS_getppid);
    });
    child_about("trap, blocked", TRAP, || {
        sys::on_signal(libc::SIGSYS, 0, caught);
        let mask = 1_u64 << (libc::SIGSYS - 1);
        let _ = call!(SYS_rt_sigprocmask, libc::SIG_BLOCK, &mask, 0, 8);
        let _ = call!(SYS_getppid);
    });
}

fn what_filters_see() {
    check_child("words", || {
        let _ = no_new_privileges();
        // One filter for each word, about calls that there are not.
        for word in 0..16_u32 {
            let program = [
                op(LOAD, 0),
                branch(EQUAL, 1000 + word, 1, 0),
                op(RETURN, ALLOW),
                op(LOAD, word * 4),
                // What is low in the word, as an error.
                op(0x54, 0xfff),
                op(0x44, ERRNO),
                op(RETURN_A, 0),
            ];
            let _ = install(&program, 0);
        }
        let _ = install(&about(1099, TRAP), 0);
        sys::on_signal(libc::SIGSYS, 0, caught);
        // Where the instruction is, which is the same one each time.
        let _ = sys::raw(1099, &[]);
        let at = WHERE.load(Ordering::SeqCst);
        for word in 0..16_u64 {
            let arguments = [1, 2 << 32 | 3, 4 << 32, 5, 6, 7 << 32 | 8];
            let seen = raw(sys::raw(1000 + word as i64, &arguments));
            match word {
                2 => check("instruction", seen == -((at & 0xfff) as i64)),
                3 => check("its high half", seen == -((at >> 32 & 0xfff) as i64)),
                _ => check(&format!("word {word}"), seen),
            }
        }
        0
    });
}

/// The program that a filtered child executes.
pub(crate) fn role() -> i32 {
    check("getppid", raw(call!(SYS_getppid)));
    restrictions();
    0
}

fn inherited() {
    check_child("over fork and exec", || {
        let _ = no_new_privileges();
        let _ = install(&about(libc::SYS_getppid, ERRNO | 9), 0);
        check_child("a child", || {
            check("getppid", raw(call!(SYS_getppid)));
            let _ = install(&about(libc::SYS_getppid, ERRNO | 8), 0);
            super::exec::exec(SELF, &[SELF, c"--seccomp"], &[])
        });
        let thread = std::thread::spawn(|| {
            let answer = raw(call!(SYS_getppid));
            let _ = install(&about(libc::SYS_getsid, ERRNO | 7), 0);
            (answer, raw(call!(SYS_getsid, 0)))
        });
        check("a thread", thread.join().unwrap_or((0, 0)));
        check("not what it took on", call!(SYS_getsid, 0).is_ok());
        0
    });
    check_child("no new privileges are a thread's", || {
        let thread = std::thread::spawn(|| {
            let _ = no_new_privileges();
            call!(SYS_prctl, libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
        });
        check("its own", thread.join().unwrap_or(Ok(-1)));
        check(
            "the first's",
            call!(SYS_prctl, libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0),
        );
        0
    });
    check_child("a thread that is killed alone", || {
        let _ = no_new_privileges();
        let answer = libc::SECCOMP_RET_KILL_THREAD;
        let _ = install(&about(libc::SYS_getppid, answer), 0);
        let before = threads();
        std::thread::spawn(|| {
            let _ = call!(SYS_getppid);
            sys::exit(9)
        });
        while threads() != before {
            std::thread::yield_now();
        }
        check("the others live", call!(SYS_getpid).is_ok());
        6
    });
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

/// A thread of this process that does one thing, then waits for the end.
fn sibling(first: impl FnOnce() + Send + 'static) {
    let (ready, wait) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        first();
        let _ = ready.send(());
        let _ = call!(SYS_pause);
    });
    let _ = wait.recv();
}

fn all_threads() {
    let sync = libc::SECCOMP_FILTER_FLAG_TSYNC;
    let no_such = libc::SECCOMP_FILTER_FLAG_TSYNC_ESRCH;
    check_child("all threads", || {
        let (go, gone) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || {
            let _ = gone.recv();
            restrictions();
            raw(call!(SYS_getppid))
        });
        let _ = no_new_privileges();
        check("sync", install(&about(libc::SYS_getppid, ERRNO | 3), sync));
        let more = about(libc::SYS_getppid, ERRNO | 4);
        check(
            "and again",
            install(&more, sync | libc::SECCOMP_FILTER_FLAG_LOG),
        );
        drop(go);
        check("the other's", other.join().unwrap_or(0));
        0
    });
    check_child("one that cannot follow", || {
        let _ = no_new_privileges();
        static STRAY: AtomicI32 = AtomicI32::new(0);
        sibling(|| {
            let _ = install(&about(libc::SYS_getppid, ALLOW), 0);
            STRAY.store(raw(call!(SYS_gettid)) as i32, Ordering::SeqCst);
        });
        let program = about(libc::SYS_getppid, ERRNO | 3);
        let answer = install(&program, sync).map(|tid| tid as i32);
        check("which", answer == Ok(STRAY.load(Ordering::SeqCst)));
        check("no such", install(&program, sync | no_such));
        check("not installed", call!(SYS_getppid).is_ok());
        check("alone", install(&program, no_such));
        check("getppid", raw(call!(SYS_getppid)));
        0
    });
    check_child("one that is strict", || {
        let _ = no_new_privileges();
        // It writes that it is ready by itself: it may do nothing else.
        let mut ends = [0_i32; 2];
        let _ = call!(SYS_pipe2, &mut ends, 0);
        std::thread::spawn(move || {
            let _ = call!(SYS_seccomp, 0, 0, 0);
            let _ = call!(SYS_write, ends[1], b"x".as_slice(), 1);
            loop {
                core::hint::spin_loop();
            }
        });
        let mut byte = [0_u8];
        let _ = call!(SYS_read, ends[0], &mut byte, 1);
        let program = about(libc::SYS_getppid, ERRNO | 3);
        check("which", install(&program, sync).is_ok_and(|tid| tid > 0));
        0
    });
}

fn too_many() {
    check_child("too many together", || {
        let _ = no_new_privileges();
        let long = vec![op(RETURN, ALLOW); 4096];
        // How many are too many depends on what they are translated to.
        let refused = (0..9).find_map(|_| install(&long, 0).err());
        check("long ones", refused.map(|error| error.name()));
        check("a short one", install(&long[..9], 0));
        0
    });
}

/// Asks whether programs are ones, without becoming subject to them: a sibling
/// has a filter that its own are not part of, so that they are checked and then
/// refused for all threads.
struct Judge;

impl Judge {
    fn new() -> Judge {
        let _ = no_new_privileges();
        sibling(|| {
            let _ = install(&[op(RETURN, ALLOW)], 0);
        });
        Judge
    }

    fn accepts(&self, program: &[sock_filter]) -> bool {
        let flags = libc::SECCOMP_FILTER_FLAG_TSYNC | libc::SECCOMP_FILTER_FLAG_TSYNC_ESRCH;
        match install(program, flags) {
            Err(Errno(libc::ESRCH)) => true,
            Err(Errno(libc::EINVAL)) => false,
            other => {
                check("neither", other);
                false
            }
        }
    }
}

/// Numbers that are the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as u32
    }

    fn below(&mut self, limit: u32) -> u32 {
        self.next() % limit
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u32) as usize]
    }
}

/// Every code that the check lets pass, and some that it does not.
const CODES: [u16; 48] = [
    0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x0c, 0x14, 0x15, 0x16, 0x1c, 0x1d, 0x20, 0x24,
    0x25, 0x2c, 0x2d, 0x34, 0x35, 0x3c, 0x3d, 0x44, 0x45, 0x4c, 0x4d, 0x54, 0x5c, 0x60, 0x61, 0x64,
    0x6c, 0x74, 0x7c, 0x80, 0x81, 0x84, 0x87, 0xa4, 0xac, 0x94, 0x0e, 0x28, 0x30, 0x40, 0xb1, 0x0d,
];

/// A program; about two of three are accepted.
fn random_program(random: &mut Random) -> Vec<sock_filter> {
    let len = 1 + random.below(12);
    let mut program: Vec<sock_filter> = if random.below(2) == 0 {
        Vec::new()
    } else {
        (0..4).map(|place| op(0x02, place)).collect()
    };
    for _ in 0..len {
        let code = match random.below(200) {
            0 => random.next() as u16,
            1..4 => random.pick(&CODES[41..]),
            _ => random.pick(&CODES[..41]),
        };
        let k = match random.below(40) {
            0 => random.next(),
            1 => random.below(80),
            _ if code == 0x20 => random.below(16) * 4,
            _ => random.below(4),
        };
        let jumps = if random.below(30) == 0 { 9 } else { 3 };
        let (jt, jf) = (random.below(jumps) as u8, random.below(jumps) as u8);
        program.push(branch(code, k, jt, jf));
    }
    if random.below(20) > 0 {
        // What they compute, as an error.
        program.extend([op(0x54, 0xfff), op(0x44, ERRNO), op(RETURN_A, 0)]);
    }
    program
}

fn random_checks() {
    let judge = Judge::new();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for part in 0..CHECKED / 100 {
        // A letter tells of four.
        let letters: String = (0..25)
            .map(|_| {
                let bits = (0..4).fold(0_u8, |bits, _| {
                    bits << 1 | u8::from(judge.accepts(&random_program(&mut random)))
                });
                char::from(b'a' + bits)
            })
            .collect();
        line(&format!("  {part}: {letters}"));
    }
}

fn random_runs() {
    let mut random = Random(0xd1b5_4a32_d192_ed03);
    let mut left = RUN;
    while left > 0 {
        // Only about one call, and what is not accepted is told, too.
        let body = random_program(&mut random);
        let data = [random.next() as usize, random.next() as usize];
        let pid = sys::fork(|| {
            let _ = no_new_privileges();
            let mut program = vec![
                op(LOAD, 0),
                branch(EQUAL, 1000, 1, 0),
                op(RETURN, ALLOW),
                op(LOAD, 16),
                op(0x07, 0),
                op(LOAD, 24),
            ];
            program.extend(&body);
            if install(&program, 0).is_ok() {
                check("  run", raw(sys::raw(1000, &data)));
            }
            0
        });
        left -= 1;
        let ended = crate::report::wait(pid);
        if ended != "exit 0" {
            check("  ended", ended);
        }
    }
}
