//! The 32 exceptions, for programs and for people.

use crate::user::{Access, Exception, ExceptionKind};

/// The page fault: its vector, and bits of its error code.
pub(super) mod page_fault {
    /// The vector.
    pub(crate) const VECTOR: u64 = 14;
    /// The page was mapped; it is its rights that refused.
    pub(crate) const PRESENT: u64 = 1;
    /// A store.
    pub(crate) const WRITE: u64 = 1 << 1;
    /// From user mode.
    pub(crate) const USER: u64 = 1 << 2;
    /// A reserved bit was set in a table.
    pub(crate) const RESERVED: u64 = 1 << 3;
    /// An instruction fetch.
    pub(crate) const FETCH: u64 = 1 << 4;
}

/// What a program is told of the error code of a fault at `address`: where that
/// is not the programs' half, not whether the kernel has anything there.
pub(super) fn told(code: u64, address: u64) -> u64 {
    /// One past the addresses that Linux's programs may have.
    const PROGRAMS_END: u64 = (1 << 47) - 4096;
    if address < PROGRAMS_END {
        code
    } else {
        code | page_fault::PRESENT
    }
}

/// What kind of access a page fault was.
#[inline]
pub(super) fn access(code: u64) -> Access {
    if code & page_fault::FETCH != 0 {
        Access::Execute
    } else if code & page_fault::WRITE != 0 {
        Access::Write
    } else {
        Access::Read
    }
}

/// An exception's name in words.
pub(super) fn name(vector: u64) -> &'static str {
    match vector {
        0 => "division by zero or quotient too large",
        1 => "debug exception",
        2 => "non-maskable interrupt",
        3 => "breakpoint",
        4 => "overflow",
        5 => "bound range exceeded",
        6 => "invalid instruction",
        7 => "floating-point unit not available",
        8 => "double fault",
        9 => "coprocessor segment overrun",
        10 => "invalid task state segment",
        11 => "segment not present",
        12 => "stack segment fault",
        13 => "general protection fault",
        14 => "page fault",
        16 => "x87 floating-point error",
        17 => "misaligned access",
        18 => "machine check",
        19 => "SIMD floating-point error",
        20 => "virtualization exception",
        21 => "control flow protection fault",
        28 => "hypervisor injection",
        29 => "VMM communication",
        30 => "security exception",
        15 | 22..=27 | 31 => "reserved exception",
        _ => "interrupt where none may come",
    }
}

/// Linux's `si_code` of a breakpoint, after which the program stands.
const SI_KERNEL: i32 = 0x80;

/// Linux's `si_code` of an instruction that is none, or is not allowed.
const ILL_ILLOPN: i32 = 2;

/// A program's exception in Linux's terms. `x87` and `sse` give the status of
/// the two floating-point units, asked only for their exceptions.
pub(super) fn classify(
    vector: u64,
    code: u64,
    floating_point: impl FnOnce() -> FloatingPoint,
) -> Exception {
    let kind = match vector {
        0 => ExceptionKind::IntegerDivide,
        1 => ExceptionKind::Step,
        3 => ExceptionKind::Breakpoint(SI_KERNEL),
        4 | 5 => ExceptionKind::Overflow,
        6 => ExceptionKind::IllegalInstruction(ILL_ILLOPN),
        11 | 12 => ExceptionKind::Bus,
        16 | 19 => ExceptionKind::FloatingPoint(floating_point().si_code(vector)),
        17 => ExceptionKind::Alignment,
        _ => ExceptionKind::Protection,
    };
    Exception {
        kind,
        // Below 32, or the protection fault that stands for something else.
        number: u32::try_from(vector).unwrap_or(13),
        code,
    }
}

/// Status and control words at a floating-point exception.
#[derive(Clone, Copy, Debug)]
pub(super) struct FloatingPoint {
    /// x87 control word.
    pub(super) control: u16,
    /// x87 status word.
    pub(super) status: u16,
    /// SSE control and status.
    pub(super) mxcsr: u32,
}

impl FloatingPoint {
    /// Linux's `si_code`: the first unmasked exception in the order of precedence.
    fn si_code(self, vector: u64) -> i32 {
        const DIVIDE_BY_ZERO: i32 = 3;
        const OVERFLOW: i32 = 4;
        const UNDERFLOW: i32 = 5;
        const INEXACT: i32 = 6;
        const INVALID: i32 = 7;
        let raised = if vector == 16 {
            self.status & !self.control
        } else {
            // Flags in bits 0..6, masks in bits 7..13.
            (self.mxcsr & !(self.mxcsr >> 7)) as u16
        };
        for (bits, code) in [
            (1, INVALID),
            (1 << 2, DIVIDE_BY_ZERO),
            (1 << 3, OVERFLOW),
            (1 << 1 | 1 << 4, UNDERFLOW),
            (1 << 5, INEXACT),
        ] {
            if raised & bits != 0 {
                return code;
            }
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::{FloatingPoint, access, classify, told};
    use crate::user::{Access, ExceptionKind};

    fn kind(vector: u64, status: FloatingPoint) -> ExceptionKind {
        classify(vector, 0, || status).kind
    }

    #[test]
    fn floating_point_errors_have_linux_codes() {
        let x87 = |status| FloatingPoint {
            control: 0x340,
            status,
            mxcsr: 0,
        };
        assert_eq!(kind(16, x87(1)), ExceptionKind::FloatingPoint(7));
        assert_eq!(kind(16, x87(1 << 2)), ExceptionKind::FloatingPoint(3));
        assert_eq!(kind(16, x87(1 << 5)), ExceptionKind::FloatingPoint(6));
        let sse = |mxcsr| FloatingPoint {
            control: 0,
            status: 0,
            mxcsr,
        };
        assert_eq!(kind(19, sse(0x1d84)), ExceptionKind::FloatingPoint(3));
        assert_eq!(kind(19, sse(0x1f84)), ExceptionKind::FloatingPoint(0));
    }

    #[test]
    fn a_fetch_is_not_a_read() {
        assert_eq!(access(0x14), Access::Execute);
        assert_eq!(access(0x6), Access::Write);
        assert_eq!(access(0x4), Access::Read);
    }

    #[test]
    fn nothing_is_told_of_the_kernels_half() {
        assert_eq!(told(4, 0x7fff_ffff_efff), 4);
        assert_eq!(told(4, 0x7fff_ffff_f000), 5);
        assert_eq!(told(20, u64::MAX), 21);
    }
}
