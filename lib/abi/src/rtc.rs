//! Battery-backed clocks (rtc(4)).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `struct rtc_time`: a date as `struct tm` has it, in UTC.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct RtcTime {
    /// Seconds, 0 to 59.
    pub seconds: i32,
    /// Minutes, 0 to 59.
    pub minutes: i32,
    /// Hours, 0 to 23.
    pub hours: i32,
    /// Day of the month, from 1.
    pub day: i32,
    /// Month, from 0.
    pub month: i32,
    /// Years since 1900.
    pub year: i32,
    /// Day of the week, 0 is Sunday; what a program gives is not looked at.
    pub weekday: i32,
    /// Day of the year, from 1; what a program gives is not looked at.
    pub day_of_year: i32,
    /// Summer time; nobody looks at it.
    pub is_dst: i32,
}

/// `struct rtc_wkalrm`: an alarm with its date.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct RtcWakeAlarm {
    /// Whether it interrupts.
    pub enabled: u8,
    /// Whether it came and was not looked at.
    pub pending: u8,
    /// Unused.
    pub pad: [u8; 2],
    /// When.
    pub time: RtcTime,
}

const _: () = assert!(size_of::<RtcTime>() == 36 && size_of::<RtcWakeAlarm>() == 40);

/// Requests of `ioctl`.
pub mod request {
    /// Lets the alarm interrupt.
    pub const RTC_AIE_ON: u32 = 0x7001;
    /// Stops it.
    pub const RTC_AIE_OFF: u32 = 0x7002;
    /// Asks for an interrupt each second.
    pub const RTC_UIE_ON: u32 = 0x7003;
    /// Ends that.
    pub const RTC_UIE_OFF: u32 = 0x7004;
    /// Sets the alarm to a time of the next 24 hours.
    pub const RTC_ALM_SET: u32 = 0x4024_7007;
    /// Reads the alarm.
    pub const RTC_ALM_READ: u32 = 0x8024_7008;
    /// Reads the clock.
    pub const RTC_RD_TIME: u32 = 0x8024_7009;
    /// Sets the clock.
    pub const RTC_SET_TIME: u32 = 0x4024_700a;
    /// Sets the alarm to a date.
    pub const RTC_WKALM_SET: u32 = 0x4028_700f;
    /// Reads the alarm with its date.
    pub const RTC_WKALM_RD: u32 = 0x8028_7010;
}

/// What a read answers in its low byte; the number of interrupts is above.
pub mod event {
    /// There was an interrupt.
    pub const RTC_IRQF: u64 = 0x80;
    /// By the alarm.
    pub const RTC_AF: u64 = 0x20;
    /// By a second's end.
    pub const RTC_UF: u64 = 0x10;
}
