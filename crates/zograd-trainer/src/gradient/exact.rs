//! The gradient itself, to hold estimates against.

use super::backpropagation::Steps;
use super::differentiable::differentiable;
use super::{Backpropagation, GradientOptimizer, ParameterVector};
use crate::{Objective, TrainConfig, TrainError};
use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use burn::tensor::backend::AutodiffBackend;
use burn_autodiff::checkpoint::strategy::NoCheckpointing;
use zograd_models::{Model, ModelBackend};
use zograd_params::ParameterPath;
use zograd_perturb::Selection;
use zograd_tasks::Prompt;

/// The loss of a batch, in nats, and its gradient by the selected parameters of `model`. The activations of `micro_batch` examples are in memory
/// at a time, and the gradient as often as the batch has such parts.
///
/// # Errors
/// An objective without a gradient, or prompts that the model cannot score.
pub fn exact_gradient<B: ModelBackend>(
    model: Model<B>,
    selection: &Selection,
    objective: &dyn Objective,
    batch: &[&Prompt],
    micro_batch: usize,
) -> Result<(f64, ParameterVector), TrainError> {
    let settings = Backpropagation {
        optimizer: GradientOptimizer::Adam,
        max_norm: f64::INFINITY,
        micro_batch,
        recompute: false,
    };
    let config = TrainConfig::new(1, 0.0);
    let model = differentiable::<B, NoCheckpointing>(model, selection);
    let steps = Steps::new(&settings, objective, &config, model.clone());
    let mut gradient = steps.gradient(batch)?;
    let mut collecting = Collecting {
        from: &mut gradient.sum,
        selection,
        share: 1.0 / gradient.terms as f32,
        path: ParameterPath::default(),
        found: ParameterVector::default(),
    };
    model.visit(&mut collecting);
    Ok((gradient.loss, collecting.found))
}

struct Collecting<'a> {
    from: &'a mut GradientsParams,
    selection: &'a Selection,
    /// Of a term in the mean.
    share: f32,
    path: ParameterPath,
    found: ParameterVector,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for Collecting<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.path.exit(container);
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let name = self.path.name();
        if !self.selection.includes(&name) {
            return;
        }
        let values = match self.from.remove::<B::InnerBackend, D>(param.id) {
            Some(gradient) => {
                let values = gradient.into_data();
                values.iter::<f32>().map(|g| g * self.share).collect()
            }
            // the loss does not depend on it
            None => vec![0.0; param.shape().num_elements()],
        };
        self.found.push(name, values);
    }
}
