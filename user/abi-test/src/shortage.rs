//! Every system call with each of its allocations failing in turn, for the
//! suite `shortage`.
//!
//! A kernel with the feature `shortage` lets the n-th allocation of a thread's
//! next call fail. Each [`Step`] makes a call with n = 1, 2, 3 and so on, until
//! it is over before the n-th allocation; what fails must fail with an error
//! that the call may answer for want of memory, and leave everything as it was:
//! the same descriptors, the same mappings, nothing in the folder, and the same
//! call succeeds afterwards. Only what is not so is printed.

mod calls;
mod files;
mod memory;
mod outside;
mod processes;

use core::ffi::CStr;
use std::collections::BTreeMap;

use crate::call;
use crate::errno::Errno;
use crate::memory_held;
use crate::report::{check, line};
use crate::sys::{self, Ret};

/// The folder that steps work in, empty between them.
const FOLDER: &str = "/tmp/shortage";

/// Where the order goes.
const ORDER: &CStr = c"/proc/ochre/shortage/fail_nth";

/// The same for what is not in a call.
const ORDER_OUTSIDE: &CStr = c"/proc/ochre/shortage/fail_nth_outside";

/// Where the kernel tells where it could not have been refused.
const LIST: &CStr = c"/proc/ochre/shortage/infallible";

/// No call comes to so many allocations.
const LIMIT: u32 = 400;

/// What a call may answer when memory is short.
const POLITE: [i32; 5] = [
    libc::ENOMEM,
    libc::EAGAIN,
    libc::ENFILE,
    libc::ENOSPC,
    libc::ENOLCK,
];

/// A call to be made, with what has to be there before and to go afterwards.
struct Step {
    name: &'static str,
    /// Answers what the call did that it [`meant`](Lab::meant).
    body: fn(&mut Lab) -> Ret,
}

/// Where the calls are made.
struct Lab {
    /// The file that takes orders.
    order: i32,
    /// The file that takes those for what is not in a call.
    outside: i32,
    /// Which allocation is to fail; 0 for none.
    nth: u32,
    /// Whether it did, where the step knows better than the file.
    struck: Option<bool>,
}

impl Lab {
    fn new() -> Lab {
        let open = |name: &CStr| {
            call!(SYS_open, name, libc::O_RDWR | libc::O_CLOEXEC, 0).unwrap_or(-1) as i32
        };
        Lab {
            order: open(ORDER),
            outside: open(ORDER_OUTSIDE),
            nth: 0,
            struck: None,
        }
    }

    /// Makes a call that the order is for: it must be the first in `call`.
    fn meant(&self, call: impl FnOnce() -> Ret) -> Ret {
        let text = format!("{}", self.nth);
        let _ = call!(SYS_pwrite64, self.order, text.as_bytes(), text.len(), 0);
        call()
    }

    /// Does what the order is for outside of calls: it must be the first such
    /// thing in `body`.
    fn meant_outside<R>(&self, body: impl FnOnce() -> R) -> R {
        let text = format!("{}", self.nth);
        let _ = call!(SYS_pwrite64, self.outside, text.as_bytes(), text.len(), 0);
        body()
    }

    /// Whether an allocation of the last order failed.
    fn has_struck(&self) -> bool {
        self.left() == Some(0)
    }

    /// How many allocations were left of the last order.
    fn left(&self) -> Option<u32> {
        let mut text = [0_u8; 16];
        let len = call!(SYS_pread64, self.order, text.as_mut_slice(), 16, 0).unwrap_or(0);
        let text = core::str::from_utf8(&text[..len as usize]).ok()?;
        text.trim_end().parse().ok()
    }

    /// Makes a step's call until nothing is short any more; answers how often
    /// it was.
    fn run(&mut self, step: &Step) -> u32 {
        let complain = |nth: u32, what: &str| line(&format!("{} {nth}: {what}", step.name));
        let before = State::now();
        let mut impolite = BTreeMap::new();
        for nth in 1..=LIMIT {
            self.nth = nth;
            self.struck = None;
            let answer = (step.body)(self);
            let struck = self.struck.unwrap_or_else(|| self.has_struck());
            let after = State::now();
            if after != before {
                complain(nth, &format!("left {after:?}, not {before:?} ({answer:?})"));
                return nth;
            }
            match answer {
                Ok(_) if !struck => return nth - 1,
                Ok(_) => {}
                Err(Errno(error)) if struck && POLITE.contains(&error) => {}
                Err(error) if struck => *impolite.entry(error.name()).or_insert(0) += 1,
                Err(error) => {
                    complain(nth, &format!("{error} though nothing was short"));
                    return nth;
                }
            }
            if nth == 1 && !impolite.is_empty() {
                complain(nth, &format!("{impolite:?}"));
            }
        }
        complain(LIMIT, "is never over");
        LIMIT
    }
}

/// What must be as before.
#[derive(PartialEq, Eq, Debug)]
struct State {
    descriptor: i64,
    mappings: usize,
    blocked: u64,
    left: Vec<String>,
}

impl State {
    fn now() -> State {
        let descriptor = call!(SYS_dup, 1).unwrap_or(-1);
        let _ = call!(SYS_close, descriptor as i32);
        let maps = std::fs::read("/proc/self/maps").unwrap_or_default();
        let folder = std::fs::read_dir(FOLDER).into_iter().flatten().flatten();
        let mut blocked = 0_u64;
        let _ = call!(SYS_rt_sigprocmask, libc::SIG_BLOCK, 0, &mut blocked, 8);
        State {
            blocked,
            descriptor,
            mappings: maps.split(|byte| *byte == b'\n').filter(is_kept).count(),
            left: folder
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .collect(),
        }
    }
}

/// Whether a line of `maps` is counted: musl's heap is mappings that come and go.
fn is_kept(line: &&[u8]) -> bool {
    let is_anonymous = line.trim_ascii_end().ends_with(b" 0");
    let is_heap = is_anonymous && line.windows(6).any(|word| word == b" rw-p ");
    let is_passing = line.is_empty() || cfg!(target_env = "musl") && is_heap;
    !is_passing
}

/// Every step, twice: what the first round made for good is there in the second.
pub(crate) fn role(words: &[String]) -> i32 {
    let _ = std::fs::create_dir_all(FOLDER);
    let _ = std::env::set_current_dir(FOLDER);
    sys::set_disposition(libc::SIGPIPE, libc::SIG_IGN);
    let mut lab = Lab::new();
    check("orders are taken", lab.order >= 0 && lab.outside >= 0);
    let mut alive = Vec::new();
    let mut held = Vec::new();
    let mut short = 0;
    for _ in 0..3 {
        for step in steps() {
            if !words.is_empty() && !words.iter().any(|word| word == step.name) {
                continue;
            }
            let times = lab.run(step);
            short += times;
            if std::env::var_os("SHORTAGE_COUNTS").is_some() {
                let objects = crate::groups::storms::objects();
                line(&format!(
                    "  {} {times}; {}",
                    step.name,
                    objects.replace('\n', " ")
                ));
            }
        }
        alive.push(crate::groups::storms::objects_at_rest(alive.first()));
        held.push(memory_held::at_rest(held.last().copied()));
    }
    if !words.is_empty() {
        return 0;
    }
    check("a thousand were short", short >= 1000);
    alive.dedup();
    check("no object is left", alive.len() == 1);
    if alive.len() > 1 {
        check("  objects after each round", format!("{alive:?}"));
    }
    let is_back = held[2].saturating_sub(held[1]) <= memory_held::MAY_STAY;
    check("memory is back", is_back);
    if !is_back {
        check("  bytes held after each round", format!("{held:?}"));
    }
    0
}

/// Makes each call once, with nothing short, and prints where meanwhile the
/// kernel asked for memory in a way that cannot fail; and in parentheses how
/// often it asked in a way that can.
pub(crate) fn infallible() -> i32 {
    let _ = std::fs::create_dir_all(FOLDER);
    let _ = std::env::set_current_dir(FOLDER);
    let mut lab = Lab::new();
    let list = call!(SYS_open, LIST, libc::O_RDWR | libc::O_CLOEXEC, 0).unwrap_or(-1);
    for step in steps() {
        // What is made once for ever is not counted.
        let _ = (step.body)(&mut lab);
        let _ = call!(SYS_pwrite64, list, b"0".as_slice(), 1, 0);
        lab.nth = u32::MAX;
        lab.struck = None;
        let _ = (step.body)(&mut lab);
        // What a child was told is not known here.
        match lab.left().filter(|_| lab.struck.is_none()) {
            Some(left) => line(&format!("= {} ({})", step.name, u32::MAX - left)),
            None => line(&format!("= {}", step.name)),
        }
        let mut text = vec![0_u8; 1 << 16];
        let len = call!(SYS_pread64, list, text.as_mut_slice(), text.len(), 0).unwrap_or(0);
        let _ = call!(SYS_write, 1, text.as_slice(), len);
    }
    0
}

/// Every step.
fn steps() -> impl Iterator<Item = &'static Step> {
    let of_files = files::STEPS.iter().chain(memory::STEPS);
    let of_files = of_files.chain(outside::STEPS);
    of_files.chain(processes::STEPS).chain(calls::STEPS)
}

/// Executed by a step: says by its end whether an allocation failed.
pub(crate) fn executed() -> i32 {
    if Lab::new().has_struck() { 100 } else { 101 }
}
