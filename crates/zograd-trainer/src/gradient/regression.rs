//! Multinomial logistic regression on features of a model.

use burn::module::{Module, Param};
use burn::optim::{GradientsParams, LBFGSConfig, LineSearchFn};
use burn::tensor::activation::log_softmax;
use burn::tensor::backend::Backend;
use burn::tensor::{DType, ElementConversion, Int, Tensor, TensorData};
use burn_autodiff::Autodiff;
use std::sync::atomic::{AtomicBool, Ordering};
use zograd_models::ModelBackend;

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

/// Feature vectors and the classes of the tokens that follow.
pub(super) struct Regression {
    /// Row by row.
    features: Vec<f32>,
    width: usize,
    classes: Vec<usize>,
    /// Number of classes.
    count: usize,
}

/// What is fitted: `[classes, width]`.
#[derive(Module, Debug)]
struct Weights<B: Backend> {
    weight: Param<Tensor<B, 2>>,
}

impl Regression {
    /// Of these features, row by row, on the classes of the examples, which are numbered below `count`.
    pub(super) fn new(features: Vec<f32>, classes: Vec<usize>, count: usize) -> Self {
        Self {
            width: features.len() / classes.len(),
            features,
            classes,
            count,
        }
    }

    /// The weights that fit all examples with the penalty 1 / (2 C).
    pub(super) fn fit_all<B: ModelBackend>(&self, c: f64, device: &B::Device) -> Tensor<B, 2> {
        let all: Vec<usize> = (0..self.classes.len()).collect();
        self.fit::<B>(&all, c, self.zeros(device))
    }

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
        let model = Weights {
            weight: Param::from_tensor(Tensor::<A<B>, 2>::from_inner(start)),
        };
        // divided by the number of examples, so that tolerances mean the same for few and many
        let n = examples.len() as f64;
        let objective = |model: Weights<A<B>>| {
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
    pub(super) fn loss<B: Backend>(&self, weight: Tensor<B, 2>, device: &B::Device) -> f64 {
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

    /// The strength with the most held-out examples right, the strongest penalty among equals; C = 1 where there are too
    /// few examples to hold any out. `None` if `stop` was raised. `progress` is told how many fits are done, and how many there
    /// are.
    pub(super) fn choose<B: ModelBackend>(
        &self,
        device: &B::Device,
        stop: &AtomicBool,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Option<(f64, Option<f64>)> {
        let folds = self.folds();
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
            let mut weights = self.zeros::<B>(device);
            for (c, right) in STRENGTHS.into_iter().zip(&mut right) {
                if stop.load(Ordering::Relaxed) {
                    return None;
                }
                weights = self.fit(&train, c, weights);
                *right += self.right(weights.clone(), &test, device);
                done += 1;
                progress(done, of);
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
}
