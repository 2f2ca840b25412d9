//! What a model says where its weights are not.
//!
//! The layers run one after the other, each for all probes in turn: a layer is made as it is at a probe, the tokens go
//! through it, and it is dropped. So the weights stand still, and what exists besides the model is one layer (two for a
//! probe and its opposite) and the tokens of all probes between two layers. Everything that a probe does not move is run once for all.
//!
//! Probes of low rank make no layer: what they add to a matrix is added to its product ([`Probe::added`]), and the tokens of
//! all of them go through a layer as one batch ([`joined`]).

use std::cell::OnceCell;
use std::ops::Range;

use burn::module::Module;
use burn::tensor::Tensor;

use crate::backend::ModelBackend;
use crate::backend::plain::of_type;
use crate::decoder::{Decoder, Read, device};
use crate::error::ModelError;
use crate::forward::check;
use crate::indices::indices;
use crate::interrupt::go_on;
use crate::joined::joined;
use crate::low_rank::LowRank;
use crate::nn::Embedding;
use crate::plan::Plan;
use crate::probe::Probe;
use crate::run::{Layouts, attend, embedded, rows};
use crate::scores::{Chunks, LOGIT_ROWS, ids_of, unnormalised};
use crate::still::{Kept, Still};

/// Tokens between two layers at most, those of all probes together, unless those of one probe are more.
const TOKENS: usize = 4096;

/// Numbers of the head's table that are made at a time: 8 MiB in f32.
const HEAD_NUMBERS: usize = 1 << 21;

/// See [`LanguageModel::log_probs_at_each`](crate::LanguageModel::log_probs_at_each). Where a backend computes a row of a
/// matrix product the same way however many rows there are, these are the bits of a model that was moved there. What no
/// probe moves is run once for all and kept in `still`, for the next call with this plan and these weights.
///
/// # Errors
/// As [`log_probs_tensor`](crate::forward::log_probs_tensor).
pub(crate) fn log_probs_at_each<D: Decoder, P: Probe<D::Backend>>(
    model: &D,
    plan: &Plan,
    probes: &[P],
    still: &mut Still<D::Backend>,
) -> Result<Vec<Vec<f32>>, ModelError> {
    check(model, plan)?;
    if probes.is_empty() {
        return Ok(Vec::new());
    }
    let probed = Probed {
        model,
        plan,
        tokens: Tokens::new(model, plan),
    };
    if !probed.serves(probes, still) {
        still.kept = probed.run_still(probes)?;
    }
    let mut scores = Vec::with_capacity(probes.len());
    for probes in together(probes, plan.stats().tokens) {
        for found in probed.scores(probes, still.kept.as_ref())? {
            scores.push(found.into_data().iter::<f32>().collect());
        }
    }
    Ok(scores)
}

/// Cuts the probes into runs of at most [`TOKENS`] tokens.
fn together<B: ModelBackend, P: Probe<B>>(probes: &[P], tokens: usize) -> Vec<&[P]> {
    let mut runs = Vec::new();
    let (mut start, mut points) = (0, 0);
    for (index, probe) in probes.iter().enumerate() {
        if index > start && (points + probe.points()) * tokens > TOKENS {
            runs.push(&probes[start..index]);
            (start, points) = (index, 0);
        }
        points += probe.points();
    }
    runs.push(&probes[start..]);
    runs
}

/// A plan, to be scored elsewhere than where the model is.
struct Probed<'m, D: Decoder> {
    model: &'m D,
    plan: &'m Plan,
    tokens: Tokens<D>,
}

/// What layers need to know of the tokens of a plan.
struct Tokens<D: Decoder> {
    layouts: Layouts<D::Backend>,
    places: D::Places,
    /// Those that are read after the last layer.
    read: Read<D::Backend>,
}

impl<D: Decoder> Tokens<D> {
    fn new(model: &D, plan: &Plan) -> Self {
        let device = device(model);
        Self {
            layouts: Layouts::new(model, &plan.packing),
            places: model.places(plan.positions(), &device),
            read: rows::<D::Backend>(plan.logit_tokens(), &device),
        }
    }

    /// Sends them through a layer, as it is or moved, which is that of the model with this number.
    fn through(
        &self,
        model: &D,
        (index, layer): (usize, &D::Layer),
        x: Tensor<D::Backend, 2>,
    ) -> Tensor<D::Backend, 2> {
        let read = (index + 1 == model.layers().len()).then_some(&self.read);
        let layout = self.layouts.of(index);
        model.run_layer((index, layer), x, &self.places, read, |projected| {
            attend(layer, projected, layout)
        })
    }
}

impl<D: Decoder> Probed<'_, D> {
    /// Whether the probes move nothing of what was kept.
    fn serves<P: Probe<D::Backend>>(&self, probes: &[P], still: &Still<D::Backend>) -> bool {
        still.kept.as_ref().is_some_and(|kept| {
            let mut layers = self.model.layers().iter().take(kept.layers);
            !self.moves_tables(probes) && !layers.any(|layer| moves(probes, layer))
        })
    }

    /// What no probe moves; `None` if the tables that come before the layers move.
    fn run_still<P: Probe<D::Backend>>(
        &self,
        probes: &[P],
    ) -> Result<Option<Kept<D::Backend>>, ModelError> {
        if self.moves_tables(probes) {
            return Ok(None);
        }
        let mut hidden = embedded(self.model, &self.plan.packing);
        let still = |layer: &&D::Layer| !moves(probes, *layer);
        let all = self.model.layers();
        let mut layers = 0;
        for layer in all.iter().take_while(still) {
            go_on()?;
            hidden = self.tokens.through(self.model, (layers, layer), hidden);
            layers += 1;
        }
        Ok(Some(Kept {
            layers,
            all: layers == all.len(),
            hidden,
        }))
    }

    /// Whether one of the probes moves what comes before the layers.
    fn moves_tables<P: Probe<D::Backend>>(&self, probes: &[P]) -> bool {
        let model = self.model;
        let positions = model.position_table();
        moves(probes, model.token_table())
            || positions.is_some_and(|(table, _)| moves(probes, table))
            || moves(probes, &model.entry())
    }

    /// The scores of the plan at every point of the probes.
    fn scores<P: Probe<D::Backend>>(
        &self,
        probes: &[P],
        still: Option<&Kept<D::Backend>>,
    ) -> Result<Vec<Tensor<D::Backend, 1>>, ModelError> {
        let mut hidden: Vec<Vec<Tensor<D::Backend, 2>>> = probes
            .iter()
            .map(|probe| match still {
                Some(kept) => vec![kept.hidden.clone(); probe.points()],
                None => self.embedded(probe),
            })
            .collect();
        let blocks = OnceCell::new();
        let layers = self.model.layers().iter().enumerate();
        for (index, layer) in layers.skip(still.map_or(0, |kept| kept.layers)) {
            if let Some(joined) = self.joined(layer, probes) {
                go_on()?;
                let points = hidden.iter().map(Vec::len).sum();
                let blocks =
                    blocks.get_or_init(|| Tokens::new(self.model, &self.plan.repeated(points)));
                let xs = hidden.iter_mut().flat_map(std::mem::take);
                let x = Tensor::cat(xs.collect(), 0);
                let x = blocks.through(self.model, (index, &joined), x);
                let rows = x.dims()[0] / points;
                let mut each = (0..points).map(|point| x.clone().narrow(0, point * rows, rows));
                for (probe, xs) in probes.iter().zip(&mut hidden) {
                    *xs = each.by_ref().take(probe.points()).collect();
                }
                continue;
            }
            for (probe, xs) in probes.iter().zip(&mut hidden) {
                go_on()?;
                let moved = probe.moved(layer).into_iter().zip(std::mem::take(xs));
                let through = |(layer, x)| self.tokens.through(self.model, (index, &layer), x);
                *xs = moved.map(through).collect();
            }
        }
        let head = added(probes, self.model.head_table(), self.head_rows().as_deref());
        let mut first = 0;
        let each = probes.iter().zip(hidden).map(|(probe, xs)| {
            let points = first..first + probe.points();
            first = points.end;
            let added = head.as_ref().map(|head| head.at(points));
            self.scores_of(probe, added.as_ref(), self.before_head(probe, xs))
        });
        Ok(each.flatten().collect())
    }

    /// The layer at all points of the probes, for their tokens in one batch, if that can be.
    fn joined<P: Probe<D::Backend>>(&self, layer: &D::Layer, probes: &[P]) -> Option<D::Layer> {
        let can = D::RUNS_BLOCKS && self.model.adapter().is_none();
        can.then(|| joined(layer, probes)).flatten()
    }

    /// The rows of the head's table that are read, if these are not all.
    fn head_rows(&self) -> Option<Vec<u32>> {
        (!self.plan.is_normalised()).then(|| ids_of(&self.plan.targets))
    }

    fn embedded<P: Probe<D::Backend>>(&self, probe: &P) -> Vec<Tensor<D::Backend, 2>> {
        let (packing, model) = (&self.plan.packing, self.model);
        let tokens = looked_up(probe, model.token_table(), packing.ids.iter().copied());
        let positions = match model.position_table() {
            None => vec![None; tokens.len()],
            Some((table, first)) => {
                let rows = packing.positions.iter();
                let rows = rows.map(|position| position + first as u32);
                let found = looked_up(probe, table, rows);
                found.into_iter().map(Some).collect()
            }
        };
        let entries = probe.moved(&model.entry());
        let points = tokens.into_iter().zip(entries).zip(positions);
        points
            .map(|((tokens, entry), positions)| model.enter(&entry, tokens, positions))
            .collect()
    }

    fn before_head<P: Probe<D::Backend>>(
        &self,
        probe: &P,
        xs: Vec<Tensor<D::Backend, 2>>,
    ) -> Vec<Tensor<D::Backend, 2>> {
        let exits = probe.moved(&self.model.exit());
        let points = xs.into_iter().zip(exits);
        points.map(|(x, exit)| self.model.leave(&exit, x)).collect()
    }

    /// The scores at the points of a probe, given what it adds to the rows of the head's table that are read, if that is all
    /// it does to the table, and what the head is given there.
    fn scores_of<P: Probe<D::Backend>>(
        &self,
        probe: &P,
        added: Option<&LowRank<D::Backend>>,
        features: Vec<Tensor<D::Backend, 2>>,
    ) -> Vec<Tensor<D::Backend, 1>> {
        let targets = &self.plan.targets;
        if !self.plan.is_normalised() {
            let ids = ids_of(targets);
            let logits = match added {
                Some(added) => self.standing_logits(&features, Some(&ids), added),
                None => self.logits(probe, &features, &ids),
            };
            return logits
                .into_iter()
                .map(|logits| unnormalised(logits, &ids, targets))
                .collect();
        }
        let positions = self.plan.logit_tokens.len();
        let chunks = Chunks::new(targets, positions);
        let mut scores = vec![Vec::with_capacity(chunks.pairs.len()); features.len()];
        for (chunk, pairs) in chunks.pairs.iter().enumerate() {
            let start = chunk * LOGIT_ROWS;
            let rows = LOGIT_ROWS.min(positions - start);
            let features = features.iter().map(|x| x.clone().narrow(0, start, rows));
            let features: Vec<_> = features.collect();
            let logits = match added {
                Some(added) => self.standing_logits(&features, None, added),
                None => self.vocabulary_logits(probe, &features),
            };
            for (scores, logits) in scores.iter_mut().zip(logits) {
                scores.push(D::Backend::log_probs_at(logits, pairs));
            }
        }
        let each = scores.into_iter();
        each.map(|scores| chunks.in_order(scores)).collect()
    }

    /// The logits of all ids at the points of a probe, from one block of the table after the other.
    fn vocabulary_logits<P: Probe<D::Backend>>(
        &self,
        probe: &P,
        features: &[Tensor<D::Backend, 2>],
    ) -> Vec<Tensor<D::Backend, 2>> {
        let table = self.model.head_table();
        if !probe.moves(table) {
            let each = features.iter().cloned();
            return each
                .map(|x| D::Backend::packed_logits(x, table.weight.val()))
                .collect();
        }
        let [vocabulary, width] = table.weight.dims();
        let most = match probe.makes_rows() {
            true => HEAD_NUMBERS / width.max(1),
            false => vocabulary,
        };
        let mut parts = vec![Vec::new(); features.len()];
        for ids in blocks(vocabulary, most) {
            let ids: Vec<u32> = ids.map(|id| id as u32).collect();
            let logits = self.logits(probe, features, &ids);
            for (parts, logits) in parts.iter_mut().zip(logits) {
                parts.push(logits);
            }
        }
        let each = parts.into_iter();
        each.map(|parts| Tensor::cat(parts, 1)).collect()
    }

    /// The logits of these ids, or of all, from the head's table where it stands and what is added to it.
    fn standing_logits(
        &self,
        features: &[Tensor<D::Backend, 2>],
        ids: Option<&[u32]>,
        added: &LowRank<D::Backend>,
    ) -> Vec<Tensor<D::Backend, 2>> {
        let table = self.model.head_table();
        let rows = match ids {
            Some(ids) => standing_rows(table, ids),
            None => table.weight.val(),
        };
        let points = features.iter().zip(added.logits(features));
        let logits = points.map(|(x, added)| {
            D::Backend::packed_add(D::Backend::packed_logits(x.clone(), rows.clone()), added)
        });
        logits.collect()
    }

    /// The logits of these ids at the points of a probe.
    fn logits<P: Probe<D::Backend>>(
        &self,
        probe: &P,
        features: &[Tensor<D::Backend, 2>],
        ids: &[u32],
    ) -> Vec<Tensor<D::Backend, 2>> {
        let rows = probe.rows(&self.model.head_table().weight, ids);
        let points = features.iter().cloned().zip(rows);
        points
            .map(|(x, rows)| D::Backend::packed_logits(x, rows))
            .collect()
    }
}

/// Whether one of the probes moves this part of the model.
fn moves<B: ModelBackend, P: Probe<B>, M: Module<B>>(probes: &[P], part: &M) -> bool {
    probes.iter().any(|probe| probe.moves(part))
}

/// Rows of a table at the points of a probe, `[ids, width]`, in the type of what flows between the layers. A row that is looked up several times is moved once.
fn looked_up<B: ModelBackend, P: Probe<B>>(
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
    let points = match added(std::slice::from_ref(probe), table, Some(&rows)) {
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
fn added<B: ModelBackend, P: Probe<B>>(
    probes: &[P],
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
