//! Device numbers, in the two encodings that programs see.

/// A major and a minor number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceNumber {
    major: u32,
    minor: u32,
}

impl DeviceNumber {
    /// A device by its two numbers (12 and 20 bits).
    #[must_use]
    pub const fn new(major: u32, minor: u32) -> DeviceNumber {
        DeviceNumber {
            major: major & 0xfff,
            minor: minor & 0xf_ffff,
        }
    }

    /// The major number.
    #[must_use]
    pub const fn major(self) -> u32 {
        self.major
    }

    /// The minor number.
    #[must_use]
    pub const fn minor(self) -> u32 {
        self.minor
    }

    /// As `st_rdev` and mknod(2) have it.
    #[must_use]
    pub const fn encode(self) -> u32 {
        (self.minor & 0xff) | self.major << 8 | (self.minor & !0xff) << 12
    }

    /// From what mknod(2) is given.
    #[must_use]
    pub const fn decode(encoded: u32) -> DeviceNumber {
        DeviceNumber {
            major: encoded >> 8 & 0xfff,
            minor: (encoded & 0xff) | (encoded >> 12 & 0xf_ff00),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::DeviceNumber;

    #[test]
    fn encodes_as_linux_does() {
        assert_eq!(DeviceNumber::new(5, 1).encode(), 0x501);
        assert_eq!(DeviceNumber::new(4, 64).encode(), 0x440);
        assert_eq!(DeviceNumber::new(0x123, 0x4_5678).encode(), 0x4561_2378);
    }

    #[test]
    fn decodes_what_it_encoded() {
        for (major, minor) in [(0, 0), (5, 1), (259, 70_000), (0xfff, 0xf_ffff)] {
            let number = DeviceNumber::new(major, minor);
            assert_eq!(DeviceNumber::decode(number.encode()), number);
        }
    }
}
