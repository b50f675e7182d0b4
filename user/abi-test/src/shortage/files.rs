//! Files, folders and what descriptors are of.

use core::ffi::CStr;

use super::{Lab, Step};
use crate::call;
use crate::sys::{self, Ret};

const RW: i32 = libc::O_RDWR | libc::O_CREAT;

/// The steps.
pub(super) const STEPS: &[Step] = &[
    Step {
        name: "open",
        body: |lab| {
            let file = made(c"f");
            let opened = lab.meant(|| call!(SYS_open, c"f", libc::O_RDONLY, 0));
            gone(c"f", file);
            closed(opened)
        },
    },
    Step {
        name: "creat",
        body: |lab| {
            let opened = lab.meant(|| call!(SYS_creat, c"f", 0o644));
            gone(c"f", -1);
            closed(opened)
        },
    },
    Step {
        name: "open of a deep path",
        body: |lab| {
            closed(lab.meant(|| call!(SYS_open, c"/proc/self/../self/./status", libc::O_RDONLY, 0)))
        },
    },
    Step {
        name: "open of a folder",
        body: |lab| closed(lab.meant(|| call!(SYS_open, c"/", libc::O_DIRECTORY, 0))),
    },
    Step {
        name: "open of the terminal's folder",
        body: |lab| closed(lab.meant(|| call!(SYS_open, c"/dev/null", libc::O_RDWR, 0))),
    },
    Step {
        name: "open without a name",
        body: |lab| {
            closed(lab.meant(|| call!(SYS_open, c"/tmp", libc::O_TMPFILE | libc::O_RDWR, 0o600)))
        },
    },
    Step {
        name: "write",
        body: |lab| {
            with(|file| lab.meant(|| call!(SYS_write, file, [7_u8; 9000].as_slice(), 9000)))
        },
    },
    Step {
        name: "pwrite far away",
        body: |lab| {
            with(|file| {
                lab.meant(|| call!(SYS_pwrite64, file, [7_u8; 10].as_slice(), 10, 1_i64 << 32))
            })
        },
    },
    Step {
        name: "writev",
        body: |lab| {
            with(|file| {
                let bytes = [7_u8; 5000];
                let part = libc::iovec {
                    iov_base: bytes.as_ptr().cast_mut().cast(),
                    iov_len: 5000,
                };
                lab.meant(|| call!(SYS_writev, file, [part; 12].as_slice(), 12))
            })
        },
    },
    Step {
        name: "read",
        body: |lab| {
            with(|file| {
                let _ = call!(SYS_pwrite64, file, [7_u8; 9000].as_slice(), 9000, 0);
                lab.meant(|| call!(SYS_read, file, [0_u8; 9000].as_mut_slice(), 9000))
            })
        },
    },
    Step {
        name: "ftruncate",
        body: |lab| {
            with(|file| {
                let _ = call!(SYS_pwrite64, file, [7_u8; 9000].as_slice(), 9000, 0);
                lab.meant(|| call!(SYS_ftruncate, file, 100))
            })
        },
    },
    Step {
        name: "fallocate",
        body: |lab| with(|file| lab.meant(|| call!(SYS_fallocate, file, 0, 0, 20_000))),
    },
    Step {
        name: "punching a hole",
        body: |lab| {
            with(|file| {
                let _ = call!(SYS_pwrite64, file, [7_u8; 20_000].as_slice(), 20_000, 0);
                let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
                lab.meant(|| call!(SYS_fallocate, file, mode, 4096, 8192))
            })
        },
    },
    Step {
        name: "sendfile",
        body: |lab| {
            with(|file| {
                let _ = call!(SYS_pwrite64, file, [7_u8; 9000].as_slice(), 9000, 0);
                let ends = pipe();
                let sent = lab.meant(|| call!(SYS_sendfile, ends[1], file, 0, 9000));
                close(ends);
                sent
            })
        },
    },
    Step {
        name: "copy_file_range",
        body: |lab| {
            with(|file| {
                let _ = call!(SYS_pwrite64, file, [7_u8; 9000].as_slice(), 9000, 0);
                let other = made(c"g");
                let copied = lab.meant(|| call!(SYS_copy_file_range, file, 0, other, 0, 9000, 0));
                gone(c"g", other);
                copied
            })
        },
    },
    Step {
        name: "stat",
        body: |lab| {
            let mut stat: libc::stat = sys::zeroed();
            lab.meant(|| call!(SYS_stat, c"/tmp/../tmp/shortage", &mut stat))
        },
    },
    Step {
        name: "mkdir",
        body: |lab| {
            let answer = lab.meant(|| call!(SYS_mkdir, c"d", 0o755));
            let _ = call!(SYS_rmdir, c"d");
            answer
        },
    },
    Step {
        name: "rmdir",
        body: |lab| {
            let _ = call!(SYS_mkdir, c"d", 0o755);
            let answer = lab.meant(|| call!(SYS_rmdir, c"d"));
            let _ = call!(SYS_rmdir, c"d");
            answer
        },
    },
    Step {
        name: "symlink",
        body: |lab| {
            let answer = lab.meant(|| call!(SYS_symlink, c"somewhere/that/is/long/enough", c"s"));
            let _ = call!(SYS_unlink, c"s");
            answer
        },
    },
    Step {
        name: "readlink",
        body: |lab| {
            let _ = call!(SYS_symlink, c"somewhere/that/is/long/enough", c"s");
            let answer = lab.meant(|| call!(SYS_readlink, c"s", [0_u8; 64].as_mut_slice(), 64));
            let _ = call!(SYS_unlink, c"s");
            answer
        },
    },
    Step {
        name: "a way over links",
        body: |lab| {
            let _ = call!(SYS_symlink, c"t/../shortage", c"s");
            let _ = call!(SYS_symlink, c"/tmp/shortage", c"t");
            let answer = closed(lab.meant(|| call!(SYS_open, c"s/t/s", libc::O_RDONLY, 0)));
            let _ = call!(SYS_unlink, c"s");
            let _ = call!(SYS_unlink, c"t");
            answer
        },
    },
    Step {
        name: "link",
        body: |lab| {
            with(|_| {
                let answer = lab.meant(|| call!(SYS_link, c"file", c"other"));
                let _ = call!(SYS_unlink, c"other");
                answer
            })
        },
    },
    Step {
        name: "rename",
        body: |lab| {
            with(|_| {
                let answer = lab.meant(|| call!(SYS_rename, c"file", c"other"));
                let _ = call!(SYS_unlink, c"other");
                answer
            })
        },
    },
    Step {
        name: "rename over",
        body: |lab| {
            with(|_| {
                gone(c"", made(c"other"));
                let answer = lab.meant(|| call!(SYS_rename, c"file", c"other"));
                let _ = call!(SYS_unlink, c"other");
                answer
            })
        },
    },
    Step {
        name: "exchange",
        body: |lab| {
            with(|_| {
                gone(c"", made(c"other"));
                let (at, exchange) = (libc::AT_FDCWD, 2);
                let answer =
                    lab.meant(|| call!(SYS_renameat2, at, c"file", at, c"other", exchange));
                let _ = call!(SYS_unlink, c"other");
                answer
            })
        },
    },
    Step {
        name: "unlink",
        body: |lab| {
            gone(c"", made(c"f"));
            let answer = lab.meant(|| call!(SYS_unlink, c"f"));
            let _ = call!(SYS_unlink, c"f");
            answer
        },
    },
    Step {
        name: "mknod",
        body: |lab| {
            let answer = lab.meant(|| call!(SYS_mknod, c"n", libc::S_IFIFO | 0o644, 0));
            let _ = call!(SYS_unlink, c"n");
            answer
        },
    },
    Step {
        name: "open of a fifo",
        body: |lab| {
            let _ = call!(SYS_mknod, c"n", libc::S_IFIFO | 0o644, 0);
            let answer = closed(lab.meant(|| call!(SYS_open, c"n", libc::O_RDWR, 0)));
            let _ = call!(SYS_unlink, c"n");
            answer
        },
    },
    Step {
        name: "getdents64",
        body: |lab| {
            let folder = call!(SYS_open, c"/proc", libc::O_DIRECTORY, 0)?;
            let answer =
                lab.meant(|| call!(SYS_getdents64, folder, [0_u8; 4096].as_mut_slice(), 4096));
            let _ = call!(SYS_close, folder);
            answer
        },
    },
    Step {
        name: "getdents64 of many",
        body: |lab| {
            for name in NAMES {
                gone(c"", made(name));
            }
            let folder = call!(SYS_open, c".", libc::O_DIRECTORY, 0)?;
            let answer =
                lab.meant(|| call!(SYS_getdents64, folder, [0_u8; 4096].as_mut_slice(), 4096));
            let _ = call!(SYS_close, folder);
            for name in NAMES {
                let _ = call!(SYS_unlink, name);
            }
            answer
        },
    },
    Step {
        name: "chdir",
        body: |lab| {
            let answer = lab.meant(|| call!(SYS_chdir, c"/usr/../tmp/shortage"));
            let _ = call!(SYS_chdir, c"/tmp/shortage");
            answer
        },
    },
    Step {
        name: "getcwd",
        body: |lab| lab.meant(|| call!(SYS_getcwd, [0_u8; 256].as_mut_slice(), 256)),
    },
    Step {
        name: "setxattr",
        body: |lab| {
            with(|file| {
                let answer = lab.meant(|| {
                    call!(
                        SYS_fsetxattr,
                        file,
                        c"user.name",
                        [7_u8; 200].as_slice(),
                        200,
                        0
                    )
                });
                absent(answer)
            })
        },
    },
    Step {
        name: "utimensat",
        body: |lab| with(|_| lab.meant(|| call!(SYS_utimensat, libc::AT_FDCWD, c"file", 0, 0))),
    },
    Step {
        name: "chmod",
        body: |lab| with(|_| lab.meant(|| call!(SYS_chmod, c"file", 0o600))),
    },
    Step {
        name: "mount",
        body: |lab| {
            let _ = call!(SYS_mkdir, c"d", 0o755);
            let answer =
                lab.meant(|| call!(SYS_mount, c"none", c"d", c"tmpfs", 0, c"size=1m,mode=700"));
            let _ = call!(SYS_umount2, c"d", 0);
            let _ = call!(SYS_rmdir, c"d");
            answer
        },
    },
    Step {
        name: "bind mount",
        body: |lab| {
            let _ = call!(SYS_mkdir, c"d", 0o755);
            let answer =
                lab.meant(|| call!(SYS_mount, c"/usr", c"d", 0, libc::MS_BIND | libc::MS_REC, 0));
            let _ = call!(SYS_umount2, c"d", 0);
            let _ = call!(SYS_rmdir, c"d");
            answer
        },
    },
    Step {
        name: "umount",
        body: |lab| {
            let _ = call!(SYS_mkdir, c"d", 0o755);
            let _ = call!(SYS_mount, c"none", c"d", c"tmpfs", 0, 0);
            let answer = lab.meant(|| call!(SYS_umount2, c"d", 0));
            let _ = call!(SYS_umount2, c"d", 0);
            let _ = call!(SYS_rmdir, c"d");
            answer
        },
    },
    Step {
        name: "flock",
        body: |lab| with(|file| lab.meant(|| call!(SYS_flock, file, libc::LOCK_EX))),
    },
    Step {
        name: "locks of parts",
        body: |lab| {
            with(|file| {
                let mut part: libc::flock = sys::zeroed();
                part.l_type = libc::F_WRLCK as i16;
                (part.l_start, part.l_len) = (0, 100);
                let _ = call!(SYS_fcntl, file, libc::F_SETLK, &part);
                part.l_type = libc::F_UNLCK as i16;
                (part.l_start, part.l_len) = (40, 20);
                lab.meant(|| call!(SYS_fcntl, file, libc::F_SETLK, &part))
            })
        },
    },
    Step {
        name: "waiting for a lock",
        body: |lab| {
            with(|file| {
                let mut part: libc::flock = sys::zeroed();
                part.l_type = libc::F_WRLCK as i16;
                lab.meant(|| call!(SYS_fcntl, file, libc::F_OFD_SETLKW, &part))
            })
        },
    },
    Step {
        name: "dup",
        body: |lab| closed(lab.meant(|| call!(SYS_dup, 1))),
    },
    Step {
        name: "dup far away",
        body: |lab| closed(lab.meant(|| call!(SYS_fcntl, 1, libc::F_DUPFD, 900))),
    },
    Step {
        name: "dup3",
        body: |lab| closed(lab.meant(|| call!(SYS_dup3, 1, 1000, libc::O_CLOEXEC))),
    },
    Step {
        name: "close",
        body: |lab| {
            let copy = call!(SYS_dup, 1)?;
            lab.meant(|| call!(SYS_close, copy))
        },
    },
    Step {
        name: "pipe2",
        body: |lab| {
            let mut ends = [-1_i32; 2];
            let answer = lab.meant(|| call!(SYS_pipe2, &mut ends, 0));
            close(ends);
            answer
        },
    },
    Step {
        name: "write to a pipe",
        body: |lab| {
            let ends = pipe();
            let answer = lab.meant(|| call!(SYS_write, ends[1], [7_u8; 9000].as_slice(), 9000));
            close(ends);
            answer
        },
    },
    Step {
        name: "a larger pipe",
        body: |lab| {
            let ends = pipe();
            let _ = call!(SYS_write, ends[1], [7_u8; 9000].as_slice(), 9000);
            let answer = lab.meant(|| call!(SYS_fcntl, ends[1], libc::F_SETPIPE_SZ, 1 << 18));
            close(ends);
            answer
        },
    },
    Step {
        name: "memfd_create",
        body: |lab| closed(lab.meant(|| call!(SYS_memfd_create, c"name", libc::MFD_ALLOW_SEALING))),
    },
    Step {
        name: "read of maps",
        body: |lab| read(lab, c"/proc/self/maps"),
    },
    Step {
        name: "read of smaps",
        body: |lab| read(lab, c"/proc/self/smaps"),
    },
    Step {
        name: "read of status",
        body: |lab| read(lab, c"/proc/self/status"),
    },
    Step {
        name: "read of stat",
        body: |lab| read(lab, c"/proc/self/stat"),
    },
    Step {
        name: "read of limits",
        body: |lab| read(lab, c"/proc/self/limits"),
    },
    Step {
        name: "read of mountinfo",
        body: |lab| read(lab, c"/proc/self/mountinfo"),
    },
    Step {
        name: "read of cmdline",
        body: |lab| read(lab, c"/proc/self/cmdline"),
    },
    Step {
        name: "read of environ",
        body: |lab| read(lab, c"/proc/self/environ"),
    },
    Step {
        name: "read of meminfo",
        body: |lab| read(lab, c"/proc/meminfo"),
    },
    Step {
        name: "read of the machine's stat",
        body: |lab| read(lab, c"/proc/stat"),
    },
    Step {
        name: "read of cpuinfo",
        body: |lab| read(lab, c"/proc/cpuinfo"),
    },
    Step {
        name: "a link to a descriptor",
        body: |lab| {
            lab.meant(|| {
                call!(
                    SYS_readlink,
                    c"/proc/self/fd/1",
                    [0_u8; 64].as_mut_slice(),
                    64
                )
            })
        },
    },
    Step {
        name: "a link to the program",
        body: |lab| {
            lab.meant(|| {
                call!(
                    SYS_readlink,
                    c"/proc/self/exe",
                    [0_u8; 64].as_mut_slice(),
                    64
                )
            })
        },
    },
    Step {
        name: "a setting",
        body: |lab| {
            let file = call!(SYS_open, c"/proc/sys/kernel/hostname", libc::O_RDWR, 0)?;
            let answer = lab.meant(|| call!(SYS_write, file, [b'o'; 5].as_slice(), 5));
            let _ = call!(SYS_close, file);
            answer
        },
    },
];

const NAMES: [&CStr; 12] = [
    c"a", c"b", c"c", c"d", c"e", c"g", c"h", c"i", c"j", c"k", c"l", c"m",
];

/// A new file's descriptor.
fn made(name: &CStr) -> i32 {
    call!(SYS_open, name, RW, 0o644).unwrap_or(-1) as i32
}

/// Closes a file and takes its name away.
fn gone(name: &CStr, file: i32) {
    let _ = call!(SYS_unlink, name);
    if file >= 0 {
        let _ = call!(SYS_close, file);
    }
}

/// Does something with a file of its own.
fn with(body: impl FnOnce(i32) -> Ret) -> Ret {
    let file = made(c"file");
    let answer = body(file);
    gone(c"file", file);
    answer
}

/// Closes the descriptor that a call answered.
pub(super) fn closed(answer: Ret) -> Ret {
    if let Ok(file) = answer {
        let _ = call!(SYS_close, file);
    }
    answer
}

pub(super) fn pipe() -> [i32; 2] {
    let mut ends = [-1_i32; 2];
    let _ = call!(SYS_pipe2, &mut ends, libc::O_NONBLOCK);
    ends
}

pub(super) fn close(files: [i32; 2]) {
    for file in files.into_iter().filter(|file| *file >= 0) {
        let _ = call!(SYS_close, file);
    }
}

/// What a file system may not have is no error.
fn absent(answer: Ret) -> Ret {
    match answer {
        Err(error) if error.0 == libc::EOPNOTSUPP => Ok(0),
        other => other,
    }
}

/// The first read of a file that is made when it is read.
fn read(lab: &Lab, name: &CStr) -> Ret {
    let file = call!(SYS_open, name, libc::O_RDONLY, 0)?;
    let answer = lab.meant(|| call!(SYS_read, file, [0_u8; 4096].as_mut_slice(), 4096));
    let _ = call!(SYS_close, file);
    answer
}
