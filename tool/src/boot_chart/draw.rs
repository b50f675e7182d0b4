//! The chart as a picture: a bar for each stage, each below the one before.

use std::io::{self, Write};

use super::{BootChart, By, milliseconds};

/// Sizes, in pixels.
const WIDTH: f64 = 1100.0;
const LEFT: f64 = 20.0;
const BARS: f64 = 700.0;
const ROW: f64 = 22.0;
const TOP: f64 = 60.0;

/// About how many lines tell the time.
const TICKS: f64 = 8.0;

impl By {
    fn colour(self) -> &'static str {
        match self {
            Self::Host => "#7d8ca3",
            Self::Firmware => "#b58fb0",
            Self::Kernel => "#cc7722",
            Self::Programs => "#5f9e6e",
        }
    }
}

impl BootChart {
    /// Draws it as SVG.
    ///
    /// # Errors
    /// If writing fails.
    pub fn draw(&self, mut to: impl Write) -> io::Result<()> {
        let total = milliseconds(self.total());
        let scale = BARS / total.max(0.001);
        // CAST: a few dozen rows.
        let bottom = TOP + ROW * self.stages.len() as f64;
        writeln!(
            to,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
             <text x=\"{LEFT}\" y=\"24\" font-size=\"16\">Ochre's boot: {total:.1} ms to the prompt</text>",
            bottom + 20.0
        )?;
        let step = step(total);
        let mut at = 0.0;
        while at <= total {
            let x = LEFT + at * scale;
            writeln!(
                to,
                "<path d=\"M{x:.1} {} V{bottom}\" stroke=\"#ddd\"/>\
                 <text x=\"{x:.1}\" y=\"{}\" fill=\"#777\">{at} ms</text>",
                TOP - 8.0,
                TOP - 12.0
            )?;
            at += step;
        }
        for (row, (begin, stage)) in self.with_begins().enumerate() {
            let (begin, end) = (milliseconds(begin), milliseconds(stage.end));
            // CAST: a few dozen rows.
            let y = TOP + ROW * row as f64;
            let x = LEFT + begin * scale;
            let width = ((end - begin) * scale).max(1.0);
            let text = format!("{} ({:.2} ms)", escaped(&stage.name), end - begin);
            writeln!(
                to,
                "<rect x=\"{x:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"{}\" fill=\"{}\">\
                 <title>{}: {text}, from {begin:.2} ms</title></rect>\
                 <text x=\"{:.1}\" y=\"{}\">{text}</text>",
                ROW - 4.0,
                stage.by.colour(),
                stage.by.name(),
                x + width + 4.0,
                y + ROW - 9.0
            )?;
        }
        writeln!(to, "</svg>")?;
        to.flush()
    }
}

/// Time between two lines: 1, 2 or 5 of something.
fn step(total: f64) -> f64 {
    let mut unit = 1.0;
    loop {
        for step in [unit, unit * 2.0, unit * 5.0] {
            if total / step <= TICKS {
                return step;
            }
        }
        unit *= 10.0;
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::{BootChart, By, step};

    #[test]
    fn every_stage_is_a_bar() {
        let mut chart = BootChart::begin();
        chart.add(By::Host, "a < b", Duration::from_millis(50));
        chart.add(By::Kernel, "root", Duration::from_millis(200));
        let mut picture = Vec::new();
        chart.draw(&mut picture).unwrap();
        let picture = String::from_utf8(picture).unwrap();
        assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"));
        assert!(picture.contains("200.0 ms to the prompt"));
        assert!(picture.contains("a &lt; b (50.00 ms)"));
        // A quarter is over when the second begins.
        assert!(
            picture.contains("<rect x=\"195.0\" y=\"82\" width=\"525.0\""),
            "{picture}"
        );
        BootChart::begin().draw(Vec::new()).unwrap();
    }

    #[test]
    fn lines_are_at_round_times() {
        for (total, expected) in [(0.0, 1.0), (8.0, 1.0), (9.0, 2.0), (170.0, 50.0)] {
            assert!((step(total) - expected).abs() < 1e-9, "{total}");
        }
    }
}
