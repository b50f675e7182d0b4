//! Mount options of tmpfs (tmpfs(5)).

use ochre_abi::Errno;
use ochre_hal::memory::PAGE_SIZE;

/// Options as `mount -o` gives them; `None` where one was not given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Pages of data.
    pub pages: Option<u64>,
    /// Percent of the machine's memory, instead of pages.
    pub percent: Option<u64>,
    /// Inodes.
    pub inodes: Option<u64>,
    /// Permission bits of the root.
    pub mode: Option<u32>,
    /// Its owner.
    pub uid: Option<u32>,
    /// Its group.
    pub gid: Option<u32>,
}

impl Options {
    /// Reads `size=64m,mode=1777`.
    ///
    /// # Errors
    /// EINVAL for what is not known or not a number.
    pub fn parse(data: &[u8]) -> Result<Options, Errno> {
        let mut options = Options::default();
        for option in data.split(|byte| *byte == b',') {
            if option.is_empty() {
                continue;
            }
            let text = core::str::from_utf8(option).map_err(|_| Errno::EINVAL)?;
            let (name, value) = text.split_once('=').unwrap_or((text, ""));
            match name {
                "size" => match value.strip_suffix('%') {
                    Some(percent) => options.percent = Some(number(percent)?.min(100)),
                    None => {
                        options.pages = Some(size(value)?.div_ceil(PAGE_SIZE as u64));
                    }
                },
                "nr_blocks" => options.pages = Some(size(value)?),
                "nr_inodes" => options.inodes = Some(size(value)?),
                "mode" => {
                    let mode = u32::from_str_radix(value, 8).map_err(|_| Errno::EINVAL)?;
                    options.mode = Some(mode & 0o7777);
                }
                "uid" => options.uid = Some(id(value)?),
                "gid" => options.gid = Some(id(value)?),
                // How pages and inode numbers are kept: decided here.
                "huge" | "mpol" | "inode32" | "inode64" | "noswap" => {}
                _ => return Err(Errno::EINVAL),
            }
        }
        Ok(options)
    }
}

fn number(text: &str) -> Result<u64, Errno> {
    text.parse().map_err(|_| Errno::EINVAL)
}

fn id(text: &str) -> Result<u32, Errno> {
    text.parse().map_err(|_| Errno::EINVAL)
}

/// A number that `k`, `m` or `g` may follow.
fn size(text: &str) -> Result<u64, Errno> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 10),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 20),
        Some(b'g' | b'G') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    number(digits)?.checked_mul(1 << shift).ok_or(Errno::EINVAL)
}

#[cfg(test)]
mod tests {
    use super::Options;
    use ochre_abi::Errno;

    #[test]
    fn options_are_read() {
        let options = Options::parse(b"size=64m,mode=1777,uid=5,gid=6,nr_inodes=2k").unwrap();
        assert_eq!(
            options,
            Options {
                pages: Some(16384),
                percent: None,
                inodes: Some(2048),
                mode: Some(0o1777),
                uid: Some(5),
                gid: Some(6),
            }
        );
        assert_eq!(Options::parse(b"size=50%").unwrap().percent, Some(50));
        assert_eq!(Options::parse(b""), Ok(Options::default()));
        assert_eq!(Options::parse(b"size=1").unwrap().pages, Some(1));
    }

    #[test]
    fn nonsense_is_refused() {
        for data in [
            &b"size=x"[..],
            b"size=",
            b"size=99999999999g",
            b"mode=9",
            b"bogus",
            b"uid=-1",
            b"\xff",
        ] {
            assert_eq!(Options::parse(data), Err(Errno::EINVAL), "{data:?}");
        }
    }
}
