//! The interrupt descriptor table: 256 gates to the stubs of `trap.rs`.
//!
//! One table for all processors; every gate clears the interrupt flag. Where
//! programs have tables of their own (`apart.rs`), another one takes its place.

use core::arch::asm;

use ochre_sync::Once;

use super::gdt::{IST_DOUBLE_FAULT, IST_MACHINE_CHECK, IST_NMI, TablePointer};
use super::registers::KERNEL_CODE;
use super::trap;

/// A present 64-bit interrupt gate.
const GATE: u64 = 0x8e00;

/// Privilege level 3 may use the gate by an instruction.
const FROM_USER: u64 = 3 << 13;

#[repr(C, align(16))]
struct Table([[u64; 2]; 256]);

static TABLE: Once<Table> = Once::new();

/// Builds the table (the first time) and loads it.
///
/// # Safety
/// The processor's segments and task state are loaded.
pub(super) unsafe fn load() {
    let _ = TABLE.set(gates(trap::stub));
    let table = TABLE
        .get()
        .expect("it was set, now or by another processor");
    // SAFETY: the table lives for ever, and each gate leads to a stub that
    // saves and restores what it touches.
    unsafe { load_from(core::ptr::from_ref(table).addr() as u64) };
}

/// The gates to stubs that are `distance` from where they are in the image, some
/// of them others.
pub(super) fn moved(distance: u64, others: [(u64, u64); 3]) -> [[u64; 2]; 256] {
    let stub = |vector| {
        let other = others.iter().find(|(of, _)| *of == vector);
        let stub = other.map_or_else(|| trap::stub(vector), |(_, stub)| *stub);
        stub.wrapping_add(distance)
    };
    gates(stub).0
}

/// Loads the table at an address.
///
/// # Safety
/// It is one of gates to the stubs, and stays there; the processor's segments
/// and task state are loaded.
pub(super) unsafe fn load_from(base: u64) {
    let pointer = TablePointer {
        limit: size_of::<Table>() as u16 - 1,
        base,
    };
    // SAFETY: the caller's promise.
    unsafe {
        asm!("lidt [{}]", in(reg) &raw const pointer, options(readonly, nostack, preserves_flags))
    };
}

/// Gates to these stubs.
fn gates(stub: impl Fn(u64) -> u64) -> Table {
    let mut table = Table([[0; 2]; 256]);
    // ANCHOR: gates
    for (vector, gate) in (0_u64..).zip(table.0.iter_mut()) {
        let address = stub(vector);
        let stack = match vector {
            2 => u64::from(IST_NMI),
            8 => u64::from(IST_DOUBLE_FAULT),
            18 => u64::from(IST_MACHINE_CHECK),
            _ => 0,
        };
        // `int3` and `into` are instructions that a program may use; every
        // other `int n` is a protection fault.
        let rights = match vector {
            3 | 4 => GATE | FROM_USER,
            _ => GATE,
        };
        *gate = [
            address & 0xffff
                | u64::from(KERNEL_CODE) << 16
                | stack << 32
                | rights << 32
                | (address >> 16 & 0xffff) << 48,
            address >> 32,
        ];
    }
    // ANCHOR_END: gates
    table
}
