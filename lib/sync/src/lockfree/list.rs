//! Harris's sorted list, with Michael's way to walk it.
//!
//! Each link is a pointer and a mark in its lowest bit. A node is removed in two
//! steps: its own link is marked (from then on it is not in the set, and nothing
//! can be put behind it), then the link to it goes past it. Whoever walks by a
//! marked node does the second step.
//!
//! | step | link | ordering |
//! | --- | --- | --- |
//! | insert | before: next to node | Release |
//! | remove | own: next to next, marked | Acquire |
//! | unlink, once by anybody | before: node to next | Release |
//!
//! The mark is what keeps neighbours apart: inserting behind a node that is being
//! removed, or removing two in a row, would otherwise lose one or bring one back.

use alloc::boxed::Box;
use core::cmp::Ordering as Compared;
use core::fmt;
use core::marker::PhantomData;
use core::ptr::{self, NonNull};

use crate::maybe_const;
use crate::primitive::atomic::{AtomicPtr, Ordering};
use crate::rcu::{Domain, Node, Protects, retire};

type Link<T> = AtomicPtr<Node<Entry<T>>>;

struct Entry<T> {
    value: T,
    next: Link<T>,
}

/// Marks a link: the node it belongs to is removed.
fn marked<T>(next: *mut Node<Entry<T>>) -> *mut Node<Entry<T>> {
    next.map_addr(|addr| addr | 1)
}

fn is_marked<T>(next: *mut Node<Entry<T>>) -> bool {
    next.addr() & 1 == 1
}

fn unmarked<T>(next: *mut Node<Entry<T>>) -> *mut Node<Entry<T>> {
    next.map_addr(|addr| addr & !1)
}

/// A sorted set that never blocks. Finding takes a step for each smaller value.
///
/// ```
/// use ochre_sync::lockfree::List;
/// use ochre_sync::rcu::{Host, pinned};
///
/// let list: List<u32, Host> = List::new();
/// pinned(|guard| {
///     assert!(list.insert(2, guard) && list.insert(1, guard));
///     assert!(!list.insert(2, guard));
///     assert_eq!(list.get(&2, guard), Some(&2));
///     assert!(list.remove(&2, guard));
///     assert_eq!(list.iter(guard).collect::<Vec<_>>(), [&1]);
/// });
/// ```
///
/// What was found goes with the guard:
///
/// ```compile_fail,E0505
/// use ochre_sync::lockfree::List;
/// use ochre_sync::rcu::{Epoch, Host};
/// let list: List<u32, Host> = List::new();
/// let epoch = Epoch::register();
/// let guard = epoch.pin();
/// let found = list.get(&1, &guard);
/// drop(guard);
/// println!("{found:?}");
/// ```
pub struct List<T: 'static, D> {
    head: Link<T>,
    owns: PhantomData<Box<T>>,
    domain: PhantomData<fn() -> D>,
}

// SAFETY: values are shared by readers and dropped on any thread.
unsafe impl<T: Send + Sync, D> Send for List<T, D> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync, D> Sync for List<T, D> {}

/// Where a value is, or would be.
struct Place<'g, T> {
    /// The link that led there.
    before: &'g Link<T>,
    /// The first node that is not smaller, if there is one.
    at: *mut Node<Entry<T>>,
    /// Whether it is the value that was looked for.
    found: bool,
}

impl<T: 'static, D> List<T, D> {
    maybe_const! {
        /// An empty list.
        ///
        /// ```
        /// use ochre_sync::lockfree::List;
        /// use ochre_sync::rcu::{Host, pinned};
        ///
        /// let names: List<&str, Host> = List::new();
        /// assert!(pinned(|guard| names.iter(guard).next().is_none()));
        /// ```
        #[must_use]
        pub fn new() -> List<T, D> {
            List {
                head: AtomicPtr::new(ptr::null_mut()),
                owns: PhantomData,
                domain: PhantomData,
            }
        }
    }
}

impl<T: Ord + Send + Sync + 'static, D: Domain> List<T, D> {
    /// Puts a value in. Returns false, and drops it, if there is an equal one.
    /// Needs memory.
    ///
    /// ```
    /// use ochre_sync::lockfree::List;
    /// use ochre_sync::rcu::{Host, pinned};
    ///
    /// let taken: List<u16, Host> = List::new();
    /// std::thread::scope(|scope| {
    ///     let threads = [(); 2].map(|()| scope.spawn(|| pinned(|guard| taken.insert(80, guard))));
    ///     let got = threads.map(|thread| thread.join().expect("no panic"));
    ///     assert!(got[0] ^ got[1], "a port is one thread's");
    /// });
    /// ```
    pub fn insert(&self, value: T, guard: &impl Protects<D>) -> bool {
        let node = Box::into_raw(Node::new(Entry {
            value,
            next: AtomicPtr::new(ptr::null_mut()),
        }));
        // SAFETY: from `into_raw`; it is freed by others only after it has been in
        // the list and out again, and the guard keeps that from happening here.
        let entry = unsafe { &*node }.value();
        loop {
            let place = self.find(&entry.value, guard);
            if place.found {
                // SAFETY: from `into_raw` above, and nobody has seen it.
                drop(unsafe { Box::from_raw(node) });
                return false;
            }
            // ORDERING: Relaxed; the node is ours still.
            entry.next.store(place.at, Ordering::Relaxed);
            // It fails if something came in between, or the node before is removed:
            // then the link has its mark.
            // ORDERING: Release publishes the node.
            let placed =
                place
                    .before
                    .compare_exchange(place.at, node, Ordering::Release, Ordering::Relaxed);
            if placed.is_ok() {
                return true;
            }
        }
    }

    /// Takes a value out. Returns whether it was there; of several that remove it
    /// at once, one is told so.
    ///
    /// ```
    /// use ochre_sync::lockfree::List;
    /// use ochre_sync::rcu::{Host, pinned};
    ///
    /// let sleepers: List<u32, Host> = List::new();
    /// pinned(|guard| {
    ///     sleepers.insert(7, guard);
    ///     let found = sleepers.get(&7, guard);
    ///     assert!(sleepers.remove(&7, guard) && !sleepers.remove(&7, guard));
    ///     assert_eq!(found, Some(&7), "who has found it may look at it still");
    /// });
    /// ```
    pub fn remove(&self, value: &T, guard: &impl Protects<D>) -> bool {
        loop {
            let place = self.find(value, guard);
            if !place.found {
                return false;
            }
            // SAFETY: in the list a moment ago, while the guard was there.
            let entry = unsafe { &*place.at }.value();
            // ORDERING: Relaxed; the compare-exchange looks again.
            let next = entry.next.load(Ordering::Relaxed);
            if is_marked(next) {
                continue;
            }
            // ORDERING: Acquire: we pass `next` on below. Not Release: who sees the
            // mark sees as much as who saw the link without it, for a
            // read-modify-write goes on with the release sequence it finds.
            let removed = entry.next.compare_exchange(
                next,
                marked(next),
                Ordering::Acquire,
                Ordering::Relaxed,
            );
            if removed.is_err() {
                continue;
            }
            if !self.unlink(place.before, place.at, next) {
                // Somebody was here; walking by does it, if it is not done.
                self.find(value, guard);
            }
            return true;
        }
    }

    /// The value equal to `value`, if there is one.
    ///
    /// ```
    /// use ochre_sync::lockfree::List;
    /// use ochre_sync::rcu::{Host, pinned};
    ///
    /// let words: List<String, Host> = List::new();
    /// pinned(|guard| {
    ///     words.insert("one".to_owned(), guard);
    ///     assert_eq!(words.get(&"one".to_owned(), guard).map(String::len), Some(3));
    ///     assert_eq!(words.get(&"two".to_owned(), guard), None);
    /// });
    /// ```
    pub fn get<'g>(&'g self, value: &T, guard: &'g impl Protects<D>) -> Option<&'g T> {
        let place = self.find(value, guard);
        if !place.found {
            return None;
        }
        // SAFETY: in the list while the guard was there, so it is not freed
        // before the guard goes, nor by the list's drop.
        Some(&unsafe { &*place.at }.value().value)
    }

    /// Whether there is a value equal to `value`.
    ///
    /// ```
    /// use ochre_sync::lockfree::List;
    /// use ochre_sync::rcu::{Host, pinned};
    ///
    /// let seen: List<u32, Host> = List::new();
    /// pinned(|guard| {
    ///     assert!(seen.insert(3, guard));
    ///     assert!(seen.contains(&3, guard) && !seen.contains(&4, guard));
    /// });
    /// ```
    pub fn contains(&self, value: &T, guard: &impl Protects<D>) -> bool {
        self.find(value, guard).found
    }

    /// The values, smallest first. What comes or goes meanwhile may be among them or not.
    ///
    /// ```
    /// use ochre_sync::lockfree::List;
    /// use ochre_sync::rcu::{Host, pinned};
    ///
    /// let list: List<u32, Host> = List::new();
    /// pinned(|guard| {
    ///     for number in [3, 1, 2] {
    ///         list.insert(number, guard);
    ///     }
    ///     assert!(list.iter(guard).eq(&[1, 2, 3]));
    /// });
    /// ```
    pub fn iter<'g>(&'g self, _guard: &'g impl Protects<D>) -> impl Iterator<Item = &'g T> {
        // ORDERING: Acquire, both loads: pairs with the Release of `insert`.
        let mut next = self.head.load(Ordering::Acquire);
        core::iter::from_fn(move || {
            loop {
                // SAFETY: as in `get`. A removed node's link leads on to the list, too.
                let entry = unsafe { unmarked(next).as_ref() }?.value();
                // ORDERING: Acquire, as above.
                next = entry.next.load(Ordering::Acquire);
                if !is_marked(next) {
                    return Some(&entry.value);
                }
            }
        })
    }

    /// Walks to where the value is or would be, unlinking what is removed.
    fn find<'g>(&'g self, value: &T, _guard: &'g impl Protects<D>) -> Place<'g, T> {
        'again: loop {
            let mut before = &self.head;
            // ORDERING: Acquire, here and below: pairs with the Release of `insert`
            // and of `unlink`, which passes on what it knows.
            let mut at = before.load(Ordering::Acquire);
            loop {
                // SAFETY: linked while the guard was there, so it is not freed
                // before the guard goes. Links are followed only unmarked: the
                // node before was in the list when it led here.
                let Some(node) = (unsafe { at.as_ref() }) else {
                    return Place {
                        before,
                        at,
                        found: false,
                    };
                };
                let entry = node.value();
                // ORDERING: Acquire, as said above.
                let next = entry.next.load(Ordering::Acquire);
                if is_marked(next) {
                    if !self.unlink(before, at, unmarked(next)) {
                        continue 'again;
                    }
                    at = unmarked(next);
                    continue;
                }
                match entry.value.cmp(value) {
                    Compared::Less => {
                        before = &entry.next;
                        at = next;
                    }
                    Compared::Equal => {
                        return Place {
                            before,
                            at,
                            found: true,
                        };
                    }
                    Compared::Greater => {
                        return Place {
                            before,
                            at,
                            found: false,
                        };
                    }
                }
            }
        }
    }

    /// Leads the link past a marked node, and has the node freed. False if
    /// the link is another by now.
    fn unlink(&self, before: &Link<T>, at: *mut Node<Entry<T>>, next: *mut Node<Entry<T>>) -> bool {
        // ORDERING: Release passes on what we know of `next` to who comes by this link.
        let done = before.compare_exchange(at, next, Ordering::Release, Ordering::Relaxed);
        if done.is_err() {
            return false;
        }
        let Some(node) = NonNull::new(at) else {
            return true;
        };
        // SAFETY: from `Box::into_raw`; one link at most leads to a node, and we
        // led it past it, so nobody else does. Its value is `Send`.
        unsafe { retire::<D, Entry<T>>(node) };
        true
    }
}

impl<T: 'static, D> Drop for List<T, D> {
    fn drop(&mut self) {
        // ORDERING: Relaxed, all of them; `&mut self` means that no other thread is here.
        let mut next = self.head.load(Ordering::Relaxed);
        while !next.is_null() {
            // SAFETY: linked nodes are the list's, from `Box::into_raw`.
            let entry = unsafe { Box::from_raw(next) }.into_value();
            next = unmarked(entry.next.load(Ordering::Relaxed));
        }
    }
}

impl<T: 'static, D> Default for List<T, D> {
    fn default() -> List<T, D> {
        List::new()
    }
}

impl<T: 'static, D> fmt::Debug for List<T, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("List(..)")
    }
}
