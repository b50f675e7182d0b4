//! Opening by flags.

use ochre_abi::Errno;
use ochre_abi::fcntl::{
    O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_PATH, O_RDONLY, O_RDWR, O_TMPFILE, O_TRUNC,
    O_WRONLY,
};

use super::World;
use crate::vfs::tree::Make;
use crate::vfs::{Access, How, Kind, OpenFile, OpenOutcome, Opener, Sink, Source, open};

fn open_as(world: &World, path: &str, flags: u32) -> Result<OpenFile, Errno> {
    let opener = Opener {
        access: &world.access,
        root: &world.root,
        thread: None,
    };
    let how = How { flags, mode: 0o640 };
    match open(&opener, world.root.clone(), path.as_bytes(), how)? {
        OpenOutcome::Open(file) => Ok(file),
        OpenOutcome::Wait(..) => panic!("{path} waits"),
    }
}

fn errno(world: &World, path: &str, flags: u32) -> Option<Errno> {
    open_as(world, path, flags).err()
}

#[test]
fn files_are_made_written_and_read() {
    let world = World::new();
    assert_eq!(errno(&world, "/f", O_RDONLY), Some(Errno::ENOENT));
    let file = open_as(&world, "/f", O_CREAT | O_WRONLY).unwrap();
    assert!(file.is_writable() && !file.is_readable());
    let mut position = 0;
    let written = file
        .file()
        .write(&mut Source::kernel(b"hello"), &mut position);
    assert_eq!((written, position), (Ok(5), 5));
    file.file()
        .append(&mut Source::kernel(b"!"), &mut 0)
        .unwrap();
    let metadata = file.metadata();
    assert_eq!((metadata.size, metadata.blocks), (6, 8));
    assert_eq!(metadata.permissions.mode, 0o640);
    let mut buffer = [0; 9];
    let again = open_as(&world, "/f", O_RDONLY).unwrap();
    let mut sink = Sink::kernel(&mut buffer);
    assert_eq!(again.file().read(&mut sink, &mut 1), Ok(5));
    assert_eq!(&buffer[..5], b"ello!");
    open_as(&world, "/f", O_WRONLY | O_TRUNC).unwrap();
    assert_eq!(again.metadata().size, 0);
}

#[test]
fn flags_meet_what_is_there() {
    let world = World::new();
    world.mkdir("/d");
    world.file("/f");
    world.symlink("f", "/l");
    world.symlink("new", "/dangling");
    world.symlink("d/made/", "/slashed");
    for (path, flags, expected) in [
        ("/d", O_WRONLY, Errno::EISDIR),
        ("/d", O_CREAT, Errno::EISDIR),
        ("/d", O_CREAT | O_EXCL, Errno::EEXIST),
        ("/d", O_TRUNC, Errno::EISDIR),
        ("/", O_CREAT, Errno::EISDIR),
        ("/d/..", O_CREAT, Errno::EISDIR),
        ("/f", O_CREAT | O_EXCL, Errno::EEXIST),
        ("/l", O_CREAT | O_EXCL, Errno::EEXIST),
        ("/dangling", O_CREAT | O_EXCL, Errno::EEXIST),
        ("/l", O_NOFOLLOW, Errno::ELOOP),
        ("/l", O_NOFOLLOW | O_CREAT, Errno::ELOOP),
        ("/l", O_NOFOLLOW | O_DIRECTORY, Errno::ENOTDIR),
        ("/f", O_DIRECTORY, Errno::ENOTDIR),
        ("/f/", O_RDONLY, Errno::ENOTDIR),
        ("/new/", O_CREAT, Errno::EISDIR),
        ("/slashed", O_CREAT, Errno::EISDIR),
        ("/f", O_CREAT | O_DIRECTORY, Errno::EINVAL),
        ("/d", O_TMPFILE | O_RDONLY, Errno::EINVAL),
        ("/f", O_TMPFILE | O_RDWR, Errno::ENOTDIR),
    ] {
        assert_eq!(
            errno(&world, path, flags),
            Some(expected),
            "{path} {flags:o}"
        );
    }
    assert!(open_as(&world, "/d", O_RDONLY | O_DIRECTORY).is_ok());
    assert!(open_as(&world, "/l", O_RDWR | O_CREAT).is_ok());
    let made = open_as(&world, "/dangling", O_WRONLY | O_CREAT).unwrap();
    assert_eq!(world.text(made.path().unwrap()), "/new");
    let place = open_as(&world, "/l", O_PATH | O_NOFOLLOW).unwrap();
    assert!(place.is_only_path());
    assert_eq!(place.metadata().kind, Kind::Symlink);
}

#[test]
fn nameless_files_have_no_link() {
    let world = World::new();
    world.mkdir("/d");
    let file = open_as(&world, "/d", O_TMPFILE | O_RDWR).unwrap();
    assert_eq!(file.metadata().links, 0);
    assert!(world.text(file.path().unwrap()).ends_with(" (deleted)"));
    assert_eq!(world.list("/d"), [""; 0]);
}

#[test]
fn permissions_decide_but_not_for_whoever_made_it() {
    let mut world = World::new();
    world
        .make("/tmp", &Make::plain(Kind::Directory, 0o777))
        .unwrap();
    world
        .make("/secret", &Make::plain(Kind::Regular, 0o600))
        .unwrap();
    world.access = Access {
        uid: 9,
        gid: 9,
        groups: None,
        privileged: false,
    };
    assert_eq!(errno(&world, "/secret", O_RDONLY), Some(Errno::EACCES));
    assert!(open_as(&world, "/secret", O_PATH).is_ok());
    assert_eq!(errno(&world, "/new", O_CREAT), Some(Errno::EACCES));
    let opener = Opener {
        access: &world.access,
        root: &world.root,
        thread: None,
    };
    let how = How {
        flags: O_CREAT | O_RDWR,
        mode: 0o000,
    };
    assert!(open(&opener, world.root.clone(), b"/tmp/mine", how).is_ok());
    assert_eq!(errno(&world, "/tmp/mine", O_RDONLY), Some(Errno::EACCES));
}
