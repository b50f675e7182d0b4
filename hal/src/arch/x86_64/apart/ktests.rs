//! In-kernel tests of the window: what each processor has there, and that it
//! takes its traps there.

use alloc::vec::Vec;
use core::arch::asm;

use ochre_macros::ktest;
use ochre_paging::Rights;
use ochre_sync::primitive::atomic::Ordering;

use super::super::gdt::TablePointer;
use super::super::{percpu, system, trap};
use super::{BASE, OWN, PAGE, STEP, code, is_on};
use crate::cpu;
use crate::smp::ktests::on_each_processor;

/// What programs are to be shown of the kernel: addresses and rights.
pub(crate) fn shown() -> Vec<(u64, Rights)> {
    let base = BASE.load(Ordering::Relaxed);
    let mut pages = Vec::new();
    pages.push((base, Rights::empty()));
    pages.push((base + PAGE, Rights::EXECUTE));
    for number in 0..cpu::online() as u64 {
        let own = code() + OWN + number * STEP;
        pages.push((own - PAGE, Rights::EXECUTE));
        pages.push((own, Rights::WRITE));
    }
    pages
}

fn check_registers() {
    let mut tables = [const { TablePointer { limit: 0, base: 0 } }; 2];
    let [gates, segments] = &mut tables;
    // SAFETY: stores ten bytes each to locals.
    unsafe {
        asm!(
            "sidt [{}]", "sgdt [{}]",
            in(reg) &raw mut *gates, in(reg) &raw mut *segments,
            options(nostack, preserves_flags),
        );
    }
    let [gates, segments] = tables.map(|table| table.base);
    // SAFETY: every processor with long mode has it.
    let calls = unsafe { system::read_msr(system::MSR_LSTAR) };
    let own = percpu::current().apart.own.get();
    if !is_on() {
        assert_eq!(own, 0);
        assert_eq!(calls, trap::syscall_entry());
        return;
    }
    assert!(shown().contains(&(own, Rights::WRITE)), "{own:#x}");
    assert_eq!(gates, BASE.load(Ordering::Relaxed));
    assert_eq!(segments / PAGE * PAGE, own);
    assert_eq!(calls / PAGE * PAGE, own - PAGE);
}

#[ktest]
fn every_processor_takes_its_traps_where_programs_may_look() {
    on_each_processor(check_registers);
}

#[ktest]
fn the_code_in_the_window_is_the_image_s() {
    if !is_on() {
        return;
    }
    // A word of each page: through the window and in the image.
    for offset in [0, PAGE, 2 * PAGE - 8] {
        let read = |address: u64| {
            let place = core::ptr::with_exposed_provenance::<u64>(address as usize);
            // SAFETY: code, which is mapped for ever and not written.
            unsafe { place.read() }
        };
        assert_eq!(read(code() + offset), read(trap::stub(0) + offset));
    }
}
