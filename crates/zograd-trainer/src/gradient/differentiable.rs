use burn::module::{AutodiffModule, Module, ModuleMapper, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::AutodiffBackend;
use burn_autodiff::Autodiff;
use burn_autodiff::checkpoint::strategy::CheckpointStrategy;
use zograd_models::{Model, ModelBackend};
use zograd_params::ParameterPath;
use zograd_perturb::Selection;

/// The model on the differentiating backend, where only the selected parameters have gradients.
pub(super) fn differentiable<B: ModelBackend, C: CheckpointStrategy>(
    model: Model<B>,
    selection: &Selection,
) -> Model<Autodiff<B, C>> {
    Model::<Autodiff<B, C>>::from_inner(model).map(&mut Track {
        selection,
        path: ParameterPath::default(),
    })
}

struct Track<'a> {
    selection: &'a Selection,
    path: ParameterPath,
}

impl<B: AutodiffBackend> ModuleMapper<B> for Track<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.path.exit(container);
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        param.set_require_grad(self.selection.includes(&self.path.name()))
    }
}
