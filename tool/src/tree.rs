//! A root file system in the making: directories, files and links by path, kept in memory.
//!
//! File contents that come from the host are kept as a path and read only when
//! the archive is written. Paths given to a tree are paths of the guest; links
//! in the tree are followed in all but the last component, so that with
//! `/bin -> usr/bin` in the tree `/bin/ls` lands in `/usr/bin`.
//!
//! # Invariants
//! Every entry's parent is in the tree and is a directory.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs,
    os::unix::{
        ffi::{OsStrExt as _, OsStringExt as _},
        fs::{FileTypeExt as _, MetadataExt as _},
    },
    path::{Component, Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};

/// The time stamp of what does not come from the host: 2026-01-01, so that
/// the same tree always gives the same archive.
const MADE_AT: u64 = 1_767_225_600;

/// How many links a path may lead through, as in Linux.
const MAX_LINKS: usize = 40;

/// A root file system in the making.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// By path from the root, without a slash in front. In byte order a
    /// directory comes before what is in it.
    entries: BTreeMap<Vec<u8>, Entry>,
}

/// One thing in a tree.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What it is.
    pub node: Node,
    /// Permissions, with the set-id and sticky bits.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// Time of last change, in seconds since 1970.
    pub mtime: u64,
}

/// The kinds of things in a tree.
#[derive(Clone, Debug)]
pub enum Node {
    /// A directory.
    Directory,
    /// A regular file.
    File(Content),
    /// A symbolic link to this text.
    Symlink(PathBuf),
    /// A named pipe.
    Fifo,
}

/// Where the bytes of a file come from.
#[derive(Clone, Debug)]
pub enum Content {
    /// These bytes.
    Bytes(Vec<u8>),
    /// What is in this file of the host when the archive is written.
    Host(PathBuf),
}

impl Entry {
    fn new(node: Node, mode: u32) -> Self {
        Self {
            node,
            mode,
            uid: 0,
            gid: 0,
            mtime: MADE_AT,
        }
    }
}

impl Tree {
    /// An empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// All entries, parents before children, by path without a slash in front.
    pub fn entries(&self) -> impl Iterator<Item = (&Path, &Entry)> {
        self.entries
            .iter()
            .map(|(path, entry)| (Path::new(OsStr::from_bytes(path)), entry))
    }

    /// The files whose content comes from this host: the guest's path, without
    /// a slash in front, and the host's.
    pub fn host_files(&self) -> impl Iterator<Item = (&Path, &Path)> {
        self.entries()
            .filter_map(|(path, entry)| match &entry.node {
                Node::File(Content::Host(host)) => Some((path, host.as_path())),
                _ => None,
            })
    }

    /// The entry at a path; links in the last component are not followed.
    pub fn get(&self, path: impl AsRef<Path>) -> Option<&Entry> {
        self.entries.get(&self.resolve_parent(path.as_ref()).ok()?)
    }

    /// Whether a path leads to something, links followed to the end.
    pub fn exists(&self, path: impl AsRef<Path>) -> bool {
        self.resolve(path.as_ref())
            .is_ok_and(|key| key.is_empty() || self.entries.contains_key(&key))
    }

    /// Adds a directory and those above it. If it is there already only its
    /// mode changes.
    ///
    /// # Errors
    /// If something on the way is not a directory.
    pub fn directory(&mut self, path: impl AsRef<Path>, mode: u32) -> Result<()> {
        let key = self.resolve(path.as_ref())?;
        if key.is_empty() {
            return Ok(());
        }
        self.parents(&key)?;
        match self.entries.get_mut(&key) {
            Some(entry) if matches!(entry.node, Node::Directory) => entry.mode = mode,
            Some(_) => bail!("/{} is not a directory", key.escape_ascii()),
            None => {
                self.entries.insert(key, Entry::new(Node::Directory, mode));
            }
        }
        Ok(())
    }

    /// Adds a file with these bytes.
    ///
    /// # Errors
    /// If something on the way is not a directory.
    pub fn file(
        &mut self,
        path: impl AsRef<Path>,
        mode: u32,
        bytes: impl Into<Vec<u8>>,
    ) -> Result<()> {
        let node = Node::File(Content::Bytes(bytes.into()));
        self.insert(path.as_ref(), Entry::new(node, mode))
    }

    /// Adds a symbolic link.
    ///
    /// # Errors
    /// If something on the way is not a directory.
    pub fn symlink(&mut self, path: impl AsRef<Path>, to: impl Into<PathBuf>) -> Result<()> {
        self.insert(path.as_ref(), Entry::new(Node::Symlink(to.into()), 0o777))
    }

    /// Adds a copy of a regular file of the host, links followed.
    ///
    /// # Errors
    /// If it cannot be read or is not a regular file, or if something on the
    /// way is not a directory.
    pub fn host_file(&mut self, path: impl AsRef<Path>, from: &Path) -> Result<()> {
        let meta = fs::metadata(from).with_context(|| format!("reading {}", from.display()))?;
        ensure!(meta.is_file(), "{} is not a regular file", from.display());
        fs::File::open(from).with_context(|| format!("reading {}", from.display()))?;
        self.insert(
            path.as_ref(),
            Entry {
                mtime: u64::try_from(meta.mtime()).unwrap_or(0),
                ..Entry::new(
                    Node::File(Content::Host(from.to_owned())),
                    meta.mode() & 0o7777,
                )
            },
        )
    }

    /// Adds a directory of the host with all that is in it. Links are kept as
    /// links, hard links become separate files, sockets and device nodes are
    /// left out. Owners are kept if we are root, else all is root's.
    ///
    /// # Errors
    /// If something cannot be read, or is in the way.
    pub fn host_directory(&mut self, path: impl AsRef<Path>, from: &Path) -> Result<()> {
        let path = path.as_ref();
        let keep_owners = rustix::process::geteuid().is_root();
        let own = fs::metadata(from).with_context(|| format!("reading {}", from.display()))?;
        self.directory(path, own.mode() & 0o7777)?;
        let listing = fs::read_dir(from).with_context(|| format!("reading {}", from.display()))?;
        for item in listing {
            let item = item.with_context(|| format!("reading {}", from.display()))?;
            let (source, target) = (item.path(), path.join(item.file_name()));
            let meta = item
                .metadata()
                .with_context(|| format!("reading {}", source.display()))?;
            let kind = meta.file_type();
            let node = if kind.is_dir() {
                self.host_directory(&target, &source)?;
                continue;
            } else if kind.is_symlink() {
                Node::Symlink(fs::read_link(&source)?)
            } else if kind.is_file() {
                Node::File(Content::Host(source))
            } else if kind.is_fifo() {
                Node::Fifo
            } else {
                continue;
            };
            let (uid, gid) = if keep_owners {
                (meta.uid(), meta.gid())
            } else {
                (0, 0)
            };
            let entry = Entry {
                node,
                mode: meta.mode() & 0o7777,
                uid,
                gid,
                mtime: u64::try_from(meta.mtime()).unwrap_or(0),
            };
            self.insert(&target, entry)?;
        }
        Ok(())
    }

    fn insert(&mut self, path: &Path, entry: Entry) -> Result<()> {
        let key = self.resolve_parent(path)?;
        ensure!(!key.is_empty(), "the root is always a directory");
        self.parents(&key)?;
        if let Some(old) = self.entries.get(&key) {
            ensure!(
                !matches!(old.node, Node::Directory),
                "/{} is a directory",
                key.escape_ascii()
            );
        }
        self.entries.insert(key, entry);
        Ok(())
    }

    /// Makes the directories above `key`, which holds no links.
    fn parents(&mut self, key: &[u8]) -> Result<()> {
        for (at, _) in key.iter().enumerate().filter(|&(_, &byte)| byte == b'/') {
            let parent = &key[..at];
            match self.entries.get(parent).map(|entry| &entry.node) {
                Some(Node::Directory) => {}
                Some(_) => bail!("/{} is not a directory", parent.escape_ascii()),
                None => {
                    let entry = Entry::new(Node::Directory, 0o755);
                    self.entries.insert(parent.to_vec(), entry);
                }
            }
        }
        Ok(())
    }

    /// The key of a path, links followed in all but the last component.
    fn resolve_parent(&self, path: &Path) -> Result<Vec<u8>> {
        match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => {
                let mut key = self.resolve(parent)?;
                push(&mut key, name);
                Ok(key)
            }
            _ => self.resolve(path),
        }
    }

    /// The key of a path, all links followed. Components that are not in the
    /// tree are taken as they are.
    fn resolve(&self, path: &Path) -> Result<Vec<u8>> {
        let mut key = Vec::new();
        let mut links = 0;
        let mut todo: Vec<OsString> = components(path);
        while let Some(name) = todo.pop() {
            if name == ".." {
                let parent_len = key.iter().rposition(|&b| b == b'/').unwrap_or(0);
                key.truncate(parent_len);
                continue;
            }
            let parent_len = key.len();
            push(&mut key, &name);
            if let Some(Node::Symlink(to)) = self.entries.get(&key).map(|entry| &entry.node) {
                links += 1;
                ensure!(links <= MAX_LINKS, "too many links in {}", path.display());
                key.truncate(if to.is_absolute() { 0 } else { parent_len });
                todo.extend(components(to));
            }
        }
        Ok(key)
    }
}

/// The components of a path, last one first.
fn components(path: &Path) -> Vec<OsString> {
    path.components()
        .rev()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        })
        .collect()
}

fn push(key: &mut Vec<u8>, name: &OsStr) {
    if !key.is_empty() {
        key.push(b'/');
    }
    key.extend(name.to_owned().into_vec());
}

#[cfg(test)]
mod tests {
    use super::{Node, Tree};

    fn paths(tree: &Tree) -> Vec<String> {
        tree.entries()
            .map(|(path, _)| path.display().to_string())
            .collect()
    }

    #[test]
    fn links_are_followed_in_all_but_the_last_component() {
        let mut tree = Tree::new();
        tree.directory("/usr/bin", 0o755).unwrap();
        tree.symlink("/bin", "usr/bin").unwrap();
        tree.symlink("/abs", "/bin").unwrap();
        tree.file("/bin/ls", 0o755, *b"x").unwrap();
        tree.file("/abs/../bin/cat", 0o755, *b"y").unwrap();
        tree.symlink("/bin/sh", "ls").unwrap();
        tree.file("/bin/sh", 0o755, *b"z").unwrap();
        assert_eq!(
            paths(&tree),
            [
                "abs",
                "bin",
                "usr",
                "usr/bin",
                "usr/bin/cat",
                "usr/bin/ls",
                "usr/bin/sh"
            ]
        );
        assert!(tree.exists("/abs/ls") && !tree.exists("/abs/nothing"));
        assert!(matches!(tree.get("/bin").unwrap().node, Node::Symlink(_)));
        assert!(matches!(tree.get("/bin/sh").unwrap().node, Node::File(_)));
    }

    #[test]
    fn parents_come_first_even_beside_longer_names() {
        let mut tree = Tree::new();
        tree.file("/a/b", 0o644, *b"").unwrap();
        tree.file("/a-b", 0o644, *b"").unwrap();
        assert_eq!(paths(&tree), ["a", "a-b", "a/b"]);
    }

    #[test]
    fn what_is_in_the_way_is_an_error() {
        let mut tree = Tree::new();
        tree.file("/a", 0o644, *b"").unwrap();
        assert!(tree.file("/a/b", 0o644, *b"").is_err());
        assert!(tree.directory("/a", 0o755).is_err());
        tree.directory("/d", 0o755).unwrap();
        assert!(tree.file("/d", 0o644, *b"").is_err());
        tree.symlink("/loop", "loop").unwrap();
        assert!(tree.file("/loop/x", 0o644, *b"").is_err());
    }
}
