//! A picture in memory that QEMU shows (`ramfb`), asked for by a file of the
//! firmware's configuration ([`Firmware`]); on both machines.
//!
//! The picture is 80 by 25 places of 8 by 16 points, four bytes each. It is
//! memory of the kernel's that the host reads at any time and never writes, so
//! it is only ever written by volatile stores, and never given back.

use alloc::alloc::alloc_zeroed;
use core::alloc::Layout;
use core::ptr::NonNull;

use ochre_sync::Once;
use ochre_sync::primitive::atomic::{AtomicUsize, Ordering};

use super::{Device, Glyph, font};
use crate::firmware::Firmware;
use crate::memory::{PAGE_SIZE, direct};

const ROWS: usize = 25;
const COLUMNS: usize = 80;

/// Points of a place. The font's lines are each drawn twice.
const WIDTH: usize = 8;
const HEIGHT: usize = 16;

/// Points of a line of the picture, and lines.
const ACROSS: usize = COLUMNS * WIDTH;
const DOWN: usize = ROWS * HEIGHT;

/// Lines of a place that the cursor takes.
const CURSOR: usize = 2;

/// No place has the cursor.
const NOWHERE: usize = usize::MAX;

/// Red, green and blue of the colours.
const PALETTE: [u32; 16] = [
    0x00_0000, 0xaa_0000, 0x00_aa00, 0xaa_5500, 0x00_00aa, 0xaa_00aa, 0x00_aaaa, 0xaa_aaaa,
    0x55_5555, 0xff_5555, 0x55_ff55, 0xff_ff55, 0x55_55ff, 0xff_55ff, 0x55_ffff, 0xff_ffff,
];

static SCREEN: Once<Picture> = Once::new();

/// The picture.
struct Picture {
    points: NonNull<u32>,
    /// The place that has the cursor.
    ///
    /// ORDERING: Relaxed; one owner draws, and what a dying kernel draws beside
    /// it may leave a line where the cursor was.
    cursor: AtomicUsize,
}

// SAFETY: the memory is the picture's for ever; points are only written, each
// by one volatile store, and racing ones show one of the two.
unsafe impl Send for Picture {}
// SAFETY: as above.
unsafe impl Sync for Picture {}

/// Finds the screen; when the memory module has started.
pub(crate) fn find() -> Option<&'static dyn Device> {
    let mut firmware = Firmware::open()?;
    let file = firmware.find(b"etc/ramfb")?;
    let layout = Layout::from_size_align(ACROSS * DOWN * size_of::<u32>(), PAGE_SIZE).ok()?;
    // SAFETY: the layout has a size.
    let points = NonNull::new(unsafe { alloc_zeroed(layout) })?;
    let address = u64::from(direct::frame_of(points.as_ptr())) * PAGE_SIZE as u64;
    // CAST: a few hundred points.
    let told = [
        &address.to_be_bytes()[..],
        // The form `XR24`: blue, green, red and nothing, a byte each.
        &u32::from_le_bytes(*b"XR24").to_be_bytes(),
        &0_u32.to_be_bytes(),
        &(ACROSS as u32).to_be_bytes(),
        &(DOWN as u32).to_be_bytes(),
        &((ACROSS * size_of::<u32>()) as u32).to_be_bytes(),
    ];
    // Without an answer the host may have it all the same: it stays.
    firmware.write(file, &told)?;
    let _ = SCREEN.set(Picture {
        points: points.cast(),
        cursor: AtomicUsize::new(NOWHERE),
    });
    let picture: &'static Picture = SCREEN.get()?;
    Some(picture)
}

impl Picture {
    /// Sets a point; nothing outside the picture.
    fn set(&self, x: usize, y: usize, colour: u32) {
        if x >= ACROSS || y >= DOWN {
            return;
        }
        // SAFETY: inside the picture, by the check above.
        let point = unsafe { self.points.add(y * ACROSS + x) };
        // SAFETY: the picture's own memory, aligned.
        unsafe { point.write_volatile(colour) };
    }

    /// Exchanges the colours of the cursor's lines in a place, and back.
    fn invert(&self, place: usize) {
        if place >= ROWS * COLUMNS {
            return;
        }
        let (row, column) = (place / COLUMNS, place % COLUMNS);
        for y in (row + 1) * HEIGHT - CURSOR..(row + 1) * HEIGHT {
            for x in column * WIDTH..(column + 1) * WIDTH {
                // SAFETY: inside the picture, as the place is.
                let point = unsafe { self.points.add(y * ACROSS + x) };
                // SAFETY: the picture's own memory, aligned and initialised.
                let colour = unsafe { point.read_volatile() };
                self.set(x, y, colour ^ 0xff_ffff);
            }
        }
    }
}

impl Device for Picture {
    fn size(&self) -> (usize, usize) {
        (ROWS, COLUMNS)
    }

    fn put(&self, row: usize, column: usize, glyph: Glyph) {
        if row >= ROWS || column >= COLUMNS {
            return;
        }
        let colour = |number: u8| PALETTE[usize::from(number & 0xf)];
        let (front, back) = (colour(glyph.foreground), colour(glyph.background));
        let lines = font::lines(glyph.character);
        for (index, bits) in lines.iter().flat_map(|line| [line, line]).enumerate() {
            for bit in 0..WIDTH {
                let is_set = bits >> bit & 1 != 0;
                let colour = if is_set { front } else { back };
                self.set(column * WIDTH + bit, row * HEIGHT + index, colour);
            }
        }
        let place = row * COLUMNS + column;
        if self.cursor.load(Ordering::Relaxed) == place {
            self.invert(place);
        }
    }

    fn set_cursor(&self, place: Option<(usize, usize)>) {
        let place = place.map_or(NOWHERE, |(row, column)| {
            row.min(ROWS - 1) * COLUMNS + column.min(COLUMNS - 1)
        });
        let before = self.cursor.swap(place, Ordering::Relaxed);
        if before != place {
            self.invert(before);
            self.invert(place);
        }
    }
}
