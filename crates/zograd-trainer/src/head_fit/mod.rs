//! A correction of the norm right before the head, in closed form, before the first step.

mod ridge;

use crate::measure::Questions;
use crate::{TeacherForcing, TrainError};
use ridge::Ridge;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicBool, Ordering};
use zograd_models::{Model, ModelBackend, ModelError, interruptible};
use zograd_tasks::Prompt;

/// Below so many examples the gain stays, and biases alone are fitted: fewer do not settle as many numbers as a gain has.
const FEWEST: usize = 128;

/// What the norm right before the head was given before the first step of a run, and what was paid for it.
///
/// With `x_i` what the norm gives example i before its gain and bias, and `e_c` the head's row of option c, its logit is
/// `f_ic + g . (x_i * e_c) + b_c`; the gain's correction `g` and the biases `b` are those of a logistic regression on the
/// options with the penalty `lambda |g|^2 / 2` (of centred features, scaled to a root mean square of 1), lambda chosen by
/// 4-fold cross-validation, in which no correction at all takes part. Only biases below 128 examples,
/// and where all examples are alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HeadFit {
    /// What is added to the gain; empty if it stays.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gain: Vec<f32>,
    /// By how much the logit of which token is to be larger; empty where the norm has no bias that could do it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logit_shift: Vec<(u32, f64)>,
    /// Examples it was fitted to.
    pub examples: usize,
    /// Lambda; none if the gain stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub penalty: Option<f64>,
    /// Mean cross-entropy of the options of these examples with it.
    pub loss: f64,
    /// That of held-out examples, if there were enough to choose by them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_out: Option<f64>,
    /// Forward passes made for it.
    pub forwards: u64,
    /// Tokens that went through the layers in them.
    pub tokens: u64,
}

/// How far a [`HeadFit`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadFitStage {
    /// So many examples have gone through the model.
    Features(usize),
    /// So many of the regressions of cross-validation are fitted.
    Fits {
        /// How many.
        done: usize,
        /// All of them.
        of: usize,
    },
}

impl HeadFit {
    /// Fits it to `examples`, whose options are `tokens` right behind a prompt that an example has for all of them;
    /// `batch_size` of them a forward. None if `stop` was raised.
    ///
    /// Where the norm has no bias, biases are fitted only to be left out, if `calibrated` says that such are added
    /// otherwise.
    ///
    /// # Errors
    /// No examples, examples the model cannot score, a model without a norm right before the head.
    pub fn of<B: ModelBackend>(
        model: &Model<B>,
        (examples, tokens): (&[Prompt], &[u32]),
        batch_size: usize,
        calibrated: bool,
        stop: &AtomicBool,
        mut progress: impl FnMut(HeadFitStage),
    ) -> Result<Option<Self>, TrainError> {
        if examples.is_empty() {
            return Err(TrainError::NoExamples("training"));
        }
        let (Some((gain, bias)), false) = (model.last_norm(), tokens.len() < 2) else {
            return Err(TrainError::NoLastNorm);
        };
        let (mut features, mut run) = (Vec::new(), 0);
        for (index, chunk) in examples.chunks(batch_size.max(1)).enumerate() {
            if stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let chunk: Vec<&Prompt> = chunk.iter().collect();
            // one token of each: where it is predicted the others are as well
            let questions = Questions::new(&chunk, &TeacherForcing)?;
            if let Some(plan) = questions.plan() {
                match interruptible(stop, || model.normed_features(plan)) {
                    Err(ModelError::Interrupted) => return Ok(None),
                    found => features.extend(found?.into_iter().flatten().map(f64::from)),
                }
                run += plan.stats().tokens as u64;
            }
            progress(HeadFitStage::Features(
                index * batch_size.max(1) + chunk.len(),
            ));
        }
        if features.iter().any(|x| !x.is_finite()) {
            return Err(TrainError::NoLastNorm);
        }
        let directions = model.head_rows(tokens);
        let has_place = bias.is_some();
        let logit = |row: &[f64], direction: &Vec<f64>| -> f64 {
            let terms = row.iter().zip(&gain).zip(direction).enumerate();
            let bias = |at: usize| bias.as_ref().map_or(0.0, |bias| bias[at]);
            terms.map(|(at, ((x, g), d))| (x * g + bias(at)) * d).sum()
        };
        let rows = features.chunks(gain.len());
        let logits = rows
            .map(|row| {
                directions
                    .iter()
                    .map(|direction| logit(row, direction))
                    .collect()
            })
            .collect();
        let right = examples
            .iter()
            .map(|prompt| prompt.correct.first().copied().unwrap_or(0));
        let right = right.map(|right| right.min(tokens.len() - 1)).collect();
        let ridge = Ridge::new(features, directions, logits, right, has_place || calibrated);
        let mut fitted = |done, of| progress(HeadFitStage::Fits { done, of });
        let Some(chosen) = ridge.chosen(FEWEST, stop, &mut fitted) else {
            return Ok(None);
        };
        let shift = tokens.iter().copied().zip(chosen.biases);
        Ok(Some(Self {
            gain: chosen.gain.iter().map(|g| *g as f32).collect(),
            logit_shift: match has_place {
                true => shift.collect(),
                false => Vec::new(),
            },
            examples: examples.len(),
            penalty: chosen.penalty,
            loss: chosen.loss,
            held_out: chosen.held_out,
            forwards: examples.len().div_ceil(batch_size.max(1)) as u64,
            tokens: run,
        }))
    }

    /// The model with it; none if it does not fit the model.
    pub fn applied<B: ModelBackend>(&self, model: Model<B>) -> Option<Model<B>> {
        let (width, _) = model.last_norm().map(|(gain, bias)| (gain.len(), bias))?;
        if !(self.gain.is_empty() || self.gain.len() == width) {
            return None;
        }
        let gain: Vec<f64> = self.gain.iter().map(|g| f64::from(*g)).collect();
        let model = model.with_last_norm_moved(&gain, &[])?;
        match self.logit_shift[..] {
            [] => Some(model),
            _ => model.with_logits_moved(&self.logit_shift),
        }
    }
}
