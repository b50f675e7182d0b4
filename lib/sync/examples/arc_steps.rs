//! The way to a counted owner, step by step, and what each step lacks.
//!
//! 1. [`One`]: one count beside the value. Two owners that hold each other never go.
//! 2. [`Two`]: a count of owners and a count of handles, so that a [`Watcher`]
//!    can keep the memory without the value. Every clone of an owner changes
//!    both counts, and the value must be an `Option` that is emptied early.
//! 3. [`ochre_sync::Arc`]: all owners together are one handle; a clone changes
//!    one count, and whoever wants the value alone must lock the other for a moment.
//!
//! ```sh
//! cargo run --release --package ochre-sync --example arc_steps
//! ```
#![expect(unsafe_code, reason = "the steps free memory themselves")]

use core::hint;
use core::ops::Deref;
use core::ptr::NonNull;
use std::process;
use std::thread;
use std::time::Instant;

use ochre_sync::primitive::UnsafeCell;
use ochre_sync::primitive::atomic::{AtomicUsize, Ordering, fence};
use ochre_sync::{Arc, Weak};

/// Counts stop the program here. It does not end at once, and meanwhile each
/// other thread may count on; so not at the very last number.
const TOO_MANY: usize = usize::MAX / 2;

/// One more handle.
fn count_up(count: &AtomicUsize) {
    // ORDERING: Relaxed; whoever clones has a handle, so nothing ends meanwhile.
    if count.fetch_add(1, Ordering::Relaxed) > TOO_MANY {
        process::abort();
    }
}

/// One less; true if it was the last, and then all that others did with theirs
/// is done.
fn count_down(count: &AtomicUsize) -> bool {
    // ORDERING: Release publishes what was done with this handle; only who was
    // last has to see it, by the fence.
    if count.fetch_sub(1, Ordering::Release) != 1 {
        return false;
    }
    fence(Ordering::Acquire);
    true
}

/// Step 1: an owner among several.
struct One<T>(NonNull<OneInner<T>>);

struct OneInner<T> {
    owners: AtomicUsize,
    value: T,
}

// SAFETY: gives `&T` to several threads, and the last of them drops the value.
unsafe impl<T: Send + Sync> Send for One<T> {}

impl<T> One<T> {
    fn new(value: T) -> One<T> {
        let inner = Box::new(OneInner {
            owners: AtomicUsize::new(1),
            value,
        });
        One(NonNull::from(Box::leak(inner)))
    }

    fn inner(&self) -> &OneInner<T> {
        // SAFETY: this owner is counted, so the memory is there.
        unsafe { self.0.as_ref() }
    }
}

impl<T> Deref for One<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner().value
    }
}

impl<T> Clone for One<T> {
    fn clone(&self) -> One<T> {
        count_up(&self.inner().owners);
        One(self.0)
    }
}

impl<T> Drop for One<T> {
    fn drop(&mut self) {
        if count_down(&self.inner().owners) {
            // SAFETY: made by a box in `new`, and this was the last owner.
            drop(unsafe { Box::from_raw(self.0.as_ptr()) });
        }
    }
}

/// Step 2: an owner among several, who is a watcher as well.
struct Two<T>(Watcher<T>);

/// A handle that keeps the memory, not the value.
struct Watcher<T>(NonNull<TwoInner<T>>);

struct TwoInner<T> {
    owners: AtomicUsize,
    /// Owners and watchers.
    handles: AtomicUsize,
    value: UnsafeCell<Option<T>>,
}

// SAFETY: as for `One`.
unsafe impl<T: Send + Sync> Send for Watcher<T> {}

impl<T> Watcher<T> {
    fn inner(&self) -> &TwoInner<T> {
        // SAFETY: this handle is counted, so the memory is there.
        unsafe { self.0.as_ref() }
    }

    /// An owner, if there still is one.
    fn upgrade(&self) -> Option<Two<T>> {
        let owners = &self.inner().owners;
        // ORDERING: Relaxed; who finds owners finds the value that they see.
        let mut count = owners.load(Ordering::Relaxed);
        loop {
            if count == 0 {
                return None;
            }
            if count > TOO_MANY {
                process::abort();
            }
            match owners.compare_exchange_weak(
                count,
                count + 1,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Some(Two(self.clone())),
                Err(now) => count = now,
            }
        }
    }
}

impl<T> Clone for Watcher<T> {
    fn clone(&self) -> Watcher<T> {
        count_up(&self.inner().handles);
        Watcher(self.0)
    }
}

impl<T> Drop for Watcher<T> {
    fn drop(&mut self) {
        if count_down(&self.inner().handles) {
            // SAFETY: made by a box in `Two::new`, and this was the last handle.
            drop(unsafe { Box::from_raw(self.0.as_ptr()) });
        }
    }
}

impl<T> Two<T> {
    fn new(value: T) -> Two<T> {
        let inner = Box::new(TwoInner {
            owners: AtomicUsize::new(1),
            handles: AtomicUsize::new(1),
            value: UnsafeCell::new(Some(value)),
        });
        Two(Watcher(NonNull::from(Box::leak(inner))))
    }

    fn watch(&self) -> Watcher<T> {
        self.0.clone()
    }

    /// The value, if there is no other handle. Asking the count of handles is
    /// enough, as owners are in it. Were watchers counted apart, it would take
    /// two looks, and a thread that makes an owner of its watcher, drops the
    /// watcher, and then the other way round, would hide from both.
    fn get_mut(&mut self) -> Option<&mut T> {
        let inner = self.0.inner();
        // ORDERING: Relaxed, then the fence: what those did who are gone is done.
        if inner.handles.load(Ordering::Relaxed) != 1 {
            return None;
        }
        fence(Ordering::Acquire);
        // SAFETY: no other handle, and this one is borrowed exclusively.
        inner
            .value
            .with_mut(|value| unsafe { &mut *value })
            .as_mut()
    }
}

impl<T> Deref for Two<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: while there are owners nobody changes the value.
        let value = self.0.inner().value.with(|value| unsafe { &*value });
        value.as_ref().expect("emptied by the last owner only")
    }
}

impl<T> Clone for Two<T> {
    fn clone(&self) -> Two<T> {
        let handle = self.0.clone();
        count_up(&self.0.inner().owners);
        Two(handle)
    }
}

impl<T> Drop for Two<T> {
    fn drop(&mut self) {
        let inner = self.0.inner();
        if count_down(&inner.owners) {
            // SAFETY: no owners; watchers do not touch the value.
            inner.value.with_mut(|value| unsafe { *value = None });
        }
        // And then the handle goes.
    }
}

/// A value that counts its ends.
struct Counted<'a>(&'a AtomicUsize);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        // ORDERING: Relaxed; read when the threads are joined.
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

const CLONES: u32 = if cfg!(miri) { 10 } else { 100_000 };

/// Nanoseconds for a clone and its end, by one thread: the best of ten tries.
fn pair_ns<T: Clone>(owner: &T) -> f64 {
    let tries = (0..10).map(|_| {
        let start = Instant::now();
        for _ in 0..CLONES {
            drop(hint::black_box(owner.clone()));
        }
        start.elapsed().as_secs_f64() * 1e9 / f64::from(CLONES)
    });
    tries.fold(f64::INFINITY, f64::min)
}

pub(crate) fn main() {
    let ends = AtomicUsize::new(0);
    let ended = || ends.load(Ordering::Relaxed);

    let owner = One::new(Counted(&ends));
    thread::scope(|scope| {
        let other = owner.clone();
        scope.spawn(move || drop(other));
    });
    assert_eq!(ended(), 0);
    let ns = pair_ns(&owner);
    drop(owner);
    assert_eq!(ended(), 1);
    println!("1. one count:                  {ns:5.1} ns for a clone and its end");

    let mut owner = Two::new(Counted(&ends));
    assert!(owner.get_mut().is_some());
    let watcher = owner.watch();
    assert!(owner.get_mut().is_none(), "a watcher may become an owner");
    thread::scope(|scope| {
        let other = owner.watch();
        scope.spawn(move || assert!(other.upgrade().is_some()));
    });
    let ns = pair_ns(&owner);
    drop(owner);
    assert_eq!(ended(), 2, "the value goes with the last owner");
    assert!(watcher.upgrade().is_none());
    println!("2. owners and handles:         {ns:5.1} ns");

    let mut owner = Arc::new(Counted(&ends));
    assert!(Arc::get_mut(&mut owner).is_some());
    let weak: Weak<_> = Arc::downgrade(&owner);
    assert!(Arc::get_mut(&mut owner).is_none());
    let ns = pair_ns(&owner);
    drop(owner);
    assert_eq!(ended(), 3);
    assert!(weak.upgrade().is_none());
    println!("3. Arc, owners are one handle: {ns:5.1} ns");
}
