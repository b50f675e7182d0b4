//! Which control character and which sequence does what to the screen.
//!
//! Numbers in a sequence that are missing or 0 mean 1 where a count or a place
//! is meant, as on every terminal. What is not known does nothing.

use vte::{Params, Perform};

use crate::charset::Charset;
use crate::screen::{Extent, Pen, Screen};
use crate::{Attributes, Colour};

/// The numbers of a sequence.
struct Numbers<'a>(&'a Params);

impl Numbers<'_> {
    /// The number at `index`, 0 if it is missing.
    fn get(&self, index: usize) -> u16 {
        let number = self.0.iter().nth(index).and_then(|parts| parts.first());
        number.copied().unwrap_or(0)
    }

    /// A count, or a place counted from 1.
    fn count(&self, index: usize) -> usize {
        usize::from(self.get(index).max(1))
    }

    /// A place, counted from 0.
    fn place(&self, index: usize) -> usize {
        self.count(index) - 1
    }
}

impl Perform for Screen {
    fn print(&mut self, character: char) {
        Screen::print(self, character);
    }

    fn execute(&mut self, byte: u8) {
        match byte {
            0x07 => self.bell = true,
            0x08 => self.left(1),
            b'\t' => self.tab(1),
            // Line feed, vertical tabulator, form feed.
            0x0a..=0x0c => {
                self.line_feed();
                if self.modes.new_line {
                    self.carriage_return();
                }
            }
            b'\r' => self.carriage_return(),
            0x0e => self.cursor.shift = 1,
            0x0f => self.cursor.shift = 0,
            // The same in one character as `ESC D`, `E`, `H` and `M`.
            0x84 | 0x85 | 0x88 | 0x8d => self.escape(byte - 0x40),
            _ => {}
        }
    }

    fn esc_dispatch(&mut self, intermediates: &[u8], ignore: bool, byte: u8) {
        match (ignore, intermediates) {
            (true, _) => {}
            (_, []) => self.escape(byte),
            (_, b"(") => self.cursor.charsets[0] = Charset::named(byte),
            (_, b")") => self.cursor.charsets[1] = Charset::named(byte),
            (_, b"#") if byte == b'8' => self.align(),
            _ => {}
        }
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], ignore: bool, action: char) {
        let numbers = Numbers(params);
        match (ignore, intermediates) {
            (true, _) => {}
            (_, []) => self.sequence(&numbers, action),
            (_, b"?") => self.private(&numbers, action),
            (_, b">") if action == 'c' && numbers.get(0) == 0 => {
                self.replies.add(format_args!("\x1b[>1;0;0c"));
            }
            (_, b"!") if action == 'p' => self.soft_reset(),
            _ => {}
        }
    }
}

impl Screen {
    /// `ESC` and one byte.
    fn escape(&mut self, byte: u8) {
        match byte {
            b'D' => self.line_feed(),
            b'E' => {
                self.carriage_return();
                self.line_feed();
            }
            b'H' => self.set_tab(true),
            b'M' => self.reverse_line_feed(),
            b'Z' => self.identify(),
            b'c' => self.reset(),
            b'7' => self.save(),
            b'8' => self.restore(),
            b'=' => self.modes.application_keypad = true,
            b'>' => self.modes.application_keypad = false,
            _ => {}
        }
    }

    /// `ESC [`, numbers and a letter.
    fn sequence(&mut self, numbers: &Numbers<'_>, action: char) {
        let count = numbers.count(0);
        let (row, column) = (self.cursor.row, self.cursor.column);
        match action {
            '@' => self.insert_cells(count),
            'A' => self.up(count),
            'B' | 'e' => self.down(count),
            'C' | 'a' => self.right(count),
            'D' => self.left(count),
            'E' => {
                self.down(count);
                self.carriage_return();
            }
            'F' => {
                self.up(count);
                self.carriage_return();
            }
            'G' | '`' => self.go_to(row, numbers.place(0)),
            'H' | 'f' => self.address(numbers.place(0), numbers.place(1)),
            'I' => self.tab(count),
            'J' => match numbers.get(0) {
                3 => self.erase_history(),
                which => {
                    if let Some(extent) = extent(which) {
                        self.erase_screen(extent);
                    }
                }
            },
            'K' => {
                if let Some(extent) = extent(numbers.get(0)) {
                    self.erase_row(extent);
                }
            }
            'L' => self.insert_rows(count),
            'M' => self.delete_rows(count),
            'P' => self.delete_cells(count),
            'S' => self.scroll_up(self.top(), count),
            'T' => self.scroll_down(self.top(), count),
            'X' => self.erase_cells(count),
            'Z' => self.back_tab(count),
            'b' => self.repeat(count),
            'c' if numbers.get(0) == 0 => self.identify(),
            'd' => self.address(numbers.place(0), column),
            'g' => match numbers.get(0) {
                0 => self.set_tab(false),
                3 => self.clear_tabs(),
                _ => {}
            },
            'h' | 'l' => {
                for number in numbers.0.iter().filter_map(|parts| parts.first()) {
                    match number {
                        4 => self.modes.insert = action == 'h',
                        20 => self.modes.new_line = action == 'h',
                        _ => {}
                    }
                }
            }
            'm' => select(&mut self.cursor.pen, numbers.0),
            'n' => self.report(numbers.get(0), ""),
            'r' => {
                let end = match numbers.get(1) {
                    0 => usize::MAX,
                    end => usize::from(end),
                };
                self.set_region(numbers.place(0)..end);
            }
            's' => self.save(),
            't' if numbers.get(0) == 18 => {
                let (rows, columns) = (self.rows(), self.columns());
                self.replies.add(format_args!("\x1b[8;{rows};{columns}t"));
            }
            'u' => self.restore(),
            _ => {}
        }
    }

    /// `ESC [ ?`, numbers and a letter.
    fn private(&mut self, numbers: &Numbers<'_>, action: char) {
        let on = match action {
            'h' => true,
            'l' => false,
            'n' => return self.report(numbers.get(0), "?"),
            'J' => return self.sequence(numbers, 'J'),
            'K' => return self.sequence(numbers, 'K'),
            _ => return,
        };
        for number in numbers.0.iter().filter_map(|parts| parts.first()) {
            self.set_private(*number, on);
        }
    }

    fn set_private(&mut self, number: u16, on: bool) {
        match number {
            1 => self.modes.application_cursor = on,
            5 => self.set_reverse(on),
            6 => {
                self.modes.origin = on;
                self.address(0, 0);
            }
            7 => self.modes.wrap = on,
            25 => self.modes.cursor = on,
            66 => self.modes.application_keypad = on,
            47 | 1047 if on => self.enter_alternate(),
            47 | 1047 => self.leave_alternate(),
            1048 if on => self.save(),
            1048 => self.restore(),
            1049 if on => {
                self.save();
                self.enter_alternate();
                self.erase_screen(Extent::All);
            }
            1049 => {
                self.leave_alternate();
                self.restore();
            }
            2004 => self.modes.bracketed_paste = on,
            _ => {}
        }
    }

    /// Says what this terminal is: a VT102, like Linux's console.
    fn identify(&mut self) {
        self.replies.add(format_args!("\x1b[?6c"));
    }

    /// Says how it is, or where the cursor is.
    fn report(&mut self, what: u16, mark: &str) {
        match (what, mark) {
            (5, "") => self.replies.add(format_args!("\x1b[0n")),
            (6, _) => {
                let (row, column) = (self.addressed_row() + 1, self.cursor.column + 1);
                self.replies.add(format_args!("\x1b[{mark}{row};{column}R"));
            }
            _ => {}
        }
    }
}

/// What `ESC [ J` and `ESC [ K` erase.
fn extent(number: u16) -> Option<Extent> {
    match number {
        0 => Some(Extent::Behind),
        1 => Some(Extent::Before),
        2 => Some(Extent::All),
        _ => None,
    }
}

/// `ESC [ m`: colours and attributes.
fn select(pen: &mut Pen, params: &Params) {
    let mut rest = params.iter();
    // CAST: the patterns leave less than 16.
    while let Some(parts) = rest.next() {
        let &[number, ref sub @ ..] = parts else {
            continue;
        };
        match number {
            0 => *pen = Pen::PLAIN,
            1 => pen.attributes.insert(Attributes::BOLD),
            2 => pen.attributes.insert(Attributes::DIM),
            3 => pen.attributes.insert(Attributes::ITALIC),
            // `4:0` is no line, other kinds are one like any other.
            4 => pen.attributes.set(Attributes::UNDERLINE, sub != [0]),
            5 | 6 => pen.attributes.insert(Attributes::BLINK),
            7 => pen.attributes.insert(Attributes::REVERSE),
            8 => pen.attributes.insert(Attributes::HIDDEN),
            21 => pen.attributes.insert(Attributes::UNDERLINE),
            22 => pen.attributes.remove(Attributes::BOLD | Attributes::DIM),
            23 => pen.attributes.remove(Attributes::ITALIC),
            24 => pen.attributes.remove(Attributes::UNDERLINE),
            25 => pen.attributes.remove(Attributes::BLINK),
            27 => pen.attributes.remove(Attributes::REVERSE),
            28 => pen.attributes.remove(Attributes::HIDDEN),
            30..=37 => pen.foreground = Colour::new((number - 30) as u8),
            38 | 48 => {
                let colour = match sub {
                    [] => {
                        let mut next = || rest.next().and_then(|parts| parts.first()).copied();
                        match next() {
                            Some(5) => next().and_then(indexed),
                            Some(2) => mixed(&[next(), next(), next()]),
                            _ => None,
                        }
                    }
                    [5, index, ..] => indexed(*index),
                    // With or without the number of a colour space.
                    [2, _, r, g, b, ..] | [2, r, g, b] => mixed(&[Some(*r), Some(*g), Some(*b)]),
                    _ => None,
                };
                match colour {
                    Some(colour) if number == 38 => pen.foreground = colour,
                    Some(colour) => pen.background = colour,
                    None => {}
                }
            }
            39 => pen.foreground = Colour::FOREGROUND,
            40..=47 => pen.background = Colour::new((number - 40) as u8),
            49 => pen.background = Colour::BACKGROUND,
            90..=97 => pen.foreground = Colour::new((number - 90) as u8).bright(),
            100..=107 => pen.background = Colour::new((number - 100) as u8).bright(),
            _ => {}
        }
    }
}

fn indexed(number: u16) -> Option<Colour> {
    u8::try_from(number).ok().map(Colour::from_256)
}

fn mixed(parts: &[Option<u16>; 3]) -> Option<Colour> {
    let mut rgb = [0; 3];
    for (to, part) in rgb.iter_mut().zip(parts) {
        *to = u8::try_from((*part)?).ok()?;
    }
    Some(Colour::from_rgb(rgb))
}
