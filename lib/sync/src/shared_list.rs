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
    #[inline]
    pub fn shared(&self) -> &S {
        &self.shared
    }

    /// Whether the node is in no list and no chain now. A hint if others may
    /// add or remove it meanwhile.
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
    pub const fn new() -> List<T, S> {
        List {
            id: FREE,
            ends: None,
            nodes: PhantomData,
        }
    }

    /// Whether there is no node.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.ends.is_none()
    }

    /// Adds a node at the end; false if it is in a list or chain already.
    pub fn push_back(&mut self, node: &Arc<Node<T, S>>, value: T) -> bool {
        self.insert(node, value, |_| true)
    }

    /// Adds a node behind the last one of which `goes_before` is true, in front
    /// if there is none; false if it is in a list or chain already. Looks from
    /// the end, so adding in order costs one look.
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
    pub fn value(&self, node: &Node<T, S>) -> Option<&T> {
        if !self.holds(node) {
            return None;
        }
        // SAFETY: a node of this list; it stays one while `self` is borrowed.
        unsafe { &*node.value.with(|value| value) }.as_ref()
    }

    /// The nodes' values and shared parts, in order.
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
    pub const fn new() -> Chain<T, S> {
        Chain {
            ends: None,
            nodes: PhantomData,
        }
    }

    /// Adds a node at the end; false if it is in a list or chain already.
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
mod tests {
    use super::{Chain, List, Node, Verdict};
    use crate::SpinLock;
    use std::sync::Arc;
    use std::vec::Vec;

    type Nodes = Vec<Arc<Node<u32, u32>>>;

    fn filled(count: u32) -> (List<u32, u32>, Nodes) {
        let nodes: Nodes = (0..count).map(|n| Arc::new(Node::new(n))).collect();
        let mut list = List::new();
        for node in &nodes {
            assert!(list.push_back(node, node.shared() * 10));
        }
        (list, nodes)
    }

    fn order(list: &List<u32, u32>) -> Vec<u32> {
        list.iter().map(|(_, shared)| *shared).collect()
    }

    #[test]
    fn any_node_comes_out() {
        for first in 0..3 {
            for second in 0..3 {
                let (mut list, nodes) = filled(3);
                assert_eq!(list.remove(&nodes[first]), Some(first as u32 * 10));
                assert_eq!(list.remove(&nodes[first]), None);
                let twice = first == second;
                assert_eq!(list.remove(&nodes[second]).is_none(), twice);
                let left: Vec<u32> = (0..3)
                    .filter(|n| *n != first as u32 && *n != second as u32)
                    .collect();
                assert_eq!(order(&list), left);
                assert!(list.push_back(&nodes[first], 7));
                assert_eq!(order(&list).last(), Some(&(first as u32)));
            }
        }
    }

    #[test]
    fn a_list_touches_only_its_own_nodes() {
        let (mut one, nodes) = filled(2);
        let mut other = List::new();
        assert!(!other.push_back(&nodes[0], 1));
        assert_eq!(other.remove(&nodes[0]), None);
        assert_eq!(other.value(&nodes[0]), None);
        core::mem::swap(&mut one, &mut other);
        assert_eq!(
            one.remove(&nodes[0]),
            None,
            "lists keep their nodes when they move"
        );
        assert_eq!(other.remove(&nodes[0]), Some(0));
        assert!(one.push_back(&nodes[0], 3));
        assert_eq!(one.value(&nodes[0]), Some(&3));
    }

    #[test]
    fn sifting_takes_keeps_and_stops() {
        let (mut list, _nodes) = filled(6);
        let mut out = Vec::new();
        list.sift(
            |value, shared| {
                *value += 1;
                match shared {
                    4 => Verdict::Stop,
                    n if n % 2 == 0 => Verdict::Take,
                    _ => Verdict::Keep,
                }
            },
            |node, _| out.push(*node.shared()),
        );
        assert_eq!(out, [0, 2]);
        let values: Vec<(u32, u32)> = list.iter().map(|(value, of)| (*value, *of)).collect();
        assert_eq!(values, [(11, 1), (31, 3), (41, 4), (50, 5)]);
    }

    #[test]
    fn nodes_move_between_lists_while_both_are_held() {
        let (mut from, nodes) = filled(4);
        let mut to = List::new();
        from.sift(
            |_, shared| {
                if *shared < 3 {
                    Verdict::Take
                } else {
                    Verdict::Stop
                }
            },
            |node, value| assert!(to.push_back(&node, value + 5)),
        );
        assert_eq!(order(&from), [3]);
        assert_eq!(order(&to), [0, 1, 2]);
        assert_eq!(to.remove(&nodes[1]), Some(15));
    }

    #[test]
    fn order_is_by_what_the_caller_says() {
        let mut list: List<u32, u32> = List::new();
        for (name, rank) in [(0, 5), (1, 9), (2, 5), (3, 1), (4, 9), (5, 7)] {
            let node = Arc::new(Node::new(name));
            assert!(list.insert(&node, rank, |other| *other >= rank));
        }
        assert_eq!(order(&list), [1, 4, 5, 0, 2, 3]);
    }

    #[test]
    fn nothing_is_leaked_or_freed_early() {
        let (mut list, nodes) = filled(3);
        assert!(nodes.iter().all(|node| Arc::strong_count(node) == 2));
        list.remove(&nodes[1]);
        assert_eq!(Arc::strong_count(&nodes[1]), 1);
        let mut chain = Chain::new();
        list.sift(|_, _| Verdict::Take, |node, _| assert!(chain.push(node)));
        assert!(!list.push_back(&nodes[0], 0), "it is in the chain");
        assert_eq!(Arc::strong_count(&nodes[0]), 2);
        assert_eq!(chain.pop().map(|node| *node.shared()), Some(0));
        assert!(list.push_back(&nodes[0], 0));
        drop(chain);
        drop(list);
        assert!(
            nodes
                .iter()
                .all(|node| Arc::strong_count(node) == 1 && node.is_free())
        );
        let (list, nodes) = filled(3);
        drop(nodes);
        assert_eq!(order(&list), [0, 1, 2]);
    }

    #[test]
    fn waiters_leave_while_others_wake_them() {
        let list = Arc::new(SpinLock::new(List::new()));
        let rounds = if cfg!(miri) { 20 } else { 2_000 };
        let threads: Vec<_> = (0..2)
            .map(|who| {
                let list = Arc::clone(&list);
                std::thread::spawn(move || {
                    let node = Arc::new(Node::new(who));
                    let mut left = 0;
                    for round in 0..rounds {
                        while !list.lock().push_back(&node, round) {
                            std::thread::yield_now();
                        }
                        let out = list.lock().remove(&node);
                        left += u32::from(out == Some(round));
                    }
                    left
                })
            })
            .collect();
        let mut taken = 0;
        while !threads.iter().all(std::thread::JoinHandle::is_finished) {
            let mut chain = Chain::new();
            list.lock()
                .sift(|_, _| Verdict::Take, |node, _| assert!(chain.push(node)));
            while let Some(node) = chain.pop() {
                assert!(*node.shared() < 2);
                taken += 1;
            }
        }
        let left: u32 = threads
            .into_iter()
            .map(|thread| thread.join().expect("no thread panics"))
            .sum();
        assert_eq!(left + taken, 2 * rounds);
    }
}
