//! What a person can ask the kernel itself: by Alt, SysRq and a letter, or by
//! a letter written to `/proc/sysrq-trigger`. The letters are Linux's.
//!
//! The answers go to the kernel's log and to the terminal that people look at.
//! Nothing here holds a lock while it writes.

use alloc::sync::Arc;
use core::fmt;

use log::info;
use ochre_abi::system::trimmed;
use ochre_hal::memory::{self, Stats};
use ochre_hal::power;

use crate::ipc::futex;
use crate::process::{Pid, Thread, table};
use crate::tty::screen;
use crate::vfs::lock;
use crate::{audit, device, tty};

/// The letters, and what each does, in the words of the help.
const REQUESTS: [(char, &str); 7] = [
    ('b', "reboot(b)"),
    ('c', "crash(c)"),
    ('d', "show-all-locks(d)"),
    ('h', "help(h)"),
    ('m', "show-memory-usage(m)"),
    ('o', "poweroff(o)"),
    ('t', "show-task-states(t)"),
];

/// The letters, with a blank before each.
struct Help;

impl fmt::Display for Help {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        REQUESTS
            .iter()
            .try_for_each(|(_, words)| write!(f, " {words}"))
    }
}

/// Does what `key` asks for; help for a key that asks for nothing.
pub fn request(key: char) {
    match key.to_ascii_lowercase() {
        'b' => {
            say(format_args!("Resetting"));
            power::reboot();
        }
        'c' => panic!("sysrq: a crash was asked for"),
        'd' => {
            say(format_args!("Show Locks Held"));
            show_locks();
        }
        'm' => {
            say(format_args!("Show Memory"));
            show_memory(&memory::stats());
        }
        'o' => {
            say(format_args!("Power Off"));
            audit::leave_out();
            device::flush();
            power::power_off(0);
        }
        't' => {
            say(format_args!("Show State"));
            show_tasks();
        }
        _ => say(format_args!("HELP :{Help}")),
    }
}

/// A line on the log and where people look.
fn say(line: fmt::Arguments<'_>) {
    info!("sysrq: {line}");
    let shown = screen::terminal(0).ok();
    if let Some(terminal) = shown.as_ref().or_else(|| tty::console()) {
        terminal.print(format_args!("sysrq: {line}\r\n"));
    }
}

fn show_memory(stats: &Stats) {
    for (name, frames) in [
        ("total", stats.total),
        ("free", stats.free),
        ("kept back", stats.reserve),
        ("page tables", stats.page_tables),
        ("kernel heap", stats.heap),
    ] {
        say(format_args!("{:>8} KiB {name}", frames.saturating_mul(4)));
    }
}

/// The locks that last: those of programs, on files and at futexes. What the
/// kernel itself locks is given back before the task that locked it is polled
/// again, and this task has locked nothing.
fn show_locks() {
    for held in lock::all() {
        say(format_args!("{held}"));
    }
    for thread in threads() {
        let Some(waited) = futex::waited_for(&thread) else {
            continue;
        };
        let (tid, at) = (thread.tid(), waited.at);
        match waited.owner {
            Some(owner) => say(format_args!("{tid} waits for {at}, which {owner} has")),
            None => say(format_args!("{tid} waits at {at}")),
        }
    }
}

/// Every thread. The table is let go between two of them: those that come or
/// go meanwhile may be missed.
fn threads() -> impl Iterator<Item = Arc<Thread>> {
    let mut from = Pid(0);
    core::iter::from_fn(move || {
        let found = table::lock().threads_from(from).next().cloned()?;
        from = Pid(found.tid().0.saturating_add(1));
        Some(found)
    })
}

fn show_tasks() {
    for thread in threads() {
        let task = thread.task();
        let state = match &task {
            None => 'X',
            Some(_) if thread.process.signals.is_stopped() => 'T',
            Some(task) if task.is_waiting() => 'S',
            Some(_) => 'R',
        };
        let name = *thread.name.lock();
        say(format_args!(
            "{state} {:>5} of {:>5}, processor {}: {}",
            thread.tid(),
            thread.process.pid,
            task.map_or(0, |task| task.processor()),
            trimmed(&name).escape_ascii()
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::REQUESTS;

    #[test]
    fn the_help_names_every_letter() {
        for (letter, words) in REQUESTS {
            assert!(words.contains(&format!("({letter})")), "{words}");
        }
    }
}
