//! Saving and loading a program's floating-point state.
//!
//! The kernel has no floating-point code, so a program's state stays in the
//! registers while the kernel runs, until something else is to run. An area is
//! [`Features::save_bytes`](super::features::Features) long and 64-byte
//! aligned: the 512 bytes of FXSAVE, then, with XSAVE, its 64-byte header and
//! the other components.
//!
//! A save area that was loaded once never makes the load fault: programs reach
//! it only through [`check_image`].

use core::arch::asm;

use super::features;

/// Offsets and values of the FXSAVE image.
pub(super) const FCW: usize = 0;
pub(super) const MXCSR: usize = 24;
pub(super) const XMM: usize = 160;
const FCW_INITIAL: u16 = 0x37f;
const MXCSR_INITIAL: u32 = 0x1f80;

/// MXCSR bits that every processor with SSE2 has.
const MXCSR_MASK: u32 = 0xffff;

/// The XSAVE header: XSTATE_BV, XCOMP_BV, zeroes.
pub(super) const HEADER: usize = 512;
pub(super) const HEADER_END: usize = 576;

/// Components x87 and SSE.
pub(super) const LEGACY: u64 = 3;

/// Fills an area with the state of a fresh program.
pub(super) fn initialise(area: &mut [u8]) {
    area.fill(0);
    put(area, FCW, &FCW_INITIAL.to_le_bytes());
    put(area, MXCSR, &MXCSR_INITIAL.to_le_bytes());
}

/// Makes an area stand for the state of a fresh program as far as loading it
/// goes: with XSAVE, components that the header does not name are loaded as
/// initial, whatever the area holds of them, and MXCSR always counts (SDM
/// volume 1, section 13.8). Cheaper than [`initialise`]; what else is in the
/// area stays there.
pub(super) fn initialise_for_load(area: &mut [u8]) {
    if features::get().xsave_components == 0 {
        return initialise(area);
    }
    put(area, HEADER, &[0; HEADER_END - HEADER]);
    put(area, MXCSR, &MXCSR_INITIAL.to_le_bytes());
}

/// Makes an image that a program wrote loadable without a fault, or refuses it.
/// It is as long as an area.
pub(super) fn check_image(image: &mut [u8]) -> bool {
    let Some(mxcsr) = image.get(MXCSR..).and_then(<[u8]>::first_chunk) else {
        return false;
    };
    if u32::from_le_bytes(*mxcsr) & !MXCSR_MASK != 0 {
        return false;
    }
    let components = features::get().xsave_components;
    if components == 0 {
        return true;
    }
    let Some(header) = image.get(HEADER..HEADER_END) else {
        return false;
    };
    let (words, _) = header.as_chunks::<8>();
    let Some((bitmap, rest)) = words.split_first() else {
        return false;
    };
    let known = u64::from_le_bytes(*bitmap) & !components == 0;
    // The compacted form and the reserved words must be zero.
    known && rest.iter().all(|word| u64::from_le_bytes(*word) == 0)
}

/// Replaces parts that the processor left out of the image, because they were
/// in their initial state, by that state, so that a program that looks sees it.
pub(super) fn make_explicit(image: &mut [u8]) {
    if features::get().xsave_components == 0 {
        return;
    }
    let present = bitmap(image);
    if present & 1 == 0 {
        if let Some(x87) = image.get_mut(..MXCSR) {
            x87.fill(0);
        }
        if let Some(stack) = image.get_mut(32..XMM) {
            stack.fill(0);
        }
        put(image, FCW, &FCW_INITIAL.to_le_bytes());
    }
    if present & 2 == 0
        && let Some(sse) = image.get_mut(XMM..XMM + 256)
    {
        sse.fill(0);
    }
}

/// Which components an image holds.
pub(super) fn bitmap(image: &[u8]) -> u64 {
    image
        .get(HEADER..)
        .and_then(<[u8]>::first_chunk)
        .map_or(0, |bits| u64::from_le_bytes(*bits))
}

/// Says which components an image holds.
pub(super) fn set_bitmap(image: &mut [u8], bits: u64) {
    put(image, HEADER, &bits.to_le_bytes());
}

fn put(area: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = area.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

/// Writes the processor's floating-point state to `area`.
///
/// # Safety
/// `area` is 64-byte aligned and `save_bytes` long.
#[inline]
pub(super) unsafe fn save(area: *mut u8) {
    let features = features::get();
    let low = features.xsave_components & 0xffff_ffff;
    let high = features.xsave_components >> 32;
    if features.xsaveopt {
        // SAFETY: the caller gives the area; the instruction exists.
        unsafe {
            asm!("xsaveopt64 [{}]", in(reg) area, in("eax") low as u32, in("edx") high as u32, options(nostack, preserves_flags));
        }
    } else if low != 0 {
        // SAFETY: as above.
        unsafe {
            asm!("xsave64 [{}]", in(reg) area, in("eax") low as u32, in("edx") high as u32, options(nostack, preserves_flags));
        }
    } else {
        // SAFETY: as above.
        unsafe { asm!("fxsave64 [{}]", in(reg) area, options(nostack, preserves_flags)) };
    }
}

/// Loads the processor's floating-point state from `area`. An area that the
/// processor refuses all the same leaves the state as it was, and `false`.
///
/// # Safety
/// `area` is 64-byte aligned, `save_bytes` long and initialised.
pub(super) unsafe fn load(area: *const u8) -> bool {
    let features = features::get();
    let low = features.xsave_components & 0xffff_ffff;
    let high = features.xsave_components >> 32;
    let refused: u32;
    if low != 0 {
        // SAFETY: the caller gives the area; a fault goes on at `4:` with the
        // flag still set.
        unsafe {
            asm!(
                "mov {refused:e}, 1",
                "2: xrstor64 [{area}]",
                "xor {refused:e}, {refused:e}",
                "4:",
                ".pushsection .ochre_extable, \"a\"",
                ".long 2b - ., 4b - .",
                ".popsection",
                refused = out(reg) refused, area = in(reg) area,
                in("eax") low as u32, in("edx") high as u32,
                options(nostack, readonly),
            );
        }
    } else {
        // SAFETY: as above.
        unsafe {
            asm!(
                "mov {refused:e}, 1",
                "2: fxrstor64 [{area}]",
                "xor {refused:e}, {refused:e}",
                "4:",
                ".pushsection .ochre_extable, \"a\"",
                ".long 2b - ., 4b - .",
                ".popsection",
                refused = out(reg) refused, area = in(reg) area,
                options(nostack, readonly),
            );
        }
    }
    refused == 0
}
