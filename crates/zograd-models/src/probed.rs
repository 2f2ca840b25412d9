//! What a model says where its weights are not.
//!
//! The layers run one after the other, each for all probes in turn: a layer is made as it is at a probe, the tokens go
//! through it, and it is dropped. So the weights stand still, and what exists besides the model is one layer (two for a
//! probe and its opposite) and the tokens of all probes between two layers. Everything that a probe does not move is run once for all.
//!
//! Probes of low rank make no layer: what they add to a matrix is added to its product ([`Probe::added`]), and the tokens of
//! all of them go through a layer as one batch ([`joined`]).

mod own;
mod tables;

use std::collections::HashMap;

use burn::module::Module;
use burn::tensor::Tensor;

use crate::backend::ModelBackend;
use crate::decoder::{Decoder, Read, device};
use crate::error::ModelError;
use crate::forward::check;
use crate::interrupt::go_on;
use crate::joined::joined;
use crate::plan::Plan;
use crate::probe::Probe;
use crate::run::{Layouts, attend, embedded, rows};
use crate::scores::{Chunks, LOGIT_ROWS, ids_of, unnormalised};
use crate::still::{Kept, Still};
pub(crate) use own::log_probs_at_own;
use tables::{Head, added, looked_up};

/// Tokens between two layers at most, those of all probes together, unless those of one probe are more.
const TOKENS: usize = 4096;

/// See [`LanguageModel::log_probs_at_each`](crate::LanguageModel::log_probs_at_each). Where a backend computes a row of a
/// matrix product the same way however many rows there are, these are the bits of a model that was moved there, but for
/// probes of low rank: what they add is rounded by itself. What no
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
    let probed = Probed { model, plan };
    let tokens = Tokens::new(model, plan);
    if !probed.serves(probes, still) {
        still.kept = probed.run_still(probes, &tokens)?;
    }
    let mut scores = Vec::with_capacity(probes.len());
    for probes in together(probes, plan.stats().tokens) {
        for found in probed.scores(probes, &tokens, still.kept.as_ref())? {
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
}

/// What layers need to know of the tokens of a plan.
struct Tokens<D: Decoder> {
    layouts: Layouts<D::Backend>,
    places: D::Places,
    /// Those that are read after the last layer; `None` if it gives all.
    read: Option<Read<D::Backend>>,
}

impl<D: Decoder> Tokens<D> {
    fn new(model: &D, plan: &Plan) -> Self {
        let device = device(model);
        Self {
            layouts: Layouts::new(model, &plan.packing),
            places: model.places(plan.positions(), &device),
            read: Some(rows::<D::Backend>(plan.logit_tokens(), &device)),
        }
    }

    /// Sends them through a layer, as it is or moved, which is that of the model with this number.
    fn through(
        &self,
        model: &D,
        (index, layer): (usize, &D::Layer),
        x: Tensor<D::Backend, 2>,
    ) -> Tensor<D::Backend, 2> {
        let is_last = index + 1 == model.layers().len();
        let read = self.read.as_ref().filter(|_| is_last);
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
        tokens: &Tokens<D>,
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
            hidden = tokens.through(self.model, (layers, layer), hidden);
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
        tokens: &Tokens<D>,
        still: Option<&Kept<D::Backend>>,
    ) -> Result<Vec<Tensor<D::Backend, 1>>, ModelError> {
        let mut hidden: Vec<Vec<Tensor<D::Backend, 2>>> = probes
            .iter()
            .map(|probe| match still {
                Some(kept) => vec![kept.hidden.clone(); probe.points()],
                None => self.embedded(probe),
            })
            .collect();
        let mut blocks = HashMap::new();
        let layers = self.model.layers().iter().enumerate();
        for (index, layer) in layers.skip(still.map_or(0, |kept| kept.layers)) {
            // what does not move is run as it is alone, to the bit
            let (mut moving, idle): (Vec<_>, Vec<_>) = probes
                .iter()
                .zip(&mut hidden)
                .partition(|(probe, _)| probe.moves(layer));
            if let Some(joined) = self.joined(layer, &moving) {
                go_on()?;
                let points = moving.iter().map(|(_, xs)| xs.len()).sum();
                let joint = blocks
                    .entry(points)
                    .or_insert_with(|| Tokens::new(self.model, &self.plan.repeated(points)));
                let xs = moving.iter_mut().flat_map(|(_, xs)| std::mem::take(*xs));
                let x = Tensor::cat(xs.collect(), 0);
                let x = joint.through(self.model, (index, &joined), x);
                let rows = x.dims()[0] / points;
                let mut each = (0..points).map(|point| x.clone().narrow(0, point * rows, rows));
                for (probe, xs) in std::mem::take(&mut moving) {
                    *xs = each.by_ref().take(probe.points()).collect();
                }
            }
            for (probe, xs) in moving.into_iter().chain(idle) {
                go_on()?;
                let moved = probe.moved(layer).into_iter().zip(std::mem::take(xs));
                let through = |(layer, x)| tokens.through(self.model, (index, &layer), x);
                *xs = moved.map(through).collect();
            }
        }
        let table = self.model.head_table();
        let all: Vec<&P> = probes.iter().collect();
        let all = added(&all, table, self.head_rows().as_deref());
        let mut first = 0;
        let each = probes.iter().zip(hidden).map(|(probe, xs)| {
            let points = first..first + probe.points();
            first = points.end;
            let head = Head {
                probe,
                table,
                added: all.as_ref().map(|all| all.at(points)),
            };
            self.scores_of(&head, self.before_head(probe, xs))
        });
        Ok(each.flatten().collect())
    }

    /// The layer at all points of these probes, for their tokens in one batch, if that can be.
    fn joined<P: Probe<D::Backend>, X>(
        &self,
        layer: &D::Layer,
        moving: &[(&P, X)],
    ) -> Option<D::Layer> {
        let can = adds_to_products(self.model);
        let probes: Vec<&P> = moving.iter().map(|(probe, _)| *probe).collect();
        can.then(|| joined(layer, &probes)).flatten()
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

    /// The scores at the points of a probe, given what the head is given there.
    fn scores_of<P: Probe<D::Backend>>(
        &self,
        head: &Head<'_, D::Backend, P>,
        features: Vec<Tensor<D::Backend, 2>>,
    ) -> Vec<Tensor<D::Backend, 1>> {
        let targets = &self.plan.targets;
        if let Some(ids) = self.head_rows() {
            let logits = head.logits(&features, Some(&ids)).into_iter();
            return logits
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
            let logits = head.logits(&features, None);
            for (scores, logits) in scores.iter_mut().zip(logits) {
                scores.push(D::Backend::log_probs_at(logits, pairs));
            }
        }
        let each = scores.into_iter();
        each.map(|scores| chunks.in_order(scores)).collect()
    }
}

/// Whether what probes add to the matrices of a layer can be added to their products.
fn adds_to_products<D: Decoder>(model: &D) -> bool {
    D::RUNS_BLOCKS && model.adapter().is_none()
}

/// Whether one of the probes moves this part of the model.
fn moves<B: ModelBackend, P: Probe<B>, M: Module<B>>(probes: &[P], part: &M) -> bool {
    probes.iter().any(|probe| probe.moves(part))
}
