//! Layers that are made at every probe, whatever the family.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use zograd_models::Probe;
use zograd_perturb::NoiseBackend;
use zograd_trainer::ModelProbe;

/// A probe that says of no matrix what is added to it, so that every one has to be made.
#[derive(Clone, Copy)]
pub struct Made<'a>(pub ModelProbe<'a>);

impl<B: NoiseBackend> Probe<B> for Made<'_> {
    fn points(&self) -> usize {
        Probe::<B>::points(&self.0)
    }

    fn moves<M: Module<B>>(&self, part: &M) -> bool {
        self.0.moves(part)
    }

    fn moved<M: Module<B>>(&self, part: &M) -> Vec<M> {
        self.0.moved(part)
    }

    fn makes_rows(&self) -> bool {
        Probe::<B>::makes_rows(&self.0)
    }

    fn rows(&self, table: &Param<Tensor<B, 2>>, rows: &[u32]) -> Vec<Tensor<B, 2>> {
        self.0.rows(table, rows)
    }
}
