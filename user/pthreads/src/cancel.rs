//! Cancellation: asked for, put off, at once, in every kind of wait, with what runs on the way out.
//!
//! # Safety
//! A cancelled thread leaves by unwinding that nothing may stop. Every frame
//! that it may go through is a plain one: `C-unwind`, no destructor, nothing
//! borrowed that is not static. That is why this file calls the C library
//! directly where it can be cancelled, and why threads are started with
//! functions and not closures.

use core::{
    ffi::{c_int, c_void},
    ptr,
    sync::atomic::{AtomicI32, AtomicU32, Ordering},
};

use crate::name;

unsafe extern "C-unwind" {
    fn pthread_create(
        thread: *mut libc::pthread_t,
        attributes: *const libc::pthread_attr_t,
        body: extern "C-unwind" fn(*mut c_void) -> *mut c_void,
        argument: *mut c_void,
    ) -> c_int;
    fn pthread_testcancel();
    fn pthread_setcancelstate(state: c_int, old: *mut c_int) -> c_int;
    fn pthread_setcanceltype(kind: c_int, old: *mut c_int) -> c_int;
    fn pthread_exit(value: *mut c_void) -> !;
    fn pthread_join(thread: libc::pthread_t, value: *mut *mut c_void) -> c_int;
    fn pthread_cond_wait(
        cond: *mut libc::pthread_cond_t,
        mutex: *mut libc::pthread_mutex_t,
    ) -> c_int;
    fn pause() -> c_int;
    fn read(fd: c_int, bytes: *mut c_void, length: usize) -> isize;
    fn nanosleep(time: *const libc::timespec, left: *mut libc::timespec) -> c_int;
    fn sem_wait(semaphore: *mut libc::sem_t) -> c_int;
    fn waitpid(pid: libc::pid_t, status: *mut c_int, options: c_int) -> libc::pid_t;
    fn poll(fds: *mut libc::pollfd, count: libc::nfds_t, timeout: c_int) -> c_int;
    fn _pthread_cleanup_push(
        buffer: *mut Cleanup,
        body: extern "C" fn(*mut c_void),
        argument: *mut c_void,
    );
    fn _pthread_cleanup_pop(buffer: *mut Cleanup, run: c_int);
}

/// What glibc keeps about something to do on the way out.
#[repr(C)]
struct Cleanup {
    body: Option<extern "C" fn(*mut c_void)>,
    argument: *mut c_void,
    kind: c_int,
    previous: *mut Cleanup,
}

impl Cleanup {
    const fn new() -> Self {
        Self {
            body: None,
            argument: ptr::null_mut(),
            kind: 0,
            previous: ptr::null_mut(),
        }
    }
}

const ENABLE: c_int = 0;
const DISABLE: c_int = 1;
const ASYNCHRONOUS: c_int = 1;
const CANCELED: usize = usize::MAX;

/// A C object that lives for ever.
struct Forever<T>(core::cell::UnsafeCell<T>);

// SAFETY: POSIX lets every thread use the objects that are kept in here.
unsafe impl<T> Sync for Forever<T> {}

static MUTEX: Forever<libc::pthread_mutex_t> =
    Forever(core::cell::UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER));
static COND: Forever<libc::pthread_cond_t> =
    Forever(core::cell::UnsafeCell::new(libc::PTHREAD_COND_INITIALIZER));
/// Never posted; zeroes are a semaphore without units.
static SEMAPHORE: Forever<core::mem::MaybeUninit<libc::sem_t>> =
    Forever(core::cell::UnsafeCell::new(core::mem::MaybeUninit::zeroed()));

/// How far the thread is.
static STEP: AtomicU32 = AtomicU32::new(0);
/// What ran on its way out, as digits.
static TRACE: AtomicU32 = AtomicU32::new(0);
/// The reading end of a pipe that stays empty.
static PIPE: AtomicI32 = AtomicI32::new(-1);

type Body = extern "C-unwind" fn(*mut c_void) -> *mut c_void;

pub(crate) fn run() {
    let mut ends = [-1; 2];
    // SAFETY: room for two descriptors.
    unsafe { libc::pipe(ends.as_mut_ptr()) };
    // ORDERING, for all of this file: what the threads share is ordered by
    // starting and joining them and by the steps.
    PIPE.store(ends[0], Ordering::Relaxed);
    let waits: [(&str, Body); 7] = [
        ("pause", in_pause),
        ("read", in_read),
        ("nanosleep", in_nanosleep),
        ("poll", in_poll),
        ("a semaphore", in_sem_wait),
        ("a join", in_join),
        ("a child's end", in_waitpid),
    ];
    for (what, body) in waits {
        // Asked for as soon as it runs: before the wait or in it.
        let early = cancelled(body, false);
        // And once it had time to get there.
        let late = cancelled(body, true);
        println!("in {what}: {early}, {late}");
    }
    println!("at a condition: {}", cancelled(at_condition, true));
    println!("on the way out {}", TRACE.load(Ordering::Relaxed));
    // SAFETY: initialised; the cleanup gave it back.
    let free = unsafe { libc::pthread_mutex_trylock(MUTEX.0.get()) };
    println!("the mutex is free {}", name(free));
    // SAFETY: just taken.
    unsafe { libc::pthread_mutex_unlock(MUTEX.0.get()) };
    println!(
        "put off: {}, steps {}",
        cancelled(put_off, false),
        STEP.load(Ordering::Relaxed)
    );
    println!("in a loop, at once: {}", cancelled(looping, true));
    println!(
        "cleanups: {}, {}",
        cancelled(with_cleanups, true),
        TRACE.load(Ordering::Relaxed)
    );
    TRACE.store(0, Ordering::Relaxed);
    println!("left from below with {:?}", end_of(start(leaving)));
    println!("cleanups then {}", TRACE.load(Ordering::Relaxed));
    let thread = start(short);
    let value = end_of(thread);
    println!("not cancelled in time: {value:?}");
}

fn start(body: Body) -> libc::pthread_t {
    let mut thread = 0;
    STEP.store(0, Ordering::Relaxed);
    // SAFETY: default attributes, a body that ignores its argument.
    let answer = unsafe { pthread_create(&raw mut thread, ptr::null(), body, ptr::null_mut()) };
    assert_eq!(answer, 0, "a few threads can be had");
    thread
}

/// What a thread ended with; none if it was cancelled.
fn end_of(thread: libc::pthread_t) -> Option<usize> {
    let mut value = ptr::null_mut();
    // SAFETY: a thread that nobody joined yet; the value's place is a local.
    let answer = unsafe { libc::pthread_join(thread, &raw mut value) };
    assert_eq!(answer, 0, "it can be joined");
    (value.addr() != CANCELED).then_some(value.addr())
}

/// Starts, cancels and joins a thread; with `late`, only after a while.
fn cancelled(body: Body, late: bool) -> &'static str {
    TRACE.store(0, Ordering::Relaxed);
    let thread = start(body);
    while STEP.load(Ordering::Acquire) == 0 {
        std::thread::yield_now();
    }
    if late {
        std::thread::sleep(core::time::Duration::from_millis(5));
    }
    // SAFETY: a thread that nobody joined yet.
    let asked = unsafe { libc::pthread_cancel(thread) };
    match (asked, end_of(thread)) {
        (0, None) => "cancelled",
        (0, Some(_)) => "ended by itself",
        _ => "not to be cancelled",
    }
}

fn step() {
    STEP.fetch_add(1, Ordering::Release);
}

extern "C-unwind" fn in_pause(_: *mut c_void) -> *mut c_void {
    step();
    loop {
        // SAFETY: takes nothing.
        unsafe { pause() };
    }
}

extern "C-unwind" fn in_read(_: *mut c_void) -> *mut c_void {
    step();
    let mut byte = 0_u8;
    // SAFETY: room for a byte.
    unsafe { read(PIPE.load(Ordering::Relaxed), (&raw mut byte).cast(), 1) };
    ptr::null_mut()
}

extern "C-unwind" fn in_nanosleep(_: *mut c_void) -> *mut c_void {
    step();
    let time = libc::timespec {
        tv_sec: 1000,
        tv_nsec: 0,
    };
    // SAFETY: a time that lives for the call.
    unsafe { nanosleep(&raw const time, ptr::null_mut()) };
    ptr::null_mut()
}

extern "C-unwind" fn in_poll(_: *mut c_void) -> *mut c_void {
    step();
    // SAFETY: no descriptors.
    unsafe { poll(ptr::null_mut(), 0, -1) };
    ptr::null_mut()
}

extern "C-unwind" fn in_sem_wait(_: *mut c_void) -> *mut c_void {
    step();
    // SAFETY: a semaphore for ever.
    unsafe { sem_wait(SEMAPHORE.0.get().cast()) };
    ptr::null_mut()
}

extern "C-unwind" fn in_waitpid(_: *mut c_void) -> *mut c_void {
    // SAFETY: the child waits to be killed and calls nothing else.
    let child = unsafe { libc::fork() };
    if child == 0 {
        loop {
            // SAFETY: takes nothing.
            unsafe { libc::pause() };
        }
    }
    let mut kill = Cleanup::new();
    let argument = ptr::without_provenance_mut(child as usize);
    // SAFETY: the buffer lives in this frame until the pop or the end of the
    // thread.
    unsafe { _pthread_cleanup_push(&raw mut kill, end_child, argument) };
    step();
    // SAFETY: a child of ours.
    unsafe { waitpid(child, ptr::null_mut(), 0) };
    // SAFETY: the buffer pushed above.
    unsafe { _pthread_cleanup_pop(&raw mut kill, 1) };
    ptr::null_mut()
}

extern "C" fn end_child(child: *mut c_void) {
    let child = child.addr() as libc::pid_t;
    // SAFETY: a child of ours.
    unsafe { libc::kill(child, libc::SIGKILL) };
    // SAFETY: as above; nothing is wanted back.
    unsafe { libc::waitpid(child, ptr::null_mut(), 0) };
}

extern "C-unwind" fn in_join(_: *mut c_void) -> *mut c_void {
    let mut other = 0;
    // SAFETY: as in `start`.
    unsafe { pthread_create(&raw mut other, ptr::null(), in_pause, ptr::null_mut()) };
    let mut end = Cleanup::new();
    let argument = ptr::without_provenance_mut(other as usize);
    // SAFETY: the buffer lives in this frame until the end of the thread.
    unsafe { _pthread_cleanup_push(&raw mut end, end_thread, argument) };
    step();
    // SAFETY: a thread that nobody joined yet.
    unsafe { pthread_join(other, ptr::null_mut()) };
    // SAFETY: the buffer pushed above.
    unsafe { _pthread_cleanup_pop(&raw mut end, 0) };
    ptr::null_mut()
}

extern "C" fn end_thread(thread: *mut c_void) {
    let thread = thread.addr() as libc::pthread_t;
    // SAFETY: a thread that nobody joined.
    unsafe { libc::pthread_cancel(thread) };
    // SAFETY: as above.
    unsafe { libc::pthread_join(thread, ptr::null_mut()) };
}

extern "C" fn unlock(mutex: *mut c_void) {
    trace(ptr::without_provenance_mut(5));
    // SAFETY: the mutex of `at_condition`, which has it again when this runs.
    unsafe { libc::pthread_mutex_unlock(mutex.cast()) };
}

/// Has the mutex again when what it pushed runs.
extern "C-unwind" fn at_condition(_: *mut c_void) -> *mut c_void {
    let mut give_back = Cleanup::new();
    // SAFETY: initialised.
    unsafe { libc::pthread_mutex_lock(MUTEX.0.get()) };
    // SAFETY: the buffer lives in this frame until the end of the thread.
    unsafe { _pthread_cleanup_push(&raw mut give_back, unlock, MUTEX.0.get().cast()) };
    step();
    loop {
        // SAFETY: both are initialised, the mutex is taken.
        unsafe { pthread_cond_wait(COND.0.get(), MUTEX.0.get()) };
    }
}

/// Takes no notice until it says so.
extern "C-unwind" fn put_off(_: *mut c_void) -> *mut c_void {
    // SAFETY: a state that there is.
    unsafe { pthread_setcancelstate(DISABLE, ptr::null_mut()) };
    step();
    for _ in 0..9 {
        std::thread::yield_now();
        // SAFETY: takes nothing; does nothing while it is disabled.
        unsafe { pthread_testcancel() };
        step();
    }
    // SAFETY: a state that there is.
    unsafe { pthread_setcancelstate(ENABLE, ptr::null_mut()) };
    loop {
        // SAFETY: takes nothing.
        unsafe { pthread_testcancel() };
    }
}

/// Calls nothing that could notice; ended by the signal itself.
extern "C-unwind" fn looping(_: *mut c_void) -> *mut c_void {
    // SAFETY: a type that there is.
    unsafe { pthread_setcanceltype(ASYNCHRONOUS, ptr::null_mut()) };
    step();
    loop {
        core::hint::spin_loop();
    }
}

extern "C" fn trace(digit: *mut c_void) {
    let trace = TRACE.load(Ordering::Relaxed);
    TRACE.store(trace * 10 + digit.addr() as u32, Ordering::Relaxed);
}

fn push(buffer: *mut Cleanup, digit: usize) {
    // SAFETY: the caller's buffer lives until it is popped or its frame is
    // unwound.
    unsafe { _pthread_cleanup_push(buffer, trace, ptr::without_provenance_mut(digit)) };
}

/// The last that was pushed runs first; what was popped does not.
extern "C-unwind" fn with_cleanups(_: *mut c_void) -> *mut c_void {
    let (mut one, mut two, mut three) = (Cleanup::new(), Cleanup::new(), Cleanup::new());
    push(&raw mut one, 1);
    push(&raw mut two, 2);
    push(&raw mut three, 3);
    // SAFETY: the buffer pushed last.
    unsafe { _pthread_cleanup_pop(&raw mut three, 0) };
    step();
    loop {
        // SAFETY: takes nothing.
        unsafe { pause() };
    }
}

/// Leaves the thread from a function it called.
extern "C-unwind" fn leaving(_: *mut c_void) -> *mut c_void {
    let mut one = Cleanup::new();
    push(&raw mut one, 7);
    leave_below(3);
    ptr::null_mut()
}

extern "C-unwind" fn leave_below(levels: usize) {
    if levels == 0 {
        // SAFETY: ends this thread; its frames are plain ones.
        unsafe { pthread_exit(ptr::without_provenance_mut(99)) };
    }
    leave_below(core::hint::black_box(levels) - 1);
}

extern "C-unwind" fn short(_: *mut c_void) -> *mut c_void {
    ptr::without_provenance_mut(11)
}
