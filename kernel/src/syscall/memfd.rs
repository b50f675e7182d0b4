//! Files that are in no directory.

use alloc::sync::Arc;

use ochre_abi::Errno;
use ochre_abi::fcntl::Seals;
use ochre_sync::Once;

use super::{Call, Ptr, SysResult};
use crate::fs::tmpfs::{self, Node, Tmpfs};
use crate::memory;
use crate::vfs::mount::{Mount, MountFlags};
use crate::vfs::{Dentry, FileSystem, Kind, New, OpenFile, Path, StatusFlags};

/// Close at exec.
const MFD_CLOEXEC: u32 = 1;
/// Let it be sealed.
const MFD_ALLOW_SEALING: u32 = 2;
/// Not executable, for good.
const MFD_NOEXEC_SEAL: u32 = 8;
/// Executable.
const MFD_EXEC: u32 = 0x10;

/// Longest name that a program may give, the NUL included.
const NAME_MAX: usize = 250;

static FILES: Once<(Arc<Tmpfs>, Arc<Mount>)> = Once::new();

/// The file system of such files, which is mounted nowhere.
fn files() -> Result<&'static (Arc<Tmpfs>, Arc<Mount>), Errno> {
    if FILES.get().is_none() {
        let tmpfs = Tmpfs::new("tmpfs", tmpfs::default_page_limit(), 0o777)?;
        let root = tmpfs.root();
        let mount = Mount::new(
            Arc::clone(&tmpfs) as Arc<dyn FileSystem>,
            root,
            b"tmpfs",
            MountFlags::empty(),
        );
        // Whoever was faster has set the same.
        let _ = FILES.set((tmpfs, mount));
    }
    FILES.get().ok_or(Errno::ENOMEM)
}

/// `memfd_create(2)`.
pub fn memfd_create(call: &mut Call<'_>, name: Ptr<u8>, flags: u32) -> SysResult {
    let known = MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC;
    let contradicts = MFD_NOEXEC_SEAL | MFD_EXEC;
    if flags & !known != 0 || flags & contradicts == contradicts {
        return Err(Errno::EINVAL);
    }
    let given = call
        .space
        .read_string(name.address(), NAME_MAX, Errno::EINVAL)?;
    call.files().check_room(call.open_files_limit())?;
    memory::check_headroom()?;
    let (tmpfs, mount) = files()?;
    let access = call.thread.access();
    let node = tmpfs.nameless(&New {
        kind: Kind::Regular,
        mode: if flags & MFD_NOEXEC_SEAL != 0 {
            0o666
        } else {
            0o777
        },
        uid: access.uid,
        gid: access.gid,
        device: 0,
        target: b"",
    })?;
    node.make_nameless();
    node.set_seals(if flags & MFD_NOEXEC_SEAL != 0 {
        Seals::EXEC
    } else if flags & MFD_ALLOW_SEALING != 0 {
        Seals::empty()
    } else {
        Seals::SEAL
    });
    let name = [b"memfd:", given.as_slice()].concat();
    let path = Path {
        mount: Arc::clone(mount),
        dentry: Dentry::detached(Arc::<Node>::clone(&node), &name, true),
    };
    let file = OpenFile::at(path, node, true, true, StatusFlags::LARGEFILE);
    call.install(file, flags & MFD_CLOEXEC != 0)
}
