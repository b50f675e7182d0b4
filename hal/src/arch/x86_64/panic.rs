//! What happens when the kernel panics: it says where and why, and ends.

#[cfg(target_os = "none")]
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    use core::fmt::Write;

    use super::report;
    use crate::debug::LastWords;

    report::begin();
    let mut out = LastWords;
    let _ = writeln!(out, "kernel {info}");
    let _ = report::backtrace(&mut out, None, report::frame_pointer());
    let _ = report::processors(&mut out);
    crate::power::fail()
}
