//! A whole file system of files that are made when they are looked up: its name,
//! its device number, its one root. Each is made with its first mount and stays;
//! all mounts of it show the same.

use alloc::sync::Arc;

use ochre_abi::stat::Statfs;
use ochre_sync::SpinLock;

use crate::vfs::mount::{Mount, MountFlags};
use crate::vfs::{Dentry, FileSystem, Inode, LazyDevice};

/// What there is one `static` of for each file system.
pub(super) struct Tree {
    name: &'static str,
    magic: i64,
    top: fn() -> Arc<dyn Inode>,
    device: LazyDevice,
    mounted: SpinLock<Option<Arc<Mounted>>>,
}

/// A tree that has its root.
struct Mounted {
    tree: &'static Tree,
    root: Arc<Dentry>,
}

impl Tree {
    /// A file system that `/proc/filesystems` calls `name` and `statfs` `magic`,
    /// with what `top` makes at its root.
    pub(super) const fn new(name: &'static str, magic: i64, top: fn() -> Arc<dyn Inode>) -> Tree {
        Tree {
            name,
            magic,
            top,
            device: LazyDevice::new(),
            mounted: SpinLock::new(None),
        }
    }

    /// The device number that its files show.
    pub(super) fn device(&self) -> u64 {
        self.device.number()
    }

    /// A new mount, to be attached somewhere.
    pub(super) fn mount(&'static self, source: &[u8], flags: MountFlags) -> Arc<Mount> {
        let file_system = Arc::clone(self.mounted.lock().get_or_insert_with(|| {
            Arc::new(Mounted {
                tree: self,
                root: Dentry::root((self.top)()),
            })
        }));
        let root = file_system.root();
        Mount::new(file_system, root, source, flags)
    }
}

impl FileSystem for Mounted {
    fn name(&self) -> &'static str {
        self.tree.name
    }

    fn root(&self) -> Arc<Dentry> {
        Arc::clone(&self.root)
    }

    fn statistics(&self) -> Statfs {
        Statfs {
            f_type: self.tree.magic,
            f_bsize: 4096,
            f_namelen: 255,
            f_frsize: 4096,
            ..Statfs::default()
        }
    }

    fn device(&self) -> u64 {
        self.tree.device()
    }
}
