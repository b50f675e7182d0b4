//! Making, linking, removing and renaming.

use ochre_abi::Errno;
use ochre_abi::fcntl::{RENAME_EXCHANGE, RENAME_NOREPLACE};

use super::World;
use crate::vfs::tree::{self, Make};
use crate::vfs::{Access, Kind, Path};

fn user(uid: u32) -> Access {
    Access {
        uid,
        gid: uid,
        groups: None,
        privileged: false,
    }
}

#[test]
fn directories_count_their_links() {
    let world = World::new();
    world.mkdir("/a");
    world.mkdir("/a/one");
    world.mkdir("/a/two");
    world.file("/a/file");
    assert_eq!(world.links("/a"), 4);
    assert_eq!(world.remove("/a", true), Err(Errno::ENOTEMPTY));
    assert_eq!(world.remove("/a/file", true), Err(Errno::ENOTDIR));
    assert_eq!(world.remove("/a/one", false), Err(Errno::EISDIR));
    assert_eq!(world.remove("/a/one", true), Ok(()));
    assert_eq!(world.remove("/a/one", true), Err(Errno::ENOENT));
    assert_eq!(world.links("/a"), 3);
    world.rename("/a/two", "/two", 0).unwrap();
    assert_eq!(world.links("/a"), 2);
    assert_eq!(world.links("/"), 4);
    let metadata = world.find("/a").unwrap().inode().metadata();
    assert_eq!(metadata.size, 60);
}

#[test]
fn nothing_is_made_in_a_removed_directory() {
    let world = World::new();
    world.mkdir("/a");
    let held = world.find("/a").unwrap();
    world.remove("/a", true).unwrap();
    let make = Make::plain(Kind::Regular, 0o644);
    assert_eq!(
        tree::make(&world.access, &held, b"x", &make).err(),
        Some(Errno::ENOENT)
    );
    assert_eq!(world.text(&held), "/a (deleted)");
    assert_eq!(held.inode().metadata().links, 0);
    assert!(world.find_from(&held, "..", true).unwrap() == world.root);
    world.mkdir("/a");
    assert_eq!(world.text(&held), "/a (deleted)");
}

#[test]
fn links_share_an_inode() {
    let world = World::new();
    world.mkdir("/d");
    world.file("/one");
    let one = world.find("/one").unwrap();
    let link = |old: &Path, path: &str| {
        world.at(path, |directory, name, _| {
            tree::link(&world.access, old, directory, name, false)
        })
    };
    link(&one, "/d/two").unwrap();
    assert_eq!(world.number("/d/two"), world.number("/one"));
    assert_eq!(world.links("/one"), 2);
    assert_eq!(link(&one, "/d/two"), Err(Errno::EEXIST));
    assert_eq!(link(&world.find("/d").unwrap(), "/e"), Err(Errno::EPERM));
    // Renaming one name of a file to another does nothing.
    world.rename("/one", "/d/two", 0).unwrap();
    assert_eq!(world.links("/one"), 2);
    world.remove("/one", false).unwrap();
    assert_eq!(world.links("/d/two"), 1);
    world.remove("/d/two", false).unwrap();
    assert_eq!(one.inode().metadata().links, 0);
    assert_eq!(link(&one, "/again"), Err(Errno::ENOENT));
}

#[test]
fn rename_replaces_what_fits() {
    let world = World::new();
    world.mkdir("/d");
    world.mkdir("/d/sub");
    world.mkdir("/e");
    world.file("/f");
    world.file("/g");
    assert_eq!(world.rename("/f", "/d", 0), Err(Errno::EISDIR));
    assert_eq!(world.rename("/e", "/f", 0), Err(Errno::ENOTDIR));
    assert_eq!(world.rename("/e", "/d", 0), Err(Errno::ENOTEMPTY));
    assert_eq!(world.rename("/d", "/d/sub/x", 0), Err(Errno::EINVAL));
    assert_eq!(world.rename("/d/sub", "/d", 0), Err(Errno::ENOTEMPTY));
    assert_eq!(world.rename("/none", "/x", 0), Err(Errno::ENOENT));
    assert_eq!(world.rename("/f", "/x/", 0), Err(Errno::ENOTDIR));
    assert_eq!(
        world.rename("/f", "/g", RENAME_NOREPLACE),
        Err(Errno::EEXIST)
    );
    let f = world.number("/f");
    world.rename("/f", "/g", 0).unwrap();
    assert_eq!(world.number("/g"), f);
    world.rename("/d", "/e", 0).unwrap();
    assert_eq!(world.list("/"), ["e", "g"]);
    assert_eq!(world.list("/e"), ["sub"]);
    assert_eq!(world.links("/"), 3);
    world.rename("/e/", "/h/", 0).unwrap();
    world.rename("/h", "/h", 0).unwrap();
    assert_eq!(world.list("/h"), ["sub"]);
}

#[test]
fn exchange_swaps_a_file_and_a_directory() {
    let world = World::new();
    world.mkdir("/d");
    world.mkdir("/d/sub");
    world.mkdir("/other");
    world.file("/other/f");
    let (d, f) = (world.number("/d"), world.number("/other/f"));
    assert_eq!(
        world.rename("/d", "/none", RENAME_EXCHANGE),
        Err(Errno::ENOENT)
    );
    assert_eq!(
        world.rename("/d", "/d/sub", RENAME_EXCHANGE),
        Err(Errno::EINVAL)
    );
    world.rename("/d", "/other/f", RENAME_EXCHANGE).unwrap();
    assert_eq!((world.number("/other/f"), world.number("/d")), (d, f));
    assert_eq!(world.links("/other"), 3);
    assert_eq!(world.links("/"), 3);
    assert_eq!(
        world.text(&world.find("/other/f/sub").unwrap()),
        "/other/f/sub"
    );
    world.rename("/d", "/other", RENAME_EXCHANGE).unwrap();
    assert_eq!(world.list("/"), ["d", "other"]);
    assert_eq!(world.number("/other"), f);
}

#[test]
fn sticky_directories_and_closed_ones() {
    let mut world = World::new();
    world
        .make("/tmp", &Make::plain(Kind::Directory, 0o777))
        .unwrap();
    let tmp = world.find("/tmp").unwrap();
    crate::vfs::attributes::change_mode(&world.access, &tmp, 0o1777).unwrap();
    world.mkdir("/closed");
    world.access = user(5);
    world.file("/tmp/mine");
    world.access = user(6);
    world.file("/tmp/other");
    assert_eq!(world.remove("/tmp/mine", false), Err(Errno::EPERM));
    assert_eq!(world.rename("/tmp/mine", "/tmp/x", 0), Err(Errno::EPERM));
    assert_eq!(
        world.rename("/tmp/other", "/tmp/mine", 0),
        Err(Errno::EPERM)
    );
    assert_eq!(world.rename("/tmp/other", "/tmp/y", 0), Ok(()));
    let make = Make::plain(Kind::Regular, 0o644);
    assert_eq!(world.make("/closed/x", &make), Err(Errno::EACCES));
    assert_eq!(world.rename("/tmp/y", "/closed/y", 0), Err(Errno::EACCES));
}

#[test]
fn set_group_directories_hand_their_group_down() {
    let mut world = World::new();
    world.mkdir("/d");
    let path = world.find("/d").unwrap();
    crate::vfs::attributes::change_owner(&world.access, &path, None, Some(50)).unwrap();
    crate::vfs::attributes::change_mode(&world.access, &path, 0o2777).unwrap();
    world.access = user(5);
    world.mkdir("/d/sub");
    world.file("/d/file");
    let of = |path: &str| world.find(path).unwrap().inode().permissions();
    assert_eq!((of("/d/sub").gid, of("/d/sub").mode), (50, 0o2755));
    assert_eq!((of("/d/file").gid, of("/d/file").mode), (50, 0o644));
}

#[test]
fn a_directory_read_in_pieces_shows_what_stays_once() {
    let world = World::new();
    world.mkdir("/d");
    for number in 0..100 {
        world.file(&format!("/d/f{number}"));
    }
    let directory = world.find("/d").unwrap();
    let mut seen = Vec::new();
    let mut cursor = 0;
    loop {
        let mut piece = Vec::new();
        directory
            .dentry
            .visit_children(cursor, &mut |name, _, next| {
                cursor = next;
                piece.push(String::from_utf8(name.to_vec()).unwrap());
                piece.len() < 7
            });
        if piece.is_empty() {
            break;
        }
        // What was seen goes away, others come.
        for name in &piece {
            world.remove(&format!("/d/{name}"), false).unwrap();
        }
        if seen.len() < 30 {
            world.file(&format!("/d/new{}", seen.len()));
        }
        seen.extend(piece);
    }
    let mut old: Vec<_> = seen.iter().filter(|name| name.starts_with('f')).collect();
    old.sort();
    old.dedup();
    assert_eq!(old.len(), 100);
}
