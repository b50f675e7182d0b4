//! In-kernel tests: what keeps programs out is switched on, on each processor.
//!
//! What there is to switch on is asked of CPUID here once more, in the words of
//! the manual, and not of `features.rs`, which is what is tested.

use core::arch::asm;
use core::arch::x86_64::{__cpuid, __cpuid_count};

use ochre_macros::ktest;

use super::{apart, system};
use crate::smp::ktests::on_each_processor;
use crate::user::ktests::{CODE, Guest, program};
use crate::user::{ExceptionKind, Trap};

fn read_cr0() -> u64 {
    let value;
    // SAFETY: reading CR0 has no effect.
    unsafe { asm!("mov {}, cr0", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// A bit of a register, and whether it is to be set.
type Bit = (&'static str, u32, bool);

fn compare(register: &str, value: u64, bits: &[Bit]) {
    for (name, bit, expected) in bits {
        let is_set = value >> bit & 1 != 0;
        assert_eq!(is_set, *expected, "{register}.{name} of {value:#x}");
    }
}

fn check_bits() {
    let leaf1 = __cpuid(1);
    let leaf7 = __cpuid_count(7, 0);
    let extended = __cpuid(0x8000_0001);
    let cr0 = [
        ("PE", 0, true),
        ("TS", 3, false),
        ("NE", 5, true),
        ("WP", 16, true),
        ("AM", 18, true),
        ("NW", 29, false),
        ("CD", 30, false),
        ("PG", 31, true),
    ];
    compare("CR0", read_cr0(), &cr0);
    let cr4 = [
        ("VME", 0, false),
        ("TSD", 2, false),
        ("PAE", 5, true),
        // What is global would be known in user mode, too.
        ("PGE", 7, leaf1.edx >> 13 & 1 != 0 && !apart::is_on()),
        ("PCE", 8, false),
        ("UMIP", 11, leaf7.ecx >> 2 & 1 != 0),
        ("VMXE", 13, false),
        // Programs would set bases that the kernel takes for its own.
        ("FSGSBASE", 16, false),
        ("OSXSAVE", 18, leaf1.ecx >> 26 & 1 != 0),
        ("SMEP", 20, leaf7.ebx >> 7 & 1 != 0),
        ("SMAP", 21, leaf7.ebx >> 20 & 1 != 0),
        ("PKE", 22, false),
    ];
    compare("CR4", system::read_cr4(), &cr4);
    // SAFETY: every processor with long mode has it.
    let efer = unsafe { system::read_msr(system::MSR_EFER) };
    let bits = [
        ("SCE", 0, true),
        ("LME", 8, true),
        ("LMA", 10, true),
        ("NXE", 11, extended.edx >> 20 & 1 != 0),
        ("SVME", 12, false),
    ];
    compare("EFER", efer, &bits);
    // SAFETY: every processor with long mode has them.
    let old_call = unsafe { system::read_msr(system::MSR_SYSENTER_CS) };
    assert_eq!(old_call, 0, "the old system call instruction");
}

#[ktest]
fn every_processor_has_switched_on_what_it_can() {
    on_each_processor(check_bits);
}

// The instructions that tell of the kernel's tables; five bytes each.
program!(table_spies:
    "sub rsp, 64",
    ".balign 16, 0x90", "sgdt [rsp]",
    ".balign 16, 0x90", "sidt [rsp]",
    ".balign 16, 0x90", "sldt ax",
    ".balign 16, 0x90", "str ax",
    ".balign 16, 0x90", "smsw ax",
    ".balign 16, 0x90", "syscall",
);

#[ktest]
fn programs_do_not_learn_where_the_tables_are() {
    const SPIES: u64 = 5;
    let is_there = __cpuid_count(7, 0).ecx >> 2 & 1 != 0;
    let mut guest = Guest::new(table_spies());
    for spy in 1..=SPIES {
        if !is_there {
            break;
        }
        match guest.run() {
            Trap::Exception(exception) => {
                assert_eq!(exception.kind, ExceptionKind::Protection, "spy {spy}");
            }
            other => panic!("spy {spy}: {other:?}"),
        }
        let at = guest.context.instruction_pointer();
        assert_eq!(at, CODE + spy * 16, "spy {spy}");
        guest.context.set_instruction_pointer(at + 16);
    }
    assert_eq!(guest.run(), Trap::Syscall);
}
