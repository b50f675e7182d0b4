//! The wall clock: the monotonic clock plus an offset that can be set.

use alloc::collections::BTreeMap;
use core::task::Waker;

use ochre_hal::clock;
use ochre_sync::SpinLock;
use ochre_sync::primitive::atomic::{AtomicU64, Ordering};

use crate::memory::vdso;

/// Added to the monotonic clock; 0 until first asked for.
static OFFSET_NS: AtomicU64 = AtomicU64::new(0);

/// How often the clock was set.
static SETTINGS: AtomicU64 = AtomicU64::new(0);

/// Nanoseconds since boot.
#[inline]
#[must_use]
pub fn monotonic_ns() -> u64 {
    clock::now_ns()
}

/// What the wall clock is ahead of the monotonic clock.
#[must_use]
pub fn offset_ns() -> u64 {
    // ORDERING: Relaxed; the offset stands alone, and a race of two first
    // readers stores the same value twice.
    match OFFSET_NS.load(Ordering::Relaxed) {
        0 => {
            let offset = clock::boot_wall_ns().max(1);
            OFFSET_NS.store(offset, Ordering::Relaxed);
            offset
        }
        offset => offset,
    }
}

/// Nanoseconds since the Unix epoch.
#[inline]
#[must_use]
pub fn wall_ns() -> u64 {
    monotonic_ns().saturating_add(offset_ns())
}

/// Sets the wall clock and wakes who waits for a time on it. False for a time
/// before the machine's start would be 1970, which cannot be kept.
#[must_use]
pub fn set_wall_ns(now: u64) -> bool {
    let Some(offset) = now.checked_sub(monotonic_ns()) else {
        return false;
    };
    OFFSET_NS.store(offset.max(1), Ordering::Relaxed);
    SETTINGS.fetch_add(1, Ordering::Relaxed);
    vdso::update();
    tell_listeners();
    true
}

/// How often the clock was set: tells a timer whether it was in between.
#[must_use]
pub fn settings() -> u64 {
    SETTINGS.load(Ordering::Relaxed)
}

/// Who hears of settings, by the order of their asking.
struct Listeners {
    next: u64,
    wakers: BTreeMap<u64, Waker>,
}

static LISTENERS: SpinLock<Listeners> = SpinLock::new(Listeners {
    next: 0,
    wakers: BTreeMap::new(),
});

/// A waker that is woken whenever the wall clock is set; dropping this ends it.
#[must_use = "dropping the listener ends it"]
#[derive(Debug)]
pub struct SettingListener(u64);

impl SettingListener {
    /// Has `waker` woken. Unlike those of a wait queue it may be one that does
    /// work of its own: no lock is held then.
    pub fn new(waker: Waker) -> SettingListener {
        let mut listeners = LISTENERS.lock();
        let key = listeners.next;
        listeners.next += 1;
        listeners.wakers.insert(key, waker);
        SettingListener(key)
    }
}

impl Drop for SettingListener {
    fn drop(&mut self) {
        let waker = LISTENERS.lock().wakers.remove(&self.0);
        drop(waker);
    }
}

fn tell_listeners() {
    // One by one, with the lock given back in between: no list, so no memory.
    let mut from = 0;
    loop {
        let next = LISTENERS
            .lock()
            .wakers
            .range(from..)
            .next()
            .map(|(key, waker)| (*key, waker.clone()));
        let Some((key, waker)) = next else {
            return;
        };
        waker.wake();
        from = key.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::{SettingListener, tell_listeners};
    use alloc::sync::Arc;
    use alloc::task::Wake;
    use core::sync::atomic::{AtomicU32, Ordering};
    use core::task::Waker;

    #[derive(Default)]
    struct Counter(AtomicU32);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn listeners_hear_until_they_are_dropped() {
        let counter = Arc::new(Counter::default());
        let listener = SettingListener::new(Waker::from(Arc::clone(&counter)));
        tell_listeners();
        drop(listener);
        tell_listeners();
        assert_eq!(counter.0.load(Ordering::Relaxed), 1);
    }
}
