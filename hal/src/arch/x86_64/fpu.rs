//! Saving and loading a program's floating-point state.
//!
//! The kernel has no floating-point code, so a program's state stays in the
//! registers while the kernel runs, until something else is to run. There are
//! two forms of it in memory:
//!
//! | form | bytes | holds | saved by |
//! |---|---|---|---|
//! | narrow | [`SOFTWARE`] | x87 and SSE; all else is initial | FXSAVE |
//! | wide | [`Features::save_bytes`](super::features::Features), 64-byte aligned | every component | XSAVE |
//!
//! The rules for calls say that a program's upper halves of vector registers
//! are initial when it makes a system call, so the narrow form serves nearly
//! every thread that waits. [`save_narrow`] says when it does not.
//!
//! Hardly a program ever uses x87, and many of these use no upper halves: what is
//! initial in an image and in the registers as well is not loaded ([`Extent`]).
//!
//! A save area that was loaded once never makes the load fault: programs reach
//! it only through [`check_head`].

use core::arch::asm;

use super::features;

/// Offsets and values of the FXSAVE image.
pub(super) const FCW: usize = 0;
const X87_REGISTERS: usize = 32;
pub(super) const MXCSR: usize = 24;
pub(super) const XMM: usize = 160;
const FCW_INITIAL: u16 = 0x37f;
const MXCSR_INITIAL: u32 = 0x1f80;

/// MXCSR bits that every processor with SSE2 has.
const MXCSR_MASK: u32 = 0xffff;

/// From here to [`HEADER`] an image is the software's: the processor neither
/// writes nor looks at it (SDM volume 1, section 10.5.1).
pub(super) const SOFTWARE: usize = 464;

/// The XSAVE header: XSTATE_BV, XCOMP_BV, zeroes.
pub(super) const HEADER: usize = 512;
pub(super) const HEADER_END: usize = 576;

/// Components x87 and SSE.
pub(super) const LEGACY: u64 = 3;
/// The upper halves of the registers of AVX.
const AVX: u64 = 4;

/// How much of a state may be other than initial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Extent {
    /// SSE. It always counts, as programs use it all the time.
    Sse,
    /// x87 and SSE.
    Legacy,
    /// Anything.
    All,
}

/// The first part of a wide image, up to the end of its header.
pub(super) type Head = [u8; HEADER_END];

/// The head of an image of the initial state.
#[repr(C, align(64))]
struct Initial(Head);

static INITIAL: Initial = Initial({
    let mut head = [0; HEADER_END];
    [head[FCW], head[FCW + 1]] = FCW_INITIAL.to_le_bytes();
    [
        head[MXCSR],
        head[MXCSR + 1],
        head[MXCSR + 2],
        head[MXCSR + 3],
    ] = MXCSR_INITIAL.to_le_bytes();
    head
});

/// The head of an image of a fresh program's state.
pub(super) const fn initial() -> &'static Head {
    &INITIAL.0
}

/// Makes a wide image stand for the state of a fresh program as far as loading
/// it goes: components that the header does not name are loaded as initial,
/// whatever the image holds of them, and MXCSR always counts (SDM volume 1,
/// section 13.8). What else is in the image stays there.
pub(super) fn initialise_wide(image: &mut [u8]) {
    put(image, HEADER, &[0; HEADER_END - HEADER]);
    put(image, MXCSR, &MXCSR_INITIAL.to_le_bytes());
}

/// Whether an image with this head, which a program wrote, can be loaded
/// without a fault.
pub(super) fn check_head(head: &Head) -> bool {
    let Some(mxcsr) = head.get(MXCSR..).and_then(<[u8]>::first_chunk) else {
        return false;
    };
    if u32::from_le_bytes(*mxcsr) & !MXCSR_MASK != 0 {
        return false;
    }
    let components = features::get().xsave_components;
    if components == 0 {
        return true;
    }
    let Some(header) = head.get(HEADER..) else {
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

/// Replaces parts of x87 and SSE that the header does not name, because they
/// are in their initial state, by that state, so that whoever looks sees it.
pub(super) fn make_explicit(head: &mut Head) {
    if features::get().xsave_components == 0 {
        return;
    }
    let present = bitmap(head);
    if present & 1 == 0 {
        if let Some(x87) = head.get_mut(..MXCSR) {
            x87.fill(0);
        }
        if let Some(stack) = head.get_mut(X87_REGISTERS..XMM) {
            stack.fill(0);
        }
        put(head, FCW, &FCW_INITIAL.to_le_bytes());
    }
    if present & 2 == 0
        && let Some(sse) = head.get_mut(XMM..XMM + 256)
    {
        sse.fill(0);
    }
}

/// Which components an image holds, by its header.
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

/// Whether x87 is in its initial state in an image that FXSAVE wrote, or that was
/// made explicit: its control and status words, and the ten bytes of each register.
#[inline]
pub(super) fn is_x87_initial(image: &[u8; XMM]) -> bool {
    let (words, _) = image.as_chunks::<8>();
    let [control, instruction, data, _, registers @ ..] = words else {
        return false;
    };
    let (registers, _) = registers.as_chunks::<2>();
    let used = registers.iter().fold(0, |used, [low, high]| {
        let [first, second, ..] = *high;
        used | u64::from_le_bytes(*low) | u64::from(u16::from_le_bytes([first, second]))
    });
    u64::from_le_bytes(*control) == u64::from(FCW_INITIAL)
        && u64::from_le_bytes(*instruction) | u64::from_le_bytes(*data) | used == 0
}

/// The components that a narrow image has no room for.
fn upper_components() -> u64 {
    features::get().xsave_components & !LEGACY
}

/// Writes the processor's floating-point state to a wide image.
///
/// # Safety
/// `area` is 64-byte aligned and `save_bytes` long; there is XSAVE.
#[inline]
pub(super) unsafe fn save_wide(area: *mut u8) {
    let features = features::get();
    let low = features.xsave_components & 0xffff_ffff;
    let high = features.xsave_components >> 32;
    if features.xsaveopt {
        // SAFETY: the caller gives the area; the instruction exists.
        unsafe {
            asm!("xsaveopt64 [{}]", in(reg) area, in("eax") low as u32, in("edx") high as u32, options(nostack, preserves_flags));
        }
    } else {
        // SAFETY: as above.
        unsafe {
            asm!("xsave64 [{}]", in(reg) area, in("eax") low as u32, in("edx") high as u32, options(nostack, preserves_flags));
        }
    }
}

/// Writes x87 and SSE to a narrow image. False if that is not all of the
/// processor's floating-point state.
///
/// # Safety
/// `area` is 16-byte aligned and [`SOFTWARE`] bytes long.
#[inline]
#[must_use]
pub(super) unsafe fn save_narrow(area: *mut u8) -> bool {
    // SAFETY: the caller gives what the processor writes.
    unsafe { asm!("fxsave64 [{}]", in(reg) area, options(nostack, preserves_flags)) };
    match upper_components() {
        0 => true,
        // SAFETY: AVX is managed, so it is there and switched on.
        AVX => unsafe { are_upper_halves_zero() },
        upper => features::get().tells_use && components_in_use() & upper == 0,
    }
}

/// Whether the registers of AVX are zero beyond those of SSE. XGETBV would say
/// so on machines, but the emulator always calls them in use.
///
/// # Safety
/// The processor has AVX, switched on.
#[inline]
unsafe fn are_upper_halves_zero() -> bool {
    #[repr(align(32))]
    struct Vector([u64; 4]);
    static UPPER_HALF: Vector = Vector([0, 0, u64::MAX, u64::MAX]);
    let mut kept = Vector([0; 4]);
    let some: u8;
    // SAFETY: AVX is the caller's promise; the one register changed is put back.
    unsafe {
        asm!(
            "vmovups [{kept}], ymm0",
            "vorps ymm0, ymm0, ymm1",
            "vorps ymm0, ymm0, ymm2",
            "vorps ymm0, ymm0, ymm3",
            "vorps ymm0, ymm0, ymm4",
            "vorps ymm0, ymm0, ymm5",
            "vorps ymm0, ymm0, ymm6",
            "vorps ymm0, ymm0, ymm7",
            "vorps ymm0, ymm0, ymm8",
            "vorps ymm0, ymm0, ymm9",
            "vorps ymm0, ymm0, ymm10",
            "vorps ymm0, ymm0, ymm11",
            "vorps ymm0, ymm0, ymm12",
            "vorps ymm0, ymm0, ymm13",
            "vorps ymm0, ymm0, ymm14",
            "vorps ymm0, ymm0, ymm15",
            "vptest ymm0, [{upper_half}]",
            "setnz {some}",
            "vmovups ymm0, [{kept}]",
            kept = in(reg) &raw mut kept.0,
            upper_half = in(reg) &raw const UPPER_HALF.0,
            some = lateout(reg_byte) some,
            options(nostack),
        );
    }
    some == 0
}

/// The components that are not in their initial state, where the processor tells.
fn components_in_use() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: only asked where the processor has this form of the instruction.
    unsafe {
        asm!("xgetbv", in("ecx") 1, out("eax") low, out("edx") high, options(nomem, nostack, preserves_flags));
    }
    u64::from(low) | u64::from(high) << 32
}

/// Loads the processor's floating-point state from a wide image. One that the
/// processor refuses all the same leaves the state as it was, and `false`.
///
/// # Safety
/// `area` is 64-byte aligned, `save_bytes` long and initialised; there is XSAVE.
pub(super) unsafe fn load_wide(area: *const u8) -> bool {
    let components = features::get().xsave_components;
    // SAFETY: the caller's promise.
    unsafe { restore(area, components) }
}

/// Loads the processor's floating-point state from a narrow image, as
/// [`load_wide`] does. What is initial in the registers and in the image stays as
/// it is.
///
/// # Safety
/// `area` is 16-byte aligned, 512 bytes long and initialised. The image's extent is
/// at most `of_image`, and that of the processor's state at most `of_registers`.
pub(super) unsafe fn load_narrow(area: *const u8, of_image: Extent, of_registers: Extent) -> bool {
    if of_image.max(of_registers) == Extent::Sse {
        // SAFETY: the caller gives the area.
        return unsafe { load_sse(area) };
    }
    let upper = upper_components();
    if upper != 0 && of_registers == Extent::All {
        // SAFETY: a header that names no component, so that nothing behind it
        // is looked at; there is XSAVE, or there were no components.
        unsafe { restore(INITIAL.0.as_ptr(), upper) };
    }
    let refused: u32;
    // SAFETY: the caller gives the area; a fault goes on at `4:` with the
    // flag still set.
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
    refused == 0
}

/// Loads the registers of SSE from a narrow image; false, and only some of them
/// are loaded, if the processor refuses.
///
/// # Safety
/// As for [`load_narrow`].
unsafe fn load_sse(area: *const u8) -> bool {
    let refused: u32;
    // SAFETY: the caller gives the area; a fault of the first instruction goes on
    // at `4:` with the flag still set, and the others have aligned memory. They
    // change registers that the kernel does not use.
    unsafe {
        asm!(
            "mov {refused:e}, 1",
            "2: ldmxcsr [{area} + {mxcsr}]",
            "xor {refused:e}, {refused:e}",
            ".set ochre_register, 0",
            ".irp name, xmm0, xmm1, xmm2, xmm3, xmm4, xmm5, xmm6, xmm7, xmm8, xmm9, xmm10, xmm11, xmm12, xmm13, xmm14, xmm15",
            "movaps \\name, [{area} + {xmm} + 16 * ochre_register]",
            ".set ochre_register, ochre_register + 1",
            ".endr",
            "4:",
            ".pushsection .ochre_extable, \"a\"",
            ".long 2b - ., 4b - .",
            ".popsection",
            refused = out(reg) refused, area = in(reg) area,
            mxcsr = const MXCSR, xmm = const XMM,
            options(nostack, readonly),
        );
    }
    refused == 0
}

/// Loads some components; false if the processor refuses.
///
/// # Safety
/// There is XSAVE; `area` is 64-byte aligned, initialised, and holds the
/// components that its header names.
unsafe fn restore(area: *const u8, components: u64) -> bool {
    let low = components & 0xffff_ffff;
    let high = components >> 32;
    let refused: u32;
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
    refused == 0
}
