//! Each rule by itself; random programs beside a machine written another way.

use alloc::vec::Vec;
use std::format;

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};

use crate::instruction::{Instruction, MAX_INSTRUCTIONS, code};
use crate::program::{Program, Refused};

/// Words of data, as many as a system call has (`struct seccomp_data`).
const WORDS: usize = 16;

const RETURN_A: Instruction = Instruction::new(code::RET | code::A, 0);

fn new(code: u16, constant: u32) -> Instruction {
    Instruction::new(code, constant)
}

fn check(instructions: &[Instruction]) -> Result<Program<WORDS>, Refused> {
    Program::check(instructions)
}

/// What a program of these and a return answers.
fn answer(instructions: &[Instruction], data: &[u32; WORDS]) -> u32 {
    let mut all = instructions.to_vec();
    all.push(RETURN_A);
    check(&all).expect("a program").run(data)
}

#[test]
fn a_program_has_a_length() {
    let program = |len: usize| check(&std::vec![RETURN_A; len]).map(|program| program.len());
    assert_eq!(program(0), Err(Refused::Length));
    assert_eq!(program(1), Ok(1));
    assert_eq!(program(MAX_INSTRUCTIONS), Ok(MAX_INSTRUCTIONS));
    assert_eq!(program(MAX_INSTRUCTIONS + 1), Err(Refused::Length));
}

#[test]
fn a_program_ends_with_a_return() {
    assert_eq!(
        check(&[new(code::LD | code::IMM, 1)]),
        Err(Refused::Endless)
    );
    assert_eq!(
        check(&[RETURN_A, new(code::MISC | code::TAX, 0)]),
        Err(Refused::Endless)
    );
}

#[test]
fn these_codes_exist_and_no_others() {
    let known: Vec<u16> = (0..=u16::MAX)
        .filter(|code| check(&[new(*code, 0), RETURN_A]) != Err(Refused::Unknown))
        .collect();
    let expected = [
        0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x0c, 0x14, 0x15, 0x16, 0x1c, 0x1d, 0x20,
        0x24, 0x25, 0x2c, 0x2d, 0x34, 0x35, 0x3c, 0x3d, 0x44, 0x45, 0x4c, 0x4d, 0x54, 0x5c, 0x60,
        0x61, 0x64, 0x6c, 0x74, 0x7c, 0x80, 0x81, 0x84, 0x87, 0xa4, 0xac,
    ];
    assert_eq!(known, expected);
}

#[test]
fn loads_are_of_whole_words_of_the_data() {
    let load = |at| check(&[new(code::LD | code::W | code::ABS, at), RETURN_A]).map(|_| ());
    assert_eq!(load(0), Ok(()));
    assert_eq!(load(60), Ok(()));
    for at in [1, 2, 3, 61, 64, 68, u32::MAX - 3, u32::MAX] {
        assert_eq!(load(at), Err(Refused::Data), "{at}");
    }
    let data = core::array::from_fn(|word| word as u32 * 3);
    assert_eq!(
        answer(&[new(code::LD | code::W | code::ABS, 60)], &data),
        45
    );
    assert_eq!(answer(&[new(code::LD | code::W | code::LEN, 0)], &data), 64);
}

#[test]
fn jumps_stay_inside() {
    let jump = |constant| check(&[new(code::JMP | code::JA, constant), RETURN_A]).map(|_| ());
    assert_eq!(jump(0), Ok(()));
    for far in [1, 2, u32::MAX - 1, u32::MAX] {
        assert_eq!(jump(far), Err(Refused::Jump), "{far}");
    }
    let branch = |yes, no| {
        let compare = Instruction::branch(code::JMP | code::JGE | code::X, 0, yes, no);
        check(&[compare, RETURN_A, RETURN_A]).map(|_| ())
    };
    assert_eq!(branch(0, 1), Ok(()));
    assert_eq!(branch(1, 0), Ok(()));
    assert_eq!(branch(2, 0), Err(Refused::Jump));
    assert_eq!(branch(0, 2), Err(Refused::Jump));
    assert_eq!(branch(255, 255), Err(Refused::Jump));
}

#[test]
fn arithmetic_with_a_constant_is_defined() {
    let with = |operation, constant| {
        let instruction = new(code::ALU | operation | code::K, constant);
        check(&[instruction, RETURN_A]).map(|_| ())
    };
    assert_eq!(with(code::DIV, 0), Err(Refused::Arithmetic));
    assert_eq!(with(code::DIV, 1), Ok(()));
    for shift in [code::LSH, code::RSH] {
        assert_eq!(with(shift, 31), Ok(()));
        assert_eq!(with(shift, 32), Err(Refused::Arithmetic));
    }
}

#[test]
fn arithmetic_wraps_and_divides_by_nothing_to_nothing() {
    let compute = |operation: u16, left: u32, right: u32| {
        let program = [
            new(code::LDX | code::IMM, right),
            new(code::LD | code::IMM, left),
            new(code::ALU | operation | code::X, 0),
        ];
        answer(&program, &[0; WORDS])
    };
    assert_eq!(compute(code::ADD, u32::MAX, 2), 1);
    assert_eq!(compute(code::SUB, 0, 1), u32::MAX);
    assert_eq!(compute(code::MUL, 1 << 31, 3), 1 << 31);
    assert_eq!(compute(code::DIV, 7, 2), 3);
    assert_eq!(compute(code::DIV, 7, 0), 0);
    assert_eq!(compute(code::OR, 5, 2), 7);
    assert_eq!(compute(code::AND, 7, 12), 4);
    assert_eq!(compute(code::XOR, 7, 12), 11);
    assert_eq!(compute(code::LSH, 3, 33), 6);
    assert_eq!(compute(code::RSH, 3, 33), 1);
    // It ends at the division, with 0, not with what was to come.
    let ends = [
        new(code::LD | code::IMM, 9),
        new(code::ALU | code::DIV | code::X, 0),
        new(code::LD | code::IMM, 9),
    ];
    assert_eq!(answer(&ends, &[0; WORDS]), 0);
}

#[test]
fn memory_is_written_before_it_is_read() {
    let store = |place| new(code::ST, place);
    let load = |place| new(code::LD | code::MEM, place);
    let is = |program: &[Instruction]| check(program).map(|_| ());
    assert_eq!(is(&[store(15), load(15), RETURN_A]), Ok(()));
    assert_eq!(is(&[store(16), RETURN_A]), Err(Refused::Memory));
    assert_eq!(is(&[new(code::STX, 16), RETURN_A]), Err(Refused::Memory));
    assert_eq!(is(&[load(16), RETURN_A]), Err(Refused::Memory));
    assert_eq!(is(&[load(0), RETURN_A]), Err(Refused::Unwritten));
    assert_eq!(is(&[store(1), load(0), RETURN_A]), Err(Refused::Unwritten));
    // On one of two ways only.
    let around = Instruction::branch(code::JMP | code::JEQ, 0, 1, 0);
    assert_eq!(
        is(&[around, store(3), load(3), RETURN_A]),
        Err(Refused::Unwritten)
    );
    // On both.
    let to_other = new(code::JMP | code::JA, 1);
    assert_eq!(
        is(&[
            Instruction::branch(code::JMP | code::JEQ, 0, 2, 0),
            store(3),
            to_other,
            new(code::STX, 3),
            new(code::LDX | code::MEM, 3),
            RETURN_A,
        ]),
        Ok(())
    );
    // Where nothing leads, anything may be read.
    assert_eq!(is(&[to_other, load(9), RETURN_A]), Ok(()));
    // A return is no way out for this rule: what follows counts as reached.
    assert_eq!(is(&[RETURN_A, load(9), RETURN_A]), Err(Refused::Unwritten));
}

#[test]
fn conditions_compare_without_a_sign() {
    let holds = |test: u16, left: u32, right: u32| {
        let program = [
            new(code::LDX | code::IMM, right),
            new(code::LD | code::IMM, left),
            Instruction::branch(code::JMP | test | code::X, 0, 0, 1),
            new(code::RET | code::K, 1),
            new(code::RET | code::K, 0),
        ];
        check(&program).expect("a program").run(&[0; WORDS]) == 1
    };
    assert!(holds(code::JEQ, 5, 5) && !holds(code::JEQ, 5, 6));
    assert!(holds(code::JGT, u32::MAX, 1) && !holds(code::JGT, 1, 1));
    assert!(holds(code::JGE, 1, 1) && !holds(code::JGE, 1, u32::MAX));
    assert!(holds(code::JSET, 6, 4) && !holds(code::JSET, 6, 9));
}

/// The machine once more: over numbers wide enough to see what wraps, from the
/// instructions as they are written, counting its steps. `None` where the check
/// should have refused.
fn model(program: &[Instruction], data: &[u32; WORDS]) -> Option<(u32, usize)> {
    let (mut a, mut x) = (0_u64, 0_u64);
    let mut memory = [None; 16];
    let mut at = 0;
    let mut steps = 0;
    loop {
        let Instruction {
            code,
            jump_true,
            jump_false,
            constant,
        } = *program.get(at)?;
        steps += 1;
        at += 1;
        let k = u64::from(constant);
        let operand = if code & 0x08 != 0 { x } else { k };
        match (code & 7, code & 0xf0) {
            (0, 0x20) => a = u64::from(*data.get(constant as usize / 4)?),
            (0, 0x00) => a = k,
            (0, 0x60) => a = (*memory.get(constant as usize)?)?,
            (0, 0x80) => a = 64,
            (1, 0x00) => x = k,
            (1, 0x60) => x = (*memory.get(constant as usize)?)?,
            (1, 0x80) => x = 64,
            (2, _) => *memory.get_mut(constant as usize)? = Some(a),
            (3, _) => *memory.get_mut(constant as usize)? = Some(x),
            (4, operation) => {
                let wide = match operation {
                    0x00 => a + operand,
                    0x10 => a + (1 << 32) - operand,
                    0x20 => a * operand,
                    0x30 if operand == 0 => return Some((0, steps)),
                    0x30 => a / operand,
                    0x40 => a | operand,
                    0x50 => a & operand,
                    0x60 => a << (operand % 32),
                    0x70 => a >> (operand % 32),
                    0x80 => (1 << 32) - a,
                    0xa0 => a ^ operand,
                    _ => return None,
                };
                a = wide & 0xffff_ffff;
            }
            (5, 0x00) => at += constant as usize,
            (5, test) => {
                let is = match test {
                    0x10 => a == operand,
                    0x20 => a > operand,
                    0x30 => a >= operand,
                    0x40 => a & operand != 0,
                    _ => return None,
                };
                at += usize::from(if is { jump_true } else { jump_false });
            }
            (6, _) => return Some((if code & 0x10 != 0 { a as u32 } else { constant }, steps)),
            (7, 0x80) => a = x,
            (7, _) => x = a,
            _ => return None,
        }
    }
}

/// Instructions of which many are good: small places and jumps.
fn likely() -> impl Strategy<Value = Instruction> {
    let code = prop_oneof![proptest::sample::select(
        &[
            0x00_u16, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x0c, 0x14, 0x15, 0x16, 0x1c, 0x1d,
            0x20, 0x24, 0x25, 0x2c, 0x2d, 0x34, 0x35, 0x3c, 0x3d, 0x44, 0x45, 0x4c, 0x4d, 0x54,
            0x5c, 0x60, 0x61, 0x64, 0x6c, 0x74, 0x7c, 0x80, 0x81, 0x84, 0x87, 0xa4, 0xac,
        ][..]
    ),];
    let constant = prop_oneof![
        0..4_u32,
        (0..16_u32).prop_map(|word| word * 4),
        any::<u32>()
    ];
    (code, constant, 0..4_u8, 0..4_u8).prop_map(|(code, constant, jump_true, jump_false)| {
        Instruction::branch(code, constant, jump_true, jump_false)
    })
}

/// Programs that begin by writing memory, so that not all are refused for it.
fn programs() -> impl Strategy<Value = Vec<Instruction>> {
    let writes = (0..4_u32).map(|place| new(code::ST, place)).collect();
    let start = prop_oneof![Just(writes), Just(Vec::new())];
    (start, vec(likely(), 0..24)).prop_map(|(mut all, rest): (Vec<_>, Vec<_>)| {
        all.extend(rest);
        all.extend([RETURN_A; 4]);
        all
    })
}

proptest! {
    #[test]
    fn runs_agree_with_the_model(program in programs(), data: [u32; WORDS]) {
        if let Ok(checked) = check(&program) {
            let (answer, steps) = model(&program, &data).expect("the check saw all of it");
            assert_eq!(checked.run(&data), answer, "{program:?}");
            assert!(steps <= program.len());
        }
    }

    #[test]
    fn any_bytes_are_checked_and_run(
        bytes in vec(any::<[u8; Instruction::BYTES]>(), 0..64),
        data: [u32; WORDS],
    ) {
        let program: Vec<Instruction> = bytes.into_iter().map(Instruction::from_bytes).collect();
        if let Ok(checked) = check(&program) {
            let _ = format!("{}", checked.run(&data));
        }
    }
}

#[test]
fn random_programs_are_often_accepted() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let accepted = (0..500)
        .filter(|_| {
            let program = programs().new_tree(&mut runner).expect("a program");
            check(&program.current()).is_ok()
        })
        .count();
    assert!(accepted > 20, "{accepted} of 500");
}
