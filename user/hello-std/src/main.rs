//! An ordinary Rust program: what std does on Linux, it must do on Ochre.
//!
//! `hello-std` runs all parts; `hello-std child N` is what it starts as other
//! processes. What it prints is the same on every run.
#![forbid(unsafe_code)]

use core::{error::Error, time::Duration};
use std::{
    collections::HashMap,
    env,
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write},
    os::unix::{
        fs::{FileExt, MetadataExt, PermissionsExt, symlink},
        process::{CommandExt, ExitStatusExt},
    },
    path::Path,
    process::{Command, ExitCode, Stdio},
    sync::{Arc, Condvar, Mutex, RwLock, mpsc},
    thread,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

type Outcome = Result<(), Box<dyn Error>>;

type Part = (&'static str, fn() -> Outcome);

fn main() -> ExitCode {
    let words: Vec<String> = env::args().collect();
    if words.get(1).is_some_and(|word| word == "child") {
        return child(words.get(2).map_or("", String::as_str));
    }
    let mut failed = 0_u8;
    let parts: [Part; 7] = [
        ("environment", environment),
        ("files", files),
        ("folders", folders),
        ("threads", threads),
        ("processes", processes),
        ("time", time),
        ("panics", panics),
    ];
    for (name, part) in parts {
        println!("-- {name}");
        if let Err(error) = part() {
            println!("{name}: {error}");
            failed += 1;
        }
    }
    ExitCode::from(failed)
}

fn child(what: &str) -> ExitCode {
    match what {
        "echo" => {
            let mut text = String::new();
            let read = io::stdin().read_to_string(&mut text);
            println!("child read {read:?}: {}", text.trim_end());
            eprintln!("child complains");
            ExitCode::from(3)
        }
        "environment" => {
            let mut all: Vec<_> = env::vars().collect();
            all.sort();
            println!(
                "child has {all:?} in {:?}",
                env::current_dir().unwrap_or_default()
            );
            ExitCode::SUCCESS
        }
        "abort" => std::process::abort(),
        "panic" => panic!("as asked"),
        _ => ExitCode::from(99),
    }
}

fn environment() -> Outcome {
    println!("{} arguments", env::args().count());
    println!("folder {}", env::current_dir()?.display());
    println!("HOME {:?}", env::var("HOME"));
    println!("nothing {:?}", env::var("NO_SUCH_VARIABLE"));
    println!("program is there: {}", env::current_exe()?.exists());
    println!(
        "a processor: {}",
        thread::available_parallelism()?.get() >= 1
    );
    println!("terminal: {}", io::IsTerminal::is_terminal(&io::stdout()));
    Ok(())
}

fn files() -> Outcome {
    let mut file = BufWriter::new(File::create("numbers")?);
    for n in 0..10_000 {
        writeln!(file, "{n}")?;
    }
    drop(file);
    let sum: u64 = BufReader::new(File::open("numbers")?)
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| line.parse::<u64>().ok())
        .sum();
    println!("sum {sum}, size {}", fs::metadata("numbers")?.len());
    let mut file = OpenOptions::new().read(true).write(true).open("numbers")?;
    file.seek(SeekFrom::End(-5))?;
    let mut tail = String::new();
    file.read_to_string(&mut tail)?;
    println!("tail {tail:?}");
    file.write_all_at(b"XX", 0)?;
    let mut head = [0_u8; 4];
    file.read_exact_at(&mut head, 0)?;
    println!("head {}", head.escape_ascii());
    file.set_len(3)?;
    println!("cut {:?}", fs::read("numbers")?.escape_ascii().to_string());
    println!("copied {}", fs::copy("numbers", "copy")?);
    fs::rename("copy", "moved")?;
    println!(
        "gone {:?}",
        fs::metadata("copy").map_err(|error| error.kind()).err()
    );
    fs::hard_link("moved", "linked")?;
    println!("links {}", fs::metadata("moved")?.nlink());
    fs::set_permissions("moved", fs::Permissions::from_mode(0o640))?;
    println!("mode {:o}", fs::metadata("linked")?.permissions().mode());
    symlink("moved", "soft")?;
    println!("soft leads to {}", fs::read_link("soft")?.display());
    println!(
        "soft is a link: {}",
        fs::symlink_metadata("soft")?.is_symlink()
    );
    println!(
        "new again: {:?}",
        File::create_new("moved")
            .map_err(|error| error.kind())
            .err()
    );
    println!(
        "of a folder: {:?}",
        File::create("/tmp").map_err(|error| error.kind()).err()
    );
    let stamp = UNIX_EPOCH + Duration::new(1_000_000_000, 5);
    file.set_modified(stamp)?;
    println!("modified {}", fs::metadata("numbers")?.modified()? == stamp);
    file.sync_all()?;
    file.try_lock()?;
    println!("locked");
    for name in ["numbers", "moved", "linked", "soft"] {
        fs::remove_file(name)?;
    }
    Ok(())
}

fn folders() -> Outcome {
    fs::create_dir_all("a/b/c")?;
    for name in ["one", "two", "three"] {
        fs::write(Path::new("a").join(name), name)?;
    }
    let mut names: Vec<String> = fs::read_dir("a")?
        .filter_map(Result::ok)
        .map(|entry| {
            let kind = entry
                .file_type()
                .map_or('?', |kind| if kind.is_dir() { 'd' } else { 'f' });
            format!("{kind}:{}", entry.file_name().to_string_lossy())
        })
        .collect();
    names.sort();
    println!("{names:?}");
    println!(
        "full {:?}",
        fs::remove_dir("a").map_err(|error| error.kind()).err()
    );
    env::set_current_dir("a/b")?;
    println!("up {}", fs::canonicalize("..")?.display());
    env::set_current_dir("../..")?;
    fs::remove_dir_all("a")?;
    println!("gone {}", !Path::new("a").exists());
    Ok(())
}

fn threads() -> Outcome {
    let counts = Arc::new(RwLock::new(HashMap::new()));
    let handles: Vec<_> = (0..4_u32)
        .map(|n| {
            let counts = Arc::clone(&counts);
            thread::Builder::new()
                .name(format!("worker-{n}"))
                .spawn(move || {
                    for i in 0..1000_u32 {
                        if let Ok(mut counts) = counts.write() {
                            *counts.entry(i % 7).or_insert(0_u32) += 1;
                        }
                    }
                    thread::current().name().map(str::to_owned)
                })
        })
        .collect::<Result<_, _>>()?;
    for handle in handles {
        println!("joined {:?}", handle.join().ok().flatten());
    }
    let counts = counts.read().map_err(|_| "poisoned")?;
    let mut sorted: Vec<_> = counts.iter().collect();
    sorted.sort();
    println!("{sorted:?}");
    let (send, receive) = mpsc::sync_channel(2);
    let producer = thread::spawn(move || (0..20).try_for_each(|n| send.send(n)));
    println!("received {:?}", receive.iter().collect::<Vec<i32>>());
    println!("sent {:?}", producer.join().map_err(|_| "panicked")?);
    let pair = (Mutex::new(0_u32), Condvar::new());
    thread::scope(|scope| {
        scope.spawn(|| {
            if let Ok(mut turn) = pair.0.lock() {
                *turn = 1;
                pair.1.notify_one();
            }
        });
        let guard = pair.0.lock().ok();
        let done = guard.and_then(|guard| pair.1.wait_while(guard, |turn| *turn == 0).ok());
        println!("turn {:?}", done.map(|turn| *turn));
    });
    Ok(())
}

fn processes() -> Outcome {
    let me = env::current_exe()?;
    let mut echo = Command::new(&me)
        .args(["child", "echo"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = echo.stdin.take() {
        stdin.write_all(b"hello, child\n")?;
    }
    let output = echo.wait_with_output()?;
    println!("status {:?}", output.status.code());
    print!("{}", String::from_utf8_lossy(&output.stdout));
    print!("{}", String::from_utf8_lossy(&output.stderr));
    let output = Command::new(&me)
        .args(["child", "environment"])
        .env_clear()
        .env("ONE", "1")
        .output()?;
    print!("{}", String::from_utf8_lossy(&output.stdout));
    let output = Command::new(&me)
        .args(["child", "abort"])
        .stderr(Stdio::null())
        .output()?;
    println!("abort: signal {:?}", output.status.signal());
    let output = Command::new(&me).args(["child", "panic"]).output()?;
    println!(
        "panic: {:?}, said so: {}",
        output.status.code(),
        output.stderr.windows(8).any(|text| text == b"as asked")
    );
    println!(
        "missing: {:?}",
        Command::new("/nope")
            .spawn()
            .map_err(|error| error.kind())
            .err()
    );
    let mut sleeper = Command::new("/bin/sleep").arg("100").spawn()?;
    println!("still runs: {}", sleeper.try_wait()?.is_none());
    sleeper.kill()?;
    println!("killed: signal {:?}", sleeper.wait()?.signal());
    let status = Command::new("/bin/sh")
        .arg0("sh")
        .args(["-c", "echo $0; exit 5"])
        .status()?;
    println!("shell: {:?}", status.code());
    let mut first = Command::new("/bin/echo")
        .arg("through two")
        .stdout(Stdio::piped())
        .spawn()?;
    let pipe = first.stdout.take().ok_or("no pipe")?;
    let second = Command::new("/bin/cat").stdin(pipe).output()?;
    first.wait()?;
    print!("{}", String::from_utf8_lossy(&second.stdout));
    Ok(())
}

fn time() -> Outcome {
    let start = Instant::now();
    thread::sleep(Duration::from_millis(20));
    println!("slept {}", start.elapsed() >= Duration::from_millis(20));
    println!(
        "after 2020: {}",
        SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() > 1_577_836_800
    );
    let (_, receive) = (0, mpsc::channel::<()>().1);
    println!(
        "timed out: {:?}",
        receive.recv_timeout(Duration::from_millis(5))
    );
    Ok(())
}

fn panics() -> Outcome {
    std::panic::set_hook(Box::new(|_| {}));
    let caught = std::panic::catch_unwind(|| {
        let numbers: Vec<u32> = Vec::new();
        numbers[env::args().count()]
    });
    println!("caught {}", caught.is_err());
    let thread = thread::spawn(|| panic!("in a thread")).join();
    println!("thread {}", thread.is_err());
    let _ = std::panic::take_hook();
    Ok(())
}
