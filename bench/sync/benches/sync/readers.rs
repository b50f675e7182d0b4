//! Reading what is seldom written: readers-writer locks, the sequence lock, and
//! RCU beside arc-swap and crossbeam's epochs.
//!
//! What is freed late is read in three ways: by a thread that says now and then
//! that it reads nothing (`Participant`, here after each 64 reads), by one that
//! says when it reads and has its slot at hand (`Epoch`, crossbeam's
//! `LocalHandle`), and by one that finds its slot first (`pinned`, `pin`).
//! Crossbeam's pointers cannot be followed without unsafe code: its rows read the
//! pointer only, and so do the rows of Ochre's that are compared with them.

use core::hint::black_box;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::sync::Arc;
use std::thread;

use arc_swap::ArcSwap;
use criterion::{BenchmarkId, Criterion};
use crossbeam_epoch::Atomic;
use ochre_sync::rcu::{self, Epoch, Host, Participant, RcuBox, RcuCell};

use crate::harness::{Group, THREADS, group, pin, together};

/// One word that is read often.
trait Word: Sync {
    /// Who wrote it.
    const NAME: &'static str;
    /// What a reader keeps from one read to the next.
    type Reader;
    fn new() -> Self;
    fn reader() -> Self::Reader;
    fn read(&self, reader: &mut Self::Reader) -> u64;
    fn write(&self, value: u64);
}

macro_rules! locks {
    ($($type:ty, $name:literal, $new:expr, |$word:ident| $read:expr, |$value:ident| $write:expr;)*) => {
        $(
            impl Word for $type {
                const NAME: &'static str = $name;
                type Reader = ();
                fn new() -> Self {
                    $new
                }
                fn reader() {}
                #[inline]
                fn read(&self, (): &mut ()) -> u64 {
                    let $word = self;
                    $read
                }
                fn write(&self, $value: u64) {
                    let $word = self;
                    $write;
                }
            }
        )*
    };
}

locks! {
    std::sync::RwLock<u64>, "std RwLock", std::sync::RwLock::new(7),
        |word| *word.read().expect("nobody panics"), |value| *word.write().expect("nobody panics") = value;
    parking_lot::RwLock<u64>, "parking_lot RwLock", parking_lot::RwLock::new(7),
        |word| *word.read(), |value| *word.write() = value;
    ochre_sync::host::RwLock<u64>, "ochre RwLock", ochre_sync::host::RwLock::new(7),
        |word| *word.read().expect("nobody panics"), |value| *word.write().expect("nobody panics") = value;
    ochre_sync::SeqWords<1>, "ochre SeqWords", ochre_sync::SeqWords::new([7]),
        |word| word.read()[0], |value| word.update(|_| [value]);
    ArcSwap<u64>, "arc-swap", ArcSwap::from_pointee(7),
        |word| **word.load(), |value| word.store(Arc::new(value));
    Pinned, "ochre rcu pinned", Pinned(cell()),
        |word| rcu::pinned(|guard| *word.0.read(guard)), |value| replace(&word.0, value);
}

type Cell = RcuCell<u64, Host>;

fn cell() -> Cell {
    RcuCell::new(RcuBox::new(7))
}

fn replace(cell: &Cell, value: u64) {
    cell.replace(RcuBox::new(value));
    rcu::collect::<Host>();
}

/// A pointer of crossbeam's, which is read and not followed.
struct Pointed(Atomic<u64>);

impl Pointed {
    #[inline]
    fn pointer(&self, guard: &crossbeam_epoch::Guard) -> u64 {
        self.0.load(Ordering::Acquire, guard).as_raw() as u64
    }
}

impl Word for Pointed {
    const NAME: &'static str = "crossbeam-epoch pin, pointer only";
    type Reader = ();
    fn new() -> Self {
        Pointed(Atomic::new(7))
    }
    fn reader() {}
    #[inline]
    fn read(&self, (): &mut ()) -> u64 {
        self.pointer(&crossbeam_epoch::pin())
    }
    /// Nothing: rows without a writer only.
    fn write(&self, _value: u64) {}
}

/// Read by whoever comes.
struct Pinned(Cell);

/// Read by those who have a slot at hand.
struct AtHand(Cell);

/// Read by those who say when they read nothing.
struct Quiet(Cell);

/// As [`Pointed`], for those who have a slot at hand.
struct PointedAtHand(Pointed);

/// Where a value is, which is not read.
fn place(value: &u64) -> u64 {
    core::ptr::from_ref(value).addr() as u64
}

/// As [`Pinned`]; the pointer is read and not followed.
struct PinnedPointer(Cell);

impl Word for PinnedPointer {
    const NAME: &'static str = "ochre rcu pinned, pointer only";
    type Reader = ();
    fn new() -> Self {
        PinnedPointer(cell())
    }
    fn reader() {}
    #[inline]
    fn read(&self, (): &mut ()) -> u64 {
        rcu::pinned(|guard| place(self.0.read(guard)))
    }
    fn write(&self, _value: u64) {}
}

/// As [`AtHand`]; the pointer is read and not followed.
struct PointerAtHand(Cell);

impl Word for PointerAtHand {
    const NAME: &'static str = "ochre rcu Epoch, pointer only";
    type Reader = Epoch<Host>;
    fn new() -> Self {
        PointerAtHand(cell())
    }
    fn reader() -> Epoch<Host> {
        Epoch::register()
    }
    #[inline]
    fn read(&self, epoch: &mut Epoch<Host>) -> u64 {
        place(self.0.read(&epoch.pin()))
    }
    fn write(&self, _value: u64) {}
}

/// How many reads are between two moments in which a participant reads nothing.
const READS: u32 = 64;

impl Word for AtHand {
    const NAME: &'static str = "ochre rcu Epoch";
    type Reader = Epoch<Host>;
    fn new() -> Self {
        AtHand(cell())
    }
    fn reader() -> Epoch<Host> {
        Epoch::register()
    }
    #[inline]
    fn read(&self, epoch: &mut Epoch<Host>) -> u64 {
        *self.0.read(&epoch.pin())
    }
    fn write(&self, value: u64) {
        replace(&self.0, value);
    }
}

impl Word for Quiet {
    const NAME: &'static str = "ochre rcu Participant";
    type Reader = (Participant<Host>, u32);
    fn new() -> Self {
        Quiet(cell())
    }
    fn reader() -> (Participant<Host>, u32) {
        (Participant::register(), 0)
    }
    #[inline]
    fn read(&self, (participant, reads): &mut (Participant<Host>, u32)) -> u64 {
        let value = *self.0.read(&participant.read());
        *reads = reads.wrapping_add(1);
        if reads.is_multiple_of(READS) {
            participant.quiescent();
        }
        value
    }
    fn write(&self, value: u64) {
        replace(&self.0, value);
    }
}

impl Word for PointedAtHand {
    const NAME: &'static str = "crossbeam-epoch LocalHandle, pointer only";
    type Reader = crossbeam_epoch::LocalHandle;
    fn new() -> Self {
        PointedAtHand(Pointed(Atomic::new(7)))
    }
    fn reader() -> Self::Reader {
        crossbeam_epoch::default_collector().register()
    }
    #[inline]
    fn read(&self, reader: &mut Self::Reader) -> u64 {
        self.0.pointer(&reader.pin())
    }
    fn write(&self, _value: u64) {}
}

/// Reads by so many threads.
fn read<W: Word>(word: &W, threads: usize, rounds: u64) -> Duration {
    together(threads, rounds, |_, share| {
        let mut reader = W::reader();
        for _ in 0..share {
            black_box(black_box(word).read(&mut reader));
        }
    })
}

fn undisturbed<W: Word>(group: &mut Group<'_>, threads: usize) {
    group.bench_function(BenchmarkId::new(W::NAME, threads), |bencher| {
        bencher.iter_custom(|rounds| read(&W::new(), threads, rounds));
    });
}

/// How long the writer sleeps between two writes, and a little more.
const PAUSE: Duration = Duration::from_micros(50);

fn disturbed<W: Word>(group: &mut Group<'_>, threads: usize) {
    group.bench_function(BenchmarkId::new(W::NAME, threads), |bencher| {
        bencher.iter_custom(|rounds| {
            let (word, over) = (W::new(), AtomicBool::new(false));
            thread::scope(|scope| {
                scope.spawn(|| {
                    pin(threads);
                    let mut value = 0;
                    while !over.load(Ordering::Relaxed) {
                        thread::sleep(PAUSE);
                        value += 1;
                        word.write(value);
                    }
                });
                let time = read(&word, threads, rounds);
                over.store(true, Ordering::Relaxed);
                time
            })
        });
    });
}

/// A read of one word in each way.
pub(crate) fn reads(criterion: &mut Criterion) {
    let mut alone = group(criterion, "a read, no writer");
    for threads in THREADS {
        undisturbed::<std::sync::RwLock<u64>>(&mut alone, threads);
        undisturbed::<parking_lot::RwLock<u64>>(&mut alone, threads);
        undisturbed::<ochre_sync::host::RwLock<u64>>(&mut alone, threads);
        undisturbed::<ochre_sync::SeqWords<1>>(&mut alone, threads);
        undisturbed::<ArcSwap<u64>>(&mut alone, threads);
        undisturbed::<Pointed>(&mut alone, threads);
        undisturbed::<PointedAtHand>(&mut alone, threads);
        undisturbed::<PinnedPointer>(&mut alone, threads);
        undisturbed::<PointerAtHand>(&mut alone, threads);
        undisturbed::<Pinned>(&mut alone, threads);
        undisturbed::<AtHand>(&mut alone, threads);
        undisturbed::<Quiet>(&mut alone, threads);
    }
    alone.finish();
    let mut beside = group(criterion, "a read, a writer now and then");
    for threads in THREADS.into_iter().take(3) {
        disturbed::<std::sync::RwLock<u64>>(&mut beside, threads);
        disturbed::<parking_lot::RwLock<u64>>(&mut beside, threads);
        disturbed::<ochre_sync::host::RwLock<u64>>(&mut beside, threads);
        disturbed::<ochre_sync::SeqWords<1>>(&mut beside, threads);
        disturbed::<ArcSwap<u64>>(&mut beside, threads);
        disturbed::<Pinned>(&mut beside, threads);
        disturbed::<AtHand>(&mut beside, threads);
        disturbed::<Quiet>(&mut beside, threads);
    }
    beside.finish();
}

/// A write by each of several threads.
pub(crate) fn writes(criterion: &mut Criterion) {
    let mut writing = group(criterion, "readers-writer lock, a write");
    for threads in THREADS {
        written::<std::sync::RwLock<u64>>(&mut writing, threads);
        written::<parking_lot::RwLock<u64>>(&mut writing, threads);
        written::<ochre_sync::host::RwLock<u64>>(&mut writing, threads);
    }
    writing.finish();
}

fn written<W: Word>(group: &mut Group<'_>, threads: usize) {
    group.bench_function(BenchmarkId::new(W::NAME, threads), |bencher| {
        bencher.iter_custom(|rounds| {
            let word = W::new();
            together(threads, rounds, |_, share| {
                for value in 0..share {
                    black_box(&word).write(value);
                }
            })
        });
    });
}
