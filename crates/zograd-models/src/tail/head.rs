//! The gradient of the head's table, and what goes back from it.

use std::ops::Range;

use burn::tensor::{Tensor, TensorData};

use crate::backend::ModelBackend;
use crate::indices::indices;
use crate::plan::Plan;
use crate::scores::ids_of;

/// Numbers of the head's table that are looked at together: 8 MiB in f32.
const HEAD_NUMBERS: usize = 1 << 21;

/// What is known of the head's gradient: some rows of it, or what all are made of.
pub(super) enum HeadGradient<B: ModelBackend> {
    /// These rows, `[ids, width]`: the normalisers of the scores cancel.
    Rows(Vec<u32>, Tensor<B, 2>),
    /// `D^T features`.
    All(Dense<B>),
}

/// The derivative by the logits, `D = onehot slopes - softmax * sums`, from which the rows of the gradient are made a block
/// at a time.
pub(super) struct Dense<B: ModelBackend> {
    /// What the head is given, `[read, width]`.
    features: Tensor<B, 2>,
    /// (Read token, id, slope).
    slopes: Vec<(usize, u32, f32)>,
    /// The sum of a token's slopes, `[read, 1]`.
    sums: Tensor<B, 2>,
    /// The logarithm of its normaliser, `[read, 1]`.
    normaliser: Tensor<B, 2>,
}

/// The gradient of the scores' sum, weighed by `slope`: by what the head is given, `[read, width]`, and by its table.
pub(super) fn head_gradient<B: ModelBackend>(
    features: Tensor<B, 2>,
    table: Tensor<B, 2>,
    plan: &Plan,
    slope: &[f32],
) -> (Tensor<B, 2>, HeadGradient<B>) {
    let slopes = plan.scored().zip(slope);
    let slopes: Vec<_> = slopes.map(|((row, id), slope)| (row, id, *slope)).collect();
    if !plan.is_normalised() {
        let ids = ids_of(&plan.targets);
        let column = |id: u32| ids.partition_point(|other| *other < id);
        let by_logits = scattered(&features, &slopes, ids.len(), |id| Some(column(id)));
        let places = indices(ids.iter().map(|id| *id as i32), &features.device());
        let back = by_logits.clone().matmul(table.select(0, places));
        let rows = by_logits.transpose().matmul(features);
        return (back, HeadGradient::Rows(ids, rows));
    }
    let dense = Dense::new(features, &table, slopes);
    let back = dense.blocks(&table, |by_logits, rows, _| by_logits.matmul(rows));
    let back = back.reduce(|sum, more| sum + more);
    let back = back.unwrap_or_else(|| dense.features.zeros_like());
    (back, HeadGradient::All(dense))
}

impl<B: ModelBackend> Dense<B> {
    fn new(features: Tensor<B, 2>, table: &Tensor<B, 2>, slopes: Vec<(usize, u32, f32)>) -> Self {
        let [read, _] = features.dims();
        let mut sums = vec![0.0f64; read];
        for (row, _, slope) in &slopes {
            sums[*row] += f64::from(*slope);
        }
        let sums = TensorData::new(sums, [read, 1]);
        let sums = Tensor::from_data(sums, (&features.device(), features.dtype()));
        // (largest logit, sum of exponentials below it) of the blocks so far
        let mut so_far: Option<[Tensor<B, 2>; 2]> = None;
        for ids in blocks(table.dims()) {
            let logits = B::packed_logits(features.clone(), rows_of(table, &ids));
            let most = logits.clone().max_dim(1);
            let most = match &so_far {
                Some([before, _]) => most.max_pair(before.clone()),
                None => most,
            };
            let mut sum = (logits - most.clone()).exp().sum_dim(1);
            if let Some([before, summed]) = so_far {
                sum = sum + summed * (before - most.clone()).exp();
            }
            so_far = Some([most, sum]);
        }
        let normaliser = so_far.map(|[most, sum]| most + sum.log());
        Self {
            normaliser: normaliser.unwrap_or_else(|| sums.zeros_like()),
            features,
            slopes,
            sums,
        }
    }

    /// What `make` makes of each block of the table: of the derivative by its logits, `[read, block]`, its rows, and their
    /// ids.
    fn blocks<'a, T>(
        &'a self,
        table: &'a Tensor<B, 2>,
        make: impl Fn(Tensor<B, 2>, Tensor<B, 2>, Range<usize>) -> T + 'a,
    ) -> impl Iterator<Item = T> + 'a {
        blocks(table.dims()).map(move |ids| {
            let rows = rows_of(table, &ids);
            make(self.by_logits(rows.clone(), &ids), rows, ids)
        })
    }

    /// The blocks of the table.
    pub(super) fn ids(&self, table: &Tensor<B, 2>) -> impl Iterator<Item = Range<usize>> + use<B> {
        blocks(table.dims())
    }

    /// The gradient of these rows of the table, `[ids, width]`.
    pub(super) fn of_rows(&self, rows: Tensor<B, 2>, ids: &Range<usize>) -> Tensor<B, 2> {
        self.by_logits(rows, ids)
            .transpose()
            .matmul(self.features.clone())
    }

    /// The derivative by the logits of these rows, `[read, ids]`.
    fn by_logits(&self, rows: Tensor<B, 2>, ids: &Range<usize>) -> Tensor<B, 2> {
        let logits = B::packed_logits(self.features.clone(), rows);
        let shares = (logits - self.normaliser.clone()).exp();
        let within = |id: u32| {
            ids.contains(&(id as usize))
                .then(|| id as usize - ids.start)
        };
        scattered(&self.features, &self.slopes, ids.len(), within) - shares * self.sums.clone()
    }
}

/// Slopes at their places, `[read, columns]`: those of one place are added up.
fn scattered<B: ModelBackend>(
    like: &Tensor<B, 2>,
    slopes: &[(usize, u32, f32)],
    columns: usize,
    column: impl Fn(u32) -> Option<usize>,
) -> Tensor<B, 2> {
    let [read, _] = like.dims();
    let mut cells = vec![0.0f32; read * columns];
    for (row, id, slope) in slopes {
        if let Some(column) = column(*id) {
            cells[row * columns + column] += slope;
        }
    }
    let cells = TensorData::new(cells, [read, columns]);
    Tensor::from_data(cells, (&like.device(), like.dtype()))
}

fn rows_of<B: ModelBackend>(table: &Tensor<B, 2>, ids: &Range<usize>) -> Tensor<B, 2> {
    let [_, width] = table.dims();
    table.clone().slice([ids.clone(), 0..width])
}

/// Runs of ids of a table with so many rows of so many numbers.
fn blocks([ids, width]: [usize; 2]) -> impl Iterator<Item = Range<usize>> + use<> {
    let most = (HEAD_NUMBERS / width.max(1)).max(1);
    (0..ids)
        .step_by(most)
        .map(move |start| start..ids.min(start + most))
}
