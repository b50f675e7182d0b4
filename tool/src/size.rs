//! Memory sizes as people write them: `64M`, `1.5G`, `16GiB`.

use core::{fmt, str::FromStr};

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(u64);

impl Size {
    /// A size of so many bytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// A size of so many MiB.
    pub const fn from_mib(mib: u64) -> Self {
        Self(mib << 20)
    }

    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The number of KiB, rounded up: the finest unit that QEMU's `-m` takes
    /// without a fraction.
    pub const fn kib_rounded_up(self) -> u64 {
        self.0.div_ceil(1 << 10)
    }
}

/// Why a text is not a size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SizeError(String);

impl fmt::Display for SizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "'{}' is not a size: write a number and K, M or G, like 64M",
            self.0
        )
    }
}

impl core::error::Error for SizeError {}

impl FromStr for Size {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        parse(text)
            .filter(|&bytes| bytes > 0)
            .map(Self)
            .ok_or_else(|| SizeError(text.to_owned()))
    }
}

/// A number without a unit counts MiB, as in QEMU's own `-m`.
fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    let unit_at = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let shift = match unit.trim().to_ascii_uppercase().as_str() {
        "K" | "KB" | "KIB" => 10,
        "" | "M" | "MB" | "MIB" => 20,
        "G" | "GB" | "GIB" => 30,
        "T" | "TB" | "TIB" => 40,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || fraction.len() > 9 || fraction.contains('.') {
        return None;
    }
    let mut bytes = whole.parse::<u64>().ok()?.checked_mul(1 << shift)?;
    if !fraction.is_empty() {
        let part = u128::from(fraction.parse::<u64>().ok()?) << shift;
        let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
        bytes = bytes.checked_add(u64::try_from(part / scale).ok()?)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::Size;

    fn check(text: &str, bytes: Option<u64>) {
        assert_eq!(text.parse::<Size>().ok().map(Size::bytes), bytes, "{text}");
    }

    #[test]
    fn sizes() {
        check("64M", Some(64 << 20));
        check("64m", Some(64 << 20));
        check("64MiB", Some(64 << 20));
        check("64 MB", Some(64 << 20));
        check("64", Some(64 << 20));
        check("1.5G", Some(3 << 29));
        check("32768K", Some(32 << 20));
        check("16G", Some(16 << 30));
        for bad in [
            "",
            "G",
            "-1M",
            "1X",
            "1.2.3M",
            "0",
            "0M",
            ".5G",
            "1e9",
            "99999999999T",
        ] {
            check(bad, None);
        }
    }
}
