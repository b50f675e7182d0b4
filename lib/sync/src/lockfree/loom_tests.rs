//! The interleavings of the collections.

use super::{List, Queue, Stack};
use crate::rcu::{Domain, Epoch, Pinned, State, collect};
use loom::sync::Arc;
use loom::sync::atomic::Ordering::Relaxed;
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

/// A reader's place in the domain, for a thread that is to see nothing of others
/// but what it finds in a collection. So it is made before there is a thread: who
/// takes over another's place sees what that one did.
fn place() -> Epoch<Model> {
    Epoch::register()
}

/// Begins to read. loom dates what a thread makes to the thread's last step, and
/// that must not be the fence in here, which others see.
fn pin(epoch: &Epoch<Model>) -> Pinned<'_, Model> {
    let guard = epoch.pin();
    loom::sync::atomic::AtomicBool::new(false).load(Relaxed);
    guard
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
        let (other, epoch, own) = (Arc::clone(&list), place(), place());
        let thread = thread::spawn(move || other.iter(&pin(&epoch)).sum::<u32>());
        let guard = pin(&own);
        for value in 1..=3 {
            list.insert(value, &guard);
        }
        thread.join().expect("no panic");
    });
}

#[test]
fn who_unlinks_passes_on_what_comes_behind() {
    loom::model(|| {
        let list: Arc<List<u32, Model>> = Arc::new(List::new());
        let own = place();
        list.insert(1, &own.pin());
        let (remover, walker) = (Arc::clone(&list), Arc::clone(&list));
        let epochs = (place(), place());
        let remove = thread::spawn(move || remover.remove(&1, &pin(&epochs.0)));
        let walk = thread::spawn(move || walker.contains(&2, &pin(&epochs.1)));
        list.insert(2, &pin(&own));
        assert!(remove.join().expect("no panic"));
        walk.join().expect("no panic");
    });
}

#[test]
fn who_pops_second_sees_what_the_first_one_left() {
    loom::model(|| {
        let queue: Arc<Queue<u32, Model>> = Arc::new(Queue::new());
        let threads = [(); 2].map(|()| {
            let (queue, epoch) = (Arc::clone(&queue), place());
            thread::spawn(move || queue.pop(&pin(&epoch)))
        });
        let own = place();
        let guard = pin(&own);
        queue.push(1, &guard);
        queue.push(2, &guard);
        for thread in threads {
            thread.join().expect("no panic");
        }
    });
}
