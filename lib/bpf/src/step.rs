//! Instructions that were checked, in a form that has no unknown ones.

/// A checked instruction: eight bytes, like the one it was made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Accumulator := the word of the data with this number.
    LoadData(u32),
    /// Accumulator := constant.
    LoadConstant(u32),
    /// Accumulator := memory.
    LoadMemory(u32),
    /// Index := constant.
    IndexConstant(u32),
    /// Index := memory.
    IndexMemory(u32),
    /// Memory := accumulator.
    Store(u32),
    /// Memory := index.
    StoreIndex(u32),
    /// Index := accumulator.
    ToIndex,
    /// Accumulator := index.
    FromIndex,
    /// Accumulator := - accumulator.
    Negate,
    /// Accumulator := accumulator (operation) constant.
    WithConstant(Operation, u32),
    /// Accumulator := accumulator (operation) index.
    WithIndex(Operation),
    /// Skip as many.
    Jump(u32),
    /// Compare the accumulator with a constant and skip `yes` or `no`.
    IfConstant {
        /// How to compare.
        test: Test,
        /// What to skip if it holds.
        yes: u8,
        /// What to skip if not.
        no: u8,
        /// With what.
        constant: u32,
    },
    /// The same with the index.
    IfIndex {
        /// How to compare.
        test: Test,
        /// What to skip if it holds.
        yes: u8,
        /// What to skip if not.
        no: u8,
    },
    /// End with a constant.
    ReturnConstant(u32),
    /// End with the accumulator.
    Return,
}

const _: () = assert!(size_of::<Step>() == 8);

/// Arithmetic on unsigned words that wraps around.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
    Or,
    And,
    ShiftLeft,
    ShiftRight,
    Xor,
}

impl Operation {
    /// The result; `None` for a division by zero, which ends the program with
    /// 0. Of a shift's distance five bits count.
    #[inline]
    pub(crate) fn apply(self, left: u32, right: u32) -> Option<u32> {
        Some(match self {
            Operation::Add => left.wrapping_add(right),
            Operation::Subtract => left.wrapping_sub(right),
            Operation::Multiply => left.wrapping_mul(right),
            Operation::Divide => left.checked_div(right)?,
            Operation::Or => left | right,
            Operation::And => left & right,
            Operation::ShiftLeft => left.wrapping_shl(right),
            Operation::ShiftRight => left.wrapping_shr(right),
            Operation::Xor => left ^ right,
        })
    }
}

/// A comparison of unsigned words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Test {
    Equal,
    Greater,
    GreaterOrEqual,
    AnyBit,
}

impl Test {
    /// Whether it holds.
    #[inline]
    pub(crate) fn holds(self, left: u32, right: u32) -> bool {
        match self {
            Test::Equal => left == right,
            Test::Greater => left > right,
            Test::GreaterOrEqual => left >= right,
            Test::AnyBit => left & right != 0,
        }
    }
}
