//! Mounting and unmounting.

use alloc::sync::Arc;
use alloc::vec::Vec;

use ochre_abi::Errno;
use ochre_hal::memory::PAGE_SIZE;

use super::names::{HERE, Names, read_path};
use super::{Call, Ptr};
use crate::fs;
use crate::memory::{self, MakeRoom};
use crate::process::Capability;
use crate::vfs::Path;
use crate::vfs::mount::{self, Mount, MountFlags};

/// Change the flags of what is mounted.
const MS_REMOUNT: u64 = 32;
/// Show a part of the tree at another place too.
const MS_BIND: u64 = 4096;
/// Move what is mounted.
const MS_MOVE: u64 = 8192;
/// With what is mounted below.
const MS_REC: u64 = 16384;
/// How mounts spread: unbindable, private, slave, shared.
const MS_PROPAGATION: u64 = 0xf << 17;
/// Says nothing, but must be private: mounts do not spread here.
const MS_PRIVATE: u64 = 1 << 18;
/// The same for unbindable.
const MS_UNBINDABLE: u64 = 1 << 17;
/// Flags of a mount.
const MS_KEPT: u64 = 1 | 2 | 4 | 8 | 1024 | 2048 | 1 << 21;
/// Flags without effect: synchronous, mandatory locks, dirsync, silent, lazytime, strict times.
const MS_WITHOUT_EFFECT: u64 = 16 | 64 | 128 | 1 << 15 | 1 << 24 | 1 << 25;
/// An old mark in the upper half, to be passed over.
const MS_MGC_VAL: u64 = 0xc0ed_0000;
const MS_MGC_MSK: u64 = 0xffff_0000;

/// Take the mount out of the tree now, and end it when nobody uses it.
const MNT_DETACH: u32 = 2;
/// Mark it first, unmount it the second time.
const MNT_EXPIRE: u32 = 4;
/// Do not follow a symbolic link.
const UMOUNT_NOFOLLOW: u32 = 8;

fn check_privilege(call: &Call<'_>) -> Result<(), Errno> {
    if call.thread.has(Capability::SysAdmin) {
        Ok(())
    } else {
        Err(Errno::EPERM)
    }
}

fn optional_string(call: &Call<'_>, at: Ptr<u8>) -> Result<Vec<u8>, Errno> {
    if at.is_null() {
        return Ok(Vec::new());
    }
    call.space
        .read_string(at.address(), PAGE_SIZE, Errno::EINVAL)
}

/// `mount(2)`.
pub fn mount(
    call: &mut Call<'_>,
    source: Ptr<u8>,
    target: Ptr<u8>,
    kind: Ptr<u8>,
    flags: u64,
    data: Ptr<u8>,
) -> Result<(), Errno> {
    let kind = optional_string(call, kind)?;
    let source = optional_string(call, source)?;
    let data = optional_string(call, data)?;
    let target = read_path(call, target)?;
    let names = Names::of(call);
    let place = names.find(call, HERE, &target, true)?;
    check_privilege(call)?;
    let flags = if flags & MS_MGC_MSK == MS_MGC_VAL {
        flags & !MS_MGC_MSK
    } else {
        flags
    };
    let known =
        MS_REMOUNT | MS_BIND | MS_MOVE | MS_REC | MS_PROPAGATION | MS_KEPT | MS_WITHOUT_EFFECT;
    if flags & !known != 0 {
        return Err(Errno::EINVAL);
    }
    let kept = MountFlags::from_bits_truncate((flags & MS_KEPT) as u32);
    if flags & MS_REMOUNT != 0 {
        return remount(&place, kept, flags, &data);
    }
    if flags & MS_BIND != 0 {
        let from = names.find(call, HERE, &source, true)?;
        return bind(&from, &place, flags & MS_REC != 0);
    }
    if flags & MS_PROPAGATION != 0 {
        // Every mount is private here; nothing else can be asked for.
        return match flags & MS_PROPAGATION {
            MS_PRIVATE | MS_UNBINDABLE if place.is_mount_root() => Ok(()),
            _ => Err(Errno::EINVAL),
        };
    }
    if flags & MS_MOVE != 0 {
        let from = names.find(call, HERE, &source, true)?;
        if !from.is_mount_root() {
            return Err(Errno::EINVAL);
        }
        return mount::relocate(&from.mount, &place);
    }
    if kind.is_empty() {
        return Err(Errno::EINVAL);
    }
    memory::check_headroom()?;
    let mount = fs::mount(&kind, &source, kept, &data)?;
    mount::attach(&mount, &place)
}

fn remount(place: &Path, flags: MountFlags, all: u64, data: &[u8]) -> Result<(), Errno> {
    if !place.is_mount_root() {
        return Err(Errno::EINVAL);
    }
    if all & MS_BIND == 0 {
        place.mount.file_system().reconfigure(data)?;
    }
    place.mount.set_flags(flags);
    Ok(())
}

/// Shows the tree at `from` at `place` too, with the mounts below it if `deep`.
fn bind(from: &Path, place: &Path, deep: bool) -> Result<(), Errno> {
    let show = |what: &Path, at: &Path| {
        memory::check_headroom()?;
        let mount = Mount::new(
            Arc::clone(what.mount.file_system()),
            Arc::clone(&what.dentry),
            what.mount.source(),
            what.mount.flags(),
        );
        mount::attach(&mount, at)?;
        Ok::<_, Errno>(mount)
    };
    // Those below, looked for before the new mount is one of them.
    let all = mount::all()?;
    let mut below: Vec<(Arc<Mount>, Path)> = Vec::new();
    below.make_room(all.len())?;
    below.extend(
        all.into_iter()
            .filter_map(|mount| Some((Arc::clone(&mount), mount.place()?))),
    );
    let top = show(from, place)?;
    if !deep {
        return Ok(());
    }
    // Old mounts and what stands for them in the copy; mounts on those follow.
    let mut copied = Vec::from([(Arc::clone(&from.mount), top)]);
    let mut index = 0;
    while let Some((old, new)) = copied.get(index).cloned() {
        index += 1;
        for (mount, at) in &below {
            let is_here =
                Arc::ptr_eq(&at.mount, &old) && (index > 1 || at.dentry.is_within(&from.dentry));
            if is_here {
                let root = Path {
                    mount: Arc::clone(mount),
                    dentry: Arc::clone(mount.root()),
                };
                let target = Path {
                    mount: Arc::clone(&new),
                    dentry: Arc::clone(&at.dentry),
                };
                copied.make_room(1)?;
                copied.push((Arc::clone(mount), show(&root, &target)?));
            }
        }
    }
    Ok(())
}

/// `umount2(2)`.
pub fn umount2(call: &mut Call<'_>, target: Ptr<u8>, flags: u32) -> Result<(), Errno> {
    if flags & !(1 | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW) != 0
        || (flags & MNT_EXPIRE != 0 && flags & (1 | MNT_DETACH) != 0)
    {
        return Err(Errno::EINVAL);
    }
    check_privilege(call)?;
    let text = read_path(call, target)?;
    let path = Names::of(call).find(call, HERE, &text, flags & UMOUNT_NOFOLLOW == 0)?;
    if !path.is_mount_root() {
        return Err(Errno::EINVAL);
    }
    if flags & MNT_EXPIRE != 0 {
        return Err(Errno::EAGAIN);
    }
    let Path { mount, dentry } = path;
    drop(dentry);
    mount::detach(&mount, flags & MNT_DETACH != 0, 1)
}
