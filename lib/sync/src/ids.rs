//! Numbers that are given out once each.
//!
//! `next` goes from 0 to `limit` and stays there. It is never beyond, so no
//! number of failures brings it round to 0 again. Adding first and looking
//! then would: see `examples/id_allocation.rs`, with all the ways that go wrong.
//!
//! ORDERING: Relaxed throughout: the count alone says who gets which number, and
//! nobody learns anything else from it.

use crate::maybe_const;
use crate::primitive::atomic::{AtomicU64, Ordering};

/// Gives out each number below a limit once.
///
/// ```
/// use ochre_sync::Ids;
///
/// static IDS: Ids = Ids::new(2);
///
/// assert_eq!(IDS.allocate(), Some(0));
/// assert_eq!(IDS.allocate(), Some(1));
/// assert_eq!(IDS.allocate(), None);
/// assert_eq!(IDS.allocate(), None);
/// ```
#[derive(Debug)]
pub struct Ids {
    next: AtomicU64,
    limit: u64,
}

impl Ids {
    maybe_const! {
        /// The numbers from 0 to `limit`, which is not one of them.
        ///
        /// ```
        /// use ochre_sync::Ids;
        ///
        /// static DOMAINS: Ids = Ids::new(1 << 16); // as many as fit into 16 bits
        /// assert_eq!(DOMAINS.allocate(), Some(0));
        /// ```
        #[must_use]
        pub fn new(limit: u64) -> Ids {
            Ids {
                next: AtomicU64::new(0),
                limit,
            }
        }
    }

    /// A number nobody had; `None` when all have been given out.
    ///
    /// ```
    /// use ochre_sync::Ids;
    ///
    /// let ids = Ids::new(3);
    /// let mut got = std::thread::scope(|scope| {
    ///     let threads = [(); 4].map(|()| scope.spawn(|| ids.allocate()));
    ///     threads.map(|thread| thread.join().expect("no panic"))
    /// });
    /// got.sort();
    /// assert_eq!(got, [None, Some(0), Some(1), Some(2)]); // three for four
    /// ```
    pub fn allocate(&self) -> Option<u64> {
        let mut next = self.next.load(Ordering::Relaxed);
        loop {
            if next >= self.limit {
                return None;
            }
            match self.next.compare_exchange_weak(
                next,
                next + 1,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(id) => return Some(id),
                Err(seen) => next = seen,
            }
        }
    }

    /// How many have been given out.
    ///
    /// ```
    /// use ochre_sync::Ids;
    ///
    /// let ids = Ids::new(2);
    /// for _ in 0..5 {
    ///     let _ = ids.allocate();
    /// }
    /// assert_eq!(ids.allocated(), 2, "the others got none");
    /// ```
    #[must_use]
    pub fn allocated(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Ids;
    use std::collections::BTreeSet;
    use std::thread;

    #[test]
    fn each_number_is_given_out_once() {
        let limit = if cfg!(miri) { 50 } else { 10_000 };
        let ids = Ids::new(limit);
        let all: Vec<u64> = thread::scope(|scope| {
            let threads = [(); 4].map(|()| {
                scope.spawn(|| core::iter::from_fn(|| ids.allocate()).collect::<Vec<_>>())
            });
            threads
                .into_iter()
                .flat_map(|thread| thread.join().expect("no panic"))
                .collect()
        });
        assert_eq!(all.len() as u64, limit);
        assert_eq!(all.into_iter().collect::<BTreeSet<_>>().len() as u64, limit);
        assert_eq!((ids.allocate(), ids.allocated()), (None, limit));
    }

    #[test]
    fn the_last_number_there_is_does_not_wrap() {
        let ids = Ids::new(u64::MAX);
        ids.next.store(u64::MAX - 1, super::Ordering::Relaxed);
        assert_eq!(ids.allocate(), Some(u64::MAX - 1));
        assert_eq!(ids.allocate(), None);
        assert_eq!(Ids::new(0).allocate(), None);
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::Ids;
    use loom::sync::Arc;
    use loom::thread;

    #[test]
    fn three_ask_for_two() {
        loom::model(|| {
            let ids = Arc::new(Ids::new(2));
            let threads = [(); 2].map(|()| {
                let ids = Arc::clone(&ids);
                thread::spawn(move || ids.allocate())
            });
            let mut got = vec![ids.allocate()];
            for thread in threads {
                got.push(thread.join().expect("no panic"));
            }
            got.sort_unstable();
            assert_eq!(got, [None, Some(0), Some(1)]);
            assert_eq!(ids.allocated(), 2);
        });
    }
}
