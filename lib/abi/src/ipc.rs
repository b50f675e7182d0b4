//! System V communication: keys, permissions, and shared memory segments.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The key of what has no name.
pub const IPC_PRIVATE: i32 = 0;

/// Make it if it is not there.
pub const IPC_CREAT: u32 = 0o1000;
/// With `IPC_CREAT`: it must not be there.
pub const IPC_EXCL: u32 = 0o2000;

/// `shmctl` and its like: remove.
pub const IPC_RMID: i32 = 0;
/// Change owner and mode.
pub const IPC_SET: i32 = 1;
/// Tell what there is to know.
pub const IPC_STAT: i32 = 2;
/// Tell the limits.
pub const IPC_INFO: i32 = 3;

/// Huge pages.
pub const SHM_HUGETLB: u32 = 0o4000;
/// Do not count it against what memory there is.
pub const SHM_NORESERVE: u32 = 0o10000;
/// Where the size of huge pages is in the flags.
pub const SHM_HUGE_SHIFT: u32 = 26;

/// `shmat`: for reading only.
pub const SHM_RDONLY: u32 = 0o10000;
/// Round the address down.
pub const SHM_RND: u32 = 0o20000;
/// In place of what is mapped there.
pub const SHM_REMAP: u32 = 0o40000;
/// For executing, too.
pub const SHM_EXEC: u32 = 0o100000;

/// `shmctl`: lock in memory.
pub const SHM_LOCK: i32 = 11;
/// Unlock.
pub const SHM_UNLOCK: i32 = 12;
/// As `IPC_STAT`, by place in the table.
pub const SHM_STAT: i32 = 13;
/// Tell what all use together.
pub const SHM_INFO: i32 = 14;
/// As `SHM_STAT`, for whom the mode does not allow it, too.
pub const SHM_STAT_ANY: i32 = 15;

/// In a mode: goes with the last who has it attached.
pub const SHM_DEST: u32 = 0o1000;
/// In a mode: locked.
pub const SHM_LOCKED: u32 = 0o2000;

/// `struct ipc64_perm`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields are those of shmctl(2), one by one")]
pub struct IpcPerm {
    pub key: i32,
    pub uid: u32,
    pub gid: u32,
    pub cuid: u32,
    pub cgid: u32,
    pub mode: u32,
    pub seq: u16,
    pub padding: [u16; 3],
    pub unused: [u64; 2],
}

const _: () = assert!(size_of::<IpcPerm>() == 48);

/// `struct shmid64_ds`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields are those of shmctl(2), one by one")]
pub struct ShmIdDs {
    pub perm: IpcPerm,
    pub size: u64,
    pub attached: i64,
    pub detached: i64,
    pub changed: i64,
    pub creator: i32,
    pub last: i32,
    pub attaches: u64,
    pub unused: [u64; 2],
}

const _: () = assert!(size_of::<ShmIdDs>() == 112);

/// `struct shminfo64`: limits.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields are those of shmctl(2), one by one")]
pub struct ShmLimits {
    pub most_bytes: u64,
    pub least_bytes: u64,
    pub segments: u64,
    pub segments_per_process: u64,
    pub pages: u64,
    pub unused: [u64; 4],
}

const _: () = assert!(size_of::<ShmLimits>() == 72);

/// `struct shm_info`: what is in use.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "the fields are those of shmctl(2), one by one")]
pub struct ShmUse {
    pub segments: i32,
    pub padding: u32,
    pub pages: u64,
    pub resident: u64,
    pub swapped: u64,
    pub swap_attempts: u64,
    pub swap_successes: u64,
}

const _: () = assert!(size_of::<ShmUse>() == 48);
