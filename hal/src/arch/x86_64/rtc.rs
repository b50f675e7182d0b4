//! The battery-backed clock of a PC (MC146818).
//!
//! The chip updates its registers once a second; a read that straddles an
//! update is torn. So the registers are read until two readings in a row
//! agree and no update was under way, at most [`ATTEMPTS`] times. A chip that
//! is missing or tells an impossible date gives `None`.
//!
//! The chip's update lasts 2 ms at most. An emulator's lasts until the thread of
//! it that does updates was let run, on a busy host for tenths of a second, and
//! that thread and the processor's take turns at the ports: hence the [`PAUSE_NS`].
//!
//! Its alarm is a time of day, so a match further away than a day cannot be
//! had. Reading the status clears it: what was read is kept in [`Chip`].

use core::hint;

use ochre_sync::SpinLock;

use super::clock;
use super::interrupts;
use super::port::Port;
use crate::irq::Line;
use crate::rtc::Date;

/// Readings before giving up: with the pauses a second.
const ATTEMPTS: usize = 10_000;

/// How long the ports are left alone while an update is under way.
const PAUSE_NS: u64 = 100_000;

/// The end of a pause where no clock runs, in turns of a loop.
const PAUSE_TURNS: usize = 100_000;

/// Status register A: no time is to be read now.
const UPDATE_IN_PROGRESS: u8 = 1 << 7;

/// Status register B.
const MODE_24_HOURS: u8 = 1 << 1;
const MODE_BINARY: u8 = 1 << 2;
const ALARM_INTERRUPT: u8 = 1 << 5;
const STAND_STILL: u8 = 1 << 7;

/// Status register C.
const ALARM_CAME: u8 = 1 << 5;

const AFTERNOON: u8 = 1 << 7;

/// The registers' numbers.
mod register {
    pub(super) const SECONDS: u8 = 0x00;
    pub(super) const ALARM_SECONDS: u8 = 0x01;
    pub(super) const MINUTES: u8 = 0x02;
    pub(super) const ALARM_MINUTES: u8 = 0x03;
    pub(super) const HOURS: u8 = 0x04;
    pub(super) const ALARM_HOURS: u8 = 0x05;
    pub(super) const WEEKDAY: u8 = 0x06;
    pub(super) const DAY: u8 = 0x07;
    pub(super) const MONTH: u8 = 0x08;
    pub(super) const YEAR: u8 = 0x09;
    pub(super) const STATUS_A: u8 = 0x0a;
    pub(super) const STATUS_B: u8 = 0x0b;
    pub(super) const STATUS_C: u8 = 0x0c;
    /// Where PCs keep the century unless ACPI says otherwise.
    pub(super) const CENTURY: u8 = 0x32;
}

/// The legacy line of the chip.
const ISA_LINE: u8 = 8;

/// The longest that an alarm may be away.
const REACH: u64 = 86_400;

// SAFETY: the index port of the CMOS memory; bit 7 masks the NMI, which no
// memory safety depends on.
const INDEX: Port<u8> = unsafe { Port::new(0x70) };
// SAFETY: the data port of the CMOS memory; of it only the clock's registers
// are written.
const DATA: Port<u8> = unsafe { Port::new(0x71) };

/// The chip: its two ports belong together, so one at a time uses them.
struct Chip {
    /// The alarm came and was not cleared.
    matched: bool,
}

static CHIP: SpinLock<Chip> = SpinLock::new(Chip { matched: false });

/// Seconds since the Unix epoch, in UTC as QEMU and most servers keep it.
pub(crate) fn read_seconds() -> Option<u64> {
    CHIP.lock().seconds()
}

/// Sets the clock; false for a time that it cannot keep, or without a clock.
pub(crate) fn set_seconds(seconds: u64) -> bool {
    CHIP.lock().set(Date::at(seconds)).is_some()
}

/// Sets the second at which the status rises; false if it is more than a day away.
pub(crate) fn set_match(seconds: u64) -> bool {
    CHIP.lock().set_match(seconds).is_some()
}

/// Whether the match came since it was last cleared.
pub(crate) fn raw_status() -> bool {
    CHIP.lock().status()
}

/// Whether it interrupts.
pub(crate) fn masked_status() -> bool {
    let mut chip = CHIP.lock();
    chip.status() && chip.read(register::STATUS_B) & ALARM_INTERRUPT != 0
}

/// Clears the status.
pub(crate) fn clear() {
    let mut chip = CHIP.lock();
    let _ = chip.status();
    chip.matched = false;
}

/// Lets the status interrupt, or not.
pub(crate) fn set_interrupt(on: bool) {
    let mut chip = CHIP.lock();
    let mode = chip.read(register::STATUS_B);
    let other = mode & !ALARM_INTERRUPT;
    chip.write(
        register::STATUS_B,
        if on { other | ALARM_INTERRUPT } else { other },
    );
}

/// The interrupt's line.
pub(crate) fn line() -> Option<Line> {
    Some(interrupts::line_of_isa(ISA_LINE))
}

impl Chip {
    fn read(&mut self, register: u8) -> u8 {
        INDEX.write(register);
        DATA.read()
    }

    fn write(&mut self, register: u8, value: u8) {
        INDEX.write(register);
        DATA.write(value);
    }

    /// The status, which the chip forgets by being asked.
    fn status(&mut self) -> bool {
        let status = self.read(register::STATUS_C);
        // Without a chip all bits are ones.
        self.matched |= status & ALARM_CAME != 0 && status != 0xff;
        self.matched
    }

    fn seconds(&mut self) -> Option<u64> {
        seconds_of(settled(|register| self.read(register), pause)?)
    }

    fn set(&mut self, date: Date) -> Option<()> {
        // There is a chip, and what it says is a date.
        self.seconds()?;
        if !(1970..2200).contains(&date.year) {
            return None;
        }
        let mode = self.read(register::STATUS_B);
        let number = |value| number_of(mode, value);
        self.write(register::STATUS_B, mode | STAND_STILL);
        self.write(register::SECONDS, number(date.seconds)?);
        self.write(register::MINUTES, number(date.minutes)?);
        self.write(register::HOURS, hours_of(mode, date.hours)?);
        self.write(register::WEEKDAY, number(date.weekday() + 1)?);
        self.write(register::DAY, number(date.day)?);
        self.write(register::MONTH, number(date.month)?);
        self.write(register::YEAR, number(date.year % 100)?);
        self.write(register::CENTURY, number(date.year / 100)?);
        self.write(register::STATUS_B, mode & !STAND_STILL);
        Some(())
    }

    fn set_match(&mut self, seconds: u64) -> Option<()> {
        let wait = seconds.checked_sub(self.seconds()?)?;
        if wait > REACH {
            return None;
        }
        let date = Date::at(seconds);
        let mode = self.read(register::STATUS_B);
        self.write(register::ALARM_SECONDS, number_of(mode, date.seconds)?);
        self.write(register::ALARM_MINUTES, number_of(mode, date.minutes)?);
        self.write(register::ALARM_HOURS, hours_of(mode, date.hours)?);
        Some(())
    }
}

/// The registers between two updates; `pause` passes some time.
fn settled(mut read: impl FnMut(u8) -> u8, mut pause: impl FnMut()) -> Option<Raw> {
    let mut last = None;
    for _ in 0..ATTEMPTS {
        let status = read(register::STATUS_A);
        if status & UPDATE_IN_PROGRESS != 0 {
            if status == 0xff {
                return None;
            }
            last = None;
            pause();
            continue;
        }
        let now = Raw {
            seconds: read(register::SECONDS),
            minutes: read(register::MINUTES),
            hours: read(register::HOURS),
            day: read(register::DAY),
            month: read(register::MONTH),
            year: read(register::YEAR),
            century: read(register::CENTURY),
            mode: read(register::STATUS_B),
        };
        if last == Some(now) {
            return last;
        }
        last = Some(now);
    }
    None
}

/// Leaves the chip alone for [`PAUSE_NS`].
fn pause() {
    let end = clock::now_ns().saturating_add(PAUSE_NS);
    for _ in 0..PAUSE_TURNS {
        if clock::now_ns() >= end {
            break;
        }
        hint::spin_loop();
    }
}

/// A number below 100 as the chip has it.
fn number_of(mode: u8, value: u64) -> Option<u8> {
    let value = u8::try_from(value).ok().filter(|value| *value < 100)?;
    Some(if mode & MODE_BINARY != 0 {
        value
    } else {
        value / 10 * 16 + value % 10
    })
}

/// The hour of a day as the chip has it.
fn hours_of(mode: u8, hours: u64) -> Option<u8> {
    if mode & MODE_24_HOURS != 0 {
        return number_of(mode, hours);
    }
    let afternoon = if hours >= 12 { AFTERNOON } else { 0 };
    Some(number_of(mode, (hours + 11) % 12 + 1)? | afternoon)
}

/// The chip's registers as read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Raw {
    seconds: u8,
    minutes: u8,
    hours: u8,
    day: u8,
    month: u8,
    year: u8,
    century: u8,
    mode: u8,
}

/// The registers' date as seconds since 1970, if it is a date at all.
fn seconds_of(raw: Raw) -> Option<u64> {
    let number = |value: u8| -> Option<u64> {
        if raw.mode & MODE_BINARY != 0 {
            return Some(u64::from(value));
        }
        let (tens, ones) = (value >> 4, value & 0xf);
        (tens < 10 && ones < 10).then(|| u64::from(tens) * 10 + u64::from(ones))
    };
    let seconds = number(raw.seconds)?;
    let minutes = number(raw.minutes)?;
    let hours = if raw.mode & MODE_24_HOURS != 0 {
        number(raw.hours)?
    } else {
        let twelve = number(raw.hours & !AFTERNOON)?;
        if !(1..=12).contains(&twelve) {
            return None;
        }
        twelve % 12 + if raw.hours & AFTERNOON != 0 { 12 } else { 0 }
    };
    let (day, month) = (number(raw.day)?, number(raw.month)?);
    // A century register that holds no plausible century is something else:
    // the clock is younger than 2000 then.
    let century = number(raw.century)
        .filter(|century| (19..=21).contains(century))
        .unwrap_or(20);
    let year = century * 100 + number(raw.year).filter(|&year| year < 100)?;
    let date = Date {
        year,
        month,
        day,
        hours,
        minutes,
        seconds,
    };
    date.to_seconds()
}

#[cfg(test)]
mod tests {
    use core::cell::Cell;

    use super::{
        MODE_24_HOURS, MODE_BINARY, PAUSE_NS, Raw, UPDATE_IN_PROGRESS, hours_of, number_of,
        register, seconds_of, settled,
    };

    const BCD: Raw = Raw {
        seconds: 0x56,
        minutes: 0x34,
        hours: 0x12,
        day: 0x29,
        month: 0x02,
        year: 0x24,
        century: 0x20,
        mode: MODE_24_HOURS,
    };

    #[track_caller]
    fn check(raw: Raw, seconds: Option<u64>) {
        assert_eq!(seconds_of(raw), seconds, "{raw:x?}");
    }

    /// A chip that shows `BCD`, for which a reading of a register takes 1 µs.
    fn settles_after(update_ns: u64, status_while: u8) -> (Option<Raw>, u64) {
        let time = Cell::new(0_u64);
        let pass = |ns| time.set(time.get() + ns);
        let read = |register| {
            pass(1000);
            match register {
                register::STATUS_A if time.get() < update_ns => status_while,
                register::SECONDS => BCD.seconds,
                register::MINUTES => BCD.minutes,
                register::HOURS => BCD.hours,
                register::DAY => BCD.day,
                register::MONTH => BCD.month,
                register::YEAR => BCD.year,
                register::CENTURY => BCD.century,
                register::STATUS_B => BCD.mode,
                _ => 0,
            }
        };
        (settled(read, || pass(PAUSE_NS)), time.get())
    }

    #[test]
    fn waits_for_the_end_of_an_update() {
        const MS: u64 = 1_000_000;
        for update in [0, 2 * MS, 500 * MS] {
            let (raw, took) = settles_after(update, UPDATE_IN_PROGRESS);
            assert_eq!(raw, Some(BCD));
            assert!(took < update + MS, "{took} ns for an update of {update} ns");
        }
        let (raw, took) = settles_after(u64::MAX, UPDATE_IN_PROGRESS);
        assert_eq!(raw, None);
        assert!(took < 2000 * MS, "{took} ns");
        // No chip: all ones.
        let (raw, took) = settles_after(u64::MAX, 0xff);
        assert_eq!((raw, took), (None, 1000));
    }

    #[test]
    fn decodes_both_number_formats() {
        check(BCD, Some(1_709_210_096));
        check(
            Raw {
                seconds: 56,
                minutes: 34,
                hours: 12,
                day: 29,
                month: 2,
                year: 24,
                century: 20,
                mode: MODE_24_HOURS | MODE_BINARY,
            },
            Some(1_709_210_096),
        );
    }

    #[test]
    fn knows_noon_and_midnight_of_a_twelve_hour_clock() {
        let twelve = |hours| Raw {
            hours,
            mode: 0,
            ..BCD
        };
        check(twelve(0x92), Some(1_709_210_096));
        check(twelve(0x12), Some(1_709_210_096 - 12 * 3600));
        check(twelve(0x81), Some(1_709_210_096 + 3600));
        check(twelve(0x00), None);
    }

    #[test]
    fn numbers_go_in_as_they_come_out() {
        for mode in [0, MODE_24_HOURS, MODE_BINARY, MODE_24_HOURS | MODE_BINARY] {
            for hours in 0..24 {
                let raw = Raw {
                    seconds: number_of(mode, 56).unwrap(),
                    minutes: number_of(mode, 34).unwrap(),
                    hours: hours_of(mode, hours).unwrap(),
                    day: number_of(mode, 29).unwrap(),
                    month: number_of(mode, 2).unwrap(),
                    year: number_of(mode, 24).unwrap(),
                    century: number_of(mode, 20).unwrap(),
                    mode,
                };
                check(raw, Some(1_709_210_096 - 12 * 3600 + hours * 3600));
            }
        }
        assert_eq!(number_of(0, 100), None);
    }

    #[test]
    fn takes_the_century_only_where_it_is_one() {
        check(
            Raw {
                century: 0x00,
                ..BCD
            },
            Some(1_709_210_096),
        );
        check(
            Raw {
                century: 0x19,
                year: 0x70,
                month: 0x01,
                day: 0x01,
                ..BCD
            },
            Some((12 * 60 + 34) * 60 + 56),
        );
    }

    #[test]
    fn refuses_what_is_no_date() {
        check(Raw { month: 0x13, ..BCD }, None);
        check(Raw { month: 0, ..BCD }, None);
        check(Raw { day: 0x30, ..BCD }, None);
        check(Raw { day: 0, ..BCD }, None);
        check(
            Raw {
                seconds: 0x60,
                ..BCD
            },
            None,
        );
        check(Raw { hours: 0x24, ..BCD }, None);
        check(
            Raw {
                minutes: 0xfa,
                ..BCD
            },
            None,
        );
        check(
            Raw {
                century: 0x19,
                year: 0x69,
                ..BCD
            },
            None,
        );
    }
}
