//! Bars, one panel for each group; and the memory of each over time, as lines.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::chart::{ChartBuilder, SeriesLabelPosition};
use plotters::coord::Shift;
use plotters::prelude::{
    BLACK, DrawingArea, DrawingBackend, IntoDrawingArea as _, IntoFont as _, LineSeries,
    Palette as _, Palette99, PathElement, RGBColor, Rectangle, SVGBackend, Text, WHITE,
};
use plotters::style::{Color as _, TextStyle};

use crate::sample::{self, MEMORY, Sample};

const WIDTH: u32 = 900;
const LINE: u32 = 22;
const TITLE: u32 = 34;
/// Where the bars begin; names stand to the left.
const LEFT: i32 = 260;
/// How long the longest bar of a group is; its number stands to the right.
const LONGEST: f64 = 520.0;

const OURS: RGBColor = RGBColor(204, 119, 34);
const THEIRS: RGBColor = RGBColor(120, 130, 140);

type Drawn = Result<(), Box<dyn core::error::Error>>;

/// Draws the rows that are one number into an SVG file.
pub(crate) fn bars(samples: &[Sample], path: &Path) -> Result<()> {
    let groups: Vec<&[Sample]> = sample::groups(samples)
        .filter(|group| group.first().is_some_and(|row| row.group != MEMORY))
        .collect();
    let rows: usize = groups.iter().map(|group| group.len()).sum();
    let height = TITLE * u32::try_from(groups.len())? + LINE * u32::try_from(rows + 1)?;
    let area = SVGBackend::new(path, (WIDTH, height)).into_drawing_area();
    paint_bars(&area, &groups).map_err(|error| anyhow!("drawing {}: {error}", path.display()))
}

/// Bars are as long as the logarithm says, for the slowest is a thousand times
/// slower than the fastest.
fn paint_bars<B: DrawingBackend>(area: &DrawingArea<B, Shift>, groups: &[&[Sample]]) -> Drawn
where
    B::ErrorType: 'static,
{
    area.fill(&WHITE)?;
    let title = TextStyle::from(("sans-serif", 17).into_font()).color(&BLACK);
    let plain = TextStyle::from(("sans-serif", 13).into_font()).color(&BLACK);
    let mut top = 6_i32;
    for group in groups {
        let name = group.first().map_or("", |row| row.group.as_str());
        let heading = format!("{name} (ns, logarithmic, shorter is better)");
        area.draw(&Text::new(heading, (10, top + 6), title.clone()))?;
        top += TITLE.cast_signed();
        let length = |value: f64| (1.0 + value.max(0.0)).log10();
        let most = group
            .iter()
            .map(|row| length(row.value()))
            .fold(0.1, f64::max);
        for row in *group {
            area.draw(&Text::new(row.who.clone(), (20, top + 3), plain.clone()))?;
            let color = if row.who.starts_with("ochre") {
                OURS
            } else {
                THEIRS
            };
            let end = LEFT + ((LONGEST * length(row.value()) / most) as i32).max(1);
            let bar = [(LEFT, top + 2), (end, top + LINE.cast_signed() - 4)];
            area.draw(&Rectangle::new(bar, color.filled()))?;
            let number = format!("{:.1}", row.value());
            area.draw(&Text::new(number, (end + 6, top + 3), plain.clone()))?;
            top += LINE.cast_signed();
        }
    }
    area.present()?;
    Ok(())
}

/// Draws the courses over time into an SVG file.
pub(crate) fn lines(samples: &[Sample], path: &Path) -> Result<()> {
    let rows: Vec<&Sample> = samples.iter().filter(|row| row.group == MEMORY).collect();
    let area = SVGBackend::new(path, (WIDTH, 560)).into_drawing_area();
    paint_lines(&area, &rows).map_err(|error| anyhow!("drawing {}: {error}", path.display()))
}

fn paint_lines<B: DrawingBackend>(area: &DrawingArea<B, Shift>, rows: &[&Sample]) -> Drawn
where
    B::ErrorType: 'static,
{
    area.fill(&WHITE)?;
    let all = || rows.iter().flat_map(|row| row.values.iter().copied());
    let most = all().fold(1.0, f64::max);
    let count = rows.iter().map(|row| row.values.len()).max().unwrap_or(1);
    let mut chart = ChartBuilder::on(area)
        .caption(
            "memory of the process while sizes change (MiB)",
            ("sans-serif", 17),
        )
        .margin(10)
        .x_label_area_size(30)
        .y_label_area_size(45)
        .build_cartesian_2d(0..count, 0.0..most * 1.05)?;
    chart
        .configure_mesh()
        .x_desc("rounds of 20,000 replacements")
        .draw()?;
    for (index, row) in rows.iter().enumerate() {
        let color = if row.who == "asked for" {
            BLACK.to_rgba()
        } else {
            Palette99::pick(index).to_rgba()
        };
        let points = row.values.iter().copied().enumerate();
        chart
            .draw_series(LineSeries::new(points, color.stroke_width(2)))?
            .label(row.who.clone())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .draw()?;
    area.present()?;
    Ok(())
}
