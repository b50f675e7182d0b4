//! The lines that left the screen at its top.

use alloc::vec::Vec;
use core::mem;

use crate::grid::blank_cells;
use crate::{Cell, OutOfMemory};

/// The last lines, up to a limit; memory comes as they do.
#[derive(Debug)]
pub(crate) struct History {
    /// A ring once it is full; before that the oldest is first.
    lines: Vec<Vec<Cell>>,
    /// Where the oldest is.
    first: usize,
    limit: usize,
}

impl History {
    /// No lines, `limit` at most.
    pub(crate) const fn new(limit: usize) -> History {
        History {
            lines: Vec::new(),
            first: 0,
            limit,
        }
    }

    /// How many lines there are.
    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    /// A line, 0 the oldest; as wide as the screen was then.
    pub(crate) fn line(&self, index: usize) -> &[Cell] {
        let at = (self.first + index) % self.lines.len().max(1);
        self.lines.get(at).map_or(&[], Vec::as_slice)
    }

    /// Takes a line and leaves one of the same width, of any content. A line
    /// that there is no memory for is not kept.
    pub(crate) fn keep(&mut self, line: &mut Vec<Cell>) {
        if self.limit == 0 {
            return;
        }
        if self.lines.len() < self.limit && self.grow(line).is_ok() {
            return;
        }
        let Some(oldest) = self.lines.get_mut(self.first) else {
            return;
        };
        if oldest.len() != line.len() {
            let Ok(spare) = blank_cells(line.len(), Cell::BLANK) else {
                return;
            };
            *oldest = spare;
        }
        mem::swap(oldest, line);
        self.first = (self.first + 1) % self.lines.len();
    }

    fn grow(&mut self, line: &mut Vec<Cell>) -> Result<(), OutOfMemory> {
        let spare = blank_cells(line.len(), Cell::BLANK)?;
        self.lines.try_reserve(1)?;
        // A ring that was full for want of memory begins anew at its first.
        self.lines.rotate_left(self.first);
        self.first = 0;
        self.lines.push(mem::replace(line, spare));
        Ok(())
    }

    /// Forgets all, with the memory.
    pub(crate) fn clear(&mut self) {
        self.lines = Vec::new();
        self.first = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::History;
    use crate::grid::blank_cells;
    use crate::{Attributes, Cell, Colour};

    fn line(character: char, width: usize) -> std::vec::Vec<Cell> {
        let cell = Cell::new(
            character,
            Colour::FOREGROUND,
            Colour::BACKGROUND,
            Attributes::empty(),
        );
        blank_cells(width, cell).unwrap()
    }

    #[test]
    fn keeps_the_last_lines() {
        let mut history = History::new(3);
        let check = |history: &History, expected: &str| {
            let all: std::string::String = (0..history.len())
                .map(|index| history.line(index)[0].character)
                .collect();
            assert_eq!(all, expected);
        };
        for (character, width, expected) in [
            ('a', 4, "a"),
            ('b', 4, "ab"),
            ('c', 4, "abc"),
            ('d', 4, "bcd"),
            ('e', 9, "cde"),
            ('f', 1, "def"),
        ] {
            let mut row = line(character, width);
            history.keep(&mut row);
            assert_eq!(row.len(), width);
            check(&history, expected);
        }
        history.clear();
        check(&history, "");
        assert!(history.line(7).is_empty());
    }
}
