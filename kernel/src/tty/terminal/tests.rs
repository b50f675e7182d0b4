//! A terminal over a line that a test holds the other end of.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use ochre_abi::Errno;
use ochre_abi::termios::{Termios, WindowSize, cc, lflag, oflag};

use super::Terminal;
use crate::device::{DeviceNumber, SerialLine, Serviced};
use crate::process::Pid;
use crate::vfs::{Events, Sink, Source};

#[derive(Default)]
struct Wire {
    typed: VecDeque<u8>,
    screen: Vec<u8>,
    /// Bytes that the line takes before it is full.
    room: usize,
    listening: (bool, bool),
}

#[derive(Clone, Default)]
struct Fake(Arc<Mutex<Wire>>);

impl Fake {
    fn with<R>(&self, f: impl FnOnce(&mut Wire) -> R) -> R {
        f(&mut self.0.lock().expect("no test panicked with it"))
    }
}

impl SerialLine for Fake {
    fn read(&mut self, to: &mut [u8]) -> usize {
        self.with(|wire| {
            let count = to.len().min(wire.typed.len());
            for (slot, byte) in to.iter_mut().zip(wire.typed.drain(..count)) {
                *slot = byte;
            }
            count
        })
    }

    fn write(&mut self, from: &[u8]) -> usize {
        self.with(|wire| {
            let count = from.len().min(wire.room);
            wire.room -= count;
            wire.screen.extend_from_slice(&from[..count]);
            count
        })
    }

    fn listen(&mut self, receive: bool, transmit: bool) {
        self.with(|wire| wire.listening = (receive, transmit));
    }
}

const NUMBER: DeviceNumber = DeviceNumber::new(4, 64);

struct Bench {
    wire: Fake,
    terminal: Arc<Terminal>,
}

impl Bench {
    fn new() -> Bench {
        let wire = Fake::default();
        wire.with(|wire| wire.room = usize::MAX);
        let terminal = Terminal::new(Box::new(wire.clone()), WindowSize::default(), NUMBER);
        Bench { wire, terminal }
    }

    fn change(&self, change: impl FnOnce(&mut Termios)) {
        let mut state = self.terminal.lock();
        let mut termios = *state.discipline.termios();
        change(&mut termios);
        state.discipline.set_termios(termios);
    }

    fn raw(&self, minimum: u8) {
        self.change(|termios| {
            termios.lflag = 0;
            termios.iflag = 0;
            termios.cc[cc::VMIN] = minimum;
            termios.cc[cc::VTIME] = 0;
        });
    }

    fn type_bytes(&self, bytes: &[u8]) {
        self.wire.with(|wire| wire.typed.extend(bytes));
        while self.terminal.service().again {}
    }

    fn read(&self, len: usize) -> Result<String, Errno> {
        let mut buffer = vec![0; len];
        let count = self.terminal.read(0, &mut Sink::kernel(&mut buffer))?;
        Ok(buffer[..count].escape_ascii().to_string())
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        self.terminal.write(0, &mut Source::kernel(bytes))
    }

    fn screen(&self) -> String {
        self.wire
            .with(|wire| wire.screen.escape_ascii().to_string())
    }
}

#[test]
fn a_line_goes_in_and_its_echo_out() {
    let bench = Bench::new();
    assert_eq!(bench.read(9), Err(Errno::EAGAIN));
    assert_eq!(bench.terminal.poll(0, None), Events::WRITABLE);
    bench.type_bytes(b"hi\r");
    assert_eq!(
        bench.terminal.poll(0, None),
        Events::READABLE | Events::WRITABLE
    );
    assert_eq!(bench.read(9).as_deref(), Ok("hi\\n"));
    assert_eq!(bench.write(b"yo\n"), Ok(3));
    assert_eq!(bench.screen(), "hi\\r\\nyo\\r\\n");
}

#[test]
fn raw_reads_keep_to_their_minimum() {
    let bench = Bench::new();
    bench.raw(3);
    bench.type_bytes(b"ab");
    assert_eq!(bench.read(9), Err(Errno::EAGAIN));
    assert_eq!(bench.terminal.poll(0, None), Events::WRITABLE);
    assert_eq!(bench.read(2).as_deref(), Ok("ab"));
    bench.type_bytes(b"cde");
    assert_eq!(bench.read(9).as_deref(), Ok("cde"));
    bench.raw(0);
    assert_eq!(bench.read(9).as_deref(), Ok(""));
    bench.type_bytes(b"x");
    assert_eq!(bench.read(9).as_deref(), Ok("x"));
}

#[test]
fn a_timed_read_waits_for_its_first_byte_or_its_time() {
    let bench = Bench::new();
    bench.raw(0);
    bench.change(|termios| termios.cc[cc::VTIME] = 1);
    assert_eq!(bench.read(9), Err(Errno::EAGAIN));
    bench.type_bytes(b"x");
    assert_eq!(bench.read(9).as_deref(), Ok("x"));
    // The time runs between bytes only with a minimum.
    bench.change(|termios| termios.cc[cc::VMIN] = 2);
    assert_eq!(bench.read(9), Err(Errno::EAGAIN));
    bench.type_bytes(b"y");
    assert_eq!(bench.read(9), Err(Errno::EAGAIN));
    assert_eq!(
        bench.terminal.poll(0, None),
        Events::READABLE | Events::WRITABLE
    );
    bench.terminal.lock().read_timer = super::ReadTimer::Over;
    assert_eq!(bench.read(9).as_deref(), Ok("y"));
}

#[test]
fn a_full_line_holds_the_program_back() {
    let bench = Bench::new();
    bench.wire.with(|wire| wire.room = 10);
    bench.change(|termios| termios.oflag &= !oflag::OPOST);
    let text = vec![b'x'; 5000];
    assert_eq!(bench.write(&text), Ok(4106));
    assert_eq!(bench.write(&text), Err(Errno::EAGAIN));
    assert_eq!(bench.terminal.poll(0, None), Events::empty());
    assert_eq!(bench.wire.with(|wire| wire.listening), (true, true));
    bench.wire.with(|wire| wire.room = usize::MAX);
    bench.terminal.service();
    assert_eq!(bench.terminal.poll(0, None), Events::WRITABLE);
    assert_eq!(bench.wire.with(|wire| wire.listening), (true, false));
    assert_eq!(bench.screen().len(), 4106);
}

#[test]
fn the_stop_character_holds_output_until_start() {
    let bench = Bench::new();
    bench.type_bytes(b"\x13");
    assert_eq!(bench.write(b"later"), Ok(5));
    assert_eq!(bench.screen(), "");
    assert_eq!(bench.wire.with(|wire| wire.listening), (true, false));
    bench.type_bytes(b"\x11");
    assert_eq!(bench.screen(), "later");
}

#[test]
fn a_full_input_holds_the_line_back() {
    let bench = Bench::new();
    bench.raw(1);
    bench.type_bytes(&[b'x'; 5000]);
    assert_eq!(bench.wire.with(|wire| wire.listening), (false, false));
    let mut got = 0;
    while let Ok(part) = bench.read(1000) {
        got += part.len();
        while bench.terminal.service().again {}
    }
    assert_eq!(got, 5000);
    assert_eq!(bench.wire.with(|wire| wire.listening), (true, false));
}

#[test]
fn input_is_served_in_rounds() {
    let bench = Bench::new();
    bench.raw(1);
    bench.wire.with(|wire| wire.typed.extend([b'x'; 2000]));
    assert!(bench.terminal.service().again);
    assert!(!bench.terminal.service().again);
}

#[test]
fn what_was_opened_before_a_hang_up_is_dead() {
    let bench = Bench::new();
    bench.terminal.adopt(Pid(7), Pid(7));
    assert_eq!(bench.terminal.session(), Some(Pid(7)));
    bench.type_bytes(b"line\n");
    // Nobody is in the foreground any more when the signals would go out.
    bench.terminal.lock().foreground = None;
    bench.terminal.release(true);
    assert_eq!(bench.terminal.session(), None);
    assert_eq!(bench.read(9).as_deref(), Ok(""));
    assert_eq!(bench.write(b"x"), Err(Errno::EIO));
    assert!(bench.terminal.poll(0, None).contains(Events::HUP));
    let fresh = bench.terminal.poll(1, None);
    assert_eq!(fresh, Events::WRITABLE);
}

#[test]
fn echo_off_shows_nothing() {
    let bench = Bench::new();
    bench.change(|termios| termios.lflag &= !lflag::ECHO);
    bench.type_bytes(b"secret\n");
    assert_eq!(bench.screen(), "");
    assert_eq!(bench.read(99).as_deref(), Ok("secret\\n"));
}
