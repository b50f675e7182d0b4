//! Bars, one panel for each group, one bar for each row; Ochre's are ochre.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::{
    BLACK, DrawingArea, DrawingBackend, IntoDrawingArea as _, IntoFont as _, RGBColor, Rectangle,
    SVGBackend, Text, WHITE,
};
use plotters::style::{Color as _, TextStyle};

use crate::sample::{self, Key, Rows, Times};

/// The rows of one panel.
type Panel<'a> = Vec<(&'a Key, &'a Times)>;

const WIDTH: u32 = 900;
const LINE: u32 = 22;
const TITLE: u32 = 34;
/// Where the bars begin; names stand to the left.
const LEFT: i32 = 330;
/// How long the longest bar of a group is; its number stands to the right.
const LONGEST: f64 = 440.0;

const OURS: RGBColor = RGBColor(204, 119, 34);
const THEIRS: RGBColor = RGBColor(120, 130, 140);

/// Draws all rows into an SVG file.
pub(crate) fn draw(rows: &Rows, path: &Path) -> Result<()> {
    let groups = sample::groups(rows);
    let height: u32 = groups.iter().map(|group| panel_height(group)).sum();
    let area = SVGBackend::new(path, (WIDTH, height + LINE)).into_drawing_area();
    paint(&area, &groups).map_err(|error| anyhow!("drawing {}: {error}", path.display()))
}

fn panel_height(group: &Panel<'_>) -> u32 {
    TITLE + LINE * u32::try_from(group.len()).unwrap_or(u32::MAX / (2 * LINE))
}

fn paint<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    groups: &[Panel<'_>],
) -> Result<(), Box<dyn core::error::Error>>
where
    B::ErrorType: 'static,
{
    area.fill(&WHITE)?;
    let title = TextStyle::from(("sans-serif", 17).into_font()).color(&BLACK);
    let plain = TextStyle::from(("sans-serif", 13).into_font()).color(&BLACK);
    let mut top = 6_i32;
    for group in groups {
        let name = group.first().map_or("", |(key, _)| key.group.as_str());
        let heading = format!("{name} (ns each, shorter is better)");
        area.draw(&Text::new(heading, (10, top + 6), title.clone()))?;
        top += TITLE.cast_signed();
        let most = group
            .iter()
            .map(|(_, times)| times.median)
            .fold(0.0, f64::max);
        for (key, times) in group {
            let label = format!("{}, threads: {}", key.who, key.threads);
            area.draw(&Text::new(label, (20, top + 3), plain.clone()))?;
            let color = if key.library() == "ochre" {
                OURS
            } else {
                THEIRS
            };
            let length = (LONGEST * times.median / most.max(f64::MIN_POSITIVE)) as i32;
            let bar = [
                (LEFT, top + 2),
                (LEFT + length.max(1), top + LINE.cast_signed() - 4),
            ];
            area.draw(&Rectangle::new(bar, color.filled()))?;
            let number = format!("{:.1}", times.median);
            area.draw(&Text::new(
                number,
                (LEFT + length + 6, top + 3),
                plain.clone(),
            ))?;
            top += LINE.cast_signed();
        }
    }
    area.present()?;
    Ok(())
}
