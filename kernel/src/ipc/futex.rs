//! Futexes (futex(2)): a word in user memory to wait at.
//!
//! Waiters are found by key: a private word by its address space and address,
//! a shared one by its frame and offset. Looking at the word and joining the
//! list happen under the bucket's lock, and a wake takes the same lock, so a
//! wake between the two is not lost. The look never faults under the lock: an
//! absent page is faulted in first and the look repeated.
//!
//! # Cancel safety
//! A waiter that goes away while it was chosen by a wake reports the wake: the
//! future asks its slot first and only then for signals and time.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::task::Waker;

use ochre_abi::Errno;
use ochre_hal::user::Access;
use ochre_sync::SpinLock;
use ochre_sync::primitive::atomic::{AtomicU32, Ordering};

use crate::memory::AddressSpace;
use crate::process::Thread;

/// What a futex word is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// Private to an address space: its identity and the address.
    Private(usize, u64),
    /// Shared: frame number and offset.
    Shared(u64, u64),
}

/// A thread waiting at a word.
#[derive(Debug)]
pub struct Waiter {
    /// Matched against a wake's bits.
    bits: u32,
    state: AtomicU32,
    waker: Waker,
    key: SpinLock<Key>,
}

const WAITING: u32 = 0;
const WOKEN: u32 = 1;

static WAITERS: SpinLock<BTreeMap<Key, Vec<Arc<Waiter>>>> = SpinLock::new(BTreeMap::new());

/// The key of a word.
///
/// # Errors
/// EINVAL for a misaligned address, EFAULT for one that is not the program's.
pub fn key(space: &Arc<AddressSpace>, address: u64, private: bool) -> Result<Key, Errno> {
    if !address.is_multiple_of(4) {
        return Err(Errno::EINVAL);
    }
    if private {
        return Ok(Key::Private(Arc::as_ptr(space).addr(), address));
    }
    match space.shared_frame(address)? {
        Some(frame) => Ok(Key::Shared(frame, address % 4096)),
        None => Ok(Key::Private(Arc::as_ptr(space).addr(), address)),
    }
}

/// Reads the word, faulting its page in.
fn load(space: &AddressSpace, address: u64) -> Result<u32, Errno> {
    loop {
        match space.root().load_u32(address) {
            Ok(value) => return Ok(value),
            Err(fault) => space
                .fault(fault.address, Access::Read)
                .map_err(|_| Errno::EFAULT)?,
        }
    }
}

impl Waiter {
    /// Joins those who wait at `key` if the word at `address` still holds `expected`.
    ///
    /// # Errors
    /// EAGAIN if it does not, EFAULT, ENOMEM.
    pub fn join(
        space: &AddressSpace,
        address: u64,
        key: Key,
        expected: u32,
        bits: u32,
        waker: &Waker,
    ) -> Result<Waiting, Errno> {
        let waiter = Arc::new(Waiter {
            bits,
            state: AtomicU32::new(WAITING),
            waker: waker.clone(),
            key: SpinLock::new(key),
        });
        loop {
            let mut waiters = WAITERS.lock();
            match space.root().load_u32(address) {
                Ok(value) if value != expected => return Err(Errno::EAGAIN),
                Ok(_) => {
                    let list = waiters.entry(key).or_default();
                    list.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
                    list.push(Arc::clone(&waiter));
                    return Ok(Waiting { waiter });
                }
                Err(_) => {
                    drop(waiters);
                    load(space, address)?;
                }
            }
        }
    }
}

/// A place among the waiters; dropping it gives the place up.
#[derive(Debug)]
pub struct Waiting {
    waiter: Arc<Waiter>,
}

impl Waiting {
    /// Whether a wake chose this waiter.
    #[must_use]
    pub fn is_woken(&self) -> bool {
        // ORDERING: Acquire pairs with the Release of `wake`.
        self.waiter.state.load(Ordering::Acquire) == WOKEN
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut waiters = WAITERS.lock();
        let key = *self.waiter.key.lock();
        if let Some(list) = waiters.get_mut(&key) {
            list.retain(|other| !Arc::ptr_eq(other, &self.waiter));
            if list.is_empty() {
                waiters.remove(&key);
            }
        }
    }
}

/// Wakes up to `count` waiters at `key` whose bits meet `bits`, in the order
/// in which they came; returns how many.
pub fn wake(key: Key, count: usize, bits: u32) -> usize {
    let mut waiters = WAITERS.lock();
    let Some(list) = waiters.get_mut(&key) else {
        return 0;
    };
    let mut woken = 0;
    list.retain(|waiter| {
        if woken >= count || waiter.bits & bits == 0 {
            return true;
        }
        woken += 1;
        // ORDERING: Release; see `is_woken`.
        waiter.state.store(WOKEN, Ordering::Release);
        waiter.waker.wake_by_ref();
        false
    });
    if list.is_empty() {
        waiters.remove(&key);
    }
    woken
}

/// Wakes `wake_count` waiters at `from` and moves up to `move_count` others to
/// `to`; returns both sums. With `expected` the word at `address` must hold it.
///
/// # Errors
/// EAGAIN, EFAULT, ENOMEM.
pub fn requeue(
    space: &AddressSpace,
    address: u64,
    expected: Option<u32>,
    from: Key,
    to: Key,
    wake_count: usize,
    move_count: usize,
) -> Result<(usize, usize), Errno> {
    if let Some(expected) = expected
        && load(space, address)? != expected
    {
        return Err(Errno::EAGAIN);
    }
    let woken = wake(from, wake_count, u32::MAX);
    let mut waiters = WAITERS.lock();
    let Some(mut list) = waiters.remove(&from) else {
        return Ok((woken, 0));
    };
    let count = list.len().min(move_count);
    let target = waiters.entry(to).or_default();
    if target.try_reserve(count).is_err() {
        waiters.insert(from, list);
        return Err(Errno::ENOMEM);
    }
    for waiter in list.drain(..count) {
        *waiter.key.lock() = to;
        target.push(waiter);
    }
    if !list.is_empty() {
        // Waiters that stay; `from` may equal `to`.
        waiters.entry(from).or_default().append(&mut list);
    }
    Ok((woken, count))
}

/// Marks a mutex whose owner died, in the word's high bits (`FUTEX_OWNER_DIED`).
const OWNER_DIED: u32 = 0x4000_0000;
/// Somebody waits in the kernel (`FUTEX_WAITERS`).
const HAS_WAITERS: u32 = 0x8000_0000;
/// The owner's number.
const OWNER: u32 = 0x3fff_ffff;
/// Entries looked at, so that a circle ends (`ROBUST_LIST_LIMIT`).
const ROBUST_LIMIT: usize = 2048;

/// Gives up the mutexes on a dying thread's robust list (get_robust_list(2)):
/// marks each word that the thread owns and wakes one waiter. The list is the
/// program's: every step may fail, and ends the walk.
pub fn release_robust_list(thread: &Thread, space: &Arc<AddressSpace>) {
    let head = thread.robust_list.swap(0, Ordering::Relaxed);
    if head == 0 {
        return;
    }
    let word = |at: u64| {
        let mut bytes = [0; 8];
        space
            .read(at, &mut bytes)
            .ok()
            .map(|()| u64::from_ne_bytes(bytes))
    };
    let (Some(first), Some(offset), Some(pending)) = (
        word(head),
        word(head.wrapping_add(8)),
        word(head.wrapping_add(16)),
    ) else {
        return;
    };
    let mut entry = first;
    for _ in 0..ROBUST_LIMIT {
        // The low bit marks priority-inheriting mutexes.
        let at = entry & !1;
        if at == head {
            break;
        }
        let Some(next) = word(at) else {
            return;
        };
        if entry != pending && release_owned(thread, space, at.wrapping_add(offset)).is_err() {
            return;
        }
        entry = next;
    }
    if pending & !1 != 0 {
        let _ = release_owned(thread, space, (pending & !1).wrapping_add(offset));
    }
}

fn release_owned(thread: &Thread, space: &Arc<AddressSpace>, address: u64) -> Result<(), Errno> {
    loop {
        let value = load(space, address)?;
        if value & OWNER != thread.tid.0 {
            return Ok(());
        }
        let dead = (value & HAS_WAITERS) | OWNER_DIED;
        match space.root().compare_exchange_u32(address, value, dead) {
            Ok(seen) if seen == value => {}
            Ok(_) => continue,
            Err(fault) => {
                space
                    .fault(fault.address, Access::Write)
                    .map_err(|_| Errno::EFAULT)?;
                continue;
            }
        }
        if value & HAS_WAITERS != 0 {
            wake(key(space, address, true)?, 1, u32::MAX);
            wake(key(space, address, false)?, 1, u32::MAX);
        }
        return Ok(());
    }
}
