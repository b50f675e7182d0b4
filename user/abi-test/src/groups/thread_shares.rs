//! What threads of one process need not share: descriptors, the places that
//! paths start at, and who they are.

use core::sync::atomic::{AtomicI64, Ordering};

use crate::call;
use crate::report::{check, check_child, wait};
use crate::sys::{self, Ret};

/// What makes a thread of a process, and nothing else.
const THREAD: i32 = libc::CLONE_VM | libc::CLONE_SIGHAND | libc::CLONE_THREAD;

/// What threads answered.
static ANSWERS: [AtomicI64; 6] = [const { AtomicI64::new(0) }; 6];

fn answer(at: usize, answer: Ret) {
    let word = answer.unwrap_or_else(|error| -i64::from(error.0));
    ANSWERS[at].store(word, Ordering::SeqCst);
}

fn answers() -> String {
    let words = ANSWERS
        .each_ref()
        .map(|word| word.swap(0, Ordering::SeqCst));
    format!("{words:?}")
}

/// Runs `body` in a thread that shares what `flags` say and nothing more, to
/// its end. (It has our thread-local values too: we only look at a word.)
fn in_thread(flags: i32, body: extern "C" fn(*mut libc::c_void) -> i32) -> Ret {
    let (mut stack, mut words) = (vec![0_u64; 32768], [0, 1]);
    let at = words.as_mut_ptr().expose_provenance() + 4;
    let flags = THREAD | libc::CLONE_CHILD_CLEARTID | flags;
    let made = sys::clone_on_stack(flags, &mut stack, &mut words, body);
    if made.is_ok() {
        while sys::peek32(at) != 0 {
            let _ = call!(SYS_sched_yield);
        }
    }
    made.map(|_| 0)
}

fn is_open(fd: i32) -> Ret {
    call!(SYS_fcntl, fd, libc::F_GETFD)
}

fn open_at(fd: i32) {
    let opened = call!(SYS_open, c"/dev/null", libc::O_RDONLY).unwrap_or(-1) as i32;
    let _ = call!(SYS_dup2, opened, fd);
    let _ = call!(SYS_close, opened);
}

extern "C" fn change_files(_: *mut libc::c_void) -> i32 {
    answer(0, is_open(40));
    answer(1, call!(SYS_close, 40));
    open_at(41);
    answer(2, is_open(41));
    0
}

extern "C" fn change_places(_: *mut libc::c_void) -> i32 {
    answer(0, call!(SYS_umask, 0o123));
    answer(1, call!(SYS_chdir, c"/"));
    answer(2, call!(SYS_access, c"../self", 0));
    answer(3, call!(SYS_umask, 0o321));
    0
}

extern "C" fn unshare_files(_: *mut libc::c_void) -> i32 {
    answer(0, call!(SYS_close_range, 40, 63, 2));
    answer(1, is_open(40));
    0
}

extern "C" fn keep_for_a_while(_: *mut libc::c_void) -> i32 {
    // The one that waits has closed its own by now, or will find ours.
    let _ = call!(SYS_nanosleep, &[0_i64, 20_000_000], 0);
    0
}

extern "C" fn fork_with_files(_: *mut libc::c_void) -> i32 {
    open_at(41);
    let _ = call!(SYS_close, 40);
    let pid = match call!(SYS_fork) {
        Ok(0) => sys::exit(i32::from(is_open(40).is_ok()) + 2 * i32::from(is_open(41).is_ok())),
        Ok(pid) => pid,
        Err(_) => -1,
    };
    let mut status = 0_i32;
    answer(
        0,
        call!(SYS_wait4, pid, &mut status, 0, 0).map(|_| i64::from(status)),
    );
    0
}

extern "C" fn execute(_: *mut libc::c_void) -> i32 {
    // Of its own table: the first thread's standard output is another file.
    let _ = call!(SYS_dup2, 43, 1);
    super::exec::exec(crate::runner::SELF, &[c"self", c"--leader"], &[])
}

/// Descriptors and places.
pub(crate) fn run() {
    let (files, fs) = (libc::CLONE_FILES, libc::CLONE_FS);
    for (name, flags) in [("own", fs), ("shared", files | fs)] {
        open_at(40);
        check(
            &format!("{name} descriptors"),
            in_thread(flags, change_files),
        );
        check("  in the thread", answers());
        check("  here: closed there", is_open(40));
        check("  here: opened there", is_open(41));
        let _ = call!(SYS_close, 41);
    }
    let home = std::env::current_dir().unwrap_or_default();
    for (name, flags) in [("shared", files | fs), ("own", files)] {
        check(&format!("{name} places"), in_thread(flags, change_places));
        check("  in the thread", answers());
        check("  mask here", call!(SYS_umask, 0o22));
        let now = std::env::current_dir().unwrap_or_default();
        check("  here as before", now == home);
        let _ = std::env::set_current_dir(&home);
    }
    open_at(40);
    check("CLOSE_RANGE_UNSHARE", in_thread(files | fs, unshare_files));
    check("  in the thread", answers());
    check("  here", is_open(40));
    check("a child of such a thread", in_thread(fs, fork_with_files));
    check("  has that thread's", answers());
    pipe_until_the_end();
    let mut ends = [0_i32; 2];
    let _ = call!(SYS_pipe2, &mut ends, 0);
    let child = sys::fork(|| {
        let _ = call!(SYS_dup2, ends[1], 43);
        let _ = in_thread(fs, execute);
        1
    });
    let _ = call!(SYS_close, ends[1]);
    let mut sum = 0;
    while let Ok(read @ 1..) = call!(SYS_read, ends[0], &mut [0_u8; 256][..], 256) {
        sum += read;
    }
    check("such a thread executes", wait(child));
    check("  and prints to its own", sum > 0);
}

/// What only such a thread holds open is closed by its end.
fn pipe_until_the_end() {
    let mut ends = [0_i32; 2];
    let _ = call!(SYS_pipe2, &mut ends, 0);
    let (mut stack, mut words) = (vec![0_u64; 32768], [0, 1]);
    let at = words.as_mut_ptr().expose_provenance() + 4;
    let flags = THREAD | libc::CLONE_CHILD_CLEARTID;
    let made = sys::clone_on_stack(flags, &mut stack, &mut words, keep_for_a_while);
    let _ = call!(SYS_close, ends[1]);
    check(
        "the end of a pipe that a thread holds",
        call!(SYS_read, ends[0], &mut [0_u8; 1][..], 1),
    );
    while made.is_ok() && sys::peek32(at) != 0 {
        let _ = call!(SYS_sched_yield);
    }
    let _ = call!(SYS_close, ends[0]);
}

fn users() -> String {
    let mut ids = [0_u32; 3];
    let [real, effective, saved] = &mut ids;
    let _ = call!(SYS_getresuid, real, effective, saved);
    format!("{ids:?}")
}

fn status_users(tid: i64) -> String {
    let text = std::fs::read_to_string(format!("/proc/self/task/{tid}/status"));
    let text = text.unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("Uid:"));
    line.unwrap_or("none").to_owned()
}

/// Who a thread is, which only its own calls change. Needs root's rights.
pub(crate) fn as_root() {
    let _ = std::fs::write("secret", "x");
    let _ = call!(SYS_chmod, c"secret", 0o600);
    let thread = std::thread::spawn(|| {
        let me = call!(SYS_gettid).unwrap_or(0);
        check("setresuid in a thread", call!(SYS_setresuid, 5, 6, 7));
        check("  it is", users());
        check("  as its status says", status_users(me));
        check("setgroups is refused now", call!(SYS_setgroups, 0, 0));
        // A thread that it makes is who it is.
        let made = std::thread::spawn(users).join().unwrap_or_default();
        check("  and whom it makes", made);
        let child = sys::fork(|| i32::from(users() == "[5, 6, 7]"));
        check("  child", wait(child));
        check(
            "a signal to its own process",
            call!(SYS_tgkill, call!(SYS_getpid).unwrap_or(0), me, 0),
        );
        check(
            "a signal to another's",
            call!(SYS_kill, call!(SYS_getppid).unwrap_or(0), 0),
        );
        check("an open that only root may", {
            call!(SYS_open, c"secret", libc::O_RDONLY).map(|_| 0)
        });
    });
    let _ = thread.join();
    check("here", users());
    check(
        "an open here",
        call!(SYS_open, c"secret", libc::O_RDONLY).map(|_| 0),
    );
    let keep = || call!(SYS_prctl, libc::PR_SET_KEEPCAPS, 1, 0, 0, 0);
    let set = std::thread::spawn(keep).join();
    check("KEEPCAPS in a thread", set.is_ok());
    check(
        "  here",
        call!(SYS_prctl, libc::PR_GET_KEEPCAPS, 0, 0, 0, 0),
    );
    check_child("the first thread is somebody else, others are not", || {
        let (tell, told) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            let _ = told.recv();
            users()
        });
        let _ = call!(SYS_setresuid, 9, 9, 9);
        drop(tell);
        check("  other", thread.join().unwrap_or_default());
        check("  first", users());
        0
    });
    check_child("a thread that is somebody else executes", || {
        let _ = std::thread::spawn(|| {
            let _ = call!(SYS_setresuid, 9, 9, 9);
            super::exec::exec(crate::runner::SELF, &[c"self", c"--users"], &[])
        })
        .join();
        1
    });
}

/// Prints who this process is: for [`as_root`].
pub(crate) fn role() -> i32 {
    check("  it is", users());
    check(
        "  as its status says",
        status_users(call!(SYS_getpid).unwrap_or(0)),
    );
    0
}
