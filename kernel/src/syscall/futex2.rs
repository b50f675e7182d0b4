//! The newer futex calls, each an operation of its own: `futex_waitv(2)`,
//! `futex_wake`, `futex_wait`, `futex_requeue`.
//!
//! Flags say the word's size, of which only 32 bits exist, and whether it is
//! private. A count is exact here: no wake for 0.

use alloc::vec::Vec;

use ochre_abi::Errno;
use ochre_abi::time::{CLOCK_MONOTONIC, CLOCK_REALTIME};
use ochre_hal::user::Access;

use super::futex::{Waited, deadline_at, scope, wait};
use super::{Call, Outcome, Ptr, SysResult};
use crate::ipc::futex::{self, Deadline, Ended, Key, Move, Scope, Target, WaitMany};
use crate::memory::MakeRoom;

/// `FUTEX2_SIZE_MASK`.
const SIZE: u32 = 3;
/// `FUTEX2_SIZE_U32`.
const SIZE_U32: u32 = 2;
/// `FUTEX2_PRIVATE`.
const PRIVATE: u32 = 128;
/// Words that can be waited at together (`FUTEX_WAITV_MAX`).
const WORDS: u32 = 128;

/// `struct futex_waitv`: value, address, flags and a reserved word.
type WaitV = [u64; 3];

/// The scope that flags ask for.
///
/// # Errors
/// EINVAL for anything but 32-bit words, private or not.
fn checked_scope(flags: u32) -> Result<Scope, Errno> {
    if flags & !(SIZE | PRIVATE) != 0 || flags & SIZE != SIZE_U32 {
        return Err(Errno::EINVAL);
    }
    Ok(scope(flags & PRIVATE != 0))
}

/// A value or a mask that must fit in a word.
fn word(value: u64) -> Result<u32, Errno> {
    u32::try_from(value).map_err(|_| Errno::EINVAL)
}

/// The deadline on a clock that is named apart from it.
fn deadline(call: &Call<'_>, timeout: u64, clock: i32) -> Result<Option<Deadline>, Errno> {
    if timeout == 0 {
        return Ok(None);
    }
    let realtime = match clock {
        CLOCK_MONOTONIC => false,
        CLOCK_REALTIME => true,
        _ => return Err(Errno::EINVAL),
    };
    deadline_at(call, timeout, realtime)
}

/// One entry of a list of words: its value, address and scope.
#[derive(Clone, Copy, Debug)]
struct Word {
    expected: u32,
    address: u64,
    scope: Scope,
}

fn read_words(call: &Call<'_>, from: Ptr<WaitV>, count: u32) -> Result<Vec<Word>, Errno> {
    let mut words = Vec::new();
    words.make_room_exact(count as usize)?;
    for at in 0..count {
        let entry = from.offset(u64::from(at) * size_of::<WaitV>() as u64);
        let [value, address, flags] = call.space.read_value(entry)?;
        // The upper half is reserved.
        let flags = word(flags)?;
        let scope = checked_scope(flags)?;
        words.push(Word {
            expected: word(value)?,
            address,
            scope,
        });
    }
    Ok(words)
}

/// `futex_waitv(2)`: waits until one of several words is woken; answers which.
pub fn futex_waitv(
    call: &mut Call<'_>,
    words: Ptr<WaitV>,
    count: u32,
    flags: u32,
    timeout: u64,
    clock: i32,
) -> Result<Outcome, Errno> {
    if flags != 0 || count == 0 || count > WORDS || words.is_null() {
        return Err(Errno::EINVAL);
    }
    let deadline = deadline(call, timeout, clock)?;
    let words = read_words(call, words, count)?;
    let mut targets = Vec::new();
    targets.make_room_exact(words.len())?;
    for word in &words {
        targets.push(Target {
            address: word.address,
            key: Key::new(call.space, word.address, word.scope, Access::Read)?,
            expected: word.expected,
            bits: u32::MAX,
        });
    }
    let places = WaitMany::join(call.thread, call.space, &targets, deadline)?;
    Ok(Outcome::wait(async move {
        places.await.map_err(|ended| match ended {
            Ended::Timeout => Errno::ETIMEDOUT,
            Ended::Signal => Errno::ERESTARTSYS,
        })
    }))
}

/// `futex_wake`: wakes up to `count` of those whose mask meets `mask`.
pub fn futex_wake(
    call: &mut Call<'_>,
    address: u64,
    mask: u64,
    count: i32,
    flags: u32,
) -> SysResult {
    let scope = checked_scope(flags)?;
    let bits = word(mask)?;
    if bits == 0 {
        return Err(Errno::EINVAL);
    }
    let key = Key::new(call.space, address, scope, Access::Read)?;
    match usize::try_from(count) {
        Ok(0) => Ok(0),
        Ok(count) => futex::wake(&key, count, bits),
        Err(_) => futex::wake(&key, 1, bits),
    }
}

/// `futex_wait`: waits at a word that holds `value` for a wake that meets `mask`.
pub fn futex_wait(
    call: &mut Call<'_>,
    address: u64,
    value: u64,
    mask: u64,
    flags: u32,
    timeout: u64,
    clock: i32,
) -> Result<Outcome, Errno> {
    let scope = checked_scope(flags)?;
    let (value, mask) = (word(value)?, word(mask)?);
    let deadline = deadline(call, timeout, clock)?;
    wait(call, Waited::new(address, scope, value, mask), deadline)
}

/// `futex_requeue`: the first of two words must hold its value; wakes some who
/// wait there and moves others to the second.
pub fn futex_requeue(
    call: &mut Call<'_>,
    words: Ptr<WaitV>,
    flags: u32,
    wake: i32,
    requeue: i32,
) -> SysResult {
    if flags != 0 || words.is_null() {
        return Err(Errno::EINVAL);
    }
    let words = read_words(call, words, 2)?;
    let [from, to] = words.as_slice() else {
        return Err(Errno::EINVAL);
    };
    let count = |raw: i32| usize::try_from(raw).map_err(|_| Errno::EINVAL);
    let request = Move {
        from: Key::new(call.space, from.address, from.scope, Access::Read)?,
        to: Key::new(call.space, to.address, to.scope, Access::Read)?,
        expected: Some((from.address, from.expected)),
        wake: count(wake)?,
        requeue: count(requeue)?,
    };
    futex::requeue(call.space, &request)
}
