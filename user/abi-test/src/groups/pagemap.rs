//! `/proc/PID/pagemap`: which pages are there, whose they are, and who is told
//! their frames.

use std::os::unix::fs::FileExt;

use crate::arch::ENDS_AT_47_BITS;
use crate::call;
use crate::report::{check, check_child, wait};
use crate::sys::{self, ANON, BAD, PAGE, RW};

/// The number of the frame.
const FRAME: u64 = (1 << 55) - 1;
/// Soft-dirty is a matter of how Linux was built.
const SOFT_DIRTY: u64 = 1 << 55;

/// The entries of `pages` pages from `at` on.
fn entries(at: usize, pages: usize) -> Vec<u64> {
    let mut bytes = vec![0; pages * 8];
    let read = std::fs::File::open("/proc/self/pagemap")
        .and_then(|file| file.read_exact_at(&mut bytes, (at / PAGE * 8) as u64));
    if let Err(error) = read {
        check("reading pagemap", error.to_string());
    }
    bytes
        .chunks_exact(8)
        .map(|word| u64::from_ne_bytes(word.try_into().unwrap_or_default()))
        .collect()
}

/// What entries say apart from frames.
fn flags(entries: &[u64]) -> String {
    let words = entries.iter().map(|entry| {
        let mut word = String::new();
        for (bit, letter) in [
            (63, 'P'),
            (62, 'S'),
            (61, 'F'),
            (58, 'G'),
            (57, 'U'),
            (56, 'X'),
        ] {
            if entry & 1 << bit != 0 {
                word.push(letter);
            }
        }
        if entry & !(FRAME | SOFT_DIRTY | 0x7700_0000_0000_0000 | 1 << 63) & !(1 << 59) != 0 {
            word.push('?');
        }
        if word.is_empty() {
            "-".to_owned()
        } else {
            word
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

fn map(pages: usize, rights: i32, kind: i32, fd: i64) -> usize {
    let at = call!(SYS_mmap, 0, pages * PAGE, rights, kind, fd, 0).unwrap_or(0) as usize;
    // Huge pages of the host would change who shares what.
    let _ = call!(SYS_madvise, at, pages * PAGE, libc::MADV_NOHUGEPAGE);
    at
}

fn memory_file(pages: usize) -> i64 {
    let fd = call!(SYS_memfd_create, c"pages", 0).unwrap_or(-1);
    let _ = call!(SYS_ftruncate, fd, pages * PAGE);
    fd
}

/// The cases without rights.
pub(crate) fn run() {
    let show = |name: &str, at: usize, pages: usize| check(name, flags(&entries(at, pages)));
    let at = map(6, RW, ANON, -1);
    show("untouched", at, 6);
    sys::peek(at);
    sys::poke(at + PAGE, 1);
    sys::poke(at + 3 * PAGE, 1);
    show("read, written, -, written", at, 6);
    let _ = call!(SYS_mprotect, at + PAGE, PAGE, libc::PROT_NONE);
    show("inaccessible", at, 6);
    let _ = call!(SYS_munmap, at + 3 * PAGE, PAGE);
    show("unmapped", at, 6);
    let mut ends = [0_i32; 2];
    let _ = call!(SYS_pipe2, &mut ends, 0);
    sys::poke(at + 4 * PAGE, 1);
    let child = sys::fork(|| {
        let mut byte = [0_u8];
        let _ = call!(SYS_read, ends[0], &mut byte, 1);
        0
    });
    show("forked", at, 6);
    sys::poke(at + 4 * PAGE, 2);
    show("written since", at, 6);
    let _ = call!(SYS_write, ends[1], b"x", 1);
    let _ = wait(child);
    show("the child is gone", at, 6);
    let _ = call!(SYS_madvise, at, 2 * PAGE, libc::MADV_DONTNEED);
    show("given up", at, 6);

    let at = map(3, RW, libc::MAP_SHARED | libc::MAP_ANONYMOUS, -1);
    sys::poke(at, 1);
    show("shared", at, 3);
    let fd = memory_file(3);
    let _ = call!(SYS_pwrite64, fd, b"x", 1, 0);
    let _ = call!(SYS_pwrite64, fd, b"x", 1, 2 * PAGE);
    let shared = map(3, RW, libc::MAP_SHARED, fd);
    show("a file", shared, 3);
    sys::poke(shared, 1);
    sys::poke(shared + PAGE, 1);
    show("written", shared, 3);
    let own = map(3, RW, libc::MAP_PRIVATE, fd);
    sys::poke(own, 1);
    show("a copy", own, 1);
    sys::peek(own + PAGE);
    show("a file mapped twice", own + PAGE, 1);
    let _ = call!(SYS_munmap, shared, 3 * PAGE);
    show("and once", own + PAGE, 1);

    let fd = call!(SYS_open, c"/proc/self/pagemap", libc::O_RDONLY, 0).unwrap_or(-1);
    let mut word = [0_u64; 4];
    let read = |words: &mut [u64], len: usize, at: usize| call!(SYS_pread64, fd, words, len, at);
    check("nothing", read(&mut word, 0, 8));
    check("half an entry", read(&mut word, 4, 8));
    check("an entry and a half", read(&mut word, 12, 8));
    check("from half an entry on", read(&mut word, 8, 4));
    check("page 0", (read(&mut word, 8, 0), word[0]));
    if ENDS_AT_47_BITS {
        let last = 0x7fff_ffff_e000_usize / PAGE * 8;
        check("the last page", read(&mut word, 32, last));
        check("behind it", read(&mut word, 32, last + 8));
    }
    check(
        "the kernel's",
        read(&mut word, 32, 0xffff_8000_0000_0000 / PAGE * 8),
    );
    check("far away", read(&mut word, 32, (1 << 62) + 8));
    check("to nowhere", call!(SYS_pread64, fd, BAD, 8, 0));
    let edge = map(2, RW, ANON, -1);
    let _ = call!(SYS_munmap, edge + PAGE, PAGE);
    check(
        "to the end of what is mapped",
        call!(SYS_pread64, fd, edge + PAGE - 16, 16, 0),
    );
    check("a position", call!(SYS_lseek, fd, 16, libc::SEEK_SET));
    check("is read from", call!(SYS_read, fd, &mut word, 32));
    check("and goes on", call!(SYS_lseek, fd, 0, libc::SEEK_CUR));
    check(
        "writing",
        call!(SYS_open, c"/proc/self/pagemap", libc::O_RDWR, 0).map(|_| ()),
    );
    let mut stat: libc::stat = sys::zeroed();
    let _ = call!(SYS_fstat, fd, &mut stat);
    check("its mode", format!("{:o} {}", stat.st_mode, stat.st_size));
    sys::poke(at, 2);
    check(
        "no frames",
        entries(at, 1).iter().all(|entry| entry & FRAME == 0),
    );
    check(
        "of process 1",
        call!(SYS_open, c"/proc/1/pagemap", libc::O_RDONLY, 0).map(|_| ()),
    );
}

/// The cases about who is told frames.
pub(crate) fn as_root() {
    let at = map(4, RW, ANON, -1);
    for page in 0..2 {
        sys::poke(at + page * PAGE, 1);
    }
    sys::peek(at + 2 * PAGE);
    sys::peek(at + 3 * PAGE);
    let frame = |page: usize| entries(at + page * PAGE, 1)[0] & FRAME;
    let (first, second) = (frame(0), frame(1));
    check(
        "frames differ",
        first != 0 && second != 0 && first != second,
    );
    check("those of zeroes do not", frame(2) == frame(3));
    check_child("a child has its parent's", || i32::from(frame(0) == first));
    check_child("until it writes", || {
        sys::poke(at, 2);
        i32::from(frame(0) == first)
    });
    check("the parent keeps its own", frame(0) == first);
    // Who opened it counts, not who reads.
    check_child("opened with rights, read without", || {
        let file = std::fs::File::open("/proc/self/pagemap");
        let _ = call!(SYS_setresuid, 65534, 65534, 65534);
        let mut bytes = [0; 8];
        let read = file.and_then(|file| file.read_exact_at(&mut bytes, (at / PAGE * 8) as u64));
        i32::from(read.is_ok() && u64::from_ne_bytes(bytes) & FRAME == first)
    });
    check_child("opened without", || {
        let _ = call!(SYS_setresuid, 65534, 65534, 65534);
        let _ = call!(SYS_prctl, libc::PR_SET_DUMPABLE, 1, 0, 0, 0);
        i32::from(frame(0) == 0)
    });
    for (name, same) in [("/proc/buddyinfo", 0), ("/proc/slabinfo", 2)] {
        let text = std::fs::read_to_string(name).unwrap_or_default();
        for line in text.lines().take(same) {
            check(name, line);
        }
        let fields = text
            .lines()
            .last()
            .map(|line| line.split_whitespace().count());
        check("has fields", fields.is_some_and(|fields| fields >= 15));
        let mut stat: libc::stat = sys::zeroed();
        let path = std::ffi::CString::new(name).unwrap_or_default();
        let _ = call!(SYS_stat, path.as_c_str(), &mut stat);
        check("its mode", format!("{:o}", stat.st_mode));
    }
}
