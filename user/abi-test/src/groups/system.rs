//! What the system says of itself: `uname`, `sysinfo`, `getrandom`, `prctl`.

use crate::call;
use crate::report::{check, check_child, check_ok};
use crate::sys::{self, BAD};

/// `uname`, `sysinfo`, `getrandom`, `getcpu`, affinity, `umask`.
pub(crate) fn run() {
    let mut names: libc::utsname = sys::zeroed();
    check("uname", call!(SYS_uname, &mut names));
    let text = |field: &[libc::c_char; 65]| -> String {
        field
            .iter()
            .take_while(|byte| **byte != 0)
            .map(|byte| char::from(byte.to_ne_bytes()[0]))
            .collect()
    };
    check("sysname", text(&names.sysname));
    check("machine", text(&names.machine));
    check("nodename is there", !text(&names.nodename).is_empty());
    let release = text(&names.release);
    let major = release
        .split('.')
        .next()
        .and_then(|word| word.parse::<u32>().ok());
    check(
        "release is at least 4",
        major.is_some_and(|major| major >= 4),
    );
    check("uname bad pointer", call!(SYS_uname, BAD));
    let mut info: libc::sysinfo = sys::zeroed();
    check("sysinfo", call!(SYS_sysinfo, &mut info));
    check(
        "memory",
        info.totalram > 0 && info.freeram > 0 && info.freeram <= info.totalram,
    );
    check("unit", info.mem_unit);
    check("processes", info.procs > 0);
    check("uptime", !info.uptime.to_string().starts_with('-'));
    check("sysinfo bad pointer", call!(SYS_sysinfo, BAD));
    let (mut one, mut two) = ([0_u8; 64], [0_u8; 64]);
    check("getrandom", call!(SYS_getrandom, &mut one, 64, 0));
    check(
        "getrandom nonblock",
        call!(SYS_getrandom, &mut two, 64, libc::GRND_NONBLOCK),
    );
    check("differ", one != two);
    check("getrandom 0", call!(SYS_getrandom, &mut one, 0, 0));
    check(
        "getrandom bad flags",
        call!(SYS_getrandom, &mut one, 64, 0x100),
    );
    check("getrandom bad pointer", call!(SYS_getrandom, BAD, 64, 0));
    let mut big = vec![0_u8; 100_000];
    check(
        "getrandom 100,000",
        call!(SYS_getrandom, big.as_mut_slice(), big.len(), 0),
    );
    check(
        "the end is filled",
        big[99_900..].iter().any(|byte| *byte != 0),
    );
    check("umask", call!(SYS_umask, 0o1777));
    check("umask keeps nine bits", call!(SYS_umask, 0o22));
    let mut set = [0_u64; 16];
    let length = call!(SYS_sched_getaffinity, 0, 128, &mut set);
    check(
        "sched_getaffinity",
        length.is_ok_and(|length| length > 0 && length % 8 == 0),
    );
    check("has a processor", set.iter().any(|word| *word != 0));
    check(
        "sched_getaffinity small",
        call!(SYS_sched_getaffinity, 0, 1, &mut set),
    );
    check(
        "sched_getaffinity no process",
        call!(SYS_sched_getaffinity, 99_999_999, 128, &mut set),
    );
    let mut cpu = 99_999_u32;
    check_ok("getcpu", call!(SYS_getcpu, &mut cpu, 0, 0));
    check("a processor", cpu < 99_999);
    check("no such call", sys::raw(1000, &[]));
    check("no such call, negative", sys::raw(-5, &[]));
    check("no such call, huge", sys::raw(i64::MAX, &[]));
}

/// `prctl`.
pub(crate) fn prctl() {
    let mut name = [b'.'; 16];
    check(
        "PR_SET_NAME",
        call!(
            SYS_prctl,
            libc::PR_SET_NAME,
            c"a name that is too long",
            0,
            0,
            0
        ),
    );
    check(
        "PR_GET_NAME",
        call!(SYS_prctl, libc::PR_GET_NAME, &mut name, 0, 0, 0),
    );
    check("name", name);
    check(
        "comm",
        std::fs::read_to_string("/proc/self/comm")
            .unwrap_or_default()
            .trim_end()
            .to_owned(),
    );
    check(
        "PR_SET_NAME bad",
        call!(SYS_prctl, libc::PR_SET_NAME, BAD, 0, 0, 0),
    );
    check(
        "PR_GET_NAME bad",
        call!(SYS_prctl, libc::PR_GET_NAME, BAD, 0, 0, 0),
    );
    check_child("a child has the name", || {
        let mut name = [0_u8; 16];
        let _ = call!(SYS_prctl, libc::PR_GET_NAME, &mut name, 0, 0, 0);
        check("name", name);
        0
    });
    check(
        "PR_GET_DUMPABLE",
        call!(SYS_prctl, libc::PR_GET_DUMPABLE, 0, 0, 0, 0),
    );
    check(
        "PR_SET_DUMPABLE",
        call!(SYS_prctl, libc::PR_SET_DUMPABLE, 0, 0, 0, 0),
    );
    check(
        "PR_GET_DUMPABLE",
        call!(SYS_prctl, libc::PR_GET_DUMPABLE, 0, 0, 0, 0),
    );
    check(
        "PR_SET_DUMPABLE bad",
        call!(SYS_prctl, libc::PR_SET_DUMPABLE, 5, 0, 0, 0),
    );
    let _ = call!(SYS_prctl, libc::PR_SET_DUMPABLE, 1, 0, 0, 0);
    let mut signal = 9_i32;
    check(
        "PR_GET_PDEATHSIG",
        call!(SYS_prctl, libc::PR_GET_PDEATHSIG, &mut signal, 0, 0, 0),
    );
    check("none", signal);
    check(
        "PR_SET_PDEATHSIG",
        call!(SYS_prctl, libc::PR_SET_PDEATHSIG, libc::SIGUSR1, 0, 0, 0),
    );
    let _ = call!(SYS_prctl, libc::PR_GET_PDEATHSIG, &mut signal, 0, 0, 0);
    check("set", signal == libc::SIGUSR1);
    check(
        "PR_SET_PDEATHSIG bad",
        call!(SYS_prctl, libc::PR_SET_PDEATHSIG, 99, 0, 0, 0),
    );
    let _ = call!(SYS_prctl, libc::PR_SET_PDEATHSIG, 0, 0, 0, 0);
    check("unknown", call!(SYS_prctl, 123_456, 0, 0, 0, 0));
    check_child("PR_SET_NO_NEW_PRIVS", || {
        check(
            "before",
            call!(SYS_prctl, libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0),
        );
        check(
            "set",
            call!(SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        );
        check(
            "clear",
            call!(SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0),
        );
        check(
            "after",
            call!(SYS_prctl, libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0),
        );
        0
    });
    check_child("PR_SET_PDEATHSIG works", || {
        let mut ends = [0_i32; 2];
        let _ = call!(SYS_pipe2, &mut ends, 0);
        let middle = sys::fork(|| {
            let middle = call!(SYS_getpid);
            let mut ready = [0_i32; 2];
            let _ = call!(SYS_pipe2, &mut ready, 0);
            sys::fork(|| {
                let _ = call!(SYS_prctl, libc::PR_SET_PDEATHSIG, libc::SIGTERM, 0, 0, 0);
                if call!(SYS_getppid) == middle {
                    let _ = call!(SYS_write, ready[1], b"r", 1);
                }
                let _ = call!(SYS_pause);
                0
            });
            let _ = call!(SYS_read, ready[0], &mut [0_u8], 1);
            0
        });
        let _ = crate::report::wait(middle);
        let _ = call!(SYS_close, ends[1]);
        // End of file comes when the grandchild, the last writer, is gone.
        check("grandchild ended", call!(SYS_read, ends[0], &mut [0_u8], 1));
        0
    });
}
