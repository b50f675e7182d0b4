//! The battery-backed clock of a PC.
//!
//! The chip updates its registers once a second; a read that straddles an
//! update is torn. So the registers are read until two readings in a row
//! agree and no update was under way, at most [`ATTEMPTS`] times. A chip that
//! is missing or tells an impossible date gives `None`.

use super::port::Port;

/// Readings before giving up. An update lasts about 2 ms and a reading at
/// least a few microseconds.
const ATTEMPTS: usize = 10_000;

const UPDATE_IN_PROGRESS: u8 = 1 << 7;
const MODE_24_HOURS: u8 = 1 << 1;
const MODE_BINARY: u8 = 1 << 2;
const AFTERNOON: u8 = 1 << 7;

/// Where PCs keep the century unless ACPI says otherwise.
const USUAL_CENTURY_REGISTER: u8 = 0x32;

// SAFETY: the index port of the CMOS memory; bit 7 masks the NMI, which no
// memory safety depends on.
const INDEX: Port<u8> = unsafe { Port::new(0x70) };
// SAFETY: the data port of the CMOS memory, which is read only here.
const DATA: Port<u8> = unsafe { Port::new(0x71) };

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

/// Seconds since the Unix epoch, in UTC as QEMU and most servers keep it.
pub(super) fn read_seconds() -> Option<u64> {
    let mut last = None;
    for _ in 0..ATTEMPTS {
        if register(0x0a) & UPDATE_IN_PROGRESS != 0 {
            if register(0x0a) == 0xff {
                return None;
            }
            last = None;
            continue;
        }
        let now = Raw {
            seconds: register(0x00),
            minutes: register(0x02),
            hours: register(0x04),
            day: register(0x07),
            month: register(0x08),
            year: register(0x09),
            century: register(USUAL_CENTURY_REGISTER),
            mode: register(0x0b),
        };
        if last == Some(now) {
            return seconds_of(now);
        }
        last = Some(now);
    }
    None
}

fn register(index: u8) -> u8 {
    INDEX.write(index);
    DATA.read()
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
    let plausible = seconds < 60
        && minutes < 60
        && hours < 24
        && (1..=12).contains(&month)
        && (1..=days_in_month(year, month)).contains(&day)
        && year >= 1970;
    plausible
        .then(|| ((days_since_epoch(year, month, day) * 24 + hours) * 60 + minutes) * 60 + seconds)
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_in_month(year: u64, month: u64) -> u64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date that is not before it.
fn days_since_epoch(year: u64, month: u64, day: u64) -> u64 {
    let years: u64 = (1970..year)
        .map(|year| 365 + u64::from(is_leap(year)))
        .sum();
    let months: u64 = (1..month).map(|month| days_in_month(year, month)).sum();
    years + months + (day - 1)
}

#[cfg(test)]
mod tests {
    use super::{MODE_24_HOURS, MODE_BINARY, Raw, seconds_of};

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
