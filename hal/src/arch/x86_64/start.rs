//! From the first line of Rust to the kernel's first line.

use ochre_sync::Once;

use crate::boot::{self, BootInfo, Initramfs, image};
use crate::memory;

use super::pvh::{self, Handover, Physical};
use super::{apart, devices, features, gdt, idt, layout, others, percpu, report};

// `entry!` defines the symbol with exactly this signature.
unsafe extern "Rust" {
    safe fn ochre_kernel_main(boot: BootInfo) -> !;
}

/// What the loader handed over; set once, before anything reads it.
static HANDOVER: Once<Handover> = Once::new();

/// The boot code's only caller: once, on the boot stack.
pub(super) extern "C" fn start(start_info: u64) -> ! {
    // SAFETY: this is the boot processor's first call, and the only one.
    unsafe { percpu::install_boot() };
    // SAFETY: the boot processor's own block and stacks, once, before any trap.
    unsafe { gdt::load(percpu::current(), gdt::boot_stacks()) };
    gdt::tell_number(percpu::current());
    // SAFETY: the line above loaded the segments and the task state.
    unsafe { idt::load() };
    boot::stage_ends("the firmware and the boot code");
    let handover = match pvh::read(&EarlyMap, start_info, &image::physical()) {
        Ok(handover) => handover,
        Err(error) => {
            // There is no command line to say otherwise, so tell the usual port.
            let _ = crate::debug::set_log_port(0x402);
            panic!("the loader's start info is unusable: {error:?}");
        }
    };
    let _ = HANDOVER.set(handover);
    let handover = HANDOVER.get().expect("it was set on the line before");
    crate::debug::configure_early(handover.cmdline());
    // What dies from here on can be given names.
    let _ = report::moved(&mut crate::debug::Log);
    // SAFETY: once, here: on the boot code's tables, no program was run and the
    // features are switched on next.
    unsafe { apart::prepare(handover.cmdline()) };
    // SAFETY: once; this processor's tables are loaded and nothing has touched
    // user pages.
    unsafe { features::enable() };
    let platform = devices::find(&EarlyMap, handover.rsdp);
    // SAFETY: once, here, on the boot code's tables.
    unsafe { others::prepare(&platform.processors, &EarlyMap) };
    boot::stage_ends("the processor and the machine's tables");
    let archive = handover.initramfs.clone();
    // SAFETY: once, on the boot processor and its stack in the image; of the
    // memory that the loader left, only the archive is still used.
    let memory = unsafe { memory::boot::init(&handover.ram, archive.as_slice()) };
    assert!(
        memory.is_ok(),
        "too little memory for the kernel's own tables"
    );
    // SAFETY: once, here: memory is there, and no program was run.
    let window = unsafe { apart::build() };
    assert!(window.is_ok(), "too little memory for programs' own tables");
    // SAFETY: once, on the boot processor, which has all that by now.
    unsafe { apart::arm(percpu::current(), gdt::boot_stacks()) };
    boot::stage_ends("memory and page tables");
    devices::init(platform, &handover.ram);
    boot::stage_ends("interrupts and clocks");
    ochre_kernel_main(BootInfo {
        cmdline: handover.cmdline(),
        // SAFETY: `pvh::read` checked that the pages are memory and not the
        // kernel's; they were reserved above, and this is their only owner.
        initramfs: archive.map(|range| unsafe { Initramfs::new(range) }),
    })
}

/// The command line; empty before it is read.
pub(super) fn cmdline() -> &'static [u8] {
    HANDOVER.get().map_or(&[], Handover::cmdline)
}

/// Physical memory through the boot code's mapping.
pub(super) struct EarlyMap;

impl Physical for EarlyMap {
    fn read(&self, address: u64, to: &mut [u8]) -> Option<()> {
        let end = address.checked_add(to.len() as u64)?;
        if end > layout::EARLY_DIRECT_BYTES {
            return None;
        }
        let from = core::ptr::with_exposed_provenance::<u8>(
            usize::try_from(layout::direct_map().checked_add(address)?).ok()?,
        );
        for (index, byte) in to.iter_mut().enumerate() {
            // SAFETY: in bounds of the mapping that the check above keeps to.
            let at = unsafe { from.add(index) };
            // SAFETY: the boot code mapped the first `EARLY_DIRECT_BYTES` at
            // `direct_map`; nothing else runs, so nothing writes there.
            *byte = unsafe { at.read_volatile() };
        }
        Some(())
    }
}
