//! What a guest's screen shows, as text: a PC's adapter has it in its memory;
//! where the screen is a picture, characters are known by their looks.
//!
//! Looks are compared with the font that the kernel draws with, so a glyph that
//! is wrong in the font itself is not found here (`screen: picture` has two of
//! them in points). A place that is neither of the characters looked for, or was
//! read while it was drawn, is `?`: who waits for a text looks again.

use core::time::Duration;
use std::{collections::BTreeMap, time::Instant};

use anyhow::{Context as _, Result, bail, ensure};
use font8x8::legacy::{BASIC_LEGACY, BOX_LEGACY, LATIN_LEGACY};
use ochre_tests::{Machine, Picture, Running};

pub(super) const ROWS: usize = 25;
pub(super) const COLUMNS: usize = 80;

/// How long something may take until it is on the screen.
const PATIENCE: Duration = Duration::from_secs(60);

/// Points of a place of a picture.
const WIDTH: usize = 8;
const HEIGHT: usize = 16;

/// How many of a place's lines the cursor takes, from below.
const CURSOR: usize = 2;

/// What stands for a character that the screen does not have.
const MISSING: char = '■';
const MISSING_LOOKS: [u8; 8] = [0, 0x7e, 0x42, 0x42, 0x42, 0x42, 0x7e, 0];

/// Characters beside ASCII's that tests look for, and the adapter's numbers.
const OTHERS: [(char, u8); 5] = [
    ('┌', 0xda),
    ('─', 0xc4),
    ('┐', 0xbf),
    ('ä', 0x84),
    (MISSING, 0xfe),
];

type Colour = [u8; 3];

/// The adapter's colours, by number.
const PALETTE: [Colour; 16] = [
    [0, 0, 0],
    [0, 0, 0xaa],
    [0, 0xaa, 0],
    [0, 0xaa, 0xaa],
    [0xaa, 0, 0],
    [0xaa, 0, 0xaa],
    [0xaa, 0x55, 0],
    [0xaa, 0xaa, 0xaa],
    [0x55, 0x55, 0x55],
    [0x55, 0x55, 0xff],
    [0x55, 0xff, 0x55],
    [0x55, 0xff, 0xff],
    [0xff, 0x55, 0x55],
    [0xff, 0x55, 0xff],
    [0xff, 0xff, 0x55],
    [0xff, 0xff, 0xff],
];

/// One place of a screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    character: char,
    /// A colour's number; none where no point of it is seen.
    front: Option<u8>,
    back: u8,
}

/// What is on the screen.
#[derive(PartialEq, Eq)]
pub(super) struct Text(Vec<Place>);

impl Text {
    /// Looks at a screen once.
    pub(super) fn read(guest: &mut Running) -> Result<Self> {
        match guest.machine() {
            Machine::Q35 | Machine::Pc => Self::of_adapter(guest),
            Machine::Microvm | Machine::Virt => Self::of_picture(&guest.screendump()?),
        }
    }

    fn of_adapter(guest: &mut Running) -> Result<Self> {
        let places = ROWS * COLUMNS;
        let told = guest
            .control()?
            .monitor(&format!("xp /{places}hx 0xb8000"))?;
        let words = told.lines().flat_map(|line| {
            let (_, values) = line.split_once(':').unwrap_or_default();
            values
                .split_whitespace()
                .filter_map(|value| value.strip_prefix("0x"))
        });
        let places = words.map(|word| {
            let [character, colours] = u16::from_str_radix(word, 16)?.to_le_bytes();
            let other = OTHERS.iter().find(|(_, number)| *number == character);
            Ok(Place {
                character: match (character, other) {
                    (b' '..=b'~', _) => char::from(character),
                    (_, Some((other, _))) => *other,
                    _ => '?',
                },
                front: Some(colours & 0xf),
                back: colours >> 4,
            })
        });
        let text = Self(places.collect::<Result<_>>()?);
        ensure!(text.0.len() == ROWS * COLUMNS, "the monitor says: {told}");
        Ok(text)
    }

    fn of_picture(picture: &Picture) -> Result<Self> {
        let size = (picture.width(), picture.height());
        if size != (COLUMNS * WIDTH, ROWS * HEIGHT) {
            // There is none before the kernel has asked for it.
            let place = Place {
                character: '?',
                front: None,
                back: 0,
            };
            return Ok(Self(vec![place; ROWS * COLUMNS]));
        }
        let looks = looks();
        let place = |index| {
            let (row, column) = (index / COLUMNS, index % COLUMNS);
            place(picture, row, column, &looks).context("a point outside the picture")
        };
        Ok(Self((0..ROWS * COLUMNS).map(place).collect::<Result<_>>()?))
    }

    /// The characters of a row, without blanks behind.
    pub(super) fn row(&self, row: usize) -> String {
        let places = &self.0[row * COLUMNS..][..COLUMNS];
        let text: String = places.iter().map(|place| place.character).collect();
        text.trim_end().to_owned()
    }

    /// Those of all rows.
    pub(super) fn rows(&self) -> Vec<String> {
        (0..ROWS).map(|row| self.row(row)).collect()
    }

    /// Whether a place has these colours, as a PC's adapter numbers them: the
    /// lower digit is the character's, which a blank in a picture does not show.
    pub(super) fn has_colours(&self, row: usize, column: usize, colours: u8) -> Result<()> {
        let place = self.0[row * COLUMNS + column];
        let (front, back) = (colours & 0xf, colours >> 4);
        ensure!(
            place.back == back && place.front.is_none_or(|seen| seen == front),
            "not {colours:#x} at {row}, {column}: {place:x?}"
        );
        Ok(())
    }
}

/// The characters that are looked for, by their looks.
fn looks() -> BTreeMap<[u8; 8], char> {
    let lines = |character: char| {
        let number = u32::from(character) as usize;
        match number {
            0..0x80 => BASIC_LEGACY[number],
            0xa0..0x100 => LATIN_LEGACY[number - 0xa0],
            0x2500..0x2580 => BOX_LEGACY[number - 0x2500],
            _ => MISSING_LOOKS,
        }
    };
    let others = OTHERS.iter().map(|(character, _)| *character);
    (b' '..=b'~')
        .map(char::from)
        .chain(others)
        .map(|character| (lines(character), character))
        .collect()
}

/// What a place of a picture shows.
fn place(
    picture: &Picture,
    row: usize,
    column: usize,
    looks: &BTreeMap<[u8; 8], char>,
) -> Option<Place> {
    let mut points = [[[0; 3]; WIDTH]; HEIGHT];
    for (y, line) in points.iter_mut().enumerate() {
        for (x, point) in line.iter_mut().enumerate() {
            *point = picture.at(column * WIDTH + x, row * HEIGHT + y)?;
        }
    }
    without_cursor(&mut points);
    let number = |colour: Colour| {
        let number = PALETTE.iter().position(|other| *other == colour);
        number.and_then(|number| u8::try_from(number).ok())
    };
    let colours = colours(&points);
    let unknown = Place {
        character: '?',
        front: None,
        back: 0,
    };
    let found = match colours[..] {
        [only] => number(only).map(|back| Place {
            character: ' ',
            front: None,
            back,
        }),
        [one, other] => [(one, other), (other, one)]
            .into_iter()
            .find_map(|(front, back)| {
                Some(Place {
                    character: *looks.get(&lines(&points, front)?)?,
                    front: Some(number(front)?),
                    back: number(back)?,
                })
            }),
        _ => None,
    };
    Some(found.unwrap_or(unknown))
}

/// The colours that are in some lines.
fn colours(lines: &[[Colour; WIDTH]]) -> Vec<Colour> {
    let mut colours: Vec<_> = lines.iter().flatten().copied().collect();
    colours.sort_unstable();
    colours.dedup();
    colours
}

/// Exchanges the colours of the cursor's lines back, if it is there: none of
/// theirs is one of the others'.
fn without_cursor(points: &mut [[Colour; WIDTH]; HEIGHT]) {
    let (above, below) = points.split_at_mut(HEIGHT - CURSOR);
    let there = colours(above);
    let exchanged = |colour: Colour| colour.map(|part| !part);
    let is_cursor = colours(below)
        .iter()
        .all(|colour| !there.contains(colour) && there.contains(&exchanged(*colour)));
    if is_cursor {
        for point in below.iter_mut().flatten() {
            *point = exchanged(*point);
        }
    }
}

/// The eight lines of a character, each of which is drawn twice; none if they
/// are not.
fn lines(points: &[[Colour; WIDTH]; HEIGHT], front: Colour) -> Option<[u8; 8]> {
    let mut lines = [0; 8];
    let (pairs, _) = points.as_chunks::<2>();
    for (line, [first, second]) in lines.iter_mut().zip(pairs) {
        if first != second {
            return None;
        }
        for (x, point) in first.iter().enumerate() {
            *line |= u8::from(*point == front) << x;
        }
    }
    Some(lines)
}

/// Looks until the screen is as wanted: it is painted some time after programs write.
pub(super) fn wait(
    guest: &mut Running,
    what: &str,
    wanted: impl Fn(&Text) -> bool,
) -> Result<Text> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = Text::read(guest)?;
        if wanted(&text) {
            return Ok(text);
        }
        if Instant::now() > deadline {
            bail!("{what} is not on the screen:\n{}", text.rows().join("\n"));
        }
    }
}

/// The same, by its rows from the first.
pub(super) fn wait_for_rows(guest: &mut Running, what: &str, rows: &[&str]) -> Result<Text> {
    wait(guest, what, |text| {
        rows.iter()
            .enumerate()
            .all(|(row, wanted)| text.row(row) == *wanted)
    })
}
