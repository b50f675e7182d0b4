//! The tree as a walk sees it, without processes.

use ochre_abi::Errno;

use super::mount;
use crate::vfs::mount::MountFlags;
use crate::vfs::walk::resolve;
use crate::vfs::{Access, How, Kind, OpenFile, OpenOutcome, Opener, Path, Sink, Source, open};

fn top() -> Path {
    let mount = mount(b"proc", MountFlags::empty());
    Path {
        dentry: mount.root().clone(),
        mount,
    }
}

fn opened(path: &str, flags: u32) -> Result<OpenFile, Errno> {
    let top = top();
    let opener = Opener {
        access: &Access::root(),
        root: &top,
        thread: None,
    };
    match open(
        &opener,
        top.clone(),
        path.as_bytes(),
        How { flags, mode: 0 },
    )? {
        OpenOutcome::Open(file) => Ok(file),
        OpenOutcome::Wait(..) => panic!("{path} waits"),
    }
}

fn read(file: &OpenFile, len: usize) -> Vec<u8> {
    let mut buffer = vec![0; len];
    let mut position = file.position().lock();
    let count = file
        .file()
        .read(&mut Sink::kernel(&mut buffer), &mut position)
        .unwrap();
    buffer.truncate(count);
    buffer
}

#[test]
fn a_text_stays_as_it_is_until_it_is_read_from_the_start() {
    let file = opened("/sys/kernel/random/uuid", 0).unwrap();
    let first = read(&file, 10);
    let rest = read(&file, 100);
    assert_eq!((first.len(), rest.len()), (10, 27));
    assert_eq!(read(&file, 100), b"");
    *file.position().lock() = 10;
    assert_eq!(read(&file, 100), rest);
    *file.position().lock() = 0;
    assert_ne!(read(&file, 10), first);
}

#[test]
fn settings_can_be_set() {
    let file = opened("/sys/kernel/domainname", 2).unwrap();
    let mut position = 0;
    let mut source = Source::kernel(b"example\n");
    assert_eq!(file.file().write(&mut source, &mut position), Ok(8));
    assert_eq!(read(&file, 100), b"example\n");
    let fixed = opened("/version", 1).unwrap();
    let mut source = Source::kernel(b"x");
    assert_eq!(
        fixed.file().write(&mut source, &mut position),
        Err(Errno::EINVAL)
    );
}

#[test]
fn caches_are_dropped_by_numbers_with_a_meaning() {
    let file = opened("/sys/vm/drop_caches", 1).unwrap();
    let write = |text: &[u8]| file.file().write(&mut Source::kernel(text), &mut 0);
    for good in ["1", "2\n", "3", "4"] {
        assert_eq!(write(good.as_bytes()), Ok(good.len()));
    }
    for bad in ["0", "5", "-1", "x", ""] {
        assert_eq!(write(bad.as_bytes()), Err(Errno::EINVAL), "{bad:?}");
    }
}

#[test]
fn every_name_listed_is_found_and_read() {
    fn visit(directory: &str, seen: &mut usize) {
        let top = top();
        let path = resolve(
            &Access::root(),
            &top,
            top.clone(),
            directory.as_bytes(),
            true,
        )
        .unwrap();
        let mut names = Vec::new();
        let mut cursor = 0;
        loop {
            // One entry at a time: the cursors must continue.
            let mut next = None;
            path.inode()
                .read_dir(cursor, &mut |entry| {
                    let name = String::from_utf8(entry.name.to_vec()).unwrap();
                    next = Some((name, entry.kind, entry.inode, entry.next));
                    false
                })
                .unwrap();
            let Some((name, kind, inode, after)) = next else {
                break;
            };
            cursor = after;
            names.push((
                format!("{}/{name}", directory.trim_end_matches('/')),
                kind,
                inode,
            ));
        }
        for (name, kind, inode) in names {
            *seen += 1;
            let found = resolve(&Access::root(), &top, top.clone(), name.as_bytes(), false);
            let found = found.unwrap_or_else(|errno| panic!("{name}: {errno:?}"));
            let metadata = found.inode().metadata();
            assert_eq!((metadata.kind, metadata.inode), (kind, inode), "{name}");
            match kind {
                Kind::Directory => visit(&name, seen),
                // It asks for the time of the boot, which only a machine has.
                Kind::Regular if name == "/stat" => {}
                Kind::Regular => {
                    let file = opened(&name, 0);
                    let file = file.unwrap_or_else(|errno| panic!("{name}: {errno:?}"));
                    let text = read(&file, 1 << 16);
                    assert!(text.is_empty() || text.ends_with(b"\n"), "{name}");
                }
                _ => {}
            }
        }
    }
    let mut seen = 0;
    visit("/", &mut seen);
    assert!(seen > 40, "{seen}");
}
