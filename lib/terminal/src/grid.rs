//! Rows of cells, each of which knows whether it changed since it was drawn.

use alloc::vec::Vec;
use core::mem;
use core::ops::Range;

use crate::history::History;
use crate::{Cell, OutOfMemory};

/// A row.
#[derive(Debug)]
struct Row {
    cells: Vec<Cell>,
    /// Changed since it was drawn.
    dirty: bool,
}

/// What a screen shows.
///
/// # Invariants
/// There is at least one row, and every row has the same number of cells, at
/// least one.
#[derive(Debug)]
pub(crate) struct Grid {
    rows: Vec<Row>,
}

/// Cells of one row, all blank.
pub(crate) fn blank_cells(columns: usize, blank: Cell) -> Result<Vec<Cell>, OutOfMemory> {
    let mut cells = Vec::new();
    cells.try_reserve_exact(columns)?;
    cells.resize(columns, blank);
    Ok(cells)
}

impl Grid {
    /// A blank grid.
    pub(crate) fn new(rows: usize, columns: usize) -> Result<Grid, OutOfMemory> {
        let mut grid = Grid { rows: Vec::new() };
        grid.rows.try_reserve_exact(rows)?;
        for _ in 0..rows {
            grid.rows.push(Row {
                cells: blank_cells(columns, Cell::BLANK)?,
                dirty: true,
            });
        }
        Ok(grid)
    }

    /// A grid of another size with what fits of this one's rows from `first` on.
    pub(crate) fn resized(
        &self,
        first: usize,
        rows: usize,
        columns: usize,
    ) -> Result<Grid, OutOfMemory> {
        let mut grid = Grid::new(rows, columns)?;
        for (new, old) in grid.rows.iter_mut().zip(self.rows.iter().skip(first)) {
            let count = new.cells.len().min(old.cells.len());
            new.cells[..count].copy_from_slice(&old.cells[..count]);
            cut_wide(&mut new.cells);
        }
        Ok(grid)
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// A row's cells.
    pub(crate) fn row(&self, row: usize) -> &[Cell] {
        &self.rows[row].cells
    }

    /// A row's cells, to change.
    pub(crate) fn row_mut(&mut self, row: usize) -> &mut [Cell] {
        let row = &mut self.rows[row];
        row.dirty = true;
        &mut row.cells
    }

    /// Whether a row changed since the last time it was asked.
    pub(crate) fn take_dirty(&mut self, row: usize) -> bool {
        mem::take(&mut self.rows[row].dirty)
    }

    /// Whether any row changed.
    pub(crate) fn is_dirty(&self) -> bool {
        self.rows.iter().any(|row| row.dirty)
    }

    /// Has all rows drawn anew.
    pub(crate) fn touch(&mut self) {
        for row in &mut self.rows {
            row.dirty = true;
        }
    }

    /// Moves rows up by `count`: the upper ones of `range` go (into `history`,
    /// if there is one), blank ones come from below.
    pub(crate) fn scroll_up(
        &mut self,
        range: Range<usize>,
        count: usize,
        blank: Cell,
        history: Option<&mut History>,
    ) {
        let rows = &mut self.rows[range];
        let count = count.min(rows.len());
        if let Some(history) = history {
            for row in &mut rows[..count] {
                history.keep(&mut row.cells);
            }
        }
        rows.rotate_left(count);
        let kept = rows.len() - count;
        Self::blank_rows(&mut rows[kept..], blank);
        for row in &mut rows[..kept] {
            row.dirty = true;
        }
    }

    /// Moves rows down by `count`: the lower ones of `range` go, blank ones
    /// come from above.
    pub(crate) fn scroll_down(&mut self, range: Range<usize>, count: usize, blank: Cell) {
        let rows = &mut self.rows[range];
        let count = count.min(rows.len());
        rows.rotate_right(count);
        Self::blank_rows(&mut rows[..count], blank);
        for row in &mut rows[count..] {
            row.dirty = true;
        }
    }

    /// Blanks whole rows.
    pub(crate) fn clear(&mut self, range: Range<usize>, blank: Cell) {
        Self::blank_rows(&mut self.rows[range], blank);
    }

    fn blank_rows(rows: &mut [Row], blank: Cell) {
        for row in rows {
            row.cells.fill(blank);
            row.dirty = true;
        }
    }
}

/// Blanks the first half of a wide character whose other half was cut off.
fn cut_wide(cells: &mut [Cell]) {
    use crate::Attributes;
    if let Some(last) = cells.last_mut()
        && last.attributes.contains(Attributes::WIDE)
    {
        last.character = ' ';
        last.attributes.remove(Attributes::WIDE);
    }
}
