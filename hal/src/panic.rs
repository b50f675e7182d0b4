//! What happens when the kernel panics: it says where and why, and ends.

use core::fmt::Write;

use crate::arch::machine::report;
use crate::backtrace;
use crate::debug::LastWords;

// ANCHOR: panic
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    report::begin();
    let mut out = LastWords;
    let _ = writeln!(out, "kernel {info}");
    let _ = report::moved(&mut out);
    let _ = backtrace::print(&mut out, None, report::frame_pointer());
    let _ = report::processors(&mut out);
    crate::power::fail()
}
// ANCHOR_END: panic
