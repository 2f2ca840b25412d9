//! The tables of tokens, positions and the head at probes.

use std::ops::Range;

use burn::tensor::Tensor;

use crate::backend::ModelBackend;
use crate::backend::plain::of_type;
use crate::indices::indices;
use crate::low_rank::LowRank;
use crate::nn::Embedding;
use crate::probe::Probe;

/// Numbers of the head's table that are made at a time: 8 MiB in f32.
const HEAD_NUMBERS: usize = 1 << 21;

/// Rows of a table at the points of a probe, `[ids, width]`, in the type of what flows between the layers. A row that is looked up several times is moved once.
pub(super) fn looked_up<B: ModelBackend, P: Probe<B>>(
    probe: &P,
    table: &Embedding<B>,
    ids: impl Iterator<Item = u32>,
) -> Vec<Tensor<B, 2>> {
    let ids: Vec<u32> = ids.collect();
    let mut rows = ids.clone();
    rows.sort_unstable();
    rows.dedup();
    let places = ids
        .iter()
        .map(|id| rows.partition_point(|row| row < id) as i32);
    let places = indices(places, &table.weight.val().device());
    let dtype = B::activations(table.weight.dtype());
    let points = match added(&[probe], table, Some(&rows)) {
        Some(added) => {
            let standing = of_type(standing_rows(table, &rows), dtype);
            let moved = added.matrices().into_iter();
            moved.map(|added| standing.clone() + added).collect()
        }
        None => probe.rows(&table.weight, &rows),
    };
    let activations = |rows: Tensor<B, 2>| of_type(rows.select(0, places.clone()), dtype);
    points.into_iter().map(activations).collect()
}

/// What the probes add to a table, or to these rows of it, in the type of what flows between the layers.
pub(super) fn added<B: ModelBackend, P: Probe<B>>(
    probes: &[&P],
    table: &Embedding<B>,
    rows: Option<&[u32]>,
) -> Option<LowRank<B>> {
    let added = P::added(probes, &table.weight, rows)?;
    Some(added.of_type(B::activations(table.weight.dtype())))
}

/// Rows of a table where it is.
fn standing_rows<B: ModelBackend>(table: &Embedding<B>, rows: &[u32]) -> Tensor<B, 2> {
    let weight = table.weight.val();
    let rows = indices(rows.iter().map(|row| *row as i32), &weight.device());
    weight.select(0, rows)
}

/// The head at the points of a probe.
pub(super) struct Head<'h, B: ModelBackend, P> {
    pub probe: &'h P,
    pub table: &'h Embedding<B>,
    /// What the probe adds to the rows of the table that are read, if that is all it does to the table.
    pub added: Option<LowRank<B>>,
}

impl<B: ModelBackend, P: Probe<B>> Head<'_, B, P> {
    /// The logits of these ids, or of all, given what the head is given at each point.
    pub fn logits(&self, features: &[Tensor<B, 2>], ids: Option<&[u32]>) -> Vec<Tensor<B, 2>> {
        match (&self.added, ids) {
            (Some(added), _) => self.with_added(features, ids, added),
            (None, Some(ids)) => self.of_rows(features, ids),
            (None, None) => self.of_all(features),
        }
    }

    /// From the table where it stands, and what is added to it.
    fn with_added(
        &self,
        features: &[Tensor<B, 2>],
        ids: Option<&[u32]>,
        added: &LowRank<B>,
    ) -> Vec<Tensor<B, 2>> {
        let rows = match ids {
            Some(ids) => standing_rows(self.table, ids),
            None => self.table.weight.val(),
        };
        let points = features.iter().zip(added.logits(features));
        points
            .map(|(x, added)| B::packed_add(B::packed_logits(x.clone(), rows.clone()), added))
            .collect()
    }

    /// From one block of the table after the other.
    fn of_all(&self, features: &[Tensor<B, 2>]) -> Vec<Tensor<B, 2>> {
        if !self.probe.moves(self.table) {
            let each = features.iter().cloned();
            return each
                .map(|x| B::packed_logits(x, self.table.weight.val()))
                .collect();
        }
        let [vocabulary, width] = self.table.weight.dims();
        let most = match self.probe.makes_rows() {
            true => HEAD_NUMBERS / width.max(1),
            false => vocabulary,
        };
        let mut parts = vec![Vec::new(); features.len()];
        for ids in blocks(vocabulary, most) {
            let ids: Vec<u32> = ids.map(|id| id as u32).collect();
            let logits = self.of_rows(features, &ids);
            for (parts, logits) in parts.iter_mut().zip(logits) {
                parts.push(logits);
            }
        }
        let each = parts.into_iter();
        each.map(|parts| Tensor::cat(parts, 1)).collect()
    }

    /// From these rows of the table, made.
    fn of_rows(&self, features: &[Tensor<B, 2>], ids: &[u32]) -> Vec<Tensor<B, 2>> {
        let rows = self.probe.rows(&self.table.weight, ids);
        let points = features.iter().cloned().zip(rows);
        points.map(|(x, rows)| B::packed_logits(x, rows)).collect()
    }
}

/// `0..count` in as few parts of nearly one size as there can be, none larger than `most`.
fn blocks(count: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    let parts = count.div_ceil(most.max(1)).max(1);
    (0..parts).map(move |part| part * count / parts..(part + 1) * count / parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_cover_everything_once() {
        for (count, most) in [(10, 3), (50_272, 2730), (7, 100), (1, 1), (5, 0)] {
            let parts: Vec<Range<usize>> = blocks(count, most).collect();
            let sizes = parts.iter().map(Range::len);
            assert!(sizes.clone().all(|size| size <= most.max(1)), "{parts:?}");
            assert!(sizes.clone().max() <= sizes.min().map(|size| size + 1));
            assert!(parts.into_iter().flatten().eq(0..count));
        }
    }
}
