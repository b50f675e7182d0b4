//! A program's (or interrupted kernel code's) general registers, as the trap
//! code lays them out.
//!
//! The order is the order in which the trap code pushes. When user mode runs,
//! `TSS.rsp0` points just past the running thread's [`Registers`], so that the
//! processor and the trap code push a trap's frame straight into the thread's
//! context: nothing is copied. (Where programs have tables of their own,
//! `apart.rs`, it is.)

/// [`Registers::vector`] after the system call instruction.
pub(crate) const VIA_SYSCALL: u64 = 256;

/// [`Registers::vector`] of registers that did not come from a trap, or were
/// changed since: the whole state must be loaded, by `iretq`.
pub(crate) const VIA_NOTHING: u64 = 257;

/// Selectors, in Linux's numbers: signal frames show them to programs.
pub(crate) const KERNEL_CODE: u16 = 0x10;
/// Stack segment of the kernel.
pub(crate) const KERNEL_DATA: u16 = 0x18;
/// Stack segment of programs.
pub(crate) const USER_DATA: u16 = 0x28 | 3;
/// Code segment of programs.
pub(crate) const USER_CODE: u16 = 0x30 | 3;

/// Bits of the flags register.
pub(crate) mod flags {
    /// Always one.
    pub(crate) const ONE: u64 = 1 << 1;
    /// Single step.
    pub(crate) const TRAP: u64 = 1 << 8;
    /// Interrupts on.
    pub(crate) const INTERRUPT: u64 = 1 << 9;
    /// String instructions go down.
    pub(crate) const DIRECTION: u64 = 1 << 10;
    /// Who may use ports.
    pub(crate) const IO_PRIVILEGE: u64 = 3 << 12;
    /// Nested task.
    pub(crate) const NESTED: u64 = 1 << 14;
    /// Debug exceptions off for one instruction.
    pub(crate) const RESUME: u64 = 1 << 16;
    /// Alignment checks; in the kernel: access to user pages.
    pub(crate) const ALIGNMENT: u64 = 1 << 18;
    /// What a program may set by itself: CF PF AF ZF SF TF DF OF RF AC ID.
    pub(crate) const PROGRAM: u64 = 0x25_0dd5;
    /// What the system call instruction clears for the kernel.
    pub(crate) const CLEARED_BY_SYSCALL: u64 =
        TRAP | INTERRUPT | DIRECTION | IO_PRIVILEGE | NESTED | RESUME | ALIGNMENT;
}

/// See the module. The assembly knows the layout.
#[repr(C, align(16))]
#[derive(Clone, Debug)]
pub(crate) struct Registers {
    pub(crate) r15: u64,
    pub(crate) r14: u64,
    pub(crate) r13: u64,
    pub(crate) r12: u64,
    pub(crate) rbp: u64,
    pub(crate) rbx: u64,
    pub(crate) r11: u64,
    pub(crate) r10: u64,
    pub(crate) r9: u64,
    pub(crate) r8: u64,
    pub(crate) rax: u64,
    pub(crate) rcx: u64,
    pub(crate) rdx: u64,
    pub(crate) rsi: u64,
    pub(crate) rdi: u64,
    /// The trap's number, [`VIA_SYSCALL`] or [`VIA_NOTHING`].
    pub(crate) vector: u64,
    /// The trap's error code; after a system call its number.
    pub(crate) error: u64,
    pub(crate) rip: u64,
    pub(crate) cs: u64,
    pub(crate) rflags: u64,
    pub(crate) rsp: u64,
    pub(crate) ss: u64,
}

// The processor aligns the stack to 16 bytes before it pushes; `rsp0` points
// past the registers, so their size must keep it aligned.
const _: () = assert!(size_of::<Registers>() == 176 && size_of::<Registers>().is_multiple_of(16));

/// Pushes the general registers, below what the processor and a stub pushed:
/// the structure's order from its end on.
macro_rules! push_registers {
    () => {
        concat!(
            "push rdi\npush rsi\npush rdx\npush rcx\npush rax\n",
            "push r8\npush r9\npush r10\npush r11\n",
            "push rbx\npush rbp\npush r12\npush r13\npush r14\npush r15"
        )
    };
}
pub(super) use push_registers;

/// Loads the registers that every way out loads alike from [`Registers`] at
/// `rdi`: all but `rcx`, `r11`, `rdi` and `rsp`.
macro_rules! load_registers {
    () => {
        concat!(
            "mov r15, [rdi + {r15}]\nmov r14, [rdi + {r14}]\n",
            "mov r13, [rdi + {r13}]\nmov r12, [rdi + {r12}]\n",
            "mov rbp, [rdi + {rbp}]\nmov rbx, [rdi + {rbx}]\n",
            "mov r10, [rdi + {r10}]\nmov r9, [rdi + {r9}]\n",
            "mov r8, [rdi + {r8}]\nmov rax, [rdi + {rax}]\n",
            "mov rdx, [rdi + {rdx}]\nmov rsi, [rdi + {rsi}]"
        )
    };
}
pub(super) use load_registers;

impl Registers {
    /// A program's registers with everything zero.
    pub(crate) const fn user(rip: u64, rsp: u64) -> Registers {
        Registers {
            r15: 0,
            r14: 0,
            r13: 0,
            r12: 0,
            rbp: 0,
            rbx: 0,
            r11: 0,
            r10: 0,
            r9: 0,
            r8: 0,
            rax: 0,
            rcx: 0,
            rdx: 0,
            rsi: 0,
            rdi: 0,
            vector: VIA_NOTHING,
            error: 0,
            rip,
            cs: USER_CODE as u64,
            rflags: flags::ONE | flags::INTERRUPT,
            rsp,
            ss: USER_DATA as u64,
        }
    }

    /// Makes the registers complete and free to change: after a system call
    /// `rcx` and `r11` are only in `rip` and `rflags`, and the way back takes
    /// them from there.
    pub(crate) fn settle(&mut self) {
        if self.vector == VIA_SYSCALL {
            self.rcx = self.rip;
            self.r11 = self.rflags;
        }
        self.vector = VIA_NOTHING;
    }
}

/// A program's flags made safe: what it may not set is taken from us.
pub(crate) const fn sanitize_flags(wanted: u64) -> u64 {
    (wanted & flags::PROGRAM) | flags::ONE | flags::INTERRUPT
}

/// Whether the processor can hold `address` as an instruction pointer.
#[inline]
pub(crate) const fn is_canonical(address: u64) -> bool {
    ((address << 16).cast_signed() >> 16).cast_unsigned() == address
}

#[cfg(test)]
mod tests {
    use super::{flags, is_canonical, sanitize_flags};

    #[test]
    fn canonical_means_47_bits_and_a_sign() {
        for address in [0, 0x7fff_ffff_ffff, 0xffff_8000_0000_0000, u64::MAX] {
            assert!(is_canonical(address), "{address:x}");
        }
        for address in [0x8000_0000_0000, 0xffff_7fff_ffff_ffff, 1 << 63] {
            assert!(!is_canonical(address), "{address:x}");
        }
    }

    #[test]
    fn a_program_sets_only_its_own_flags() {
        let all = sanitize_flags(u64::MAX);
        assert_eq!(all & (flags::IO_PRIVILEGE | flags::NESTED), 0);
        assert_eq!(all >> 22, 0);
        // VM, VIF and VIP are not the program's.
        assert_eq!(all & (1 << 17 | 1 << 19 | 1 << 20), 0);
        assert_eq!(sanitize_flags(0), flags::ONE | flags::INTERRUPT);
        assert_ne!(all & flags::TRAP, 0);
    }
}
