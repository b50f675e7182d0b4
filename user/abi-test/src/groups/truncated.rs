//! Mappings of files that get shorter, get holes, and grow again.

use crate::call;
use crate::report::{check, check_child};
use crate::sys::{self, PAGE, RW};

struct Mapped {
    fd: i64,
    shared: usize,
    private: usize,
}

/// A file of four pages of `a`, `b`, `c`, `d`, mapped twice; the third page is
/// written in the private mapping.
fn mapped() -> Mapped {
    let fd = call!(
        SYS_open,
        c"cut",
        libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC,
        0o644
    )
    .unwrap_or(-1);
    for letter in b"abcd" {
        let page = [*letter; PAGE];
        let _ = call!(SYS_write, fd, page.as_slice(), PAGE);
    }
    let map = |flags: i32| call!(SYS_mmap, 0, 4 * PAGE, RW, flags, fd, 0).unwrap_or(0) as usize;
    let (shared, private) = (map(libc::MAP_SHARED), map(libc::MAP_PRIVATE));
    for page in 0..4 {
        sys::peek(shared + page * PAGE);
        sys::peek(private + page * PAGE);
    }
    sys::poke(private + 2 * PAGE, b'P');
    sys::poke(private + PAGE, b'Q');
    Mapped {
        fd,
        shared,
        private,
    }
}

fn show(name: &str, at: usize) {
    for page in 0..4 {
        check_child(&format!("{name}, page {page}"), || {
            i32::from(sys::peek(at + page * PAGE + 9))
        });
        check_child(&format!("{name}, page {page}, first byte"), || {
            i32::from(sys::peek(at + page * PAGE))
        });
    }
}

/// The cases.
pub(crate) fn run() {
    let m = mapped();
    check("cut", call!(SYS_ftruncate, m.fd, PAGE + 5));
    show("shared", m.shared);
    show("private", m.private);
    check_child("write past the end", || {
        sys::poke(m.shared + 3 * PAGE, 1);
        0
    });
    check_child("private write past the end", || {
        sys::poke(m.private + 3 * PAGE, 1);
        0
    });
    let mut ends = [0_i32; 2];
    let _ = call!(SYS_pipe2, &mut ends, 0);
    check(
        "the kernel reads past the end",
        call!(SYS_write, ends[1], m.shared + 3 * PAGE, 1),
    );
    check("grow again", call!(SYS_ftruncate, m.fd, 4 * PAGE));
    show("shared, grown", m.shared);
    show("private, grown", m.private);

    let m = mapped();
    let keep = libc::FALLOC_FL_KEEP_SIZE;
    let punch = libc::FALLOC_FL_PUNCH_HOLE | keep;
    check("a hole", call!(SYS_fallocate, m.fd, punch, PAGE, 2 * PAGE));
    show("shared, hole", m.shared);
    show("private, hole", m.private);
    sys::poke(m.shared + PAGE + 9, b'z');
    let mut byte = [0_u8];
    let _ = call!(SYS_pread64, m.fd, &mut byte, 1, PAGE + 9);
    check("the file sees what is written to the hole", byte[0]);

    let m = mapped();
    let zero = libc::FALLOC_FL_ZERO_RANGE;
    let answer = call!(SYS_fallocate, m.fd, zero, 0, 2 * PAGE);
    // Linux's tmpfs refuses, its other file systems do not.
    if answer.is_ok() {
        let _ = call!(SYS_pread64, m.fd, &mut byte, 1, 9);
        check("zeroes are seen", sys::peek(m.shared + 9) == byte[0]);
    } else {
        check("zeroes are seen", true);
    }
    let m = mapped();
    check_child("opened with O_TRUNC by another", || {
        let fd = call!(SYS_open, c"cut", libc::O_RDWR | libc::O_TRUNC, 0);
        check("open", fd.is_ok());
        i32::from(sys::peek(m.private + 2 * PAGE))
    });
    check_child("seen by the first", || i32::from(sys::peek(m.shared)));
    check_child("its private copy", || {
        i32::from(sys::peek(m.private + 2 * PAGE))
    });
    removed();
}

/// `MADV_REMOVE`.
fn removed() {
    let remove = |at: usize, len: usize| call!(SYS_madvise, at, len, libc::MADV_REMOVE);
    let m = mapped();
    check("remove", remove(m.shared + PAGE, 2 * PAGE));
    show("removed, shared", m.shared);
    show("removed, private", m.private);
    check("remove of a private mapping", remove(m.private, PAGE));
    let anonymous = libc::MAP_ANONYMOUS;
    let map = |flags: i32| {
        call!(SYS_mmap, 0, 4 * PAGE, RW, flags | anonymous, -1, 0).unwrap_or(0) as usize
    };
    check(
        "remove of private memory",
        remove(map(libc::MAP_PRIVATE), PAGE),
    );
    let at = map(libc::MAP_SHARED);
    for page in 0..4 {
        sys::poke(at + page * PAGE, 5);
    }
    check("remove of shared memory", remove(at + PAGE, PAGE));
    check(
        "what is there",
        [0, 1, 2, 3].map(|page| b'0' + sys::peek(at + page * PAGE)),
    );
    let _ = call!(SYS_mprotect, at, 4 * PAGE, libc::PROT_READ);
    check("remove without the right to write", remove(at, PAGE));
    let fd = call!(SYS_open, c"cut", libc::O_RDONLY, 0).unwrap_or(-1);
    let at =
        call!(SYS_mmap, 0, PAGE, libc::PROT_READ, libc::MAP_SHARED, fd, 0).unwrap_or(0) as usize;
    check("remove of a file opened for reading", remove(at, PAGE));
}
