//! A thread's user-mode state and the way into user mode and back.
//!
//! # Who holds the floating-point state
//! Each time a context is loaded into a processor that loading gets a number,
//! never used again, which both keep: `loading` here and `PerCpu::owner`. The
//! processor's floating-point and base registers are this context's if and only
//! if the two agree, so a context that runs again with nothing else in between
//! loads nothing, and one that was loaded elsewhere since does not match.
//!
//! | numbers | `PerCpu::ran` | registers | save area |
//! |---|---|---|---|
//! | agree | yes | newer | stale |
//! | agree | no | same | same |
//! | do not | | another's | right |
//!
//! `run` says that a program ran, `leave` ends that. A context that ran and is
//! run on another processor without `leave` loses what it computed since, which
//! is the caller's mistake but shows it no other thread's state.
//!
//! As long as no program ran, what the registers hold is what was saved or
//! loaded last, and `PerCpu::extent` says how much of that may be other than
//! initial (`fpu.rs`): what is initial in the next one, too, is not loaded.
//!
//! # Invariants
//! - `registers.cs` and `ss` are never loaded; the flags are always a
//!   program's (`sanitize_flags`, or saved from user mode).
//! - While a processor is in user mode its `PerCpu::registers` and `TSS.rsp0`
//!   belong to the context in `run`; `load` sets them, and they stay right
//!   until another context is loaded, because areas do not move. (`apart.rs`
//!   has another `TSS.rsp0`, and gets by with `PerCpu::registers`.)

use core::fmt;

use crate::cpu::MAX_CPUS;
use crate::memory::{OutOfMemory, SpaceRef};
use crate::user::{Exception, ExceptionKind, SyscallRequest, Trap};

use super::area::{Area, Bases};
use super::exceptions::{self, FloatingPoint, page_fault};
use super::fpu::Extent;
use super::percpu::{self, PerCpu};
use super::registers::{Registers, VIA_SYSCALL, is_canonical};
use super::{gdt, interrupts, report, system, trap};

/// [`Context::loading`] of a context that no processor holds; a processor
/// without an owner says 0.
const NOWHERE: u64 = 1;

/// Bytes of the system call instruction.
const SYSCALL_BYTES: u64 = 2;

/// See the module.
#[derive(Debug)]
pub(crate) struct Context {
    pub(super) area: Area,
    loading: u64,
}

impl Context {
    pub(crate) fn new() -> Result<Context, OutOfMemory> {
        Ok(Context {
            area: Area::new()?,
            loading: NOWHERE,
        })
    }

    pub(crate) fn duplicate(&mut self) -> Result<Context, OutOfMemory> {
        self.leave()?;
        Ok(Context {
            area: self.area.duplicate()?,
            loading: NOWHERE,
        })
    }

    pub(crate) fn reset(&mut self, entry: u64, stack: u64) {
        *self.area.registers_mut() = Registers::user(entry, stack);
        self.area.narrow();
        self.area.initialise();
        *self.area.bases_mut() = Bases::default();
        self.disown();
    }

    /// See [`UserContext::renew_keys`](crate::user::UserContext::renew_keys).
    pub(crate) fn renew_keys(&mut self, _which: u64, _random: &mut dyn FnMut() -> u64) -> bool {
        false
    }

    /// See [`UserContext::enabled_keys`](crate::user::UserContext::enabled_keys).
    pub(crate) fn enabled_keys(&self) -> Option<u64> {
        None
    }

    /// See [`UserContext::enable_keys`](crate::user::UserContext::enable_keys).
    pub(crate) fn enable_keys(&mut self, _which: u64, _wanted: u64) -> bool {
        false
    }

    /// Makes the save area and the fields the truth: what the processor holds is stale.
    pub(super) fn disown(&mut self) {
        self.loading = NOWHERE;
    }

    #[inline(always)]
    pub(crate) fn run(&mut self, space: &SpaceRef, back: impl FnOnce()) -> Trap {
        let cpu = percpu::current();
        if cpu.owner.get() != self.loading {
            self.load(cpu);
        }
        cpu.ran.set(true);
        let pointer = self.area.registers_pointer();
        if self.area.registers().vector == VIA_SYSCALL {
            space.enter_user(cpu.presence());
            // SAFETY: 1. `load` made this processor's pointers this area's,
            // now or in an earlier run, and nothing was loaded since
            // (`owner`); the area is exclusively borrowed. 2. What the system
            // call entry saved is unchanged: who changes it settles it first,
            // or changes result and stack pointer only; the instruction was
            // user code, so what comes after it is at most `USER_END`.
            // 3. `enter_user` loaded the space's tables.
            unsafe { trap::enter(pointer, true) };
        } else {
            if !is_canonical(self.area.registers().rip) {
                back();
                return protection();
            }
            space.enter_user(cpu.presence());
            // SAFETY: 1. and 3. as above. 2. Checked, and the flags by the
            // module's invariant.
            unsafe { trap::enter(pointer, false) };
        }
        cpu.let_in.set(true);
        back();
        if self.area.registers().vector == VIA_SYSCALL {
            Trap::Syscall
        } else {
            self.explain()
        }
    }

    /// What the trap was that is none of a system call.
    #[inline(never)]
    fn explain(&self) -> Trap {
        let registers = self.area.registers();
        match registers.vector {
            page_fault::VECTOR => Trap::PageFault {
                address: system::fault_address(),
                access: exceptions::access(registers.error),
            },
            vector if vector < 32 => {
                let units = || self.floating_point();
                Trap::Exception(exceptions::classify(vector, registers.error, units))
            }
            // CAST: the stubs give 0..256 and the cases above took the rest.
            vector => Trap::Interrupt(interrupts::acknowledge(vector as u8)),
        }
    }

    /// Puts this context's state into the processor.
    #[cold]
    fn load(&mut self, cpu: &'static PerCpu) {
        let pointer = self.area.registers_pointer();
        cpu.registers.set(pointer);
        let end = pointer.wrapping_add(1).addr() as u64;
        // SAFETY: the area lives as long as the context, and user mode only
        // runs inside `run`, which loads another's first if that is to run.
        unsafe { gdt::set_trap_stack(cpu, end) };
        // SAFETY: the setters admit addresses of the user half only.
        unsafe { load_segments(cpu, *self.area.bases()) };
        let of_registers = if cpu.ran.get() {
            Extent::All
        } else {
            cpu.extent.get()
        };
        // SAFETY: no program ran since what `extent` says was saved or loaded.
        if !unsafe { self.area.load(of_registers) } {
            // Never seen: images are checked. Not another thread's state, whatever happens.
            self.area.initialise();
            // SAFETY: there is no more than all.
            let loaded = unsafe { self.area.load(Extent::All) };
            assert!(loaded, "the processor refuses its own initial state");
        }
        cpu.ran.set(false);
        cpu.extent.set(self.area.extent());
        // The processor's number in the low bits makes it one of a kind.
        let count = cpu.loadings.get() + 1;
        cpu.loadings.set(count);
        self.loading = count * MAX_CPUS as u64 + u64::from(cpu.index.get());
        cpu.owner.set(self.loading);
    }

    /// Whether this processor holds the context's state.
    fn is_loaded(&self) -> bool {
        self.loading != NOWHERE && percpu::current().owner.get() == self.loading
    }

    #[inline]
    pub(crate) fn leave(&mut self) -> Result<(), OutOfMemory> {
        if self.loading == NOWHERE {
            return Ok(());
        }
        let cpu = percpu::current();
        if cpu.owner.get() == self.loading && cpu.ran.get() {
            self.area.save()?;
            cpu.extent.set(self.area.extent());
            cpu.ran.set(false);
        }
        Ok(())
    }

    /// The floating-point units' status, for the code of a fault.
    #[cold]
    fn floating_point(&self) -> FloatingPoint {
        let (mut control, mut status, mut mxcsr) = (0_u16, 0_u16, 0_u32);
        // SAFETY: stores three control registers to locals; the state in the
        // processor is this program's, which just faulted.
        unsafe {
            core::arch::asm!(
                "fnstcw [{control}]", "fnstsw [{status}]", "stmxcsr [{mxcsr}]",
                control = in(reg) &raw mut control,
                status = in(reg) &raw mut status,
                mxcsr = in(reg) &raw mut mxcsr,
                options(nostack, preserves_flags),
            );
        }
        FloatingPoint {
            control,
            status,
            mxcsr,
        }
    }

    pub(crate) fn page_fault_codes(&self, address: u64) -> (u64, u64) {
        let code = exceptions::told(self.area.registers().error, address);
        (page_fault::VECTOR, code)
    }

    #[inline]
    pub(crate) fn syscall(&self) -> SyscallRequest {
        let registers = self.area.registers();
        SyscallRequest {
            number: registers.rax,
            arguments: [
                registers.rdi,
                registers.rsi,
                registers.rdx,
                registers.r10,
                registers.r8,
                registers.r9,
            ],
        }
    }

    #[inline]
    pub(crate) fn set_syscall_result(&mut self, value: i64) {
        self.area.registers_mut().rax = value.cast_unsigned();
    }

    pub(crate) fn rewind_as(&mut self, number: u64) {
        let registers = self.area.registers_mut();
        registers.settle();
        registers.rip = registers.rip.wrapping_sub(SYSCALL_BYTES);
        registers.rax = number;
    }

    pub(crate) fn rewind(&mut self) {
        let number = self.area.registers().error;
        self.rewind_as(number);
    }

    pub(crate) fn instruction_pointer(&self) -> u64 {
        self.area.registers().rip
    }

    pub(crate) fn frame_pointer(&self) -> u64 {
        self.area.registers().rbp
    }

    pub(crate) fn set_instruction_pointer(&mut self, value: u64) {
        let registers = self.area.registers_mut();
        registers.settle();
        registers.rip = value;
    }

    pub(crate) fn stack_pointer(&self) -> u64 {
        self.area.registers().rsp
    }

    pub(crate) fn describe(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let mut registers = self.area.registers().clone();
        registers.settle();
        report::registers(out, &registers)?;
        let Bases { fs, gs } = self.area.bases();
        writeln!(out, "fs base {fs:#x}  gs base {gs:#x}")
    }

    #[cfg(all(feature = "ktest", target_os = "none"))]
    pub(crate) fn skip(&mut self, bytes: u64) {
        let registers = self.area.registers_mut();
        registers.settle();
        registers.rip = registers.rip.wrapping_add(bytes);
    }

    pub(crate) fn set_stack_pointer(&mut self, value: u64) {
        self.area.registers_mut().rsp = value;
    }

    pub(crate) fn thread_pointer(&self) -> u64 {
        self.area.bases().fs
    }

    pub(crate) fn second_pointer(&self) -> u64 {
        self.area.bases().gs
    }

    pub(crate) fn set_thread_pointer(&mut self, value: u64) -> bool {
        if value >= crate::memory::USER_END {
            return false;
        }
        self.area.bases_mut().fs = value;
        self.write_base(system::MSR_FS_BASE, value);
        true
    }

    pub(crate) fn set_second_pointer(&mut self, value: u64) -> bool {
        if value >= crate::memory::USER_END {
            return false;
        }
        self.area.bases_mut().gs = value;
        percpu::current().user_gs.set(u64::MAX);
        self.write_base(system::MSR_USER_GS_BASE, value);
        true
    }

    /// Keeps the processor's copy of a base right, where it has one.
    fn write_base(&self, register: u32, value: u64) {
        if self.is_loaded() {
            // SAFETY: a base register that only programs use, and a user address.
            unsafe { system::write_msr(register, value) };
        }
    }
}

/// A fault that stands for a state which the processor would refuse.
#[cold]
fn protection() -> Trap {
    Trap::Exception(Exception {
        kind: ExceptionKind::Protection,
        number: 13,
        code: 0,
    })
}

/// Empties the data segment registers, which a program may have loaded, and
/// sets its two bases.
///
/// # Safety
/// Both are addresses below the kernel's half.
unsafe fn load_segments(cpu: &'static PerCpu, bases: Bases) {
    if are_segments_used() {
        // SAFETY: null selectors are allowed in all four. Clearing GS may clear
        // its base, so the program's base is swapped in for that moment;
        // interrupts are off and an NMI looks before it swaps.
        unsafe {
            core::arch::asm!(
                "mov ds, {zero:e}",
                "mov es, {zero:e}",
                "mov fs, {zero:e}",
                "swapgs",
                "mov gs, {zero:e}",
                "swapgs",
                zero = in(reg) 0,
                options(nostack, preserves_flags),
            );
        }
    }
    // SAFETY: only programs use FS; the caller says that it is a user address.
    unsafe { system::write_msr(system::MSR_FS_BASE, bases.fs) };
    // The base is what it was set to last, or 0 since a program loaded a selector.
    if cpu.user_gs.get() | bases.gs != 0 {
        cpu.user_gs.set(bases.gs);
        // SAFETY: as above; this is what `swapgs` brings for the program.
        unsafe { system::write_msr(system::MSR_USER_GS_BASE, bases.gs) };
    }
}

/// Whether a program has loaded a selector; few ever do, and to load one is slow.
#[inline]
fn are_segments_used() -> bool {
    let used: u64;
    // SAFETY: reads four selectors into registers.
    unsafe {
        core::arch::asm!(
            "mov {used:e}, ds",
            "mov {one:e}, es",
            "or {used:e}, {one:e}",
            "mov {one:e}, fs",
            "or {used:e}, {one:e}",
            "mov {one:e}, gs",
            "or {used:e}, {one:e}",
            used = out(reg) used,
            one = out(reg) _,
            options(nomem, nostack),
        );
    }
    used != 0
}
