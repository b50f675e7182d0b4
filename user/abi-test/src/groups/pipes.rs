//! Pipes and FIFOs.

use crate::call;
use crate::report::{check, check_child, wait};
use crate::sys::{self, BAD};

fn pipe(flags: i32) -> [i32; 2] {
    let mut ends = [-1_i32; 2];
    let _ = call!(SYS_pipe2, &mut ends, flags);
    ends
}

/// The cases.
pub(crate) fn run() {
    let [read, write] = pipe(0);
    let mut bytes = [b'.'; 8];
    check("write", call!(SYS_write, write, b"hello", 5));
    check("read part", call!(SYS_read, read, &mut bytes, 3));
    check("read rest", call!(SYS_read, read, &mut bytes, 8));
    check("bytes", bytes);
    check("write to the reading end", call!(SYS_write, read, b"x", 1));
    check(
        "read of the writing end",
        call!(SYS_read, write, &mut bytes, 1),
    );
    check("write 0", call!(SYS_write, write, b"", 0));
    check("write bad pointer", call!(SYS_write, write, BAD, 5));
    let _ = call!(SYS_write, write, b"abc", 3);
    check("read bad pointer", call!(SYS_read, read, BAD, 5));
    check("nothing was lost", call!(SYS_read, read, &mut bytes, 8));
    let _ = call!(SYS_write, write, b"last", 4);
    let _ = call!(SYS_close, write);
    check("read what is left", call!(SYS_read, read, &mut bytes, 8));
    check("then the end", call!(SYS_read, read, &mut bytes, 8));
    check("again", call!(SYS_read, read, &mut bytes, 8));
    let [read, write] = pipe(0);
    let _ = call!(SYS_close, read);
    check_child("write without readers", || {
        let _ = call!(SYS_write, write, b"x", 1);
        0
    });
    sys::set_disposition(libc::SIGPIPE, libc::SIG_IGN);
    check("with SIGPIPE ignored", call!(SYS_write, write, b"x", 1));
    check("of 0 bytes", call!(SYS_write, write, b"", 0));
    check("pipe", call!(SYS_pipe, &mut [0_i32; 2]));
    check("pipe bad", call!(SYS_pipe, BAD));
    check(
        "pipe2 bad flags",
        call!(SYS_pipe2, &mut [0_i32; 2], libc::O_APPEND),
    );
    let [read, write] = pipe(libc::O_NONBLOCK | libc::O_CLOEXEC);
    check("CLOEXEC", call!(SYS_fcntl, read, libc::F_GETFD, 0));
    check("read of an empty one", call!(SYS_read, read, &mut bytes, 1));
    let block = vec![b'b'; 4096];
    let mut total = 0;
    while let Ok(count) = call!(SYS_write, write, block.as_slice(), block.len()) {
        total += count;
    }
    check("holds", total);
    check("one byte more", call!(SYS_write, write, b"x", 1));
    let mut page = vec![0_u8; 4096];
    let _ = call!(SYS_read, read, page.as_mut_slice(), 4096);
    check(
        "4,097 bytes into 4,096",
        call!(SYS_write, write, &[0_u8; 4097], 4097),
    );
    let _ = call!(SYS_read, read, page.as_mut_slice(), 4096);
    check("4,096 bytes are all or nothing", {
        let _ = call!(SYS_write, write, &[0_u8; 100], 100);
        call!(SYS_write, write, &[0_u8; 4096], 4096)
    });
    blocking();
    fifo();
}

/// Waiting readers and writers.
fn blocking() {
    let [read, write] = pipe(0);
    let child = sys::fork(|| {
        let mut bytes = [0_u8; 4];
        let count = call!(SYS_read, read, &mut bytes, 4).unwrap_or(-1);
        count as i32 * 10
    });
    std::thread::sleep(core::time::Duration::from_millis(30));
    let _ = call!(SYS_write, write, b"ok", 2);
    check("a reader waits for the writer", wait(child));
    // A writer of more than fits waits for the reader.
    let child = sys::fork(|| {
        let _ = call!(SYS_close, read);
        let big = vec![b'w'; 300_000];
        i32::from(call!(SYS_write, write, big.as_slice(), big.len()) == Ok(300_000))
    });
    let _ = call!(SYS_close, write);
    let mut sum = 0;
    let mut buffer = vec![0_u8; 10_000];
    while let Ok(count @ 1..) = call!(SYS_read, read, buffer.as_mut_slice(), 10_000) {
        sum += count;
    }
    check("all came", sum);
    check("writer", wait(child));
    // Many writers: blocks up to 4,096 bytes do not mix.
    let [read, write] = pipe(0);
    let children: Vec<i32> = (0..4_u8)
        .map(|n| {
            sys::fork(|| {
                for _ in 0..50 {
                    let _ = call!(SYS_write, write, &[n; 1000], 1000);
                }
                0
            })
        })
        .collect();
    let _ = call!(SYS_close, write);
    let mut all = Vec::new();
    while let Ok(count @ 1..) = call!(SYS_read, read, buffer.as_mut_slice(), 10_000) {
        all.extend_from_slice(&buffer[..count as usize]);
    }
    for child in children {
        check("writer", wait(child));
    }
    check(
        "blocks are whole",
        all.chunks(1000)
            .all(|block| block.iter().all(|byte| *byte == block[0])),
    );
    check("bytes", all.len());
}

fn fifo() {
    check("mknod", call!(SYS_mknod, c"fifo", libc::S_IFIFO | 0o644, 0));
    let nonblock = libc::O_NONBLOCK;
    check(
        "open for writing without readers",
        call!(SYS_open, c"fifo", libc::O_WRONLY | nonblock, 0),
    );
    let read = call!(SYS_open, c"fifo", libc::O_RDONLY | nonblock, 0).unwrap_or(-1);
    check("open for reading", read >= 0);
    check(
        "read without writers",
        call!(SYS_read, read, &mut [0_u8; 4], 4),
    );
    let write = call!(SYS_open, c"fifo", libc::O_WRONLY, 0).unwrap_or(-1);
    check(
        "read with a writer",
        call!(SYS_read, read, &mut [0_u8; 4], 4),
    );
    check("write", call!(SYS_write, write, b"fifo", 4));
    check("read", call!(SYS_read, read, &mut [0_u8; 4], 4));
    let _ = call!(SYS_close, write);
    let _ = call!(SYS_close, read);
    let child = sys::fork(|| {
        let fd = call!(SYS_open, c"fifo", libc::O_WRONLY, 0).unwrap_or(-1);
        let _ = call!(SYS_write, fd, b"met", 3);
        0
    });
    let fd = call!(SYS_open, c"fifo", libc::O_RDONLY, 0).unwrap_or(-1);
    let mut bytes = [b'.'; 4];
    check("two meet", call!(SYS_read, fd, &mut bytes, 4));
    check("bytes", bytes);
    check("child", wait(child));
    check("end", call!(SYS_read, fd, &mut bytes, 4));
    let both = call!(SYS_open, c"fifo", libc::O_RDWR, 0);
    check("both ways", both.is_ok());
}
