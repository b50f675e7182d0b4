//! The battery-backed clock on the bare machine: the date in words, three
//! seconds waited for by looking, three by sleeping until the interrupt.
//!
//! `cargo xtask example rtc [--arch aarch64]` runs it.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

#[cfg(target_os = "none")]
mod program {
    use core::hint::spin_loop;

    use log::{LevelFilter, info};
    use ochre_hal::boot::BootInfo;
    use ochre_hal::irq::Event;
    use ochre_hal::rtc::{Date, Rtc};
    use ochre_hal::{cpu, debug, entry, irq, power};

    entry!(main);

    const WAIT: u64 = 3;

    const DAYS: [&str; 7] = [
        "Sunday",
        "Monday",
        "Tuesday",
        "Wednesday",
        "Thursday",
        "Friday",
        "Saturday",
    ];

    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];

    /// Says what the clock says, and when that is.
    fn tell(rtc: &Rtc) -> u64 {
        let now = rtc.now().expect("it tells a date");
        let date = Date::at(now);
        info!(
            "{now}: {}, {} {} {}, {:02}:{:02}:{:02} UTC",
            DAYS[date.weekday() as usize],
            date.day,
            MONTHS[date.month as usize - 1],
            date.year,
            date.hours,
            date.minutes,
            date.seconds
        );
        now
    }

    fn main(_: BootInfo) -> ! {
        debug::start_logger(LevelFilter::Info);
        let mut rtc = Rtc::open().expect("the machine has a clock");
        let now = tell(&rtc);

        rtc.clear();
        assert!(rtc.set_match(now + WAIT), "it can wait");
        while !rtc.has_matched() {
            spin_loop();
        }
        info!("matched");
        let now = tell(&rtc);

        rtc.clear();
        let line = rtc.line().expect("it has an interrupt");
        irq::unmask(line);
        assert!(rtc.set_match(now + WAIT), "it can wait");
        rtc.set_interrupt(true);
        while cpu::wait_for_interrupt() != Event::Line(line) || !rtc.interrupts() {}
        info!("interrupted");
        tell(&rtc);
        rtc.clear();
        power::power_off(0)
    }
}

#[cfg(not(target_os = "none"))]
fn main() {}
