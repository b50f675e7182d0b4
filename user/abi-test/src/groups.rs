//! The groups of cases, in the order they run.

mod attacks;
mod clocks;
mod clone;
mod clone3;
mod cow;
mod descriptors;
mod devices;
mod directories;
mod epoll;
mod errors;
mod events;
pub(crate) mod exec;
mod faults;
mod files;
mod forked_tables;
mod futex;
mod futex_gone;
mod futex_ops;
mod futex_pi;
mod futex_wait;
mod handler_state;
mod huge_pages;
mod identity;
mod jobcontrol;
mod landing;
mod large;
pub(crate) mod lazy_free;
mod limits;
mod links;
mod locks;
mod memory;
mod memory_limits;
mod memory_told;
mod mounts;
mod names;
mod pagemap;
mod permissions;
mod pidfd;
mod pipes;
mod placement;
mod poll;
mod process;
mod processors;
mod procfs;
mod real_time;
mod rename;
mod rseq;
mod rtc;
mod sched;
pub(crate) mod seccomp;
mod shared;
mod shm;
mod signalfd;
mod signals;
mod sigqueue;
mod stat;
pub(crate) mod storms;
mod system;
mod tags;
pub(crate) mod task_limits;
mod thread_ends;
pub(crate) mod thread_shares;
mod threads;
mod timers;
mod truncated;
mod tty;
mod vdso;
mod vectors;
mod wait;
mod wild;

/// A group of cases.
pub(crate) struct Group {
    /// What `abi-test GROUP` calls it.
    pub(crate) name: &'static str,
    /// Whether its cases are about root's rights.
    pub(crate) as_root: bool,
    /// Runs the cases.
    pub(crate) run: fn(),
}

macro_rules! groups {
    ($($name:literal $(($root:ident))? => $run:path,)*) => {
        &[$(Group { name: $name, as_root: false $(|| groups!(@$root))?, run: $run },)*]
    };
    (@root) => { true };
}

/// All groups.
pub(crate) const ALL: &[Group] = groups![
    "process" => process::run,
    "sessions" => process::sessions,
    "wait" => wait::run,
    "waitid" => wait::waitid,
    "clone" => clone::run,
    "clone3" => clone3::run,
    "clone3-root"(root) => clone3::as_root,
    "exec" => exec::run,
    "exec-script" => exec::scripts,
    "exec-state" => exec::state,
    "auxv" => exec::auxv,
    "signals" => signals::run,
    "signal-masks" => signals::masks,
    "signal-restart" => signals::restart,
    "signal-defaults" => signals::defaults,
    "sigaltstack" => signals::altstack,
    "sigqueue" => sigqueue::run,
    "sigtimedwait" => sigqueue::timedwait,
    "signalfd" => signalfd::run,
    "faults" => faults::run,
    "attacks" => attacks::run,
    "attack-races" => attacks::races,
    "seccomp" => seccomp::run,
    "placement" => placement::run,
    "placement-low" => placement::low_ones,
    "jobcontrol" => jobcontrol::run,
    "brk" => memory::brk,
    "mmap" => memory::mmap,
    "mmap-file" => memory::mmap_file,
    "mprotect" => memory::mprotect,
    "mremap" => memory::mremap,
    "madvise" => memory::madvise,
    "lazy-free" => lazy_free::run,
    "memory-limits" => memory_limits::run,
    "memory-limits-root"(root) => memory_limits::as_root,
    "memory-told" => memory_told::run,
    "mmap-truncate" => truncated::run,
    "memfd-seals" => shared::sealed,
    "process-vm" => shared::other_memory,
    "shm" => shm::run,
    "shm-root"(root) => shm::as_root,
    "pagemap" => pagemap::run,
    "pagemap-root"(root) => pagemap::as_root,
    "cow" => cow::run,
    "huge-pages" => huge_pages::run,
    "huge-pages-root"(root) => huge_pages::as_root,
    "forked-tables" => forked_tables::run,
    "large" => large::run,
    "open" => files::open,
    "read-write" => files::read_write,
    "lseek" => files::lseek,
    "truncate" => files::truncate,
    "vectors" => vectors::run,
    "sendfile" => vectors::sendfile,
    "directories" => directories::run,
    "getdents" => directories::getdents,
    "links" => links::run,
    "symlinks" => links::symlinks,
    "rename" => rename::run,
    "names" => names::run,
    "stat" => stat::run,
    "statx" => stat::statx,
    "utimens" => stat::utimens,
    "permissions" => permissions::run,
    "ownership"(root) => permissions::as_root,
    "mounts"(root) => mounts::run,
    "locks" => locks::run,
    "dup" => descriptors::dup,
    "fcntl" => descriptors::fcntl,
    "pipes" => pipes::run,
    "poll" => poll::run,
    "select" => poll::select,
    "epoll" => epoll::run,
    "eventfd" => events::eventfd,
    "timerfd" => events::timerfd,
    "itimers" => timers::run,
    "clocks" => clocks::run,
    "nanosleep" => clocks::nanosleep,
    "devices" => devices::run,
    "rtc"(root) => rtc::run,
    "system" => system::run,
    "prctl" => system::prctl,
    "handler-state" => handler_state::run,
    "landing-pads" => landing::run,
    "signing" => landing::keys,
    "tagged-addresses" => tags::run,
    "identity" => identity::run,
    "identity-root"(root) => identity::as_root,
    "sched" => sched::run,
    "sched-root"(root) => sched::as_root,
    "real-time"(root) => real_time::run,
    "real-time-limits"(root) => real_time::limits,
    "cpu-clocks" => real_time::clocks,
    "processors" => processors::run,
    "rlimits" => limits::rlimits,
    "limits" => limits::run,
    "task-limits"(root) => task_limits::run,
    "futex" => futex::run,
    "futex-ops" => futex_ops::run,
    "futex-wait" => futex_wait::run,
    "futex2" => futex_wait::newer,
    "futex-pi" => futex_pi::run,
    "futex-requeue-pi" => futex_pi::requeue,
    "robust-lists" => futex_pi::robust,
    "futex-gone" => futex_gone::run,
    "futex-races" => futex_gone::races,
    "signal-storms" => storms::signals,
    "killed-waits" => storms::kills,
    "threads" => threads::run,
    "thread-leaders" => clone3::leaders,
    "pidfd" => pidfd::run,
    "thread-shares" => thread_shares::run,
    "thread-users"(root) => thread_shares::as_root,
    "thread-ends" => thread_ends::run,
    "rseq" => rseq::run,
    "vdso" => vdso::run,
    "procfs" => procfs::run,
    "errors" => errors::run,
    "wild" => wild::run,
    "tty" => tty::run,
    "tty-lines" => tty::canonical,
    "tty-editing" => tty::editing,
    "tty-raw" => tty::raw,
    "tty-output" => tty::output,
    "tty-signals" => tty::signals,
    "tty-jobs" => tty::jobs,
    "tty-storms" => tty::storms,
];
