//! What all charts have: a size, axes, and a legend below them in files.

use super::{Place, palette};
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::series::DashedLineSeries;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::error::Error;

/// Units of a pixel: plotters rounds every point to whole units, and curves drawn in pixels have steps.
const UNIT: u32 = 4;
/// Size of the part with the axes, in pixels.
const SIZE: (u32, u32) = (480, 320);
/// Height of one line of the legend, in pixels.
const LINE: u32 = 22;
/// Size of the letters, in pixels.
const LETTERS: u32 = 17;
/// Letters that fit beside the mark of a legend: 388 pixels for letters of 7 to 8.
const LETTERS_OF_LEGEND: usize = 48;

/// Where to draw.
pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// Whether it worked.
pub type Drawn = Result<(), Box<dyn Error>>;
/// A chart with two axes of numbers.
pub type Chart<'a, 'b> =
    ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// What the axes span.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    /// Start of the x axis.
    pub left: f64,
    /// End of the x axis.
    pub right: f64,
    /// Start of the y axis.
    pub bottom: f64,
    /// End of the y axis.
    pub top: f64,
}

/// What stands along the x axis.
#[derive(Clone, Copy, Debug)]
pub enum Ticks<'a> {
    /// Round numbers.
    Numbers,
    /// These words, at 0, 1, 2 and so on.
    Names(&'a [String]),
}

/// An SVG with what `draw` draws and a legend with these labels.
///
/// # Errors
/// Those of `draw`.
pub fn svg(
    place: Place,
    labels: &[&str],
    draw: impl FnOnce(&Area<'_>) -> Drawn,
) -> Result<String, Box<dyn Error>> {
    let mut text = String::new();
    let labels: Vec<Vec<String>> = labels.iter().map(|label| wrapped(label)).collect();
    let lines = labels.iter().map(Vec::len).sum::<usize>() as u32;
    let legend = lines * LINE + if labels.is_empty() { 0 } else { LINE / 2 };
    let height = SIZE.1 + legend;
    {
        let size = (SIZE.0 * UNIT, height * UNIT);
        let root = SVGBackend::with_string(&mut text, size).into_drawing_area();
        if place == Place::File {
            root.fill(&WHITE)?;
        }
        let (chart, below) = root.split_vertically(SIZE.1 * UNIT);
        draw(&chart)?;
        let mut drawn = 0;
        for (number, label) in labels.iter().enumerate() {
            let y = px(drawn * LINE + LINE / 2);
            let colour = palette::series(number).light;
            let line = [(px(60), y), (px(84), y)];
            match palette::dashes(number) {
                None => below.draw(&PathElement::new(line, stroke(colour, 3)))?,
                Some([dash, gap]) => {
                    let line = line.into_iter();
                    below.draw(&DashedPathElement::new(
                        line,
                        px(dash),
                        px(gap),
                        stroke(colour, 3),
                    ))?;
                }
            }
            for line in label {
                let style = letters().pos(Pos::new(HPos::Left, VPos::Center));
                let y = px(drawn * LINE + LINE / 2);
                below.draw(&Text::new(line.as_str(), (px(92), y), style))?;
                drawn += 1;
            }
        }
        root.present()?;
    }
    // the view box stays in units
    let units = |size: u32| format!("\"{}\"", size * UNIT);
    let text = text.replacen(&units(SIZE.0), &format!("\"{}\"", SIZE.0), 1);
    Ok(text.replacen(&units(height), &format!("\"{height}\""), 1))
}

/// The label in lines that fit, broken between words; a longer word has a line of its own.
fn wrapped(label: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in label.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= LETTERS_OF_LEGEND => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.into()),
        }
    }
    lines
}

/// Pixels in units.
pub fn px(pixels: u32) -> i32 {
    (pixels * UNIT) as i32
}

/// A line of so many pixels.
pub fn stroke(colour: impl Color, pixels: u32) -> ShapeStyle {
    colour.stroke_width(pixels * UNIT)
}

/// The curve with this number: a line of so many pixels in its colour, and dashed where colours repeat.
///
/// # Errors
/// It cannot be drawn.
pub fn curve(
    chart: &mut Chart<'_, '_>,
    points: Vec<(f64, f64)>,
    number: usize,
    pixels: u32,
) -> Drawn {
    let style = stroke(palette::series(number).light, pixels);
    match palette::dashes(number) {
        None => chart.draw_series(LineSeries::new(points, style))?,
        Some([dash, gap]) => {
            let dashed = DashedLineSeries::new(points, px(dash), px(gap), style);
            chart.draw_series(dashed)?
        }
    };
    Ok(())
}

/// Axes with their descriptions and grid lines.
///
/// # Errors
/// They cannot be drawn.
pub fn axes<'a, 'b>(
    area: &'a Area<'b>,
    range: Range,
    ticks: Ticks<'_>,
    x: &str,
    y: &str,
) -> Result<Chart<'a, 'b>, Box<dyn Error>> {
    let mut chart = ChartBuilder::on(area)
        .margin(px(8))
        .margin_right(px(20))
        .x_label_area_size(px(48))
        .y_label_area_size(px(70))
        .build_cartesian_2d(range.left..range.right, range.bottom..range.top)?;
    let decimals = decimals(range.top - range.bottom);
    let x_text = |x: &f64| count(*x, range.right);
    let y_text = |y: &f64| format!("{y:.decimals$}");
    let mut mesh = chart.configure_mesh();
    mesh.x_labels(5);
    if let Ticks::Names(_) = ticks {
        mesh.disable_x_mesh().x_labels(0);
    }
    mesh.max_light_lines(0)
        .bold_line_style(stroke(palette::GRID.light, 1))
        .axis_style(stroke(palette::INK.light, 1))
        .set_all_tick_mark_size(px(5))
        .label_style(letters())
        .axis_desc_style(letters())
        .x_desc(x)
        .y_desc(y)
        .y_labels(6)
        .x_label_formatter(&x_text)
        .y_label_formatter(&y_text)
        .draw()?;
    if let Ticks::Names(names) = ticks {
        let style = letters().pos(Pos::new(HPos::Center, VPos::Top));
        for (number, name) in names.iter().enumerate() {
            let (x, y) = chart.backend_coord(&(number as f64, range.bottom));
            area.draw(&Text::new(name.as_str(), (x, y + px(8)), style.clone()))?;
        }
    }
    Ok(chart)
}

/// The style of all text.
pub fn letters() -> TextStyle<'static> {
    ("sans-serif", LETTERS * UNIT)
        .into_font()
        .color(&palette::INK.light)
}

/// Enough decimals to tell about six labels apart over this span.
fn decimals(span: f64) -> usize {
    (1.0 - (span / 6.0).log10()).floor().clamp(0.0, 6.0) as usize
}

/// A number of steps, forwards or seconds, short, on an axis that ends at `end`.
fn count(x: f64, end: f64) -> String {
    match end {
        end if end >= 2e6 => format!("{}M", x / 1e6),
        end if end >= 10_000.0 => format!("{}k", x / 1e3),
        end if end >= 5.0 => format!("{x:.0}"),
        end => {
            let decimals = decimals(end);
            format!("{x:.decimals$}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_labels_are_broken_and_nothing_is_left_out() {
        let label = "gv, dev-examples 300, eval-every 10, lr 1e-4, steps 100, test-examples 1000";
        let lines = wrapped(label);
        assert_eq!(
            lines,
            [
                "gv, dev-examples 300, eval-every 10, lr 1e-4,",
                "steps 100, test-examples 1000"
            ]
        );
        assert_eq!(lines.join(" "), label);
        assert_eq!(wrapped("gv"), ["gv"]);
        let empty = |_: &Area<'_>| -> Drawn { Ok(()) };
        let drawn = svg(Place::File, &[label, "gv"], empty).expect("a chart");
        let height = SIZE.1 + 3 * LINE + LINE / 2;
        assert!(drawn.contains(&format!("height=\"{height}\"")), "{drawn}");
        assert!(drawn.contains("test-examples 1000"), "{drawn}");
    }
}
