//! The primitives for tasks, polled by hand and on real threads, and under Miri.

use super::{Event, Mutex, Semaphore, WaitQueue};
use crate::SpinLock;
use core::future::Future;
use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use core::task::{Context, Poll, Waker};
use std::sync::Arc;
use std::task::Wake;
use std::thread::{self, Thread};

/// Counts how often it is woken.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// A task under test.
struct Task {
    count: Arc<Count>,
    waker: Waker,
}

impl Task {
    fn new() -> Task {
        let count = Arc::new(Count::default());
        Task {
            waker: Arc::clone(&count).into(),
            count,
        }
    }

    fn poll<F: Future>(&self, future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(&self.waker))
    }

    fn woken(&self) -> usize {
        self.count.0.load(Relaxed)
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

#[test]
fn permits_go_to_those_who_came_first() {
    let semaphore = Semaphore::new(2);
    let held = semaphore.try_acquire(2).expect("both are there");
    let (one, two) = (Task::new(), Task::new());
    let mut big = pin!(semaphore.acquire(2));
    let mut small = pin!(semaphore.acquire(1));
    assert!(one.poll(big.as_mut()).is_pending());
    assert!(two.poll(small.as_mut()).is_pending());
    assert!(
        two.poll(small.as_mut()).is_pending(),
        "again changes nothing"
    );
    drop(held);
    assert_eq!((one.woken(), two.woken()), (1, 0));
    assert!(semaphore.try_acquire(0).is_none(), "nobody is overtaken");
    let Poll::Ready(permit) = one.poll(big.as_mut()) else {
        unreachable!("it has been given")
    };
    assert_eq!(
        format!("{permit:?} {semaphore:?}"),
        "Permit(2) Semaphore(0)"
    );
    drop(permit);
    assert!(matches!(two.poll(small.as_mut()), Poll::Ready(_)));
    assert_eq!(semaphore.available(), 2);
    semaphore.try_acquire(1).expect("two are there").forget();
    assert_eq!(semaphore.available(), 1);
}

#[test]
fn who_goes_away_lets_the_next_one_in() {
    let semaphore = Semaphore::new(1);
    let (one, two) = (Task::new(), Task::new());
    let mut small = pin!(semaphore.acquire(1));
    {
        // Waits for more than there is, before one that does not.
        let mut big = pin!(semaphore.acquire(2));
        assert!(one.poll(big.as_mut()).is_pending());
        assert!(two.poll(small.as_mut()).is_pending());
    }
    assert_eq!(two.woken(), 1);
    let permit = two.poll(small.as_mut());
    let mut third = pin!(semaphore.acquire(1));
    {
        // Given the permit, and dropped before it is polled.
        let mut given = pin!(semaphore.acquire(1));
        assert!(one.poll(given.as_mut()).is_pending());
        assert!(two.poll(third.as_mut()).is_pending());
        drop(permit);
        assert_eq!((one.woken(), two.woken()), (1, 1));
    }
    assert_eq!(two.woken(), 2);
    assert!(two.poll(third.as_mut()).is_ready());
}

#[test]
fn many_are_let_in_at_once() {
    let semaphore = Semaphore::new(0);
    let task = Task::new();
    let mut all: Vec<_> = (0..20).map(|_| Box::pin(semaphore.acquire(1))).collect();
    for future in &mut all {
        assert!(task.poll(future.as_mut()).is_pending());
    }
    semaphore.add(20);
    assert_eq!(task.woken(), 20);
    assert_eq!(semaphore.available(), 0);
    // Out of the middle.
    drop(all.remove(7));
    assert_eq!(semaphore.available(), 1);
}

#[test]
fn a_mutex_excludes_tasks_on_several_threads() {
    let rounds = if cfg!(miri) { 20 } else { 2_000 };
    let mutex = Mutex::new(0_u64);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                block_on(async {
                    for round in 0..rounds {
                        if round % 5 == 0 {
                            // One that gives up.
                            let task = Task::new();
                            let mut lock = pin!(mutex.lock());
                            if let Poll::Ready(mut guard) = task.poll(lock.as_mut()) {
                                *guard += 1;
                                continue;
                            }
                        }
                        *mutex.lock().await += 1;
                    }
                });
            });
        }
    });
    assert_eq!(format!("{mutex:?}"), format!("Mutex({})", 3 * rounds));
    let guard = mutex.try_lock().expect("it is free");
    assert!(mutex.try_lock().is_none());
    assert_eq!(format!("{mutex:?}"), "Mutex(<locked>)");
    drop(guard);
    assert_eq!(mutex.into_inner(), 3 * rounds);
}

#[test]
fn a_wake_up_for_one_is_passed_on() {
    let (queue, items) = (WaitQueue::new(), SpinLock::new(Vec::new()));
    let (one, two) = (Task::new(), Task::new());
    let take = || items.lock().pop();
    let mut second = pin!(queue.wait_until(take));
    {
        let mut first = pin!(queue.wait_until(take));
        assert!(one.poll(first.as_mut()).is_pending());
        assert!(two.poll(second.as_mut()).is_pending());
        items.lock().push(7);
        assert!(queue.wake_one());
        assert_eq!((one.woken(), two.woken()), (1, 0));
    }
    assert_eq!(two.woken(), 1, "the first one went without using it");
    assert_eq!(two.poll(second.as_mut()), Poll::Ready(7));
    assert!(!queue.has_waiters() && !queue.wake_one());
}

#[test]
fn who_finds_nothing_is_first_again() {
    let (queue, items) = (WaitQueue::new(), SpinLock::new(Vec::new()));
    let (one, two) = (Task::new(), Task::new());
    let take = || items.lock().pop();
    let mut first = pin!(queue.wait_until(take));
    let mut second = pin!(queue.wait_until(take));
    assert!(one.poll(first.as_mut()).is_pending());
    assert!(two.poll(second.as_mut()).is_pending());
    queue.wake_one();
    assert!(one.poll(first.as_mut()).is_pending());
    items.lock().push(1);
    queue.wake_one();
    assert_eq!((one.woken(), two.woken()), (2, 0));
    assert_eq!(one.poll(first.as_mut()), Poll::Ready(1));
    // Found without having been woken.
    items.lock().push(2);
    assert_eq!(two.poll(second.as_mut()), Poll::Ready(2));
    assert!(!queue.has_waiters());
}

#[test]
fn all_are_woken_and_wait_again() {
    let queue = WaitQueue::new();
    let task = Task::new();
    let mut all: Vec<_> = (0..20)
        .map(|_| Box::pin(queue.wait_until(|| None::<()>)))
        .collect();
    for future in &mut all {
        assert!(task.poll(future.as_mut()).is_pending());
    }
    queue.wake_all();
    assert_eq!(task.woken(), 20);
    assert!(!queue.has_waiters());
    for future in &mut all {
        assert!(task.poll(future.as_mut()).is_pending());
    }
    all.truncate(3);
    queue.wake_all();
    assert_eq!(task.woken(), 23);
}

#[test]
fn an_event_lets_all_go_on() {
    let event = Event::new();
    let task = Task::new();
    let mut one = pin!(event.happened());
    let mut two = pin!(event.happened());
    assert!(task.poll(one.as_mut()).is_pending());
    assert!(task.poll(two.as_mut()).is_pending());
    event.set();
    assert_eq!(task.woken(), 2);
    assert!(task.poll(one.as_mut()).is_ready() && task.poll(two.as_mut()).is_ready());
    block_on(event.happened());
    event.reset();
    assert!(!event.is_set());
    assert!(task.poll(pin!(event.happened())).is_pending());
}

#[test]
fn items_are_handed_over_between_threads() {
    let rounds = if cfg!(miri) { 20 } else { 5_000 };
    let (queue, items) = (WaitQueue::new(), SpinLock::new(Vec::new()));
    let total = thread::scope(|scope| {
        let takers = [(); 2].map(|()| {
            scope.spawn(|| {
                block_on(async {
                    let mut sum = 0;
                    for _ in 0..rounds {
                        sum += queue.wait_until(|| items.lock().pop()).await;
                    }
                    sum
                })
            })
        });
        for number in 0..2 * rounds {
            items.lock().push(number);
            queue.wake_one();
        }
        takers
            .into_iter()
            .map(|taker| taker.join().expect("no panic"))
            .sum::<u64>()
    });
    assert_eq!(total, (0..2 * rounds).sum());
}

/// A waker may do anything, also drop what waits in the same queue.
#[test]
fn a_waker_may_come_back() {
    struct Back(SpinLock<Option<Waker>>, WaitQueue);
    impl Wake for Back {
        fn wake(self: Arc<Self>) {
            assert!(!self.1.wake_one());
            assert!(!self.1.has_waiters());
        }
    }
    let back = Arc::new(Back(SpinLock::new(None), WaitQueue::new()));
    let waker = Waker::from(Arc::clone(&back));
    let mut wait = Box::pin(back.1.wait_until(|| None::<()>));
    assert!(
        wait.as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    assert!(back.1.wake_one());
    drop(wait);
    assert!(back.0.lock().is_none());
}
