//! Many buffers in one call, and copies inside the kernel.

use crate::call;
use crate::report::{Show, check};
use crate::sys::{BAD, Ret};

/// An `iovec` as the kernel reads it.
type Piece = [usize; 2];

fn piece(bytes: &mut [u8]) -> Piece {
    [bytes.as_mut_ptr().expose_provenance(), bytes.len()]
}

/// `readv`, `writev`, `preadv`, `pwritev`.
pub(crate) fn run() {
    let fd = call!(SYS_open, c"v", libc::O_RDWR | libc::O_CREAT, 0o644).unwrap_or(-1);
    let (mut one, mut two, mut three) = (*b"one ", *b"", *b"three");
    let pieces = [piece(&mut one), piece(&mut two), piece(&mut three)];
    check("writev", call!(SYS_writev, fd, &pieces, 3));
    check("writev no pieces", call!(SYS_writev, fd, 0, 0));
    check("writev too many", call!(SYS_writev, fd, &pieces, 1025));
    check("writev negative", call!(SYS_writev, fd, &pieces, -1));
    check("writev bad vector", call!(SYS_writev, fd, BAD, 2));
    check(
        "writev bad first piece",
        call!(SYS_writev, fd, &[[BAD, 3]], 1),
    );
    let mixed = [piece(&mut one), [BAD, 3]];
    check("writev bad second piece", call!(SYS_writev, fd, &mixed, 2));
    let long = [piece(&mut one), [0x1000, usize::MAX]];
    check("writev piece too long", call!(SYS_writev, fd, &long, 2));
    check("writev closed", call!(SYS_writev, 999, &pieces, 3));
    let _ = call!(SYS_lseek, fd, 0, 0);
    let (mut a, mut b) = ([b'.'; 6], [b'.'; 10]);
    let into = [piece(&mut a), piece(&mut b)];
    check("readv", call!(SYS_readv, fd, &into, 2));
    check("bytes", (a.show(), b.show()));
    check("readv at the end", call!(SYS_readv, fd, &into, 2));
    check("preadv", call!(SYS_preadv, fd, &into, 2, 4, 0));
    check("bytes", (a.show(), b.show()));
    check("preadv negative", call!(SYS_preadv, fd, &into, 2, -1, 0));
    check("pwritev", call!(SYS_pwritev, fd, &pieces, 3, 100, 0));
    check("preadv2", call!(SYS_preadv2, fd, &into, 2, 100, 0, 0));
    check(
        "preadv2 bad flags",
        call!(SYS_preadv2, fd, &into, 2, 100, 0, 0x1000),
    );
    check("size", call!(SYS_lseek, fd, 0, libc::SEEK_END));
    let mut ends = [0_i32; 2];
    let _ = call!(SYS_pipe2, &mut ends, 0);
    check("writev to a pipe", call!(SYS_writev, ends[1], &pieces, 3));
    check("readv of a pipe", call!(SYS_readv, ends[0], &into, 2));
    check(
        "preadv of a pipe",
        call!(SYS_preadv, ends[0], &into, 2, 0, 0),
    );
    let maximum = vec![piece(&mut one); 1024];
    check(
        "1,024 pieces",
        call!(SYS_writev, fd, maximum.as_slice(), 1024),
    );
}

/// `sendfile` and `copy_file_range`.
pub(crate) fn sendfile() {
    let open = |path: &core::ffi::CStr, flags: i32| {
        call!(SYS_open, path, flags | libc::O_CREAT, 0o644).unwrap_or(-1)
    };
    let from = open(c"from", libc::O_RDWR);
    let content: Vec<u8> = (0..200_000_u32).map(|i| (i % 253) as u8).collect();
    let _ = call!(SYS_write, from, content.as_slice(), content.len());
    let _ = call!(SYS_lseek, from, 0, 0);
    let to = open(c"to", libc::O_RDWR);
    check("sendfile", call!(SYS_sendfile, to, from, 0, 1000));
    check(
        "offset of the source",
        call!(SYS_lseek, from, 0, libc::SEEK_CUR),
    );
    let mut offset = 150_000_i64;
    check(
        "at an offset",
        call!(SYS_sendfile, to, from, &mut offset, 100_000),
    );
    check("offset", offset);
    check("source stays", call!(SYS_lseek, from, 0, libc::SEEK_CUR));
    check("at the end", call!(SYS_sendfile, to, from, &mut offset, 10));
    check("size", call!(SYS_lseek, to, 0, libc::SEEK_END));
    let mut back = vec![0_u8; 51_000];
    let _ = call!(SYS_pread64, to, back.as_mut_slice(), back.len(), 0);
    check(
        "content",
        back[..1000] == content[..1000] && back[1000..] == content[150_000..],
    );
    let mut ends = [0_i32; 2];
    let _ = call!(SYS_pipe2, &mut ends, libc::O_NONBLOCK);
    let sent: Ret = call!(SYS_sendfile, ends[1], from, &mut 0_i64, 10_000);
    check("to a pipe", sent);
    check("from a pipe", call!(SYS_sendfile, to, ends[0], 0, 10));
    check(
        "negative offset",
        call!(SYS_sendfile, to, from, &mut -1_i64, 10),
    );
    check("bad offset", call!(SYS_sendfile, to, from, BAD, 10));
    check("closed source", call!(SYS_sendfile, to, 999, 0, 10));
    check("closed target", call!(SYS_sendfile, 999, from, 0, 10));
    let write_only = call!(SYS_open, c"from", libc::O_WRONLY, 0).unwrap_or(-1);
    check(
        "write-only source",
        call!(SYS_sendfile, to, write_only, 0, 10),
    );
    let read_only = call!(SYS_open, c"to", libc::O_RDONLY, 0).unwrap_or(-1);
    check(
        "read-only target",
        call!(SYS_sendfile, read_only, from, 0, 10),
    );
    let append = call!(SYS_open, c"to", libc::O_WRONLY | libc::O_APPEND, 0).unwrap_or(-1);
    check("appending target", call!(SYS_sendfile, append, from, 0, 10));
    check("nothing", call!(SYS_sendfile, to, from, 0, 0));
}
