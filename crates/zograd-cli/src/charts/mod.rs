//! The charts of a report: one quantity of several groups of runs against steps, forward passes or seconds.

mod bins;
pub mod frame;
pub mod palette;

use anyhow::{Result, anyhow};
use bins::{envelope, thin};
use frame::{Range, Ticks, px, stroke};
use plotters::prelude::*;
use zograd_runs::experiment::{Axis, Curve, Group, smooth};
use zograd_runs::folder::RunRecord;

/// What is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// The training loss: every step faint, their running mean clear.
    Loss,
    /// The score on the development examples.
    Score,
}

impl Quantity {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Loss, Self::Score];

    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Score => "score",
        }
    }

    /// What to write along it, for these runs.
    pub fn description(self, groups: &[Group<'_>]) -> String {
        let mut metrics = groups
            .iter()
            .flat_map(|g| &g.runs)
            .filter_map(|r| r.metric());
        let first = metrics.next();
        match (self, first) {
            (Self::Loss, _) => "training loss".into(),
            (Self::Score, Some(metric)) if metrics.all(|other| other == metric) => {
                format!("development {metric}")
            }
            (Self::Score, _) => "development score".into(),
        }
    }

    fn curve(self, run: &RunRecord, axis: Axis) -> Curve {
        match self {
            Self::Loss => run.losses(axis),
            Self::Score => run.scores(axis),
        }
    }
}

/// Where a chart is going to stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a page that has the legend and the background.
    Page,
    /// In a file of its own.
    File,
}

/// A chart as SVG; none if no run has a point.
///
/// # Errors
/// The chart cannot be drawn.
pub fn svg(
    quantity: Quantity,
    axis: Axis,
    groups: &[Group<'_>],
    place: Place,
) -> Result<Option<String>> {
    let curves: Vec<Vec<Curve>> = groups
        .iter()
        .map(|group| {
            let curves = group.runs.iter().map(|run| quantity.curve(run, axis));
            curves.filter(|curve| !curve.is_empty()).collect()
        })
        .collect();
    let all: Vec<&Curve> = curves.iter().flatten().collect();
    let Some(range) = range(quantity, &all) else {
        return Ok(None);
    };
    let labels: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
    let labels = match place {
        Place::Page => &[][..],
        Place::File => &labels,
    };
    frame::svg(place, labels, |area| {
        let names = (axis.description(), &*quantity.description(groups));
        draw(area, quantity, names, &curves, range)
    })
    .map(Some)
    .map_err(|e| anyhow!("{} against {}: {e}", quantity.name(), axis.name()))
}

fn draw(
    area: &frame::Area<'_>,
    quantity: Quantity,
    (x, y): (&str, &str),
    curves: &[Vec<Curve>],
    range: Range,
) -> frame::Drawn {
    let mut chart = frame::axes(area, range, Ticks::Numbers, x, y)?;
    let inside = |&(x, y): &(f64, f64)| (x, y.min(range.top));
    for (number, runs) in curves.iter().enumerate() {
        let colour = palette::series(number).light;
        for curve in runs {
            match quantity {
                Quantity::Loss => {
                    let raw: Curve = envelope(curve).iter().map(inside).collect();
                    chart.draw_series(LineSeries::new(raw, stroke(colour.mix(0.22), 1)))?;
                    let mean: Curve = thin(&smooth(curve)).iter().map(inside).collect();
                    frame::curve(&mut chart, mean, number, 2)?;
                }
                Quantity::Score => {
                    let points: Curve = thin(curve);
                    chart.draw_series(
                        points
                            .iter()
                            .map(|p| Circle::new(*p, px(2), colour.filled())),
                    )?;
                    frame::curve(&mut chart, points, number, 2)?;
                }
            }
        }
    }
    Ok(())
}

/// What the axes have to span. A run whose loss goes through the roof must not flatten the others: beyond twice
/// the highest loss at a start, losses are drawn at the edge.
fn range(quantity: Quantity, curves: &[&Curve]) -> Option<Range> {
    let right = curves
        .iter()
        .filter_map(|c| c.last())
        .map(|p| p.0)
        .fold(0.0, f64::max);
    let values = || curves.iter().flat_map(|c| c.iter()).map(|p| p.1);
    let low = values().fold(f64::INFINITY, f64::min);
    let high = values().fold(f64::NEG_INFINITY, f64::max);
    let start = curves
        .iter()
        .filter_map(|c| c.first())
        .map(|p| p.1)
        .fold(0.0, f64::max);
    (low.is_finite() && high.is_finite()).then(|| {
        let high = match quantity {
            Quantity::Loss => high.min(2.0 * start.max(low)),
            Quantity::Score => high,
        };
        let margin = 0.05 * (high - low).max(0.02);
        let (bottom, top) = match quantity {
            Quantity::Loss => ((low - margin).max(0.0), high + margin),
            Quantity::Score => ((low - margin).max(0.0), (high + margin).min(1.005)),
        };
        Range {
            left: 0.0,
            right: right.max(1e-9),
            bottom,
            top,
        }
    })
}
