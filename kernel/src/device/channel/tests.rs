//! A channel over a line that a test holds the other end of.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use ochre_abi::Errno;

use super::{CAPACITY, Channel, Decoder};
use crate::device::line::{SerialLine, Serviced};
use crate::vfs::{Events, File, Sink, Source};

#[derive(Default)]
struct Wire {
    to_guest: VecDeque<u8>,
    from_guest: Vec<u8>,
    room: usize,
    listening: (bool, bool),
}

#[derive(Clone, Default)]
struct Fake(Arc<Mutex<Wire>>);

impl SerialLine for Fake {
    fn read(&mut self, to: &mut [u8]) -> usize {
        let mut wire = self.0.lock().expect("no test panicked with it");
        let count = to.len().min(wire.to_guest.len());
        for (slot, byte) in to.iter_mut().zip(wire.to_guest.drain(..count)) {
            *slot = byte;
        }
        count
    }

    fn write(&mut self, from: &[u8]) -> usize {
        let mut wire = self.0.lock().expect("no test panicked with it");
        let count = from.len().min(wire.room);
        wire.room -= count;
        wire.from_guest.extend_from_slice(&from[..count]);
        count
    }

    fn listen(&mut self, receive: bool, transmit: bool) {
        self.0.lock().expect("no test panicked with it").listening = (receive, transmit);
    }
}

/// The host has sent what it begins with, and the channel read it.
fn bench() -> (Fake, Arc<Channel>) {
    let wire = Fake::default();
    wire.0
        .lock()
        .expect("unpoisoned")
        .to_guest
        .extend(b"\x00\x01");
    let channel = Channel::new(Box::new(wire.clone()));
    let _ = channel.service();
    (wire, channel)
}

fn read(file: &dyn File, len: usize) -> Result<Vec<u8>, Errno> {
    let mut buffer = vec![0; len];
    let count = file.read(&mut Sink::kernel(&mut buffer), &mut 0)?;
    buffer.truncate(count);
    Ok(buffer)
}

#[test]
fn undoes_the_escaping() {
    // The first byte may be lost.
    for beginning in [&[0, 1][..], &[1]] {
        let mut decoder = Decoder::default();
        let rest = [1, 0, 0xff, 0xff, 2, 0xff, 7, 3, 0xff, 0, 9, 0xff, 0xff];
        let got: Vec<u8> = beginning
            .iter()
            .chain(&rest)
            .filter_map(|byte| decoder.decode(*byte))
            .collect();
        assert_eq!(got, [1, 0, 0xff, 2, 3]);
        assert_eq!(decoder, Decoder::Ended);
    }
}

#[test]
fn a_read_waits_for_data_and_ends_at_the_end() {
    let (wire, channel) = bench();
    let reader = channel.reader();
    assert_eq!(read(&*reader, 10), Err(Errno::EAGAIN));
    assert_eq!(read(&*reader, 0), Ok(vec![]));
    assert_eq!(reader.poll(None), Events::empty());
    wire.0
        .lock()
        .expect("unpoisoned")
        .to_guest
        .extend(b"hi\xff");
    assert_eq!(read(&*reader, 10).as_deref(), Ok(&b"hi"[..]));
    assert_eq!(read(&*reader, 10), Err(Errno::EAGAIN));
    wire.0
        .lock()
        .expect("unpoisoned")
        .to_guest
        .extend(b"\xff!\xff\x00");
    channel.service();
    assert_eq!(reader.poll(None), Events::READABLE | Events::HUP);
    assert_eq!(read(&*reader, 1).as_deref(), Ok(&b"\xff"[..]));
    assert_eq!(read(&*reader, 9).as_deref(), Ok(&b"!"[..]));
    assert_eq!(read(&*reader, 9).as_deref(), Ok(&b""[..]));
    assert_eq!(reader.poll(None), Events::HUP);
}

#[test]
fn a_full_channel_holds_the_host_back_and_loses_nothing() {
    let (wire, channel) = bench();
    let reader = channel.reader();
    let sent: Vec<u8> = (0..3 * CAPACITY).map(|index| (index % 251) as u8).collect();
    wire.0.lock().expect("unpoisoned").to_guest.extend(&sent);
    while channel.service().again {}
    assert_eq!(wire.0.lock().expect("unpoisoned").listening, (false, false));
    assert_eq!(
        wire.0.lock().expect("unpoisoned").to_guest.len(),
        2 * CAPACITY
    );
    let mut got = Vec::new();
    while let Ok(part) = read(&*reader, 1000) {
        got.extend(part);
        channel.service();
    }
    assert_eq!(got, sent);
    assert_eq!(wire.0.lock().expect("unpoisoned").listening, (true, false));
}

#[test]
fn a_write_takes_what_fits_and_says_when_to_come_again() {
    let (wire, channel) = bench();
    let writer = channel.writer();
    let data = vec![7; CAPACITY + 100];
    let mut source = Source::kernel(&data);
    assert_eq!(writer.write(&mut source, &mut 0), Ok(CAPACITY));
    assert_eq!(writer.write(&mut source, &mut 0), Err(Errno::EAGAIN));
    assert_eq!(writer.poll(None), Events::empty());
    assert!(wire.0.lock().expect("unpoisoned").listening.1);
    wire.0.lock().expect("unpoisoned").room = 1 << 20;
    assert_eq!(channel.flush(), (true, true));
    assert_eq!(writer.poll(None), Events::WRITABLE);
    assert_eq!(writer.write(&mut source, &mut 0), Ok(100));
    assert_eq!(wire.0.lock().expect("unpoisoned").from_guest, data);
    assert_eq!(wire.0.lock().expect("unpoisoned").listening, (true, false));
}
