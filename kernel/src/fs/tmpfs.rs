//! tmpfs: a file system that is memory.
//!
//! Directories are resident: the dentries are the tree. An inode is a [`Node`];
//! the content of a regular file is a sparse map of user frames, which are also
//! what mmap(2) maps: there is no other copy.
//!
//! devtmpfs is a tmpfs that drivers fill.

mod node;
mod options;
mod pages;

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use ochre_abi::Errno;
use ochre_abi::stat::{Statfs, TMPFS_MAGIC};
use ochre_hal::memory::PAGE_SIZE;
use ochre_sync::primitive::atomic::{AtomicU64, Ordering};

use crate::memory::MakeRoom as _;
use crate::vfs::mount;
use crate::vfs::{Change, Dentry, FileSystem, Kind, New, anonymous_device};

pub use node::Node;
pub use options::Options;
pub use pages::{Frame, Pages};

/// Memory an inode stands for, in the accounts of a file system: its objects
/// live in the kernel's heap.
const INODES_PER_PAGE: u64 = 4;

/// What all inodes of one tmpfs share: numbers and accounts.
#[derive(Debug)]
pub struct Accounts {
    device: u64,
    next_inode: AtomicU64,
    /// Pages of file data in use.
    pages: AtomicU64,
    /// Pages that may be in use.
    page_limit: AtomicU64,
    inodes: AtomicU64,
    inode_limit: AtomicU64,
}

impl Accounts {
    /// Takes `pages` more pages into account.
    ///
    /// # Errors
    /// ENOSPC.
    fn charge(&self, pages: u64) -> Result<(), Errno> {
        charge(&self.pages, &self.page_limit, pages)
    }

    fn release(&self, pages: u64) {
        self.pages.fetch_sub(pages, Ordering::Relaxed);
    }

    fn charge_inode(&self) -> Result<u64, Errno> {
        charge(&self.inodes, &self.inode_limit, 1)?;
        Ok(self.next_inode.fetch_add(1, Ordering::Relaxed))
    }

    fn release_inode(&self) {
        self.inodes.fetch_sub(1, Ordering::Relaxed);
    }
}

fn charge(count: &AtomicU64, limit: &AtomicU64, add: u64) -> Result<(), Errno> {
    // ORDERING: Relaxed; counters that stand alone.
    let before = count.fetch_add(add, Ordering::Relaxed);
    if before.saturating_add(add) > limit.load(Ordering::Relaxed) {
        count.fetch_sub(add, Ordering::Relaxed);
        return Err(Errno::ENOSPC);
    }
    Ok(())
}

/// Frames that hold files: the memory file systems are the page cache.
#[must_use]
pub fn frames() -> u64 {
    let mut seen: Vec<u64> = Vec::new();
    let mut frames: u64 = 0;
    for mount in mount::all().unwrap_or_default() {
        let file_system = mount.file_system();
        let device = file_system.device();
        if seen.contains(&device) || seen.make_room(1).is_err() {
            continue;
        }
        seen.push(device);
        let statistics = file_system.statistics();
        if statistics.f_type == TMPFS_MAGIC {
            let used = statistics.f_blocks.saturating_sub(statistics.f_bfree);
            frames = frames.saturating_add(used);
        }
    }
    frames
}

/// A file system in memory.
pub struct Tmpfs {
    name: &'static str,
    accounts: Arc<Accounts>,
    root: Arc<Dentry>,
}

impl Tmpfs {
    /// An empty one of at most `page_limit` pages, whose root has `mode`.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn new(name: &'static str, page_limit: u64, mode: u32) -> Result<Arc<Tmpfs>, Errno> {
        let accounts = Arc::new(Accounts {
            device: anonymous_device(),
            next_inode: AtomicU64::new(1),
            pages: AtomicU64::new(0),
            page_limit: AtomicU64::new(page_limit),
            inodes: AtomicU64::new(0),
            inode_limit: AtomicU64::new(page_limit.saturating_mul(INODES_PER_PAGE).max(64)),
        });
        let root = Node::new(
            &accounts,
            &New {
                kind: Kind::Directory,
                mode,
                uid: 0,
                gid: 0,
                device: 0,
                target: b"",
            },
        )?;
        Ok(Arc::new(Tmpfs {
            name,
            accounts,
            root: Dentry::root(root),
        }))
    }

    /// An empty one as `mount -o` describes it: half of the machine's memory
    /// unless it says otherwise.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn with_options(name: &'static str, options: &Options) -> Result<Arc<Tmpfs>, Errno> {
        let tmpfs = Tmpfs::new(name, default_page_limit(), options.mode.unwrap_or(0o1777))?;
        tmpfs.apply(options);
        tmpfs.root.inode().change(&Change {
            uid: options.uid,
            gid: options.gid,
            ..Change::default()
        })?;
        Ok(tmpfs)
    }

    fn apply(&self, options: &Options) {
        if let Some(percent) = options.percent {
            self.set_page_limit(default_page_limit() * 2 * percent / 100);
        }
        if let Some(pages) = options.pages {
            // No size is no limit.
            self.set_page_limit(if pages == 0 { u64::MAX } else { pages });
        }
        if let Some(inodes) = options.inodes {
            let limit = if inodes == 0 { u64::MAX } else { inodes };
            self.accounts.inode_limit.store(limit, Ordering::Relaxed);
        }
    }

    /// A new inode without a name (`O_TMPFILE`, memfd).
    ///
    /// # Errors
    /// ENOSPC, ENOMEM.
    pub fn nameless(&self, new: &New<'_>) -> Result<Arc<Node>, Errno> {
        Node::new(&self.accounts, new)
    }

    /// Changes how many pages it may have.
    pub fn set_page_limit(&self, pages: u64) {
        self.accounts.page_limit.store(pages, Ordering::Relaxed);
        self.accounts.inode_limit.store(
            pages.saturating_mul(INODES_PER_PAGE).max(64),
            Ordering::Relaxed,
        );
    }

    /// Pages of file data in use.
    #[must_use]
    pub fn pages(&self) -> u64 {
        self.accounts.pages.load(Ordering::Relaxed)
    }

    /// After the root was unpacked, which nothing limited: from now on it may
    /// grow by half of what is left of `total` pages.
    pub fn limit_growth(&self, total: u64) {
        let used = self.pages();
        self.set_page_limit(used + total.saturating_sub(used) / 2);
    }
}

/// Half of the machine's memory, in pages: what a tmpfs gets by default.
#[must_use]
pub fn default_page_limit() -> u64 {
    ochre_hal::memory::total() as u64 / 2
}

impl FileSystem for Tmpfs {
    fn name(&self) -> &'static str {
        self.name
    }

    fn root(&self) -> Arc<Dentry> {
        Arc::clone(&self.root)
    }

    fn statistics(&self) -> Statfs {
        let limit = self.accounts.page_limit.load(Ordering::Relaxed);
        let free = limit.saturating_sub(self.pages());
        let inodes = self.accounts.inode_limit.load(Ordering::Relaxed);
        let page = PAGE_SIZE.cast_signed() as i64;
        Statfs {
            f_type: TMPFS_MAGIC,
            f_bsize: page,
            f_blocks: limit,
            f_bfree: free,
            f_bavail: free,
            f_files: inodes,
            f_ffree: inodes.saturating_sub(self.accounts.inodes.load(Ordering::Relaxed)),
            f_fsid: [self.accounts.device as i32, 0],
            f_namelen: 255,
            f_frsize: page,
            ..Statfs::default()
        }
    }

    fn device(&self) -> u64 {
        self.accounts.device
    }

    fn reconfigure(&self, data: &[u8]) -> Result<(), Errno> {
        self.apply(&Options::parse(data)?);
        Ok(())
    }

    fn options(&self) -> String {
        let limit = self.accounts.page_limit.load(Ordering::Relaxed);
        if limit == u64::MAX {
            String::new()
        } else {
            alloc::format!(",size={}k", limit.saturating_mul(PAGE_SIZE as u64 / 1024))
        }
    }
}
