//! File systems, by the names that mount(2) knows.

pub mod devtmpfs;
pub mod initramfs;
pub mod procfs;
pub mod tmpfs;

use alloc::sync::Arc;

use ochre_abi::Errno;

use crate::vfs::FileSystem;
use crate::vfs::mount::{Mount, MountFlags};

/// Names of file systems, for `/proc/filesystems`.
pub const NAMES: [&str; 5] = ["tmpfs", "ramfs", "devtmpfs", "proc", "sysfs"];

/// A new mount, to be attached somewhere.
///
/// # Errors
/// ENODEV for a kind that is not known, EINVAL for options that are not, ENOMEM.
pub fn mount(
    kind: &[u8],
    source: &[u8],
    flags: MountFlags,
    data: &[u8],
) -> Result<Arc<Mount>, Errno> {
    match kind {
        b"tmpfs" | b"ramfs" => {
            let options = tmpfs::Options::parse(data)?;
            let name = if kind == b"tmpfs" { "tmpfs" } else { "ramfs" };
            let tmpfs = tmpfs::Tmpfs::with_options(name, &options)?;
            let root = tmpfs.root();
            Ok(Mount::new(tmpfs, root, source, flags))
        }
        b"devtmpfs" => devtmpfs::mount(source, flags),
        b"proc" => Ok(procfs::mount(source, flags)),
        b"sysfs" => Ok(procfs::sysfs::mount(source, flags)),
        _ => Err(Errno::ENODEV),
    }
}
