//! The kernel's door, without glibc's opinions: one checked raw system call.
//!
//! Every case goes through `call!`, which names the call, turns its
//! arguments into registers by their types, and gives the answer as
//! [`Ret`]. Nothing is cached, retried or emulated on the way, so what is
//! printed is what the kernel answered.
//!
//! # Safety
//!
//! This module and `arch` have the program's `unsafe`. [`raw`] hands words to
//! the kernel; memory stays sound because a pointer only becomes a word
//! through [`Arg`] (from a live borrow, mutable where the kernel writes) or is
//! a number that is no address of ours: zero, [`BAD`], [`KERNEL`],
//! [`NONCANONICAL`], or a mapping that the case itself made. Calls that change
//! the memory map touch only such mappings.

use core::ffi::CStr;
use core::fmt;

use crate::arch;
use crate::errno::Errno;

/// An address that is never mapped: page zero.
pub(crate) const BAD: usize = 0x10;
/// An address in the kernel's half.
pub(crate) const KERNEL: usize = 0xffff_ffff_8000_0000;
/// An address that is in neither half.
pub(crate) const NONCANONICAL: usize = 0x8000_0000_0000_0000 - 0x1000;

/// Bytes of a page.
pub(crate) const PAGE: usize = 4096;
/// Memory that can be read and written.
pub(crate) const RW: i32 = libc::PROT_READ | libc::PROT_WRITE;
/// Memory of a process's own.
pub(crate) const ANON: i32 = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;

/// What a call answered: its value, or the error number.
pub(crate) type Ret = Result<i64, Errno>;

/// What may stand as an argument of `call!`.
pub(crate) trait Arg {
    /// The register's content.
    fn word(self) -> usize;
}

macro_rules! int_args {
    ($($int:ty),*) => { $(
        impl Arg for $int {
            fn word(self) -> usize {
                // CAST: sign-extends, as C does for a `long` register.
                self as usize
            }
        }
    )* };
}
int_args!(i32, u32, i64, u64, usize, isize);

impl Arg for &CStr {
    fn word(self) -> usize {
        self.as_ptr().expose_provenance()
    }
}

impl<T: Copy> Arg for &[T] {
    fn word(self) -> usize {
        self.as_ptr().expose_provenance()
    }
}

impl<T: Copy> Arg for &mut [T] {
    fn word(self) -> usize {
        self.as_mut_ptr().expose_provenance()
    }
}

impl<T: Copy> Arg for &T {
    fn word(self) -> usize {
        core::ptr::from_ref(self).expose_provenance()
    }
}

impl<T: Copy> Arg for &mut T {
    fn word(self) -> usize {
        core::ptr::from_mut(self).expose_provenance()
    }
}

/// Calls the kernel: `call!(SYS_open, c"/x", libc::O_RDONLY, 0)`.
#[macro_export]
macro_rules! call {
    ($nr:ident $(, $arg:expr)* $(,)?) => {
        $crate::sys::raw($crate::arch::numbers::$nr, &[$($crate::sys::Arg::word($arg)),*])
    };
}

/// Makes the call `nr` with up to six argument words. What the machine has no
/// number for is made as its C libraries make it (`arch`).
pub(crate) fn raw(nr: i64, words: &[usize]) -> Ret {
    let at = |i: usize| words.get(i).copied().unwrap_or(0);
    arch::call(nr, [at(0), at(1), at(2), at(3), at(4), at(5)])
}

/// Makes a call that the machine has.
pub(crate) fn direct(nr: i64, words: [usize; 6]) -> Ret {
    let [a, b, c, d, e, f] = words;
    // SAFETY: see the module's section; pointers are live borrows or no
    // address of ours.
    let answer = unsafe { libc::syscall(nr, a, b, c, d, e, f) };
    if answer == -1 {
        Err(Errno::last())
    } else {
        Ok(answer)
    }
}

/// C structures for which all zeroes is a value.
///
/// # Safety
///
/// Any bytes must be a valid value of the type.
pub(crate) unsafe trait Plain: Copy {}

macro_rules! plain {
    ($($ty:ty),* $(,)?) => { $(
        // SAFETY: a C structure of integers, and pointers only Rust would
        // follow unsafely; zeroes are valid.
        unsafe impl Plain for $ty {}
    )* };
}
plain!(
    libc::stat,
    libc::statx,
    libc::statfs,
    libc::timespec,
    libc::timeval,
    libc::itimerval,
    libc::itimerspec,
    libc::rlimit,
    libc::rusage,
    libc::siginfo_t,
    libc::stack_t,
    libc::sysinfo,
    libc::termios2,
    libc::winsize,
    libc::utsname,
    libc::tms,
    libc::flock,
    libc::epoll_event,
    libc::sigaction,
    libc::iovec,
    libc::shmid_ds,
);

/// A structure of zeroes for the kernel to fill.
pub(crate) fn zeroed<T: Plain>() -> T {
    // SAFETY: `Plain` promises that zeroes are a valid value.
    unsafe { core::mem::zeroed() }
}

/// Forks; the child runs `body` and leaves with its answer as exit status.
pub(crate) fn fork(body: impl FnOnce() -> i32) -> i32 {
    match call!(SYS_fork) {
        Ok(0) => exit(body()),
        Ok(pid) => pid as i32,
        Err(error) => {
            crate::report::check("fork", Err::<i64, _>(error));
            exit(99)
        }
    }
}

/// Leaves at once, running nothing on the way.
pub(crate) fn exit(status: i32) -> ! {
    // SAFETY: `_exit` takes an integer and does not return.
    unsafe { libc::_exit(status) }
}

/// Installs `handler` for `signal`.
pub(crate) fn on_signal(
    signal: i32,
    flags: i32,
    handler: extern "C" fn(i32, &libc::siginfo_t, usize),
) {
    let mut action: libc::sigaction = zeroed();
    // CAST: sigaction keeps the handler as an integer.
    action.sa_sigaction = handler as *const () as usize;
    action.sa_flags = flags | libc::SA_SIGINFO;
    install(signal, &action);
}

/// Installs `handler` with `masked` blocked while it runs.
pub(crate) fn on_signal_masking(
    signal: i32,
    flags: i32,
    masked: i32,
    handler: extern "C" fn(i32, &libc::siginfo_t, usize),
) {
    let mut action: libc::sigaction = zeroed();
    action.sa_sigaction = handler as *const () as usize;
    action.sa_flags = flags | libc::SA_SIGINFO;
    // SAFETY: `sa_mask` is a live set of ours.
    let _ = unsafe { libc::sigaddset(&raw mut action.sa_mask, masked) };
    install(signal, &action);
}

/// Sets `signal` to `SIG_IGN` or `SIG_DFL`.
pub(crate) fn set_disposition(signal: i32, disposition: usize) {
    // The kernel's own structure: C libraries keep some signals to themselves.
    let action = [disposition, 0, 0, 0];
    let answer = raw(
        libc::SYS_rt_sigaction,
        &[signal as usize, (&action).word(), 0, 8],
    );
    assert_eq!(answer, Ok(0), "sigaction({signal})");
}

fn install(signal: i32, action: &libc::sigaction) {
    // SAFETY: the action is a live borrow and its handler a function of this
    // program with the three-argument signature `SA_SIGINFO` asks for.
    let answer = unsafe { libc::sigaction(signal, action, core::ptr::null_mut()) };
    assert_eq!(answer, 0, "sigaction({signal}): {}", Errno::last());
}

/// The fields of a siginfo that kernels fill by kind.
pub(crate) struct SigInfo {
    /// Address of a fault.
    pub(crate) addr: usize,
    /// Who sent it.
    pub(crate) pid: i32,
    /// The sender's user.
    pub(crate) uid: u32,
    /// Exit status of a child.
    pub(crate) status: i32,
    /// What `sigqueue` carried.
    pub(crate) value: usize,
}

/// Reads every view of the union.
pub(crate) fn siginfo(info: &libc::siginfo_t) -> SigInfo {
    // SAFETY: the structure is 128 initialised bytes without padding that
    // matters; every word of it is an integer.
    let words: &[u32; 32] = unsafe { &*core::ptr::from_ref(info).cast() };
    let long = |at: usize| u64::from(words[at]) | u64::from(words[at + 1]) << 32;
    SigInfo {
        addr: long(4) as usize,
        pid: words[4].cast_signed(),
        uid: words[5],
        status: words[6].cast_signed(),
        value: long(6) as usize,
    }
}

/// Reads a byte at an address that may fault.
pub(crate) fn peek(addr: usize) -> u8 {
    // SAFETY: a load outside any Rust object; if it faults, the fault is what
    // the case is about.
    unsafe { core::ptr::with_exposed_provenance::<u8>(addr).read_volatile() }
}

/// Writes a byte at an address that may fault.
pub(crate) fn poke(addr: usize, byte: u8) {
    // SAFETY: the case mapped the address, or means to fault there.
    unsafe { core::ptr::with_exposed_provenance_mut::<u8>(addr).write_volatile(byte) }
}

/// A 32-bit word at an address the case mapped.
pub(crate) fn peek32(addr: usize) -> u32 {
    // SAFETY: as `peek`; the case gives an aligned address of its mapping.
    unsafe { core::ptr::with_exposed_provenance::<u32>(addr).read_volatile() }
}

/// Writes such a word.
pub(crate) fn poke32(addr: usize, word: u32) {
    // SAFETY: as `peek32`.
    unsafe { core::ptr::with_exposed_provenance_mut::<u32>(addr).write_volatile(word) }
}

/// Runs the instructions at an address the case filled and made executable.
pub(crate) fn jump(addr: usize) -> u64 {
    // SAFETY: the case wrote a function there, or means to fault.
    let function: extern "C" fn() -> u64 = unsafe { core::mem::transmute(addr) };
    function()
}

/// `clone` of a thread or process on a stack of its own; the child runs
/// `body(argument)` and ends with its answer.
pub(crate) fn clone_on_stack(
    flags: i32,
    stack: &mut [u64],
    words: &mut [i32; 2],
    body: extern "C" fn(*mut libc::c_void) -> i32,
) -> Ret {
    let [parent_tid, child_tid] = words;
    let top = stack.as_mut_ptr_range().end;
    arch::clone_on_stack(flags, top, [parent_tid, child_tid], body)
}

/// The value of an entry of the auxiliary vector.
pub(crate) fn auxv(kind: u64) -> u64 {
    // SAFETY: `getauxval` reads the process's own vector.
    unsafe { libc::getauxval(kind) }
}

/// Bytes of a NUL-terminated string the kernel put at `addr`.
pub(crate) fn string_at(addr: u64) -> String {
    let mut bytes = Vec::new();
    for at in (addr as usize).. {
        match peek(at) {
            0 => break,
            byte => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Moves the break by `delta` and says where it was, as glibc's `sbrk`.
pub(crate) fn program_break(at: usize) -> usize {
    raw(libc::SYS_brk, &[at]).map_or(0, |end| end as usize)
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Sets a signal to its default where the kernel lets one.
pub(crate) fn set_disposition_if_possible(signal: i32) {
    if signal != libc::SIGKILL && signal != libc::SIGSTOP {
        set_disposition(signal, libc::SIG_DFL);
    }
}

/// An area of `rseq`, and room behind it.
#[repr(align(64))]
pub(crate) struct RseqArea {
    /// Its words; the kernel changes them.
    pub(crate) words: [u32; 32],
}

impl RseqArea {
    /// An area of zeroes.
    pub(crate) fn new() -> RseqArea {
        RseqArea { words: [0; 32] }
    }

    /// Where it is.
    pub(crate) fn address(&mut self) -> usize {
        self.words.as_mut_ptr().expose_provenance()
    }

    /// A word as it is now.
    pub(crate) fn read(&self, at: usize) -> u32 {
        let word: *const u32 = &raw const self.words[at];
        // SAFETY: a live word of ours, which the kernel may have changed.
        unsafe { word.read_volatile() }
    }

    /// Names a section that the thread is in.
    pub(crate) fn name(&mut self, section: u64) {
        let word: *mut u32 = &raw mut self.words[2];
        // SAFETY: two live words of ours, aligned to 8 as the second of them
        // is the fourth of an aligned area.
        unsafe { word.cast::<u64>().write_volatile(section) }
    }
}

/// A function that the vDSO has.
pub(crate) struct Symbol {
    /// Its name.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// Where it is.
    pub(crate) address: usize,
}

/// A word of an image at a place.
fn word<T: Copy>(at: usize) -> T {
    // SAFETY: the kernel's image at an address that it says; integers only.
    unsafe { core::ptr::with_exposed_provenance::<T>(at).read_unaligned() }
}

/// Reads the functions of the ELF image that the kernel mapped at `image`, as
/// a C library does: dynamic section, symbols, versions.
pub(crate) fn vdso_symbols(image: usize) -> Vec<Symbol> {
    let headers = image + word::<u64>(image + 32) as usize;
    let (mut bias, mut dynamic) = (None, 0);
    for header in (0..usize::from(word::<u16>(image + 56))).map(|n| headers + n * 56) {
        let (offset, address) = (word::<u64>(header + 8), word::<u64>(header + 16));
        match word::<u32>(header) {
            1 if bias.is_none() => {
                bias = Some(
                    image
                        .wrapping_add(offset as usize)
                        .wrapping_sub(address as usize),
                );
            }
            2 => dynamic = image + offset as usize,
            _ => {}
        }
    }
    let bias = bias.unwrap_or(image);
    let entry = |tag: u64| {
        (0..)
            .map(|n| dynamic + n * 16)
            .take_while(|at| word::<u64>(*at) != 0)
            .find(|at| word::<u64>(*at) == tag)
            .map(|at| bias.wrapping_add(word::<u64>(at + 8) as usize))
    };
    let (Some(strings), Some(symbols)) = (entry(5), entry(6)) else {
        return Vec::new();
    };
    let versions = entry(0x6fff_fff0);
    let definitions = entry(0x6fff_fffc);
    let count = entry(4).map_or(0, |hash| word::<u32>(hash + 4));
    let version_of = |index: u32| {
        let wanted = word::<u16>(versions? + index as usize * 2) & 0x7fff;
        let mut at = definitions?;
        loop {
            if word::<u16>(at + 4) == wanted {
                let name = at + word::<u32>(at + 12) as usize;
                return Some(string_at((strings + word::<u32>(name) as usize) as u64));
            }
            match word::<u32>(at + 16) {
                0 => return None,
                next => at += next as usize,
            }
        }
    };
    (1..count)
        .map(|index| {
            let symbol = symbols + index as usize * 24;
            Symbol {
                name: string_at((strings + word::<u32>(symbol) as usize) as u64),
                version: version_of(index).unwrap_or_default(),
                address: bias.wrapping_add(word::<u64>(symbol + 8) as usize),
            }
        })
        .collect()
}

/// Calls a function of the vDSO; 77 if there is none.
pub(crate) fn call_vdso(function: usize, first: usize, second: usize, third: usize) -> i64 {
    if function == 0 {
        return 77;
    }
    // SAFETY: an address that the image names as a function of this form.
    let function: extern "C" fn(usize, usize, usize) -> i64 =
        unsafe { core::mem::transmute(function) };
    // Most of the functions answer with 32 bits.
    let answer = function(first, second, third);
    if answer >> 32 == 0 {
        i64::from(answer as i32)
    } else {
        answer
    }
}
