//! Where virtio devices are: by words of the command line, which monitors
//! without tables give in Linux's form, then by the tables.
//!
//! ```text
//! virtio_mmio.device=SIZE@ADDRESS:LINE    512@0xfeb02e00:47
//! ```
//! Both are hostile. A place counts if it is no memory and in the hole that PCs
//! keep for devices, below the interrupt controllers, and if an interrupt
//! controller has the line. What is refused is told on the log.

use core::fmt::Display;
use core::ops::Range;

use log::warn;
use ochre_sync::Once;

use super::super::acpi::virtio::{Device, PLACES_MAX};
use super::super::interrupts;
use crate::memory::mmio;
use crate::virtio::{Place, SLOT_BYTES};

const WORD: &[u8] = b"virtio_mmio.device=";

/// Words that are looked at.
const WORDS_MAX: usize = 32;

/// Where a PC has devices, and no other ones.
const HOLE: Range<u64> = 0xc000_0000..0xfec0_0000;

static TABLES: Once<[Option<Device>; PLACES_MAX]> = Once::new();

/// Keeps what the tables say.
pub(in super::super) fn init(devices: &[Option<Device>; PLACES_MAX]) {
    if devices.iter().any(Option::is_some) {
        let _ = TABLES.set(*devices);
    }
}

/// The places.
pub(super) fn all(cmdline: &[u8]) -> impl Iterator<Item = Place> {
    let words = cmdline.split(u8::is_ascii_whitespace);
    let values = words.filter_map(|word| word.strip_prefix(WORD));
    let of_words = values.take(WORDS_MAX).filter_map(|value| {
        let place = read(value).and_then(check);
        tell(place, value.escape_ascii())
    });
    let of_tables = TABLES.get().into_iter().flatten().flatten();
    of_words.chain(of_tables.filter_map(|device| {
        let place = check(*device);
        tell(place, format_args!("{:#x} in the tables", device.address))
    }))
}

fn tell(place: Result<Place, &'static str>, what: impl Display) -> Option<Place> {
    if let Err(reason) = place {
        warn!("no virtio device at {what}: {reason}");
    }
    place.ok()
}

fn read(value: &[u8]) -> Result<Device, &'static str> {
    const FORM: &str = "the form is SIZE@ADDRESS:LINE";
    let text = core::str::from_utf8(value).map_err(|_| FORM)?;
    let parse = || {
        let (size, rest) = text.split_once('@')?;
        let (address, line) = rest.split_once(':')?;
        // A number of the device's may come behind.
        let line = line.split_once(':').map_or(line, |(line, _)| line);
        Some(Device {
            address: number(address)?,
            bytes: bytes(size)?,
            line: u32::try_from(number(line)?).ok()?,
        })
    };
    parse().ok_or(FORM)
}

/// A number in one of the two ways of writing it.
fn number(text: &str) -> Option<u64> {
    let (digits, base) = match text.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_plain.then(|| u64::from_str_radix(digits, base).ok())?
}

/// The same, perhaps in thousands.
fn bytes(text: &str) -> Option<u64> {
    match text.strip_suffix(['K', 'k']) {
        Some(text) => number(text)?.checked_mul(1 << 10),
        None => number(text),
    }
}

fn check(device: Device) -> Result<Place, &'static str> {
    const BYTES: u64 = SLOT_BYTES as u64;
    const NOWHERE: &str = "a PC has no devices there";
    let end = device.address.checked_add(BYTES).ok_or(NOWHERE)?;
    if mmio::is_memory(device.address..end) {
        return Err("there is memory");
    }
    if device.address < HOLE.start || end > HOLE.end {
        return Err(NOWHERE);
    }
    if device.bytes < BYTES || !device.address.is_multiple_of(BYTES) {
        return Err("a device has 512 bytes of registers, aligned");
    }
    let line = interrupts::line_of_global(device.line);
    Ok(Place {
        address: device.address,
        line: line.ok_or("no interrupt controller has the line")?,
    })
}

#[cfg(test)]
mod tests {
    use super::{Device, check, read};

    #[test]
    fn words_are_read() {
        let device = |address, bytes, line| Device {
            address,
            bytes,
            line,
        };
        for (word, wanted) in [
            ("512@0xfeb02e00:47", device(0xfeb0_2e00, 512, 47)),
            ("4K@0xd0000000:5:3", device(0xd000_0000, 4096, 5)),
            ("0x200@3489660928:0x10", device(0xd000_0000, 512, 16)),
        ] {
            assert_eq!(read(word.as_bytes()), Ok(wanted), "{word}");
        }
    }

    #[test]
    fn other_words_are_refused() {
        for word in [
            &b""[..],
            b"@:",
            b"512@0xfeb02e00",
            b"512:0xfeb02e00@5",
            b"512@0x:5",
            b"+512@0xfeb02e00:5",
            b"512@0xfeb02e00:-5",
            b"512@0xfeb02e00:4294967296",
            b"512@0x1feb02e0000000000:5",
            b"18446744073709551615K@0xfeb02e00:5",
            b"512@0xfeb02e00:\xff",
        ] {
            assert!(read(word).is_err(), "{}", word.escape_ascii());
        }
    }

    #[test]
    fn devices_are_where_a_pc_has_some() {
        // No interrupt controller on a host has any line.
        const NO_LINE: &str = "no interrupt controller has the line";
        for (address, bytes, reason) in [
            (0xfeb0_2e00, 512, NO_LINE),
            (0xfec0_0000 - 512, 512, NO_LINE),
            (0xfec0_0000, 512, "a PC has no devices there"),
            (0xfee0_0000, 4096, "a PC has no devices there"),
            (0xbfff_fe00, 512, "a PC has no devices there"),
            (u64::MAX, 512, "a PC has no devices there"),
            (
                0xfeb0_2e00,
                511,
                "a device has 512 bytes of registers, aligned",
            ),
            (
                0xfeb0_2e04,
                512,
                "a device has 512 bytes of registers, aligned",
            ),
        ] {
            let device = Device {
                address,
                bytes,
                line: 5,
            };
            assert_eq!(check(device), Err(reason), "{address:#x}");
        }
    }
}
