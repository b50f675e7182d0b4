//! Priority inversion, and how inheritance bounds it: real-time threads on one processor.
//!
//! One of low priority has a mutex, one of high priority waits for it, one in
//! between only works. Without inheritance the one in between goes first, for
//! as long as it likes; with it, the low one is lifted over it for as long as
//! it has what the high one wants, and no longer. The same over two mutexes:
//! the high one waits for one that waits for the low one.
//!
//! Nothing here depends on time: the order of events follows from priorities.
//! It needs the right to real-time priorities; where that is missing, it says
//! so and ends with status 77.

use core::{
    ffi::{c_int, c_void},
    mem::MaybeUninit,
    ptr,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use std::{process, thread};

use crate::pthread::{Kind, Mutex};

const MAIN: c_int = 40;
const HIGH: c_int = 30;
const MEDIUM: c_int = 20;
const LINK: c_int = 15;
const LOW: c_int = 10;

/// The status that says that real-time priorities may not be had.
const NOT_ALLOWED: i32 = 77;

/// What happened, in order.
#[derive(Default)]
struct Events {
    count: AtomicU32,
    who: [AtomicU32; 8],
}

impl Events {
    fn add(&self, who: u32) {
        // ORDERING: read after the threads were joined.
        let at = self.count.fetch_add(1, Ordering::Relaxed) as usize;
        if let Some(place) = self.who.get(at) {
            place.store(who, Ordering::Relaxed);
        }
    }

    fn names(&self) -> Vec<&'static str> {
        self.who
            .iter()
            .take(self.count.load(Ordering::Relaxed) as usize)
            .map(|who| match who.load(Ordering::Relaxed) {
                1 => "high",
                2 => "medium",
                3 => "low",
                4 => "link",
                _ => "?",
            })
            .collect()
    }
}

/// A table that five sit at.
struct Scene {
    first: Mutex,
    second: Mutex,
    chained: bool,
    steps: AtomicU32,
    go: AtomicU32,
    events: Events,
}

pub(crate) fn run() {
    let plain = Kind::plain(libc::PTHREAD_MUTEX_NORMAL);
    let inheriting = Kind {
        protocol: libc::PTHREAD_PRIO_INHERIT,
        ..plain
    };
    if !prepare() {
        eprintln!("real-time priorities may not be had here");
        process::exit(NOT_ALLOWED);
    }
    for (what, kind, chained) in [
        ("without inheritance", plain, false),
        ("with it", inheriting, false),
        ("over two, without it", plain, true),
        ("over two, with it", inheriting, true),
    ] {
        println!("{what}: {:?}", scene(kind, chained));
    }
}

/// Binds this process to one processor, and gives this thread the highest
/// priority of all here.
fn prepare() -> bool {
    // SAFETY: zeroes are an empty set.
    let mut allowed: libc::cpu_set_t = unsafe { core::mem::zeroed() };
    let size = size_of_val(&allowed);
    // SAFETY: room for a set of this size.
    unsafe { libc::sched_getaffinity(0, size, &raw mut allowed) };
    // SAFETY: the index is below the set's length.
    let first = (0..64).find(|&n| unsafe { libc::CPU_ISSET(n, &allowed) });
    // SAFETY: zeroes are an empty set.
    let mut one: libc::cpu_set_t = unsafe { core::mem::zeroed() };
    // SAFETY: as above.
    unsafe { libc::CPU_SET(first.unwrap_or(0), &mut one) };
    // SAFETY: a set of this size.
    let bound = unsafe { libc::sched_setaffinity(0, size, &raw const one) };
    let priority = libc::sched_param {
        sched_priority: MAIN,
    };
    // SAFETY: parameters that live for the call.
    let raised = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const priority) };
    bound == 0 && raised == 0
}

fn scene(kind: Kind, chained: bool) -> Vec<&'static str> {
    let (Ok(first), Ok(second)) = (Mutex::new(kind), Mutex::new(kind)) else {
        return vec!["no such mutex"];
    };
    // The threads are joined below, but the compiler cannot know.
    let scene: &'static Scene = Box::leak(Box::new(Scene {
        first,
        second,
        chained,
        steps: AtomicU32::new(0),
        go: AtomicU32::new(0),
        events: Events::default(),
    }));
    let mut threads = vec![start(scene, low, LOW)];
    scene.wait_for_step(1);
    if chained {
        threads.push(start(scene, link, LINK));
        scene.wait_for_step(2);
    }
    threads.push(start(scene, high, HIGH));
    scene.wait_for_step(2 + u32::from(chained));
    threads.push(start(scene, medium, MEDIUM));
    // ORDERING: pairs with the Acquire load of the low one.
    scene.go.store(1, Ordering::Release);
    for thread in threads {
        // SAFETY: a thread that nobody joined yet.
        unsafe { libc::pthread_join(thread, ptr::null_mut()) };
    }
    scene.events.names()
}

impl Scene {
    fn step(&self) {
        self.steps.fetch_add(1, Ordering::Release);
    }

    /// Sleeps until others are there, and twice more: whoever made the last
    /// step has then come to where it waits.
    fn wait_for_step(&self, step: u32) {
        let mut after = 0;
        while after < 2 {
            after += u32::from(self.steps.load(Ordering::Acquire) >= step);
            thread::sleep(Duration::from_millis(1));
        }
    }
}

type Body = extern "C" fn(*mut c_void) -> *mut c_void;

fn start(scene: &'static Scene, body: Body, priority: c_int) -> libc::pthread_t {
    let mut attributes = MaybeUninit::uninit();
    let attributes = attributes.as_mut_ptr();
    let parameters = libc::sched_param {
        sched_priority: priority,
    };
    let mut thread = 0;
    // SAFETY: a local place for the attributes.
    unsafe { libc::pthread_attr_init(attributes) };
    // SAFETY: initialised above; here and in the next two calls.
    unsafe { libc::pthread_attr_setinheritsched(attributes, libc::PTHREAD_EXPLICIT_SCHED) };
    // SAFETY: as above.
    unsafe { libc::pthread_attr_setschedpolicy(attributes, libc::SCHED_FIFO) };
    // SAFETY: as above.
    unsafe { libc::pthread_attr_setschedparam(attributes, &raw const parameters) };
    let argument = ptr::from_ref(scene).cast_mut().cast();
    // SAFETY: initialised attributes; the bodies below take a scene.
    let answer = unsafe { libc::pthread_create(&raw mut thread, attributes, body, argument) };
    assert_eq!(answer, 0, "a thread of priority {priority}");
    thread
}

/// The scene that a thread was given.
fn given(argument: *mut c_void) -> &'static Scene {
    // SAFETY: `start` passes a scene that is never freed.
    unsafe { &*argument.cast() }
}

extern "C" fn low(argument: *mut c_void) -> *mut c_void {
    let scene = given(argument);
    scene.first.lock();
    scene.step();
    // ORDERING: pairs with the Release store.
    while scene.go.load(Ordering::Acquire) == 0 {
        core::hint::spin_loop();
    }
    scene.first.unlock();
    // As low as before.
    scene.events.add(3);
    ptr::null_mut()
}

extern "C" fn link(argument: *mut c_void) -> *mut c_void {
    let scene = given(argument);
    scene.second.lock();
    scene.step();
    scene.first.lock();
    scene.first.unlock();
    scene.second.unlock();
    scene.events.add(4);
    ptr::null_mut()
}

extern "C" fn medium(argument: *mut c_void) -> *mut c_void {
    for n in 0..200_000_u32 {
        core::hint::black_box(n);
    }
    given(argument).events.add(2);
    ptr::null_mut()
}

extern "C" fn high(argument: *mut c_void) -> *mut c_void {
    let scene = given(argument);
    let mutex = if scene.chained {
        &scene.second
    } else {
        &scene.first
    };
    scene.step();
    mutex.lock();
    scene.events.add(1);
    mutex.unlock();
    ptr::null_mut()
}
