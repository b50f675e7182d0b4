//! Places for files that are in no file system: pipes, event counters.
//!
//! A link in `/proc/PID/fd` must lead somewhere, and opening it opens the file
//! again. So a place is made up when asked for: a mount that nobody sees, a
//! dentry named after the file, an inode that opens to it.

use alloc::sync::Arc;
use core::any::Any;

use ochre_abi::Errno;
use ochre_abi::stat::Statfs;
use ochre_sync::Once;

use super::inode::ANONYMOUS_DEVICE;
use super::mount::{Mount, MountFlags};
use super::{Dentry, File, FileSystem, Inode, Kind, Metadata, Open, Opened, Path, Permissions};

struct AnonymousFiles;

impl FileSystem for AnonymousFiles {
    fn name(&self) -> &'static str {
        "anon_inodefs"
    }

    fn root(&self) -> Arc<Dentry> {
        Dentry::root(Arc::new(Nowhere))
    }

    fn statistics(&self) -> Statfs {
        Statfs {
            f_type: 0x0904_1934,
            f_bsize: 4096,
            f_namelen: 255,
            f_frsize: 4096,
            ..Statfs::default()
        }
    }

    fn device(&self) -> u64 {
        ANONYMOUS_DEVICE
    }
}

/// The root of the mount that nobody sees.
struct Nowhere;

impl Inode for Nowhere {
    fn kind(&self) -> Kind {
        Kind::Directory
    }

    fn permissions(&self) -> Permissions {
        self.metadata().permissions
    }

    fn metadata(&self) -> Metadata {
        Metadata::anonymous(Kind::Directory)
    }

    fn open(self: Arc<Self>, _open: &Open<'_>) -> Result<Opened, Errno> {
        Err(Errno::ENXIO)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// An inode that opens to a file that is open already.
struct Anonymous {
    file: Arc<dyn File>,
}

impl Inode for Anonymous {
    fn kind(&self) -> Kind {
        self.file.metadata().kind
    }

    fn permissions(&self) -> Permissions {
        self.file.metadata().permissions
    }

    fn metadata(&self) -> Metadata {
        self.file.metadata()
    }

    fn open(self: Arc<Self>, _open: &Open<'_>) -> Result<Opened, Errno> {
        match self.kind() {
            // Both ends of a pipe are files of their own; this is the one that
            // the descriptor has.
            Kind::Fifo | Kind::CharacterDevice => Ok(Opened::File(Arc::clone(&self.file))),
            _ => Err(Errno::ENXIO),
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

static MOUNT: Once<Arc<Mount>> = Once::new();

/// The mount for places that no directory leads to.
#[must_use]
pub fn mount() -> Arc<Mount> {
    if let Some(mount) = MOUNT.get() {
        return Arc::clone(mount);
    }
    let file_system = Arc::new(AnonymousFiles);
    let root = file_system.root();
    let mount = Mount::new(file_system, root, b"none", MountFlags::empty());
    // Whoever was faster has set the same.
    let _ = MOUNT.set(Arc::clone(&mount));
    mount
}

/// A directory with nothing in it and nothing above.
#[must_use]
pub fn nowhere() -> Path {
    let mount = mount();
    Path {
        dentry: Arc::clone(mount.root()),
        mount,
    }
}

/// A place for `file`.
#[must_use]
pub fn path(file: &Arc<dyn File>) -> Path {
    let inode = Arc::new(Anonymous {
        file: Arc::clone(file),
    });
    Path {
        mount: mount(),
        dentry: Dentry::detached(inode, &file.description(), false),
    }
}
