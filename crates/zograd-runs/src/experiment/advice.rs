//! Which point to take, and where to look next.

use super::chance::{Near, near, standard_error, usable};
use super::outcome::Outcome;
use crate::words::number;
use serde::Serialize;
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// The best point of a method, and what there is to say about it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Advice {
    /// The method.
    pub method: String,
    /// The learning rate.
    pub lr: f64,
    /// The perturbation scale; gradient methods have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eps: Option<f64>,
    /// The batch size, if it is varied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<u64>,
    /// Its score on the development examples: the mean over the seeds, from 0 to 1.
    pub dev_score: f64,
    /// The loss on them, which decides between equal scores: the mean over the seeds, in nats an example.
    pub dev_loss: Option<f64>,
    /// Whether no point of the method is better than the untuned model: the score stayed, and the loss moved by less than
    /// 0.5%, or it ended worse. Then the best one is no recommendation.
    pub learnt_nothing: bool,
    /// Sentences.
    pub remarks: Vec<String>,
}

impl Advice {
    /// The better one first: the higher score, then the lower loss, the lower rate, the lower eps, the smaller batch.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        let loss = |a: &Self| a.dev_loss.unwrap_or(f64::INFINITY);
        let eps = |a: &Self| a.eps.unwrap_or(0.0);
        other
            .dev_score
            .total_cmp(&self.dev_score)
            .then(loss(self).total_cmp(&loss(other)))
            .then(self.lr.total_cmp(&other.lr))
            .then(eps(self).total_cmp(&eps(other)))
            .then(self.batch_size.cmp(&other.batch_size))
    }

    /// That of this point, if it has a score; nothing is said about it yet.
    fn of(point: &Outcome) -> Option<Self> {
        Some(Self {
            method: point.method.clone(),
            lr: point.lr,
            eps: point.eps,
            batch_size: point.batch_size,
            dev_score: point.dev_score?.mean,
            dev_loss: point.dev_loss.map(|loss| loss.mean),
            learnt_nothing: false,
            remarks: Vec::new(),
        })
    }
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

    /// What is the same in a row along this axis.
    fn others(self, point: &Outcome) -> (Option<f64>, Option<u64>) {
        let other = match self {
            Self::Lr => point.eps,
            Self::Eps => Some(point.lr),
        };
        (other, point.batch_size)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Lr => "lr",
            Self::Eps => "eps",
        }
    }
}

/// The best point of each method, in the order of the methods: the highest score on the development examples among
/// the points that did not diverge; among equal ones the lowest loss there, then the lowest learning rate, then the
/// lowest eps. None for a method whose points all diverged.
pub fn advise(points: &[Outcome]) -> Vec<Advice> {
    let mut methods: Vec<&str> = points.iter().map(|point| point.method.as_str()).collect();
    let mut seen = BTreeSet::new();
    methods.retain(|method| seen.insert(*method));
    methods
        .iter()
        .filter_map(|method| best_of(method, points))
        .collect()
}

fn best_of(method: &str, points: &[Outcome]) -> Option<Advice> {
    let own: Vec<&Outcome> = points
        .iter()
        .filter(|point| point.method == method)
        .collect();
    let ranked = usable(&own).filter_map(|point| Some((Advice::of(point)?, point)));
    let (mut advice, best) = ranked.min_by(|(a, _), (b, _)| a.order(b))?;
    if usable(&own).all(Outcome::learnt_nothing) {
        advice.learnt_nothing = true;
        advice.remarks.extend(elsewhere(&own));
        return Some(advice);
    }
    // of rewards one seed does not say what chance leaves open
    match near(best, &own).unwrap_or(Near::Some(None)) {
        // and then the edge of the grid means nothing, but where the losses say which way to go
        Near::All(remark) => {
            advice.remarks.push(remark);
            advice.remarks.extend(falling(&own));
        }
        Near::Some(remark) => {
            for axis in [Axis::Lr, Axis::Eps] {
                let name = format!("The best {}", axis.name());
                advice.remarks.extend(edge(axis, &name, best, &own));
            }
            advice.remarks.extend(remark);
        }
    }
    Some(advice)
}

/// Where to look if a grid learnt nothing.
fn elsewhere(points: &[&Outcome]) -> Option<String> {
    let rates = |from: f64, factors: [f64; 3]| {
        let rates = factors.map(|factor| number(two_digits(from * factor)));
        format!("`lr = {}`", rates.join(","))
    };
    if usable(points).all(Outcome::ended_worse) {
        let smallest = points.iter().map(|p| p.lr).fold(f64::INFINITY, f64::min);
        return Some(format!(
            "All points ended worse than they began: go on downwards, {}.",
            rates(smallest, [1e-3, 1e-2, 1e-1])
        ));
    }
    let largest = points.iter().map(|p| p.lr).fold(0.0, f64::max);
    let usable = usable(points).filter(|p| !p.ended_worse());
    if usable.map(|p| p.lr).fold(0.0, f64::max) < largest {
        return Some(
            "No point became better than it began, and with larger rates they diverged or ended worse: take a longer run.".into(),
        );
    }
    // nothing is ten times as large as nothing
    let from = if largest > 0.0 { largest } else { 1e-7 };
    Some(format!(
        "No point became better than it began: go on upwards, {}.",
        rates(from, [10.0, 100.0, 1000.0])
    ))
}

/// Where the scores say nothing, whether the losses fall towards an end of the rates.
fn falling(points: &[&Outcome]) -> Option<String> {
    let loss = |p: &Outcome| p.dev_loss.map_or(f64::INFINITY, |loss| loss.mean);
    let best = usable(points).min_by(|a, b| loss(a).total_cmp(&loss(b)))?;
    let row = usable(points).filter(|p| Axis::Lr.others(p) == Axis::Lr.others(best));
    let next = row.filter(|p| p.lr != best.lr).map(loss);
    let next = next.fold(f64::INFINITY, f64::min);
    // as far as a run has to go to have learnt anything
    let falls = next.is_finite() && next - loss(best) > 0.005 * next.abs();
    falls
        .then(|| edge(Axis::Lr, "The lr of the lowest loss", best, points))
        .flatten()
}

/// Whether the best points of several methods are as good as each other.
pub fn compare(best: &[Advice], points: &[Outcome]) -> Option<String> {
    let first = best.iter().min_by(|a, b| a.order(b))?;
    let point = points.iter().find(|p| {
        let same = p.method == first.method && p.batch_size == first.batch_size;
        same && p.lr == first.lr && p.eps == first.eps
    })?;
    let error = standard_error(point)?;
    let alike = best
        .iter()
        .filter(|other| other.dev_score >= first.dev_score - error);
    let names: Vec<&str> = alike.map(|other| other.method.as_str()).collect();
    (names.len() > 1).then(|| {
        format!(
            "The best points of {} are within one standard error ({:.1} points) of each other: this sweep does not say \
             which method is better.",
            names.join(", "),
            100.0 * error
        )
    })
}

/// Two digits are enough for a step of a grid.
fn two_digits(value: f64) -> f64 {
    format!("{value:.1e}").parse().unwrap_or(value)
}

/// Whether the best value, which is told as `what`, is the last of its row of the grid, and which way to go on then.
fn edge(axis: Axis, what: &str, best: &Outcome, points: &[&Outcome]) -> Option<String> {
    let row = points.iter().copied();
    let row: Vec<&Outcome> = row
        .filter(|p| axis.others(p) == axis.others(best))
        .collect();
    let at = row.iter().position(|p| axis.of(p) == axis.of(best))?;
    let (name, value) = (axis.name(), axis.of(best)?);
    let onwards = |from: &Outcome| {
        // at most a decade
        let ratio = value / axis.of(from).unwrap_or(value);
        number(two_digits(value * ratio.clamp(0.1, 10.0)))
    };
    match (at.checked_sub(1).map(|i| row[i]), row.get(at + 1)) {
        (None, None) => None,
        (Some(before), None) => Some(format!(
            "{what} is the largest of the grid: go on upwards, `{name} = {}`.",
            onwards(before)
        )),
        (None, Some(after)) => Some(format!(
            "{what} is the smallest of the grid: go on downwards, `{name} = {}`.",
            onwards(after)
        )),
        (_, Some(after)) if after.diverged.is_some() => Some(format!(
            "{name} {} already diverged.",
            number(axis.of(after).unwrap_or(value))
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::{Point, RunOutcome};
    use zograd_tasks::metrics::Metric;
    use zograd_trainer::Gain;

    fn point(lr: f64, eps: f64, dev: f64, loss: f64) -> Outcome {
        over_seeds(lr, eps, &[dev], loss)
    }

    /// A point with one run a score.
    fn over_seeds(lr: f64, eps: f64, dev: &[f64], loss: f64) -> Outcome {
        let run = |(seed, dev): (usize, &f64)| RunOutcome {
            seed: seed as u64,
            steps: 100,
            forwards: 600,
            first_loss: Some(0.7),
            last_loss: Some(0.5),
            metric: Some(Metric::Accuracy),
            dev_score: Some(*dev),
            dev_loss: Some(loss),
            dev_examples: 100,
            best_step: Some(60),
            test_score: None,
            gain: None,
            diverged: None,
            seconds: 1.0,
            run: "run".into(),
        };
        let point = Point {
            method: "gv".into(),
            lr,
            eps: Some(eps),
            batch_size: None,
        };
        Outcome::of(&point, dev.iter().enumerate().map(run).collect())
    }

    fn of_method(method: &str, point: Outcome) -> Outcome {
        Outcome {
            method: method.into(),
            ..point
        }
    }

    /// The advice on points of one method.
    fn only(points: &[Outcome]) -> Advice {
        let mut advice = advise(points);
        assert_eq!(advice.len(), 1);
        advice.remove(0)
    }

    fn diverged(lr: f64) -> Outcome {
        Outcome {
            diverged: Some("loss rose".into()),
            ..point(lr, 1e-3, 0.99, 0.1)
        }
    }

    /// What chance leaves open of rewards only several seeds can tell, and one has a best point all the same.
    #[test]
    fn rewards_of_one_seed_have_a_best_point() {
        let mut points = [point(1e-3, 1e-2, 0.41, -0.41), point(5e-3, 1e-2, 7.5, -7.5)];
        for point in &mut points {
            point.metric = Some(Metric::Reward);
        }
        let advice = only(&points);
        assert_eq!((advice.lr, advice.dev_score), (5e-3, 7.5));
    }

    #[test]
    fn points_that_all_ended_worse_ask_for_smaller_rates() {
        let worse = |lr| {
            let mut point = point(lr, 1e-3, 0.6, 0.7);
            point.runs[0].gain = Some(Gain::Worse);
            point.runs[0].best_step = Some(0);
            point
        };
        let advice = only(&[worse(1e-2), worse(1e-1)]);
        assert!(advice.learnt_nothing);
        let said =
            "All points ended worse than they began: go on downwards, `lr = 1e-5,1e-4,1e-3`.";
        assert_eq!(advice.remarks, [said]);
        // the last weights are not those that are kept
        let mut once = worse(1e-1);
        once.runs[0].best_step = Some(60);
        assert!(!only(&[worse(1e-2), once]).learnt_nothing);
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
        let advice = only(&points);
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
        let advice = only(&points);
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
        let up = only(&row([0.5, 0.6, 0.9]));
        assert!(up.remarks[0].contains("upwards, `lr = 2.7e-4`"), "{up:?}");
        let down = only(&row([0.9, 0.6, 0.5]));
        assert!(
            down.remarks[0].contains("downwards, `lr = 3.3e-6`"),
            "{down:?}"
        );
        let middle = only(&row([0.5, 0.9, 0.6]));
        assert_eq!(middle.remarks, [""; 0]);
        let eps = [point(1e-5, 1e-3, 0.5, 0.5), point(1e-5, 1e-2, 0.9, 0.5)];
        let eps = only(&eps);
        assert!(eps.remarks[0].contains("`eps = 0.1`"), "{eps:?}");
    }

    #[test]
    fn diverged_points_are_never_the_best() {
        let points = [
            point(1e-5, 1e-3, 0.6, 0.6),
            point(1e-4, 1e-3, 0.9, 0.4),
            diverged(1e-3),
        ];
        let advice = only(&points);
        assert_eq!(advice.lr, 1e-4);
        assert_eq!(advice.remarks, ["lr 1e-3 already diverged."]);
        assert_eq!(advise(&[diverged(1e-3)]), []);
    }

    #[test]
    fn each_method_has_its_own_best_point_and_its_own_edge() {
        let points = [
            of_method("mezo", point(1e-5, 1e-3, 0.6, 0.6)),
            of_method("mezo", point(3e-5, 1e-3, 0.8, 0.5)),
            point(1e-5, 1e-3, 0.9, 0.4),
            point(3e-5, 1e-3, 0.7, 0.5),
            of_method("greedy", diverged(1e-5)),
        ];
        let each = advise(&points);
        let found: Vec<_> = each.iter().map(|a| (a.method.as_str(), a.lr)).collect();
        assert_eq!(found, [("mezo", 3e-5), ("gv", 1e-5)]);
        assert!(
            each[0].remarks[0].contains("upwards, `lr = 9e-5`"),
            "{each:?}"
        );
        assert!(
            each[1].remarks[0].contains("downwards, `lr = 3.3e-6`"),
            "{each:?}"
        );
        assert_eq!(each.iter().min_by(|a, b| a.order(b)), Some(&each[1]));
        // 0.9 on 100 examples has an error of 3 points
        assert_eq!(compare(&each, &points), None);
        let near = [
            points[2].clone(),
            of_method("mezo", point(1e-5, 1e-3, 0.88, 0.4)),
        ];
        let remark = compare(&advise(&near), &near).expect("they are alike");
        assert!(
            remark.starts_with("The best points of gv, mezo are within"),
            "{remark}"
        );
    }

    #[test]
    fn seeds_count_by_their_mean_and_their_spread() {
        let points = [
            over_seeds(1e-5, 1e-3, &[0.80, 0.80], 0.5),
            over_seeds(3e-5, 1e-3, &[0.99, 0.65], 0.4),
            over_seeds(9e-5, 1e-3, &[0.60, 0.62], 0.5),
        ];
        // 0.82 on average, and 17 points of error: not the highest single score decides what is near
        let advice = only(&points);
        assert_eq!(advice.lr, 3e-5);
        assert!((advice.dev_score - 0.82).abs() < 1e-12);
        let remark = &advice.remarks[0];
        assert!(
            remark.starts_with("1 other point is within one standard error (17.0 points"),
            "{remark}"
        );
        // one run that diverged is enough
        let mut lost = points[1].runs.clone();
        lost[1].diverged = Some("loss rose".into());
        let place = Point {
            method: "gv".into(),
            lr: 3e-5,
            eps: Some(1e-3),
            batch_size: None,
        };
        let lost = Outcome::of(&place, lost);
        assert_eq!(lost.diverged.as_deref(), Some("loss rose (seed 1)"));
        assert_eq!(only(&[points[0].clone(), lost]).lr, 1e-5);
    }

    #[test]
    fn points_that_nothing_tells_apart_are_said_to_be() {
        let rates = [1e-7, 1e-6, 1e-5];
        let points = rates.map(|lr| point(lr, 1e-3, 0.52, 0.7));
        let advice = only(&points);
        let [remark] = &advice.remarks[..] else {
            panic!("{advice:?}");
        };
        assert!(
            remark.starts_with("All 3 points are within one standard error"),
            "{remark}"
        );
    }

    #[test]
    fn losses_say_which_way_to_go_where_scores_do_not() {
        let row = |losses: [f64; 3]| {
            let values = [1e-5, 3e-5, 9e-5].into_iter().zip(losses);
            let points: Vec<Outcome> = values
                .map(|(lr, loss)| point(lr, 1e-3, 0.54, loss))
                .collect();
            only(&points).remarks
        };
        let up = row([0.66, 0.65, 0.59]);
        assert!(up[0].starts_with("All 3 points"), "{up:?}");
        assert_eq!(
            up[1],
            "The lr of the lowest loss is the largest of the grid: go on upwards, `lr = 2.7e-4`."
        );
        let down = row([0.59, 0.65, 0.66]);
        assert!(
            down[1].contains("is the smallest of the grid: go on downwards, `lr = 3.3e-6`"),
            "{down:?}"
        );
        assert_eq!(row([0.65, 0.59, 0.66]).len(), 1);
        // less than 0.5% is nothing
        assert_eq!(row([0.65, 0.65, 0.648]).len(), 1);
    }

    #[test]
    fn a_grid_that_learnt_nothing_recommends_nothing() {
        let nothing = |lr| {
            let mut point = point(lr, 1e-3, 0.56, 0.787);
            point.runs[0].gain = Some(Gain::Nothing);
            point
        };
        let found = only(&[nothing(1e-7), nothing(5e-7)]);
        assert!(found.learnt_nothing);
        assert_eq!(
            found.remarks,
            ["No point became better than it began: go on upwards, `lr = 5e-6,5e-5,5e-4`."]
        );
        assert!(only(&[nothing(0.0)]).remarks[0].contains("`lr = 1e-6,1e-5,1e-4`"));
        // what is above is known to be too much
        let found = only(&[nothing(1e-7), diverged(1e-6)]);
        assert!(found.learnt_nothing);
        assert!(found.remarks[0].contains("longer run"), "{found:?}");
        let found = only(&[nothing(1e-7), point(1e-5, 1e-3, 0.9, 0.3)]);
        assert!(!found.learnt_nothing);
    }
}
