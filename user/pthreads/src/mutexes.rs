//! Every kind of mutex: what locking twice does, who may unlock, what an owner's death leaves.

use core::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use std::thread;

use crate::{
    name,
    pthread::{Kind, Mutex, after, priority, reached, set_priority},
};

const SHORT: Duration = Duration::from_millis(10);

const ROBUST: Kind = Kind {
    robust: true,
    ..Kind::plain(libc::PTHREAD_MUTEX_NORMAL)
};

const INHERITING: Kind = Kind {
    protocol: libc::PTHREAD_PRIO_INHERIT,
    ..Kind::plain(libc::PTHREAD_MUTEX_NORMAL)
};

pub(crate) fn run() {
    each(&[
        ("normal", Kind::plain(libc::PTHREAD_MUTEX_NORMAL)),
        ("default", Kind::plain(libc::PTHREAD_MUTEX_DEFAULT)),
        (
            "error-checking",
            Kind::plain(libc::PTHREAD_MUTEX_ERRORCHECK),
        ),
        ("recursive", Kind::plain(libc::PTHREAD_MUTEX_RECURSIVE)),
        ("adaptive", Kind::plain(libc::PTHREAD_MUTEX_ADAPTIVE_NP)),
        ("robust", ROBUST),
    ]);
    owners_death(ROBUST);
}

/// Those that lend the owner the priority of who waits: the kernel knows the
/// owner, and all of it goes through other futex operations.
pub(crate) fn run_inheriting() {
    let error_checking = Kind {
        kind: libc::PTHREAD_MUTEX_ERRORCHECK,
        ..INHERITING
    };
    let robust = Kind {
        robust: true,
        ..INHERITING
    };
    let recursive = Kind {
        kind: libc::PTHREAD_MUTEX_RECURSIVE,
        ..robust
    };
    each(&[
        ("inheriting", INHERITING),
        ("inheriting, error-checking", error_checking),
        ("inheriting, robust", robust),
        ("inheriting, robust, recursive", recursive),
    ]);
    owners_death(robust);
}

/// Those that lift who has them to a priority of their own; who has none, as it is
/// no real-time thread, is refused them by glibc.
pub(crate) fn run_protecting() {
    /// Above what the threads have here.
    const CEILING: i32 = 5;
    println!("a real-time thread {}", name(set_priority(1)));
    let kind = |kind, ceiling| Kind {
        protocol: libc::PTHREAD_PRIO_PROTECT,
        ceiling,
        ..Kind::plain(kind)
    };
    for ceiling in [-1, 0, 1000] {
        let made = Mutex::new(kind(libc::PTHREAD_MUTEX_NORMAL, ceiling));
        println!("ceiling {ceiling}: {:?}", made.map(drop).map_err(name));
    }
    for (what, of) in [
        ("protecting", libc::PTHREAD_MUTEX_NORMAL),
        ("protecting, error-checking", libc::PTHREAD_MUTEX_ERRORCHECK),
        ("protecting, recursive", libc::PTHREAD_MUTEX_RECURSIVE),
    ] {
        println!("-- {what}");
        match Mutex::new(kind(of, CEILING)) {
            Ok(mutex) => protecting(&mutex, of),
            Err(error) => println!("not to be had: {}", name(error)),
        }
    }
    println!("-- ceilings");
    let plain = Mutex::new(Kind::plain(libc::PTHREAD_MUTEX_NORMAL)).expect("of a usual kind");
    println!("of another kind {:?}", plain.ceiling().map_err(name));
    let Ok(mutex) = Mutex::new(kind(libc::PTHREAD_MUTEX_NORMAL, CEILING)) else {
        println!("not to be had");
        return;
    };
    println!("it is {:?}", mutex.ceiling().map_err(name));
    println!("raised from {:?}", mutex.set_ceiling(7).map_err(name));
    println!("it is {:?}", mutex.ceiling().map_err(name));
    println!("too high {:?}", mutex.set_ceiling(1000).map_err(name));
    mutex.lock();
    println!("in it {}", priority());
    mutex.unlock();
    println!("after it {}", priority());
    // Who has a higher priority than the ceiling may not have the mutex.
    let answers = thread::spawn(move || {
        let lifted = set_priority(9);
        (name(lifted), name(mutex.lock()))
    })
    .join()
    .expect("it does not panic");
    println!("from above it {answers:?}");
}

/// What is asked of one that protects. The other thread is there before anybody
/// is lifted: it would be born with that priority.
fn protecting(mutex: &Mutex, kind: i32) {
    let steps = std::sync::Barrier::new(2);
    thread::scope(|scope| {
        let steps = &steps;
        let other = scope.spawn(move || {
            steps.wait();
            let until = after(libc::CLOCK_REALTIME, SHORT);
            let answers = [mutex.try_lock(), mutex.lock_until(until)];
            let late = reached(libc::CLOCK_REALTIME, until);
            steps.wait();
            (answers.map(name), late)
        });
        println!("lock {}, {}", name(mutex.lock()), priority());
        if kind != libc::PTHREAD_MUTEX_NORMAL {
            println!("lock again {}", name(mutex.lock()));
        }
        steps.wait();
        steps.wait();
        println!("another tries and waits {:?}", other.join().ok());
        println!("unlock {}, {}", name(mutex.unlock()), priority());
        if kind != libc::PTHREAD_MUTEX_NORMAL {
            println!("unlock again {}, {}", name(mutex.unlock()), priority());
        }
    });
    contended(mutex);
}

fn each(kinds: &[(&str, Kind)]) {
    for &(what, kind) in kinds {
        println!("-- {what}");
        match Mutex::new(kind) {
            Ok(mutex) => one(&mutex, kind),
            Err(error) => println!("not to be had: {}", name(error)),
        }
    }
}

/// What another thread is answered.
fn elsewhere<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(body).join()).expect("none of these panics")
}

fn one(mutex: &Mutex, kind: Kind) {
    println!("lock {}", name(mutex.lock()));
    println!("try again {}", name(mutex.try_lock()));
    let once_more = kind.kind == libc::PTHREAD_MUTEX_RECURSIVE;
    if kind.kind != libc::PTHREAD_MUTEX_NORMAL && kind.kind != libc::PTHREAD_MUTEX_ADAPTIVE_NP {
        // A normal one would wait for itself for ever.
        println!("lock again {}", name(mutex.lock()));
    }
    let until = after(libc::CLOCK_REALTIME, SHORT);
    println!("lock again for a while {}", name(mutex.lock_until(until)));
    println!("another tries {}", name(elsewhere(|| mutex.try_lock())));
    let (answer, late) = elsewhere(|| {
        let until = after(libc::CLOCK_REALTIME, SHORT);
        let answer = mutex.lock_until(until);
        (answer, reached(libc::CLOCK_REALTIME, until))
    });
    println!("another waits {}, long enough {late}", name(answer));
    if kind.protocol == libc::PTHREAD_PRIO_NONE {
        let (answer, late) = elsewhere(|| {
            let until = after(libc::CLOCK_MONOTONIC, SHORT);
            let answer = mutex.lock_by(libc::CLOCK_MONOTONIC, until);
            (answer, reached(libc::CLOCK_MONOTONIC, until))
        });
        println!("by the other clock {}, long enough {late}", name(answer));
    }
    if kind.kind != libc::PTHREAD_MUTEX_NORMAL || kind.robust {
        // Not an error of a normal one, but nothing that may be done.
        if kind.kind != libc::PTHREAD_MUTEX_ADAPTIVE_NP {
            println!("another unlocks {}", name(elsewhere(|| mutex.unlock())));
        }
    }
    println!("unlock {}", name(mutex.unlock()));
    if once_more {
        // Locked three times and tried once: free after as many unlocks.
        let mut unlocks = 1;
        while elsewhere(|| {
            let answer = mutex.try_lock();
            if answer == 0 {
                mutex.unlock();
            }
            answer
        }) == libc::EBUSY
        {
            println!("still taken, unlock {}", name(mutex.unlock()));
            unlocks += 1;
        }
        println!("free after {unlocks}");
    }
    if kind.kind == libc::PTHREAD_MUTEX_ERRORCHECK || once_more {
        println!("unlock what is free {}", name(mutex.unlock()));
    }
    contended(mutex);
}

/// A count that only the mutex keeps right: read, given away, written.
fn contended(mutex: &Mutex) {
    let count = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for n in 0..200 {
                    mutex.lock();
                    // ORDERING: the mutex orders it.
                    let old = count.load(Ordering::Relaxed);
                    if n % 20 == 0 {
                        thread::yield_now();
                    }
                    count.store(old + 1, Ordering::Relaxed);
                    mutex.unlock();
                }
            });
        }
    });
    println!("counted {}", count.into_inner());
}

/// The next one is told of the death, and repairs what was left or does not.
fn owners_death(kind: Kind) {
    println!("-- its owner dies");
    let mutex = match Mutex::new(kind) {
        Ok(mutex) => mutex,
        Err(error) => {
            println!("not to be had: {}", name(error));
            return;
        }
    };
    println!("it had it {}", name(elsewhere(|| mutex.lock())));
    println!("next {}", name(mutex.lock()));
    println!("repaired {}", name(mutex.consistent()));
    println!("unlock {}", name(mutex.unlock()));
    println!("as before {}", name(mutex.lock()));
    println!("unlock {}", name(mutex.unlock()));
    // One that waits already is told as well.
    let owned = std::sync::Barrier::new(2);
    let answer = thread::scope(|scope| {
        let (mutex, owned) = (&mutex, &owned);
        scope.spawn(move || {
            mutex.lock();
            owned.wait();
            thread::sleep(SHORT);
        });
        owned.wait();
        mutex.lock()
    });
    println!("one who waited {}", name(answer));
    println!("unlock, not repaired {}", name(mutex.unlock()));
    println!("of no use any more {}", name(mutex.lock()));
    println!("for others too {}", name(elsewhere(|| mutex.try_lock())));
}
