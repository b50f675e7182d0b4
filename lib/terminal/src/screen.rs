//! The screen's state and what changes it, one function per operation; which
//! sequence is which operation is in [`control`](crate::control).
//!
//! Rows and columns count from 0 here. The cursor that would be behind the
//! last column stays on it, with `wraps` set: the next character goes to the
//! next row.

use alloc::vec::Vec;
use core::mem;
use core::ops::Range;

use unicode_width::UnicodeWidthChar;

use crate::charset::Charset;
use crate::grid::Grid;
use crate::history::History;
use crate::replies::Replies;
use crate::{Attributes, Cell, Colour, OutOfMemory};

/// Columns from one tabulator stop to the next, unless set otherwise.
const TAB: usize = 8;

/// What programs have switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Modes {
    /// What is behind the last column goes to the next row (DECAWM).
    pub wrap: bool,
    /// Rows count from the scrolling region's first (DECOM).
    pub origin: bool,
    /// Characters move what is behind them (IRM).
    pub insert: bool,
    /// A line feed returns, too (LNM).
    pub new_line: bool,
    /// The cursor is shown (DECTCEM).
    pub cursor: bool,
    /// Cursor keys send `ESC O A`, not `ESC [ A` (DECCKM).
    pub application_cursor: bool,
    /// The keypad sends sequences, not digits (DECKPAM).
    pub application_keypad: bool,
    /// What is pasted comes between `ESC [ 200 ~` and `ESC [ 201 ~`.
    pub bracketed_paste: bool,
    /// All colours are exchanged (DECSCNM).
    pub reverse: bool,
}

impl Modes {
    /// How a terminal begins.
    pub(crate) const INITIAL: Modes = Modes {
        wrap: true,
        origin: false,
        insert: false,
        new_line: false,
        cursor: true,
        application_cursor: false,
        application_keypad: false,
        bracketed_paste: false,
        reverse: false,
    };
}

/// How characters are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pen {
    pub(crate) foreground: Colour,
    pub(crate) background: Colour,
    pub(crate) attributes: Attributes,
}

impl Pen {
    /// The usual colours.
    pub(crate) const PLAIN: Pen = Pen {
        foreground: Colour::FOREGROUND,
        background: Colour::BACKGROUND,
        attributes: Attributes::empty(),
    };

    fn cell(self, character: char) -> Cell {
        Cell::new(character, self.foreground, self.background, self.attributes)
    }

    /// What erasing leaves.
    fn blank(self) -> Cell {
        Cell::new(
            ' ',
            Colour::FOREGROUND,
            self.background,
            Attributes::empty(),
        )
    }
}

/// Where and how the next character is written: what DECSC saves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor {
    pub(crate) row: usize,
    pub(crate) column: usize,
    /// The last column is written, and the cursor in truth behind it.
    wraps: bool,
    pub(crate) pen: Pen,
    pub(crate) charsets: [Charset; 2],
    /// Which of them is in use.
    pub(crate) shift: usize,
    origin: bool,
}

impl Cursor {
    const HOME: Cursor = Cursor {
        row: 0,
        column: 0,
        wraps: false,
        pen: Pen::PLAIN,
        charsets: [Charset::Plain; 2],
        shift: 0,
        origin: false,
    };
}

/// See the module.
///
/// # Invariants
/// `region` is not empty and inside the rows; the cursor is inside the grid;
/// `tabs` has one entry per column; both grids have the same size.
#[derive(Debug)]
pub(crate) struct Screen {
    grid: Grid,
    /// The main screen's rows, while the alternate one is shown.
    main: Option<Grid>,
    /// Where the main screen's cursor was then.
    main_cursor: Cursor,
    history: History,
    /// How many lines of history are shown above the grid.
    back: usize,
    pub(crate) cursor: Cursor,
    saved: Cursor,
    /// The rows that scroll.
    region: Range<usize>,
    pub(crate) modes: Modes,
    /// Where the tabulator stops.
    tabs: Vec<bool>,
    /// What REP repeats.
    last: char,
    pub(crate) replies: Replies,
    /// The bell rang.
    pub(crate) bell: bool,
}

/// What is erased of a row or of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// From the cursor to the end.
    Behind,
    /// From the beginning to the cursor.
    Before,
    /// All.
    All,
}

impl Screen {
    /// A blank screen of at least one row and column.
    pub(crate) fn new(rows: usize, columns: usize, history: usize) -> Result<Screen, OutOfMemory> {
        Ok(Screen {
            grid: Grid::new(rows, columns)?,
            main: None,
            main_cursor: Cursor::HOME,
            history: History::new(history),
            back: 0,
            cursor: Cursor::HOME,
            saved: Cursor::HOME,
            region: 0..rows,
            modes: Modes::INITIAL,
            tabs: tabs(columns)?,
            last: ' ',
            replies: Replies::new(),
            bell: false,
        })
    }

    /// How many rows there are.
    pub(crate) fn rows(&self) -> usize {
        self.grid.len()
    }

    /// How many columns there are.
    pub(crate) fn columns(&self) -> usize {
        self.tabs.len()
    }

    /// Has another size, with what fits: at the top of what there was, or, where
    /// the cursor would be lost, further down. The whole screen scrolls again.
    pub(crate) fn resize(&mut self, rows: usize, columns: usize) -> Result<(), OutOfMemory> {
        let skip = |cursor: &Cursor| (cursor.row + 1).saturating_sub(rows);
        let first = skip(&self.cursor);
        let tabs = tabs(columns)?;
        let main = match &self.main {
            Some(main) => Some(main.resized(skip(&self.main_cursor), rows, columns)?),
            None => None,
        };
        let grid = self.grid.resized(first, rows, columns)?;
        // From here on nothing fails.
        if self.main.is_none() {
            let blank = Cell::BLANK;
            self.grid
                .scroll_up(0..first, first, blank, Some(&mut self.history));
        }
        let fit = |cursor: &mut Cursor| {
            cursor.row = cursor.row.saturating_sub(skip(cursor)).min(rows - 1);
            cursor.column = cursor.column.min(columns - 1);
            cursor.wraps = false;
        };
        fit(&mut self.cursor);
        fit(&mut self.saved);
        fit(&mut self.main_cursor);
        self.grid = grid;
        self.main = main;
        self.tabs = tabs;
        self.region = 0..rows;
        self.back = 0;
        Ok(())
    }

    /// As after switching on, without what was there.
    pub(crate) fn reset(&mut self) {
        self.leave_alternate();
        self.history.clear();
        self.show_newest();
        let rows = self.rows();
        self.grid.clear(0..rows, Cell::BLANK);
        self.cursor = Cursor::HOME;
        self.saved = Cursor::HOME;
        self.region = 0..rows;
        self.modes = Modes::INITIAL;
        for (column, stop) in self.tabs.iter_mut().enumerate() {
            *stop = is_stop(column);
        }
    }

    /// The modes of [`reset`](Screen::reset), with what is there (DECSTR).
    pub(crate) fn soft_reset(&mut self) {
        let reverse = self.modes.reverse;
        self.modes = Modes {
            reverse,
            ..Modes::INITIAL
        };
        self.cursor.pen = Pen::PLAIN;
        self.cursor.charsets = [Charset::Plain; 2];
        self.cursor.shift = 0;
        self.saved = Cursor::HOME;
        self.region = 0..self.rows();
    }

    // What is shown.

    /// A row as it is shown: of the grid, or of history.
    pub(crate) fn shown(&self, row: usize) -> &[Cell] {
        match row.checked_sub(self.back) {
            Some(row) => self.grid.row(row),
            None => self.history.line(self.history.len() + row - self.back),
        }
    }

    /// Whether a row that is shown changed since the last time it was asked.
    pub(crate) fn take_dirty(&mut self, row: usize) -> bool {
        self.grid.take_dirty(row)
    }

    /// Whether any row changed.
    pub(crate) fn is_dirty(&self) -> bool {
        self.grid.is_dirty()
    }

    /// Has all drawn anew.
    pub(crate) fn touch(&mut self) {
        self.grid.touch();
    }

    /// Where the cursor is shown.
    pub(crate) fn shown_cursor(&self) -> Option<(usize, usize)> {
        let row = self.cursor.row + self.back;
        (self.modes.cursor && row < self.rows()).then_some((row, self.cursor.column))
    }

    /// Moves what is shown by so many lines towards older ones.
    pub(crate) fn scroll_back(&mut self, lines: isize) {
        // The alternate screen has no history.
        let most = match self.main {
            None => self.history.len(),
            Some(_) => 0,
        };
        let back = self.back.saturating_add_signed(lines).min(most);
        if back != self.back {
            self.back = back;
            self.touch();
        }
    }

    /// Shows the grid, and nothing of history.
    pub(crate) fn show_newest(&mut self) {
        if self.back != 0 {
            self.back = 0;
            self.touch();
        }
    }

    // Writing.

    /// Writes a character where the cursor is.
    pub(crate) fn print(&mut self, character: char) {
        let character = self.cursor.charsets[self.cursor.shift].map(character);
        let mut width = match character {
            ' '..='~' => 1,
            // Nothing here combines characters.
            _ => match character.width() {
                None | Some(0) => return,
                Some(width) => width.min(2),
            },
        };
        let mut character = character;
        let columns = self.columns();
        if width > columns {
            character = char::REPLACEMENT_CHARACTER;
            width = 1;
        }
        self.last = character;
        if mem::take(&mut self.cursor.wraps) && self.modes.wrap {
            self.cursor.column = 0;
            self.line_feed();
        }
        if self.cursor.column + width > columns {
            if self.modes.wrap {
                let (row, column) = (self.cursor.row, self.cursor.column);
                self.erase(row, column..columns);
                self.cursor.column = 0;
                self.line_feed();
            } else {
                self.cursor.column = columns - width;
            }
        }
        if self.modes.insert {
            self.insert_cells(width);
        }
        let cell = self.cursor.pen.cell(character);
        let column = self.cursor.column;
        let row = self.grid.row_mut(self.cursor.row);
        part(row, column);
        part(row, column + width);
        row[column] = cell;
        if width == 2 {
            row[column].attributes |= Attributes::WIDE;
            row[column + 1] = Cell {
                character: ' ',
                attributes: cell.attributes | Attributes::SECOND_HALF,
                ..cell
            };
        }
        let next = column + width;
        self.cursor.column = next.min(columns - 1);
        self.cursor.wraps = next == columns;
    }

    /// Writes the last character again, as often as fills a row at most.
    pub(crate) fn repeat(&mut self, count: usize) {
        let last = self.last;
        for _ in 0..count.min(self.columns()) {
            self.print(last);
        }
    }

    // Moving.

    /// Moves to a place, or as near as there is one.
    pub(crate) fn go_to(&mut self, row: usize, column: usize) {
        self.cursor.row = row.min(self.rows() - 1);
        self.cursor.column = column.min(self.columns() - 1);
        self.cursor.wraps = false;
    }

    /// Moves to a place as programs count: from the region's first row on, if
    /// that was asked for.
    pub(crate) fn address(&mut self, row: usize, column: usize) {
        if self.modes.origin {
            let row = self.region.start.saturating_add(row);
            self.go_to(row.min(self.region.end - 1), column);
        } else {
            self.go_to(row, column);
        }
    }

    /// The cursor's row as programs count.
    pub(crate) fn addressed_row(&self) -> usize {
        if self.modes.origin {
            self.cursor.row.saturating_sub(self.region.start)
        } else {
            self.cursor.row
        }
    }

    /// Moves up, not out of the region.
    pub(crate) fn up(&mut self, count: usize) {
        let top = match self.cursor.row < self.region.start {
            true => 0,
            false => self.region.start,
        };
        let row = self.cursor.row.saturating_sub(count).max(top);
        self.go_to(row, self.cursor.column);
    }

    /// Moves down, not out of the region.
    pub(crate) fn down(&mut self, count: usize) {
        let bottom = match self.cursor.row < self.region.end {
            true => self.region.end,
            false => self.rows(),
        };
        let row = self.cursor.row.saturating_add(count).min(bottom - 1);
        self.go_to(row, self.cursor.column);
    }

    /// Moves left, not out of the row.
    pub(crate) fn left(&mut self, count: usize) {
        self.go_to(self.cursor.row, self.cursor.column.saturating_sub(count));
    }

    /// Moves right, not out of the row.
    pub(crate) fn right(&mut self, count: usize) {
        self.go_to(self.cursor.row, self.cursor.column.saturating_add(count));
    }

    /// To the row's first column.
    pub(crate) fn carriage_return(&mut self) {
        self.go_to(self.cursor.row, 0);
    }

    /// To the next row, where the region ends by scrolling.
    pub(crate) fn line_feed(&mut self) {
        self.cursor.wraps = false;
        if self.cursor.row + 1 == self.region.end {
            self.scroll_up(self.region.start, 1);
        } else if self.cursor.row + 1 < self.rows() {
            self.cursor.row += 1;
        }
    }

    /// To the row above, where the region begins by scrolling.
    pub(crate) fn reverse_line_feed(&mut self) {
        self.cursor.wraps = false;
        if self.cursor.row == self.region.start {
            self.scroll_down(self.region.start, 1);
        } else {
            self.cursor.row = self.cursor.row.saturating_sub(1);
        }
    }

    /// To the next tabulator stops.
    pub(crate) fn tab(&mut self, count: usize) {
        for _ in 0..count.min(self.columns()) {
            let next = self.cursor.column + 1;
            let stops = self.tabs.iter().skip(next);
            let further = stops.take_while(|stop| !**stop).count();
            self.go_to(self.cursor.row, next + further);
        }
    }

    /// To the tabulator stops before.
    pub(crate) fn back_tab(&mut self, count: usize) {
        for _ in 0..count.min(self.columns()) {
            let before = &self.tabs[..self.cursor.column];
            let stop = before.iter().rposition(|stop| *stop).unwrap_or(0);
            self.go_to(self.cursor.row, stop);
        }
    }

    /// Sets a tabulator stop where the cursor is, or takes it away.
    pub(crate) fn set_tab(&mut self, stop: bool) {
        self.tabs[self.cursor.column] = stop;
    }

    /// Takes all tabulator stops away.
    pub(crate) fn clear_tabs(&mut self) {
        self.tabs.fill(false);
    }

    // Moving rows.

    /// Sets the rows that scroll; fewer than two are none of that. The cursor
    /// goes home.
    pub(crate) fn set_region(&mut self, region: Range<usize>) {
        let end = region.end.min(self.rows());
        if region.start + 1 < end {
            self.region = region.start..end;
            self.address(0, 0);
        }
    }

    /// Moves rows from `first` to the region's end up.
    pub(crate) fn scroll_up(&mut self, first: usize, count: usize) {
        let blank = self.cursor.pen.blank();
        let range = first..self.region.end;
        // What leaves the main screen at its top is remembered.
        let history = (first == 0 && self.main.is_none()).then_some(&mut self.history);
        self.grid.scroll_up(range, count, blank, history);
    }

    /// Moves rows from `first` to the region's end down.
    pub(crate) fn scroll_down(&mut self, first: usize, count: usize) {
        let blank = self.cursor.pen.blank();
        self.grid.scroll_down(first..self.region.end, count, blank);
    }

    /// The region's first row.
    pub(crate) fn top(&self) -> usize {
        self.region.start
    }

    /// Makes room for rows where the cursor is; nothing outside the region.
    pub(crate) fn insert_rows(&mut self, count: usize) {
        if self.region.contains(&self.cursor.row) {
            self.scroll_down(self.cursor.row, count);
            self.carriage_return();
        }
    }

    /// Takes rows away where the cursor is; nothing outside the region.
    pub(crate) fn delete_rows(&mut self, count: usize) {
        if self.region.contains(&self.cursor.row) {
            let blank = self.cursor.pen.blank();
            let range = self.cursor.row..self.region.end;
            self.grid.scroll_up(range, count, blank, None);
            self.carriage_return();
        }
    }

    // Moving and erasing cells.

    /// Makes room for cells where the cursor is.
    pub(crate) fn insert_cells(&mut self, count: usize) {
        self.cursor.wraps = false;
        let column = self.cursor.column;
        let row = self.grid.row_mut(self.cursor.row);
        let count = count.min(row.len() - column);
        let kept = row.len() - count;
        part(row, column);
        part(row, kept);
        row.copy_within(column..kept, column + count);
        row[column..column + count].fill(self.cursor.pen.blank());
    }

    /// Takes cells away where the cursor is.
    pub(crate) fn delete_cells(&mut self, count: usize) {
        self.cursor.wraps = false;
        let column = self.cursor.column;
        let row = self.grid.row_mut(self.cursor.row);
        let count = count.min(row.len() - column);
        part(row, column);
        part(row, column + count);
        row.copy_within(column + count.., column);
        let kept = row.len() - count;
        row[kept..].fill(self.cursor.pen.blank());
    }

    /// Blanks cells from the cursor on.
    pub(crate) fn erase_cells(&mut self, count: usize) {
        self.cursor.wraps = false;
        let column = self.cursor.column;
        let end = column.saturating_add(count).min(self.columns());
        self.erase(self.cursor.row, column..end);
    }

    /// Blanks a part of the cursor's row.
    pub(crate) fn erase_row(&mut self, extent: Extent) {
        self.cursor.wraps = false;
        let columns = match extent {
            Extent::Behind => self.cursor.column..self.columns(),
            Extent::Before => 0..self.cursor.column + 1,
            Extent::All => 0..self.columns(),
        };
        self.erase(self.cursor.row, columns);
    }

    /// Blanks a part of the screen.
    pub(crate) fn erase_screen(&mut self, extent: Extent) {
        let rows = match extent {
            Extent::Behind => self.cursor.row + 1..self.rows(),
            Extent::Before => 0..self.cursor.row,
            Extent::All => 0..self.rows(),
        };
        let blank = self.cursor.pen.blank();
        self.grid.clear(rows, blank);
        self.erase_row(extent);
    }

    /// Forgets what left the screen.
    pub(crate) fn erase_history(&mut self) {
        self.show_newest();
        self.history.clear();
    }

    fn erase(&mut self, row: usize, columns: Range<usize>) {
        let blank = self.cursor.pen.blank();
        let row = self.grid.row_mut(row);
        part(row, columns.start);
        part(row, columns.end);
        row[columns].fill(blank);
    }

    /// Fills the screen with `E`, to adjust it by (DECALN).
    pub(crate) fn align(&mut self) {
        self.region = 0..self.rows();
        for row in 0..self.rows() {
            self.grid.row_mut(row).fill(Pen::PLAIN.cell('E'));
        }
        self.go_to(0, 0);
    }

    // Saving.

    /// Saves the cursor (DECSC).
    pub(crate) fn save(&mut self) {
        self.saved = Cursor {
            origin: self.modes.origin,
            ..self.cursor
        };
    }

    /// Goes back to what was saved, or home (DECRC).
    pub(crate) fn restore(&mut self) {
        self.cursor = self.saved;
        self.modes.origin = self.saved.origin;
    }

    /// Shows the alternate screen, blank; nothing without memory for it.
    pub(crate) fn enter_alternate(&mut self) {
        if self.main.is_some() {
            return;
        }
        if let Ok(grid) = Grid::new(self.rows(), self.columns()) {
            self.show_newest();
            self.main_cursor = self.cursor;
            self.main = Some(mem::replace(&mut self.grid, grid));
        }
    }

    /// Shows the main screen again.
    pub(crate) fn leave_alternate(&mut self) {
        if let Some(main) = self.main.take() {
            self.grid = main;
            self.touch();
        }
    }

    /// Exchanges all colours, or not.
    pub(crate) fn set_reverse(&mut self, reverse: bool) {
        self.modes.reverse = reverse;
        self.touch();
    }
}

/// Before cells from `column` on change and those before do not: a wide
/// character over the border goes.
fn part(row: &mut [Cell], column: usize) {
    if let Some(left) = column.checked_sub(1)
        && let Some([first, second]) = row.get_mut(left..=column)
        && second.attributes.contains(Attributes::SECOND_HALF)
    {
        for half in [first, second] {
            half.character = ' ';
            half.attributes
                .remove(Attributes::WIDE | Attributes::SECOND_HALF);
        }
    }
}

fn is_stop(column: usize) -> bool {
    column.is_multiple_of(TAB)
}

fn tabs(columns: usize) -> Result<Vec<bool>, OutOfMemory> {
    let mut tabs = Vec::new();
    tabs.try_reserve_exact(columns)?;
    tabs.extend((0..columns).map(is_stop));
    Ok(tabs)
}
