//! What lists and chains promise, and many threads at one list.

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
