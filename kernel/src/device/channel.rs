//! Plain byte channels to the host: a program's standard files when there is
//! no terminal.
//!
//! Towards the host bytes go as they are. From the host they are escaped, so
//! that the end of the file can be told: `FF FF` is a byte FF, `FF 00` the
//! end, after which nothing counts. The first byte of all is lost on some
//! machines; the host begins with `00 01`, and what is before the 01 does not
//! count. When the program does not read, the
//! channel stops taking bytes from the port, and so on back to the host.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

use ochre_abi::Errno;
use ochre_abi::termios::request::FIONREAD;
use ochre_sync::SpinLock;

use super::line::{SerialLine, Service, Serviced};
use crate::syscall::{Call, FromArgument, Ptr};
use crate::tty::ByteQueue;
use crate::vfs::{Events, File, Kind, Metadata, Sink, Source};
use crate::wait::{PollTable, WaitQueue};

/// Bytes kept in each direction.
const CAPACITY: usize = 4096;

/// Bytes moved in one round of service.
const ROUND: usize = 4096;

/// Bytes copied through the stack at a time.
const PIECE: usize = 256;

const BEGINNING: u8 = 0x01;
const ESCAPE: u8 = 0xff;
const END: u8 = 0x00;

/// Undoes the escaping of what comes from the host.
///
/// | state | FF | 00 | 01 | other |
/// |---|---|---|---|---|
/// | `Before` | dropped | dropped | `Plain` | dropped |
/// | `Plain` | `Escape` | data | data | data |
/// | `Escape` | data FF, `Plain` | `Ended` | dropped, `Plain` | dropped, `Plain` |
/// | `Ended` | dropped | dropped | dropped | dropped |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Decoder {
    #[default]
    Before,
    Plain,
    Escape,
    Ended,
}

impl Decoder {
    /// Takes one byte; gives the byte of data that it completes, if it does.
    fn decode(&mut self, byte: u8) -> Option<u8> {
        match (*self, byte) {
            (Decoder::Before, BEGINNING) => {
                *self = Decoder::Plain;
                None
            }
            (Decoder::Before, _) => None,
            (Decoder::Plain, ESCAPE) => {
                *self = Decoder::Escape;
                None
            }
            (Decoder::Plain, byte) => Some(byte),
            (Decoder::Escape, ESCAPE) => {
                *self = Decoder::Plain;
                Some(ESCAPE)
            }
            (Decoder::Escape, END) => {
                *self = Decoder::Ended;
                None
            }
            (Decoder::Escape, _) => {
                *self = Decoder::Plain;
                None
            }
            (Decoder::Ended, _) => None,
        }
    }
}

struct State {
    line: Box<dyn SerialLine>,
    decoder: Decoder,
    input: ByteQueue,
    output: ByteQueue,
}

impl State {
    /// Fills the input from the line, at most `limit` bytes; returns how many
    /// bytes of data came.
    fn receive(&mut self, limit: usize) -> (usize, bool) {
        let mut data = 0;
        for _ in 0..limit {
            if self.input.free() == 0 {
                return (data, false);
            }
            let mut byte = [0];
            if self.line.read(&mut byte) == 0 {
                return (data, false);
            }
            if let Some(byte) = self.decoder.decode(byte[0]) {
                self.input.push(byte);
                data += 1;
            }
        }
        (data, true)
    }

    /// Empties the output into the line as far as it takes it.
    fn transmit(&mut self) -> usize {
        let mut sum = 0;
        while !self.output.is_empty() {
            let count = self.line.write(self.output.front());
            if count == 0 {
                break;
            }
            self.output.consume(count);
            sum += count;
        }
        sum
    }

    fn listen(&mut self) {
        let receive = self.input.free() > 0;
        let transmit = !self.output.is_empty();
        self.line.listen(receive, transmit);
    }
}

/// A serial port as a pair of byte streams.
pub struct Channel {
    state: SpinLock<State>,
    /// Woken when there is more to read.
    input: WaitQueue,
    /// Woken when there is room to write.
    output: WaitQueue,
    /// Woken when a program made room for input.
    attention: WaitQueue,
}

impl Channel {
    /// A channel over a line.
    #[must_use]
    pub fn new(line: Box<dyn SerialLine>) -> Arc<Channel> {
        Arc::new(Channel {
            state: SpinLock::new(State {
                line,
                decoder: Decoder::default(),
                input: ByteQueue::new(CAPACITY),
                output: ByteQueue::new(CAPACITY),
            }),
            input: WaitQueue::new(),
            output: WaitQueue::new(),
            attention: WaitQueue::new(),
        })
    }

    /// The end from which a program reads.
    #[must_use]
    pub fn reader(self: &Arc<Channel>) -> Arc<dyn File> {
        Arc::new(Reader {
            channel: Arc::clone(self),
        })
    }

    /// The end to which a program writes.
    #[must_use]
    pub fn writer(self: &Arc<Channel>) -> Arc<dyn File> {
        Arc::new(Writer {
            channel: Arc::clone(self),
        })
    }

    /// Sends what the line takes now; whether everything is sent, and whether
    /// something was.
    pub fn flush(&self) -> (bool, bool) {
        let mut state = self.state.lock();
        let sent = state.transmit();
        (state.output.is_empty(), sent > 0)
    }
}

impl Serviced for Channel {
    fn service(&self) -> Service {
        let mut state = self.state.lock();
        let (received, more) = state.receive(ROUND);
        let ended = state.decoder == Decoder::Ended;
        let sent = state.transmit();
        state.listen();
        drop(state);
        if received > 0 || ended {
            self.input.wake();
        }
        if sent > 0 {
            self.output.wake();
        }
        Service {
            again: more,
            by_ns: None,
        }
    }

    fn attention(&self) -> &WaitQueue {
        &self.attention
    }
}

struct Reader {
    channel: Arc<Channel>,
}

impl File for Reader {
    fn read(&self, sink: &mut Sink<'_>, _position: &mut u64) -> Result<usize, Errno> {
        let mut state = self.channel.state.lock();
        if state.input.is_empty() {
            state.receive(ROUND);
            state.listen();
        }
        let was_full = state.input.free() == 0;
        let mut sum = 0;
        while sink.remaining() > 0 && !state.input.is_empty() {
            let front = state.input.front();
            let want = front.len();
            let count = sink.put(front);
            state.input.consume(count);
            sum += count;
            if count < want {
                break;
            }
        }
        let would_wait =
            sum == 0 && sink.remaining() > 0 && !sink.faulted() && state.decoder != Decoder::Ended;
        drop(state);
        if was_full && sum > 0 {
            self.channel.attention.wake();
        }
        if would_wait {
            return Err(Errno::EAGAIN);
        }
        Ok(sum)
    }

    fn poll(&self, table: Option<&mut PollTable>) -> Events {
        if let Some(table) = table {
            table.add(&self.channel.input);
        }
        let state = self.channel.state.lock();
        let mut events = Events::empty();
        if !state.input.is_empty() {
            events |= Events::READABLE;
        }
        if state.decoder == Decoder::Ended {
            events |= Events::HUP;
        }
        events
    }

    fn ioctl(&self, call: &mut Call<'_>, request: u32, argument: u64) -> Result<usize, Errno> {
        if request != FIONREAD {
            return Err(Errno::ENOTTY);
        }
        let len = self.channel.state.lock().input.len();
        let to = Ptr::<i32>::from_argument(argument);
        call.space
            .write_value(to, &i32::try_from(len).unwrap_or(i32::MAX))?;
        Ok(0)
    }

    fn metadata(&self) -> Metadata {
        Metadata::anonymous(Kind::Fifo)
    }

    fn description(&self) -> Vec<u8> {
        b"pipe:[0]".to_vec()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

struct Writer {
    channel: Arc<Channel>,
}

impl File for Writer {
    fn write(&self, source: &mut Source<'_>, _position: &mut u64) -> Result<usize, Errno> {
        let mut state = self.channel.state.lock();
        let mut sum = 0;
        while source.remaining() > 0 {
            if state.output.free() == 0 && state.transmit() == 0 {
                break;
            }
            let mut piece = [0; PIECE];
            let room = PIECE.min(state.output.free());
            let count = source.take(&mut piece[..room]);
            if count == 0 {
                break;
            }
            state.output.extend(&piece[..count]);
            sum += count;
        }
        state.transmit();
        state.listen();
        if sum == 0 && source.remaining() > 0 && !source.faulted() {
            return Err(Errno::EAGAIN);
        }
        Ok(sum)
    }

    fn poll(&self, table: Option<&mut PollTable>) -> Events {
        if let Some(table) = table {
            table.add(&self.channel.output);
        }
        if self.channel.state.lock().output.free() > 0 {
            Events::WRITABLE
        } else {
            Events::empty()
        }
    }

    fn metadata(&self) -> Metadata {
        Metadata::anonymous(Kind::Fifo)
    }

    fn description(&self) -> Vec<u8> {
        b"pipe:[0]".to_vec()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests;
