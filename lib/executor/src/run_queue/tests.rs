//! The policy, on one queue, with a hand-driven clock.

use alloc::sync::Arc;

use super::{How, RT_SHARE_NS, RunQueue, SLICE_NS};
use crate::node::TURN_NS;
use crate::policy::{Attributes, Packed, Policy};
use crate::task::Task;
use crate::testing::{Dummy, dummies, dummy, name};

const MILLISECOND: u64 = 1_000_000;

fn queue() -> RunQueue<Dummy> {
    let mut queue = RunQueue::new();
    queue.make_lists().expect("a queue fits");
    queue
}

fn fair(name: u32, nice: i8) -> Arc<Task<Dummy>> {
    dummy(
        name,
        Attributes {
            nice,
            ..Attributes::default()
        },
    )
}

fn of_policy(name: u32, policy: Policy, priority: u8) -> Arc<Task<Dummy>> {
    dummy(
        name,
        Attributes {
            policy,
            priority,
            ..Attributes::default()
        },
    )
}

/// Runs tasks that never wait, each for a slice; how much each had, in
/// milliseconds.
fn shares<const N: usize>(tasks: [Arc<Task<Dummy>>; N], slices: u32) -> [u64; N] {
    let mut queue = queue();
    let mut had = [0; N];
    let mut now = 0;
    for task in tasks {
        queue.push(task, How::Woken, now);
    }
    for _ in 0..slices {
        let task = queue.pop(now).expect("somebody always wants to run");
        now += SLICE_NS;
        task.charge(SLICE_NS);
        had[name(&task) as usize] += SLICE_NS / MILLISECOND;
        assert!(queue.must_give_way(now));
        queue.push(task, How::Preempted, now);
    }
    had
}

#[test]
fn equals_share_equally() {
    let [a, b, c] = shares([fair(0, 0), fair(1, 0), fair(2, 0)], 3000);
    assert!(a.abs_diff(b) <= 4 && b.abs_diff(c) <= 4, "{a} {b} {c}");
}

#[test]
fn shares_follow_nice() {
    let [a, b] = shares([fair(0, 0), fair(1, 5)], 10_000);
    let ratio = a as f64 / b as f64;
    assert!((2.9..3.2).contains(&ratio), "{ratio}");
    let [a, b] = shares([fair(0, -20), fair(1, 19)], 400_000);
    let ratio = a as f64 / b as f64;
    assert!((4000.0..9000.0).contains(&ratio), "{ratio}");
}

#[test]
fn idle_ones_get_a_little() {
    let [a, b] = shares([fair(0, 0), of_policy(1, Policy::Idle, 0)], 100_000);
    let ratio = a as f64 / b as f64;
    assert!((300.0..380.0).contains(&ratio), "{ratio}");
}

#[test]
fn a_sleeper_cannot_hoard() {
    let mut queue = queue();
    let [worker, sleeper] = [fair(0, 0), fair(1, 0)];
    queue.push(Arc::clone(&sleeper), How::Woken, 0);
    assert!(queue.pop(0).is_some());
    queue.push(Arc::clone(&worker), How::Woken, 0);
    assert!(queue.pop(0).is_some());
    // The worker runs alone for a minute; nobody looks at the queue.
    let now = 60_000 * MILLISECOND;
    assert!(queue.push(sleeper, How::Woken, now), "it ran long enough");
    worker.charge(now);
    queue.push(worker, How::Preempted, now);
    let mut had = [0, 0];
    for _ in 0..100 {
        let task = queue.pop(now).expect("two are there");
        task.charge(SLICE_NS);
        had[name(&task) as usize] += 1;
        queue.push(task, How::Preempted, now);
    }
    assert!(had[0] >= 48, "{had:?}");
}

#[test]
fn one_far_beyond_the_window_comes_up_in_the_end() {
    let mut queue = queue();
    let late = fair(0, 19);
    queue.push(Arc::clone(&late), How::Woken, 0);
    assert!(queue.pop(0).is_some());
    // Years of virtual time.
    late.charge(1_000_000 * 1_000 * MILLISECOND);
    queue.push(late, How::Preempted, 0);
    assert_eq!(queue.waiting(), 1);
    assert_eq!(queue.pop(0).map(|task| name(&task)), Some(0));
    assert_eq!((queue.waiting(), queue.load), (0, 0));
}

#[test]
fn urgent_then_real_time_then_fair() {
    let mut queue = queue();
    let tasks = [
        fair(5, 0),
        of_policy(3, Policy::Fifo, 7),
        of_policy(4, Policy::RoundRobin, 1),
        of_policy(0, Policy::Urgent, 0),
        of_policy(2, Policy::RoundRobin, 98),
        of_policy(1, Policy::Fifo, 99),
    ];
    for task in tasks {
        queue.push(task, How::Woken, 0);
    }
    for expected in 0..6 {
        assert_eq!(queue.pop(0).map(|task| name(&task)), Some(expected));
    }
    assert!(queue.pop(0).is_none());
}

#[test]
fn a_higher_priority_interrupts_and_the_interrupted_is_next() {
    let mut queue = queue();
    let low = of_policy(0, Policy::Fifo, 5);
    queue.push(low, How::Woken, 0);
    let low = queue.pop(0).expect("one is there");
    assert!(!queue.push(of_policy(1, Policy::Fifo, 5), How::Woken, 0));
    assert_eq!(queue.slice_end(), u64::MAX);
    assert!(!queue.must_give_way(u64::MAX / 2));
    assert!(queue.push(of_policy(2, Policy::Fifo, 6), How::Woken, 0));
    assert!(queue.must_give_way(0));
    assert!(queue.was_preempted());
    queue.push(low, How::Preempted, 0);
    for expected in [2, 0, 1] {
        assert_eq!(queue.pop(0).map(|task| name(&task)), Some(expected));
    }
}

#[test]
fn equals_take_turns_if_they_are_to() {
    let mut queue = queue();
    for number in 0..2 {
        queue.push(of_policy(number, Policy::RoundRobin, 9), How::Woken, 0);
    }
    let first = queue.pop(0).expect("two are there");
    let turn = u64::from(TURN_NS);
    assert_eq!(queue.slice_end(), turn);
    // Interrupted in the middle of its turn, it keeps the rest of it.
    first.charge(turn / 2);
    queue.push(first, How::Preempted, turn / 2);
    let first = queue.pop(turn / 2).expect("two are there");
    assert_eq!(name(&first), 0);
    assert_eq!(queue.slice_end(), turn);
    assert!(!queue.must_give_way(turn - 1));
    assert!(queue.must_give_way(turn));
    first.charge(turn / 2);
    queue.push(first, How::Preempted, turn);
    assert_eq!(queue.pop(turn).map(|task| name(&task)), Some(1));
}

#[test]
fn real_time_leaves_a_twentieth() {
    let mut queue = queue();
    queue.push(of_policy(0, Policy::Fifo, 50), How::Woken, 0);
    queue.push(fair(1, 0), How::Woken, 0);
    let (mut had, mut now) = ([0, 0], 0);
    while now < 20_000 * MILLISECOND {
        let task = queue.pop(now).expect("two are there");
        let end = queue.slice_end();
        assert!(end > now && end <= now + RT_SHARE_NS, "{end} {now}");
        had[name(&task) as usize] += end - now;
        task.charge(end - now);
        now = end;
        assert!(queue.must_give_way(now));
        queue.push(task, How::Preempted, now);
    }
    let share = had[1] as f64 / now as f64;
    assert!((0.04..0.06).contains(&share), "{share}");
}

#[test]
fn who_has_less_interrupts_and_batch_does_not() {
    let mut queue = queue();
    let sleeper = fair(2, 0);
    // It has been here, or it would begin behind the others.
    queue.push(Arc::clone(&sleeper), How::Woken, 0);
    assert!(queue.pop(0).is_some());
    queue.push(fair(0, 0), How::Woken, 0);
    assert!(queue.pop(0).is_some());
    assert!(!queue.push(fair(1, 0), How::Woken, 0), "not at once");
    assert_eq!(queue.slice_end(), SLICE_NS);
    let later = 10 * MILLISECOND;
    let batch = of_policy(3, Policy::Batch, 0);
    assert!(!queue.push(batch, How::Woken, later));
    assert!(queue.push(sleeper, How::Woken, later));
    assert!(queue.must_give_way(later));
}

/// How many tenths of a millisecond of a second each had: one that computes, and
/// all of a line of tasks of which each makes the next, works a little, and ends.
fn beside_a_line_of_children(nice: i8) -> [u64; 2] {
    const WORK: u64 = MILLISECOND / 10;
    let mut queue = queue();
    let (mut had, mut now) = ([0, 0], 0);
    queue.push(fair(0, 0), How::Woken, now);
    queue.push(fair(1, nice), How::Woken, now);
    while now < 1_000 * MILLISECOND {
        let task = queue.pop(now).expect("two are there");
        let name = name(&task) as usize;
        if name == 1 {
            now += WORK;
            task.charge(WORK);
            queue.push(fair(1, nice), How::Woken, now);
            had[1] += 1;
        } else {
            while !queue.must_give_way(now) {
                now += WORK;
                task.charge(WORK);
                had[0] += 1;
            }
            queue.push(task, How::Preempted, now);
        }
    }
    had
}

#[test]
fn who_makes_children_has_no_share_for_each() {
    for (nice, least) in [(-20, 110), (0, 4_500), (19, 9_000)] {
        let had = beside_a_line_of_children(nice);
        assert!(had[0] >= least && had[1] > 0, "nice {nice}: {had:?}");
    }
}

#[test]
fn who_waits_is_before_those_that_are_made_meanwhile() {
    let mut queue = queue();
    let waiting = fair(0, 0);
    queue.push(Arc::clone(&waiting), How::Woken, 0);
    for _ in 0..10 {
        queue.push(fair(1, 0), How::Woken, 0);
    }
    // It has its turn, and is behind the ten from there on.
    let first = queue.pop(0).expect("all are there");
    assert_eq!(name(&first), 0);
    let mut now = SLICE_NS;
    first.charge(SLICE_NS);
    queue.push(first, How::Preempted, now);
    // Each makes two, and so do those.
    let mut turns = 0;
    while let Some(task) = queue.pop(now).filter(|task| name(task) != 0) {
        turns += 1;
        assert!(turns <= 10, "those that were there come before it, only");
        now += MILLISECOND;
        task.charge(MILLISECOND);
        for _ in 0..2 {
            queue.push(fair(1, 0), How::Woken, now);
        }
    }
}

#[test]
fn one_that_is_made_while_nobody_waits_begins_with_its_maker() {
    let mut queue = queue();
    let maker = fair(0, 0);
    queue.push(Arc::clone(&maker), How::Woken, 0);
    assert!(queue.pop(0).is_some());
    let now = 50 * MILLISECOND;
    queue.push(fair(1, 0), How::Woken, now);
    maker.charge(now);
    queue.push(maker, How::Preempted, now);
    for expected in [1, 0] {
        assert_eq!(queue.pop(now).map(|task| name(&task)), Some(expected));
    }
}

#[test]
fn everybody_interrupts_the_idle_one() {
    let mut queue = queue();
    queue.push(of_policy(0, Policy::Idle, 0), How::Woken, 0);
    assert!(queue.pop(0).is_some());
    assert!(!queue.push(of_policy(1, Policy::Idle, 0), How::Woken, 0));
    assert!(queue.push(of_policy(2, Policy::Batch, 0), How::Woken, 0));
    assert!(queue.must_give_way(0));
}

#[test]
fn yielding_lets_the_next_run_and_costs_nothing() {
    let mut queue = queue();
    let [polite, other] = [fair(0, 0), fair(1, 0)];
    queue.push(other, How::Woken, 0);
    let other = queue.pop(0).expect("one is there");
    other.charge(50 * MILLISECOND);
    queue.push(polite, How::Woken, 0);
    let polite = queue.pop(0).expect("one is there");
    queue.push(other, How::Preempted, 0);
    queue.push(Arc::clone(&polite), How::Yielded, 0);
    assert_eq!(queue.pop(0).map(|task| name(&task)), Some(1));
    assert_eq!(queue.pop(0).map(|task| name(&task)), Some(0));
    queue.push(polite, How::Woken, 0);
    assert!(queue.pop(0).is_some());
}

#[test]
fn a_boosted_one_runs_before_the_rest() {
    let mut queue = queue();
    let task = fair(0, 0);
    let packed = Packed::new(task.attributes(), 30);
    queue.push(of_policy(1, Policy::Fifo, 29), How::Woken, 0);
    task.node
        .packed
        .store(packed.raw(), super::Ordering::Relaxed);
    queue.push(task, How::Woken, 0);
    assert_eq!(queue.pop(0).map(|task| name(&task)), Some(0));
}

#[test]
fn what_is_taken_out_is_taken_out_of_the_sums() {
    let mut queue = queue();
    let tasks = dummies(40);
    for task in &tasks {
        queue.push(Arc::clone(task), How::Woken, 0);
    }
    for task in &tasks[..20] {
        queue.remove(task);
    }
    assert_eq!((queue.waiting(), queue.load), (20, 20 * 1024));
    let found = queue.steal(32, false, |task| name(task) == 33);
    assert_eq!(found.map(|task| name(&task)), Some(33));
    assert!(queue.steal(4, false, |task| name(task) == 39).is_none());
    assert!(queue.steal(32, true, |_| true).is_none());
    assert_eq!(queue.waiting(), 19);
}

/// Taking out before putting in is a short cut: it must not show.
#[test]
fn an_exchange_is_putting_in_and_taking_out() {
    for others in 0..4 {
        let mut queues = [queue(), queue()];
        for queue in &mut queues {
            let fifo = (others > 2).then(|| of_policy(9, Policy::Fifo, 5));
            let nice = [0, 5, -5].into_iter().take(others as usize + 1);
            let fair = nice.zip(0..).map(|(nice, name)| fair(name, nice));
            for task in fair.chain(fifo) {
                queue.push(task, How::Woken, 0);
            }
        }
        let [short, long] = &mut queues;
        let (mut now, mut ran) = (0, [short.pop(0), long.pop(0)]);
        for step in 0..3000_u64 {
            let ours = step.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
            now += ours;
            let how = if step % 3 == 0 {
                How::Preempted
            } else {
                How::Yielded
            };
            let [a, b] = ran.map(|task| task.expect("somebody always wants to run"));
            for task in [&a, &b] {
                task.charge(ours);
            }
            let first = short.exchange(a, how, now);
            long.push(b, how, now);
            ran = [first, long.pop(now)];
            let names = ran.each_ref().map(|task| task.as_ref().map(name));
            assert_eq!(names[0], names[1], "step {step} beside {others}");
            assert_eq!(short.waiting(), long.waiting());
            assert_eq!(short.load(), long.load());
        }
    }
}
