//! The kernel's door: raw system calls, and loads and stores that may fault.
//!
//! # Safety
//! This, `arch` and `heap` are the modules of the program with `unsafe`. Calls change only
//! mappings in the arena, which no Rust object is in; pointers that the kernel
//! follows are live borrows or addresses in the arena. A load or store that
//! faults goes on at `memory_fuzz_return` with what the signal said as its
//! answer.

pub(crate) use crate::arch::fork;
use crate::arch::{place, resume};

unsafe extern "C" {
    fn memory_fuzz_load(address: usize) -> u64;
    fn memory_fuzz_store(address: usize, byte: u64) -> u64;
    fn memory_fuzz_return();
}

/// A call's answer: the value, or the error number.
pub(crate) type Answer = Result<usize, i32>;

/// Makes a call with up to six argument words.
pub(crate) fn call(number: i64, words: &[usize]) -> Answer {
    let at = |index: usize| words.get(index).copied().unwrap_or(0);
    // SAFETY: see the module.
    let answer = unsafe { libc::syscall(number, at(0), at(1), at(2), at(3), at(4), at(5)) };
    if answer == -1 {
        let error = std::io::Error::last_os_error();
        Err(error.raw_os_error().unwrap_or_default())
    } else {
        // CAST: addresses and counts.
        Ok(answer as usize)
    }
}

/// The address of a borrow, for the kernel.
pub(crate) fn address<T: ?Sized>(of: &T) -> usize {
    core::ptr::from_ref(of).cast::<u8>().expose_provenance()
}

/// The address of a borrow that the kernel writes.
pub(crate) fn address_mut<T: ?Sized>(of: &mut T) -> usize {
    core::ptr::from_mut(of).cast::<u8>().expose_provenance()
}

/// What a fault answers: the signal and its code above all bytes.
fn fault_answer(signal: i32, code: i32) -> u64 {
    (i64::from(signal) << 16 | i64::from(code) << 32).cast_unsigned()
}

/// In words.
fn outcome(answer: u64) -> Result<u8, String> {
    match u8::try_from(answer) {
        Ok(byte) => Ok(byte),
        Err(_) => Err(format!(
            "signal {} code {}",
            answer >> 16 & 0xffff,
            answer >> 32
        )),
    }
}

/// Loads a byte of the arena.
pub(crate) fn load(address: usize) -> Result<u8, String> {
    // SAFETY: see the module.
    outcome(unsafe { memory_fuzz_load(address) })
}

/// Stores a byte in the arena.
pub(crate) fn store(address: usize, byte: u8) -> Result<u8, String> {
    // SAFETY: see the module.
    outcome(unsafe { memory_fuzz_store(address, byte.into()) })
}

extern "C" fn caught(signal: i32, info: &libc::siginfo_t, context: &mut libc::ucontext_t) {
    let ours = [
        memory_fuzz_load as *const () as usize,
        memory_fuzz_store as *const () as usize,
    ];
    if !ours.contains(&place(context)) {
        print("a fault elsewhere\n");
        exit(3);
    }
    let answer = fault_answer(signal, info.si_code);
    resume(context, memory_fuzz_return as *const () as usize, answer);
}

/// Ends at once.
pub(crate) fn exit(status: i32) -> ! {
    // SAFETY: takes an integer and does not return.
    unsafe { libc::_exit(status) }
}

/// Makes faults answers.
pub(crate) fn catch_faults() {
    for signal in [libc::SIGSEGV, libc::SIGBUS] {
        // SAFETY: integers and pointers; zeroes are a value.
        let mut action: libc::sigaction = unsafe { core::mem::zeroed() };
        action.sa_sigaction = caught as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO;
        // SAFETY: a live action whose handler has the signature that
        // `SA_SIGINFO` asks for.
        let answer = unsafe { libc::sigaction(signal, &raw const action, core::ptr::null_mut()) };
        assert_eq!(answer, 0, "sigaction");
    }
}

/// Writes to standard output.
pub(crate) fn print(text: &str) {
    write(1, text);
}

/// Writes all of a text.
pub(crate) fn write(fd: usize, text: &str) {
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        match call(libc::SYS_write, &[fd, address(rest), rest.len()]) {
            Ok(count) => rest = rest.get(count..).unwrap_or_default(),
            Err(libc::EINTR) => {}
            Err(_) => return,
        }
    }
}
