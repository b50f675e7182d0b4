//! Futexes: the system call for waiting at a word of memory, by hand.

use core::{ptr, sync::atomic::AtomicU32, time::Duration};

use libc::c_int;

/// One of two answers: a number, or an error's.
pub(crate) type Answer = Result<i64, c_int>;

const PRIVATE: c_int = libc::FUTEX_PRIVATE_FLAG;

fn answer(returned: i64) -> Answer {
    if returned < 0 {
        Err(crate::pthread::errno())
    } else {
        Ok(returned)
    }
}

/// Waits while the word is `expected`, at most `limit`. May come back early.
pub(crate) fn wait(word: &AtomicU32, expected: u32, limit: Option<Duration>) -> Answer {
    let limit = limit.map(|limit| libc::timespec {
        tv_sec: limit.as_secs() as i64,
        tv_nsec: i64::from(limit.subsec_nanos()),
    });
    let limit = limit.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: the word and the time outlive the call.
    answer(unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT | PRIVATE,
            expected,
            limit,
        )
    })
}

/// Waits like [`wait`], for wakes that have one of these bits, until a moment
/// of the monotonic clock.
pub(crate) fn wait_bits(
    word: &AtomicU32,
    expected: u32,
    until: Option<libc::timespec>,
    bits: u32,
) -> Answer {
    let until = until.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: the word and the time outlive the call.
    answer(unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT_BITSET | PRIVATE,
            expected,
            until,
            0,
            bits,
        )
    })
}

/// Wakes up to `count` of those who wait; says how many.
pub(crate) fn wake(word: &AtomicU32, count: i32) -> Answer {
    // SAFETY: a word that lives.
    answer(unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAKE | PRIVATE,
            count,
        )
    })
}

/// Wakes those who wait for one of these bits.
pub(crate) fn wake_bits(word: &AtomicU32, count: i32, bits: u32) -> Answer {
    // SAFETY: a word that lives.
    answer(unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAKE_BITSET | PRIVATE,
            count,
            0,
            0,
            bits,
        )
    })
}

/// Wakes some of those who wait at `word`, if it is `expected`, and lets the
/// rest wait at `other`.
pub(crate) fn requeue(word: &AtomicU32, expected: u32, wake: i32, other: &AtomicU32) -> Answer {
    // SAFETY: two words that live.
    answer(unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_CMP_REQUEUE | PRIVATE,
            wake,
            i64::from(i32::MAX),
            other.as_ptr(),
            expected,
        )
    })
}

/// Adds to `other` and wakes one at `word`; one at `other` too if it was 0.
pub(crate) fn wake_and_add(word: &AtomicU32, other: &AtomicU32, add: i32) -> Answer {
    let code = (libc::FUTEX_OP_ADD << 28) | (libc::FUTEX_OP_CMP_EQ << 24) | ((add & 0xfff) << 12);
    // SAFETY: two words that live.
    answer(unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAKE_OP | PRIVATE,
            1,
            1,
            other.as_ptr(),
            code,
        )
    })
}

/// An entry of `futex_waitv`.
#[repr(C)]
struct Waitv {
    value: u64,
    address: u64,
    flags: u32,
    reserved: u32,
}

/// Waits while both words are as expected; says which one was woken.
pub(crate) fn wait_either(words: [(&AtomicU32, u32); 2]) -> Answer {
    const SIZE_32: u32 = 2;
    let entries = words.map(|(word, expected)| Waitv {
        value: expected.into(),
        address: word.as_ptr().addr() as u64,
        flags: SIZE_32 | PRIVATE as u32,
        reserved: 0,
    });
    // SAFETY: the entries and the words outlive the call.
    answer(unsafe {
        libc::syscall(
            libc::SYS_futex_waitv,
            entries.as_ptr(),
            entries.len(),
            0,
            ptr::null::<libc::timespec>(),
            libc::CLOCK_MONOTONIC,
        )
    })
}
