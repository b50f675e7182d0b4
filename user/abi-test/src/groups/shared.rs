//! Memory that processes share or look into: sealed memory files, and
//! `process_vm_readv`.

use crate::call;
use crate::report::{check, check_child, check_ok};
use crate::sys::{self, ANON, BAD, KERNEL, PAGE, RW};

fn memory_file(flags: u32) -> i64 {
    call!(SYS_memfd_create, c"sealed", flags).unwrap_or(-1)
}

fn seal(fd: i64, seals: i32) -> sys::Ret {
    call!(SYS_fcntl, fd, libc::F_ADD_SEALS, seals)
}

fn seals(fd: i64) -> sys::Ret {
    call!(SYS_fcntl, fd, libc::F_GET_SEALS, 0)
}

/// `memfd_create` with seals.
pub(crate) fn sealed() {
    for flags in 0..0x20_u32 {
        // Huge pages are another matter.
        if flags & 4 == 0 {
            let fd = call!(SYS_memfd_create, c"x", flags);
            check_ok(&format!("memfd_create {flags:#x}"), fd);
            let fd = fd.unwrap_or(-1);
            check("its seals", seals(fd));
            let mut stat: libc::stat = sys::zeroed();
            let _ = call!(SYS_fstat, fd, &mut stat);
            check("its mode", format!("{:o}", stat.st_mode));
            let _ = call!(SYS_close, fd);
        }
    }
    check("memfd_create 0x40", call!(SYS_memfd_create, c"x", 0x40));
    check("no name", call!(SYS_memfd_create, BAD, 0));
    let fd = memory_file(0);
    check("seal what may not be sealed", seal(fd, libc::F_SEAL_GROW));
    let plain = call!(SYS_open, c"plain", libc::O_RDWR | libc::O_CREAT, 0o644).unwrap_or(-1);
    let mut ends = [0_i32; 2];
    let _ = call!(SYS_pipe2, &mut ends, 0);
    check("seals of a pipe", seals(ends[0].into()));
    check("seal a pipe", seal(ends[1].into(), 1));
    let _ = call!(SYS_close, plain);

    let fresh = || {
        let fd = memory_file(libc::MFD_ALLOW_SEALING);
        let _ = call!(SYS_ftruncate, fd, 2 * PAGE + 100);
        fd
    };
    let fd = fresh();
    check("unknown seals", seal(fd, 0x100));
    check("no seals", seal(fd, 0));
    check("shrink", seal(fd, libc::F_SEAL_SHRINK));
    check("cut", call!(SYS_ftruncate, fd, 100));
    check("same size", call!(SYS_ftruncate, fd, 2 * PAGE + 100));
    check("grow", call!(SYS_ftruncate, fd, 3 * PAGE));
    check("again", seal(fd, libc::F_SEAL_SHRINK));
    check("both", seals(fd));

    let fd = fresh();
    check("grow", seal(fd, libc::F_SEAL_GROW));
    check("extend", call!(SYS_ftruncate, fd, 3 * PAGE));
    check("allocate", call!(SYS_fallocate, fd, 0, 0, 4 * PAGE));
    check("allocate inside", call!(SYS_fallocate, fd, 0, 0, 2 * PAGE));
    let page = [1_u8; 3 * PAGE];
    let write = |len: usize, at: usize| call!(SYS_pwrite64, fd, page.as_slice(), len, at);
    check("write inside", write(50, 2 * PAGE));
    check("write to the end", write(100, 2 * PAGE));
    check("write across the end", write(101, 2 * PAGE));
    check("write from before", write(PAGE + 200, PAGE));
    check("write behind", write(1, 4 * PAGE));
    check("write nothing behind", write(0, 4 * PAGE));
    check("cut", call!(SYS_ftruncate, fd, 100));

    let map = |fd: i64, rights: i32, flags: i32| call!(SYS_mmap, 0, PAGE, rights, flags, fd, 0);
    let fd = fresh();
    let at = map(fd, RW, libc::MAP_SHARED).unwrap_or(0) as usize;
    sys::poke(at, 5);
    check("write, while mapped", seal(fd, libc::F_SEAL_WRITE));
    check("no seal of it", seals(fd));
    check("future write", seal(fd, libc::F_SEAL_FUTURE_WRITE));
    check_child("the old mapping writes", || {
        sys::poke(at + 1, 6);
        i32::from(sys::peek(at + 1))
    });
    check_ok("a new one", map(fd, RW, libc::MAP_SHARED));
    check("write", call!(SYS_pwrite64, fd, b"x", 1, 0));
    let _ = call!(SYS_munmap, at, PAGE);
    check("write, unmapped", seal(fd, libc::F_SEAL_WRITE));
    let read_only = map(fd, libc::PROT_READ, libc::MAP_SHARED);
    check_ok("a mapping that reads", read_only);
    let at = read_only.unwrap_or(0) as usize;
    check("what it reads", sys::peek(at));
    check("to write", call!(SYS_mprotect, at, PAGE, RW));
    check_ok("a private one", map(fd, RW, libc::MAP_PRIVATE));
    let hole = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    check("a hole", call!(SYS_fallocate, fd, hole, 0, PAGE));
    check("the last seal", seal(fd, libc::F_SEAL_SEAL));
    check("after it", seal(fd, libc::F_SEAL_GROW));
    check("all", seals(fd));

    let fd = call!(SYS_memfd_create, c"x", libc::MFD_NOEXEC_SEAL).unwrap_or(-1);
    check("executable", call!(SYS_fchmod, fd, 0o755));
    check("not executable", call!(SYS_fchmod, fd, 0o600));
    let fd = fresh();
    check("executable for good", seal(fd, 0x20));
    check("and the rest", seals(fd));
    let reader = call!(SYS_open, c"/dev/null", libc::O_RDONLY, 0).unwrap_or(-1);
    check("through a descriptor that reads", seal(reader, 1));
}

fn range(at: usize, len: usize) -> libc::iovec {
    libc::iovec {
        iov_base: core::ptr::with_exposed_provenance_mut(at),
        iov_len: len,
    }
}

/// `process_vm_readv` and `process_vm_writev`.
pub(crate) fn other_memory() {
    let map = |pages: usize, rights: i32| {
        call!(SYS_mmap, 0, pages * PAGE, rights, ANON, -1, 0).unwrap_or(0) as usize
    };
    let at = map(8, RW);
    for page in 0..8 {
        sys::poke(at + page * PAGE, page as u8 + 1);
    }
    let _ = call!(SYS_munmap, at + 6 * PAGE, PAGE);
    let _ = call!(SYS_mprotect, at + 3 * PAGE, PAGE, libc::PROT_READ);
    let _ = call!(SYS_mprotect, at + 4 * PAGE, PAGE, libc::PROT_NONE);
    let mut ends = [0_i32; 2];
    let _ = call!(SYS_pipe2, &mut ends, 0);
    let child = sys::fork(|| {
        let _ = call!(SYS_close, ends[1]);
        let mut byte = [0_u8];
        let _ = call!(SYS_read, ends[0], &mut byte, 1);
        i32::from(sys::peek(at) + sys::peek(at + 2 * PAGE))
    });
    let ours = map(4, RW);
    let read = |ours: &[libc::iovec], theirs: &[libc::iovec]| {
        call!(
            SYS_process_vm_readv,
            child,
            ours,
            ours.len(),
            theirs,
            theirs.len(),
            0
        )
    };
    let write = |ours: &[libc::iovec], theirs: &[libc::iovec]| {
        call!(
            SYS_process_vm_writev,
            child,
            ours,
            ours.len(),
            theirs,
            theirs.len(),
            0
        )
    };
    check("read", read(&[range(ours, 1)], &[range(at + PAGE, 1)]));
    check("value", sys::peek(ours));
    check(
        "many ranges",
        read(
            &[range(ours, 1), range(ours + PAGE, PAGE + 5)],
            &[
                range(at, 1),
                range(at + PAGE, 0),
                range(at + PAGE, PAGE + 9),
            ],
        ),
    );
    check(
        "values",
        (
            sys::peek(ours),
            sys::peek(ours + PAGE),
            sys::peek(ours + 2 * PAGE),
        ),
    );
    check(
        "ends at a hole",
        read(&[range(ours, 4 * PAGE)], &[range(at + 5 * PAGE, 3 * PAGE)]),
    );
    check(
        "a hole",
        read(&[range(ours, PAGE)], &[range(at + 6 * PAGE, PAGE)]),
    );
    check(
        "no right",
        read(&[range(ours, PAGE)], &[range(at + 4 * PAGE, PAGE)]),
    );
    check("bad ours", read(&[range(BAD, 1)], &[range(at, 1)]));
    check(
        "ours in the kernel",
        read(&[range(KERNEL, 1)], &[range(at, 1)]),
    );
    check(
        "theirs in the kernel",
        read(&[range(ours, 1)], &[range(KERNEL, 1)]),
    );
    check(
        "a negative length",
        read(&[range(ours, usize::MAX)], &[range(at, 1)]),
    );
    check("nothing of ours", read(&[], &[range(at, 1)]));
    check("nothing of theirs", read(&[range(ours, 1)], &[]));
    sys::poke(ours, 40);
    check("write", write(&[range(ours, 1)], &[range(at, 1)]));
    check(
        "write what may not be written",
        write(&[range(ours, 1)], &[range(at + 3 * PAGE, 1)]),
    );
    check(
        "write a hole",
        write(&[range(ours, 1)], &[range(at + 6 * PAGE, 1)]),
    );
    let one = [range(ours, 1)];
    let theirs = [range(at, 1)];
    let number = |pid: i32, count: usize, flags: u64| {
        call!(
            SYS_process_vm_readv,
            pid,
            one.as_slice(),
            count,
            theirs.as_slice(),
            1,
            flags
        )
    };
    check("flags", number(child, 1, 1));
    check("nobody", number(0x3fff_ffff, 1, 0));
    check("number -1", number(-1, 1, 0));
    check("number 0", number(0, 1, 0));
    check("too many ranges", number(child, 1025, 0));
    check(
        "bad vector",
        call!(SYS_process_vm_readv, child, BAD, 1, theirs.as_slice(), 1, 0),
    );
    check(
        "bad vector of theirs",
        call!(SYS_process_vm_readv, child, one.as_slice(), 1, BAD, 1, 0),
    );
    check("itself", {
        let own = call!(SYS_getpid).unwrap_or(0) as i32;
        number(own, 1, 0)
    });
    check("own page unchanged", sys::peek(at));
    let init = call!(
        SYS_process_vm_readv,
        1,
        one.as_slice(),
        1,
        theirs.as_slice(),
        1,
        0
    );
    check("process 1", init);
    let _ = call!(SYS_close, ends[1]);
    let _ = call!(SYS_write, ends[1], b"x", 1);
    check("the child saw it", crate::report::wait(child));
    check("gone", number(child, 1, 0));
}
