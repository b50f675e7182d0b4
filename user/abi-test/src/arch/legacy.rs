//! Calls that the machine does not have, by those that it has.
//!
//! A structure that only one of the two knows is read from the caller's
//! memory, where it can be there at all; a wild pointer goes on as it is.

use super::numbers as n;
use crate::call;
use crate::sys::{Ret, direct};

const CWD: usize = libc::AT_FDCWD as usize;
const NOFOLLOW: usize = libc::AT_SYMLINK_NOFOLLOW as usize;
/// Bytes of the kernel's signal set.
const SET: usize = 8;

/// Makes the call `nr` of [`n::FIRST`] and above.
pub(super) fn call(nr: i64, words: [usize; 6]) -> Ret {
    let [a, b, c, d, e, _] = words;
    let one = |nr, words: &[usize]| {
        let at = |i: usize| words.get(i).copied().unwrap_or(0);
        direct(nr, [at(0), at(1), at(2), at(3), at(4), at(5)])
    };
    match nr {
        n::SYS_open => one(libc::SYS_openat, &[CWD, a, b, c]),
        n::SYS_creat => {
            let flags = (libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC) as usize;
            one(libc::SYS_openat, &[CWD, a, flags, b])
        }
        n::SYS_stat => one(libc::SYS_newfstatat, &[CWD, a, b, 0]),
        n::SYS_lstat => one(libc::SYS_newfstatat, &[CWD, a, b, NOFOLLOW]),
        n::SYS_access => one(libc::SYS_faccessat, &[CWD, a, b]),
        n::SYS_rename => one(libc::SYS_renameat, &[CWD, a, CWD, b]),
        n::SYS_mkdir => one(libc::SYS_mkdirat, &[CWD, a, b]),
        n::SYS_mknod => one(libc::SYS_mknodat, &[CWD, a, b, c]),
        n::SYS_rmdir => one(libc::SYS_unlinkat, &[CWD, a, libc::AT_REMOVEDIR as usize]),
        n::SYS_unlink => one(libc::SYS_unlinkat, &[CWD, a, 0]),
        n::SYS_link => one(libc::SYS_linkat, &[CWD, a, CWD, b, 0]),
        n::SYS_symlink => one(libc::SYS_symlinkat, &[a, CWD, b]),
        n::SYS_readlink => one(libc::SYS_readlinkat, &[CWD, a, b, c]),
        n::SYS_chmod => one(libc::SYS_fchmodat, &[CWD, a, b]),
        n::SYS_chown => one(libc::SYS_fchownat, &[CWD, a, b, c, 0]),
        n::SYS_lchown => one(libc::SYS_fchownat, &[CWD, a, b, c, NOFOLLOW]),
        n::SYS_pipe => one(libc::SYS_pipe2, &[a, 0]),
        // Onto itself it only says whether it is there.
        n::SYS_dup2 if a as u32 == b as u32 => {
            one(libc::SYS_fcntl, &[a, libc::F_GETFD as usize]).map(|_| i64::from(a as u32))
        }
        n::SYS_dup2 => one(libc::SYS_dup3, &[a, b, 0]),
        n::SYS_pause => one(libc::SYS_ppoll, &[0, 0, 0, 0, SET]),
        n::SYS_fork => one(libc::SYS_clone, &[libc::SIGCHLD as usize]),
        n::SYS_getpgrp => one(libc::SYS_getpgid, &[0]),
        n::SYS_epoll_create if a as i32 <= 0 => Err(crate::errno::Errno(libc::EINVAL)),
        n::SYS_epoll_create => one(libc::SYS_epoll_create1, &[0]),
        n::SYS_epoll_wait => one(libc::SYS_epoll_pwait, &[a, b, c, d, 0, SET]),
        n::SYS_signalfd => one(libc::SYS_signalfd4, &[a, b, c, 0]),
        n::SYS_eventfd => one(libc::SYS_eventfd2, &[a, 0]),
        n::SYS_alarm => alarm(a as u32),
        n::SYS_time => time(a),
        n::SYS_poll => {
            // CAST: an `int` in its register.
            let wait = c as i32;
            let limit = [i64::from(wait) / 1000, i64::from(wait) % 1000 * 1_000_000];
            match wait {
                0.. => call!(SYS_ppoll, a, b, &limit, 0, SET),
                _ => call!(SYS_ppoll, a, b, 0, 0, SET),
            }
        }
        n::SYS_select => match times::<1>(e) {
            Times::Wild => one(libc::SYS_pselect6, &[a, b, c, d, e, 0]),
            Times::None => one(libc::SYS_pselect6, &[a, b, c, d, 0, 0]),
            Times::Some(times) => {
                let [seconds, rest] = times[0];
                // More than a second's worth is more seconds.
                let mut limit = [
                    seconds.wrapping_add(rest.div_euclid(1_000_000)),
                    rest.rem_euclid(1_000_000) * 1000,
                ];
                let answer = call!(SYS_pselect6, a, b, c, d, &mut limit, 0);
                // What is left of the time.
                write_words(e, &[limit[0], limit[1] / 1000]);
                answer
            }
        },
        n::SYS_utime => match times::<1>(b) {
            // Two times of whole seconds.
            Times::Some([[access, change]]) => {
                call!(SYS_utimensat, CWD, a, &[[access, 0], [change, 0]], 0)
            }
            _ => one(libc::SYS_utimensat, &[CWD, a, b, 0]),
        },
        n::SYS_utimes => match times::<2>(b) {
            Times::Some(times) => {
                if times.iter().any(|time| !(0..1_000_000).contains(&time[1])) {
                    return Err(crate::errno::Errno(libc::EINVAL));
                }
                let times = times.map(|[seconds, rest]| [seconds, rest * 1000]);
                call!(SYS_utimensat, CWD, a, &times, 0)
            }
            _ => one(libc::SYS_utimensat, &[CWD, a, b, 0]),
        },
        _ => Err(crate::errno::Errno(libc::ENOSYS)),
    }
}

/// The seconds that were left of an earlier one, rounded as the old call does.
fn alarm(seconds: u32) -> Ret {
    let new = [0_i64, 0, i64::from(seconds), 0];
    let mut old = [0_i64; 4];
    call!(SYS_setitimer, libc::ITIMER_REAL, &new, &mut old)?;
    let rounded = old[2] + i64::from(old[3] >= 500_000);
    let some_left = old[2] == 0 && old[3] > 0;
    Ok(if some_left { 1 } else { rounded })
}

fn time(at: usize) -> Ret {
    let mut now = [0_i64; 2];
    call!(SYS_clock_gettime, libc::CLOCK_REALTIME, &mut now)?;
    if at != 0 {
        if !is_plausible(at) {
            // The kernel's word for it.
            return direct(libc::SYS_clock_gettime, [0, at, 0, 0, 0, 0]);
        }
        write_words(at, &now[..1]);
    }
    Ok(now[0])
}

/// Pairs of numbers in the caller's memory.
enum Times<const COUNT: usize> {
    None,
    /// There is no memory.
    Wild,
    Some([[i64; 2]; COUNT]),
}

fn times<const COUNT: usize>(at: usize) -> Times<COUNT> {
    match at {
        0 => Times::None,
        at if !is_plausible(at) => Times::Wild,
        at => Times::Some(core::array::from_fn(|index| {
            let pair = at + index * 16;
            [read_word(pair), read_word(pair + 8)]
        })),
    }
}

/// Whether there may be memory of this program's at an address that a case
/// gave: it is none of the wild ones.
fn is_plausible(at: usize) -> bool {
    (0x1_0000..1 << 48).contains(&at)
}

/// A word of this program's memory, for the machine's C library's part.
fn read_word(at: usize) -> i64 {
    // SAFETY: a live borrow of the case's, as it is plausible.
    unsafe { core::ptr::with_exposed_provenance::<i64>(at).read_unaligned() }
}

/// Writes words where a case borrowed memory for them.
fn write_words(at: usize, words: &[i64]) {
    for (index, word) in words.iter().enumerate() {
        let place = core::ptr::with_exposed_provenance_mut::<i64>(at + index * 8);
        // SAFETY: a live borrow of the case's, as it is plausible.
        unsafe { place.write_unaligned(*word) };
    }
}
