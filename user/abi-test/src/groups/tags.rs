//! Addresses with tags: AArch64's top byte, which system calls take from threads
//! that asked for it, and calls about mappings from all.

use super::exec::exec;
use super::memory::fresh;
use crate::arch;
use crate::call;
use crate::report::{check, check_child};
use crate::runner::SELF;
use crate::sys::{self, ANON, Arg, PAGE, RW};

const SET: i32 = 55;
/// `PR_GET_TAGGED_ADDR_CTRL`.
pub(super) const GET: i32 = 56;

/// A pointer's tag.
const TAG: usize = 0x5a << 56;

fn set(on: u64) -> sys::Ret {
    call!(SYS_prctl, SET, on, 0, 0, 0)
}

fn get() -> sys::Ret {
    call!(SYS_prctl, GET, 0, 0, 0, 0)
}

/// The cases.
pub(crate) fn run() {
    check("get", get());
    check("bad get", call!(SYS_prctl, GET, 1, 0, 0, 0));
    check("bad get", call!(SYS_prctl, GET, 0, 0, 0, 1));
    check("bad set", call!(SYS_prctl, SET, 1, 1, 0, 0));
    check("unknown", set(1 << 40));
    check("checks of tags", set(3));
    if !arch::HAS_MARKS {
        check("set", set(1));
        return;
    }
    mappings();
    check("off", ());
    calls();
    check("set", set(1));
    check("get", get());
    calls();
    waits();
    check_child("a child", || {
        check("  get", get());
        check("  off", set(0));
        calls();
        0
    });
    check("get", get());
    check_child("a program", || exec(SELF, &[SELF, c"--keys"], &[]));
    check("off", set(0));
    check("get", get());
    check("path", call!(SYS_access, Arg::word(c"/") | TAG, 0));
}

/// Calls about mappings take tags without being asked to.
fn mappings() {
    let at = fresh(4) | TAG;
    let mut residence = [0_u8; 4];
    check("mprotect", call!(SYS_mprotect, at, PAGE, libc::PROT_READ));
    check("mprotect", call!(SYS_mprotect, at, PAGE, RW));
    check("madvise", call!(SYS_madvise, at, PAGE, libc::MADV_DONTNEED));
    check("mincore", call!(SYS_mincore, at, PAGE, &mut residence));
    check("msync", call!(SYS_msync, at, PAGE, libc::MS_SYNC));
    check("mlock", call!(SYS_mlock, at, PAGE));
    check("mlock2", call!(SYS_mlock2, at, PAGE, 1));
    check("munlock", call!(SYS_munlock, at, PAGE));
    let shrunk = call!(SYS_mremap, at, 4 * PAGE, 3 * PAGE, 0, 0);
    check("mremap", shrunk == Ok((at & !TAG) as i64));
    let to = fresh(1) | TAG;
    let how = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
    check("mremap to", call!(SYS_mremap, at, PAGE, PAGE, how, to));
    check("munmap", call!(SYS_munmap, at, 3 * PAGE));
    let fixed = call!(SYS_mmap, to, PAGE, RW, ANON | libc::MAP_FIXED, -1, 0);
    check("mmap", fixed);
    check("the kernel's", call!(SYS_munmap, at | 1 << 55, PAGE));
}

/// Calls that copy from and to memory with tags.
fn calls() {
    let at = fresh(2);
    let tagged = at | TAG;
    let mut ends = [0_i32; 2];
    check("pipe2", call!(SYS_pipe2, Arg::word(&mut ends) | TAG, 0));
    let _ = call!(SYS_pipe2, &mut ends, 0);
    let [from, to] = ends;
    // A page that is not there yet.
    check("write", call!(SYS_write, to, tagged, 5));
    check("read", call!(SYS_read, from, tagged + PAGE, 5));
    let _ = call!(SYS_write, to, at, 5);
    let vector = [tagged, 3, tagged + PAGE, 2];
    check("readv", call!(SYS_readv, from, &vector, 2));
    check("writev", call!(SYS_writev, to, Arg::word(&vector) | TAG, 2));
    check("not mapped", call!(SYS_write, to, 0x10 | TAG, 1));
    check("the kernel's", call!(SYS_write, to, tagged | 1 << 55, 1));
    check("path", call!(SYS_access, Arg::word(c"/") | TAG, 0));
    let time = [0_i64, 1];
    let time = Arg::word(&time) | TAG;
    check("nanosleep", call!(SYS_nanosleep, time, 0));
    let zero = call!(SYS_open, c"/dev/zero", libc::O_RDONLY, 0).unwrap_or(-1);
    check("zeroes", call!(SYS_read, zero, tagged, PAGE + 5));
    let _ = call!(SYS_close, zero);
    let wake = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
    check("futex wake", call!(SYS_futex, tagged, wake, 1));
    check(
        "futex wake, shared",
        call!(SYS_futex, tagged, libc::FUTEX_WAKE, 1),
    );
    check(
        "futex wait",
        call!(SYS_futex, tagged, libc::FUTEX_WAIT, 1, 0),
    );
    let own = call!(SYS_getpid).unwrap_or(0);
    let (ours, theirs) = ([at, 5], [tagged + PAGE, 5]);
    check(
        "of another",
        call!(SYS_process_vm_readv, own, &ours, 1, &theirs, 1, 0),
    );
    let ours = [tagged, 5];
    check(
        "to our own",
        call!(SYS_process_vm_readv, own, &ours, 1, &theirs, 1, 0),
    );
    let _ = call!(SYS_close, from);
    let _ = call!(SYS_close, to);
    let _ = call!(SYS_munmap, at, 2 * PAGE);
}

/// A call that waits comes back to a tag after others ran.
fn waits() {
    let at = fresh(1);
    let mut ends = [0_i32; 2];
    let _ = call!(SYS_pipe2, &mut ends, 0);
    let [from, to] = ends;
    let child = sys::fork(|| {
        // Without tags, so that this one's calls are not taken for the other's.
        let _ = set(0);
        for _ in 0..20 {
            let _ = call!(SYS_sched_yield);
        }
        let answer = call!(SYS_write, to, c"hello", 5);
        i32::from(answer != Ok(5))
    });
    check("read that waits", call!(SYS_read, from, at | TAG, 5));
    check("what came", [sys::peek(at), sys::peek(at + 4)]);
    check("its writer", crate::report::wait(child));
    let _ = call!(SYS_close, from);
    let _ = call!(SYS_close, to);
}
