//! A thread's user-mode state and the way into user mode and back.
//!
//! # Who holds the floating-point state
//! Each time a context is loaded into a processor that loading gets a number,
//! never used again, which both keep: `loading` here and `PerCpu::owner`. The
//! processor's floating-point registers and thread pointer are this context's
//! if and only if the two agree, so a context that runs again with nothing
//! else in between loads nothing, and one that was loaded elsewhere since does
//! not match.
//!
//! | state | registers | save area |
//! |---|---|---|
//! | `live` | newer | stale |
//! | not `live`, numbers agree | same | same |
//! | not `live`, else | another's | right |
//!
//! `run` makes it live, `leave` ends that. A live context that is run on
//! another processor without `leave` loses what it computed since, which is
//! the caller's mistake but shows it no other thread's state. The thread
//! pointer is a program's to write, so it is saved with the rest.
//!
//! # Why it is saved each time
//! Loading is left out where nothing else came in between. Saving is not: that a
//! program stored to a vector register is marked nowhere, and the only way to
//! know is to forbid their use (CPACR_EL1) and be told of the first. Counted
//! at each `leave` on one processor, by comparing with what was saved before:
//!
//! | | registers as before | changed | loaded |
//! |---|---|---|---|
//! | `hackbench -T -p -g 2 -l 200` | 125,930 | 121 | 126,053 |
//! | `sysbench threads --threads=8` | 100,556 | 129 | 100,242 |
//! | 300 times `echo x \| cat` in a shell | 1,213 | 645 | 2,151 |
//!
//! - Saving takes 22 instructions, of 828 (`sched_yield` to another thread) or
//!   2,115 (a switch of processes; `docs/measured-aarch64.md`). Being told takes
//!   what the cheapest system call does, 211: out of the program, through the
//!   kernel's loop, back. So it pays where fewer than one in ten uses them, which
//!   programs that only switch do, and those that begin, copy strings and end do
//!   not: the C library's string functions use them. On a processor that is no
//!   emulator's the stores overlap with what comes next, and the exception
//!   does not.
//! - Being told late in place of *loading* would leave one thread's values in
//!   the registers while another's code runs, behind a control bit that a
//!   processor may speculate past.
//! - Saving only when somebody else comes gains nothing: as the last column
//!   says, somebody nearly always does.
//!
//! Linux does the same for this architecture.
//!
//! # Invariants
//! The processor state in the registers is always a program's
//! (`sanitize_state`, or saved from user mode).

use core::arch::asm;
use core::fmt;

use crate::cpu::MAX_CPUS;
use crate::memory::{OutOfMemory, SpaceRef};
use crate::user::{SyscallRequest, Trap};

use super::area::Area;
use super::fault::forget_refusal;
use super::percpu::{self, PerCpu};
use super::registers::{Registers, kind};
use super::system::mrs;
use super::{exceptions, fpu, interrupts, report, trap};

/// [`Context::loading`] of a context that no processor holds; a processor
/// without an owner says 0.
const NOWHERE: u64 = 1;

/// Bytes of the system call instruction.
const SYSCALL_BYTES: u64 = 4;

/// The register of a system call's number.
const NUMBER: usize = 8;

/// See the module.
#[derive(Debug)]
pub(crate) struct Context {
    pub(super) area: Area,
    loading: u64,
    live: bool,
    thread_pointer: u64,
}

impl Context {
    pub(crate) fn new() -> Result<Context, OutOfMemory> {
        Ok(Context {
            area: Area::new()?,
            loading: NOWHERE,
            live: false,
            thread_pointer: 0,
        })
    }

    pub(crate) fn duplicate(&mut self) -> Result<Context, OutOfMemory> {
        self.leave()?;
        let mut twin = Context::new()?;
        *twin.area.registers_mut() = self.area.registers().clone();
        twin.area.image_mut().copy_from_slice(self.area.image());
        twin.thread_pointer = self.thread_pointer;
        if let (Some(to), Some(from)) = (twin.area.keys_mut(), self.area.keys()) {
            to.clone_from(from);
        }
        Ok(twin)
    }

    pub(crate) fn reset(&mut self, entry: u64, stack: u64) {
        *self.area.registers_mut() = Registers::user(entry, stack);
        fpu::initialise(self.area.image_mut());
        self.thread_pointer = 0;
        if let Some(keys) = self.area.keys_mut() {
            keys.enable_all();
        }
        self.disown();
    }

    /// See [`UserContext::renew_keys`](crate::user::UserContext::renew_keys).
    pub(crate) fn renew_keys(&mut self, which: u64, random: &mut dyn FnMut() -> u64) -> bool {
        let is_loaded = self.is_loaded();
        let Some(keys) = self.area.keys_mut() else {
            return false;
        };
        let is_renewed = keys.renew(which, random);
        if is_renewed && is_loaded {
            keys.load(percpu::current());
        }
        is_renewed
    }

    /// See [`UserContext::enabled_keys`](crate::user::UserContext::enabled_keys).
    pub(crate) fn enabled_keys(&self) -> Option<u64> {
        self.area.keys()?.enabled()
    }

    /// See [`UserContext::enable_keys`](crate::user::UserContext::enable_keys).
    pub(crate) fn enable_keys(&mut self, which: u64, wanted: u64) -> bool {
        let is_loaded = self.is_loaded();
        let Some(keys) = self.area.keys_mut() else {
            return false;
        };
        let is_right = keys.enable(which, wanted);
        if is_right && is_loaded {
            keys.load(percpu::current());
        }
        is_right
    }

    /// Makes the save area and the fields the truth: what the processor holds is stale.
    pub(super) fn disown(&mut self) {
        self.live = false;
        self.loading = NOWHERE;
    }

    #[inline(always)]
    pub(crate) fn run(&mut self, space: &SpaceRef, back: impl FnOnce()) -> Trap {
        let cpu = percpu::current();
        if cpu.owner.get() != self.loading {
            self.load(cpu);
        }
        self.live = true;
        let pointer = self.area.registers_pointer();
        space.enter_user(cpu.presence());
        // SAFETY: 1. the area is exclusively borrowed, and its state a
        // program's by the module's invariant. 2. `enter_user` loaded the
        // space's tables.
        unsafe { trap::enter(pointer) };
        back();
        let registers = self.area.registers();
        match registers.kind {
            kind::SYNCHRONOUS => {
                let trap = exceptions::classify(registers.syndrome, registers.address);
                if let Trap::PageFault { address, .. } = trap {
                    forget_refusal(registers.syndrome, address);
                }
                trap
            }
            kind::INTERRUPT => Trap::Interrupt(interrupts::acknowledge()),
            _ => report::user_error(registers),
        }
    }

    /// Puts this context's state into the processor.
    #[cold]
    fn load(&mut self, cpu: &'static PerCpu) {
        // SAFETY: an area's image is aligned, long enough and initialised.
        unsafe { fpu::load(self.area.image_pointer()) };
        set_thread_register(self.thread_pointer);
        if let Some(keys) = self.area.keys() {
            keys.load(cpu);
        }
        // SAFETY: the other thread register, which is a program's to read only; none of ours is told.
        unsafe {
            asm!(
                "msr tpidrro_el0, xzr",
                options(nomem, nostack, preserves_flags)
            )
        };
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
        if self.live {
            self.live = false;
            if self.is_loaded() {
                self.thread_pointer = mrs!("tpidr_el0");
                // What the program has begun with its caches (`dc`, `ic`) ends
                // here: the barrier by which it waits for that may come on
                // another processor, which waits for its own only.
                // SAFETY: a barrier.
                unsafe { asm!("dsb ish", options(nostack, preserves_flags)) };
                // SAFETY: an area's image is aligned and long enough.
                unsafe { fpu::save(self.area.image_pointer()) };
            }
        }
        Ok(())
    }

    pub(crate) fn page_fault_codes(&self, address: u64) -> (u64, u64) {
        (0, exceptions::told(self.area.registers().syndrome, address))
    }

    #[inline]
    pub(crate) fn syscall(&self) -> SyscallRequest {
        let x = &self.area.registers().x;
        SyscallRequest {
            number: x[NUMBER],
            arguments: [x[0], x[1], x[2], x[3], x[4], x[5]],
        }
    }

    #[inline]
    pub(crate) fn set_syscall_result(&mut self, value: i64) {
        self.area.registers_mut().x[0] = value.cast_unsigned();
    }

    pub(crate) fn rewind_as(&mut self, number: u64) {
        self.rewind();
        self.area.registers_mut().x[NUMBER] = number;
    }

    pub(crate) fn rewind(&mut self) {
        let registers = self.area.registers_mut();
        registers.pc = registers.pc.wrapping_sub(SYSCALL_BYTES);
        registers.x[0] = registers.first;
    }

    pub(crate) fn instruction_pointer(&self) -> u64 {
        self.area.registers().pc
    }

    pub(crate) fn frame_pointer(&self) -> u64 {
        self.area.registers().x[29]
    }

    pub(crate) fn set_instruction_pointer(&mut self, value: u64) {
        self.area.registers_mut().pc = value;
    }

    pub(crate) fn stack_pointer(&self) -> u64 {
        self.area.registers().sp
    }

    pub(crate) fn describe(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        report::registers(out, self.area.registers())?;
        writeln!(out, "tls {:#x}", self.thread_pointer())
    }

    #[cfg(all(feature = "ktest", target_os = "none"))]
    pub(crate) fn skip(&mut self, bytes: u64) {
        let registers = self.area.registers_mut();
        registers.pc = registers.pc.wrapping_add(bytes);
    }

    pub(crate) fn set_stack_pointer(&mut self, value: u64) {
        self.area.registers_mut().sp = value;
    }

    pub(crate) fn thread_pointer(&self) -> u64 {
        if self.live && self.is_loaded() {
            mrs!("tpidr_el0")
        } else {
            self.thread_pointer
        }
    }

    pub(crate) fn second_pointer(&self) -> u64 {
        0
    }

    pub(crate) fn set_thread_pointer(&mut self, value: u64) -> bool {
        self.thread_pointer = value;
        if self.is_loaded() {
            set_thread_register(value);
        }
        true
    }

    pub(crate) fn set_second_pointer(&mut self, _value: u64) -> bool {
        false
    }
}

/// Sets the register in which a program keeps its thread pointer.
fn set_thread_register(value: u64) {
    // SAFETY: only programs use the register.
    unsafe { asm!("msr tpidr_el0, {}", in(reg) value, options(nomem, nostack, preserves_flags)) };
}
