//! Several plans, each at probes of its own.

use burn::module::{ModuleVisitor, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::tables::{Head, added};
use super::{Probed, TOKENS, Tokens, adds_to_products, log_probs_at_each};
use crate::backend::ModelBackend;
use crate::decoder::Decoder;
use crate::error::ModelError;
use crate::forward::check;
use crate::interrupt::go_on;
use crate::joined::joined_in_blocks;
use crate::low_rank::Blocks;
use crate::plan::Plan;
use crate::probe::Probe;
use crate::still::Still;

/// A plan, and where it is to be scored.
type Part<'p, P> = (&'p Plan, &'p [P]);

/// See [`LanguageModel::log_probs_at_own`](crate::LanguageModel::log_probs_at_own). Probes of low rank that move no vector of
/// a layer go through the layers in one batch, every point with its own tokens; others one plan after the other.
///
/// # Errors
/// As [`log_probs_at_each`].
pub(crate) fn log_probs_at_own<D: Decoder, P: Probe<D::Backend>>(
    model: &D,
    parts: &[Part<'_, P>],
) -> Result<Vec<Vec<f32>>, ModelError> {
    let mut scores = Vec::new();
    for parts in together(parts) {
        match in_one_batch(model, parts)? {
            Some(found) => {
                let found = found.into_iter().map(Tensor::into_data);
                scores.extend(found.map(|found| found.iter::<f32>().collect()));
            }
            None => {
                for (plan, probes) in parts {
                    scores.extend(log_probs_at_each(model, plan, probes, &mut Still::new())?);
                }
            }
        }
    }
    Ok(scores)
}

/// How many points there are.
fn points<B: Backend, P: Probe<B>>(probes: &[P]) -> usize {
    probes.iter().map(Probe::points).sum()
}

/// Cuts the parts into runs of at most [`TOKENS`] tokens.
fn together<'a, 'p, B: Backend, P: Probe<B>>(parts: &'a [Part<'p, P>]) -> Vec<&'a [Part<'p, P>]> {
    let mut runs = Vec::new();
    let (mut start, mut tokens) = (0, 0);
    for (index, (plan, probes)) in parts.iter().enumerate() {
        let own = points(probes) * plan.stats().tokens;
        if index > start && tokens + own > TOKENS {
            runs.push(&parts[start..index]);
            (start, tokens) = (index, 0);
        }
        tokens += own;
    }
    runs.push(&parts[start..]);
    runs
}

/// The scores of the parts, if all tokens at all points can go through the layers together.
fn in_one_batch<D: Decoder, P: Probe<D::Backend>>(
    model: &D,
    parts: &[Part<'_, P>],
) -> Result<Option<Vec<Tensor<D::Backend, 1>>>, ModelError> {
    for (plan, _) in parts {
        check(model, plan)?;
    }
    let all: Vec<&P> = parts.iter().flat_map(|(_, probes)| *probes).collect();
    let copies = parts
        .iter()
        .flat_map(|(plan, probes)| std::iter::repeat_n(*plan, points(probes)));
    let copies: Vec<&Plan> = copies.collect();
    let Some((first, others)) = copies.split_first() else {
        return Ok(Some(Vec::new()));
    };
    if !adds_to_products(model) || move_vectors(model, &all) {
        return Ok(None);
    }
    let mut joint = (*first).clone();
    others.iter().for_each(|plan| joint.append(plan));
    let tokens = Tokens::new(model, &joint);
    let blocks = Blocks {
        all: copies.iter().map(|plan| plan.stats().tokens).collect(),
        read: copies.iter().map(|plan| plan.logit_tokens.len()).collect(),
    };
    let entering = parts.iter().flat_map(|(plan, probes)| {
        let probed = Probed { model, plan };
        probes.iter().flat_map(move |probe| probed.embedded(probe))
    });
    let mut x = Tensor::cat(entering.collect(), 0);
    for (index, layer) in model.layers().iter().enumerate() {
        go_on()?;
        if !all.iter().any(|probe| probe.moves(layer)) {
            x = tokens.through(model, (index, layer), x);
            continue;
        }
        let Some(joined) = joined_in_blocks(layer, &all, &blocks) else {
            return Ok(None);
        };
        x = tokens.through(model, (index, &joined), x);
    }
    let table = model.head_table();
    let mut scores = Vec::with_capacity(copies.len());
    let mut start = 0;
    for (plan, probes) in parts {
        let probed = Probed { model, plan };
        let rows = plan.logit_tokens.len();
        for probe in *probes {
            go_on()?;
            let own = (0..probe.points()).map(|point| {
                let first = start + point * rows;
                x.clone().narrow(0, first, rows)
            });
            let own = own.collect();
            start += probe.points() * rows;
            let head = Head {
                probe,
                table,
                added: added(&[probe], table, probed.head_rows().as_deref()),
            };
            scores.extend(probed.scores_of(&head, probed.before_head(probe, own)));
        }
    }
    Ok(Some(scores))
}

/// Whether a parameter of one dimension moves in a layer.
fn move_vectors<D: Decoder, P: Probe<D::Backend>>(model: &D, probes: &[&P]) -> bool {
    let mut vectors = Vectors {
        probes,
        move_: false,
    };
    let layers = model.layers().iter();
    layers.for_each(|layer| burn::module::Module::visit(layer, &mut vectors));
    vectors.move_
}

struct Vectors<'p, P> {
    probes: &'p [&'p P],
    move_: bool,
}

impl<B: ModelBackend, P: Probe<B>> ModuleVisitor<B> for Vectors<'_, P> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        self.move_ |= D == 1 && self.probes.iter().any(|probe| probe.moves(param));
    }
}
