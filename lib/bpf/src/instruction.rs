//! Instructions as programs write them (`struct sock_filter`).

/// A program's greatest length (`BPF_MAXINSNS`).
pub const MAX_INSTRUCTIONS: usize = 4096;

/// `struct sock_filter`: what a program is a list of. Any value is possible.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Instruction {
    /// What to do; see [`code`].
    pub code: u16,
    /// Instructions to skip if the condition holds.
    pub jump_true: u8,
    /// Instructions to skip if it does not.
    pub jump_false: u8,
    /// The constant.
    pub constant: u32,
}

impl Instruction {
    /// Its size in memory.
    pub const BYTES: usize = 8;

    /// One that does not branch.
    #[must_use]
    pub const fn new(code: u16, constant: u32) -> Instruction {
        Instruction::branch(code, constant, 0, 0)
    }

    /// One that may.
    #[must_use]
    pub const fn branch(code: u16, constant: u32, jump_true: u8, jump_false: u8) -> Instruction {
        Instruction {
            code,
            jump_true,
            jump_false,
            constant,
        }
    }

    /// From its bytes in a program's memory.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Instruction::BYTES]) -> Instruction {
        let [code0, code1, jump_true, jump_false, k0, k1, k2, k3] = bytes;
        Instruction {
            code: u16::from_ne_bytes([code0, code1]),
            jump_true,
            jump_false,
            constant: u32::from_ne_bytes([k0, k1, k2, k3]),
        }
    }
}

/// The parts of a code (`linux/bpf_common.h`); a code is a class, and what
/// belongs to it, added up.
pub mod code {
    /// Class: load the accumulator.
    pub const LD: u16 = 0x00;
    /// Class: load the index.
    pub const LDX: u16 = 0x01;
    /// Class: store the accumulator.
    pub const ST: u16 = 0x02;
    /// Class: store the index.
    pub const STX: u16 = 0x03;
    /// Class: arithmetic on the accumulator.
    pub const ALU: u16 = 0x04;
    /// Class: go on elsewhere.
    pub const JMP: u16 = 0x05;
    /// Class: end with a value.
    pub const RET: u16 = 0x06;
    /// Class: between the registers.
    pub const MISC: u16 = 0x07;

    /// Loads: a word of 32 bits.
    pub const W: u16 = 0x00;
    /// Loads: the constant.
    pub const IMM: u16 = 0x00;
    /// Loads: a word of the data, at the constant.
    pub const ABS: u16 = 0x20;
    /// Loads: a word of memory.
    pub const MEM: u16 = 0x60;
    /// Loads: how many bytes the data has.
    pub const LEN: u16 = 0x80;

    /// Arithmetic: add.
    pub const ADD: u16 = 0x00;
    /// Arithmetic: subtract.
    pub const SUB: u16 = 0x10;
    /// Arithmetic: multiply.
    pub const MUL: u16 = 0x20;
    /// Arithmetic: divide.
    pub const DIV: u16 = 0x30;
    /// Arithmetic: bitwise or.
    pub const OR: u16 = 0x40;
    /// Arithmetic: bitwise and.
    pub const AND: u16 = 0x50;
    /// Arithmetic: shift left.
    pub const LSH: u16 = 0x60;
    /// Arithmetic: shift right.
    pub const RSH: u16 = 0x70;
    /// Arithmetic: negate.
    pub const NEG: u16 = 0x80;
    /// Arithmetic: remainder, which seccomp(2) has not.
    pub const MOD: u16 = 0x90;
    /// Arithmetic: bitwise exclusive or.
    pub const XOR: u16 = 0xa0;

    /// Jumps: always, as far as the constant says.
    pub const JA: u16 = 0x00;
    /// Jumps: if equal.
    pub const JEQ: u16 = 0x10;
    /// Jumps: if greater.
    pub const JGT: u16 = 0x20;
    /// Jumps: if greater or equal.
    pub const JGE: u16 = 0x30;
    /// Jumps: if any bit is in both.
    pub const JSET: u16 = 0x40;

    /// Operand: the constant.
    pub const K: u16 = 0x00;
    /// Operand: the index.
    pub const X: u16 = 0x08;
    /// What is returned: the accumulator.
    pub const A: u16 = 0x10;

    /// Between the registers: accumulator to index.
    pub const TAX: u16 = 0x00;
    /// Between the registers: index to accumulator.
    pub const TXA: u16 = 0x80;
}
