//! From logits to the scores of targets.

use burn::tensor::Tensor;

use crate::backend::ModelBackend;
use crate::backend::plain::to_f32;
use crate::indices::indices;
use crate::plan::Target;

/// Positions whose vocabulary logits exist at a time: 49 MiB in f32 for OPT's vocabulary.
pub(crate) const LOGIT_ROWS: usize = 256;

/// Targets by the chunk of [`LOGIT_ROWS`] positions that they are read at.
pub(crate) struct Chunks {
    /// For each chunk the (row of the chunk, id) pairs.
    pub pairs: Vec<Vec<(usize, u32)>>,
    /// The place of each target among the pairs of all chunks, if not that of the targets.
    places: Option<Vec<i32>>,
}

impl Chunks {
    /// Of the targets that are read at so many positions.
    pub fn new(targets: &[Target], positions: usize) -> Self {
        let mut pairs = vec![Vec::new(); positions.div_ceil(LOGIT_ROWS)];
        for target in targets {
            pairs[target.logit / LOGIT_ROWS].push((target.logit % LOGIT_ROWS, target.id));
        }
        let in_order = targets.is_sorted_by_key(|target| target.logit / LOGIT_ROWS);
        let places = || {
            let mut next: Vec<usize> = Vec::with_capacity(pairs.len());
            let mut total = 0;
            for pairs in &pairs {
                next.push(total);
                total += pairs.len();
            }
            let place = |target: &Target| {
                let next = &mut next[target.logit / LOGIT_ROWS];
                *next += 1;
                *next as i32 - 1
            };
            targets.iter().map(place).collect()
        };
        let places = (!in_order).then(places);
        Self { pairs, places }
    }

    /// The scores of the chunks' pairs, in the order of the targets.
    pub fn in_order<B: ModelBackend>(&self, scores: Vec<Tensor<B, 1>>) -> Tensor<B, 1> {
        let scores = Tensor::cat(scores, 0);
        match &self.places {
            None => scores,
            Some(places) => {
                let places = indices(places.iter().copied(), &scores.device());
                scores.select(0, places)
            }
        }
    }
}

/// The ids of the targets, ascending, each once.
pub(crate) fn ids_of(targets: &[Target]) -> Vec<u32> {
    let mut ids: Vec<u32> = targets.iter().map(|target| target.id).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// The logits of the targets in f32, given those of `ids` (as [`ids_of`] gives them) at all positions.
pub(crate) fn unnormalised<B: ModelBackend>(
    logits: Tensor<B, 2>,
    ids: &[u32],
    targets: &[Target],
) -> Tensor<B, 1> {
    let device = logits.device();
    let [positions, width] = logits.dims();
    let cell = |target: &Target| {
        // every id of a target is in the list
        let column = ids.partition_point(|id| *id < target.id);
        (target.logit * width + column) as i32
    };
    to_f32(logits)
        .reshape([positions * width])
        .select(0, indices(targets.iter().map(cell), &device))
}
