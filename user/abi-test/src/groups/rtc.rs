//! `/dev/rtc0`: the battery-backed clock. It is set here, so this runs in
//! machines made for it only.

use super::storms::{state_of, storm_of, take};
use crate::call;
use crate::report::{check, check_child, wait};
use crate::sys::{self, BAD};

const RTC_AIE_ON: usize = 0x7001;
const RTC_AIE_OFF: usize = 0x7002;
const RTC_UIE_ON: usize = 0x7003;
const RTC_UIE_OFF: usize = 0x7004;
const RTC_ALM_SET: usize = 0x4024_7007;
const RTC_ALM_READ: usize = 0x8024_7008;
const RTC_RD_TIME: usize = 0x8024_7009;
const RTC_SET_TIME: usize = 0x4024_700a;
const RTC_WKALM_SET: usize = 0x4028_700f;
const RTC_WKALM_RD: usize = 0x8028_7010;

/// Longer than any wait here.
const PATIENCE_MS: i32 = 20_000;

/// `struct rtc_time`: seconds, minutes, hours, day, month, year, ...
type Time = [i32; 9];

/// `struct rtc_wkalrm`: two bytes, then the time.
type Alarm = [i32; 10];

/// The cases.
pub(crate) fn run() {
    let open = || call!(SYS_open, c"/dev/rtc0", libc::O_RDONLY, 0);
    let fd = open().unwrap_or(-1);
    check("open", fd >= 0);
    check("open twice", open().map(|_| 0));
    let now = |time: &mut Time| call!(SYS_ioctl, fd, RTC_RD_TIME, time);
    let mut time = [0; 9];
    check("read the clock", now(&mut time));
    check("it is the wall clock's", is_wall(&time));
    check("bad address", call!(SYS_ioctl, fd, RTC_RD_TIME, BAD));
    check("unknown request", call!(SYS_ioctl, fd, 0x7077, 0));
    check("lseek", call!(SYS_lseek, fd, 0, 0));
    for len in [0_usize, 3, 5, 7] {
        check("read too little", call!(SYS_read, fd, &mut [0_u8; 8], len));
    }
    check("nothing to read", ready(fd, 0));
    setting(fd);
    alarms(fd);
    seconds(fd);
    storms(fd);
    check("close", call!(SYS_close, fd));
    let again = open();
    check("open again", again.is_ok());
    let _ = again.map(|fd| call!(SYS_close, fd));
}

/// Whether a time is the wall clock's, within a few seconds of the same hour.
fn is_wall(time: &Time) -> bool {
    let mut wall: libc::timespec = sys::zeroed();
    let _ = call!(SYS_clock_gettime, libc::CLOCK_REALTIME, &mut wall);
    (of_day(time) - wall.tv_sec % 86_400).abs() <= 2
}

fn of_day(time: &Time) -> i64 {
    let [seconds, minutes, hours, ..] = time.map(i64::from);
    (hours * 60 + minutes) * 60 + seconds
}

fn ready(fd: i64, wait_ms: i32) -> String {
    let mut poll = libc::pollfd {
        fd: fd as i32,
        events: libc::POLLIN | libc::POLLOUT,
        revents: 0,
    };
    let answer = call!(SYS_poll, &mut poll, 1, wait_ms);
    format!("{answer:?} {:#x}", poll.revents)
}

/// What a read of `len` bytes answers: how much, how many interrupts, which.
fn told(fd: i64, len: usize) -> String {
    let mut word = [0_u64];
    let answer = call!(SYS_read, fd, &mut word, len);
    format!("{answer:?} {} {:#x}", (word[0] >> 8).min(1), word[0] & 0xff)
}

/// `time`, so many seconds later. (Not over midnight: then it is a minute
/// before.)
fn later(time: &Time, seconds: i32) -> Time {
    let sum = of_day(time) as i32 + seconds;
    let mut time = *time;
    time[..3].copy_from_slice(&[sum % 60, sum / 60 % 60, sum / 3600]);
    time
}

fn setting(fd: i64) {
    let mut time = [0; 9];
    // Noon of a day in winter.
    let noon: Time = [0, 0, 12, 31, 11, 125, 0, 0, 0];
    check("set", call!(SYS_ioctl, fd, RTC_SET_TIME, &noon));
    check("read", call!(SYS_ioctl, fd, RTC_RD_TIME, &mut time));
    check("it is noon", of_day(&time) - of_day(&noon) <= 2);
    check("the rest", format!("{:?}", &time[3..]));
    for (name, place, value) in [
        ("seconds", 0, 60),
        ("minutes", 1, -1),
        ("hours", 2, 24),
        ("day", 3, 32),
        ("no day", 3, 0),
        ("month", 4, 12),
        ("year", 5, 69),
    ] {
        let mut wrong = noon;
        wrong[place] = value;
        check(name, call!(SYS_ioctl, fd, RTC_SET_TIME, &wrong));
    }
    check("bad address", call!(SYS_ioctl, fd, RTC_SET_TIME, BAD));
    check_child("an ordinary user", || {
        let _ = call!(SYS_setresuid, 1000, 1000, 1000);
        check("  reads", call!(SYS_ioctl, fd, RTC_RD_TIME, &mut [0; 9]));
        check("  sets", call!(SYS_ioctl, fd, RTC_SET_TIME, BAD));
        0
    });
}

fn alarms(fd: i64) {
    let mut now = [0; 9];
    let mut read = [0; 9];
    let _ = call!(SYS_ioctl, fd, RTC_RD_TIME, &mut now);
    let soon = later(&now, 3600);
    check("set an alarm", call!(SYS_ioctl, fd, RTC_ALM_SET, &soon));
    check("read it", call!(SYS_ioctl, fd, RTC_ALM_READ, &mut read));
    check("it is today", read[..6] == soon[..6]);
    let past = later(&now, -3600);
    check("of an hour ago", call!(SYS_ioctl, fd, RTC_ALM_SET, &past));
    check("read it", call!(SYS_ioctl, fd, RTC_ALM_READ, &mut read));
    check(
        "it is tomorrow",
        read[..3] == past[..3] && read[3] != past[3],
    );
    check("nothing to read", ready(fd, 0));

    let _ = call!(SYS_ioctl, fd, RTC_RD_TIME, &mut now);
    let soon = later(&now, 2);
    check("in two seconds", call!(SYS_ioctl, fd, RTC_ALM_SET, &soon));
    check("on", call!(SYS_ioctl, fd, RTC_AIE_ON, 0));
    check("wait", ready(fd, PATIENCE_MS));
    let _ = call!(SYS_ioctl, fd, RTC_RD_TIME, &mut now);
    check("not early", of_day(&now) >= of_day(&soon));
    check("four bytes", told(fd, 4));
    check("no more", ready(fd, 0));

    let _ = call!(SYS_ioctl, fd, RTC_RD_TIME, &mut now);
    let mut alarm: Alarm = [1; 10];
    alarm[1..].copy_from_slice(&later(&now, 2));
    check("with its date", call!(SYS_ioctl, fd, RTC_WKALM_SET, &alarm));
    let mut read: Alarm = [0; 10];
    check("read it", call!(SYS_ioctl, fd, RTC_WKALM_RD, &mut read));
    check("it is on", (read[0] & 0xff, read[1..7] == alarm[1..7]));
    check("eight bytes, waited for", told(fd, 8));
    check("read it", call!(SYS_ioctl, fd, RTC_WKALM_RD, &mut read));
    check("it is off", read[0] & 0xff);
    alarm[4] = 0;
    check("no date", call!(SYS_ioctl, fd, RTC_WKALM_SET, &alarm));
    check("bad address", call!(SYS_ioctl, fd, RTC_WKALM_SET, BAD));
    check("off", call!(SYS_ioctl, fd, RTC_AIE_OFF, 0));
}

fn seconds(fd: i64) {
    check("each second", call!(SYS_ioctl, fd, RTC_UIE_ON, 0));
    for _ in 0..2 {
        check("one", told(fd, 8));
    }
    check("no more", call!(SYS_ioctl, fd, RTC_UIE_OFF, 0));
    let flags = libc::O_NONBLOCK;
    let _ = call!(SYS_fcntl, fd, libc::F_SETFL, flags);
    let _ = told(fd, 8);
    check("nothing", told(fd, 8));
    let _ = call!(SYS_fcntl, fd, libc::F_SETFL, 0);
}

/// Signals, and a kill, while there is nothing to read yet. (The group `storms`
/// has the other calls that wait.)
fn storms(fd: i64) {
    let read = move || call!(SYS_read, fd, &mut [0_u8; 8][..], 8);
    for (kind, flags) in [("EINTR", 0), ("SA_RESTART", libc::SA_RESTART)] {
        sys::on_signal(libc::SIGUSR1, flags, take);
        let answer = storm_of(
            read,
            true,
            || true,
            |_| {
                let _ = call!(SYS_ioctl, fd, RTC_UIE_ON, 0);
            },
        );
        check(&format!("read, {kind}"), answer);
        let _ = call!(SYS_ioctl, fd, RTC_UIE_OFF, 0);
        let _ = call!(SYS_fcntl, fd, libc::F_SETFL, libc::O_NONBLOCK);
        let _ = told(fd, 8);
        let _ = call!(SYS_fcntl, fd, libc::F_SETFL, 0);
    }
    let pid = sys::fork(move || i32::from(read().is_ok()));
    while state_of(pid) != Some('S') {
        std::thread::yield_now();
    }
    let _ = call!(SYS_kill, pid, libc::SIGKILL);
    check("read, killed", wait(pid));
    check("nothing to read", ready(fd, 0));
}
