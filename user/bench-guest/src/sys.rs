//! The calls that are measured, and the clock, each as one small function.
//!
//! Every call goes to the kernel by [`libc::syscall`], so that neither side of
//! a comparison is helped by what a C library caches. This module and `arch`
//! have all the `unsafe` of the program.

use core::{
    ffi::{CStr, c_char},
    sync::atomic::AtomicU32,
    time::Duration,
};
use std::{fs, thread};

use crate::arch;
pub(crate) use crate::arch::counter;

/// Panics with the call's name: a benchmark whose call fails measures nothing.
fn checked(name: &str, answer: i64) -> i64 {
    assert!(answer >= 0, "{name}: {}", std::io::Error::last_os_error());
    answer
}

macro_rules! call {
    ($name:ident $(, $arg:expr)*) => {{
        // SAFETY: each use below passes what the call's manual page asks for,
        // pointers being to live borrows that outlast the call.
        let answer = unsafe { libc::syscall(libc::$name $(, $arg)*) };
        checked(stringify!($name), answer)
    }};
}

/// The words of a command line.
///
/// # Safety
/// `words` are `count` strings of C's that are there for ever.
pub(crate) unsafe fn words(count: i32, words: *const *const c_char) -> Vec<&'static CStr> {
    let count = usize::try_from(count).unwrap_or(0);
    // SAFETY: so many, and for ever, says the caller.
    let words = unsafe { core::slice::from_raw_parts(words, count) };
    let word = |word: &*const c_char| {
        // SAFETY: a string of C's that is there for ever, says the caller.
        unsafe { CStr::from_ptr(*word) }
    };
    words.iter().map(word).collect()
}

/// The cheapest call there is that glibc does not answer itself.
pub(crate) fn getppid() {
    call!(SYS_getppid);
}

/// Reads into `bytes`.
pub(crate) fn read(fd: i32, bytes: &mut [u8]) -> i64 {
    call!(SYS_read, fd, bytes.as_mut_ptr(), bytes.len())
}

/// Writes `bytes`.
pub(crate) fn write(fd: i32, bytes: &[u8]) -> i64 {
    call!(SYS_write, fd, bytes.as_ptr(), bytes.len())
}

/// Opens a file; a new one gets mode 644.
pub(crate) fn open(path: &CStr, flags: i32) -> i32 {
    checked("open", arch::open(path, flags, 0o644)) as i32
}

/// Opens a terminal, if there is one, not to be the process's own.
pub(crate) fn try_open_terminal(path: &CStr) -> Option<i32> {
    let flags = libc::O_RDWR | libc::O_NOCTTY;
    i32::try_from(arch::open(path, flags, 0))
        .ok()
        .filter(|fd| *fd >= 0)
}

/// Makes a character device, if its place is free.
pub(crate) fn make_device(path: &CStr, major: u32, minor: u32) {
    let (mode, device) = (libc::S_IFCHR | 0o600, libc::makedev(major, minor));
    // SAFETY: the path is a C string that outlasts the call.
    let _ = unsafe {
        libc::syscall(
            libc::SYS_mknodat,
            libc::AT_FDCWD,
            path.as_ptr(),
            mode,
            device,
        )
    };
}

/// Waits until a terminal has sent all that was written to it.
pub(crate) fn drain(terminal: i32) {
    call!(SYS_ioctl, terminal, libc::TCSBRK, 1);
}

/// Closes a descriptor.
pub(crate) fn close(fd: i32) {
    call!(SYS_close, fd);
}

/// `stat`, result thrown away.
pub(crate) fn stat(path: &CStr) {
    let mut stat = [0_u64; 18];
    checked("stat", arch::stat(path, &mut stat));
}

/// `fstat`, result thrown away.
pub(crate) fn fstat(fd: i32) {
    let mut stat = [0_u64; 18];
    call!(SYS_fstat, fd, stat.as_mut_ptr());
}

/// A pipe: reading end, writing end.
pub(crate) fn pipe() -> [i32; 2] {
    let mut ends = [0_i32; 2];
    call!(SYS_pipe2, ends.as_mut_ptr(), 0);
    ends
}

/// Forks; the child runs `body` and leaves with status 0.
pub(crate) fn fork(body: impl FnOnce()) -> i32 {
    match checked("fork", arch::fork()) {
        0 => {
            body();
            exit(0)
        }
        pid => pid as i32,
    }
}

/// Leaves at once.
pub(crate) fn exit(status: i32) -> ! {
    // SAFETY: takes an integer and does not return.
    unsafe { libc::_exit(status) }
}

/// Waits for a child and gives its wait status.
pub(crate) fn wait(pid: i32) -> i32 {
    let mut status = 0_i32;
    call!(SYS_wait4, pid, &raw mut status, 0, 0);
    status
}

/// Becomes another program; comes back only if that fails.
pub(crate) fn exec(path: &CStr, argument: &CStr) {
    exec_words(&[path, argument]);
}

/// Becomes the program that the first word names, with these words.
fn exec_words(words: &[&CStr]) {
    // No heap: the child of a fork is measured, too.
    let mut arguments = [core::ptr::null::<c_char>(); 24];
    assert!(words.len() < arguments.len(), "room for the null");
    for (place, word) in arguments.iter_mut().zip(words) {
        *place = word.as_ptr();
    }
    let environment = [core::ptr::null::<c_char>()];
    // SAFETY: both arrays end with a null and outlast the call.
    unsafe {
        libc::syscall(
            libc::SYS_execve,
            words[0].as_ptr(),
            arguments.as_ptr(),
            environment.as_ptr(),
        )
    };
}

/// Memory that can be touched: of a file, or (descriptor -1) of nothing.
pub(crate) struct Mapping {
    start: usize,
    len: usize,
}

impl Mapping {
    /// Maps `len` bytes.
    pub(crate) fn new(fd: i32, len: usize) -> Self {
        let (protection, flags) = if fd < 0 {
            (
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            )
        } else {
            (libc::PROT_READ, libc::MAP_SHARED)
        };
        Self::made(len, protection, flags, fd)
    }

    /// Maps `len` bytes of nothing, more than there may be.
    pub(crate) fn reserved(len: usize) -> Self {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        Self::made(len, libc::PROT_READ | libc::PROT_WRITE, flags, -1)
    }

    /// Maps `len` bytes of a file, shared or private, that may be written.
    pub(crate) fn of_file(fd: i32, len: usize, kind: i32) -> Self {
        Self::made(len, libc::PROT_READ | libc::PROT_WRITE, kind, fd)
    }

    fn made(len: usize, protection: i32, flags: i32, fd: i32) -> Self {
        // The last goes over the stack, where what is above an `i32` is anything.
        let start = call!(SYS_mmap, 0_usize, len, protection, flags, fd, 0_i64);
        Self {
            start: start as usize,
            len,
        }
    }

    /// Asks for pages of 4 KiB.
    pub(crate) fn decline_huge_pages(&self) {
        call!(SYS_madvise, self.start, self.len, libc::MADV_NOHUGEPAGE);
    }

    /// Copies what a process has in a mapping that it inherited into this one.
    pub(crate) fn copy_from(&self, process: i32, other: &Mapping) {
        let range = |of: &Mapping| libc::iovec {
            iov_base: core::ptr::with_exposed_provenance_mut(of.start),
            iov_len: of.len.min(self.len),
        };
        let (to, from) = (range(self), range(other));
        let copied = call!(
            SYS_process_vm_readv,
            process,
            &raw const to,
            1_usize,
            &raw const from,
            1_usize,
            0_usize
        );
        assert_eq!(copied as usize, to.iov_len, "all of it is there");
    }

    /// Reads a byte.
    pub(crate) fn peek(&self, at: usize) -> u8 {
        assert!(at < self.len, "inside the mapping");
        // SAFETY: inside the mapping, as just checked; it is readable.
        unsafe { core::ptr::with_exposed_provenance::<u8>(self.start + at).read_volatile() }
    }

    /// Writes a byte; the mapping must be of nothing.
    pub(crate) fn poke(&self, at: usize) {
        assert!(at < self.len, "inside the mapping");
        // SAFETY: inside the mapping, as just checked; it is writable, as the
        // callers only write to mappings of nothing.
        unsafe { core::ptr::with_exposed_provenance_mut::<u8>(self.start + at).write_volatile(1) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        call!(SYS_munmap, self.start, self.len);
    }
}

/// Moves the end of the heap, or only tells where it is (0).
pub(crate) fn brk(end: usize) -> usize {
    call!(SYS_brk, end) as usize
}

/// Writes a byte of the heap, behind all that the library knows of it.
pub(crate) fn poke(at: usize) {
    // SAFETY: the caller made the heap end behind it; nothing else is there.
    unsafe { core::ptr::with_exposed_provenance_mut::<u8>(at).write_volatile(1) }
}

extern "C" fn nothing(_: i32) {}

/// Installs a handler that does nothing.
pub(crate) fn install_handler(signal: i32) {
    // SAFETY: zeroes are a valid `sigaction`, and the handler a valid handler.
    let action = unsafe {
        let mut action: libc::sigaction = core::mem::zeroed();
        action.sa_sigaction = nothing as *const () as usize;
        action
    };
    // SAFETY: the action outlasts the call.
    let answer = unsafe { libc::sigaction(signal, &raw const action, core::ptr::null_mut()) };
    checked("sigaction", answer.into());
}

/// Sends itself a signal, which is handled before this returns.
pub(crate) fn raise(pid: i32, signal: i32) {
    call!(SYS_kill, pid, signal);
}

/// Own number.
pub(crate) fn getpid() -> i32 {
    call!(SYS_getpid) as i32
}

/// Free and all memory, in bytes.
pub(crate) fn memory() -> (u64, u64) {
    // SAFETY: zeroes are a valid `sysinfo`.
    let mut info: libc::sysinfo = unsafe { core::mem::zeroed() };
    call!(SYS_sysinfo, &raw mut info);
    let unit = u64::from(info.mem_unit);
    (info.freeram * unit, info.totalram * unit)
}

/// The bytes of the whole pages that this program's file is in.
pub(crate) fn own_file() -> u64 {
    /// Bytes in a page.
    const PAGE: u64 = 4096;
    fs::metadata("/init").map_or(0, |file| file.len().next_multiple_of(PAGE))
}

/// What of the memory is free, in bytes, by `/proc/meminfo`.
pub(crate) fn free_memory() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix("MemFree:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
        .map_or(0, |kib| kib << 10)
}

/// Writes a file that is there, if that is allowed.
pub(crate) fn write_file(path: &str, bytes: &[u8]) {
    let _ = fs::write(path, bytes);
}

/// Waits while a word has this value.
pub(crate) fn futex_wait(word: &AtomicU32, value: u32) {
    // SAFETY: the word outlives the call. That it was woken before, or has
    // another value, is no error here.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
            value,
            0,
        )
    };
}

/// Wakes one who waits at a word.
pub(crate) fn futex_wake(word: &AtomicU32) {
    call!(
        SYS_futex,
        word.as_ptr(),
        libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG,
        1
    );
}

/// Lets others run.
pub(crate) fn sched_yield() {
    call!(SYS_sched_yield);
}

/// Sleeps.
pub(crate) fn sleep_ms(time: u64) {
    thread::sleep(Duration::from_millis(time));
}

/// Keeps the calling thread on one processor.
pub(crate) fn bind(processor: usize) {
    set_affinity(1 << processor);
}

/// Lets the calling thread run anywhere.
pub(crate) fn unbind() {
    set_affinity(!0);
}

fn set_affinity(mask: u64) {
    call!(
        SYS_sched_setaffinity,
        0,
        size_of_val(&mask),
        &raw const mask
    );
}

/// Runs a program to its end, its output thrown away. It has to succeed.
pub(crate) fn run(words: &[&CStr]) {
    let status = run_with(words, open(c"/dev/null", libc::O_WRONLY), || ());
    assert_eq!(status, 0, "the program {:?} succeeds", words[0]);
}

/// Runs a program to its end, what it says going to a file; its wait status.
/// If it `never_sleeps`, it and its children are told at once that they did.
pub(crate) fn run_logged(words: &[&CStr], log: &CStr, never_sleeps: bool) -> i32 {
    let log = open(log, libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC);
    run_with(words, log, || {
        if never_sleeps {
            answer_at_once(libc::SYS_clock_nanosleep);
        }
    })
}

/// Runs a program to its end, with this file, which is closed, for what it says,
/// after `before`; its wait status.
fn run_with(words: &[&CStr], output: i32, before: impl FnOnce()) -> i32 {
    let child = fork(|| {
        call!(SYS_dup3, output, 1, 0);
        call!(SYS_dup3, output, 2, 0);
        before();
        exec_words(words);
        exit(127)
    });
    let status = wait(child);
    close(output);
    status
}

/// From now on, a filter says of this call that it is done, and does nothing.
fn answer_at_once(number: i64) {
    let step = |code: u32, jumps: [u8; 2], k: u32| libc::sock_filter {
        code: code as u16,
        jt: jumps[0],
        jf: jumps[1],
        k,
    };
    let answer = libc::BPF_RET | libc::BPF_K;
    // The number is the first word of what a filter is given.
    let mut steps = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, [0, 0], 0),
        step(
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            [0, 1],
            number as u32,
        ),
        step(answer, [0, 0], libc::SECCOMP_RET_ERRNO),
        step(answer, [0, 0], libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog {
        len: steps.len() as u16,
        filter: steps.as_mut_ptr(),
    };
    call!(SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    call!(
        SYS_seccomp,
        libc::SECCOMP_SET_MODE_FILTER,
        0,
        &raw const program
    );
}

/// Starts a thread that counts itself in `begun` and then waits at `word` for
/// ever. Says whether there could be one more.
pub(crate) fn block_a_thread(word: &'static AtomicU32, begun: &'static AtomicU32) -> bool {
    arch::block_a_thread(word, begun) > 0
}

/// Mounts a file system of this type, if it is not there already.
pub(crate) fn mount(kind: &CStr, at: &CStr) {
    // SAFETY: three strings, live for the call; the kernel says if it may not.
    unsafe {
        libc::syscall(
            libc::SYS_mount,
            kind.as_ptr(),
            at.as_ptr(),
            kind.as_ptr(),
            0,
            0,
        )
    };
}

/// Waits for ever.
pub(crate) fn park() -> ! {
    loop {
        // SAFETY: takes nothing, changes nothing.
        unsafe { libc::pause() };
    }
}
