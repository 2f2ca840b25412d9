//! Biases of options: the numbers that, added to the scores of the options of every example, make their mean
//! cross-entropy as small as it can be.

use super::Scored;
use super::scores::{log_sum_exp, softmax};

/// Strength of the penalty that keeps the biases finite where an option is right for no example, and that settles what
/// all of them have in common, which changes nothing: with it they add up to 0.
const PENALTY: f64 = 1e-3;

/// Newton's steps at most: a handful are enough.
const STEPS: usize = 50;

/// A slope this small is the end.
const FLAT: f64 = 1e-12;

/// A value is as good as another that is larger by no more than this: near the end steps go on by the slope alone.
const ROUNDING: f64 = 1e-13;

/// The scores of an example's options, and which of them is right.
pub(crate) struct Choice {
    pub(crate) scores: Vec<f64>,
    pub(crate) right: usize,
}

/// The scores of an example; of several right options the first counts.
pub(super) fn choice(example: &Scored<'_>) -> Choice {
    Choice {
        scores: example.means().collect(),
        right: example
            .prompt
            .correct
            .first()
            .copied()
            .unwrap_or(usize::MAX),
    }
}

/// The biases that fit the mean of the scores of several probes of one batch best; none without probes, or if they are not of one batch.
pub(super) fn of_mean(probes: &[&[Scored<'_>]]) -> Option<Vec<f64>> {
    let first = probes.first()?;
    let mean = |index: usize| {
        let mut mean = choice(first.get(index)?);
        for probe in &probes[1..] {
            let scores = probe.get(index)?.means();
            mean.scores
                .iter_mut()
                .zip(scores)
                .for_each(|(sum, score)| *sum += score);
        }
        let n = probes.len() as f64;
        mean.scores.iter_mut().for_each(|sum| *sum /= n);
        Some(mean)
    };
    let means: Option<Vec<Choice>> = (0..first.len()).map(mean).collect();
    means.map(|means| fit(&means))
}

/// The biases `b` that minimise `mean_i CE(scores_i + b, right_i) + 0.0005 |b|^2`, one for each option; by Newton's method.
/// All 0 if a score is not finite.
pub(crate) fn fit(choices: &[Choice]) -> Vec<f64> {
    let options = choices.iter().map(|choice| choice.scores.len()).max();
    let mut biases = vec![0.0; options.unwrap_or(0)];
    let finite = |choice: &Choice| {
        choice.right < choice.scores.len() && choice.scores.iter().all(|s| s.is_finite())
    };
    if !choices.iter().all(finite) {
        return biases;
    }
    let mut value = penalised(choices, &biases);
    for _ in 0..STEPS {
        let (slope, curvature) = derivatives(choices, &biases);
        if slope.iter().all(|slope| slope.abs() < FLAT) {
            break;
        }
        let step = solved(curvature, slope);
        // shorter, where the whole step leads too far
        let moved = (0..30).find_map(|halvings| {
            let factor = 0.5f64.powi(halvings);
            let moved = biases.iter().zip(&step).map(|(b, s)| b - factor * s);
            let moved: Vec<f64> = moved.collect();
            let found = penalised(choices, &moved);
            (found <= value + ROUNDING).then_some((moved, found))
        });
        let Some(better) = moved else {
            break;
        };
        (biases, value) = better;
    }
    biases
}

/// Mean cross-entropy of the examples' scores with these biases.
pub(crate) fn cross_entropy(choices: &[Choice], biases: &[f64]) -> f64 {
    let loss = |choice: &Choice| {
        let scores = with(choice, biases);
        log_sum_exp(&scores) - scores.get(choice.right).copied().unwrap_or(f64::NAN)
    };
    choices.iter().map(loss).sum::<f64>() / choices.len() as f64
}

/// Scores with biases; an option beyond the last bias has none.
fn with(choice: &Choice, biases: &[f64]) -> Vec<f64> {
    let biases = biases.iter().copied().chain(std::iter::repeat(0.0));
    choice
        .scores
        .iter()
        .zip(biases)
        .map(|(s, b)| s + b)
        .collect()
}

fn penalised(choices: &[Choice], biases: &[f64]) -> f64 {
    let squares: f64 = biases.iter().map(|b| b * b).sum();
    cross_entropy(choices, biases) + 0.5 * PENALTY * squares
}

/// The slope, and the rows of the matrix of second derivatives.
fn derivatives(choices: &[Choice], biases: &[f64]) -> (Vec<f64>, Vec<Vec<f64>>) {
    let (n, options) = (choices.len() as f64, biases.len());
    let mut slope: Vec<f64> = biases.iter().map(|b| PENALTY * b).collect();
    let mut curvature = vec![vec![0.0; options]; options];
    for (option, row) in curvature.iter_mut().enumerate() {
        row[option] = PENALTY;
    }
    for choice in choices {
        let shares = softmax(&with(choice, biases));
        for (option, share) in shares.iter().enumerate() {
            let right = f64::from(u8::from(option == choice.right));
            slope[option] += (share - right) / n;
            curvature[option][option] += share / n;
            for (other, its) in shares.iter().enumerate() {
                curvature[option][other] -= share * its / n;
            }
        }
    }
    (slope, curvature)
}

/// The solution of `matrix x = right`, for a matrix that is symmetric and positive definite: elimination needs no pivots.
fn solved(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Vec<f64> {
    let n = right.len();
    for column in 0..n {
        for row in column + 1..n {
            let (above, below) = matrix.split_at_mut(row);
            let (pivot, row_of) = (&above[column], &mut below[0]);
            let factor = row_of[column] / pivot[column];
            row_of
                .iter_mut()
                .zip(pivot)
                .for_each(|(x, p)| *x -= factor * p);
            right[row] -= factor * right[column];
        }
    }
    for row in (0..n).rev() {
        let known: f64 = (row + 1..n).map(|k| matrix[row][k] * right[k]).sum();
        right[row] = (right[row] - known) / matrix[row][row];
    }
    right
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choices(rows: &[(&[f64], usize)]) -> Vec<Choice> {
        let choice = |(scores, right): &(&[f64], usize)| Choice {
            scores: scores.to_vec(),
            right: *right,
        };
        rows.iter().map(choice).collect()
    }

    /// By numpy: Newton's method over the same numbers, the penalty included; of two options also by bisection.
    #[test]
    fn are_those_of_numpy() {
        let two = choices(&[
            (&[-1.0, -2.5], 0),
            (&[-0.5, -3.0], 1),
            (&[-2.0, -2.25], 1),
            (&[-1.5, -1.0], 0),
            (&[-0.75, -2.0], 1),
        ]);
        let three = choices(&[
            (&[-1.0, -2.5, -1.5], 0),
            (&[-0.5, -3.0, -2.0], 1),
            (&[-2.0, -2.25, -0.5], 2),
            (&[-1.5, -1.0, -4.0], 2),
            (&[-0.75, -2.0, -1.0], 1),
            (&[-3.0, -0.25, -1.0], 0),
        ]);
        for (choices, expected) in [
            (two, vec![-0.753_615_461_968_841, 0.753_615_461_968_841]),
            (
                three,
                vec![
                    -0.238_673_223_292_925,
                    0.220_861_925_362_470,
                    0.017_811_297_930_445,
                ],
            ),
        ] {
            let found = fit(&choices);
            for (found, expected) in found.iter().zip(&expected) {
                assert!((found - expected).abs() < 1e-10, "{found} {expected}");
            }
            assert!(found.iter().sum::<f64>().abs() < 1e-9);
        }
    }

    /// Without the penalty the shares of an option add up to how often it is right; the penalty is worth a thousandth of
    /// the bias.
    #[test]
    fn residuals_add_up_to_nothing() {
        let choices = choices(&[
            (&[2.0, 0.0], 0),
            (&[3.0, -1.0], 1),
            (&[4.0, 0.5], 1),
            (&[1.0, 0.25], 0),
        ]);
        let biases = fit(&choices);
        let shares = choices
            .iter()
            .map(|choice| softmax(&with(choice, &biases))[0]);
        let residual = shares.sum::<f64>() / 4.0 - 0.5;
        assert!((residual + PENALTY * biases[0]).abs() < 1e-10, "{residual}");
        assert!(residual.abs() < 2e-3);
    }

    /// Where all examples have one answer the biases stay finite, and where there is no number there is none.
    #[test]
    fn stay_finite() {
        let one_sided = fit(&choices(&[(&[0.0, 0.0], 1), (&[50.0, -50.0], 1)]));
        assert!(
            one_sided.iter().all(|b| b.is_finite() && b.abs() < 1e3),
            "{one_sided:?}"
        );
        assert!(one_sided[1] > one_sided[0]);
        assert_eq!(fit(&choices(&[(&[f64::NAN, 0.0], 0)])), [0.0, 0.0]);
        assert_eq!(fit(&choices(&[(&[0.0, 0.0], 7)])), [0.0, 0.0]);
        assert!(fit(&[]).is_empty());
    }
}
