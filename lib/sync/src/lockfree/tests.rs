//! The collections on real threads, and under Miri.

use super::{List, Queue, Stack};
use crate::rcu::{Host, pinned};
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread;

const THREADS: u64 = 3;

fn rounds() -> u64 {
    if cfg!(miri) { 20 } else { 5_000 }
}

/// A number whose drop is counted.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Counted(u64, Arc<Drops>);

#[derive(Default)]
struct Drops(AtomicUsize);

impl PartialEq for Drops {
    fn eq(&self, _: &Drops) -> bool {
        true
    }
}

impl Eq for Drops {}

impl PartialOrd for Drops {
    fn partial_cmp(&self, other: &Drops) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Drops {
    fn cmp(&self, _: &Drops) -> core::cmp::Ordering {
        core::cmp::Ordering::Equal
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.0.fetch_add(1, Relaxed);
    }
}

/// Several push and pop; each value comes out once, or is dropped with the rest.
fn all_come_out_once(push: impl Fn(Counted) + Sync, pop: impl Fn() -> Option<Counted> + Sync) {
    let drops = Arc::new(Drops::default());
    let seen: Vec<u64> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (push, pop, drops) = (&push, &pop, &drops);
                scope.spawn(move || {
                    let mut seen = Vec::new();
                    for round in 0..rounds() {
                        push(Counted(thread * rounds() + round, Arc::clone(drops)));
                        if round % 4 != 0 {
                            seen.extend(pop().map(|value| value.0));
                        }
                    }
                    seen
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().expect("no panic"))
            .collect()
    });
    let mut all: BTreeSet<u64> = seen.iter().copied().collect();
    assert_eq!(all.len(), seen.len(), "nothing comes out twice");
    assert_eq!(drops.0.load(Relaxed), seen.len());
    while let Some(value) = pop() {
        assert!(all.insert(value.0));
    }
    assert_eq!(all.len() as u64, THREADS * rounds());
    assert_eq!(drops.0.load(Relaxed) as u64, THREADS * rounds());
}

#[test]
fn stacks_and_queues_lose_nothing() {
    let stack: Stack<Counted, Host> = Stack::new();
    all_come_out_once(
        |value| stack.push(value),
        || pinned(|guard| stack.pop(guard)),
    );
    let queue: Queue<Counted, Host> = Queue::new();
    all_come_out_once(
        |value| pinned(|guard| queue.push(value, guard)),
        || pinned(|guard| queue.pop(guard)),
    );
}

#[test]
fn what_is_left_is_dropped() {
    let drops = Arc::new(Drops::default());
    let (stack, queue, list) = (
        Stack::<Counted, Host>::default(),
        Queue::<Counted, Host>::default(),
        List::<Counted, Host>::default(),
    );
    assert!(stack.is_empty());
    pinned(|guard| {
        for number in 0..3 {
            stack.push(Counted(number, Arc::clone(&drops)));
            queue.push(Counted(number, Arc::clone(&drops)), guard);
            assert!(list.insert(Counted(number, Arc::clone(&drops)), guard));
        }
        assert!(!list.insert(Counted(1, Arc::clone(&drops)), guard));
        assert_eq!(stack.pop(guard).map(|value| value.0), Some(2));
        assert_eq!(queue.pop(guard).map(|value| value.0), Some(0));
    });
    assert_eq!(drops.0.load(Relaxed), 3);
    drop((stack, queue, list));
    assert_eq!(drops.0.load(Relaxed), 10);
}

#[test]
fn a_queue_keeps_the_order_of_each_thread() {
    let queue: Queue<(u64, u64), Host> = Queue::new();
    thread::scope(|scope| {
        for thread in 0..2 {
            let queue = &queue;
            scope.spawn(move || {
                for round in 0..rounds() {
                    pinned(|guard| queue.push((thread, round), guard));
                }
            });
        }
        let mut next = [0, 0];
        while next != [rounds(), rounds()] {
            match pinned(|guard| queue.pop(guard)) {
                Some((thread, round)) => {
                    assert_eq!(round, next[thread as usize]);
                    next[thread as usize] += 1;
                }
                None => thread::yield_now(),
            }
        }
    });
}

#[test]
fn a_list_is_a_sorted_set() {
    let list: List<u64, Host> = List::new();
    let (inserted, removed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (list, inserted, removed) = (&list, &inserted, &removed);
            scope.spawn(move || {
                for round in 0..rounds() {
                    let number = (round * 7 + thread * 3) % 16;
                    pinned(|guard| {
                        if round % 2 == 0 {
                            inserted.fetch_add(list.insert(number, guard).into(), Relaxed);
                        } else {
                            removed.fetch_add(list.remove(&number, guard).into(), Relaxed);
                        }
                        assert!(list.iter(guard).is_sorted());
                    });
                }
            });
        }
    });
    let left = pinned(|guard| list.iter(guard).count());
    assert_eq!(inserted.load(Relaxed) - removed.load(Relaxed), left);
    pinned(|guard| {
        let all: Vec<u64> = list.iter(guard).copied().collect();
        for number in &all {
            assert!(list.contains(number, guard));
            assert_eq!(list.get(number, guard), Some(number));
            assert!(list.remove(number, guard) && !list.remove(number, guard));
        }
        assert_eq!(list.iter(guard).count(), 0);
    });
}
