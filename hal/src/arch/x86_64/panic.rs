//! What happens when the kernel panics.

#[cfg(target_os = "none")]
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    use core::fmt::Write;
    let _ = writeln!(crate::debug::LastWords, "kernel {info}");
    crate::power::fail()
}
