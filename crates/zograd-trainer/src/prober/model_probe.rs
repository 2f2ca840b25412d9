use burn::module::{Module, Param};
use burn::tensor::Tensor;
use zograd_perturb::NoiseBackend;

/// A probe of the weights, as a model asks for it.
#[derive(Clone, Copy)]
pub struct ModelProbe<'a>(&'a zograd_perturb::Probe<'a>);

impl<'a> ModelProbe<'a> {
    /// This one.
    pub fn of(probe: &'a zograd_perturb::Probe<'a>) -> Self {
        Self(probe)
    }
}

impl<B: NoiseBackend> zograd_models::Probe<B> for ModelProbe<'_> {
    fn points(&self) -> usize {
        self.0.points()
    }

    fn moves<M: Module<B>>(&self, part: &M) -> bool {
        self.0.moves(part)
    }

    fn moved<M: Module<B>>(&self, part: &M) -> Vec<M> {
        self.0.moved(part)
    }

    fn makes_rows(&self) -> bool {
        self.0.makes_rows::<B>()
    }

    fn rows(&self, table: &Param<Tensor<B, 2>>, rows: &[u32]) -> Vec<Tensor<B, 2>> {
        self.0.rows(table, rows)
    }
}
