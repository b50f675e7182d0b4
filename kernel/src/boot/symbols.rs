//! Takes the names of the kernel's functions out of the root, where the command
//! line says that they are (`ochre.symbols=PATH`), so that its reports have
//! them without a tool behind them.
//!
//! What is there is hostile input like the rest of the archive: `hal` checks
//! it before it keeps it, and a machine goes on without names. The file is
//! removed once its content is kept, as nobody else needs it.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use log::{info, warn};
use ochre_abi::Errno;
use ochre_hal::names;

use crate::memory::MakeRoom;
use crate::vfs::walk::{Last, Walk};
use crate::vfs::{Access, Inode, Kind, Open, Opened, Path, StatusFlags, read_at, tree};

/// The longest file that is looked at.
const MAX_BYTES: u64 = 16 << 20;

/// Takes the names from this file, or says why not.
pub(super) fn take(root: &Path, path: &[u8]) {
    let shown = String::from_utf8_lossy(path);
    match from_file(root, path) {
        Ok(count) => info!("names of {count} functions of the kernel from {shown}"),
        Err(reason) => warn!("no names of the kernel's functions from {shown}: {reason}"),
    }
}

fn from_file(root: &Path, path: &[u8]) -> Result<usize, String> {
    let told = |errno: Errno| format!("{errno}");
    let access = Access::root();
    let mut walk = Walk::new(&access, root, root.clone(), path).map_err(told)?;
    walk.to_last().map_err(told)?;
    let Last::Name(name) = walk.last() else {
        return Err(told(Errno::EISDIR));
    };
    let name = name.to_vec();
    let directory = walk.place().clone();
    let file = walk.look_up().map_err(told)?;
    let bytes = content(file.inode()).map_err(told)?;
    let count = names::keep(&bytes).map_err(|refused| format!("{refused}"))?;
    tree::remove(&access, &directory, &name, false).map_err(told)?;
    Ok(count)
}

/// All of a regular file.
fn content(inode: &Arc<dyn Inode>) -> Result<Vec<u8>, Errno> {
    if inode.kind() != Kind::Regular {
        return Err(Errno::EINVAL);
    }
    let size = inode.metadata().size;
    if size > MAX_BYTES {
        return Err(Errno::EFBIG);
    }
    let size = usize::try_from(size).map_err(|_| Errno::EFBIG)?;
    let mut bytes = Vec::new();
    bytes.make_room_exact(size)?;
    bytes.resize(size, 0);
    let open = Open {
        thread: None,
        readable: true,
        writable: false,
        flags: StatusFlags::empty(),
        may_control: false,
    };
    let Opened::File(file) = Arc::clone(inode).open(&open)? else {
        return Err(Errno::EINVAL);
    };
    if read_at(&*file, 0, &mut bytes)? < size {
        return Err(Errno::EIO);
    }
    Ok(bytes)
}
