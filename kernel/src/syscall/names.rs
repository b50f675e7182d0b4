//! Paths as calls name them: a directory descriptor and a string.

use alloc::sync::Arc;
use alloc::vec::Vec;

use ochre_abi::Errno;
use ochre_abi::fcntl::{AT_FDCWD, PATH_MAX};

use super::{Call, Fd, Ptr};
use crate::vfs::walk::{Last, Walk};
use crate::vfs::{Access, FsContext, Path};

/// "The working directory".
pub(super) const HERE: Fd = Fd(AT_FDCWD);

/// Reads a path from the program's memory.
pub(super) fn read_path(call: &Call<'_>, path: Ptr<u8>) -> Result<Vec<u8>, Errno> {
    call.space
        .read_string(path.address(), PATH_MAX, Errno::ENAMETOOLONG)
}

/// Who asks, and what the root is.
pub(super) struct Names {
    pub(super) access: Access,
    pub(super) root: Path,
    context: Arc<FsContext>,
}

impl Names {
    /// As the calling process.
    pub(super) fn of(call: &Call<'_>) -> Names {
        Names::with(call, call.thread.access())
    }

    /// With another identity (`access`).
    pub(super) fn with(call: &Call<'_>, access: Access) -> Names {
        let context = call.fs();
        Names {
            access,
            root: context.root(),
            context,
        }
    }

    /// The mode that a new file gets.
    pub(super) fn masked(&self, mode: u32) -> u32 {
        mode & 0o7777 & !self.context.umask()
    }

    /// Where a walk along `text` starts.
    pub(super) fn start(&self, call: &Call<'_>, directory: Fd, text: &[u8]) -> Result<Path, Errno> {
        if text.first() == Some(&b'/') {
            return Ok(self.root.clone());
        }
        if directory.0 == AT_FDCWD {
            return Ok(self.context.working());
        }
        let file = call.files().get_any(directory.0)?;
        let path = file.path_or_anonymous();
        if !text.is_empty() && !path.dentry.is_directory() {
            return Err(Errno::ENOTDIR);
        }
        Ok(path)
    }

    /// A walk along `text`.
    pub(super) fn walk<'a>(
        &'a self,
        call: &Call<'_>,
        directory: Fd,
        text: &'a [u8],
    ) -> Result<Walk<'a>, Errno> {
        let start = self.start(call, directory, text)?;
        Walk::new(&self.access, &self.root, start, text)
    }

    /// The place that `text` names.
    pub(super) fn find(
        &self,
        call: &Call<'_>,
        directory: Fd,
        text: &[u8],
        follow: bool,
    ) -> Result<Path, Errno> {
        self.walk(call, directory, text)?.finish(follow)
    }

    /// The place that `text` names, or the descriptor's own for an empty text if
    /// the call allows that (`AT_EMPTY_PATH`).
    pub(super) fn find_or_self(
        &self,
        call: &Call<'_>,
        directory: Fd,
        text: &[u8],
        follow: bool,
        empty_means_self: bool,
    ) -> Result<Path, Errno> {
        if text.is_empty() && empty_means_self {
            return self.start(call, directory, text);
        }
        self.find(call, directory, text, follow)
    }

    /// A walk that stopped before a name that is to be made.
    ///
    /// `for_directory` says whether a slash may follow. EEXIST for what is there
    /// under any name ("/", "..").
    pub(super) fn walk_to_new<'a>(
        &'a self,
        call: &Call<'_>,
        directory: Fd,
        text: &'a [u8],
        for_directory: bool,
    ) -> Result<Walk<'a>, Errno> {
        let mut walk = self.walk(call, directory, text)?;
        walk.to_last()?;
        let Last::Name(_) = walk.last() else {
            return Err(Errno::EEXIST);
        };
        if walk.wants_directory() && !for_directory {
            return Err(match walk.look_up() {
                Ok(_) => Errno::EEXIST,
                Err(errno) => errno,
            });
        }
        Ok(walk)
    }
}

/// The last name of a walk that has one.
pub(super) fn last_name<'a>(walk: &'a Walk<'_>) -> &'a [u8] {
    match walk.last() {
        Last::Name(name) => name,
        Last::Dot | Last::DotDot | Last::Nothing => b"",
    }
}
