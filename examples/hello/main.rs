//! A program on the bare machine: console, logger, heap, interrupts, the end.
//!
//! `cargo xtask example hello [--arch aarch64]` runs it. All that it needs is
//! `hal` and the linker script that `build.rs` names.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

#[cfg(target_os = "none")]
extern crate alloc;

#[cfg(target_os = "none")]
mod program {
    use alloc::vec::Vec;
    use core::fmt::{self, Write};

    use log::{LevelFilter, info};
    use ochre_hal::boot::BootInfo;
    use ochre_hal::irq::Event;
    use ochre_hal::serial::{SerialPort, Which};
    use ochre_hal::{clock, cpu, debug, entry, memory, power};

    entry!(main);

    const TICK_NS: u64 = 100_000_000;

    /// The console: it takes bytes as fast as the device does.
    struct Console(SerialPort);

    impl Write for Console {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let mut bytes = text.as_bytes();
            while !bytes.is_empty() {
                let count = self.0.write(bytes);
                bytes = &bytes[count..];
            }
            Ok(())
        }
    }

    fn main(boot: BootInfo) -> ! {
        let mut console = Console(SerialPort::open(Which::First).expect("a serial port"));
        let _ = write!(console, "Hello from the bare machine.\r\n");
        drop(console);

        debug::start_logger(LevelFilter::Info);
        info!("{} bytes of command line", boot.cmdline.len());

        let squares: Vec<u64> = (1..=5).map(|n| n * n).collect();
        info!("on the heap: {squares:?}");
        info!("{} MiB of memory", memory::stats().total / 256);

        // Interrupts are events: nothing runs beside this.
        let start = clock::now_ns();
        for tick in 1..=3 {
            clock::set_alarm(Some(start + tick * TICK_NS));
            while cpu::wait_for_interrupt() != Event::Timer {}
            info!("tick {tick}");
        }
        info!("the end");
        power::power_off(0)
    }
}

#[cfg(not(target_os = "none"))]
fn main() {}
