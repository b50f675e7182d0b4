//! Programs of a few instructions, run on the real way into user mode and back.
//!
//! Each program tells what it found by system calls; a wrong find is `ud2`,
//! which no test expects unless it says so.

use alloc::vec::Vec;

use ochre_macros::ktest;

use super::{Access, Exception, ExceptionKind, SignalDelivery, Trap, UserContext};
use crate::clock;
use crate::irq::Event;
use crate::memory::{CopyFault, PAGE_SIZE, PageTable, Rights, USER_END, UserFrame};

/// Where a program's code is.
pub(crate) const CODE: u64 = 0x40_0000;
/// A page of data.
pub(crate) const DATA: u64 = 0x50_0000;
/// One past its stack of four pages.
const STACK_END: u64 = 0x60_0000;

/// Assembles a program into the kernel's constants; `$name()` is its code.
macro_rules! program {
    ($name:ident: $($line:literal),+ $(,)?) => {
        core::arch::global_asm!(
            concat!(".pushsection .rodata.ktest.", stringify!($name), ", \"a\""),
            concat!("ochre_ktest_", stringify!($name), ":"),
            $($line,)+
            concat!("ochre_ktest_", stringify!($name), "_end:"),
            ".popsection",
        );

        pub(crate) fn $name() -> &'static [u8] {
            unsafe extern "C" {
                #[link_name = concat!("ochre_ktest_", stringify!($name))]
                safe static START: u8;
                #[link_name = concat!("ochre_ktest_", stringify!($name), "_end")]
                safe static END: u8;
            }
            let start = &raw const START;
            let len = (&raw const END).addr() - start.addr();
            // SAFETY: the bytes between the two labels, constants.
            unsafe { core::slice::from_raw_parts(start, len) }
        }
    };
}

pub(crate) use program;

/// An address space with one program, and its context.
pub(crate) struct Guest {
    pub(crate) table: PageTable,
    pub(crate) context: UserContext,
}

impl Guest {
    /// The program at [`CODE`], a zeroed page at [`DATA`] and a stack.
    pub(crate) fn new(code: &[u8]) -> Guest {
        Guest::at(code, CODE)
    }

    /// The program at the start of another page.
    fn at(code: &[u8], address: u64) -> Guest {
        let mut table = PageTable::new().expect("memory");
        let frame = UserFrame::zeroed().expect("memory");
        frame.write(0, code);
        let page = address / PAGE_SIZE as u64 * PAGE_SIZE as u64;
        let mut map = |at, frame, rights| table.map(at, frame, rights).expect("memory");
        map(page, frame, Rights::READ | Rights::EXECUTE);
        let writable = Rights::READ | Rights::WRITE;
        map(DATA, UserFrame::zeroed().expect("memory"), writable);
        for page in 1..=4 {
            let at = STACK_END - page * PAGE_SIZE as u64;
            map(at, UserFrame::zeroed().expect("memory"), writable);
        }
        let mut context = UserContext::new().expect("memory");
        context.reset(address, STACK_END);
        Guest { table, context }
    }

    pub(crate) fn run(&mut self) -> Trap {
        loop {
            let trap = self.context.run(self.table.space());
            // Other processors may have their own questions.
            if trap != Trap::Interrupt(Event::Nothing) {
                return trap;
            }
        }
    }

    /// Runs to the next system call and returns its number and first two arguments.
    pub(crate) fn call(&mut self) -> (u64, u64, u64) {
        let trap = self.run();
        assert_eq!(
            trap,
            Trap::Syscall,
            "at {:#x}",
            self.context.instruction_pointer()
        );
        let call = self.context.syscall();
        (call.number, call.arguments[0], call.arguments[1])
    }

    fn exception(&mut self) -> Exception {
        match self.run() {
            Trap::Exception(exception) => exception,
            other => panic!("{other:?} instead of an exception"),
        }
    }
}

program!(arguments:
    "mov eax, 100", "mov edi, 1", "mov esi, 2", "mov edx, 3",
    "mov r10d, 4", "mov r8d, 5", "mov r9d, 6", "syscall",
    "2: mov rdi, rax", "mov rsi, rcx", "mov eax, 101", "syscall",
);

#[ktest]
fn a_system_call_carries_its_arguments_and_result() {
    let mut guest = Guest::new(arguments());
    assert_eq!(guest.run(), Trap::Syscall);
    let call = guest.context.syscall();
    assert_eq!((call.number, call.arguments), (100, [1, 2, 3, 4, 5, 6]));
    let back = guest.context.instruction_pointer();
    guest.context.set_syscall_result(-38);
    let (number, result, rcx) = guest.call();
    assert_eq!(number, 101);
    assert_eq!(result.cast_signed(), -38);
    assert_eq!(rcx, back);
}

#[ktest]
fn a_rewound_call_is_made_again() {
    let mut guest = Guest::new(arguments());
    assert_eq!(guest.call(), (100, 1, 2));
    guest.context.set_syscall_result(-512);
    guest.context.rewind_syscall();
    assert_eq!(guest.call(), (100, 1, 2));
    guest.context.rewind_as(219);
    assert_eq!(guest.call(), (219, 1, 2));
    guest.context.set_syscall_result(7);
    assert_eq!(guest.call().1, 7);
}

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

#[ktest]
fn registers_survive_system_calls() {
    let mut guest = Guest::new(registers());
    guest.call();
    // The next thing after the checks is a store to the code page.
    match guest.run() {
        Trap::PageFault { access, .. } => assert_eq!(access, Access::Write),
        other => panic!("{other:?}: a register changed"),
    }
}

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

#[ktest]
fn registers_survive_interrupts() {
    let mut guest = Guest::new(counting());
    for _ in 0..20 {
        clock::set_alarm(Some(clock::now_ns() + 200_000));
        assert_eq!(guest.run(), Trap::Interrupt(Event::Timer));
    }
    clock::set_alarm(None);
}

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
        (Breakpoint, 0),
        (Breakpoint, 0),
        (IllegalInstruction, 2),
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

program!(accesses:
    "mov rax, [0x10]",
    "mov [rip + 2f], eax", "2:",
    "mov rax, 0x500000", "call rax",
);

#[ktest]
fn page_faults_say_where_and_how() {
    let mut guest = Guest::new(accesses());
    let fault = |guest: &mut Guest, want: u64, how: Access| match guest.run() {
        Trap::PageFault { address, access } => assert_eq!((address, access), (want, how)),
        other => panic!("{other:?} instead of a fault at {want:#x}"),
    };
    fault(&mut guest, 0x10, Access::Read);
    guest.context.skip(8);
    let next = guest.context.instruction_pointer() + 6;
    fault(&mut guest, next, Access::Write);
    guest.context.skip(6);
    fault(&mut guest, DATA, Access::Execute);
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

program!(one_call: "syscall");

#[ktest]
fn a_call_at_the_end_of_the_address_space_comes_back_safely() {
    let mut page = [0x90; PAGE_SIZE];
    page[PAGE_SIZE - 2..].copy_from_slice(one_call());
    let last = USER_END - PAGE_SIZE as u64;
    let mut guest = Guest::at(&page, last);
    guest.context.reset(USER_END - 2, STACK_END);
    guest.call();
    let want = Trap::PageFault {
        address: USER_END,
        access: Access::Execute,
    };
    assert_eq!(guest.run(), want);
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

#[ktest]
fn each_program_has_its_own_floating_point_state() {
    let mut first = Guest::new(float());
    let mut second = Guest::new(float());
    assert_eq!(first.call(), (1, 0, 0x1f80));
    first.context.set_syscall_result(0x1111);
    first.call();
    first.context.leave().expect("memory");
    // A fresh program finds nothing of the first.
    assert_eq!(second.call(), (1, 0, 0x1f80));
    second.context.set_syscall_result(0x2222);
    second.call();
    second.context.leave().expect("memory");
    for _ in 0..3 {
        assert_eq!(first.call(), (2, 0x1111, 0x1111));
        first.context.leave().expect("memory");
        assert_eq!(second.call(), (2, 0x2222, 0x2222));
        second.context.leave().expect("memory");
    }
    let child = first.context.duplicate().expect("memory");
    assert_eq!(second.call(), (2, 0x2222, 0x2222));
    second.context.leave().expect("memory");
    first.context = child;
    assert_eq!(first.run(), Trap::Syscall);
    assert_eq!(first.context.syscall().arguments[0], 0x1111);
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
    if crate::arch::machine::features::get().xsave_components & AVX == 0 {
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
}

#[ktest]
fn forgetting_to_leave_shows_nobody_elses_state() {
    let mut first = Guest::new(float());
    assert_eq!(first.call().1, 0);
    first.context.set_syscall_result(0x5ec2e7);
    first.call();
    let mut second = Guest::new(float());
    assert_eq!(second.call(), (1, 0, 0x1f80));
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
}

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

#[ktest]
fn a_signal_handler_comes_and_goes() {
    let code = signalled();
    let mut guest = Guest::new(code);
    assert_eq!(guest.exception().kind, ExceptionKind::IllegalInstruction);
    let restorer = CODE + code.len() as u64 - 256;
    let delivery = SignalDelivery {
        signal: 4,
        handler: restorer - 256,
        restorer,
        siginfo: true,
        info: [0; 128],
        mask: 0xabc,
        stack_top: guest.context.stack_pointer(),
        on_current_stack: true,
        alternate_stack: (0, 2, 0),
        fault: (0, 6, 0),
    };
    let space = guest.table.space().clone();
    let entered: Result<(), Option<CopyFault>> = guest
        .context
        .enter_signal_handler(&delivery, &mut |at, bytes| space.copy_out(at, bytes));
    assert_eq!(entered, Ok(()));
    assert_eq!(guest.call().0, 15);
    let restored = guest
        .context
        .leave_signal_handler(&mut |at, bytes| space.copy_in(at, bytes));
    assert_eq!(restored.map(|restore| restore.mask), Ok(0xabc));
    assert_eq!(guest.call(), (3, 0x77, DELIVERED_RSI));
}

/// `rsi` of the interrupted program: zero, since nobody set it.
const DELIVERED_RSI: u64 = 0;
