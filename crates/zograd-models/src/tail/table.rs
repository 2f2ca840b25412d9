//! A table of tokens or positions follows its gradient: a few rows, or all of them a block at a time.

use burn::tensor::{IndexingUpdateOp, Tensor};

use super::head::{Dense, HeadGradient};
use super::rule::{GradientSize, Stride};
use crate::backend::ModelBackend;
use crate::indices::indices;

/// The gradient of a table.
pub(super) struct TableGradient<B: ModelBackend> {
    /// Ids and their rows, `[ids, width]`; an id may stand there several times.
    rows: Vec<(Vec<u32>, Tensor<B, 2>)>,
    dense: Option<Dense<B>>,
}

impl<B: ModelBackend> TableGradient<B> {
    pub(super) fn none() -> Self {
        Self {
            rows: Vec::new(),
            dense: None,
        }
    }

    /// With these rows, `[ids, width]`.
    pub(super) fn add_rows(&mut self, ids: Vec<u32>, rows: Tensor<B, 2>) {
        self.rows.push((ids, rows));
    }

    /// With that of the head.
    pub(super) fn add_head(&mut self, head: HeadGradient<B>) {
        match head {
            HeadGradient::Rows(ids, rows) => self.rows.push((ids, rows)),
            HeadGradient::All(dense) => self.dense = Some(dense),
        }
    }

    /// The table, `[ids, width]`, after it: as far as `stride` says.
    pub(super) fn follow(
        self,
        table: Tensor<B, 2>,
        stride: impl FnOnce(GradientSize) -> Stride,
    ) -> Tensor<B, 2> {
        let rows = summed(self.rows);
        match self.dense {
            Some(dense) => all_rows(table, &dense, rows, stride),
            None => match rows {
                Some((ids, rows)) => some_rows(table, &ids, rows, stride),
                None => table,
            },
        }
    }
}

fn some_rows<B: ModelBackend>(
    table: Tensor<B, 2>,
    ids: &[u32],
    rows: Tensor<B, 2>,
    stride: impl FnOnce(GradientSize) -> Stride,
) -> Tensor<B, 2> {
    let stride = stride(GradientSize::of_rows(&rows));
    let kept = stride.kept(table);
    if stride.factor == 0.0 {
        return kept;
    }
    let places = indices(ids.iter().map(|id| *id as i32), &kept.device());
    let steps = rows.mul_scalar(-stride.factor);
    kept.select_assign(0, places, steps, IndexingUpdateOp::Add)
}

fn all_rows<B: ModelBackend>(
    mut table: Tensor<B, 2>,
    dense: &Dense<B>,
    rows: Option<(Vec<u32>, Tensor<B, 2>)>,
    stride: impl FnOnce(GradientSize) -> Stride,
) -> Tensor<B, 2> {
    let [_, width] = table.dims();
    // a block's gradient is a function of its own rows, so that the blocks before it may have moved
    let gradient = |table: &Tensor<B, 2>, ids: &std::ops::Range<usize>| {
        let block = table.clone().slice([ids.clone(), 0..width]);
        let gradient = dense.of_rows(block.clone(), ids);
        let Some((more, rows)) = &rows else {
            return (block, gradient);
        };
        let start = more.partition_point(|id| (*id as usize) < ids.start);
        let end = more.partition_point(|id| (*id as usize) < ids.end);
        if start == end {
            return (block, gradient);
        }
        let places = more[start..end]
            .iter()
            .map(|id| *id as i32 - ids.start as i32);
        let places = indices(places, &gradient.device());
        let rows = rows.clone().slice([start..end, 0..width]);
        let gradient = gradient.select_assign(0, places, rows, IndexingUpdateOp::Add);
        (block, gradient)
    };
    let sizes = dense
        .ids(&table)
        .map(|ids| GradientSize::of_rows(&gradient(&table, &ids).1));
    let Some(size) = sizes.reduce(GradientSize::and) else {
        return table;
    };
    let stride = stride(size);
    for ids in dense.ids(&table) {
        let (block, gradient) = gradient(&table, &ids);
        table = table.slice_assign([ids, 0..width], stride.of(block, gradient));
    }
    table
}

/// All rows of one id added up; ids ascending, each once.
fn summed<B: ModelBackend>(
    parts: Vec<(Vec<u32>, Tensor<B, 2>)>,
) -> Option<(Vec<u32>, Tensor<B, 2>)> {
    let (ids, rows): (Vec<Vec<u32>>, Vec<Tensor<B, 2>>) = parts.into_iter().unzip();
    let ids = ids.concat();
    if ids.is_empty() {
        return None;
    }
    let rows = Tensor::cat(rows, 0);
    let mut distinct = ids.clone();
    distinct.sort_unstable();
    distinct.dedup();
    let place = |id: &u32| distinct.partition_point(|other| other < id) as i32;
    let places = indices(ids.iter().map(place), &rows.device());
    let [_, width] = rows.dims();
    let zeros = Tensor::zeros([distinct.len(), width], (&rows.device(), rows.dtype()));
    let rows = zeros.select_assign(0, places, rows, IndexingUpdateOp::Add);
    Some((distinct, rows))
}
