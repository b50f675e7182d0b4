//! The file system that `/dev` shows: a node for every device the kernel knows.
//!
//! It is a tmpfs that the kernel fills; programs may add and remove names. What
//! a node opens to is decided by its number, in [`crate::device`], and
//! so is what opens a node made by mknod(2) elsewhere.

use alloc::sync::Arc;

use ochre_abi::Errno;
use ochre_sync::SpinLock;

use super::tmpfs::Tmpfs;
use crate::device::{self, DeviceNumber};
use crate::vfs::mount::{Mount, MountFlags};
use crate::vfs::tree::{self, Make};
use crate::vfs::{Access, File, FileSystem, Kind, Open, Path};

/// Pages that `/dev` may hold: it is for nodes, and `/dev/shm` for small objects.
const PAGES: u64 = 4096;

/// The one tree, once somebody asked for it.
static TREE: SpinLock<Option<Path>> = SpinLock::new(None);

/// Opens the device of that kind and number.
///
/// # Errors
/// ENXIO when nobody drives it; what the driver answers.
pub fn open(kind: Kind, device: u64, open: &Open<'_>) -> Result<Arc<dyn File>, Errno> {
    if kind != Kind::CharacterDevice {
        return Err(Errno::ENXIO);
    }
    let thread = open.thread.ok_or(Errno::ENXIO)?;
    let number = DeviceNumber::new(
        ochre_abi::stat::major(device),
        ochre_abi::stat::minor(device),
    );
    device::open(number, thread, !open.may_control)
}

/// The root of the file system, the same one each time, through a mount that
/// is in no table.
///
/// # Errors
/// ENOMEM.
pub fn tree() -> Result<Path, Errno> {
    if let Some(tree) = TREE.lock().clone() {
        return Ok(tree);
    }
    let file_system = Tmpfs::new("devtmpfs", PAGES, 0o755)?;
    let dentry = file_system.root();
    let tree = Path {
        mount: Mount::new(
            file_system,
            Arc::clone(&dentry),
            b"devtmpfs",
            MountFlags::empty(),
        ),
        dentry,
    };
    fill(&tree)?;
    Ok(TREE.lock().get_or_insert(tree).clone())
}

/// A new mount of the file system, to be attached somewhere.
///
/// # Errors
/// ENOMEM.
pub fn mount(source: &[u8], flags: MountFlags) -> Result<Arc<Mount>, Errno> {
    let tree = tree()?;
    let file_system = Arc::clone(tree.mount.file_system());
    Ok(Mount::new(file_system, tree.dentry, source, flags))
}

fn fill(tree: &Path) -> Result<(), Errno> {
    let root = Access::root();
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        let link = Make {
            target: target.as_bytes(),
            ..Make::plain(Kind::Symlink, 0o777)
        };
        tree::make(&root, tree, name.as_bytes(), &link)?;
    }
    for (name, mode) in [("pts", 0o755), ("shm", 0o1777)] {
        let directory = Make::plain(Kind::Directory, mode);
        tree::make(&root, tree, name.as_bytes(), &directory)?;
    }
    for node in device::nodes() {
        let make = Make {
            device: u64::from(node.number.encode()),
            ..Make::plain(Kind::CharacterDevice, node.mode)
        };
        tree::make(&root, tree, node.name.as_bytes(), &make)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{open, tree};
    use crate::vfs::{Kind, Open, StatusFlags};
    use ochre_abi::Errno;
    use ochre_abi::stat::make_device;

    #[test]
    fn every_device_has_its_node() {
        let tree = tree().unwrap();
        let null = tree.dentry.child(b"null").unwrap();
        assert_eq!(null.kind(), Kind::CharacterDevice);
        assert_eq!(null.inode().metadata().represents, make_device(1, 3));
        assert_eq!(null.inode().permissions().mode, 0o666);
        let shared = tree.dentry.child(b"shm").unwrap();
        assert_eq!(shared.inode().permissions().mode, 0o1777);
        assert_eq!(tree.dentry.child(b"fd").unwrap().kind(), Kind::Symlink);
    }

    #[test]
    fn block_devices_have_no_driver() {
        let request = Open {
            thread: None,
            readable: true,
            writable: false,
            flags: StatusFlags::empty(),
            may_control: false,
        };
        let result = open(Kind::BlockDevice, make_device(8, 0), &request);
        assert_eq!(result.err(), Some(Errno::ENXIO));
    }
}
