//! virtio over registers in memory (virtio 1.2, 4.2.2): as much of it as a
//! device takes that only tells us things, over one queue.
//!
//! The queue and its buffers are one [`SharedPage`]; what is found there is
//! checked as if anybody had written it. The device is only ever told addresses
//! inside that page, which is never given back.
//!
//! | in the page | what | who writes |
//! | --- | --- | --- |
//! | 0 | descriptors: a buffer each | we, once |
//! | 1024 | available: buffers that may be filled | we |
//! | 1280 | used: buffers that were filled | the device |
//! | 2048 | buffers of eight bytes | the device |

use crate::arch::machine::system::order_with_devices;
use crate::irq::Line;
use crate::memory::registers::Registers;
use crate::memory::shared_page::SharedPage;

/// Where a device may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its registers' physical address.
    pub(crate) address: u64,
    /// Its interrupt line.
    pub(crate) line: Line,
}

/// Bytes of a device's registers.
pub(crate) const SLOT_BYTES: usize = 0x200;

/// Where the registers begin that are the kind of device's own.
pub(crate) const CONFIGURATION: usize = 0x100;

/// Offsets of the registers.
mod offset {
    pub(crate) const MAGIC: usize = 0x00;
    pub(crate) const VERSION: usize = 0x04;
    pub(crate) const KIND: usize = 0x08;
    pub(crate) const DEVICE_FEATURES: usize = 0x10;
    pub(crate) const DEVICE_FEATURES_HALF: usize = 0x14;
    pub(crate) const DRIVER_FEATURES: usize = 0x20;
    pub(crate) const DRIVER_FEATURES_HALF: usize = 0x24;
    pub(crate) const QUEUE: usize = 0x30;
    pub(crate) const QUEUE_MAX: usize = 0x34;
    pub(crate) const QUEUE_SIZE: usize = 0x38;
    pub(crate) const QUEUE_READY: usize = 0x44;
    pub(crate) const NOTIFY: usize = 0x50;
    pub(crate) const INTERRUPT_STATUS: usize = 0x60;
    pub(crate) const INTERRUPT_ACKNOWLEDGE: usize = 0x64;
    pub(crate) const STATUS: usize = 0x70;
    pub(crate) const DESCRIPTORS: usize = 0x80;
    pub(crate) const AVAILABLE: usize = 0x90;
    pub(crate) const USED: usize = 0xa0;
}

/// "virt".
const MAGIC: u32 = 0x7472_6976;

/// The version without the layouts from before the standard.
const VERSION: u32 = 2;

/// In the upper half of the features: the standard's own version.
const FEATURE_VERSION_1: u32 = 1 << 0;

/// The driver's progress, in the status.
const ACKNOWLEDGED: u32 = 1;
const DRIVER: u32 = 2;
const DRIVER_READY: u32 = 4;
const FEATURES_AGREED: u32 = 8;

/// Buffers, and places in each ring.
const BUFFERS: u16 = 64;

/// Bytes of a buffer.
pub(crate) const BUFFER_BYTES: usize = 8;

const DESCRIPTORS_AT: usize = 0;
const AVAILABLE_AT: usize = 1024;
const USED_AT: usize = 1280;
const BUFFERS_AT: usize = 2048;

/// In a descriptor: the device writes the buffer.
const DEVICE_WRITES: u16 = 2;

/// In the available ring: do not interrupt.
const NO_INTERRUPT: u16 = 1;

/// What kind of device answers at these registers, if a virtio one does.
pub(crate) fn kind(registers: &Registers, base: usize) -> Option<u32> {
    let is_there = registers.read(base + offset::MAGIC) == MAGIC
        && registers.read(base + offset::VERSION) == VERSION;
    is_there
        .then(|| registers.read(base + offset::KIND))
        .filter(|kind| *kind != 0)
}

/// A device's first queue, all of whose buffers are the device's to fill.
#[derive(Debug)]
pub(crate) struct Listener {
    registers: Registers,
    base: usize,
    shared: SharedPage,
    /// Buffers ever made available, and used ones ever looked at; they wrap.
    available: u16,
    seen: u16,
}

impl Listener {
    /// Sets the device at these registers up and lets it fill buffers.
    pub(crate) fn new(registers: Registers, base: usize) -> Option<Listener> {
        let set = |at: usize, value: u32| registers.write(base + at, value);
        set(offset::STATUS, 0);
        set(offset::STATUS, ACKNOWLEDGED | DRIVER);
        set(offset::DEVICE_FEATURES_HALF, 1);
        if registers.read(base + offset::DEVICE_FEATURES) & FEATURE_VERSION_1 == 0 {
            return None;
        }
        for (half, features) in [(0, 0), (1, FEATURE_VERSION_1)] {
            set(offset::DRIVER_FEATURES_HALF, half);
            set(offset::DRIVER_FEATURES, features);
        }
        let agreed = ACKNOWLEDGED | DRIVER | FEATURES_AGREED;
        set(offset::STATUS, agreed);
        if registers.read(base + offset::STATUS) & FEATURES_AGREED == 0 {
            return None;
        }
        set(offset::QUEUE, 0);
        if registers.read(base + offset::QUEUE_MAX) < u32::from(BUFFERS) {
            return None;
        }
        let shared = SharedPage::new()?;
        let physical = shared.physical();
        for index in 0..BUFFERS {
            let at = DESCRIPTORS_AT + usize::from(index) * 16;
            let buffer = BUFFERS_AT + usize::from(index) * BUFFER_BYTES;
            shared.write_u64(at, physical + buffer as u64);
            shared.write_u32(at + 8, BUFFER_BYTES as u32);
            shared.write_u16(at + 12, DEVICE_WRITES);
            shared.write_u16(AVAILABLE_AT + 4 + usize::from(index) * 2, index);
        }
        shared.write_u16(AVAILABLE_AT, NO_INTERRUPT);
        shared.write_u16(AVAILABLE_AT + 2, BUFFERS);
        set(offset::QUEUE_SIZE, u32::from(BUFFERS));
        for (at, part) in [
            (offset::DESCRIPTORS, DESCRIPTORS_AT),
            (offset::AVAILABLE, AVAILABLE_AT),
            (offset::USED, USED_AT),
        ] {
            let address = physical + part as u64;
            // CAST: the two halves.
            set(at, address as u32);
            set(at + 4, (address >> 32) as u32);
        }
        // What the page holds comes before the device is let at it.
        order_with_devices();
        set(offset::QUEUE_READY, 1);
        set(offset::STATUS, agreed | DRIVER_READY);
        let listener = Listener {
            registers,
            base,
            shared,
            available: BUFFERS,
            seen: 0,
        };
        listener.notify();
        Some(listener)
    }

    /// The next filled buffer, which then is the device's again.
    pub(crate) fn next(&mut self) -> Option<[u8; BUFFER_BYTES]> {
        // A device that counts on without an end is looked at as often as one
        // that filled everything.
        for _ in 0..BUFFERS {
            if self.shared.read_u16(USED_AT + 2) == self.seen {
                break;
            }
            // The index is loaded before what it counts; pairs with the device's
            // barrier between the two (2.7.14).
            order_with_devices();
            let at = USED_AT + 4 + usize::from(self.seen % BUFFERS) * 8;
            let index = self.shared.read_u32(at);
            let filled = self.shared.read_u32(at + 4);
            self.seen = self.seen.wrapping_add(1);
            // A number that no buffer has is nobody's.
            let Ok(index) = u16::try_from(index) else {
                continue;
            };
            if index >= BUFFERS {
                continue;
            }
            let buffer = BUFFERS_AT + usize::from(index) * BUFFER_BYTES;
            let bytes = self.shared.read_u64(buffer).to_le_bytes();
            let place = usize::from(self.available % BUFFERS);
            self.shared.write_u16(AVAILABLE_AT + 4 + place * 2, index);
            self.available = self.available.wrapping_add(1);
            // The place comes before the index (2.7.13.3), and what was read of
            // the buffer before both.
            order_with_devices();
            self.shared.write_u16(AVAILABLE_AT + 2, self.available);
            if filled as usize >= BUFFER_BYTES {
                return Some(bytes);
            }
        }
        None
    }

    /// Quiets the line; what comes from now on raises it again.
    pub(crate) fn acknowledge(&self) {
        let status = self.registers.read(self.base + offset::INTERRUPT_STATUS);
        self.registers
            .write(self.base + offset::INTERRUPT_ACKNOWLEDGE, status);
        // The used index is looked at only after the device has got that: what
        // it fills in between would be both overlooked and acknowledged. A
        // write may be on its way still; a read of the same device's is
        // answered after it, and what is loaded next comes after the answer.
        let _ = self.registers.read(self.base + offset::INTERRUPT_STATUS);
        order_with_devices();
    }

    /// Tells the device that it has buffers again.
    pub(crate) fn notify(&self) {
        // Memory comes before the register: a device that is told looks at once,
        // and would find the index of before, with nobody to tell it again
        // (2.7.13.4).
        order_with_devices();
        self.registers.write(self.base + offset::NOTIFY, 0);
    }

    /// Lets a filled buffer interrupt, or not.
    pub(crate) fn set_interrupt(&self, on: bool) {
        let flags = if on { 0 } else { NO_INTERRUPT };
        self.shared.write_u16(AVAILABLE_AT, flags);
        // Who looks next must not have looked before this is seen: a buffer
        // filled in between would neither be found nor interrupt (2.7.14). The
        // one place where a load must stay behind a store.
        order_with_devices();
    }
}

#[cfg(test)]
mod tests {
    use super::{
        AVAILABLE_AT, BUFFER_BYTES, BUFFERS, BUFFERS_AT, FEATURE_VERSION_1, Listener, MAGIC,
        Registers, SLOT_BYTES, USED_AT, kind, offset,
    };
    use std::boxed::Box;
    use std::vec;

    /// Registers that say these things; what is written to others is kept.
    fn device(says: &[(usize, u32)]) -> Registers {
        let registers = Registers::played_by(Box::leak(Box::new([0; SLOT_BYTES / 4])));
        for (at, value) in says {
            registers.write(*at, *value);
        }
        registers
    }

    fn listener() -> Listener {
        let registers = device(&[
            (offset::DEVICE_FEATURES, FEATURE_VERSION_1),
            (offset::QUEUE_MAX, u32::MAX),
        ]);
        Listener::new(registers, 0).expect("a good device")
    }

    /// The device says that it filled a buffer.
    fn fill(listener: &Listener, count: u16, index: u32, len: u32) {
        let at = USED_AT + 4 + usize::from(count % BUFFERS) * 8;
        listener.shared.write_u32(at, index);
        listener.shared.write_u32(at + 4, len);
        listener
            .shared
            .write_u16(USED_AT + 2, count.wrapping_add(1));
    }

    #[test]
    fn a_device_is_told_of_a_queue_as_long_as_ours() {
        let listener = listener();
        assert_eq!(
            listener.registers.read(offset::QUEUE_SIZE),
            u32::from(BUFFERS)
        );
        assert_eq!(listener.registers.read(offset::QUEUE_READY), 1);
        assert_eq!(listener.shared.read_u16(AVAILABLE_AT + 2), BUFFERS);
    }

    #[test]
    fn other_devices_are_left_alone() {
        for says in [
            &[(offset::QUEUE_MAX, 64)][..],
            &[(offset::DEVICE_FEATURES, FEATURE_VERSION_1)],
            &[
                (offset::DEVICE_FEATURES, FEATURE_VERSION_1),
                (offset::QUEUE_MAX, 63),
            ],
        ] {
            let registers = device(says);
            assert!(Listener::new(registers, 0).is_none(), "{says:?}");
        }
        let old = [
            (offset::MAGIC, MAGIC),
            (offset::VERSION, 1),
            (offset::KIND, 18),
        ];
        assert_eq!(kind(&device(&old), 0), None);
        assert_eq!(kind(&device(&[(offset::MAGIC, u32::MAX)]), 0), None);
    }

    #[test]
    fn filled_buffers_come_in_order_and_go_back() {
        let mut listener = listener();
        for count in 0..3 * BUFFERS {
            let index = count * 7 % BUFFERS;
            let buffer = BUFFERS_AT + usize::from(index) * BUFFER_BYTES;
            listener.shared.write_u64(buffer, u64::from(count));
            fill(&listener, count, u32::from(index), 8);
            assert_eq!(listener.next(), Some(u64::from(count).to_le_bytes()));
            assert_eq!(listener.next(), None);
            let available = listener.shared.read_u16(AVAILABLE_AT + 2);
            assert_eq!(available, BUFFERS + count + 1);
            let place = AVAILABLE_AT + 4 + usize::from(count % BUFFERS) * 2;
            assert_eq!(listener.shared.read_u16(place), index);
        }
    }

    #[test]
    fn what_no_device_would_say_is_passed_over() {
        let mut listener = listener();
        let wild = [
            (64, 8),
            (0x1_0000, 8),
            (u32::MAX, u32::MAX),
            (0, 0),
            (63, 7),
        ];
        for (count, (index, len)) in (0..).zip(wild) {
            fill(&listener, count, index, len);
            assert_eq!(listener.next(), None, "{index} {len}");
        }
        // More than there are buffers, and longer than they are.
        fill(&listener, 5, 1, u32::MAX);
        listener.shared.write_u16(USED_AT + 2, 40_000);
        let mut came = vec![];
        for _ in 0..40_000 {
            came.extend(listener.next());
        }
        assert!(listener.next().is_none() && !came.is_empty());
    }

    #[test]
    fn one_look_ends_whatever_the_device_counts() {
        let mut listener = listener();
        for index in 0..BUFFERS {
            let at = USED_AT + 4 + usize::from(index) * 8;
            listener.shared.write_u32(at, u32::MAX);
        }
        listener.shared.write_u16(USED_AT + 2, u16::MAX);
        assert_eq!(listener.next(), None);
        assert_eq!(listener.seen, BUFFERS, "as many as there are buffers");
    }
}
