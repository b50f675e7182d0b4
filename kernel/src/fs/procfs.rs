//! procfs: what the kernel knows, as files.
//!
//! Nothing is kept: directories are tables in this folder and the live tables of
//! the kernel; a file's text is made when it is read from the start and then
//! stays as it is for that open file. Inodes are made when they are looked up.
//!
//! | module | what |
//! |---|---|
//! | `text` | the buffer that texts are made in |
//! | `tree` | the whole: name, device number, root |
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
mod shortage;
mod sys;
pub mod sysfs;
mod text;
mod tree;

pub(crate) use machine::set_command_line;

use alloc::sync::Arc;

use ochre_abi::stat::PROC_SUPER_MAGIC;

use self::tree::Tree;
use crate::vfs::mount::{Mount, MountFlags};

/// The one file system.
static TREE: Tree = Tree::new("proc", PROC_SUPER_MAGIC, root::top);

/// A new mount of the file system, to be attached somewhere.
#[must_use]
pub fn mount(source: &[u8], flags: MountFlags) -> Arc<Mount> {
    TREE.mount(source, flags)
}

#[cfg(test)]
mod tests;
