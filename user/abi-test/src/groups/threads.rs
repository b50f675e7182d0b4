//! Threads, as std makes them: `clone` with `CLONE_THREAD` and what goes with
//! it.

use core::sync::atomic::{AtomicI32, AtomicI64, Ordering};
use std::sync::{Arc, Barrier, Condvar, Mutex, mpsc};

use crate::call;
use crate::report::{check, check_child};
use crate::sys;

static TAKEN_BY: AtomicI64 = AtomicI64::new(0);
static TAKEN: AtomicI32 = AtomicI32::new(0);

extern "C" fn take(_: i32, _: &libc::siginfo_t, _: usize) {
    TAKEN_BY.store(call!(SYS_gettid).unwrap_or(0), Ordering::SeqCst);
    TAKEN.fetch_add(1, Ordering::SeqCst);
}

/// The cases.
pub(crate) fn run() {
    let me = call!(SYS_getpid);
    let (pid, tid, parent) =
        std::thread::spawn(|| (call!(SYS_getpid), call!(SYS_gettid), call!(SYS_getppid)))
            .join()
            .expect("the thread does not panic");
    check("a thread has its process's number", pid == me);
    check("and its own", tid != me);
    check("and its process's parent", parent == call!(SYS_getppid));
    let sum = Arc::new(Mutex::new(0_u64));
    let threads: Vec<_> = (0..8_u64)
        .map(|n| {
            let sum = Arc::clone(&sum);
            std::thread::spawn(move || {
                for _ in 0..1000 {
                    *sum.lock().expect("no thread panics") += n;
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("no thread panics");
    }
    check(
        "8 threads, one mutex",
        *sum.lock().expect("no thread panics"),
    );
    condition();
    let (send, receive) = mpsc::channel();
    let sender = std::thread::spawn(move || {
        for n in 0..100 {
            send.send(n).expect("the receiver lives");
        }
    });
    check("a channel", receive.iter().sum::<i32>());
    sender.join().expect("no thread panics");
    thread_local();
    signals();
    files();
    ends();
    check(
        "100 threads, one after the other",
        (0..100)
            .filter(|n| {
                let n = *n;
                std::thread::spawn(move || n)
                    .join()
                    .is_ok_and(|back| back == n)
            })
            .count(),
    );
    check("50 threads at once", {
        let barrier = Arc::new(Barrier::new(50));
        let threads: Vec<_> = (0..50)
            .map(|_| {
                let barrier = Arc::clone(&barrier);
                std::thread::spawn(move || barrier.wait().is_leader())
            })
            .collect();
        threads
            .into_iter()
            .filter_map(|thread| thread.join().ok())
            .filter(|leader| *leader)
            .count()
    });
}

fn condition() {
    let pair = Arc::new((Mutex::new(0), Condvar::new()));
    let other = Arc::clone(&pair);
    let thread = std::thread::spawn(move || {
        let (value, changed) = &*other;
        for round in 0..50 {
            let mut value = value.lock().expect("no thread panics");
            while *value != 2 * round + 1 {
                value = changed.wait(value).expect("no thread panics");
            }
            *value += 1;
            changed.notify_all();
        }
    });
    let (value, changed) = &*pair;
    for round in 0..50 {
        let mut value = value.lock().expect("no thread panics");
        while *value != 2 * round {
            value = changed.wait(value).expect("no thread panics");
        }
        *value += 1;
        changed.notify_all();
    }
    thread.join().expect("no thread panics");
    check(
        "two threads in turn",
        *value.lock().expect("no thread panics"),
    );
    let short = core::time::Duration::from_millis(10);
    let guard = value.lock().expect("no thread panics");
    let (_guard, answer) = changed
        .wait_timeout(guard, short)
        .expect("no thread panics");
    check("a wait that times out", answer.timed_out());
}

fn thread_local() {
    use core::cell::Cell;
    thread_local!(static MINE: Cell<u32> = const { Cell::new(1) });
    MINE.set(5);
    let other = std::thread::spawn(|| MINE.replace(9)).join().unwrap_or(0);
    check("thread-local values", (other, MINE.get()));
}

fn signals() {
    sys::on_signal(libc::SIGUSR1, 0, take);
    let me = call!(SYS_getpid).unwrap_or(0);
    let (tell, told) = mpsc::channel();
    let (done, end) = mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        tell.send(call!(SYS_gettid).unwrap_or(0))
            .expect("the receiver lives");
        let _ = end.recv();
    });
    let tid = told.recv().unwrap_or(0);
    check(
        "tgkill of a thread",
        call!(SYS_tgkill, me, tid, libc::SIGUSR1),
    );
    while TAKEN.load(Ordering::SeqCst) == 0 {
        std::thread::sleep(core::time::Duration::from_millis(1));
    }
    check(
        "that thread took it",
        TAKEN_BY.load(Ordering::SeqCst) == tid,
    );
    // Blocked here, so the other thread must take it.
    let usr1 = 1_u64 << (libc::SIGUSR1 - 1);
    let _ = call!(SYS_rt_sigprocmask, libc::SIG_BLOCK, &usr1, 0, 8);
    let _ = call!(SYS_kill, me, libc::SIGUSR1);
    while TAKEN.load(Ordering::SeqCst) == 1 {
        std::thread::sleep(core::time::Duration::from_millis(1));
    }
    check(
        "kill finds the one that does not block",
        TAKEN_BY.load(Ordering::SeqCst) == tid,
    );
    let _ = call!(SYS_rt_sigprocmask, libc::SIG_UNBLOCK, &usr1, 0, 8);
    check(
        "tgkill with a thread as process",
        call!(SYS_tgkill, tid, tid, 0),
    );
    check("kill of a thread's number", call!(SYS_kill, tid, 0));
    drop(done);
    let _ = thread.join();
}

fn files() {
    let fd = std::thread::spawn(|| call!(SYS_open, c"/dev/null", 0, 0).unwrap_or(-1))
        .join()
        .unwrap_or(-1);
    check("descriptors are shared", call!(SYS_close, fd));
    let home = std::env::current_dir().unwrap_or_default();
    let _ = std::thread::spawn(|| std::env::set_current_dir("/")).join();
    check(
        "the folder is shared",
        std::env::current_dir().is_ok_and(|now| now.as_os_str() == "/"),
    );
    let _ = std::env::set_current_dir(home);
}

/// How a process of several threads ends.
fn ends() {
    check_child("exit_group from a thread", || {
        let _ = std::thread::spawn(|| {
            let _ = call!(SYS_exit_group, 31);
        })
        .join();
        1
    });
    check_child("exit of the first thread leaves the others", || {
        std::thread::spawn(|| {
            std::thread::sleep(core::time::Duration::from_millis(30));
            let _ = call!(SYS_exit_group, 32);
        });
        let _ = call!(SYS_exit, 1);
        2
    });
    check_child("a fault in a thread ends all", || {
        let zero = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        let _ = call!(SYS_setrlimit, libc::RLIMIT_CORE, &zero);
        sys::set_disposition(libc::SIGSEGV, libc::SIG_DFL);
        let _ = std::thread::spawn(|| sys::peek(sys::BAD)).join();
        1
    });
    check_child("exec from a thread", || {
        let _ = std::thread::spawn(|| {
            super::exec::exec(crate::runner::SELF, &[c"self", c"--exit", c"33"], &[])
        })
        .join();
        1
    });
    check_child("fork from a thread has one thread", || {
        let child =
            std::thread::spawn(|| sys::fork(|| i32::from(call!(SYS_getpid) == call!(SYS_gettid))))
                .join()
                .unwrap_or(-1);
        check("child", crate::report::wait(child));
        0
    });
    check_child("a child of a thread is the process's to wait for", || {
        let child = std::thread::spawn(|| sys::fork(|| 4)).join().unwrap_or(-1);
        check("wait", crate::report::wait(child));
        0
    });
}
