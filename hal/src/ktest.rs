//! Tests that run inside the kernel, collected at link time.
//!
//! `#[ktest] fn name() { assert!(..) }` registers a test; [`all`] lists them.
//! A failing test panics; the kernel reports it on the log and the machine
//! ends, so a runner boots one kernel per failing test.

#[doc(hidden)]
pub use linkme;

/// One registered test.
#[derive(Clone, Copy, Debug)]
pub struct KernelTest {
    /// Module path and function name, `ochre_kernel::tty::tests::erase`.
    pub name: &'static str,
    /// The test.
    pub run: fn(),
}

/// Every test linked into this kernel.
#[linkme::distributed_slice]
pub static KERNEL_TESTS: [KernelTest];

/// Every test linked into this kernel.
#[must_use]
pub fn all() -> &'static [KernelTest] {
    &KERNEL_TESTS
}
