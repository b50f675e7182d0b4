//! Tasks of the executor, before there is any program: some that yield,
//! thousands that sleep, and a processor that sleeps when they all do.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use ochre_hal::{clock, cpu};
use ochre_kernel::sched::{self, Timer, account};
use ochre_sync::SpinLock;
use ochre_sync::primitive::atomic::{AtomicUsize, Ordering};

/// How many sleep at once.
const SLEEPERS: usize = 5_000;

/// How often each of two tasks lets the other one run.
const TURNS: usize = 100;

/// Runs all of it as tasks; `ok` ends the machine.
pub(super) fn run(ok: fn(&str) -> !) -> ! {
    sched::bring_up().expect("memory at boot");
    start(async move {
        yields().await;
        sleeps().await;
        processor_sleeps().await;
        ok("tasks")
    });
    sched::run()
}

fn start(job: impl Future<Output = ()> + Send + 'static) {
    sched::spawn(job).expect("memory at boot");
}

/// Tasks that are waited for.
#[derive(Default)]
struct Finish {
    left: AtomicUsize,
    waker: SpinLock<Option<Waker>>,
}

impl Finish {
    fn of(count: usize) -> Arc<Finish> {
        Arc::new(Finish {
            left: AtomicUsize::new(count),
            waker: SpinLock::new(None),
        })
    }

    /// One of them is over; the last one wakes who waits.
    fn one(&self) {
        // ORDERING: AcqRel: who comes to zero has seen what the others did, and
        // so has who looks after it was woken.
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1
            && let Some(waker) = self.waker.lock().take()
        {
            waker.wake();
        }
    }

    async fn all(&self) {
        poll_fn(|context| {
            *self.waker.lock() = Some(context.waker().clone());
            // ORDERING: Acquire; see `one`.
            match self.left.load(Ordering::Acquire) {
                0 => Poll::Ready(()),
                _ => Poll::Pending,
            }
        })
        .await;
    }
}

/// Two tasks that yield take turns, and both come to their end.
async fn yields() {
    let turns: Arc<SpinLock<Vec<usize>>> = Arc::default();
    let finish = Finish::of(2);
    for task in 0..2 {
        let (turns, finish) = (Arc::clone(&turns), Arc::clone(&finish));
        start(async move {
            for _ in 0..TURNS {
                turns.lock().push(task);
                sched::yield_now().await;
            }
            finish.one();
        });
    }
    finish.all().await;
    let turns = turns.lock();
    assert_eq!(turns.len(), 2 * TURNS);
    assert!(turns.windows(2).all(|pair| pair[0] != pair[1]), "{turns:?}");
}

/// A sleep that counts how often it is polled.
struct Sleep {
    deadline_ns: u64,
    timer: Option<Timer>,
    polls: usize,
}

impl Sleep {
    fn until(deadline_ns: u64) -> Sleep {
        Sleep {
            deadline_ns,
            timer: None,
            polls: 0,
        }
    }
}

impl Future for Sleep {
    type Output = usize;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<usize> {
        let this = self.get_mut();
        this.polls += 1;
        if clock::now_ns() >= this.deadline_ns {
            return Poll::Ready(this.polls);
        }
        if this.timer.is_none() {
            this.timer = Some(Timer::arm(this.deadline_ns, context.waker().clone()));
        }
        Poll::Pending
    }
}

/// Thousands sleep at once; each is woken once, at its time or later.
async fn sleeps() {
    let finish = Finish::of(SLEEPERS);
    let begin = clock::now_ns() + 20_000_000;
    for number in 0..SLEEPERS {
        let finish = Arc::clone(&finish);
        let deadline = begin + (number % 50) as u64 * 1_000_000;
        start(async move {
            let polls = Sleep::until(deadline).await;
            assert!(clock::now_ns() >= deadline, "woken early");
            assert!(polls <= 2, "polled {polls} times for one alarm");
            finish.one();
        });
    }
    finish.all().await;
}

/// While every task sleeps, so does the processor. (A sleep that is over before
/// it began shows nothing, so there may have to be another one.)
async fn processor_sleeps() {
    let idle = || account::of(cpu::current()).idle_ns;
    let before = idle();
    while idle() == before {
        Sleep::until(clock::now_ns() + 5_000_000).await;
    }
}
