//! A guest to run: what it is made of, and what came of it.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! use ochre_tool::{Guest, rootfs, setup};
//!
//! let outcome = Guest::new()?
//!     .tree(rootfs::shell(&setup::ensure_busybox()?)?)
//!     .program("/bin/sh")
//!     .args(["-c", "cat; exit 7"])
//!     .stdin("hello\n")
//!     .run()?;
//! assert_eq!(outcome.status, Some(7));
//! assert_eq!(outcome.stdout, b"hello\n");
//! # Ok(())
//! # }
//! ```

mod limit;
mod running;
mod silence;

use core::{fmt, time::Duration};
use std::{
    ffi::{OsStr, OsString},
    io::Cursor,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

pub use self::running::{End, Outcome, Running};
use self::{limit::Limit, running::Outputs, silence::Silence};
use crate::{
    arch::Arch,
    bridge::{Form, Sink},
    cmdline::CommandLine,
    cpio, kernel_build,
    machine::{Accelerator, EXIT_PORT, Hardware, Machine, STATUS_PORT, Screen},
    qemu::{self, Emulator, Start},
    rootfs,
    size::Size,
    symbols,
    tree::Tree,
};

/// How much memory a guest has unless told otherwise.
pub const DEFAULT_MEMORY: Size = Size::from_mib(512);

/// Where the kernel finds the names of its functions.
pub const SYMBOLS_PATH: &str = "/boot/ochre.symbols";

/// A guest to run.
pub struct Guest {
    kernel: PathBuf,
    foreign_command_line: Option<String>,
    hardware: Hardware,
    device_tree: Option<PathBuf>,
    root: Root,
    program: Option<OsString>,
    arguments: Vec<OsString>,
    environment: Vec<OsString>,
    directory: Option<PathBuf>,
    extra_words: Vec<String>,
    log_level: Option<&'static str>,
    console: Option<Console>,
    protect_init: bool,
    debugger: Option<PathBuf>,
    plugin: Option<OsString>,
    symbols: bool,
    own_group: bool,
    audited: bool,
    control: bool,
    stdin: Stdin,
    limit: Option<Limit>,
    silence: Option<Silence>,
    stdout: Output,
    stderr: Output,
    log: Output,
}

enum Root {
    None,
    Tree(Tree),
    Archive(PathBuf),
}

#[derive(Clone, Copy)]
enum Console {
    Serial { rows: u16, columns: u16 },
    Screen,
}

enum Stdin {
    /// Whoever has the [`Running`] sends it.
    Later,
    Bytes(Vec<u8>),
    /// Our own.
    Ours,
}

enum Output {
    Capture,
    To(Sink),
}

impl fmt::Debug for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guest")
            .field("kernel", &self.kernel)
            .field("hardware", &self.hardware)
            .field("program", &self.program)
            .field("arguments", &self.arguments)
            .finish_non_exhaustive()
    }
}

impl Guest {
    /// A guest with the current sources' kernel, built if need be.
    ///
    /// # Errors
    /// If the kernel does not build.
    pub fn new() -> Result<Self> {
        Ok(Self::with_kernel(kernel_build::build(&[])?))
    }

    /// A guest with this kernel of ours.
    pub fn with_kernel(kernel: impl Into<PathBuf>) -> Self {
        Self {
            kernel: kernel.into(),
            foreign_command_line: None,
            hardware: Hardware {
                machine: Machine::default(),
                accelerator: Accelerator::best(),
                memory: DEFAULT_MEMORY,
                processors: 1,
                model: None,
                properties: None,
                screen: Screen::None,
            },
            device_tree: None,
            root: Root::None,
            program: None,
            arguments: Vec::new(),
            environment: Vec::new(),
            directory: None,
            extra_words: Vec::new(),
            log_level: None,
            console: None,
            protect_init: false,
            debugger: None,
            plugin: None,
            symbols: false,
            own_group: false,
            audited: false,
            control: false,
            stdin: Stdin::Bytes(Vec::new()),
            limit: None,
            silence: None,
            stdout: Output::Capture,
            stderr: Output::Capture,
            log: Output::Capture,
        }
    }

    /// A guest with a kernel that is not ours (a Linux bzImage) and that
    /// kernel's own command line. Input and output go over the first serial
    /// line byte for byte; [`Guest::program`] and its like mean nothing to it.
    pub fn with_foreign_kernel(kernel: impl Into<PathBuf>, command_line: &str) -> Self {
        let mut guest = Self::with_kernel(kernel);
        guest.foreign_command_line = Some(command_line.to_owned());
        guest
    }

    /// Its kernel.
    pub fn kernel(&self) -> &Path {
        &self.kernel
    }

    /// The kind of machine.
    pub fn machine(mut self, machine: Machine) -> Self {
        self.hardware.machine = machine;
        self
    }

    /// The memory.
    pub fn memory(mut self, memory: Size) -> Self {
        self.hardware.memory = memory;
        self
    }

    /// The number of processors.
    pub fn processors(mut self, processors: u32) -> Self {
        self.hardware.processors = processors;
        self
    }

    /// Another model of processor than the usual one, by QEMU's name.
    pub fn processor_model(mut self, model: &'static str) -> Self {
        self.hardware.model = Some(model);
        self
    }

    /// More properties of the machine, as QEMU's `-M` has them.
    pub fn machine_properties(mut self, properties: &'static str) -> Self {
        self.hardware.properties = Some(properties);
        self
    }

    /// Gives the machine a screen and a keyboard. A hidden one is used over
    /// [`Running::control`].
    pub fn screen(mut self, screen: Screen) -> Self {
        self.hardware.screen = screen;
        self.control |= screen == Screen::Hidden;
        self
    }

    /// Gives us QEMU's control line, as [`Running::control`].
    pub fn controlled(mut self) -> Self {
        self.control = true;
        self
    }

    /// The device tree, in place of the machine's own (AArch64). QEMU still
    /// writes into it how much memory there is, and what to boot.
    pub fn device_tree(mut self, path: impl Into<PathBuf>) -> Self {
        self.device_tree = Some(path.into());
        self
    }

    /// What executes the guest's instructions.
    pub fn accelerator(mut self, accelerator: Accelerator) -> Self {
        self.hardware.accelerator = accelerator;
        self
    }

    /// Counts time in instructions, so that equal runs are equal to the
    /// instruction.
    pub fn counted(self) -> Self {
        self.accelerator(Accelerator::Counted)
    }

    /// The root file system.
    pub fn tree(mut self, tree: Tree) -> Self {
        self.root = Root::Tree(tree);
        self
    }

    /// The root file system as it was given, if it was as a tree.
    pub fn tree_now(&self) -> Option<&Tree> {
        match &self.root {
            Root::Tree(tree) => Some(tree),
            Root::None | Root::Archive(_) => None,
        }
    }

    /// The root file system as an archive that is written already.
    pub fn archive(mut self, path: impl Into<PathBuf>) -> Self {
        self.root = Root::Archive(path.into());
        self
    }

    /// The root file system: a folder of the host.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn folder(self, dir: &Path) -> Result<Self> {
        Ok(self.tree(rootfs::folder(dir)?))
    }

    /// The program that is process 1: its path in the guest, which is its
    /// first argument too unless [`Guest::name`] says otherwise.
    pub fn program(mut self, path: impl Into<OsString>) -> Self {
        let path = path.into();
        if self.arguments.is_empty() {
            self.arguments.push(path.clone());
        }
        self.program = Some(path);
        self
    }

    /// The program's argument number zero.
    pub fn name(mut self, name: impl Into<OsString>) -> Self {
        let name = name.into();
        match self.arguments.first_mut() {
            Some(first) => *first = name,
            None => self.arguments.push(name),
        }
        self
    }

    /// One more argument.
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// More arguments.
    pub fn args<S: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// An environment variable.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        let mut variable = name.as_ref().to_owned();
        variable.push("=");
        variable.push(value);
        self.environment.push(variable);
        self
    }

    /// The directory that the program starts in.
    pub fn directory(mut self, path: impl Into<PathBuf>) -> Self {
        self.directory = Some(path.into());
        self
    }

    /// More words for the kernel's command line, as they are.
    pub fn words(mut self, words: impl Into<String>) -> Self {
        self.extra_words.push(words.into());
        self
    }

    /// How much the kernel logs: `error`, `warn`, `info`, `debug`, `trace`.
    pub fn log_level(mut self, level: &'static str) -> Self {
        self.log_level = Some(level);
        self
    }

    /// Gives the guest a terminal of this size instead of three pipes.
    pub fn console(mut self, rows: u16, columns: u16) -> Self {
        self.console = Some(Console::Serial { rows, columns });
        self
    }

    /// Gives the guest its screen for a terminal (with [`Guest::screen`])
    /// instead of three pipes. The first serial line is another terminal.
    pub fn console_on_screen(mut self) -> Self {
        self.console = Some(Console::Screen);
        self
    }

    /// Protects process 1 from signals, as Linux does with `init`.
    pub fn protect_init(mut self) -> Self {
        self.protect_init = true;
        self
    }

    /// Waits at this socket for a debugger that speaks gdb's remote protocol,
    /// before the first instruction.
    pub fn debugger(mut self, socket: impl Into<PathBuf>) -> Self {
        self.debugger = Some(socket.into());
        // The debugger's symbols are for where the kernel is linked.
        self.words("nokaslr")
    }

    /// Whether a debugger says when the guest runs.
    pub fn has_debugger(&self) -> bool {
        self.debugger.is_some()
    }

    /// Loads a plugin into QEMU, which has to translate for it: its file, and
    /// its arguments as `-plugin` has them (`out=FILE`).
    pub fn plugin(mut self, file: &Path, arguments: &[String]) -> Self {
        let mut value = OsString::from("file=");
        value.push(file);
        for argument in arguments {
            value.push(",");
            value.push(argument);
        }
        self.plugin = Some(value);
        self.accelerator(Accelerator::Tcg)
    }

    /// Gives the kernel the names of its functions, for its own reports, where
    /// nobody reads them through us. The root has to be a tree.
    pub fn symbols(mut self) -> Self {
        self.symbols = true;
        self.words(format!("ochre.symbols={SYMBOLS_PATH}"))
    }

    /// Keeps the terminal's signals (Ctrl-C) from QEMU. Whoever asks for this
    /// has to pass them on, as [`crate::bridge::Event::Signal`].
    pub fn own_group(mut self) -> Self {
        self.own_group = true;
        self
    }

    /// Has the kernel count at its end what programs took and did not give back,
    /// which is an error then. What the log is passed on to may look for itself.
    pub fn audited(mut self) -> Self {
        self.audited = true;
        self.words("ochre.audit")
    }

    /// Standard input: these bytes, then the end.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Stdin::Bytes(bytes.into());
        self
    }

    /// Standard input: what is sent with [`Running::send`].
    pub fn stdin_later(mut self) -> Self {
        self.stdin = Stdin::Later;
        self
    }

    /// Standard input: our own; with [`Guest::console`], the terminal's keys.
    pub fn stdin_ours(mut self) -> Self {
        self.stdin = Stdin::Ours;
        self
    }

    /// The longest that it may run, by the clock.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.limit = Some(Limit::of_clock(timeout));
        self
    }

    /// The longest that it may run, without the time that the machine waits
    /// for a processor of a busy host: for tests, to which a longer run means
    /// that the guest hangs. Where the host does not tell, or after four times
    /// as much again, the clock decides.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.limit = Some(Limit::of_turns(patience));
        self
    }

    /// Has this told once, while the end is waited for, if nothing at all came of
    /// the guest for so long: on its output, its errors or its log. As with
    /// [`Guest::patience`], time that it waits for a processor does not count.
    pub fn when_silent(mut self, after: Duration, tell: impl FnOnce() + Send + 'static) -> Self {
        self.silence = Some(Silence::new(after, tell));
        self
    }

    /// Passes standard output on instead of keeping it.
    pub fn stdout_to(mut self, sink: Sink) -> Self {
        self.stdout = Output::To(sink);
        self
    }

    /// Passes standard error on instead of keeping it.
    pub fn stderr_to(mut self, sink: Sink) -> Self {
        self.stderr = Output::To(sink);
        self
    }

    /// Passes the kernel's log on instead of keeping it.
    pub fn log_to(mut self, sink: Sink) -> Self {
        self.log = Output::To(sink);
        self
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// If it cannot be started. A guest that fails is an [`Outcome`].
    pub fn run(self) -> Result<Outcome> {
        self.start()?.wait()
    }

    /// Starts it. The thread that calls this must live until the guest ends:
    /// the host's kernel ends QEMU with it.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(mut self) -> Result<Running> {
        let command_line = self.command_line()?;
        if self.symbols {
            let Root::Tree(tree) = &mut self.root else {
                bail!("the kernel's names need a root that is still to be packed");
            };
            tree.file(SYMBOLS_PATH, 0o400, symbols::table(&self.kernel)?)?;
        }
        let dir = qemu::run_dir()?;
        let initrd = match &self.root {
            Root::None => None,
            Root::Archive(path) => Some(path.clone()),
            Root::Tree(tree) => {
                let path = dir.path().join("root.cpio");
                cpio::write_file(tree, &path).context("packing the guest's root")?;
                Some(path)
            }
        };
        let ours = self.foreign_command_line.is_none();
        let raw_image = self.kernel.with_extension("img");
        let is_raw = ours && self.hardware.machine.arch() == Arch::Aarch64;
        let kernel = if is_raw { &raw_image } else { &self.kernel };
        let escaped = ours && self.console.is_none();
        let (emulator, sockets) = Emulator::start(Start {
            hardware: self.hardware,
            kernel,
            initrd: initrd.as_deref(),
            device_tree: self.device_tree.as_deref(),
            command_line: command_line.as_str(),
            second_serial: escaped,
            control: self.control,
            debugger: self.debugger.as_deref(),
            plugin: self.plugin.as_deref(),
            own_group: self.own_group,
            dir,
        })?;
        let form = if escaped { Form::Escaped } else { Form::Plain };
        let outputs = Outputs {
            stdout: self.stdout,
            stderr: self.stderr,
            is_audited: self.audited && matches!(self.log, Output::Capture),
            log: self.log,
            names_from: ours.then(|| self.kernel.clone()),
            silence: self.silence,
        };
        let mut running = Running::new(emulator, sockets, form, self.limit, outputs)?;
        match self.stdin {
            Stdin::Later => {}
            Stdin::Bytes(bytes) => running.feed(Cursor::new(bytes)),
            Stdin::Ours if self.console.is_some() => running.feed_keys(std::io::stdin()),
            Stdin::Ours => running.feed(std::io::stdin()),
        }
        Ok(running)
    }

    fn command_line(&self) -> Result<CommandLine> {
        let mut line = CommandLine::new();
        if let Some(foreign) = &self.foreign_command_line {
            line.raw(foreign);
            return Ok(line);
        }
        line.word("ochre.log", self.hardware.machine.log_port())?;
        line.word("ochre.status", STATUS_PORT)?;
        // AArch64 ends by its firmware.
        if self.hardware.machine.arch() == Arch::X86_64 {
            line.word("ochre.exit", EXIT_PORT)?;
        }
        // Who sees the screen is to see why the kernel died.
        if let Screen::Shown(_) = self.hardware.screen {
            line.word("ochre.panic", "stay")?;
        }
        line.word("ochre.hostname", rootfs::HOSTNAME)?;
        match self.console {
            Some(Console::Serial { rows, columns }) => {
                line.word("ochre.stdio", "console")?;
                line.word("ochre.winsize", format!("{rows}x{columns}"))?;
            }
            Some(Console::Screen) => {
                line.word("ochre.stdio", "console")?;
                line.word("ochre.console", "screen")?;
            }
            None => line.word("ochre.stdio", "pipe")?,
        }
        if let Some(level) = self.log_level {
            line.word("ochre.loglevel", level)?;
        }
        if self.protect_init {
            line.word("ochre.mode", "system")?;
        }
        if let Some(program) = &self.program {
            line.word("init", program)?;
        }
        for argument in &self.arguments {
            line.word("ochre.arg", argument)?;
        }
        for variable in &self.environment {
            line.word("ochre.env", variable)?;
        }
        if let Some(directory) = &self.directory {
            line.word("ochre.cwd", directory)?;
        }
        for words in &self.extra_words {
            line.raw(words);
        }
        Ok(line)
    }
}

#[cfg(test)]
mod tests {
    use super::Guest;

    #[test]
    fn the_kernel_is_told_everything() {
        let guest = Guest::with_kernel("/k")
            .program("/bin/sh")
            .name("-sh")
            .arg("a b")
            .env("A", "1 2")
            .directory("/root")
            .words("quiet");
        assert_eq!(
            guest.command_line().unwrap().as_str(),
            "ochre.log=0x402 ochre.status=0x403 ochre.exit=0xf4 ochre.hostname=ochre \
             ochre.stdio=pipe init=/bin/sh ochre.arg=-sh ochre.arg=a%20b ochre.env=A=1%202 \
             ochre.cwd=/root quiet"
        );
        let guest = Guest::with_kernel("/k").console(24, 80).protect_init();
        let line = guest.command_line().unwrap();
        assert!(
            line.as_str()
                .contains("ochre.stdio=console ochre.winsize=24x80")
        );
        assert!(line.as_str().contains("ochre.mode=system"));
        let guest = Guest::with_kernel("/k").console_on_screen();
        let line = guest.command_line().unwrap();
        assert!(
            line.as_str()
                .contains("ochre.stdio=console ochre.console=screen")
        );
        let guest = Guest::with_foreign_kernel("/k", "console=ttyS0").program("/x");
        assert_eq!(guest.command_line().unwrap().as_str(), "console=ttyS0");
    }
}
