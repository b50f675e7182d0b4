//! The interleavings of lists that want the same node, and of who looks whether it
//! is free.
//!
//! The nodes are held by `alloc`'s `Arc`, whose counts loom does not see; that is
//! no matter here, as each model drops its nodes when the threads have ended.

use alloc::sync::Arc;
use loom::cell::UnsafeCell;
use loom::thread;

use super::{Chain, List, Node};

/// Puts the node into a list of one's own and takes it out.
fn visit(node: &Arc<Node<u32, ()>>, value: u32) -> bool {
    let mut list = List::new();
    let won = list.push_back(node, value);
    assert_eq!(list.remove(node), won.then_some(value));
    won
}

#[test]
fn a_node_is_in_one_list_at_a_time() {
    loom::model(|| {
        let node = Arc::new(Node::new(()));
        let other = Arc::clone(&node);
        let thread = thread::spawn(move || visit(&other, 1));
        let won = visit(&node, 2);
        let other_won = thread.join().expect("no panic");
        assert!(won || other_won, "who finds it taken finds a taker");
        assert!(node.is_free());
    });
}

#[test]
fn a_chain_and_a_list_do_not_share_a_node() {
    loom::model(|| {
        let node = Arc::new(Node::<u32, ()>::new(()));
        let other = Arc::clone(&node);
        let thread = thread::spawn(move || visit(&other, 1));
        let mut chain = Chain::new();
        if chain.push(Arc::clone(&node)) {
            assert!(chain.pop().is_some());
        }
        assert!(chain.pop().is_none());
        thread.join().expect("no panic");
    });
}

#[test]
fn who_finds_a_node_free_sees_what_was_done_before() {
    loom::model(|| {
        let node = Arc::new(Node::<u32, ()>::new(()));
        let result = loom::sync::Arc::new(UnsafeCell::new(0));
        let mut list = List::new();
        assert!(list.push_back(&node, 1));
        let (other, seen) = (Arc::clone(&node), loom::sync::Arc::clone(&result));
        let looks = thread::spawn(move || {
            if other.is_free() {
                // SAFETY: loom checks that the write is over.
                assert_eq!(seen.with(|result| unsafe { *result }), 5);
            }
        });
        // SAFETY: loom checks that nobody reads it meanwhile.
        result.with_mut(|result| unsafe { *result = 5 });
        assert_eq!(list.remove(&node), Some(1));
        looks.join().expect("no panic");
    });
}
