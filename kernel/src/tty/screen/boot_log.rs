//! The kernel's log on the first virtual terminal: all of it until the first
//! program runs, then warnings and errors only, in the colours of their levels.
//!
//! The painter reads the log's own ring, so a log line costs nothing here, may
//! come from anywhere, and a storm of them is cut to what the ring holds.

use ochre_sync::primitive::atomic::{AtomicBool, Ordering};

use crate::log_sink;

/// Bytes copied through the stack at a time.
const PIECE: usize = 256;

/// How a line begins: time in brackets, then its level.
const TIME_END: u8 = b']';

/// Whether a program has the screen.
///
/// ORDERING: Relaxed; it is set once, and lines about that time may go either way.
static PROGRAMS_RUN: AtomicBool = AtomicBool::new(false);

/// From now on a line has to be worth it.
pub(in crate::tty) fn programs_run() {
    PROGRAMS_RUN.store(true, Ordering::Relaxed);
}

/// Where in a line the next byte is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// In the time, not passed on yet.
    #[default]
    Time,
    /// At the level's first letter, but for blanks.
    Level,
    /// In the rest of a line that is shown.
    Shown,
    /// In the rest of a line that is not.
    Hidden,
}

/// What has been read.
#[derive(Debug, Default)]
pub(super) struct Reader {
    position: usize,
    place: Place,
}

/// Whether lines of a level are shown, and the sequence before the level's name.
fn look_of(letter: u8, programs_run: bool) -> Option<&'static [u8]> {
    match letter {
        b'E' => Some(b"\x1b[1;31m"),
        b'W' => Some(b"\x1b[1;33m"),
        _ if programs_run => None,
        b'I' => Some(b"\x1b[32m"),
        _ => Some(b"\x1b[90m"),
    }
}

impl Reader {
    /// Gives `show` what the log has had since the last time.
    pub(super) fn pass_on(&mut self, mut show: impl FnMut(&[u8])) {
        let mut piece = [0; PIECE];
        loop {
            let count = log_sink::read_from(&mut self.position, &mut piece);
            if count == 0 {
                return;
            }
            let programs_run = PROGRAMS_RUN.load(Ordering::Relaxed);
            for byte in &piece[..count] {
                self.byte(*byte, programs_run, &mut show);
            }
        }
    }

    fn byte(&mut self, byte: u8, programs_run: bool, show: &mut impl FnMut(&[u8])) {
        match (self.place, byte) {
            (Place::Shown, b'\n') => {
                show(b"\x1b[m\r\n");
                self.place = Place::Time;
            }
            (_, b'\n') => self.place = Place::Time,
            (Place::Time, TIME_END) => self.place = Place::Level,
            (Place::Level, b' ') | (Place::Time | Place::Hidden, _) => {}
            (Place::Level, letter) => {
                self.place = match look_of(letter, programs_run) {
                    Some(look) => {
                        show(look);
                        show(&[letter]);
                        Place::Shown
                    }
                    None => Place::Hidden,
                };
            }
            (Place::Shown, b' ') => show(b"\x1b[m "),
            // What a program may have put into a line is no sequence.
            (Place::Shown, byte) if byte < b' ' || byte == 0x7f => show(b"?"),
            (Place::Shown, byte) => show(&[byte]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Reader;
    use std::string::String;

    fn shown(log: &str, programs_run: bool) -> String {
        let mut reader = Reader::default();
        let mut all = Vec::new();
        for byte in log.bytes() {
            reader.byte(byte, programs_run, &mut |bytes| {
                all.extend_from_slice(bytes)
            });
        }
        String::from_utf8(all).unwrap()
    }

    #[test]
    fn levels_have_colours() {
        let log = "[    0.000001] INFO  one\n[    0.1] ERROR two\x1b[2J\n";
        assert_eq!(
            shown(log, false),
            "\x1b[32mINFO\x1b[m \x1b[m one\x1b[m\r\n\x1b[1;31mERROR\x1b[m two?[2J\x1b[m\r\n"
        );
        assert_eq!(shown(log, true), "\x1b[1;31mERROR\x1b[m two?[2J\x1b[m\r\n");
        // A line whose beginning was overwritten.
        assert_eq!(
            shown("rest of one\n[1] WARN  two\n", true),
            "\x1b[1;33mWARN\x1b[m \x1b[m two\x1b[m\r\n"
        );
    }
}
