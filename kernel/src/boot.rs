//! From the hand-over to process 1.
//!
//! Read the command line, unpack the initial archive into the root, mount what
//! every program expects, start process 1. Whatever goes wrong is said on the
//! log (and on the console, if that is where people look) and ends the machine
//! with a failure.

mod symbols;

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use log::{debug, error, info, warn};
use ochre_abi::Errno;
use ochre_hal::boot::{BootInfo, Initramfs, stage_ends};
use ochre_hal::cpu::Meltdown;
use ochre_hal::power::{self, ExitPorts};
use ochre_hal::serial::{SerialPort, Which};
use ochre_hal::smp;
use ochre_hal::user::UserContext;
use ochre_hal::{clock, cpu, debug as machine_log, memory};
use ochre_sync::primitive::atomic::{AtomicBool, AtomicUsize, Ordering};
use ochre_sync::primitive::spin_loop;

use crate::config::{Config, Mode, Stdio};
use crate::fs::{devtmpfs, initramfs, procfs, tmpfs::Tmpfs};
use crate::ipc::futex;
use crate::memory::{AddressSpace, vdso};
use crate::process::exec::Prepared;
use crate::process::{Thread, ThreadState, clone};
use crate::syscall::exec::first_program;
use crate::syscall::{system, trace};
use crate::vfs::mount::{self, Mount, MountFlags};
use crate::vfs::tree::{self, Make};
use crate::vfs::{Access, FileSystem, FsContext, Kind, OpenFile, Path, StatusFlags, walk};
use crate::{audit, device, log_sink, sched, tty};

/// Programs tried where the command line names none.
const DEFAULT_PROGRAMS: [&[u8]; 2] = [b"/sbin/init", b"/bin/sh"];

/// How long the last words may take.
const STOP_PATIENCE_NS: u64 = 1_000_000_000;

/// The kernel's first function.
pub fn main(boot: BootInfo) -> ! {
    let (config, errors) = Config::parse(boot.cmdline);
    start_log(&config, errors);
    procfs::set_command_line(boot.cmdline);
    stage_ends("the command line and the log");
    match start(&config, boot.initramfs) {
        Ok(first) => {
            audit::for_ever(start_others);
            // ORDERING: Release; see `join`.
            MAY_RUN.store(true, Ordering::Release);
            stage_ends("the other processors");
            first.wake();
            drop(first);
            sched::run()
        }
        Err(reason) => stop(&reason),
    }
}

/// How many of the other processors have what they need.
static READY: AtomicUsize = AtomicUsize::new(0);

/// Whether they may take tasks: what they need for ever is to be counted before.
static MAY_RUN: AtomicBool = AtomicBool::new(false);

/// Starts the other processors and waits until they have what they need.
fn start_others() {
    smp::start_others(join);
    // ORDERING: Acquire pairs with the Release in `join`.
    while READY.load(Ordering::Acquire) + 1 < cpu::online() {
        spin_loop();
    }
}

// ANCHOR: join
/// What each of the other processors does.
fn join() -> ! {
    let brought_up = sched::bring_up();
    // ORDERING: Release: what it took comes before; Acquire pairs with the
    // Release in `main`.
    READY.fetch_add(1, Ordering::Release);
    while !MAY_RUN.load(Ordering::Acquire) {
        spin_loop();
    }
    if let Err(errno) = brought_up {
        // The machine goes on without it.
        error!(
            "processor {} has no run queue: {errno}",
            cpu::current().index()
        );
        loop {
            let _ = cpu::wait_for_interrupt();
        }
    }
    sched::run()
}
// ANCHOR_END: join

/// Makes log and exit ports known. A command line that cannot be understood
/// ends the machine.
fn start_log(config: &Config, mut errors: Vec<String>) {
    if let Some(port) = config.log_port
        && !machine_log::set_log_port(port)
    {
        errors.push(format!("ochre.log={port:#x} is not a port for logs"));
    }
    let ports = ExitPorts {
        status: config.status_port,
        exit: config.exit_port,
    };
    if !power::configure(ports) {
        errors.push(format!(
            "ochre.status or ochre.exit: not such ports: {ports:x?}"
        ));
    }
    power::stay_after_failure(config.stays_after_panic);
    machine_log::set_panic_to_serial(config.stdio == Stdio::Console);
    log_sink::start(config.log_level);
    for word in &config.passed_over {
        debug!(
            "command line word `{}` is not for this kernel: passed over",
            String::from_utf8_lossy(word)
        );
    }
    if !errors.is_empty() {
        stop(&errors.join("; "));
    }
}

/// Says why the machine cannot go on, and ends it.
fn stop(reason: &str) -> ! {
    error!("cannot start: {reason}");
    tty::screen::paint_now();
    if let Some(mut port) = SerialPort::open(Which::First) {
        for text in ["ochre: cannot start: ", reason, "\r\n"] {
            write_all(&mut port, text.as_bytes());
        }
    }
    power::fail()
}

/// Writes without interrupts, as long as the port takes bytes within reason.
fn write_all(port: &mut SerialPort, mut bytes: &[u8]) {
    let deadline_ns = clock::now_ns() + STOP_PATIENCE_NS;
    while !bytes.is_empty() && clock::now_ns() < deadline_ns {
        let count = port.write(bytes);
        bytes = &bytes[count..];
    }
}

/// Makes all that there is before process 1 runs, which is not awake yet.
fn start(config: &Config, archive: Option<Initramfs>) -> Result<Arc<Thread>, String> {
    if config.trace {
        trace::start();
    }
    if let Some(hz) = config.profile_hz {
        sched::profile::start(hz);
    }
    if !config.randomise {
        crate::memory::set_randomised(0).map_err(|errno| format!("{errno}"))?;
    }
    config.huge_pages.set();
    crate::memory::spare::start();
    let stats = memory::stats();
    info!(
        "ochre {}: {} KiB of memory, {} KiB free",
        env!("CARGO_PKG_VERSION"),
        stats.total * 4,
        stats.free * 4
    );
    match cpu::meltdown() {
        Meltdown::Mitigated => info!("programs have tables of their own (PTI)"),
        Meltdown::Vulnerable => warn!("programs can read the kernel's memory (Meltdown; pti=off)"),
        Meltdown::NotAffected | Meltdown::NotAsked => {}
    }
    // Made while there is surely memory for it.
    drop(AddressSpace::empty());
    vdso::start().map_err(|_| String::from("no memory for the vDSO"))?;
    sched::bring_up().map_err(|errno| format!("the run queue: {errno}"))?;
    futex::start().map_err(|errno| format!("the futexes' table: {errno}"))?;
    stage_ends("what all programs share");
    // Before `/dev` is filled.
    tty::screen::start().map_err(|errno| format!("the screen: {errno}"))?;
    stage_ends("the screen");
    device::rtc::start().map_err(|errno| format!("the battery-backed clock: {errno}"))?;
    stage_ends("the battery-backed clock");
    let root = make_root(archive)?;
    stage_ends("the root is unpacked");
    if let Some(path) = &config.symbols {
        symbols::take(&root, path);
    }
    let access = Access::root();
    let working =
        walk::resolve(&access, &root, root.clone(), &config.directory, true).map_err(|errno| {
            let directory = String::from_utf8_lossy(&config.directory);
            format!("the working directory `{directory}`: {errno}")
        })?;
    sched::load::start().map_err(|errno| format!("the load average: {errno}"))?;
    audit::start(config.audit);
    let program = find_program(config, &root, &working)?;
    system::set_host_name(&config.hostname);
    let thread = make_process(program).map_err(|errno| format!("process 1: {errno}"))?;
    stage_ends("process 1 is loaded");
    let fs = FsContext::new(root);
    fs.set_working(working);
    thread.set_fs(fs);
    if config.mode == Mode::System {
        thread.process.signals.protect();
    }
    give_standard_files(config, &thread)
        .map_err(|errno| format!("the standard files of process 1: {errno}"))?;
    stage_ends("its terminal or pipes");
    crate::memory::leftovers::start()
        .map_err(|errno| format!("what gives frames back: {errno}"))?;
    device::keyboard::start(config.keyboard).map_err(|errno| format!("the keyboard: {errno}"))?;
    stage_ends("the keyboard");
    info!(
        "process 1 starts after {} us, {} KiB free",
        clock::now_ns() / 1000,
        memory::stats().free * 4
    );
    tty::screen::begin_programs();
    Ok(thread)
}

/// Process 1 with its program, not yet awake.
fn make_process(program: Prepared) -> Result<Arc<Thread>, Errno> {
    let mut user = UserContext::new().map_err(|_| Errno::ENOMEM)?;
    user.start(
        program.entry,
        program.stack_pointer,
        &mut device::random::word,
    );
    let pid = clone::first_pid()?;
    let thread = clone::first_process(ThreadState::new(user, program.space))?;
    debug_assert_eq!(pid, thread.process.pid);
    *thread.name.lock() = program.name;
    Ok(thread)
}

/// Where the serial line's terminal is in the file system.
const SERIAL_PATH: &[u8] = b"/dev/ttyS0";

/// Where the screen's first one is.
const SCREEN_PATH: &[u8] = b"/dev/tty1";

/// Where it is as the console.
const CONSOLE_PATH: &[u8] = b"/dev/console";

/// Opens files 0, 1 and 2, and makes the terminal, if it is one, the session's,
/// unless that is an init.
/// A terminal is one description under three numbers, opened at its place, so
/// that ttyname(3) finds it.
fn give_standard_files(config: &Config, thread: &Arc<Thread>) -> Result<(), Errno> {
    let standard = device::start(config)?;
    let files = thread.files();
    if let Some(terminal) = &standard.terminal {
        let root = thread.fs().root();
        let is_system = config.mode == Mode::System;
        let path = if is_system {
            CONSOLE_PATH
        } else if tty::serial().is_some_and(|serial| Arc::ptr_eq(serial, terminal)) {
            SERIAL_PATH
        } else {
            SCREEN_PATH
        };
        let place = walk::resolve(&Access::root(), &root, root.clone(), path, true)?;
        let file = OpenFile::at(place, standard.input, true, true, StatusFlags::empty());
        let file = Arc::new(file);
        for _ in 0..3 {
            files.insert(Arc::clone(&file), false, 3)?;
        }
        // An init gives the console to whom it starts.
        if !is_system {
            tty::acquire(terminal, thread);
        }
        return Ok(());
    }
    for (file, is_input) in [
        (standard.input, true),
        (standard.output, false),
        (standard.error, false),
    ] {
        let file = OpenFile::new(file, is_input, !is_input, StatusFlags::empty());
        files.insert(Arc::new(file), false, 3)?;
    }
    Ok(())
}

/// The root file system: the archive's content, with `/dev` and `/proc` on it.
fn make_root(archive: Option<Initramfs>) -> Result<Path, String> {
    let archive = archive.ok_or(
        "no initial archive: give the machine one (QEMU: -initrd FILE), there is no other root",
    )?;
    let told = |what: &'static str| move |errno: Errno| format!("{what}: {errno}");
    let tmpfs = Tmpfs::new("rootfs", u64::MAX / 4096, 0o755).map_err(told("the root"))?;
    let dentry = tmpfs.root();
    let mount = Mount::new(
        Arc::clone(&tmpfs) as Arc<dyn FileSystem>,
        Arc::clone(&dentry),
        b"rootfs",
        MountFlags::empty(),
    );
    mount::add_root(&mount);
    let root = Path { mount, dentry };
    let report = initramfs::unpack(archive, &root)?;
    info!(
        "root: {} entries, {} bytes, {} pages without a copy",
        report.entries, report.bytes, report.adopted
    );
    tmpfs.limit_growth(memory::total() as u64);
    let devices = devtmpfs::mount(b"devtmpfs", MountFlags::NOSUID).map_err(told("/dev"))?;
    attach(&root, b"dev", &devices).map_err(told("/dev"))?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    attach(&root, b"proc", &procfs::mount(b"proc", flags)).map_err(told("/proc"))?;
    let system = procfs::sysfs::mount(b"sysfs", flags);
    attach(&root, b"sys", &system).map_err(told("/sys"))?;
    Ok(root)
}

/// Mounts something on a directory in the root, made where it is missing.
fn attach(root: &Path, name: &[u8], mount: &Arc<Mount>) -> Result<(), Errno> {
    let access = Access::root();
    match tree::make(&access, root, name, &Make::plain(Kind::Directory, 0o755)) {
        Ok(_) | Err(Errno::EEXIST) => {}
        Err(errno) => return Err(errno),
    }
    let place = walk::resolve(&access, root, root.clone(), name, true)?;
    mount::attach(mount, &place)
}

/// Builds the program that is named, or the first default that is there.
fn find_program(config: &Config, root: &Path, working: &Path) -> Result<Prepared, String> {
    let named: Vec<&[u8]> = match &config.init {
        Some(path) => Vec::from([path.as_slice()]),
        None => DEFAULT_PROGRAMS.to_vec(),
    };
    let mut reasons = Vec::new();
    for path in named {
        let mut arguments = config.arguments.clone();
        if arguments.is_empty() {
            arguments.push(path.to_vec());
        }
        let environment = &config.environment;
        let (root, working) = (root.clone(), working.clone());
        match first_program(path, &arguments, environment, root, working) {
            Ok(prepared) => return Ok(prepared),
            Err(errno) => reasons.push(format!("`{}`: {errno}", String::from_utf8_lossy(path))),
        }
    }
    Err(format!("no program to start: {}", reasons.join(", ")))
}
