//! A task: its state word, and the waker.
//!
//! # States
//!
//! ```text
//!             wake (1)              begin (2)
//!   Idle ───────────────▶ Queued ───────────────▶ Running ──┐
//!    ▲                      ▲                       │  │    │ wake (3)
//!    │ Wait (4)             │ Again, Wait (5)       │  │    ▼
//!    └──────────────────────┼───────────────────────┘  │  Notified
//!                           └──────────────────────────┼────┘
//!                                              End (6) ▼
//!                                                     Done
//! ```
//!
//! 1. `wake`: the task is put on a run queue, by the one that made the step.
//! 2. `run`: only the owner of a queue entry may begin, so one processor polls.
//! 3. `wake` while running: remembered, so that no wake-up falls between the
//!    body's last look and its going to sleep.
//! 4. and 5. the poll ended with [`Step::Wait`]; a notified task goes on, as one
//!    does whose poll ended with [`Step::Again`]: who polled it queues it.
//! 6. the poll ended with [`Step::End`]; wakes are ignored from then on.

use alloc::sync::Arc;
use alloc::task::Wake;
use core::fmt;
use core::task::Waker;

use ochre_sync::primitive::atomic::{AtomicU8, Ordering};

use crate::node::Node;
use crate::policy::Attributes;

const IDLE: u8 = 0;
const QUEUED: u8 = 1;
const RUNNING: u8 = 2;
const NOTIFIED: u8 = 3;
const DONE: u8 = 4;

/// What a task does, and where it waits to do it.
pub trait Body: Send + Sync + Sized + 'static {
    /// Goes on with the task until it waits or ends. Never called on two
    /// processors at once. A future is polled with [`Task::waker`].
    fn poll(task: &Arc<Task<Self>>) -> Step;

    /// Puts a task that waited and was woken on a run queue. Never fails and
    /// never allocates: the links are in the task.
    fn enqueue(task: Arc<Task<Self>>);
}

// ANCHOR: step
/// How a [`Body::poll`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The task waits to be woken.
    Wait,
    /// The task lets others run and goes on.
    Again,
    /// The task is over.
    End,
}
// ANCHOR_END: step

/// How [`Task::run`] ended.
#[derive(Debug)]
#[must_use = "a task that goes on has to be queued"]
pub enum Polled<B> {
    /// The task waits for a wake-up.
    Waiting,
    /// The task was woken while it ran, or lets others run. It counts as queued,
    /// so the caller has to queue it.
    Again(Arc<Task<B>>),
    /// The task has ended.
    Done,
}

/// A unit of scheduling.
pub struct Task<B> {
    state: AtomicU8,
    pub(crate) node: Node<B>,
    body: B,
}

impl<B> fmt::Debug for Task<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // ORDERING: Relaxed; for people.
        let state = self.state.load(Ordering::Relaxed);
        f.debug_struct("Task")
            .field("state", &state)
            .finish_non_exhaustive()
    }
}

impl<B: Body> Task<B> {
    /// A task that waits for its first [`wake`](Task::wake), with a fair share
    /// of any processor.
    pub fn new(body: B) -> Arc<Task<B>> {
        Task::with(body, Attributes::default(), u64::MAX)
    }

    /// A task that waits for its first [`wake`](Task::wake), and may run on the
    /// processors whose bits are set in `allowed`.
    pub fn with(body: B, attributes: Attributes, allowed: u64) -> Arc<Task<B>> {
        Arc::new(Task {
            state: AtomicU8::new(IDLE),
            node: Node::new(attributes, allowed),
            body,
        })
    }

    /// What the task does.
    #[inline]
    pub fn body(&self) -> &B {
        &self.body
    }

    /// Its scheduling, without a boost.
    #[must_use]
    pub fn attributes(&self) -> Attributes {
        self.node.packed().attributes()
    }

    /// The real-time priority that counts: its own, or that of the boost if it
    /// is higher; 0 for neither.
    #[must_use]
    pub fn effective_priority(&self) -> u8 {
        self.node.packed().effective_priority()
    }

    /// The processors that it may run on, a bit each.
    #[must_use]
    pub fn allowed(&self) -> u64 {
        // ORDERING: Relaxed; a hint, as it may change at any time.
        self.node.allowed.load(Ordering::Relaxed)
    }

    /// The processor that it runs on or ran on last.
    #[must_use]
    pub fn processor(&self) -> usize {
        self.node.cpu()
    }

    /// Counts `ran_ns` nanoseconds to what the task had. Only the poll of the
    /// task calls this.
    #[inline]
    pub fn charge(&self, ran_ns: u64) {
        self.node.charge(ran_ns);
    }

    /// What wakes the task.
    #[inline]
    #[must_use]
    pub fn waker(self: &Arc<Self>) -> Waker {
        Waker::from(Arc::clone(self))
    }

    /// Makes the task runnable (transitions 1 and 3).
    #[inline]
    pub fn wake(self: &Arc<Self>) {
        // ORDERING: Release on each step, so that what the waker wrote before is
        // seen by the poll that this wake-up leads to (`run`'s Acquire), also
        // when the task is already queued or notified. What the poll before
        // released stays released: this step reads it, changes it and writes it.
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            let next = match state {
                IDLE => QUEUED,
                RUNNING => NOTIFIED,
                DONE => return,
                other => other,
            };
            // ORDERING: as said above, also where the value stays the same.
            match self.state.compare_exchange_weak(
                state,
                next,
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(IDLE) => return B::enqueue(Arc::clone(self)),
                Ok(_) => return,
                Err(now) => state = now,
            }
        }
    }

    /// Whether the task waits and nobody has woken it.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        // ORDERING: Relaxed; a hint for statistics.
        self.state.load(Ordering::Relaxed) == IDLE
    }

    /// Whether the task is being polled: then [`processor`](Task::processor)
    /// says where.
    #[must_use]
    pub fn is_running(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `run`, for the processor's number.
        matches!(self.state.load(Ordering::Acquire), RUNNING | NOTIFIED)
    }

    /// Whether the task has ended.
    #[must_use]
    pub fn is_done(&self) -> bool {
        // ORDERING: Acquire pairs with the Release of the ending poll.
        self.state.load(Ordering::Acquire) == DONE
    }

    /// Polls a task taken from a run queue (transitions 2, 4, 5 and 6).
    ///
    /// # Panics
    /// If the task was not queued: the caller must own its queue entry.
    #[inline]
    pub fn run(self: Arc<Self>) -> Polled<B> {
        // ORDERING: Acquire pairs with the Release in `wake`; Release with the
        // Acquire in `is_running`.
        let before = self.state.swap(RUNNING, Ordering::AcqRel);
        assert_eq!(before, QUEUED, "a task is run only from a run queue");
        match B::poll(&self) {
            Step::Wait => {
                // ORDERING: Release publishes the body's state to the processor
                // that polls next. Relaxed on failure: what wakers released stays
                // released (below), for the poll that comes.
                let slept = self.state.compare_exchange(
                    RUNNING,
                    IDLE,
                    Ordering::Release,
                    Ordering::Relaxed,
                );
                if slept.is_ok() {
                    return Polled::Waiting;
                }
                // ORDERING: Release as above; nobody else leaves NOTIFIED. A swap,
                // not a store: one who wakes the task again in between leaves
                // NOTIFIED as it is, and what he released stays released.
                self.state.swap(QUEUED, Ordering::Release);
                Polled::Again(self)
            }
            Step::Again => {
                // ORDERING: Release as above. A swap, not a store: what one
                // released who woke the task meanwhile stays released.
                self.state.swap(QUEUED, Ordering::Release);
                Polled::Again(self)
            }
            Step::End => {
                // ORDERING: Release publishes the body's last writes to `is_done`.
                self.state.store(DONE, Ordering::Release);
                Polled::Done
            }
        }
    }
}

impl<B: Body> Wake for Task<B> {
    fn wake(self: Arc<Self>) {
        Task::wake(&self);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        Task::wake(self);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{Body, Polled, Step, Task};
    use core::sync::atomic::{AtomicU32, Ordering};
    use std::sync::Arc;
    use std::sync::Mutex;

    /// Counts polls; queues into a list; ends when told.
    struct Probe {
        polls: AtomicU32,
        /// How it goes on before the end.
        step: Step,
        wake_self: bool,
        end_after: u32,
        queue: Arc<Mutex<Vec<Arc<Task<Probe>>>>>,
    }

    impl Body for Probe {
        fn poll(task: &Arc<Task<Self>>) -> Step {
            let polls = task.body().polls.fetch_add(1, Ordering::Relaxed) + 1;
            if task.body().wake_self {
                task.waker().wake_by_ref();
            }
            if polls >= task.body().end_after {
                Step::End
            } else {
                task.body().step
            }
        }

        fn enqueue(task: Arc<Task<Self>>) {
            let queue = Arc::clone(&task.body().queue);
            queue.lock().expect("no test panics here").push(task);
        }
    }

    /// How polls ended, in short: waiting, again, done.
    fn probe(
        step: Step,
        wake_self: bool,
        end_after: u32,
    ) -> (Arc<Task<Probe>>, impl Fn() -> String) {
        let queue = Arc::new(Mutex::new(Vec::new()));
        let task = Task::new(Probe {
            polls: AtomicU32::new(0),
            step,
            wake_self,
            end_after,
            queue: Arc::clone(&queue),
        });
        let drain = move || {
            let mut results = String::new();
            loop {
                let Some(task) = queue.lock().expect("no test panics here").pop() else {
                    return results;
                };
                match task.run() {
                    Polled::Waiting => results.push('w'),
                    Polled::Done => results.push('d'),
                    Polled::Again(task) => {
                        results.push('a');
                        queue.lock().expect("no test panics here").push(task);
                    }
                }
            }
        };
        (task, drain)
    }

    #[test]
    fn waking_twice_queues_once() {
        let (task, drain) = probe(Step::Wait, false, 9);
        task.wake();
        task.wake();
        assert_eq!(drain(), "w");
        assert!(task.is_waiting());
    }

    #[test]
    fn a_wake_while_running_is_not_lost() {
        let (task, drain) = probe(Step::Wait, true, 3);
        task.wake();
        assert_eq!(drain(), "aad");
    }

    #[test]
    fn one_who_lets_others_run_goes_on_once() {
        for wake_self in [false, true] {
            let (task, drain) = probe(Step::Again, wake_self, 3);
            task.wake();
            assert_eq!(drain(), "aad");
        }
    }

    #[test]
    fn a_task_that_ended_is_not_queued_again() {
        let (task, drain) = probe(Step::Wait, false, 1);
        task.wake();
        assert_eq!(drain(), "d");
        task.wake();
        assert_eq!(drain(), "");
        assert!(task.is_done());
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::{Body, Polled, Step, Task};
    use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use loom::sync::{Arc as LoomArc, Mutex};
    use std::sync::Arc;

    /// Ends when the flag is seen; queues into a list.
    struct Flagged {
        flag: LoomArc<AtomicBool>,
        queued: LoomArc<Mutex<Vec<Arc<Task<Flagged>>>>>,
        ended: LoomArc<AtomicUsize>,
    }

    impl Body for Flagged {
        fn poll(task: &Arc<Task<Self>>) -> Step {
            if task.body().flag.load(Ordering::Relaxed) {
                task.body().ended.fetch_add(1, Ordering::Relaxed);
                Step::End
            } else {
                Step::Wait
            }
        }

        fn enqueue(task: Arc<Task<Self>>) {
            let queued = LoomArc::clone(&task.body().queued);
            queued.lock().expect("no model panics here").push(task);
        }
    }

    #[test]
    fn a_wake_between_the_last_look_and_sleep_is_not_lost() {
        loom::model(|| {
            let flag = LoomArc::new(AtomicBool::new(false));
            let queued = LoomArc::new(Mutex::new(Vec::new()));
            let ended = LoomArc::new(AtomicUsize::new(0));
            let task = Task::new(Flagged {
                flag: LoomArc::clone(&flag),
                queued: LoomArc::clone(&queued),
                ended: LoomArc::clone(&ended),
            });
            task.wake();
            let waker = Arc::clone(&task);
            let thread = loom::thread::spawn(move || {
                flag.store(true, Ordering::Relaxed);
                waker.wake();
            });
            let drain = || {
                loop {
                    let next = queued.lock().expect("no model panics here").pop();
                    match next {
                        Some(task) => {
                            if let Polled::Again(task) = task.run() {
                                queued.lock().expect("no model panics here").push(task);
                            }
                        }
                        None => break,
                    }
                }
            };
            drain();
            thread.join().expect("the waker finishes");
            drain();
            assert_eq!(ended.load(Ordering::Relaxed), 1);
        });
    }

    /// Counts its polls with a load and a store, which lose one if a poll does
    /// not see what the one before did, and ends after some. Its queue is a
    /// flag that orders nothing: what order there is comes from the task's state.
    struct Counting {
        polls: AtomicUsize,
        /// The same, counted so that none is lost.
        begun: AtomicUsize,
        last: usize,
        /// How it goes on before the end.
        step: Step,
        queued: AtomicBool,
    }

    impl Body for Counting {
        fn poll(task: &Arc<Task<Self>>) -> Step {
            let polls = task.body().polls.load(Ordering::Relaxed) + 1;
            task.body().polls.store(polls, Ordering::Relaxed);
            let begun = task.body().begun.fetch_add(1, Ordering::Relaxed) + 1;
            assert_eq!(polls, begun, "a poll does not see the one before");
            if polls == task.body().last {
                Step::End
            } else {
                task.body().step
            }
        }

        fn enqueue(task: Arc<Task<Self>>) {
            task.body().queued.store(true, Ordering::Relaxed);
        }
    }

    fn counting(last: usize, step: Step) -> Arc<Task<Counting>> {
        Task::new(Counting {
            polls: AtomicUsize::new(0),
            begun: AtomicUsize::new(0),
            last,
            step,
            queued: AtomicBool::new(false),
        })
    }

    /// What a processor does that finds the task in a queue.
    fn run_if_queued(task: &Arc<Task<Counting>>) {
        if task.body().queued.swap(false, Ordering::Relaxed) {
            let again = Arc::clone(task).run();
            if matches!(again, Polled::Again(_)) {
                task.body().queued.store(true, Ordering::Relaxed);
            }
        }
    }

    #[test]
    fn a_poll_sees_what_the_one_before_did_elsewhere() {
        for step in [Step::Wait, Step::Again] {
            loom::model(move || {
                let task = counting(9, step);
                task.wake();
                let (one, other) = (Arc::clone(&task), Arc::clone(&task));
                let first = loom::thread::spawn(move || run_if_queued(&one));
                let second = loom::thread::spawn(move || {
                    other.wake();
                    run_if_queued(&other);
                });
                first.join().expect("a processor goes on");
                second.join().expect("a processor goes on");
                run_if_queued(&task);
            });
        }
    }

    /// What a processor does until the task is in no queue; `queued` is the queue.
    fn drain<B: Body>(task: &Arc<Task<B>>, queued: &AtomicBool) {
        while queued.swap(false, Ordering::Relaxed) {
            let mut next = Arc::clone(task).run();
            while let Polled::Again(again) = next {
                next = again.run();
            }
        }
    }

    /// Lets others run until it sees the flag, and then waits.
    struct Looking {
        flag: LoomArc<AtomicBool>,
        seen: AtomicBool,
        rounds: AtomicUsize,
        queued: AtomicBool,
    }

    impl Body for Looking {
        fn poll(task: &Arc<Task<Self>>) -> Step {
            if task.body().flag.load(Ordering::Relaxed) {
                task.body().seen.store(true, Ordering::Relaxed);
            }
            if task.body().rounds.fetch_add(1, Ordering::Relaxed) == 0 {
                Step::Again
            } else {
                Step::Wait
            }
        }

        fn enqueue(task: Arc<Task<Self>>) {
            // A change, not a store: the queue loses none.
            task.body().queued.swap(true, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_wake_of_one_who_lets_others_run_is_not_lost() {
        loom::model(|| {
            let flag = LoomArc::new(AtomicBool::new(false));
            let task = Task::new(Looking {
                flag: LoomArc::clone(&flag),
                seen: AtomicBool::new(false),
                rounds: AtomicUsize::new(0),
                queued: AtomicBool::new(false),
            });
            task.wake();
            let waker = Arc::clone(&task);
            let thread = loom::thread::spawn(move || {
                flag.store(true, Ordering::Relaxed);
                waker.wake();
            });
            drain(&task, &task.body().queued);
            thread.join().expect("the waker finishes");
            drain(&task, &task.body().queued);
            assert!(task.body().seen.load(Ordering::Relaxed));
        });
    }

    /// Two who each leave something and wake: notes what it finds, and waits.
    struct Collecting {
        left: [AtomicBool; 2],
        found: [AtomicBool; 2],
        queued: AtomicBool,
    }

    impl Body for Collecting {
        fn poll(task: &Arc<Task<Self>>) -> Step {
            let body = task.body();
            for (left, found) in body.left.iter().zip(&body.found) {
                found.store(left.load(Ordering::Relaxed), Ordering::Relaxed);
            }
            Step::Wait
        }

        fn enqueue(task: Arc<Task<Self>>) {
            task.body().queued.swap(true, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_second_wake_of_one_that_runs_is_not_lost() {
        loom::model(|| {
            let task = Task::new(Collecting {
                left: [AtomicBool::new(false), AtomicBool::new(false)],
                found: [AtomicBool::new(false), AtomicBool::new(false)],
                queued: AtomicBool::new(false),
            });
            task.wake();
            let leave = |which: usize| {
                let task = Arc::clone(&task);
                loom::thread::spawn(move || {
                    task.body().left[which].store(true, Ordering::Relaxed);
                    task.wake();
                })
            };
            let threads = [leave(0), leave(1)];
            drain(&task, &task.body().queued);
            for thread in threads {
                thread.join().expect("the waker finishes");
            }
            drain(&task, &task.body().queued);
            for found in &task.body().found {
                assert!(found.load(Ordering::Relaxed), "a wake-up is lost");
            }
        });
    }

    #[test]
    fn who_sees_it_run_sees_what_was_before() {
        loom::model(|| {
            let task = counting(9, Step::Wait);
            let place = LoomArc::new(AtomicUsize::new(0));
            task.wake();
            let elsewhere = Arc::clone(&task);
            let written = LoomArc::clone(&place);
            let thread = loom::thread::spawn(move || {
                written.store(1, Ordering::Relaxed);
                run_if_queued(&elsewhere);
            });
            if task.is_running() {
                assert_eq!(place.load(Ordering::Relaxed), 1);
            }
            thread.join().expect("the other processor goes on");
        });
    }

    #[test]
    fn who_sees_the_end_sees_what_was_done() {
        loom::model(|| {
            let task = counting(1, Step::Wait);
            task.wake();
            let elsewhere = Arc::clone(&task);
            let thread = loom::thread::spawn(move || run_if_queued(&elsewhere));
            if task.is_done() {
                assert_eq!(task.body().polls.load(Ordering::Relaxed), 1);
            }
            thread.join().expect("the other processor goes on");
        });
    }
}
