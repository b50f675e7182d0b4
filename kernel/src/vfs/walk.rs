//! The walk from a path's text to a place: one loop, no recursion.
//!
//! A walk has a place, a text and how far it is in it. A symbolic link puts the
//! rest of the text on a stack and goes on with the link's; at the end of a text
//! the walk goes on with the one below. [`Walk::to_last`] stops before the last
//! component of the last text, which calls that make or remove names then treat
//! themselves; [`Walk::finish`] takes that step too.

use alloc::sync::Arc;
use alloc::vec::Vec;

use ochre_abi::Errno;

use super::{Access, Dentry, Kind, Link, Path, Want};
use crate::memory::MakeRoom;

/// Symbolic links followed in one walk.
const LINKS_MAX: u32 = 40;

enum Text<'a> {
    Given(&'a [u8]),
    Link(Arc<[u8]>),
}

impl Text<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Text::Given(bytes) => bytes,
            Text::Link(bytes) => bytes,
        }
    }
}

/// What the last component is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last<'a> {
    /// A name to look up in [`Walk::place`].
    Name(&'a [u8]),
    /// `.`: the place itself.
    Dot,
    /// `..`: the one above.
    DotDot,
    /// Nothing: the text was all slashes, or a jump ended it.
    Nothing,
}

/// A walk in progress.
pub struct Walk<'a> {
    access: &'a Access,
    root: &'a Path,
    place: Path,
    text: Text<'a>,
    offset: usize,
    /// The last component's bytes in the text.
    last: (usize, usize),
    /// Whether slashes follow the last component: it must be a directory.
    slash: bool,
    /// Texts to go on with, each with where.
    rest: Vec<(Text<'a>, usize)>,
    links: u32,
}

impl<'a> Walk<'a> {
    /// A walk along `text` from `start`, or from `root` if it is absolute.
    ///
    /// # Errors
    /// ENOENT for an empty text.
    #[inline]
    pub fn new(
        access: &'a Access,
        root: &'a Path,
        start: Path,
        text: &'a [u8],
    ) -> Result<Walk<'a>, Errno> {
        let first = text.first().ok_or(Errno::ENOENT)?;
        Ok(Walk {
            access,
            root,
            place: if *first == b'/' { root.clone() } else { start },
            text: Text::Given(text),
            offset: 0,
            last: (0, 0),
            slash: false,
            rest: Vec::new(),
            links: 0,
        })
    }

    /// Where the walk is.
    #[must_use]
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// The last component, after [`to_last`](Walk::to_last).
    #[must_use]
    pub fn last(&self) -> Last<'_> {
        match &self.text.bytes()[self.last.0..self.last.1] {
            b"" => Last::Nothing,
            b"." => Last::Dot,
            b".." => Last::DotDot,
            name => Last::Name(name),
        }
    }

    /// Whether the last component must be a directory: a slash follows it.
    #[must_use]
    pub fn wants_directory(&self) -> bool {
        self.slash
    }

    /// Whether nothing is left of the text: a link jumped to the end.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.text.bytes().is_empty() && self.rest.is_empty()
    }

    /// Walks up to and without the last component.
    ///
    /// # Errors
    /// ENOENT, ENOTDIR, EACCES, ELOOP, ENAMETOOLONG.
    pub fn to_last(&mut self) -> Result<(), Errno> {
        loop {
            let bytes = self.text.bytes();
            let start = skip(bytes, self.offset, |byte| byte == b'/');
            let end = skip(bytes, start, |byte| byte != b'/');
            let index = skip(bytes, end, |byte| byte == b'/');
            self.offset = index;
            let is_end = index == bytes.len();
            if is_end && self.rest.is_empty() {
                self.last = (start, end);
                self.slash |= index > end;
                if start != end {
                    self.check_search()?;
                }
                return Ok(());
            }
            if start != end {
                self.enter(start, end)?;
            } else if let Some((text, offset)) = self.rest.pop() {
                self.text = text;
                self.offset = offset;
            }
        }
    }

    /// Looks the last component up, a name, without following it.
    ///
    /// # Errors
    /// ENOENT, ENAMETOOLONG.
    pub fn look_up(&self) -> Result<Path, Errno> {
        let mut found = self.place.clone();
        match self.last() {
            Last::Name(name) => {
                found.dentry = self.place.dentry.child(name)?;
                found.cross_mounts();
            }
            Last::DotDot => found.ascend(self.root),
            Last::Dot | Last::Nothing => {}
        }
        Ok(found)
    }

    /// Goes on with where the link `dentry` leads, after [`to_last`](Walk::to_last).
    ///
    /// # Errors
    /// ELOOP, ENOENT for an empty target.
    pub fn follow(&mut self, dentry: &Arc<Dentry>) -> Result<(), Errno> {
        self.links += 1;
        if self.links > LINKS_MAX {
            return Err(Errno::ELOOP);
        }
        let link = dentry.inode().link_target()?;
        if self.offset < self.text.bytes().len() {
            self.rest.make_room(1)?;
            let text = core::mem::replace(&mut self.text, Text::Given(b""));
            self.rest.push((text, self.offset));
        }
        self.offset = 0;
        match link {
            Link::Text(target) => {
                match target.first() {
                    None => return Err(Errno::ENOENT),
                    Some(b'/') => self.place = self.root.clone(),
                    Some(_) => {}
                }
                self.text = Text::Link(target);
            }
            Link::Jump(place) => {
                self.place = place;
                self.text = Text::Given(b"");
            }
        }
        Ok(())
    }

    /// Walks to the end; `follow` says whether a link in the last component is
    /// followed (one with a slash after it always is).
    ///
    /// # Errors
    /// ENOENT, ENOTDIR, EACCES, ELOOP, ENAMETOOLONG.
    pub fn finish(&mut self, follow: bool) -> Result<Path, Errno> {
        loop {
            self.to_last()?;
            let found = self.look_up()?;
            if found.dentry.kind() == Kind::Symlink
                && (follow || self.slash)
                && matches!(self.last(), Last::Name(_))
            {
                self.follow(&found.dentry)?;
                continue;
            }
            if self.slash && !found.dentry.is_directory() {
                return Err(Errno::ENOTDIR);
            }
            return Ok(found);
        }
    }

    fn check_search(&self) -> Result<(), Errno> {
        if !self.place.dentry.is_directory() {
            return Err(Errno::ENOTDIR);
        }
        let inode = self.place.dentry.inode();
        self.access
            .check(inode.permissions(), Kind::Directory, Want::EXECUTE)
    }

    /// Takes one step that is not the last.
    fn enter(&mut self, start: usize, end: usize) -> Result<(), Errno> {
        self.check_search()?;
        match &self.text.bytes()[start..end] {
            b"." => {}
            b".." => self.place.ascend(self.root),
            name => {
                let child = self.place.dentry.child(name)?;
                if child.kind() == Kind::Symlink {
                    return self.follow(&child);
                }
                self.place.dentry = child;
                self.place.cross_mounts();
            }
        }
        Ok(())
    }
}

/// The first index from `from` on whose byte is not `over`.
#[inline]
fn skip(bytes: &[u8], from: usize, over: impl Fn(u8) -> bool) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    from + rest
        .iter()
        .position(|byte| !over(*byte))
        .unwrap_or(rest.len())
}

/// Walks `text` from `start` to its end.
///
/// # Errors
/// ENOENT, ENOTDIR, EACCES, ELOOP, ENAMETOOLONG.
pub fn resolve(
    access: &Access,
    root: &Path,
    start: Path,
    text: &[u8],
    follow: bool,
) -> Result<Path, Errno> {
    Walk::new(access, root, start, text)?.finish(follow)
}
