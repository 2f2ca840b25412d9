//! Which point to take, and where to look next.

use super::outcome::Outcome;
use crate::words::number;
use serde::Serialize;

/// The best point, and what there is to say about it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Advice {
    /// The method of the best point.
    pub method: String,
    /// Its learning rate.
    pub lr: f64,
    /// Its perturbation scale; gradient methods have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eps: Option<f64>,
    /// Its score on the development examples.
    pub dev_score: f64,
    /// Sentences.
    pub remarks: Vec<String>,
}

/// What is varied.
#[derive(Clone, Copy)]
enum Axis {
    Lr,
    Eps,
}

impl Axis {
    fn of(self, point: &Outcome) -> Option<f64> {
        match self {
            Self::Lr => Some(point.lr),
            Self::Eps => point.eps,
        }
    }

    fn other(self, point: &Outcome) -> Option<f64> {
        match self {
            Self::Lr => point.eps,
            Self::Eps => Some(point.lr),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Lr => "lr",
            Self::Eps => "eps",
        }
    }
}

/// The highest score on the development examples among the points that did not diverge; among equal ones the
/// lowest loss there, then the lowest learning rate, then the lowest eps. None if all of them diverged.
pub fn advise(points: &[Outcome]) -> Option<Advice> {
    let best = usable(points).min_by(|a, b| {
        let score = |p: &Outcome| p.dev_score.unwrap_or(f64::NEG_INFINITY);
        let loss = |p: &Outcome| p.dev_loss.unwrap_or(f64::INFINITY);
        score(b)
            .total_cmp(&score(a))
            .then(loss(a).total_cmp(&loss(b)))
            .then(a.lr.total_cmp(&b.lr))
            .then(a.eps.unwrap_or(0.0).total_cmp(&b.eps.unwrap_or(0.0)))
    })?;
    let dev_score = best.dev_score?;
    let mut remarks = Vec::new();
    for axis in [Axis::Lr, Axis::Eps] {
        remarks.extend(edge(axis, best, points));
    }
    remarks.extend(near(best, dev_score, points));
    Some(Advice {
        method: best.method.clone(),
        lr: best.lr,
        eps: best.eps,
        dev_score,
        remarks,
    })
}

fn usable(points: &[Outcome]) -> impl Iterator<Item = &Outcome> {
    points
        .iter()
        .filter(|p| p.diverged.is_none() && p.dev_score.is_some())
}

/// Whether the best value is the last of its row of the grid, and which way to go on then.
fn edge(axis: Axis, best: &Outcome, points: &[Outcome]) -> Option<String> {
    let row: Vec<&Outcome> = points
        .iter()
        .filter(|p| p.method == best.method && axis.other(p) == axis.other(best))
        .collect();
    let at = row.iter().position(|p| axis.of(p) == axis.of(best))?;
    let (name, value) = (axis.name(), axis.of(best)?);
    let onwards = |from: &Outcome| {
        // at most a decade
        let ratio = value / axis.of(from).unwrap_or(value);
        let next = value * ratio.clamp(0.1, 10.0);
        // two digits are enough for a step of a grid
        let next = format!("{next:.1e}").parse().unwrap_or(next);
        number(next)
    };
    match (at.checked_sub(1).map(|i| row[i]), row.get(at + 1)) {
        (None, None) => None,
        (Some(before), None) => Some(format!(
            "The best {name} is the largest of the grid: go on upwards, `{name} = {}`.",
            onwards(before)
        )),
        (None, Some(after)) => Some(format!(
            "The best {name} is the smallest of the grid: go on downwards, `{name} = {}`.",
            onwards(after)
        )),
        (_, Some(after)) if after.diverged.is_some() => Some(format!(
            "{name} {} already diverged.",
            number(axis.of(after).unwrap_or(value))
        )),
        _ => None,
    }
}

/// How many points are as good as the best, for all that so few examples can tell. A mean of scores between 0 and 1
/// has at most the standard error of a share.
fn near(best: &Outcome, score: f64, points: &[Outcome]) -> Option<String> {
    // one success and one failure more, so that a perfect score on few examples has an error, too
    let n = best.dev_examples as f64 + 2.0;
    let share = (score * best.dev_examples as f64 + 1.0) / n;
    let error = (share * (1.0 - share) / n).sqrt();
    let others = usable(points)
        .filter(|p| !std::ptr::eq(*p, best))
        .filter(|p| p.dev_score.is_some_and(|a| a >= score - error))
        .count();
    (others > 0).then(|| {
        format!(
            "{others} other {} within one standard error ({:.1} points on {} examples) of it: \
             a longer run, or more development examples, would tell them apart.",
            if others == 1 {
                "point is"
            } else {
                "points are"
            },
            100.0 * error,
            best.dev_examples
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use zograd_tasks::metrics::Metric;

    fn point(lr: f64, eps: f64, dev: f64, loss: f64) -> Outcome {
        Outcome {
            method: "gv".into(),
            lr,
            eps: Some(eps),
            steps: 100,
            forwards: 600,
            first_loss: Some(0.7),
            last_loss: Some(0.5),
            metric: Some(Metric::Accuracy),
            dev_score: Some(dev),
            dev_loss: Some(loss),
            dev_examples: 100,
            test_score: None,
            diverged: None,
            seconds: 1.0,
            run: "run".into(),
        }
    }

    fn diverged(lr: f64) -> Outcome {
        Outcome {
            diverged: Some("loss rose".into()),
            ..point(lr, 1e-3, 0.99, 0.1)
        }
    }

    #[test]
    fn ties_go_to_the_lower_loss_and_then_to_the_lower_rate() {
        let points = [
            point(1e-5, 1e-3, 0.8, 0.50),
            point(1e-4, 1e-3, 0.9, 0.30),
            point(2e-4, 1e-3, 0.9, 0.25),
            point(3e-4, 1e-3, 0.9, 0.25),
            point(1e-3, 1e-3, 0.5, 0.80),
        ];
        let advice = advise(&points).expect("a best point");
        assert_eq!((advice.lr, advice.dev_score), (2e-4, 0.9));
        // an error of 3 points: the two that tie
        assert_eq!(advice.remarks.len(), 1, "{:?}", advice.remarks);
        assert!(advice.remarks[0].starts_with("2 other points"));
    }

    #[test]
    fn a_perfect_score_has_an_error() {
        let points = [
            point(1e-5, 1e-3, 0.5, 0.7),
            point(1e-4, 1e-3, 1.0, 0.2),
            point(2e-4, 1e-3, 0.995, 0.3),
        ];
        let advice = advise(&points).expect("a best point");
        // 101 of 102: an error of 1.0 points
        assert_eq!(advice.remarks.len(), 1, "{:?}", advice.remarks);
        assert!(advice.remarks[0].contains("1 other point is"), "{advice:?}");
        assert!(
            advice.remarks[0].contains("(1.0 points on 100"),
            "{advice:?}"
        );
    }

    #[test]
    fn the_edge_of_the_grid_is_named_with_the_way_on() {
        let row = |accuracies: [f64; 3]| {
            let values = [1e-5, 3e-5, 9e-5].into_iter().zip(accuracies);
            values
                .map(|(lr, a)| point(lr, 1e-3, a, 0.5))
                .collect::<Vec<_>>()
        };
        let up = advise(&row([0.5, 0.6, 0.9])).expect("a best point");
        assert!(up.remarks[0].contains("upwards, `lr = 2.7e-4`"), "{up:?}");
        let down = advise(&row([0.9, 0.6, 0.5])).expect("a best point");
        assert!(
            down.remarks[0].contains("downwards, `lr = 3.3e-6`"),
            "{down:?}"
        );
        let middle = advise(&row([0.5, 0.9, 0.6])).expect("a best point");
        assert_eq!(middle.remarks, [""; 0]);
        let eps = [point(1e-5, 1e-3, 0.5, 0.5), point(1e-5, 1e-2, 0.9, 0.5)];
        let eps = advise(&eps).expect("a best point");
        assert!(eps.remarks[0].contains("`eps = 0.1`"), "{eps:?}");
    }

    #[test]
    fn diverged_points_are_never_the_best() {
        let points = [
            point(1e-5, 1e-3, 0.6, 0.6),
            point(1e-4, 1e-3, 0.9, 0.4),
            diverged(1e-3),
        ];
        let advice = advise(&points).expect("a best point");
        assert_eq!(advice.lr, 1e-4);
        assert_eq!(advice.remarks, ["lr 1e-3 already diverged."]);
        assert_eq!(advise(&[diverged(1e-3)]), None);
    }
}
