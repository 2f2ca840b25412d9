//! Linear probing: a new head for the tokens that answers are made of, on features that stay as they are.

use crate::objective::score_with;
use crate::{Objective, TeacherForcing, TrainError};
use burn::module::{Module, Param};
use burn::optim::{GradientsParams, LBFGSConfig, LineSearchFn};
use burn::tensor::activation::log_softmax;
use burn::tensor::backend::Backend;
use burn::tensor::{DType, ElementConversion, IndexingUpdateOp, Int, Tensor, TensorData};
use burn_autodiff::Autodiff;
use std::sync::atomic::{AtomicBool, Ordering};
use zograd_models::{Embedding, ModelBackend, Opt};
use zograd_tasks::Prompt;

/// Inverse strengths of the penalty among which cross-validation chooses: ten from 1e-4 to 1e4, as scikit-learn's
/// `LogisticRegressionCV`, which the original uses.
const STRENGTHS: [f64; 10] = [
    1e-4,
    7.742637e-4,
    5.994843e-3,
    4.641589e-2,
    3.593814e-1,
    2.782559,
    2.154435e1,
    1.668101e2,
    1.291550e3,
    1e4,
];

/// Parts of the training tokens in cross-validation.
const FOLDS: usize = 5;

/// How far the making of a probe is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeStage {
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
pub struct Probe {
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
pub fn fit_probe<B: ModelBackend>(
    model: Opt<B>,
    prompts: &[Prompt],
    batch_size: usize,
    stop: &AtomicBool,
    mut progress: impl FnMut(ProbeStage),
) -> Result<Option<(Opt<B>, Probe)>, TrainError> {
    if prompts.is_empty() {
        return Err(TrainError::NoExamples("training"));
    }
    let tokens = answer_tokens(prompts)?;
    let mut features = Vec::new();
    let mut targets: Vec<u32> = Vec::new();
    let (mut done, mut run) = (0, 0);
    for chunk in prompts.chunks(batch_size.max(1)) {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let chunk: Vec<&Prompt> = chunk.iter().collect();
        let select = |prompt: &Prompt| TeacherForcing.candidates(prompt);
        let (_, stats) = score_with(&chunk, select, |plan| {
            let found = model.features(plan)?;
            features.extend(found.into_data().iter::<f32>());
            targets.extend(plan.targets());
            // nobody looks at the scores
            Ok(vec![f32::NAN; plan.targets().len()])
        })?;
        run += stats.tokens as u64;
        done += chunk.len();
        progress(ProbeStage::Features(done));
    }
    let width = features.len() / targets.len();
    let classes: Vec<usize> = targets
        .iter()
        .map(|target| tokens.partition_point(|token| token < target))
        .collect();
    let data = Data {
        features,
        width,
        classes,
        count: tokens.len(),
    };
    let device = model.device();
    let Some((c, validation)) = choose::<B>(&data, &device, stop, &mut progress) else {
        return Ok(None);
    };
    let all: Vec<usize> = (0..data.classes.len()).collect();
    let rows = data.fit::<B>(&all, c, data.zeros(&device));
    let loss = data.loss::<B>(rows.clone(), &device);

    let dtype = model.dtype();
    let mut model = model.untied();
    if let Some(head) = model.lm_head.take() {
        let places: Vec<i32> = tokens.iter().map(|token| *token as i32).collect();
        let shape = [places.len()];
        let places = Tensor::<B, 1, Int>::from_data(TensorData::new(places, shape), &device);
        let rows = rows.cast(dtype);
        let weight = head.weight.map(|weight| {
            let old = weight.clone().select(0, places.clone());
            // by way of 0, so that a narrow type rounds the new row and not its distance from the old one
            weight
                .select_assign(0, places.clone(), old.neg(), IndexingUpdateOp::Add)
                .select_assign(0, places, rows, IndexingUpdateOp::Add)
        });
        model.lm_head = Some(Embedding { weight });
    }
    let probe = Probe {
        tokens,
        c,
        validation,
        loss,
        forwards: prompts.len().div_ceil(batch_size.max(1)) as u64,
        run,
    };
    Ok(Some((model, probe)))
}

/// The ids that the right answers of `prompts` are made of, ascending: what a probe tells apart.
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
            tokens.extend(&candidate.ids[option..]);
        }
    }
    tokens.sort_unstable();
    tokens.dedup();
    match tokens.len() {
        0 | 1 => Err(TrainError::OneToken),
        _ => Ok(tokens),
    }
}

/// Feature vectors and the classes of the tokens that follow.
struct Data {
    /// Row by row.
    features: Vec<f32>,
    width: usize,
    classes: Vec<usize>,
    /// Number of classes.
    count: usize,
}

/// What is fitted: `[classes, width]`.
#[derive(Module, Debug)]
struct Regression<B: Backend> {
    weight: Param<Tensor<B, 2>>,
}

impl Data {
    /// The features of some examples, `[examples, width]`, in f32.
    fn features<B: Backend>(&self, examples: &[usize], device: &B::Device) -> Tensor<B, 2> {
        let width = self.width;
        let values = examples
            .iter()
            .flat_map(|i| &self.features[i * width..(i + 1) * width]);
        let values: Vec<f32> = values.copied().collect();
        let data = TensorData::new(values, [examples.len(), width]);
        Tensor::from_data(data, (device, DType::F32))
    }

    fn classes<B: Backend>(&self, examples: &[usize], device: &B::Device) -> Tensor<B, 1, Int> {
        let classes: Vec<i32> = examples.iter().map(|i| self.classes[*i] as i32).collect();
        Tensor::from_data(TensorData::new(classes, [examples.len()]), device)
    }

    /// Weights that tell nothing apart.
    fn zeros<B: Backend>(&self, device: &B::Device) -> Tensor<B, 2> {
        Tensor::zeros([self.count, self.width], (device, DType::F32))
    }

    /// The weights that fit these examples with the penalty 1 / (2 C), searched from `start`.
    fn fit<B: ModelBackend>(
        &self,
        examples: &[usize],
        c: f64,
        start: Tensor<B, 2>,
    ) -> Tensor<B, 2> {
        type A<B> = Autodiff<B>;
        let device = &start.device();
        let x = self.features::<B>(examples, device);
        let classes = self.classes::<B>(examples, device);
        let right = classes.clone().one_hot::<2>(self.count).float();
        let classes = classes.unsqueeze_dim::<2>(1);
        let model = Regression {
            weight: Param::from_tensor(Tensor::<A<B>, 2>::from_inner(start)),
        };
        // divided by the number of examples, so that tolerances mean the same for few and many
        let n = examples.len() as f64;
        let objective = |model: Regression<A<B>>| {
            let weight = model.weight.val().inner();
            let logits = x.clone().matmul(weight.clone().transpose());
            let log_softmax = log_softmax(logits, 1);
            let fit = log_softmax.clone().gather(1, classes.clone()).sum().neg();
            let penalty = weight.clone().square().sum().div_scalar(2.0 * c);
            let loss = (fit + penalty).div_scalar(n);
            // the derivative in closed form: softmax minus one-hot
            let slope = log_softmax.exp() - right.clone();
            let gradient = slope.transpose().matmul(x.clone()) + weight.div_scalar(c);
            let mut gradients = GradientsParams::new();
            gradients.register(model.weight.id, gradient.div_scalar(n));
            (loss.into_scalar().elem::<f64>(), gradients)
        };
        let mut lbfgs = LBFGSConfig::new()
            .with_max_iter(200)
            .with_history_size(10)
            .with_tolerance_grad(1e-6)
            .with_tolerance_change(1e-9)
            .with_line_search_fn(LineSearchFn::StrongWolfe)
            .init::<A<B>>();
        let (model, _) = lbfgs.step(1.0, model, objective);
        model.weight.val().inner()
    }

    /// Mean cross-entropy of all examples.
    fn loss<B: Backend>(&self, weight: Tensor<B, 2>, device: &B::Device) -> f64 {
        let all: Vec<usize> = (0..self.classes.len()).collect();
        let logits = self.features::<B>(&all, device).matmul(weight.transpose());
        let classes = self.classes::<B>(&all, device).unsqueeze_dim::<2>(1);
        let right = log_softmax(logits, 1).gather(1, classes);
        right.mean().neg().into_scalar().elem()
    }

    /// How many of these examples the weights predict right.
    fn right<B: Backend>(
        &self,
        weight: Tensor<B, 2>,
        examples: &[usize],
        device: &B::Device,
    ) -> usize {
        let logits = self
            .features::<B>(examples, device)
            .matmul(weight.transpose());
        let [n, _] = logits.dims();
        let predicted = logits.argmax(1).reshape([n]);
        let right = predicted.equal(self.classes::<B>(examples, device));
        right.int().sum().into_scalar().elem::<i64>() as usize
    }

    /// The fold of each example: within a class they take turns, so that every fold has its share of every class.
    fn folds(&self) -> Vec<usize> {
        let mut seen = vec![0; self.count];
        self.classes
            .iter()
            .map(|class| {
                let turn = seen[*class];
                seen[*class] += 1;
                turn % FOLDS
            })
            .collect()
    }
}

/// The strength with the most held-out examples right, the strongest penalty among equals; C = 1 where there are too
/// few examples to hold any out. `None` if `stop` was raised.
fn choose<B: ModelBackend>(
    data: &Data,
    device: &B::Device,
    stop: &AtomicBool,
    progress: &mut dyn FnMut(ProbeStage),
) -> Option<(f64, Option<f64>)> {
    let folds = data.folds();
    let (n, held) = (folds.len(), |fold| {
        folds.iter().filter(|f| **f == fold).count()
    });
    if (0..FOLDS).any(|fold| held(fold) == 0) {
        return Some((1.0, None));
    }
    let mut right = [0; STRENGTHS.len()];
    let (mut done, of) = (0, FOLDS * STRENGTHS.len());
    for fold in 0..FOLDS {
        let (test, train): (Vec<usize>, Vec<usize>) = (0..n).partition(|i| folds[*i] == fold);
        // from the strongest penalty on, each fit begins where the one before it ended
        let mut weights = data.zeros::<B>(device);
        for (c, right) in STRENGTHS.into_iter().zip(&mut right) {
            if stop.load(Ordering::Relaxed) {
                return None;
            }
            weights = data.fit(&train, c, weights);
            *right += data.right(weights.clone(), &test, device);
            done += 1;
            progress(ProbeStage::Fits { done, of });
        }
    }
    let mut best = (1.0, 0);
    for (c, right) in STRENGTHS.into_iter().zip(right) {
        if right > best.1 {
            best = (c, right);
        }
    }
    Some((best.0, Some(best.1 as f64 / n as f64)))
}
