//! Every call with wild pointers, lengths and descriptors: answers do not
//! matter, only that the kernel and this process's parent live.
//!
//! Each call runs in a child, so one that changes the child (closes its
//! output, unmaps its memory, raises a signal) harms nothing else. Calls that
//! end, stop or pause the caller, or that act on the whole machine, are left
//! out. A number the kernel does not know answers ENOSYS, which is fine too.

use crate::call;
use crate::report::{check, line, wait_with};
use crate::sys::{self, BAD, KERNEL, NONCANONICAL};

/// The highest number of the table, and some more.
const LAST: i64 = 470;

/// Numbers that are not tried, with the reason.
const SKIPPED: &[i64] = &[
    // They end, stop or pause the caller by design.
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_pause,
    libc::SYS_rt_sigsuspend,
    libc::SYS_rt_sigreturn,
    // Another process answers for what they start.
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_clone,
    libc::SYS_clone3,
    // -1 and small numbers are processes: everybody's.
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_tgkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_pidfd_send_signal,
    libc::SYS_ptrace,
    // The whole machine's.
    libc::SYS_reboot,
    libc::SYS_vhangup,
    libc::SYS_sync,
    libc::SYS_syslog,
    libc::SYS_setpriority,
    libc::SYS_ioprio_set,
    libc::SYS_sched_setaffinity,
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
    names();
}

/// Tries one call with the same wild word everywhere, then with each word in
/// each place among zeroes and among large numbers.
fn one(number: i64) -> i32 {
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
        ("open", libc::SYS_open),
        ("stat", libc::SYS_stat),
        ("lstat", libc::SYS_lstat),
        ("creat", libc::SYS_creat),
        ("unlink", libc::SYS_unlink),
        ("mkdir", libc::SYS_mkdir),
        ("rmdir", libc::SYS_rmdir),
        ("chdir", libc::SYS_chdir),
        ("rename", libc::SYS_rename),
        ("link", libc::SYS_link),
        ("symlink", libc::SYS_symlink),
        ("chmod", libc::SYS_chmod),
        ("chown", libc::SYS_chown),
        ("lchown", libc::SYS_lchown),
        ("truncate", libc::SYS_truncate),
        ("access", libc::SYS_access),
        ("statfs", libc::SYS_statfs),
        ("execve", libc::SYS_execve),
        ("mknod", libc::SYS_mknod),
        ("utime", libc::SYS_utime),
        ("utimes", libc::SYS_utimes),
        ("uname", libc::SYS_uname),
        ("sysinfo", libc::SYS_sysinfo),
        ("times", libc::SYS_times),
        ("pipe", libc::SYS_pipe),
    ] {
        for word in [BAD, KERNEL, NONCANONICAL, usize::MAX] {
            check(name, sys::raw(number, &[word, 0, 0, 0, 0, 0]));
        }
    }
}
