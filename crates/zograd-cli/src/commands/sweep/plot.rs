//! `sweep.svg`: the score of every point.

use crate::charts::Place;
use crate::charts::frame::{self, Range, Ticks, px, stroke};
use crate::charts::palette;
use anyhow::{Result, anyhow};
use plotters::prelude::*;
use zograd_runs::experiment::{Advice, Outcome};
use zograd_runs::words::number;
use zograd_tasks::metrics::Metric;

/// Development score against the learning rate, a line for every method and eps; crosses are points that
/// diverged, a ring is the best one of a method, an upright line what the seeds of a point span. None if no point was
/// evaluated.
///
/// # Errors
/// It cannot be drawn.
pub fn svg(points: &[Outcome], best: &[Advice]) -> Result<Option<String>> {
    let mut rates: Vec<f64> = points.iter().map(|p| p.lr).collect();
    rates.sort_by(f64::total_cmp);
    rates.dedup();
    let mut rows: Vec<(&str, Option<f64>)> = Vec::new();
    for point in points {
        let row = (point.method.as_str(), point.eps);
        if !rows.contains(&row) {
            rows.push(row);
        }
    }
    let scores = || points.iter().filter_map(|p| p.dev_score);
    let low = scores().map(|s| s.low).fold(f64::INFINITY, f64::min);
    let high = scores().map(|s| s.high).fold(f64::NEG_INFINITY, f64::max);
    if !low.is_finite() {
        return Ok(None);
    }
    let margin = 0.1 * (high - low).max(0.02);
    let range = Range {
        left: -0.5,
        right: rates.len() as f64 - 0.5,
        bottom: (low - margin).max(0.0),
        top: (high + margin).min(1.02),
    };
    let labels: Vec<String> = rows
        .iter()
        .map(|(method, eps)| match eps {
            Some(eps) => format!("{method}, eps {}", number(*eps)),
            None => (*method).to_owned(),
        })
        .collect();
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    let names: Vec<String> = rates.iter().map(|lr| number(*lr)).collect();
    let metric = points.iter().find_map(|p| p.metric);
    let score = format!("development {}", metric.map_or("score", Metric::name));
    let place = |lr: f64| rates.iter().position(|x| *x == lr).unwrap_or(0) as f64;
    let draw = |area: &frame::Area<'_>| {
        let ticks = Ticks::Names(&names);
        let mut chart = frame::axes(area, range, ticks, "learning rate", &score)?;
        for (number, row) in rows.iter().enumerate() {
            let colour = palette::series(number).light;
            let of_row = points.iter().filter(|p| (p.method.as_str(), p.eps) == *row);
            // a point that diverged before it was evaluated stands at the bottom
            let height = |p: &Outcome| {
                let lost = p.diverged.as_ref().map(|_| range.bottom);
                p.dev_score.map(|score| score.mean).or(lost)
            };
            let drawn: Vec<((f64, f64), &Outcome)> = of_row
                .filter_map(|p| Some(((place(p.lr), height(p)?), p)))
                .collect();
            let usable = drawn.iter().filter(|(_, p)| p.diverged.is_none());
            let line = usable.map(|(at, _)| *at);
            frame::curve(&mut chart, line.collect(), number, 2)?;
            for (at, point) in drawn {
                let is =
                    |b: &Advice| b.method == point.method && b.lr == point.lr && b.eps == point.eps;
                let is_best = best.iter().any(is);
                if let Some(score) = point.dev_score.filter(|score| score.low < score.high) {
                    let ends = [(at.0, score.low), (at.0, score.high)];
                    chart.draw_series([PathElement::new(ends, stroke(colour, 1))])?;
                }
                match point.diverged {
                    Some(_) => chart.draw_series([Cross::new(at, px(6), stroke(colour, 2))])?,
                    None => chart.draw_series([Circle::new(at, px(4), colour.filled())])?,
                };
                if is_best {
                    let ink = palette::INK.light;
                    chart.draw_series([Circle::new(at, px(8), stroke(ink, 2))])?;
                }
            }
        }
        Ok(())
    };
    let svg = frame::svg(Place::File, &labels, draw);
    svg.map(Some).map_err(|e| anyhow!("sweep.svg: {e}"))
}
