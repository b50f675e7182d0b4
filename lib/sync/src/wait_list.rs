//! A queue whose entries live where their owners put them: on the stacks of
//! those who wait, or in their futures.
//!
//! Doubly linked, first in, first out; an entry leaves from anywhere in the
//! middle. It allocates nothing and never fails.
//!
//! # What must hold
//! The lock of the queue's owner guards [`List`] and the links of all entries in
//! it. An entry stays in its place while it is linked; who unlinked it may touch
//! it until its owner is told to go, and not after.

use core::ptr;

use crate::primitive::UnsafeCell;

/// An entry, with the owner's data.
pub(crate) struct Node<T> {
    links: UnsafeCell<Links<T>>,
    pub(crate) data: T,
}

struct Links<T> {
    previous: *const Node<T>,
    next: *const Node<T>,
    linked: bool,
}

impl<T> Node<T> {
    /// An entry that is in no queue.
    pub(crate) fn new(data: T) -> Node<T> {
        let links = UnsafeCell::new(Links {
            previous: ptr::null(),
            next: ptr::null(),
            linked: false,
        });
        Node { links, data }
    }

    /// Whether the entry is in a queue.
    ///
    /// # Safety
    /// The caller holds the lock of the only queue it may be in, or is ordered
    /// after who took it out.
    pub(crate) unsafe fn is_linked(&self) -> bool {
        // SAFETY: nobody writes the links meanwhile, says the caller.
        self.links.with(|links| unsafe { (*links).linked })
    }

    /// The entry behind this one, or null.
    ///
    /// # Safety
    /// The caller holds the lock of the queue the entry is in.
    pub(crate) unsafe fn next(&self) -> *const Node<T> {
        // SAFETY: as in `is_linked`.
        self.links.with(|links| unsafe { (*links).next })
    }

    /// Changes the links.
    ///
    /// # Safety
    /// The node is alive; the caller holds the lock of the queue it is in or
    /// about to be in.
    unsafe fn change(node: *const Node<T>, change: impl FnOnce(&mut Links<T>)) {
        // SAFETY: the node is alive, says the caller.
        let node = unsafe { &*node };
        // SAFETY: the queue's lock makes this the only access.
        node.links.with_mut(|links| change(unsafe { &mut *links }));
    }
}

/// An entry's end is an access to it; so loom checks that it comes after all others.
#[cfg(loom)]
impl<T> Drop for Node<T> {
    fn drop(&mut self) {
        self.links.with_mut(|_| ());
    }
}

/// The two ends of a queue; what each method asks of its caller beside its own
/// words is the queue's lock, which `&mut self` stands for.
pub(crate) struct List<T> {
    head: *const Node<T>,
    tail: *const Node<T>,
}

impl<T> List<T> {
    /// An empty queue.
    pub(crate) const fn new() -> List<T> {
        List {
            head: ptr::null(),
            tail: ptr::null(),
        }
    }

    /// The entry at the front, or null.
    pub(crate) fn front(&self) -> *const Node<T> {
        self.head
    }

    /// Puts an entry at the back.
    ///
    /// # Safety
    /// The node is in no queue; it stays alive and in its place until it is
    /// taken out.
    pub(crate) unsafe fn push_back(&mut self, node: *const Node<T>) {
        let tail = self.tail;
        let link = |links: &mut Links<T>| {
            links.previous = tail;
            links.next = ptr::null();
            links.linked = true;
        };
        // SAFETY: the node is alive, and only its owner knows it so far.
        unsafe { Node::change(node, link) };
        if tail.is_null() {
            self.head = node;
        } else {
            // SAFETY: what is in the queue is alive, and the lock is held.
            unsafe { Node::change(tail, |links| links.next = node) };
        }
        self.tail = node;
    }

    /// Puts an entry at the front.
    ///
    /// # Safety
    /// As for [`push_back`](List::push_back).
    pub(crate) unsafe fn push_front(&mut self, node: *const Node<T>) {
        let head = self.head;
        let link = |links: &mut Links<T>| {
            links.previous = ptr::null();
            links.next = head;
            links.linked = true;
        };
        // SAFETY: the node is alive, and only its owner knows it so far.
        unsafe { Node::change(node, link) };
        if head.is_null() {
            self.tail = node;
        } else {
            // SAFETY: what is in the queue is alive, and the lock is held.
            unsafe { Node::change(head, |links| links.previous = node) };
        }
        self.head = node;
    }

    /// Takes an entry out; gives the one that was behind it, or null.
    ///
    /// # Safety
    /// The node is in this queue.
    pub(crate) unsafe fn remove(&mut self, node: *const Node<T>) -> *const Node<T> {
        let (mut previous, mut next) = (ptr::null(), ptr::null());
        let unlink = |links: &mut Links<T>| {
            (previous, next) = (links.previous, links.next);
            links.linked = false;
        };
        // SAFETY: what is in the queue is alive, and the lock is held.
        unsafe { Node::change(node, unlink) };
        if previous.is_null() {
            self.head = next;
        } else {
            // SAFETY: as above.
            unsafe { Node::change(previous, |links| links.next = next) };
        }
        if next.is_null() {
            self.tail = previous;
        } else {
            // SAFETY: as above.
            unsafe { Node::change(next, |links| links.previous = previous) };
        }
        next
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{List, Node};

    /// What is in the queue, from its front.
    fn contents(list: &List<u32>) -> Vec<u32> {
        let mut found = Vec::new();
        let mut at = list.front();
        while !at.is_null() {
            // SAFETY: the tests keep their nodes to the end; there is one thread.
            let node = unsafe { &*at };
            found.push(node.data);
            // SAFETY: as above.
            at = unsafe { node.next() };
        }
        found
    }

    #[test]
    fn entries_leave_from_anywhere() {
        let nodes: Vec<_> = (0..4).map(Node::new).collect();
        let mut list = List::new();
        for node in &nodes {
            // SAFETY: in no queue; `nodes` outlives the queue.
            unsafe { list.push_back(node) };
        }
        assert_eq!(contents(&list), [0, 1, 2, 3]);
        for (index, left) in [(1, &[0, 2, 3][..]), (3, &[0, 2]), (0, &[2]), (2, &[])] {
            // SAFETY: each is in the queue and taken out once.
            unsafe { list.remove(&raw const nodes[index]) };
            assert_eq!(contents(&list), left);
            // SAFETY: there is one thread.
            assert!(!unsafe { nodes[index].is_linked() });
        }
        // SAFETY: taken out above.
        unsafe { list.push_back(&raw const nodes[1]) };
        assert_eq!(contents(&list), [1]);
        // SAFETY: as above.
        unsafe { list.push_front(&raw const nodes[3]) };
        assert_eq!(contents(&list), [3, 1]);
        // SAFETY: it is in the queue.
        unsafe { list.remove(&raw const nodes[1]) };
        // SAFETY: taken out just now.
        unsafe { list.push_back(&raw const nodes[0]) };
        assert_eq!(contents(&list), [3, 0]);
    }
}
