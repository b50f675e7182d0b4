//! Path walk.

use std::sync::Arc;

use ochre_abi::Errno;

use super::World;
use crate::fs::tmpfs::Tmpfs;
use crate::vfs::mount::{self, Mount, MountFlags};
use crate::vfs::tree::Make;
use crate::vfs::{Access, FileSystem, Kind};

fn world() -> World {
    let world = World::new();
    world.mkdir("/a");
    world.mkdir("/a/b");
    world.file("/a/b/file");
    world
}

#[test]
fn names_slashes_and_dots() {
    let world = world();
    let file = world.number("/a/b/file").unwrap();
    for path in [
        "a/b/file",
        "//a//b///file",
        "/a/./b/../b/./file",
        "/../../a/b/file",
    ] {
        assert_eq!(world.number(path), Ok(file), "{path}");
    }
    assert_eq!(world.number("/"), world.number("/a/.."));
    assert_eq!(world.number("/a/"), world.number("/a"));
    assert_eq!(world.number("/a/b/file/"), Err(Errno::ENOTDIR));
    assert_eq!(world.number("/a/b/file/."), Err(Errno::ENOTDIR));
    assert_eq!(world.number("/a/b/file/.."), Err(Errno::ENOTDIR));
    assert_eq!(world.number("/a/none"), Err(Errno::ENOENT));
    assert_eq!(world.number("/none/file"), Err(Errno::ENOENT));
    assert_eq!(world.number(""), Err(Errno::ENOENT));
    let long = format!("/a/{}", "x".repeat(256));
    assert_eq!(world.number(&long), Err(Errno::ENAMETOOLONG));
}

#[test]
fn links_are_followed_from_where_they_are() {
    let world = world();
    let file = world.number("/a/b/file").unwrap();
    world.symlink("b/file", "/a/relative");
    world.symlink("/a/b", "/a/absolute");
    world.symlink("../absolute/", "/a/b/up");
    world.symlink("none", "/dangling");
    assert_eq!(world.number("/a/relative"), Ok(file));
    assert_eq!(world.number("/a/absolute/file"), Ok(file));
    assert_eq!(world.number("/a/b/up/../b/up/up/file"), Ok(file));
    assert_eq!(world.number("/a/b/up/file"), Ok(file));
    assert_eq!(world.number("/dangling"), Err(Errno::ENOENT));
    assert_eq!(world.number("/a/relative/"), Err(Errno::ENOTDIR));
    let unfollowed = |path| {
        world
            .find_from(&world.root, path, false)
            .map(|p| p.dentry.kind())
    };
    assert_eq!(unfollowed("/a/relative"), Ok(Kind::Symlink));
    assert_eq!(unfollowed("/dangling"), Ok(Kind::Symlink));
    assert_eq!(unfollowed("/a/absolute/"), Ok(Kind::Directory));
    assert_eq!(unfollowed("/a/absolute/up"), Ok(Kind::Symlink));
}

#[test]
fn forty_links_and_no_more() {
    let world = world();
    world.symlink("/a", "/link0");
    for number in 1..=40 {
        world.symlink(&format!("link{}", number - 1), &format!("/link{number}"));
    }
    assert!(world.find("/link39").is_ok());
    assert_eq!(world.number("/link40"), Err(Errno::ELOOP));
    world.symlink("loop", "/loop");
    assert_eq!(world.number("/loop"), Err(Errno::ELOOP));
    world.symlink("x/y", "/x");
    assert_eq!(world.number("/x/z"), Err(Errno::ELOOP));
}

#[test]
fn search_permission_counts_in_every_directory() {
    let mut world = world();
    let make = Make::plain(Kind::Directory, 0o711);
    world.make("/a/closed", &make).unwrap();
    world.file("/a/closed/file");
    world
        .make("/shut", &Make::plain(Kind::Directory, 0o700))
        .unwrap();
    world.file("/shut/file");
    world.access = Access {
        uid: 7,
        gid: 7,
        groups: None,
        privileged: false,
    };
    assert!(world.find("/a/closed/file").is_ok());
    assert!(world.find("/shut").is_ok());
    assert_eq!(world.number("/shut/file"), Err(Errno::EACCES));
    assert_eq!(world.number("/shut/none"), Err(Errno::EACCES));
    assert_eq!(world.number("/shut/.."), Err(Errno::EACCES));
}

#[test]
fn mounts_are_crossed_both_ways() {
    let world = world();
    let other = Tmpfs::new("tmpfs", 100, 0o755).unwrap();
    let root = other.root();
    let mount = Mount::new(other, root, b"other", MountFlags::empty());
    let place = world.find("/a/b").unwrap();
    mount::attach(&mount, &place).unwrap();
    world.mkdir("/a/b/in");
    let inside = world.find("/a/b/in").unwrap();
    assert!(Arc::ptr_eq(&inside.mount, &mount));
    assert_eq!(world.text(&inside), "/a/b/in");
    assert_eq!(world.number("/a/b/file"), Err(Errno::ENOENT));
    assert_eq!(world.number("/a/b/in/../.."), world.number("/a"));
    assert_eq!(world.remove("/a/b", true), Err(Errno::EBUSY));
    assert_eq!(world.rename("/a", "/moved", 0), Ok(()));
    assert_eq!(world.text(&inside), "/moved/b/in");
    assert_eq!(world.rename("/moved/b", "/b", 0), Err(Errno::EBUSY));

    // A bind mount shows a part of a tree elsewhere.
    let bound = Mount::new(
        Arc::clone(mount.file_system()),
        Arc::clone(&inside.dentry),
        b"bind",
        MountFlags::empty(),
    );
    world.mkdir("/bound");
    mount::attach(&bound, &world.find("/bound").unwrap()).unwrap();
    world.file("/bound/file");
    assert!(world.find("/moved/b/in/file").is_ok());
    assert_eq!(world.number("/bound/.."), world.number("/"));
    assert_eq!(
        world.rename("/bound/file", "/moved/b/file", 0),
        Err(Errno::EXDEV)
    );

    assert_eq!(mount::detach(&mount, false, 1), Err(Errno::EBUSY));
    mount::detach(&bound, false, 1).unwrap();
    assert_eq!(world.list("/bound"), [""; 0]);
    drop(inside);
    mount::detach(&mount, false, 1).unwrap();
    assert!(world.find("/moved/b/file").is_ok());
}

#[test]
fn a_root_of_a_process_is_the_top() {
    let mut world = world();
    world.root = world.find("/a").unwrap();
    assert_eq!(world.number("/.."), world.number("/"));
    assert!(world.find("/../b/file").is_ok());
    assert_eq!(world.number("/a"), Err(Errno::ENOENT));
}

#[test]
fn deep_trees_come_and_go_without_recursion() {
    let world = World::new();
    let mut at = world.root.clone();
    let mut all = vec![at.clone()];
    for _ in 0..50_000 {
        let make = Make::plain(Kind::Directory, 0o755);
        at.dentry = crate::vfs::tree::make(&world.access, &at, b"d", &make).unwrap();
        all.push(at.clone());
    }
    assert!(world.text(&at).len() == 100_000);
    // The lower half is removed from below while its end is held.
    let held = all.pop().unwrap();
    while all.len() > 25_000 {
        let parent = all.pop().unwrap();
        crate::vfs::tree::remove(&world.access, &parent, b"d", true).unwrap();
    }
    drop(all);
    assert!(world.text(&held).ends_with(" (deleted)"));
    drop((at, held));
    drop(world);
}
