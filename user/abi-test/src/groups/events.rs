//! Descriptors that are events: `eventfd` and `timerfd`.

use crate::call;
use crate::report::{check, check_child, wait};
use crate::sys::{self, BAD, Ret};

fn read(fd: i64) -> Result<u64, crate::errno::Errno> {
    let mut value = 0_u64;
    call!(SYS_read, fd, &mut value, 8).map(|_| value)
}

fn ready(fd: i64) -> Ret {
    let events = libc::POLLIN | libc::POLLOUT;
    let mut word = (fd as u64) | (events as u64) << 32;
    call!(SYS_poll, &mut word, 1, 0).map(|_| (word >> 48) as i64)
}

/// `eventfd`.
pub(crate) fn eventfd() {
    let fd = call!(SYS_eventfd2, 5, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC).unwrap_or(-1);
    let write = |value: u64| call!(SYS_write, fd, &value, 8);
    check("CLOEXEC", call!(SYS_fcntl, fd, libc::F_GETFD, 0));
    check("ready", ready(fd));
    check("read the start", read(fd));
    check("read empty", read(fd));
    check("ready", ready(fd));
    check("write 3", write(3));
    check("write 4", write(4));
    check("read the sum", read(fd));
    check("write the most", write(u64::MAX - 1));
    check("ready", ready(fd));
    check("write one more", write(1));
    check("write too much", write(u64::MAX));
    check("read the most", read(fd));
    check("read 4 bytes", call!(SYS_read, fd, &mut [0_u8; 4], 4));
    check("lseek", call!(SYS_lseek, fd, 7, libc::SEEK_SET));
    check("lseek from nowhere", call!(SYS_lseek, fd, 0, 9));
    check("pread", call!(SYS_pread64, fd, &mut [0_u8; 8], 8, 0));
    check("write 4 bytes", call!(SYS_write, fd, &[0_u8; 4], 4));
    check("write 0 is nothing", write(0));
    check("read", read(fd));
    let count = call!(SYS_eventfd2, 3, libc::EFD_SEMAPHORE | libc::EFD_NONBLOCK).unwrap_or(-1);
    check(
        "semaphore",
        (read(count), read(count), read(count), read(count)),
    );
    check("eventfd", call!(SYS_eventfd, 1).is_ok());
    check("bad flags", call!(SYS_eventfd2, 0, 0x100));
    check_child("a reader waits", || {
        let fd = call!(SYS_eventfd2, 0, 0).unwrap_or(-1);
        let child = sys::fork(|| read(fd).map_or(99, |value| value as i32));
        std::thread::sleep(core::time::Duration::from_millis(20));
        let _ = call!(SYS_write, fd, &42_u64, 8);
        check("read", wait(child));
        0
    });
}

fn spec(first_ms: i64, every_ms: i64) -> libc::itimerspec {
    let time = |ms: i64| libc::timespec {
        tv_sec: ms / 1000,
        tv_nsec: ms % 1000 * 1_000_000,
    };
    libc::itimerspec {
        it_interval: time(every_ms),
        it_value: time(first_ms),
    }
}

/// `timerfd`.
pub(crate) fn timerfd() {
    let create = |clock: i32, flags: i32| call!(SYS_timerfd_create, clock, flags);
    let fd = create(
        libc::CLOCK_MONOTONIC,
        libc::TFD_NONBLOCK | libc::TFD_CLOEXEC,
    )
    .unwrap_or(-1);
    let set = |flags: i32, spec: &libc::itimerspec| call!(SYS_timerfd_settime, fd, flags, spec, 0);
    check("CLOEXEC", call!(SYS_fcntl, fd, libc::F_GETFD, 0));
    check("read while off", read(fd));
    check("set", set(0, &spec(20, 0)));
    check("read too early", read(fd));
    std::thread::sleep(core::time::Duration::from_millis(40));
    check("ready", ready(fd));
    check("read", read(fd));
    check("read again", read(fd));
    let mut now = spec(9, 9);
    check("gettime", call!(SYS_timerfd_gettime, fd, &mut now));
    check("off", now.it_value.tv_sec == 0 && now.it_value.tv_nsec == 0);
    check("every 10 ms", set(0, &spec(10, 10)));
    std::thread::sleep(core::time::Duration::from_millis(65));
    check("several", read(fd).map(|count| count >= 5));
    check("gettime", call!(SYS_timerfd_gettime, fd, &mut now));
    check("interval", now.it_interval.tv_nsec);
    check(
        "left",
        now.it_value.tv_nsec > 0 && now.it_value.tv_nsec <= 10_000_000,
    );
    let mut old = spec(0, 0);
    check(
        "settime gives the old",
        call!(SYS_timerfd_settime, fd, 0, &spec(100_000, 0), &mut old),
    );
    check("old interval", old.it_interval.tv_nsec);
    let mut past = spec(0, 0);
    past.it_value.tv_nsec = 1;
    check("absolute, past", set(libc::TFD_TIMER_ABSTIME, &past));
    let mut word = (fd as u64) | u64::from(libc::POLLIN.cast_unsigned()) << 32;
    check("poll", call!(SYS_poll, &mut word, 1, 5000));
    check("read", read(fd));
    check("off", set(0, &spec(0, 0)));
    check("read", read(fd));
    let mut bad = spec(0, 0);
    bad.it_value.tv_nsec = 1_000_000_000;
    check("bad nanoseconds", set(0, &bad));
    check("bad flags", set(0x100, &spec(1, 0)));
    check("bad pointer", call!(SYS_timerfd_settime, fd, 0, BAD, 0));
    check("gettime bad pointer", call!(SYS_timerfd_gettime, fd, BAD));
    check("bad clock", create(99, 0));
    check("processor clock", create(libc::CLOCK_PROCESS_CPUTIME_ID, 0));
    check("bad create flags", create(libc::CLOCK_REALTIME, 0x100));
    check("realtime", create(libc::CLOCK_REALTIME, 0).is_ok());
    check("boottime", create(libc::CLOCK_BOOTTIME, 0).is_ok());
    let file = call!(SYS_open, c"/dev/null", 0, 0).unwrap_or(-1);
    check(
        "settime of a file",
        call!(SYS_timerfd_settime, file, 0, &spec(1, 0), 0),
    );
    check(
        "settime closed",
        call!(SYS_timerfd_settime, 999, 0, &spec(1, 0), 0),
    );
    check("read 4 bytes", call!(SYS_read, fd, &mut [0_u8; 4], 4));
    check("write", call!(SYS_write, fd, &1_u64, 8));
    check_child("a reader waits", || {
        let fd = create(libc::CLOCK_MONOTONIC, 0).unwrap_or(-1);
        let _ = call!(SYS_timerfd_settime, fd, 0, &spec(30, 0), 0);
        check("read", read(fd));
        0
    });
}
