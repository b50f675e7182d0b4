//! The mount table: which file system shows where.
//!
//! A mount shows a file system, or a part of it, on top of a place of another
//! mount. The table finds the mount on a place; the dentry below has a count so
//! that walks over ordinary directories never ask.
//!
//! # Lock protocol
//! `TABLE` is taken before a mount's `place`; nothing else is taken under it.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bitflags::bitflags;
use ochre_abi::Errno;
use ochre_sync::SpinLock;
use ochre_sync::primitive::atomic::{AtomicU32, AtomicU64, Ordering};

use super::{Dentry, FileSystem, Path};
use crate::memory::MakeRoom;

bitflags! {
    /// Restrictions of a mount, with the numbers of mount(2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct MountFlags: u32 {
        /// Nothing is written.
        const READ_ONLY = 1;
        /// Set-user and set-group bits mean nothing.
        const NOSUID = 2;
        /// Device nodes cannot be opened.
        const NODEV = 4;
        /// Nothing is executed.
        const NOEXEC = 8;
        /// Accesses are not recorded.
        const NOATIME = 1024;
        /// Accesses of directories are not recorded.
        const NODIRATIME = 2048;
        /// Accesses are recorded when older than the last change.
        const RELATIME = 1 << 21;
    }
}

/// A file system shown at a place.
pub struct Mount {
    id: u64,
    file_system: Arc<dyn FileSystem>,
    root: Arc<Dentry>,
    source: Box<[u8]>,
    flags: AtomicU32,
    /// What it is mounted on.
    place: SpinLock<Option<Path>>,
}

struct Table {
    /// By identity of the mount below and address of the dentry.
    on: BTreeMap<(u64, usize), Arc<Mount>>,
    /// In the order of mounting.
    all: Vec<Arc<Mount>>,
}

static TABLE: SpinLock<Table> = SpinLock::new(Table {
    on: BTreeMap::new(),
    all: Vec::new(),
});

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

fn key(place: &Path) -> (u64, usize) {
    (place.mount.id, Arc::as_ptr(&place.dentry).addr())
}

impl Mount {
    /// A mount of `root`'s tree that is not in the table: the first one, or one
    /// only the kernel sees (anonymous files).
    #[must_use]
    pub fn new(
        file_system: Arc<dyn FileSystem>,
        root: Arc<Dentry>,
        source: &[u8],
        flags: MountFlags,
    ) -> Arc<Mount> {
        Arc::new(Mount {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            file_system,
            root,
            source: source.into(),
            flags: AtomicU32::new(flags.bits()),
            place: SpinLock::new(None),
        })
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The file system.
    #[must_use]
    pub fn file_system(&self) -> &Arc<dyn FileSystem> {
        &self.file_system
    }

    /// The dentry at its top.
    #[inline]
    #[must_use]
    pub fn root(&self) -> &Arc<Dentry> {
        &self.root
    }

    /// What mount(2) was told to mount.
    #[must_use]
    pub fn source(&self) -> &[u8] {
        &self.source
    }

    /// Its restrictions.
    #[inline]
    #[must_use]
    pub fn flags(&self) -> MountFlags {
        MountFlags::from_bits_retain(self.flags.load(Ordering::Relaxed))
    }

    /// Changes its restrictions (remount).
    pub fn set_flags(&self, flags: MountFlags) {
        self.flags.store(flags.bits(), Ordering::Relaxed);
    }

    /// Fails where nothing may be written.
    ///
    /// # Errors
    /// EROFS.
    #[inline]
    pub fn check_writable(&self) -> Result<(), Errno> {
        if self.flags().contains(MountFlags::READ_ONLY) {
            Err(Errno::EROFS)
        } else {
            Ok(())
        }
    }

    /// What it is mounted on.
    #[must_use]
    pub fn place(&self) -> Option<Path> {
        self.place.lock().clone()
    }
}

impl core::fmt::Debug for Mount {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Mount")
            .field("id", &self.id)
            .field("file_system", &self.file_system.name())
            .finish_non_exhaustive()
    }
}

/// The mount on top of a place.
#[must_use]
pub fn on(place: &Path) -> Option<Arc<Mount>> {
    TABLE.lock().on.get(&key(place)).cloned()
}

/// Enters a mount without a place: the root of everything.
pub fn add_root(mount: &Arc<Mount>) {
    TABLE.lock().all.push(Arc::clone(mount));
}

/// The root of everything, once there is one.
#[must_use]
pub fn root() -> Option<Path> {
    let mount = TABLE.lock().all.first().cloned()?;
    let mut path = Path {
        dentry: Arc::clone(&mount.root),
        mount,
    };
    path.cross_mounts();
    Some(path)
}

/// Shows `mount` on top of `place`.
///
/// # Errors
/// EBUSY when something is there already, ENOENT for a removed directory,
/// ENOTDIR when only one of the two is a directory.
pub fn attach(mount: &Arc<Mount>, place: &Path) -> Result<(), Errno> {
    if mount.root.is_directory() != place.dentry.is_directory() {
        return Err(Errno::ENOTDIR);
    }
    if place.dentry.is_deleted() {
        return Err(Errno::ENOENT);
    }
    let mut table = TABLE.lock();
    if table.on.contains_key(&key(place)) {
        return Err(Errno::EBUSY);
    }
    table.all.make_room(1)?;
    *mount.place.lock() = Some(place.clone());
    place.dentry.add_mount();
    table.on.insert(key(place), Arc::clone(mount));
    table.all.push(Arc::clone(mount));
    Ok(())
}

/// Takes a mount out of the table.
///
/// # Errors
/// EBUSY while something is mounted on it or, unless `detach`, uses it: `users`
/// handles are the caller's own. EINVAL for the root and for one that is not
/// in the table.
pub fn detach(mount: &Arc<Mount>, lazily: bool, users: usize) -> Result<(), Errno> {
    let mut table = TABLE.lock();
    let place = mount.place().ok_or(Errno::EINVAL)?;
    if table.on.keys().any(|(below, _)| *below == mount.id) {
        return Err(Errno::EBUSY);
    }
    // Handles of the table itself: by place and by order.
    if !lazily && Arc::strong_count(mount) > 2 + users {
        return Err(Errno::EBUSY);
    }
    let by_place = table.on.remove(&key(&place));
    let index = table.all.iter().position(|other| Arc::ptr_eq(other, mount));
    let by_order = index.map(|index| table.all.remove(index));
    place.dentry.remove_mount();
    let below = mount.place.lock().take();
    drop(table);
    drop((by_place, by_order, below));
    Ok(())
}

/// Moves a mount to another place.
///
/// # Errors
/// EINVAL for the root, ELOOP for a place inside it, ENOTDIR, EBUSY.
pub fn relocate(mount: &Arc<Mount>, to: &Path) -> Result<(), Errno> {
    let from = mount.place().ok_or(Errno::EINVAL)?;
    let mut at = Some(to.clone());
    while let Some(path) = at {
        if Arc::ptr_eq(&path.mount, mount) {
            return Err(Errno::ELOOP);
        }
        at = path.mount.place();
    }
    if mount.root.is_directory() != to.dentry.is_directory() {
        return Err(Errno::ENOTDIR);
    }
    let mut table = TABLE.lock();
    if table.on.contains_key(&key(to)) {
        return Err(Errno::EBUSY);
    }
    if let Some(moved) = table.on.remove(&key(&from)) {
        from.dentry.remove_mount();
        to.dentry.add_mount();
        let old = mount.place.lock().replace(to.clone());
        table.on.insert(key(to), moved);
        drop(table);
        drop(old);
    }
    Ok(())
}

/// Every mount in the table, in the order of mounting.
///
/// # Errors
/// ENOMEM.
pub fn all() -> Result<Vec<Arc<Mount>>, Errno> {
    let table = TABLE.lock();
    let mut all = Vec::new();
    all.make_room_exact(table.all.len())?;
    all.extend_from_slice(&table.all);
    Ok(all)
}
