//! The tree, the walk and the changes of names, over a real tmpfs.

mod names;
mod open;
mod random_paths;
mod walk;

use std::sync::Arc;

use ochre_abi::Errno;

use super::mount::{Mount, MountFlags};
use super::tree::{self, Make};
use super::walk::{Last, Walk, resolve};
use super::{Access, FileSystem, Kind, Path};
use crate::fs::tmpfs::Tmpfs;

/// A tree to play with, as the superuser unless said otherwise.
struct World {
    root: Path,
    access: Access,
}

impl World {
    fn new() -> World {
        let tmpfs = Tmpfs::new("tmpfs", 1 << 20, 0o755).unwrap();
        let dentry = tmpfs.root();
        let mount = Mount::new(tmpfs, Arc::clone(&dentry), b"none", MountFlags::empty());
        World {
            root: Path { mount, dentry },
            access: Access::root(),
        }
    }

    fn find(&self, path: &str) -> Result<Path, Errno> {
        self.find_from(&self.root, path, true)
    }

    fn find_from(&self, start: &Path, path: &str, follow: bool) -> Result<Path, Errno> {
        resolve(
            &self.access,
            &self.root,
            start.clone(),
            path.as_bytes(),
            follow,
        )
    }

    /// Does something with the directory and the last name of a path.
    #[track_caller]
    fn at<R>(&self, path: &str, act: impl FnOnce(&Path, &[u8], bool) -> R) -> R {
        let mut walk =
            Walk::new(&self.access, &self.root, self.root.clone(), path.as_bytes()).unwrap();
        walk.to_last().unwrap();
        let Last::Name(name) = walk.last() else {
            panic!("{path} has no last name");
        };
        act(walk.place(), name, walk.wants_directory())
    }

    #[track_caller]
    fn make(&self, path: &str, make: &Make<'_>) -> Result<(), Errno> {
        self.at(path, |directory, name, _| {
            tree::make(&self.access, directory, name, make).map(|_| ())
        })
    }

    #[track_caller]
    fn mkdir(&self, path: &str) {
        self.make(path, &Make::plain(Kind::Directory, 0o755))
            .unwrap();
    }

    #[track_caller]
    fn file(&self, path: &str) {
        self.make(path, &Make::plain(Kind::Regular, 0o644)).unwrap();
    }

    #[track_caller]
    fn symlink(&self, target: &str, path: &str) {
        let make = Make {
            target: target.as_bytes(),
            ..Make::plain(Kind::Symlink, 0o777)
        };
        self.make(path, &make).unwrap();
    }

    #[track_caller]
    fn remove(&self, path: &str, as_directory: bool) -> Result<(), Errno> {
        self.at(path, |directory, name, _| {
            tree::remove(&self.access, directory, name, as_directory)
        })
    }

    #[track_caller]
    fn rename(&self, from: &str, to: &str, flags: u32) -> Result<(), Errno> {
        self.at(from, |directory, name, slash| {
            let from = tree::Named {
                directory,
                name,
                slash,
            };
            self.at(to, |directory, name, slash| {
                let to = tree::Named {
                    directory,
                    name,
                    slash,
                };
                tree::rename(&self.access, from, to, flags)
            })
        })
    }

    #[track_caller]
    fn text(&self, path: &Path) -> String {
        String::from_utf8(path.text(&self.root).unwrap().0).unwrap()
    }

    fn number(&self, path: &str) -> Result<u64, Errno> {
        Ok(self.find(path)?.inode().metadata().inode)
    }

    #[track_caller]
    fn links(&self, path: &str) -> u32 {
        self.find(path).unwrap().inode().metadata().links
    }

    #[track_caller]
    fn list(&self, path: &str) -> Vec<String> {
        let mut names = Vec::new();
        self.find(path)
            .unwrap()
            .dentry
            .visit_children(0, &mut |name, _, _| {
                names.push(String::from_utf8(name.to_vec()).unwrap());
                true
            });
        names.sort();
        names
    }
}
