//! Carries bytes between the guest's devices and the outside, one thread per direction.
//!
//! Output threads run until their device is closed, which is when QEMU ends;
//! each says so with an [`Event`], so that whoever waits for the guest knows
//! when everything written has arrived. The input thread may stay in a read
//! that nobody will end, so nobody waits for it.

use core::time::Duration;
use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    sync::{Arc, Condvar, Mutex, OnceLock, PoisonError, mpsc::Sender},
    thread,
    time::Instant,
};

use crate::{
    escape,
    terminal::{Key, Keys},
};

/// Something that happened to a running guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// All output of this source has been passed on.
    Closed(Source),
    /// The reader of the guest's standard output has gone.
    OutputGone,
    /// The person at the terminal wants to leave.
    Leave,
    /// We were sent this signal.
    Signal(i32),
}

/// Where output comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The terminal or standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// The kernel's log.
    Log,
    /// QEMU's own messages.
    Qemu,
}

/// Where output goes.
pub type Sink = Box<dyn Write + Send>;

/// Starts a thread that passes on everything from `from` to `sink`, at once.
/// The time of the first byte goes to `first`.
pub fn pump(
    source: Source,
    mut from: impl Read + Send + 'static,
    mut sink: Sink,
    first: Arc<OnceLock<Instant>>,
    events: Sender<Event>,
) {
    thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        let mut sink_works = true;
        loop {
            let bytes = match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(len) => &buffer[..len],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // QEMU ended without closing in order.
                Err(_) => break,
            };
            first.get_or_init(Instant::now);
            if sink_works && sink.write_all(bytes).and_then(|()| sink.flush()).is_err() {
                // Go on reading, so that the guest does not hang on its output.
                sink_works = false;
                if source == Source::Stdout {
                    let _ = events.send(Event::OutputGone);
                }
            }
        }
        // It may have kept something back.
        drop(sink);
        // If nobody waits any more, nobody needs to know.
        let _ = events.send(Event::Closed(source));
    });
}

/// The guest's input, from our side.
#[derive(Debug)]
pub struct Input {
    line: UnixStream,
    form: Form,
    /// What is to be sent, with its escapes.
    buffer: Vec<u8>,
}

/// How input is written on the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Byte for byte: a terminal, or a kernel that is not ours.
    Plain,
    /// With [`escape`]s, so that it can end.
    Escaped,
}

impl Input {
    /// Input over this line.
    pub fn new(line: UnixStream, form: Form) -> Self {
        Self {
            line,
            form,
            buffer: match form {
                Form::Plain => Vec::new(),
                Form::Escaped => escape::BEGINNING.to_vec(),
            },
        }
    }

    /// Sends bytes; waits while the guest does not read.
    ///
    /// # Errors
    /// If QEMU has ended.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.form {
            Form::Plain => self.line.write_all(bytes),
            Form::Escaped => {
                escape::encode(bytes, &mut self.buffer);
                self.flush()
            }
        }
    }

    /// Says that there will be no more input. A terminal has no such thing.
    ///
    /// # Errors
    /// If QEMU has ended.
    pub fn end(&mut self) -> io::Result<()> {
        match self.form {
            Form::Plain => Ok(()),
            Form::Escaped => {
                self.buffer.extend(escape::END_OF_INPUT);
                self.flush()
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        let sent = self.line.write_all(&self.buffer);
        self.buffer.clear();
        sent
    }
}

/// Starts a thread that sends everything from `from`, then the end.
pub fn feed(mut from: impl Read + Send + 'static, mut input: Input) {
    thread::spawn(move || {
        let mut buffer = vec![0; 16 << 10];
        loop {
            match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(len) => {
                    if input.send(&buffer[..len]).is_err() {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        // Fails only if QEMU has ended, and then it is not needed.
        let _ = input.end();
    });
}

/// Starts a thread that sends what is typed, minding the keys that are for us.
pub fn feed_keys(mut from: impl Read + Send + 'static, mut input: Input, events: Sender<Event>) {
    thread::spawn(move || {
        let mut keys = Keys::default();
        let mut buffer = vec![0; 4096];
        loop {
            let typed = match from.read(&mut buffer) {
                // The terminal has gone.
                Ok(0) => break,
                Ok(len) => &buffer[..len],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => break,
            };
            let mut for_guest = Vec::with_capacity(typed.len());
            let mut leave = false;
            for &byte in typed {
                match keys.typed(byte) {
                    Key::Guest(bytes) => for_guest.extend_from_slice(bytes.as_slice()),
                    Key::Leave => leave = true,
                }
            }
            if leave || input.send(&for_guest).is_err() {
                break;
            }
        }
        let _ = events.send(Event::Leave);
    });
}

/// Keeps what is written to it. Clones share what they keep.
#[derive(Clone, Debug, Default)]
pub struct Capture(Arc<(Mutex<Vec<u8>>, Condvar)>);

impl Capture {
    /// Takes everything out that was kept so far.
    pub fn take(&self) -> Vec<u8> {
        core::mem::take(&mut *self.0.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes out the first `len` bytes kept, or all if there are fewer.
    pub fn take_first(&self, len: usize) -> Vec<u8> {
        let mut kept = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let len = len.min(kept.len());
        let rest = kept.split_off(len);
        core::mem::replace(&mut *kept, rest)
    }

    /// Waits until `found` says something about what is kept, for as long as
    /// `more` grants more time.
    pub fn wait_for<T>(
        &self,
        more: impl Fn() -> Option<Duration>,
        mut found: impl FnMut(&[u8]) -> Option<T>,
    ) -> Option<T> {
        let mut kept = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(answer) = found(&kept) {
                return Some(answer);
            }
            let left = more()?;
            (kept, _) = self
                .0
                .1
                .wait_timeout(kept, left)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Write for Capture {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut kept = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(bytes);
        self.0.1.notify_all();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
