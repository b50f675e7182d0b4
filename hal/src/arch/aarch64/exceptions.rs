//! Exception classes and fault codes (Arm ARM, D17.2.37), for programs and for people.

use crate::memory::untagged;
use crate::user::{Access, Exception, ExceptionKind, Trap};

/// The class of a syndrome.
#[inline]
pub(super) const fn class(syndrome: u64) -> u64 {
    syndrome >> 26 & 0x3f
}

/// Classes that the kernel asks for by number.
pub(super) mod classes {
    pub(crate) const SVC: u64 = 0x15;
    pub(crate) const FETCH_USER: u64 = 0x20;
    pub(crate) const FETCH_KERNEL: u64 = 0x21;
    pub(crate) const DATA_USER: u64 = 0x24;
    pub(crate) const DATA_KERNEL: u64 = 0x25;
    pub(crate) const BREAKPOINT: u64 = 0x3c;
}

/// A store (of a data fault); not so for cache maintenance, which says so too.
const WRITE: u64 = 1 << 6;
const MAINTENANCE: u64 = 1 << 8;

/// A class in words.
pub(super) fn name(class: u64) -> &'static str {
    match class {
        0x00 => "invalid instruction",
        0x01 => "waiting instruction that is forbidden",
        0x07 => "floating point that is forbidden",
        0x0d => "branch target without landing pad",
        0x0e => "invalid processor state",
        0x15 => "system call",
        0x16 => "hypervisor call",
        0x17 => "monitor call",
        0x18 => "system register or instruction that is forbidden",
        0x19 => "SVE that is forbidden",
        0x1c => "pointer authentication failure",
        0x20 | 0x21 => "instruction fetch fault",
        0x22 => "misaligned instruction pointer",
        0x24 | 0x25 => "data fault",
        0x26 => "misaligned stack pointer",
        0x2c => "floating-point error",
        0x2f => "error of the memory system",
        0x30 | 0x31 => "hardware breakpoint",
        0x32 | 0x33 => "single step",
        0x34 | 0x35 => "watchpoint",
        0x3c => "breakpoint instruction",
        _ => "exception of an unknown class",
    }
}

/// Why a data access or a fetch was refused, in words.
pub(super) fn fault(syndrome: u64) -> &'static str {
    match syndrome & 0x3f {
        0x00..=0x03 => "an address is too large for the tables",
        0x04..=0x07 => "the page is not mapped",
        0x08..=0x0b => "the page is not marked as accessed",
        0x0c..=0x0f => "the page's rights forbid it",
        0x10 | 0x14..=0x17 => "there is nothing at the physical address",
        0x11 => "its tag does not fit",
        0x18 | 0x1c..=0x1f => "memory has a parity error",
        0x21 => "it is misaligned",
        0x30 => "translations are remembered twice",
        0x34 => "it is not possible there (locked down)",
        0x35 => "the memory does not do exclusive accesses",
        _ => "of an unknown reason",
    }
}

/// What an error of the memory system (SError) did, as far as it says so.
pub(super) fn damage(syndrome: u64) -> &'static str {
    /// The syndrome is not the architecture's.
    const OWN: u64 = 1 << 24;
    /// The kind that has more to say (FEAT_RAS).
    const ASYNCHRONOUS: u64 = 0x11;
    if syndrome & OWN != 0 {
        return "what kind is in the words of the processor's maker";
    }
    if syndrome & 0x3f != ASYNCHRONOUS {
        return "the processor does not tell what kind";
    }
    match syndrome >> 10 & 7 {
        0 => "wrong data may be anywhere by now",
        1 => "data is lost, and what was computed with it",
        2 => "data is lost that nobody has used yet",
        3 => "what was done can go on when it is repaired",
        6 => "it was corrected",
        _ => "of an unknown kind",
    }
}

/// Whether it was the page's rights that refused an access.
pub(super) fn is_about_rights(syndrome: u64) -> bool {
    (0x0c..=0x0f).contains(&(syndrome & 0x3f))
}

/// What kind of access a fault was.
#[inline]
pub(super) fn access(syndrome: u64) -> Access {
    match class(syndrome) {
        classes::FETCH_USER | classes::FETCH_KERNEL => Access::Execute,
        _ if syndrome & (WRITE | MAINTENANCE) == WRITE => Access::Write,
        _ => Access::Read,
    }
}

/// What a program is told of the syndrome of a fault at `address`: where that
/// is not the programs' half, not what the kernel has there.
pub(super) fn told(syndrome: u64, address: u64) -> u64 {
    /// Class and length of the instruction.
    const ALWAYS: u64 = 0x3f << 26 | 1 << 25;
    /// "Not mapped", by the root table.
    const NOT_MAPPED: u64 = 4;
    if address < PROGRAMS_END {
        return syndrome;
    }
    match class(syndrome) {
        classes::FETCH_USER => syndrome & ALWAYS | NOT_MAPPED,
        _ => syndrome & (ALWAYS | MAINTENANCE | WRITE) | NOT_MAPPED,
    }
}

/// One past the addresses that Linux's programs may have.
const PROGRAMS_END: u64 = 1 << 48;

/// Linux's `si_code` of a breakpoint, which is where the program stands.
const TRAP_BRKPT: i32 = 1;

/// Linux's `si_code` of an instruction that is none, is not allowed, or is no
/// landing pad where one must be.
const ILL_ILLOPC: i32 = 1;

/// Linux's `si_code` of an operand that is none: a pointer whose signature is wrong.
const ILL_ILLOPN: i32 = 2;

/// A program's synchronous exception in Linux's terms.
pub(super) fn classify(syndrome: u64, address: u64) -> Trap {
    let kind = match class(syndrome) {
        classes::SVC => return Trap::Syscall,
        classes::FETCH_USER | classes::DATA_USER => match syndrome & 0x3f {
            0x00..=0x0f => {
                return Trap::PageFault {
                    address: untagged(address),
                    access: access(syndrome),
                };
            }
            0x21 => ExceptionKind::Alignment,
            _ => ExceptionKind::Bus,
        },
        0x1c => ExceptionKind::IllegalInstruction(ILL_ILLOPN),
        0x22 | 0x26 => ExceptionKind::Alignment,
        0x2c => ExceptionKind::FloatingPoint(floating_point(syndrome)),
        0x30 | 0x32 | 0x34 => ExceptionKind::Step,
        0x38 | classes::BREAKPOINT => ExceptionKind::Breakpoint(TRAP_BRKPT),
        _ => ExceptionKind::IllegalInstruction(ILL_ILLOPC),
    };
    Trap::Exception(Exception {
        kind,
        // CAST: six bits.
        number: class(syndrome) as u32,
        // Of the others Linux tells no syndrome.
        code: match kind {
            ExceptionKind::Alignment | ExceptionKind::Bus => syndrome,
            _ => 0,
        },
    })
}

/// Linux's `si_code`: the first exception in the order of precedence.
fn floating_point(syndrome: u64) -> i32 {
    const DIVIDE_BY_ZERO: i32 = 3;
    const OVERFLOW: i32 = 4;
    const UNDERFLOW: i32 = 5;
    const INEXACT: i32 = 6;
    const INVALID: i32 = 7;
    // Bit 23: the flags below are right.
    if syndrome & 1 << 23 == 0 {
        return 0;
    }
    let order = [
        (1, INVALID),
        (1 << 1, DIVIDE_BY_ZERO),
        (1 << 2, OVERFLOW),
        (1 << 3, UNDERFLOW),
        (1 << 4, INEXACT),
    ];
    let first = order.iter().find(|(bit, _)| syndrome & bit != 0);
    first.map_or(0, |(_, code)| *code)
}
