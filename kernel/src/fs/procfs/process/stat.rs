//! `stat` and `statm`, and the facts that `status` shares with them.

use alloc::sync::Arc;
use core::fmt::{self, Write};

use ochre_abi::system::trimmed;

use super::Subject;
use crate::fs::procfs::text::{Made, Text};
use crate::memory::{AddressSpace, Facts, Sizes};
use crate::process::{Pid, Process, Resource, Thread, table};
use crate::sched::{Attributes, account};
use crate::syscall::sched::policy_number;
use crate::{time, tty};

/// `flags`: forked and has not executed anything yet.
const FORKED: u32 = 0x40;
/// `flags`: on its way out.
const EXITING: u32 = 0x4;
/// `flags`: addresses are random.
const RANDOMIZED: u32 = 0x40_0000;

/// How a process or thread stands: what is in the tables, copied.
pub(super) struct Standing {
    pub(super) process: Arc<Process>,
    pub(super) thread: Option<Arc<Thread>>,
    pub(super) parent: Pid,
    pub(super) group: Pid,
    pub(super) session: Pid,
    pub(super) is_zombie: bool,
    pub(super) has_executed: bool,
}

impl Standing {
    pub(super) fn of(subject: &Subject) -> Result<Standing, ochre_abi::Errno> {
        let process = subject.process()?;
        let thread = subject.thread();
        if subject.is_task && thread.is_none() {
            return Err(ochre_abi::Errno::ESRCH);
        }
        let table = table::lock();
        let of = table
            .relations(process.pid)
            .ok_or(ochre_abi::Errno::ESRCH)?;
        let (group, session) = (of.group, of.session);
        let (is_zombie, has_executed) = (of.is_zombie, of.has_executed);
        drop(table);
        Ok(Standing {
            parent: process.parent_pid(),
            process,
            thread,
            group,
            session,
            is_zombie,
            has_executed,
        })
    }

    /// The state as a letter.
    pub(super) fn state(&self) -> char {
        match &self.thread {
            None => 'Z',
            Some(_) if self.is_zombie => 'Z',
            Some(thread) => {
                let is_current = account::current_thread() == Some(thread.tid());
                let waits = thread.task().is_none_or(|task| task.is_waiting());
                if !is_current && self.process.signals.is_stopped() {
                    'T'
                } else if waits && !is_current {
                    'S'
                } else {
                    'R'
                }
            }
        }
    }

    /// The name; that of a thread that ended is its process's.
    pub(super) fn name(&self) -> [u8; 16] {
        match &self.thread {
            Some(thread) => *thread.name.lock(),
            None => *self.process.last_name.lock(),
        }
    }

    pub(super) fn threads(&self) -> usize {
        self.process.threads.lock().len()
    }

    pub(super) fn space(&self) -> Arc<AddressSpace> {
        Arc::clone(&self.process.space.lock())
    }

    /// How it is scheduled, if it is still there to be.
    fn schedule(&self) -> Schedule {
        let task = self.thread.as_ref().and_then(|thread| thread.task());
        let Some(task) = task else {
            return Schedule::default();
        };
        Schedule {
            attributes: task.attributes(),
            effective_priority: task.effective_priority(),
            processor: task.processor(),
        }
    }

    /// The processors that it may run on, a bit each.
    pub(super) fn allowed(&self) -> u64 {
        let task = self.thread.as_ref().and_then(|thread| thread.task());
        task.map_or(u64::MAX, |task| task.allowed())
    }
}

/// `/proc/PID/stat`.
pub(super) fn stat(subject: &Subject, text: &mut Text) -> Made {
    let standing = Standing::of(subject)?;
    let process = &standing.process;
    let (terminal, foreground) = match tty::terminal_of(process.pid) {
        Some(terminal) => {
            let group = terminal.foreground().map_or(-1, |group| i64::from(group.0));
            (u64::from(terminal.number().encode()), group)
        }
        None => (0, -1),
    };
    let times = match &standing.thread {
        Some(thread) if subject.is_task => time::thread_times(thread),
        _ => time::own_times(process),
    };
    let (user_ns, system_ns) = times.ns();
    let (children_user_ns, children_system_ns) = process.account.children().ns();
    let space = standing.space();
    let sizes = space.sizes();
    // Where things are is for those who may look into the process.
    let is_open = subject.check_inspection().is_ok();
    let facts = if is_open {
        space.facts()
    } else {
        Arc::new(Facts::default())
    };
    let (ignored, caught) = process.signals.action_sets();
    let (pending, blocked) = standing.thread.as_ref().map_or((0, 0), |thread| {
        let signals = thread.signals.lock();
        (signals.pending_set().0, signals.mask().0)
    });
    let started_ns = match &standing.thread {
        Some(thread) if subject.is_task => thread.started_ns,
        _ => process.started_ns,
    };
    let flags = RANDOMIZED
        | if standing.has_executed { 0 } else { FORKED }
        | if standing.is_zombie { EXITING } else { 0 };
    let status = process.exit_status().filter(|_| standing.is_zombie);
    let line = Line {
        pid: if subject.is_task {
            subject.tid
        } else {
            subject.pid_shown()
        },
        name: &standing.name(),
        state: standing.state(),
        parent: standing.parent,
        group: standing.group,
        session: standing.session,
        terminal,
        foreground,
        flags,
        faults: process.memory.own(&space).faults,
        children_faults: process.memory.children().faults,
        user: time::to_ticks(user_ns),
        system: time::to_ticks(system_ns),
        children_user: time::to_ticks(children_user_ns),
        children_system: time::to_ticks(children_system_ns),
        schedule: standing.schedule(),
        threads: standing.threads(),
        started: time::to_ticks(started_ns),
        sizes,
        resident_limit: process.limits.soft(Resource::Rss),
        facts: &facts,
        heap_start: if is_open { space.heap().start } else { 0 },
        pending,
        blocked,
        ignored: ignored.0,
        caught: caught.0,
        waits: standing.state() == 'S',
        exit_signal: match &standing.thread {
            Some(thread) if thread.tid() != process.pid => -1,
            _ => i64::from(process.exit_signal()),
        },
        exit_code: status.filter(|_| is_open).map_or(0, |status| status.raw()),
    };
    line.write(text)
}

impl Subject {
    /// The number that a file of `/proc/N` shows: N, a thread's too.
    pub(super) fn pid_shown(&self) -> Pid {
        self.tid
    }
}

/// How a thread shares processors with others.
#[derive(Clone, Copy, Default)]
struct Schedule {
    attributes: Attributes,
    effective_priority: u8,
    processor: usize,
}

impl Schedule {
    /// As Linux counts: 0 to 39 by nice level, below 0 in real time.
    fn priority(&self) -> i32 {
        match self.effective_priority {
            0 => 20 + i32::from(self.attributes.nice),
            real_time => -1 - i32::from(real_time),
        }
    }
}

/// What the line of `stat` says, in clock ticks, bytes and bits.
struct Line<'a> {
    pid: Pid,
    name: &'a [u8],
    state: char,
    parent: Pid,
    group: Pid,
    session: Pid,
    terminal: u64,
    foreground: i64,
    flags: u32,
    faults: u64,
    children_faults: u64,
    user: u64,
    system: u64,
    children_user: u64,
    children_system: u64,
    schedule: Schedule,
    threads: usize,
    started: u64,
    sizes: Sizes,
    resident_limit: u64,
    facts: &'a Facts,
    heap_start: u64,
    pending: u64,
    blocked: u64,
    ignored: u64,
    caught: u64,
    waits: bool,
    exit_signal: i64,
    exit_code: u32,
}

/// Signals that fit in the old fields.
const OLD_SIGNALS: u64 = 0x7fff_ffff;

impl Line<'_> {
    /// The 52 fields of proc(5); zeroes are of what is not counted here.
    fn write(&self, text: &mut Text) -> Made {
        write!(text, "{} (", self.pid)?;
        text.push(trimmed(self.name))?;
        self.write_numbers(text)?;
        Ok(())
    }

    fn write_numbers(&self, text: &mut Text) -> fmt::Result {
        let facts = self.facts;
        write!(
            text,
            ") {} {} {} {} {} {} {} {} {} 0 0",
            self.state,
            self.parent,
            self.group,
            self.session,
            self.terminal,
            self.foreground,
            self.flags,
            self.faults,
            self.children_faults
        )?;
        write!(
            text,
            " {} {} {} {} {} {} {} 0 {}",
            self.user,
            self.system,
            self.children_user,
            self.children_system,
            self.schedule.priority(),
            self.schedule.attributes.nice,
            self.threads,
            self.started
        )?;
        write!(
            text,
            " {} {} {} {} {} {} 0 0",
            self.sizes.total,
            self.sizes.resident / 4096,
            self.resident_limit,
            facts.code.start,
            facts.code.end,
            facts.stack_start
        )?;
        write!(
            text,
            " {} {} {} {} {} 0 0 {} {} {} {} 0 0 0",
            self.pending & OLD_SIGNALS,
            self.blocked & OLD_SIGNALS,
            self.ignored & OLD_SIGNALS,
            self.caught & OLD_SIGNALS,
            u8::from(self.waits),
            self.exit_signal,
            self.schedule.processor,
            self.schedule.attributes.priority,
            policy_number(self.schedule.attributes.policy)
        )?;
        writeln!(
            text,
            " {} {} {} {} {} {} {} {}",
            facts.data.start,
            facts.data.end,
            self.heap_start,
            facts.arguments.start,
            facts.arguments.end,
            facts.environment.start,
            facts.environment.end,
            self.exit_code
        )
    }
}

/// Bytes of the pages that have the program's own code in them.
pub(super) fn program_code(facts: &Facts) -> u64 {
    const IN_PAGE: u64 = 4095;
    let end = facts.code.end.saturating_add(IN_PAGE) & !IN_PAGE;
    end.saturating_sub(facts.code.start & !IN_PAGE)
}

/// `/proc/PID/statm`.
pub(super) fn sizes(subject: &Subject, text: &mut Text) -> Made {
    let space = Standing::of(subject)?.space();
    let (sizes, shown) = (space.sizes(), space.shown());
    let shown = shown.files.saturating_add(shown.memory);
    writeln!(
        text,
        "{} {} {} {} 0 {} 0",
        sizes.total / 4096,
        sizes.resident / 4096,
        shown.min(sizes.resident) / 4096,
        program_code(&space.facts()) / 4096,
        sizes.data.saturating_add(sizes.stack) / 4096
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Attributes, Facts, Line, Pid, Schedule, Sizes, Text};
    use crate::sched::Policy;

    #[test]
    fn priorities_are_as_linux_counts() {
        let priority = |nice, effective_priority| {
            let attributes = Attributes {
                nice,
                ..Attributes::default()
            };
            Schedule {
                attributes,
                effective_priority,
                processor: 0,
            }
            .priority()
        };
        assert_eq!((priority(-20, 0), priority(19, 0)), (0, 39));
        assert_eq!((priority(0, 1), priority(0, 99)), (-2, -100));
    }

    #[test]
    fn every_field_is_at_its_place() {
        let facts = Facts {
            arguments: 48..49,
            environment: 50..51,
            code: 26..27,
            data: 45..46,
            stack_start: 28,
            ..Facts::default()
        };
        let line = Line {
            pid: Pid(1),
            name: b"a) b\0\0",
            state: 'S',
            parent: Pid(4),
            group: Pid(5),
            session: Pid(6),
            terminal: 7,
            foreground: -1,
            flags: 9,
            faults: 10,
            children_faults: 11,
            user: 14,
            system: 15,
            children_user: 16,
            children_system: 17,
            schedule: Schedule {
                attributes: Attributes {
                    policy: Policy::Fifo,
                    priority: 40,
                    nice: -1,
                    resets_on_fork: false,
                },
                effective_priority: 0,
                processor: 39,
            },
            threads: 20,
            started: 22,
            sizes: Sizes {
                total: 23,
                resident: 24 * 4096,
                ..Sizes::default()
            },
            resident_limit: 25,
            facts: &facts,
            heap_start: 47,
            pending: 31,
            blocked: 32,
            ignored: 33,
            caught: 34 | 1 << 40,
            waits: true,
            exit_signal: 38,
            exit_code: 52,
        };
        let mut text = Text::default();
        line.write(&mut text).unwrap();
        let text = String::from_utf8(text.into_bytes()).unwrap();
        let rest = text.strip_prefix("1 (a) b) ").expect("number and name");
        let rest = rest.strip_suffix('\n').expect("one line");
        let fields: Vec<&str> = rest.split(' ').collect();
        assert_eq!(fields.len(), 50);
        let field = |number: usize| fields[number - 3];
        assert_eq!((field(3), field(8)), ("S", "-1"));
        assert_eq!((field(18), field(19)), ("19", "-1"));
        for number in [
            4, 5, 6, 7, 9, 10, 11, 14, 15, 16, 17, 20, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33, 34,
            38, 39, 40, 45, 46, 47, 48, 49, 50, 51, 52,
        ] {
            assert_eq!(field(number), number.to_string(), "field {number}");
        }
        assert_eq!((field(35), field(41)), ("1", "1"));
        for number in [12, 13, 21, 29, 30, 36, 37, 42, 43, 44] {
            assert_eq!(field(number), "0", "field {number}");
        }
    }
}
