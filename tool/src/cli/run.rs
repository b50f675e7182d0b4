//! `ochre shell` and `ochre run`: from options to a guest, and from its end to an exit code.

use core::fmt;
use std::{
    env,
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
};

use anyhow::{Context as _, Result, bail, ensure};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM},
    iterator::Signals,
};

use super::{
    BootChartOptions, DebugOptions, ProfileOptions, RunOptions, TraceOptions,
    options::MachineOptions, silence,
};
use crate::{
    arch::Arch,
    boot_chart::BootChart,
    bridge::{Event, Sink},
    debugger::Gdb,
    elf_needs,
    guest::{End, Guest, Outcome, Running},
    host, kernel_build,
    machine::Screen,
    paths,
    profile::{Collector, Flames, Images, Sampler, Samples},
    qemu, report,
    rootfs::{self, GUEST_PATH, Program},
    setup,
    status::QemuExit,
    terminal::{self, RawLines, RawMode},
    trace,
    tree::{Content, Node, Tree},
};

/// The exit code for a program that is not there, as in shells.
pub(super) const NOT_FOUND: u8 = 127;

/// How many lines of the log explain a machine without a status, if the
/// kernel did not say that it dies.
const TAIL_LINES: usize = 12;

/// How many functions are told of a profile.
const HOTTEST: usize = 5;

/// How many lines of a dying kernel's report are shown.
const REPORT_LINES: usize = 60;

/// The program is not there.
#[derive(Debug)]
pub(super) struct NotFound(PathBuf);

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not in PATH", self.0.display())
    }
}

impl core::error::Error for NotFound {}

/// A shell on busybox.
pub(super) fn shell(options: &MachineOptions) -> Result<ExitCode> {
    let arch = options.machine().arch();
    setup::ensure_qemu(arch)?;
    let tree = shell_tree(arch)?;
    let interactive = is_interactive(options);
    let guest = guest(options)?
        .tree(tree)
        .program("/bin/sh")
        // A dash in front makes it a login shell, which reads /etc/profile.
        .name(if interactive || options.display.is_some() {
            "-sh"
        } else {
            "sh"
        })
        .directory("/root");
    if interactive {
        report::say(terminal::LEAVE_HINT);
    }
    run(guest, options, |log| log)
}

/// A program of the host or of a folder.
pub(super) fn program(options: &RunOptions) -> Result<ExitCode> {
    run(program_guest(options)?, &options.machine, |log| log)
}

/// The same, with its system calls told.
pub(super) fn traced(options: &TraceOptions) -> Result<ExitCode> {
    let what = options.what();
    what.check()?;
    let to: Sink = match &options.output {
        Some(path) => {
            let file = File::create(path).with_context(|| format!("making {}", path.display()))?;
            Box::new(BufWriter::new(file))
        }
        None => shown_on_stderr(),
    };
    let machine = &options.run.machine;
    let guest = program_guest(&options.run)?.words("ochre.trace");
    let arch = machine.machine().arch();
    run(guest, machine, |log| {
        Box::new(trace::Splitter::new(arch, what, log, to))
    })
}

/// The same, with a picture of where its time went.
pub(super) fn profiled(options: &ProfileOptions) -> Result<ExitCode> {
    let machine = &options.run.machine;
    let arch = machine.machine().arch();
    let guest = program_guest(&options.run)?;
    let (exit, flames) = if options.kernel {
        let dir = qemu::run_dir()?;
        let socket = dir.path().join("gdb");
        let kernel = guest.kernel().to_owned();
        let sampler = Sampler::start(arch, &socket, options.rate);
        let exit = run(guest.debugger(&socket), machine, |log| log);
        // Also what failed has ended the machine.
        let flames = Flames::of_kernel(&kernel, sampler);
        (exit?, flames)
    } else {
        let mut images = guest.tree_now().map(Images::of).unwrap_or_default();
        let samples = Samples::default();
        let collected = samples.clone();
        let guest = guest.words(format!("ochre.profile={}", options.rate));
        let exit = run(guest, machine, |log| {
            Box::new(Collector::new(collected, log))
        })?;
        (exit, Flames::new(arch, &samples, &mut images))
    };
    if flames.count() == 0 {
        report::say("no sample was taken: there was not enough to do");
        return Ok(exit);
    }
    let path = &options.output;
    let words: Vec<_> = options
        .run
        .command
        .iter()
        .map(|word| word.to_string_lossy())
        .collect();
    File::create(path)
        .and_then(|file| flames.draw(&words.join(" "), BufWriter::new(file)))
        .with_context(|| format!("drawing {}", path.display()))?;
    report::say(summary(&flames, path));
    Ok(exit)
}

/// What a flame graph shows, in a few lines.
fn summary(flames: &Flames, path: &Path) -> String {
    let count = flames.count();
    let mut text = format!("{count} samples, drawn in {}", path.display());
    for (name, own) in flames.hottest().into_iter().take(HOTTEST) {
        let thousandths = own.saturating_mul(1000) / count.max(1);
        let (percent, tenths) = (thousandths / 10, thousandths % 10);
        text.push_str(&format!("\n{percent:3}.{tenths}%  {name}"));
    }
    text
}

/// The same, with a debugger that holds the machine.
pub(super) fn debugged(options: &DebugOptions) -> Result<ExitCode> {
    let machine = &options.run.machine;
    let guest = program_guest(&options.run)?;
    let dir = qemu::run_dir()?;
    let socket = match &options.socket {
        Some(socket) => std::path::absolute(socket)?,
        None => dir.path().join("gdb"),
    };
    let gdb = Gdb::new(machine.machine().arch(), guest.kernel(), &socket);
    let guest = guest.debugger(&socket);
    if options.socket.is_some() || !terminal::is_interactive() {
        report::say(format!("the machine waits for a debugger:\n  {gdb}"));
        return run(guest, machine, |log| log);
    }
    let mut gdb = gdb.command()?;
    let running = guest
        .stdin("")
        .stdout_to(Box::new(io::stdout()))
        .stderr_to(Box::new(io::stderr()))
        .start()?;
    // Ctrl-C is gdb's, which stops the machine by it.
    let _signals = Signals::new([SIGINT, SIGQUIT])?;
    let status = gdb.status().context("running gdb")?;
    drop(running);
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// A boot to the prompt, and where its time went.
pub(super) fn boot_charted(options: &BootChartOptions) -> Result<ExitCode> {
    let machine = &options.machine;
    let arch = machine.machine().arch();
    setup::ensure_qemu(arch)?;
    // What is not built yet is no part of a boot.
    kernel_build::build_for(arch, &[])?;
    let mut chart = BootChart::begin();
    let guest = guest(machine)?;
    chart.done("cargo says that the kernel is built");
    let root = shell_tree(arch)?;
    chart.done("the root's files are found");
    chart.boot(guest, &root)?;
    print!("{chart}");
    let path = &options.output;
    File::create(path)
        .and_then(|file| chart.draw(BufWriter::new(file)))
        .with_context(|| format!("drawing {}", path.display()))?;
    report::say(format!("drawn in {}", path.display()));
    Ok(ExitCode::SUCCESS)
}

/// Standard error, of a terminal that may be raw.
fn shown_on_stderr() -> Sink {
    if terminal::is_interactive() {
        Box::new(RawLines(io::stderr()))
    } else {
        Box::new(io::stderr())
    }
}

/// The guest for a program of the host or of a folder.
fn program_guest(options: &RunOptions) -> Result<Guest> {
    let arch = options.machine.machine().arch();
    setup::ensure_qemu(arch)?;
    let (name, arguments) = options
        .command
        .split_first()
        .context("no program was named")?;
    let name = Path::new(name);
    let (path, program) = match &options.root {
        Some(dir) => {
            let tree = rootfs::folder(dir)?;
            let path = rootfs::find_in(&tree, name).map_err(|_| NotFound(name.to_owned()))?;
            let environment = Vec::new();
            (path, Program { tree, environment })
        }
        None if arch == Arch::Aarch64 => foreign_program(name)?,
        None => {
            let found = host::find_command(name).ok_or_else(|| NotFound(name.to_owned()))?;
            let path = std::path::absolute(found)?;
            ensure_is_for(arch, &path)?;
            let program = rootfs::program(&path, &setup::ensure_busybox()?)?;
            (path, program)
        }
    };
    let mut program = program;
    for file in &options.file {
        program
            .add(&file.guest, &file.host)
            .with_context(|| format!("packing {}", file.host.display()))?;
    }
    if options.root.is_none() && arch == Arch::Aarch64 {
        ensure_is_complete(&path, &program.tree)?;
    }
    ensure!(
        program.tree.exists(&options.directory),
        "--directory {} is not in the guest's root",
        options.directory.display()
    );
    let mut guest = guest(&options.machine)?
        .tree(program.tree)
        .program(path)
        .name(name)
        .args(arguments)
        .directory(&options.directory);
    for (name, value) in &program.environment {
        guest = guest.env(name, value);
    }
    for variable in &options.env {
        if let Some(value) = &variable.value {
            guest = guest.env(&variable.name, value);
        }
    }
    Ok(guest)
}

/// A program for a processor that is not the host's, and where it is in the
/// guest: a file of the host that is for that processor, or one of the shell's.
fn foreign_program(name: &Path) -> Result<(PathBuf, Program)> {
    let tree = shell_tree(Arch::Aarch64)?;
    let on_host = host::find_command(name).map(std::path::absolute);
    let on_host = on_host.transpose()?;
    let is_ours = |path: &PathBuf| elf_needs::arch_of(path) == Some(Arch::Aarch64);
    if let Some(path) = on_host.clone().filter(is_ours) {
        let program = rootfs::foreign_program(&path, tree)?;
        return Ok((path, program));
    }
    if let Ok(path) = rootfs::find_in(&tree, name) {
        let environment = Vec::new();
        return Ok((path, Program { tree, environment }));
    }
    let path = on_host.ok_or_else(|| NotFound(name.to_owned()))?;
    ensure_is_for(Arch::Aarch64, &path)?;
    bail!(
        "{} is no program for {}, nor one of the shell's commands there; with --root a folder is \
         the guest's root, with whatever it needs",
        path.display(),
        Arch::Aarch64.name()
    )
}

/// Refuses a program for the other processor.
fn ensure_is_for(arch: Arch, path: &Path) -> Result<()> {
    if let Some(its) = elf_needs::arch_of(path).filter(|its| *its != arch) {
        bail!(
            "{} is a program for {}, which needs --arch {}",
            path.display(),
            its.name(),
            its.name()
        );
    }
    Ok(())
}

/// Refuses a program of the host whose dynamic linker is not packed: the
/// host's own libraries are for another processor.
fn ensure_is_complete(path: &Path, tree: &Tree) -> Result<()> {
    let Some(Node::File(Content::Host(file))) = tree.get(path).map(|entry| &entry.node) else {
        return Ok(());
    };
    if let Some(linker) = elf_needs::dynamic_linker(file)? {
        ensure!(
            tree.exists(&linker),
            "{} needs {} and libraries, which this host has not for {}: link it statically, or \
             give a folder that has all of them as --root",
            path.display(),
            linker.display(),
            Arch::Aarch64.name()
        );
    }
    Ok(())
}

/// The shell's root for an architecture.
fn shell_tree(arch: Arch) -> Result<Tree> {
    match arch {
        Arch::X86_64 => rootfs::shell(&setup::ensure_busybox()?),
        Arch::Aarch64 => {
            rootfs::foreign_shell(&setup::ensure_busybox_of(arch)?, &setup::ensure_busybox()?)
        }
    }
}

/// What every guest of ours has.
fn guest(options: &MachineOptions) -> Result<Guest> {
    // What cannot be shown is said before anything is built.
    let frontend = match options.display {
        None => None,
        Some(display) => {
            let qemu = setup::ensure_qemu(options.machine().arch())?;
            let frontend = display.choose(&qemu)?;
            ensure!(
                options.machine().starts_in_window() || !frontend.is_window(),
                "QEMU cannot start the machine {} in a window (its firmware stops); q35 has one, \
                 and with --display=vnc a VNC viewer shows a microvm's screen",
                options.machine().name()
            );
            Some(frontend)
        }
    };
    let guest = Guest::with_kernel(kernel_build::build_for(options.machine().arch(), &[])?)
        .machine(options.machine())
        .memory(options.memory)
        .processors(options.smp)
        .stdin_ours()
        .own_group()
        .env("PATH", GUEST_PATH)
        .env("HOME", "/root")
        .env("USER", "root")
        .env("LOGNAME", "root");
    let guest = match options.timeout {
        Some(timeout) => guest.timeout(timeout),
        None => guest,
    };
    let guest = if options.symbols || frontend.is_some() {
        guest.symbols()
    } else {
        guest
    };
    let Some(frontend) = frontend else {
        return Ok(guest);
    };
    report::say(frontend.hint());
    let guest = guest
        .screen(Screen::Shown(frontend))
        .console_on_screen()
        .stdin("")
        .env("TERM", "linux");
    Ok(match &options.keyboard {
        Some(layout) => guest.words(format!("ochre.keyboard={layout}")),
        None => guest,
    })
}

/// Whether a person is at this terminal, and the guest is to be there too.
fn is_interactive(options: &MachineOptions) -> bool {
    options.display.is_none() && terminal::is_interactive()
}

/// Runs the guest on our own standard input, output and error; its log goes
/// where `through` makes it go of where it would go.
fn run(
    mut guest: Guest,
    options: &MachineOptions,
    through: impl FnOnce(Sink) -> Sink,
) -> Result<ExitCode> {
    let interactive = is_interactive(options);
    if interactive {
        let (rows, columns) = terminal::window_size().unwrap_or((24, 80));
        let kind = env::var_os("TERM").unwrap_or_else(|| "vt100".into());
        guest = guest.console(rows, columns).env("TERM", kind);
    }
    let arch = options.machine().arch();
    if !guest.has_debugger() {
        guest = guest.when_silent(silence::PATIENCE, move || {
            let said = silence::lasting(arch, interactive);
            let _ = writeln!(shown_on_stderr(), "ochre: {said}");
        });
    }
    let log_path = paths::new_log()?;
    let log = File::create(&log_path)
        .with_context(|| format!("making the log {}", log_path.display()))?;
    let log: Sink = if options.verbose {
        Box::new(Both(log, shown_on_stderr()))
    } else {
        Box::new(log)
    };
    let guest = guest
        .stdout_to(Box::new(BufWriter::with_capacity(64 << 10, io::stdout())))
        .stderr_to(Box::new(io::stderr()))
        .log_to(through(log));
    let raw = interactive.then(RawMode::enter).transpose()?;
    let outcome = guest.start().and_then(|running| {
        pass_on_signals(&running)?;
        running.wait()
    });
    drop(raw);
    let outcome = outcome?;
    let log = std::fs::read(&log_path).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    if options.display.is_some()
        && outcome.end == End::Qemu(QemuExit::PoweredOff)
        && outcome.status.is_none()
        && !log.is_empty()
        && last_words(&log).is_none()
    {
        // The window was closed, or the machine was told to go.
        return Ok(ExitCode::SUCCESS);
    }
    explain(&outcome, &log, &log_path, interactive, options);
    Ok(ExitCode::from(outcome.exit_code()))
}

fn pass_on_signals(running: &Running) -> Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM])?;
    let events = running.events();
    thread::spawn(move || {
        for signal in signals.forever() {
            if events.send(Event::Signal(signal)).is_err() {
                break;
            }
        }
    });
    Ok(())
}

/// The line of a log at which the kernel begins to say why it dies, if it does.
fn last_words(log: &str) -> Option<usize> {
    let lines: Vec<&str> = log.lines().collect();
    lines
        .iter()
        .rposition(|line| line.starts_with("kernel panic") || line.starts_with("kernel fault"))
}

/// Says why a machine left no status.
fn explain(
    outcome: &Outcome,
    log: &str,
    log_path: &Path,
    interactive: bool,
    options: &MachineOptions,
) {
    match outcome.end {
        End::Qemu(_) if outcome.status.is_some() => return,
        End::Qemu(_) => {}
        End::Left if interactive => {
            // The cursor is wherever the guest left it.
            let _ = writeln!(io::stderr());
            return;
        }
        End::TimedOut => {
            report::say("the time was up");
            return;
        }
        End::Left | End::OutputGone | End::Signal(_) => return,
    }
    let lines: Vec<&str> = log.lines().collect();
    let from = last_words(log).unwrap_or(lines.len().saturating_sub(TAIL_LINES));
    let until = lines.len().min(from + REPORT_LINES);
    let tail = lines[from..until].join("\n");
    // The code that QEMU ends with when it fails is also the kernel's for an end
    // in order; a kernel says something first.
    let is_qemus = log.is_empty() && !outcome.qemu_errors.trim().is_empty();
    if is_qemus && matches!(outcome.end, End::Qemu(QemuExit::Ordered)) {
        let mut text = format!("QEMU did not start: {}", outcome.qemu_errors.trim_end());
        if let Some(display) = options.display {
            text.push('\n');
            text.push_str(&display.trouble());
        }
        report::say(text);
        return;
    }
    let mut text = format!("the machine gave no exit status: {}\n", outcome.end);
    if !outcome.qemu_errors.trim().is_empty() {
        text.push_str(outcome.qemu_errors.trim_end());
        text.push('\n');
    }
    if tail.trim().is_empty() {
        text.push_str("The kernel's log is empty.");
        if outcome.first_output.is_none() && outcome.end == End::Qemu(QemuExit::PoweredOff) {
            text.push('\n');
            text.push_str(&silence::ended(options.machine().arch()));
        }
    } else {
        text.push_str(&format!(
            "From the kernel's log (all of it: {}):\n{tail}",
            log_path.display()
        ));
    }
    report::say(text);
}

/// Writes everything to two places; the second may fail.
struct Both(File, Sink);

impl Write for Both {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.1.write_all(bytes);
        self.0.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.1.flush();
        self.0.flush()
    }
}
