//! A checked program, and running it.

use alloc::vec::Vec;

use crate::check;
use crate::instruction::Instruction;
use crate::step::{Step, Test};

/// Words of memory that a program has (`BPF_MEMWORDS`).
pub(crate) const MEMORY_WORDS: usize = 16;

/// Why a program is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It has no instructions, or more than [`MAX_INSTRUCTIONS`](crate::MAX_INSTRUCTIONS).
    Length,
    /// An instruction that there is not.
    Unknown,
    /// A load from outside of the data, or not of a whole word of it.
    Data,
    /// A place in memory that there is not.
    Memory,
    /// A load from memory that was not written on every way there.
    Unwritten,
    /// A jump to behind the end.
    Jump,
    /// A division by the constant 0, or a constant shift by a word or more.
    Arithmetic,
    /// The last instruction does not end the program.
    Endless,
    /// There is no memory to keep it in.
    OutOfMemory,
}

/// A program that works on `WORDS` words of data.
///
/// ```
/// use ochre_bpf::{Instruction, Program, code};
///
/// // Whether the second word is 7.
/// let program = Program::<2>::check(&[
///     Instruction::new(code::LD | code::W | code::ABS, 4),
///     Instruction::branch(code::JMP | code::JEQ | code::K, 7, 0, 1),
///     Instruction::new(code::RET | code::K, 1),
///     Instruction::new(code::RET | code::K, 0),
/// ])
/// .expect("it ends on every way");
/// assert_eq!(program.run(&[0, 7]), 1);
/// assert_eq!(program.run(&[7, 0]), 0);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program<const WORDS: usize> {
    steps: Vec<Step>,
}

impl<const WORDS: usize> Program<WORDS> {
    /// Checks a program, in time that grows with its length and no more.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(instructions: &[Instruction]) -> Result<Program<WORDS>, Refused> {
        let steps = check::check(instructions, WORDS)?;
        Ok(Program { steps })
    }

    /// How many instructions it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Never: a program ends with an instruction.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// What the program answers about `data`: at most [`len`](Program::len) steps.
    #[must_use]
    pub fn run(&self, data: &[u32; WORDS]) -> u32 {
        let (mut accumulator, mut index) = (0_u32, 0_u32);
        let mut memory = [0_u32; MEMORY_WORDS];
        let mut rest = self.steps.iter();
        let pick = |test: Test, left, right, yes: u8, no: u8| {
            usize::from(if test.holds(left, right) { yes } else { no })
        };
        // An iterator's end stands for a jump too far, which there is none of.
        while let Some(step) = rest.next() {
            let skip = match *step {
                Step::LoadData(word) => {
                    accumulator = data.get(word as usize).copied().unwrap_or(0);
                    continue;
                }
                Step::LoadConstant(constant) => {
                    accumulator = constant;
                    continue;
                }
                Step::LoadMemory(place) => {
                    accumulator = memory.get(place as usize).copied().unwrap_or(0);
                    continue;
                }
                Step::IndexConstant(constant) => {
                    index = constant;
                    continue;
                }
                Step::IndexMemory(place) => {
                    index = memory.get(place as usize).copied().unwrap_or(0);
                    continue;
                }
                Step::Store(place) => {
                    if let Some(word) = memory.get_mut(place as usize) {
                        *word = accumulator;
                    }
                    continue;
                }
                Step::StoreIndex(place) => {
                    if let Some(word) = memory.get_mut(place as usize) {
                        *word = index;
                    }
                    continue;
                }
                Step::ToIndex => {
                    index = accumulator;
                    continue;
                }
                Step::FromIndex => {
                    accumulator = index;
                    continue;
                }
                Step::Negate => {
                    accumulator = accumulator.wrapping_neg();
                    continue;
                }
                Step::WithConstant(operation, constant) => {
                    match operation.apply(accumulator, constant) {
                        Some(result) => accumulator = result,
                        None => return 0,
                    }
                    continue;
                }
                Step::WithIndex(operation) => {
                    match operation.apply(accumulator, index) {
                        Some(result) => accumulator = result,
                        None => return 0,
                    }
                    continue;
                }
                Step::Jump(distance) => distance as usize,
                Step::IfConstant {
                    test,
                    yes,
                    no,
                    constant,
                } => pick(test, accumulator, constant, yes, no),
                Step::IfIndex { test, yes, no } => pick(test, accumulator, index, yes, no),
                Step::ReturnConstant(constant) => return constant,
                Step::Return => return accumulator,
            };
            rest = rest.as_slice().get(skip..).unwrap_or(&[]).iter();
        }
        0
    }
}
