//! The loop of each processor: take events, poll the next task, or sleep.
//!
//! # No lost wake-up
//! Interrupts are off from the look at the run queues to the halt, and
//! [`cpu::wait_for_interrupt`](ochre_hal::cpu::wait_for_interrupt) opens them
//! and sleeps in one step: an event that comes in between ends the sleep. That
//! the look and another processor's wake-up do not miss each other is the
//! business of [`Processors`](ochre_executor::Processors).

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll};

use ochre_abi::Errno;
use ochre_executor::{Attributes, Body, Policy, Polled, Step, Task};
use ochre_hal::{clock, cpu as machine, irq};
use ochre_sync::SpinLock;
use ochre_sync::primitive::atomic::{AtomicU64, Ordering};

use super::cpu::{self, PROCESSORS};
use super::{interrupt, profile};
use crate::process::Thread;
use crate::tty::screen;

/// A task of the kernel's executor.
pub type TaskRef = Arc<Task<Entity>>;

/// What is scheduled: a program's thread or a job of the kernel.
pub struct Entity {
    kind: Kind,
    /// Processor time had, nanoseconds.
    had_ns: AtomicU64,
}

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

enum Kind {
    Thread(Arc<Thread>),
    Job(SpinLock<Job>),
}

impl Entity {
    fn new(kind: Kind) -> Entity {
        Entity {
            kind,
            had_ns: AtomicU64::new(0),
        }
    }

    /// Processor time had, in nanoseconds.
    #[must_use]
    pub fn had_ns(&self) -> u64 {
        self.had_ns.load(Ordering::Relaxed)
    }
}

fn here() -> usize {
    machine::current().index()
}

impl Body for Entity {
    #[inline]
    fn poll(task: &TaskRef) -> Step {
        let entity = task.body();
        let processor = cpu::this();
        let step = match &entity.kind {
            Kind::Thread(thread) => {
                let poll = processor
                    .account
                    .enter(thread, i32::from(task.attributes().nice));
                let step = thread.poll(task, processor.looked_cycles());
                processor.account.leave(thread, poll);
                step
            }
            Kind::Job(job) => poll_job(task, job),
        };
        let (now, start) = processor.look_at_clock();
        let ran = now.saturating_sub(start);
        // ORDERING: Relaxed; the task's state word orders polls.
        let had = entity.had_ns.load(Ordering::Relaxed);
        entity
            .had_ns
            .store(had.wrapping_add(ran), Ordering::Relaxed);
        task.charge(ran);
        PROCESSORS.poll_ended(here());
        step
    }

    fn enqueue(task: TaskRef) {
        if let Some(end) = PROCESSORS.wake(task, here()) {
            cpu::this().alarm_by(end);
        }
    }
}

#[cold]
fn poll_job(task: &TaskRef, job: &SpinLock<Job>) -> Step {
    let mut job = job
        .try_lock()
        .expect("a task is polled by one processor at a time");
    match job.as_mut().poll(&mut Context::from_waker(&task.waker())) {
        Poll::Pending => Step::Wait,
        Poll::Ready(()) => Step::End,
    }
}

/// Starts a job of the kernel. Jobs run before all threads, so they are short.
///
/// # Errors
/// ENOMEM.
pub fn spawn(job: impl Future<Output = ()> + Send + 'static) -> Result<TaskRef, Errno> {
    let attributes = Attributes {
        policy: Policy::Urgent,
        ..Attributes::default()
    };
    let entity = Entity::new(Kind::Job(SpinLock::new(Box::pin(job))));
    let task = Task::with(entity, attributes, u64::MAX);
    task.wake();
    Ok(task)
}

/// Makes the task of a thread, which may run on the processors of `allowed`; it
/// starts with its first wake-up.
#[must_use]
pub fn spawn_thread(thread: Arc<Thread>, attributes: Attributes, allowed: u64) -> TaskRef {
    Task::with(Entity::new(Kind::Thread(thread)), attributes, allowed)
}

/// Changes how a task is scheduled, at once.
pub fn set_attributes(task: &TaskRef, attributes: Attributes) {
    PROCESSORS.set_attributes(task, attributes, here());
}

/// Has a task run with at least a real-time priority (1 to 99), for those who
/// wait for something that it holds; `None` ends that. Takes effect at once,
/// also while it runs or waits to run on another processor.
pub fn boost(task: &TaskRef, priority: Option<u8>) {
    PROCESSORS.boost(task, priority, here());
}

/// Has a task run on the processors of `mask` only. Answers false, and changes
/// nothing, if none of them is there.
#[must_use]
pub fn allow(task: &TaskRef, mask: u64) -> bool {
    let mask = mask & all_processors();
    if mask != 0 {
        PROCESSORS.allow(task, mask, here());
    }
    mask != 0
}

/// A bit for each processor that runs the kernel.
#[must_use]
pub fn all_processors() -> u64 {
    u64::MAX >> (64 - machine::online().clamp(1, 64))
}

// ANCHOR: yield_now
/// Lets others run first.
pub async fn yield_now() {
    let mut yielded = false;
    poll_fn(|context| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
// ANCHOR_END: yield_now

/// Longer stretches in the kernel are looked at.
static NOTED_CYCLES: AtomicU64 = AtomicU64::new(0);
static LONGEST_KERNEL_CYCLES: AtomicU64 = AtomicU64::new(0);
static LONGEST_KERNEL_CALL: AtomicU64 = AtomicU64::new(0);

/// The watchdog's ear: `cycles` went by in the kernel on behalf of the system
/// call `call` (or `u64::MAX` for a trap) without a look at the run queue.
/// Whether [`profile`] wants to know of them too.
#[inline]
pub(crate) fn note_kernel_time(cycles: u64, call: u64) -> bool {
    // ORDERING: Relaxed, here and below; statistics.
    cycles > NOTED_CYCLES.load(Ordering::Relaxed) && note_long_time(cycles, call)
}

#[cold]
fn note_long_time(cycles: u64, call: u64) -> bool {
    if cycles > LONGEST_KERNEL_CYCLES.load(Ordering::Relaxed) {
        LONGEST_KERNEL_CYCLES.store(cycles, Ordering::Relaxed);
        LONGEST_KERNEL_CALL.store(call, Ordering::Relaxed);
    }
    // While samples are taken every stretch is looked at, so that otherwise
    // none has to ask.
    if !profile::is_on() {
        NOTED_CYCLES.store(cycles, Ordering::Relaxed);
    }
    profile::is_on()
}

/// The longest stretch in the kernel so far, in nanoseconds, and the number of
/// the system call that it served (`u64::MAX` for a trap).
#[must_use]
pub fn longest_poll() -> (u64, u64) {
    let cycles = LONGEST_KERNEL_CYCLES.load(Ordering::Relaxed);
    let hz = clock::counter_hz().max(1);
    let ns = u128::from(cycles) * 1_000_000_000 / u128::from(hz);
    (
        u64::try_from(ns).unwrap_or(u64::MAX),
        LONGEST_KERNEL_CALL.load(Ordering::Relaxed),
    )
}

/// Has the processor that runs the caller take part.
///
/// # Errors
/// ENOMEM.
pub fn bring_up() -> Result<(), Errno> {
    PROCESSORS.bring_up(here()).map_err(|_| Errno::ENOMEM)
}

// ANCHOR: run
/// Runs this processor's tasks for ever.
pub fn run() -> ! {
    let here = here();
    let processor = cpu::this();
    processor.look_at_clock();
    let mut again = None;
    loop {
        while let Some(event) = irq::poll_pending() {
            interrupt::dispatch(event);
        }
        screen::look();
        // As old as the events are long, at most.
        let now = processor.looked_ns();
        let next = match again.take() {
            Some(task) => PROCESSORS.requeue(task, here, now),
            None => PROCESSORS.next(here, now),
        };
        if let Some(next) = next.or_else(|| PROCESSORS.next_or_sleep(here, now)) {
            processor.alarm_by(next.slice_end_ns);
            if let Polled::Again(task) = next.task.run() {
                again = Some(task);
            }
        } else {
            processor.account.fall_asleep();
            let event = machine::wait_for_interrupt();
            processor.account.wake_up();
            PROCESSORS.awake(here);
            processor.look_at_clock();
            interrupt::dispatch(event);
        }
    }
}
// ANCHOR_END: run
