//! `/proc`: what `ps`, `top`, `free`, `mount`, `uptime` and glibc read.

use crate::call;
use crate::report::{check, check_child};
use crate::sys;

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn has_lines(path: &str, starts: &[&str]) {
    let text = read(path);
    for start in starts {
        let found = text.lines().any(|line| line.starts_with(start));
        check(&format!("{path} has {start}"), found);
    }
}

/// The cases.
pub(crate) fn run() {
    let pid = std::process::id();
    check(
        "/proc/self",
        std::fs::read_link("/proc/self").is_ok_and(|to| to.to_string_lossy() == pid.to_string()),
    );
    let by_number = |name: &str| read(&format!("/proc/{pid}/{name}"));
    check(
        "same by number",
        by_number("comm") == read("/proc/self/comm"),
    );
    has_lines(
        "/proc/meminfo",
        &[
            "MemTotal:",
            "MemFree:",
            "MemAvailable:",
            "Buffers:",
            "Cached:",
            "SwapTotal:",
            "SwapFree:",
        ],
    );
    has_lines(
        "/proc/stat",
        &[
            "cpu ",
            "cpu0 ",
            "ctxt ",
            "btime ",
            "processes ",
            "procs_running ",
        ],
    );
    has_lines(
        "/proc/cpuinfo",
        &["processor", "vendor_id", "model name", "flags"],
    );
    has_lines(
        "/proc/self/status",
        &[
            "Name:", "State:", "Tgid:", "Pid:", "PPid:", "Uid:", "Gid:", "VmSize:", "VmRSS:",
            "Threads:", "SigBlk:", "SigIgn:", "SigCgt:",
        ],
    );
    check(
        "uptime's fields",
        read("/proc/uptime")
            .split_whitespace()
            .filter(|word| word.parse::<f64>().is_ok())
            .count(),
    );
    check(
        "loadavg's fields",
        read("/proc/loadavg").split_whitespace().count(),
    );
    check(
        "version",
        read("/proc/version").starts_with("Linux version "),
    );
    check(
        "filesystems",
        read("/proc/filesystems").contains("\ttmpfs")
            && read("/proc/filesystems").contains("\tproc"),
    );
    check(
        "mounts has proc",
        read("/proc/mounts")
            .lines()
            .any(|line| line.split(' ').nth(1) == Some("/proc")),
    );
    check(
        "mounts has six fields",
        read("/proc/self/mounts")
            .lines()
            .all(|line| line.split(' ').count() == 6),
    );
    check("ostype", read("/proc/sys/kernel/ostype"));
    check(
        "hostname",
        !read("/proc/sys/kernel/hostname").trim().is_empty(),
    );
    check(
        "osrelease",
        !read("/proc/sys/kernel/osrelease").trim().is_empty(),
    );
    check(
        "pid_max",
        read("/proc/sys/kernel/pid_max")
            .trim()
            .parse::<u32>()
            .is_ok_and(|most| most >= 300),
    );
    stat(pid);
    links(pid);
    shortage();
    let _ = call!(SYS_prctl, libc::PR_SET_NAME, c"(odd) na me", 0, 0, 0);
    check("comm", read("/proc/self/comm"));
    check(
        "stat shows it in brackets",
        read("/proc/self/stat").contains(" ((odd) na me) "),
    );
    check(
        "cmdline has NULs",
        read("/proc/self/cmdline").ends_with('\0'),
    );
    check("environ", std::fs::read("/proc/self/environ").is_ok());
    let maps = read("/proc/self/maps");
    check(
        "maps has the stack",
        maps.lines().any(|line| line.ends_with("[stack]")),
    );
    check(
        "maps has this program",
        maps.contains("/abi-test") || maps.contains("/self"),
    );
    let here = core::ptr::from_ref(&maps).addr();
    let inside = maps.lines().any(|line| {
        let mut ends = line.split([' ', '-']).take(2).filter_map(|word| usize::from_str_radix(word, 16).ok());
        matches!((ends.next(), ends.next()), (Some(start), Some(end)) if (start..end).contains(&here))
    });
    check("maps holds an address of mine", inside);
    pieces_of_maps();
    check(
        "limits",
        read("/proc/self/limits").contains("Max open files"),
    );
    children();
    check(
        "a process that is not there",
        std::fs::metadata("/proc/99999999").is_err(),
    );
    check("create in it", call!(SYS_creat, c"/proc/x", 0o644).is_err());
    check("mkdir in it", call!(SYS_mkdir, c"/proc/x", 0o755).is_err());
    check(
        "remove from it",
        call!(SYS_unlink, c"/proc/version").is_err(),
    );
    check(
        "pid folders",
        std::fs::read_dir("/proc")
            .map(|all| {
                all.filter_map(Result::ok)
                    .any(|entry| entry.file_name().to_string_lossy() == pid.to_string())
            })
            .unwrap_or(false),
    );
    let mut buffer = [0_u8; 4];
    let fd = call!(SYS_open, c"/proc/version", 0, 0).unwrap_or(-1);
    let mut all = Vec::new();
    while let Ok(count @ 1..) = call!(SYS_read, fd, &mut buffer, 4) {
        all.extend_from_slice(&buffer[..count as usize]);
    }
    check(
        "read four bytes at a time",
        all == read("/proc/version").as_bytes(),
    );
    check("lseek and read again", {
        let _ = call!(SYS_lseek, fd, 0, 0);
        let _ = call!(SYS_read, fd, &mut buffer, 4);
        buffer
    });
}

/// A long list of areas is the same in pieces of any size.
fn pieces_of_maps() {
    const AREAS: usize = 300;
    let len = 2 * AREAS * 4096;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let Ok(at) = call!(SYS_mmap, 0, len, libc::PROT_READ, flags, -1, 0) else {
        return check("room for areas", false);
    };
    for page in (0..2 * AREAS as i64).step_by(2) {
        let _ = call!(SYS_mprotect, at + page * 4096, 4096, libc::PROT_NONE);
    }
    // What follows maps nothing.
    let mut texts = [(); 3].map(|()| vec![1_u8; 1 << 20]);
    for ((path, piece), text) in [
        (c"/proc/self/maps", 100),
        (c"/proc/self/maps", 5000),
        (c"/proc/self/smaps", 700),
    ]
    .into_iter()
    .zip(&mut texts)
    {
        let fd = call!(SYS_open, path, 0, 0).unwrap_or(-1);
        let mut end = 0;
        while let Ok(count @ 1..) = call!(SYS_read, fd, &mut text[end..], piece) {
            end += count as usize;
        }
        let _ = call!(SYS_close, fd);
        text.truncate(end);
    }
    let [maps, same, detailed] = texts;
    let lines = maps.iter().filter(|byte| **byte == b'\n').count();
    check("maps has all areas", lines > 2 * AREAS);
    check("maps in other pieces", maps == same);
    let detailed = String::from_utf8_lossy(&detailed);
    let sizes = detailed.lines().filter(|line| line.starts_with("Size:"));
    check("smaps has as many", sizes.count() == lines);
    let _ = call!(SYS_munmap, at, len);
}

fn stat(pid: u32) {
    let text = read("/proc/self/stat");
    let after = text.rsplit(')').next().unwrap_or_default();
    let fields: Vec<&str> = after.split_whitespace().collect();
    check(
        "stat starts with the number",
        text.starts_with(&format!("{pid} (")),
    );
    check("stat's fields", fields.len());
    check("state", fields.first().copied().unwrap_or_default());
    let field = |at: usize| fields.get(at).and_then(|word| word.parse::<i64>().ok());
    check("ppid", field(1) == call!(SYS_getppid).ok());
    check("pgrp", field(2) == call!(SYS_getpgrp).ok());
    check("session", field(3) == call!(SYS_getsid, 0).ok());
    check("threads", field(17));
    check("start time", field(19).is_some_and(|time| time >= 0));
    check("size", field(20).is_some_and(|size| size > 0));
    check(
        "statm's fields",
        read("/proc/self/statm").split_whitespace().count(),
    );
}

fn links(pid: u32) {
    let exe = std::fs::read_link("/proc/self/exe").unwrap_or_default();
    check("exe is absolute", exe.is_absolute());
    check("exe opens", std::fs::File::open("/proc/self/exe").is_ok());
    check(
        "cwd",
        std::fs::read_link("/proc/self/cwd").ok() == std::env::current_dir().ok(),
    );
    check(
        "root",
        std::fs::read_link("/proc/self/root").is_ok_and(|to| to.as_os_str() == "/"),
    );
    let fd = call!(SYS_open, c"named", libc::O_RDWR | libc::O_CREAT, 0o644).unwrap_or(-1);
    let link = format!("/proc/self/fd/{fd}");
    let expected = std::env::current_dir().unwrap_or_default().join("named");
    check(
        "fd link",
        std::fs::read_link(&link).is_ok_and(|to| to == expected),
    );
    let _ = call!(SYS_unlink, c"named");
    check(
        "fd link of a removed file",
        std::fs::read_link(&link)
            .is_ok_and(|to| to.to_string_lossy().ends_with("/named (deleted)")),
    );
    check("it still opens", std::fs::write(&link, "x").is_ok());
    let mut ends = [0_i32; 2];
    let _ = call!(SYS_pipe2, &mut ends, 0);
    let pipe = std::fs::read_link(format!("/proc/{pid}/fd/{}", ends[0])).unwrap_or_default();
    check(
        "fd link of a pipe",
        pipe.to_string_lossy().starts_with("pipe:["),
    );
    let count = std::fs::read_dir("/proc/self/fd")
        .map(Iterator::count)
        .unwrap_or(0);
    check("fd lists what is open", count >= 5);
}

fn children() {
    let child = sys::fork(|| {
        let _ = call!(SYS_pause);
        0
    });
    let state = || -> String {
        let text = read(&format!("/proc/{child}/stat"));
        text.rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .next()
            .unwrap_or("gone")
            .to_owned()
    };
    for _ in 0..500 {
        if state() == "S" {
            break;
        }
        std::thread::sleep(core::time::Duration::from_millis(2));
    }
    check("sleeping", state());
    let _ = call!(SYS_kill, child, libc::SIGSTOP);
    let _ = crate::report::wait_with(child, libc::WUNTRACED);
    check("stopped", state());
    let _ = call!(SYS_kill, child, libc::SIGKILL);
    let mut info: libc::siginfo_t = sys::zeroed();
    let _ = call!(
        SYS_waitid,
        1,
        child,
        &mut info,
        libc::WEXITED | libc::WNOWAIT,
        0
    );
    check("zombie", state());
    check(
        "zombie's exe",
        std::fs::read_link(format!("/proc/{child}/exe")).is_err(),
    );
    check("reaped", crate::report::wait(child));
    check("gone", state());
    check_child("renamed by exec", || {
        super::exec::exec(crate::runner::SELF, &[c"self", c"--state"], &[])
    });
}

/// What counts when memory is short. Scores depend on how much there is.
fn shortage() {
    let set = |adjustment: &str| {
        let error = std::fs::write("/proc/self/oom_score_adj", adjustment).err();
        error.and_then(|error| error.raw_os_error()).unwrap_or(0)
    };
    let score = || {
        let score = read("/proc/self/oom_score").trim().parse().unwrap_or(0);
        match score {
            0_u32 => "none",
            1..500 => "little",
            500..1000 => "as it comes",
            1000..=2000 => "much",
            _ => "too much",
        }
    };
    check("oom_score", score());
    for adjustment in ["300", "1000", "1001", "-1001", "x", ""] {
        check(&format!("adjusted by {adjustment:?}"), set(adjustment));
        check(
            "it shows",
            read("/proc/self/oom_score_adj").trim().to_owned(),
        );
        check("oom_score", score());
    }
    for adjustment in ["999", "0", "-1"] {
        check(&format!("back to {adjustment}"), set(adjustment));
    }
}
