//! What `getdents64` and `getdents` write: records of varying length.

/// Bytes before the name in a `struct linux_dirent64`.
const HEADER64: usize = 19;

/// Bytes before the name in a `struct linux_dirent`.
const HEADER: usize = 18;

/// A directory entry.
#[derive(Clone, Copy, Debug)]
pub struct Dirent<'a> {
    /// Number of the inode.
    pub inode: u64,
    /// The position that continues after it.
    pub next: u64,
    /// What it is (`DT_*`).
    pub kind: u8,
    /// The name, without NUL.
    pub name: &'a [u8],
}

impl Dirent<'_> {
    /// Bytes of the record of `getdents64`.
    #[must_use]
    pub fn len64(&self) -> usize {
        (HEADER64 + self.name.len() + 1).next_multiple_of(8)
    }

    /// Bytes of the record of `getdents`.
    #[must_use]
    pub fn len(&self) -> usize {
        // The kind goes into the last byte.
        (HEADER + self.name.len() + 2).next_multiple_of(8)
    }

    /// Whether the record is empty: never.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Writes the record of `getdents64` to the start of `to`; false if it does
    /// not fit.
    #[must_use]
    pub fn write64(&self, to: &mut [u8]) -> bool {
        let len = self.len64();
        let Some(record) = self.start(to, len) else {
            return false;
        };
        record[18] = self.kind;
        record[HEADER64..HEADER64 + self.name.len()].copy_from_slice(self.name);
        true
    }

    /// Writes the record of `getdents` to the start of `to`; false if it does
    /// not fit.
    #[must_use]
    pub fn write(&self, to: &mut [u8]) -> bool {
        let len = self.len();
        let Some(record) = self.start(to, len) else {
            return false;
        };
        record[HEADER..HEADER + self.name.len()].copy_from_slice(self.name);
        record[len - 1] = self.kind;
        true
    }

    fn start<'a>(&self, to: &'a mut [u8], len: usize) -> Option<&'a mut [u8]> {
        let record = to.get_mut(..len)?;
        record.fill(0);
        record[..8].copy_from_slice(&self.inode.to_le_bytes());
        record[8..16].copy_from_slice(&self.next.to_le_bytes());
        record[16..18].copy_from_slice(&(len as u16).to_le_bytes());
        Some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::Dirent;

    const ENTRY: Dirent<'static> = Dirent {
        inode: 0x1122,
        next: 7,
        kind: 8,
        name: b"hello",
    };

    #[test]
    fn records_have_linux_layout() {
        let mut to = [0xff; 40];
        assert!(ENTRY.write64(&mut to));
        assert_eq!(ENTRY.len64(), 32);
        assert_eq!(to[..8], 0x1122_u64.to_le_bytes());
        assert_eq!(to[8..16], 7_u64.to_le_bytes());
        assert_eq!((to[16], to[17], to[18]), (32, 0, 8));
        assert_eq!(&to[19..26], b"hello\0\0");
        assert_eq!(to[32], 0xff);
        let mut old = [0xff; 40];
        assert!(ENTRY.write(&mut old));
        assert_eq!((old[16], &old[18..24], old[31]), (32, &b"hello\0"[..], 8));
    }

    #[test]
    fn what_does_not_fit_is_not_written() {
        let mut to = [0xff; 31];
        assert!(!ENTRY.write64(&mut to));
        assert_eq!(to, [0xff; 31]);
    }
}
