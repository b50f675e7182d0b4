//! A guest that runs, and the outcome it has in the end.

use core::{fmt, time::Duration};
use std::{
    io::{self, Read},
    path::PathBuf,
    sync::{
        Arc, OnceLock,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    time::Instant,
};

use anyhow::{Context as _, Result, anyhow, bail};

use super::{Output, limit::Limit, silence::Silence};
use crate::{
    bridge::{self, Capture, Event, Form, Input, Sink, Source},
    machine::Machine,
    qemu::{Emulator, Sockets},
    qmp::{Picture, Qmp},
    status::{self, QemuExit},
    symbols::NamingSink,
};

/// How long the last output may take once QEMU was killed: its reader may be
/// asleep.
const DRAIN: Duration = Duration::from_secs(2);

/// What begins the kernel's line about what was not given back.
const AUDIT: &str = "audit: ";

/// A guest that runs. Dropping it ends it.
#[derive(Debug)]
pub struct Running {
    emulator: Emulator,
    input: Option<Input>,
    events: Receiver<Event>,
    sender: Sender<Event>,
    control: Option<Qmp>,
    open: Vec<Source>,
    started: Instant,
    limit: Option<Limit>,
    silence: Option<Silence>,
    first_output: Arc<OnceLock<Instant>>,
    stdout: Capture,
    stderr: Capture,
    log: Capture,
    qemu_errors: Capture,
    is_audited: bool,
}

/// Where the output of a guest goes.
pub(super) struct Outputs {
    pub(super) stdout: Output,
    pub(super) stderr: Output,
    pub(super) log: Output,
    /// Whether the log has to say that all was given back.
    pub(super) is_audited: bool,
    /// The kernel whose addresses in the log get names.
    pub(super) names_from: Option<PathBuf>,
    /// What is told where none of them has anything for a while.
    pub(super) silence: Option<Silence>,
}

/// What came of a guest.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The status of process 1 (128+n if signal n killed it), if the machine
    /// ended in order.
    pub status: Option<u8>,
    /// Why it ended.
    pub end: End,
    /// What it wrote to standard output, or to its terminal; empty if that
    /// was passed on.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error; empty if that was passed on.
    pub stderr: Vec<u8>,
    /// The kernel's log; empty if that was passed on.
    pub log: String,
    /// What QEMU itself had to say.
    pub qemu_errors: String,
    /// How long it ran, from just after QEMU's start.
    pub elapsed: Duration,
    /// When the first byte of standard output came, from the same moment.
    pub first_output: Option<Duration>,
}

/// Why a guest ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By itself.
    Qemu(QemuExit),
    /// Its time was up.
    TimedOut,
    /// The person at the terminal left it.
    Left,
    /// Nobody was there any more to read its standard output.
    OutputGone,
    /// We were sent this signal.
    Signal(i32),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Qemu(exit) => exit.fmt(f),
            Self::TimedOut => f.write_str("its time was up"),
            Self::Left => f.write_str("it was left"),
            Self::OutputGone => f.write_str("its standard output was closed"),
            Self::Signal(signal) => write!(f, "signal {signal} came"),
        }
    }
}

impl Outcome {
    /// The exit code for a command that ran the guest.
    pub fn exit_code(&self) -> u8 {
        let of_signal = |signal: i32| u8::try_from(signal.saturating_add(128)).unwrap_or(255);
        match (self.end, self.status) {
            (End::Qemu(_), Some(status)) => status,
            (End::Qemu(_), None) => status::NO_STATUS,
            (End::TimedOut, _) => status::TIMED_OUT,
            (End::Left, _) => 0,
            // What a program that writes to a closed pipe dies of: SIGPIPE.
            (End::OutputGone, _) => of_signal(13),
            (End::Signal(signal), _) => of_signal(signal),
        }
    }

    /// Whether the kernel found at its end that all was given back, if it came
    /// to an end in order.
    fn check_audit(&self) -> Result<()> {
        if self.status.is_none() {
            return Ok(());
        }
        let said = self.log.lines().find_map(|line| line.strip_prefix(AUDIT));
        match said {
            Some("all is given back" | "left out") => Ok(()),
            Some(more) => bail!("at its end the guest still had {more}"),
            None => bail!("nothing says what the guest had at its end:\n{}", self.log),
        }
    }

    /// The last lines of the log.
    pub fn log_tail(&self, lines: usize) -> String {
        let all: Vec<&str> = self.log.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}

impl Running {
    pub(super) fn new(
        emulator: Emulator,
        sockets: Sockets,
        form: Form,
        limit: Option<Limit>,
        outputs: Outputs,
    ) -> Result<Self> {
        let (sender, events) = mpsc::channel();
        let started = Instant::now();
        let mut running = Self {
            emulator,
            input: Some(Input::new(sockets.com1.try_clone()?, form)),
            events,
            sender,
            control: sockets.control.map(Qmp::new).transpose()?,
            open: Vec::new(),
            started,
            limit,
            silence: outputs.silence,
            first_output: Arc::default(),
            stdout: Capture::default(),
            stderr: Capture::default(),
            log: Capture::default(),
            qemu_errors: Capture::default(),
            is_audited: outputs.is_audited,
        };
        let first = Arc::clone(&running.first_output);
        running.ends_silence(&first);
        let sink = outputs.stdout.sink(&running.stdout);
        running.pump(Source::Stdout, sockets.com1, sink, first);
        if let Some(com2) = sockets.com2 {
            let sink = outputs.stderr.sink(&running.stderr);
            let first = Arc::default();
            running.ends_silence(&first);
            running.pump(Source::Stderr, com2, sink, first);
        }
        let mut sink = outputs.log.sink(&running.log);
        if let Some(kernel) = outputs.names_from {
            sink = Box::new(NamingSink::new(&kernel, sink));
        }
        let first = Arc::default();
        running.ends_silence(&first);
        running.pump(Source::Log, sockets.log, sink, first);
        let sink = Box::new(running.qemu_errors.clone());
        running.pump(Source::Qemu, sockets.errors, sink, Arc::default());
        Ok(running)
    }

    fn pump(
        &mut self,
        source: Source,
        from: impl Read + Send + 'static,
        sink: Sink,
        first: Arc<OnceLock<Instant>>,
    ) {
        self.open.push(source);
        bridge::pump(source, from, sink, first, self.sender.clone());
    }

    /// Notes that a first byte there ends the silence.
    fn ends_silence(&mut self, first: &Arc<OnceLock<Instant>>) {
        if let Some(silence) = &mut self.silence {
            silence.ends_with(Arc::clone(first));
        }
    }

    /// Gives the input to a thread that sends everything from `from`.
    pub(super) fn feed(&mut self, from: impl Read + Send + 'static) {
        if let Some(input) = self.input.take() {
            bridge::feed(from, input);
        }
    }

    /// Gives the input to a thread that sends what is typed.
    pub(super) fn feed_keys(&mut self, from: impl Read + Send + 'static) {
        if let Some(input) = self.input.take() {
            bridge::feed_keys(from, input, self.sender.clone());
        }
    }

    /// Where things that happen outside can be told; for signals.
    pub fn events(&self) -> Sender<Event> {
        self.sender.clone()
    }

    /// The process id of QEMU.
    pub fn id(&self) -> u32 {
        self.emulator.id()
    }

    /// The kind of machine.
    pub fn machine(&self) -> Machine {
        self.emulator.machine()
    }

    /// Sends input to a guest that was started with `stdin_later`.
    ///
    /// # Errors
    /// If QEMU has ended, or the input comes from elsewhere.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        match &mut self.input {
            Some(input) => input.send(bytes.as_ref()),
            None => Err(io::Error::other("the guest's input comes from elsewhere")),
        }
    }

    /// QEMU's control line: keys and the monitor.
    ///
    /// # Errors
    /// If the guest was started without one.
    pub fn control(&mut self) -> Result<&mut Qmp> {
        self.control
            .as_mut()
            .context("the guest was started without a control line")
    }

    /// What is on the guest's screen now.
    ///
    /// # Errors
    /// If it has none.
    pub fn screendump(&mut self) -> Result<Picture> {
        let file = self.emulator.dir().join("screen.ppm");
        self.control()?.screendump(&file)
    }

    /// Says that no more input will come.
    ///
    /// # Errors
    /// If QEMU has ended, or the input comes from elsewhere.
    pub fn end_input(&mut self) -> io::Result<()> {
        match &mut self.input {
            Some(input) => input.end(),
            None => Err(io::Error::other("the guest's input comes from elsewhere")),
        }
    }

    /// Waits until `text` appears in what was written to standard output (or
    /// the terminal) since the last call; gives and forgets everything up to
    /// its end. Time that the machine waits for a processor of the host does
    /// not count, as with [`Guest::patience`](super::Guest::patience).
    ///
    /// # Errors
    /// If it does not appear in time. What was written is in the error.
    pub fn expect(&mut self, text: impl AsRef<[u8]>, timeout: Duration) -> Result<Vec<u8>> {
        let text = text.as_ref();
        // Much may come before it: each byte is looked at once.
        let mut from = 0;
        let find = |kept: &[u8]| {
            let fresh = kept.get(from..).unwrap_or_default();
            let at = fresh.windows(text.len()).position(|window| window == text);
            let end = at.map(|at| from + at + text.len());
            from = (kept.len() + 1).saturating_sub(text.len());
            end
        };
        let (started, waited) = (Instant::now(), self.emulator.waited());
        let more = || {
            let since = || self.emulator.waited().saturating_sub(waited);
            Limit::of_turns(timeout).left(started.elapsed(), since)
        };
        let Some(end) = self.stdout.wait_for(more, find) else {
            return Err(anyhow!(
                "waited {timeout:?} for {:?}; there came {:?}; the log says:\n{}",
                String::from_utf8_lossy(text),
                String::from_utf8_lossy(&self.stdout.take()),
                String::from_utf8_lossy(&self.log.take()),
            ));
        };
        Ok(self.stdout.take_first(end))
    }

    /// Ends the machine without asking the guest.
    pub fn kill(&mut self) {
        self.emulator.kill();
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// If waiting itself fails, or a guest that is audited did not give back what
    /// it took.
    pub fn wait(mut self) -> Result<Outcome> {
        let end = self.wait_for_end();
        let elapsed = self.started.elapsed();
        let (exit, status) = self.emulator.wait()?;
        let outcome = Outcome {
            status: if end.is_none() { status } else { None },
            end: end.unwrap_or(End::Qemu(exit)),
            stdout: self.stdout.take(),
            stderr: self.stderr.take(),
            log: String::from_utf8_lossy(&self.log.take()).into_owned(),
            qemu_errors: String::from_utf8_lossy(&self.qemu_errors.take()).into_owned(),
            elapsed,
            first_output: self
                .first_output
                .get()
                .map(|first| first.saturating_duration_since(self.started)),
        };
        if self.is_audited {
            outcome.check_audit()?;
        }
        Ok(outcome)
    }

    /// How much of its time is left.
    fn left_of(&self, limit: Limit) -> Option<Duration> {
        limit.left(self.started.elapsed(), || self.emulator.waited())
    }

    /// How long until something is to be told of a guest that says nothing; tells
    /// it when it is time to.
    fn mind_silence(&mut self) -> Option<Duration> {
        let silence = self.silence.take()?;
        if silence.has_ended() {
            return None;
        }
        let Some(left) = self.left_of(silence.limit()) else {
            silence.tell();
            return None;
        };
        self.silence = Some(silence);
        Some(left)
    }

    /// Waits until all output has been passed on. If something else ended the
    /// guest, says what.
    fn wait_for_end(&mut self) -> Option<End> {
        let mut end = None;
        // When the last output has to be there, once it has ended.
        let mut deadline: Option<Instant> = None;
        while !self.open.is_empty() {
            let left = match (deadline, self.limit) {
                (None, None) => None,
                (None, Some(limit)) => Some(self.left_of(limit).unwrap_or_default()),
                (Some(deadline), _) => Some(deadline.saturating_duration_since(Instant::now())),
            };
            let silent = if end.is_none() {
                self.mind_silence()
            } else {
                None
            };
            let left = left.into_iter().chain(silent).min();
            let event = match left {
                None => self
                    .events
                    .recv()
                    .map_err(|_| RecvTimeoutError::Disconnected),
                Some(left) => self.events.recv_timeout(left),
            };
            let cause = match event {
                Ok(Event::Closed(source)) => {
                    self.open.retain(|&open| open != source);
                    continue;
                }
                Ok(Event::OutputGone) => End::OutputGone,
                Ok(Event::Leave) => End::Left,
                Ok(Event::Signal(signal)) => End::Signal(signal),
                Err(RecvTimeoutError::Timeout) if end.is_none() => match self.limit {
                    Some(limit) if self.left_of(limit).is_none() => End::TimedOut,
                    // It was the silence's.
                    _ => continue,
                },
                // The last output does not go anywhere.
                Err(_) => break,
            };
            if end.is_none() {
                end = Some(cause);
                self.emulator.kill();
                deadline = Some(Instant::now() + DRAIN);
            }
        }
        end
    }
}

impl Output {
    fn sink(self, capture: &Capture) -> Sink {
        match self {
            Self::Capture => Box::new(capture.clone()),
            Self::To(sink) => sink,
        }
    }
}
