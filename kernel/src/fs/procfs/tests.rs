//! The tree as a walk sees it, without processes.

use alloc::sync::Arc;
use core::fmt::Write;

use ochre_abi::Errno;
use ochre_sync::primitive::atomic::{AtomicU64, Ordering};

use super::mount;
use super::node::{Content, Generated, Identity};
use super::text::{Failure, Made, Text};
use crate::vfs::mount::MountFlags;
use crate::vfs::walk::resolve;
use crate::vfs::{
    Access, How, Kind, OpenFile, OpenOutcome, Opened, Opener, Path, Sink, Source, open,
};

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

/// A hundred lines, ten in a part; counts the parts that are made.
struct Lines(AtomicU64);

impl Content for Lines {
    fn identity(&self) -> Identity {
        Identity::of_root(1, 0o444)
    }

    fn render(&self, _text: &mut Text) -> Made {
        unreachable!("it comes in parts")
    }

    fn render_part(&self, mark: u64, text: &mut Text) -> Result<Option<u64>, Failure> {
        self.0.fetch_add(1, Ordering::Relaxed);
        for line in mark..mark + 10 {
            writeln!(text, "line {line}")?;
        }
        Ok((mark < 90).then_some(mark + 10))
    }
}

#[test]
fn a_text_in_parts_is_one_text() {
    let lines = Arc::new(Lines(AtomicU64::new(0)));
    let made = |most: u64| {
        let made = lines.0.swap(0, Ordering::Relaxed);
        assert!(made <= most, "{made} parts are made");
    };
    let Opened::File(file) = Generated::opened(lines.clone()) else {
        panic!("it is a file");
    };
    let read = |position: &mut u64, len: usize| {
        let mut buffer = vec![0; len];
        let count = file.read(&mut Sink::kernel(&mut buffer), position).unwrap();
        buffer.truncate(count);
        buffer
    };
    let whole: String = (0..100).map(|line| format!("line {line}\n")).collect();
    let whole = whole.into_bytes();
    // No more than a part at once, so that it ends with a line.
    let mut position = 0;
    assert_eq!(read(&mut position, 10_000), whole[..70]);
    assert_eq!(read(&mut position, 10_000), whole[70..150]);
    made(2);
    // The rest of one, and one more.
    position = 0;
    assert_eq!(read(&mut position, 60), whole[..60]);
    assert_eq!(read(&mut position, 10_000), whole[60..150]);
    made(2);
    for piece in [1, 7, 69, 70, 71, 79, 80, 81, 500] {
        let (mut text, mut position) = (Vec::new(), 0);
        loop {
            let more = read(&mut position, piece);
            if more.is_empty() {
                break;
            }
            assert!(
                more.len() == piece || piece > 70 || position == 790,
                "{piece}"
            );
            text.extend(more);
        }
        assert_eq!(text, whole, "in pieces of {piece}");
        // The first piece makes the first part; each other part is made once.
        made(10 + 1);
    }
    // A little of it makes one part.
    assert_eq!(read(&mut 0, 20), whole[..20]);
    made(1);
    // Forwards, backwards, behind the end.
    for position in [300, 310, 20, whole.len() as u64 - 1] {
        assert_eq!(read(&mut position.clone(), 9), {
            let rest = &whole[position as usize..];
            &rest[..rest.len().min(9)]
        });
    }
    assert_eq!(read(&mut (whole.len() as u64), 9), b"");
    assert_eq!(read(&mut u64::MAX.clone(), 9), b"");
}
