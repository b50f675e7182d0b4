//! The way to a list that nobody can stop others from using.
//!
//! 1. One lock for all: readers wait for each other.
//! 2. A lock for writers, readers without one: a reader may stand on a node that
//!    is taken out, so it is freed later ([`rcu`](ochre_sync::rcu)). This is the
//!    form that most lists need: writers are few.
//! 3. No lock for anybody: [`lockfree::List`](ochre_sync::lockfree::List). Two that
//!    change neighbours must not undo each other's change, so a node is marked
//!    before it is taken out.
//!
//! Each step counts what readers find while a writer puts numbers in and takes
//! them out.
//!
//! ```sh
//! cargo run --release -p ochre-sync --example list_steps
//! ```
#![forbid(unsafe_code)]

use core::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use ochre_sync::rcu::{Host, Protects, RcuBox, RcuCell, pinned};
use ochre_sync::{Arc, host, lockfree};

/// How many numbers stay in the list; each is found at any time.
const STAY: u32 = 32;
const ROUNDS: u32 = 20_000;

/// A set of numbers, in order.
trait Numbers: Default + Sync {
    const NAME: &'static str;
    fn insert(&self, number: u32);
    fn remove(&self, number: u32);
    fn contains(&self, number: u32) -> bool;
}

/// Step 1.
#[derive(Default)]
struct Locked(host::Mutex<Vec<u32>>);

impl Locked {
    fn with<R>(&self, f: impl FnOnce(&mut Vec<u32>) -> R) -> R {
        f(&mut self.0.lock().expect("nobody panics with the lock"))
    }
}

impl Numbers for Locked {
    const NAME: &'static str = "1. a lock for all";

    fn insert(&self, number: u32) {
        self.with(|numbers| {
            if let Err(place) = numbers.binary_search(&number) {
                numbers.insert(place, number);
            }
        });
    }

    fn remove(&self, number: u32) {
        self.with(|numbers| numbers.retain(|other| *other != number));
    }

    fn contains(&self, number: u32) -> bool {
        self.with(|numbers| numbers.contains(&number))
    }
}

/// Step 2. Each link is a cell that readers read while the writer replaces what is
/// in it; the writer has the lock, so nobody else changes a neighbour.
struct WritersLock {
    head: Link,
    writer: host::Mutex<()>,
}

type Link = RcuCell<Option<Arc<Entry>>, Host>;

struct Entry {
    number: u32,
    next: Link,
}

fn link(next: Option<Arc<Entry>>) -> Link {
    RcuCell::new(RcuBox::new(next))
}

impl WritersLock {
    /// The link at which a number is or would be, and what is there.
    fn find<'g>(
        &'g self,
        number: u32,
        guard: &'g impl Protects<Host>,
    ) -> (&'g Link, Option<&'g Arc<Entry>>) {
        let mut before = &self.head;
        loop {
            match before.read(guard) {
                Some(entry) if entry.number < number => before = &entry.next,
                at => return (before, at.as_ref()),
            }
        }
    }
}

impl Default for WritersLock {
    fn default() -> WritersLock {
        WritersLock {
            head: link(None),
            writer: host::Mutex::new(()),
        }
    }
}

impl Numbers for WritersLock {
    const NAME: &'static str = "2. a lock for writers";

    fn insert(&self, number: u32) {
        let _writer = self.writer.lock().expect("nobody panics with the lock");
        pinned(|guard| {
            let (before, at) = self.find(number, guard);
            if at.is_some_and(|entry| entry.number == number) {
                return;
            }
            let next = link(at.cloned());
            // The entry is whole before a reader can come to it.
            before.replace(RcuBox::new(Some(Arc::new(Entry { number, next }))));
        });
    }

    fn remove(&self, number: u32) {
        let _writer = self.writer.lock().expect("nobody panics with the lock");
        pinned(|guard| {
            let (before, at) = self.find(number, guard);
            if let Some(entry) = at
                && entry.number == number
            {
                // Who reads the entry now goes on from it: its link stays.
                let after = entry.next.read(guard).clone();
                before.replace(RcuBox::new(after));
            }
        });
    }

    fn contains(&self, number: u32) -> bool {
        pinned(|guard| {
            let (_, at) = self.find(number, guard);
            at.is_some_and(|entry| entry.number == number)
        })
    }
}

/// Step 3.
struct NoLock(lockfree::List<u32, Host>);

impl Default for NoLock {
    fn default() -> NoLock {
        NoLock(lockfree::List::new())
    }
}

impl Numbers for NoLock {
    const NAME: &'static str = "3. no lock";

    fn insert(&self, number: u32) {
        pinned(|guard| self.0.insert(number, guard));
    }

    fn remove(&self, number: u32) {
        pinned(|guard| self.0.remove(&number, guard));
    }

    fn contains(&self, number: u32) -> bool {
        pinned(|guard| self.0.contains(&number, guard))
    }
}

/// Even numbers stay, odd ones come and go under two readers.
fn measure<N: Numbers>() {
    let numbers = N::default();
    for number in 0..STAY {
        numbers.insert(2 * number);
    }
    let over = AtomicBool::new(false);
    let together = host::Barrier::new(3);
    let (looks, time) = thread::scope(|scope| {
        let reader = || {
            let mut looks = 0;
            together.wait();
            // ORDERING: Relaxed; the flag is all there is to see.
            while !over.load(Ordering::Relaxed) {
                for number in 0..STAY {
                    assert!(numbers.contains(2 * number), "what stays is found");
                    looks += 1;
                }
            }
            looks
        };
        let readers = [scope.spawn(reader), scope.spawn(reader)];
        together.wait();
        let start = Instant::now();
        for round in 0..ROUNDS {
            let number = 2 * (round % STAY) + 1;
            numbers.insert(number);
            assert!(numbers.contains(number));
            numbers.remove(number);
            assert!(!numbers.contains(number));
        }
        // ORDERING: Relaxed, as above.
        over.store(true, Ordering::Relaxed);
        let time = start.elapsed();
        let looks = readers.map(|reader| reader.join().expect("readers find what stays"));
        (looks.iter().sum::<u32>(), time)
    });
    println!(
        "{:24} {:7} changes and {looks:8} looks in {:.1} ms",
        N::NAME,
        2 * ROUNDS,
        time.as_secs_f64() * 1e3,
    );
}

pub(crate) fn main() {
    measure::<Locked>();
    measure::<WritersLock>();
    measure::<NoLock>();
}
