//! Channels of std: unbounded, bounded, with room for nothing; closed from either side.

use core::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Barrier,
        mpsc::{self, RecvTimeoutError, TryRecvError, TrySendError},
    },
    thread,
};

use crate::Outcome;

pub(crate) fn run() -> Outcome {
    one_thread()?;
    unbounded()?;
    bounded()?;
    rendezvous()?;
    closed();
    many_senders()?;
    pipeline()
}

fn one_thread() -> Outcome {
    let (send, receive) = mpsc::channel();
    send.send(10)?;
    send.send(20)?;
    let another = send.clone();
    another.send(30)?;
    println!(
        "{} {} {}",
        receive.recv()?,
        receive.recv()?,
        receive.recv()?
    );
    println!("empty: {}", receive.try_recv() == Err(TryRecvError::Empty));
    Ok(())
}

/// The sender never waits: it has ended before the first message is read.
fn unbounded() -> Outcome {
    let (send, receive) = mpsc::channel();
    let sender = thread::spawn(move || (0..1000).try_for_each(|n| send.send(n)));
    sender.join().map_err(|_| "panicked")??;
    println!("unbounded sum {}", receive.iter().sum::<u32>());
    Ok(())
}

/// The sender is never more than the channel's length ahead.
fn bounded() -> Outcome {
    const LENGTH: usize = 3;
    let (send, receive) = mpsc::sync_channel(LENGTH);
    let sent = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&sent);
    let sender = thread::spawn(move || {
        for n in 0..200_u32 {
            send.send(n)?;
            // ORDERING: only a count; what it is compared with is received
            // over the channel.
            count.fetch_add(1, Ordering::Relaxed);
        }
        Ok::<(), mpsc::SendError<u32>>(())
    });
    let mut within = true;
    let mut sum = 0;
    for (received, n) in receive.iter().enumerate() {
        let ahead = sent.load(Ordering::Relaxed) as usize;
        // One more may have been sent and not counted, or the other way round.
        within &= ahead <= received + LENGTH + 1;
        sum += n;
    }
    sender.join().map_err(|_| "panicked")??;
    println!("bounded sum {sum}, never too far ahead: {within}");
    Ok(())
}

/// A channel with room for nothing: sending waits for the one who receives.
fn rendezvous() -> Outcome {
    let (send, receive) = mpsc::sync_channel(0);
    println!(
        "nobody there: {}",
        send.try_send(0) == Err(TrySendError::Full(0))
    );
    let taken = Arc::new(AtomicU32::new(0));
    let mark = Arc::clone(&taken);
    let receiver = thread::spawn(move || {
        for expected in 1..=50_u32 {
            mark.store(expected, Ordering::Release);
            if receive.recv() != Ok(expected) {
                return false;
            }
        }
        true
    });
    let mut met = true;
    for n in 1..=50 {
        send.send(n)?;
        // ORDERING: the receiver marks before it takes; a send that returned
        // was taken.
        met &= taken.load(Ordering::Acquire) >= n;
    }
    println!(
        "rendezvous: met {met}, all taken {}",
        receiver.join().map_err(|_| "panicked")?
    );
    Ok(())
}

fn closed() {
    let (send, receive) = mpsc::channel::<u32>();
    drop(receive);
    println!("no receiver: {:?}", send.send(7).map_err(|error| error.0));
    let (send, receive) = mpsc::channel();
    let sender = thread::spawn(move || send.send("last words"));
    let _ = sender.join();
    println!("what was sent: {:?}", receive.recv());
    println!("then no sender: {:?}", receive.recv().is_err());
    let (send, receive) = mpsc::channel::<u32>();
    let timed = receive.recv_timeout(Duration::from_millis(5));
    println!("in time: {}", timed == Err(RecvTimeoutError::Timeout));
    drop(send);
    let timed = receive.recv_timeout(Duration::from_secs(100));
    println!("closed: {}", timed == Err(RecvTimeoutError::Disconnected));
    // A receiver that waits already is told.
    let (send, receive) = mpsc::sync_channel::<u32>(1);
    let waiting = thread::spawn(move || receive.recv());
    thread::sleep(Duration::from_millis(2));
    drop(send);
    println!("told: {}", matches!(waiting.join(), Ok(Err(_))));
}

/// Each sender's messages stay in order.
fn many_senders() -> Outcome {
    const SENDERS: u32 = 6;
    let (send, receive) = mpsc::channel();
    let start = Arc::new(Barrier::new(SENDERS as usize));
    for sender in 0..SENDERS {
        let (send, start) = (send.clone(), Arc::clone(&start));
        thread::spawn(move || {
            start.wait();
            (0..100_u32).try_for_each(|n| send.send((sender, n)))
        });
    }
    drop(send);
    let mut by_sender: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (sender, n) in receive {
        by_sender.entry(sender).or_default().push(n);
    }
    let in_order = by_sender.values().all(|all| all.iter().copied().eq(0..100));
    println!("{} senders, each in order: {in_order}", by_sender.len());
    Ok(())
}

/// A sieve: each stage is a thread that lets through what its prime does not
/// divide.
fn pipeline() -> Outcome {
    let (first, mut source) = mpsc::sync_channel(4);
    let numbers = thread::spawn(move || {
        for n in 2..100_u32 {
            if first.send(n).is_err() {
                return;
            }
        }
    });
    let mut primes = Vec::new();
    let mut stages = Vec::new();
    while let Ok(prime) = source.recv() {
        primes.push(prime);
        let (send, next) = mpsc::sync_channel(4);
        let before = core::mem::replace(&mut source, next);
        stages.push(thread::spawn(move || {
            before
                .iter()
                .filter(|n| n % prime != 0)
                .all(|n| send.send(n).is_ok())
        }));
    }
    numbers.join().map_err(|_| "panicked")?;
    for stage in stages {
        stage.join().map_err(|_| "panicked")?;
    }
    println!("primes {primes:?}");
    Ok(())
}
