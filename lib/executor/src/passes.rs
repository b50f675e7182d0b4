//! Which processors have passed a point since a moment: what a barrier on
//! every processor (`membarrier(2)`) waits for.
//!
//! ```text
//! who waits:                          each other processor, between programs:
//!   what it did before                  what ran there before
//!   full fence, look at the counts      count (Release), full fence
//!   look again (Acquire): it differs    what runs there after
//!   what it does after
//! ```
//!
//! Who finds a count other than it was sees all that ran there before. And what
//! runs there after sees all that was done before the first look: the two full
//! fences see to that, whatever made the processor pass. That it was made to by
//! the one who waits would not be enough: it may pass for another reason
//! meanwhile, which says nothing of him.

use ochre_sync::maybe_const;
use ochre_sync::primitive::atomic::{AtomicU32, Ordering, fence};

/// A count for each of `N` processors; they wrap.
#[derive(Debug)]
pub struct Passes<const N: usize>([AtomicU32; N]);

impl<const N: usize> Passes<N> {
    maybe_const! {
        /// Nobody has passed yet.
        #[must_use]
        pub fn new() -> Passes<N> {
            Passes(
                #[cfg(not(loom))]
                [const { AtomicU32::new(0) }; N],
                #[cfg(loom)]
                core::array::from_fn(|_| AtomicU32::new(0)),
            )
        }
    }

    /// The processor `cpu` passes: it calls this between what it runs.
    ///
    /// # Panics
    /// If there is no processor of this number.
    #[inline]
    pub fn pass(&self, cpu: usize) {
        // ORDERING: Release and the fence; see the module.
        self.0[cpu].fetch_add(1, Ordering::Release);
        fence(Ordering::SeqCst);
    }

    /// How often each has passed.
    #[must_use]
    pub fn look(&self) -> [u32; N] {
        // ORDERING: the fence and Acquire; see the module.
        fence(Ordering::SeqCst);
        core::array::from_fn(|cpu| self.0[cpu].load(Ordering::Acquire))
    }
}

impl<const N: usize> Default for Passes<N> {
    fn default() -> Passes<N> {
        Passes::new()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Passes;

    #[test]
    fn who_passed_is_told_from_who_did_not() {
        let passes: Passes<3> = Passes::new();
        let before = passes.look();
        passes.pass(1);
        passes.pass(1);
        assert_eq!(before, [0; 3]);
        assert_eq!(passes.look(), [0, 2, 0]);
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::Passes;
    use loom::sync::Arc;
    use loom::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn who_waited_sees_what_was_before_and_is_seen_by_what_is_after() {
        loom::model(|| {
            let passes: Arc<Passes<1>> = Arc::default();
            let words = Arc::new([AtomicU32::new(0), AtomicU32::new(0)]);
            let other = {
                let (passes, words) = (Arc::clone(&passes), Arc::clone(&words));
                loom::thread::spawn(move || {
                    words[0].store(1, Ordering::Relaxed);
                    passes.pass(0);
                    words[1].load(Ordering::Relaxed)
                })
            };
            words[1].store(1, Ordering::Relaxed);
            let before = passes.look();
            let has_passed = passes.look() != before;
            let seen = words[0].load(Ordering::Relaxed);
            let saw = other.join().expect("it ends");
            if has_passed {
                assert_eq!((seen, saw), (1, 1));
            }
        });
    }
}
