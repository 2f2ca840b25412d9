//! Linear probing: a new head for the tokens that answers are made of, on features that stay as they are.

use super::regression::Regression;
use crate::measure::Questions;
use crate::{TeacherForcing, TrainError};
use burn::tensor::{IndexingUpdateOp, Int, Tensor, TensorData};
use std::sync::atomic::{AtomicBool, Ordering};
use zograd_models::{Model, ModelBackend, ModelError, interruptible};
use zograd_tasks::Prompt;

/// How far the making of a linear probe is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinearProbeStage {
    /// So many prompts have gone through the model.
    Features(usize),
    /// So many of the regressions of cross-validation are fitted.
    Fits {
        /// How many.
        done: usize,
        /// All of them.
        of: usize,
    },
}

/// What a linear probe found.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearProbe {
    /// Ids of the tokens that have a new row in the head.
    pub tokens: Vec<u32>,
    /// The chosen inverse strength of the penalty.
    pub c: f64,
    /// Share of the held-out training tokens that were predicted right with it; `None` if there were too few to hold
    /// any out.
    pub validation: Option<f64>,
    /// Mean cross-entropy of the training tokens with it, among the tokens of answers.
    pub loss: f64,
    /// Forward passes made.
    pub forwards: u64,
    /// Tokens that went through the layers in them.
    pub run: u64,
}

/// Gives the tokens that right answers are made of new rows in the head of `model`: the weights of a multinomial
/// logistic regression, without intercepts, from what the head is given where such a token is due. (MeZO's
/// `--linear_probing`.) The other rows stay.
///
/// With n feature vectors x and weights W it minimises `sum_i CE(W x_i, token_i) + |W|^2 / (2 C)`, C chosen by
/// five-fold cross-validation. The model gets a head of its own if it has none. `progress` is told what is
/// done. `None` if `stop` was raised.
///
/// # Errors
/// No prompts, prompts the model cannot score, or answers that are all made of one token.
pub fn fit_linear_probe<B: ModelBackend>(
    model: Model<B>,
    prompts: &[Prompt],
    batch_size: usize,
    stop: &AtomicBool,
    mut progress: impl FnMut(LinearProbeStage),
) -> Result<Option<(Model<B>, LinearProbe)>, TrainError> {
    if prompts.is_empty() {
        return Err(TrainError::NoExamples("training"));
    }
    let tokens = answer_tokens(prompts)?;
    let device = model.device();
    let chunks = prompts.chunks(batch_size.max(1));
    let Some((data, run)) = features(&model, &tokens, chunks, stop, &mut progress)? else {
        return Ok(None);
    };
    let mut fitted = |done, of| progress(LinearProbeStage::Fits { done, of });
    let Some((c, validation)) = data.choose::<B>(&device, stop, &mut fitted) else {
        return Ok(None);
    };
    let rows = data.fit_all::<B>(c, &device);
    let loss = data.loss::<B>(rows.clone(), &device);
    let model = with_rows(model, &tokens, rows);
    let probe = LinearProbe {
        tokens,
        c,
        validation,
        loss,
        forwards: prompts.len().div_ceil(batch_size.max(1)) as u64,
        run,
    };
    Ok(Some((model, probe)))
}

/// The ids that the right answers of `prompts` are made of, ascending: what a linear probe tells apart.
///
/// # Errors
/// There are not two of them.
pub fn answer_tokens(prompts: &[Prompt]) -> Result<Vec<u32>, TrainError> {
    let mut tokens = Vec::new();
    for prompt in prompts {
        let right = prompt
            .correct
            .first()
            .and_then(|c| prompt.candidates.get(*c));
        if let Some(candidate) = right {
            let option = candidate.ids.len().saturating_sub(candidate.option_len);
            let option = candidate.ids[option..].iter().enumerate();
            tokens.extend(
                option
                    .filter(|(place, _)| !candidate.is_gap(*place))
                    .map(|(_, id)| *id),
            );
        }
    }
    tokens.sort_unstable();
    tokens.dedup();
    match tokens.len() {
        0 | 1 => Err(TrainError::OneToken),
        _ => Ok(tokens),
    }
}

/// What the head is given where the tokens of right answers are due, and how many tokens went through the layers for
/// it; `None` if `stop` was raised.
fn features<'p, B: ModelBackend>(
    model: &Model<B>,
    tokens: &[u32],
    chunks: impl Iterator<Item = &'p [Prompt]>,
    stop: &AtomicBool,
    progress: &mut dyn FnMut(LinearProbeStage),
) -> Result<Option<(Regression, u64)>, TrainError> {
    let mut features = Vec::new();
    let mut targets: Vec<u32> = Vec::new();
    let (mut done, mut run) = (0, 0);
    for chunk in chunks {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let chunk: Vec<&Prompt> = chunk.iter().collect();
        let questions = Questions::new(&chunk, &TeacherForcing)?;
        if let Some(plan) = questions.plan() {
            match interruptible(stop, || model.features(plan)) {
                Err(ModelError::Interrupted) => return Ok(None),
                found => features.extend(found?.into_data().iter::<f32>()),
            }
            targets.extend(plan.targets());
            run += plan.stats().tokens as u64;
        }
        done += chunk.len();
        progress(LinearProbeStage::Features(done));
    }
    let classes: Vec<usize> = targets
        .iter()
        .map(|target| tokens.partition_point(|token| token < target))
        .collect();
    Ok(Some((
        Regression::new(features, classes, tokens.len()),
        run,
    )))
}

/// `model` with a head of its own, in which these tokens have these rows, `[tokens, width]`.
fn with_rows<B: ModelBackend>(model: Model<B>, tokens: &[u32], rows: Tensor<B, 2>) -> Model<B> {
    let (device, dtype) = (model.device(), model.dtype());
    let places: Vec<i32> = tokens.iter().map(|token| *token as i32).collect();
    let shape = [places.len()];
    let places = Tensor::<B, 1, Int>::from_data(TensorData::new(places, shape), &device);
    let rows = rows.cast(dtype);
    model.untied().map_head(|weight| {
        let old = weight.clone().select(0, places.clone());
        // by way of 0, so that a narrow type rounds the new row and not its distance from the old one
        weight
            .select_assign(0, places.clone(), old.neg(), IndexingUpdateOp::Add)
            .select_assign(0, places, rows, IndexingUpdateOp::Add)
    })
}
