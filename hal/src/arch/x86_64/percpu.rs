//! What each processor keeps for itself, reached through the GS base.
//!
//! # Invariants
//! In kernel mode the GS base is the address of this processor's [`PerCpu`],
//! from [`install`] on; `swapgs` happens only on the way from and to user mode
//! (`trap.rs`). A `PerCpu` lives for ever and only its own processor touches
//! it, so its cells need no lock. The type is not `Sync`; a reference never
//! leaves the processor because nothing here crosses a wait.
//!
//! | field | written by | read by |
//! |---|---|---|
//! | `kernel_stack`, `registers`, `scratch` | `trap.rs` | `trap.rs` |
//! | `owner` | `context.rs` | `context.rs` |
//! | `event` | an interrupt in the window | the window |

use core::arch::asm;
use core::cell::{Cell, UnsafeCell};

use crate::irq::Event;

use super::gdt::Tables;
use super::registers::Registers;
use super::system;

/// See the module. The assembly knows the first four fields.
#[repr(C, align(64))]
pub(crate) struct PerCpu {
    /// The value's own address: `gs:[0]` is a reference to it.
    this: Cell<*const PerCpu>,
    /// Stack pointer to return to when user mode traps.
    pub(super) kernel_stack: Cell<u64>,
    /// The registers that the next trap from user mode saves to.
    pub(super) registers: Cell<*mut Registers>,
    /// The system call entry's one spare place.
    pub(super) scratch: Cell<u64>,
    /// The processor's number.
    pub(super) index: u32,
    /// Which loading of a context is in the processor (floating point, bases); 0 for none.
    pub(super) owner: Cell<u64>,
    /// Whether interrupts are on for a moment, in kernel mode.
    pub(super) window: Cell<bool>,
    /// What the interrupt in the window was.
    pub(super) event: Cell<Option<Event>>,
    /// Whether this processor is telling why it dies: a second failure then must not tell again.
    pub(super) dying: Cell<bool>,
    /// Descriptor tables.
    pub(super) tables: UnsafeCell<Tables>,
}

/// Where the assembly finds [`PerCpu::kernel_stack`].
pub(super) const KERNEL_STACK: usize = core::mem::offset_of!(PerCpu, kernel_stack);
/// Where the assembly finds [`PerCpu::registers`].
pub(super) const REGISTERS: usize = core::mem::offset_of!(PerCpu, registers);
/// Where the assembly finds [`PerCpu::scratch`].
pub(super) const SCRATCH: usize = core::mem::offset_of!(PerCpu, scratch);

impl PerCpu {
    const fn new(index: u32) -> PerCpu {
        PerCpu {
            this: Cell::new(core::ptr::null()),
            kernel_stack: Cell::new(0),
            registers: Cell::new(core::ptr::null_mut()),
            scratch: Cell::new(0),
            index,
            owner: Cell::new(0),
            window: Cell::new(false),
            event: Cell::new(None),
            dying: Cell::new(false),
            tables: UnsafeCell::new(Tables::new()),
        }
    }
}

/// The boot processor's block, in a shape that a static may have.
struct Boot(PerCpu);

// SAFETY: `install` is called once, and from then on only the boot processor
// reaches the block, through its GS base.
unsafe impl Sync for Boot {}

static BOOT: Boot = Boot(PerCpu::new(0));

/// Gives the boot processor its block.
///
/// # Safety
/// Once, on the boot processor, before [`current`].
pub(super) unsafe fn install_boot() {
    let this = &raw const BOOT.0;
    BOOT.0.this.set(this);
    // SAFETY: the block lives for ever; GS is used for nothing else.
    unsafe { system::write_msr(system::MSR_GS_BASE, this.expose_provenance() as u64) };
}

/// This processor's block.
#[inline]
pub(crate) fn current() -> &'static PerCpu {
    let this: *const PerCpu;
    // SAFETY: by the module's invariant the GS base is the block's address and
    // its first word the same. Not `pure`: a thread may go on elsewhere.
    unsafe {
        asm!("mov {}, gs:[0]", out(reg) this, options(nostack, preserves_flags, readonly));
    }
    // SAFETY: the block lives for ever and is only ever reached as a shared reference.
    unsafe { &*this }
}

/// This processor's number.
#[cfg(target_os = "none")]
#[inline]
pub(crate) fn index() -> u32 {
    current().index
}

/// A host test is one processor.
#[cfg(not(target_os = "none"))]
#[inline]
pub(crate) fn index() -> u32 {
    0
}
