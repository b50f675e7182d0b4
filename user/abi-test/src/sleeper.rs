//! Threads that are asleep in a call, for certain, before the case goes on.

use core::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::sync::Arc;
use std::thread::JoinHandle;

use crate::call;
use crate::sys::Ret;

/// A thread in a call that waits.
pub(crate) struct Sleeper {
    thread: JoinHandle<Ret>,
    /// Its number.
    pub(crate) tid: i32,
}

impl Sleeper {
    /// Starts a thread with `body` and waits until it sleeps.
    pub(crate) fn new(body: impl FnOnce() -> Ret + Send + 'static) -> Sleeper {
        let sleeper = Sleeper::start(body);
        sleeper.until_asleep();
        sleeper
    }

    /// Starts a thread with `body`, which may not sleep at once.
    pub(crate) fn start(body: impl FnOnce() -> Ret + Send + 'static) -> Sleeper {
        let number = Arc::new(AtomicI32::new(0));
        let own = Arc::clone(&number);
        let thread = std::thread::spawn(move || {
            own.store(call!(SYS_gettid).unwrap_or(-1) as i32, Ordering::SeqCst);
            body()
        });
        let tid = loop {
            match number.load(Ordering::SeqCst) {
                0 => std::thread::yield_now(),
                tid => break tid,
            }
        };
        Sleeper { thread, tid }
    }

    /// Waits until the thread sleeps, or has ended.
    pub(crate) fn until_asleep(&self) {
        while !self.thread.is_finished() && state(self.tid) != Some('S') {
            std::thread::yield_now();
        }
    }

    /// Waits until the thread sleeps, also in what signals do not end (which it
    /// may do for a moment on its way), or has ended.
    pub(crate) fn until_waiting(&self) {
        while !self.thread.is_finished() && !matches!(state(self.tid), Some('S' | 'D')) {
            std::thread::yield_now();
        }
    }

    /// Whether the thread has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// What the call answered, once it does.
    pub(crate) fn answer(self) -> Ret {
        self.thread.join().expect("no thread panics")
    }
}

/// A thread's state as `/proc` has it.
pub(crate) fn state(tid: i32) -> Option<char> {
    let text = std::fs::read_to_string(format!("/proc/self/task/{tid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    rest.trim_start().chars().next()
}

/// Whether a thread has not ended; a first thread that has may still be listed.
pub(crate) fn is_alive(tid: i32) -> bool {
    !matches!(state(tid), None | Some('Z' | 'X'))
}

/// The address of a word, for the kernel.
pub(crate) fn at(word: &AtomicU32) -> usize {
    word.as_ptr().expose_provenance()
}
