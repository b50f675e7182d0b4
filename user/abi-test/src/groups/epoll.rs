//! `epoll`.

use crate::call;
use crate::report::{check, check_child, wait};
use crate::sys::{self, BAD, Ret};

use libc::{EPOLL_CTL_ADD as ADD, EPOLL_CTL_DEL as DEL, EPOLL_CTL_MOD as MOD};

fn control(epoll: i64, operation: i32, fd: i64, events: i32, data: u64) -> Ret {
    let event = libc::epoll_event {
        events: events as u32,
        u64: data,
    };
    call!(SYS_epoll_ctl, epoll, operation, fd, &event)
}

/// Waits and answers `count` and each event's bits and data, sorted.
fn wait_for(epoll: i64, room: usize, timeout: i32) -> Result<String, crate::errno::Errno> {
    let mut told = [libc::epoll_event { events: 0, u64: 0 }; 8];
    let count = call!(SYS_epoll_wait, epoll, &mut told, room, timeout)?;
    let mut events: Vec<String> = told
        .iter()
        .take(count as usize)
        .map(|event| {
            // (Packed on some machines.)
            let (bits, data) = (event.events, event.u64);
            format!("{bits:#x}:{data}")
        })
        .collect();
    events.sort();
    Ok(format!("{count} {}", events.join(" ")))
}

/// The cases.
pub(crate) fn run() {
    let epoll = call!(SYS_epoll_create1, libc::EPOLL_CLOEXEC).unwrap_or(-1);
    check("CLOEXEC", call!(SYS_fcntl, epoll, libc::F_GETFD, 0));
    check("bad flags", call!(SYS_epoll_create1, 1));
    check("epoll_create", call!(SYS_epoll_create, 5).is_ok());
    check("epoll_create 0", call!(SYS_epoll_create, 0));
    let mut ends = [0_i32; 2];
    let _ = call!(SYS_pipe2, &mut ends, libc::O_NONBLOCK);
    let (read, write) = (i64::from(ends[0]), i64::from(ends[1]));
    let (input, output) = (libc::EPOLLIN, libc::EPOLLOUT);
    check("add", control(epoll, ADD, read, input, 7));
    check("add again", control(epoll, ADD, read, input, 7));
    check("nothing ready", wait_for(epoll, 8, 0));
    check("nothing comes", wait_for(epoll, 8, 20));
    let _ = call!(SYS_write, write, b"ab", 2);
    check("ready", wait_for(epoll, 8, -1));
    check("level: ready again", wait_for(epoll, 8, 0));
    check(
        "to edge",
        control(epoll, MOD, read, input | libc::EPOLLET, 8),
    );
    check("edge", wait_for(epoll, 8, 0));
    check("edge: once", wait_for(epoll, 8, 0));
    let _ = call!(SYS_write, write, b"c", 1);
    check("edge: new bytes", wait_for(epoll, 8, 0));
    check(
        "to one shot",
        control(epoll, MOD, read, input | libc::EPOLLONESHOT, 9),
    );
    check("one shot", wait_for(epoll, 8, 0));
    check("one shot: off", wait_for(epoll, 8, 0));
    check(
        "armed again",
        control(epoll, MOD, read, input | libc::EPOLLONESHOT, 10),
    );
    check("one shot", wait_for(epoll, 8, 0));
    check("add writer", control(epoll, ADD, write, output, 11));
    check("to level", control(epoll, MOD, read, input, 12));
    check("both", wait_for(epoll, 8, 0));
    check(
        "room for one",
        wait_for(epoll, 1, 0).map(|text| text.starts_with("1 ")),
    );
    check("delete", control(epoll, DEL, write, 0, 0));
    check("delete again", control(epoll, DEL, write, 0, 0));
    check("modify one not there", control(epoll, MOD, write, input, 0));
    check("bad operation", control(epoll, 77, read, input, 0));
    check("closed", control(epoll, ADD, 999, input, 0));
    check("not an epoll", control(read, ADD, write, input, 0));
    check("itself", control(epoll, ADD, epoll, input, 0));
    let file = call!(SYS_open, c"f", libc::O_RDWR | libc::O_CREAT, 0o644).unwrap_or(-1);
    check("a file", control(epoll, ADD, file, input, 0));
    check("bad event", call!(SYS_epoll_ctl, epoll, ADD, write, BAD));
    check("room 0", wait_for(epoll, 0, 0));
    check(
        "negative room",
        call!(SYS_epoll_wait, epoll, &mut [0_u8; 12], -1, 0),
    );
    check("bad events", call!(SYS_epoll_wait, epoll, BAD, 1, 0));
    check(
        "wait of a pipe",
        call!(SYS_epoll_wait, read, &mut [0_u8; 12], 1, 0),
    );
    check(
        "wait closed",
        call!(SYS_epoll_wait, 999, &mut [0_u8; 12], 1, 0),
    );
    check(
        "read of an epoll",
        call!(SYS_read, epoll, &mut [0_u8; 12], 12),
    );
    let copy = call!(SYS_dup, read).unwrap_or(-1);
    let _ = call!(SYS_close, read);
    check("stays while a copy is open", wait_for(epoll, 8, 0));
    let _ = call!(SYS_close, copy);
    check("goes with the last", wait_for(epoll, 8, 0));
    let _ = call!(SYS_close, write);
    more(epoll);
}

fn more(epoll: i64) {
    let mut ends = [0_i32; 2];
    let _ = call!(SYS_pipe2, &mut ends, 0);
    let (read, write) = (i64::from(ends[0]), i64::from(ends[1]));
    let input = libc::EPOLLIN;
    let _ = control(epoll, ADD, read, input, 1);
    let outer = call!(SYS_epoll_create1, 0).unwrap_or(-1);
    check("an epoll in an epoll", control(outer, ADD, epoll, input, 2));
    check("outer: nothing", wait_for(outer, 8, 0));
    let _ = call!(SYS_write, write, b"x", 1);
    check("outer: ready", wait_for(outer, 8, 0));
    check("a ring", control(epoll, ADD, outer, input, 3));
    let mut word = (epoll as u64) | u64::from(libc::POLLIN as u16) << 32;
    check("poll of an epoll", call!(SYS_poll, &mut word, 1, 0));
    let _ = call!(SYS_close, write);
    check("hang-up", wait_for(epoll, 8, 0));
    let _ = call!(SYS_read, read, &mut [0_u8; 4], 4);
    check("hang-up after reading", wait_for(epoll, 8, 0));
    check_child("wakes for a writer", || {
        let epoll = call!(SYS_epoll_create1, 0).unwrap_or(-1);
        let _ = call!(SYS_pipe2, &mut ends, 0);
        let _ = control(epoll, ADD, ends[0].into(), input, 5);
        let child = sys::fork(|| {
            std::thread::sleep(core::time::Duration::from_millis(30));
            let _ = call!(SYS_write, ends[1], b"x", 1);
            0
        });
        check("epoll_wait", wait_for(epoll, 8, 5000));
        let _ = wait(child);
        0
    });
    check(
        "epoll_pwait",
        call!(SYS_epoll_pwait, epoll, &mut [0_u8; 96], 8, 0, &0_u64, 8),
    );
    check(
        "epoll_pwait mask size",
        call!(SYS_epoll_pwait, epoll, &mut [0_u8; 96], 8, 0, &0_u64, 4),
    );
}
