//! `status`: for people, and for programs that read what people read.

use core::fmt::Write;

use ochre_abi::system::trimmed;

use super::Subject;
use super::stat::{Standing, program_code};
use crate::fs::procfs::text::{Made, Text};
use crate::memory::{Shown, Sizes};
use crate::process::{Capabilities, Credentials, Ids, Resource};
use crate::sched;

/// `/proc/PID/status`.
pub(super) fn status(subject: &Subject, text: &mut Text) -> Made {
    let standing = Standing::of(subject)?;
    write_identity(subject, &standing, text)?;
    if standing.state() != 'Z' {
        let space = standing.space();
        let held = Held {
            sizes: space.sizes(),
            peak: space.usage().peak_pages.saturating_mul(4096),
            shown: space.shown(),
            own_code: program_code(&space.facts()),
        };
        write_sizes(text, &held)?;
        // None is ever written.
        writeln!(text, "CoreDumping:\t0")?;
        writeln!(
            text,
            "THP_enabled:\t{}",
            u8::from(!space.refuses_huge_pages())
        )?;
    }
    writeln!(text, "Threads:\t{}", standing.threads())?;
    write_signals(&standing, text)?;
    let process = &standing.process;
    write_capabilities(text, &subject.credentials(process).capabilities)?;
    write_restrictions(&standing, text)?;
    write_processors(text, standing.allowed() & sched::all_processors())
}

fn state_name(state: char) -> &'static str {
    match state {
        'R' => "running",
        'T' => "stopped",
        'Z' => "zombie",
        _ => "sleeping",
    }
}

fn write_identity(subject: &Subject, standing: &Standing, text: &mut Text) -> Made {
    let process = &standing.process;
    text.push(b"Name:\t")?;
    text.push_escaped(trimmed(&standing.name()), b"\n\\")?;
    text.push(b"\n")?;
    if standing.state() != 'Z' {
        let umask = subject.fs()?.umask();
        writeln!(text, "Umask:\t{umask:04o}")?;
    }
    let state = standing.state();
    writeln!(text, "State:\t{state} ({})", state_name(state))?;
    writeln!(text, "Tgid:\t{}", process.pid)?;
    writeln!(text, "Ngid:\t0")?;
    writeln!(text, "Pid:\t{}", subject.tid)?;
    writeln!(text, "PPid:\t{}", standing.parent)?;
    writeln!(text, "TracerPid:\t0")?;
    let slots = subject.files()?.slots();
    write_users(text, &subject.credentials(process), slots)?;
    for (name, number) in [
        ("NStgid", process.pid),
        ("NSpid", subject.tid),
        ("NSpgid", standing.group),
        ("NSsid", standing.session),
    ] {
        writeln!(text, "{name}:\t{number}")?;
    }
    Ok(())
}

fn write_users(text: &mut Text, credentials: &Credentials, slots: usize) -> Made {
    for (name, ids) in [("Uid", &credentials.uid), ("Gid", &credentials.gid)] {
        let Ids {
            real,
            effective,
            saved,
            fs,
        } = ids;
        writeln!(text, "{name}:\t{real}\t{effective}\t{saved}\t{fs}")?;
    }
    writeln!(text, "FDSize:\t{slots}")?;
    text.push(b"Groups:\t")?;
    for group in credentials.groups() {
        write!(text, "{group} ")?;
    }
    if credentials.groups().is_empty() {
        text.push(b" ")?;
    }
    text.push(b"\n")
}

/// What a program holds of memory.
#[derive(Default)]
struct Held {
    sizes: Sizes,
    /// The most that was in memory.
    peak: u64,
    shown: Shown,
    /// Bytes of the program's own code, libraries' apart.
    own_code: u64,
}

/// Pages are neither pinned nor moved to a disk, and none is of a reserve of huge
/// ones.
fn write_sizes(text: &mut Text, held: &Held) -> Made {
    let Held { sizes, shown, .. } = held;
    let objects = shown.files.saturating_add(shown.memory);
    let own_code = held.own_code.min(sizes.code);
    for (name, bytes) in [
        ("VmPeak:", sizes.peak),
        ("VmSize:", sizes.total),
        ("VmLck:", sizes.locked),
        ("VmPin:", 0),
        ("VmHWM:", held.peak),
        ("VmRSS:", sizes.resident),
        ("RssAnon:", sizes.resident.saturating_sub(objects)),
        ("RssFile:", shown.files),
        ("RssShmem:", shown.memory),
        ("VmData:", sizes.data),
        ("VmStk:", sizes.stack),
        ("VmExe:", own_code),
        ("VmLib:", sizes.code - own_code),
        ("VmPTE:", sizes.tables),
        ("VmSwap:", 0),
        ("HugetlbPages:", 0),
    ] {
        writeln!(text, "{name}\t{:8} kB", bytes / 1024)?;
    }
    Ok(())
}

fn write_signals(standing: &Standing, text: &mut Text) -> Made {
    let process = &standing.process;
    let credentials = process.credentials();
    let limit = process.limits.soft(Resource::SigPending);
    writeln!(text, "SigQ:\t{}/{limit}", credentials.user.queued_signals())?;
    let (pending, blocked) = standing.thread.as_ref().map_or((0, 0), |thread| {
        let signals = thread.signals.lock();
        (signals.pending_set().0, signals.mask().0)
    });
    let (ignored, caught) = process.signals.action_sets();
    for (name, set) in [
        ("SigPnd", pending),
        ("ShdPnd", process.signals.pending_set().0),
        ("SigBlk", blocked),
        ("SigIgn", ignored.0),
        ("SigCgt", caught.0),
    ] {
        writeln!(text, "{name}:\t{set:016x}")?;
    }
    Ok(())
}

fn write_capabilities(text: &mut Text, sets: &Capabilities) -> Made {
    for (name, set) in [
        ("CapInh", sets.inheritable),
        ("CapPrm", sets.permitted),
        ("CapEff", sets.effective),
        ("CapBnd", sets.bounding),
        ("CapAmb", sets.ambient),
    ] {
        writeln!(text, "{name}:\t{set:016x}")?;
    }
    Ok(())
}

/// What the thread may not do any more.
fn write_restrictions(standing: &Standing, text: &mut Text) -> Made {
    let (no_new, (mode, filters)) = standing.thread.as_ref().map_or((false, (0, 0)), |thread| {
        (thread.has_no_new_privileges(), thread.seccomp.mode())
    });
    writeln!(text, "NoNewPrivs:\t{}", u8::from(no_new))?;
    writeln!(text, "Seccomp:\t{mode}")?;
    writeln!(text, "Seccomp_filters:\t{filters}")?;
    Ok(())
}

/// Where the thread may run. Nobody counts why it stopped running.
fn write_processors(text: &mut Text, mask: u64) -> Made {
    match mask >> 32 {
        0 => writeln!(text, "Cpus_allowed:\t{mask:x}")?,
        high => writeln!(text, "Cpus_allowed:\t{high:x},{:08x}", mask & 0xffff_ffff)?,
    }
    text.push(b"Cpus_allowed_list:\t")?;
    write_list(text, mask)?;
    writeln!(text, "\nMems_allowed:\t1")?;
    writeln!(text, "Mems_allowed_list:\t0")?;
    Ok(())
}

/// Bits as ranges: `0-2,5`.
fn write_list(text: &mut Text, mask: u64) -> Made {
    let has = |bit: u32| bit < 64 && mask >> bit & 1 != 0;
    let mut bit = 0;
    let mut separator = "";
    while bit < 64 {
        if !has(bit) {
            bit += 1;
            continue;
        }
        let first = bit;
        while has(bit) {
            bit += 1;
        }
        match bit - 1 {
            last if last == first => write!(text, "{separator}{first}")?,
            last => write!(text, "{separator}{first}-{last}")?,
        }
        separator = ",";
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{
        Credentials, Held, Shown, Sizes, Text, write_processors, write_sizes, write_users,
    };

    fn made(make: impl FnOnce(&mut Text)) -> String {
        let mut text = Text::default();
        make(&mut text);
        String::from_utf8(text.into_bytes()).unwrap()
    }

    #[test]
    fn groups_end_with_a_space() {
        let mut credentials = Credentials::root();
        let none = made(|text| write_users(text, &credentials, 64).unwrap());
        assert_eq!(
            none,
            "Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nFDSize:\t64\nGroups:\t \n"
        );
        credentials.groups = Some(alloc::vec![4, 20].into());
        let two = made(|text| write_users(text, &credentials, 64).unwrap());
        assert!(two.ends_with("Groups:\t4 20 \n"), "{two}");
    }

    #[test]
    fn sizes_are_in_columns() {
        let held = Held {
            sizes: Sizes {
                total: 5_242_880,
                resident: 40_960,
                code: 12_288,
                ..Sizes::default()
            },
            shown: Shown {
                files: 4096,
                memory: 8192,
            },
            own_code: 8192,
            ..Held::default()
        };
        let text = made(|text| write_sizes(text, &held).unwrap());
        assert!(text.contains("\nVmSize:\t    5120 kB\nVmLck:\t       0 kB\n"));
        assert!(text.contains("\nRssAnon:\t      28 kB\nRssFile:\t       4 kB\n"));
        assert!(text.contains("\nVmExe:\t       8 kB\nVmLib:\t       4 kB\n"));
    }

    #[test]
    fn processors_are_a_mask_and_a_list() {
        let of = |mask| made(|text| write_processors(text, mask).unwrap());
        assert!(of(1).starts_with("Cpus_allowed:\t1\nCpus_allowed_list:\t0\n"));
        let many = of(u64::MAX >> 31);
        assert!(many.starts_with("Cpus_allowed:\t1,ffffffff\nCpus_allowed_list:\t0-32\n"));
        assert!(of(0b1011_0111).contains("_list:\t0-2,4-5,7\n"));
        assert!(of(1 << 63).contains("_list:\t63\n"));
    }
}
