//! The programs that the neutral in-kernel tests run, in this machine's
//! language, and the tests that only this machine has.
//!
//! Each program tells what it found by system calls; a wrong find is `udf`,
//! which no test expects unless it says so.

use ochre_macros::ktest;

use super::features;
use super::system::mrs;
use crate::memory::{PAGE_SIZE, Rights};
use crate::user::ktests::{CODE, DATA, Guest, STACK_END, program};
use crate::user::{Access, ExceptionKind, Trap};

/// The floating-point control word of a fresh program.
pub(crate) const FRESH_CONTROL: u64 = 0;

/// A physical address of memory.
pub(crate) const SOME_MEMORY: u64 = 0x4010_0000;

/// That of a device's register, not zero, which may be read: a part of the PL011's name, where `virt` has it.
pub(crate) const SOME_REGISTER: u64 = 0x0900_0fe0;

/// `rt_sigreturn`.
pub(crate) const SIGRETURN: u64 = 139;

/// Lengths of the first two instructions of [`accesses`] that fault.
pub(crate) const ACCESS_BYTES: [u64; 2] = [4, 4];

program!(arguments:
    "mov x8, #100", "mov x0, #1", "mov x1, #2", "mov x2, #3",
    "mov x3, #4", "mov x4, #5", "mov x5, #6", "svc #0",
    "2: adr x1, 2b", "mov x8, #101", "svc #0",
);

program!(registers:
    ".irp r, 1,2,3,4,5,6,7,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30",
    "mov x\\r, #0x100 + \\r",
    "movk x\\r, #0x7000 + \\r, lsl #48",
    ".endr",
    "sub sp, sp, #64",
    "3: mov x8, #1", "svc #0",
    // x0 is the call's; the rest must be as it was.
    "cmp x8, #1", "b.ne 9f",
    ".irp r, 1,2,3,4,5,6,7,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30",
    "mov x0, #0x100 + \\r",
    "movk x0, #0x7000 + \\r, lsl #48",
    "cmp x\\r, x0", "b.ne 9f",
    ".endr",
    "mov x0, sp", "mov x8, #0x600000", "sub x8, x8, #64", "cmp x0, x8", "b.ne 9f",
    "adr x0, 5f", "str w0, [x0]",
    "5: b 3b",
    "9: udf #0",
);

program!(counting:
    ".irp r, 1,2,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30",
    "mov x\\r, #0x100 + \\r",
    "movk x\\r, #0x7000 + \\r, lsl #48",
    ".endr",
    "mov x3, #0",
    "2: add x3, x3, #1", "subs x0, x3, x3", "b.ne 9f",
    ".irp r, 1,2,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30",
    "mov x0, #0x100 + \\r",
    "movk x0, #0x7000 + \\r, lsl #48",
    "cmp x\\r, x0", "b.ne 9f",
    ".endr",
    "b 2b",
    "9: udf #0",
);

program!(accesses:
    "mov x0, #0x10",
    "ldr x1, [x0]",
    "adr x0, 2f",
    "str w0, [x0]", "2:",
    "mov x0, #0x500000", "br x0",
);

program!(one_call: "svc #0");

program!(float:
    ".arch_extension fp", ".arch_extension simd",
    // First call tells what is there; then everything gets a value of ours.
    "fmov x0, d0", "mrs x1, fpcr",
    "mov x8, #1", "svc #0",
    "fmov d0, x0", "fmov d31, x0", "fmov v15.d[1], x0",
    "movi v7.2d, #0",
    "2: mov x8, #2", "svc #0",
    "fmov x0, d0", "fmov x1, d31", "fmov x2, v15.d[1]", "cmp x2, x0", "b.ne 9f",
    "b 2b",
    "9: udf #0",
);

program!(signalled:
    ".arch_extension fp", ".arch_extension simd",
    "mov x19, #0x77", "fmov d3, x19", "mov x9, #0x99", "mov x30, #0x88", "mov x18, #0x66",
    "3: udf #0",
    // Comes back here by the handler's return, with everything as it was.
    "4: cmp x19, #0x77", "b.ne 9f", "cmp x9, #0x99", "b.ne 9f", "cmp x30, #0x88", "b.ne 9f",
    "cmp x18, #0x66", "b.ne 9f",
    "fmov x0, d3", "cmp x0, #0x77", "b.ne 9f",
    "mov x8, #3", "svc #0",
    "9: udf #0",
    ".balign 256",
    // The handler: its own registers are a mess when it returns. (The
    // interrupted program's vectors are still there, as Linux leaves them.)
    "cmp w0, #4", "b.ne 9b",
    "mov x9, sp", "cmp x9, x1", "b.ne 9b",
    "add x9, x9, #128", "cmp x9, x2", "b.ne 9b",
    // Step over the `udf` in the saved context.
    "ldr x9, [x2, #184 + 32 * 8]", "add x9, x9, #4", "str x9, [x2, #184 + 32 * 8]",
    "movi v3.16b, #255", "mov x19, #-1", "mov x18, #-1",
    "ret",
    ".balign 256",
    "mov x8, #139", "svc #0",
    ".balign 256",
);

program!(wanderer:
    ".arch_extension fp",
    "fmov d1, x19",
    "2: add x19, x19, #1", "fmov x0, d1", "mrs x1, tpidr_el0", "ldr x1, [x1]", "fmov d1, x19",
    "mov x9, #0x500000", "ldr x2, [x9]", "str x19, [x9, #8]",
    "mov x8, #7", "svc #0", "b 2b",
);

program!(reader:
    "mov x19, #0x5a5a", "movk x19, #0x5a5a, lsl #16",
    "movk x19, #0x5a5a, lsl #32", "movk x19, #0x5a5a, lsl #48",
    "mov x9, #0x500000",
    "2: ldr x0, [x9]", "cmp x0, x19", "b.ne 2b",
    "mov x8, #99", "svc #0",
);

program!(writer:
    "mov x9, #0x500000",
    "2: ldr x0, [x9]", "add x0, x0, #1", "str x0, [x9]", "b 2b",
);

program!(faults:
    "brk #0", "udf #0",
    // What is the kernel's, or nobody's.
    "msr daifset, #2", "mrs x0, sctlr_el1", "msr ttbr0_el1, x0", "mrs x0, tpidr_el1",
    "tlbi vmalle1", "eret", "hvc #0", "smc #0", "dc isw, x0", "msr spsel, #1",
    "mrs x0, cntp_ctl_el0", "msr cntv_ctl_el0, x0", "mrs x0, pmcr_el0",
);

#[ktest]
fn forbidden_instructions_are_the_programs_own_faults() {
    use ExceptionKind::{Breakpoint, IllegalInstruction};
    let mut guest = Guest::new(faults());
    assert_eq!(guest.exception().kind, Breakpoint(1));
    guest.context.skip(4);
    for index in 1..faults().len() / 4 {
        let exception = guest.exception();
        assert_eq!(exception.kind, IllegalInstruction(1), "fault {index}");
        guest.context.skip(4);
    }
}

#[ktest]
fn wild_instruction_pointers_fault() {
    let mut guest = Guest::new(arguments());
    for pc in [CODE + 1, CODE + 2] {
        guest.context.reset(pc, STACK_END);
        assert_eq!(guest.exception().kind, ExceptionKind::Alignment);
        assert_eq!(guest.context.instruction_pointer(), pc);
    }
    let kernel = wild_instruction_pointers_fault as fn() as usize as u64;
    for pc in [0, 0x8000_0000_0000, 0xffff_8000_0000_0000, kernel] {
        guest.context.reset(pc, STACK_END);
        let want = Trap::PageFault {
            address: pc,
            access: Access::Execute,
        };
        assert_eq!(guest.run(), want);
    }
}

program!(conditions:
    "mov x0, #0xf0000000", "msr nzcv, x0",
    "mov x8, #1", "svc #0",
    "mrs x0, nzcv", "mov x8, #2", "svc #0",
    "udf #0",
);

#[ktest]
fn a_programs_state_does_not_reach_the_kernel() {
    const MASKED: u64 = 0xf << 6;
    let mut guest = Guest::new(conditions());
    guest.call();
    assert_eq!(mrs!("daif"), MASKED, "after a system call");
    assert_eq!(mrs!("spsel"), 0);
    let (_, conditions, _) = guest.call();
    assert_eq!(conditions, 0xf << 28, "the program keeps its conditions");
    let _ = guest.exception();
    assert_eq!(mrs!("daif"), MASKED, "after an exception");
    assert_eq!(mrs!("spsel"), 0);
}

program!(pointers:
    "2: mrs x0, tpidr_el0", "mrs x1, tpidrro_el0", "mov x8, #1", "svc #0",
    "cbz x0, 2b",
    "msr tpidr_el0, x0", "b 2b",
);

#[ktest]
fn thread_pointers_belong_to_a_program() {
    let mut first = Guest::new(pointers());
    let mut second = Guest::new(pointers());
    assert!(first.context.set_thread_pointer(DATA));
    // Any value will do: it is only a number to the machine.
    assert!(second.context.set_thread_pointer(u64::MAX));
    assert_eq!(first.call(), (1, DATA, 0));
    first.context.set_syscall_result(0x77);
    first.context.leave().expect("memory");
    assert_eq!(second.call(), (1, u64::MAX, 0));
    second.context.set_syscall_result(0);
    second.context.leave().expect("memory");
    // The first set its own; the second did not.
    assert_eq!(first.call(), (1, 0x77, 0));
    assert_eq!(first.context.thread_pointer(), 0x77);
    first.context.leave().expect("memory");
    assert_eq!(second.call(), (1, u64::MAX, 0));
    // Set while loaded: takes effect at once.
    assert!(second.context.set_thread_pointer(5));
    second.context.set_syscall_result(0);
    assert_eq!(second.call(), (1, 5, 0));
}

program!(one: "mov x0, #1", "mov x8, #1", "svc #0");
program!(two: "mov x0, #2", "mov x8, #1", "svc #0");

/// What is written to a page as data is what is fetched from it as code.
#[ktest]
fn new_code_is_what_runs() {
    let mut guest = Guest::new(one());
    let code = || [one(), two()].into_iter().cycle();
    for (round, code) in code().take(20).enumerate() {
        guest
            .table
            .set_rights(CODE, Rights::READ | Rights::WRITE)
            .expect("room")
            .flush();
        let space = guest.table.space();
        space.copy_out(CODE, code).expect("mapped");
        guest
            .table
            .set_rights(CODE, Rights::READ | Rights::EXECUTE)
            .expect("room")
            .flush();
        guest.context.reset(CODE, STACK_END);
        assert_eq!(guest.call().1, round as u64 % 2 + 1);
    }
    assert_eq!(CODE % PAGE_SIZE as u64, 0);
}

program!(signs:
    // PACIASP, AUTIASP, by numbers that mean nothing to older processors.
    "2: adr x30, 2b", "mov x1, x30", "hint #25", "mov x9, x30", "mov x0, x30",
    "mov x8, #1", "svc #0",
    "mov x30, x9", "hint #29", "mov x0, x30", "mov x8, #2", "svc #0",
    "eor x30, x9, #0x4000000000000", "hint #29", "mov x0, x30", "mov x8, #3", "svc #0",
);

/// Keys that are the same in each run.
fn set_keys(guest: &mut Guest, first: u64) {
    let mut next = first;
    let mut word = || {
        next = next.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        next
    };
    assert!(guest.context.renew_keys(0, &mut word));
}

#[ktest]
fn signed_addresses_are_each_programs_own() {
    if !features::get().address_keys {
        let mut guest = Guest::new(signs());
        assert!(!guest.context.renew_keys(0, &mut || 1));
        let (_, address, plain) = guest.call();
        assert_eq!(address, plain);
        return;
    }
    let mut first = Guest::new(signs());
    let mut second = Guest::new(signs());
    set_keys(&mut first, 1);
    set_keys(&mut second, 2);
    let (_, signed, plain) = first.call();
    assert_ne!(signed, plain);
    let mut fork = first.context.duplicate().expect("memory");
    let (_, other, _) = second.call();
    assert_ne!(signed, other, "two programs sign alike");
    second.context.leave().expect("memory");
    // Back to the first one's keys, by its twin, too.
    assert_eq!(first.call(), (2, plain, plain));
    first.context.leave().expect("memory");
    assert_eq!(second.call(), (2, plain, plain));
    second.context.leave().expect("memory");
    let trap = fork.run(first.table.space());
    assert_eq!(trap, Trap::Syscall);
    assert_eq!(fork.syscall().arguments[0], plain);
    fork.leave().expect("memory");
    // What is signed wrong faults at once, or leads nowhere.
    match first.run() {
        Trap::Syscall => assert_ne!(first.context.syscall().arguments[0], plain),
        Trap::Exception(exception) => {
            assert_eq!(exception.kind, ExceptionKind::IllegalInstruction(2));
        }
        other => panic!("{other:?}"),
    }
}

program!(tagged:
    "mov x9, #0x500000", "movk x9, #0xab00, lsl #48", "ldr x0, [x9]", "mov x8, #1", "svc #0",
    "mov x9, #0x10", "movk x9, #0xab00, lsl #48", "ldr x0, [x9]",
);

/// The top byte of an address is the program's; who hears of faults does not see it.
#[ktest]
fn the_top_byte_of_an_address_does_not_count() {
    let mut guest = Guest::new(tagged());
    let space = guest.table.space();
    assert_eq!(space.copy_out(DATA, &[0x77]), Ok(()));
    assert!(space.copy_out(0xab << 56 | DATA, &[0x77]).is_err());
    assert_eq!(guest.call().1, 0x77);
    let (address, access) = (0x10, Access::Read);
    assert_eq!(guest.run(), Trap::PageFault { address, access });
}
