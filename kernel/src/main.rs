//! The kernel image: the entry and nothing else.
// ANCHOR: attributes
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]
// ANCHOR_END: attributes

#[cfg(target_os = "none")]
extern crate alloc;

// The tests in it are found by the linker, not by name.
#[cfg(all(target_os = "none", feature = "ktest"))]
use ochre_kernel as _;

#[cfg(all(target_os = "none", feature = "boottest"))]
mod boottest;

#[cfg(all(target_os = "none", feature = "ktest"))]
mod ktest;

#[cfg(target_os = "none")]
ochre_hal::entry!(main);

// ANCHOR: main
/// The first function of the safe kernel.
#[cfg(target_os = "none")]
fn main(boot: ochre_hal::boot::BootInfo) -> ! {
    #[cfg(feature = "boottest")]
    let mut boot = boot;
    #[cfg(feature = "boottest")]
    boottest::run(&mut boot);
    #[cfg(feature = "ktest")]
    ktest::run(&boot);
    ochre_kernel::boot::main(boot)
}
// ANCHOR_END: main

/// Lets the tests' machine end by what the host's tool puts in; one that ends
/// by its firmware has no port for that.
#[cfg(all(target_os = "none", any(feature = "boottest", feature = "ktest")))]
fn end_by_the_tools_ports() {
    use ochre_hal::power::{ExitPorts, configure};
    let status = Some(0x403);
    let configured = [Some(0xf4), None]
        .into_iter()
        .any(|exit| configure(ExitPorts { status, exit }));
    assert!(configured, "the ports of the host's tool");
}

#[cfg(not(target_os = "none"))]
fn main() {}
