//! What may go wrong between processors, tried in all orders by loom.

use alloc::sync::Arc;

use loom::sync::Arc as LoomArc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::{Machine, Processors};
use crate::policy::{Attributes, Policy};
use crate::task::{Body, Polled, Step, Task};

/// Kicks that a processor has not taken.
struct Desk {
    kicks: [AtomicUsize; 2],
}

impl Machine for Desk {
    fn now_ns(&self) -> u64 {
        0
    }

    fn kick(&self, cpu: usize) {
        // A kick is an interrupt: it orders nothing by itself.
        self.kicks[cpu].fetch_add(1, Ordering::Relaxed);
    }
}

type Two = Processors<Counted, Desk, 2>;

/// Counts its polls and ends with the last; wakes go to the processors.
struct Counted {
    processors: LoomArc<Two>,
    polls: AtomicUsize,
}

loom::thread_local! {
    static HERE: core::cell::Cell<usize> = core::cell::Cell::new(0);
}

fn here() -> usize {
    HERE.with(core::cell::Cell::get)
}

impl Body for Counted {
    fn poll(task: &Arc<Task<Self>>) -> Step {
        // ORDERING: Relaxed load and store: two polls at once would lose one.
        let polls = task.body().polls.load(Ordering::Relaxed);
        task.body().polls.store(polls + 1, Ordering::Relaxed);
        task.body().processors.poll_ended(here());
        Step::Wait
    }

    fn enqueue(task: Arc<Task<Self>>) {
        let processors = LoomArc::clone(&task.body().processors);
        let _ = processors.wake(task, here());
    }
}

fn two() -> LoomArc<Two> {
    let processors = Processors::new(Desk {
        kicks: [AtomicUsize::new(0), AtomicUsize::new(0)],
    });
    processors.bring_up(0).expect("no model panics here");
    processors.bring_up(1).expect("no model panics here");
    LoomArc::new(processors)
}

fn counted(processors: &LoomArc<Two>, allowed: u64) -> Arc<Task<Counted>> {
    let body = Counted {
        processors: LoomArc::clone(processors),
        polls: AtomicUsize::new(0),
    };
    Task::with(body, Attributes::default(), allowed)
}

/// What a processor does until it would sleep with no kick pending.
fn run_until_asleep(processors: &Two, cpu: usize) {
    HERE.with(|here| here.set(cpu));
    let mut again = None;
    loop {
        let next = match again.take() {
            Some(task) => processors.requeue(task, cpu, 0),
            None => processors.next(cpu, 0),
        };
        if let Some(next) = next.or_else(|| processors.next_or_sleep(cpu, 0)) {
            match next.task.run() {
                Polled::Waiting => {}
                Polled::Again(task) => again = Some(task),
                Polled::Done => unreachable!("it never ends"),
            }
            continue;
        }
        if processors.machine.kicks[cpu].swap(0, Ordering::Relaxed) == 0 {
            return;
        }
        processors.awake(cpu);
    }
}

fn polls(task: &Task<Counted>) -> usize {
    task.body().polls.load(Ordering::Relaxed)
}

/// Takes what a processor that woke up now would find.
fn kicked(processors: &Two, cpu: usize) -> bool {
    processors.machine.kicks[cpu].load(Ordering::Relaxed) != 0
}

/// One goes to sleep while the other wakes a task for it: it does not sleep on.
#[test]
fn loom_a_processor_does_not_sleep_on_a_task_of_its_own() {
    loom::model(|| {
        let processors = two();
        let task = counted(&processors, 0b10);
        let sleeper = LoomArc::clone(&processors);
        let other = thread::spawn(move || run_until_asleep(&sleeper, 1));
        task.wake();
        other.join().expect("no model panics here");
        assert!(polls(&task) == 1 || kicked(&processors, 1));
        run_until_asleep(&processors, 1);
        assert_eq!(polls(&task), 1);
    });
}

/// One goes to sleep while the other, which is busy, gets a task that both may
/// run: it does not sleep beside work.
#[test]
fn loom_nobody_sleeps_beside_work() {
    loom::model(|| {
        let processors = two();
        let task = counted(&processors, 0b01);
        let busy = counted(&processors, 0b01);
        // It was here before, so it is woken here.
        task.wake();
        run_until_asleep(&processors, 0);
        processors.awake(0);
        processors.allow(&task, 0b11, 0);
        busy.wake();
        let _running = processors.next(0, 0).expect("no model panics here");
        let sleeper = LoomArc::clone(&processors);
        let other = thread::spawn(move || run_until_asleep(&sleeper, 1));
        task.wake();
        other.join().expect("no model panics here");
        assert!(polls(&task) == 2 || kicked(&processors, 1));
        run_until_asleep(&processors, 0);
    });
}

/// Two processors wake and run the same task: every wake-up is followed by a
/// poll, and no two polls happen at once.
#[test]
fn loom_wakes_from_two_sides_are_not_lost() {
    loom::model(|| {
        let processors = two();
        let task = counted(&processors, 0b11);
        task.wake();
        let (other_processors, other_task) = (LoomArc::clone(&processors), Arc::clone(&task));
        let other = thread::spawn(move || {
            HERE.with(|here| here.set(1));
            other_task.wake();
            run_until_asleep(&other_processors, 1);
        });
        run_until_asleep(&processors, 0);
        other.join().expect("no model panics here");
        for cpu in 0..2 {
            run_until_asleep(&processors, cpu);
        }
        assert!((1..=2).contains(&polls(&task)));
        assert!(task.is_waiting());
        assert_eq!(processors.waiting(0) + processors.waiting(1), 0);
    });
}

/// A waiting task is stolen while its policy is changed: it is queued once, by
/// what it is.
#[test]
fn loom_a_change_meets_a_theft() {
    loom::model(|| {
        let processors = two();
        let task = counted(&processors, 0b11);
        task.wake();
        let thief = LoomArc::clone(&processors);
        let other = thread::spawn(move || {
            HERE.with(|here| here.set(1));
            thief.next(1, 0).map(|next| next.task)
        });
        let real_time = Attributes {
            policy: Policy::Fifo,
            priority: 9,
            ..Attributes::default()
        };
        processors.set_attributes(&task, real_time, 0);
        let stolen = other.join().expect("no model panics here");
        let own = processors.next(0, 0).map(|next| next.task);
        let late = processors.next(1, 0).map(|next| next.task);
        let found = [&stolen, &own, &late]
            .iter()
            .filter(|task| task.is_some())
            .count();
        assert_eq!(found, 1);
        assert_eq!(task.effective_priority(), 9);
    });
}

/// A waiting task is stolen while it is forbidden to run there: it ends up where
/// it may run, or the thief is told.
#[test]
fn loom_a_ban_meets_a_theft() {
    loom::model(|| {
        let processors = two();
        let task = counted(&processors, 0b11);
        task.wake();
        let thief = LoomArc::clone(&processors);
        let other = thread::spawn(move || {
            HERE.with(|here| here.set(1));
            thief.next(1, 0).map(|next| next.task)
        });
        processors.allow(&task, 0b01, 0);
        let stolen = other.join().expect("no model panics here");
        if stolen.is_some() {
            assert!(kicked(&processors, 1));
            assert!(processors.must_give_way(1, 0));
        } else {
            assert!(processors.next(1, 0).is_none());
            assert!(processors.next(0, 0).is_some());
        }
    });
}
