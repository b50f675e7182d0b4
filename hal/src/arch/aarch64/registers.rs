//! A program's (or interrupted kernel code's) general registers, as the trap
//! code lays them out.
//!
//! While a program runs, `SP_EL1` points to its thread's [`Registers`], so that
//! the trap code stores a trap's frame straight into the thread's context:
//! nothing is copied.

use super::features;

/// What kind of exception it was: the vector within its group of four.
pub(crate) mod kind {
    /// Raised by an instruction.
    pub(crate) const SYNCHRONOUS: u64 = 0;
    /// An interrupt.
    pub(crate) const INTERRUPT: u64 = 1;
    /// A fast interrupt, of which there are none.
    pub(crate) const FAST: u64 = 2;
    /// An error of the memory system, told when it was noticed.
    pub(crate) const ERROR: u64 = 3;
    /// Added by the stub where the exception came while another was handled.
    pub(crate) const NESTED: u64 = 4;
}

/// Bits of the processor state that a program may set: its conditions, whether
/// instructions are to take a time that tells nothing of their data (DIT), and
/// whether loads may be speculated past stores (SSBS). Processors without the
/// latter two pass over them.
const PROGRAM: u64 = 0xf << 28 | 1 << 24 | 1 << 12;

/// How the program came to the instruction it is at (BTYPE): what the landing
/// pad there must be for, if the page is guarded. 0 for all but jumps through
/// registers.
pub(super) const ARRIVAL: u64 = 3 << 10;

/// [`ARRIVAL`] by a call through a register.
const CALLED: u64 = 2 << 10;

/// See the module. The assembly knows the layout.
#[repr(C, align(16))]
#[derive(Clone, Debug)]
pub(crate) struct Registers {
    pub(crate) x: [u64; 31],
    pub(crate) sp: u64,
    pub(crate) pc: u64,
    pub(crate) pstate: u64,
    /// See [`kind`].
    pub(crate) kind: u64,
    /// ESR: class and syndrome of a synchronous exception.
    pub(crate) syndrome: u64,
    /// FAR: the address that a fault was at.
    pub(crate) address: u64,
    /// What `x0` was when a system call was made.
    pub(crate) first: u64,
}

const _: () = assert!(size_of::<Registers>() == 304);

impl Registers {
    /// A program's registers with everything zero.
    pub(crate) const fn user(pc: u64, sp: u64) -> Registers {
        Registers {
            x: [0; 31],
            sp,
            pc,
            pstate: 0,
            kind: kind::SYNCHRONOUS,
            syndrome: 0,
            address: 0,
            first: 0,
        }
    }

    /// Whether the state is a program's.
    pub(crate) fn is_user(&self) -> bool {
        self.pstate & 0b1_1111 == 0
    }
}

/// Whether a frame's state is one that a program may go on with: EL0 with 64
/// bits and nothing masked. (Bits without a meaning are passed over.)
pub(crate) const fn is_programs(state: u64) -> bool {
    const MODE: u64 = 0x1f;
    const MASKED: u64 = 0xf << 6;
    state & (MODE | MASKED) == 0
}

/// A program's state where a handler of it begins, as if that had been called
/// through a register: what the program has set stays.
pub(super) fn state_of_handler(interrupted: u64) -> u64 {
    let arrival = if features::get().landing_pads {
        CALLED
    } else {
        0
    };
    interrupted & PROGRAM | arrival
}

/// A program's state made safe: EL0, interrupts on.
pub(crate) fn sanitize_state(wanted: u64) -> u64 {
    if features::get().landing_pads {
        wanted & (PROGRAM | ARRIVAL)
    } else {
        wanted & PROGRAM
    }
}
