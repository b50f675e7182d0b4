//! The run queues of all processors: where a woken task goes, who takes work
//! from whom, and who has to be told.
//!
//! # Placement
//! A woken fair task goes to the processor it ran on if that is idle, else to
//! an idle one, else to where it was. A new one goes where the load is least. A
//! real-time task that cannot run at once where it was goes to the processor
//! that does the least important work. A task that gives way at the end of its
//! slice moves to a processor with less to do, so that loads even out although
//! busy processors never look at each other.
//!
//! # Who tells whom
//! Whoever puts a task in a queue [kicks](Machine::kick) the processor if it
//! sleeps, or if what it runs has to give way, or if it has to set its alarm
//! (it ran alone until then). A processor between two tasks is not kicked: it
//! is about to look.
//!
//! # No lost wake-up
//!
//! ```text
//! going to sleep:                      putting a task in:
//!   set own bit in `sleepers`            push, under the queue's lock
//!   full fence                           full fence
//!   look at all queues                   look at `sleepers`
//!   sleep                                clear the bit and kick
//! ```
//!
//! One of the two sees what the other wrote. A kick that comes before the sleep
//! ends it ([`Machine::kick`]). With one processor there is nobody to tell, and
//! none of this is done.
//!
//! # Where a task is
//! `node.place` names the queue whose lock guards it, and the list there. The
//! queue changes with the lock of the *new* one held, while the task is in no
//! list; so one who took the lock that the place names looks again. One who
//! changes what a task is writes, fences, and looks at the place once more; one
//! who moves it writes the place, fences, and then reads what it is. So a change
//! is never overlooked by both.
//!
//! # Lock protocol
//! A queue's lock is held for a few steps, never two of them at once, and
//! nothing is woken or freed under it.

use alloc::collections::TryReserveError;
use alloc::sync::Arc;

use ochre_sync::primitive::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering, fence};
use ochre_sync::{SpinLock, maybe_const};

use crate::node::Place;
use crate::policy::{Attributes, Packed, Rank};
use crate::run_queue::{How, RunQueue};
use crate::task::{Body, Task};

/// What the scheduler needs of the machine.
pub trait Machine: Sync {
    /// Nanoseconds; the same count on all processors, or nearly so.
    fn now_ns(&self) -> u64;

    /// Has a processor look again: ends its sleep, or the sleep it is about to
    /// begin, or what it does for a program, after which it asks
    /// [`Processors::must_give_way`].
    fn kick(&self, cpu: usize);
}

/// A task to run.
#[derive(Debug)]
pub struct Next<B> {
    /// The task; the caller polls it.
    pub task: Arc<Task<B>>,
    /// When it has to give way to one that waits already; `u64::MAX` if never.
    pub slice_end_ns: u64,
}

/// Tasks that one who looks for work looks at in a queue, at most.
const LOOKS: usize = 32;

/// One processor's queue, and what others may know without its lock: hints,
/// except where the module says otherwise.
#[repr(align(128))]
struct Processor<B> {
    queue: SpinLock<RunQueue<B>>,
    waiting: AtomicUsize,
    load: AtomicU64,
    minimum: AtomicU64,
    /// The rank of what it runs. Written with the lock held when a task
    /// begins, so who holds the lock knows whether one runs or is about to.
    rank: AtomicU8,
}

/// All processors, numbered from 0; `N` at most 64.
pub struct Processors<B, M, const N: usize> {
    machine: M,
    each: [Processor<B>; N],
    /// A bit for each that takes part.
    online: AtomicU64,
    /// A bit for each that sleeps or is about to.
    sleepers: AtomicU64,
    /// A bit for each in whose queue tasks above the fair ones wait.
    pressed: AtomicU64,
}

impl<B> Processor<B> {
    maybe_const! {
        fn new() -> Processor<B> {
            Processor {
                queue: SpinLock::new(RunQueue::new()),
                waiting: AtomicUsize::new(0),
                load: AtomicU64::new(0),
                minimum: AtomicU64::new(0),
                rank: AtomicU8::new(Rank::NOTHING.raw()),
            }
        }
    }

    fn rank(&self) -> Rank {
        Rank::from_raw(self.rank.load(Ordering::Relaxed))
    }

    /// Tells others what the queue is like; its lock is held.
    #[inline]
    fn publish(&self, queue: &RunQueue<B>) {
        // ORDERING: Relaxed; a fence follows where somebody relies on it.
        self.waiting.store(queue.waiting(), Ordering::Relaxed);
        self.load.store(queue.load(), Ordering::Relaxed);
        self.minimum.store(queue.minimum(), Ordering::Relaxed);
    }
}

fn bit(cpu: usize) -> u64 {
    1 << (cpu & 63)
}

/// The processors of a mask, from `first` upwards and around.
fn around(mask: u64, first: usize) -> impl Iterator<Item = usize> {
    let first = first & 63;
    let mut left = mask.rotate_right(first as u32);
    core::iter::from_fn(move || {
        let at = left.trailing_zeros();
        if at == u64::BITS {
            return None;
        }
        left &= left - 1;
        Some((at as usize + first) & 63)
    })
}

// ORDERING: Relaxed on every load and store here, unless it says otherwise:
// hints, or guarded by a queue's lock, or ordered by a fence in the same place.
impl<B: Body, M: Machine, const N: usize> Processors<B, M, N> {
    /// No processor takes part yet.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new(machine: M) -> Processors<B, M, N> {
        assert!(N <= 64, "a bit for each processor");
        Processors {
            machine,
            each: [const { Processor::new() }; N],
            online: AtomicU64::new(0),
            sleepers: AtomicU64::new(0),
            pressed: AtomicU64::new(0),
        }
    }

    /// No processor takes part yet.
    #[cfg(loom)]
    #[must_use]
    pub fn new(machine: M) -> Processors<B, M, N> {
        Processors {
            machine,
            each: core::array::from_fn(|_| Processor::new()),
            online: AtomicU64::new(0),
            sleepers: AtomicU64::new(0),
            pressed: AtomicU64::new(0),
        }
    }

    /// Has a processor take part from now on: tasks may be placed there.
    ///
    /// # Errors
    /// When memory is short.
    pub fn bring_up(&self, cpu: usize) -> Result<(), TryReserveError> {
        self.of(cpu).queue.lock().make_lists()?;
        // ORDERING: Relaxed; who sees the bit and pushes takes the lock under
        // which the lists were made.
        self.online.fetch_or(bit(cpu), Ordering::Relaxed);
        Ok(())
    }

    #[inline]
    fn of(&self, cpu: usize) -> &Processor<B> {
        &self.each[cpu]
    }

    #[inline]
    fn is_alone(&self) -> bool {
        self.online.load(Ordering::Relaxed).is_power_of_two()
    }

    /// The processors that take part, a bit each.
    #[must_use]
    pub fn online(&self) -> u64 {
        self.online.load(Ordering::Relaxed)
    }

    /// Tasks that wait for a processor.
    #[must_use]
    #[inline]
    pub fn waiting(&self, cpu: usize) -> usize {
        self.of(cpu).waiting.load(Ordering::Relaxed)
    }

    /// Whether a processor runs a task.
    #[must_use]
    pub fn is_busy(&self, cpu: usize) -> bool {
        self.of(cpu).rank() != Rank::NOTHING
    }

    /// Queues a task that was woken. If the processor `here` has to set its
    /// alarm, says for when.
    #[inline]
    pub fn wake(&self, task: Arc<Task<B>>, here: usize) -> Option<u64> {
        let target = if self.is_alone() {
            here
        } else {
            self.place(&task, here)
        };
        self.put(task, target, How::Woken, here)
    }

    /// Queues a task whose poll has just ended on `here` and that goes on; the
    /// next task for `here`, which may be the same.
    #[inline]
    pub fn requeue(&self, task: Arc<Task<B>>, here: usize, now_ns: u64) -> Option<Next<B>> {
        let is_alone = self.is_alone();
        let processor = self.of(here);
        let mut queue = processor.queue.lock();
        let was_preempted = queue.was_preempted();
        let how = if was_preempted {
            How::Preempted
        } else {
            How::Yielded
        };
        // With others it stays if it would in any case: then one lock does.
        let stays = is_alone
            || !was_preempted
                && task.node.may_run_on(here)
                && self.pressed.load(Ordering::Relaxed) & !bit(here) == 0;
        if !stays {
            drop(queue);
            return self.requeue_anywhere(task, how, here, now_ns);
        }
        let allowed = task.node.allowed.load(Ordering::Relaxed);
        let next = queue.exchange(task, how, now_ns);
        self.begin(here, &queue);
        let is_one_left = queue.waiting() > 0;
        let slice_end_ns = queue.slice_end();
        drop(queue);
        if !is_alone && is_one_left {
            self.tell(here, allowed, here);
        }
        next.map(|task| Next { task, slice_end_ns })
    }

    /// As [`requeue`](Processors::requeue), where the task may go elsewhere.
    #[cold]
    fn requeue_anywhere(
        &self,
        task: Arc<Task<B>>,
        how: How,
        here: usize,
        now_ns: u64,
    ) -> Option<Next<B>> {
        let target = self.place_again(&task, here, how == How::Preempted);
        // Nothing runs here now, so there is no slice whose end would matter.
        let _ = self.put(task, target, how, here);
        self.next(here, now_ns)
    }

    /// Says what `here` runs from now on; its lock is held.
    #[inline]
    fn begin(&self, here: usize, queue: &RunQueue<B>) {
        let processor = self.of(here);
        processor.rank.store(queue.rank().raw(), Ordering::Relaxed);
        processor.publish(queue);
        self.mark_pressure(here, queue);
    }

    /// A poll has ended on `here`.
    #[inline]
    pub fn poll_ended(&self, here: usize) {
        self.of(here)
            .rank
            .store(Rank::NOTHING.raw(), Ordering::Relaxed);
    }

    /// The next task for `here`: of its own queue, or taken from another's.
    #[inline]
    pub fn next(&self, here: usize, now_ns: u64) -> Option<Next<B>> {
        let is_alone = self.is_alone();
        if !is_alone && let Some(next) = self.pull(here, now_ns) {
            return Some(next);
        }
        let processor = self.of(here);
        let mut queue = processor.queue.lock();
        let task = queue.pop(now_ns);
        self.begin(here, &queue);
        let slice_end_ns = queue.slice_end();
        drop(queue);
        match task {
            Some(task) => Some(Next { task, slice_end_ns }),
            None if is_alone => None,
            None => self.take_from_others(here, now_ns, false),
        }
    }

    /// Declares that `here` goes to sleep: the caller sleeps if there is
    /// nothing, and says [`awake`](Processors::awake) afterwards.
    pub fn next_or_sleep(&self, here: usize, now_ns: u64) -> Option<Next<B>> {
        if self.is_alone() {
            return self.next(here, now_ns);
        }
        self.sleepers.fetch_or(bit(here), Ordering::Relaxed);
        // ORDERING: SeqCst pairs with the fence in `tell`: either the look below
        // finds a task, or whoever put it in finds the bit.
        fence(Ordering::SeqCst);
        let next = self.next(here, now_ns);
        if next.is_some() {
            self.awake(here);
        }
        next
    }

    /// `here` does not sleep any more.
    #[inline]
    pub fn awake(&self, here: usize) {
        if self.sleepers.load(Ordering::Relaxed) & bit(here) != 0 {
            self.sleepers.fetch_and(!bit(here), Ordering::Relaxed);
        }
    }

    /// Whether what runs on `here` has to give way to one that waits. It is
    /// remembered: the task that is requeued next was interrupted.
    #[must_use]
    pub fn must_give_way(&self, here: usize, now_ns: u64) -> bool {
        self.of(here).queue.lock().must_give_way(now_ns)
    }

    /// When what runs on `here` has to give way to one that waits; `u64::MAX`
    /// if it need not.
    #[must_use]
    pub fn slice_end(&self, here: usize) -> u64 {
        self.of(here).queue.lock().slice_end()
    }

    /// Makes a task a different kind of task.
    pub fn set_attributes(&self, task: &Arc<Task<B>>, attributes: Attributes, here: usize) {
        self.change(task, here, |packed| Packed::new(attributes, packed.boost()));
    }

    /// Has a task run with at least a real-time priority, for whoever waits for
    /// something that it holds; `None` ends that.
    pub fn boost(&self, task: &Arc<Task<B>>, priority: Option<u8>, here: usize) {
        let boost = priority.unwrap_or(0);
        self.change(task, here, |packed| Packed::new(packed.attributes(), boost));
    }

    /// Has a task run on the processors of `mask` only, of which one at least
    /// takes part.
    pub fn allow(&self, task: &Arc<Task<B>>, mask: u64, here: usize) {
        task.node.allowed.store(mask, Ordering::Relaxed);
        self.with_queue_of(task, |cpu, is_queued, queue| {
            if task.node.may_run_on(cpu) {
                return Then::Nothing;
            }
            if is_queued {
                queue.remove(task);
                return Then::Put(false);
            }
            if queue.current_is(task) {
                queue.expel_current();
                return Then::Kick;
            }
            Then::Nothing
        })
        .carry_out(self, task, here);
    }

    fn change(&self, task: &Arc<Task<B>>, here: usize, new: impl Fn(Packed) -> Packed) {
        self.with_queue_of(task, |_, is_queued, queue| {
            let mut before = task.node.packed();
            // Only setters write, but two may be at it after a move.
            let after = loop {
                let after = new(before);
                let swapped = task.node.packed.compare_exchange(
                    before.raw(),
                    after.raw(),
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                );
                match swapped {
                    Ok(_) => break after,
                    Err(now) => before = Packed::from_raw(now),
                }
            };
            if is_queued {
                let is_same = before.rank() == after.rank() && !after.rank().is_fair();
                if is_same {
                    return Then::Nothing;
                }
                queue.remove(task);
                return Then::Put(after.rank() < before.rank());
            }
            if queue.current_is(task) && queue.change_current(after) {
                return Then::Kick;
            }
            Then::Nothing
        })
        .carry_out(self, task, here);
    }

    /// Runs `f` with the queue that guards `task`, and whether the task is in it;
    /// again if the task has moved meanwhile without seeing what `f` wrote.
    fn with_queue_of(
        &self,
        task: &Arc<Task<B>>,
        f: impl Fn(usize, bool, &mut RunQueue<B>) -> Then,
    ) -> (usize, Then) {
        loop {
            let cpu = task.node.cpu();
            let processor = self.of(cpu);
            let mut queue = processor.queue.lock();
            let place = task.node.place();
            if usize::from(place.cpu) != cpu {
                continue;
            }
            let then = f(cpu, place.is_queued(), &mut queue);
            processor.publish(&queue);
            if processor.rank() != Rank::NOTHING {
                processor.rank.store(queue.rank().raw(), Ordering::Relaxed);
            }
            self.mark_pressure(cpu, &queue);
            drop(queue);
            // ORDERING: SeqCst pairs with the fence in `settle`.
            fence(Ordering::SeqCst);
            if then != Then::Nothing || task.node.cpu() == cpu {
                return (cpu, then);
            }
        }
    }

    /// Sets or clears a processor's bit in `pressed`; its lock is held.
    #[inline]
    fn mark_pressure(&self, cpu: usize, queue: &RunQueue<B>) {
        let is_marked = self.pressed.load(Ordering::Relaxed) & bit(cpu) != 0;
        match (queue.has_real_time(), is_marked) {
            (true, false) => {
                self.pressed.fetch_or(bit(cpu), Ordering::Relaxed);
            }
            (false, true) => {
                self.pressed.fetch_and(!bit(cpu), Ordering::Relaxed);
            }
            _ => {}
        }
    }

    /// Makes the queue of `cpu`, whose lock is held, the one that guards a task
    /// that is in none; whether the task may run there.
    #[inline]
    fn settle(&self, task: &Arc<Task<B>>, cpu: usize, queue: &RunQueue<B>) -> bool {
        let before = task.node.place();
        if usize::from(before.cpu) == cpu {
            return task.node.may_run_on(cpu);
        }
        if !before.is_new() {
            // What it had more or less than others there, it has here.
            let there = self
                .of(usize::from(before.cpu))
                .minimum
                .load(Ordering::Relaxed);
            let runtime = task.node.runtime.load(Ordering::Relaxed);
            let runtime = if runtime >= there {
                queue.minimum().saturating_add(runtime - there)
            } else {
                queue.minimum().saturating_sub(there - runtime)
            };
            task.node.runtime.store(runtime, Ordering::Relaxed);
        }
        task.node.set_place(Place {
            cpu: cpu as u8,
            ..before
        });
        // ORDERING: SeqCst pairs with the fence in `with_queue_of`.
        fence(Ordering::SeqCst);
        task.node.may_run_on(cpu)
    }

    /// Puts a task that is in no queue into that of `target`, or of one where it
    /// may run if it must not run there any more.
    #[inline]
    fn put(&self, task: Arc<Task<B>>, target: usize, how: How, here: usize) -> Option<u64> {
        let mut target = target;
        loop {
            let processor = self.of(target);
            let mut queue = processor.queue.lock();
            if !self.settle(&task, target, &queue) {
                drop(queue);
                target = self.first_allowed(&task, here);
                continue;
            }
            let allowed = task.node.allowed.load(Ordering::Relaxed);
            let runs = processor.rank() != Rank::NOTHING;
            let end_before = if runs { queue.slice_end() } else { 0 };
            let overtakes = queue.push(task, how, self.machine.now_ns());
            processor.publish(&queue);
            if queue.has_real_time() {
                self.mark_pressure(target, &queue);
            }
            let end = if runs { queue.slice_end() } else { u64::MAX };
            drop(queue);
            if !self.is_alone() && self.tell(target, allowed, here) {
                return None;
            }
            if runs && overtakes {
                self.machine.kick(target);
            } else if end < end_before {
                if target == here {
                    return Some(end);
                }
                self.machine.kick(target);
            }
            return None;
        }
    }

    /// Wakes `target` if it sleeps, else another sleeper that may take the task
    /// from it; whether it was `target`.
    fn tell(&self, target: usize, allowed: u64, here: usize) -> bool {
        // ORDERING: SeqCst pairs with the fence in `next_or_sleep`.
        fence(Ordering::SeqCst);
        let sleepers = self.sleepers.load(Ordering::Relaxed) & !bit(here);
        if sleepers & bit(target) != 0 {
            self.rouse(target);
            return true;
        }
        if let Some(other) = around(sleepers & allowed, target).next() {
            self.rouse(other);
        }
        false
    }

    fn rouse(&self, cpu: usize) {
        let before = self.sleepers.fetch_and(!bit(cpu), Ordering::Relaxed);
        if before & bit(cpu) != 0 {
            self.machine.kick(cpu);
        }
    }

    fn first_allowed(&self, task: &Arc<Task<B>>, here: usize) -> usize {
        let allowed = task.allowed() & self.online.load(Ordering::Relaxed);
        around(allowed, here).next().unwrap_or(here)
    }

    /// Where a woken task goes.
    fn place(&self, task: &Arc<Task<B>>, here: usize) -> usize {
        let allowed = task.allowed() & self.online.load(Ordering::Relaxed);
        let place = task.node.place();
        let is_new = place.is_new();
        let before = if is_new { here } else { usize::from(place.cpu) };
        let sleepers = self.sleepers.load(Ordering::Relaxed) & allowed;
        if sleepers & bit(before) != 0 {
            return before;
        }
        if let Some(sleeper) = around(sleepers, before).next() {
            return sleeper;
        }
        let rank = task.node.packed().rank();
        if !rank.is_fair() {
            if allowed & bit(before) != 0 && self.of(before).rank() < rank {
                return before;
            }
            return self
                .least_important(allowed, before, rank)
                .unwrap_or(before);
        }
        if is_new || allowed & bit(before) == 0 {
            return self.least_loaded(allowed, before).unwrap_or(here);
        }
        before
    }

    /// Where a task goes whose poll has ended on `here` and that wants to go on.
    fn place_again(&self, task: &Arc<Task<B>>, here: usize, was_preempted: bool) -> usize {
        let allowed = task.allowed() & self.online.load(Ordering::Relaxed);
        if allowed & bit(here) == 0 {
            return self.least_loaded(allowed, here).unwrap_or(here);
        }
        if !was_preempted || allowed == bit(here) {
            return here;
        }
        let packed = task.node.packed();
        if !packed.rank().is_fair() {
            let best = self.of(here).queue.lock().best_above();
            if best.is_none_or(|best| best <= packed.rank()) {
                return here;
            }
            return self
                .least_important(allowed & !bit(here), here, packed.rank())
                .unwrap_or(here);
        }
        // Its weight is not among the load here now, but in the other it would be.
        let own_load = self.of(here).queue.lock().load();
        let Some(other) = self.least_loaded(allowed & !bit(here), here) else {
            return here;
        };
        let other_load = self.of(other).load.load(Ordering::Relaxed);
        if other_load.saturating_add(packed.weight()) < own_load {
            other
        } else {
            here
        }
    }

    /// The processor of `mask` that does the least important work, if that is
    /// less important than `rank`.
    fn least_important(&self, mask: u64, first: usize, rank: Rank) -> Option<usize> {
        around(mask, first)
            .map(|cpu| (self.of(cpu).rank(), cpu))
            .min_by_key(|(rank, _)| *rank)
            .filter(|(lowest, _)| *lowest < rank)
            .map(|(_, cpu)| cpu)
    }

    fn least_loaded(&self, mask: u64, first: usize) -> Option<usize> {
        around(mask, first).min_by_key(|cpu| self.of(*cpu).load.load(Ordering::Relaxed))
    }

    /// Takes a real-time task that waits elsewhere, if it is more urgent than
    /// all that waits here.
    #[inline]
    fn pull(&self, here: usize, now_ns: u64) -> Option<Next<B>> {
        let pressed = self.pressed.load(Ordering::Relaxed);
        if pressed & !bit(here) == 0 || pressed & bit(here) != 0 {
            return None;
        }
        self.take_from_others(here, now_ns, true)
    }

    /// Takes a task from the queue of another processor, the longest first.
    fn take_from_others(&self, here: usize, now_ns: u64, above_only: bool) -> Option<Next<B>> {
        let mask = if above_only {
            self.pressed.load(Ordering::Relaxed)
        } else {
            self.online.load(Ordering::Relaxed)
        };
        let mut left = mask & !bit(here);
        loop {
            let longest = around(left, here)
                .map(|cpu| (self.waiting(cpu), cpu))
                .filter(|(waiting, _)| *waiting > 0)
                .max_by_key(|(waiting, _)| *waiting);
            let (_, victim) = longest?;
            left &= !bit(victim);
            let processor = self.of(victim);
            let mut queue = processor.queue.lock();
            let task = queue.steal(LOOKS, above_only, |task| task.node.may_run_on(here));
            processor.publish(&queue);
            self.mark_pressure(victim, &queue);
            drop(queue);
            if let Some(task) = task
                && let Some(next) = self.adopt(task, here, now_ns)
            {
                return Some(next);
            }
        }
    }

    /// Makes a task that is in no queue the one that runs here.
    fn adopt(&self, task: Arc<Task<B>>, here: usize, now_ns: u64) -> Option<Next<B>> {
        let processor = self.of(here);
        let mut queue = processor.queue.lock();
        if !self.settle(&task, here, &queue) {
            queue.clear_current();
            drop(queue);
            let target = self.first_allowed(&task, here);
            let _ = self.put(task, target, How::Changed { front: true }, here);
            return None;
        }
        queue.set_current(&task, now_ns);
        processor.rank.store(queue.rank().raw(), Ordering::Relaxed);
        processor.publish(&queue);
        let slice_end_ns = queue.slice_end();
        drop(queue);
        Some(Next { task, slice_end_ns })
    }
}

/// What is left to do for a task when the lock is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Nothing,
    /// Its processor has to look again.
    Kick,
    /// It was taken out and has to be put in again; before its equals or not.
    Put(bool),
}

trait CarryOut<B, M, const N: usize> {
    fn carry_out(self, processors: &Processors<B, M, N>, task: &Arc<Task<B>>, here: usize);
}

impl<B: Body, M: Machine, const N: usize> CarryOut<B, M, N> for (usize, Then) {
    fn carry_out(self, processors: &Processors<B, M, N>, task: &Arc<Task<B>>, here: usize) {
        match self {
            (_, Then::Nothing) => {}
            (cpu, Then::Kick) => processors.machine.kick(cpu),
            (_, Then::Put(front)) => {
                let target = processors.place(task, here);
                let how = How::Changed { front };
                if let Some(_end) = processors.put(Arc::clone(task), target, how, here) {
                    processors.machine.kick(here);
                }
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests;

#[cfg(all(test, loom))]
mod models;
