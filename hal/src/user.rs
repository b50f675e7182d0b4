//! A program's processor state, and running it.

use crate::arch::machine::context::Context;
use crate::irq::Event;
use crate::memory::{OutOfMemory, SpaceRef};

#[cfg(all(feature = "ktest", target_os = "none"))]
pub(crate) mod ktests;

// ANCHOR: trap
/// Why user mode was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trap {
    /// The system call instruction; see [`UserContext::syscall`].
    Syscall,
    /// An access that the page tables do not allow.
    PageFault {
        /// The address accessed, any 64-bit value.
        address: u64,
        /// What was tried.
        access: Access,
    },
    /// Another exception.
    Exception(Exception),
    /// A device or the timer; taken and acknowledged.
    Interrupt(Event),
}
// ANCHOR_END: trap

/// A kind of memory access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A load.
    Read,
    /// A store.
    Write,
    /// An instruction fetch.
    Execute,
}

/// An exception raised by a program, in the terms in which Linux reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exception {
    /// What happened.
    pub kind: ExceptionKind,
    /// The machine's number of it (x86: the vector), for `siginfo` and messages.
    pub number: u32,
    /// The machine's error code.
    pub code: u64,
}

/// See [`Exception`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExceptionKind {
    /// Integer division by zero or overflow (SIGFPE, `FPE_INTDIV`).
    IntegerDivide,
    /// A floating-point error; the value is the `si_code` (`FPE_*`).
    FloatingPoint(i32),
    /// A breakpoint instruction (SIGTRAP); the value is the `si_code`, which
    /// tells whether an address goes with it (`TRAP_BRKPT`) or not (`SI_KERNEL`).
    Breakpoint(i32),
    /// A single step or hardware breakpoint (SIGTRAP, `TRAP_TRACE`).
    Step,
    /// An instruction that does not exist or is not allowed (SIGILL); the value
    /// is the `si_code` (`ILL_*`).
    IllegalInstruction(i32),
    /// A privileged or otherwise protected operation (SIGSEGV, `SI_KERNEL`).
    Protection,
    /// A misaligned access (SIGBUS, `BUS_ADRALN`).
    Alignment,
    /// Stack segment or other bus-like error (SIGBUS, `SI_KERNEL`).
    Bus,
    /// `into` or `bound` (SIGSEGV, `SI_KERNEL`).
    Overflow,
}

/// A thread's user-mode registers, floating-point state included.
///
/// The floating-point registers stay in the processor across traps; they are
/// written back by [`leave`](UserContext::leave), which a thread's poll calls
/// before the processor goes on to something else.
#[derive(Debug)]
pub struct UserContext {
    context: Context,
}

/// A system call as the program made it.
#[derive(Clone, Copy, Debug)]
pub struct SyscallRequest {
    /// The register that holds the number.
    pub number: u64,
    /// The six arguments.
    pub arguments: [u64; 6],
}

impl SyscallRequest {
    /// The number without the register's high half, which does not count.
    #[must_use]
    #[inline]
    pub fn number(&self) -> u32 {
        // CAST: the low half.
        self.number as u32
    }
}

impl UserContext {
    /// A context of zeroes with initial floating-point state.
    ///
    /// # Errors
    /// [`OutOfMemory`] for the save area.
    pub fn new() -> Result<UserContext, OutOfMemory> {
        let context = Context::new()?;
        Ok(UserContext { context })
    }

    /// A copy for a new thread or process.
    ///
    /// # Errors
    /// [`OutOfMemory`] for the save area.
    pub fn duplicate(&mut self) -> Result<UserContext, OutOfMemory> {
        let context = self.context.duplicate()?;
        Ok(UserContext { context })
    }

    /// Everything back to the state of a fresh program that starts at `entry`
    /// with the stack pointer `stack`; keys stay.
    pub fn reset(&mut self, entry: u64, stack: u64) {
        self.context.reset(entry, stack);
    }

    /// [`reset`](UserContext::reset) for another program than before: where the
    /// machine has keys, they are new ones.
    pub fn start(&mut self, entry: u64, stack: u64, random: &mut dyn FnMut() -> u64) {
        self.reset(entry, stack);
        // Where there are none there are none.
        let _ = self.renew_keys(0, random);
    }

    /// Makes the keys new by which the thread signs pointers: those of `which`
    /// (Linux's `PR_PAC_*` bits), or all for 0; false where the machine does not
    /// have all of these.
    pub fn renew_keys(&mut self, which: u64, random: &mut dyn FnMut() -> u64) -> bool {
        self.context.renew_keys(which, random)
    }

    /// Which of the keys for addresses are on (`PR_PAC_*` bits), so that what
    /// signs and checks by them does so; `None` where the machine has none.
    #[must_use]
    pub fn enabled_keys(&self) -> Option<u64> {
        self.context.enabled_keys()
    }

    /// Switches those of `which` on that are `wanted`, and the others of them
    /// off; false where the machine has not all of these.
    pub fn enable_keys(&mut self, which: u64, wanted: u64) -> bool {
        self.context.enable_keys(which, wanted)
    }

    /// Runs the program until it traps. Any register content is safe: what the
    /// machine does not accept becomes a fault of the program.
    #[inline]
    pub fn run(&mut self, space: &SpaceRef) -> Trap {
        self.run_then(space, || {})
    }

    /// As [`run`](UserContext::run), and calls `back` as soon as user mode is
    /// left, before anything else.
    #[inline(always)]
    pub fn run_then(&mut self, space: &SpaceRef, back: impl FnOnce()) -> Trap {
        self.context.run(space, back)
    }

    /// Takes the floating-point state out of the processor, so that the
    /// context may go on elsewhere. Cheap when it did not run.
    ///
    /// # Errors
    /// [`OutOfMemory`] if there is more of it than ever before and no memory
    /// for that: the program must not go on as if nothing had happened, unless
    /// this is tried again before anything else runs.
    #[inline]
    pub fn leave(&mut self) -> Result<(), OutOfMemory> {
        self.context.leave()
    }

    /// What a signal's frame has of the last [`Trap::PageFault`], which was at
    /// `address`: its number and the machine's code (x86: the vector and the
    /// error code; AArch64: none and the syndrome), as far as Linux tells them.
    #[must_use]
    pub fn page_fault_codes(&self, address: u64) -> (u64, u64) {
        self.context.page_fault_codes(address)
    }

    /// The system call that the last [`Trap::Syscall`] stands for.
    #[must_use]
    #[inline]
    pub fn syscall(&self) -> SyscallRequest {
        self.context.syscall()
    }

    /// Sets the system call's result register (negative errors as Linux has them).
    #[inline]
    pub fn set_syscall_result(&mut self, value: i64) {
        self.context.set_syscall_result(value);
    }

    /// Rewinds to the system call instruction with the original number, so
    /// that it is made again; valid right after [`Trap::Syscall`] and before
    /// other registers were changed.
    pub fn rewind_syscall(&mut self) {
        self.context.rewind();
    }

    /// Like [`rewind_syscall`](UserContext::rewind_syscall) but with another number (`restart_syscall`).
    pub fn rewind_as(&mut self, number: u64) {
        self.context.rewind_as(number);
    }

    /// The instruction pointer.
    #[must_use]
    pub fn instruction_pointer(&self) -> u64 {
        self.context.instruction_pointer()
    }

    /// The frame pointer: where a program that keeps one has the caller's and,
    /// behind it, the address to return to. Any value.
    #[must_use]
    pub fn frame_pointer(&self) -> u64 {
        self.context.frame_pointer()
    }

    /// Sets the instruction pointer.
    pub fn set_instruction_pointer(&mut self, value: u64) {
        self.context.set_instruction_pointer(value);
    }

    /// Moves the instruction pointer on, past an instruction of a test.
    #[cfg(all(feature = "ktest", target_os = "none"))]
    pub(crate) fn skip(&mut self, bytes: u64) {
        self.context.skip(bytes);
    }

    /// The stack pointer.
    #[must_use]
    pub fn stack_pointer(&self) -> u64 {
        self.context.stack_pointer()
    }

    /// Sets the stack pointer (`clone` with a new stack).
    pub fn set_stack_pointer(&mut self, value: u64) {
        self.context.set_stack_pointer(value);
    }

    /// The thread pointer (x86: FS base).
    #[must_use]
    pub fn thread_pointer(&self) -> u64 {
        self.context.thread_pointer()
    }

    /// Sets the thread pointer; false if the machine cannot hold the value.
    #[must_use]
    pub fn set_thread_pointer(&mut self, value: u64) -> bool {
        self.context.set_thread_pointer(value)
    }

    /// The second base register where there is one (x86: GS base).
    #[must_use]
    pub fn second_pointer(&self) -> u64 {
        self.context.second_pointer()
    }

    /// Sets the second base register; false if the machine cannot hold the value or has none.
    #[must_use]
    pub fn set_second_pointer(&mut self, value: u64) -> bool {
        self.context.set_second_pointer(value)
    }

    /// Saves the context in a signal frame (Linux's layout: ucontext, siginfo,
    /// floating-point state) below `delivery.stack_top`, through `write`, and
    /// redirects the program to the handler.
    ///
    /// # Errors
    /// What `write` answered, or `None` without memory; the context is then
    /// unchanged.
    pub fn enter_signal_handler<E>(
        &mut self,
        delivery: &SignalDelivery,
        write: &mut WriteUser<'_, E>,
    ) -> Result<(), Option<E>> {
        self.context.enter_signal_handler(delivery, write)
    }

    /// Restores the context from the signal frame at the stack pointer
    /// (`rt_sigreturn`). The frame is the program's to forge: privileged bits
    /// are masked and an invalid floating-point image is an error.
    ///
    /// # Errors
    /// What `read` answered, or `None` for a frame the machine refuses.
    pub fn leave_signal_handler<E>(
        &mut self,
        read: &mut ReadUser<'_, E>,
    ) -> Result<SignalRestore, Option<E>> {
        self.context.leave_signal_handler(read)
    }

    /// Registers for a person, in a few lines, for fault reports.
    ///
    /// # Errors
    /// What `out` answered.
    pub fn describe(&self, out: &mut dyn core::fmt::Write) -> core::fmt::Result {
        self.context.describe(out)
    }
}

/// Writes bytes at a user address, for signal frames.
pub type WriteUser<'a, E> = dyn FnMut(u64, &[u8]) -> Result<(), E> + 'a;

/// Reads bytes at a user address, for signal frames.
pub type ReadUser<'a, E> = dyn FnMut(u64, &mut [u8]) -> Result<(), E> + 'a;

/// What a signal handler's frame needs besides the registers.
#[derive(Clone, Debug)]
pub struct SignalDelivery {
    /// The signal's number.
    pub signal: u32,
    /// The handler's address.
    pub handler: u64,
    /// `sa_restorer`: where the handler returns to.
    pub restorer: u64,
    /// Whether the handler takes three arguments.
    pub siginfo: bool,
    /// The `siginfo_t`, 128 bytes.
    pub info: [u8; 128],
    /// The mask to restore on return.
    pub mask: u64,
    /// Highest address (exclusive) that the frame may use: the alternate stack's end or the stack pointer.
    pub stack_top: u64,
    /// Whether `stack_top` is the current stack pointer, so that the red zone below it must be left alone.
    pub on_current_stack: bool,
    /// `uc_stack`: base, flags, size.
    pub alternate_stack: (u64, u32, u64),
    /// Fault details for `ucontext` (x86: `cr2`, `trapno`, `err`).
    pub fault: (u64, u64, u64),
}

/// What `rt_sigreturn` restores besides the registers.
#[derive(Clone, Copy, Debug)]
pub struct SignalRestore {
    /// The signal mask.
    pub mask: u64,
    /// `uc_stack`: base, flags, size.
    pub alternate_stack: (u64, u32, u64),
}
