//! `cwd`, `exe` and `root`.

use alloc::sync::Arc;

use ochre_abi::Errno;

use super::Subject;
use crate::fs::procfs::node::{Identity, Target};
use crate::process::table;
use crate::vfs::{Link, Path};

/// Which of the links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Executable,
    Root,
    Working,
}

/// A link to a file of the process.
pub(super) struct ToFile {
    pub(super) subject: Subject,
    pub(super) number: u64,
    pub(super) which: Which,
}

impl ToFile {
    fn path(&self) -> Result<Path, Errno> {
        let process = self.subject.process().map_err(|_| Errno::ENOENT)?;
        let is_zombie = table::lock()
            .relations(process.pid)
            .is_none_or(|of| of.is_zombie);
        if is_zombie {
            return Err(Errno::ENOENT);
        }
        match self.which {
            Which::Executable => {
                let space = Arc::clone(&process.space.lock());
                let facts = space.facts();
                let file = facts.executable.as_ref().ok_or(Errno::ENOENT)?;
                file.path().cloned().ok_or(Errno::ENOENT)
            }
            Which::Root => Ok(self.subject.fs()?.root()),
            Which::Working => Ok(self.subject.fs()?.working()),
        }
    }
}

impl Target for ToFile {
    fn identity(&self) -> Identity {
        self.subject.identity(self.number, 0o777, false)
    }

    fn is_gone(&self) -> bool {
        self.subject.is_gone()
    }

    fn target(&self) -> Result<Link, Errno> {
        self.subject.check_inspection()?;
        self.path().map(Link::Jump)
    }
}
