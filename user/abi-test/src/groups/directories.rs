//! Folders: making, removing, entering, listing.

use std::collections::BTreeSet;
use std::ffi::CString;

use crate::call;
use crate::report::{check, check_child};
use crate::sys::BAD;

/// `mkdir`, `rmdir`, `chdir`, `getcwd`, `mknod`.
pub(crate) fn run() {
    let home = std::env::current_dir().unwrap_or_default();
    check("mkdir", call!(SYS_mkdir, c"d", 0o755));
    check("mkdir again", call!(SYS_mkdir, c"d", 0o755));
    check(
        "mkdir over a missing folder",
        call!(SYS_mkdir, c"nope/d", 0o755),
    );
    check("mkdir with slash", call!(SYS_mkdir, c"e/", 0o755));
    check("mkdir root", call!(SYS_mkdir, c"/", 0o755));
    check("mkdir dot", call!(SYS_mkdir, c".", 0o755));
    check("mkdir empty", call!(SYS_mkdir, c"", 0o755));
    check("mkdir bad pointer", call!(SYS_mkdir, BAD, 0o755));
    let _ = call!(SYS_symlink, c"gone", c"dangling");
    check("mkdir over a symlink", call!(SYS_mkdir, c"dangling", 0o755));
    check(
        "mkdirat",
        call!(SYS_mkdirat, libc::AT_FDCWD, c"d/in", 0o700),
    );
    check("rmdir full", call!(SYS_rmdir, c"d"));
    check("rmdir missing", call!(SYS_rmdir, c"nope"));
    check("rmdir dot", call!(SYS_rmdir, c"d/."));
    check("rmdir dotdot", call!(SYS_rmdir, c"d/in/.."));
    check("rmdir root", call!(SYS_rmdir, c"/"));
    let _ = call!(SYS_close, call!(SYS_creat, c"file", 0o644).unwrap_or(-1));
    check("rmdir file", call!(SYS_rmdir, c"file"));
    check("mkdir over a file", call!(SYS_mkdir, c"file/x", 0o755));
    check("rmdir", call!(SYS_rmdir, c"d/in"));
    check("unlink folder", call!(SYS_unlink, c"d"));
    check(
        "unlinkat AT_REMOVEDIR",
        call!(SYS_unlinkat, libc::AT_FDCWD, c"e", libc::AT_REMOVEDIR),
    );
    check(
        "unlinkat AT_REMOVEDIR of a file",
        call!(SYS_unlinkat, libc::AT_FDCWD, c"file", libc::AT_REMOVEDIR),
    );
    check(
        "unlinkat bad flags",
        call!(SYS_unlinkat, libc::AT_FDCWD, c"file", 1),
    );
    check("chdir", call!(SYS_chdir, c"d"));
    check("chdir up", call!(SYS_chdir, c".."));
    check("chdir file", call!(SYS_chdir, c"file"));
    check("chdir missing", call!(SYS_chdir, c"nope"));
    check("chdir empty", call!(SYS_chdir, c""));
    let mut small = [0_u8; 4];
    check("getcwd too small", call!(SYS_getcwd, &mut small, 4));
    check("getcwd size 0", call!(SYS_getcwd, &mut small, 0));
    check("getcwd bad", call!(SYS_getcwd, BAD, 4096));
    let mut path = [0_u8; 4096];
    let length = call!(SYS_getcwd, &mut path, 4096);
    check(
        "getcwd counts the NUL",
        length == Ok(home.as_os_str().len() as i64 + 1),
    );
    let fd = call!(SYS_open, c"d", libc::O_RDONLY, 0).unwrap_or(-1);
    check("fchdir", call!(SYS_fchdir, fd));
    check(
        "it is there",
        std::env::current_dir().is_ok_and(|now| now == home.join("d")),
    );
    check(
        "fchdir of a file",
        call!(SYS_fchdir, call!(SYS_open, c"../file", 0, 0).unwrap_or(-1)),
    );
    check("fchdir closed", call!(SYS_fchdir, 999));
    let _ = std::env::set_current_dir(&home);
    check("getcwd of root", {
        let _ = call!(SYS_chdir, c"/");
        let _ = call!(SYS_getcwd, &mut path, 4096);
        path[..2].escape_ascii().to_string()
    });
    let _ = std::env::set_current_dir(&home);
    check("dotdot of root", call!(SYS_chdir, c"/../../.."));
    let _ = std::env::set_current_dir(&home);
    check_child("a folder removed under us", || {
        let _ = call!(SYS_mkdir, c"vanishing", 0o755);
        let _ = call!(SYS_chdir, c"vanishing");
        check("rmdir", call!(SYS_rmdir, c"../vanishing"));
        let mut path = [0_u8; 4096];
        check("getcwd", call!(SYS_getcwd, &mut path, 4096));
        check("create in it", call!(SYS_creat, c"x", 0o644));
        check("mkdir in it", call!(SYS_mkdir, c"x", 0o755));
        check("open dot", call!(SYS_open, c".", 0, 0).is_ok());
        check("up", call!(SYS_chdir, c".."));
        0
    });
    check(
        "mknod fifo",
        call!(SYS_mknod, c"fifo", libc::S_IFIFO | 0o644, 0),
    );
    check(
        "mknod file",
        call!(SYS_mknod, c"plain", libc::S_IFREG | 0o644, 0),
    );
    check(
        "mknod file without type",
        call!(SYS_mknod, c"plain2", 0o644, 0),
    );
    check(
        "mknod again",
        call!(SYS_mknod, c"plain", libc::S_IFREG | 0o644, 0),
    );
    check(
        "mknod folder",
        call!(SYS_mknod, c"folder", libc::S_IFDIR | 0o644, 0),
    );
    check("mknod nonsense", call!(SYS_mknod, c"what", 0o170_000, 0));
    check(
        "mknod device",
        call!(SYS_mknod, c"null", libc::S_IFCHR | 0o644, 0x103),
    );
}

/// One record of `getdents64`.
fn records(bytes: &[u8]) -> Vec<(String, u8, u64)> {
    let mut all = Vec::new();
    let mut at = 0;
    while let Some(record) = bytes.get(at..).filter(|rest| rest.len() >= 19) {
        let ino = u64::from_ne_bytes(record[..8].try_into().expect("eight bytes"));
        let length = usize::from(u16::from_ne_bytes([record[16], record[17]]));
        let name = record[19..length]
            .split(|byte| *byte == 0)
            .next()
            .unwrap_or_default();
        all.push((String::from_utf8_lossy(name).into_owned(), record[18], ino));
        at += length;
    }
    all
}

/// Lists `path` with a buffer of `size` bytes.
pub(super) fn list(path: &core::ffi::CStr, size: usize) -> Vec<(String, u8, u64)> {
    let fd = call!(SYS_open, path, libc::O_RDONLY | libc::O_DIRECTORY, 0).unwrap_or(-1);
    let mut all = Vec::new();
    loop {
        let mut buffer = vec![0_u8; size];
        match call!(SYS_getdents64, fd, buffer.as_mut_slice(), size) {
            Ok(0) => break,
            Ok(count) => all.extend(records(&buffer[..count as usize])),
            Err(error) => {
                check("getdents64", error.name());
                break;
            }
        }
    }
    let _ = call!(SYS_close, fd);
    all
}

/// `getdents64`.
pub(crate) fn getdents() {
    let _ = call!(SYS_mkdir, c"l", 0o755);
    check("empty folder", list(c"l", 4096).len());
    for name in [c"l/file", c"l/longer-name.txt"] {
        let _ = call!(SYS_close, call!(SYS_creat, name, 0o644).unwrap_or(-1));
    }
    let _ = call!(SYS_mkdir, c"l/folder", 0o755);
    let _ = call!(SYS_symlink, c"x", c"l/link");
    let _ = call!(SYS_mknod, c"l/fifo", libc::S_IFIFO | 0o644, 0);
    let mut all = list(c"l", 4096);
    all.sort();
    for (name, kind, _) in &all {
        check(&format!("type of {name}"), u32::from(*kind));
    }
    let mut stat: libc::stat = crate::sys::zeroed();
    let _ = call!(SYS_stat, c"l/file", &mut stat);
    check(
        "inode number",
        all.iter()
            .any(|(name, _, ino)| name == "file" && *ino == stat.st_ino),
    );
    let _ = call!(SYS_stat, c"l", &mut stat);
    check(
        "dot's inode number",
        all.iter()
            .any(|(name, _, ino)| name == "." && *ino == stat.st_ino),
    );
    let mut small = list(c"l", 64);
    small.sort();
    check("a small buffer gives the same", small == all);
    let fd = call!(SYS_open, c"l", libc::O_RDONLY, 0).unwrap_or(-1);
    check(
        "a buffer for none",
        call!(SYS_getdents64, fd, &mut [0_u8; 10], 10),
    );
    check("bad pointer", call!(SYS_getdents64, fd, BAD, 4096));
    let file = call!(SYS_open, c"l/file", libc::O_RDONLY, 0).unwrap_or(-1);
    check(
        "of a file",
        call!(SYS_getdents64, file, &mut [0_u8; 100], 100),
    );
    check("closed", call!(SYS_getdents64, 999, &mut [0_u8; 100], 100));
    let mut buffer = [0_u8; 4096];
    let first = call!(SYS_getdents64, fd, &mut buffer, 4096);
    check("then the end", call!(SYS_getdents64, fd, &mut buffer, 4096));
    let _ = call!(SYS_lseek, fd, 0, libc::SEEK_SET);
    check(
        "again from the start",
        call!(SYS_getdents64, fd, &mut buffer, 4096) == first,
    );
    check_child("a folder removed while open", || {
        let _ = call!(SYS_mkdir, c"l2", 0o755);
        let fd = call!(SYS_open, c"l2", libc::O_RDONLY, 0).unwrap_or(-1);
        let _ = call!(SYS_rmdir, c"l2");
        check("list it", call!(SYS_getdents64, fd, &mut [0_u8; 100], 100));
        0
    });
    let _ = call!(SYS_mkdir, c"many", 0o755);
    for n in 0..1000 {
        let name = CString::new(format!("many/file-{n}")).expect("no NUL");
        let _ = call!(
            SYS_close,
            call!(SYS_creat, name.as_c_str(), 0o644).unwrap_or(-1)
        );
    }
    let names: BTreeSet<String> = list(c"many", 512)
        .into_iter()
        .map(|entry| entry.0)
        .collect();
    check("1,000 files and two dots", names.len());
    // Removing while listing must neither skip nor repeat what stays.
    let fd = call!(SYS_open, c"many", libc::O_RDONLY, 0).unwrap_or(-1);
    let mut seen = Vec::new();
    let mut buffer = [0_u8; 512];
    while let Ok(count @ 1..) = call!(SYS_getdents64, fd, &mut buffer, 512) {
        for (name, _, _) in records(&buffer[..count as usize]) {
            let path = CString::new(format!("many/{name}")).expect("no NUL");
            let _ = call!(SYS_unlink, path.as_c_str());
            seen.push(name);
        }
    }
    check("listed while removing", seen.len());
    check("empty now", call!(SYS_rmdir, c"many"));
}
