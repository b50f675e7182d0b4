//! Device numbers of what has no device: file systems in memory, and objects
//! that show one in `/proc/PID/maps`. Their major number is 0.

use ochre_abi::stat::make_device;
use ochre_sync::Once;
use ochre_sync::primitive::atomic::{AtomicU32, Ordering};

/// The next one that nobody has.
#[must_use]
pub fn anonymous_device() -> u64 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    // ORDERING: Relaxed; only that they differ matters.
    make_device(0, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// One that is taken when it is first asked for.
#[derive(Debug, Default)]
pub struct LazyDevice(Once<u64>);

impl LazyDevice {
    /// It is not taken yet.
    #[must_use]
    pub const fn new() -> LazyDevice {
        LazyDevice(Once::new())
    }

    /// The number.
    #[must_use]
    pub fn number(&self) -> u64 {
        match self.0.get() {
            Some(number) => *number,
            None => {
                let number = anonymous_device();
                // Whoever was faster has set one too.
                let _ = self.0.set(number);
                self.0.get().copied().unwrap_or(number)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LazyDevice, anonymous_device};

    #[test]
    fn a_number_is_ones_own_and_stays() {
        let (one, other) = (LazyDevice::new(), LazyDevice::new());
        let number = one.number();
        assert_ne!(number, anonymous_device());
        assert_ne!(number, other.number());
        assert_eq!(number, one.number());
    }
}
