//! Bytes in frames that programs may write at the same moment.
//!
//! Inline assembly, because a program's stores are outside of what the
//! language knows: to the compiler each block is one opaque access, so that a
//! race changes the bytes that are copied and nothing else.

use core::arch::asm;

use super::system::mrs;

/// The block of `dc zva` may not be used.
const NO_BLOCKS: u64 = 1 << 4;

/// Blocks that are cleared in a turn.
const BLOCKS: usize = 4;

/// Copies `len` bytes.
///
/// # Safety
/// Both ranges are mapped for the kernel and do not overlap; what is not a
/// program's frame is the caller's alone.
#[inline]
pub(crate) unsafe fn copy(to: *mut u8, from: *const u8, len: usize) {
    // SAFETY: writes `to..to + len`, reads `from..from + len`, the caller's to access.
    unsafe {
        asm!(
            "subs {len}, {len}, #64",
            "b.lo 3f",
            "2: ldp {a}, {b}, [{from}], #16",
            "ldp {c}, {d}, [{from}], #16",
            "ldp {e}, {f}, [{from}], #16",
            "ldp {g}, {h}, [{from}], #16",
            "stp {a}, {b}, [{to}], #16",
            "stp {c}, {d}, [{to}], #16",
            "stp {e}, {f}, [{to}], #16",
            "stp {g}, {h}, [{to}], #16",
            "subs {len}, {len}, #64",
            "b.hs 2b",
            "3: adds {len}, {len}, #56",
            "b.mi 5f",
            "4: ldr {a}, [{from}], #8",
            "str {a}, [{to}], #8",
            "subs {len}, {len}, #8",
            "b.pl 4b",
            "5: adds {len}, {len}, #8",
            "b.eq 7f",
            "6: ldrb {a:w}, [{from}], #1",
            "strb {a:w}, [{to}], #1",
            "subs {len}, {len}, #1",
            "b.ne 6b",
            "7:",
            to = inout(reg) to => _,
            from = inout(reg) from => _,
            len = inout(reg) len => _,
            a = out(reg) _, b = out(reg) _, c = out(reg) _, d = out(reg) _,
            e = out(reg) _, f = out(reg) _, g = out(reg) _, h = out(reg) _,
            options(nostack),
        );
    }
}

/// Writes `len` zeroes.
///
/// # Safety
/// The range is mapped for the kernel, as ordinary memory; what is not a
/// program's frame is the caller's alone.
#[inline]
pub(crate) unsafe fn zero(to: *mut u8, len: usize) {
    let blocks = mrs!("dczid_el0");
    let block = 4_usize << (blocks & 15);
    if blocks & NO_BLOCKS == 0 && len != 0 && (to.addr() | len) & (BLOCKS * block - 1) == 0 {
        // SAFETY: clears `to..to + len`, which is whole blocks.
        unsafe { zero_blocks(to, len, block) }
    } else {
        // SAFETY: as this function's.
        unsafe { zero_pairs(to, len) }
    }
}

/// Writes zeroes by the processor's own way to clear a block.
///
/// # Safety
/// As [`zero`]; the range is whole turns of blocks, and not empty.
#[inline]
unsafe fn zero_blocks(to: *mut u8, len: usize, block: usize) {
    // SAFETY: writes `to..to + len`, the caller's to access.
    unsafe {
        asm!(
            "2: dc zva, {to}",
            "add {to}, {to}, {block}",
            "dc zva, {to}",
            "add {to}, {to}, {block}",
            "dc zva, {to}",
            "add {to}, {to}, {block}",
            "dc zva, {to}",
            "add {to}, {to}, {block}",
            "cmp {to}, {end}",
            "b.ne 2b",
            to = inout(reg) to => _,
            end = in(reg) to.wrapping_add(len),
            block = in(reg) block,
            options(nostack),
        );
    }
}

/// Writes zeroes by stores.
///
/// # Safety
/// As [`zero`].
unsafe fn zero_pairs(to: *mut u8, len: usize) {
    // SAFETY: writes `to..to + len`, the caller's to access.
    unsafe {
        asm!(
            "b 3f",
            "2: stp xzr, xzr, [{to}], #16",
            "stp xzr, xzr, [{to}], #16",
            "stp xzr, xzr, [{to}], #16",
            "stp xzr, xzr, [{to}], #16",
            "sub {len}, {len}, #64",
            "3: cmp {len}, #64",
            "b.hs 2b",
            "cbz {len}, 5f",
            "4: strb wzr, [{to}], #1",
            "subs {len}, {len}, #1",
            "b.ne 4b",
            "5:",
            to = inout(reg) to => _,
            len = inout(reg) len => _,
            options(nostack),
        );
    }
}
