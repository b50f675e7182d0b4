//! Output processing: newlines, carriage returns, tabs, and the column they
//! depend on.

use ochre_abi::termios::{Termios, oflag};

use super::ByteQueue;

/// Bytes on their way to the device.
#[derive(Debug)]
pub struct Output {
    queue: ByteQueue,
    /// Where the cursor is, counted from the left.
    column: u32,
    /// Where the cursor was when the line being typed began: what erasing a
    /// tab goes back to.
    pub(super) canonical_column: u32,
}

/// Most bytes that one byte can become.
const EXPANSION_MAX: usize = 8;

impl Output {
    /// Nothing queued, the cursor at the left, room for `capacity` bytes.
    #[must_use]
    pub fn new(capacity: usize) -> Output {
        Output {
            queue: ByteQueue::new(capacity),
            column: 0,
            canonical_column: 0,
        }
    }

    /// The bytes for the device.
    #[must_use]
    pub fn queue(&self) -> &ByteQueue {
        &self.queue
    }

    /// The bytes for the device, to take some away.
    pub fn queue_mut(&mut self) -> &mut ByteQueue {
        &mut self.queue
    }

    /// How many bytes [`put`](Output::put) takes for sure, whatever they are.
    #[must_use]
    pub fn room(&self, termios: &Termios) -> usize {
        let flags = termios.oflag;
        let expansion = if flags & oflag::OPOST == 0 {
            1
        } else if flags & oflag::TABDLY == oflag::XTABS {
            EXPANSION_MAX
        } else {
            2
        };
        self.queue.free() / expansion
    }

    /// The cursor's column.
    #[must_use]
    pub fn column(&self) -> u32 {
        self.column
    }

    /// Queues one byte of the program's; false (and nothing queued) if there
    /// is no room for what it becomes.
    pub fn put(&mut self, termios: &Termios, byte: u8) -> bool {
        let flags = termios.oflag;
        let has = |flag: u32| flags & flag != 0;
        if !has(oflag::OPOST) {
            return self.queue.push(byte);
        }
        let mut byte = byte;
        match byte {
            b'\n' => {
                if has(oflag::ONLCR) {
                    if self.queue.free() < 2 {
                        return false;
                    }
                    self.queue.push(b'\r');
                    self.column = 0;
                } else if has(oflag::ONLRET) {
                    self.column = 0;
                }
                self.canonical_column = self.column;
            }
            b'\r' => {
                if has(oflag::ONOCR) && self.column == 0 {
                    return true;
                }
                if has(oflag::OCRNL) {
                    byte = b'\n';
                    if has(oflag::ONLRET) {
                        self.column = 0;
                        self.canonical_column = 0;
                    }
                } else {
                    self.column = 0;
                    self.canonical_column = 0;
                }
            }
            b'\t' => {
                let spaces = 8 - self.column % 8;
                if flags & oflag::TABDLY == oflag::XTABS {
                    if self.queue.free() < spaces as usize {
                        return false;
                    }
                    for _ in 0..spaces {
                        self.queue.push(b' ');
                    }
                    self.column = self.column.wrapping_add(spaces);
                    return true;
                }
                if !self.queue.push(byte) {
                    return false;
                }
                self.column = self.column.wrapping_add(spaces);
                return true;
            }
            0x08 => self.column = self.column.saturating_sub(1),
            _ if byte.is_ascii_control() => {}
            _ => {
                if has(oflag::OLCUC) {
                    byte = to_upper(byte);
                }
                if !is_continuation(termios, byte) {
                    self.column = self.column.wrapping_add(1);
                }
            }
        }
        self.queue.push(byte)
    }
}

/// Upper case, where letters are those of Latin-1, and two that have none
/// there become something else, as on Linux.
fn to_upper(byte: u8) -> u8 {
    match byte {
        b'a'..=b'z' | 0xdf..=0xf6 | 0xf8..=0xff => byte - 0x20,
        _ => byte,
    }
}

/// Whether a byte goes on with a character of UTF-8 that the terminal takes
/// for one.
pub(super) fn is_continuation(termios: &Termios, byte: u8) -> bool {
    termios.iflag & ochre_abi::termios::iflag::IUTF8 != 0 && byte & 0xc0 == 0x80
}

#[cfg(test)]
mod tests {
    use super::Output;
    use ochre_abi::termios::{Termios, oflag};

    #[track_caller]
    fn check(flags: u32, input: &[u8], bytes: &[u8], column: u32) {
        let mut termios = Termios::initial();
        termios.oflag = flags;
        let mut output = Output::new(100);
        for byte in input {
            assert!(output.put(&termios, *byte));
        }
        assert_eq!(
            (
                output.queue().front().escape_ascii().to_string(),
                output.column()
            ),
            (bytes.escape_ascii().to_string(), column)
        );
    }

    #[test]
    fn processes_newlines_and_returns() {
        check(oflag::OPOST | oflag::ONLCR, b"ab\nc", b"ab\r\nc", 1);
        check(oflag::OPOST, b"ab\nc", b"ab\nc", 3);
        check(oflag::OPOST | oflag::ONLRET, b"ab\nc", b"ab\nc", 1);
        check(oflag::OPOST | oflag::OCRNL, b"ab\rc", b"ab\nc", 3);
        check(oflag::OPOST | oflag::ONOCR, b"\rab\r\rc", b"ab\rc", 1);
        check(oflag::ONLCR, b"ab\n", b"ab\n", 0);
    }

    #[test]
    fn expands_tabs_to_the_column() {
        check(
            oflag::OPOST | oflag::XTABS,
            b"ab\tc\t",
            b"ab      c       ",
            16,
        );
        check(oflag::OPOST, b"ab\tc", b"ab\tc", 9);
    }

    #[test]
    fn backspace_and_controls_move_as_shown() {
        check(oflag::OPOST, b"\x08a\x08\x07b", b"\x08a\x08\x07b", 1);
        check(oflag::OPOST | oflag::OLCUC, b"aB", b"AB", 2);
    }

    #[test]
    fn a_byte_goes_whole_or_not_at_all() {
        let mut termios = Termios::initial();
        termios.oflag |= oflag::XTABS;
        let mut output = Output::new(9);
        assert_eq!(output.room(&termios), 1);
        assert!(output.put(&termios, b'\t'));
        assert_eq!(output.room(&termios), 0);
        assert!(!output.put(&termios, b'\n'));
        assert!(!output.put(&termios, b'\t'));
        assert!(output.put(&termios, b'x'));
        assert!(!output.put(&termios, b'x'));
        assert_eq!(output.queue().front(), b"        x");
    }
}
