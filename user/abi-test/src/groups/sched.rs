//! Policies, priorities, nice levels and affinity.
//!
//! Cases that lower themselves for good run in a child. How many processors
//! there are differs between the machines compared, so masks are never printed.

use crate::call;
use crate::report::{check, check_child, check_ok};
use crate::sys::{BAD, Ret};

const OTHER: i32 = 0;
const FIFO: i32 = 1;
const RR: i32 = 2;
const BATCH: i32 = 3;
const IDLE: i32 = 5;
const RESET_ON_FORK: i32 = 0x4000_0000;
const FLAG_RESET_ON_FORK: u64 = 1;
const FLAG_KEEP_POLICY: u64 = 8;
const FLAG_KEEP_PARAMS: u64 = 16;
/// No process has this number.
const NOBODY: i32 = 99_999_999;

/// A `struct sched_attr`, as words.
fn attr(size: u32, policy: i32, flags: u64, nice: i32, priority: u32) -> [u64; 7] {
    let pair = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    [
        pair(size, policy.cast_unsigned()),
        flags,
        pair(nice.cast_unsigned(), priority),
        0,
        0,
        0,
        0,
    ]
}

fn set(policy: i32, priority: i32) -> Ret {
    call!(SYS_sched_setscheduler, 0, policy, &[priority])
}

fn policy() -> Ret {
    call!(SYS_sched_getscheduler, 0)
}

fn priority() -> (Ret, i32) {
    let mut priority = [-1];
    (call!(SYS_sched_getparam, 0, &mut priority), priority[0])
}

/// Policy, priority and nice level, from sched_getattr(2).
fn now() -> (i32, u32, i32) {
    let mut words = [0_u64; 7];
    check_ok("getattr", call!(SYS_sched_getattr, 0, &mut words, 56, 0));
    // CAST: halves of words.
    (
        (words[0] >> 32) as i32,
        (words[2] >> 32) as u32,
        words[2] as i32,
    )
}

/// Fields of `/proc/self/stat` by their numbers in proc(5).
fn stat(numbers: [usize; 4]) -> String {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let rest = text.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let fields: Vec<&str> = rest.split(' ').collect();
    let wanted = numbers.map(|number| fields.get(number - 3).copied().unwrap_or("?"));
    wanted.join(" ")
}

/// Priority, nice level, real-time priority and policy.
fn standing() -> String {
    stat([18, 19, 40, 41])
}

/// What everybody may do.
pub(crate) fn run() {
    ranges();
    arguments();
    check("policy", policy());
    check("parameter", priority());
    check("as any", now());
    check("standing", standing());
    unprivileged();
    check_child("reset on fork", || {
        check("set", set(OTHER | RESET_ON_FORK, 0));
        check("policy", policy());
        check_child("a child", || {
            check("policy", policy());
            0
        });
        check("it stays", set(OTHER, 0));
        check(
            "through attr",
            call!(SYS_sched_setattr, 0, &attr(48, OTHER, 0, 0, 0), 0),
        );
        0
    });
    attributes();
    affinity();
}

fn ranges() {
    for policy in [OTHER, FIFO, RR, BATCH, IDLE, 6, 4, 9, -1] {
        check(
            &format!("range of {policy}"),
            (
                call!(SYS_sched_get_priority_min, policy),
                call!(SYS_sched_get_priority_max, policy),
            ),
        );
    }
}

fn arguments() {
    check("setscheduler bad policy", set(4, 0));
    check("setscheduler policy 99", set(99, 0));
    check("setscheduler policy -1", set(-1, 0));
    check("setscheduler other with priority", set(OTHER, 1));
    check("setscheduler fifo without priority", set(FIFO, 0));
    check("setscheduler fifo 100", set(FIFO, 100));
    check("setscheduler rr -1", set(RR, -1));
    let nothing = 0_usize;
    check(
        "setscheduler null",
        call!(SYS_sched_setscheduler, 0, OTHER, nothing),
    );
    check(
        "setscheduler bad pointer",
        call!(SYS_sched_setscheduler, 0, OTHER, BAD),
    );
    check(
        "setscheduler pid -1",
        call!(SYS_sched_setscheduler, -1, OTHER, &[0]),
    );
    check(
        "setscheduler nobody",
        call!(SYS_sched_setscheduler, NOBODY, OTHER, &[0]),
    );
    check("getscheduler pid -1", call!(SYS_sched_getscheduler, -1));
    check("getscheduler nobody", call!(SYS_sched_getscheduler, NOBODY));
    check("setparam", call!(SYS_sched_setparam, 0, &[0]));
    check("setparam 1", call!(SYS_sched_setparam, 0, &[1]));
    check("setparam null", call!(SYS_sched_setparam, 0, nothing));
    check("setparam bad pointer", call!(SYS_sched_setparam, 0, BAD));
    check("setparam nobody", call!(SYS_sched_setparam, NOBODY, &[0]));
    check("getparam null", call!(SYS_sched_getparam, 0, nothing));
    check("getparam pid -1", call!(SYS_sched_getparam, -1, &mut [0]));
    check(
        "getparam nobody",
        call!(SYS_sched_getparam, NOBODY, &mut [0]),
    );
    check("getparam bad pointer", call!(SYS_sched_getparam, 0, BAD));
    let mut interval = [-1_i64; 2];
    check(
        "rr_get_interval",
        call!(SYS_sched_rr_get_interval, 0, &mut interval),
    );
    check(
        "rr_get_interval pid -1",
        call!(SYS_sched_rr_get_interval, -1, &mut interval),
    );
    check(
        "rr_get_interval nobody",
        call!(SYS_sched_rr_get_interval, NOBODY, &mut interval),
    );
    check(
        "rr_get_interval bad pointer",
        call!(SYS_sched_rr_get_interval, 0, BAD),
    );
}

/// What one without rights is refused, and what not.
fn unprivileged() {
    check_child("no limits to use", || {
        check("fifo", set(FIFO, 1));
        check("rr", set(RR, 99));
        check("batch", set(BATCH, 0));
        check("standing", standing());
        check("nice -1", call!(SYS_setpriority, 0, 0, -1));
        check("nice 5", call!(SYS_setpriority, 0, 0, 5));
        check("nice 4", call!(SYS_setpriority, 0, 0, 4));
        check("back to other", set(OTHER, 0));
        check("standing", standing());
        check("idle", set(IDLE, 0));
        check("standing", standing());
        check("out of idle", set(OTHER, 0));
        check(
            "others' policy",
            call!(SYS_sched_setscheduler, 1, OTHER, &[0]),
        );
        check(
            "others' affinity",
            call!(SYS_sched_setaffinity, 1, 8, &[u64::MAX]),
        );
        0
    });
    check_child("with limits", || {
        let limit = [2_u64, 2];
        // Raising limits is refused; the cases after it show what that means.
        check(
            "set limit",
            call!(SYS_prlimit64, 0, libc::RLIMIT_RTPRIO, &limit, 0),
        );
        check("fifo 2", set(FIFO, 2));
        0
    });
}

fn attributes() {
    let get = |words: &mut [u64; 7], size: u32| call!(SYS_sched_getattr, 0, words, size, 0);
    let mut words = [u64::MAX; 7];
    check("getattr 48", get(&mut words, 48));
    check("size", words[0] as u32);
    check("beyond it nothing is written", words[6] == u64::MAX);
    check("getattr 56", get(&mut words, 56));
    check("size", words[0] as u32);
    check("getattr 47", get(&mut words, 47));
    check("getattr 4097", get(&mut words, 4097));
    let mut big = [u64::MAX; 512];
    check(
        "getattr 4096",
        call!(SYS_sched_getattr, 0, big.as_mut_slice(), 4096, 0),
    );
    check("size", big[0] as u32);
    check(
        "getattr flags",
        call!(SYS_sched_getattr, 0, &mut words, 48, 1),
    );
    check("getattr null", call!(SYS_sched_getattr, 0, 0, 48, 0));
    check(
        "getattr bad pointer",
        call!(SYS_sched_getattr, 0, BAD, 48, 0),
    );
    check(
        "getattr nobody",
        call!(SYS_sched_getattr, NOBODY, &mut words, 48, 0),
    );
    check(
        "getattr pid -1",
        call!(SYS_sched_getattr, -1, &mut words, 48, 0),
    );

    let set = |words: &[u64; 7]| call!(SYS_sched_setattr, 0, words, 0);
    check("setattr", set(&attr(48, OTHER, 0, 0, 0)));
    check("setattr size 0", set(&attr(0, OTHER, 0, 0, 0)));
    check("setattr 56", set(&attr(56, OTHER, 0, 0, 0)));
    let mut small = attr(47, OTHER, 0, 0, 0);
    check(
        "setattr size 47",
        call!(SYS_sched_setattr, 0, &mut small, 0),
    );
    check("is told the size", small[0] as u32);
    check("setattr size 5000", set(&attr(5000, OTHER, 0, 0, 0)));
    let mut long = [0_u64; 16];
    long[0] = 128;
    check(
        "setattr 128, zero beyond",
        call!(SYS_sched_setattr, 0, long.as_slice(), 0),
    );
    long[15] = 1;
    check(
        "setattr 128, not zero",
        call!(SYS_sched_setattr, 0, long.as_slice(), 0),
    );
    check(
        "setattr flags",
        call!(SYS_sched_setattr, 0, &attr(48, OTHER, 0, 0, 0), 1),
    );
    check("setattr null", call!(SYS_sched_setattr, 0, 0, 0));
    check("setattr bad pointer", call!(SYS_sched_setattr, 0, BAD, 0));
    check(
        "setattr nobody",
        call!(SYS_sched_setattr, NOBODY, &attr(48, OTHER, 0, 0, 0), 0),
    );
    check(
        "setattr pid -1",
        call!(SYS_sched_setattr, -1, &attr(48, OTHER, 0, 0, 0), 0),
    );
    check("setattr policy -1", set(&attr(48, -1, 0, 0, 0)));
    check("setattr policy 4", set(&attr(48, 4, 0, 0, 0)));
    check("setattr unknown flag", set(&attr(48, OTHER, 1 << 40, 0, 0)));
    check(
        "setattr other with priority",
        set(&attr(48, OTHER, 0, 0, 1)),
    );
    check("setattr fifo without", set(&attr(48, FIFO, 0, 0, 0)));
    check("setattr fifo 1", set(&attr(48, FIFO, 0, 0, 1)));
    check("setattr better", set(&attr(48, OTHER, 0, -5, 0)));
    check(
        "setattr clamp of an old size",
        set(&attr(48, OTHER, 0x20, 0, 0)),
    );
    check("setattr clamp", set(&attr(56, OTHER, 0x20, 0, 0)));
    check_child("nice through attr", || {
        check("nice 7", set(&attr(48, BATCH, 0, 7, 0)));
        check("now", now());
        check("nice 100", set(&attr(48, OTHER, 0, 100, 0)));
        check("now", now());
        check(
            "keep policy and parameters",
            set(&attr(48, FIFO, FLAG_KEEP_POLICY | FLAG_KEEP_PARAMS, 0, 5)),
        );
        check("now", now());
        check(
            "keep parameters",
            set(&attr(48, IDLE, FLAG_KEEP_PARAMS, 0, 0)),
        );
        check("now", now());
        0
    });
}

fn affinity() {
    let mut all = [0_u64; 16];
    let length = call!(SYS_sched_getaffinity, 0, 128, &mut all);
    check_ok("getaffinity", length);
    let length = length.map_or(8, |length| length.unsigned_abs() as usize);
    let mut set = [0_u64; 16];
    check(
        "getaffinity unaligned",
        call!(SYS_sched_getaffinity, 0, 129, &mut set),
    );
    check(
        "getaffinity 0",
        call!(SYS_sched_getaffinity, 0, 0, &mut set),
    );
    check(
        "getaffinity bad pointer",
        call!(SYS_sched_getaffinity, 0, 128, BAD),
    );
    let lowest = all[0] & all[0].wrapping_neg();
    check(
        "setaffinity to one",
        call!(SYS_sched_setaffinity, 0, 8, &[lowest]),
    );
    check(
        "read it",
        call!(SYS_sched_getaffinity, 0, length, &mut set).is_ok() && set[0] == lowest,
    );
    let mut cpu = u32::MAX;
    check("getcpu", call!(SYS_getcpu, &mut cpu, 0, 0));
    check("runs there", 1_u64.checked_shl(cpu) == Some(lowest));
    check(
        "stat says so",
        stat([39; 4]) == [cpu.to_string().as_str(); 4].join(" "),
    );
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let list = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:\t"));
    check(
        "status says so",
        list == Some(lowest.trailing_zeros().to_string().as_str()),
    );
    check_child("a child inherits it", || {
        let mut set = [0_u64; 16];
        check_ok("get", call!(SYS_sched_getaffinity, 0, length, &mut set));
        check("the same", set[0] == lowest);
        0
    });
    check(
        "setaffinity to none",
        call!(SYS_sched_setaffinity, 0, 8, &[0_u64]),
    );
    check(
        "setaffinity 0 bytes",
        call!(SYS_sched_setaffinity, 0, 0, &[0_u64]),
    );
    check(
        "setaffinity bad pointer",
        call!(SYS_sched_setaffinity, 0, 8, BAD),
    );
    check(
        "setaffinity nobody",
        call!(SYS_sched_setaffinity, NOBODY, 8, &[lowest]),
    );
    check(
        "setaffinity pid -1",
        call!(SYS_sched_setaffinity, -1, 8, &[lowest]),
    );
    check(
        "setaffinity to all",
        call!(SYS_sched_setaffinity, 0, 128, &[u64::MAX; 16]),
    );
    check(
        "as before",
        call!(SYS_sched_getaffinity, 0, length, &mut set).is_ok() && set == all,
    );
}

/// What root may do.
pub(crate) fn as_root() {
    check_child("real time", || {
        check("fifo 10", set(FIFO, 10));
        check("policy", policy());
        check("parameter", priority());
        check("now", now());
        check("standing", standing());
        check("nice 3", call!(SYS_setpriority, 0, 0, 3));
        check("standing", standing());
        check_child("a child", || {
            check("standing", standing());
            0
        });
        check("setparam 20", call!(SYS_sched_setparam, 0, &[20]));
        check("setparam 0", call!(SYS_sched_setparam, 0, &[0]));
        check("rr 99", set(RR, 99));
        check("standing", standing());
        let mut interval = [-1_i64; 2];
        check(
            "interval",
            call!(SYS_sched_rr_get_interval, 0, &mut interval),
        );
        check("of rr", interval[0] == 0 && interval[1] > 0);
        check("fifo 99", set(FIFO, 99));
        check(
            "interval",
            call!(SYS_sched_rr_get_interval, 0, &mut interval),
        );
        check("of fifo", (interval[0], interval[1]));
        check("yield", call!(SYS_sched_yield));
        check("other", set(OTHER, 0));
        check("standing", standing());
        0
    });
    check_child("real time, reset on fork", || {
        check("rr 5", set(RR | RESET_ON_FORK, 5));
        check("nice -7", call!(SYS_setpriority, 0, 0, -7));
        check("policy", policy());
        check("standing", standing());
        check_child("a child", || {
            check("policy", policy());
            check("standing", standing());
            0
        });
        check(
            "gone with attr",
            call!(SYS_sched_setattr, 0, &attr(48, OTHER, 0, -7, 0), 0),
        );
        check("policy", policy());
        check(
            "set with attr",
            call!(
                SYS_sched_setattr,
                0,
                &attr(48, BATCH, FLAG_RESET_ON_FORK, -7, 0),
                0
            ),
        );
        check_child("a child", || {
            check("now", now());
            0
        });
        0
    });
    check_child("one who gives up root", || {
        check("fifo 8", set(FIFO, 8));
        check("setuid", call!(SYS_setuid, 65534));
        check("the same", set(FIFO, 8));
        check("more", set(FIFO, 9));
        check("less", set(FIFO, 7));
        check("less than before", set(FIFO, 8));
        check("another policy", set(RR, 5));
        check("other", set(OTHER, 0));
        check("back", set(FIFO, 1));
        check("nice -2", call!(SYS_setpriority, 0, 0, -2));
        check("nice -3", call!(SYS_setpriority, 0, 0, -3));
        check(
            "attr -2",
            call!(SYS_sched_setattr, 0, &attr(48, OTHER, 0, -2, 0), 0),
        );
        check(
            "attr -3",
            call!(SYS_sched_setattr, 0, &attr(48, OTHER, 0, -3, 0), 0),
        );
        check("idle", set(IDLE, 0));
        check("and back", set(OTHER, 0));
        check("others", call!(SYS_sched_setscheduler, 1, OTHER, &[0]));
        0
    });
}
