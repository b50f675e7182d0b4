//! From the loader's hand-over to the kernel's first line.
//!
//! The loader (PVH today) leaves a memory map, a command line and an initial
//! archive; all three are hostile input. [`entry!`](crate::entry) names the
//! kernel's first function, which receives them as a [`BootInfo`].

use crate::memory::UserFrame;

pub(crate) mod memory_map;

/// What the loader handed over, checked.
#[derive(Debug)]
pub struct BootInfo {
    /// The kernel command line, without the terminating NUL; any bytes.
    pub cmdline: &'static [u8],
    /// The initial archive, where the loader brought one.
    pub initramfs: Option<Initramfs>,
}

/// The initial archive in memory, read once from front to back.
///
/// Its pages belong to this value; a page wholly behind the cursor goes back
/// to the frame allocator, so that unpacking needs no second copy. Dropping
/// the value frees the rest.
#[derive(Debug)]
pub struct Initramfs {
    _private: (),
}

impl Initramfs {
    /// Bytes not yet consumed.
    #[must_use]
    pub fn remaining(&self) -> usize {
        unimplemented!()
    }

    /// The unconsumed bytes, from the cursor to the end.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        unimplemented!()
    }

    /// Moves the cursor over `count` bytes (at most to the end) and frees the
    /// pages that end before it.
    pub fn consume(&mut self, count: usize) {
        let _ = count;
        unimplemented!()
    }

    /// Takes the page under the cursor out of the archive, without a copy,
    /// where the cursor is at a page boundary and a whole page remains.
    pub fn take_page(&mut self) -> Option<UserFrame> {
        unimplemented!()
    }
}

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
