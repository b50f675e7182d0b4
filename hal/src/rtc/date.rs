//! Seconds since 1970 as a date of the Gregorian calendar, in UTC, and back.

const DAY: u64 = 86_400;

/// Days of 400 years, after which the calendar repeats.
const CYCLE_DAYS: u64 = 146_097;

/// From 1 March 0000, where each cycle begins, to 1 January 1970.
const EPOCH_DAYS: u64 = 719_468;

/// A date and time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    /// The year, from 1970 on.
    pub year: u64,
    /// The month, 1 to 12.
    pub month: u64,
    /// The day of the month, from 1.
    pub day: u64,
    /// Hours, 0 to 23.
    pub hours: u64,
    /// Minutes.
    pub minutes: u64,
    /// Seconds, 0 to 59.
    pub seconds: u64,
}

impl Date {
    /// The date at so many seconds since 1970.
    #[must_use]
    pub fn at(seconds: u64) -> Date {
        let (days, time) = (seconds / DAY, seconds % DAY);
        // Years that begin in March have their odd day at the end.
        let days = days + EPOCH_DAYS;
        let (cycle, day) = (days / CYCLE_DAYS, days % CYCLE_DAYS);
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        // Months from March on have 153 days in five.
        let month = (5 * day + 2) / 153;
        Date {
            year: cycle * 400 + year + u64::from(month >= 10),
            month: if month < 10 { month + 3 } else { month - 9 },
            day: day - (153 * month + 2) / 5 + 1,
            hours: time / 3600,
            minutes: time / 60 % 60,
            seconds: time % 60,
        }
    }

    /// Seconds since 1970; `None` for what is no date, or before that.
    #[must_use]
    pub fn to_seconds(&self) -> Option<u64> {
        let plausible = (1970..1 << 40).contains(&self.year)
            && (1..=12).contains(&self.month)
            && (1..=days_in_month(self.year, self.month)).contains(&self.day)
            && self.hours < 24
            && self.minutes < 60
            && self.seconds < 60;
        if !plausible {
            return None;
        }
        let days = days_before(self.year, self.month) + self.day - 1;
        Some(((days * 24 + self.hours) * 60 + self.minutes) * 60 + self.seconds)
    }

    /// The day of the week: 0 is Sunday.
    #[must_use]
    pub fn weekday(&self) -> u64 {
        // The first day was a Thursday.
        (days_before(self.year, self.month) + self.day + 3) % 7
    }

    /// The day of the year, from 0.
    #[must_use]
    pub fn day_of_year(&self) -> u64 {
        days_before(self.year, self.month) + self.day - 1 - days_before(self.year, 1)
    }
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

/// Days from 1970 to the first of a month.
fn days_before(year: u64, month: u64) -> u64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year.saturating_sub(1), month + 9)
    };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5;
    days.saturating_sub(EPOCH_DAYS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, prop_assume, proptest};

    use super::{Date, days_in_month};

    proptest! {
        /// Seconds make a date that is one, and that makes the same seconds.
        #[test]
        fn any_second_comes_back(seconds in 0_u64..1 << 44) {
            let date = Date::at(seconds);
            prop_assert_eq!(date.to_seconds(), Some(seconds));
            prop_assert_eq!(date.weekday(), (seconds / 86_400 + 4) % 7);
        }

        /// Fields that are a date come back from its seconds, and the next
        /// second is a later date; others are refused.
        #[test]
        fn any_fields_are_a_date_or_refused(
            fields in any::<[u8; 5]>(), year in 1960_u64..3000,
        ) {
            let [month, day, hours, minutes, seconds] = fields.map(u64::from);
            // Numbers that are a little too large, and not far too large.
            let date = Date {
                year,
                month: month % 14,
                day: day % 33,
                hours: hours % 25,
                minutes: minutes % 61,
                seconds: seconds % 61,
            };
            let is_date = date.year >= 1970
                && (1..=12).contains(&date.month)
                && (1..=days_in_month(date.year, date.month)).contains(&date.day)
                && date.hours < 24 && date.minutes < 60 && date.seconds < 60;
            prop_assert_eq!(date.to_seconds().is_some(), is_date);
            prop_assume!(is_date);
            let second = date.to_seconds().unwrap_or_default();
            prop_assert_eq!(Date::at(second), date);
            prop_assert_eq!(Date::at(second + 1).to_seconds(), Some(second + 1));
        }
    }

    #[test]
    fn known_dates() {
        for (seconds, [year, month, day, hours, minutes, second], weekday, of_year) in [
            (0, [1970, 1, 1, 0, 0, 0], 4, 0),
            (951_782_399, [2000, 2, 28, 23, 59, 59], 1, 58),
            (951_782_400, [2000, 2, 29, 0, 0, 0], 2, 59),
            (1_709_210_096, [2024, 2, 29, 12, 34, 56], 4, 59),
            (4_102_444_800, [2100, 1, 1, 0, 0, 0], 5, 0),
            (4_107_542_400, [2100, 3, 1, 0, 0, 0], 1, 59),
        ] {
            let date = Date::at(seconds);
            let expected = Date {
                year,
                month,
                day,
                hours,
                minutes,
                seconds: second,
            };
            assert_eq!(date, expected, "{seconds}");
            assert_eq!(date.to_seconds(), Some(seconds));
            assert_eq!((date.weekday(), date.day_of_year()), (weekday, of_year));
        }
    }

    #[test]
    fn every_day_comes_back() {
        for day in 0..200_000 {
            let seconds = day * 86_400 + day % 86_400;
            assert_eq!(Date::at(seconds).to_seconds(), Some(seconds));
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        let good = Date::at(1_709_210_096);
        for bad in [
            Date { year: 1969, ..good },
            Date {
                year: u64::MAX,
                ..good
            },
            Date { month: 0, ..good },
            Date { month: 13, ..good },
            Date { day: 0, ..good },
            Date { day: 30, ..good },
            Date { hours: 24, ..good },
            Date {
                minutes: 60,
                ..good
            },
            Date {
                seconds: 60,
                ..good
            },
        ] {
            assert_eq!(bad.to_seconds(), None, "{bad:?}");
        }
    }
}
