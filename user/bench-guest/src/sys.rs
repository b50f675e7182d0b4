//! The calls that are measured, and the clock, each as one small function.
//!
//! Every call goes to the kernel by [`libc::syscall`], so that neither side of
//! a comparison is helped by what a C library caches. This module has all the
//! `unsafe` of the program.

use core::ffi::CStr;

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

/// Nanoseconds of the monotonic clock.
pub(crate) fn monotonic_ns() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    call!(SYS_clock_gettime, libc::CLOCK_MONOTONIC, &raw mut time);
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

/// The time-stamp counter. With QEMU's `-icount shift=0` it counts one for
/// each instruction.
pub(crate) fn counter() -> u64 {
    // SAFETY: reads a counter that user mode may read.
    unsafe { core::arch::x86_64::_rdtsc() }
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
    call!(SYS_open, path.as_ptr(), flags, 0o644) as i32
}

/// Closes a descriptor.
pub(crate) fn close(fd: i32) {
    call!(SYS_close, fd);
}

/// `stat`, result thrown away.
pub(crate) fn stat(path: &CStr) {
    let mut stat = [0_u64; 18];
    call!(SYS_stat, path.as_ptr(), stat.as_mut_ptr());
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
    match call!(SYS_fork) {
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
    let arguments = [path.as_ptr(), argument.as_ptr(), core::ptr::null()];
    let environment = [core::ptr::null::<i8>()];
    // SAFETY: both arrays end with a null and outlast the call.
    unsafe {
        libc::syscall(
            libc::SYS_execve,
            path.as_ptr(),
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
        let start = call!(SYS_mmap, 0, len, protection, flags, fd, 0);
        Self {
            start: start as usize,
            len,
        }
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
