//! Files about the machine as a whole.

use alloc::vec::Vec;
use core::fmt::{self, Write};

use ochre_abi::Errno;
use ochre_hal::{boot, clock, cpu};
use ochre_sync::Once;

use super::text::{Made, Text};
use crate::memory::MakeRoom;
use crate::objects::{self, Kind};
use crate::process::table;
use crate::sched::account::{self, Activity};
use crate::sched::{self, load as load_average};
use crate::syscall::{self, system};
use crate::vfs::lock;
use crate::{fs, sysrq, time};

/// The kernel's command line, once boot has said it.
static COMMAND_LINE: Once<&'static [u8]> = Once::new();

/// Says what the kernel's command line was; a second call changes nothing.
pub(crate) fn set_command_line(line: &'static [u8]) {
    let _ = COMMAND_LINE.set(line);
}

/// `/proc/cmdline`.
pub(super) fn command_line(text: &mut Text) -> Made {
    text.push(COMMAND_LINE.get().copied().unwrap_or(&[]))?;
    text.push(b"\n")
}

/// Files that list things of which there are none here.
pub(super) fn nothing(_text: &mut Text) -> Made {
    Ok(())
}

/// `/proc/sysrq-trigger`: the first letter of what is written counts.
pub(super) fn ask_kernel(bytes: &[u8]) -> Result<(), Errno> {
    if let Some(key) = bytes.first() {
        sysrq::request(char::from(*key));
    }
    Ok(())
}

/// `/proc/cpuinfo`.
pub(super) fn processors(text: &mut Text) -> Made {
    for cpu in cpu::all() {
        let lines = cpu::describe(cpu);
        text.push(lines.as_bytes())?;
        text.push(b"\n")?;
    }
    Ok(())
}

/// Major numbers and the names that `/proc/devices` gives them.
const CHARACTER_DEVICES: [(u32, &str); 5] = [
    (1, "mem"),
    (4, "ttyS"),
    (5, "/dev/tty"),
    (5, "/dev/console"),
    (254, "rtc"),
];

/// `/proc/devices`.
pub(super) fn devices(text: &mut Text) -> Made {
    text.write_str("Character devices:\n")?;
    for (major, name) in CHARACTER_DEVICES {
        writeln!(text, "{major:3} {name}")?;
    }
    text.write_str("\nBlock devices:\n")?;
    Ok(())
}

/// `/proc/tty/drivers`.
pub(super) fn terminal_drivers(text: &mut Text) -> Made {
    for (driver, node, major, minors, kind) in [
        ("/dev/tty", "tty", 5, "      0", "system:/dev/tty"),
        ("/dev/console", "console", 5, "      1", "system:console"),
        ("serial", "ttyS", 4, "     64", "serial"),
    ] {
        writeln!(
            text,
            "{driver:<20} /dev/{node:<8} {major:3} {minors} {kind}"
        )?;
    }
    Ok(())
}

/// `/proc/filesystems`.
pub(super) fn file_systems(text: &mut Text) -> Made {
    for name in fs::NAMES {
        writeln!(text, "nodev\t{name}")?;
    }
    Ok(())
}

/// `/proc/interrupts`: alarms, and what devices asked for.
pub(super) fn interrupts(text: &mut Text) -> Made {
    text.write_str("    ")?;
    for cpu in cpu::all() {
        write!(text, "       CPU{:<4}", cpu.index())?;
    }
    write_counts(text, "LOC", "Local timer interrupts", |of| of.timer_events)?;
    write_counts(text, "DEV", "Device interrupts", |of| of.line_events)?;
    text.push(b"\n")
}

fn write_counts(
    text: &mut Text,
    name: &str,
    meaning: &str,
    count: impl Fn(&Activity) -> u64,
) -> fmt::Result {
    write!(text, "\n{name}:")?;
    for cpu in cpu::all() {
        write!(text, " {:>10}", count(&account::of(cpu)))?;
    }
    write!(text, "   {meaning}")
}

/// `/proc/locks`: those that programs hold on files.
pub(super) fn locks(text: &mut Text) -> Made {
    for (index, told) in lock::all().enumerate() {
        writeln!(text, "{}: {told}", index + 1)?;
    }
    Ok(())
}

/// `/proc/loadavg`.
pub(super) fn load(text: &mut Text) -> Made {
    let (threads, last) = {
        let table = table::lock();
        (table.thread_count(), table.last_pid())
    };
    let active = sched::active();
    write_load(text, load_average::averages(), active, threads, last.0)?;
    Ok(())
}

fn write_load(
    text: &mut Text,
    averages: [u64; 3],
    active: usize,
    threads: usize,
    last: u32,
) -> fmt::Result {
    for average in averages {
        // Rounded to hundredths.
        let average = average.saturating_add((1 << load_average::FRACTION_BITS) / 200);
        let whole = average >> load_average::FRACTION_BITS;
        let part = average & ((1 << load_average::FRACTION_BITS) - 1);
        write!(
            text,
            "{whole}.{:02} ",
            (part * 100) >> load_average::FRACTION_BITS
        )?;
    }
    writeln!(text, "{active}/{threads} {last}")
}

/// `/proc/partitions`: the header of an empty list.
pub(super) fn partitions(text: &mut Text) -> Made {
    text.push(b"major minor  #blocks  name\n\n")
}

/// `/proc/swaps`: the header of an empty list.
pub(super) fn swaps(text: &mut Text) -> Made {
    text.push(b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n")
}

/// What `/proc/stat` says beside the processors' times.
struct Events {
    interrupts: u64,
    switches: u64,
    booted: u64,
    made: u64,
    running: usize,
}

/// `/proc/stat`.
pub(super) fn activity(text: &mut Text) -> Made {
    let mut each: Vec<Activity> = Vec::new();
    each.make_room_exact(cpu::online())
        .map_err(|_| fmt::Error)?;
    each.extend(cpu::all().map(account::of));
    let made = table::lock().threads_made();
    let events = Events {
        interrupts: each.iter().map(interrupts_of).sum(),
        switches: each.iter().map(|of| of.switches).sum(),
        booted: time::offset_ns() / 1_000_000_000,
        made,
        running: sched::active(),
    };
    write_activity(text, &each, &events)?;
    Ok(())
}

fn interrupts_of(of: &Activity) -> u64 {
    of.timer_events.wrapping_add(of.line_events)
}

fn write_activity(text: &mut Text, each: &[Activity], events: &Events) -> fmt::Result {
    let sum = |part: fn(&Activity) -> u64| each.iter().map(part).fold(0, u64::wrapping_add);
    let all = Activity {
        user_ns: sum(|of| of.user_ns),
        niced_ns: sum(|of| of.niced_ns),
        system_ns: sum(|of| of.system_ns),
        idle_ns: sum(|of| of.idle_ns),
        ..Activity::default()
    };
    write_times(text, "cpu ", &all)?;
    for (index, of) in each.iter().enumerate() {
        write!(text, "cpu{index}")?;
        write_times(text, "", of)?;
    }
    writeln!(text, "intr {}", events.interrupts)?;
    writeln!(text, "ctxt {}", events.switches)?;
    writeln!(text, "btime {}", events.booted)?;
    writeln!(text, "processes {}", events.made)?;
    writeln!(text, "procs_running {}", events.running)?;
    writeln!(text, "procs_blocked 0")
}

/// Nothing here waits for disks, runs guests or is robbed of time that it knows of.
fn write_times(text: &mut Text, name: &str, of: &Activity) -> fmt::Result {
    writeln!(
        text,
        "{name} {} {} {} {} 0 0 0 0 0 0",
        time::to_ticks(of.user_ns),
        time::to_ticks(of.niced_ns),
        time::to_ticks(of.system_ns),
        time::to_ticks(of.idle_ns),
    )
}

/// `/proc/uptime`.
pub(super) fn uptime(text: &mut Text) -> Made {
    let idle_ns = cpu::all()
        .map(|cpu| account::of(cpu).idle_ns)
        .fold(0, u64::wrapping_add);
    write_uptime(text, time::monotonic_ns(), idle_ns)?;
    Ok(())
}

fn write_uptime(text: &mut Text, up_ns: u64, idle_ns: u64) -> fmt::Result {
    let (up, idle) = (time::to_ticks(up_ns), time::to_ticks(idle_ns));
    writeln!(
        text,
        "{}.{:02} {}.{:02}",
        up / 100,
        up % 100,
        idle / 100,
        idle % 100
    )
}

/// `/proc/version`.
pub(super) fn version(text: &mut Text) -> Made {
    writeln!(
        text,
        "Linux version {} (rustc) {}",
        system::RELEASE,
        system::VERSION
    )?;
    Ok(())
}

/// `/proc/ochre/unknown_syscalls`: number, and how often it was asked for.
pub(super) fn unknown_calls(text: &mut Text) -> Made {
    for (number, count) in syscall::unknown_calls() {
        writeln!(text, "{number} {count}")?;
    }
    Ok(())
}

/// `/proc/ochre/boot`: when each stage of the boot was over, in nanoseconds by
/// the monotonic clock, which begins in one of them.
pub(super) fn boot(text: &mut Text) -> Made {
    let (now_ns, now) = (i128::from(clock::now_ns()), cpu::cycles());
    for stage in boot::stages() {
        let ago = time::cycles_to_ns(now.saturating_sub(stage.cycles));
        writeln!(text, "{} {}", now_ns - i128::from(ago), stage.name)?;
    }
    Ok(())
}

/// `/proc/ochre/objects`: kernel objects alive.
pub(super) fn objects(text: &mut Text) -> Made {
    for (kind, name) in Kind::ALL {
        writeln!(text, "{name} {}", objects::alive(kind).cast_signed().max(0))?;
    }
    Ok(())
}

/// `/proc/ochre/longest_poll`: nanoseconds, and the system call that took them
/// (`-` for a fault or an interrupt).
pub(super) fn longest_poll(text: &mut Text) -> Made {
    let (ns, call) = sched::longest_poll();
    match call {
        u64::MAX => writeln!(text, "{ns} -")?,
        call => writeln!(text, "{ns} {call}")?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{
        Activity, CHARACTER_DEVICES, Events, Text, write_activity, write_load, write_uptime,
    };
    use crate::device;

    fn made(make: impl FnOnce(&mut Text) -> core::fmt::Result) -> String {
        let mut text = Text::default();
        make(&mut text).unwrap();
        String::from_utf8(text.into_bytes()).unwrap()
    }

    #[test]
    fn loads_are_rounded_to_hundredths() {
        let text = made(|text| write_load(text, [0, 2048 + 1024, 2047], 2, 31, 77));
        assert_eq!(text, "0.00 1.50 1.00 2/31 77\n");
    }

    #[test]
    fn uptime_is_in_hundredths() {
        let text = made(|text| write_uptime(text, 12_345_678_901, 9_000_000));
        assert_eq!(text, "12.34 0.00\n");
    }

    #[test]
    fn the_first_line_is_the_sum() {
        let one = Activity {
            user_ns: 10_000_000,
            niced_ns: 20_000_000,
            system_ns: 30_000_000,
            idle_ns: 1_000_000_000,
            ..Activity::default()
        };
        let events = Events {
            interrupts: 5,
            switches: 6,
            booted: 7,
            made: 8,
            running: 1,
        };
        let text = made(|text| write_activity(text, &[one, one], &events));
        assert_eq!(
            text,
            "cpu  2 4 6 200 0 0 0 0 0 0\n\
             cpu0 1 2 3 100 0 0 0 0 0 0\n\
             cpu1 1 2 3 100 0 0 0 0 0 0\n\
             intr 5\nctxt 6\nbtime 7\nprocesses 8\nprocs_running 1\nprocs_blocked 0\n"
        );
    }

    #[test]
    fn every_node_has_a_driver_in_the_list() {
        for node in device::NODES.iter().chain([&device::RTC]) {
            let major = node.number.major();
            assert!(CHARACTER_DEVICES.iter().any(|(other, _)| *other == major));
        }
    }
}
