//! What a person can ask the kernel itself: by Alt, SysRq and a letter, or by
//! a letter written to `/proc/sysrq-trigger`. The letters are Linux's.
//!
//! The answers go to the kernel's log and to the terminal that people look at.
//! Nothing here holds a lock while it writes.

use core::fmt;

use log::info;
use ochre_abi::system::trimmed;
use ochre_hal::memory::{self, Stats};
use ochre_hal::power;

use crate::process::{Pid, table};
use crate::tty::screen;
use crate::{device, tty};

/// The letters, and what each does, in the words of the help.
const REQUESTS: [(char, &str); 6] = [
    ('b', "reboot(b)"),
    ('c', "crash(c)"),
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
        'm' => {
            say(format_args!("Show Memory"));
            show_memory(&memory::stats());
        }
        'o' => {
            say(format_args!("Power Off"));
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

/// Every thread. The table is let go between two of them: those that come or
/// go meanwhile may be missed.
fn show_tasks() {
    let mut from = Pid(0);
    loop {
        let found = table::lock().threads_from(from).next().cloned();
        let Some(thread) = found else { return };
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
        from = Pid(thread.tid().0.saturating_add(1));
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
