//! What each processor keeps for itself, reached through the GS base.
//!
//! # Invariants
//! In kernel mode the GS base is the address of this processor's [`PerCpu`],
//! from [`install`] on; `swapgs` happens only on the way from and to user mode
//! (`trap.rs`). A `PerCpu` lives for ever and only its own processor touches
//! its cells, so they need no lock; what other processors reach (`Remote`) is
//! atomic. The type is not `Sync`; a reference never leaves the processor
//! because nothing here crosses a wait.
//!
//! | field | written by | read by |
//! |---|---|---|
//! | `kernel_stack`, `registers`, `scratch` | `trap.rs` | `trap.rs` |
//! | `owner`, `loadings`, `ran`, `extent`, `user_gs` | `context.rs` | `context.rs` |
//! | `apart` | `apart.rs`, once | `apart/entry.rs` |
//! | `event` | an interrupt in the window | the window |
//! | `let_in` | `context.rs`, the window | the window |
//! | `remote` | see [`Remote`] | any processor |

use core::arch::asm;
use core::cell::{Cell, UnsafeCell};

use ochre_sync::primitive::atomic::{AtomicPtr, AtomicU32, Ordering};

use crate::cpu::MAX_CPUS;
use crate::irq::Event;
use crate::memory::presence::Presence;

use super::apart::Apart;
use super::fpu::Extent;
use super::gdt::Tables;
use super::registers::Registers;
use super::{fault, system};

/// See the module. The assembly knows some of the fields.
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
    pub(super) index: Cell<u32>,
    /// Which loading of a context is in the processor (floating point, bases); 0 for none.
    pub(super) owner: Cell<u64>,
    /// How often this processor has loaded a context.
    pub(super) loadings: Cell<u64>,
    /// Whether a program ran since its state was last saved or loaded.
    pub(super) ran: Cell<bool>,
    /// How much of that may be other than initial, as it was saved or loaded.
    pub(super) extent: Cell<Extent>,
    /// What the programs' GS base was set to last.
    pub(super) user_gs: Cell<u64>,
    /// Whether interrupts are on for a moment, in kernel mode.
    pub(super) window: Cell<bool>,
    /// Whether interrupts were on, in user mode, since the window was last asked for.
    pub(super) let_in: Cell<bool>,
    /// What the interrupt in the window was.
    pub(super) event: Cell<Option<Event>>,
    /// Whether this processor is telling why it dies: a second failure then must not tell again.
    pub(super) dying: Cell<bool>,
    /// The ends of the interrupt stacks.
    pub(super) interrupt_stacks: Cell<[u64; 3]>,
    /// Descriptor tables.
    pub(super) tables: UnsafeCell<Tables>,
    /// Called for a trap in the kernel.
    kernel_trap: extern "C" fn(&mut Registers),
    /// For programs on tables of their own.
    pub(super) apart: Apart,
    /// What other processors may look at.
    remote: Remote,
}

/// The part of a [`PerCpu`] that other processors reach.
struct Remote {
    /// The number of its local APIC, by which it is interrupted.
    apic_id: AtomicU32,
    /// What it knows of page tables.
    presence: Presence,
}

/// Where the assembly finds [`PerCpu::kernel_stack`].
pub(super) const KERNEL_STACK: usize = core::mem::offset_of!(PerCpu, kernel_stack);
/// Where the assembly finds [`PerCpu::registers`].
pub(super) const REGISTERS: usize = core::mem::offset_of!(PerCpu, registers);
/// Where the assembly finds [`PerCpu::scratch`].
pub(super) const SCRATCH: usize = core::mem::offset_of!(PerCpu, scratch);
/// Where the assembly finds [`PerCpu::interrupt_stacks`].
pub(super) const INTERRUPT_STACKS: usize = core::mem::offset_of!(PerCpu, interrupt_stacks);
/// Where the assembly finds [`PerCpu::kernel_trap`].
pub(super) const KERNEL_TRAP: usize = core::mem::offset_of!(PerCpu, kernel_trap);
/// Where the assembly finds [`PerCpu::apart`].
pub(super) const APART: usize = core::mem::offset_of!(PerCpu, apart);
/// Where the assembly finds [`Presence`]'s mode.
pub(super) const MODE: usize = core::mem::offset_of!(PerCpu, remote.presence) + Presence::MODE;

impl PerCpu {
    pub(super) const fn new() -> PerCpu {
        PerCpu {
            this: Cell::new(core::ptr::null()),
            kernel_stack: Cell::new(0),
            registers: Cell::new(core::ptr::null_mut()),
            scratch: Cell::new(0),
            index: Cell::new(0),
            owner: Cell::new(0),
            loadings: Cell::new(0),
            ran: Cell::new(false),
            extent: Cell::new(Extent::All),
            user_gs: Cell::new(u64::MAX),
            window: Cell::new(false),
            let_in: Cell::new(false),
            event: Cell::new(None),
            dying: Cell::new(false),
            interrupt_stacks: Cell::new([0; 3]),
            tables: UnsafeCell::new(Tables::new()),
            kernel_trap: fault::kernel_trap,
            apart: Apart::new(),
            remote: Remote {
                apic_id: AtomicU32::new(0),
                presence: Presence::new(),
            },
        }
    }

    /// Sets the number by which the processor is interrupted.
    pub(super) fn set_apic_id(&self, id: u32) {
        // ORDERING: Relaxed; published with the block.
        self.remote.apic_id.store(id, Ordering::Relaxed);
    }

    /// What the processor knows of page tables.
    #[inline]
    pub(super) fn presence(&self) -> &Presence {
        &self.remote.presence
    }
}

/// The boot processor's block, in a shape that a static may have.
struct Boot(PerCpu);

// SAFETY: `install_boot` is called once, and from then on only the boot
// processor reaches the block, through its GS base; `Remote` is for everyone.
unsafe impl Sync for Boot {}

static BOOT: Boot = Boot(PerCpu::new());

/// The blocks by the processors' numbers; null where there is no processor.
///
/// INVARIANT: a pointer that is not null is to a block that lives for ever.
static BLOCKS: [AtomicPtr<PerCpu>; MAX_CPUS] =
    [const { AtomicPtr::new(core::ptr::null_mut()) }; MAX_CPUS];

/// Gives the boot processor its block.
///
/// # Safety
/// Once, on the boot processor, before [`current`].
pub(super) unsafe fn install_boot() {
    // SAFETY: the static lives for ever and is only this processor's.
    unsafe { install(&raw const BOOT.0) };
    // SAFETY: as above.
    unsafe { publish(0, &raw const BOOT.0) };
}

/// Gives this processor its block.
///
/// # Safety
/// Once per processor, before [`current`]; the block lives for ever and is
/// nobody else's.
pub(super) unsafe fn install(block: *const PerCpu) {
    // SAFETY: alive, and this processor's own.
    unsafe { (*block).this.set(block) };
    // SAFETY: the block lives for ever; GS is used for nothing else.
    unsafe { system::write_msr(system::MSR_GS_BASE, block.expose_provenance() as u64) };
}

/// Lets other processors find a block under a number below `MAX_CPUS`.
///
/// # Safety
/// The block lives for ever.
pub(super) unsafe fn publish(index: usize, block: *const PerCpu) {
    // ORDERING: Release pairs with the Acquire in `remote`: the block is filled.
    BLOCKS[index].store(block.cast_mut(), Ordering::Release);
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

/// What a processor shows to others.
#[inline]
fn remote(index: usize) -> Option<&'static Remote> {
    // ORDERING: Acquire; see `publish`.
    let block = BLOCKS.get(index)?.load(Ordering::Acquire);
    if block.is_null() {
        return None;
    }
    // SAFETY: the invariant of `BLOCKS`; only the address is computed.
    let remote = unsafe { &raw const (*block).remote };
    // SAFETY: as above; the part is shared as atomics only.
    Some(unsafe { &*remote })
}

/// The APIC number of a processor.
#[inline]
pub(super) fn apic_id(index: usize) -> Option<u32> {
    // ORDERING: Relaxed; published with the block.
    remote(index).map(|remote| remote.apic_id.load(Ordering::Relaxed))
}

/// What a processor knows of page tables.
#[cfg(target_os = "none")]
#[inline]
pub(crate) fn presence_of(index: usize) -> Option<&'static Presence> {
    remote(index).map(|remote| &remote.presence)
}

/// What this processor knows of page tables.
#[cfg(target_os = "none")]
#[inline]
pub(crate) fn presence() -> &'static Presence {
    &current().remote.presence
}

/// This processor's number.
#[cfg(target_os = "none")]
#[inline]
pub(crate) fn index() -> u32 {
    current().index.get()
}

/// A host test is one processor.
#[cfg(not(target_os = "none"))]
mod host {
    use super::Presence;

    static PRESENCE: Presence = Presence::new();

    /// There is one processor.
    pub(crate) fn presence_of(index: usize) -> Option<&'static Presence> {
        (index == 0).then_some(&PRESENCE)
    }

    /// There is one processor.
    pub(crate) fn presence() -> &'static Presence {
        &PRESENCE
    }

    /// There is one processor.
    pub(crate) fn index() -> u32 {
        0
    }
}

#[cfg(not(target_os = "none"))]
pub(crate) use host::{index, presence, presence_of};
