//! Barrier, once, spin lock, semaphore, keys; joining, detaching, naming, signalling threads.

use core::{
    ffi::{CStr, c_char, c_int, c_void},
    mem::MaybeUninit,
    ptr,
    sync::atomic::{AtomicU32, AtomicUsize, Ordering},
    time::Duration,
};
use std::{os::unix::thread::JoinHandleExt as _, thread};

use crate::{
    name,
    pthread::{Barrier, Semaphore, Spin, after, errno, reached},
};

const SHORT: Duration = Duration::from_millis(10);

pub(crate) fn run() {
    barriers();
    once();
    spinning();
    semaphores();
    keys();
    joining();
    names();
    signals();
    forking();
}

/// Each round lets one thread know that it is the one.
fn barriers() {
    println!("for nobody {:?}", Barrier::new(0).map(drop).map_err(name));
    let barrier = Barrier::new(4).expect("four is a valid count");
    let serial = AtomicU32::new(0);
    let rounds = AtomicU32::new(0);
    let in_step = AtomicU32::new(1);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for round in 0..50 {
                    // ORDERING: the barrier orders it.
                    rounds.fetch_add(1, Ordering::Relaxed);
                    if barrier.wait() == libc::PTHREAD_BARRIER_SERIAL_THREAD {
                        serial.fetch_add(1, Ordering::Relaxed);
                    }
                    if rounds.load(Ordering::Relaxed) < 4 * (round + 1) {
                        in_step.store(0, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    println!(
        "barrier: {} arrivals, {} serial, in step {}",
        rounds.into_inner(),
        serial.into_inner(),
        in_step.into_inner()
    );
}

static ONCE_RUNS: AtomicU32 = AtomicU32::new(0);

extern "C" fn once_body() {
    thread::sleep(Duration::from_millis(5));
    // ORDERING: `pthread_once` orders it.
    ONCE_RUNS.fetch_add(1, Ordering::Relaxed);
}

/// Whoever comes while it runs waits for its end.
fn once() {
    struct Control(core::cell::UnsafeCell<libc::pthread_once_t>);
    // SAFETY: `pthread_once` may be called with it by every thread.
    unsafe impl Sync for Control {}
    static CONTROL: Control = Control(core::cell::UnsafeCell::new(libc::PTHREAD_ONCE_INIT));
    let seen: u32 = thread::scope(|scope| {
        let threads: Vec<_> = (0..5)
            .map(|_| {
                scope.spawn(|| {
                    // SAFETY: a control initialised as POSIX says, and a
                    // function without arguments.
                    unsafe { libc::pthread_once(CONTROL.0.get(), once_body) };
                    ONCE_RUNS.load(Ordering::Relaxed)
                })
            })
            .collect();
        threads
            .into_iter()
            .filter_map(|thread| thread.join().ok())
            .sum()
    });
    println!("once: five saw {seen}");
}

fn spinning() {
    let spin = Spin::new();
    println!("spin {} and {}", name(spin.lock()), name(spin.try_lock()));
    spin.unlock();
    let count = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..300 {
                    spin.lock();
                    // ORDERING: the lock orders it.
                    let old = count.load(Ordering::Relaxed);
                    count.store(old + 1, Ordering::Relaxed);
                    spin.unlock();
                }
            });
        }
    });
    println!("spun {}", count.into_inner());
}

fn semaphores() {
    let semaphore = Semaphore::new(1);
    println!("wait {}", semaphore.wait());
    let answer = semaphore.try_wait();
    println!("none left {answer} {}", name(errno()));
    let until = after(libc::CLOCK_REALTIME, SHORT);
    let answer = semaphore.wait_until(until);
    let error = name(errno());
    println!(
        "for a while {answer} {error}, long enough {}",
        reached(libc::CLOCK_REALTIME, until)
    );
    println!("post {}, value {}", semaphore.post(), semaphore.value());
    let (places, items) = (Semaphore::new(3), Semaphore::new(0));
    let buffer = [const { AtomicU32::new(0) }; 3];
    let sum = thread::scope(|scope| {
        scope.spawn(|| {
            for n in 1..=200_u32 {
                places.wait();
                // ORDERING: the semaphores order it.
                buffer[n as usize % 3].store(n, Ordering::Relaxed);
                items.post();
            }
        });
        let mut sum = 0;
        for n in 1..=200_u32 {
            items.wait();
            sum += buffer[n as usize % 3].load(Ordering::Relaxed);
            places.post();
        }
        sum
    });
    println!("through three places {sum}");
}

static DESTROYED: AtomicUsize = AtomicUsize::new(0);
static KEY: AtomicU32 = AtomicU32::new(0);

/// Sets the key again while the value says so: the thread's end asks again.
extern "C" fn destroy(value: *mut c_void) {
    // ORDERING: read after the threads were joined.
    DESTROYED.fetch_add(1, Ordering::Relaxed);
    let left = value.addr() - 1;
    if left > 0 {
        set_key(left);
    }
}

fn set_key(value: usize) -> c_int {
    let key = KEY.load(Ordering::Relaxed);
    // SAFETY: the key exists while threads run that use it; the value is a
    // number and never followed.
    unsafe { libc::pthread_setspecific(key, ptr::without_provenance(value)) }
}

fn key_value() -> usize {
    // SAFETY: as above.
    unsafe { libc::pthread_getspecific(KEY.load(Ordering::Relaxed)) }.addr()
}

/// Each thread has its own value; its end destroys it.
fn keys() {
    let mut key = 0;
    // SAFETY: the key is a local; the destructor may run in any thread.
    let created = unsafe { libc::pthread_key_create(&raw mut key, Some(destroy)) };
    KEY.store(key, Ordering::Relaxed);
    println!("key {}", name(created));
    set_key(77);
    let seen: usize = (1..=3)
        .map(|n| {
            let thread = thread::spawn(move || {
                let before = key_value();
                set_key(n);
                before * 1000 + key_value()
            });
            thread.join().unwrap_or(0)
        })
        .sum();
    println!(
        "others saw {seen}, destroyed {}, mine {}",
        DESTROYED.load(Ordering::Relaxed),
        key_value()
    );
    // SAFETY: no other thread uses it any more.
    println!("deleted {}", name(unsafe { libc::pthread_key_delete(key) }));
}

type Body = extern "C" fn(*mut c_void) -> *mut c_void;

fn create(body: Body, argument: usize, detached: bool) -> Result<libc::pthread_t, c_int> {
    let mut attributes = MaybeUninit::uninit();
    let attributes = attributes.as_mut_ptr();
    let state = if detached {
        libc::PTHREAD_CREATE_DETACHED
    } else {
        libc::PTHREAD_CREATE_JOINABLE
    };
    let mut thread = 0;
    // SAFETY: a local place for the attributes.
    unsafe { libc::pthread_attr_init(attributes) };
    // SAFETY: initialised above; here and in the next call.
    unsafe { libc::pthread_attr_setdetachstate(attributes, state) };
    // SAFETY: as above.
    unsafe { libc::pthread_attr_setstacksize(attributes, 128 << 10) };
    // SAFETY: initialised attributes, a body that takes a number.
    let answer = unsafe {
        libc::pthread_create(
            &raw mut thread,
            attributes,
            body,
            ptr::without_provenance_mut(argument),
        )
    };
    if answer == 0 { Ok(thread) } else { Err(answer) }
}

fn join(thread: libc::pthread_t) -> (c_int, usize) {
    let mut value = ptr::null_mut();
    // SAFETY: a thread that exists or that the C library finds missing; the
    // value's place is a local.
    let answer = unsafe { libc::pthread_join(thread, &raw mut value) };
    (answer, value.addr())
}

static GATE: AtomicU32 = AtomicU32::new(0);

extern "C" fn double(argument: *mut c_void) -> *mut c_void {
    ptr::without_provenance_mut(argument.addr() * 2)
}

extern "C" fn until_gate_opens(argument: *mut c_void) -> *mut c_void {
    // ORDERING: pairs with the Release store by the one who opens it.
    while GATE.load(Ordering::Acquire) == 0 {
        thread::yield_now();
    }
    argument
}

extern "C" fn opens_gate(_: *mut c_void) -> *mut c_void {
    // ORDERING: pairs with the Acquire loads.
    GATE.store(1, Ordering::Release);
    ptr::null_mut()
}

fn joining() {
    let (answer, value) = create(double, 21, false).map_or((-1, 0), join);
    println!("joined {} with {value}", name(answer));
    // SAFETY: takes nothing.
    let me = unsafe { libc::pthread_self() };
    println!("joining oneself {}", name(join(me).0));
    let Ok(waiting) = create(until_gate_opens, 5, false) else {
        println!("no thread");
        return;
    };
    let mut value = ptr::null_mut();
    // SAFETY: the thread exists until it is joined; the value is a local.
    let tried = unsafe { libc::pthread_tryjoin_np(waiting, &raw mut value) };
    println!("still runs {}", name(tried));
    let until = after(libc::CLOCK_REALTIME, SHORT);
    // SAFETY: as above.
    let timed = unsafe { libc::pthread_timedjoin_np(waiting, &raw mut value, &raw const until) };
    println!("for a while {}", name(timed));
    // A detached one lets it go on.
    println!(
        "detached {:?}",
        create(opens_gate, 0, true).map(drop).map_err(name)
    );
    let (answer, value) = join(waiting);
    println!("joined {} with {value}", name(answer));
    let Ok(detached) = create(until_gate_opens, 0, false) else {
        return;
    };
    // SAFETY: the thread exists, for nobody joined it.
    println!("detach {}", name(unsafe { libc::pthread_detach(detached) }));
    // A thread that is created with too small a stack is not.
    let mut attributes = MaybeUninit::uninit();
    let attributes = attributes.as_mut_ptr();
    // SAFETY: a local place for the attributes.
    unsafe { libc::pthread_attr_init(attributes) };
    // SAFETY: initialised above.
    let small = unsafe { libc::pthread_attr_setstacksize(attributes, 1) };
    println!("a stack of one byte {}", name(small));
}

fn names() {
    let (answer, long, kept) = thread::spawn(|| {
        // SAFETY: takes nothing.
        let me = unsafe { libc::pthread_self() };
        let set = |text: &CStr| {
            // SAFETY: a string that outlives the call.
            unsafe { libc::pthread_setname_np(me, text.as_ptr()) }
        };
        let (short, long) = (set(c"short-name"), set(c"a-name-that-is-too-long"));
        let mut kept: [c_char; 16] = [0; 16];
        // SAFETY: a place of the length given.
        unsafe { libc::pthread_getname_np(me, kept.as_mut_ptr(), kept.len()) };
        // SAFETY: the C library ended the name with a zero.
        let kept = unsafe { CStr::from_ptr(kept.as_ptr()) };
        (short, long, kept.to_string_lossy().into_owned())
    })
    .join()
    .expect("it does not panic");
    println!(
        "name {}, long {}, kept {kept}",
        name(answer),
        long == libc::ERANGE
    );
}

static HANDLED_BY: AtomicUsize = AtomicUsize::new(0);

extern "C" fn handler(_: c_int) {
    // SAFETY: takes nothing.
    let me = unsafe { libc::pthread_self() };
    // ORDERING: pairs with the Acquire load in the thread that is signalled.
    HANDLED_BY.store(me as usize, Ordering::Release);
}

/// A signal sent to a thread is handled by that thread.
fn signals() {
    // SAFETY: a handler that only stores a number.
    unsafe { libc::signal(libc::SIGUSR1, handler as *const () as usize) };
    let mut right = 0;
    for _ in 0..20 {
        HANDLED_BY.store(0, Ordering::Relaxed);
        let thread = thread::spawn(|| {
            let mut seen = HANDLED_BY.load(Ordering::Acquire);
            while seen == 0 {
                thread::yield_now();
                seen = HANDLED_BY.load(Ordering::Acquire);
            }
            // SAFETY: takes nothing.
            seen == unsafe { libc::pthread_self() } as usize
        });
        // SAFETY: the thread exists until it is joined below.
        unsafe { libc::pthread_kill(thread.as_pthread_t(), libc::SIGUSR1) };
        right += u32::from(thread.join().unwrap_or(false));
    }
    println!("signals handled where they were sent to: {right}");
}

static FORK_STEPS: AtomicU32 = AtomicU32::new(0);

fn fork_step(digit: u32) {
    // ORDERING: one thread only.
    let steps = FORK_STEPS.load(Ordering::Relaxed);
    FORK_STEPS.store(steps * 10 + digit, Ordering::Relaxed);
}

extern "C" fn before_fork() {
    fork_step(1);
}

extern "C" fn after_fork_in_parent() {
    fork_step(2);
}

extern "C" fn after_fork_in_child() {
    fork_step(3);
}

/// A process forked by one thread has that thread only.
fn forking() {
    // SAFETY: three functions that may be called at any fork.
    let answer = unsafe {
        libc::pthread_atfork(
            Some(before_fork),
            Some(after_fork_in_parent),
            Some(after_fork_in_child),
        )
    };
    println!("atfork {}", name(answer));
    GATE.store(0, Ordering::Relaxed);
    let other = create(until_gate_opens, 0, false);
    // SAFETY: the child calls nothing but the functions below, none of which
    // takes a lock that another thread may have held.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let steps = FORK_STEPS.load(Ordering::Relaxed);
        // SAFETY: takes a number and does not return.
        unsafe { libc::_exit(steps as c_int) };
    }
    let mut status = 0;
    // SAFETY: a child of ours; the status is a local.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    println!(
        "steps {} here, {} there",
        FORK_STEPS.load(Ordering::Relaxed),
        libc::WEXITSTATUS(status)
    );
    GATE.store(1, Ordering::Release);
    if let Ok(other) = other {
        println!("joined {}", name(join(other).0));
    }
}
