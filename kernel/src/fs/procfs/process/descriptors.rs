//! `fd` and `fdinfo`: the open files of a process.

use alloc::sync::Arc;
use core::any::Any;
use core::fmt::{self, Write};

use ochre_abi::Errno;
use ochre_abi::fcntl::{O_CLOEXEC, O_RDWR, O_WRONLY};

use super::{DESCRIPTOR, DESCRIPTOR_INFO, Subject};
use crate::fs::procfs::node::{Arrow, Content, Identity, Leaf, Listing, Target};
use crate::fs::procfs::root::{Digits, parse_number};
use crate::fs::procfs::text::{Made, Text};
use crate::process::PidFd;
use crate::vfs::{
    Entry as Listed, Inode, Kind, Link, Metadata, Open, OpenFile, Opened, Permissions, now,
};

/// What a directory of descriptors has for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Show {
    /// A link to the file.
    Links,
    /// A text about it.
    Facts,
}

/// `fd` or `fdinfo`.
pub(super) struct Directory {
    pub(super) subject: Subject,
    pub(super) number: u64,
    pub(super) mode: u32,
    pub(super) show: Show,
}

/// How often another reader of a position is waited for.
const PATIENCE: usize = 1000;

impl Directory {
    fn identity(&self) -> Identity {
        self.subject.identity(self.number, self.mode, false)
    }

    fn number_of(&self, fd: i32) -> u64 {
        number_of(self.show, fd)
    }
}

fn number_of(show: Show, fd: i32) -> u64 {
    u64::from(fd.unsigned_abs())
        + match show {
            Show::Links => DESCRIPTOR,
            Show::Facts => DESCRIPTOR_INFO,
        }
}

impl Inode for Directory {
    fn kind(&self) -> Kind {
        Kind::Directory
    }

    fn permissions(&self) -> Permissions {
        self.identity().permissions()
    }

    fn metadata(&self) -> Metadata {
        self.identity().metadata(Kind::Directory, 2, 0, now())
    }

    fn is_stale(&self) -> bool {
        self.subject.is_gone()
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        let fd = parse_number(name)
            .and_then(|fd| i32::try_from(fd).ok())
            .ok_or(Errno::ENOENT)?;
        let descriptor = Descriptor {
            subject: self.subject.clone(),
            fd,
            show: self.show,
        };
        if descriptor.file().is_err() {
            return Err(Errno::ENOENT);
        }
        Ok(match self.show {
            Show::Links => Arrow::inode(descriptor),
            Show::Facts => Leaf::inode(descriptor),
        })
    }

    fn read_dir(
        &self,
        cursor: u64,
        visit: &mut dyn FnMut(&Listed<'_>) -> bool,
    ) -> Result<(), Errno> {
        let files = self.subject.files().map_err(|_| Errno::ENOENT)?;
        let mut from = usize::try_from(cursor).unwrap_or(usize::MAX);
        while let Some((fd, _file)) = files.next_from(from) {
            from = fd.unsigned_abs() as usize + 1;
            let mut digits = Digits::default();
            let listed = Listed {
                inode: self.subject.base() + self.number_of(fd),
                next: from as u64,
                kind: match self.show {
                    Show::Links => Kind::Symlink,
                    Show::Facts => Kind::Regular,
                },
                name: digits.of(fd.unsigned_abs()),
            };
            if !visit(&listed) {
                break;
            }
        }
        Ok(())
    }

    fn open(self: Arc<Self>, _open: &Open<'_>) -> Result<Opened, Errno> {
        Ok(Opened::File(Arc::new(Listing)))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// An entry of `fd` or `fdinfo`.
struct Descriptor {
    subject: Subject,
    fd: i32,
    show: Show,
}

impl Descriptor {
    fn file(&self) -> Result<Arc<OpenFile>, Errno> {
        self.subject.files()?.get_any(self.fd)
    }

    fn identity_with(&self, mode: u32) -> Identity {
        self.subject
            .identity(number_of(self.show, self.fd), mode, false)
    }
}

impl Target for Descriptor {
    /// The mode says what the descriptor was opened for.
    fn identity(&self) -> Identity {
        let mode = self.file().map_or(0, |file| {
            let read = if file.is_readable() { 0o500 } else { 0 };
            let write = if file.is_writable() { 0o300 } else { 0 };
            read | write
        });
        self.identity_with(mode)
    }

    fn is_gone(&self) -> bool {
        self.file().is_err()
    }

    fn size(&self) -> u64 {
        64
    }

    fn target(&self) -> Result<Link, Errno> {
        self.subject.check_inspection()?;
        let file = self.file().map_err(|_| Errno::ENOENT)?;
        Ok(Link::Jump(file.path_or_anonymous()))
    }
}

impl Content for Descriptor {
    fn identity(&self) -> Identity {
        self.identity_with(0o444)
    }

    fn is_gone(&self) -> bool {
        self.file().is_err()
    }

    fn check_open(&self) -> Result<(), Errno> {
        self.subject.check_inspection()
    }

    fn render(&self, text: &mut Text) -> Made {
        let files = self.subject.files()?;
        let file = files.get_any(self.fd).map_err(|_| Errno::ENOENT)?;
        let closes = files.is_close_on_exec(self.fd).unwrap_or(false);
        let facts = Facts {
            position: position_of(&file),
            flags: flags_of(&file, closes),
            mount: file.path().map_or(0, |path| path.mount.id()),
            inode: file.metadata().inode,
        };
        facts.write(text)?;
        if let Some(file) = file.file().as_any().downcast_ref::<PidFd>() {
            let number = file.number().map_or(-1, |pid| i64::from(pid.0));
            write!(text, "Pid:\t{number}\nNSpid:\t{number}\n")?;
        }
        Ok(())
    }
}

/// The position of a file. One that is locked is being read or written right
/// now, perhaps by this very reader, at whose position of 0 this text is made.
fn position_of(file: &OpenFile) -> u64 {
    for _ in 0..PATIENCE {
        if let Some(position) = file.position().try_lock() {
            return *position;
        }
        core::hint::spin_loop();
    }
    0
}

fn flags_of(file: &OpenFile, closes: bool) -> u32 {
    let mode = match (file.is_readable(), file.is_writable()) {
        (true, true) => O_RDWR,
        (false, true) => O_WRONLY,
        _ => 0,
    };
    mode | file.flags().bits() | if closes { O_CLOEXEC } else { 0 }
}

/// What `fdinfo` tells.
struct Facts {
    position: u64,
    flags: u32,
    mount: u64,
    inode: u64,
}

impl Facts {
    fn write(&self, text: &mut Text) -> fmt::Result {
        write!(
            text,
            "pos:\t{}\nflags:\t0{:o}\nmnt_id:\t{}\nino:\t{}\n",
            self.position, self.flags, self.mount, self.inode
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{Facts, Text};

    #[test]
    fn facts_are_four_lines() {
        let mut text = Text::default();
        let facts = Facts {
            position: 12,
            flags: 0o2_100_002,
            mount: 3,
            inode: 99,
        };
        facts.write(&mut text).unwrap();
        assert_eq!(
            text.into_bytes(),
            b"pos:\t12\nflags:\t02100002\nmnt_id:\t3\nino:\t99\n"
        );
    }
}
