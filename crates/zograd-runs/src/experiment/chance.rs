//! What chance leaves open: how far a score may be off, and which points nothing tells apart.

use super::outcome::Outcome;
use crate::words::count;
use zograd_tasks::metrics::Metric;

/// The points that may be the best.
pub fn usable<'a>(points: &[&'a Outcome]) -> impl Iterator<Item = &'a Outcome> {
    let points = points.iter().copied();
    points.filter(|p| p.diverged.is_none() && p.dev_score.is_some())
}

/// Which points are as good as the best, in words.
pub enum Near {
    /// All of them.
    All(String),
    /// Some of them, or none.
    Some(Option<String>),
}

/// How many points are as good as the best, for all that so few examples and seeds can tell.
pub fn near(best: &Outcome, points: &[&Outcome]) -> Option<Near> {
    let (score, error) = (best.dev_score?.mean, standard_error(best)?);
    let all = usable(points).count();
    let others = usable(points)
        .filter(|p| !std::ptr::eq(*p, best))
        .filter(|p| p.dev_score.is_some_and(|a| a.mean >= score - error))
        .count();
    let examples = match best.runs.len() {
        1 => count(best.dev_examples, "example"),
        seeds => format!("{}, {seeds} seeds", count(best.dev_examples, "example")),
    };
    let points = match best.metric {
        Some(Metric::Reward) => format!("{error:.3} on {examples}"),
        _ => format!("{:.1} points on {examples}", 100.0 * error),
    };
    Some(match others {
        0 => Near::Some(None),
        others if others + 1 == all => Near::All(format!(
            "All {all} points are within one standard error ({points}) of the best: nothing tells them apart. Take a \
             longer run, more development examples, more seeds, or rates that are further apart."
        )),
        others => Near::Some(Some(format!(
            "{others} other {} within one standard error ({points}) of it: a longer run, more development examples or \
             more seeds would tell them apart.",
            if others == 1 {
                "point is"
            } else {
                "points are"
            },
        ))),
    })
}

/// How far the score of a point is off by chance. A mean of scores between 0 and 1 has at most the standard error of a
/// share; what seeds spread, if that is more, counts instead. Of rewards, which may be any numbers, only seeds can tell it.
pub fn standard_error(point: &Outcome) -> Option<f64> {
    let score = point.dev_score?;
    if point.metric == Some(Metric::Reward) {
        let spread = score.standard_deviation?;
        return Some(spread / (score.runs as f64).sqrt());
    }
    let examples = (point.dev_examples * score.runs) as f64;
    // one success and one failure more, so that a perfect score on few examples has an error, too
    let n = examples + 2.0;
    let share = (score.mean * examples + 1.0) / n;
    let of_examples = (share * (1.0 - share) / n).sqrt();
    let deviation = score.standard_deviation.unwrap_or(0.0);
    Some(of_examples.max(deviation / (score.runs as f64).sqrt()))
}
