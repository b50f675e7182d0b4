//! tokio with four threads: timers, channels, files, blocking work, many tasks.

use core::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use std::{collections::BTreeSet, env, io, process, sync::Arc, thread, time::Instant};

use tokio::{
    fs, runtime,
    sync::{Barrier, Mutex, Notify, RwLock, Semaphore, broadcast, mpsc, oneshot, watch},
    task::{self, JoinSet},
    time,
};

use crate::Outcome;

pub(crate) fn run() -> Outcome {
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .thread_name("task-worker")
        .enable_time()
        .build()?;
    runtime.block_on(all())?;
    // What is still asleep is dropped, not waited for.
    let _never = runtime.spawn(async { time::sleep(Duration::from_secs(10_000)).await });
    runtime.shutdown_timeout(Duration::from_secs(100));
    println!("shut down");
    Ok(())
}

async fn all() -> Outcome {
    many().await?;
    timers().await?;
    channels().await?;
    locks().await?;
    files().await?;
    blocking().await?;
    cancelled().await
}

async fn many() -> Outcome {
    let mut set = JoinSet::new();
    for n in 0..1000_u64 {
        set.spawn(async move {
            task::yield_now().await;
            n
        });
    }
    let mut sum = 0;
    while let Some(n) = set.join_next().await {
        sum += n?;
    }
    println!("1000 tasks: {sum}");
    Ok(())
}

async fn timers() -> Outcome {
    let start = Instant::now();
    let mut set = JoinSet::new();
    // In other orders than they are due in.
    for n in [3_u64, 1, 4, 0, 2] {
        set.spawn(async move {
            time::sleep(Duration::from_millis(n * 20)).await;
            n
        });
    }
    let mut sum = 0;
    while let Some(n) = set.join_next().await {
        sum += n?;
    }
    let waited = start.elapsed() >= Duration::from_millis(80);
    println!("timers: {sum}, waited long enough {waited}");
    let mut interval = time::interval(Duration::from_millis(3));
    let start = Instant::now();
    for _ in 0..4 {
        interval.tick().await;
    }
    println!("interval: {}", start.elapsed() >= Duration::from_millis(9));
    let never = core::future::pending::<()>();
    let timed = time::timeout(Duration::from_millis(5), never).await;
    println!("timed out: {}", timed.is_err());
    Ok(())
}

async fn channels() -> Outcome {
    let (send, mut receive) = mpsc::channel(4);
    for part in 0..4_u32 {
        let send = send.clone();
        tokio::spawn(async move {
            for n in 0..50 {
                if send.send(part * 50 + n).await.is_err() {
                    return;
                }
            }
        });
    }
    drop(send);
    let mut all = BTreeSet::new();
    while let Some(n) = receive.recv().await {
        all.insert(n);
    }
    println!("bounded: {}", all.len());
    let (send, receive) = oneshot::channel();
    tokio::spawn(async move { send.send("once") });
    println!("one-shot: {}", receive.await?);
    let (send, _) = broadcast::channel(16);
    let mut listeners = JoinSet::new();
    for _ in 0..3 {
        let mut receive = send.subscribe();
        listeners.spawn(async move {
            let mut sum = 0_u32;
            while let Ok(n) = receive.recv().await {
                sum += n;
            }
            sum
        });
    }
    for n in 1..=10 {
        send.send(n)?;
    }
    drop(send);
    println!("broadcast: {:?}", listeners.join_all().await);
    let (send, mut receive) = watch::channel(0_u32);
    let watcher = tokio::spawn(async move {
        receive
            .wait_for(|value| *value == 20)
            .await
            .map(|value| *value)
    });
    for n in 1..=20 {
        send.send_replace(n);
        task::yield_now().await;
    }
    println!("watched: {:?}", watcher.await?);
    Ok(())
}

async fn locks() -> Outcome {
    let count = Arc::new(Mutex::new(0_u32));
    let table = Arc::new(RwLock::new(Vec::new()));
    let places = Arc::new(Semaphore::new(3));
    let inside = Arc::new(AtomicU32::new(0));
    let mut set = JoinSet::new();
    for n in 0..40_u32 {
        let (count, table) = (Arc::clone(&count), Arc::clone(&table));
        let (places, inside) = (Arc::clone(&places), Arc::clone(&inside));
        set.spawn(async move {
            for _ in 0..10 {
                let mut count = count.lock().await;
                let old = *count;
                task::yield_now().await;
                *count = old + 1;
            }
            table.write().await.push(n);
            let place = places.acquire().await;
            // ORDERING: only a count.
            let together = inside.fetch_add(1, Ordering::Relaxed) + 1;
            task::yield_now().await;
            inside.fetch_sub(1, Ordering::Relaxed);
            drop(place);
            together
        });
    }
    let most = set.join_all().await.into_iter().max();
    println!(
        "count {}, table {}, never more than three: {}",
        count.lock().await,
        table.read().await.len(),
        most.is_some_and(|most| most <= 3)
    );
    let notify = Arc::new(Notify::new());
    let waiting = Arc::clone(&notify);
    let waiter = tokio::spawn(async move { waiting.notified().await });
    notify.notify_one();
    waiter.await?;
    let barrier = Arc::new(Barrier::new(5));
    let mut set = JoinSet::new();
    for _ in 0..5 {
        let barrier = Arc::clone(&barrier);
        set.spawn(async move { barrier.wait().await.is_leader() });
    }
    let leaders = set.join_all().await.into_iter().filter(|&led| led).count();
    println!("notified; {leaders} leader of five");
    Ok(())
}

async fn files() -> Outcome {
    let folder = env::temp_dir().join(format!("tasks-{}", process::id()));
    fs::create_dir_all(&folder).await?;
    let mut set = JoinSet::new();
    for n in 0..10_u32 {
        let path = folder.join(format!("file-{n}"));
        set.spawn(async move {
            fs::write(&path, format!("{n} ").repeat(1000)).await?;
            let text = fs::read_to_string(&path).await?;
            Ok::<usize, io::Error>(text.split(' ').filter(|word| !word.is_empty()).count())
        });
    }
    let mut words = 0;
    while let Some(read) = set.join_next().await {
        words += read??;
    }
    let mut entries = fs::read_dir(&folder).await?;
    let mut names = BTreeSet::new();
    while let Some(entry) = entries.next_entry().await? {
        names.insert(entry.file_name());
    }
    fs::remove_dir_all(&folder).await?;
    println!("{words} words in {} files", names.len());
    println!(
        "gone: {:?}",
        fs::metadata(&folder)
            .await
            .map_err(|error| error.kind())
            .err()
    );
    Ok(())
}

/// Work that blocks goes to threads of its own while tasks go on.
async fn blocking() -> Outcome {
    let mut set = JoinSet::new();
    for n in 0..20_u64 {
        set.spawn_blocking(move || {
            thread::sleep(Duration::from_millis(2));
            (1..=n).product::<u64>()
        });
    }
    let all: BTreeSet<u64> = set.join_all().await.into_iter().collect();
    println!("blocking: {} answers, the last {:?}", all.len(), all.last());
    let inside =
        tokio::spawn(async { task::block_in_place(|| thread::current().name().is_some()) });
    println!("in place: {}", inside.await?);
    Ok(())
}

async fn cancelled() -> Outcome {
    let dropped = Arc::new(Notify::new());
    struct Tell(Arc<Notify>);
    impl Drop for Tell {
        fn drop(&mut self) {
            self.0.notify_one();
        }
    }
    let tell = Tell(Arc::clone(&dropped));
    let task = tokio::spawn(async move {
        let _tell = tell;
        core::future::pending::<()>().await;
    });
    task.abort();
    dropped.notified().await;
    println!(
        "aborted: {:?}",
        task.await.map_err(|error| error.is_cancelled())
    );
    std::panic::set_hook(Box::new(|_| {}));
    let task = tokio::spawn(async { panic!("in a task") });
    let ended = task.await.map_err(|error| error.is_panic());
    let _ = std::panic::take_hook();
    println!("panicked: {ended:?}");
    Ok(())
}
