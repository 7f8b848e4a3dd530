//! PNG plots: curves of a training run, bars of an evaluation.

use std::path::Path;
use std::sync::Once;

use anyhow::{Context, Result, anyhow};
use plotters::coord::ranged1d::SegmentValue;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};

use crate::metrics::rates::Estimate;

/// Size of every plot, pixels.
const SIZE: (u32, u32) = (960, 540);
/// Line colours that are told apart with any colour vision (Okabe and Ito).
pub(crate) const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(90, 90, 90),
    RGBColor(148, 103, 40),
];

/// One line of a plot.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Its name in the legend.
    pub name: String,
    /// Step and value.
    pub points: Vec<(f64, f64)>,
}

/// One bar of a plot, with its interval and the value aimed at.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// What it is.
    pub name: String,
    /// Value and 95 % interval.
    pub estimate: Estimate,
    /// Where it should end, if there is an aim.
    pub aim: Option<f64>,
}

/// Draws lines over training steps.
///
/// # Errors
/// When there is nothing to draw or the file cannot be written.
pub fn lines(path: &Path, title: &str, y_label: &str, lines: &[Line]) -> Result<()> {
    let points = || lines.iter().flat_map(|line| &line.points);
    let bounds = |of: fn(&(f64, f64)) -> f64| {
        points()
            .map(of)
            .filter(|v| v.is_finite())
            .fold(None, |range, v| match range {
                None => Some((v, v)),
                Some((low, high)) => Some((v.min(low), v.max(high))),
            })
    };
    let (x, y) = (bounds(|p| p.0), bounds(|p| p.1));
    let (Some(x), Some(y)) = (x, y) else {
        return Err(anyhow!("{title}: there is nothing to draw yet"));
    };
    let room = ((y.1 - y.0) * 0.05).max(1e-6);
    let low = if y.0 >= 0.0 { 0.0 } else { y.0 - room };
    draw(path, |area| {
        let mut chart = ChartBuilder::on(area)
            .caption(title, ("sans-serif", 24))
            .margin(14)
            .x_label_area_size(44)
            .y_label_area_size(62)
            .build_cartesian_2d(x.0..x.1.max(x.0 + 1.0), low..y.1 + room)?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .x_desc("step")
            .x_label_formatter(&|step| format!("{step:.0}"))
            .y_desc(y_label)
            .label_style(("sans-serif", 15))
            .draw()?;
        for (line, colour) in lines.iter().zip(COLOURS.into_iter().cycle()) {
            let points = line.points.iter().copied().filter(|p| p.1.is_finite());
            chart
                .draw_series(LineSeries::new(points, colour.stroke_width(2)))?
                .label(&line.name)
                .legend(move |(x, y)| {
                    PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(3))
                });
        }
        chart
            .configure_series_labels()
            .background_style(WHITE.mix(0.85))
            .border_style(RGBColor(200, 200, 200))
            .label_font(("sans-serif", 15))
            .draw()?;
        Ok(())
    })
}

/// Draws shares from 0 to 1 as bars, with intervals and aims.
///
/// # Errors
/// When there is nothing to draw or the file cannot be written.
pub fn bars(path: &Path, title: &str, bars: &[Bar]) -> Result<()> {
    if bars.is_empty() {
        return Err(anyhow!("{title}: there is nothing to draw"));
    }
    draw(path, |area| {
        let mut chart = ChartBuilder::on(area)
            .caption(title, ("sans-serif", 24))
            .margin(14)
            .x_label_area_size(44)
            .y_label_area_size(52)
            // Segments include the end of their range.
            .build_cartesian_2d((0..bars.len() - 1).into_segmented(), 0.0..1.02)?;
        let name = |at: &SegmentValue<usize>| match at {
            SegmentValue::CenterOf(at) | SegmentValue::Exact(at) => bars
                .get(*at)
                .map_or_else(String::new, |bar| bar.name.clone()),
            SegmentValue::Last => String::new(),
        };
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(WHITE)
            .x_label_formatter(&name)
            .x_labels(bars.len())
            .label_style(("sans-serif", 14))
            .draw()?;
        for (at, bar) in bars.iter().enumerate() {
            let ends =
                |y: f64| [SegmentValue::Exact(at), SegmentValue::Exact(at + 1)].map(|x| (x, y));
            let middle = SegmentValue::CenterOf(at);
            let colour = COLOURS[0];
            let mut body = Rectangle::new(
                {
                    let [left, right] = ends(0.0);
                    [left, (right.0, bar.estimate.value)]
                },
                colour.mix(0.75).filled(),
            );
            body.set_margin(0, 0, 14, 14);
            chart.draw_series([body])?;
            let Estimate { value, low, high } = bar.estimate;
            let interval =
                ErrorBar::new_vertical(middle, low, value, high, BLACK.stroke_width(2), 10);
            chart.draw_series([interval])?;
            if let Some(aim) = bar.aim {
                chart.draw_series([PathElement::new(ends(aim), COLOURS[1].stroke_width(3))])?;
            }
        }
        Ok(())
    })
}

type Area<'a> = DrawingArea<BitMapBackend<'a>, plotters::coord::Shift>;

/// The font of every text; it has the letters of Latin, Greek and Cyrillic.
pub(crate) const FONT: &[u8] = epaint_default_fonts::UBUNTU_LIGHT;

/// Makes the font of every text known.
pub(crate) fn use_font() {
    static MADE: Once = Once::new();
    MADE.call_once(|| {
        // Only refuses bytes that are no font; then the first text says so.
        let _ = register_font("sans-serif", FontStyle::Normal, FONT);
    });
}

/// Runs `paint` on a white sheet and writes it as PNG.
fn draw(path: &Path, paint: impl FnOnce(&Area<'_>) -> Result<()>) -> Result<()> {
    use_font();
    let mut pixels = vec![0; (SIZE.0 * SIZE.1 * 3) as usize];
    {
        let area = BitMapBackend::with_buffer(&mut pixels, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        paint(&area)?;
        area.present()?;
    }
    image::save_buffer(path, &pixels, SIZE.0, SIZE.1, image::ColorType::Rgb8)
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// Pixels of `colour` in a written plot.
    fn count(path: &Path, colour: RGBColor) -> usize {
        let picture = image::open(path).unwrap().into_rgb8();
        assert_eq!(picture.dimensions(), SIZE);
        let wanted = [colour.0, colour.1, colour.2];
        picture.pixels().filter(|pixel| pixel.0 == wanted).count()
    }

    #[test]
    fn lines_and_their_names_are_drawn() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("curve.png");
        let line = |name: &str, slope: f64| Line {
            name: name.into(),
            points: (0..50)
                .map(|x| (f64::from(x), slope * f64::from(x)))
                .collect(),
        };
        lines(&path, "Loss", "nats", &[line("a", 1.0), line("b", 0.5)]).unwrap();
        // A line of 50 points across 800 pixels, two wide.
        assert!(count(&path, COLOURS[0]) > 700 && count(&path, COLOURS[1]) > 700);
        // Text of the title and the axes.
        assert!(count(&path, BLACK) > 100);
    }

    #[test]
    fn higher_bars_are_higher() {
        let folder = tempfile::tempdir().unwrap();
        let ink = |value: f64| {
            let path = folder.path().join(format!("{value}.png"));
            let estimate = Estimate {
                value,
                low: value - 0.05,
                high: value + 0.05,
            };
            let bar = Bar {
                name: "F1".into(),
                estimate,
                aim: Some(0.9),
            };
            bars(&path, "Captions", &[bar]).unwrap();
            let picture = image::open(&path).unwrap().into_rgb8();
            let blue = |p: &&image::Rgb<u8>| p.0[2].saturating_sub(p.0[0]) > 60;
            picture.pixels().filter(blue).count()
        };
        let (low, high) = (ink(0.2), ink(0.8));
        assert!(high > 3 * low && low > 1000, "{low} {high}");
    }

    #[test]
    fn nothing_to_draw_is_said() {
        let path = Path::new("never-written.png");
        assert!(lines(path, "Loss", "nats", &[]).is_err());
        assert!(bars(path, "Captions", &[]).is_err());
    }
}
