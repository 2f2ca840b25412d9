//! From a gradient to a step.

use burn::module::{AutodiffModule, ModuleVisitor, Param};
use burn::optim::adaptor::OptimizerAdaptor;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::{Adam, AdamConfig, AdamW, AdamWConfig, GradientsParams};
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{ElementConversion, Tensor};
use serde::{Deserialize, Serialize};
use zograd_models::LanguageModel;
use zograd_params::ParameterPath;

/// What makes a step of a gradient: burn's optimisers, with PyTorch's defaults (betas 0.9 and 0.999, epsilon 1e-8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GradientOptimizer {
    /// Adam (arXiv 1412.6980); weight decay is added to the gradient.
    Adam,
    /// AdamW (arXiv 1711.05101); weight decay shrinks the weights directly.
    AdamW,
}

const EPSILON: f32 = 1e-8;

/// An optimiser with its two moments for every parameter: one for those that decay, one for the others.
pub(super) enum Optimizer<B: AutodiffBackend, M: AutodiffModule<B>> {
    Adam([OptimizerAdaptor<Adam, M, B>; 2]),
    AdamW([OptimizerAdaptor<AdamW, M, B>; 2]),
}

impl<B: AutodiffBackend, M: AutodiffModule<B> + LanguageModel> Optimizer<B, M> {
    pub(super) fn new(kind: &GradientOptimizer, weight_decay: f64) -> Self {
        let penalties = [weight_decay as f32, 0.0];
        match kind {
            GradientOptimizer::Adam => Self::Adam(penalties.map(|penalty| {
                let decay = (penalty != 0.0).then(|| WeightDecayConfig::new(penalty));
                AdamConfig::new()
                    .with_epsilon(EPSILON)
                    .with_weight_decay(decay)
                    .init()
            })),
            GradientOptimizer::AdamW => Self::AdamW(penalties.map(|penalty| {
                AdamWConfig::new()
                    .with_epsilon(EPSILON)
                    .with_weight_decay(penalty)
                    .init()
            })),
        }
    }

    /// `model` after one step along `scale` times these gradients.
    pub(super) fn step(
        &mut self,
        model: M,
        mut gradients: GradientsParams,
        scale: f64,
        lr: f64,
    ) -> M {
        let mut split = Split {
            from: &mut gradients,
            decays: &|name| model.decays(name),
            scale,
            path: ParameterPath::default(),
            groups: [GradientsParams::new(), GradientsParams::new()],
        };
        model.visit(&mut split);
        let groups = split.groups;
        match self {
            Self::Adam(optimizers) => step_groups(optimizers, model, groups, lr),
            Self::AdamW(optimizers) => step_groups(optimizers, model, groups, lr),
        }
    }
}

fn step_groups<B, M, O>(
    optimizers: &mut [O; 2],
    model: M,
    groups: [GradientsParams; 2],
    lr: f64,
) -> M
where
    B: AutodiffBackend,
    M: AutodiffModule<B>,
    O: burn::optim::Optimizer<M, B>,
{
    let groups = optimizers.iter_mut().zip(groups);
    groups.fold(model, |model, (optimizer, gradients)| {
        optimizer.step(lr, model, gradients)
    })
}

/// Scales gradients and sorts them by whether their parameter decays.
struct Split<'a> {
    from: &'a mut GradientsParams,
    decays: &'a dyn Fn(&str) -> bool,
    scale: f64,
    path: ParameterPath,
    groups: [GradientsParams; 2],
}

impl<B: AutodiffBackend> ModuleVisitor<B> for Split<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.path.exit(container);
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if let Some(gradient) = self.from.remove::<B::InnerBackend, D>(param.id) {
            let group = usize::from(!(self.decays)(&self.path.name()));
            self.groups[group].register(param.id, gradient.mul_scalar(self.scale));
        }
    }
}

/// The length of all gradients together.
pub(super) fn norm<B: AutodiffBackend, M: AutodiffModule<B>>(
    model: &M,
    gradients: &GradientsParams,
) -> f64 {
    let mut squares = Squares {
        gradients,
        sum: 0.0,
    };
    model.visit(&mut squares);
    squares.sum.sqrt()
}

struct Squares<'a> {
    gradients: &'a GradientsParams,
    sum: f64,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if let Some(gradient) = self.gradients.get::<B::InnerBackend, D>(param.id) {
            self.sum += gradient.square().sum().into_scalar().elem::<f64>();
        }
    }
}
