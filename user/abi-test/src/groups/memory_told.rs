//! What `/proc/self/status` and `/proc/meminfo` tell of memory: which fields there
//! are, in which order and form, and that they follow what the program does.

use crate::call;
use crate::report::{check, check_child};
use crate::sys::{self, ANON, PAGE, RW};

const SHARED: i32 = libc::MAP_SHARED | libc::MAP_ANONYMOUS;

/// Bytes of mappings that are looked at.
const MUCH: usize = 4 << 20;

/// Bytes by which Linux's counts may be off, as it adds them up now and then.
const ROUGHLY: i64 = 512;

/// Fields of `status` that every Linux of these days has, from memory's on.
const STATUS: &[&str] = &[
    "VmPeak",
    "VmSize",
    "VmLck",
    "VmPin",
    "VmHWM",
    "VmRSS",
    "RssAnon",
    "RssFile",
    "RssShmem",
    "VmData",
    "VmStk",
    "VmExe",
    "VmLib",
    "VmPTE",
    "VmSwap",
    "HugetlbPages",
    "CoreDumping",
    "THP_enabled",
    "Threads",
];

/// Those of `meminfo`; what Ochre does not count is not among them.
const MEMINFO: &[&str] = &[
    "MemTotal",
    "MemFree",
    "MemAvailable",
    "Buffers",
    "Cached",
    "SwapCached",
    "Unevictable",
    "SwapTotal",
    "SwapFree",
    "Dirty",
    "Writeback",
    "AnonPages",
    "Shmem",
    "KReclaimable",
    "Slab",
    "SReclaimable",
    "SUnreclaim",
    "KernelStack",
    "PageTables",
    "SecPageTables",
    "NFS_Unstable",
    "Bounce",
    "WritebackTmp",
    "CommitLimit",
    "Committed_AS",
    "VmallocTotal",
    "VmallocUsed",
    "VmallocChunk",
    "AnonHugePages",
    "ShmemHugePages",
    "ShmemPmdMapped",
    "FileHugePages",
    "FilePmdMapped",
    "HugePages_Total",
    "HugePages_Free",
    "HugePages_Rsvd",
    "HugePages_Surp",
    "Hugepagesize",
    "Hugetlb",
];

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// A field of a text in which each has a line.
fn field(text: &str, name: &str) -> Option<i64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let value = line?.strip_prefix(':')?.split_whitespace().next()?;
    value.parse().ok()
}

fn status(name: &str) -> i64 {
    field(&read("/proc/self/status"), name).unwrap_or(-1)
}

/// The fields in the order of the file, and whether each line is as it should be.
fn fields(path: &str, known: &[&str], form: fn(&str, &str) -> String) {
    let text = read(path);
    let mut all_formed = true;
    for line in text.lines() {
        let Some((name, rest)) = line.split_once(':') else {
            continue;
        };
        if known.contains(&name) {
            check(&format!("{path} has"), name);
            let value = rest.trim().trim_end_matches(" kB");
            let is_formed = line == form(name, value) && value.parse::<u64>().is_ok();
            if !is_formed {
                check("  not as it should be", line);
            }
            all_formed &= is_formed;
        }
    }
    check(&format!("{path}'s form"), all_formed);
}

/// The cases.
pub(crate) fn run() {
    fields("/proc/self/status", STATUS, |name, value| match name {
        "Threads" | "CoreDumping" | "THP_enabled" => format!("{name}:\t{value}"),
        _ => format!("{name}:\t{value:>8} kB"),
    });
    fields("/proc/meminfo", MEMINFO, |name, value| {
        let unit = match name.starts_with("HugePages_") {
            true => "",
            false => " kB",
        };
        format!("{:<16}{value:>8}{unit}", format!("{name}:"))
    });
    check_child("mappings", || {
        mappings();
        0
    });
    check_child("what is in memory", || {
        residence();
        0
    });
    check_child("tables", || {
        tables();
        0
    });
    check_child("locks", || {
        locks();
        0
    });
    check_child("huge pages", || {
        check("  enabled", status("THP_enabled"));
        let _ = call!(SYS_prctl, 41, 1, 0, 0, 0);
        check("  disabled", status("THP_enabled"));
        0
    });
    machine();
}

fn map(flags: i32) -> usize {
    call!(SYS_mmap, 0, MUCH, RW, flags, -1, 0).map_or(0, |at| at as usize)
}

fn store(at: usize) {
    for page in 0..MUCH / PAGE {
        sys::poke(at + page * PAGE, 1);
    }
}

fn mappings() {
    let kib = (MUCH >> 10) as i64;
    // Whatever reading itself takes is there then.
    let _ = (status("VmSize"), status("VmData"));
    let (size, data) = (status("VmSize"), status("VmData"));
    let at = map(ANON);
    check("  VmSize", status("VmSize") - size == kib);
    check("  VmData", status("VmData") - data == kib);
    let _ = call!(SYS_mprotect, at, MUCH, libc::PROT_READ);
    check("  VmData without stores", status("VmData") - data);
    check("  VmPeak is not below", status("VmPeak") >= size + kib);
    let peak = status("VmPeak");
    let _ = call!(SYS_munmap, at, MUCH);
    check("  VmSize afterwards", status("VmSize") - size);
    check("  VmPeak stays", status("VmPeak") - peak);
    check_child("  a child's VmPeak is its VmSize", || {
        i32::from(status("VmPeak") != status("VmSize"))
    });
    let text = read("/proc/self/status");
    let of = |name| field(&text, name).unwrap_or(-1);
    check("  a stack", of("VmStk") > 0);
    check("  code", of("VmExe") > 0 && of("VmLib") >= 0);
    check("  a part of all", of("VmExe") + of("VmLib") < of("VmSize"));
}

/// Whose pages there are: stored, read and written ones of each kind.
fn residence() {
    let kinds = || {
        let text = read("/proc/self/status");
        ["VmRSS", "RssAnon", "RssFile", "RssShmem"].map(|name| field(&text, name).unwrap_or(-1))
    };
    let file = call!(SYS_memfd_create, c"told", 0).unwrap_or(-1);
    let _ = call!(SYS_ftruncate, file, MUCH);
    let of_file = |kind: i32| {
        let at = call!(SYS_mmap, 0, MUCH, RW, kind, file, 0).unwrap_or(0) as usize;
        let _ = call!(SYS_madvise, at, MUCH, libc::MADV_NOHUGEPAGE);
        at
    };
    let mut before = kinds();
    let mut changed = |name: &str| {
        let after = kinds();
        // In units of what is mapped.
        let much = (MUCH >> 10) as i64;
        let units = |of: usize| {
            let change = after[of] - before[of];
            let unit = (change + much / 2).div_euclid(much);
            let is_near = (change - unit * much).abs() <= ROUGHLY;
            if is_near {
                unit.to_string()
            } else {
                format!("{change} KiB")
            }
        };
        check(
            &format!("  {name}: all, own, files', shared"),
            format!("{} {} {} {}", units(0), units(1), units(2), units(3)),
        );
        check("    the sum", after[0] == after[1] + after[2] + after[3]);
        before = after;
    };
    let own = map(ANON);
    let _ = call!(SYS_madvise, own, MUCH, libc::MADV_NOHUGEPAGE);
    changed("nothing is touched");
    store(own);
    changed("own pages");
    let shared = map(SHARED);
    store(shared);
    changed("shared pages");
    let of_shared = of_file(libc::MAP_SHARED);
    store(of_shared);
    changed("a file's, shared");
    let of_private = of_file(libc::MAP_PRIVATE);
    for page in 0..MUCH / PAGE {
        sys::peek(of_private + page * PAGE);
    }
    changed("a file's, read");
    store(of_private);
    changed("a file's, copied");
    let _ = call!(SYS_munmap, own, MUCH);
    changed("without own ones");
    let _ = call!(SYS_munmap, shared, MUCH);
    let _ = call!(SYS_munmap, of_shared, MUCH);
    changed("without shared ones");
    let statm = read("/proc/self/statm");
    let statm: Vec<i64> = statm.split_whitespace().flat_map(str::parse).collect();
    let of_objects = (before[2] + before[3]) / 4 - statm.get(2).copied().unwrap_or(0);
    check("  statm has the same", of_objects.abs() <= ROUGHLY / 4);
    let peak = status("VmHWM");
    let _ = call!(SYS_munmap, of_private, MUCH);
    check("  VmHWM stays", status("VmHWM") - peak);
    check("  VmHWM is not below", peak >= status("VmRSS"));
}

/// Pages far from each other need tables of their own.
fn tables() {
    let _ = status("VmPTE");
    let before = status("VmPTE");
    let far = |number: usize| 0x1000_0000_0000 + (number << 40);
    for number in 0..3 {
        let flags = ANON | libc::MAP_FIXED_NOREPLACE;
        let _ = call!(SYS_mmap, far(number), PAGE, RW, flags, -1, 0);
    }
    check("  of what is not touched", status("VmPTE") - before);
    for number in 0..3 {
        sys::poke(far(number), 1);
    }
    check("  of three far apart", status("VmPTE") - before);
    for number in 0..3 {
        let _ = call!(SYS_munmap, far(number), PAGE);
    }
    check("  afterwards", status("VmPTE") - before);
}

fn locks() {
    let at = map(ANON);
    check("  none", status("VmLck"));
    let _ = call!(SYS_mlock, at, 16 * PAGE);
    check("  some", status("VmLck"));
    let _ = call!(SYS_munlock, at, 4 * PAGE);
    check("  fewer", status("VmLck"));
    check("  pinned, moved, huge", {
        let text = read("/proc/self/status");
        let of = |name| field(&text, name);
        (of("VmPin"), of("VmSwap"), of("HugetlbPages"))
    });
}

/// What is true of every machine, and that it follows: others use memory, too, so
/// that one of some tries has to show it.
fn machine() {
    let text = read("/proc/meminfo");
    let of = |name| field(&text, name).unwrap_or(-1);
    check("free is less", of("MemFree") < of("MemTotal"));
    check("slabs", of("Slab") - of("SReclaimable") - of("SUnreclaim"));
    check("the kernel's", of("PageTables") > 0 && of("Slab") > 0);
    check("reserved huge pages", of("HugePages_Total"));
    check("in them", of("Hugetlb"));
    check("nr_hugepages", read("/proc/sys/vm/nr_hugepages"));
    let follows = |name: &str, flags: i32| {
        let near = (MUCH as i64 >> 10) / 4;
        let grows = (0..50).any(|_| {
            let of = || field(&read("/proc/meminfo"), name).unwrap_or(-1);
            let before = of();
            let at = map(flags);
            store(at);
            let more = of();
            let _ = call!(SYS_munmap, at, MUCH);
            let less = of();
            let kib = (MUCH >> 10) as i64;
            (more - before - kib).abs() <= near && (more - less - kib).abs() <= near
        });
        check(&format!("{name} follows"), grows);
    };
    follows("AnonPages", ANON);
    follows("Shmem", SHARED);
}
