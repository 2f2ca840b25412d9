//! Parameters elsewhere than where the model has them.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use crate::low_rank::LowRank;

/// A model with its parameters moved, to one point or a few: what [`LanguageModel::log_probs_at_each`] looks at.
///
/// The parameters of a part of the model are made when that part is about to run, and dropped after it, so that there is
/// never a second model. What moves them, and where to, is not the model's to know.
///
/// [`LanguageModel::log_probs_at_each`]: crate::LanguageModel::log_probs_at_each
pub trait Probe<B: Backend> {
    /// How many points: at least 1.
    fn points(&self) -> usize;

    /// Whether a parameter of this part of the model moves. What does not move is the same at all points.
    fn moves<M: Module<B>>(&self, part: &M) -> bool;

    /// This part of the model at each of the points.
    fn moved<M: Module<B>>(&self, part: &M) -> Vec<M>;

    /// What the probes add to a matrix `[out, in]` at all their points, one probe after the other, or to these rows of it, if
    /// that is of low rank: then a model adds it to the matrix's product, and does not ask for the matrix moved.
    ///
    /// `None`, as by default, where the matrix has to be asked for by [`Probe::moved`] or [`Probe::rows`].
    ///
    /// # Panics
    /// A row is not in the matrix.
    fn added(
        probes: &[&Self],
        matrix: &Param<Tensor<B, 2>>,
        rows: Option<&[u32]>,
    ) -> Option<LowRank<B>>
    where
        Self: Sized,
    {
        let _ = (probes, matrix, rows);
        None
    }

    /// Whether [`Probe::rows`] costs less for few rows than for many, so that a table may be asked for in parts.
    fn makes_rows(&self) -> bool;

    /// These rows of a table `[rows, width]` at each of the points, `[rows asked for, width]`.
    ///
    /// # Panics
    /// A row is not in the table.
    fn rows(&self, table: &Param<Tensor<B, 2>>, rows: &[u32]) -> Vec<Tensor<B, 2>>;
}
