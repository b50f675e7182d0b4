//! Several processors at once: who comes up, and who remembers what of page tables.
//!
//! The first processor runs a test; the others wait for jobs. Each test says
//! nothing where there is no other processor.
//!
//! How a stale translation shows: a page's frame is taken away and the
//! processors told; then the frame, which the test keeps, is filled with a
//! pattern. Who finds the pattern uses a translation that is gone.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use ochre_sync::SpinLock;
use ochre_sync::primitive::atomic::{AtomicBool, AtomicUsize, Ordering};
use ochre_sync::primitive::spin_loop;

use crate::arch::machine::ktests::{reader, wanderer, writer};
use crate::cpu::{self, CpuId, MAX_CPUS};
use crate::irq;
use crate::ktest;
use crate::memory::{self, PAGE_SIZE, PageTable, Rights, SpaceRef, UserFrame, presence};
use crate::user::ktests::{CODE, DATA, Guest};
use crate::user::{Trap, UserContext};

type Job = Box<dyn FnOnce() + Send>;

static JOBS: [SpinLock<Option<Job>>; MAX_CPUS] = [const { SpinLock::new(None) }; MAX_CPUS];

/// What the other processors do: wait for a job, do it.
pub(super) fn serve() -> ! {
    loop {
        while irq::poll_pending().is_some() {}
        let job = JOBS[cpu::current().index()].lock().take();
        match job {
            Some(job) => job(),
            None => {
                let _ = cpu::wait_for_interrupt();
            }
        }
    }
}

fn others() -> impl Iterator<Item = CpuId> {
    cpu::all().filter(|cpu| *cpu != cpu::current())
}

/// Jobs that were started, to wait for.
#[derive(Default)]
struct Started {
    ended: Arc<AtomicUsize>,
    count: usize,
}

impl Started {
    fn start(&mut self, cpu: CpuId, job: impl FnOnce() + Send + 'static) {
        let ended = Arc::clone(&self.ended);
        let job = Box::new(move || {
            job();
            // ORDERING: Release: what the job did is done.
            ended.fetch_add(1, Ordering::Release);
        });
        assert!(JOBS[cpu.index()].lock().replace(job).is_none());
        irq::kick(cpu);
        self.count += 1;
    }

    fn wait(self) {
        // ORDERING: Acquire; see `start`.
        while self.ended.load(Ordering::Acquire) < self.count {
            spin_loop();
        }
    }
}

/// Does something on every processor, one after the other, this one last.
pub(crate) fn on_each_processor(job: fn()) {
    for cpu in others() {
        let mut started = Started::default();
        started.start(cpu, job);
        started.wait();
    }
    job();
}

/// Does something on all processors at once.
pub(crate) fn on_every_processor<J: FnOnce() + Send + 'static>(job: impl Fn() -> J) {
    let mut started = Started::default();
    for cpu in others() {
        started.start(cpu, job());
    }
    job()();
    started.wait();
}

#[ktest]
fn every_processor_knows_itself() {
    let seen: Arc<[AtomicUsize; MAX_CPUS]> = Arc::new([const { AtomicUsize::new(0) }; MAX_CPUS]);
    let mut jobs = Started::default();
    for cpu in others() {
        let seen = Arc::clone(&seen);
        jobs.start(cpu, move || {
            assert_eq!(cpu::current(), cpu);
            seen[cpu::current().index()].fetch_add(1, Ordering::Relaxed);
        });
    }
    jobs.wait();
    for (index, count) in seen.iter().enumerate() {
        let expected = usize::from((1..cpu::online()).contains(&index));
        assert_eq!(count.load(Ordering::Relaxed), expected, "processor {index}");
    }
    on_each_processor(|| assert!(CpuId::from_index(cpu::current().index()).is_some()));
}

#[ktest]
fn a_kick_between_the_last_look_and_sleep_is_not_lost() {
    for round in 0..200 {
        for cpu in others() {
            let mut job = Started::default();
            job.start(cpu, || {});
            // At times the other one is asleep already, at times not yet.
            for _ in 0..round {
                spin_loop();
            }
            job.wait();
        }
    }
}

#[ktest]
fn clocks_agree() {
    for cpu in others() {
        let there = Arc::new(AtomicUsize::new(0));
        for _ in 0..100 {
            let mut job = Started::default();
            let before = crate::clock::now_ns();
            let result = Arc::clone(&there);
            job.start(cpu, move || {
                result.store(crate::clock::now_ns() as usize, Ordering::Relaxed);
            });
            job.wait();
            let after = crate::clock::now_ns();
            let there = there.load(Ordering::Relaxed) as u64;
            assert!(
                (before..=after).contains(&there),
                "{before} {there} {after}"
            );
        }
    }
}

/// A thread goes from processor to processor with all it has.
#[ktest]
fn a_thread_takes_its_state_along() {
    let mut guest = Guest::new(wanderer());
    let space = guest.table.space();
    assert!(guest.context.set_thread_pointer(DATA + 16));
    let marks = [0x1234_u64, 0, 0x5678].map(u64::to_le_bytes);
    assert_eq!(space.copy_out(DATA, marks.as_flattened()), Ok(()));
    let guest = Arc::new(SpinLock::new(guest));
    let mut turn = 0;
    for _ in 0..50 {
        for cpu in cpu::all() {
            let one = Arc::clone(&guest);
            let step = move || {
                let mut guest = one.lock();
                let (number, before, thread) = guest.call();
                assert_eq!((number, before, thread), (7, turn, 0x5678));
                guest.context.leave().expect("memory");
            };
            if cpu == cpu::current() {
                step();
            } else {
                let mut job = Started::default();
                job.start(cpu, step);
                job.wait();
            }
            turn += 1;
        }
    }
}

/// What a frame that was taken away is filled with.
const GONE: u64 = 0x5a5a_5a5a_5a5a_5a5a;

/// Processors that use one address space while the test changes it.
struct Crowd {
    table: PageTable,
    stop: Arc<AtomicBool>,
    /// Page faults that each had.
    faults: Arc<[AtomicUsize; MAX_CPUS]>,
    jobs: Started,
}

/// Changes of a page: each may wait until the host lets a processor run that
/// is to be interrupted.
const ROUNDS: usize = 200;

fn writable() -> Rights {
    Rights::READ | Rights::WRITE
}

fn fresh() -> UserFrame {
    UserFrame::zeroed().expect("the machine has memory")
}

impl Crowd {
    /// An address space that has a program, and a page at [`DATA`].
    fn new(code: &[u8]) -> Crowd {
        let guest = Guest::new(code);
        Crowd {
            table: guest.table,
            stop: Arc::new(AtomicBool::new(false)),
            faults: Arc::new([const { AtomicUsize::new(0) }; MAX_CPUS]),
            jobs: Started::default(),
        }
    }

    /// All other processors run the program; each fault is counted and tried again.
    fn run_program(&mut self) {
        for cpu in others() {
            let space = self.table.space().clone();
            let (stop, faults) = (Arc::clone(&self.stop), Arc::clone(&self.faults));
            let mut context = UserContext::new().expect("the machine has memory");
            context.reset(CODE, 0);
            self.jobs.start(cpu, move || {
                while !stop.load(Ordering::Relaxed) {
                    match context.run(&space) {
                        Trap::Interrupt(_) => {}
                        Trap::PageFault { .. } => {
                            faults[cpu.index()].fetch_add(1, Ordering::Relaxed);
                        }
                        other => panic!("{other:?}: a page was seen that is gone"),
                    }
                }
                context.leave().expect("memory");
            });
        }
    }

    /// All other processors call `use_it` again and again.
    fn run_kernel(&mut self, use_it: impl Fn(&SpaceRef) + Send + Copy + 'static) {
        for cpu in others() {
            let space = self.table.space().clone();
            let stop = Arc::clone(&self.stop);
            self.jobs.start(cpu, move || {
                while !stop.load(Ordering::Relaxed) {
                    use_it(&space);
                }
            });
        }
    }

    /// The frame at [`DATA`], kept.
    fn frame(&self) -> UserFrame {
        // Between two changes, so that nobody takes this processor for stuck.
        while irq::poll_pending().is_some() {}
        self.table.query(DATA).expect("it is mapped").frame
    }

    /// Waits until every other processor has faulted once more.
    fn wait_for_faults(&self) {
        for cpu in others() {
            let count = &self.faults[cpu.index()];
            let before = count.load(Ordering::Relaxed);
            while count.load(Ordering::Relaxed) == before {
                spin_loop();
            }
        }
    }

    /// Stops everybody and gives the address space back.
    fn end(self) -> PageTable {
        self.stop.store(true, Ordering::Relaxed);
        others().for_each(irq::kick);
        self.jobs.wait();
        self.table
    }
}

#[ktest]
fn a_replaced_page_is_not_read_any_more() {
    let mut crowd = Crowd::new(reader());
    crowd.run_program();
    for _ in 0..ROUNDS {
        let old = crowd.frame();
        let flush = crowd.table.replace(DATA, fresh(), writable());
        flush.expect("the table is there").flush();
        old.write(0, &GONE.to_le_bytes());
    }
    drop(crowd.end());
}

/// The tests around this one prove something: without the shoot-down they fail.
#[ktest]
fn leaving_the_other_processors_out_is_noticed() {
    if others().next().is_none() {
        return;
    }
    let mut crowd = Crowd::new(reader());
    let found = Arc::new(AtomicUsize::new(0));
    for cpu in others() {
        let space = crowd.table.space().clone();
        let (stop, found) = (Arc::clone(&crowd.stop), Arc::clone(&found));
        let mut context = UserContext::new().expect("the machine has memory");
        context.reset(CODE, 0);
        crowd.jobs.start(cpu, move || {
            while !stop.load(Ordering::Relaxed) {
                if context.run(&space) == Trap::Syscall {
                    found.fetch_add(1, Ordering::Relaxed);
                    context.reset(CODE, 0);
                }
            }
            context.leave().expect("memory");
        });
    }
    presence::LEFT_OUT.store(true, Ordering::Relaxed);
    // Kept until nobody remembers them.
    let mut gone = Vec::new();
    while gone.len() < ROUNDS && found.load(Ordering::Relaxed) == 0 {
        let old = crowd.frame();
        let flush = crowd.table.replace(DATA, fresh(), writable());
        flush.expect("the table is there").flush();
        old.write(0, &GONE.to_le_bytes());
        gone.push(old);
        // Long enough for a host that is busy to let another processor run.
        let until = crate::clock::now_ns() + 2_000_000;
        while crate::clock::now_ns() < until {
            spin_loop();
        }
    }
    presence::LEFT_OUT.store(false, Ordering::Relaxed);
    drop(crowd.end());
    assert_ne!(found.load(Ordering::Relaxed), 0);
}

#[ktest]
fn an_unmapped_page_is_not_read_any_more() {
    let mut crowd = Crowd::new(reader());
    crowd.run_program();
    for round in 0..ROUNDS {
        let old = crowd.frame();
        crowd
            .table
            .unmap(DATA..DATA + PAGE_SIZE as u64)
            .expect("room")
            .flush();
        old.write(0, &GONE.to_le_bytes());
        if round % 50 == 0 {
            crowd.wait_for_faults();
        }
        let mapped = crowd.table.map(DATA, fresh(), writable());
        mapped.expect("the machine has memory");
    }
    drop(crowd.end());
}

#[ktest]
fn a_read_only_page_is_not_written_any_more() {
    let mut crowd = Crowd::new(writer());
    crowd.run_program();
    let frame = crowd.frame();
    let count = || {
        let mut bytes = [0; 8];
        frame.read(0, &mut bytes);
        u64::from_le_bytes(bytes)
    };
    for round in 0..ROUNDS {
        while irq::poll_pending().is_some() {}
        crowd
            .table
            .set_rights(DATA, Rights::READ)
            .expect("room")
            .flush();
        let before = count();
        if round % 50 == 0 {
            crowd.wait_for_faults();
        }
        for _ in 0..100 {
            assert_eq!(count(), before, "written after it was made read-only");
        }
        crowd
            .table
            .set_rights(DATA, writable())
            .expect("room")
            .flush();
    }
    drop(crowd.end());
}

#[ktest]
fn the_kernels_copies_do_not_use_a_page_that_is_gone() {
    let mut crowd = Crowd::new(reader());
    crowd.run_kernel(|space| {
        let mut page = [0; PAGE_SIZE];
        let _ = space.copy_in(DATA, &mut page);
        assert!(
            !page.contains(&(GONE as u8)),
            "a page was seen that is gone"
        );
        let _ = space.copy_out(DATA, &[1; PAGE_SIZE]);
    });
    for _ in 0..ROUNDS {
        let old = crowd.frame();
        crowd
            .table
            .unmap(DATA..DATA + PAGE_SIZE as u64)
            .expect("room")
            .flush();
        old.write(0, &[GONE as u8; PAGE_SIZE]);
        let mapped = crowd.table.map(DATA, fresh(), writable());
        mapped.expect("the machine has memory");
        let mut page = [0; PAGE_SIZE];
        old.read(0, &mut page);
        assert_eq!(
            page, [GONE as u8; PAGE_SIZE],
            "a page was written that is gone"
        );
    }
    drop(crowd.end());
}

/// Frames that are free or the heap's, which takes and gives as it likes.
fn frames_of_nobody() -> usize {
    let stats = memory::stats();
    stats.free + stats.heap
}

/// Waits until as many frames are there as before: a few tables are still kept
/// for processors that may remember them.
fn wait_for_frames(before: usize) {
    while frames_of_nobody() != before {
        spin_loop();
    }
}

#[ktest]
fn frames_and_tables_come_back() {
    const FAR: u64 = 0x7000_0000_0000;
    // Whatever is made once is made.
    drop(Crowd::new(reader()));
    others().for_each(irq::kick);
    let mut warm = Started::default();
    others().for_each(|cpu| warm.start(cpu, || {}));
    warm.wait();
    let before = frames_of_nobody();
    for _ in 0..10 {
        let mut crowd = Crowd::new(reader());
        crowd.run_program();
        for _ in 0..10 {
            let far = FAR..FAR + 3 * (2 << 20);
            for at in far.clone().step_by(1 << 20) {
                let mapped = crowd.table.map(at, fresh(), writable());
                mapped.expect("the machine has memory");
            }
            crowd.table.unmap(far).expect("room").flush();
        }
        drop(crowd.end());
    }
    wait_for_frames(before);
}

#[ktest]
fn two_spaces_are_changed_by_two_processors_at_once() {
    // Each changes its own space while the next one runs in it.
    let spaces: Vec<_> = cpu::all()
        .map(|_| Arc::new(SpinLock::new(Guest::new(reader()).table)))
        .collect();
    let change = |table: &SpinLock<PageTable>, other: &SpaceRef| {
        let mut context = UserContext::new().expect("the machine has memory");
        context.reset(CODE, 0);
        for _ in 0..ROUNDS {
            let mut table = table.lock();
            let old = table.query(DATA).expect("it is mapped").frame;
            let flush = table.replace(DATA, fresh(), writable());
            flush.expect("the table is there").flush();
            drop(table);
            old.write(0, &GONE.to_le_bytes());
            irq::kick(cpu::current());
            let trap = context.run(other);
            assert!(matches!(trap, Trap::Interrupt(_)), "{trap:?}");
        }
        context.leave().expect("memory");
    };
    let mut jobs = Started::default();
    for cpu in others() {
        let table = Arc::clone(&spaces[cpu.index()]);
        let next = Arc::clone(&spaces[(cpu.index() + 1) % spaces.len()]);
        jobs.start(cpu, move || {
            let other = next.lock().space().clone();
            change(&table, &other);
        });
    }
    let other = spaces[1 % spaces.len()].lock().space().clone();
    change(&spaces[0], &other);
    jobs.wait();
}
