//! One property, one kernel, one machine: what `ochre.boottest=NAME` runs.

use ochre_hal::boot::BootInfo;
use ochre_hal::{debug, power};

/// A kernel that says that it is there.
pub(crate) fn main(boot: BootInfo) -> ! {
    debug::write(b"hello from the higher half\n");
    debug::write(boot.cmdline);
    debug::write(b"\n");
    power::fail()
}
