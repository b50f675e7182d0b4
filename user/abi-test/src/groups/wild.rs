//! Every call with wild pointers, lengths and descriptors: answers do not
//! matter, only that the kernel and this process's parent live.
//!
//! Each call runs in a child, so one that changes the child (closes its
//! output, unmaps its memory, raises a signal) harms nothing else, in a session of
//! its own and without root's rights, so that what is about a group or about the
//! machine is about itself or refused. Calls that end the caller, or name others,
//! have a child for each try ([`apart`]). A number the kernel does not know answers
//! ENOSYS, which is fine too.

use crate::arch::numbers as n;
use crate::call;
use crate::report::{check, line, wait_with};
use crate::sys::{self, BAD, KERNEL, NONCANONICAL};

/// The highest number of the table, and some more.
const LAST: i64 = 470;

/// Numbers that are tried by [`apart`], with some words that are not wild, or not
/// at all, with the reason.
const SKIPPED: &[i64] = &[
    // They have no arguments: `process`, `signals` and others make them.
    n::SYS_pause,
    n::SYS_fork,
    n::SYS_vfork,
    n::SYS_sync,
    // It reads the stack alone: `attacks` forges what is there.
    n::SYS_rt_sigreturn,
    // They end the caller: each time is the last of a child.
    n::SYS_exit,
    n::SYS_exit_group,
    // What they start goes on with any word for a stack.
    n::SYS_clone,
    // -1 and small numbers are processes: everybody's.
    n::SYS_kill,
    n::SYS_tkill,
    n::SYS_tgkill,
    n::SYS_rt_sigqueueinfo,
    n::SYS_rt_tgsigqueueinfo,
    // What may be asked of others is asked of nobody.
    n::SYS_ptrace,
];

const WORDS: &[usize] = &[
    0,
    1,
    BAD,
    0x7fff_ffff,
    0xffff_ffff,
    NONCANONICAL,
    KERNEL,
    0x7fff_ffff_f000,
    0x8000_0000_0000_0000,
    usize::MAX,
];

/// The cases.
pub(crate) fn run() {
    let zero = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    let _ = call!(SYS_setrlimit, libc::RLIMIT_CORE, &zero);
    // What root may do to the machine is not tried on one.
    if call!(SYS_geteuid) == Ok(0) {
        return check("tried", false);
    }
    let mut strange = 0;
    for number in 0..LAST {
        if SKIPPED.contains(&number) {
            continue;
        }
        let child = sys::fork(|| one(number));
        let end = ended(child);
        if end.is_none() {
            line(&format!("call {number}: hangs"));
            strange += 1;
        }
    }
    check("calls that hang", strange);
    check("still here", wait_with(sys::fork(|| 0), 0));
    let hanging = apart();
    check("calls apart that hang", hanging);
    check("still here", wait_with(sys::fork(|| 0), 0));
    names();
}

/// The arguments, of a process's own number and a word.
type Words = fn(usize, usize) -> [usize; 6];

/// Calls that end the caller or name others, each try in a child of its own; how
/// many hang.
fn apart() -> usize {
    let mut tries: Vec<(i64, Words)> = vec![
        (n::SYS_exit, |_, word| [word; 6]),
        (n::SYS_exit_group, |_, word| [word; 6]),
        // Whom a word names is only asked for.
        (n::SYS_kill, |_, word| [word, 0, 0, 0, 0, 0]),
        (n::SYS_kill, |own, word| [own, word, word, 0, 0, 0]),
        (n::SYS_tkill, |_, word| [word, 0, 0, 0, 0, 0]),
        (n::SYS_tkill, |own, word| [own, word, word, 0, 0, 0]),
        (n::SYS_tgkill, |own, word| [own, word, 0, 0, 0, 0]),
        (n::SYS_tgkill, |own, word| [word, own, 0, 0, 0, 0]),
        (n::SYS_tgkill, |own, word| [own, own, word, 0, 0, 0]),
        (n::SYS_rt_sigqueueinfo, |own, word| [own, 40, word, 0, 0, 0]),
        (n::SYS_rt_sigqueueinfo, |own, word| {
            [own, word, word, 0, 0, 0]
        }),
        (n::SYS_rt_tgsigqueueinfo, |own, word| {
            [own, own, 40, word, 0, 0]
        }),
        (n::SYS_rt_tgsigqueueinfo, |own, word| {
            [own, own, word, word, 0, 0]
        }),
        (n::SYS_ptrace, |_, word| {
            [word, usize::MAX, word, word, 0, 0]
        }),
        (n::SYS_ptrace, |_, word| [3, usize::MAX, word, word, 0, 0]),
    ];
    for place in 0..5 {
        tries.push((
            n::SYS_clone,
            [
                |_, word| [word, 0, 0, 0, 0, 0],
                |_, word| [libc::SIGCHLD as usize, word, 0, 0, 0, 0],
                |_, word| [THREAD, word | 16, word, word, word, 0],
                |_, word| [TIDS, 0, word, 0, 0, 0],
                |_, word| [TIDS, 0, word, word, word, 0],
            ][place],
        ));
    }
    let mut hanging = 0;
    for (number, words) in tries {
        for word in WORDS {
            let child = sys::fork(|| {
                let _ = call!(SYS_setsid);
                let own = call!(SYS_getpid).unwrap_or(0) as usize;
                // What has two ends goes on in neither of them.
                let _ = sys::raw(number, &words(own, *word));
                0
            });
            hanging += usize::from(ended(child).is_none());
        }
    }
    hanging
}

/// Flags of a thread whose stack and words are wild.
const THREAD: usize = (libc::CLONE_VM
    | libc::CLONE_FS
    | libc::CLONE_FILES
    | libc::CLONE_SIGHAND
    | libc::CLONE_THREAD
    | libc::CLONE_SETTLS
    | libc::CLONE_PARENT_SETTID
    | libc::CLONE_CHILD_SETTID
    | libc::CLONE_CHILD_CLEARTID) as usize;

/// Flags of a child whose number is written to wild places.
const TIDS: usize = (libc::CLONE_PARENT_SETTID
    | libc::CLONE_CHILD_SETTID
    | libc::CLONE_CHILD_CLEARTID
    | libc::CLONE_SETTLS
    | libc::SIGCHLD) as usize;

/// Tries one call with the same wild word everywhere, then with each word in
/// each place among zeroes and among large numbers.
fn one(number: i64) -> i32 {
    let _ = call!(SYS_setsid);
    // Whatever waits is ended by the alarm's default action.
    sys::set_disposition(libc::SIGALRM, libc::SIG_DFL);
    let alarm = || {
        let mut timer: libc::itimerval = sys::zeroed();
        timer.it_value.tv_usec = 100_000;
        let _ = call!(SYS_setitimer, libc::ITIMER_REAL, &timer, 0);
    };
    // Nothing of the caller's is in reach: 0 to 3 are /dev/null.
    let null = call!(SYS_open, c"/dev/null", libc::O_RDWR, 0).unwrap_or(0);
    for fd in 0..4 {
        let _ = call!(SYS_dup2, null, fd);
    }
    alarm();
    for word in WORDS {
        let _ = sys::raw(number, &[*word; 6]);
        for place in 0..6 {
            for other in [0_usize, 3, usize::MAX] {
                let mut words = [other; 6];
                words[place] = *word;
                let _ = sys::raw(number, &words);
            }
        }
    }
    0
}

/// How the child ended; none if it does not within a few seconds.
fn ended(child: i32) -> Option<String> {
    for _ in 0..4000 {
        let end = wait_with(child, libc::WNOHANG);
        if end != "nothing yet" {
            return Some(end);
        }
        let _ = call!(SYS_kill, child, libc::SIGCONT);
        std::thread::sleep(core::time::Duration::from_millis(1));
    }
    let _ = call!(SYS_kill, child, libc::SIGKILL);
    let _ = wait_with(child, 0);
    None
}

/// Calls whose first argument is a path or a structure: EFAULT, by name.
fn names() {
    for (name, number) in [
        ("open", n::SYS_open),
        ("stat", n::SYS_stat),
        ("lstat", n::SYS_lstat),
        ("creat", n::SYS_creat),
        ("unlink", n::SYS_unlink),
        ("mkdir", n::SYS_mkdir),
        ("rmdir", n::SYS_rmdir),
        ("chdir", n::SYS_chdir),
        ("rename", n::SYS_rename),
        ("link", n::SYS_link),
        ("symlink", n::SYS_symlink),
        ("chmod", n::SYS_chmod),
        ("chown", n::SYS_chown),
        ("lchown", n::SYS_lchown),
        ("truncate", n::SYS_truncate),
        ("access", n::SYS_access),
        ("statfs", n::SYS_statfs),
        ("execve", n::SYS_execve),
        ("mknod", n::SYS_mknod),
        ("utime", n::SYS_utime),
        ("utimes", n::SYS_utimes),
        ("uname", n::SYS_uname),
        ("sysinfo", n::SYS_sysinfo),
        ("times", n::SYS_times),
        ("pipe", n::SYS_pipe),
    ] {
        for word in [BAD, KERNEL, NONCANONICAL, usize::MAX] {
            check(name, sys::raw(number, &[word, 0, 0, 0, 0, 0]));
        }
    }
}
