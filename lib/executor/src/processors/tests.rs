//! Several processors, run by one hand.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Mutex;

use super::{Machine, Next, Processors};
use crate::policy::{Attributes, Policy};
use crate::run_queue::SLICE_NS;
use crate::task::Task;
use crate::testing::{Dummy, dummy, name};

/// A clock set by hand, and the kicks that were given.
#[derive(Default)]
struct Desk {
    now_ns: AtomicU64,
    kicks: Mutex<Vec<usize>>,
}

impl Machine for &Desk {
    fn now_ns(&self) -> u64 {
        self.now_ns.load(Ordering::Relaxed)
    }

    fn kick(&self, cpu: usize) {
        self.kicks.lock().expect("no test panics here").push(cpu);
    }
}

type Four<'a> = Processors<Dummy, &'a Desk, 4>;

fn four(desk: &Desk) -> Four<'_> {
    let processors = Processors::new(desk);
    for cpu in 0..4 {
        processors.bring_up(cpu).expect("four queues fit");
    }
    processors
}

fn kicks(desk: &Desk) -> Vec<usize> {
    core::mem::take(&mut desk.kicks.lock().expect("no test panics here"))
}

fn fair(number: u32) -> Arc<Task<Dummy>> {
    dummy(number, Attributes::default())
}

fn real_time(number: u32, priority: u8) -> Arc<Task<Dummy>> {
    dummy(number, fifo(priority))
}

fn fifo(priority: u8) -> Attributes {
    Attributes {
        policy: Policy::Fifo,
        priority,
        ..Attributes::default()
    }
}

/// The number of the task that a processor runs next.
fn next(processors: &Four<'_>, cpu: usize) -> Option<u32> {
    processors.next(cpu, 0).map(|next| name(&next.task))
}

/// The same if the one that it ran goes on.
fn again(processors: &Four<'_>, task: &Arc<Task<Dummy>>, cpu: usize) -> Option<u32> {
    let next = processors.requeue(Arc::clone(task), cpu, 0);
    next.map(|next| name(&next.task))
}

/// Gives each processor a task of its own, numbered 100 and up.
fn keep_busy(processors: &Four<'_>, desk: &Desk) -> Vec<Arc<Task<Dummy>>> {
    let tasks: Vec<_> = (0..4).map(|cpu| fair(100 + cpu)).collect();
    for (cpu, task) in tasks.iter().enumerate() {
        let _ = processors.wake(Arc::clone(task), cpu);
        assert_eq!(next(processors, cpu), Some(100 + cpu as u32));
    }
    let _ = kicks(desk);
    tasks
}

/// Ends what a processor runs, as if it had gone to sleep.
fn end(processors: &Four<'_>, cpu: usize) {
    processors.poll_ended(cpu);
}

#[test]
fn one_processor_keeps_to_itself() {
    let desk = Desk::default();
    let processors: Four<'_> = Processors::new(&desk);
    processors.bring_up(0).unwrap();
    assert_eq!(processors.wake(fair(0), 0), None);
    assert_eq!(next(&processors, 0), Some(0));
    assert_eq!(processors.wake(fair(1), 0), Some(SLICE_NS));
    assert_eq!(
        processors.wake(fair(2), 0),
        None,
        "the alarm is set already"
    );
    assert!(processors.next_or_sleep(0, 0).is_some());
    assert!(kicks(&desk).is_empty());
}

#[test]
fn a_woken_task_goes_to_where_it_was_if_that_sleeps() {
    let desk = Desk::default();
    let processors = four(&desk);
    let task = fair(0);
    for cpu in [1, 3] {
        assert!(processors.next_or_sleep(cpu, 0).is_none());
    }
    let _ = processors.wake(Arc::clone(&task), 0);
    assert_eq!(kicks(&desk), [1]);
    assert_eq!(next(&processors, 1), Some(0));
    end(&processors, 1);
    assert!(processors.next_or_sleep(1, 0).is_none());
    let _ = processors.wake(Arc::clone(&task), 3);
    assert_eq!(kicks(&desk), [1]);
    // It is told once.
    let _ = processors.wake(fair(1), 0);
    assert_eq!(kicks(&desk), [3]);
}

#[test]
fn a_sleeper_takes_what_waits_elsewhere() {
    let desk = Desk::default();
    let processors = four(&desk);
    let _busy = keep_busy(&processors, &desk);
    let task = fair(0);
    let _ = processors.wake(Arc::clone(&task), 2);
    assert_eq!(processors.waiting(task.processor()), 1);
    let thief = (task.processor() + 1) % 4;
    end(&processors, thief);
    assert_eq!(next(&processors, thief), Some(0));
    assert_eq!(task.processor(), thief);
    assert!((0..4).all(|cpu| processors.waiting(cpu) == 0));
}

#[test]
fn new_ones_go_where_the_load_is_least() {
    let desk = Desk::default();
    let processors = four(&desk);
    let _busy = keep_busy(&processors, &desk);
    let tasks: Vec<_> = (0..8).map(fair).collect();
    for task in &tasks {
        let _ = processors.wake(Arc::clone(task), 0);
    }
    assert!((0..4).all(|cpu| processors.waiting(cpu) == 2));
    // Each of the others hears that it does not run alone any more, once.
    let mut kicked = kicks(&desk);
    kicked.sort_unstable();
    assert_eq!(kicked, [1, 2, 3]);
}

#[test]
fn nobody_runs_where_it_must_not() {
    let desk = Desk::default();
    let processors = four(&desk);
    let _busy = keep_busy(&processors, &desk);
    let task = fair(0);
    processors.allow(&task, 0b0100, 0);
    let _ = processors.wake(Arc::clone(&task), 0);
    assert_eq!(task.processor(), 2);
    end(&processors, 3);
    assert_eq!(next(&processors, 3), None);
    // While it waits it is moved.
    processors.allow(&task, 0b1000, 0);
    assert_eq!(next(&processors, 3), Some(0));
    let _ = kicks(&desk);
    // While it runs it is told to go.
    processors.allow(&task, 0b0011, 0);
    assert_eq!(kicks(&desk), [3]);
    assert!(processors.must_give_way(3, 0));
    end(&processors, 3);
    assert!(processors.requeue(Arc::clone(&task), 3, 0).is_none());
    assert!(task.processor() < 2);
}

#[test]
fn real_time_interrupts_the_least_important() {
    let desk = Desk::default();
    let processors = four(&desk);
    let busy: Vec<_> = (0..4_u8)
        .map(|cpu| real_time(100 + u32::from(cpu), 50 - 10 * cpu))
        .collect();
    for (cpu, task) in busy.iter().enumerate() {
        processors.allow(task, 1 << cpu, 0);
        let _ = processors.wake(Arc::clone(task), cpu);
        assert!(next(&processors, cpu).is_some());
    }
    let _ = kicks(&desk);
    let task = real_time(0, 45);
    let _ = processors.wake(Arc::clone(&task), 0);
    assert_eq!((task.processor(), kicks(&desk)), (3, vec![3]));
    assert!(processors.must_give_way(3, 0));
    // One that is too low waits.
    let low = real_time(1, 5);
    let _ = processors.wake(Arc::clone(&low), 0);
    assert!(kicks(&desk).is_empty());
    assert!((0..4).all(|cpu| cpu == 3 || !processors.must_give_way(cpu, 0)));
    // And is pulled by the first to have nothing as important, fair tasks
    // of its own or not.
    let own = fair(2);
    processors.allow(&own, 0b0010, 0);
    let _ = processors.wake(own, 1);
    end(&processors, 1);
    let pulled = next(&processors, 1);
    assert!(matches!(pulled, Some(0 | 1)), "{pulled:?}");
}

#[test]
fn an_interrupted_real_time_task_moves_on() {
    let desk = Desk::default();
    let processors = four(&desk);
    let _busy = keep_busy(&processors, &desk);
    let first = real_time(0, 10);
    let _ = processors.wake(Arc::clone(&first), 0);
    let at = first.processor();
    assert!(processors.must_give_way(at, 0));
    end(&processors, at);
    assert_eq!(next(&processors, at), Some(0));
    let _ = kicks(&desk);
    let second = real_time(1, 20);
    processors.allow(&second, 1 << at, 0);
    let _ = processors.wake(second, 0);
    assert_eq!(kicks(&desk), [at]);
    assert!(processors.must_give_way(at, 0));
    end(&processors, at);
    assert_eq!(again(&processors, &first, at), Some(1));
    assert_ne!(first.processor(), at);
    assert_eq!(kicks(&desk), [first.processor()]);
}

#[test]
fn a_boost_reaches_those_that_wait_and_those_that_run() {
    let desk = Desk::default();
    let processors = four(&desk);
    let busy = keep_busy(&processors, &desk);
    let task = fair(0);
    processors.allow(&task, 0b0001, 0);
    let _ = processors.wake(Arc::clone(&task), 1);
    let _ = kicks(&desk);
    processors.boost(&task, Some(7), 1);
    assert_eq!(task.effective_priority(), 7);
    assert_eq!(kicks(&desk), [0]);
    assert!(processors.must_give_way(0, 0));
    end(&processors, 0);
    assert_eq!(again(&processors, &busy[0], 0), Some(0));
    // While it is boosted another real-time task of the priority waits.
    let peer = real_time(1, 7);
    processors.allow(&peer, 0b0001, 0);
    let _ = processors.wake(peer, 0);
    assert!(!processors.must_give_way(0, 0));
    let _ = kicks(&desk);
    processors.boost(&task, None, 1);
    assert_eq!(kicks(&desk), [0]);
    assert!(processors.must_give_way(0, 0));
    assert_eq!(task.attributes(), Attributes::default());
}

#[test]
fn changed_policies_take_effect_at_once() {
    let desk = Desk::default();
    let processors = four(&desk);
    let _busy = keep_busy(&processors, &desk);
    let tasks: Vec<_> = (0..3).map(|number| real_time(number, 1)).collect();
    for task in &tasks {
        processors.allow(task, 0b0001, 0);
        let _ = processors.wake(Arc::clone(task), 0);
    }
    // Raised: behind its new equals. Lowered: before them.
    processors.set_attributes(&tasks[1], fifo(2), 0);
    processors.set_attributes(&tasks[0], fifo(2), 0);
    processors.set_attributes(&tasks[1], fifo(1), 0);
    for expected in [0, 1, 2] {
        assert_eq!(next(&processors, 0), Some(expected));
    }
    let _ = kicks(&desk);
    // The last one runs; as an ordinary one it has to share.
    let waiting = real_time(3, 1);
    processors.allow(&waiting, 0b0001, 0);
    let _ = processors.wake(waiting, 0);
    processors.set_attributes(&tasks[2], Attributes::default(), 0);
    assert_eq!(kicks(&desk), [0]);
    assert!(processors.must_give_way(0, 0));
}

/// Runs tasks that never wait on four processors, in turns of a slice; how many
/// slices each had.
fn run_for(count: u32, slices: u64) -> Vec<u64> {
    let desk = Desk::default();
    let processors = four(&desk);
    let mut had = vec![0; count as usize];
    for number in 0..count {
        let _ = processors.wake(fair(number), 0);
    }
    let mut running: Vec<Option<Next<Dummy>>> = (0..4).map(|_| None).collect();
    for slice in 0..slices {
        let now = slice * SLICE_NS;
        for (cpu, next) in running.iter_mut().enumerate() {
            if next.is_none() {
                *next = processors.next(cpu, now);
            }
        }
        let now = now + SLICE_NS;
        desk.now_ns.store(now, Ordering::Relaxed);
        for (cpu, next) in running.iter_mut().enumerate() {
            let Some(Next { task, .. }) = next.take() else {
                continue;
            };
            had[name(&task) as usize] += 1;
            task.charge(SLICE_NS);
            let _ = processors.must_give_way(cpu, now);
            processors.poll_ended(cpu);
            *next = processors.requeue(task, cpu, now);
        }
    }
    had
}

#[test]
fn loads_even_out() {
    for count in [1, 4, 8, 12, 40] {
        let had = run_for(count, 4000);
        let (least, most) = (had.iter().min().unwrap(), had.iter().max().unwrap());
        assert!(most - least <= 4000 / 20, "{count}: {had:?}");
        let all: u64 = had.iter().sum();
        assert_eq!(all, 4000 * u64::from(count.min(4)), "{count}");
    }
}

/// Everything there is, in an order drawn by lot: no task is lost or doubled.
#[test]
fn no_task_is_lost() {
    let mut lot = 0x9e37_79b9_7f4a_7c15_u64;
    let mut draw = |below: u64| {
        lot ^= lot << 13;
        lot ^= lot >> 7;
        lot ^= lot << 17;
        lot % below
    };
    let desk = Desk::default();
    let processors = four(&desk);
    let tasks: Vec<_> = (0..20).map(fair).collect();
    let mut asleep: Vec<u32> = (0..20).collect();
    let mut running: [Option<Arc<Task<Dummy>>>; 4] = [const { None }; 4];
    for _ in 0..200_000 {
        desk.now_ns.fetch_add(draw(2_000_000), Ordering::Relaxed);
        let now = desk.now_ns.load(Ordering::Relaxed);
        let cpu = draw(4) as usize;
        let task = &tasks[draw(20) as usize];
        match draw(8) {
            0 | 1 if !asleep.is_empty() => {
                let which = asleep.swap_remove(draw(asleep.len() as u64) as usize);
                let _ = processors.wake(Arc::clone(&tasks[which as usize]), cpu);
            }
            2 => processors.allow(task, 1 + draw(15), cpu),
            3 => {
                let attributes = Attributes {
                    policy: match draw(5) {
                        0 => Policy::Other,
                        1 => Policy::Batch,
                        2 => Policy::Idle,
                        3 => Policy::Fifo,
                        _ => Policy::RoundRobin,
                    },
                    priority: 1 + draw(99) as u8,
                    nice: draw(40) as i8 - 20,
                    resets_on_fork: false,
                };
                processors.set_attributes(task, attributes, cpu);
            }
            4 => processors.boost(task, Some(draw(100) as u8), cpu),
            5 => {
                if let Some(task) = running[cpu].take() {
                    processors.poll_ended(cpu);
                    asleep.push(name(&task));
                }
            }
            _ => {
                if let Some(task) = running[cpu].take() {
                    let _ = processors.must_give_way(cpu, now);
                    task.charge(draw(20_000_000));
                    processors.poll_ended(cpu);
                    running[cpu] = processors.requeue(task, cpu, now).map(|next| next.task);
                } else {
                    running[cpu] = processors.next(cpu, now).map(|next| next.task);
                }
                if let Some(task) = &running[cpu] {
                    assert_eq!(task.processor(), cpu);
                }
            }
        }
        let waiting: usize = (0..4).map(|cpu| processors.waiting(cpu)).sum();
        let running = running.iter().flatten().count();
        assert_eq!(waiting + running + asleep.len(), 20);
    }
}
