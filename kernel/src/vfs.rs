//! Files: what can be opened, and what was opened.
//!
//! From the outside in: a descriptor ([`FdTable`]) names an [`OpenFile`], which
//! has a [`File`] (what it does) and mostly a [`Path`] (where it is): a
//! [`Dentry`] of a file system seen through a [`Mount`](mount::Mount). A dentry
//! has an [`Inode`], the object that a file system keeps. [`walk`] finds places
//! by name, [`tree`] changes names, [`open()`] makes open files, [`transfer`]
//! makes blocking reads and writes of files that never block.

mod access;
pub mod anonymous;
pub mod attributes;
mod context;
mod dentry;
mod device_number;
pub mod directory;
mod fd_table;
mod file;
mod inode;
mod io;
pub mod lock;
pub mod mount;
mod open;
mod path;
mod time;
pub mod transfer;
pub mod tree;
pub mod walk;
mod writers;

pub use access::{Access, Want};
pub use context::FsContext;
pub use dentry::{Dentry, VisitChild};
pub use device_number::{LazyDevice, anonymous_device};
pub use fd_table::{DESCRIPTORS_MAX, FdTable};
pub use file::{Events, File, OpenFile, StatusFlags, Transfer};
pub use inode::{
    Allocate, Allocation, AllocationStage, Change, Entry, FileSystem, Inode, Kind, Link, Metadata,
    New, Open, Opened, Opening, Permissions, Rename, Timestamp,
};
pub(crate) use io::read_at;
pub use io::{Range, Sink, Source};
pub use open::{How, OpenOutcome, Opener, open, open_path};
pub use path::{Path, put_reversed};
pub use time::now;
pub use writers::{Hold, WriterCount};

#[cfg(test)]
mod tests;
