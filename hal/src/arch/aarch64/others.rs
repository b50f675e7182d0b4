//! Bringing up the other processors, by the firmware.
//!
//! The boot processor calls all of them at once and gives each a [`Slot`]:
//!
//! ```text
//!            call            come               start
//!   EMPTY ─────────▶ CALLED ────────▶ READY ─────────▶ RUNS
//!                      │ │
//!       too late, no   │ │ not like the first
//!       such processor ▼ ▼
//!                    GONE UNFIT
//! ```
//! CALLED ends by a compare-exchange, so that exactly one of processor and
//! boot processor ends it; all others are the owner's Release store. When no
//! slot is CALLED any more the ready ones are numbered, in the order of the
//! device tree, and let go. The counter is the same for all by architecture.
//!
//! Who is ready sleeps until it is let go: processors that are threads of a
//! host with fewer would keep each other from coming, as long as they look.

use core::alloc::Layout;
use core::mem::offset_of;
use core::ptr::NonNull;

use ochre_sync::Once;
use ochre_sync::primitive::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};
use ochre_sync::primitive::spin_loop;

use super::percpu::{self, PerCpu};
use super::{clock, features, interrupts, layout, power, psci, system, window};
use crate::clock::alarm;
use crate::cpu::{self, MAX_CPUS};
use crate::memory::{self, OutOfMemory, presence, stacks};

/// A processor that was called may take so long after the one that came before.
const PATIENCE_NS: u64 = 2_000_000_000;

const EMPTY: u32 = 0;
const CALLED: u32 = 1;
const READY: u32 = 2;
const RUNS: u32 = 3;
const GONE: u32 = 4;
const UNFIT: u32 = 5;

/// What a processor finds when it comes. The assembly knows the first fields.
#[repr(C)]
struct Slot {
    /// The kernel's own root table.
    root: AtomicU64,
    /// The end of its stack.
    stack: AtomicU64,
    /// The end of its exception stack.
    exception_stack: AtomicU64,
    state: AtomicU32,
    /// Its number, when it is let go.
    index: AtomicU32,
    affinity: AtomicU64,
    block: AtomicPtr<PerCpu>,
}

/// ORDERING: fields are filled before the state says CALLED (Release) and the
/// firmware starts the processor.
static SLOTS: [Slot; MAX_CPUS] = [const {
    Slot {
        root: AtomicU64::new(0),
        stack: AtomicU64::new(0),
        exception_stack: AtomicU64::new(0),
        state: AtomicU32::new(EMPTY),
        index: AtomicU32::new(0),
        affinity: AtomicU64::new(0),
        block: AtomicPtr::new(core::ptr::null_mut()),
    }
}; MAX_CPUS];

/// The processors of the device tree.
static PROCESSORS: Once<[Option<u64>; MAX_CPUS]> = Once::new();

/// Where each goes in the end.
static ENTRY: Once<fn() -> !> = Once::new();

unsafe extern "C" {
    /// The first instructions of a started processor.
    safe static ochre_entry_other: u8;
}

/// Takes note of the processors that there are; once.
pub(super) fn prepare(processors: [Option<u64>; MAX_CPUS]) {
    let _ = PROCESSORS.set(processors);
}

/// How many processors there are.
pub(crate) fn present() -> usize {
    PROCESSORS
        .get()
        .map_or(1, |processors| processors.iter().flatten().count().max(1))
}

/// Starts the others; comes back when they run. Whether any was called. Once.
pub(crate) fn start(entry: fn() -> !) -> bool {
    let _ = ENTRY.set(entry);
    let Some(processors) = PROCESSORS.get() else {
        return false;
    };
    let own = system::affinity();
    let others = processors.iter().flatten().filter(|one| **one != own);
    let mut called = 0;
    for (slot, affinity) in SLOTS.iter().take(MAX_CPUS - 1).zip(others) {
        if let Err(OutOfMemory) = call(slot, *affinity) {
            log::warn!("no memory for more than {called} other processors");
            break;
        }
        called += 1;
    }
    let slots = SLOTS.get(..called).unwrap_or_default();
    wait(slots);
    let online = number(slots);
    if online > 1 {
        presence::guard();
        cpu::set_online(online);
    }
    for slot in slots {
        if slot.state.load(Ordering::Relaxed) == READY {
            // ORDERING: Release pairs with the Acquire in `come`: it knows its
            // number, and how many there are.
            slot.state.store(RUNS, Ordering::Release);
            // Wakes it, and is no news to whoever looks for interrupts there.
            interrupts::ask_for_a_sign(slot.index.load(Ordering::Relaxed) as usize);
        }
    }
    if online > 1 {
        alarm::start_watch();
    }
    called > 0
}

/// Gives a processor its slot, its memory in it, and has it started.
fn call(slot: &'static Slot, affinity: u64) -> Result<(), OutOfMemory> {
    const PAGE: usize = 4096;
    let stack = stacks::allocate(stacks::STACK_BYTES / PAGE)?;
    let exception_stack = stacks::allocate(layout::EXCEPTION_STACK_BYTES / PAGE)?;
    let layout = Layout::new::<PerCpu>();
    // SAFETY: the layout has a size.
    let block = unsafe { alloc::alloc::alloc(layout) }.cast::<PerCpu>();
    let block = NonNull::new(block).ok_or(OutOfMemory)?;
    // SAFETY: fresh memory of that layout.
    unsafe { block.write(PerCpu::new()) };
    // SAFETY: just written, and nobody else's yet.
    let filled = unsafe { block.as_ref() };
    filled.exception_stack.set(exception_stack.top);
    let root = memory::space::kernel_root_address();
    slot.root.store(root, Ordering::Relaxed);
    slot.stack.store(stack.top, Ordering::Relaxed);
    slot.exception_stack
        .store(exception_stack.top, Ordering::Relaxed);
    slot.affinity.store(affinity, Ordering::Relaxed);
    slot.block.store(block.as_ptr(), Ordering::Relaxed);
    // ORDERING: Release; see `SLOTS`.
    slot.state.store(CALLED, Ordering::Release);
    let entry = layout::to_physical((&raw const ochre_entry_other).addr() as u64);
    let argument = core::ptr::from_ref(slot).addr() as u64;
    // SAFETY: a barrier, so that the processor finds all of it.
    unsafe { core::arch::asm!("dsb ish", options(nostack, preserves_flags)) };
    // SAFETY: a processor that does not run yet: the tree's numbers are all
    // different and this one's is left out. If they are not, the firmware refuses.
    if !unsafe { psci::start(affinity, entry, argument) } {
        end_call(slot, GONE);
    }
    Ok(())
}

/// Ends CALLED, unless it ended otherwise.
fn end_call(slot: &Slot, state: u32) -> bool {
    // ORDERING: Release pairs with the Acquire in `number`: what the processor
    // did before is done.
    slot.state
        .compare_exchange(CALLED, state, Ordering::Release, Ordering::Relaxed)
        .is_ok()
}

/// Waits until every processor that was called is ready, or not to be waited for.
fn wait(slots: &[Slot]) {
    let (mut heard_at, mut left) = (clock::now_ns(), slots.len());
    loop {
        let called = slots
            .iter()
            // ORDERING: Relaxed; `number` looks again.
            .filter(|slot| slot.state.load(Ordering::Relaxed) == CALLED);
        let (now, count) = (clock::now_ns(), called.count());
        if count == 0 {
            return;
        }
        if count < left {
            (heard_at, left) = (now, count);
        } else if now.saturating_sub(heard_at) > PATIENCE_NS {
            for slot in slots {
                end_call(slot, GONE);
            }
        }
        spin_loop();
    }
}

/// Numbers the processors that are ready; how many run then, with this one.
fn number(slots: &[Slot]) -> usize {
    let mut online = 1;
    for slot in slots {
        let affinity = slot.affinity.load(Ordering::Relaxed);
        // ORDERING: Acquire; see `end_call`.
        match slot.state.load(Ordering::Acquire) {
            READY => {
                // CAST: below `MAX_CPUS`.
                slot.index.store(online as u32, Ordering::Relaxed);
                // SAFETY: `call` leaked the block.
                unsafe { percpu::publish(online, slot.block.load(Ordering::Relaxed)) };
                online += 1;
            }
            UNFIT => log::error!("the processor {affinity:#x} is not like the first"),
            _ => log::error!("the processor {affinity:#x} does not start"),
        }
    }
    online
}

/// The first Rust of a started processor, on its own stack, with interrupts masked.
extern "C" fn come(slot: &'static Slot) -> ! {
    // SAFETY: the slot's block is this processor's.
    unsafe { percpu::install(slot.block.load(Ordering::Relaxed)) };
    let cpu = percpu::current();
    // SAFETY: once; the block is installed and nothing has touched user pages.
    unsafe { features::enable() };
    features::close_user_memory();
    if !features::are_those_here() || !interrupts::init_here() {
        end_call(slot, UNFIT);
        power::halt()
    }
    if !end_call(slot, READY) {
        power::halt()
    }
    // ORDERING: Acquire; see `start`.
    while slot.state.load(Ordering::Acquire) != RUNS {
        window::sleep();
    }
    cpu.index.set(slot.index.load(Ordering::Relaxed));
    presence::guard();
    alarm::start_watch();
    let entry = ENTRY.get().expect("it was set before anybody was called");
    entry()
}

core::arch::global_asm!(
    ".pushsection .text.boot, \"ax\", %progbits",
    // MMU off, x0 = the slot's address in the image.
    ".global ochre_entry_other",
    "ochre_entry_other:",
    "mov x21, x0",
    "bl ochre_to_el1",
    "adrp x0, OCHRE_EARLY_TABLES",
    "add x0, x0, :lo12:OCHRE_EARLY_TABLES",
    "bl ochre_mmu_on",
    // The image's place is not where it is linked, and memory as the others see
    // it is there only now.
    "adrp x1, OCHRE_IMAGE_OFFSET",
    "ldr x20, [x1, :lo12:OCHRE_IMAGE_OFFSET]",
    // The slot where it is in memory: the upper half is not to be used yet.
    "sub x0, x21, x20",
    "ldr x22, [x0, #{root}]",
    "add x0, x22, #0x800",
    "bl ochre_change_root",
    "adr x0, ochre_other_high",
    "add x0, x0, x20",
    "br x0",
    "ochre_other_high:",
    "msr ttbr0_el1, x22",
    "isb",
    "tlbi vmalle1",
    "dsb nsh",
    "isb",
    "ldr x0, [x21, #{exception_stack}]",
    "msr spsel, #1",
    "mov sp, x0",
    "msr spsel, #0",
    "ldr x0, [x21, #{stack}]",
    "mov sp, x0",
    "mov x0, x21",
    // A frame pointer of zero ends every backtrace.
    "mov x29, xzr",
    "mov x30, xzr",
    "bl {come}",
    "b .",
    ".ltorg",
    ".popsection",
    root = const offset_of!(Slot, root),
    stack = const offset_of!(Slot, stack),
    exception_stack = const offset_of!(Slot, exception_stack),
    come = sym come,
);
