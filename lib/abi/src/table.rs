//! The table of system calls: number, name, arity, argument types, handler, coverage.
//!
//! [`syscall_table!`](crate::syscall_table) hands its rows to a callback macro:
//! the kernel makes the dispatch table of them, `cargo xtask syscalls` the
//! documentation. A row reads
//!
//! ```text
//! name = x86_64 number, aarch64 number: family(argument: Type, ...) "coverage";
//! ```
//!
//! with `-` where the machine has no such call. The handler is
//! `kernel::syscall::family::name`. The coverage is `complete`, or says what
//! is missing. A call without a row answers ENOSYS and is counted.

/// Hands every row of the table to `$callback!`.
#[macro_export]
macro_rules! syscall_table {
    ($callback:path) => {
        $callback! {
            poll = 7, -: poll(fds: Ptr<PollFd>, count: u32, timeout_ms: i32) "complete";
            mmap = 9, 222: memory(address: u64, len: u64, protection: u32, flags: u32, fd: Fd, offset: u64) "no huge pages";
            mprotect = 10, 226: memory(address: u64, len: u64, protection: u32) "complete";
            munmap = 11, 215: memory(address: u64, len: u64) "complete";
            brk = 12, 214: memory(end: u64) "complete";
            rt_sigaction = 13, 134: signal(number: i32, new: Ptr<ochre_abi::signal::SigAction>, old: Ptr<ochre_abi::signal::SigAction>, set_size: usize) "complete";
            rt_sigprocmask = 14, 135: signal(how: i32, new: Ptr<u64>, old: Ptr<u64>, set_size: usize) "complete";
            rt_sigreturn = 15, 139: signal() "complete";
            pipe = 22, -: event(ends: Ptr<[i32; 2]>) "complete";
            select = 23, -: poll(count: i32, read: u64, write: u64, except: u64, timeout: u64) "complete";
            sched_yield = 24, 124: sched() "complete";
            mremap = 25, 216: memory(address: u64, old_len: u64, new_len: u64, flags: u32, new_address: u64) "one area at a time";
            msync = 26, 227: memory(address: u64, len: u64, flags: u32) "complete";
            mincore = 27, 232: memory(address: u64, len: u64, vector: Ptr<u8>) "complete";
            madvise = 28, 233: memory(address: u64, len: u64, advice: i32) "MADV_FREE frees at once; no MADV_REMOVE, MADV_COLLAPSE, MADV_HWPOISON";
            pause = 34, -: signal() "complete";
            nanosleep = 35, 101: time(request: Ptr<ochre_abi::time::TimeSpec>, remaining: Ptr<ochre_abi::time::TimeSpec>) "complete";
            getitimer = 36, 102: timer(which: i32, to: Ptr<ochre_abi::time::ITimerVal>) "complete";
            alarm = 37, -: timer(seconds: u32) "complete";
            setitimer = 38, 103: timer(which: i32, new: Ptr<ochre_abi::time::ITimerVal>, old: Ptr<ochre_abi::time::ITimerVal>) "complete";
            getpid = 39, 172: process() "complete";
            clone = 56, 220: process(flags: u64, stack: u64, parent_tid: Ptr<u32>, fourth: u64, fifth: u64) "no namespaces, no PIDFD; THREAD wants FILES and FS";
            fork = 57, -: process() "complete";
            vfork = 58, -: process() "complete";
            execve = 59, 221: exec(path: u64, arguments: u64, environment: u64) "a thread that is not the first keeps its own number; no ETXTBSY";
            exit = 60, 93: process(status: i32) "complete";
            wait4 = 61, 260: process(pid: i32, status: Ptr<u32>, options: u32, usage: u64) "complete";
            kill = 62, 129: signal(pid: i32, signal: i32) "complete";
            uname = 63, 160: system(to: Ptr<ochre_abi::system::UtsName>) "complete";
            gettimeofday = 96, 169: time(to: Ptr<ochre_abi::time::TimeVal>, zone: Ptr<ochre_abi::time::TimeZone>) "complete";
            getrlimit = 97, 163: limits(resource: u32, to: Ptr<ochre_abi::resource::RLimit>) "complete";
            getrusage = 98, 165: limits(who: i32, to: Ptr<ochre_abi::resource::RUsage>) "times only; faults, switches and memory are zero";
            sysinfo = 99, 179: system(to: Ptr<ochre_abi::system::SysInfo>) "no loads, no buffers";
            times = 100, 153: limits(to: Ptr<ochre_abi::resource::Tms>) "complete";
            getuid = 102, 174: credentials() "complete";
            syslog = 103, 116: system(action: i32, buffer: u64, len: i32) "READ_ALL and the sizes only";
            getgid = 104, 176: credentials() "complete";
            setuid = 105, 146: credentials(uid: u32) "complete";
            setgid = 106, 144: credentials(gid: u32) "complete";
            geteuid = 107, 175: credentials() "complete";
            getegid = 108, 177: credentials() "complete";
            setpgid = 109, 154: session(pid: i32, group: i32) "complete";
            getppid = 110, 173: process() "complete";
            getpgrp = 111, -: session() "complete";
            setsid = 112, 157: session() "complete";
            setreuid = 113, 145: credentials(real: u32, effective: u32) "complete";
            setregid = 114, 143: credentials(real: u32, effective: u32) "complete";
            getgroups = 115, 158: credentials(size: i32, to: Ptr<u32>) "complete";
            setgroups = 116, 159: credentials(size: i32, from: Ptr<u32>) "complete";
            setresuid = 117, 147: credentials(real: u32, effective: u32, saved: u32) "complete";
            getresuid = 118, 148: credentials(real: Ptr<u32>, effective: Ptr<u32>, saved: Ptr<u32>) "complete";
            setresgid = 119, 149: credentials(real: u32, effective: u32, saved: u32) "complete";
            getresgid = 120, 150: credentials(real: Ptr<u32>, effective: Ptr<u32>, saved: Ptr<u32>) "complete";
            getpgid = 121, 155: session(pid: i32) "complete";
            setfsuid = 122, 151: credentials(uid: u32) "complete";
            setfsgid = 123, 152: credentials(gid: u32) "complete";
            getsid = 124, 156: session(pid: i32) "complete";
            capget = 125, 90: credentials(header: Ptr<ochre_abi::credentials::CapabilityHeader>, data: Ptr<ochre_abi::credentials::CapabilityData>) "complete";
            capset = 126, 91: credentials(header: Ptr<ochre_abi::credentials::CapabilityHeader>, data: Ptr<ochre_abi::credentials::CapabilityData>) "complete";
            rt_sigpending = 127, 136: signal(to: Ptr<u64>, set_size: usize) "complete";
            rt_sigtimedwait = 128, 137: signal(set: Ptr<u64>, info: Ptr<[u8; 128]>, timeout: Ptr<ochre_abi::time::TimeSpec>, set_size: usize) "complete";
            rt_sigqueueinfo = 129, 138: signal(pid: i32, signal: i32, info: Ptr<[u8; 128]>) "complete";
            rt_sigsuspend = 130, 133: signal(mask: Ptr<u64>, set_size: usize) "complete";
            sigaltstack = 131, 132: signal(new: Ptr<ochre_abi::signal::SigAltStack>, old: Ptr<ochre_abi::signal::SigAltStack>) "complete";
            personality = 135, 92: system(persona: u32) "PER_LINUX only, no flags";
            getpriority = 140, 141: sched(which: i32, who: i32) "complete";
            setpriority = 141, 140: sched(which: i32, who: i32, nice: i32) "complete";
            sched_setparam = 142, 118: sched(pid: i32, parameter: Ptr<i32>) "SCHED_OTHER only";
            sched_getparam = 143, 121: sched(pid: i32, parameter: Ptr<i32>) "SCHED_OTHER only";
            sched_setscheduler = 144, 119: sched(pid: i32, policy: i32, parameter: Ptr<i32>) "SCHED_OTHER only";
            sched_getscheduler = 145, 120: sched(pid: i32) "SCHED_OTHER only";
            sched_get_priority_max = 146, 125: sched(policy: i32) "complete";
            sched_get_priority_min = 147, 126: sched(policy: i32) "complete";
            sched_rr_get_interval = 148, 127: sched(pid: i32, to: Ptr<ochre_abi::time::TimeSpec>) "the slice of SCHED_OTHER";
            mlock = 149, 228: memory(address: u64, len: u64) "complete; nothing is ever swapped";
            munlock = 150, 229: memory(address: u64, len: u64) "complete";
            mlockall = 151, 230: memory(flags: u32) "complete";
            munlockall = 152, 231: memory() "complete";
            prctl = 157, 167: prctl(operation: i32, second: u64, third: u64, fourth: u64, fifth: u64) "names, signals, capabilities and switches; no seccomp, MM, TSC, SPECULATION, SET_VMA";
            arch_prctl = 158, -: system(operation: i32, address: u64) "FS and GS bases";
            adjtimex = 159, 171: time(buffer: Ptr<ochre_abi::time::Timex>) "reads only; the clock is never slewed";
            setrlimit = 160, 164: limits(resource: u32, from: Ptr<ochre_abi::resource::RLimit>) "kept for all; CPU, CORE, RSS, LOCKS, MSGQUEUE and RT limits are not enforced";
            settimeofday = 164, 170: time(from: Ptr<ochre_abi::time::TimeVal>, zone: Ptr<ochre_abi::time::TimeZone>) "the time zone is kept and not used";
            reboot = 169, 142: system(magic: u32, magic2: u32, command: u32, argument: u64) "restart, halt, power off";
            sethostname = 170, 161: system(from: u64, len: i32) "complete";
            setdomainname = 171, 162: system(from: u64, len: i32) "complete";
            gettid = 186, 178: process() "complete";
            tkill = 200, 130: signal(tid: i32, signal: i32) "complete";
            time = 201, -: time(to: Ptr<i64>) "complete";
            futex = 202, 98: futex(address: u64, operation: u32, value: u32, timeout: u64, address2: u64, value3: u32) "WAIT, WAKE, REQUEUE, CMP_REQUEUE, WAKE_OP, *_BITSET; no priority inheritance";
            sched_setaffinity = 203, 122: sched(pid: i32, len: u32, mask: u64) "all processors only";
            sched_getaffinity = 204, 123: sched(pid: i32, len: u32, mask: u64) "complete";
            epoll_create = 213, -: epoll(size: i32) "complete";
            set_tid_address = 218, 96: process(address: u64) "complete";
            restart_syscall = 219, 128: signal() "complete";
            timer_create = 222, 107: timer(clock: i32, event: Ptr<ochre_abi::time::SigEvent>, to: Ptr<i32>) "complete";
            timer_settime = 223, 110: timer(id: i32, flags: i32, new: Ptr<ochre_abi::time::ITimerSpec>, old: Ptr<ochre_abi::time::ITimerSpec>) "complete";
            timer_gettime = 224, 108: timer(id: i32, to: Ptr<ochre_abi::time::ITimerSpec>) "complete";
            timer_getoverrun = 225, 109: timer(id: i32) "complete";
            timer_delete = 226, 111: timer(id: i32) "complete";
            clock_settime = 227, 112: time(clock: i32, from: Ptr<ochre_abi::time::TimeSpec>) "complete";
            clock_gettime = 228, 113: time(clock: i32, to: Ptr<ochre_abi::time::TimeSpec>) "TAI is the wall clock; no clocks of devices";
            clock_getres = 229, 114: time(clock: i32, to: Ptr<ochre_abi::time::TimeSpec>) "as clock_gettime";
            clock_nanosleep = 230, 115: time(clock: i32, flags: i32, request: Ptr<ochre_abi::time::TimeSpec>, remaining: Ptr<ochre_abi::time::TimeSpec>) "complete";
            exit_group = 231, 94: process(status: i32) "complete";
            epoll_wait = 232, -: epoll(instance: Fd, events: u64, limit: i32, timeout_ms: i32) "complete";
            epoll_ctl = 233, 21: epoll(instance: Fd, operation: i32, fd: Fd, event: Ptr<[u8; EPOLL_EVENT_SIZE]>) "complete";
            tgkill = 234, 131: signal(pid: i32, tid: i32, signal: i32) "complete";
            waitid = 247, 95: process(kind: u32, id: i32, info: u64, options: u32, usage: u64) "no P_PIDFD";
            pselect6 = 270, 72: poll(count: i32, read: u64, write: u64, except: u64, timeout: u64, mask: u64) "complete";
            ppoll = 271, 73: poll(fds: Ptr<PollFd>, count: u32, timeout: u64, mask: u64, mask_size: usize) "complete";
            set_robust_list = 273, 99: futex(head: u64, size: usize) "complete";
            get_robust_list = 274, 100: futex(tid: i32, head: Ptr<u64>, size: Ptr<u64>) "complete";
            epoll_pwait = 281, 22: epoll(instance: Fd, events: u64, limit: i32, timeout_ms: i32, mask: u64, mask_size: usize) "complete";
            eventfd = 284, -: event(count: u32) "complete";
            eventfd2 = 290, 19: event(count: u32, flags: i32) "complete";
            epoll_create1 = 291, 20: epoll(flags: i32) "complete";
            pipe2 = 293, 59: event(ends: Ptr<[i32; 2]>, flags: i32) "no O_DIRECT";
            rt_tgsigqueueinfo = 297, 240: signal(pid: i32, tid: i32, signal: i32, info: Ptr<[u8; 128]>) "complete";
            prlimit64 = 302, 261: limits(pid: i32, resource: u32, new: Ptr<ochre_abi::resource::RLimit>, old: Ptr<ochre_abi::resource::RLimit>) "as setrlimit";
            clock_adjtime = 305, 266: time(clock: i32, buffer: Ptr<ochre_abi::time::Timex>) "as adjtimex";
            getcpu = 309, 168: system(cpu: Ptr<u32>, node: Ptr<u32>, cache: u64) "complete";
            sched_setattr = 314, 274: sched(pid: i32, attributes: Ptr<ochre_abi::system::SchedAttr>, flags: u32) "SCHED_OTHER only";
            sched_getattr = 315, 275: sched(pid: i32, to: Ptr<ochre_abi::system::SchedAttr>, size: u32, flags: u32) "SCHED_OTHER only";
            getrandom = 318, 278: random(buffer: u64, len: usize, flags: u32) "complete";
            execveat = 322, 281: exec(directory: Fd, path: u64, arguments: u64, environment: u64, flags: u32) "as execve";
            membarrier = 324, 283: system(command: i32, flags: u32, cpu: i32) "one processor only; no SYNC_CORE, no RSEQ";
            mlock2 = 325, 284: memory(address: u64, len: u64, flags: u32) "complete";
            clone3 = 435, 435: process(args: Ptr<CloneArgs>, size: usize) "as clone; no set_tid, no cgroup";
            epoll_pwait2 = 441, 441: epoll(instance: Fd, events: u64, limit: i32, timeout: u64, mask: u64, mask_size: usize) "complete";
        }
    };
}
