//! From the loader's hand-over to the kernel's first line.
//!
//! The loader (PVH today) leaves a memory map, a command line and an initial
//! archive; all three are hostile input. [`entry!`](crate::entry) names the
//! kernel's first function, which receives them as a [`BootInfo`].

pub(crate) mod image;
mod initramfs;
pub(crate) mod memory_map;
pub(crate) mod places;
mod stages;

pub use initramfs::Initramfs;
pub use stages::{Stage, stage_ends, stages};

/// What the loader handed over, checked.
#[derive(Debug)]
pub struct BootInfo {
    /// The kernel command line, without the terminating NUL; any bytes.
    pub cmdline: &'static [u8],
    /// The initial archive, where the loader brought one.
    pub initramfs: Option<Initramfs>,
}

// ANCHOR: entry
/// Names the kernel's entry: a `fn(BootInfo) -> !`.
///
/// Expands to the one symbol that the boot code jumps to; a second use is a
/// link error.
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        #[unsafe(export_name = "ochre_kernel_main")]
        extern "Rust" fn __ochre_kernel_main(boot: $crate::boot::BootInfo) -> ! {
            let main: fn($crate::boot::BootInfo) -> ! = $main;
            main(boot)
        }
    };
}
// ANCHOR_END: entry
