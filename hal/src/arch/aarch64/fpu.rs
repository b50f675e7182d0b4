//! Saving and loading a program's floating-point state.
//!
//! The kernel has no floating-point code (it is built for the target without),
//! so a program's state stays in the registers while the kernel runs, until
//! something else is to run (`context.rs` says when, and why then). An image is
//! the 32 vector registers, then FPSR and FPCR. Any bits are a valid image: FPCR
//! takes what it knows.

/// Bytes of an image: the vector registers, FPSR, FPCR.
pub(super) const IMAGE_BYTES: usize = 528;

/// Where FPSR is in an image; FPCR is four bytes behind.
pub(super) const STATUS: usize = 512;

unsafe extern "C" {
    fn ochre_fpu_save(image: *mut u8);
    fn ochre_fpu_load(image: *const u8);
}

/// Fills an image with the state of a fresh program.
pub(super) fn initialise(image: &mut [u8]) {
    image.fill(0);
}

/// Writes the processor's floating-point state to `image`.
///
/// # Safety
/// `image` is 16-byte aligned and [`IMAGE_BYTES`] long.
#[inline]
pub(super) unsafe fn save(image: *mut u8) {
    // SAFETY: writes the image, the caller's.
    unsafe { ochre_fpu_save(image) };
}

/// Loads the processor's floating-point state from `image`.
///
/// # Safety
/// `image` is 16-byte aligned, [`IMAGE_BYTES`] long and initialised.
#[inline]
pub(super) unsafe fn load(image: *const u8) {
    // SAFETY: reads the image; the kernel has nothing in these registers.
    unsafe { ochre_fpu_load(image) };
}

core::arch::global_asm!(
    ".pushsection .text.ochre_fpu, \"ax\", %progbits",
    ".arch_extension fp",
    ".arch_extension simd",
    ".irp name, save, load",
    ".global ochre_fpu_\\name",
    ".endr",
    ".macro ochre_vectors_all instruction",
    "\\instruction q0, q1, [x0]",
    "\\instruction q2, q3, [x0, #2 * 16]",
    "\\instruction q4, q5, [x0, #4 * 16]",
    "\\instruction q6, q7, [x0, #6 * 16]",
    "\\instruction q8, q9, [x0, #8 * 16]",
    "\\instruction q10, q11, [x0, #10 * 16]",
    "\\instruction q12, q13, [x0, #12 * 16]",
    "\\instruction q14, q15, [x0, #14 * 16]",
    "\\instruction q16, q17, [x0, #16 * 16]",
    "\\instruction q18, q19, [x0, #18 * 16]",
    "\\instruction q20, q21, [x0, #20 * 16]",
    "\\instruction q22, q23, [x0, #22 * 16]",
    "\\instruction q24, q25, [x0, #24 * 16]",
    "\\instruction q26, q27, [x0, #26 * 16]",
    "\\instruction q28, q29, [x0, #28 * 16]",
    "\\instruction q30, q31, [x0, #30 * 16]",
    ".endm",
    "ochre_fpu_save:",
    "ochre_vectors_all stp",
    "mrs x1, fpsr",
    "mrs x2, fpcr",
    "add x0, x0, #512",
    "stp w1, w2, [x0]",
    "ret",
    "ochre_fpu_load:",
    "ochre_vectors_all ldp",
    "add x0, x0, #512",
    "ldp w1, w2, [x0]",
    "msr fpsr, x1",
    "msr fpcr, x2",
    "ret",
    ".popsection",
);
