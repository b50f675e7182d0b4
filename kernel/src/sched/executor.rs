//! The loop of each processor: take events, poll the next task, or sleep.
//!
//! # No lost wake-up
//! Interrupts are off from the look at the run queue to the halt, and
//! [`cpu::wait_for_interrupt`](ochre_hal::cpu::wait_for_interrupt) opens them
//! and sleeps in one step: an event that comes in between ends the sleep.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll};

use ochre_abi::Errno;
use ochre_executor::{Body, Task, virtual_time};
use ochre_hal::{clock, cpu as machine, irq};
use ochre_sync::SpinLock;
use ochre_sync::primitive::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering};

use super::{cpu, interrupt};
use crate::process::Thread;

/// A task of the kernel's executor.
pub type TaskRef = Arc<Task<Entity>>;

/// What is scheduled: a program's thread or a job of the kernel.
pub struct Entity {
    kind: Kind,
    /// Virtual runtime, nanoseconds by weight.
    runtime: AtomicU64,
    nice: AtomicI32,
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
            runtime: AtomicU64::new(cpu::this().queue.lock().minimum()),
            nice: AtomicI32::new(0),
            had_ns: AtomicU64::new(0),
        }
    }

    /// Processor time had, in nanoseconds.
    #[must_use]
    pub fn had_ns(&self) -> u64 {
        self.had_ns.load(Ordering::Relaxed)
    }

    /// The nice level.
    #[must_use]
    pub fn nice(&self) -> i32 {
        self.nice.load(Ordering::Relaxed)
    }

    /// Sets the nice level, -20 to 19.
    pub fn set_nice(&self, nice: i32) {
        self.nice.store(nice, Ordering::Relaxed);
    }
}

impl Body for Entity {
    fn poll(task: &Arc<Task<Entity>>, context: &mut Context<'_>) -> Poll<()> {
        let entity = task.body();
        let processor = cpu::this();
        let start = clock::now_ns();
        // ORDERING: Relaxed on all counters; the task's state word orders polls.
        processor.slice_start_ns.store(start, Ordering::Relaxed);
        if !processor.queue.lock().is_empty() {
            processor.limit_slice();
        }
        let poll = match &entity.kind {
            Kind::Thread(thread) => {
                let poll = processor.account.enter(thread, entity.nice());
                let result = thread.poll(context);
                processor.account.leave(thread, poll);
                result
            }
            Kind::Job(job) => job
                .try_lock()
                .expect("a task is polled by one processor at a time")
                .as_mut()
                .poll(context),
        };
        let ran = clock::now_ns().saturating_sub(start);
        entity.had_ns.fetch_add(ran, Ordering::Relaxed);
        entity
            .runtime
            .fetch_add(virtual_time(ran, entity.nice()), Ordering::Relaxed);
        poll
    }

    fn enqueue(task: TaskRef) {
        let processor = cpu::this();
        let mut queue = processor.queue.lock();
        let runtime = queue.placement(task.body().runtime.load(Ordering::Relaxed));
        task.body().runtime.store(runtime, Ordering::Relaxed);
        queue.push(runtime, task);
        let first = queue.len() == 1;
        drop(queue);
        if first {
            processor.limit_slice();
        }
    }
}

/// Tasks alive; each has its place in the run queue reserved.
static TASKS: AtomicUsize = AtomicUsize::new(0);

fn reserve() -> Result<(), Errno> {
    let tasks = TASKS.fetch_add(1, Ordering::Relaxed) + 1;
    cpu::this().queue.lock().reserve(tasks).map_err(|_| {
        TASKS.fetch_sub(1, Ordering::Relaxed);
        Errno::ENOMEM
    })
}

impl Drop for Entity {
    fn drop(&mut self) {
        TASKS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Starts a job of the kernel.
///
/// # Errors
/// ENOMEM.
pub fn spawn(job: impl Future<Output = ()> + Send + 'static) -> Result<TaskRef, Errno> {
    reserve()?;
    let task = Task::new(Entity::new(Kind::Job(SpinLock::new(Box::pin(job)))));
    task.wake();
    Ok(task)
}

/// Makes the task of a thread; it starts with its first wake-up.
///
/// # Errors
/// ENOMEM.
pub fn spawn_thread(thread: Arc<Thread>) -> Result<TaskRef, Errno> {
    reserve()?;
    Ok(Task::new(Entity::new(Kind::Thread(thread))))
}

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

static LONGEST_KERNEL_CYCLES: AtomicU64 = AtomicU64::new(0);
static LONGEST_KERNEL_CALL: AtomicU64 = AtomicU64::new(0);

/// The watchdog's ear: `cycles` went by in the kernel on behalf of the system
/// call `call` (or `u64::MAX` for a trap) without a look at the run queue.
#[inline]
pub(crate) fn note_kernel_time(cycles: u64, call: u64) {
    if cycles > LONGEST_KERNEL_CYCLES.load(Ordering::Relaxed) {
        LONGEST_KERNEL_CYCLES.store(cycles, Ordering::Relaxed);
        LONGEST_KERNEL_CALL.store(call, Ordering::Relaxed);
    }
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

/// Runs this processor's tasks for ever.
pub fn run() -> ! {
    let processor = cpu::this();
    loop {
        while let Some(event) = irq::poll_pending() {
            interrupt::dispatch(event);
        }
        let next = processor.queue.lock().pop();
        match next {
            Some((_, task)) => {
                task.run();
            }
            None => {
                let since = machine::cycles();
                let event = machine::wait_for_interrupt();
                processor.account.add_idle(since);
                interrupt::dispatch(event);
            }
        }
    }
}
