//! What each processor keeps for itself, reached through `TPIDR_EL1`.
//!
//! # Invariants
//! `TPIDR_EL1` is the address of this processor's [`PerCpu`], from [`install`]
//! on. A `PerCpu` lives for ever and only its own processor touches its cells,
//! so they need no lock; what other processors reach (`Remote`) is atomic. The
//! type is not `Sync`; a reference never leaves the processor because nothing
//! here crosses a wait.
//!
//! | field | written by | read by |
//! |---|---|---|
//! | `kernel_stack`, `exception_stack` | `trap.rs`, `start.rs` | `trap.rs` |
//! | `owner`, `loadings` | `context.rs` | `context.rs` |
//! | `keys_off` | `keys.rs` | `keys.rs` |
//! | `remote` | see [`Remote`] | any processor |

use core::arch::asm;
use core::cell::Cell;

use ochre_sync::primitive::atomic::{AtomicPtr, AtomicU64, Ordering};

use crate::cpu::MAX_CPUS;
use crate::memory::presence::Presence;

/// See the module. The assembly knows the first two fields.
#[repr(C, align(64))]
pub(crate) struct PerCpu {
    /// Stack pointer to return to when user mode traps.
    pub(super) kernel_stack: Cell<u64>,
    /// The end of the stack on which the kernel's own exceptions are handled.
    pub(super) exception_stack: Cell<u64>,
    /// The processor's number.
    pub(super) index: Cell<u32>,
    /// Which loading of a context is in the processor (floating point, thread pointer); 0 for none.
    pub(super) owner: Cell<u64>,
    /// How often this processor has loaded a context.
    pub(super) loadings: Cell<u64>,
    /// Which keys are switched off: bits of SCTLR_EL1 that are 0.
    pub(super) keys_off: Cell<u64>,
    /// Whether this processor is telling why it dies: a second failure then must not tell again.
    pub(super) dying: Cell<bool>,
    /// What other processors may look at.
    remote: Remote,
}

/// The part of a [`PerCpu`] that other processors reach.
struct Remote {
    /// By which the interrupt controller knows it: the affinity, or a GICv2's bit.
    target: AtomicU64,
    /// What it knows of page tables.
    presence: Presence,
}

/// Where the assembly finds [`PerCpu::kernel_stack`].
pub(super) const KERNEL_STACK: usize = core::mem::offset_of!(PerCpu, kernel_stack);
/// Where the assembly finds [`PerCpu::exception_stack`].
pub(super) const EXCEPTION_STACK: usize = core::mem::offset_of!(PerCpu, exception_stack);
/// Where the assembly finds [`Presence`]'s mode.
pub(super) const MODE: usize = core::mem::offset_of!(PerCpu, remote.presence) + Presence::MODE;

impl PerCpu {
    pub(super) const fn new() -> PerCpu {
        PerCpu {
            kernel_stack: Cell::new(0),
            exception_stack: Cell::new(0),
            index: Cell::new(0),
            owner: Cell::new(0),
            loadings: Cell::new(0),
            keys_off: Cell::new(0),
            dying: Cell::new(false),
            remote: Remote {
                target: AtomicU64::new(0),
                presence: Presence::new(),
            },
        }
    }

    /// Sets by what the processor is interrupted.
    pub(super) fn set_target(&self, target: u64) {
        // ORDERING: Relaxed; published with the block.
        self.remote.target.store(target, Ordering::Relaxed);
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
// processor reaches the block, through its register; `Remote` is for everyone.
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
    let address = block.expose_provenance();
    // SAFETY: the register is used for nothing else.
    unsafe { asm!("msr tpidr_el1, {}", in(reg) address, options(nostack, preserves_flags)) };
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
    // SAFETY: by the module's invariant the register is the block's address.
    // Not `pure`: a thread may go on elsewhere.
    unsafe {
        asm!("mrs {}, tpidr_el1", out(reg) this, options(nomem, nostack, preserves_flags));
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

/// By which the interrupt controller knows a processor.
#[inline]
pub(super) fn target(index: usize) -> Option<u64> {
    // ORDERING: Relaxed; published with the block.
    remote(index).map(|remote| remote.target.load(Ordering::Relaxed))
}

/// What a processor knows of page tables.
#[inline]
pub(crate) fn presence_of(index: usize) -> Option<&'static Presence> {
    remote(index).map(|remote| &remote.presence)
}

/// What this processor knows of page tables.
#[inline]
pub(crate) fn presence() -> &'static Presence {
    &current().remote.presence
}

/// This processor's number.
#[inline]
pub(crate) fn index() -> u32 {
    current().index.get()
}
