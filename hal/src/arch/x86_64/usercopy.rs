//! Copies to and from user memory that survive a page fault.
//!
//! Each instruction here that may fault has an entry in the exception table
//! (`extable.rs`): where it is, and where to go on. No register is changed on
//! the way, so the code at the resume point knows how far it came.
//!
//! # Why this is sound although programs write the same memory
//! User memory is touched by inline assembly only, never through references,
//! and never as anything but bytes or one atomic word. To the compiler each
//! block is an opaque read or write of kernel memory that the kernel owns.

use core::arch::{asm, global_asm};

use ochre_sync::primitive::atomic::{AtomicBool, Ordering};

use crate::arch::machine::{features, percpu};
use crate::memory::SpaceRef;
use crate::memory::presence::{self, Presence};

/// Whether the processor wants `stac` and `clac` around accesses to user pages.
static SMAP: AtomicBool = AtomicBool::new(false);

/// Asks what the processor wants around copies; once, at boot.
pub(crate) fn prepare() {
    let yes = features::get().smap;
    // ORDERING: Relaxed; set before other processors start.
    SMAP.store(yes, Ordering::Relaxed);
    if !yes {
        // The short way in `UserAccess::begin` takes it for granted.
        presence::guard();
    }
}

/// Copies up to `len` bytes; returns how many at the end were *not* copied.
///
/// # Safety
/// One of the two ranges is kernel memory, valid for the access and not
/// reached by anyone else meanwhile, or lies in a program's frame, which
/// programs may reach; the other lies in the user half.
#[inline]
pub(crate) unsafe fn copy(_: &UserAccess, to: *mut u8, from: *const u8, len: usize) -> usize {
    let left;
    // SAFETY: the routine accesses `len` bytes at both ends, in order, and
    // comes back where one of them faults; the caller vouches for the ranges.
    unsafe {
        asm!(
            "call ochre_user_copy",
            inout("rdi") to => _,
            inout("rsi") from => _,
            inout("rdx") len => _,
            out("rcx") _,
            out("rax") left,
        );
    }
    left
}

/// Writes up to `len` zeroes to user memory; returns how many were *not* written.
///
/// # Safety
/// The range lies in the user half.
pub(crate) unsafe fn zero(_: &UserAccess, to: *mut u8, len: usize) -> usize {
    let left;
    // SAFETY: the routine writes `len` bytes of user memory and comes back at a fault.
    unsafe {
        asm!(
            "call ochre_user_zero",
            inout("rdi") to => _,
            inout("rdx") len => _,
            out("rcx") _,
            out("rax") left,
        );
    }
    left
}

/// What [`copy_string`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StringEnd {
    /// The NUL, after this many bytes.
    Nul(usize),
    /// The end of the destination.
    Full,
    /// A fault, after this many bytes.
    Fault(usize),
}

/// Copies bytes up to a NUL. Bytes of `to` behind the end may be overwritten
/// with what follows in the same user page.
///
/// # Safety
/// `to.len()` bytes from `from` on lie in the user half.
pub(crate) unsafe fn copy_string(_: &UserAccess, from: *const u8, to: &mut [u8]) -> StringEnd {
    const PAGE_MASK: usize = 4095;
    let mut done = 0;
    loop {
        let Some(rest) = to.get_mut(done..).filter(|rest| !rest.is_empty()) else {
            break StringEnd::Full;
        };
        let at = from.wrapping_add(done);
        // Eight bytes at once where they lie in one page: then they fault
        // together, and at the first of them.
        if let Some(eight) = rest.first_chunk_mut::<8>()
            && at.addr() & PAGE_MASK <= PAGE_MASK - 7
        {
            // SAFETY: user half, by the caller's promise.
            let Some(word) = (unsafe { load_u64(at.cast()) }) else {
                break StringEnd::Fault(done);
            };
            *eight = word.to_le_bytes();
            let zeroes = word.wrapping_sub(0x0101_0101_0101_0101) & !word & 0x8080_8080_8080_8080;
            if zeroes != 0 {
                break StringEnd::Nul(done + zeroes.trailing_zeros() as usize / 8);
            }
            done += 8;
        } else {
            // SAFETY: as above.
            let Some(byte) = (unsafe { load_u8(at) }) else {
                break StringEnd::Fault(done);
            };
            if byte == 0 {
                break StringEnd::Nul(done);
            }
            if let Some(first) = rest.first_mut() {
                *first = byte;
            }
            done += 1;
        }
    }
}

/// Loads an aligned word; `None` at a fault.
///
/// # Safety
/// The word lies in the user half.
pub(crate) unsafe fn load_u32(_: &UserAccess, at: *const u32) -> Option<u32> {
    let (value, failed): (u32, u32);
    // SAFETY: a load from user memory with a fixup. Aligned loads are atomic
    // on this machine, and sequentially consistent next to locked operations.
    unsafe {
        asm!(
            "mov {failed:e}, 1",
            "2: mov {value:e}, [{at}]",
            "xor {failed:e}, {failed:e}",
            "3:",
            ".pushsection .ochre_extable, \"a\"",
            ".long 2b - ., 3b - .",
            ".popsection",
            at = in(reg) at,
            value = out(reg) value,
            failed = out(reg) failed,
            options(nostack),
        );
    }
    (failed == 0).then_some(value)
}

/// Replaces an aligned word by `new` if it holds `current`; what it held, or
/// `None` at a fault.
///
/// # Safety
/// The word lies in the user half.
pub(crate) unsafe fn compare_exchange_u32(
    _: &UserAccess,
    at: *mut u32,
    current: u32,
    new: u32,
) -> Option<u32> {
    let (held, failed): (u32, u32);
    // SAFETY: a locked operation on user memory with a fixup.
    unsafe {
        asm!(
            "mov {failed:e}, 1",
            "2: lock cmpxchg [{at}], {new:e}",
            "mov {failed:e}, 0",
            "3:",
            ".pushsection .ochre_extable, \"a\"",
            ".long 2b - ., 3b - .",
            ".popsection",
            at = in(reg) at,
            new = in(reg) new,
            inout("eax") current => held,
            failed = out(reg) failed,
            options(nostack),
        );
    }
    (failed == 0).then_some(held)
}

/// # Safety
/// The word lies in the user half, within a page; access is on.
#[inline]
unsafe fn load_u64(at: *const u64) -> Option<u64> {
    let value;
    let failed: u32;
    // SAFETY: a load from user memory with a fixup.
    unsafe {
        asm!(
            "mov {failed:e}, 1",
            "2: mov {value}, [{at}]",
            "xor {failed:e}, {failed:e}",
            "3:",
            ".pushsection .ochre_extable, \"a\"",
            ".long 2b - ., 3b - .",
            ".popsection",
            at = in(reg) at,
            value = out(reg) value,
            failed = out(reg) failed,
            options(nostack),
        );
    }
    (failed == 0).then_some(value)
}

/// # Safety
/// The byte lies in the user half; access is on.
#[inline]
unsafe fn load_u8(at: *const u8) -> Option<u8> {
    let value: u32;
    let failed: u32;
    // SAFETY: a load from user memory with a fixup.
    unsafe {
        asm!(
            "mov {failed:e}, 1",
            "2: movzx {value:e}, byte ptr [{at}]",
            "xor {failed:e}, {failed:e}",
            "3:",
            ".pushsection .ochre_extable, \"a\"",
            ".long 2b - ., 3b - .",
            ".popsection",
            at = in(reg) at,
            value = out(reg) value,
            failed = out(reg) failed,
            options(nostack),
        );
    }
    // CAST: zero-extended from a byte.
    (failed == 0).then_some(value as u8)
}

/// The kernel may touch the user pages of a space while this lives.
///
/// Nothing but the copy runs meanwhile: the kernel is not interrupted, and a
/// fault comes back to it by the exception table. Who changes page tables may
/// wait for the end ([`presence`]), so nothing in between takes a lock or waits.
pub(crate) struct UserAccess {
    smap: bool,
    here: &'static Presence,
}

impl UserAccess {
    /// Makes `space` the active one and lets the kernel touch it.
    #[inline]
    pub(crate) fn begin(space: &SpaceRef) -> UserAccess {
        let here = percpu::presence();
        // ORDERING: Relaxed; constant since boot.
        let smap = space.enter_copy(here) || SMAP.load(Ordering::Relaxed);
        if smap {
            // SAFETY: the processor has SMAP, so it has `stac`.
            unsafe { asm!("stac", options(nostack)) }
        }
        UserAccess { smap, here }
    }

    /// For copies on a host, where all memory is the test's own.
    #[cfg(test)]
    pub(super) fn on_a_host() -> UserAccess {
        UserAccess {
            smap: false,
            here: percpu::presence(),
        }
    }
}

impl Drop for UserAccess {
    #[inline]
    fn drop(&mut self) {
        if self.smap {
            // SAFETY: the processor has SMAP, so it has `clac`.
            unsafe { asm!("clac", options(nostack)) }
        }
        self.here.withdraw();
    }
}

// Both routines return in rax how many bytes are left, and change rcx, rdx,
// rdi and rsi. The fault of an eight-byte step is retried by single bytes, so
// that every byte before the bad page is copied and counted.
global_asm!(
    ".pushsection .text.ochre_user_copy, \"ax\", @progbits",
    ".balign 16",
    ".global ochre_user_copy",
    "ochre_user_copy:",
    "cmp rdx, 16",
    "jbe 3f",
    "mov rcx, rdx",
    "shr rcx, 3",
    "and edx, 7",
    "2: rep movsq",
    "mov ecx, edx",
    "jrcxz 5f",
    "4: rep movsb",
    "5: xor eax, eax",
    "ret",
    // At most 16 bytes: two loads and two stores that may overlap; a fault
    // changes no register but rax and rcx, so single bytes can start anew.
    "3: cmp edx, 8",
    "jb 6f",
    "30: mov rax, [rsi]",
    "31: mov rcx, [rsi + rdx - 8]",
    "32: mov [rdi], rax",
    "33: mov [rdi + rdx - 8], rcx",
    "xor eax, eax",
    "ret",
    "6: cmp edx, 4",
    "jb 7f",
    "34: mov eax, [rsi]",
    "35: mov ecx, [rsi + rdx - 4]",
    "36: mov [rdi], eax",
    "37: mov [rdi + rdx - 4], ecx",
    "xor eax, eax",
    "ret",
    "7: mov ecx, edx",
    "jmp 4b",
    // Fault in eight-byte steps: rcx steps and edx bytes are left.
    "8: lea rcx, [rdx + 8 * rcx]",
    "jmp 4b",
    // Fault at single bytes: rcx are left.
    "9: mov rax, rcx",
    "ret",
    ".balign 16",
    ".global ochre_user_zero",
    "ochre_user_zero:",
    "xor eax, eax",
    "mov rcx, rdx",
    "shr rcx, 3",
    "and edx, 7",
    "20: rep stosq",
    "mov ecx, edx",
    "21: rep stosb",
    "22: mov rax, rcx",
    "ret",
    "23: lea rcx, [rdx + 8 * rcx]",
    "jmp 21b",
    ".popsection",
    ".pushsection .ochre_extable, \"a\"",
    ".long 2b - ., 8b - .",
    ".long 4b - ., 9b - .",
    ".long 30b - ., 7b - .",
    ".long 31b - ., 7b - .",
    ".long 32b - ., 7b - .",
    ".long 33b - ., 7b - .",
    ".long 34b - ., 7b - .",
    ".long 35b - ., 7b - .",
    ".long 36b - ., 7b - .",
    ".long 37b - ., 7b - .",
    ".long 20b - ., 23b - .",
    ".long 21b - ., 22b - .",
    ".popsection",
);

#[cfg(test)]
mod tests;
