//! Spaces that share a table, in all orders: who changes or frees it is alone.

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;
use ochre_sync::primitive::atomic::AtomicU32;

use super::{add, is_sole, let_go, was_shared};

struct Shared {
    word: AtomicU32,
    /// What is in the table.
    table: UnsafeCell<u32>,
}

impl Shared {
    /// A table with one owner.
    fn new() -> Arc<Shared> {
        Arc::new(Shared {
            word: AtomicU32::new(0),
            table: UnsafeCell::new(0),
        })
    }

    /// An owner walks it.
    fn walk(&self) {
        self.table.with(|_| {});
    }

    /// An owner that is alone changes it.
    fn change(&self) {
        self.table.with_mut(|_| {});
    }

    /// An owner's end; whether it was the last one, which frees the table.
    fn end(&self) -> bool {
        self.walk();
        let is_last = let_go(&self.word);
        if is_last {
            self.change();
        }
        is_last
    }
}

#[test]
fn loom_one_of_two_is_the_last() {
    loom::model(|| {
        let shared = Shared::new();
        add(&shared.word);
        let other = Arc::clone(&shared);
        let other = thread::spawn(move || other.end());
        let mine = shared.end();
        assert_ne!(mine, other.join().expect("it ended"));
        assert!(was_shared(&shared.word));
    });
}

#[test]
fn loom_who_is_left_may_change_it() {
    loom::model(|| {
        let shared = Shared::new();
        add(&shared.word);
        let left = Arc::clone(&shared);
        let left = thread::spawn(move || {
            // Nothing else tells it that the other one has let go.
            if is_sole(&left.word) {
                left.change();
            }
        });
        shared.walk();
        assert!(!let_go(&shared.word), "somebody is left");
        left.join().expect("it ended");
        assert!(is_sole(&shared.word));
    });
}

#[test]
fn loom_a_fork_while_a_sibling_ends() {
    loom::model(|| {
        let shared = Shared::new();
        add(&shared.word);
        let sibling = Arc::clone(&shared);
        let sibling = thread::spawn(move || sibling.end());
        // The parent is an owner still, so the sibling cannot be the last.
        add(&shared.word);
        let child = Arc::clone(&shared);
        let child = thread::spawn(move || child.end());
        shared.walk();
        let was_last = [sibling.join(), child.join()].map(|end| end.expect("it ended"));
        assert_eq!(was_last, [false; 2]);
        assert!(is_sole(&shared.word));
        assert!(shared.end());
    });
}
