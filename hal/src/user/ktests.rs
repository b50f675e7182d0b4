//! Programs of a few instructions, run on the real way into user mode and back.
//!
//! The programs themselves are the machine's (`arch/*/ktests.rs`), with the
//! tests that only one machine has.

use ochre_macros::ktest;

use super::{Access, Exception, ExceptionKind, SignalDelivery, Trap, UserContext};
use crate::arch::machine::ktests::{
    ACCESS_BYTES, FRESH_CONTROL, SIGRETURN, accesses, arguments, counting, float, one_call,
    registers, signalled,
};
use crate::clock;
use crate::cpu;
use crate::irq::{self, Event};
use crate::memory::{CopyFault, PAGE_SIZE, PageTable, Rights, USER_END, UserFrame};

/// Where a program's code is.
pub(crate) const CODE: u64 = 0x40_0000;
/// A page of data.
pub(crate) const DATA: u64 = 0x50_0000;
/// One past its stack of four pages.
pub(crate) const STACK_END: u64 = 0x60_0000;

/// Assembles a program into the kernel's constants; `$name()` is its code.
macro_rules! program {
    ($name:ident: $($line:literal),+ $(,)?) => {
        core::arch::global_asm!(
            concat!(".pushsection .rodata.ktest.", stringify!($name), ", \"a\""),
            // The compiler may put the function below into another object.
            concat!(".globl ochre_ktest_", stringify!($name)),
            concat!(".globl ochre_ktest_", stringify!($name), "_end"),
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
            match trap {
                // Other processors may have their own questions; the kick that
                // came with a job may arrive when that already runs.
                Trap::Interrupt(Event::Nothing | Event::Reschedule) => {}
                trap => return trap,
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

    /// Runs to the next exception.
    pub(crate) fn exception(&mut self) -> Exception {
        match self.run() {
            Trap::Exception(exception) => exception,
            other => panic!("{other:?} instead of an exception"),
        }
    }
}

#[ktest]
fn a_system_call_carries_its_arguments_and_result() {
    let mut guest = Guest::new(arguments());
    assert_eq!(guest.run(), Trap::Syscall);
    let call = guest.context.syscall();
    assert_eq!((call.number, call.arguments), (100, [1, 2, 3, 4, 5, 6]));
    let back = guest.context.instruction_pointer();
    guest.context.set_syscall_result(-38);
    let (number, result, next) = guest.call();
    assert_eq!(number, 101);
    assert_eq!(result.cast_signed(), -38);
    assert_eq!(next, back);
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

#[ktest]
fn registers_survive_interrupts() {
    let mut guest = Guest::new(counting());
    for _ in 0..20 {
        clock::set_alarm(Some(clock::now_ns() + 200_000));
        assert_eq!(guest.run(), Trap::Interrupt(Event::Timer));
    }
    clock::set_alarm(None);
}

/// What came while the kernel worked is found by who asks without a program in
/// between, or ends the program that runs next before it does anything.
#[ktest]
fn an_interrupt_waits_for_one_program_at_most() {
    let mut guest = Guest::new(arguments());
    assert_eq!(guest.run(), Trap::Syscall);
    irq::kick(cpu::current());
    let asked = [irq::poll_pending(), irq::poll_pending()];
    assert!(asked.contains(&Some(Event::Reschedule)), "{asked:?}");

    assert_eq!(guest.run(), Trap::Syscall);
    irq::kick(cpu::current());
    if irq::poll_pending().is_none() {
        let before = guest.context.instruction_pointer();
        let trap = guest.context.run(guest.table.space());
        assert_eq!(trap, Trap::Interrupt(Event::Reschedule));
        assert_eq!(guest.context.instruction_pointer(), before);
    }
    while irq::poll_pending().is_some() {}
}

#[ktest]
fn page_faults_say_where_and_how() {
    let mut guest = Guest::new(accesses());
    let fault = |guest: &mut Guest, want: u64, how: Access| match guest.run() {
        Trap::PageFault { address, access } => assert_eq!((address, access), (want, how)),
        other => panic!("{other:?} instead of a fault at {want:#x}"),
    };
    let [first, second] = ACCESS_BYTES;
    fault(&mut guest, 0x10, Access::Read);
    guest.context.skip(first);
    match guest.run() {
        Trap::PageFault { address, access } => {
            let next = guest.context.instruction_pointer() + second;
            assert_eq!((address, access), (next, Access::Write));
        }
        other => panic!("{other:?} instead of a fault"),
    }
    guest.context.skip(second);
    fault(&mut guest, DATA, Access::Execute);
}

#[ktest]
fn a_call_at_the_end_of_the_address_space_comes_back_safely() {
    let call = one_call();
    let mut page = [0; PAGE_SIZE];
    page[PAGE_SIZE - call.len()..].copy_from_slice(call);
    let last = USER_END - PAGE_SIZE as u64;
    let mut guest = Guest::at(&page, last);
    guest.context.reset(USER_END - call.len() as u64, STACK_END);
    guest.call();
    let want = Trap::PageFault {
        address: USER_END,
        access: Access::Execute,
    };
    assert_eq!(guest.run(), want);
}

#[ktest]
fn each_program_has_its_own_floating_point_state() {
    let mut first = Guest::new(float());
    let mut second = Guest::new(float());
    assert_eq!(first.call(), (1, 0, FRESH_CONTROL));
    first.context.set_syscall_result(0x1111);
    first.call();
    first.context.leave().expect("memory");
    // A fresh program finds nothing of the first.
    assert_eq!(second.call(), (1, 0, FRESH_CONTROL));
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

#[ktest]
fn forgetting_to_leave_shows_nobody_elses_state() {
    let mut first = Guest::new(float());
    assert_eq!(first.call().1, 0);
    first.context.set_syscall_result(0x5ec2e7);
    first.call();
    let mut second = Guest::new(float());
    assert_eq!(second.call(), (1, 0, FRESH_CONTROL));
}

#[ktest]
fn a_signal_handler_comes_and_goes() {
    let code = signalled();
    let mut guest = Guest::new(code);
    let kind = guest.exception().kind;
    assert!(
        matches!(kind, ExceptionKind::IllegalInstruction(_)),
        "{kind:?}"
    );
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
    assert_eq!(guest.call().0, SIGRETURN);
    let restored = guest
        .context
        .leave_signal_handler(&mut |at, bytes| space.copy_in(at, bytes));
    assert_eq!(restored.map(|restore| restore.mask), Ok(0xabc));
    assert_eq!(guest.call(), (3, 0x77, DELIVERED_SECOND));
}

/// The second argument's register of the interrupted program: zero, since nobody set it.
const DELIVERED_SECOND: u64 = 0;
