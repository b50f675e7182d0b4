//! Executables, broken in every way.

use ochre_abi::arch::ELF_MACHINE;
use ochre_abi::elf::{FileHeader, ProgramHeader};
use ochre_abi::mman::Protection;
use ochre_hal::memory::USER_END;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop, prop_oneof, proptest};
use zerocopy::IntoBytes;

use super::{ElfError, Header, Program};

fn file_header(count: u16) -> FileHeader {
    FileHeader {
        ident: *b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0",
        kind: 3,
        machine: ELF_MACHINE,
        version: 1,
        entry: 0x1040,
        program_headers: 64,
        section_headers: 0,
        flags: 0,
        header_size: 64,
        program_header_size: 56,
        program_header_count: count,
        section_header_size: 0,
        section_header_count: 0,
        names: 0,
    }
}

fn load(address: u64, file_size: u64, memory_size: u64, flags: u32) -> ProgramHeader {
    ProgramHeader {
        kind: 1,
        flags,
        offset: address,
        address,
        physical: 0,
        file_size,
        memory_size,
        alignment: 0x1000,
    }
}

fn parse(header: &FileHeader, table: &[ProgramHeader]) -> Result<Program, ElfError> {
    Program::parse(Header::parse(header.as_bytes())?, table.as_bytes())
}

fn plain() -> Vec<ProgramHeader> {
    vec![
        load(0, 0x500, 0x500, 4),
        load(0x1000, 0x800, 0x800, 5),
        load(0x3e10, 0x200, 0x900, 6),
    ]
}

#[test]
fn understands_a_plain_program() {
    let program = parse(&file_header(3), &plain()).expect("it is well-formed");
    assert!(program.header.is_relocatable);
    assert_eq!(program.span(), 0..0x5000);
    assert_eq!(program.table_address, Some(64));
    assert_eq!(program.entry(0x10000), Some(0x11040));
    assert!(!program.executable_stack);
    let data = &program.segments[2];
    assert_eq!(data.protection, Protection::READ | Protection::WRITE);
    assert_eq!((data.address, data.end()), (0x3e10, 0x4710));
}

#[test]
fn refuses_what_is_no_program_of_this_machine() {
    let check = |change: fn(&mut FileHeader), error| {
        let mut header = file_header(3);
        change(&mut header);
        assert_eq!(parse(&header, &plain()), Err(error));
    };
    check(|h| h.ident[0] = 0, ElfError::NotElf);
    check(|h| h.ident[4] = 1, ElfError::OtherMachine);
    check(|h| h.ident[5] = 2, ElfError::OtherMachine);
    check(|h| h.machine = 3, ElfError::OtherMachine);
    check(|h| h.kind = 1, ElfError::NotExecutable);
    check(|h| h.program_header_size = 32, ElfError::BadTable);
    check(|h| h.program_header_count = 0, ElfError::BadTable);
    check(|h| h.program_header_count = u16::MAX, ElfError::BadTable);
    check(|h| h.program_header_count = 4, ElfError::BadTable);
    check(|h| h.program_headers = u64::MAX - 3, ElfError::BadTable);
}

#[test]
fn refuses_segments_that_contradict_themselves() {
    let check = |change: fn(&mut Vec<ProgramHeader>)| {
        let mut table = plain();
        change(&mut table);
        let header = file_header(table.len() as u16);
        assert_eq!(parse(&header, &table), Err(ElfError::BadSegment));
    };
    check(|t| t[1].file_size = 0x801);
    check(|t| t[1].offset += 1);
    check(|t| t[1].memory_size = 0x2e11);
    check(|t| t[0].address = 0x9000);
    check(|t| t[2].memory_size = u64::MAX);
    check(|t| t[2].memory_size = USER_END - 0x3e0f);
    check(|t| t[2].offset = u64::MAX - 0x1ef);
    check(|t| t.iter_mut().for_each(|p| p.kind = 0));
}

#[test]
fn finds_the_interpreter_and_the_stack() {
    let mut table = plain();
    table.push(ProgramHeader {
        kind: 3,
        offset: 0x200,
        file_size: 28,
        ..load(0x200, 0, 0, 4)
    });
    table.push(ProgramHeader {
        kind: 0x6474_e551,
        ..load(0, 0, 0, 7)
    });
    let program = parse(&file_header(5), &table).expect("it is well-formed");
    assert_eq!(program.interpreter, Some(0x200..0x21c));
    assert!(program.executable_stack);
    for len in [0, 1, 4097, u64::MAX] {
        table[3].file_size = len;
        assert_eq!(
            parse(&file_header(5), &table),
            Err(ElfError::BadInterpreter)
        );
    }
}

/// Numbers at which arithmetic goes wrong.
fn edges() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        0..0x10000_u64,
        Just(USER_END),
        (0..0x3000_u64).prop_map(|n| USER_END - n),
        (0..0x3000_u64).prop_map(|n| u64::MAX - n),
        (0..0x3000_u64).prop_map(|n| i64::MAX as u64 - n),
    ]
}

fn segments() -> impl Strategy<Value = ProgramHeader> {
    (
        0..8_u32,
        edges(),
        edges(),
        edges(),
        edges(),
        edges(),
        any::<bool>(),
    )
        .prop_map(
            |(kind, offset, address, file_size, memory_size, alignment, consistent)| {
                ProgramHeader {
                    kind: if consistent { 1 } else { kind },
                    flags: kind,
                    offset: if consistent { address } else { offset },
                    address,
                    physical: 0,
                    file_size: if consistent {
                        file_size.min(memory_size)
                    } else {
                        file_size
                    },
                    memory_size,
                    alignment,
                }
            },
        )
}

/// What mapping code relies on.
fn check_promises(program: &Program, bias: u64) {
    assert!(!program.segments.is_empty());
    assert!(program.alignment.is_power_of_two());
    let mut reached = 0;
    for segment in &program.segments {
        assert!(segment.address >= reached);
        assert!(segment.memory_size > 0 && segment.file_size <= segment.memory_size);
        assert!(segment.file_size == 0 || segment.address % 4096 == segment.offset % 4096);
        assert!(segment.offset + segment.file_size <= i64::MAX as u64);
        reached = segment.end();
        assert!(reached <= USER_END);
    }
    let span = program.span();
    assert!(span.start < span.end && span.end <= USER_END);
    if program.fits(bias) {
        assert!(span.end + bias <= USER_END);
    }
    if let Some(entry) = program.entry(bias) {
        assert!(entry < USER_END);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn random_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..700), bias in edges()) {
        for magic in [false, true] {
            if magic && bytes.len() >= 64 {
                bytes[..64].copy_from_slice(file_header(3).as_bytes());
            }
            if let Ok(header) = Header::parse(&bytes)
                && let Ok(program) = Program::parse(header, bytes.get(64..).unwrap_or_default())
            {
                check_promises(&program, bias);
            }
        }
    }

    #[test]
    fn any_header_field_may_be_hostile(
        at in 0..64_usize, value in any::<u64>(), width in 1..8_usize, bias in edges(),
    ) {
        let mut bytes = file_header(3).as_bytes().to_vec();
        let end = (at + width).min(64);
        bytes[at..end].copy_from_slice(&value.to_le_bytes()[..end - at]);
        if let Ok(header) = Header::parse(&bytes)
            && let Ok(program) = Program::parse(header, plain().as_bytes())
        {
            check_promises(&program, bias);
        }
    }

    #[test]
    fn any_segment_may_be_hostile(
        table in prop::collection::vec(segments(), 1..6), bias in edges(),
    ) {
        if let Ok(program) = parse(&file_header(table.len() as u16), &table) {
            check_promises(&program, bias);
        }
    }

    #[test]
    fn any_field_of_a_good_table_may_be_hostile(
        which in 0..3_usize, at in 0..7_usize, value in edges(), bias in edges(),
    ) {
        let mut table = plain();
        let mut bytes = table[which].as_bytes().to_vec();
        bytes[at * 8..at * 8 + 8].copy_from_slice(&value.to_le_bytes());
        table[which] = zerocopy::FromBytes::read_from_bytes(&bytes).expect("the size is right");
        if let Ok(program) = parse(&file_header(3), &table) {
            check_promises(&program, bias);
        }
    }
}
