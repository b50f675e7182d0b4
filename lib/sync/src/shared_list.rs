//! Doubly linked lists of shared nodes: waiters that cost no allocation but
//! their own, found and taken out from either side.
//!
//! A [`Node`] is held by an `Arc`: by whoever made it, and by the one [`List`]
//! or [`Chain`] that it is in. Adding, removing and moving a node allocates
//! nothing. Who holds the node can take it out of the list that it is in at any
//! time, in constant time; who holds the list can walk it and take out what it
//! likes. A wait queue behind a lock is the use: the lock guards the list, the
//! waiter has its node.
//!
//! # Who may use what when
//!
//! | part of a node | who |
//! | --- | --- |
//! | `shared` | everybody with a handle, at any time |
//! | `owner` | everybody reads; changed from [`FREE`] by whoever wins, else by the holder of the list that it names |
//! | `links`, `value` | the holder of the list (`&mut`, to read `&`) that `owner` names |
//!
//! # Why it is sound
//! A list has a number that no other list ever had, given at its first push, so
//! a node whose owner is that number is in that very list. The number of a list
//! leaves a node's `owner` only through `&mut` of the list; whoever has that
//! list now has seen it happen, so `owner == id` is never read too late. A node
//! that is not in a list gets into one by a compare-and-swap from [`FREE`],
//! which at most one list wins.
//!
//! # Examples
//! ```
//! extern crate alloc;
//! use alloc::sync::Arc;
//! use ochre_sync::{List, Node};
//!
//! let mut list = List::new();
//! let (one, two) = (Arc::new(Node::new("one")), Arc::new(Node::new("two")));
//! assert!(list.push_back(&one, 1));
//! assert!(list.push_back(&two, 2));
//! assert!(!list.push_back(&two, 2), "it is in a list");
//! assert_eq!(list.remove(&one), Some(1));
//! assert_eq!(list.iter().collect::<Vec<_>>(), [(&2, &"two")]);
//! ```

use alloc::sync::Arc;
use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;

use crate::maybe_const;
use crate::primitive::UnsafeCell;
use crate::primitive::atomic::{AtomicU64, Ordering};

/// The owner of a node that is in nothing.
const FREE: u64 = 0;

/// The owner of a node that is in a [`Chain`].
const CHAINED: u64 = u64::MAX;

/// The number of the next list.
#[cfg(not(loom))]
static NEXT_ID: AtomicU64 = AtomicU64::new(1);
#[cfg(loom)]
loom::lazy_static! {
    static ref NEXT_ID: AtomicU64 = AtomicU64::new(1);
}

/// What a list or a chain links: `shared` for all, a value for the list's holder.
///
/// ```
/// use std::sync::Arc;
/// use ochre_sync::{List, Node};
///
/// let node: Arc<Node<u32, &str>> = Arc::new(Node::new("everybody sees this"));
/// assert_eq!(*node.shared(), "everybody sees this");
/// let mut list = List::new();
/// list.push_back(&node, 5);
/// assert!(!node.is_free());
/// drop(list);
/// assert!(node.is_free());
/// ```
///
/// Everybody sees the shared part, so it must allow that:
///
/// ```compile_fail,E0277
/// use ochre_sync::Node;
/// let node: Node<u32, core::cell::Cell<u32>> = Node::new(core::cell::Cell::new(1));
/// std::thread::scope(|scope| {
///     scope.spawn(|| node.shared().set(2));
/// });
/// ```
pub struct Node<T, S> {
    owner: AtomicU64,
    /// Reached through pointers that outlive the cell's closures: what they may
    /// be used for is what the module says.
    links: UnsafeCell<Links<T, S>>,
    value: UnsafeCell<Option<T>>,
    shared: S,
}

/// The first and the last node.
type Ends<T, S> = (NonNull<Node<T, S>>, NonNull<Node<T, S>>);

struct Links<T, S> {
    previous: Option<NonNull<Node<T, S>>>,
    next: Option<NonNull<Node<T, S>>>,
}

// SAFETY: a node carries a `T` and an `S`; its links are pointers that only a
// list's holder follows (see the module).
unsafe impl<T: Send, S: Send> Send for Node<T, S> {}
// SAFETY: a shared node shares `S`; the value is reached by the holder of the
// list only, to which it is sent.
unsafe impl<T: Send, S: Sync> Sync for Node<T, S> {}

impl<T, S> Node<T, S> {
    maybe_const! {
        /// A node that is in no list.
        ///
        /// ```
        /// use std::sync::Arc;
        /// use ochre_sync::Node;
        ///
        /// /// One for each task, made when the task is: waiting needs no memory then.
        /// let node: Arc<Node<u32, &str>> = Arc::new(Node::new("a task"));
        /// assert!(node.is_free());
        /// ```
        pub fn new(shared: S) -> Node<T, S> {
            Node {
                owner: AtomicU64::new(FREE),
                links: UnsafeCell::new(Links {
                    previous: None,
                    next: None,
                }),
                value: UnsafeCell::new(None),
                shared,
            }
        }
    }

    /// What everybody may see.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use ochre_sync::{List, Node};
    ///
    /// let node = Arc::new(Node::new("a name"));
    /// let mut list = List::new();
    /// list.push_back(&node, 5);
    /// // Without the list, which somebody has locked.
    /// assert_eq!(*node.shared(), "a name");
    /// ```
    #[inline]
    pub fn shared(&self) -> &S {
        &self.shared
    }

    /// Whether the node is in no list and no chain now. A hint if others may
    /// add or remove it meanwhile.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use ochre_sync::{List, Node};
    ///
    /// let node = Arc::new(Node::<u32, ()>::new(()));
    /// let mut list = List::new();
    /// assert!(node.is_free() && list.push_back(&node, 1));
    /// assert!(!node.is_free());
    /// assert!(list.remove(&node).is_some() && node.is_free());
    /// ```
    pub fn is_free(&self) -> bool {
        // ORDERING: Acquire; as in `claim`, for who goes on to reuse the node.
        self.owner.load(Ordering::Acquire) == FREE
    }

    /// Makes `id` the owner of a free node.
    fn claim(&self, id: u64) -> bool {
        // ORDERING: Acquire pairs with the Release of `free`: what the last
        // owner did with links and value is done.
        self.owner
            .compare_exchange(FREE, id, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    /// The owner gives the node up; its links are not used after this.
    fn free(&self) {
        // ORDERING: Release; see `claim`.
        self.owner.store(FREE, Ordering::Release);
    }
}

impl<T, S: fmt::Debug> fmt::Debug for Node<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("shared", &self.shared)
            .finish_non_exhaustive()
    }
}

/// What [`List::sift`] is to do with a node.
///
/// ```
/// use std::sync::Arc;
/// use ochre_sync::{List, Node, Verdict};
///
/// let nodes = [(); 4].map(|()| Arc::new(Node::<u32, ()>::new(())));
/// let mut list = List::new();
/// for (value, node) in (0..).zip(&nodes) {
///     list.push_back(node, value);
/// }
/// let mut taken = Vec::new();
/// list.sift(
///     |value, ()| match *value {
///         0 => Verdict::Keep,
///         1 => Verdict::Take,
///         _ => Verdict::Stop,
///     },
///     |_, value| taken.push(value),
/// );
/// assert_eq!((taken, list.iter().count()), (vec![1], 3));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Leave it and go on.
    Keep,
    /// Take it out and go on.
    Take,
    /// Leave it and look no further.
    Stop,
}

/// Nodes in an order.
///
/// ```
/// use std::sync::Arc;
/// use ochre_sync::{List, Node};
///
/// let nodes = [3, 1, 2].map(|value| (value, Arc::new(Node::<u32, ()>::new(()))));
/// let mut list = List::new();
/// for (value, node) in &nodes {
///     list.insert(node, *value, |other| other <= value);
/// }
/// assert_eq!(list.iter().map(|(value, ())| *value).collect::<Vec<_>>(), [1, 2, 3]);
/// assert_eq!(list.remove(&nodes[2].1), Some(2));
/// assert_eq!(list.remove(&nodes[2].1), None);
/// ```
pub struct List<T, S> {
    /// INVARIANT: 0 until the first push, then a number of this list alone.
    id: u64,
    /// INVARIANT: both or neither; the ends of a doubly linked chain of nodes
    /// whose owner is `id`, each of which holds one count of its `Arc`.
    ends: Option<Ends<T, S>>,
    nodes: PhantomData<Arc<Node<T, S>>>,
}

// SAFETY: a list is a set of handles to nodes, with the right to their values.
unsafe impl<T: Send, S: Send + Sync> Send for List<T, S> {}
// SAFETY: a shared list shares values and `S`.
unsafe impl<T: Send + Sync, S: Send + Sync> Sync for List<T, S> {}

impl<T, S> List<T, S> {
    /// A list without nodes.
    ///
    /// ```
    /// use ochre_sync::{List, SpinLock};
    ///
    /// static WAITERS: SpinLock<List<u32, ()>> = SpinLock::new(List::new());
    /// assert!(WAITERS.lock().is_empty());
    /// ```
    pub const fn new() -> List<T, S> {
        List {
            id: FREE,
            ends: None,
            nodes: PhantomData,
        }
    }

    /// Whether there is no node.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use ochre_sync::{List, Node};
    ///
    /// let mut list: List<u32, ()> = List::default();
    /// assert!(list.is_empty());
    /// list.push_back(&Arc::new(Node::new(())), 1);
    /// assert!(!list.is_empty());
    /// ```
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.ends.is_none()
    }

    /// Adds a node at the end; false if it is in a list or chain already.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use ochre_sync::{List, Node};
    ///
    /// let node = Arc::new(Node::<&str, ()>::new(()));
    /// let (mut one, mut other) = (List::new(), List::new());
    /// assert!(one.push_back(&node, "here"));
    /// assert!(!other.push_back(&node, "and there"), "it is in one place only");
    /// ```
    pub fn push_back(&mut self, node: &Arc<Node<T, S>>, value: T) -> bool {
        self.insert(node, value, |_| true)
    }

    /// Adds a node behind the last one of which `goes_before` is true, in front
    /// if there is none; false if it is in a list or chain already. Looks from
    /// the end, so adding in order costs one look.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use ochre_sync::{List, Node};
    ///
    /// let nodes = [5, 1, 9].map(|time| (time, Arc::new(Node::<u32, ()>::new(()))));
    /// let mut timers = List::new();
    /// for (time, node) in &nodes {
    ///     timers.insert(node, *time, |other| other <= time);
    /// }
    /// assert!(timers.iter().map(|(time, ())| *time).eq([1, 5, 9]));
    /// ```
    pub fn insert(
        &mut self,
        node: &Arc<Node<T, S>>,
        value: T,
        mut goes_before: impl FnMut(&T) -> bool,
    ) -> bool {
        if self.id == FREE {
            // ORDERING: Relaxed; only that no number is given twice matters.
            self.id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        }
        if !node.claim(self.id) {
            return false;
        }
        // SAFETY: the node is this list's since `claim`, and `self` is exclusive.
        unsafe { *node.value.with_mut(|value| value) = Some(value) };
        let mut previous = self.ends.map(|(_, tail)| tail);
        while let Some(other) = previous {
            // SAFETY: a node of this list is alive and its value ours to see.
            if unsafe { value_of(other) }.is_some_and(&mut goes_before) {
                break;
            }
            // SAFETY: as above.
            previous = unsafe { links_of(other) }.previous;
        }
        let new = pointer(Arc::clone(node));
        let next = match previous {
            // SAFETY: a node of this list is alive and its links are ours.
            Some(other) => unsafe { links_of(other) }.next,
            None => self.ends.map(|(head, _)| head),
        };
        // SAFETY: claimed above, so its links are ours.
        *unsafe { links_of(new) } = Links { previous, next };
        if let Some(other) = previous {
            // SAFETY: a node of this list.
            unsafe { links_of(other) }.next = Some(new);
        }
        if let Some(other) = next {
            // SAFETY: a node of this list.
            unsafe { links_of(other) }.previous = Some(new);
        }
        self.ends = Some(match (self.ends, previous, next) {
            (Some((_, tail)), None, Some(_)) => (new, tail),
            (Some((head, _)), Some(_), None) => (head, new),
            (Some(ends), Some(_), Some(_)) => ends,
            _ => (new, new),
        });
        true
    }

    /// Takes a node out; its value, or `None` if it is not in this list.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use ochre_sync::{List, Node};
    ///
    /// let [one, other] = [(); 2].map(|()| Arc::new(Node::<&str, ()>::new(())));
    /// let mut list = List::new();
    /// list.push_back(&one, "one");
    /// list.push_back(&other, "other");
    /// // From the middle, without a search.
    /// assert_eq!(list.remove(&one), Some("one"));
    /// assert_eq!(list.remove(&one), None, "somebody else may have done it");
    /// ```
    pub fn remove(&mut self, node: &Arc<Node<T, S>>) -> Option<T> {
        if !self.holds(node) {
            return None;
        }
        let at = NonNull::new(Arc::as_ptr(node).cast_mut())?;
        let (node, value) = self.unlink(at);
        drop(node);
        value
    }

    /// The value of a node, if it is in this list.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use ochre_sync::{List, Node};
    ///
    /// let node = Arc::new(Node::<u32, ()>::new(()));
    /// let mut list = List::new();
    /// assert_eq!(list.value(&node), None);
    /// list.push_back(&node, 5);
    /// assert_eq!(list.value(&node), Some(&5));
    /// ```
    pub fn value(&self, node: &Node<T, S>) -> Option<&T> {
        if !self.holds(node) {
            return None;
        }
        // SAFETY: a node of this list; it stays one while `self` is borrowed.
        unsafe { &*node.value.with(|value| value) }.as_ref()
    }

    /// The nodes' values and shared parts, in order.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use ochre_sync::{List, Node};
    ///
    /// let mut list = List::new();
    /// for (value, name) in [(1, "one"), (2, "two")] {
    ///     list.push_back(&Arc::new(Node::new(name)), value);
    /// }
    /// assert!(list.iter().eq([(&1, &"one"), (&2, &"two")]));
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = (&T, &S)> {
        let mut next = self.ends.map(|(head, _)| head);
        core::iter::from_fn(move || {
            let at = next?;
            // SAFETY: a node of this list lives while the list is borrowed.
            let node = unsafe { at.as_ref() };
            // SAFETY: nobody writes links while the list is borrowed.
            next = unsafe { &*node.links.with(|links| links) }.next;
            // SAFETY: nor values.
            let value = unsafe { &*node.value.with(|value| value) }.as_ref()?;
            Some((value, &node.shared))
        })
    }

    /// Walks the list from its start: `judge` says what becomes of each node,
    /// and `taken` gets those taken out with their values, in order.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use ochre_sync::{Chain, List, Node, Verdict};
    ///
    /// let mut timers = List::new();
    /// for time in [1, 2, 8] {
    ///     timers.push_back(&Arc::new(Node::<u32, u32>::new(time)), time);
    /// }
    /// // What is due at 5 goes into a chain, for when the list's lock is given back.
    /// let mut due = Chain::new();
    /// timers.sift(
    ///     |time, _| if *time <= 5 { Verdict::Take } else { Verdict::Stop },
    ///     |node, _| drop(due.push(node)),
    /// );
    /// let called = core::iter::from_fn(|| due.pop()).map(|node| *node.shared());
    /// assert!(called.eq([1, 2]) && timers.iter().count() == 1);
    /// ```
    pub fn sift(
        &mut self,
        mut judge: impl FnMut(&mut T, &S) -> Verdict,
        mut taken: impl FnMut(Arc<Node<T, S>>, T),
    ) {
        let mut next = self.ends.map(|(head, _)| head);
        while let Some(at) = next {
            let verdict = {
                // SAFETY: a node of this list lives while it is in it.
                let node = unsafe { at.as_ref() };
                // SAFETY: its links are ours; the reference ends here.
                next = unsafe { &*node.links.with(|links| links) }.next;
                // SAFETY: its value is ours alone through `&mut self`.
                match unsafe { &mut *node.value.with_mut(|value| value) } {
                    Some(value) => judge(value, &node.shared),
                    None => Verdict::Keep,
                }
            };
            match verdict {
                Verdict::Keep => {}
                Verdict::Take => {
                    let (node, value) = self.unlink(at);
                    if let Some(value) = value {
                        taken(node, value);
                    }
                }
                Verdict::Stop => return,
            }
        }
    }

    /// Whether a node is in this list.
    fn holds(&self, node: &Node<T, S>) -> bool {
        // ORDERING: Relaxed; our number leaves a node through `&mut self` only,
        // so what we see of it is not older than our access to the list.
        self.id != FREE && node.owner.load(Ordering::Relaxed) == self.id
    }

    /// Takes out a node of this list.
    fn unlink(&mut self, at: NonNull<Node<T, S>>) -> (Arc<Node<T, S>>, Option<T>) {
        let links = {
            // SAFETY: a node of this list is alive and its links are ours.
            let links = unsafe { links_of(at) };
            Links {
                previous: links.previous.take(),
                next: links.next.take(),
            }
        };
        if let Some(other) = links.previous {
            // SAFETY: as above: a neighbour is in this list.
            unsafe { links_of(other) }.next = links.next;
        }
        if let Some(other) = links.next {
            // SAFETY: as above.
            unsafe { links_of(other) }.previous = links.previous;
        }
        self.ends = self.ends.and_then(|(head, tail)| {
            let head = if head == at { links.next? } else { head };
            let tail = if tail == at { links.previous? } else { tail };
            Some((head, tail))
        });
        // SAFETY: the list's own count of the node, made by `pointer` in
        // `insert` and given up here, where the node leaves the list.
        let node = unsafe { Arc::from_raw(at.as_ptr().cast_const()) };
        // SAFETY: still ours: `free` comes after.
        let value = unsafe { &mut *node.value.with_mut(|value| value) }.take();
        node.free();
        (node, value)
    }
}

impl<T, S> Default for List<T, S> {
    fn default() -> List<T, S> {
        List::new()
    }
}

impl<T, S> Drop for List<T, S> {
    fn drop(&mut self) {
        while let Some((head, _)) = self.ends {
            drop(self.unlink(head));
        }
    }
}

impl<T, S> fmt::Debug for List<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("List")
            .field("is_empty", &self.is_empty())
            .finish_non_exhaustive()
    }
}

/// Nodes taken from lists that wait for something to be done with them, first
/// in, first out: to wake whom a lock's holder chose after it gave the lock back.
///
/// ```
/// use std::sync::Arc;
/// use ochre_sync::{Chain, Node};
///
/// let mut chosen: Chain<(), u32> = Chain::new();
/// chosen.push(Arc::new(Node::new(1)));
/// chosen.push(Arc::new(Node::new(2)));
/// // The lock has been given back meanwhile.
/// while let Some(node) = chosen.pop() {
///     println!("wake {}", node.shared());
/// }
/// ```
pub struct Chain<T, S> {
    /// INVARIANT: a singly linked chain of nodes whose owner is [`CHAINED`],
    /// each of which holds one count of its `Arc`; nobody else reaches their links.
    ends: Option<Ends<T, S>>,
    nodes: PhantomData<Arc<Node<T, S>>>,
}

// SAFETY: a chain is a set of handles to nodes.
unsafe impl<T: Send, S: Send + Sync> Send for Chain<T, S> {}

impl<T, S> Chain<T, S> {
    /// A chain without nodes.
    ///
    /// ```
    /// use ochre_sync::Chain;
    ///
    /// let mut chain: Chain<u32, &str> = Chain::new();
    /// assert!(chain.pop().is_none());
    /// ```
    pub const fn new() -> Chain<T, S> {
        Chain {
            ends: None,
            nodes: PhantomData,
        }
    }

    /// Adds a node at the end; false if it is in a list or chain already.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use ochre_sync::{Chain, List, Node};
    ///
    /// let node = Arc::new(Node::<u32, ()>::new(()));
    /// let mut list = List::new();
    /// list.push_back(&node, 1);
    /// let mut chain = Chain::new();
    /// assert!(!chain.push(Arc::clone(&node)), "it is in the list");
    /// drop(list);
    /// assert!(chain.push(node));
    /// ```
    pub fn push(&mut self, node: Arc<Node<T, S>>) -> bool {
        if !node.claim(CHAINED) {
            return false;
        }
        let new = pointer(node);
        // SAFETY: claimed above, so its links are this chain's.
        *unsafe { links_of(new) } = Links {
            previous: None,
            next: None,
        };
        self.ends = Some(match self.ends {
            None => (new, new),
            Some((head, tail)) => {
                // SAFETY: a node of this chain is alive and its links are ours.
                unsafe { links_of(tail) }.next = Some(new);
                (head, new)
            }
        });
        true
    }

    /// Takes the first node out.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use ochre_sync::{Chain, Node};
    ///
    /// let mut chain: Chain<(), u32> = Chain::new();
    /// for number in [1, 2] {
    ///     chain.push(Arc::new(Node::new(number)));
    /// }
    /// let first = chain.pop().expect("there are two");
    /// assert!(*first.shared() == 1 && first.is_free(), "it can go elsewhere");
    /// ```
    pub fn pop(&mut self) -> Option<Arc<Node<T, S>>> {
        let (head, tail) = self.ends?;
        // SAFETY: a node of this chain is alive and its links are ours.
        let next = unsafe { links_of(head) }.next.take();
        self.ends = next.map(|next| (next, tail));
        // SAFETY: the chain's own count, made by `pointer` in `push`.
        let node = unsafe { Arc::from_raw(head.as_ptr().cast_const()) };
        node.free();
        Some(node)
    }
}

impl<T, S> Default for Chain<T, S> {
    fn default() -> Chain<T, S> {
        Chain::new()
    }
}

impl<T, S> Drop for Chain<T, S> {
    fn drop(&mut self) {
        while self.pop().is_some() {}
    }
}

impl<T, S> fmt::Debug for Chain<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain")
            .field("is_empty", &self.ends.is_none())
            .finish_non_exhaustive()
    }
}

/// The list's own count of a node, as a pointer.
fn pointer<T, S>(node: Arc<Node<T, S>>) -> NonNull<Node<T, S>> {
    let raw = Arc::into_raw(node).cast_mut();
    NonNull::new(raw).expect("an Arc's pointer is not null")
}

/// # Safety
/// The node is alive and in a list or chain that the caller has exclusively;
/// it does not keep two of these of one node.
unsafe fn links_of<'a, T, S>(node: NonNull<Node<T, S>>) -> &'a mut Links<T, S> {
    // SAFETY: alive, by the caller's promise.
    let node = unsafe { node.as_ref() };
    // SAFETY: nobody else has the links, by the caller's promise.
    unsafe { &mut *node.links.with_mut(|links| links) }
}

/// # Safety
/// The node is alive and in a list that the caller has.
unsafe fn value_of<'a, T, S>(node: NonNull<Node<T, S>>) -> Option<&'a T> {
    // SAFETY: alive, by the caller's promise.
    let node = unsafe { node.as_ref() };
    // SAFETY: nobody writes it meanwhile, by the caller's promise.
    unsafe { &*node.value.with(|value| value) }.as_ref()
}

#[cfg(all(test, loom))]
mod loom_tests;

#[cfg(all(test, not(loom)))]
mod tests;
