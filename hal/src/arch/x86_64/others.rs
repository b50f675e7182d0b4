//! Bringing up the other processors.
//!
//! The boot processor calls all of them at once and gives each a [`Slot`]:
//!
//! ```text
//!            call            trampoline          come              start
//!   EMPTY ─────────▶ CALLED ────────────▶ COMES ───────▶ READY ─────────▶ RUNS
//!                       │                   │
//!                 start │ too late          │ come: not like the first
//!                       ▼                   ▼                   │
//!                     GONE                UNFIT ◀───────────────┘ another time
//! ```
//! | transition | by | with |
//! |---|---|---|
//! | CALLED to COMES, CALLED to GONE | the processor, the boot processor | compare-exchange: one of them |
//! | all others | the state's owner | a Release store |
//!
//! When no slot is CALLED or COMES any more the ready ones are numbered, in
//! the order of the tables, and let go.

use core::alloc::Layout;
use core::ptr::NonNull;

use ochre_sync::Once;
use ochre_sync::primitive::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};
use ochre_sync::primitive::spin_loop;

use super::acpi::Processors;
use super::apic::{self, LocalApic};
use super::percpu::{self, PerCpu};
use super::pvh::Physical;
use super::{apart, clock, features, gdt, idt, layout, power, trampoline};
use crate::clock::alarm;
use crate::cpu::{self, MAX_CPUS};
use crate::memory::{self, OutOfMemory, presence, stacks};

/// The page of low memory where processors start. It belongs to the first
/// 64 KiB, which are never given to the allocator.
const START_PAGE: u8 = 8;

const START_ADDRESS: u64 = (START_PAGE as u64) << 12;

/// A processor that was called may take so long.
const PATIENCE_NS: u64 = 2_000_000_000;

/// Then the call is repeated.
const REPEAT_NS: u64 = 1_000_000;

const EMPTY: u32 = 0;
pub(super) const CALLED: u32 = 1;
pub(super) const COMES: u32 = 2;
const READY: u32 = 3;
const RUNS: u32 = 4;
const GONE: u32 = 5;
const UNFIT: u32 = 6;

/// What a processor finds when it comes. The assembly knows the layout.
#[repr(C)]
pub(super) struct Slot {
    pub(super) apic_id: AtomicU32,
    pub(super) state: AtomicU32,
    /// The end of its stack.
    pub(super) stack: AtomicU64,
    block: AtomicPtr<PerCpu>,
    /// Its number, when it is let go.
    index: AtomicU32,
    /// What its time stamp counter said when it was asked: [`ASKED`] before.
    stamp: AtomicU64,
}

/// [`Slot::stamp`]: the processor is asked.
const ASKED: u64 = 0;

/// [`Slot::stamp`]: nobody asks.
const NOT_ASKED: u64 = u64::MAX;

/// ORDERING: fields are filled before the state says CALLED (Release), and
/// read after the processor saw that (a locked operation).
#[unsafe(no_mangle)]
static OCHRE_OTHERS: [Slot; MAX_CPUS] = [const {
    Slot {
        apic_id: AtomicU32::new(u32::MAX),
        state: AtomicU32::new(EMPTY),
        stack: AtomicU64::new(0),
        block: AtomicPtr::new(core::ptr::null_mut()),
        index: AtomicU32::new(0),
        stamp: AtomicU64::new(NOT_ASKED),
    }
}; MAX_CPUS];

/// The kernel's own root table.
#[unsafe(no_mangle)]
static OCHRE_OTHERS_ROOT: AtomicU64 = AtomicU64::new(0);

/// The processors of the tables; empty where they cannot be started.
static PROCESSORS: Once<Processors> = Once::new();

/// Where each goes in the end.
static ENTRY: Once<fn() -> !> = Once::new();

/// Puts the first instructions in their place, while low memory is mapped.
///
/// # Safety
/// Once, on the boot processor, on the boot code's tables.
pub(super) unsafe fn prepare(processors: &Processors, memory: &impl Physical) {
    if processors.ids().len() < 2 {
        return;
    }
    let code = trampoline::code();
    for (offset, byte) in (START_ADDRESS..).zip(code) {
        let at = layout::direct_map() + offset;
        let at = core::ptr::with_exposed_provenance_mut::<u8>(at as usize);
        // SAFETY: the boot code mapped this page, which is nobody's: what the
        // loader left in low memory was copied or lies above.
        unsafe { at.write_volatile(*byte) };
    }
    // A machine without memory there has the one processor.
    let mut copy = [0; 128];
    let Some(copy) = copy.get_mut(..code.len()) else {
        return;
    };
    if memory.read(START_ADDRESS, copy).is_some() && copy == code {
        let _ = PROCESSORS.set(processors.clone());
    }
}

/// How many processors there are.
pub(crate) fn present() -> usize {
    PROCESSORS
        .get()
        .map_or(1, |processors| processors.ids().len().min(MAX_CPUS))
}

/// Starts the others; comes back when they run. Whether any was called. Once.
pub(crate) fn start(entry: fn() -> !) -> bool {
    let _ = ENTRY.set(entry);
    let (Some(processors), Some(apic)) = (PROCESSORS.get(), apic::local()) else {
        return false;
    };
    // ORDERING: Relaxed; published by the slots' states.
    OCHRE_OTHERS_ROOT.store(memory::space::kernel_root_address(), Ordering::Relaxed);
    let own = apic.id();
    // One number is the boot processor's.
    let others = processors.ids().iter().filter(|id| **id != own);
    let mut called = 0;
    for (slot, id) in OCHRE_OTHERS.iter().take(MAX_CPUS - 1).zip(others) {
        if let Err(OutOfMemory) = call(slot, *id) {
            log::warn!("no memory for more than {called} other processors");
            break;
        }
        called += 1;
    }
    let slots = OCHRE_OTHERS.get(..called).unwrap_or_default();
    for slot in slots {
        // SAFETY: a processor that does not run yet: the tables' numbers are
        // all different and this one's is left out.
        unsafe { apic.reset(slot.apic_id.load(Ordering::Relaxed)) };
    }
    wait(apic, slots);
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
        }
    }
    if online > 1 {
        alarm::start_watch();
    }
    called > 0
}

/// Gives a processor its slot, its memory in it.
fn call(slot: &Slot, id: u32) -> Result<(), OutOfMemory> {
    const PAGE: usize = 4096;
    let stack = stacks::allocate(stacks::STACK_BYTES / PAGE)?;
    let mut ends = [0; 3];
    for end in &mut ends {
        *end = stacks::allocate(gdt::IST_BYTES / PAGE)?.top;
    }
    let layout = Layout::new::<PerCpu>();
    // SAFETY: the layout has a size.
    let block = unsafe { alloc::alloc::alloc(layout) }.cast::<PerCpu>();
    let block = NonNull::new(block).ok_or(OutOfMemory)?;
    // SAFETY: fresh memory of that layout.
    unsafe { block.write(PerCpu::new()) };
    // SAFETY: just written, and nobody else's yet.
    let filled = unsafe { block.as_ref() };
    filled.interrupt_stacks.set(ends);
    filled.set_apic_id(id);
    apart::give_page(filled)?;
    slot.apic_id.store(id, Ordering::Relaxed);
    slot.stack.store(stack.top, Ordering::Relaxed);
    slot.block.store(block.as_ptr(), Ordering::Relaxed);
    // ORDERING: Release; see `OCHRE_OTHERS`.
    slot.state.store(CALLED, Ordering::Release);
    Ok(())
}

/// Waits until every processor that was called is ready, or not to be waited for.
fn wait(apic: &LocalApic, slots: &[Slot]) {
    let began = clock::now_ns();
    let mut call_again = 0;
    loop {
        let passed = clock::now_ns().saturating_sub(began);
        let mut waiting = false;
        for slot in slots {
            // ORDERING: Relaxed; `number` looks again.
            match slot.state.load(Ordering::Relaxed) {
                CALLED if passed > PATIENCE_NS => {
                    // ORDERING: Relaxed; nothing is read on either side.
                    let _ = slot.state.compare_exchange(
                        CALLED,
                        GONE,
                        Ordering::Relaxed,
                        Ordering::Relaxed,
                    );
                    waiting = true;
                }
                CALLED => {
                    waiting = true;
                    if passed >= call_again {
                        let id = slot.apic_id.load(Ordering::Relaxed);
                        // SAFETY: `prepare` put the code there.
                        unsafe { apic.start_up(id, START_PAGE) };
                    }
                }
                COMES if passed <= 2 * PATIENCE_NS => waiting = true,
                _ => {}
            }
        }
        if !waiting {
            return;
        }
        if passed >= call_again {
            call_again = passed + REPEAT_NS;
        }
        spin_loop();
    }
}

/// Numbers the processors that are ready; how many run then, with this one.
fn number(slots: &[Slot]) -> usize {
    let mut online = 1;
    for slot in slots {
        let id = slot.apic_id.load(Ordering::Relaxed);
        // ORDERING: Acquire pairs with the Release in `come`: what the processor
        // did before is done.
        match slot.state.load(Ordering::Acquire) {
            READY if !is_in_time(slot) => {
                log::error!("the counter of the processor with APIC number {id} is not in step");
                slot.state.store(UNFIT, Ordering::Relaxed);
            }
            READY => {
                // CAST: below `MAX_CPUS`.
                slot.index.store(online as u32, Ordering::Relaxed);
                // SAFETY: `call` leaked the block.
                unsafe { percpu::publish(online, slot.block.load(Ordering::Relaxed)) };
                online += 1;
            }
            UNFIT => log::error!("the processor with APIC number {id} is not like the first"),
            _ => log::error!("the processor with APIC number {id} does not start"),
        }
    }
    online
}

/// Whether the time stamp counter of a processor that is ready goes with this
/// one's: between two readings here there is one there, and it lies between
/// them. The clock of all processors is the one counter.
///
/// Some rounds, since a quick one tells more than a slow one. Where many
/// processors take turns at few of a host's, none is quick: one has to do.
fn is_in_time(slot: &Slot) -> bool {
    const ROUNDS: usize = 8;
    const SLOW_NS: u64 = 1_000_000;
    let began = clock::now_ns();
    (0..ROUNDS).all(|round| {
        if round > 0 && clock::now_ns().saturating_sub(began) > SLOW_NS {
            return true;
        }
        let before = clock::counter();
        // ORDERING: Release and Acquire, here and in `come`: each reading of
        // a counter is between the words' changes.
        slot.stamp.store(ASKED, Ordering::Release);
        let there = loop {
            match slot.stamp.load(Ordering::Acquire) {
                ASKED => spin_loop(),
                stamp => break stamp,
            }
        };
        (before..=clock::counter()).contains(&there)
    })
}

/// The first Rust of a started processor, on its own stack, with interrupts off.
///
/// Called by the trampoline, with the slot that it took.
pub(super) extern "C" fn come(slot: &'static Slot) -> ! {
    // SAFETY: the slot's block is this processor's since it took the slot.
    unsafe { percpu::install(slot.block.load(Ordering::Relaxed)) };
    let cpu = percpu::current();
    // SAFETY: this processor's own block and stacks, once, before any trap.
    unsafe { gdt::load(cpu, cpu.interrupt_stacks.get()) };
    // SAFETY: the line above loaded the segments and the task state.
    unsafe { idt::load() };
    let apic = apic::local().filter(|_| features::are_those_here());
    let Some(apic) = apic else {
        // ORDERING: Release; see `number`.
        slot.state.store(UNFIT, Ordering::Release);
        power::halt()
    };
    // SAFETY: once; this processor's tables are loaded and nothing has touched
    // user pages.
    unsafe { features::enable() };
    apic.init_other();
    // ORDERING: Release; see `number`.
    slot.state.store(READY, Ordering::Release);
    loop {
        // ORDERING: Acquire; see `start`.
        match slot.state.load(Ordering::Acquire) {
            RUNS => break,
            UNFIT => power::halt(),
            _ => {}
        }
        // ORDERING: see `is_in_time`.
        if slot.stamp.load(Ordering::Acquire) == ASKED {
            slot.stamp.store(clock::counter().max(1), Ordering::Release);
        }
        spin_loop();
    }
    cpu.index.set(slot.index.load(Ordering::Relaxed));
    gdt::tell_number(cpu);
    // SAFETY: once, here, with all that `come` has loaded.
    unsafe { apart::arm(cpu, cpu.interrupt_stacks.get()) };
    presence::guard();
    alarm::start_watch();
    let entry = ENTRY.get().expect("it was set before anybody was called");
    entry()
}
