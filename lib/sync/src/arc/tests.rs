//! `Arc` on real threads, and under Miri.

use super::inner::MAX_COUNT;
use super::{Arc, Weak};
use core::cell::Cell;
use core::fmt::Display;
use core::panic::AssertUnwindSafe;
use core::pin::Pin;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::panic::catch_unwind;
use std::string::{String, ToString as _};
use std::thread;
use std::vec::Vec;

/// Counts drops.
#[derive(Clone)]
struct Counted<'a>(&'a AtomicUsize);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

fn rounds(many: usize) -> usize {
    if cfg!(miri) { 20 } else { many }
}

#[test]
fn handles_are_one_word_and_so_is_none() {
    assert_eq!(size_of::<Arc<u64>>(), size_of::<usize>());
    assert_eq!(size_of::<Option<Arc<u64>>>(), size_of::<usize>());
    assert_eq!(size_of::<Option<Weak<u64>>>(), size_of::<usize>());
    assert_eq!(size_of::<Option<Arc<str>>>(), 2 * size_of::<usize>());
}

#[test]
fn the_last_owner_drops_the_value() {
    let drops = AtomicUsize::new(0);
    let one = Arc::new(Counted(&drops));
    let two = Arc::clone(&one);
    assert!(Arc::ptr_eq(&one, &two));
    thread::scope(|scope| {
        scope.spawn(move || drop(two));
    });
    assert_eq!(drops.load(Relaxed), 0);
    drop(one);
    assert_eq!(drops.load(Relaxed), 1);
}

#[test]
fn a_weak_keeps_the_memory_and_not_the_value() {
    let drops = AtomicUsize::new(0);
    let owner = Arc::new(Counted(&drops));
    let one = Arc::downgrade(&owner);
    let two = one.clone();
    assert_eq!((Arc::strong_count(&owner), Arc::weak_count(&owner)), (1, 2));
    thread::scope(|scope| {
        scope.spawn(move || {
            assert!(one.upgrade().is_some());
            assert_eq!(drops_of(&one.upgrade().expect("an owner is there")), 0);
        });
    });
    assert_eq!(drops.load(Relaxed), 0);
    drop(owner);
    assert_eq!(drops.load(Relaxed), 1);
    assert!(two.upgrade().is_none());
    assert_eq!(two.strong_count(), 0);
}

fn drops_of(counted: &Counted<'_>) -> usize {
    counted.0.load(Relaxed)
}

#[test]
fn only_the_only_handle_may_change_the_value() {
    let mut one = Arc::new(1);
    *Arc::get_mut(&mut one).expect("alone") = 2;
    let two = Arc::clone(&one);
    assert!(Arc::get_mut(&mut one).is_none());
    drop(two);
    let weak = Arc::downgrade(&one);
    assert!(Arc::get_mut(&mut one).is_none());
    drop(weak);
    assert_eq!(Arc::get_mut(&mut one), Some(&mut 2));
}

#[test]
fn make_mut_clones_for_other_owners_and_moves_away_from_weaks() {
    let drops = AtomicUsize::new(0);
    let mut one = Arc::new((1, Counted(&drops)));
    let at = Arc::as_ptr(&one);
    Arc::make_mut(&mut one).0 = 2;
    assert_eq!(Arc::as_ptr(&one), at);

    let other = Arc::clone(&one);
    Arc::make_mut(&mut one).0 = 3;
    assert_eq!((one.0, other.0), (3, 2));
    drop(other);
    assert_eq!(drops.load(Relaxed), 1);

    let weak = Arc::downgrade(&one);
    Arc::make_mut(&mut one).0 = 4;
    assert!(weak.upgrade().is_none());
    assert_eq!((one.0, drops.load(Relaxed)), (4, 1));
    drop((one, weak));
    assert_eq!(drops.load(Relaxed), 2);
}

#[test]
fn the_value_comes_out_once() {
    let one = Arc::new(String::from("value"));
    let two = Arc::clone(&one);
    let one = Arc::try_unwrap(one).expect_err("there are two");
    assert_eq!(Arc::into_inner(one), None);
    let weak = Arc::downgrade(&two);
    assert_eq!(Arc::try_unwrap(two).expect("the last one"), "value");
    assert!(weak.upgrade().is_none());
    let shared = Arc::new(String::from("more"));
    assert_eq!(Arc::unwrap_or_clone(Arc::clone(&shared)), "more");
    assert_eq!(Arc::unwrap_or_clone(shared), "more");
}

#[test]
fn exactly_one_of_many_gets_the_value() {
    for _ in 0..rounds(500) {
        let shared = Arc::new(String::from("prize"));
        let threads: Vec<_> = (0..3)
            .map(|_| Arc::clone(&shared))
            .map(|shared| thread::spawn(move || Arc::into_inner(shared).is_some()))
            .collect();
        let own = usize::from(Arc::into_inner(shared).is_some());
        let got = threads
            .into_iter()
            .map(|thread| usize::from(thread.join().expect("no panic")))
            .sum::<usize>();
        assert_eq!(own + got, 1);
    }
}

#[test]
fn a_value_may_know_itself() {
    struct Node<'a> {
        own: Weak<Node<'a>>,
        _counted: Counted<'a>,
    }
    let drops = AtomicUsize::new(0);
    let node = Arc::new_cyclic(|own| {
        assert!(own.upgrade().is_none());
        Node {
            own: own.clone(),
            _counted: Counted(&drops),
        }
    });
    let again = node.own.upgrade().expect("the node is there");
    assert!(Arc::ptr_eq(&node, &again));
    drop((node, again));
    assert_eq!(drops.load(Relaxed), 1);

    let kept = Cell::new(None);
    let result = catch_unwind(AssertUnwindSafe(|| {
        Arc::<u32>::new_cyclic(|own| {
            kept.set(Some(own.clone()));
            std::panic::resume_unwind(Box::new(()))
        })
    }));
    assert!(result.is_err());
    assert!(kept.take().expect("the closure ran").upgrade().is_none());
}

#[test]
fn pointers_come_back() {
    let shared: Arc<str> = "text".into();
    let pointer = Arc::into_raw(Arc::clone(&shared));
    // SAFETY: from `into_raw`.
    unsafe { Arc::increment_strong_count(pointer) };
    assert_eq!(Arc::strong_count(&shared), 3);
    // SAFETY: the count was just taken.
    unsafe { Arc::decrement_strong_count(pointer) };
    // SAFETY: from `into_raw`, the first and last time.
    let back = unsafe { Arc::from_raw(pointer) };
    assert_eq!((&*back, Arc::strong_count(&shared)), ("text", 2));

    let aligned = Arc::new(Aligned(9));
    let weak = Arc::downgrade(&aligned).into_raw();
    assert_eq!(weak, Arc::as_ptr(&aligned));
    assert_eq!(weak.addr() % 64, 0);
    // SAFETY: from `into_raw`, the first and last time.
    let weak = unsafe { Weak::from_raw(weak) };
    assert_eq!(weak.upgrade().map(|value| value.0), Some(9));
    // SAFETY: as above.
    let nothing = unsafe { Weak::<Aligned>::from_raw(Weak::new().into_raw()) };
    assert!(nothing.upgrade().is_none() && nothing.ptr_eq(&Weak::new()));
    // SAFETY: as above.
    let aligned = unsafe { Arc::from_raw(Arc::into_raw(aligned)) };
    assert_eq!(aligned.0, 9);
}

#[repr(align(64))]
struct Aligned(u32);

#[test]
fn a_value_may_be_known_by_what_it_can_do() {
    let drops = AtomicUsize::new(0);
    {
        let one = Arc::new((7_u8, Counted(&drops)));
        let weak = Arc::downgrade(&one);
        let any: Arc<dyn Send + Sync + '_> = Arc::unsize(Arc::clone(&one), |shared| shared);
        assert!(weak.upgrade().is_some());
        drop(one);
        assert_eq!(drops.load(Relaxed), 0);
        drop(any);
        assert_eq!(drops.load(Relaxed), 1);
    }
    let aligned: Arc<dyn Show> = Arc::unsize(Arc::new(Aligned(5)), |shared| shared);
    assert_eq!(aligned.show(), "5");
    // SAFETY: from `into_raw`, the first and last time.
    let aligned = unsafe { Arc::from_raw(Arc::into_raw(aligned)) };
    let display: Arc<dyn Display> = Arc::unsize(Arc::new(aligned.show()), |shared| shared);
    assert_eq!(display.to_string(), "5");
    let weak = Arc::downgrade(&display);
    drop(display);
    assert!(weak.upgrade().is_none());
}

trait Show {
    fn show(&self) -> String;
}

impl Show for Aligned {
    fn show(&self) -> String {
        self.0.to_string()
    }
}

#[test]
fn slices_are_one_allocation() {
    let drops = AtomicUsize::new(0);
    let slice: Arc<[Counted<'_>]> = (0..3).map(|_| Counted(&drops)).collect();
    assert_eq!((slice.len(), drops.load(Relaxed)), (3, 0));
    drop(slice);
    assert_eq!(drops.load(Relaxed), 3);
    let none: Arc<[u64]> = Arc::from(Vec::new());
    assert!(none.is_empty());
    let bytes: Arc<[u8]> = Arc::from([1, 2, 3].as_slice());
    assert_eq!(*bytes, [1, 2, 3]);
    let boxed: Arc<[u16]> = vec![1_u16, 2].into_boxed_slice().into();
    assert_eq!(*boxed, [1, 2]);
    assert_eq!(*Arc::<str>::from(String::from("owned")), *"owned");
}

#[test]
fn elements_made_before_a_panic_are_dropped() {
    struct Third<'a>(Counted<'a>, &'a Cell<u32>);
    impl Clone for Third<'_> {
        fn clone(&self) -> Self {
            self.1.set(self.1.get() + 1);
            if self.1.get() == 3 {
                std::panic::resume_unwind(Box::new(()));
            }
            Third(self.0.clone(), self.1)
        }
    }
    let (drops, clones) = (AtomicUsize::new(0), Cell::new(0));
    let all: Vec<_> = (0..4).map(|_| Third(Counted(&drops), &clones)).collect();
    let result = catch_unwind(AssertUnwindSafe(|| Arc::<[Third<'_>]>::from(&all[..])));
    assert!(result.is_err());
    assert_eq!(drops.load(Relaxed), 2);
}

#[test]
fn memory_is_freed_when_a_drop_panics() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            std::panic::resume_unwind(Box::new(()));
        }
    }
    // That nothing leaks is for Miri to see.
    let result = catch_unwind(|| drop(Arc::new(Bomb)));
    assert!(result.is_err());
}

#[test]
fn the_other_ways_to_make_one() {
    assert_eq!(*Arc::try_new(3).expect("memory"), 3);
    assert_eq!(*Arc::<i32>::from(Box::new(4)), 4);
    assert_eq!(Arc::from(5), Arc::<i32>::new(5));
    assert!(Arc::<u32>::default() < Arc::new(1));
    let pinned: Pin<Arc<u32>> = Arc::pin(6);
    assert_eq!(*pinned, 6);
    assert!(Weak::<u32>::default().upgrade().is_none());
}

/// The bound of erratum E2: what is added by compare-exchange must stop where
/// what is added blindly ends the program.
#[test]
fn a_count_that_is_raised_with_care_stops_at_half() {
    let shared = Arc::new(());
    let weak = Arc::downgrade(&shared);
    let header = shared.header();
    header.strong.store(MAX_COUNT + 1, Relaxed);
    assert!(catch_unwind(AssertUnwindSafe(|| weak.upgrade())).is_err());
    assert_eq!(header.strong.load(Relaxed), MAX_COUNT + 1);
    header.strong.store(MAX_COUNT, Relaxed);
    let most = weak.upgrade().expect("the bound itself is allowed");
    header.strong.store(2, Relaxed);
    drop(most);

    header.weak.store(MAX_COUNT + 1, Relaxed);
    assert!(catch_unwind(AssertUnwindSafe(|| Arc::downgrade(&shared))).is_err());
    assert_eq!(header.weak.load(Relaxed), MAX_COUNT + 1);
    header.weak.store(2, Relaxed);
}

/// Runs this test program again with only `test`, told to do `what`.
fn dies(test: &str, what: &str) -> bool {
    let program = std::env::current_exe().expect("a test is a program");
    let status = std::process::Command::new(program)
        .args(["--exact", test])
        .env("OCHRE_ARC_DIE", what)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .expect("the program runs");
    // A test that fails exits with a code; a program that aborts has none.
    status.code().is_none()
}

#[test]
fn a_count_that_is_raised_blindly_ends_the_program() {
    match std::env::var("OCHRE_ARC_DIE").as_deref() {
        Ok("strong") => {
            let shared = Arc::new(());
            shared.header().strong.store(MAX_COUNT + 1, Relaxed);
            core::mem::forget(shared.clone());
        }
        Ok("weak") => {
            let weak = Arc::downgrade(&Arc::new(()));
            weak.header().weak.store(MAX_COUNT + 1, Relaxed);
            core::mem::forget(weak.clone());
        }
        Ok("nothing") => {}
        // Miri has no other programs.
        _ if cfg!(miri) => {}
        _ => {
            let test = "arc::tests::a_count_that_is_raised_blindly_ends_the_program";
            assert!(dies(test, "strong"));
            assert!(dies(test, "weak"));
            assert!(!dies(test, "nothing"));
        }
    }
}

/// Erratum 6.06: a thread that is now an `Arc`, now a `Weak`, must not be missed.
#[test]
fn get_mut_is_not_fooled_by_a_handle_that_changes_its_kind() {
    let mut shared = Arc::new(0_u32);
    let other = Arc::clone(&shared);
    let stop = AtomicUsize::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut handle = other;
            while stop.load(Relaxed) == 0 {
                let weak = Arc::downgrade(&handle);
                drop(handle);
                match weak.upgrade() {
                    Some(back) => handle = back,
                    None => break,
                }
            }
        });
        for _ in 0..rounds(100_000) {
            assert!(Arc::get_mut(&mut shared).is_none());
        }
        stop.store(1, Relaxed);
    });
    assert!(Arc::get_mut(&mut shared).is_some());
}

#[test]
fn many_threads_clone_upgrade_and_drop() {
    let drops = AtomicUsize::new(0);
    let shared = Arc::new(Counted(&drops));
    thread::scope(|scope| {
        for _ in 0..3 {
            let shared = Arc::clone(&shared);
            scope.spawn(move || {
                let weak = Arc::downgrade(&shared);
                for _ in 0..rounds(20_000) {
                    let clone = Arc::clone(&shared);
                    let up = weak.upgrade().expect("two owners at least");
                    drop(clone);
                    drop((weak.clone(), up));
                }
            });
        }
    });
    assert_eq!(
        (Arc::strong_count(&shared), Arc::weak_count(&shared)),
        (1, 0)
    );
    drop(shared);
    assert_eq!(drops.load(Relaxed), 1);
}
