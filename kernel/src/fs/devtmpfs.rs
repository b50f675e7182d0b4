//! Devices by number, and the file system of their nodes that `/dev` shows.
//!
//! A driver registers a node: its name, kind, number, mode and what opening it
//! does. Opening a node of that kind and number anywhere, one made by mknod(2)
//! too, comes here.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use ochre_abi::Errno;
use ochre_abi::stat::make_device;
use ochre_sync::SpinLock;

use super::tmpfs::Tmpfs;
use crate::vfs::mount::{Mount, MountFlags};
use crate::vfs::tree::{self, Make};
use crate::vfs::{Access, File, FileSystem, Kind, Open, Path};

/// What opening a device does. The number is the device's.
pub type OpenDevice = fn(device: u64, open: &Open<'_>) -> Result<Arc<dyn File>, Errno>;

struct Device {
    name: Vec<u8>,
    mode: u32,
    open: OpenDevice,
}

struct Registry {
    /// By kind and number.
    devices: BTreeMap<(Kind, u64), Device>,
    /// The tree, once it is mounted.
    tree: Option<Path>,
}

static REGISTRY: SpinLock<Registry> = SpinLock::new(Registry {
    devices: BTreeMap::new(),
    tree: None,
});

/// Pages that `/dev` may hold: it is for nodes.
const PAGES: u64 = 1024;

/// Registers a device. `name` is its path below `/dev` (directories are made);
/// an empty one registers a device without a node.
pub fn register(name: &str, kind: Kind, major: u32, minor: u32, mode: u32, open: OpenDevice) {
    let device = make_device(major, minor);
    let mut registry = REGISTRY.lock();
    registry.devices.insert(
        (kind, device),
        Device {
            name: name.as_bytes().to_vec(),
            mode,
            open,
        },
    );
    let tree = registry.tree.clone();
    drop(registry);
    if let Some(tree) = tree
        && let Err(errno) = make_node(&tree, name.as_bytes(), kind, device, mode)
    {
        log::warn!("devtmpfs: cannot make {name}: {errno}");
    }
}

/// Opens the device of that kind and number.
///
/// # Errors
/// ENXIO when nobody drives it; what the driver answers.
pub fn open(kind: Kind, device: u64, open: &Open<'_>) -> Result<Arc<dyn File>, Errno> {
    let opener = REGISTRY
        .lock()
        .devices
        .get(&(kind, device))
        .map(|found| found.open)
        .ok_or(Errno::ENXIO)?;
    opener(device, open)
}

/// The file system with every registered node, the same one each time.
///
/// # Errors
/// ENOMEM.
pub fn file_system() -> Result<Path, Errno> {
    if let Some(tree) = REGISTRY.lock().tree.clone() {
        return Ok(tree);
    }
    let file_system = Tmpfs::new("devtmpfs", PAGES, 0o755)?;
    let root = file_system.root();
    let tree = Path {
        mount: Mount::new(
            file_system,
            Arc::clone(&root),
            b"devtmpfs",
            MountFlags::NOSUID,
        ),
        dentry: root,
    };
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        make(
            &tree,
            name.as_bytes(),
            &Make {
                target: target.as_bytes(),
                ..Make::plain(Kind::Symlink, 0o777)
            },
        )?;
    }
    make(&tree, b"pts", &Make::plain(Kind::Directory, 0o755))?;
    make(&tree, b"shm", &Make::plain(Kind::Directory, 0o1777))?;
    let nodes: Vec<(Vec<u8>, Kind, u64, u32)> = {
        let mut registry = REGISTRY.lock();
        registry.tree = Some(tree.clone());
        registry
            .devices
            .iter()
            .map(|((kind, number), device)| (device.name.clone(), *kind, *number, device.mode))
            .collect()
    };
    for (name, kind, number, mode) in nodes {
        make_node(&tree, &name, kind, number, mode)?;
    }
    Ok(tree)
}

fn make(tree: &Path, name: &[u8], what: &Make<'_>) -> Result<(), Errno> {
    match tree::make(&Access::root(), tree, name, what) {
        Ok(_) | Err(Errno::EEXIST) => Ok(()),
        Err(errno) => Err(errno),
    }
}

fn make_node(tree: &Path, name: &[u8], kind: Kind, device: u64, mode: u32) -> Result<(), Errno> {
    if name.is_empty() {
        return Ok(());
    }
    let mut directory = tree.clone();
    let mut parts = name.split(|byte| *byte == b'/').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_some() {
            make(&directory, part, &Make::plain(Kind::Directory, 0o755))?;
            directory.dentry = directory.dentry.child(part)?;
        } else {
            make(
                &directory,
                part,
                &Make {
                    device,
                    ..Make::plain(kind, mode)
                },
            )?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{file_system, open, register};
    use crate::vfs::{File, Kind, Open, StatusFlags};
    use core::any::Any;
    use ochre_abi::Errno;
    use ochre_abi::stat::make_device;
    use std::sync::Arc;

    struct Null;

    impl File for Null {
        fn as_any(&self) -> &dyn Any {
            self
        }
    }

    fn request() -> Open<'static> {
        Open {
            thread: None,
            readable: true,
            writable: false,
            flags: StatusFlags::empty(),
            may_control: false,
        }
    }

    #[test]
    fn nodes_appear_before_and_after_mounting() {
        register("null", Kind::CharacterDevice, 250, 3, 0o666, |_, _| {
            Ok(Arc::new(Null))
        });
        let tree = file_system().unwrap();
        register("sub/late", Kind::CharacterDevice, 250, 4, 0o600, |_, _| {
            Err(Errno::EBUSY)
        });
        let null = tree.dentry.child(b"null").unwrap();
        assert_eq!(null.inode().metadata().represents, make_device(250, 3));
        assert_eq!(null.inode().permissions().mode, 0o666);
        let late = tree.dentry.child(b"sub").unwrap().child(b"late").unwrap();
        assert!(matches!(
            Arc::clone(late.inode()).open(&request()),
            Err(Errno::EBUSY)
        ));
        assert!(Arc::clone(null.inode()).open(&request()).is_ok());
        assert!(matches!(
            open(Kind::CharacterDevice, make_device(250, 99), &request()),
            Err(Errno::ENXIO)
        ));
    }
}
