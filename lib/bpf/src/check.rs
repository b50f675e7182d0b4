//! What a program may be: instruction by instruction, then along its ways.
//!
//! The rules are those of Linux for seccomp(2): the classic machine's own, and
//! of its instructions only those that make sense for words of data.

use alloc::vec::Vec;

use crate::instruction::{Instruction, MAX_INSTRUCTIONS, code};
use crate::program::{MEMORY_WORDS, Refused};
use crate::step::{Operation, Step, Test};

/// Checks a program for `words` words of data.
pub(crate) fn check(instructions: &[Instruction], words: usize) -> Result<Vec<Step>, Refused> {
    if instructions.is_empty() || instructions.len() > MAX_INSTRUCTIONS {
        return Err(Refused::Length);
    }
    let mut steps = Vec::new();
    steps
        .try_reserve_exact(instructions.len())
        .map_err(|_| Refused::OutOfMemory)?;
    for (at, instruction) in instructions.iter().enumerate() {
        let step = decode(instruction, words)?;
        // What follows this one; a jump has to stay inside.
        let rest = instructions.len() - at - 1;
        let farthest = match step {
            Step::Jump(distance) => Some(distance as usize),
            Step::IfConstant { yes, no, .. } | Step::IfIndex { yes, no, .. } => {
                Some(usize::from(yes.max(no)))
            }
            _ => None,
        };
        if farthest.is_some_and(|distance| distance >= rest) {
            return Err(Refused::Jump);
        }
        steps.push(step);
    }
    if !matches!(steps.last(), Some(Step::ReturnConstant(_) | Step::Return)) {
        return Err(Refused::Endless);
    }
    check_memory(&steps)?;
    Ok(steps)
}

/// What an instruction does.
fn decode(instruction: &Instruction, words: usize) -> Result<Step, Refused> {
    const LOAD: u16 = code::LD | code::W;
    const LOAD_INDEX: u16 = code::LDX | code::W;
    /// The part of a code that says with what.
    const OPERAND: u16 = code::X;
    let constant = instruction.constant;
    let place = || {
        let is_place = (constant as usize) < MEMORY_WORDS;
        is_place.then_some(constant).ok_or(Refused::Memory)
    };
    // CAST: as many bytes as fit in a call's data.
    let data_bytes = (words * 4) as u32;
    Ok(match instruction.code {
        c if c == LOAD | code::ABS => {
            if constant >= data_bytes || constant & 3 != 0 {
                return Err(Refused::Data);
            }
            Step::LoadData(constant / 4)
        }
        c if c == LOAD | code::LEN => Step::LoadConstant(data_bytes),
        c if c == LOAD_INDEX | code::LEN => Step::IndexConstant(data_bytes),
        c if c == LOAD | code::IMM => Step::LoadConstant(constant),
        c if c == LOAD_INDEX | code::IMM => Step::IndexConstant(constant),
        c if c == LOAD | code::MEM => Step::LoadMemory(place()?),
        c if c == LOAD_INDEX | code::MEM => Step::IndexMemory(place()?),
        code::ST => Step::Store(place()?),
        code::STX => Step::StoreIndex(place()?),
        c if c == code::MISC | code::TAX => Step::ToIndex,
        c if c == code::MISC | code::TXA => Step::FromIndex,
        c if c == code::RET | code::K => Step::ReturnConstant(constant),
        c if c == code::RET | code::A => Step::Return,
        c if c == code::ALU | code::NEG => Step::Negate,
        c if c == code::JMP | code::JA => Step::Jump(constant),
        c if c & !(OPERAND | 0xf0) == code::ALU => {
            let operation = operation(c & 0xf0).ok_or(Refused::Unknown)?;
            if c & OPERAND != 0 {
                Step::WithIndex(operation)
            } else {
                let is_defined = match operation {
                    Operation::Divide => constant != 0,
                    Operation::ShiftLeft | Operation::ShiftRight => constant < u32::BITS,
                    _ => true,
                };
                if !is_defined {
                    return Err(Refused::Arithmetic);
                }
                Step::WithConstant(operation, constant)
            }
        }
        c if c & !(OPERAND | 0xf0) == code::JMP => {
            let test = test(c & 0xf0).ok_or(Refused::Unknown)?;
            let (yes, no) = (instruction.jump_true, instruction.jump_false);
            if c & OPERAND != 0 {
                Step::IfIndex { test, yes, no }
            } else {
                Step::IfConstant {
                    test,
                    yes,
                    no,
                    constant,
                }
            }
        }
        _ => return Err(Refused::Unknown),
    })
}

fn operation(part: u16) -> Option<Operation> {
    Some(match part {
        code::ADD => Operation::Add,
        code::SUB => Operation::Subtract,
        code::MUL => Operation::Multiply,
        code::DIV => Operation::Divide,
        code::OR => Operation::Or,
        code::AND => Operation::And,
        code::LSH => Operation::ShiftLeft,
        code::RSH => Operation::ShiftRight,
        code::XOR => Operation::Xor,
        _ => return None,
    })
}

fn test(part: u16) -> Option<Test> {
    Some(match part {
        code::JEQ => Test::Equal,
        code::JGT => Test::Greater,
        code::JGE => Test::GreaterOrEqual,
        code::JSET => Test::AnyBit,
        _ => return None,
    })
}

/// Whether memory is read only where every way there has written it. Jumps go
/// forward, so what is written on the ways to a step is known when it is
/// looked at.
fn check_memory(steps: &[Step]) -> Result<(), Refused> {
    /// Nothing said yet: no way leads here so far.
    const ANY: u16 = u16::MAX;
    let mut written_at = Vec::new();
    written_at
        .try_reserve_exact(steps.len())
        .map_err(|_| Refused::OutOfMemory)?;
    written_at.resize(steps.len(), ANY);
    let mut written: u16 = 0;
    for (at, step) in steps.iter().enumerate() {
        let bit = |place: u32| 1_u16.wrapping_shl(place);
        written &= written_at.get(at).copied().unwrap_or(0);
        let (near, far) = match *step {
            Step::Store(place) | Step::StoreIndex(place) => {
                written |= bit(place);
                continue;
            }
            Step::LoadMemory(place) | Step::IndexMemory(place) => {
                if written & bit(place) == 0 {
                    return Err(Refused::Unwritten);
                }
                continue;
            }
            Step::Jump(distance) => (distance as usize, distance as usize),
            Step::IfConstant { yes, no, .. } | Step::IfIndex { yes, no, .. } => {
                (usize::from(yes), usize::from(no))
            }
            // As Linux has it, what follows a return counts as reached by it.
            _ => continue,
        };
        for distance in [near, far] {
            // `check` saw that it is inside.
            if let Some(there) = written_at.get_mut(at + 1 + distance) {
                *there &= written;
            }
        }
        written = ANY;
    }
    Ok(())
}
