//! Locks put together, under many random schedules: programs too large for loom.
//!
//! `cargo xtask shuttle` runs them; `OCHRE_SCHEDULES` says how many schedules
//! each gets. A schedule that fails is printed, and `shuttle::replay` runs it
//! again. What they check: nobody sleeps for ever (shuttle reports a deadlock),
//! nothing is lost, and what is to exclude excludes.
#![cfg(shuttle)]
#![expect(
    unsafe_code,
    reason = "a parking lot's callers say that an address is theirs, a domain that its state is"
)]

use std::collections::VecDeque;
use std::sync::Arc;

use core::future::poll_fn;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;

use ochre_sync::blocking::Model;
use ochre_sync::channel::select::{self, Operation};
use ochre_sync::channel::{self, Receiver, RecvError, Sender};
use ochre_sync::lock::{
    Barrier, BinarySemaphore, Condvar, Mutex, OnceLock, Plain, QueueMutex, RwLock,
    RwLockWriteGuard, Semaphore,
};
use ochre_sync::lockfree::{List, Queue, Stack};
use ochre_sync::park::Parker;
use ochre_sync::parking_lot::{Park, ParkingLot};
use ochre_sync::rcu::{self, Domain, Epoch, RcuBox, RcuCell, State};
use ochre_sync::{McsLock, SpinLock, TicketLock, task};
use shuttle::sync::atomic::{AtomicU32, Ordering};
use shuttle::thread;

/// Half of the schedules at random, half with few, well-placed changes of thread.
fn check(program: impl Fn() + Send + Sync + 'static) {
    let schedules = std::env::var("OCHRE_SCHEDULES").ok();
    let schedules = schedules
        .and_then(|text| text.parse().ok())
        .unwrap_or(1_000);
    let program = Arc::new(program);
    let again = Arc::clone(&program);
    shuttle::check_random(move || program(), schedules / 2);
    shuttle::check_pct(move || again(), schedules / 2, 3);
}

/// What one thread does.
type Action<T> = Box<dyn FnOnce(&T) + Send>;

/// Runs the actions in a thread each, and waits for all.
fn together<T: Send + Sync + 'static>(shared: T, actions: Vec<Action<T>>) -> T {
    let shared = Arc::new(shared);
    let threads: Vec<_> = actions
        .into_iter()
        .map(|action| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || action(&shared))
        })
        .collect();
    for thread in threads {
        thread.join().expect("all finish");
    }
    Arc::into_inner(shared).expect("all are gone")
}

/// Counts who is inside; panics at more than `most`.
#[derive(Default)]
struct Inside(AtomicU32);

impl Inside {
    fn visit(&self, most: u32) {
        assert!(self.0.fetch_add(1, Ordering::SeqCst) < most);
        thread::yield_now();
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[test]
fn a_bounded_queue_of_mutex_and_two_condition_variables() {
    struct Queue {
        items: Mutex<VecDeque<u32>, Model, Plain>,
        not_empty: Condvar<Model>,
        not_full: Condvar<Model>,
        sum: AtomicU32,
    }
    fn put(queue: &Queue) {
        for number in 1..=3 {
            let items = queue.items.lock();
            let mut items = queue.not_full.wait_while(items, |items| items.len() == 1);
            items.push_back(number);
            drop(items);
            queue.not_empty.notify_one();
        }
    }
    fn take(queue: &Queue) {
        for _ in 0..3 {
            let items = queue.items.lock();
            let mut items = queue.not_empty.wait_while(items, |items| items.is_empty());
            let number = items.pop_front().expect("it is not empty");
            queue.sum.fetch_add(number, Ordering::SeqCst);
            // With the mutex held, too, it is allowed.
            queue.not_full.notify_one();
        }
    }
    check(|| {
        let queue = Queue {
            items: Mutex::new(VecDeque::new()),
            not_empty: Condvar::new(),
            not_full: Condvar::new(),
            sum: AtomicU32::new(0),
        };
        let queue = together(
            queue,
            vec![Box::new(put), Box::new(put), Box::new(take), Box::new(take)],
        );
        assert_eq!(queue.sum.into_inner(), 12);
    });
}

#[test]
fn crowds_at_a_condition_variable() {
    struct Gate {
        open: Mutex<u32, Model, Plain>,
        changed: Condvar<Model>,
        inside: Inside,
    }
    fn pass(gate: &Gate) {
        let open = gate.changed.wait_while(gate.open.lock(), |open| *open == 0);
        gate.inside.visit(1);
        drop(open);
    }
    fn pass_or_give_up(gate: &Gate) {
        let (open, result) =
            gate.changed
                .wait_timeout_while(gate.open.lock(), Duration::ZERO, |open| *open == 0);
        assert!(!result.timed_out() || *open == 0);
    }
    fn open(gate: &Gate) {
        *gate.open.lock() += 1;
        gate.changed.notify_all();
        gate.changed.notify_one();
    }
    check(|| {
        let gate = Gate {
            open: Mutex::new(0),
            changed: Condvar::new(),
            inside: Inside::default(),
        };
        together(
            gate,
            vec![
                Box::new(pass),
                Box::new(pass),
                Box::new(pass),
                Box::new(pass_or_give_up),
                Box::new(open),
                Box::new(open),
            ],
        );
    });
}

#[test]
fn a_table_behind_a_readers_writer_lock_and_its_version_announced() {
    struct Table {
        version: Mutex<u32, Model, Plain>,
        changed: Condvar<Model>,
        rows: RwLock<Vec<u32>, Model, Plain>,
        inside: Inside,
    }
    fn write(table: &Table) {
        let mut rows = table.rows.write();
        table.inside.visit(1);
        rows.push(1);
        let rows = RwLockWriteGuard::downgrade(rows);
        *table.version.lock() += 1;
        assert!(!rows.is_empty());
        table.changed.notify_all();
    }
    fn follow(table: &Table) {
        for seen in 0..2 {
            let version = table
                .changed
                .wait_while(table.version.lock(), |version| *version <= seen);
            // The other order than the writers' would be a deadlock.
            let version = {
                let announced = *version;
                drop(version);
                announced
            };
            let rows = table.rows.read();
            assert!(rows.len() >= version as usize);
        }
    }
    fn impatient(table: &Table) {
        if let Some(_rows) = table.rows.try_write_for(Duration::ZERO) {
            table.inside.visit(1);
        }
        drop(table.rows.try_read_for(Duration::ZERO));
    }
    check(|| {
        let table = Table {
            version: Mutex::new(0),
            changed: Condvar::new(),
            rows: RwLock::new(Vec::new()),
            inside: Inside::default(),
        };
        let table = together(
            table,
            vec![
                Box::new(write),
                Box::new(write),
                Box::new(follow),
                Box::new(follow),
                Box::new(impatient),
            ],
        );
        assert_eq!(table.rows.into_inner().len(), 2);
    });
}

#[test]
fn philosophers_with_ordered_forks_and_few_chairs() {
    struct Dinner {
        forks: [QueueMutex<u32, Model>; 3],
        chairs: Semaphore<Model>,
        begin: Barrier<Model>,
        seated: Inside,
    }
    check(|| {
        let dinner = Dinner {
            forks: [0; 3].map(QueueMutex::new),
            chairs: Semaphore::new(2),
            begin: Barrier::new(3),
            seated: Inside::default(),
        };
        let philosophers = (0..3)
            .map(|seat: usize| -> Action<Dinner> {
                let (first, second) = (seat.min((seat + 1) % 3), seat.max((seat + 1) % 3));
                Box::new(move |dinner| {
                    dinner.begin.wait();
                    for _ in 0..2 {
                        let chair = dinner.chairs.access();
                        let mut one = dinner.forks[first].lock();
                        let mut other = dinner.forks[second].lock();
                        *one += 1;
                        *other += 1;
                        dinner.seated.visit(2);
                        drop((one, other));
                        drop(chair);
                    }
                })
            })
            .collect();
        let dinner = together(dinner, philosophers);
        let uses: u32 = dinner.forks.map(QueueMutex::into_inner).iter().sum();
        assert_eq!((uses, dinner.chairs.available()), (12, 2));
    });
}

#[test]
fn a_permit_for_each_that_sleeps() {
    fn take(permits: &Semaphore<Model>) {
        permits.acquire();
    }
    fn impatient(permits: &Semaphore<Model>) {
        if permits.try_acquire_for(Duration::ZERO) {
            permits.release(1);
        }
    }
    check(|| {
        let permits = together(
            Semaphore::new(0),
            vec![
                Box::new(take),
                Box::new(take),
                Box::new(take),
                Box::new(impatient),
                Box::new(|permits| permits.release(1)),
                Box::new(|permits| permits.release(2)),
            ],
        );
        assert_eq!(permits.available(), 0);
    });
}

#[test]
fn a_value_made_once_hands_work_to_a_parked_thread() {
    struct Work {
        name: OnceLock<String, Model>,
        parker: Parker<Model>,
        done: BinarySemaphore<Model>,
        runs: AtomicU32,
    }
    fn use_it(work: &Work) {
        let name = work.name.get_or_init(|| {
            work.runs.fetch_add(1, Ordering::SeqCst);
            "made".to_owned()
        });
        assert_eq!(name, "made");
        work.parker.unpark();
    }
    check(|| {
        let work = Work {
            name: OnceLock::new(),
            parker: Parker::new(),
            done: BinarySemaphore::new(false),
            runs: AtomicU32::new(0),
        };
        let work = together(
            work,
            vec![
                Box::new(use_it),
                Box::new(use_it),
                Box::new(|work| {
                    while work.name.get().is_none() {
                        work.parker.park();
                    }
                    work.done.raise();
                }),
                Box::new(|work| {
                    work.done.acquire();
                    assert_eq!(work.name.wait(), "made");
                }),
            ],
        );
        assert_eq!(work.runs.into_inner(), 1);
    });
}

#[test]
fn sleepers_in_a_lot_are_moved_and_woken() {
    struct Lot {
        table: ParkingLot<Model, 2>,
        open: AtomicU32,
    }
    fn sleep(lot: &Lot) {
        let shut = || lot.open.load(Ordering::SeqCst) == 0;
        let parked = lot.table.park(1, shut, || (), |_| (), None);
        assert_ne!(parked, Park::TimedOut);
    }
    fn move_all(lot: &Lot) {
        // SAFETY: the table is this test's, and all take any token.
        unsafe { lot.table.requeue(1, 2, || true) };
    }
    fn wake_all(lot: &Lot, address: usize) -> usize {
        // SAFETY: as above.
        unsafe { lot.table.unpark_all(address, 0) }
    }
    fn impatient(lot: &Lot) {
        lot.table.park(1, || true, || (), |_| (), Some(true));
    }
    check(|| {
        let lot = Lot {
            table: ParkingLot::new(),
            open: AtomicU32::new(0),
        };
        let lot = together(
            lot,
            vec![
                Box::new(sleep),
                Box::new(sleep),
                Box::new(impatient),
                Box::new(|lot| {
                    move_all(lot);
                    lot.open.store(1, Ordering::SeqCst);
                    move_all(lot);
                    wake_all(lot, 2);
                }),
            ],
        );
        assert_eq!(wake_all(&lot, 1) + wake_all(&lot, 2), 0);
    });
}

/// Runs a future in a thread of the model.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Alarm(Parker<Model>);
    impl std::task::Wake for Alarm {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let mut future = pin!(future);
    let alarm = Arc::new(Alarm(Parker::new()));
    let waker = Waker::from(Arc::clone(&alarm));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => alarm.0.park(),
        }
    }
}

#[test]
fn threads_tasks_and_selects_at_channels() {
    type Halves = (Sender<u32, Model>, Receiver<u32, Model>);
    fn send(sender: &Sender<u32, Model>) {
        assert!(sender.send(1).is_ok());
        assert!(block_on(sender.send_async(10)).is_ok());
    }
    fn impatient(sender: &Sender<u32, Model>) {
        let mut message = 100;
        while let Err(error) = sender.send_timeout(message, Duration::ZERO) {
            message = error.into_inner();
            thread::yield_now();
        }
    }
    fn receive(receiver: &Receiver<u32, Model>) -> u32 {
        let mut sum = 0;
        loop {
            // Begun and given up.
            let _ = block_on(poll_fn(|context| {
                let mut given_up = pin!(receiver.recv_async());
                if let Poll::Ready(Ok(message)) = given_up.as_mut().poll(context) {
                    sum += message;
                }
                Poll::Ready(())
            }));
            match block_on(receiver.recv_async()) {
                Ok(message) => sum += message,
                Err(RecvError) => return sum,
            }
        }
    }
    fn choose(first: &Receiver<u32, Model>, second: &Receiver<u32, Model>) -> u32 {
        let (mut sum, mut open) = (0, 2);
        let (mut one, mut two) = (Some(first.receiving()), Some(second.receiving()));
        while open > 0 {
            let mut operations: Vec<&mut dyn Operation<Model>> = Vec::new();
            operations.extend(one.as_mut().map(|one| one as &mut dyn Operation<Model>));
            operations.extend(two.as_mut().map(|two| two as &mut dyn Operation<Model>));
            select::wait(&mut operations);
            for place in [&mut one, &mut two] {
                match place.as_mut().and_then(|operation| operation.take()) {
                    Some(Ok(message)) => sum += message,
                    Some(Err(RecvError)) => {
                        *place = None;
                        open -= 1;
                    }
                    None => {}
                }
            }
        }
        sum
    }
    let kinds: [fn() -> Halves; 3] = [
        || channel::bounded(1),
        channel::unbounded,
        channel::rendezvous,
    ];
    for make in kinds {
        check(move || {
            let (sender, receiver) = make();
            let (other_sender, other_receiver) = make();
            let senders = [
                thread::spawn({
                    let sender = sender.clone();
                    move || send(&sender)
                }),
                thread::spawn(move || impatient(&sender)),
                thread::spawn(move || send(&other_sender)),
            ];
            let taker = {
                let receiver = receiver.clone();
                thread::spawn(move || receive(&receiver))
            };
            let mut sum = choose(&receiver, &other_receiver);
            drop((receiver, other_receiver));
            sum += taker.join().expect("all finish");
            for sender in senders {
                sender.join().expect("all finish");
            }
            assert_eq!(sum, 11 + 100 + 11);
        });
    }
}

/// Jobs go from tasks to tasks: two at most are in the house at once, the list is
/// behind a mutex, and who finds it empty waits until something comes. One task
/// begins to wait for each of these and gives up; no wake-up may be lost with it.
#[test]
fn tasks_with_a_mutex_a_semaphore_a_queue_and_an_event() {
    struct House {
        places: task::Semaphore,
        jobs: task::Mutex<Vec<u32>>,
        changed: task::WaitQueue,
        closing: task::Event,
        done: AtomicU32,
    }
    async fn put(house: &House, job: u32) {
        let _place = house.places.acquire(1).await;
        house.jobs.lock().await.push(job);
        house.changed.wake_one();
    }
    async fn give_up(house: &House) {
        poll_fn(|context| {
            let mut places = pin!(house.places.acquire(2));
            let mut jobs = pin!(house.jobs.lock());
            let mut changed = pin!(house.changed.wait_until(|| None::<()>));
            let _ = places.as_mut().poll(context);
            let _ = jobs.as_mut().poll(context);
            let _ = changed.as_mut().poll(context);
            thread::yield_now();
            Poll::Ready(())
        })
        .await;
    }
    /// One job, if others have the list a little later.
    async fn work(house: &House) {
        loop {
            let job = house.changed.wait_until(|| match house.jobs.try_lock() {
                Some(mut jobs) => jobs.pop().map(Some),
                None => Some(None),
            });
            if let Some(job) = job.await {
                house.done.fetch_add(job, Ordering::SeqCst);
                return;
            }
            thread::yield_now();
        }
    }
    check(|| {
        let house = House {
            places: task::Semaphore::new(2),
            jobs: task::Mutex::new(Vec::new()),
            changed: task::WaitQueue::new(),
            closing: task::Event::new(),
            done: AtomicU32::new(0),
        };
        let house = together(
            house,
            vec![
                Box::new(|house| block_on(work(house))),
                Box::new(|house| block_on(work(house))),
                Box::new(|house| block_on(give_up(house))),
                Box::new(|house| block_on(house.closing.happened())),
                Box::new(|house| {
                    block_on(async {
                        put(house, 1).await;
                        put(house, 10).await;
                        house.closing.set();
                    });
                }),
            ],
        );
        assert_eq!(house.done.into_inner(), 11);
        assert_eq!(house.places.available(), 2);
        assert!(!house.changed.has_waiters() && house.jobs.try_lock().is_some());
    });
}

shuttle::lazy_static! {
    static ref STATE: State = State::new();
}

/// The readers of one schedule.
struct Readers;

// SAFETY: there is one state in each execution.
unsafe impl Domain for Readers {
    fn state() -> &'static State {
        &STATE
    }
}

/// A value that is gone once, and at the end.
struct Counted(u32, Arc<AtomicU32>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.fetch_add(1, Ordering::SeqCst);
    }
}

/// Things go from a stack to a queue while a set says which are on the way, and
/// the table that all read is replaced meanwhile.
#[test]
fn collections_whose_readers_nobody_waits_for() {
    struct Shared {
        todo: Stack<Counted, Readers>,
        done: Queue<Counted, Readers>,
        taken: List<u32, Readers>,
        factor: RcuCell<Counted, Readers>,
        gone: Arc<AtomicU32>,
    }
    fn work(shared: &Shared) {
        let epoch = Epoch::<Readers>::register();
        loop {
            let guard = epoch.pin();
            let factor = shared.factor.read(&guard);
            let is_first = factor.0 == 1;
            let Some(thing) = shared.todo.pop(&guard) else {
                break;
            };
            assert!(shared.taken.insert(thing.0, &guard), "nobody else has it");
            thread::yield_now();
            assert!(
                [1, 2].contains(&factor.0),
                "it is there as long as the guard"
            );
            assert!(shared.taken.remove(&thing.0, &guard));
            shared.done.push(thing, &guard);
            drop(guard);
            rcu::collect::<Readers>();
        }
    }
    check(|| {
        let gone = Arc::new(AtomicU32::new(0));
        let counted = |number| Counted(number, Arc::clone(&gone));
        let shared = Shared {
            todo: Stack::new(),
            done: Queue::new(),
            taken: List::new(),
            factor: RcuCell::new(RcuBox::new(counted(1))),
            gone: Arc::clone(&gone),
        };
        (10..13).for_each(|number| shared.todo.push(counted(number)));
        let shared = together(
            shared,
            vec![
                Box::new(work),
                Box::new(work),
                Box::new(|shared| {
                    let gone = Arc::clone(&shared.gone);
                    shared.factor.replace(RcuBox::new(Counted(2, gone)));
                    rcu::collect::<Readers>();
                }),
            ],
        );
        while !rcu::collect::<Readers>() {}
        assert_eq!(
            gone.load(Ordering::SeqCst),
            1,
            "the first factor, and it once"
        );
        let epoch = Epoch::<Readers>::register();
        let mut sum = 0;
        while let Some(thing) = shared.done.pop(&epoch.pin()) {
            sum += thing.0;
        }
        assert_eq!(sum, 33);
        drop((epoch, shared));
        while !rcu::collect::<Readers>() {}
        assert_eq!(gone.load(Ordering::SeqCst), 5);
    });
}

/// A value moves between three kinds of spinning, one lock inside the other.
#[test]
fn spin_locks_inside_each_other() {
    type Locks = (SpinLock<u32>, TicketLock<u32>, McsLock<u32>, Inside);
    fn forth(locks: &Locks) {
        let mut from = locks.0.lock();
        let mut to = locks.1.lock();
        locks.3.visit(1);
        *from -= 1;
        *to += 1;
    }
    fn on(locks: &Locks) {
        loop {
            let mut from = locks.1.lock();
            if *from > 0 {
                locks.3.visit(1);
                locks.2.with(|to| *to += 1);
                *from -= 1;
                return;
            }
            drop(from);
            thread::yield_now();
        }
    }
    check(|| {
        let locks: Locks = (
            SpinLock::new(2),
            TicketLock::new(0),
            McsLock::new(0),
            Inside::default(),
        );
        let locks = together(
            locks,
            vec![
                Box::new(forth),
                Box::new(forth),
                Box::new(on),
                Box::new(|locks| {
                    // In a moment, or not at all.
                    if let Some(count) = locks.2.try_with(|count| *count) {
                        assert!(count <= 1);
                    }
                    assert!(locks.0.try_lock().is_none_or(|count| *count <= 2));
                }),
            ],
        );
        assert_eq!(
            (
                locks.0.into_inner(),
                locks.1.into_inner(),
                locks.2.into_inner()
            ),
            (0, 1, 1)
        );
    });
}
