//! The tasks that wait for one processor, and the one that it runs.
//!
//! # Order
//! Urgent work of the kernel, then real-time priorities from 99 down, each
//! first in, first out; then the fair ones, by the virtual time they had. A
//! list for each place, and a bit for each list that holds something: putting
//! in and taking out cost the same whatever waits.
//!
//! # Fairness
//! A fair task carries the processor time it had, divided by its weight; the
//! one that had least runs. The lists of the fair ones form a calendar: list
//! `n % 64` holds those whose virtual time lies in the `n`th [`SPAN`], within a
//! window that begins a little before the minimum. Within a span the order is
//! first in, first out. Who lies beyond the window waits in its last list and
//! is moved on when that comes up. One that slept long is set to a little
//! before the minimum, so that it runs soon but cannot hoard.
//!
//! A new one has the virtual time of the one that runs, which is its maker as a
//! rule, and is put down for a slice later while others wait: its first turn comes
//! behind theirs. (One that began at the minimum would be before all who had more,
//! and so would the child that it makes at once, and that one's: those that do
//! nothing but fork had the processor to themselves.)
//!
//! # Real time does not eat everything
//! In each second real-time tasks get 0.95 seconds while fair ones wait.
//!
//! Pure policy: no clock, no other processor; the caller holds the lock.

use alloc::boxed::Box;
use alloc::collections::TryReserveError;
use alloc::sync::Arc;
use alloc::vec::Vec;

use ochre_sync::primitive::atomic::Ordering;

use crate::list::List;
use crate::node::{NOWHERE, TURN_NS};
use crate::policy::{Packed, Policy, Rank, virtual_time};
use crate::task::Task;

/// How long a fair task runs before another one gets its turn, in nanoseconds.
pub const SLICE_NS: u64 = 4_000_000;

/// What a woken task must be behind the running one to interrupt it.
const GRANULARITY_NS: u64 = 1_000_000;

/// How far before the minimum a sleeper may come back, in virtual time.
const SLEEPER_CREDIT: u64 = 3_000_000;

/// How far behind the minimum anybody may be, in virtual time.
const FARTHEST: u64 = 1 << 32;

/// The virtual time that one list of the calendar stands for, as a shift.
const SPAN: u32 = 20;

/// Lists of the calendar: the bits of a word.
const DAYS: u64 = 64;

/// Where the lists of those above the fair ones begin.
const ABOVE: usize = DAYS as usize;

/// Real-time priorities, and the urgent ones.
const LISTS: usize = ABOVE + 100;

const RT_WINDOW_NS: u64 = 1_000_000_000;
const RT_SHARE_NS: u64 = 950_000_000;

/// How a task comes into the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// From sleep.
    Woken,
    /// It gave way to somebody else before its time was up.
    Preempted,
    /// It lets others run.
    Yielded,
    /// It was waiting already, and something about it has changed.
    Changed {
        /// It goes before its equals.
        front: bool,
    },
}

/// What a processor runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Current {
    /// The task's address; a name, never followed.
    id: usize,
    packed: Packed,
    rank: Rank,
    since_ns: u64,
    /// Its virtual time at `since_ns`.
    runtime: u64,
    left_ns: u32,
    /// It must not run here any more.
    misplaced: bool,
    /// It was told to give way.
    preempted: bool,
    /// Somebody came who does not wait for the end of the slice.
    hurried: bool,
}

fn id<B>(task: &Arc<Task<B>>) -> usize {
    Arc::as_ptr(task).addr()
}

pub(crate) struct RunQueue<B> {
    lists: Option<Box<[List<B>; LISTS]>>,
    /// A bit for each list of the calendar that holds something.
    fair: u64,
    /// The same for the lists above.
    above: u128,
    /// The least virtual time that a fair task here has, or had when it was taken.
    minimum: u64,
    waiting: usize,
    /// The weights of those that wait.
    load: u64,
    current: Option<Current>,
    /// Since when real time is reckoned, and what it had since.
    window_ns: u64,
    rt_used_ns: u64,
}

// ORDERING: Relaxed on the fields of nodes; the caller holds the queue's lock.
impl<B> RunQueue<B> {
    pub(crate) const fn new() -> RunQueue<B> {
        RunQueue {
            lists: None,
            fair: 0,
            above: 0,
            minimum: 0,
            waiting: 0,
            load: 0,
            current: None,
            window_ns: 0,
            rt_used_ns: 0,
        }
    }

    /// Makes the lists; until then nothing may be put in.
    pub(crate) fn make_lists(&mut self) -> Result<(), TryReserveError> {
        let mut lists = Vec::new();
        lists.try_reserve_exact(LISTS)?;
        lists.resize_with(LISTS, List::new);
        self.lists = lists.into_boxed_slice().try_into().ok();
        Ok(())
    }

    #[inline]
    fn list(&mut self, index: usize) -> &mut List<B> {
        let lists = self.lists.as_mut();
        &mut lists.expect("a processor has its lists before anybody runs there")[index]
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    pub(crate) fn minimum(&self) -> u64 {
        self.minimum
    }

    pub(crate) fn has_real_time(&self) -> bool {
        self.above != 0
    }

    pub(crate) fn rank(&self) -> Rank {
        self.current.map_or(Rank::NOTHING, |current| current.rank)
    }

    /// The weights of those that wait and of the one that runs.
    pub(crate) fn load(&self) -> u64 {
        let running = self.current.map_or(0, |current| current.packed.weight());
        self.load.saturating_add(running)
    }

    pub(crate) fn current_is(&self, task: &Arc<Task<B>>) -> bool {
        self.current.is_some_and(|current| current.id == id(task))
    }

    /// The first span that the calendar's window covers.
    #[inline]
    fn first_day(&self) -> u64 {
        self.minimum.saturating_sub(SLEEPER_CREDIT) >> SPAN
    }

    /// The first span with somebody in it.
    #[inline]
    fn next_day(&self) -> Option<u64> {
        if self.fair == 0 {
            return None;
        }
        let first = self.first_day();
        let turned = self.fair.rotate_right((first % DAYS) as u32);
        Some(first + u64::from(turned.trailing_zeros()))
    }

    /// The virtual time at which one comes in that had `runtime`.
    fn placement(&self, runtime: u64) -> u64 {
        let earliest = self.minimum.saturating_sub(SLEEPER_CREDIT);
        let latest = self.minimum.saturating_add(FARTHEST);
        runtime.clamp(earliest, latest)
    }

    /// Has the minimum follow the one that runs while nobody else is there.
    fn follow_current(&mut self, now_ns: u64) {
        if self.fair == 0
            && let Some(runtime) = self.current_runtime(now_ns)
        {
            self.minimum = self.minimum.max(runtime);
        }
    }

    /// The virtual time of the one that runs, if it is a fair one.
    fn current_runtime(&self, now_ns: u64) -> Option<u64> {
        let current = self.current.filter(|current| current.rank.is_fair())?;
        let ran = now_ns.saturating_sub(current.since_ns);
        let ran = virtual_time(ran, current.packed.weight());
        Some(current.runtime.saturating_add(ran))
    }

    /// Puts a task in; whether the one that runs should give way at once.
    pub(crate) fn push(&mut self, task: Arc<Task<B>>, how: How, now_ns: u64) -> bool {
        let packed = task.node.packed();
        let rank = packed.rank();
        self.count(&task, packed);
        if rank.is_fair() {
            let runtime = self.push_fair(task, how, now_ns);
            return how == How::Woken && self.is_overtaken(packed, runtime, now_ns);
        }
        let index = rank.index();
        self.above |= 1 << index;
        task.node.set_list((ABOVE + index) as u8);
        let mut front = matches!(how, How::Preempted | How::Changed { front: true });
        if packed.takes_turns() && task.node.left_ns.load(Ordering::Relaxed) == 0 {
            task.node.left_ns.store(TURN_NS, Ordering::Relaxed);
            front = false;
        }
        let list = self.list(ABOVE + index);
        if front {
            list.push_front(task);
        } else {
            list.push_back(task);
        }
        rank > self.rank()
    }

    /// Counts one among those that wait.
    #[inline]
    fn count(&mut self, task: &Arc<Task<B>>, packed: Packed) {
        self.waiting += 1;
        let weight = packed.weight();
        self.load += weight;
        task.node.weight.store(weight as u32, Ordering::Relaxed);
    }

    /// Sets the virtual time at which a fair one comes in that was here before.
    #[inline]
    fn place(&self, task: &Arc<Task<B>>) -> u64 {
        let runtime = self.placement(task.node.runtime.load(Ordering::Relaxed));
        task.node.runtime.store(runtime, Ordering::Relaxed);
        runtime
    }

    /// Sets the virtual time at which a new fair one comes in, and says for which
    /// span it is put down.
    fn place_new(&self, task: &Arc<Task<B>>, now_ns: u64) -> (u64, u64) {
        let maker = self.current_runtime(now_ns).unwrap_or(0);
        let runtime = self.minimum.max(maker);
        task.node.runtime.store(runtime, Ordering::Relaxed);
        let slice = virtual_time(SLICE_NS, task.node.packed().weight());
        let behind = if self.fair == 0 { 0 } else { slice >> SPAN };
        (runtime, (runtime >> SPAN).saturating_add(behind))
    }

    /// Puts a fair one in; its virtual time.
    fn push_fair(&mut self, task: Arc<Task<B>>, how: How, now_ns: u64) -> u64 {
        self.follow_current(now_ns);
        if task.node.place().is_new() {
            let (runtime, day) = self.place_new(&task, now_ns);
            self.file(task, day);
            return runtime;
        }
        let runtime = self.place(&task);
        let mut day = runtime >> SPAN;
        if how == How::Yielded {
            // Behind those that would be next.
            day = day.max(self.next_day().unwrap_or(0));
        }
        self.file(task, day);
        runtime
    }

    /// Puts a task on the calendar.
    fn file(&mut self, task: Arc<Task<B>>, day: u64) {
        let first = self.first_day();
        let slot = day.clamp(first, first + (DAYS - 1)) % DAYS;
        self.fair |= 1 << slot;
        task.node.set_list(slot as u8);
        self.list(slot as usize).push_back(task);
    }

    /// Whether one that came with `runtime` should not wait for the end of the
    /// slice.
    fn is_overtaken(&mut self, packed: Packed, runtime: u64, now_ns: u64) -> bool {
        let Some(ours) = self.current_runtime(now_ns) else {
            return false;
        };
        let runs_idle = |packed: Packed| packed.policy() == Policy::Idle;
        let current = self.current.as_mut();
        let Some(current) = current else { return false };
        let hurried = match packed.policy() {
            _ if runs_idle(current.packed) && !runs_idle(packed) => true,
            Policy::Batch | Policy::Idle => false,
            _ => ours > runtime.saturating_add(GRANULARITY_NS),
        };
        current.hurried |= hurried;
        hurried
    }

    /// Takes the next to run, which the processor then runs.
    pub(crate) fn pop(&mut self, now_ns: u64) -> Option<Arc<Task<B>>> {
        self.count_real_time(now_ns);
        let task = if self.above != 0 && !self.must_let_fair_run() {
            let index = 127 - self.above.leading_zeros();
            self.take_head(ABOVE + index as usize)
        } else {
            self.pop_fair()
        };
        match &task {
            Some(task) => self.set_current(task, now_ns),
            None => self.current = None,
        }
        task
    }

    /// Puts in the one that ran and takes the next, which may be the same.
    pub(crate) fn exchange(
        &mut self,
        task: Arc<Task<B>>,
        how: How,
        now_ns: u64,
    ) -> Option<Arc<Task<B>>> {
        let packed = task.node.packed();
        // A fair one that lets others run comes behind the next fair one, so that
        // one can be taken out first; between two, no list has more than one then.
        if how == How::Yielded
            && packed.rank().is_fair()
            && self.above == 0
            && let Some(day) = self.next_day()
        {
            let runtime = self.place(&task);
            let next = self.pop(now_ns);
            self.count(&task, packed);
            self.file(task, day.max(runtime >> SPAN));
            return next;
        }
        self.push(task, how, now_ns);
        self.pop(now_ns)
    }

    /// Makes `task`, which is in no queue, the one that runs.
    pub(crate) fn set_current(&mut self, task: &Arc<Task<B>>, now_ns: u64) {
        let packed = task.node.packed();
        self.current = Some(Current {
            id: id(task),
            packed,
            rank: packed.rank(),
            since_ns: now_ns,
            runtime: task.node.runtime.load(Ordering::Relaxed),
            left_ns: task.node.left_ns.load(Ordering::Relaxed),
            misplaced: false,
            preempted: false,
            hurried: false,
        });
    }

    /// Nothing runs any more.
    pub(crate) fn clear_current(&mut self) {
        self.current = None;
    }

    fn pop_fair(&mut self) -> Option<Arc<Task<B>>> {
        loop {
            let day = self.next_day()?;
            let task = self.take_head((day % DAYS) as usize)?;
            let runtime = task.node.runtime.load(Ordering::Relaxed);
            if runtime >> SPAN <= day {
                self.minimum = self.minimum.max(runtime);
                return Some(task);
            }
            // It lay beyond the window. All lie there, so the window moves on.
            self.minimum = self.minimum.max(day << SPAN);
            self.waiting += 1;
            self.load += u64::from(task.node.weight.load(Ordering::Relaxed));
            self.file(task, runtime >> SPAN);
        }
    }

    fn take_head(&mut self, index: usize) -> Option<Arc<Task<B>>> {
        let list = self.list(index);
        let task = list.pop_front()?;
        let is_empty = list.is_empty();
        self.taken(&task, index, is_empty);
        Some(task)
    }

    /// Takes a task that is in this queue out of it.
    pub(crate) fn remove(&mut self, task: &Arc<Task<B>>) {
        let index = usize::from(task.node.place().list);
        let list = self.list(index);
        list.remove(task);
        let is_empty = list.is_empty();
        self.taken(task, index, is_empty);
    }

    #[inline]
    fn taken(&mut self, task: &Arc<Task<B>>, index: usize, is_empty: bool) {
        if is_empty {
            match index.checked_sub(ABOVE) {
                None => self.fair &= !(1 << index),
                Some(above) => self.above &= !(1 << above),
            }
        }
        task.node.set_list(NOWHERE);
        self.waiting -= 1;
        self.load -= u64::from(task.node.weight.load(Ordering::Relaxed));
    }

    /// Takes one that `wanted` approves, the next to run first, looking at no
    /// more than `looks`.
    pub(crate) fn steal(
        &mut self,
        looks: usize,
        above_only: bool,
        wanted: impl Fn(&Arc<Task<B>>) -> bool,
    ) -> Option<Arc<Task<B>>> {
        let mut above = self.above;
        let mut fair = if above_only { 0 } else { self.fair };
        let first = self.first_day();
        let mut lists_left = looks;
        while lists_left > 0 && (above != 0 || fair != 0) {
            lists_left -= 1;
            let index = if above != 0 {
                let index = 127 - above.leading_zeros();
                above &= !(1 << index);
                ABOVE + index as usize
            } else {
                let turned = fair.rotate_right((first % DAYS) as u32);
                let slot = (first + u64::from(turned.trailing_zeros())) % DAYS;
                fair &= !(1 << slot);
                slot as usize
            };
            if let Some(task) = self.list(index).find(looks, &wanted) {
                self.remove(&task);
                return Some(task);
            }
        }
        None
    }

    /// The best rank that waits.
    fn best(&self) -> Rank {
        if self.above != 0 {
            Rank::from_index(127 - self.above.leading_zeros())
        } else if self.fair != 0 {
            Rank::FAIR
        } else {
            Rank::NOTHING
        }
    }

    /// The rank of the next, if it is above the fair ones.
    pub(crate) fn best_above(&self) -> Option<Rank> {
        Some(self.best()).filter(|rank| *rank > Rank::FAIR)
    }

    /// When the one that runs has to give way to one that waits; `u64::MAX` if
    /// it need not.
    pub(crate) fn slice_end(&self) -> u64 {
        let Some(current) = &self.current else {
            return u64::MAX;
        };
        let best = self.best();
        if best == Rank::NOTHING {
            u64::MAX
        } else if current.rank.is_fair() {
            current.since_ns.saturating_add(SLICE_NS)
        } else if best == current.rank && current.packed.takes_turns() {
            current.since_ns.saturating_add(u64::from(current.left_ns))
        } else if self.fair != 0 && current.rank < Rank::URGENT {
            let left = RT_SHARE_NS.saturating_sub(self.rt_used_ns);
            current.since_ns.saturating_add(left)
        } else {
            u64::MAX
        }
    }

    /// Whether the one that runs has to give way now.
    pub(crate) fn must_give_way(&mut self, now_ns: u64) -> bool {
        let slice_end = self.slice_end();
        let best = self.best();
        let fair_now = self.must_let_fair_run();
        let Some(current) = self.current.as_mut() else {
            return false;
        };
        current.preempted |= current.misplaced
            || best > current.rank && !(fair_now && current.rank.is_fair())
            || best != Rank::NOTHING && (current.hurried || now_ns >= slice_end);
        current.preempted
    }

    /// Whether the one that runs was told to give way.
    pub(crate) fn was_preempted(&self) -> bool {
        self.current.is_some_and(|current| current.preempted)
    }

    /// The task that runs is another kind of task from now on; whether it has
    /// to give way.
    pub(crate) fn change_current(&mut self, packed: Packed) -> bool {
        let best = self.best();
        let Some(current) = self.current.as_mut() else {
            return false;
        };
        current.packed = packed;
        current.rank = packed.rank();
        best > current.rank
    }

    /// The task that runs must go elsewhere.
    pub(crate) fn expel_current(&mut self) {
        if let Some(current) = self.current.as_mut() {
            current.misplaced = true;
        }
    }

    /// Counts what the last to run had, if it was a real-time task.
    #[inline]
    fn count_real_time(&mut self, now_ns: u64) {
        if let Some(current) = &self.current
            && !current.rank.is_fair()
            && current.rank < Rank::URGENT
        {
            let ran = now_ns.saturating_sub(current.since_ns);
            self.rt_used_ns = self.rt_used_ns.saturating_add(ran);
        }
        if self.rt_used_ns != 0 && now_ns.saturating_sub(self.window_ns) >= RT_WINDOW_NS {
            self.window_ns = now_ns;
            self.rt_used_ns = 0;
        }
    }

    /// Whether real time had its share and fair ones wait.
    fn must_let_fair_run(&self) -> bool {
        self.fair != 0 && self.rt_used_ns >= RT_SHARE_NS && self.best() < Rank::URGENT
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
