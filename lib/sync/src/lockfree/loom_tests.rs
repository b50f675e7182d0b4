//! The interleavings of the collections.

use super::{List, Queue, Stack};
use crate::rcu::{Domain, Epoch, State, collect};
use loom::sync::Arc;
use loom::thread;

loom::lazy_static! {
    static ref STATE: State = State::new();
}

struct Model;

// SAFETY: there is one state in each execution of a model.
unsafe impl Domain for Model {
    fn state() -> &'static State {
        &STATE
    }
}

#[test]
fn a_stack_gives_each_value_once() {
    loom::model(|| {
        let stack: Arc<Stack<u32, Model>> = Arc::new(Stack::new());
        stack.push(1);
        let other = Arc::clone(&stack);
        let thread = thread::spawn(move || {
            let epoch = Epoch::<Model>::register();
            other.push(2);
            other.pop(&epoch.pin())
        });
        let epoch = Epoch::<Model>::register();
        let mut got = vec![stack.pop(&epoch.pin()), thread.join().expect("no panic")];
        collect::<Model>();
        got.push(stack.pop(&epoch.pin()));
        let mut got: Vec<u32> = got.into_iter().flatten().collect();
        got.sort_unstable();
        assert_eq!(got, [1, 2]);
    });
}

#[test]
fn a_queue_gives_each_value_once() {
    loom::model(|| {
        let queue: Arc<Queue<u32, Model>> = Arc::new(Queue::new());
        let other = Arc::clone(&queue);
        let epoch = Epoch::<Model>::register();
        let thread = thread::spawn(move || {
            let guard = epoch.pin();
            other.push(1, &guard);
            other.pop(&guard)
        });
        let epoch = Epoch::<Model>::register();
        let guard = epoch.pin();
        queue.push(2, &guard);
        let mut got = vec![queue.pop(&guard), thread.join().expect("no panic")];
        got.push(queue.pop(&guard));
        let mut got: Vec<u32> = got.into_iter().flatten().collect();
        got.sort_unstable();
        assert_eq!(got, [1, 2]);
    });
}

#[test]
fn a_list_loses_no_neighbour() {
    loom::model(|| {
        let list: Arc<List<u32, Model>> = Arc::new(List::new());
        let epoch = Epoch::<Model>::register();
        list.insert(1, &epoch.pin());
        let other = Arc::clone(&list);
        let thread = thread::spawn(move || {
            let epoch = Epoch::<Model>::register();
            // Behind the one that is being removed.
            assert!(other.insert(2, &epoch.pin()));
        });
        assert!(list.remove(&1, &epoch.pin()));
        thread.join().expect("no panic");
        let guard = epoch.pin();
        assert_eq!(list.iter(&guard).copied().collect::<Vec<_>>(), [2]);
    });
}

#[test]
fn one_of_two_removes_a_value() {
    loom::model(|| {
        let list: Arc<List<u32, Model>> = Arc::new(List::new());
        let epoch = Epoch::<Model>::register();
        list.insert(1, &epoch.pin());
        list.insert(2, &epoch.pin());
        let other = Arc::clone(&list);
        let thread = thread::spawn(move || {
            let epoch = Epoch::<Model>::register();
            let guard = epoch.pin();
            other.remove(&1, &guard)
        });
        // Its neighbour, and itself.
        let guard = epoch.pin();
        assert!(list.remove(&2, &guard));
        let own = list.remove(&1, &guard);
        assert!(own ^ thread.join().expect("no panic"));
        assert_eq!(list.iter(&guard).count(), 0);
    });
}

#[test]
fn who_pops_sees_what_was_pushed() {
    loom::model(|| {
        let queue: Arc<Queue<Arc<()>, Model>> = Arc::new(Queue::new());
        let other = Arc::clone(&queue);
        let thread = thread::spawn(move || {
            let epoch = Epoch::<Model>::register();
            let guard = epoch.pin();
            (other.pop(&guard), other.pop(&guard))
        });
        let epoch = Epoch::<Model>::register();
        let guard = epoch.pin();
        queue.push(Arc::new(()), &guard);
        queue.push(Arc::new(()), &guard);
        drop(thread.join().expect("no panic"));
    });
}

#[test]
fn who_pushes_sees_what_another_pushed() {
    loom::model(|| {
        let queue: Arc<Queue<u32, Model>> = Arc::new(Queue::new());
        let other = Arc::clone(&queue);
        let thread = thread::spawn(move || {
            let epoch = Epoch::<Model>::register();
            let guard = epoch.pin();
            other.push(2, &guard);
        });
        let epoch = Epoch::<Model>::register();
        let guard = epoch.pin();
        queue.push(0, &guard);
        queue.push(1, &guard);
        queue.pop(&guard);
        thread.join().expect("no panic");
    });
}

#[test]
fn who_finds_sees_what_was_inserted() {
    loom::model(|| {
        let list: Arc<List<u32, Model>> = Arc::new(List::new());
        let other = Arc::clone(&list);
        let thread = thread::spawn(move || {
            let epoch = Epoch::<Model>::register();
            let guard = epoch.pin();
            other.contains(&2, &guard)
        });
        let epoch = Epoch::<Model>::register();
        let guard = epoch.pin();
        list.insert(2, &guard);
        list.insert(1, &guard);
        list.remove(&1, &guard);
        thread.join().expect("no panic");
    });
}

#[test]
fn who_walks_sees_what_was_inserted() {
    loom::model(|| {
        let list: Arc<List<u32, Model>> = Arc::new(List::new());
        let other = Arc::clone(&list);
        let thread = thread::spawn(move || {
            let epoch = Epoch::<Model>::register();
            let guard = epoch.pin();
            other.iter(&guard).sum::<u32>()
        });
        let epoch = Epoch::<Model>::register();
        let guard = epoch.pin();
        list.insert(1, &guard);
        list.insert(2, &guard);
        thread.join().expect("no panic");
    });
}

#[test]
fn who_unlinks_passes_on_what_comes_behind() {
    loom::model(|| {
        let list: Arc<List<u32, Model>> = Arc::new(List::new());
        let epoch = Epoch::<Model>::register();
        list.insert(1, &epoch.pin());
        let (walker, inserter) = (Arc::clone(&list), Arc::clone(&list));
        let walk = thread::spawn(move || {
            let epoch = Epoch::<Model>::register();
            walker.contains(&2, &epoch.pin())
        });
        let insert = thread::spawn(move || {
            let epoch = Epoch::<Model>::register();
            inserter.insert(2, &epoch.pin())
        });
        list.remove(&1, &epoch.pin());
        walk.join().expect("no panic");
        insert.join().expect("no panic");
    });
}

#[test]
fn who_pops_second_sees_what_the_first_one_left() {
    loom::model(|| {
        let queue: Arc<Queue<u32, Model>> = Arc::new(Queue::new());
        let threads = [(); 2].map(|()| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                let epoch = Epoch::<Model>::register();
                let guard = epoch.pin();
                queue.pop(&guard)
            })
        });
        let epoch = Epoch::<Model>::register();
        let guard = epoch.pin();
        queue.push(1, &guard);
        queue.push(2, &guard);
        for thread in threads {
            thread.join().expect("no panic");
        }
    });
}
