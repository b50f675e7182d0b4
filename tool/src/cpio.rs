//! Writes a [`Tree`] as a cpio archive in the "newc" form, the form of an initramfs.
//!
//! An entry is a header of 110 ASCII characters, the name ended by NUL, and
//! the data; name and data are each padded to four bytes. The archive ends
//! with an entry named `TRAILER!!!`.
//!
//! The data of files of a page or more begins at a multiple of the page size,
//! which lets the kernel take over whole pages instead of copying them. This
//! is done by padding the *name* with NUL bytes, which `namesize` counts: every
//! reader of the form takes the name as a C string and is none the wiser.

use std::{
    fs,
    io::{self, Write},
    os::unix::ffi::OsStrExt as _,
    path::Path,
};

use anyhow::{Context as _, Result};

use crate::tree::{Content, Entry, Node, Tree};

const HEADER_LEN: u64 = 110;
const PAGE: u64 = 4096;

const S_IFIFO: u32 = 0o010_000;
const S_IFDIR: u32 = 0o040_000;
const S_IFREG: u32 = 0o100_000;
const S_IFLNK: u32 = 0o120_000;

/// Writes the whole tree.
///
/// # Errors
/// If a host file cannot be read or has 4 GiB or more, or if writing fails.
pub fn write(tree: &Tree, out: impl Write) -> Result<()> {
    let mut archive = Archive {
        out,
        written: 0,
        inode: 0,
    };
    for (path, entry) in tree.entries() {
        archive
            .entry(path, entry)
            .with_context(|| format!("packing /{}", path.display()))?;
    }
    archive.trailer()?;
    archive.out.flush()?;
    Ok(())
}

/// Writes the whole tree to a new file.
///
/// # Errors
/// As [`write()`], and if the file cannot be made.
pub fn write_file(tree: &Tree, path: &Path) -> Result<()> {
    let file = fs::File::create(path).with_context(|| format!("making {}", path.display()))?;
    write(tree, io::BufWriter::with_capacity(1 << 20, file))
        .with_context(|| format!("writing {}", path.display()))
}

struct Archive<W> {
    out: W,
    written: u64,
    inode: u32,
}

/// The fields of a header that differ between entries.
struct Header<'a> {
    name: &'a [u8],
    mode: u32,
    links: u32,
    entry: Option<&'a Entry>,
    file_len: u32,
}

impl<W: Write> Archive<W> {
    fn entry(&mut self, path: &Path, entry: &Entry) -> Result<()> {
        let (kind, links) = match entry.node {
            Node::Directory => (S_IFDIR, 2),
            Node::File(_) => (S_IFREG, 1),
            Node::Symlink(_) => (S_IFLNK, 1),
            Node::Fifo => (S_IFIFO, 1),
        };
        let read;
        let data: &[u8] = match &entry.node {
            Node::Directory | Node::Fifo => &[],
            Node::Symlink(to) => to.as_os_str().as_bytes(),
            Node::File(Content::Bytes(bytes)) => bytes,
            Node::File(Content::Host(from)) => {
                read = fs::read(from).with_context(|| format!("reading {}", from.display()))?;
                &read
            }
        };
        let file_len =
            u32::try_from(data.len()).context("the format cannot hold a file of 4 GiB or more")?;
        self.inode += 1;
        self.header(&Header {
            name: path.as_os_str().as_bytes(),
            mode: kind | entry.mode,
            links,
            entry: Some(entry),
            file_len,
        })?;
        self.put(data)?;
        self.pad_to(4)?;
        Ok(())
    }

    fn trailer(&mut self) -> io::Result<()> {
        self.inode = 0;
        self.header(&Header {
            name: b"TRAILER!!!",
            mode: 0,
            links: 1,
            entry: None,
            file_len: 0,
        })
    }

    fn header(&mut self, header: &Header<'_>) -> io::Result<()> {
        let plain_name_len = header.name.len() as u64 + 1;
        let plain_data_at = (self.written + HEADER_LEN + plain_name_len).next_multiple_of(4);
        let data_at = if u64::from(header.file_len) >= PAGE {
            plain_data_at.next_multiple_of(PAGE)
        } else {
            plain_data_at
        };
        // Padding the name up to the data leaves none for the four-byte rule,
        // so it is done only where a page boundary is wanted.
        let name_len = if data_at == plain_data_at {
            plain_name_len
        } else {
            data_at - self.written - HEADER_LEN
        };
        let (uid, gid, mtime) = header
            .entry
            .map_or((0, 0, 0), |entry| (entry.uid, entry.gid, entry.mtime));
        let mut text = String::from("070701");
        for field in [
            u64::from(self.inode),
            u64::from(header.mode),
            u64::from(uid),
            u64::from(gid),
            u64::from(header.links),
            mtime.min(u64::from(u32::MAX)),
            u64::from(header.file_len),
            0, // device of the file: major, minor
            0,
            0, // device that the file is: major, minor
            0,
            name_len,
            0, // no check sum in this form
        ] {
            text.push_str(&format!("{field:08X}"));
        }
        self.put(text.as_bytes())?;
        self.put(header.name)?;
        while self.written < data_at {
            self.put(&[0; 64][..(data_at - self.written).min(64) as usize])?;
        }
        Ok(())
    }

    fn pad_to(&mut self, multiple: u64) -> io::Result<()> {
        let missing = self.written.next_multiple_of(multiple) - self.written;
        self.put(&[0; 4][..missing as usize])
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.written += bytes.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{MetadataExt as _, PermissionsExt as _},
        process::{Command, Stdio},
    };

    use super::{PAGE, write, write_file};
    use crate::{host, tree::Tree};

    /// One entry as a reader sees it: name, mode, where the data is, the data.
    struct Seen {
        name: String,
        mode: u32,
        data_at: usize,
        data: Vec<u8>,
    }

    fn read(archive: &[u8]) -> Vec<Seen> {
        let mut seen = Vec::new();
        let mut at = 0;
        loop {
            let header = &archive[at..at + 110];
            assert_eq!(&header[..6], b"070701");
            let field = |n: usize| {
                let digits = core::str::from_utf8(&header[6 + 8 * n..14 + 8 * n]).unwrap();
                usize::from_str_radix(digits, 16).unwrap()
            };
            let name = &archive[at + 110..at + 110 + field(11)];
            let name = name.split(|&b| b == 0).next().unwrap();
            let data_at = (at + 110 + field(11)).next_multiple_of(4);
            let entry = Seen {
                name: String::from_utf8(name.to_vec()).unwrap(),
                mode: u32::try_from(field(1)).unwrap(),
                data_at,
                data: archive[data_at..data_at + field(6)].to_vec(),
            };
            at = (data_at + field(6)).next_multiple_of(4);
            if entry.name == "TRAILER!!!" {
                assert_eq!(at, archive.len());
                return seen;
            }
            seen.push(entry);
        }
    }

    fn sample() -> Tree {
        let mut tree = Tree::new();
        tree.directory("/tmp", 0o1777).unwrap();
        tree.file("/etc/short", 0o600, *b"hello").unwrap();
        for len in [4095, 4096, 4097, 70_000] {
            tree.file(format!("/data/{len}"), 0o644, vec![7; len])
                .unwrap();
        }
        tree.file("/empty", 0o755, *b"").unwrap();
        tree.symlink("/etc/link", "../empty").unwrap();
        tree
    }

    #[test]
    fn entries_come_back_and_big_files_lie_on_pages() {
        let mut archive = Vec::new();
        write(&sample(), &mut archive).unwrap();
        let seen = read(&archive);
        let names: Vec<_> = seen.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "data",
                "data/4095",
                "data/4096",
                "data/4097",
                "data/70000",
                "empty",
                "etc",
                "etc/link",
                "etc/short",
                "tmp"
            ]
        );
        for entry in &seen {
            if let Some(len) = entry.name.strip_prefix("data/") {
                assert_eq!(entry.data, vec![7; len.parse().unwrap()]);
            }
            if entry.data.len() as u64 >= PAGE {
                assert_eq!(entry.data_at as u64 % PAGE, 0, "{}", entry.name);
            }
        }
        let find = |name| seen.iter().find(|entry| entry.name == name).unwrap();
        assert_eq!(find("tmp").mode, 0o041_777);
        assert_eq!(find("etc/short").mode, 0o100_600);
        assert_eq!(find("etc/short").data, b"hello");
        assert_eq!(find("etc/link").mode, 0o120_777);
        assert_eq!(find("etc/link").data, b"../empty");
    }

    #[test]
    fn a_name_of_any_length_keeps_the_form() {
        for len in 1..64 {
            let mut tree = Tree::new();
            tree.file("n".repeat(len), 0o644, vec![1; 4096]).unwrap();
            tree.file(format!("z{}", "n".repeat(len)), 0o644, *b"z")
                .unwrap();
            let mut archive = Vec::new();
            write(&tree, &mut archive).unwrap();
            let seen = read(&archive);
            assert_eq!(seen[0].name.len(), len);
            assert_eq!(seen[1].data, b"z");
        }
    }

    #[test]
    fn the_same_tree_gives_the_same_bytes() {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        write(&sample(), &mut first).unwrap();
        write(&sample(), &mut second).unwrap();
        assert!(first == second);
    }

    #[test]
    fn host_files_are_read_when_written() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("x"), "first").unwrap();
        fs::set_permissions(dir.path().join("x"), fs::Permissions::from_mode(0o4750)).unwrap();
        let mut tree = Tree::new();
        tree.host_directory("/", dir.path()).unwrap();
        fs::write(dir.path().join("x"), "second").unwrap();
        let mut archive = Vec::new();
        write(&tree, &mut archive).unwrap();
        let seen = read(&archive);
        assert_eq!(seen[0].data, b"second");
        assert_eq!(seen[0].mode, 0o104_750);
    }

    /// The host's own `cpio` is the second opinion, where there is one (GNU's
    /// or busybox's).
    #[test]
    fn the_hosts_cpio_unpacks_it() {
        let command = match (host::find_command("cpio"), host::find_command("busybox")) {
            (Some(cpio), _) => vec![cpio],
            (None, Some(busybox)) => vec![busybox, "cpio".into()],
            (None, None) => return,
        };
        let dir = tempfile::tempdir().unwrap();
        let archive = dir.path().join("archive");
        write_file(&sample(), &archive).unwrap();
        let root = dir.path().join("root");
        fs::create_dir(&root).unwrap();
        let status = Command::new(&command[0])
            .args(&command[1..])
            .arg("-idm")
            .current_dir(&root)
            .stdin(fs::File::open(&archive).unwrap())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
        assert_eq!(fs::read(root.join("etc/short")).unwrap(), b"hello");
        assert_eq!(fs::read(root.join("data/4097")).unwrap(), vec![7; 4097]);
        assert_eq!(
            fs::read_link(root.join("etc/link")).unwrap().to_str(),
            Some("../empty")
        );
        assert_eq!(fs::metadata(root.join("tmp")).unwrap().mode(), 0o041_777);
    }
}
