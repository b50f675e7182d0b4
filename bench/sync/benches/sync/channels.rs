//! Channels: how long a message takes from senders to receivers, many at a time.

use core::hint::black_box;

use criterion::{BenchmarkId, Criterion};

use crate::harness::{Group, each};

/// How much room the bounded channels have.
const ROOM: usize = 128;

/// One kind of channel of one library.
trait Channel {
    /// Who wrote it.
    const NAME: &'static str;
    type Sender: Clone + Send;
    type Receiver: Send;
    fn new() -> (Self::Sender, Self::Receiver);
    /// One more receiver, if there may be several.
    fn another(receiver: &Self::Receiver) -> Option<Self::Receiver>;
    fn send(sender: &Self::Sender, message: u64);
    /// False at the end.
    fn receive(receiver: &mut Self::Receiver) -> bool;
}

macro_rules! channels {
    ($($marker:ident $name:literal $sender:ty, $receiver:ty, $new:expr, $another:expr;)*) => {
        $(
            struct $marker;
            impl Channel for $marker {
                const NAME: &'static str = $name;
                type Sender = $sender;
                type Receiver = $receiver;
                fn new() -> (Self::Sender, Self::Receiver) {
                    $new
                }
                fn another(receiver: &Self::Receiver) -> Option<Self::Receiver> {
                    let another: fn(&$receiver) -> Option<$receiver> = $another;
                    another(receiver)
                }
                fn send(sender: &Self::Sender, message: u64) {
                    sender.send(message).expect("the receivers stay");
                }
                fn receive(receiver: &mut Self::Receiver) -> bool {
                    black_box(receiver.recv()).is_ok()
                }
            }
        )*
    };
}

channels! {
    StdUnbounded "std" std::sync::mpsc::Sender<u64>, std::sync::mpsc::Receiver<u64>,
        std::sync::mpsc::channel(), |_| None;
    StdBounded "std" std::sync::mpsc::SyncSender<u64>, std::sync::mpsc::Receiver<u64>,
        std::sync::mpsc::sync_channel(ROOM), |_| None;
    StdRendezvous "std" std::sync::mpsc::SyncSender<u64>, std::sync::mpsc::Receiver<u64>,
        std::sync::mpsc::sync_channel(0), |_| None;
    CrossbeamUnbounded "crossbeam" crossbeam_channel::Sender<u64>, crossbeam_channel::Receiver<u64>,
        crossbeam_channel::unbounded(), |receiver| Some(receiver.clone());
    CrossbeamBounded "crossbeam" crossbeam_channel::Sender<u64>, crossbeam_channel::Receiver<u64>,
        crossbeam_channel::bounded(ROOM), |receiver| Some(receiver.clone());
    CrossbeamRendezvous "crossbeam" crossbeam_channel::Sender<u64>, crossbeam_channel::Receiver<u64>,
        crossbeam_channel::bounded(0), |receiver| Some(receiver.clone());
    FlumeUnbounded "flume" flume::Sender<u64>, flume::Receiver<u64>,
        flume::unbounded(), |receiver| Some(receiver.clone());
    FlumeBounded "flume" flume::Sender<u64>, flume::Receiver<u64>,
        flume::bounded(ROOM), |receiver| Some(receiver.clone());
    FlumeRendezvous "flume" flume::Sender<u64>, flume::Receiver<u64>,
        flume::bounded(0), |receiver| Some(receiver.clone());
    OchreUnbounded "ochre" ochre_sync::channel::host::Sender<u64>, ochre_sync::channel::host::Receiver<u64>,
        ochre_sync::channel::host::unbounded(), |receiver| Some(receiver.clone());
    OchreBounded "ochre" ochre_sync::channel::host::Sender<u64>, ochre_sync::channel::host::Receiver<u64>,
        ochre_sync::channel::host::bounded(ROOM), |receiver| Some(receiver.clone());
    OchreRendezvous "ochre" ochre_sync::channel::host::Sender<u64>, ochre_sync::channel::host::Receiver<u64>,
        ochre_sync::channel::host::rendezvous(), |receiver| Some(receiver.clone());
    OchreMpscUnbounded "ochre mpsc" ochre_sync::channel::host::Sender<u64>,
        ochre_sync::channel::host::mpsc::Receiver<u64>,
        ochre_sync::channel::host::mpsc::unbounded(), |_| None;
    OchreMpscBounded "ochre mpsc" ochre_sync::channel::host::Sender<u64>,
        ochre_sync::channel::host::mpsc::Receiver<u64>,
        ochre_sync::channel::host::mpsc::bounded(ROOM), |_| None;
}

/// How many send, how many receive.
const SHAPES: [(usize, usize); 4] = [(1, 1), (2, 1), (3, 1), (2, 2)];

/// A message that a thread sends to itself: what a channel costs by itself.
fn alone<C: Channel>(group: &mut Group<'_>) {
    let name = format!("{}, alone", C::NAME);
    group.bench_function(BenchmarkId::new(name, 1), |bencher| {
        let (sender, mut receiver) = C::new();
        bencher.iter(|| {
            C::send(&sender, 1);
            C::receive(&mut receiver)
        });
    });
}

fn rows<C: Channel>(group: &mut Group<'_>, (senders, receivers): (usize, usize)) {
    if receivers > 1 && C::another(&C::new().1).is_none() {
        return;
    }
    let name = format!("{}, {senders} to {receivers}", C::NAME);
    group.bench_function(BenchmarkId::new(name, senders + receivers), |bencher| {
        bencher.iter_custom(|rounds| {
            let (sender, receiver) = C::new();
            let mut ends: Vec<_> = (1..receivers)
                .filter_map(|_| C::another(&receiver).map(End::Receiver))
                .collect();
            ends.push(End::Receiver(receiver));
            ends.extend((1..senders).map(|_| End::Sender(sender.clone())));
            ends.push(End::Sender(sender));
            ends.reverse();
            let share = rounds.div_ceil(senders as u64);
            each(ends, |end| match end {
                End::Sender(sender) => {
                    for message in 0..share {
                        C::send(&sender, message);
                    }
                }
                End::Receiver(mut receiver) => while C::receive(&mut receiver) {},
            })
        });
    });
}

/// What a thread does.
enum End<S, R> {
    Sender(S),
    Receiver(R),
}

/// A message through a channel that grows, one with room and one with none.
pub(crate) fn messages(criterion: &mut Criterion) {
    let mut group = crate::harness::group(criterion, "a message, unbounded channel");
    alone::<StdUnbounded>(&mut group);
    alone::<CrossbeamUnbounded>(&mut group);
    alone::<FlumeUnbounded>(&mut group);
    alone::<OchreUnbounded>(&mut group);
    alone::<OchreMpscUnbounded>(&mut group);
    for shape in SHAPES {
        rows::<StdUnbounded>(&mut group, shape);
        rows::<CrossbeamUnbounded>(&mut group, shape);
        rows::<FlumeUnbounded>(&mut group, shape);
        rows::<OchreUnbounded>(&mut group, shape);
        rows::<OchreMpscUnbounded>(&mut group, shape);
    }
    group.finish();
    let mut group = crate::harness::group(criterion, "a message, room for 128");
    alone::<StdBounded>(&mut group);
    alone::<CrossbeamBounded>(&mut group);
    alone::<FlumeBounded>(&mut group);
    alone::<OchreBounded>(&mut group);
    alone::<OchreMpscBounded>(&mut group);
    for shape in SHAPES {
        rows::<StdBounded>(&mut group, shape);
        rows::<CrossbeamBounded>(&mut group, shape);
        rows::<FlumeBounded>(&mut group, shape);
        rows::<OchreBounded>(&mut group, shape);
        rows::<OchreMpscBounded>(&mut group, shape);
    }
    group.finish();
    let mut group = crate::harness::group(criterion, "a message, from hand to hand");
    for shape in SHAPES {
        rows::<StdRendezvous>(&mut group, shape);
        rows::<CrossbeamRendezvous>(&mut group, shape);
        rows::<FlumeRendezvous>(&mut group, shape);
        rows::<OchreRendezvous>(&mut group, shape);
    }
    group.finish();
}
