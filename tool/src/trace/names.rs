//! The numbers that stand for words: which argument of which call is a signal,
//! a set of flags, one of several commands.
//!
//! Numbers are Linux's (`include/uapi`), the same on both machines but for
//! four flags of open(2). What is not here is shown as a number, so a missing
//! word costs clarity and never the truth.

use crate::arch::Arch;

/// How a number reads.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    /// Bits, each with a word; what is left over is a number.
    Bits(&'static [Name]),
    /// As `Bits`; the bits of the mask are one number with a word of its own.
    Choice(u64, &'static [Name], &'static [Name]),
    /// One of several.
    OneOf(&'static [Name]),
    /// A signal.
    Signal,
    /// Permissions and kind of a file.
    Mode,
    /// An address or an opaque value.
    Hex,
}

/// A number and its word.
pub(super) type Name = (u64, &'static str);

/// How an argument of a call reads, if it is more than its type says.
pub(super) fn form(arch: Arch, call: &str, argument: &str) -> Option<Form> {
    Some(match (call, argument) {
        ("open" | "openat", "flags") => match arch {
            Arch::X86_64 => Form::Choice(3, ACCESS_MODES, OPEN_X86_64),
            Arch::Aarch64 => Form::Choice(3, ACCESS_MODES, OPEN_AARCH64),
        },
        (
            "pipe2" | "dup3" | "eventfd2" | "epoll_create1" | "signalfd4" | "timerfd_create"
            | "inotify_init1",
            "flags",
        ) => match arch {
            Arch::X86_64 => Form::Bits(OPEN_X86_64),
            Arch::Aarch64 => Form::Bits(OPEN_AARCH64),
        },
        ("access" | "faccessat" | "faccessat2", "mode") => Form::Bits(PERMISSIONS),
        ("fallocate", "mode") => Form::Bits(ALLOCATION),
        ("umask", "mask") | (_, "mode") => Form::Mode,
        ("mmap", "flags") => Form::Choice(0xf, MAP_TYPES, MAP_FLAGS),
        (_, "protection") => Form::Bits(PROTECTION),
        ("mremap", "flags") => Form::Bits(REMAP),
        ("madvise" | "process_madvise", "advice") => Form::OneOf(ADVICE),
        ("msync", "flags") => Form::Bits(SYNC),
        ("clone", "flags") => Form::Bits(CLONE),
        ("wait4" | "waitid", "options") => Form::Bits(WAIT),
        ("waitid", "kind") => Form::OneOf(WAIT_KINDS),
        ("rt_sigprocmask", "how") => Form::OneOf(HOW),
        (_, "signal") | ("rt_sigaction", "number") => Form::Signal,
        ("lseek", "whence") => Form::OneOf(WHENCE),
        ("fcntl", "command") => Form::OneOf(FCNTL),
        ("flock", "operation") => Form::Bits(FLOCK),
        ("ioctl", "request") => Form::OneOf(IOCTL),
        ("futex", "operation") => Form::Choice(0x7f, FUTEX, FUTEX_FLAGS),
        ("epoll_ctl", "operation") => Form::OneOf(EPOLL),
        ("prctl", "operation") => Form::OneOf(PRCTL),
        ("arch_prctl", "operation") => Form::OneOf(ARCH_PRCTL),
        ("getrusage", "who") => Form::OneOf(USAGE),
        ("getitimer" | "setitimer", "which") => Form::OneOf(ITIMER),
        ("getrlimit" | "setrlimit" | "prlimit64", "resource") => Form::OneOf(RESOURCES),
        (_, "clock") => Form::OneOf(CLOCKS),
        ("clock_nanosleep" | "timer_settime" | "timerfd_settime", "flags") => {
            Form::Bits(&[(1, "TIMER_ABSTIME"), (2, "TFD_TIMER_CANCEL_ON_SET")])
        }
        ("getrandom", "flags") => Form::Bits(RANDOM),
        ("renameat2", "flags") => Form::Bits(RENAME),
        ("unlinkat", "flags") => Form::Bits(&[(0x200, "AT_REMOVEDIR")]),
        ("mount", "flags") => Form::Bits(MOUNT),
        ("memfd_create", "flags") => Form::Bits(MEMFD),
        ("membarrier", "command") => Form::Bits(BARRIER),
        ("statx", "mask") => Form::Hex,
        (
            "newfstatat" | "statx" | "linkat" | "faccessat2" | "fchmodat2" | "fchownat"
            | "utimensat" | "execveat",
            "flags",
        ) => Form::Bits(AT),
        (
            _,
            "address" | "stack" | "environment" | "to" | "from" | "end" | "head" | "new_address"
            | "address2" | "buffer" | "events" | "argument",
        ) => Form::Hex,
        _ => return None,
    })
}

const ACCESS_MODES: &[Name] = &[(0, "O_RDONLY"), (1, "O_WRONLY"), (2, "O_RDWR")];

const OPEN_X86_64: &[Name] = &[
    (0o100, "O_CREAT"),
    (0o200, "O_EXCL"),
    (0o400, "O_NOCTTY"),
    (0o1000, "O_TRUNC"),
    (0o2000, "O_APPEND"),
    (0o4000, "O_NONBLOCK"),
    (0o4_010_000, "O_SYNC"),
    (0o10000, "O_DSYNC"),
    (0o20000, "O_ASYNC"),
    (0o40000, "O_DIRECT"),
    (0o100_000, "O_LARGEFILE"),
    (0o20_200_000, "O_TMPFILE"),
    (0o200_000, "O_DIRECTORY"),
    (0o400_000, "O_NOFOLLOW"),
    (0o1_000_000, "O_NOATIME"),
    (0o2_000_000, "O_CLOEXEC"),
    (0o10_000_000, "O_PATH"),
];

const OPEN_AARCH64: &[Name] = &[
    (0o100, "O_CREAT"),
    (0o200, "O_EXCL"),
    (0o400, "O_NOCTTY"),
    (0o1000, "O_TRUNC"),
    (0o2000, "O_APPEND"),
    (0o4000, "O_NONBLOCK"),
    (0o4_010_000, "O_SYNC"),
    (0o10000, "O_DSYNC"),
    (0o20000, "O_ASYNC"),
    (0o20_040_000, "O_TMPFILE"),
    (0o40000, "O_DIRECTORY"),
    (0o100_000, "O_NOFOLLOW"),
    (0o200_000, "O_DIRECT"),
    (0o400_000, "O_LARGEFILE"),
    (0o1_000_000, "O_NOATIME"),
    (0o2_000_000, "O_CLOEXEC"),
    (0o10_000_000, "O_PATH"),
];

const PERMISSIONS: &[Name] = &[(0, "F_OK"), (4, "R_OK"), (2, "W_OK"), (1, "X_OK")];

const AT: &[Name] = &[
    (0x100, "AT_SYMLINK_NOFOLLOW"),
    (0x200, "AT_EACCESS"),
    (0x400, "AT_SYMLINK_FOLLOW"),
    (0x800, "AT_NO_AUTOMOUNT"),
    (0x1000, "AT_EMPTY_PATH"),
    (0x2000, "AT_STATX_FORCE_SYNC"),
    (0x4000, "AT_STATX_DONT_SYNC"),
];

const ALLOCATION: &[Name] = &[
    (1, "FALLOC_FL_KEEP_SIZE"),
    (2, "FALLOC_FL_PUNCH_HOLE"),
    (8, "FALLOC_FL_COLLAPSE_RANGE"),
    (0x10, "FALLOC_FL_ZERO_RANGE"),
    (0x20, "FALLOC_FL_INSERT_RANGE"),
];

const PROTECTION: &[Name] = &[
    (0, "PROT_NONE"),
    (1, "PROT_READ"),
    (2, "PROT_WRITE"),
    (4, "PROT_EXEC"),
    (0x0100_0000, "PROT_GROWSDOWN"),
];

const MAP_TYPES: &[Name] = &[
    (1, "MAP_SHARED"),
    (2, "MAP_PRIVATE"),
    (3, "MAP_SHARED_VALIDATE"),
];

const MAP_FLAGS: &[Name] = &[
    (0x10, "MAP_FIXED"),
    (0x20, "MAP_ANONYMOUS"),
    (0x40, "MAP_32BIT"),
    (0x100, "MAP_GROWSDOWN"),
    (0x800, "MAP_DENYWRITE"),
    (0x1000, "MAP_EXECUTABLE"),
    (0x2000, "MAP_LOCKED"),
    (0x4000, "MAP_NORESERVE"),
    (0x8000, "MAP_POPULATE"),
    (0x1_0000, "MAP_NONBLOCK"),
    (0x2_0000, "MAP_STACK"),
    (0x4_0000, "MAP_HUGETLB"),
    (0x10_0000, "MAP_FIXED_NOREPLACE"),
];

const REMAP: &[Name] = &[
    (1, "MREMAP_MAYMOVE"),
    (2, "MREMAP_FIXED"),
    (4, "MREMAP_DONTUNMAP"),
];

const ADVICE: &[Name] = &[
    (0, "MADV_NORMAL"),
    (1, "MADV_RANDOM"),
    (2, "MADV_SEQUENTIAL"),
    (3, "MADV_WILLNEED"),
    (4, "MADV_DONTNEED"),
    (8, "MADV_FREE"),
    (9, "MADV_REMOVE"),
    (10, "MADV_DONTFORK"),
    (11, "MADV_DOFORK"),
    (14, "MADV_HUGEPAGE"),
    (15, "MADV_NOHUGEPAGE"),
    (18, "MADV_WIPEONFORK"),
    (19, "MADV_KEEPONFORK"),
    (20, "MADV_COLD"),
    (21, "MADV_PAGEOUT"),
    (22, "MADV_POPULATE_READ"),
    (23, "MADV_POPULATE_WRITE"),
];

const SYNC: &[Name] = &[(1, "MS_ASYNC"), (2, "MS_INVALIDATE"), (4, "MS_SYNC")];

const CLONE: &[Name] = &[
    (0x100, "CLONE_VM"),
    (0x200, "CLONE_FS"),
    (0x400, "CLONE_FILES"),
    (0x800, "CLONE_SIGHAND"),
    (0x1000, "CLONE_PIDFD"),
    (0x2000, "CLONE_PTRACE"),
    (0x4000, "CLONE_VFORK"),
    (0x8000, "CLONE_PARENT"),
    (0x1_0000, "CLONE_THREAD"),
    (0x2_0000, "CLONE_NEWNS"),
    (0x4_0000, "CLONE_SYSVSEM"),
    (0x8_0000, "CLONE_SETTLS"),
    (0x10_0000, "CLONE_PARENT_SETTID"),
    (0x20_0000, "CLONE_CHILD_CLEARTID"),
    (0x40_0000, "CLONE_DETACHED"),
    (0x80_0000, "CLONE_UNTRACED"),
    (0x100_0000, "CLONE_CHILD_SETTID"),
    (0x200_0000, "CLONE_NEWCGROUP"),
    (0x400_0000, "CLONE_NEWUTS"),
    (0x800_0000, "CLONE_NEWIPC"),
    (0x1000_0000, "CLONE_NEWUSER"),
    (0x2000_0000, "CLONE_NEWPID"),
    (0x4000_0000, "CLONE_NEWNET"),
    (0x8000_0000, "CLONE_IO"),
    (17, "SIGCHLD"),
];

const WAIT: &[Name] = &[
    (1, "WNOHANG"),
    (2, "WUNTRACED"),
    (4, "WEXITED"),
    (8, "WCONTINUED"),
    (0x100_0000, "WNOWAIT"),
    (0x2000_0000, "__WNOTHREAD"),
    (0x4000_0000, "__WALL"),
    (0x8000_0000, "__WCLONE"),
];

const WAIT_KINDS: &[Name] = &[(0, "P_ALL"), (1, "P_PID"), (2, "P_PGID"), (3, "P_PIDFD")];

const HOW: &[Name] = &[(0, "SIG_BLOCK"), (1, "SIG_UNBLOCK"), (2, "SIG_SETMASK")];

const WHENCE: &[Name] = &[
    (0, "SEEK_SET"),
    (1, "SEEK_CUR"),
    (2, "SEEK_END"),
    (3, "SEEK_DATA"),
    (4, "SEEK_HOLE"),
];

const FCNTL: &[Name] = &[
    (0, "F_DUPFD"),
    (1, "F_GETFD"),
    (2, "F_SETFD"),
    (3, "F_GETFL"),
    (4, "F_SETFL"),
    (5, "F_GETLK"),
    (6, "F_SETLK"),
    (7, "F_SETLKW"),
    (8, "F_SETOWN"),
    (9, "F_GETOWN"),
    (36, "F_OFD_GETLK"),
    (37, "F_OFD_SETLK"),
    (38, "F_OFD_SETLKW"),
    (1030, "F_DUPFD_CLOEXEC"),
    (1031, "F_SETPIPE_SZ"),
    (1032, "F_GETPIPE_SZ"),
    (1033, "F_ADD_SEALS"),
    (1034, "F_GET_SEALS"),
];

const FLOCK: &[Name] = &[
    (1, "LOCK_SH"),
    (2, "LOCK_EX"),
    (4, "LOCK_NB"),
    (8, "LOCK_UN"),
];

const IOCTL: &[Name] = &[
    (0x5401, "TCGETS"),
    (0x5402, "TCSETS"),
    (0x5403, "TCSETSW"),
    (0x5404, "TCSETSF"),
    (0x5405, "TCGETA"),
    (0x540b, "TCFLSH"),
    (0x540e, "TIOCSCTTY"),
    (0x540f, "TIOCGPGRP"),
    (0x5410, "TIOCSPGRP"),
    (0x5413, "TIOCGWINSZ"),
    (0x5414, "TIOCSWINSZ"),
    (0x541b, "FIONREAD"),
    (0x5421, "FIONBIO"),
    (0x5422, "TIOCNOTTY"),
    (0x5429, "TIOCGSID"),
    (0x5450, "FIONCLEX"),
    (0x5451, "FIOCLEX"),
];

const FUTEX: &[Name] = &[
    (0, "FUTEX_WAIT"),
    (1, "FUTEX_WAKE"),
    (3, "FUTEX_REQUEUE"),
    (4, "FUTEX_CMP_REQUEUE"),
    (5, "FUTEX_WAKE_OP"),
    (6, "FUTEX_LOCK_PI"),
    (7, "FUTEX_UNLOCK_PI"),
    (8, "FUTEX_TRYLOCK_PI"),
    (9, "FUTEX_WAIT_BITSET"),
    (10, "FUTEX_WAKE_BITSET"),
    (11, "FUTEX_WAIT_REQUEUE_PI"),
    (12, "FUTEX_CMP_REQUEUE_PI"),
    (13, "FUTEX_LOCK_PI2"),
];

const FUTEX_FLAGS: &[Name] = &[
    (0x80, "FUTEX_PRIVATE_FLAG"),
    (0x100, "FUTEX_CLOCK_REALTIME"),
];

const EPOLL: &[Name] = &[
    (1, "EPOLL_CTL_ADD"),
    (2, "EPOLL_CTL_DEL"),
    (3, "EPOLL_CTL_MOD"),
];

const PRCTL: &[Name] = &[
    (1, "PR_SET_PDEATHSIG"),
    (2, "PR_GET_PDEATHSIG"),
    (3, "PR_GET_DUMPABLE"),
    (4, "PR_SET_DUMPABLE"),
    (8, "PR_SET_KEEPCAPS"),
    (15, "PR_SET_NAME"),
    (16, "PR_GET_NAME"),
    (21, "PR_GET_SECCOMP"),
    (22, "PR_SET_SECCOMP"),
    (23, "PR_CAPBSET_READ"),
    (24, "PR_CAPBSET_DROP"),
    (29, "PR_SET_TIMERSLACK"),
    (30, "PR_GET_TIMERSLACK"),
    (36, "PR_SET_CHILD_SUBREAPER"),
    (37, "PR_GET_CHILD_SUBREAPER"),
    (38, "PR_SET_NO_NEW_PRIVS"),
    (39, "PR_GET_NO_NEW_PRIVS"),
    (47, "PR_CAP_AMBIENT"),
    (0x5356_4d41, "PR_SET_VMA"),
];

const ARCH_PRCTL: &[Name] = &[
    (0x1001, "ARCH_SET_GS"),
    (0x1002, "ARCH_SET_FS"),
    (0x1003, "ARCH_GET_FS"),
    (0x1004, "ARCH_GET_GS"),
    (0x3001, "ARCH_CET_STATUS"),
];

const USAGE: &[Name] = &[
    (0, "RUSAGE_SELF"),
    (0xffff_ffff, "RUSAGE_CHILDREN"),
    (1, "RUSAGE_THREAD"),
];

const ITIMER: &[Name] = &[
    (0, "ITIMER_REAL"),
    (1, "ITIMER_VIRTUAL"),
    (2, "ITIMER_PROF"),
];

const RESOURCES: &[Name] = &[
    (0, "RLIMIT_CPU"),
    (1, "RLIMIT_FSIZE"),
    (2, "RLIMIT_DATA"),
    (3, "RLIMIT_STACK"),
    (4, "RLIMIT_CORE"),
    (5, "RLIMIT_RSS"),
    (6, "RLIMIT_NPROC"),
    (7, "RLIMIT_NOFILE"),
    (8, "RLIMIT_MEMLOCK"),
    (9, "RLIMIT_AS"),
    (10, "RLIMIT_LOCKS"),
    (11, "RLIMIT_SIGPENDING"),
    (12, "RLIMIT_MSGQUEUE"),
    (13, "RLIMIT_NICE"),
    (14, "RLIMIT_RTPRIO"),
    (15, "RLIMIT_RTTIME"),
];

const CLOCKS: &[Name] = &[
    (0, "CLOCK_REALTIME"),
    (1, "CLOCK_MONOTONIC"),
    (2, "CLOCK_PROCESS_CPUTIME_ID"),
    (3, "CLOCK_THREAD_CPUTIME_ID"),
    (4, "CLOCK_MONOTONIC_RAW"),
    (5, "CLOCK_REALTIME_COARSE"),
    (6, "CLOCK_MONOTONIC_COARSE"),
    (7, "CLOCK_BOOTTIME"),
    (8, "CLOCK_REALTIME_ALARM"),
    (9, "CLOCK_BOOTTIME_ALARM"),
    (11, "CLOCK_TAI"),
];

const RANDOM: &[Name] = &[
    (1, "GRND_NONBLOCK"),
    (2, "GRND_RANDOM"),
    (4, "GRND_INSECURE"),
];

const RENAME: &[Name] = &[
    (1, "RENAME_NOREPLACE"),
    (2, "RENAME_EXCHANGE"),
    (4, "RENAME_WHITEOUT"),
];

const MOUNT: &[Name] = &[
    (1, "MS_RDONLY"),
    (2, "MS_NOSUID"),
    (4, "MS_NODEV"),
    (8, "MS_NOEXEC"),
    (0x20, "MS_REMOUNT"),
    (0x400, "MS_NOATIME"),
    (0x1000, "MS_BIND"),
    (0x2000, "MS_MOVE"),
    (0x4000, "MS_REC"),
    (0x8000, "MS_SILENT"),
    (0x4_0000, "MS_PRIVATE"),
    (0x20_0000, "MS_RELATIME"),
];

const MEMFD: &[Name] = &[
    (1, "MFD_CLOEXEC"),
    (2, "MFD_ALLOW_SEALING"),
    (4, "MFD_HUGETLB"),
    (8, "MFD_NOEXEC_SEAL"),
    (0x10, "MFD_EXEC"),
];

const BARRIER: &[Name] = &[
    (0, "MEMBARRIER_CMD_QUERY"),
    (1, "MEMBARRIER_CMD_GLOBAL"),
    (8, "MEMBARRIER_CMD_PRIVATE_EXPEDITED"),
    (0x10, "MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED"),
];
