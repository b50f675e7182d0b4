//! The vDSO: what is found in it, and that it tells the same as the kernel.

use crate::arch;
use crate::call;
use crate::report::{check, check_child};
use crate::sys::{self, BAD, Ret};

const AT_SYSINFO_EHDR: u64 = 33;

/// The cases.
pub(crate) fn run() {
    let image = sys::auxv(AT_SYSINFO_EHDR) as usize;
    check("it is there", image != 0);
    check(
        "an ELF file",
        (1..4)
            .map(|at| char::from(sys::peek(image + at)))
            .collect::<String>(),
    );
    check("its magic byte", u32::from(sys::peek(image)));
    let symbols = sys::vdso_symbols(image);
    for name in arch::VDSO_TIMES.into_iter().chain(arch::VDSO_OTHERS) {
        let found = symbols.iter().find(|symbol| symbol.name == name);
        check(name, found.map(|symbol| symbol.version.clone()));
    }
    times(&symbols);
    processor(&symbols);
    resolutions(&symbols);
    mapping(image);
    check_child("after fork", move || {
        check("is there", sys::peek(image) == 0x7f);
        0
    });
}

fn address(symbols: &[sys::Symbol], name: &str) -> usize {
    symbols
        .iter()
        .find(|symbol| symbol.name == name)
        .map_or(0, |symbol| symbol.address)
}

fn times(symbols: &[sys::Symbol]) {
    let [clock_gettime, gettimeofday] = arch::VDSO_TIMES;
    let function = address(symbols, clock_gettime);
    let by_vdso = |clock: i32| -> Result<i128, i32> {
        let mut time: libc::timespec = sys::zeroed();
        match sys::call_vdso(
            function,
            clock as usize,
            (&raw mut time).expose_provenance(),
            0,
        ) {
            0 => Ok(i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec)),
            error => Err(error as i32),
        }
    };
    let by_call = |clock: i32| -> i128 {
        let mut time: libc::timespec = sys::zeroed();
        let _ = call!(SYS_clock_gettime, clock, &mut time);
        i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec)
    };
    for (name, clock) in [
        ("REALTIME", libc::CLOCK_REALTIME),
        ("MONOTONIC", libc::CLOCK_MONOTONIC),
        ("PROCESS_CPUTIME", libc::CLOCK_PROCESS_CPUTIME_ID),
        ("THREAD_CPUTIME", libc::CLOCK_THREAD_CPUTIME_ID),
        ("MONOTONIC_RAW", libc::CLOCK_MONOTONIC_RAW),
        ("REALTIME_COARSE", libc::CLOCK_REALTIME_COARSE),
        ("MONOTONIC_COARSE", libc::CLOCK_MONOTONIC_COARSE),
        ("BOOTTIME", libc::CLOCK_BOOTTIME),
        ("TAI", libc::CLOCK_TAI),
    ] {
        let mut in_order = true;
        for _ in 0..1000 {
            let before = by_call(clock);
            let between = by_vdso(clock).unwrap_or(-1);
            let after = by_call(clock);
            in_order &= before <= between && between <= after;
        }
        check(&format!("{name} lies between two calls"), in_order);
    }
    for clock in [10, 12, 99, -1, -7] {
        let answer = by_vdso(clock).map(|_| ());
        let text = answer.map_or_else(|error| format!("error {error}"), |()| "ok".to_owned());
        check(&format!("clock {clock}"), text);
    }
    let function = address(symbols, gettimeofday);
    let mut time = libc::timeval {
        tv_sec: 0,
        tv_usec: -1,
    };
    let mut zone = [77_i32; 2];
    let to = (&raw mut time).expose_provenance();
    check("gettimeofday", sys::call_vdso(function, to, 0, 0));
    check("microseconds", (0..1_000_000).contains(&time.tv_usec));
    let zone_to = zone.as_mut_ptr().expose_provenance();
    check("with a zone", sys::call_vdso(function, to, zone_to, 0));
    check("the zone", (zone[0], zone[1]));
    check("a zone only", sys::call_vdso(function, 0, zone_to, 0));
    check("nothing", sys::call_vdso(function, 0, 0, 0));
    let function = address(symbols, "__vdso_time");
    let mut seconds = 0_i64;
    let before = call!(SYS_time, 0).unwrap_or(0);
    let answer = sys::call_vdso(function, (&raw mut seconds).expose_provenance(), 0, 0);
    let after = call!(SYS_time, 0).unwrap_or(0);
    check(
        "time",
        (before..=after).contains(&answer) && answer == seconds,
    );
    check("time, nowhere", sys::call_vdso(function, 0, 0, 0) >= answer);
}

/// How fine the clocks are.
fn resolutions(symbols: &[sys::Symbol]) {
    let function = address(symbols, "__kernel_clock_getres");
    for clock in [0, 1, 2, 3, 4, 7, 11, 10, 12, 99, -1_i32] {
        let mut time = [77_i64; 2];
        let to = time.as_mut_ptr().expose_provenance();
        let answer = sys::call_vdso(function, clock as usize, to, 0);
        check(
            &format!("resolution of {clock}"),
            (answer, time[0], time[1]),
        );
    }
    check("of nothing", sys::call_vdso(function, 0, 0, 0));
}

fn processor(symbols: &[sys::Symbol]) {
    let function = address(symbols, "__vdso_getcpu");
    let mut agree = false;
    // The thread may move between the two.
    for _ in 0..1000 {
        let (mut cpu, mut node) = (77_u32, 77_u32);
        let (to, node_to) = (&raw mut cpu, &raw mut node);
        let answer = sys::call_vdso(
            function,
            to.expose_provenance(),
            node_to.expose_provenance(),
            0,
        );
        let mut other = 0_u32;
        let _ = call!(SYS_getcpu, &mut other, 0, 0);
        agree |= answer == 0 && cpu == other && node == 0;
    }
    check("getcpu agrees with the call", agree);
    check("getcpu of nothing", sys::call_vdso(function, 0, 0, 0));
}

/// What may be done to the two mappings.
fn mapping(image: usize) {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    for name in ["[vvar]", "[vdso]"] {
        let line = maps.lines().find(|line| line.ends_with(name));
        let rights = line.and_then(|line| line.split(' ').nth(1));
        check(name, rights.map(|rights| rights[..3].to_owned()));
    }
    let first = maps
        .lines()
        .find(|line| line.ends_with("[vvar]"))
        .and_then(|line| usize::from_str_radix(line.split('-').next()?, 16).ok())
        .unwrap_or(0);
    let protect = |at: usize, protection: i32| -> Ret { call!(SYS_mprotect, at, 4096, protection) };
    check(
        "data, to be written",
        protect(first, libc::PROT_READ | libc::PROT_WRITE),
    );
    check("a call writes to the data", call!(SYS_getcpu, first, 0, 0));
    check("a call writes to the image", call!(SYS_getcpu, image, 0, 0));
    check("bytes of the image", call!(SYS_access, image, 0));
    check("bad address", call!(SYS_access, BAD, 0));
    check_child("a store to the data", || {
        sys::set_disposition(libc::SIGSEGV, libc::SIG_DFL);
        sys::poke(first, 1);
        0
    });
    check_child("a store to the image", || {
        sys::set_disposition(libc::SIGSEGV, libc::SIG_DFL);
        sys::poke(image, 1);
        0
    });
}
