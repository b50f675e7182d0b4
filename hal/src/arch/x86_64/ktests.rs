//! The programs that the neutral in-kernel tests run, in this machine's
//! language, and the tests that only this machine has.
//!
//! Each program tells what it found by system calls; a wrong find is `ud2`,
//! which no test expects unless it says so.

use alloc::vec::Vec;

use ochre_macros::ktest;

use crate::memory::USER_END;
use crate::user::ktests::{DATA, Guest, STACK_END, program};
use crate::user::{Access, ExceptionKind, Trap};

/// The floating-point control word of a fresh program.
pub(crate) const FRESH_CONTROL: u64 = 0x1f80;

/// A physical address of memory.
pub(crate) const SOME_MEMORY: u64 = 0x10_0000;

/// That of a device's register, not zero, which may be read: the local APIC's version.
pub(crate) const SOME_REGISTER: u64 = 0xfee0_0030;

/// `rt_sigreturn`.
pub(crate) const SIGRETURN: u64 = 15;

/// Lengths of the first two instructions of [`accesses`].
pub(crate) const ACCESS_BYTES: [u64; 2] = [8, 6];

program!(arguments:
    "mov eax, 100", "mov edi, 1", "mov esi, 2", "mov edx, 3",
    "mov r10d, 4", "mov r8d, 5", "mov r9d, 6", "syscall",
    "2: mov rdi, rax", "mov rsi, rcx", "mov eax, 101", "syscall",
);

program!(registers:
    "mov rbx, 0x1111111111111111", "mov rbp, 0x2222222222222222",
    "mov r12, 0x3333333333333333", "mov r13, 0x4444444444444444",
    "mov r14, 0x5555555555555555", "mov r15, 0x6666666666666666",
    "mov rdx, 0x7777777777777777", "mov r8, 0x1188888888888888",
    "mov r9, 0x1199999999999999", "mov r10, 0x11aaaaaaaaaaaaaa",
    "mov rsi, 0x11bbbbbbbbbbbbbb", "mov rdi, 0x11cccccccccccccc",
    "lea rax, [rsp - 64]", "mov rsp, rax",
    "3: mov eax, 1", "syscall",
    // r11 and rcx are the call's; the rest must be as it was.
    "4: mov rax, 0x1111111111111111", "cmp rbx, rax", "jne 9f",
    "mov rax, 0x2222222222222222", "cmp rbp, rax", "jne 9f",
    "mov rax, 0x3333333333333333", "cmp r12, rax", "jne 9f",
    "mov rax, 0x4444444444444444", "cmp r13, rax", "jne 9f",
    "mov rax, 0x5555555555555555", "cmp r14, rax", "jne 9f",
    "mov rax, 0x6666666666666666", "cmp r15, rax", "jne 9f",
    "mov rax, 0x7777777777777777", "cmp rdx, rax", "jne 9f",
    "mov rax, 0x1188888888888888", "cmp r8, rax", "jne 9f",
    "mov rax, 0x1199999999999999", "cmp r9, rax", "jne 9f",
    "mov rax, 0x11aaaaaaaaaaaaaa", "cmp r10, rax", "jne 9f",
    "mov rax, 0x11bbbbbbbbbbbbbb", "cmp rsi, rax", "jne 9f",
    "mov rax, 0x11cccccccccccccc", "cmp rdi, rax", "jne 9f",
    "mov rax, 0x600000 - 64", "cmp rsp, rax", "jne 9f",
    "mov [rip + 5f], eax",
    "5: jmp 3b",
    "9: ud2",
);

program!(counting:
    "mov rcx, 0x1234567812345678", "mov r11, 0x1bcdef011bcdef01", "mov rax, rcx",
    "xor ebx, ebx",
    "2: inc rbx",
    "cmp rcx, rax", "jne 9f",
    "lea rdx, [rcx + rbx]", "sub rdx, rbx", "cmp rdx, rax", "jne 9f",
    "mov rsi, 0x1bcdef011bcdef01", "cmp r11, rsi", "jne 9f",
    "jmp 2b",
    "9: ud2",
);

program!(accesses:
    "mov rax, [0x10]",
    "mov [rip + 2f], eax", "2:",
    "mov rax, 0x500000", "call rax",
);

program!(one_call: "syscall");

program!(float:
    // First call tells what is there; then everything gets a value of ours.
    "movq rdi, xmm0", "stmxcsr [rsp - 8]", "mov esi, [rsp - 8]",
    "mov eax, 1", "syscall",
    "movq xmm0, rax", "movq xmm15, rax", "movq mm3, rax",
    "pxor xmm7, xmm7",
    "2: mov eax, 2", "syscall",
    "movq rdi, xmm0", "movq rsi, xmm15", "movq rdx, mm3", "cmp rdx, rdi", "jne 9f",
    "jmp 2b",
    "9: ud2",
);

program!(signalled:
    "mov rbx, 0x77", "movq xmm3, rbx", "mov rax, 0x99", "mov rcx, 0x88", "mov r11, 0x66",
    "3: ud2",
    // Comes back here by the handler's return, with everything as it was.
    "4: cmp rbx, 0x77", "jne 9f", "cmp rax, 0x99", "jne 9f", "cmp rcx, 0x88", "jne 9f",
    "cmp r11, 0x66", "jne 9f",
    "movq rdi, xmm3", "cmp rdi, 0x77", "jne 9f",
    "mov eax, 3", "syscall",
    "9: ud2",
    ".balign 256",
    // The handler: its own registers are a mess when it returns.
    "movq rcx, xmm3", "test rcx, rcx", "jnz 9b",
    "cmp edi, 4", "jne 9b",
    "lea rcx, [rsp + 8]", "cmp rcx, rdx", "jne 9b",
    // Step over the `ud2` in the saved context.
    "add qword ptr [rdx + 40 + 16 * 8], 2",
    "pcmpeqd xmm3, xmm3", "mov rbx, -1", "mov r11, -1",
    "ret",
    ".balign 256",
    "mov eax, 15", "syscall",
    ".balign 256",
);

program!(wanderer:
    "movq xmm1, rbx",
    "2: inc rbx", "movq rdi, xmm1", "mov rsi, fs:[0]", "movq xmm1, rbx",
    "mov rdx, [0x500000]", "mov [0x500008], rbx",
    "mov eax, 7", "syscall", "jmp 2b",
);

program!(reader:
    "mov rbx, 0x5a5a5a5a5a5a5a5a",
    "2: mov rax, [0x500000]", "cmp rax, rbx", "jne 2b",
    "mov eax, 99", "syscall",
);

program!(writer:
    "2: inc qword ptr [0x500000]", "jmp 2b",
);

program!(faults:
    "int3", "int3", "ud2", "hlt", "int 0x80", "cli", "in al, dx",
    "xor eax, eax", "div eax",
    "rdmsr", "sysretq", "swapgs", "mov rax, cr0", "lgdt [rsp]",
    "mov rax, 0x800000000000", "mov rax, [rax]",
);

#[ktest]
fn forbidden_instructions_are_the_programs_own_faults() {
    use ExceptionKind::{Breakpoint, IllegalInstruction, IntegerDivide, Protection};
    let mut guest = Guest::new(faults());
    // Kind and bytes to skip; a breakpoint has already moved on.
    for (index, (kind, skip)) in [
        (Breakpoint(0x80), 0),
        (Breakpoint(0x80), 0),
        (IllegalInstruction(2), 2),
        (Protection, 1),
        (Protection, 2),
        (Protection, 1),
        (Protection, 1),
        (IntegerDivide, 2),
        (Protection, 2),
        (Protection, 3),
        (Protection, 3),
        (Protection, 3),
        (Protection, 4),
        (Protection, 3),
    ]
    .into_iter()
    .enumerate()
    {
        let exception = guest.exception();
        assert_eq!(exception.kind, kind, "fault {index}");
        guest.context.skip(skip);
    }
}

#[ktest]
fn wild_instruction_pointers_fault() {
    let mut guest = Guest::new(arguments());
    for rip in [
        0x8000_0000_0000,
        0xdead_0000_0000_0000,
        0xffff_7fff_ffff_ffff,
    ] {
        guest.context.reset(rip, STACK_END);
        assert_eq!(guest.exception().kind, ExceptionKind::Protection);
        assert_eq!(guest.context.instruction_pointer(), rip);
    }
    for rip in [0, USER_END, 0xffff_8000_0000_0000, 0xffff_ffff_8020_0000] {
        guest.context.reset(rip, 0xffff_8000_0000_0000);
        let trap = guest.run();
        let want = Trap::PageFault {
            address: rip,
            access: Access::Execute,
        };
        assert_eq!(trap, want);
    }
}

program!(flags_up:
    // AC and DF on.
    "pushfq", "or qword ptr [rsp], 0x40400", "popfq",
    "mov eax, 1", "syscall",
    "pushfq", "pop rdi", "mov eax, 2", "syscall",
    "ud2",
);

/// The kernel's own flags.
fn kernel_flags() -> u64 {
    let flags;
    // SAFETY: reads the flags by way of the stack.
    unsafe { core::arch::asm!("pushfq", "pop {}", out(reg) flags, options(preserves_flags)) };
    flags
}

#[ktest]
fn a_programs_flags_do_not_reach_the_kernel() {
    const DANGEROUS: u64 = 1 << 8 | 1 << 9 | 1 << 10 | 1 << 14 | 1 << 18;
    let mut guest = Guest::new(flags_up());
    guest.call();
    assert_eq!(kernel_flags() & DANGEROUS, 0, "after a system call");
    let (_, flags, _) = guest.call();
    assert_eq!(flags & 0x40400, 0x40400, "the program keeps its flags");
    assert_eq!(flags & 0x7200, 0x200);
    let _ = guest.exception();
    assert_eq!(kernel_flags() & DANGEROUS, 0, "after an exception");
}

program!(stepping:
    "pushfq", "or qword ptr [rsp], 0x100", "popfq",
    "nop", "mov eax, 5", "syscall", "nop", "mov eax, 6", "syscall",
);

#[ktest]
fn single_steps_go_through_a_system_call() {
    let mut guest = Guest::new(stepping());
    let (mut steps, mut calls) = (0, Vec::new());
    while calls.len() < 2 {
        match guest.run() {
            Trap::Syscall => calls.push(guest.context.syscall().number),
            Trap::Exception(exception) if exception.kind == ExceptionKind::Step => steps += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(calls, [5, 6]);
    // At least: both `nop`s, both `mov`s.
    assert!((4..=6).contains(&steps), "{steps} steps");
}

program!(vectors:
    // The upper half of the register as it is found, then with ones in it if
    // the call answers so.
    "2: vextractf128 xmm0, ymm15, 1", "movq rdi, xmm0", "xor esi, esi",
    "mov eax, 1", "syscall",
    "test eax, eax", "jz 2b",
    "vcmpps ymm15, ymm15, ymm15, 15", "jmp 2b",
);

#[ktest]
fn upper_halves_of_vectors_are_kept_once_they_are_in_use() {
    const AVX: u64 = 4;
    if super::features::get().xsave_components & AVX == 0 {
        return;
    }
    let mut plain = Guest::new(vectors());
    let mut user = Guest::new(vectors());
    for round in 0..4 {
        let ones = if round < 2 { 0 } else { u64::MAX };
        assert_eq!(plain.call(), (1, 0, 0), "round {round}");
        plain.context.set_syscall_result(0);
        plain.context.leave().expect("memory");
        assert_eq!(user.call(), (1, ones, 0), "round {round}");
        user.context.set_syscall_result(i64::from(round == 1));
        // What it does next is in the registers when it leaves.
        user.context.leave().expect("memory");
    }
    let twin = user.context.duplicate().expect("memory");
    user.context = twin;
    assert_eq!(plain.call(), (1, 0, 0));
    plain.context.leave().expect("memory");
    assert_eq!(user.call(), (1, u64::MAX, 0));
    // A fresh program finds none of it.
    assert_eq!(Guest::new(vectors()).call(), (1, 0, 0));
    // Nor does one that comes after another which left with zeroes, went on,
    // and ended with ones.
    let mut gone = Guest::new(vectors());
    for ones in [0, u64::MAX] {
        assert_eq!(gone.call(), (1, ones, 0));
        gone.context.set_syscall_result(1);
        if ones == 0 {
            gone.context.leave().expect("memory");
        }
    }
    drop(gone);
    plain.context.set_syscall_result(0);
    assert_eq!(plain.call(), (1, 0, 0));
}

program!(x87_user:
    // The first register of x87 and the tags as they are found (the call's number
    // is their place in the image), then with something in it if the call
    // answers so.
    "2: mov ebx, 0x500000", "fxsave64 [rbx]",
    "mov rdi, [rbx + 32]", "movzx esi, byte ptr [rbx + 4]",
    "mov eax, 1", "syscall",
    "test eax, eax", "jz 2b",
    "fld1", "jmp 2b",
);

#[ktest]
fn x87_is_kept_and_seen_by_nobody_else() {
    const ONE: (u64, u64, u64) = (1, 1 << 63, 0x80);
    const NOTHING: (u64, u64, u64) = (1, 0, 0);
    let mut plain = Guest::new(x87_user());
    let mut user = Guest::new(x87_user());
    for round in 0..4 {
        assert_eq!(plain.call(), NOTHING, "round {round}");
        plain.context.set_syscall_result(0);
        plain.context.leave().expect("memory");
        let expected = if round < 2 { NOTHING } else { ONE };
        assert_eq!(user.call(), expected, "round {round}");
        user.context.set_syscall_result(i64::from(round == 1));
        user.context.leave().expect("memory");
    }
    let twin = user.context.duplicate().expect("memory");
    user.context = twin;
    assert_eq!(plain.call(), NOTHING);
    plain.context.set_syscall_result(0);
    plain.context.leave().expect("memory");
    assert_eq!(user.call(), ONE);
    // One that left without, went on, and ended with it.
    let mut gone = Guest::new(x87_user());
    for expected in [NOTHING, ONE] {
        assert_eq!(gone.call(), expected);
        gone.context.set_syscall_result(1);
        if expected == NOTHING {
            gone.context.leave().expect("memory");
        }
    }
    drop(gone);
    assert_eq!(plain.call(), NOTHING);
}

program!(x87_error:
    "mov word ptr [rsp - 8], 0x37b", "fldcw [rsp - 8]",
    "fld1", "fldz", "fdivp", "fwait",
    "ud2",
);

#[ktest]
fn floating_point_errors_have_their_codes() {
    // (The other unit's are not emulated by QEMU.)
    let mut guest = Guest::new(x87_error());
    assert_eq!(guest.exception().kind, ExceptionKind::FloatingPoint(3));
}

program!(bases:
    "2: mov rdi, fs:[0]", "mov rsi, gs:[8]", "mov eax, 1", "syscall",
    "test eax, eax", "jz 2b",
    // Loading a selector sets the base to zero.
    "mov ecx, 0x2b", "mov fs, ecx", "mov gs, ecx", "mov ds, ecx", "mov es, ecx",
    "mov eax, 2", "syscall",
    "jmp 2b",
);

#[ktest]
fn base_registers_belong_to_a_program() {
    let mut first = Guest::new(bases());
    let mut second = Guest::new(bases());
    for (guest, value) in [(&mut first, 10_u64), (&mut second, 20)] {
        let space = guest.table.space();
        space.copy_out(DATA, &value.to_le_bytes()).expect("mapped");
        let next = (value + 1).to_le_bytes();
        space.copy_out(DATA + 8, &next).expect("mapped");
        assert!(guest.context.set_thread_pointer(DATA));
        assert!(guest.context.set_second_pointer(DATA));
        assert!(!guest.context.set_thread_pointer(USER_END));
        assert!(!guest.context.set_second_pointer(1 << 63));
    }
    assert_eq!(first.call(), (1, 10, 11));
    assert_eq!(second.call(), (1, 20, 21));
    first.context.set_syscall_result(1);
    assert_eq!(first.call().0, 2);
    // The first spoilt its own bases only, though the values are the same.
    second.context.set_syscall_result(0);
    assert_eq!(second.call(), (1, 20, 21));
    // Set while loaded: takes effect at once.
    assert!(second.context.set_thread_pointer(DATA + 8));
    second.context.set_syscall_result(0);
    assert_eq!(second.call(), (1, 21, 21));
    // And the first is repaired by a switch, as Linux repairs it.
    assert_eq!(first.call(), (1, 10, 11));
    // One without a second base has not the first's, whoever set or spoilt it.
    let mut plain = Guest::new(bases());
    let space = plain.table.space();
    space.copy_out(DATA, &[30]).expect("mapped");
    assert!(plain.context.set_thread_pointer(DATA));
    for spoils in [0, 1] {
        first.context.set_syscall_result(spoils);
        assert_eq!(first.call().0, 1 + spoils.cast_unsigned());
        let trap = plain.run();
        assert!(
            matches!(trap, Trap::PageFault { address: 8, .. }),
            "{trap:?}"
        );
        assert!(first.context.set_second_pointer(DATA));
    }
}
