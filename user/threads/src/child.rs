//! What some of the programs start as processes of their own, and how they do.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::{
    env, io,
    io::{BufRead as _, Write as _},
    process::{Command, ExitCode, ExitStatus, Stdio},
    thread,
};

/// What a child did.
pub(crate) struct Done {
    /// What it wrote to standard output.
    pub(crate) stdout: String,
    /// How it ended.
    pub(crate) status: ExitStatus,
}

/// Starts a child, gives it its input, and waits for its end.
pub(crate) fn start(what: &str, input: &str) -> io::Result<Done> {
    let mut child = Command::new(env::current_exe()?)
        .args(["child", what])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    Ok(Done {
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        status: output.status,
    })
}

/// The children.
pub(crate) fn run(what: &str) -> ExitCode {
    match what {
        "unjoined" => unjoined(),
        "lines" => lines(),
        "stop-flag" => stop_flag(),
        "named-panic" => named_panic(),
        "too-many" => crate::atomics::too_many_ids(),
        _ => return ExitCode::from(2),
    }
    ExitCode::SUCCESS
}

/// Returns from `main` while other threads run, one of them for ever.
fn unjoined() {
    for _ in 0..3 {
        thread::spawn(|| {
            loop {
                thread::park();
            }
        });
    }
    thread::spawn(|| {
        loop {
            core::hint::spin_loop();
        }
    });
    println!("main is done");
}

/// Many threads write lines at once.
fn lines() {
    thread::scope(|scope| {
        for writer in 0..8 {
            scope.spawn(move || {
                for n in 0..50 {
                    println!("writer {writer} line {n} of {}", "fifty ".repeat(4));
                }
            });
        }
    });
}

/// Works until a line of the input says stop.
fn stop_flag() {
    static STOP: AtomicBool = AtomicBool::new(false);
    static ITEMS: AtomicU64 = AtomicU64::new(0);
    let worker = thread::spawn(|| {
        // ORDERING: the flag says nothing about other memory; the counter is
        // read after the join.
        while !STOP.load(Ordering::Relaxed) {
            ITEMS.fetch_add(1, Ordering::Relaxed);
            thread::yield_now();
        }
    });
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        match line.as_str() {
            "help" => println!("commands: help, stop"),
            "stop" => break,
            other => println!("no such command: {other}"),
        }
    }
    // ORDERING: as above.
    STOP.store(true, Ordering::Relaxed);
    println!("worker joined: {}", worker.join().is_ok());
}

/// Panics in a thread with a name; the words go where standard output goes,
/// for the parent to look at.
fn named_panic() {
    std::panic::set_hook(Box::new(|info| {
        let name = thread::current().name().map(str::to_owned);
        println!("hook: {name:?}, {:?}", info.payload_as_str());
    }));
    let joined = thread::Builder::new()
        .name("unlucky".to_owned())
        .spawn(|| panic!("as asked"))
        .map(thread::JoinHandle::join);
    println!("joined: {}", matches!(joined, Ok(Err(_))));
}
