//! The PL031's registers (DDI 0224, table 3-1), and what is in them.

use crate::register::{Content, ReadOnly, ReadWrite, WriteOnly};

/// Bytes that the registers take.
pub const BYTES: usize = 0x1000;

/// RTCDR: the count.
pub const DATA: ReadOnly<Seconds> = ReadOnly::at(0x00);

/// RTCMR: the count that raises the status.
pub const MATCH: ReadWrite<Seconds> = ReadWrite::at(0x04);

/// RTCLR: sets the count, which goes on from there with the next second.
pub const LOAD: ReadWrite<Seconds> = ReadWrite::at(0x08);

/// RTCCR: whether it counts.
pub const CONTROL: ReadWrite<Control> = ReadWrite::at(0x0c);

/// RTCIMSC: whether the status interrupts.
pub const MASK: ReadWrite<Interrupts> = ReadWrite::at(0x10);

/// RTCRIS: the status.
pub const RAW_STATUS: ReadOnly<Interrupts> = ReadOnly::at(0x14);

/// RTCMIS: the status, as far as it interrupts.
pub const MASKED_STATUS: ReadOnly<Interrupts> = ReadOnly::at(0x18);

/// RTCICR: what is written clears the status.
pub const CLEAR: WriteOnly<Interrupts> = WriteOnly::at(0x1c);

/// Seconds since the Unix epoch, to the year 2106.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds(pub u32);

impl Content for Seconds {
    fn of_word(word: u32) -> Self {
        Self(word)
    }

    fn to_word(self) -> u32 {
        self.0
    }
}

bitflags::bitflags! {
    /// What the clock does.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Control: u32 {
        /// It counts. Cannot be taken back but by a reset.
        const START = 1 << 0;
    }

    /// What it has to say; there is one thing.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Interrupts: u32 {
        /// The count came to the match.
        const MATCHED = 1 << 0;
    }
}

impl Content for Control {
    fn of_word(word: u32) -> Self {
        Self::from_bits_truncate(word)
    }

    fn to_word(self) -> u32 {
        self.bits()
    }
}

impl Content for Interrupts {
    fn of_word(word: u32) -> Self {
        Self::from_bits_truncate(word)
    }

    fn to_word(self) -> u32 {
        self.bits()
    }
}
