//! From the first line of Rust to the kernel's first line.

use ochre_device_tree::{DeviceTree, HEADER_BYTES};
use ochre_sync::Once;

use crate::boot::{self, BootInfo, Initramfs, image};
use crate::memory;

use super::platform::Platform;
use super::uart::early;
use super::{devices, entry, features, layout, percpu, psci, report};

// `entry!` defines the symbol with exactly this signature.
unsafe extern "Rust" {
    safe fn ochre_kernel_main(boot: BootInfo) -> !;
}

/// What the loader handed over; set once, before anything reads it.
static PLATFORM: Once<Platform> = Once::new();

/// The boot code's only caller: once, on the boot stack; with the device tree's
/// address, and the exception level that the loader left the processor at.
pub(super) extern "C" fn start(tree: u64, level: u64) -> ! {
    // SAFETY: this is the boot processor's first call, and the only one.
    unsafe { percpu::install_boot() };
    let cpu = percpu::current();
    cpu.exception_stack.set(entry::boot_exception_stack());
    // SAFETY: once; the block is installed and nothing has touched user pages.
    unsafe { features::enable() };
    boot::stage_ends("the firmware and the boot code");
    let blob = early_bytes(tree);
    let Ok(found) = DeviceTree::new(blob) else {
        // It would name the console, too: that the machine ends is all that can be told.
        psci::off_unnamed(level)
    };
    let platform = Platform::read(&found, &image::physical());
    let _ = PLATFORM.set(platform);
    let platform = PLATFORM.get().expect("it was set on the line before");
    // From here on what is wrong can be told, and the machine be ended.
    if let Some(conduit) = platform.conduit {
        psci::init(conduit);
    }
    early::init(platform);
    crate::debug::set_panic_to_serial(true);
    assert!(
        !platform.ram.is_empty(),
        "the machine is unusable: its device tree leaves no memory"
    );
    crate::debug::configure_early(platform.cmdline());
    boot::stage_ends("the processor and the machine's tables");
    let archive = platform.initramfs.clone();
    // SAFETY: once, on the boot processor and its stack in the image; of the
    // memory that the loader left, only the archive is still used.
    let memory = unsafe { memory::boot::init(&platform.ram, archive.as_slice()) };
    assert!(
        memory.is_ok(),
        "too little memory for the kernel's own tables"
    );
    features::close_user_memory();
    boot::stage_ends("memory and page tables");
    devices::init(platform);
    crate::debug::set_panic_to_serial(false);
    // What is told of the kernel from here on can be given names.
    let _ = report::moved(&mut crate::debug::Log);
    boot::stage_ends("interrupts and clocks");
    ochre_kernel_main(BootInfo {
        cmdline: platform.cmdline(),
        // SAFETY: `Platform::read` checked that the pages are memory and not
        // the kernel's; they were reserved above, and this is their only owner.
        initramfs: archive.map(|range| unsafe { Initramfs::new(range) }),
    })
}

/// The device tree at a physical address, through the boot code's mapping;
/// nothing where that does not reach.
pub(super) fn early_bytes(tree: u64) -> &'static [u8] {
    let end_of_mapped = (tree / layout::EARLY_BYTES + 1) * layout::EARLY_BYTES;
    let reach = usize::try_from(end_of_mapped - tree).unwrap_or(0);
    if tree == 0 || tree >= 512 << 30 || reach < HEADER_BYTES {
        return &[];
    }
    let bytes = |len| {
        // CAST: an address.
        let at = core::ptr::with_exposed_provenance::<u8>((layout::direct_map() + tree) as usize);
        // SAFETY: `len` is at most `reach`, which the boot code mapped at
        // `direct_map`: the gigabyte of the address that the loader gave.
        // Nothing writes there before the memory module starts.
        unsafe { core::slice::from_raw_parts(at, len) }
    };
    match ochre_device_tree::total_bytes(bytes(HEADER_BYTES)) {
        Ok(total) if total <= reach => bytes(total),
        _ => bytes(HEADER_BYTES),
    }
}
