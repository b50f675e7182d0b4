//! A terminal device: line discipline, output queue, window, session.
//!
//! # Lock protocol
//! One lock around everything that changes. Queues are woken and signals sent
//! after it is given back; the process table may be locked by whoever calls
//! with it free, never under it.
//!
//! # Who moves bytes
//! Programs' writes go into the output queue and from there into the line at
//! once, as far as it takes them. The rest, and all input, is moved by
//! [`service`](Serviced::service), when the line interrupts or a program's
//! call asks for attention. A queue that is full holds its side back: the
//! program (EAGAIN), or the line (its interrupt is switched off).

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt::{self, Write as _};

use ochre_abi::Errno;
use ochre_abi::signal::Signal;
use ochre_abi::termios::{Termios, WindowSize, cc};
use ochre_hal::clock;
use ochre_sync::{SpinLock, SpinLockGuard};

use super::{LineDiscipline, Output, TerminalSignal};
use crate::device::{DeviceNumber, SerialLine, Service, Serviced};
use crate::process::Pid;
use crate::signal;
use crate::vfs::{Events, Sink, Source};
use crate::wait::{PollTable, WaitQueue};

/// Bytes of output queued at most.
const OUTPUT_SIZE: usize = 4096;

/// Bytes taken from the line in one round of service.
const ROUND: usize = 1024;

/// Bytes copied through the stack at a time.
const PIECE: usize = 256;

/// The unit of the `VTIME` control character.
const TENTH_NS: u64 = 100_000_000;

/// The generation of files that outlive hang-ups.
pub(super) const SURVIVOR: u64 = u64::MAX;

/// The wait that `VTIME` limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReadTimer {
    /// Nobody waits.
    Off,
    /// A read waits until then.
    Until(u64),
    /// A read waited long enough; it takes what is there.
    Over,
}

/// What came of some input.
#[derive(Clone, Copy, Debug, Default)]
struct Received {
    taken: usize,
    /// There is more to read than before.
    readable: bool,
    /// A signal was typed; it ends the input that is taken at a time.
    signal: Option<TerminalSignal>,
}

/// What a terminal's lock guards.
pub(super) struct State {
    pub(super) discipline: LineDiscipline,
    pub(super) output: Output,
    pub(super) line: Box<dyn SerialLine>,
    pub(super) window: WindowSize,
    /// Input and output speed, as programs set them; without effect.
    pub(super) speeds: (u32, u32),
    /// The session that this is the controlling terminal of.
    pub(super) session: Option<Pid>,
    /// The process group in the foreground.
    pub(super) foreground: Option<Pid>,
    /// Counts hang-ups: what was opened before one is dead.
    pub(super) generation: u64,
    /// Output was stopped by `tcflow`.
    pub(super) output_off: bool,
    /// Opened for exclusive use.
    pub(super) exclusive: bool,
    read_timer: ReadTimer,
}

impl State {
    /// Whether the terminal hung up since a file was opened in `generation`.
    pub(super) fn is_dead_for(&self, generation: u64) -> bool {
        self.generation != generation && generation != SURVIVOR
    }

    /// Moves output into the line, as far as it takes it.
    pub(super) fn transmit(&mut self) -> usize {
        if self.discipline.is_stopped() || self.output_off {
            return 0;
        }
        let mut sum = 0;
        while !self.output.queue().is_empty() {
            let count = self.line.write(self.output.queue().front());
            if count == 0 {
                break;
            }
            self.output.queue_mut().consume(count);
            sum += count;
        }
        sum
    }

    /// Takes bytes from `next` until it has none, `limit` came, one of them
    /// was for a signal, or no more are accepted.
    fn receive(
        &mut self,
        limit: usize,
        mut next: impl FnMut(&mut dyn SerialLine) -> Option<u8>,
    ) -> Received {
        let mut received = Received::default();
        while received.taken < limit && received.signal.is_none() && self.discipline.accepts() {
            let Some(byte) = next(&mut *self.line) else {
                break;
            };
            received.taken += 1;
            let effects = self.discipline.receive(byte, &mut self.output);
            received.readable |= effects.readable;
            received.signal = effects.signal;
        }
        if received.taken > 0
            && let ReadTimer::Until(_) = self.read_timer
        {
            // The time between two bytes runs anew.
            let (_, time_ns) = self.raw_limits();
            self.read_timer = ReadTimer::Until(clock::now_ns().saturating_add(time_ns));
        }
        received
    }

    /// Tells the line what is worth an interrupt now.
    pub(super) fn listen(&mut self) {
        let stopped = self.discipline.is_stopped() || self.output_off;
        let transmit = !stopped && !self.output.queue().is_empty();
        let receive = self.discipline.accepts();
        self.line.listen(receive, transmit);
    }

    /// `VMIN` and `VTIME`.
    fn raw_limits(&self) -> (usize, u64) {
        let characters = &self.discipline.termios().cc;
        (
            usize::from(characters[cc::VMIN]),
            u64::from(characters[cc::VTIME]) * TENTH_NS,
        )
    }

    /// Whether a raw read goes ahead; else it has to wait.
    fn raw_read_is_due(&mut self, sink: &Sink<'_>) -> bool {
        let want = sink.remaining();
        let there = self.discipline.readable_len();
        if there > 0 && sink.is_only_try() {
            return true;
        }
        let (minimum, time_ns) = self.raw_limits();
        let timer = core::mem::replace(&mut self.read_timer, ReadTimer::Off);
        let due = match (minimum, time_ns) {
            (0, 0) => true,
            (0, _) => there > 0 || timer == ReadTimer::Over,
            (_, 0) => there >= minimum.min(want),
            // The time runs from byte to byte, so not before the first.
            _ => there >= minimum.min(want) || (there > 0 && timer == ReadTimer::Over),
        };
        if !due && time_ns > 0 && (minimum == 0 || there > 0) {
            self.read_timer = match timer {
                ReadTimer::Until(by) => ReadTimer::Until(by),
                _ => ReadTimer::Until(clock::now_ns().saturating_add(time_ns)),
            };
        }
        due
    }
}

impl fmt::Write for State {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let termios = *self.discipline.termios();
        for byte in text.bytes() {
            let _ = self.output.put(&termios, byte);
        }
        Ok(())
    }
}

/// See the module.
pub struct Terminal {
    /// What stat(2) calls it.
    number: DeviceNumber,
    state: SpinLock<State>,
    /// Woken when there is more to read, or the terminal hung up.
    input: WaitQueue,
    /// Woken when there is room to write, or the terminal hung up.
    output: WaitQueue,
    /// Woken when a program's call leaves work for the service.
    attention: WaitQueue,
}

impl Terminal {
    /// A terminal over a line, known by a device number.
    #[must_use]
    pub fn new(
        line: Box<dyn SerialLine>,
        window: WindowSize,
        number: DeviceNumber,
    ) -> Arc<Terminal> {
        Arc::new(Terminal {
            number,
            state: SpinLock::new(State {
                discipline: LineDiscipline::new(Termios::initial()),
                output: Output::new(OUTPUT_SIZE),
                line,
                window,
                speeds: (115_200, 115_200),
                session: None,
                foreground: None,
                generation: 0,
                output_off: false,
                exclusive: false,
                read_timer: ReadTimer::Off,
            }),
            input: WaitQueue::new(),
            output: WaitQueue::new(),
            attention: WaitQueue::new(),
        })
    }

    /// What stat(2) calls it.
    #[must_use]
    pub fn number(&self) -> DeviceNumber {
        self.number
    }

    pub(super) fn lock(&self) -> SpinLockGuard<'_, State> {
        self.state.lock()
    }

    /// After a change that may let bytes go on: both directions look again.
    pub(super) fn announce(&self) {
        self.input.wake();
        self.output.wake();
        self.attention.wake();
    }

    /// The session that this is the controlling terminal of.
    #[must_use]
    pub fn session(&self) -> Option<Pid> {
        self.lock().session
    }

    /// The process group in the foreground.
    #[must_use]
    pub fn foreground(&self) -> Option<Pid> {
        self.lock().foreground
    }

    /// Makes this the controlling terminal of `session`, with `group` in the
    /// foreground. The caller checked that both are free for it.
    pub fn adopt(&self, session: Pid, group: Pid) {
        let mut state = self.lock();
        state.session = Some(session);
        state.foreground = Some(group);
    }

    /// The session leader goes, or gives the terminal up: the foreground group
    /// hears of it and the terminal is free for another session. With
    /// `hang_up` whoever still has it open finds it dead.
    pub fn release(&self, hang_up: bool) {
        let mut state = self.lock();
        let foreground = state.foreground.take();
        state.session = None;
        if hang_up {
            state.generation += 1;
            state.discipline.flush_input();
            state.discipline.set_stopped(false);
            state.output_off = false;
        }
        drop(state);
        self.announce();
        if let Some(group) = foreground {
            signal::send_to_session_foreground(group, Signal::SIGHUP);
            signal::send_to_session_foreground(group, Signal::SIGCONT);
        }
    }

    /// Changes the window's size and tells the foreground group.
    pub fn resize(&self, window: WindowSize) {
        let mut state = self.lock();
        let changed = state.window != window;
        state.window = window;
        let foreground = state.foreground.filter(|_| changed);
        drop(state);
        if let Some(group) = foreground {
            signal::send_to_session_foreground(group, Signal::SIGWINCH);
        }
    }

    /// Reads for a file opened in `generation`.
    ///
    /// # Errors
    /// EAGAIN.
    pub(super) fn read(&self, generation: u64, sink: &mut Sink<'_>) -> Result<usize, Errno> {
        let mut state = self.lock();
        let want = sink.remaining();
        if state.is_dead_for(generation) || want == 0 {
            return Ok(0);
        }
        if !state.discipline.is_canonical() && !state.raw_read_is_due(sink) {
            let timed = state.read_timer != ReadTimer::Off;
            drop(state);
            if timed {
                self.attention.wake();
            }
            return Err(Errno::EAGAIN);
        }
        let held_back = !state.discipline.accepts();
        let count = match state.discipline.read(want, &mut |bytes| sink.put(bytes)) {
            Some(count) => count,
            None if state.discipline.is_canonical() => return Err(Errno::EAGAIN),
            None => 0,
        };
        let flow = state.discipline.input_flow_character();
        if let Some(character) = flow {
            state.output.queue_mut().push(character);
        }
        drop(state);
        if held_back || flow.is_some() {
            self.attention.wake();
        }
        Ok(count)
    }

    /// Writes for a file opened in `generation`.
    ///
    /// # Errors
    /// EAGAIN; EIO after a hang-up.
    pub(super) fn write(&self, generation: u64, source: &mut Source<'_>) -> Result<usize, Errno> {
        let mut state = self.lock();
        if state.is_dead_for(generation) {
            return Err(Errno::EIO);
        }
        let termios = *state.discipline.termios();
        let mut sum = 0;
        while source.remaining() > 0 {
            let mut room = state.output.room(&termios);
            if room == 0 {
                state.transmit();
                room = state.output.room(&termios);
            }
            let mut piece = [0; PIECE];
            let count = source.take(&mut piece[..room.min(PIECE)]);
            if count == 0 {
                break;
            }
            for byte in &piece[..count] {
                let queued = state.output.put(&termios, *byte);
                debug_assert!(queued, "there is room for what any byte becomes");
            }
            sum += count;
        }
        state.transmit();
        state.listen();
        if sum == 0 && source.remaining() > 0 && !source.faulted() {
            return Err(Errno::EAGAIN);
        }
        Ok(sum)
    }

    /// Readiness for a file opened in `generation`.
    pub(super) fn poll(&self, generation: u64, table: Option<&mut PollTable>) -> Events {
        if let Some(table) = table {
            table.add(&self.input);
            table.add(&self.output);
        }
        let state = self.lock();
        if state.is_dead_for(generation) {
            return Events::READABLE | Events::WRITABLE | Events::HUP | Events::ERR;
        }
        let mut events = Events::empty();
        let (minimum, time_ns) = state.raw_limits();
        let minimum = if time_ns == 0 { minimum } else { 1 };
        if state.discipline.is_readable(minimum) {
            events |= Events::READABLE;
        }
        if state.output.room(state.discipline.termios()) > 0 {
            events |= Events::WRITABLE;
        }
        events
    }

    /// The kernel's own words, between those of programs. What finds no room
    /// is lost.
    pub fn print(&self, words: fmt::Arguments<'_>) {
        let mut state = self.lock();
        let _ = state.write_fmt(words);
        state.transmit();
    }

    /// Takes bytes that were typed elsewhere than on the line; returns how many
    /// there was room for. The rest goes when `attention` was woken.
    pub fn type_in(&self, bytes: &[u8]) -> usize {
        let mut sum = 0;
        loop {
            let mut guard = self.lock();
            let mut rest = bytes.iter().skip(sum);
            let received = guard.receive(bytes.len(), |_| rest.next().copied());
            guard.transmit();
            guard.listen();
            let foreground = guard.foreground;
            drop(guard);
            sum += received.taken;
            self.announce_received(received.readable, received.signal.zip(foreground));
            if received.signal.is_none() || sum == bytes.len() {
                return sum;
            }
        }
    }

    /// After the lock was given back: wakes readers, sends a typed signal to the
    /// foreground group.
    fn announce_received(&self, readable: bool, signal: Option<(TerminalSignal, Pid)>) {
        if readable {
            self.input.wake();
        }
        if let Some((signal, group)) = signal {
            signal::send_to_session_foreground(group, number_of(signal));
        }
    }

    /// Sends what the line takes now; whether everything is sent, and whether
    /// something was.
    pub fn flush(&self) -> (bool, bool) {
        let mut state = self.lock();
        let sent = state.transmit();
        (state.output.queue().is_empty(), sent > 0)
    }
}

/// The signal's number, as the discipline names it.
fn number_of(signal: TerminalSignal) -> Signal {
    match signal {
        TerminalSignal::Interrupt => Signal::SIGINT,
        TerminalSignal::Quit => Signal::SIGQUIT,
        TerminalSignal::Suspend => Signal::SIGTSTP,
    }
}

impl Serviced for Terminal {
    fn service(&self) -> Service {
        let mut guard = self.lock();
        let state = &mut *guard;
        let Received {
            taken,
            mut readable,
            signal,
        } = state.receive(ROUND, |line| {
            let mut byte = [0];
            (line.read(&mut byte) > 0).then_some(byte[0])
        });
        if let Some(character) = state.discipline.input_flow_character() {
            state.output.queue_mut().push(character);
        }
        let sent = state.transmit();
        state.listen();
        let mut by_ns = None;
        if let ReadTimer::Until(by) = state.read_timer {
            if clock::now_ns() < by {
                by_ns = Some(by);
            } else {
                // With nobody waiting any more the next read begins afresh.
                state.read_timer = if self.input.has_waiters() {
                    ReadTimer::Over
                } else {
                    ReadTimer::Off
                };
                readable = true;
            }
        }
        let foreground = state.foreground;
        drop(guard);
        if sent > 0 {
            self.output.wake();
        }
        self.announce_received(readable, signal.zip(foreground));
        Service {
            again: taken == ROUND || signal.is_some(),
            by_ns,
        }
    }

    fn attention(&self) -> &WaitQueue {
        &self.attention
    }
}

#[cfg(test)]
mod tests;
