//! Input processing: what a terminal does with each byte that arrives.
//!
//! Linux's default line discipline (termios(3)). Pure: the device's bytes go
//! in, echo goes to an [`Output`], and what has to happen outside (signals,
//! waking readers) comes back as [`Effects`].
//!
//! Order for one byte, as Linux has it: eighth bit and case; the character
//! after "take literally"; restart by any character; stop and start; signals;
//! carriage return and newline; canonical editing; plain input. A control
//! character set to 0 is switched off.
//!
//! A canonical line holds 4095 bytes and its end; what is typed beyond that is
//! echoed and dropped, but a line end is always taken. With whole lines in
//! the buffer, or without canonical mode, [`accepts`](LineDiscipline::accepts)
//! says when the device has to hold input back.

use ochre_abi::termios::{Termios, cc, iflag, lflag};

use super::Output;
use super::line_buffer::{LineBuffer, Mark, Portion, SIZE};
use super::output::is_continuation;

const BELL: u8 = 0x07;
const BACKSPACE: u8 = 0x08;

/// A signal that a character made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TerminalSignal {
    /// SIGINT.
    Interrupt,
    /// SIGQUIT.
    Quit,
    /// SIGTSTP.
    Suspend,
}

/// What is to be done outside after a byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Send this to the foreground group.
    pub signal: Option<TerminalSignal>,
    /// There is more to read.
    pub readable: bool,
}

/// How much an erasing character takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Erase {
    Character,
    Word,
    Line,
}

/// Whether a byte came after "take literally".
#[derive(Clone, Copy, PartialEq, Eq)]
enum Typed {
    Plainly,
    Literally,
}

/// The state of input processing.
#[derive(Debug)]
pub struct LineDiscipline {
    termios: Termios,
    buffer: LineBuffer,
    /// The next character is taken as it is.
    literal_next: bool,
    /// Between the `\` and the `/` that surround erased characters (ECHOPRT).
    erasing: bool,
    /// Output was stopped by the stop character.
    stopped: bool,
    /// The stop character was sent to the other side (IXOFF).
    held_back: bool,
}

impl LineDiscipline {
    /// An empty buffer under these modes.
    #[must_use]
    pub fn new(termios: Termios) -> LineDiscipline {
        LineDiscipline {
            termios,
            buffer: LineBuffer::new(),
            literal_next: false,
            erasing: false,
            stopped: false,
            held_back: false,
        }
    }

    /// The modes.
    #[must_use]
    pub fn termios(&self) -> &Termios {
        &self.termios
    }

    /// Changes the modes. Where the canonical mode changes, what was typed so
    /// far becomes one line, or one run of bytes.
    pub fn set_termios(&mut self, termios: Termios) {
        let toggled = (termios.lflag ^ self.termios.lflag) & lflag::ICANON != 0;
        self.termios = termios;
        if toggled {
            if self.is_canonical() {
                self.buffer.join_lines();
            } else {
                self.buffer.forget_lines();
            }
            self.erasing = false;
            self.literal_next = false;
        }
        if !self.input(iflag::IXON) {
            self.stopped = false;
        }
    }

    /// Whether input is edited line by line.
    #[must_use]
    pub fn is_canonical(&self) -> bool {
        self.local(lflag::ICANON)
    }

    /// Whether output is stopped by the stop character.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Stops or starts output as the characters do (`tcflow`).
    pub fn set_stopped(&mut self, stopped: bool) {
        self.stopped = stopped;
    }

    /// Whether another byte from the device can be taken. False holds the
    /// device back: nothing may be lost but the end of an overlong line.
    #[must_use]
    pub fn accepts(&self) -> bool {
        let editing = self.is_canonical() && !self.buffer.has_line();
        // One byte can become two (PARMRK).
        editing || self.buffer.used() + 2 <= SIZE
    }

    /// Drops everything typed and not yet read.
    pub fn flush_input(&mut self) {
        self.buffer.clear();
        self.literal_next = false;
        self.erasing = false;
    }

    /// Bytes that a read could have now (FIONREAD).
    #[must_use]
    pub fn readable_len(&self) -> usize {
        if self.is_canonical() {
            self.buffer.complete_len()
        } else {
            self.buffer.used()
        }
    }

    /// Whether a read gets something now: in canonical mode a line, else at
    /// least `minimum` bytes.
    #[must_use]
    pub fn is_readable(&self, minimum: usize) -> bool {
        if self.is_canonical() {
            self.buffer.has_line()
        } else {
            self.buffer.used() >= minimum.max(1)
        }
    }

    /// Reads up to `want` bytes by `put`, which answers how many it took.
    /// `None` where nothing is there; `Some(0)` for the end of the file.
    pub fn read(&mut self, want: usize, put: &mut dyn FnMut(&[u8]) -> usize) -> Option<usize> {
        let portion = if self.is_canonical() {
            self.buffer.line_portion(want)?
        } else {
            match self.buffer.used() {
                0 => return None,
                used => Portion {
                    len: used.min(want),
                    with_file_end: false,
                },
            }
        };
        let taken = self.buffer.take(portion.len, put);
        if taken == portion.len && portion.with_file_end {
            self.buffer.take_file_end();
        }
        Some(taken)
    }

    /// With IXOFF: the character to send so that the other side stops, or
    /// starts again.
    pub fn input_flow_character(&mut self) -> Option<u8> {
        let used = self.buffer.used();
        if self.input(iflag::IXOFF) && !self.held_back && used > SIZE / 4 * 3 {
            self.held_back = true;
            return Some(self.termios.cc[cc::VSTOP]);
        }
        if self.held_back && used < SIZE / 4 {
            self.held_back = false;
            return Some(self.termios.cc[cc::VSTART]);
        }
        None
    }

    /// Takes one byte from the device.
    pub fn receive(&mut self, byte: u8, output: &mut Output) -> Effects {
        let mut byte = byte;
        if self.input(iflag::ISTRIP) {
            byte &= 0x7f;
        }
        if self.input(iflag::IUCLC) && self.local(lflag::IEXTEN) {
            byte = to_lower(byte);
        }
        if self.literal_next {
            self.literal_next = false;
            return self.keep(byte, Typed::Literally, output);
        }
        if self.stopped && self.input(iflag::IXON) && self.input(iflag::IXANY) {
            self.stopped = false;
        }
        if self.input(iflag::IXON) {
            if self.is(cc::VSTART, byte) {
                self.stopped = false;
                return Effects::default();
            }
            if self.is(cc::VSTOP, byte) {
                self.stopped = true;
                return Effects::default();
            }
        }
        if self.local(lflag::ISIG) {
            for (index, signal) in [
                (cc::VINTR, TerminalSignal::Interrupt),
                (cc::VQUIT, TerminalSignal::Quit),
                (cc::VSUSP, TerminalSignal::Suspend),
            ] {
                if self.is(index, byte) {
                    return self.signal(signal, byte, output);
                }
            }
        }
        match byte {
            b'\r' if self.input(iflag::IGNCR) => return Effects::default(),
            b'\r' if self.input(iflag::ICRNL) => byte = b'\n',
            b'\n' if self.input(iflag::INLCR) => byte = b'\r',
            _ => {}
        }
        if self.is_canonical() {
            self.canonical(byte, output)
        } else {
            self.plain(byte, output)
        }
    }

    fn signal(&mut self, signal: TerminalSignal, byte: u8, output: &mut Output) -> Effects {
        if !self.local(lflag::NOFLSH) {
            output.queue_mut().clear();
            self.flush_input();
        }
        if self.input(iflag::IXON) {
            self.stopped = false;
        }
        if self.local(lflag::ECHO) {
            self.echo(byte, output);
        }
        Effects {
            signal: Some(signal),
            readable: false,
        }
    }

    fn canonical(&mut self, byte: u8, output: &mut Output) -> Effects {
        let extended = self.local(lflag::IEXTEN);
        let echo = self.local(lflag::ECHO);
        if self.is(cc::VERASE, byte) {
            self.erase(Erase::Character, byte, output);
        } else if self.is(cc::VKILL, byte) {
            self.erase(Erase::Line, byte, output);
        } else if extended && self.is(cc::VWERASE, byte) {
            self.erase(Erase::Word, byte, output);
        } else if extended && self.is(cc::VLNEXT, byte) {
            self.literal_next = true;
            if echo {
                self.finish_erasing(output);
                if self.local(lflag::ECHOCTL) {
                    self.echo_raw(b'^', output);
                    self.echo_raw(BACKSPACE, output);
                }
            }
        } else if extended && echo && self.is(cc::VREPRINT, byte) {
            self.finish_erasing(output);
            self.echo(byte, output);
            self.echo_raw(b'\n', output);
            for back in (0..self.buffer.editable()).rev() {
                if let Some(typed) = self.buffer.typed(back) {
                    self.echo(typed, output);
                }
            }
        } else if byte == b'\n' {
            if echo || self.local(lflag::ECHONL) {
                self.finish_erasing(output);
                self.echo_raw(b'\n', output);
            }
            return self.finish_line(byte, Mark::LineEnd);
        } else if self.is(cc::VEOF, byte) {
            return self.finish_line(0, Mark::FileEnd);
        } else if self.is(cc::VEOL, byte) || (extended && self.is(cc::VEOL2, byte)) {
            if echo {
                self.echo_typed(byte, output);
            }
            self.double_if_marked(byte);
            return self.finish_line(byte, Mark::LineEnd);
        } else {
            return self.plain(byte, output);
        }
        Effects::default()
    }

    /// Ordinary input.
    fn plain(&mut self, byte: u8, output: &mut Output) -> Effects {
        self.keep(byte, Typed::Plainly, output)
    }

    /// Echoes a byte and keeps it.
    fn keep(&mut self, byte: u8, how: Typed, output: &mut Output) -> Effects {
        let canonical = self.is_canonical();
        // A line's last place is kept for its end.
        let full = self.buffer.used() + usize::from(canonical) >= SIZE;
        if full && self.input(iflag::IMAXBEL) {
            self.echo_raw(BELL, output);
            return Effects::default();
        }
        if self.local(lflag::ECHO) {
            if byte == b'\n' && how == Typed::Plainly {
                self.finish_erasing(output);
                self.echo_raw(byte, output);
            } else {
                self.echo_typed(byte, output);
            }
        }
        if !full {
            self.double_if_marked(byte);
            self.buffer.push(byte, Mark::None);
        }
        Effects {
            signal: None,
            readable: !canonical && !full,
        }
    }

    /// Under PARMRK a byte 0xff is told from a mark by being sent twice.
    fn double_if_marked(&mut self, byte: u8) {
        if byte == 0xff && self.input(iflag::PARMRK) && self.buffer.used() + 2 < SIZE {
            self.buffer.push(byte, Mark::None);
        }
    }

    fn finish_line(&mut self, byte: u8, mark: Mark) -> Effects {
        let taken = self.buffer.push(byte, mark);
        if taken {
            self.buffer.finish_line();
        }
        Effects {
            signal: None,
            readable: taken,
        }
    }

    /// Erases a character, a word or the line, on the screen too where asked.
    fn erase(&mut self, what: Erase, byte: u8, output: &mut Output) {
        if self.buffer.editable() == 0 {
            return;
        }
        let echo = self.local(lflag::ECHO);
        if what == Erase::Line {
            let visual =
                self.local(lflag::ECHOK) && self.local(lflag::ECHOKE) && self.local(lflag::ECHOE);
            if !echo || !visual {
                self.buffer.erase(self.buffer.editable());
                if echo {
                    self.finish_erasing(output);
                    self.echo(byte, output);
                    if self.local(lflag::ECHOK) {
                        self.echo_raw(b'\n', output);
                    }
                }
                return;
            }
        }
        let mut in_word = false;
        while let Some((first, len)) = self.last_character() {
            if what == Erase::Word {
                if is_word(first) {
                    in_word = true;
                } else if in_word {
                    break;
                }
            }
            if echo && self.local(lflag::ECHOPRT) {
                if !self.erasing {
                    self.echo_raw(b'\\', output);
                    self.erasing = true;
                }
                self.echo(first, output);
                for back in (0..len - 1).rev() {
                    if let Some(rest) = self.buffer.typed(back) {
                        self.echo_raw(rest, output);
                    }
                }
            }
            self.buffer.erase(len);
            if echo && !self.local(lflag::ECHOPRT) {
                if what == Erase::Character && !self.local(lflag::ECHOE) {
                    self.echo(self.termios.cc[cc::VERASE], output);
                } else if first == b'\t' {
                    self.erase_tab(output);
                } else {
                    let shown = match first.is_ascii_control() {
                        true if self.local(lflag::ECHOCTL) => 2,
                        true => 0,
                        false => 1,
                    };
                    for _ in 0..shown {
                        for part in [BACKSPACE, b' ', BACKSPACE] {
                            self.echo_raw(part, output);
                        }
                    }
                }
            }
            if what == Erase::Character {
                break;
            }
        }
        if echo && self.buffer.editable() == 0 {
            self.finish_erasing(output);
        }
    }

    /// The first byte and the length of the last character typed. A run of
    /// continuation bytes without a beginning is left alone.
    fn last_character(&self) -> Option<(u8, usize)> {
        for back in 0..self.buffer.editable() {
            let byte = self.buffer.typed(back)?;
            if !is_continuation(&self.termios, byte) {
                return Some((byte, back + 1));
            }
        }
        None
    }

    /// Moves the cursor back over a tab that was just erased: to where the
    /// characters before it, since the line's beginning or another tab, end.
    fn erase_tab(&mut self, output: &mut Output) {
        let mut columns = 0_u32;
        let mut after_tab = false;
        for back in 0..self.buffer.editable() {
            let Some(byte) = self.buffer.typed(back) else {
                break;
            };
            if byte == b'\t' {
                after_tab = true;
                break;
            }
            if byte.is_ascii_control() {
                if self.local(lflag::ECHOCTL) {
                    columns += 2;
                }
            } else if !is_continuation(&self.termios, byte) {
                columns += 1;
            }
        }
        if !after_tab {
            columns = columns.wrapping_add(output.canonical_column);
        }
        for _ in 0..8 - columns % 8 {
            self.echo_raw(BACKSPACE, output);
        }
    }

    fn finish_erasing(&mut self, output: &mut Output) {
        if self.erasing {
            self.echo_raw(b'/', output);
            self.erasing = false;
        }
    }

    /// Echoes a byte that goes into the line.
    fn echo_typed(&mut self, byte: u8, output: &mut Output) {
        self.finish_erasing(output);
        if self.buffer.editable() == 0 {
            output.canonical_column = output.column();
        }
        self.echo(byte, output);
    }

    /// Echoes a byte, control characters as `^X` where asked.
    fn echo(&self, byte: u8, output: &mut Output) {
        if self.local(lflag::ECHOCTL) && byte.is_ascii_control() && byte != b'\t' {
            self.echo_raw(b'^', output);
            self.echo_raw(byte ^ 0x40, output);
        } else {
            self.echo_raw(byte, output);
        }
    }

    /// Echo that finds the output full is lost, as on a real line.
    fn echo_raw(&self, byte: u8, output: &mut Output) {
        let _ = output.put(&self.termios, byte);
    }

    fn is(&self, index: usize, byte: u8) -> bool {
        byte != 0 && self.termios.cc[index] == byte
    }

    fn input(&self, flag: u32) -> bool {
        self.termios.iflag & flag != 0
    }

    fn local(&self, flag: u32) -> bool {
        self.termios.lflag & flag != 0
    }
}

/// Lower case, where letters are those of Latin-1.
fn to_lower(byte: u8) -> u8 {
    match byte {
        b'A'..=b'Z' | 0xc0..=0xd6 | 0xd8..=0xde => byte + 0x20,
        _ => byte,
    }
}

/// Whether erasing a word goes on over this byte. The first byte of any
/// character beyond ASCII counts.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0xc0
}

#[cfg(test)]
mod tests;
