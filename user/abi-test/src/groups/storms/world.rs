//! What the calls of a storm wait for.

use crate::call;
use crate::sys;

/// A mask with `SIGUSR2` alone.
pub(super) const USR2: u64 = 1 << (libc::SIGUSR2 - 1);

/// A lock on one byte.
pub(super) fn range(start: i64) -> libc::flock {
    let mut range: libc::flock = sys::zeroed();
    range.l_type = libc::F_WRLCK as i16;
    (range.l_start, range.l_len) = (start, 1);
    range
}

/// What the waits wait for: made anew for each, shared with children.
#[derive(Clone, Copy)]
pub(super) struct World {
    /// Words that children see too: a futex, a mutex that is ours, a condition.
    pub(super) page: usize,
    /// A pipe that is empty, and one that is full.
    pub(super) empty: [i32; 2],
    pub(super) full: [i32; 2],
    pub(super) event: i32,
    /// A counter that can take no more.
    pub(super) high: i32,
    /// `SIGUSR2`, to be read.
    pub(super) signals: i32,
    pub(super) timer: i32,
    pub(super) epoll: i32,
    /// Two openings of a file; the first is locked.
    pub(super) locked: [i32; 2],
    /// A child that waits for ever, with a lock on the file's 9th byte.
    pub(super) child: i32,
    /// The child's descriptor.
    pub(super) pidfd: i32,
    /// When the process will have used a little more of processors' time.
    pub(super) used: libc::timespec,
}

impl World {
    /// Makes it.
    pub(super) fn new() -> World {
        let mut world = World {
            page: 0,
            empty: [-1; 2],
            full: [-1; 2],
            event: call!(SYS_eventfd2, 0, 0).unwrap_or(-1) as i32,
            high: call!(SYS_eventfd2, 0, 0).unwrap_or(-1) as i32,
            signals: call!(SYS_signalfd4, -1, &USR2, 8, 0).unwrap_or(-1) as i32,
            timer: call!(SYS_timerfd_create, libc::CLOCK_MONOTONIC, 0).unwrap_or(-1) as i32,
            epoll: call!(SYS_epoll_create1, 0).unwrap_or(-1) as i32,
            locked: [0; 2].map(|_: i32| {
                let flags = libc::O_CREAT | libc::O_RDWR;
                call!(SYS_open, c"locked", flags, 0o600).unwrap_or(-1) as i32
            }),
            child: -1,
            pidfd: -1,
            used: sys::zeroed(),
        };
        let _ = call!(
            SYS_clock_gettime,
            libc::CLOCK_PROCESS_CPUTIME_ID,
            &mut world.used
        );
        world.used.tv_nsec += 20_000_000;
        world.used.tv_sec += world.used.tv_nsec / 1_000_000_000;
        world.used.tv_nsec %= 1_000_000_000;
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
        world.page = call!(SYS_mmap, 0, 4096, prot, flags, -1, 0).unwrap_or(0) as usize;
        world.child = sys::fork(|| {
            let _ = call!(SYS_fcntl, world.locked[0], libc::F_SETLK, &range(8));
            sys::poke(world.page + 129, 1);
            call!(SYS_pause).unwrap_or(0) as i32
        });
        world.pidfd = call!(SYS_pidfd_open, world.child, 0).unwrap_or(-1) as i32;
        while sys::peek(world.page + 129) == 0 {
            std::thread::yield_now();
        }
        // One who was killed before may be about to give it up.
        let _ = call!(SYS_fcntl, world.locked[0], libc::F_OFD_SETLKW, &range(4));
        let _ = call!(SYS_write, world.locked[0], &[7_u8; 4096][..], 4096);
        let _ = call!(SYS_write, world.high, &(u64::MAX - 1), 8);
        let _ = call!(SYS_futex, world.page + 4, libc::FUTEX_LOCK_PI, 0, 0);
        let _ = call!(SYS_pipe2, &mut world.empty, 0);
        let _ = call!(SYS_pipe2, &mut world.full, 0);
        let _ = call!(SYS_write, world.full[1], &[1_u8; 65536][..], 65536);
        let event = libc::epoll_event {
            events: libc::EPOLLIN as u32,
            u64: 0,
        };
        let _ = call!(
            SYS_epoll_ctl,
            world.epoll,
            libc::EPOLL_CTL_ADD,
            world.empty[0],
            &event
        );
        let _ = call!(SYS_flock, world.locked[0], libc::LOCK_EX);
        let _ = call!(SYS_mknod, c"fifo", libc::S_IFIFO | 0o600, 0);
        world
    }

    /// Gives everything back.
    pub(super) fn end(self) {
        let _ = call!(SYS_kill, self.child, libc::SIGKILL);
        let _ = call!(SYS_wait4, self.child, 0, 0, 0);
        let _ = call!(SYS_munmap, self.page, 4096);
        let _ = call!(SYS_close_range, 3, 63, 0);
        let _ = call!(SYS_unlink, c"fifo");
    }
}
