//! Programs that behave badly on purpose, for the suite `bad_input`; what they
//! do to the kernel must end with an error or with their own end.
//!
//! They are roles, not groups: Linux would let some of them take the host
//! down with them.

use crate::call;
use crate::report::{check, line, wait};
use crate::sys;

/// Runs the role, if it is one of these.
pub(crate) fn role(role: &str, words: &[String]) -> Option<i32> {
    match role {
        "--fork-bomb" => fork_bomb(),
        "--doubling-bomb" => doubling_bomb(),
        "--hog" => hog(),
        "--chosen" => return Some(chosen(words)),
        "--fill" => fill(words.first().map_or("/tmp/full", String::as_str)),
        "--pipe-hog" => pipe_hog(),
        "--map-hog" => map_hog(),
        "--users" => return Some(crate::groups::thread_shares::role()),
        "--shortage" => return Some(crate::shortage::role(words)),
        "--given-back" => return Some(crate::exhaust::given_back()),
        "--exhaust" => return Some(crate::exhaust::role(words)),
        "--infallible" => return Some(crate::shortage::infallible()),
        "--executed" => return Some(crate::shortage::executed()),
        "--kernel-memory" => return Some(crate::kernel_memory::role()),
        "--spare" => crate::groups::lazy_free::role(),
        "--storms" => return Some(crate::groups::storms::role()),
        "--limits" => return Some(crate::groups::task_limits::role()),
        "--elf" => elf(words.first().map_or("/bin/busybox", String::as_str)),
        _ => return None,
    }
    Some(0)
}

/// Forks until that fails, then ends every child.
fn fork_bomb() {
    let mut children = Vec::new();
    let error = loop {
        match call!(SYS_fork) {
            Ok(0) => {
                let _ = call!(SYS_pause);
                sys::exit(0);
            }
            Ok(pid) => children.push(pid as i32),
            Err(error) => break error,
        }
        if children.len() == 100_000 {
            break crate::errno::Errno(0);
        }
    };
    let refused = matches!(error.0, libc::EAGAIN | libc::ENOMEM);
    check("fork is refused in the end", refused);
    check("many were let", children.len() > 20);
    for pid in &children {
        let _ = call!(SYS_kill, *pid, libc::SIGKILL);
    }
    let killed = children
        .iter()
        .filter(|pid| wait(**pid) == "killed by SIGKILL")
        .count();
    check("all were killed", killed == children.len());
    check("one more", wait(sys::fork(|| 7)));
}

/// Tasks of a bomb that is to be ended.
const LARGE: u16 = 100;

/// Has a shell double itself again and again, and ends all of it when it is large.
fn doubling_bomb() {
    let shell = sys::fork(|| {
        // What does not get a child says so, again and again.
        let _ = call!(SYS_close, 2);
        let words = [c"/bin/sh", c"-c", c"bomb() { bomb | bomb & }; bomb"];
        let arguments = [
            words[0].as_ptr().expose_provenance(),
            words[1].as_ptr().expose_provenance(),
            words[2].as_ptr().expose_provenance(),
            0,
        ];
        let _ = call!(SYS_execve, words[0], &arguments, &[0_usize]);
        127
    });
    // Whatever runs meanwhile, one that slept has its turn soon: before there is
    // no memory for a child any more, of which such a bomb may end by itself.
    let mut is_large = false;
    for _ in 0..3000 {
        let pause = libc::timespec {
            tv_sec: 0,
            tv_nsec: 1_000_000,
        };
        let _ = call!(SYS_nanosleep, &pause, 0);
        is_large = tasks() > LARGE;
        if is_large {
            break;
        }
    }
    check("it grows", is_large);
    // One call ends them all: no child is made that it would miss.
    check("all are killed", call!(SYS_kill, -1, libc::SIGKILL).is_ok());
    let _ = wait(shell);
    while call!(SYS_kill, -1, 0).is_ok() {
        let _ = call!(SYS_sched_yield);
    }
    check("all are gone, and forks go on", wait(sys::fork(|| 7)));
}

/// How many threads there are.
fn tasks() -> u16 {
    let mut info: libc::sysinfo = sys::zeroed();
    let _ = call!(SYS_sysinfo, &mut info);
    info.procs
}

/// Touches memory until there is none. The end is a signal or an error: which of
/// them depends on how much is left when the last mapping is asked for.
fn hog() {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    loop {
        let Ok(at) = call!(SYS_mmap, 0, 1_usize << 20, prot, flags, -1, 0) else {
            eprintln!("mmap is refused");
            sys::exit(1);
        };
        for page in 0..256 {
            sys::poke(at as usize + page * 4096, 1);
        }
    }
}

/// Two processes of the sizes and the adjustments that the words say, `SMALL
/// LARGE` in MiB and `SMALL LARGE` again; memory is taken until one of them is
/// killed, which is said with its number. Nobody kills the one that takes.
fn chosen(words: &[String]) -> i32 {
    let number = |at: usize| words.get(at).and_then(|word| word.parse::<i32>().ok());
    let (Some(sizes), Some(adjustments)) = (number(0).zip(number(1)), number(2).zip(number(3)))
    else {
        return 2;
    };
    let adjust = |by: i32| std::fs::write("/proc/self/oom_score_adj", by.to_string()).is_ok();
    let start = |mib: i32, adjustment: i32| {
        let mut ends = [0_i32; 2];
        let _ = call!(SYS_pipe2, &mut ends, 0);
        let pid = sys::fork(|| {
            let is_ready = adjust(adjustment) && room(mib as usize).all(touch);
            let _ = call!(SYS_write, ends[1], &[u8::from(is_ready)], 1);
            loop {
                let _ = call!(SYS_pause);
            }
        });
        let mut byte = [0_u8];
        let _ = call!(SYS_read, ends[0], &mut byte, 1);
        check("ready", byte[0] == 1);
        pid
    };
    let pids = [start(sizes.0, adjustments.0), start(sizes.1, adjustments.1)];
    check("protected", adjust(-1000));
    let mut status = 0_i32;
    // Asked for at once: a call would be refused before a page is.
    let mut pages = room(1024);
    let gone = loop {
        match call!(SYS_wait4, -1, &mut status, libc::WNOHANG, 0) {
            Ok(0) if pages.next().is_some_and(touch) => {}
            Ok(0) => break 0,
            Ok(pid) => break pid as i32,
            Err(_) => break 0,
        }
    };
    line(&format!("gone: process {gone}"));
    check("by SIGKILL", libc::WTERMSIG(status) == libc::SIGKILL);
    check("the small one", gone == pids[0]);
    let other = pids.into_iter().find(|pid| *pid != gone).unwrap_or(0);
    let is_there = call!(SYS_wait4, other, 0, libc::WNOHANG, 0) == Ok(0);
    check("the other lives", is_there);
    let _ = call!(SYS_kill, other, libc::SIGKILL);
    let _ = wait(other);
    0
}

/// The pages of a new mapping of so many MiB; none if it is refused.
fn room(mib: usize) -> impl Iterator<Item = usize> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let at = call!(SYS_mmap, 0, mib << 20, sys::RW, flags, -1, 0);
    let pages = at.map(|at| (at as usize..at as usize + (mib << 20)).step_by(sys::PAGE));
    pages.into_iter().flatten()
}

/// Has the page at `at` be there.
fn touch(at: usize) -> bool {
    sys::poke(at, 1);
    true
}

/// Writes a file until there is no room.
fn fill(path: &str) {
    let path = std::ffi::CString::new(path).expect("no NUL in an argument");
    let fd = call!(SYS_creat, path.as_c_str(), 0o644).unwrap_or(-1);
    let block = vec![5_u8; 1 << 16];
    let error = loop {
        match call!(SYS_write, fd, block.as_slice(), block.len()) {
            Ok(0) => break None,
            Ok(_) => {}
            Err(error) => break Some(error),
        }
    };
    let refused = error.is_some_and(|error| matches!(error.0, libc::ENOSPC | libc::ENOMEM));
    check("write is refused in the end", refused);
    let _ = call!(SYS_unlink, path.as_c_str());
    let _ = call!(SYS_close, fd);
}

/// Fills pipes until there are no more.
fn pipe_hog() {
    let limit = libc::rlimit {
        rlim_cur: 65_536,
        rlim_max: 65_536,
    };
    let _ = call!(SYS_setrlimit, libc::RLIMIT_NOFILE, &limit);
    let block = vec![5_u8; 1 << 16];
    loop {
        let mut ends = [0_i32; 2];
        match call!(SYS_pipe2, &mut ends, libc::O_NONBLOCK) {
            Err(_) => break,
            Ok(_) => {
                let _ = call!(SYS_write, ends[1], block.as_slice(), block.len());
            }
        }
    }
    line("pipes are refused in the end");
}

/// Makes mappings until there are no more.
fn map_hog() {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let mut made = 0_u64;
    // Neighbours with different rights cannot be one mapping.
    while made < 2_000_000 {
        let prot = if made.is_multiple_of(2) {
            libc::PROT_NONE
        } else {
            libc::PROT_READ
        };
        if call!(SYS_mmap, 0, 4096, prot, flags, -1, 0).is_err() {
            break;
        }
        made += 1;
    }
    check("mappings are refused in the end", made < 2_000_000);
    check("many were let", made > 1000);
}

/// Sizes in bytes of the fields of the file header, from its type on.
const FILE_HEADER: [usize; 13] = [2, 2, 4, 8, 8, 8, 4, 2, 2, 2, 2, 2, 2];

/// Sizes of the fields of a program header.
const PROGRAM_HEADER: [usize; 8] = [4, 4, 8, 8, 8, 8, 8, 8];

/// Executes copies of an ELF program with one field changed, each field in
/// turn, and copies that are cut short.
fn elf(original: &str) {
    let bytes = std::fs::read(original).expect("the program is there");
    let word = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
    let headers = usize::from(word(56));
    let mut fields: Vec<(usize, usize)> = (0..16).map(|at| (at, 1)).collect();
    let mut at = 16;
    for size in FILE_HEADER {
        fields.push((at, size));
        at += size;
    }
    for header in 0..headers {
        at = 64 + header * 56;
        for size in PROGRAM_HEADER {
            fields.push((at, size));
            at += size;
        }
    }
    let path = "/tmp/changed";
    let (mut tried, mut strange) = (0_u32, 0_u32);
    for (at, size) in fields {
        // A fresh copy for each field: an emulator keeps what it made of code
        // for each address where it ran, and gives that up one by one, slowly,
        // when the memory has another use. Each run is somewhere else.
        write(path, &bytes);
        for value in values(&bytes[at..at + size]) {
            patch(path, at, &value);
            strange += u32::from(!ends(path));
            tried += 1;
        }
    }
    for cut in (0..1024)
        .step_by(31)
        .chain((1024..bytes.len()).step_by(bytes.len() / 17))
    {
        write(path, &bytes[..cut]);
        strange += u32::from(!ends(path));
        tried += 1;
    }
    write(path, &bytes);
    check("tried more than 300", tried > 300);
    check("hung", strange);
    check("the whole one runs", run(path));
}

/// What a field is changed to.
fn values(old: &[u8]) -> Vec<Vec<u8>> {
    let mut word = [0_u8; 8];
    word[..old.len()].copy_from_slice(old);
    let old_value = u64::from_le_bytes(word);
    [
        0,
        1,
        old_value.wrapping_sub(4096),
        old_value ^ 0x8000_0000_0000_0000,
        0x7fff_ffff_f000,
        0xffff_ffff_8000_0000,
        u64::MAX,
    ]
    .iter()
    .map(|value| value.to_le_bytes()[..old.len()].to_vec())
    .filter(|value| value != old)
    .collect()
}

fn write(path: &str, bytes: &[u8]) {
    use std::os::unix::fs::PermissionsExt;
    let _ = std::fs::remove_file(path);
    std::fs::write(path, bytes).expect("there is room for a copy");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
}

fn patch(path: &str, at: usize, value: &[u8]) {
    use std::os::unix::fs::FileExt;
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(path)
        .expect("it is ours");
    file.write_all_at(value, at as u64).expect("it is ours");
}

/// Whether a changed program comes to an end by itself or by the alarm.
fn ends(path: &str) -> bool {
    let end = run(path);
    end.starts_with("exit") || end.starts_with("killed")
}

fn run(path: &str) -> String {
    let path = std::ffi::CString::new(path).expect("no NUL in a case");
    wait(sys::fork(|| {
        let null = call!(SYS_open, c"/dev/null", libc::O_RDWR, 0).unwrap_or(0);
        for fd in 0..3 {
            let _ = call!(SYS_dup2, null, fd);
        }
        sys::set_disposition(libc::SIGALRM, libc::SIG_DFL);
        let mut timer: libc::itimerval = sys::zeroed();
        timer.it_value.tv_usec = 100_000;
        let _ = call!(SYS_setitimer, libc::ITIMER_REAL, &timer, 0);
        let arguments = [
            c"busybox".as_ptr().expose_provenance(),
            c"true".as_ptr().expose_provenance(),
            0,
        ];
        let _ = call!(SYS_execve, path.as_c_str(), &arguments, &[0_usize]);
        50
    }))
}
