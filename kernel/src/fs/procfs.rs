//! procfs: what the kernel knows, as files.
//!
//! Nothing is kept: directories are tables in this folder and the live tables of
//! the kernel; a file's text is made when it is read from the start and then
//! stays as it is for that open file. Inodes are made when they are looked up.
//!
//! | module | what |
//! |---|---|
//! | `text` | the buffer that texts are made in |
//! | `node` | inodes of files and links; what an open file does |
//! | `root` | the top, `/proc/sys`, `/proc/ochre`: tables of `Entry` |
//! | `machine`, `sys`, `memory` | the files in those tables |
//! | `sysfs` | another file system of such files: the processors |
//! | `process` | `/proc/PID` and `/proc/PID/task/TID` |
//!
//! # Lock protocol
//! A text is made with the position of the open file locked, nothing else. The
//! process table's lock is taken to find things and given back before anything
//! is written; handles of processes are dropped after it.

mod machine;
mod memory;
mod node;
mod process;
mod root;
mod sys;
pub mod sysfs;
mod text;

pub(crate) use machine::set_command_line;

use alloc::sync::Arc;

use ochre_abi::stat::{PROC_SUPER_MAGIC, Statfs};
use ochre_sync::SpinLock;

use self::node::Device;
use crate::vfs::mount::{Mount, MountFlags};
use crate::vfs::{Dentry, FileSystem};

/// The one file system.
struct Procfs {
    root: Arc<Dentry>,
}

/// The device number that files of it show.
static DEVICE: Device = Device::new();

static FILE_SYSTEM: SpinLock<Option<Arc<Procfs>>> = SpinLock::new(None);

impl FileSystem for Procfs {
    fn name(&self) -> &'static str {
        "proc"
    }

    fn root(&self) -> Arc<Dentry> {
        Arc::clone(&self.root)
    }

    fn statistics(&self) -> Statfs {
        Statfs {
            f_type: PROC_SUPER_MAGIC,
            f_bsize: 4096,
            f_namelen: 255,
            f_frsize: 4096,
            ..Statfs::default()
        }
    }

    fn device(&self) -> u64 {
        DEVICE.number()
    }
}

/// A new mount of the file system, to be attached somewhere.
#[must_use]
pub fn mount(source: &[u8], flags: MountFlags) -> Arc<Mount> {
    let file_system = Arc::clone(FILE_SYSTEM.lock().get_or_insert_with(|| {
        Arc::new(Procfs {
            root: Dentry::root(root::top()),
        })
    }));
    let root = file_system.root();
    Mount::new(file_system, root, source, flags)
}

#[cfg(test)]
mod tests;
