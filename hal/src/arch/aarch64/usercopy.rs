//! Copies to and from user memory that survive a page fault.
//!
//! User memory is loaded and stored by the instructions that act as a program
//! would (`ldtr`, `sttr`): a page that the program may not touch is one that
//! the kernel may not touch for it, also where the processor keeps the kernel
//! from user memory otherwise (PAN). Each that may fault has an entry in the
//! exception table (`extable.rs`): where it is, and where to go on. No
//! register is changed on the way, so the code at the resume point knows how
//! far it came.
//!
//! # Why this is sound although programs write the same memory
//! User memory is touched by assembly only, never through references, and
//! never as anything but bytes or one atomic word. To the compiler each block
//! is an opaque read or write of kernel memory that the kernel owns.

use core::arch::{asm, global_asm};

use crate::memory::presence::Presence;
use crate::memory::{SpaceRef, USER_END};

use super::{features, percpu};

/// Asks what the processor wants around copies; once, at boot.
pub(crate) fn prepare() {}

/// Copies up to `len` bytes; returns how many at the end were *not* copied.
///
/// # Safety
/// One of the two ranges is kernel memory, valid for the access and not
/// reached by anyone else meanwhile, or lies in a program's frame, which
/// programs may reach; the other lies in the user half.
#[inline]
pub(crate) unsafe fn copy(_: &UserAccess, to: *mut u8, from: *const u8, len: usize) -> usize {
    /// The call of one of the two routines.
    macro_rules! go {
        ($routine:literal) => {{
            let left;
            // SAFETY: the routine accesses `len` bytes at both ends, in order,
            // and comes back where user memory faults; the caller vouches for
            // the ranges.
            unsafe {
                asm!(
                    concat!("bl ", $routine),
                    inout("x0") to => _,
                    inout("x1") from => _,
                    inout("x2") len => left,
                    out("x3") _, out("x4") _, out("x5") _, out("x6") _,
                    out("x7") _, out("x8") _, out("x9") _, out("x10") _, out("x30") _,
                    options(nostack),
                );
            }
            left
        }};
    }
    if (to.addr() as u64) < USER_END {
        go!("ochre_user_copy_out")
    } else {
        go!("ochre_user_copy_in")
    }
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
            "bl ochre_user_zero",
            inout("x0") to => _,
            inout("x2") len => left,
            out("x30") _,
            options(nostack),
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

/// A load with a fixup: `None` at a fault.
macro_rules! load {
    ($at:expr, $before:literal, $instruction:literal, $after:literal) => {{
        let (value, failed): (u64, u32);
        // SAFETY: a load from user memory with a fixup; the caller of the
        // function around says that it lies there.
        unsafe {
            asm!(
                "mov {failed:w}, #1",
                $before,
                concat!("2: ", $instruction),
                $after,
                "mov {failed:w}, #0",
                "3:",
                ".pushsection .ochre_extable, \"a\"",
                ".long 2b - ., 3b - .",
                ".popsection",
                at = in(reg) $at,
                value = inout(reg) 0_u64 => value,
                failed = out(reg) failed,
                options(nostack),
            );
        }
        (failed == 0).then_some(value)
    }};
}

/// Loads an aligned word; `None` at a fault.
///
/// # Safety
/// The word lies in the user half.
pub(crate) unsafe fn load_u32(_: &UserAccess, at: *const u32) -> Option<u32> {
    // Sequentially consistent: no access before or after is moved over it.
    // CAST: loaded as 32 bits.
    load!(at, "dmb ish", "ldtr {value:w}, [{at}]", "dmb ish").map(|value| value as u32)
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
    let guarded = features::get().access_prevention;
    features::set_access_prevention(guarded, false);
    // SAFETY: an exclusive pair on user memory with fixups. These act as the
    // kernel, for which a page that a program may not store to is as closed,
    // and all of the user half is a program's.
    unsafe {
        asm!(
            "mov {failed:w}, #1",
            "2: ldaxr {held:w}, [{at}]",
            "cmp {held:w}, {current:w}",
            "b.ne 4f",
            "3: stlxr {state:w}, {new:w}, [{at}]",
            "cbnz {state:w}, 2b",
            "4: mov {failed:w}, #0",
            "dmb ish",
            "5:",
            ".pushsection .ochre_extable, \"a\"",
            ".long 2b - ., 5b - .",
            ".long 3b - ., 5b - .",
            ".popsection",
            at = in(reg) at,
            current = in(reg) current,
            new = in(reg) new,
            held = out(reg) held,
            state = out(reg) _,
            failed = out(reg) failed,
            options(nostack),
        );
    }
    features::set_access_prevention(guarded, true);
    (failed == 0).then_some(held)
}

/// # Safety
/// The word lies in the user half, within a page.
#[inline]
unsafe fn load_u64(at: *const u64) -> Option<u64> {
    load!(at, "", "ldtr {value}, [{at}]", "")
}

/// # Safety
/// The byte lies in the user half.
#[inline]
unsafe fn load_u8(at: *const u8) -> Option<u8> {
    // CAST: loaded as a byte.
    load!(at, "", "ldtrb {value:w}, [{at}]", "").map(|value| value as u8)
}

/// The kernel may touch the user pages of a space while this lives.
///
/// Nothing but the copy runs meanwhile: the kernel is not interrupted, and a
/// fault comes back to it by the exception table. Who changes page tables may
/// wait for the end ([`presence`](crate::memory::presence)), so nothing in
/// between takes a lock or waits.
pub(crate) struct UserAccess {
    here: &'static Presence,
}

impl UserAccess {
    /// Makes `space` the active one and lets the kernel touch it.
    #[inline]
    pub(crate) fn begin(space: &SpaceRef) -> UserAccess {
        let here = percpu::presence();
        space.enter_copy(here);
        UserAccess { here }
    }
}

impl Drop for UserAccess {
    #[inline]
    fn drop(&mut self) {
        self.here.withdraw();
    }
}

// All leave in x2 how many bytes are left, and change x0, x1 and x3 to x10. A
// fault of a larger step is retried by smaller ones, so that every byte before
// the bad page is copied and counted: a step moves its pointers when all of it
// is done.
global_asm!(
    ".pushsection .text.ochre_user_copy, \"ax\", %progbits",
    // An access of user memory, and where a fault of it goes on.
    ".macro ochre_user resume, instruction:vararg",
    "9999: \\instruction",
    ".pushsection .ochre_extable, \"a\"",
    ".long 9999b - ., \\resume - .",
    ".popsection",
    ".endm",
    // 64 bytes from user memory, at an offset.
    ".macro ochre_user_load at",
    "ochre_user 3f, ldtr x3, [x1, #\\at]",
    "ochre_user 3f, ldtr x4, [x1, #\\at + 8]",
    "ochre_user 3f, ldtr x5, [x1, #\\at + 16]",
    "ochre_user 3f, ldtr x6, [x1, #\\at + 24]",
    "ochre_user 3f, ldtr x7, [x1, #\\at + 32]",
    "ochre_user 3f, ldtr x8, [x1, #\\at + 40]",
    "ochre_user 3f, ldtr x9, [x1, #\\at + 48]",
    "ochre_user 3f, ldtr x10, [x1, #\\at + 56]",
    "stp x3, x4, [x0, #\\at]",
    "stp x5, x6, [x0, #\\at + 16]",
    "stp x7, x8, [x0, #\\at + 32]",
    "stp x9, x10, [x0, #\\at + 48]",
    ".endm",
    // 64 bytes to user memory.
    ".macro ochre_user_store at",
    "ldp x3, x4, [x1, #\\at]",
    "ldp x5, x6, [x1, #\\at + 16]",
    "ldp x7, x8, [x1, #\\at + 32]",
    "ldp x9, x10, [x1, #\\at + 48]",
    "ochre_user 3f, sttr x3, [x0, #\\at]",
    "ochre_user 3f, sttr x4, [x0, #\\at + 8]",
    "ochre_user 3f, sttr x5, [x0, #\\at + 16]",
    "ochre_user 3f, sttr x6, [x0, #\\at + 24]",
    "ochre_user 3f, sttr x7, [x0, #\\at + 32]",
    "ochre_user 3f, sttr x8, [x0, #\\at + 40]",
    "ochre_user 3f, sttr x9, [x0, #\\at + 48]",
    "ochre_user 3f, sttr x10, [x0, #\\at + 56]",
    ".endm",
    ".balign 16",
    ".global ochre_user_copy_in",
    "ochre_user_copy_in:",
    "cmp x2, #128",
    "b.lo 3f",
    "2:",
    "ochre_user_load 0",
    "ochre_user_load 64",
    "add x0, x0, #128",
    "add x1, x1, #128",
    "sub x2, x2, #128",
    "cmp x2, #128",
    "b.hs 2b",
    "3: cmp x2, #8",
    "b.lo 5f",
    "ochre_user 5f, ldtr x3, [x1]",
    "str x3, [x0], #8",
    "add x1, x1, #8",
    "sub x2, x2, #8",
    "b 3b",
    "5: cbz x2, 7f",
    "ochre_user 7f, ldtrb w3, [x1]",
    "strb w3, [x0], #1",
    "add x1, x1, #1",
    "sub x2, x2, #1",
    "b 5b",
    "7: ret",
    ".balign 16",
    ".global ochre_user_copy_out",
    "ochre_user_copy_out:",
    "cmp x2, #128",
    "b.lo 3f",
    "2:",
    "ochre_user_store 0",
    "ochre_user_store 64",
    "add x0, x0, #128",
    "add x1, x1, #128",
    "sub x2, x2, #128",
    "cmp x2, #128",
    "b.hs 2b",
    "3: cmp x2, #8",
    "b.lo 5f",
    "ldr x3, [x1]",
    "ochre_user 5f, sttr x3, [x0]",
    "add x0, x0, #8",
    "add x1, x1, #8",
    "sub x2, x2, #8",
    "b 3b",
    "5: cbz x2, 7f",
    "ldrb w3, [x1]",
    "ochre_user 7f, sttrb w3, [x0]",
    "add x0, x0, #1",
    "add x1, x1, #1",
    "sub x2, x2, #1",
    "b 5b",
    "7: ret",
    ".balign 16",
    ".global ochre_user_zero",
    "ochre_user_zero:",
    "2: cmp x2, #32",
    "b.lo 3f",
    "ochre_user 3f, sttr xzr, [x0]",
    "ochre_user 3f, sttr xzr, [x0, #8]",
    "ochre_user 3f, sttr xzr, [x0, #16]",
    "ochre_user 3f, sttr xzr, [x0, #24]",
    "add x0, x0, #32",
    "sub x2, x2, #32",
    "b 2b",
    "3: cmp x2, #8",
    "b.lo 5f",
    "ochre_user 5f, sttr xzr, [x0]",
    "add x0, x0, #8",
    "sub x2, x2, #8",
    "b 3b",
    "5: cbz x2, 7f",
    "ochre_user 7f, sttrb wzr, [x0]",
    "add x0, x0, #1",
    "sub x2, x2, #1",
    "b 5b",
    "7: ret",
    ".popsection",
);
