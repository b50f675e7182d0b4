//! Locks between processes: in memory that a parent and its children share.

use core::{
    ptr::{self, NonNull},
    sync::atomic::{AtomicU32, Ordering},
};

use crate::{name, pthread, pthread::Kind};

/// What the processes share.
#[repr(C)]
struct Common {
    mutex: libc::pthread_mutex_t,
    robust: libc::pthread_mutex_t,
    inheriting: libc::pthread_mutex_t,
    rwlock: libc::pthread_rwlock_t,
    barrier: libc::pthread_barrier_t,
    cond: libc::pthread_cond_t,
    semaphore: libc::sem_t,
    count: AtomicU32,
    turn: AtomicU32,
    words: [AtomicU32; 2],
    torn: AtomicU32,
}

/// Processes that meet at the barrier.
const MEETING: u32 = 3;

pub(crate) fn run() {
    let Some(common) = map() else {
        println!("no memory");
        return;
    };
    let Places {
        mutex,
        robust,
        inheriting,
        rwlock,
        barrier,
        cond,
        semaphore,
    } = places(common);
    let kind = Kind::plain(libc::PTHREAD_MUTEX_NORMAL);
    // SAFETY: fresh memory of ours, of which nothing is used yet.
    let made = unsafe { pthread::Mutex::init(mutex, kind, true) };
    let kind = Kind {
        robust: true,
        ..kind
    };
    // SAFETY: as above.
    let made_robust = unsafe { pthread::Mutex::init(robust, kind, true) };
    // SAFETY: as above.
    unsafe { pthread::Cond::init(cond, libc::CLOCK_MONOTONIC, true) };
    // SAFETY: as above.
    unsafe { libc::sem_init(semaphore, 1, 0) };
    let kind = Kind {
        protocol: libc::PTHREAD_PRIO_INHERIT,
        ..kind
    };
    // SAFETY: as above.
    let made_inheriting = unsafe { pthread::Mutex::init(inheriting, kind, true) };
    // SAFETY: as above.
    unsafe { pthread::RwLock::init(rwlock, pthread::PREFER_WRITER, true) };
    // SAFETY: as above.
    unsafe { pthread::Barrier::init(barrier, MEETING) };
    println!("made {made:?} {made_robust:?} {made_inheriting:?}");
    // SAFETY: what is initialised in there is only reached through the
    // atomics in it and the C library.
    let common = unsafe { common.as_ref() };
    counting(common, mutex, semaphore);
    turns(common, mutex, cond);
    println!("-- robust");
    death(robust);
    println!("-- inheriting and robust");
    death(inheriting);
    reading(common, rwlock);
    meeting(barrier);
}

struct Places {
    mutex: *mut libc::pthread_mutex_t,
    robust: *mut libc::pthread_mutex_t,
    inheriting: *mut libc::pthread_mutex_t,
    rwlock: *mut libc::pthread_rwlock_t,
    barrier: *mut libc::pthread_barrier_t,
    cond: *mut libc::pthread_cond_t,
    semaphore: *mut libc::sem_t,
}

fn map() -> Option<NonNull<Common>> {
    // SAFETY: a new mapping, at a place that the kernel chooses.
    let place = unsafe {
        libc::mmap(
            ptr::null_mut(),
            size_of::<Common>(),
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if place == libc::MAP_FAILED {
        return None;
    }
    NonNull::new(place.cast())
}

fn places(common: NonNull<Common>) -> Places {
    let common = common.as_ptr();
    // SAFETY: inside the mapping.
    let mutex = unsafe { &raw mut (*common).mutex };
    // SAFETY: inside the mapping.
    let robust = unsafe { &raw mut (*common).robust };
    // SAFETY: inside the mapping.
    let inheriting = unsafe { &raw mut (*common).inheriting };
    // SAFETY: inside the mapping.
    let rwlock = unsafe { &raw mut (*common).rwlock };
    // SAFETY: inside the mapping.
    let barrier = unsafe { &raw mut (*common).barrier };
    // SAFETY: inside the mapping.
    let cond = unsafe { &raw mut (*common).cond };
    // SAFETY: inside the mapping.
    let semaphore = unsafe { &raw mut (*common).semaphore };
    Places {
        mutex,
        robust,
        inheriting,
        rwlock,
        barrier,
        cond,
        semaphore,
    }
}

/// Runs `body` in a process of its own, which has one thread.
fn process(body: impl FnOnce()) -> libc::pid_t {
    // SAFETY: this program has one thread here, so the child may do anything.
    let child = unsafe { libc::fork() };
    if child == 0 {
        body();
        // SAFETY: takes a number and does not return.
        unsafe { libc::_exit(0) };
    }
    child
}

fn wait(child: libc::pid_t) -> i32 {
    let mut status = 0;
    // SAFETY: a child of ours; the status is a local.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    status
}

/// Declares a call on one of the shared objects.
macro_rules! on {
    ($function:ident($($argument:expr),*)) => {
        // SAFETY: the objects are initialised, shared, and never unmapped.
        unsafe { libc::$function($($argument),*) }
    };
}

fn counting(common: &Common, mutex: *mut libc::pthread_mutex_t, semaphore: *mut libc::sem_t) {
    let children: Vec<_> = (0..3)
        .map(|_| {
            process(|| {
                on!(sem_wait(semaphore));
                for n in 0..200 {
                    on!(pthread_mutex_lock(mutex));
                    // ORDERING: the mutex orders it.
                    let old = common.count.load(Ordering::Relaxed);
                    if n % 20 == 0 {
                        std::thread::yield_now();
                    }
                    common.count.store(old + 1, Ordering::Relaxed);
                    on!(pthread_mutex_unlock(mutex));
                }
            })
        })
        .collect();
    for _ in &children {
        on!(sem_post(semaphore));
    }
    for child in children {
        wait(child);
    }
    println!(
        "three processes counted {}",
        common.count.load(Ordering::Relaxed)
    );
}

/// Two processes take turns at a condition variable.
fn turns(common: &Common, mutex: *mut libc::pthread_mutex_t, cond: *mut libc::pthread_cond_t) {
    let play = |mine: u32| {
        for n in 0..50 {
            on!(pthread_mutex_lock(mutex));
            // ORDERING: the mutex orders it.
            while common.turn.load(Ordering::Relaxed) != 2 * n + mine {
                on!(pthread_cond_wait(cond, mutex));
            }
            common.turn.fetch_add(1, Ordering::Relaxed);
            on!(pthread_cond_signal(cond));
            on!(pthread_mutex_unlock(mutex));
        }
    };
    let child = process(|| play(1));
    play(0);
    wait(child);
    println!("{} turns", common.turn.load(Ordering::Relaxed));
}

/// Two processes write two words, two see them equal.
fn reading(common: &Common, rwlock: *mut libc::pthread_rwlock_t) {
    let write = || {
        for n in 0..150_u32 {
            on!(pthread_rwlock_wrlock(rwlock));
            // ORDERING: the lock orders it.
            let old = common.words[0].load(Ordering::Relaxed);
            common.words[0].store(old + 1, Ordering::Relaxed);
            if n.is_multiple_of(16) {
                std::thread::yield_now();
            }
            common.words[1].store(old + 1, Ordering::Relaxed);
            on!(pthread_rwlock_unlock(rwlock));
        }
    };
    let read = || {
        for _ in 0..150 {
            on!(pthread_rwlock_rdlock(rwlock));
            let seen = common
                .words
                .each_ref()
                .map(|word| word.load(Ordering::Relaxed));
            if seen[0] != seen[1] {
                common.torn.fetch_add(1, Ordering::Relaxed);
            }
            on!(pthread_rwlock_unlock(rwlock));
        }
    };
    let children = [process(write), process(write), process(read), process(read)];
    for child in children {
        wait(child);
    }
    println!(
        "two processes wrote {}, two saw {} torn",
        common.words[0].load(Ordering::Relaxed),
        common.torn.load(Ordering::Relaxed)
    );
}

/// Processes meet, again and again; one of them is told each time.
fn meeting(barrier: *mut libc::pthread_barrier_t) {
    let children: Vec<_> = (0..MEETING)
        .map(|_| {
            // SAFETY: this program has one thread here.
            let child = unsafe { libc::fork() };
            if child == 0 {
                let serial = (0..30)
                    .filter(|_| {
                        on!(pthread_barrier_wait(barrier)) == libc::PTHREAD_BARRIER_SERIAL_THREAD
                    })
                    .count();
                // SAFETY: takes a number and does not return.
                unsafe { libc::_exit(serial as i32) };
            }
            child
        })
        .collect();
    let told: i32 = children
        .into_iter()
        .map(|child| libc::WEXITSTATUS(wait(child)))
        .sum();
    println!("{MEETING} processes met {told} times");
}

/// A process that is killed leaves its robust mutex to be found.
fn death(robust: *mut libc::pthread_mutex_t) {
    let child = process(|| {
        on!(pthread_mutex_lock(robust));
        // SAFETY: a signal to oneself.
        unsafe { libc::raise(libc::SIGKILL) };
    });
    println!("killed by {}", libc::WTERMSIG(wait(child)));
    println!("next {}", name(on!(pthread_mutex_lock(robust))));
    println!("repaired {}", name(on!(pthread_mutex_consistent(robust))));
    println!("unlock {}", name(on!(pthread_mutex_unlock(robust))));
    println!("as before {}", name(on!(pthread_mutex_lock(robust))));
    println!("unlock {}", name(on!(pthread_mutex_unlock(robust))));
}
