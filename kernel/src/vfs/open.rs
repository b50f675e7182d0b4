//! Opening: from a path and flags to an open file.

use alloc::sync::Arc;

use ochre_abi::Errno;
use ochre_abi::fcntl::{
    O_ACCMODE, O_CLOEXEC, O_CREAT, O_DIRECTORY, O_EXCL, O_LARGEFILE, O_NOATIME, O_NOCTTY,
    O_NOFOLLOW, O_PATH, O_RDONLY, O_RDWR, O_TMPFILE, O_TRUNC, O_WRONLY,
};

use super::mount::MountFlags;
use super::tree::{self, Make};
use super::walk::{Last, Walk};
use super::{Access, Hold, Kind, Open, OpenFile, Opened, Path, StatusFlags, Want};
use crate::memory;
use crate::process::Thread;

/// Who opens, and from where.
pub struct Opener<'a> {
    /// The identity.
    pub access: &'a Access,
    /// The root.
    pub root: &'a Path,
    /// The thread, if one does.
    pub thread: Option<&'a Arc<Thread>>,
}

/// `O_*` flags and the mode of a new file, with the umask applied.
#[derive(Clone, Copy, Debug)]
pub struct How {
    /// `O_*`.
    pub flags: u32,
    /// Permission bits.
    pub mode: u32,
}

/// Flags that `F_GETFL` shows.
const STATUS: u32 = !(O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC);

impl How {
    fn has(self, flag: u32) -> bool {
        self.flags & flag == flag
    }

    fn is_readable(self) -> bool {
        matches!(self.flags & O_ACCMODE, O_RDONLY | O_RDWR)
    }

    fn is_writable(self) -> bool {
        matches!(self.flags & O_ACCMODE, O_WRONLY | O_RDWR)
    }

    /// What the file's permissions must allow. (Access mode 3 asks for both and
    /// gives neither.)
    fn want(self) -> Want {
        let mut want = match self.flags & O_ACCMODE {
            O_RDONLY => Want::READ,
            O_WRONLY => Want::WRITE,
            _ => Want::READ | Want::WRITE,
        };
        if self.has(O_TRUNC) {
            want |= Want::WRITE;
        }
        want
    }

    fn status(self) -> StatusFlags {
        StatusFlags::from_bits_retain((self.flags & STATUS) | O_LARGEFILE)
    }

    /// The flags as they count: `O_PATH` switches most of them off.
    ///
    /// # Errors
    /// EINVAL for what makes no sense together.
    fn checked(self) -> Result<How, Errno> {
        let mut how = self;
        how.mode &= 0o7777;
        if self.has(O_PATH) {
            how.flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
            return Ok(how);
        }
        if self.has(O_TMPFILE) {
            if self.has(O_CREAT) || !self.is_writable() {
                return Err(Errno::EINVAL);
            }
        } else if self.has(O_CREAT | O_DIRECTORY) {
            return Err(Errno::EINVAL);
        }
        Ok(how)
    }
}

/// What opening came to.
pub enum OpenOutcome {
    /// An open file.
    Open(OpenFile),
    /// One that another has to open too (a FIFO): the place, and what to wait for.
    Wait(Path, super::Opening),
}

/// Opens `text`, walked from `start`.
///
/// # Errors
/// As open(2).
pub fn open(opener: &Opener<'_>, start: Path, text: &[u8], how: How) -> Result<OpenOutcome, Errno> {
    let how = how.checked()?;
    let mut walk = Walk::new(opener.access, opener.root, start, text)?;
    if how.has(O_TMPFILE) {
        let directory = walk.finish(true)?;
        return open_nameless(opener, &directory, how);
    }
    if !how.has(O_CREAT) {
        let path = walk.finish(!how.has(O_NOFOLLOW))?;
        return open_path(opener, path, how, false);
    }
    loop {
        walk.to_last()?;
        let Last::Name(name) = walk.last() else {
            return Err(if how.has(O_EXCL) {
                Errno::EEXIST
            } else {
                Errno::EISDIR
            });
        };
        match walk.look_up() {
            Ok(_) if how.has(O_EXCL) => return Err(Errno::EEXIST),
            Ok(found) if found.dentry.kind() == Kind::Symlink && !how.has(O_NOFOLLOW) => {
                walk.follow(&found.dentry)?;
                // A link that jumps leaves no name to make.
                if walk.is_over() {
                    let path = walk.place().clone();
                    return open_path(opener, path, how, false);
                }
            }
            Ok(_) if walk.wants_directory() => return Err(Errno::EISDIR),
            Ok(found) => return open_path(opener, found, how, false),
            Err(Errno::ENOENT) if walk.wants_directory() => return Err(Errno::EISDIR),
            Err(Errno::ENOENT) => {
                let make = Make::plain(Kind::Regular, how.mode);
                match tree::make(opener.access, walk.place(), name, &make) {
                    Ok(dentry) => {
                        let path = Path {
                            mount: Arc::clone(&walk.place().mount),
                            dentry,
                        };
                        return open_path(opener, path, how, true);
                    }
                    // Somebody else was faster: open theirs.
                    Err(Errno::EEXIST) if !how.has(O_EXCL) => {
                        let found = walk.look_up()?;
                        return open_path(opener, found, how, false);
                    }
                    Err(errno) => return Err(errno),
                }
            }
            Err(errno) => return Err(errno),
        }
    }
}

/// Opens what is at `path`, by the flags that matter after the walk.
///
/// # Errors
/// As open(2).
pub fn open_path(
    opener: &Opener<'_>,
    path: Path,
    how: How,
    created: bool,
) -> Result<OpenOutcome, Errno> {
    let kind = path.dentry.kind();
    if how.has(O_DIRECTORY) && kind != Kind::Directory {
        return Err(Errno::ENOTDIR);
    }
    if how.has(O_PATH) {
        let file = Arc::new(super::file::OnlyPath);
        return Ok(OpenOutcome::Open(OpenFile::at(
            path,
            file,
            false,
            false,
            how.status() - StatusFlags::LARGEFILE,
        )));
    }
    let mut truncate = how.has(O_TRUNC) && !created;
    let want = how.want();
    match kind {
        Kind::Symlink => return Err(Errno::ELOOP),
        Kind::Directory if want.contains(Want::WRITE) || how.has(O_CREAT) => {
            return Err(Errno::EISDIR);
        }
        Kind::CharacterDevice | Kind::BlockDevice => {
            if path.mount.flags().contains(MountFlags::NODEV) {
                return Err(Errno::EACCES);
            }
            truncate = false;
        }
        Kind::Fifo | Kind::Socket => truncate = false,
        Kind::Regular | Kind::Directory => {}
    }
    let permissions = path.inode().permissions();
    if !created {
        if kind == Kind::Regular && want.contains(Want::WRITE) {
            path.mount.check_writable()?;
        }
        opener.access.check(permissions, kind, want)?;
        if how.has(O_NOATIME) && !opener.access.owns(permissions) {
            return Err(Errno::EPERM);
        }
    }
    let request = Open {
        thread: opener.thread,
        readable: how.is_readable(),
        writable: how.is_writable(),
        flags: how.status(),
        may_control: !how.has(O_NOCTTY),
    };
    let hold = if kind == Kind::Regular && request.writable {
        Hold::writing(path.inode())?
    } else {
        None
    };
    let opened = Arc::clone(path.inode()).open(&request)?;
    if truncate {
        path.inode().truncate(0)?;
        super::attributes::wrote(opener.access, &path);
    }
    Ok(match opened {
        Opened::File(file) => {
            let (readable, writable) = (request.readable, request.writable);
            let open = OpenFile::at(path, file, readable, writable, request.flags);
            OpenOutcome::Open(open.holding(hold))
        }
        Opened::Wait(opening) => OpenOutcome::Wait(path, opening),
    })
}

/// Opens a new file without a name in `directory`'s file system (`O_TMPFILE`).
fn open_nameless(opener: &Opener<'_>, directory: &Path, how: How) -> Result<OpenOutcome, Errno> {
    if !directory.dentry.is_directory() {
        return Err(Errno::ENOTDIR);
    }
    directory.mount.check_writable()?;
    opener.access.check(
        directory.inode().permissions(),
        Kind::Directory,
        Want::WRITE | Want::EXECUTE,
    )?;
    memory::check_headroom()?;
    let make = Make::plain(Kind::Regular, how.mode);
    let new = tree::inherit(opener.access, directory, &make);
    let inode = directory.inode().create_nameless(&new)?;
    let name = alloc::format!("#{}", inode.metadata().inode);
    let path = Path {
        mount: Arc::clone(&directory.mount),
        dentry: super::Dentry::detached(inode, name.as_bytes(), true),
    };
    let how = How {
        flags: how.flags & !O_TMPFILE,
        ..how
    };
    open_path(opener, path, how, true)
}
