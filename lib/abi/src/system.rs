//! What uname(2), sysinfo(2) and the scheduling calls carry.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Bytes of a name in `struct new_utsname`, the NUL included.
pub const NAME_SIZE: usize = 65;

/// A name that NULs fill up, without them: a thread's, or one of [`UtsName`]'s.
#[must_use]
pub fn trimmed(name: &[u8]) -> &[u8] {
    name.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// `struct new_utsname`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct UtsName {
    /// The system.
    pub system: [u8; NAME_SIZE],
    /// The machine's name on the network.
    pub node: [u8; NAME_SIZE],
    /// The kernel's release.
    pub release: [u8; NAME_SIZE],
    /// How it was built.
    pub version: [u8; NAME_SIZE],
    /// The kind of machine.
    pub machine: [u8; NAME_SIZE],
    /// The NIS domain.
    pub domain: [u8; NAME_SIZE],
}

const _: () = assert!(size_of::<UtsName>() == 390);

/// `struct sysinfo`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(
    missing_docs,
    reason = "the fields are those of sysinfo(2), one by one"
)]
pub struct SysInfo {
    pub uptime: i64,
    pub loads: [u64; 3],
    pub total: u64,
    pub free: u64,
    pub shared: u64,
    pub buffers: u64,
    pub total_swap: u64,
    pub free_swap: u64,
    pub processes: u16,
    pub padding: [u16; 3],
    pub total_high: u64,
    pub free_high: u64,
    pub unit: u32,
    pub reserved: u32,
}

const _: () = assert!(size_of::<SysInfo>() == 112);

/// `personality(2)`: programs find everything at the same addresses each time.
pub const ADDR_NO_RANDOMIZE: u32 = 0x4_0000;

/// `struct sched_attr`, second version.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(
    missing_docs,
    reason = "the fields are those of sched_setattr(2), one by one"
)]
pub struct SchedAttr {
    pub size: u32,
    pub policy: u32,
    pub flags: u64,
    pub nice: i32,
    pub priority: u32,
    pub runtime: u64,
    pub deadline: u64,
    pub period: u64,
    pub util_min: u32,
    pub util_max: u32,
}

const _: () = assert!(size_of::<SchedAttr>() == 56);

#[cfg(test)]
mod tests {
    use super::trimmed;

    #[test]
    fn a_name_ends_at_its_first_nul_or_with_its_field() {
        assert_eq!(trimmed(b"ab\0\0"), b"ab");
        assert_eq!(trimmed(b"ab\0c"), b"ab");
        assert_eq!(trimmed(b"ab"), b"ab");
        assert_eq!(trimmed(b""), b"");
    }
}
