//! Multinomial logistic regression with one vector for all options, and a penalty on it.

use std::sync::atomic::{AtomicBool, Ordering};

/// Strengths of the penalty among which cross-validation chooses, from the strongest; the first of all is that the vector
/// stays 0.
const PENALTIES: [f64; 7] = [30.0, 10.0, 3.0, 1.0, 0.3, 0.1, 0.03];

/// Parts of the examples in cross-validation.
const FOLDS: usize = 4;

/// Centred features below this share of what they were say nothing of the examples: they are what rounding leaves of prompts
/// that are all alike. f32 leaves some 1e-6, and examples that differ hardly less than a tenth.
const ALIKE: f64 = 1e-3;

/// Penalty of the biases, which have no other reason to stay finite.
const OF_BIASES: f64 = 1e-3;

/// Newton's steps at most, and conjugate gradients of each.
const STEPS: usize = 25;
const INNER: usize = 100;

/// Examples `i` with features `z_i`, options `c` with directions `d_c` and logits `f_ic` that are there already: what is
/// fitted are `v` and biases `b`, in logits `f_ic + v . (z_i * d_c) / scale + b_c`, to
/// `mean_i CE + penalty |v|^2 / 2 + 0.0005 |b|^2`.
///
/// Features are centred if there are biases. `scale` is the root mean square of `z_i * (d_c - d_k)` over examples, pairs of
/// options and elements.
pub(super) struct Ridge {
    /// Row by row.
    features: Vec<f64>,
    /// What was taken off each row.
    mean: Vec<f64>,
    /// Less what they have in common, and divided by the scale.
    directions: Vec<Vec<f64>>,
    scale: f64,
    /// Whether the features tell the examples apart.
    differ: bool,
    logits: Vec<Vec<f64>>,
    right: Vec<usize>,
    has_biases: bool,
}

/// What is fitted.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fit {
    vector: Vec<f64>,
    biases: Vec<f64>,
}

/// What was chosen.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Chosen {
    /// What is to be added to the gain.
    pub(super) gain: Vec<f64>,
    /// And to the logit of each option.
    pub(super) biases: Vec<f64>,
    /// The penalty; none if the gain stays.
    pub(super) penalty: Option<f64>,
    /// Mean cross-entropy of all examples with the fit.
    pub(super) loss: f64,
    /// That of held-out examples with fits of this penalty, if it was chosen by them.
    pub(super) held_out: Option<f64>,
}

impl Ridge {
    /// Of `features` row by row, `directions` of the options, and for each example its logits and the right option.
    pub(super) fn new(
        mut features: Vec<f64>,
        mut directions: Vec<Vec<f64>>,
        logits: Vec<Vec<f64>>,
        right: Vec<usize>,
        has_biases: bool,
    ) -> Self {
        let (n, options) = (right.len() as f64, directions.len() as f64);
        let width = features.len() / right.len().max(1);
        let mut mean = vec![0.0; width];
        if has_biases {
            for row in features.chunks(width) {
                mean.iter_mut().zip(row).for_each(|(m, x)| *m += x / n);
            }
            for row in features.chunks_mut(width) {
                row.iter_mut().zip(&mean).for_each(|(x, m)| *x -= m);
            }
        }
        let (mut squares, mut of_means) = (0.0, 0.0);
        for at in 0..width {
            let common = directions.iter().map(|d| d[at]).sum::<f64>() / options;
            directions.iter_mut().for_each(|d| d[at] -= common);
            let of_options: f64 = directions.iter().map(|d| d[at] * d[at]).sum();
            let of_examples: f64 = features.chunks(width).map(|row| row[at] * row[at]).sum();
            squares += of_examples * of_options * 2.0 / (options - 1.0);
            of_means += n * mean[at] * mean[at] * of_options * 2.0 / (options - 1.0);
        }
        let differ = squares > ALIKE * ALIKE * of_means;
        let scale = (squares / (n * width as f64)).sqrt();
        let scale = if scale > 0.0 { scale } else { 1.0 };
        directions.iter_mut().flatten().for_each(|d| *d /= scale);
        Self {
            features,
            mean,
            directions,
            scale,
            differ,
            logits,
            right,
            has_biases,
        }
    }

    fn width(&self) -> usize {
        self.mean.len()
    }

    fn nothing(&self) -> Fit {
        Fit {
            vector: vec![0.0; self.width()],
            biases: vec![0.0; self.directions.len()],
        }
    }

    fn row(&self, example: usize) -> &[f64] {
        &self.features[example * self.width()..(example + 1) * self.width()]
    }

    /// What `fit` adds to the logits of these examples, example by example.
    fn added(&self, examples: &[usize], fit: &Fit) -> Vec<Vec<f64>> {
        let by_option = |direction: &Vec<f64>| -> Vec<f64> {
            direction
                .iter()
                .zip(&fit.vector)
                .map(|(d, v)| d * v)
                .collect()
        };
        let vectors: Vec<Vec<f64>> = self.directions.iter().map(by_option).collect();
        let of = |example: &usize| {
            let options = vectors.iter().zip(&fit.biases);
            options
                .map(|(vector, bias)| product(self.row(*example), vector) + bias)
                .collect()
        };
        examples.iter().map(of).collect()
    }

    /// Log-shares of the options of these examples.
    fn log_shares(&self, examples: &[usize], fit: &Fit) -> Vec<Vec<f64>> {
        let mut all = self.added(examples, fit);
        for (scores, example) in all.iter_mut().zip(examples) {
            scores
                .iter_mut()
                .zip(&self.logits[*example])
                .for_each(|(s, f)| *s += f);
            let total = crate::objective::log_sum_exp(scores);
            scores.iter_mut().for_each(|s| *s -= total);
        }
        all
    }

    /// Mean cross-entropy of these examples.
    fn loss(&self, examples: &[usize], fit: &Fit) -> f64 {
        let shares = self.log_shares(examples, fit);
        let right = shares
            .iter()
            .zip(examples)
            .map(|(s, example)| s[self.right[*example]]);
        -right.sum::<f64>() / examples.len() as f64
    }

    fn penalised(&self, examples: &[usize], fit: &Fit, penalty: f64) -> f64 {
        self.loss(examples, fit)
            + 0.5 * penalty * product(&fit.vector, &fit.vector)
            + 0.5 * OF_BIASES * product(&fit.biases, &fit.biases)
    }

    /// By how much a change of the logits of these examples, times `1 / n`, changes with what is fitted.
    fn back(&self, examples: &[usize], by: &[Vec<f64>], moves: bool) -> Fit {
        let n = examples.len() as f64;
        let mut found = self.nothing();
        for (option, direction) in self.directions.iter().enumerate() {
            let mut sums = vec![0.0; self.width()];
            for (example, by) in examples.iter().zip(by) {
                let by = by[option] / n;
                found.biases[option] += by;
                if moves {
                    sums.iter_mut()
                        .zip(self.row(*example))
                        .for_each(|(s, x)| *s += by * x);
                }
            }
            let sums = sums.iter().zip(direction);
            found
                .vector
                .iter_mut()
                .zip(sums)
                .for_each(|(v, (s, d))| *v += s * d);
        }
        if !self.has_biases {
            found.biases.fill(0.0);
        }
        found
    }

    /// The fit to these examples, searched from `start` by Newton's method; without a penalty the vector stays as it is.
    fn fit(&self, examples: &[usize], penalty: Option<f64>, start: Fit) -> Fit {
        let (moves, penalty) = (penalty.is_some(), penalty.unwrap_or(0.0));
        let mut fit = start;
        let mut value = self.penalised(examples, &fit, penalty);
        for _ in 0..STEPS {
            let shares: Vec<Vec<f64>> = self.log_shares(examples, &fit);
            let shares: Vec<Vec<f64>> = shares
                .into_iter()
                .map(|s| s.into_iter().map(f64::exp).collect())
                .collect();
            let mut residuals = shares.clone();
            for (residual, example) in residuals.iter_mut().zip(examples) {
                residual[self.right[*example]] -= 1.0;
            }
            let penalties = |of: &Fit, mut found: Fit| {
                found
                    .vector
                    .iter_mut()
                    .zip(&of.vector)
                    .for_each(|(f, v)| *f += penalty * v);
                if self.has_biases {
                    found
                        .biases
                        .iter_mut()
                        .zip(&of.biases)
                        .for_each(|(f, b)| *f += OF_BIASES * b);
                }
                found
            };
            let slope = penalties(&fit, self.back(examples, &residuals, moves));
            if slope.length() < 1e-9 {
                break;
            }
            let curve = |along: &Fit| {
                let mut by = self.added(examples, along);
                for (by, shares) in by.iter_mut().zip(&shares) {
                    let mean = product(by, shares);
                    by.iter_mut()
                        .zip(shares)
                        .for_each(|(b, s)| *b = s * (*b - mean));
                }
                penalties(along, self.back(examples, &by, moves))
            };
            let step = conjugate_gradients(curve, &slope, self.nothing());
            let moved = (0..30).find_map(|halvings| {
                let moved = fit.plus(-(0.5f64.powi(halvings)), &step);
                let found = self.penalised(examples, &moved, penalty);
                (found < value).then_some((moved, found))
            });
            let Some(better) = moved else {
                break;
            };
            let gained = value - better.1;
            (fit, value) = better;
            if gained < 1e-12 {
                break;
            }
        }
        fit
    }

    /// The fold of each example: within a class they take turns, so that every fold has its share of every class.
    fn folds(&self) -> Vec<usize> {
        let mut seen = vec![0; self.directions.len()];
        let turn = |right: &usize| {
            seen[*right] += 1;
            (seen[*right] - 1) % FOLDS
        };
        self.right.iter().map(turn).collect()
    }

    /// The mean cross-entropy of held-out examples with each penalty, that of no vector at all first; none if `stop` was
    /// raised.
    fn held_out(
        &self,
        stop: &AtomicBool,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Option<Vec<f64>> {
        let folds = self.folds();
        let n = folds.len();
        let penalties = std::iter::once(None).chain(PENALTIES.map(Some));
        let mut losses = vec![0.0; PENALTIES.len() + 1];
        let of = FOLDS * losses.len();
        for fold in 0..FOLDS {
            let (test, train): (Vec<usize>, Vec<usize>) = (0..n).partition(|i| folds[*i] == fold);
            // from the strongest on, each begins where the one before it ended
            let mut fit = self.nothing();
            for (at, penalty) in penalties.clone().enumerate() {
                if stop.load(Ordering::Relaxed) {
                    return None;
                }
                fit = self.fit(&train, penalty, fit);
                losses[at] += self.loss(&test, &fit) * test.len() as f64 / n as f64;
                progress(fold * PENALTIES.len() + fold + at + 1, of);
            }
        }
        Some(losses)
    }

    /// The fit to all examples with the penalty that does best on those that are held out, the strongest among equals; the
    /// biases alone if `fewest` examples are not there, or all are alike. None if `stop` was raised.
    pub(super) fn chosen(
        &self,
        fewest: usize,
        stop: &AtomicBool,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Option<Chosen> {
        let all: Vec<usize> = (0..self.right.len()).collect();
        let (mut penalty, mut held_out) = (None, None);
        if self.differ && all.len() >= fewest.max(FOLDS) {
            let losses = self.held_out(stop, progress)?;
            let mut best = 0;
            for at in 1..losses.len() {
                if losses[at] < losses[best] {
                    best = at;
                }
            }
            held_out = Some(losses[best]);
            penalty = best.checked_sub(1).map(|at| PENALTIES[at]);
        }
        let mut fit = self.fit(&all, None, self.nothing());
        if penalty.is_some() {
            fit = self.fit(&all, penalty, fit);
        }
        let loss = self.loss(&all, &fit);
        let gain: Vec<f64> = fit.vector.iter().map(|v| v / self.scale).collect();
        // of features that are not centred
        let biases = self
            .directions
            .iter()
            .zip(&fit.biases)
            .map(|(direction, bias)| {
                let moved = direction.iter().zip(&self.mean).zip(&fit.vector);
                bias - moved.map(|((d, m), v)| d * m * v).sum::<f64>()
            });
        Some(Chosen {
            biases: match self.has_biases {
                true => biases.collect(),
                false => Vec::new(),
            },
            gain: match penalty {
                Some(_) => gain,
                None => Vec::new(),
            },
            penalty,
            loss,
            held_out,
        })
    }
}

impl Fit {
    fn length(&self) -> f64 {
        self.product(self).sqrt()
    }

    fn product(&self, other: &Self) -> f64 {
        product(&self.vector, &other.vector) + product(&self.biases, &other.biases)
    }

    fn plus(&self, factor: f64, other: &Self) -> Self {
        let sum = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a + factor * b).collect();
        Self {
            vector: sum(&self.vector, &other.vector),
            biases: sum(&self.biases, &other.biases),
        }
    }
}

fn product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The `x` with `curve(x) = right`, searched from 0.
fn conjugate_gradients(curve: impl Fn(&Fit) -> Fit, right: &Fit, nothing: Fit) -> Fit {
    let (mut x, mut residual) = (nothing, right.clone());
    let mut along = residual.clone();
    let mut square = residual.product(&residual);
    let end = 1e-12 * square;
    for _ in 0..INNER {
        let curved = curve(&along);
        let bend = along.product(&curved);
        if square <= end || bend <= 0.0 {
            break;
        }
        let factor = square / bend;
        x = x.plus(factor, &along);
        residual = residual.plus(-factor, &curved);
        let next = residual.product(&residual);
        along = residual.plus(next / square, &along);
        square = next;
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ridge(options: usize, has_biases: bool) -> Ridge {
        let features = [
            [0.5, -1.0, 0.25],
            [1.5, 0.75, -0.5],
            [-0.25, 0.5, 1.0],
            [2.0, -0.5, 0.0],
            [-1.0, -1.5, 0.75],
            [0.25, 1.25, -2.0],
        ];
        let directions = [[1.0, 0.5, -0.25], [-0.5, 1.0, 0.75], [0.25, -1.0, 1.5]];
        let logits = [
            [0.1, -0.2, 0.3],
            [0.5, 0.0, -0.5],
            [-0.3, 0.2, 0.0],
            [0.0, 0.4, -0.1],
            [0.25, -0.25, 0.5],
            [-0.6, 0.1, 0.2],
        ];
        let right = [0, 1, 2, 0, 2, 1].map(|right| if right < options { right } else { 0 });
        Ridge::new(
            features.concat(),
            directions[..options].iter().map(|d| d.to_vec()).collect(),
            logits.iter().map(|f| f[..options].to_vec()).collect(),
            right.to_vec(),
            has_biases,
        )
    }

    /// Newton's method in numpy, with the whole matrix of second derivatives.
    #[test]
    fn is_that_of_numpy() {
        let cases = [
            (
                (3, 0.3, true),
                1.258_803_873_269_392_5,
                [
                    0.097_394_555_896_340,
                    0.245_964_357_711_317,
                    0.137_821_935_789_420,
                ],
            ),
            (
                (2, 0.1, true),
                1.081_997_039_086_795_5,
                [
                    -0.235_286_416_229_549,
                    0.647_883_063_454_590,
                    -1.053_839_438_160_892,
                ],
            ),
            (
                (3, 1.0, false),
                1.298_815_343_417_337_5,
                [
                    0.044_995_395_143_533,
                    0.121_742_213_128_438,
                    0.073_273_054_373_329,
                ],
            ),
        ];
        for ((options, penalty, has_biases), scale, gain) in cases {
            let ridge = ridge(options, has_biases);
            assert!((ridge.scale - scale).abs() < 1e-12, "{}", ridge.scale);
            let all: Vec<usize> = (0..6).collect();
            let fit = ridge.fit(&all, Some(penalty), ridge.nothing());
            for (found, expected) in fit.vector.iter().zip(gain) {
                assert!((found / scale - expected).abs() < 1e-8, "{fit:?}");
            }
            assert_eq!(has_biases, fit.biases.iter().any(|bias| *bias != 0.0));
        }
    }

    /// What is said to be added to the logits makes the loss that is said; with few examples that is biases alone.
    #[test]
    fn what_was_chosen_makes_its_loss() {
        let stop = AtomicBool::new(false);
        for (fewest, has_biases) in [(0, true), (0, false), (7, true)] {
            let ridge = ridge(3, has_biases);
            let mut fits = 0;
            let chosen = ridge.chosen(fewest, &stop, &mut |done, _| fits = done);
            let chosen = chosen.expect("not stopped");
            assert_eq!(chosen.held_out.is_some(), fewest == 0);
            assert_eq!(fits, if fewest == 0 { 32 } else { 0 });
            assert_eq!(chosen.penalty.is_some(), !chosen.gain.is_empty());
            let loss = |example: usize| {
                let mut scores = ridge.logits[example].clone();
                for (option, score) in scores.iter_mut().enumerate() {
                    for (at, gain) in chosen.gain.iter().enumerate() {
                        let x = ridge.row(example)[at] + ridge.mean[at];
                        *score += gain * x * ridge.directions[option][at] * ridge.scale;
                    }
                    *score += chosen.biases.get(option).unwrap_or(&0.0);
                }
                crate::objective::log_sum_exp(&scores) - scores[ridge.right[example]]
            };
            let mean = (0..6).map(loss).sum::<f64>() / 6.0;
            assert!((mean - chosen.loss).abs() < 1e-12, "{mean} {}", chosen.loss);
        }
        stop.store(true, Ordering::Relaxed);
        assert_eq!(ridge(3, true).chosen(0, &stop, &mut |_, _| ()), None);
    }

    /// What rounding leaves of prompts that are all alike is not scaled up to features.
    #[test]
    fn examples_that_are_alike_have_biases_alone() {
        let fitted = |spread: f64| {
            let features: Vec<f64> = (0..24)
                .map(|at| 1.5 + spread * f64::from(at * at % 7))
                .collect();
            let directions = vec![vec![1.0, 0.5, -0.25], vec![-0.5, 1.0, 0.75]];
            let right = [0, 1, 1, 0, 1, 1, 0, 1].to_vec();
            let ridge = Ridge::new(features, directions, vec![vec![0.0; 2]; 8], right, true);
            let stop = AtomicBool::new(false);
            ridge.chosen(0, &stop, &mut |_, _| ()).expect("not stopped")
        };
        for alike in [0.0, 1e-7, 1e-5] {
            let chosen = fitted(alike);
            assert_eq!((chosen.penalty, chosen.gain), (None, vec![]));
            assert!(
                chosen.biases.iter().all(|bias| bias.abs() < 1.0),
                "{:?}",
                chosen.biases
            );
        }
        assert!(fitted(0.1).held_out.is_some());
    }
}
