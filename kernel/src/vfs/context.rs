//! What a process resolves paths with: root, working directory, umask.

use alloc::sync::Arc;

use ochre_sync::SpinLock;
use ochre_sync::primitive::atomic::{AtomicU32, Ordering};

use super::{Path, anonymous, mount};

/// Root, working directory and umask; shared by `CLONE_FS`.
#[derive(Debug)]
pub struct FsContext {
    places: SpinLock<Places>,
    umask: AtomicU32,
}

#[derive(Clone, Debug)]
struct Places {
    root: Path,
    working: Path,
}

impl FsContext {
    /// A context whose working directory is its root, with the usual umask.
    #[must_use]
    pub fn new(root: Path) -> Arc<FsContext> {
        Arc::new(FsContext {
            places: SpinLock::new(Places {
                working: root.clone(),
                root,
            }),
            umask: AtomicU32::new(0o022),
        })
    }

    /// A context of the root of everything; before there is one, of nowhere.
    #[must_use]
    pub fn initial() -> Arc<FsContext> {
        FsContext::new(mount::root().unwrap_or_else(anonymous::nowhere))
    }

    /// A copy for a child that does not share it.
    #[must_use]
    pub fn duplicate(&self) -> Arc<FsContext> {
        Arc::new(FsContext {
            places: SpinLock::new(self.places.lock().clone()),
            umask: AtomicU32::new(self.umask()),
        })
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> Path {
        self.places.lock().root.clone()
    }

    /// The working directory.
    #[must_use]
    pub fn working(&self) -> Path {
        self.places.lock().working.clone()
    }

    /// Changes the root (`chroot`).
    pub fn set_root(&self, root: Path) {
        let old = core::mem::replace(&mut self.places.lock().root, root);
        drop(old);
    }

    /// Changes the working directory.
    pub fn set_working(&self, working: Path) {
        let old = core::mem::replace(&mut self.places.lock().working, working);
        drop(old);
    }

    /// Permission bits that new files do not get.
    #[must_use]
    pub fn umask(&self) -> u32 {
        self.umask.load(Ordering::Relaxed)
    }

    /// Changes them; returns what they were.
    pub fn set_umask(&self, umask: u32) -> u32 {
        self.umask.swap(umask & 0o777, Ordering::Relaxed)
    }
}
