//! `loss.svg`: the training loss and the score on the development examples of a run.

use anyhow::{Result, anyhow};
use plotters::prelude::*;
use std::path::Path;
use zograd_runs::experiment::smooth;
use zograd_tasks::metrics::Metric;
use zograd_trainer::EvalRecord;

const SIZE: (u32, u32) = (800, 420);
const LOSS: RGBColor = RGBColor(31, 119, 180);
const SCORE: RGBColor = RGBColor(214, 90, 20);

/// Draws the losses (forward passes, loss) of the steps (dots, and their running mean as a line) against forward passes, and the
/// development score on an axis of its own.
///
/// # Errors
/// The file cannot be written.
pub fn loss_curve(
    path: &Path,
    title: &str,
    points: &[(f64, f64)],
    evals: &[EvalRecord],
) -> Result<()> {
    if points.is_empty() {
        return Ok(());
    }
    let named = |error: &dyn std::fmt::Display| anyhow!("{}: {error}", path.display());
    let svg = drawn(title, points, evals).map_err(|e| named(&e))?;
    zograd_files::write(path, svg).map_err(|e| named(&e))
}

fn drawn(
    title: &str,
    points: &[(f64, f64)],
    evals: &[EvalRecord],
) -> Result<String, Box<dyn std::error::Error>> {
    let mut svg = String::new();
    draw(
        SVGBackend::with_string(&mut svg, SIZE),
        title,
        points,
        evals,
    )?;
    Ok(svg)
}

/// Where the scores lie: from 0 to 1, unless they are rewards, which may be anything.
fn scores(evals: &[EvalRecord]) -> std::ops::Range<f64> {
    let found = evals.iter().filter_map(|eval| eval.dev_score.value());
    let found = found.filter(|score| score.is_finite());
    let low = found.clone().fold(0.0, f64::min);
    low..found.fold(1.0, f64::max)
}

fn draw(
    backend: SVGBackend<'_>,
    title: &str,
    points: &[(f64, f64)],
    evals: &[EvalRecord],
) -> Result<(), Box<dyn std::error::Error>> {
    let right = points.last().map_or(1.0, |p| p.0).max(1.0);
    let low = points.iter().map(|p| p.1).fold(f64::INFINITY, f64::min);
    let high = points.iter().map(|p| p.1).fold(f64::NEG_INFINITY, f64::max);
    let margin = 0.05 * (high - low).max(1e-3);
    let root = backend.into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(56)
        .right_y_label_area_size(56)
        .build_cartesian_2d(0.0..right, (low - margin)..(high + margin))?
        .set_secondary_coord(0.0..right, scores(evals));
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc("forward passes")
        .y_desc("training loss")
        .x_label_formatter(&|x| format!("{x:.0}"))
        .draw()?;
    let metric = evals
        .first()
        .map_or(Metric::Accuracy, |e| e.dev_score.metric());
    let score_name = format!("development {metric}");
    chart
        .configure_secondary_axes()
        .y_desc(&score_name)
        .draw()?;
    chart.draw_series(
        points
            .iter()
            .map(|p| Circle::new(*p, 1, LOSS.mix(0.25).filled())),
    )?;
    chart
        .draw_series(LineSeries::new(smooth(points), LOSS.stroke_width(2)))?
        .label("training loss")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 16, y)], LOSS.stroke_width(2)));
    let score = || {
        evals
            .iter()
            .filter_map(|e| Some((e.forwards as f64, e.dev_score.value()?)))
    };
    chart
        .draw_secondary_series(LineSeries::new(score(), SCORE.stroke_width(2)))?
        .label(score_name)
        .legend(|(x, y)| PathElement::new([(x, y), (x + 16, y)], SCORE.stroke_width(2)));
    chart.draw_secondary_series(score().map(|p| Circle::new(p, 3, SCORE.filled())))?;
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    root.present()?;
    Ok(())
}
