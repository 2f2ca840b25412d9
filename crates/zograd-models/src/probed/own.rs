//! Several plans, each at probes of its own.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::tables::{Head, added};
use super::{Probed, TOKENS, Tokens, adds_to_products, log_probs_at_each};
use crate::decoder::{Decoder, device};
use crate::error::ModelError;
use crate::forward::check;
use crate::interrupt::go_on;
use crate::joined::joined_in_blocks;
use crate::plan::Plan;
use crate::probe::Probe;
use crate::run::rows;
use crate::still::Still;

/// A plan, and where it is to be scored.
type Part<'p, P> = (&'p Plan, &'p [P]);

/// See [`LanguageModel::log_probs_at_own`](crate::LanguageModel::log_probs_at_own). Probes of low rank go through the layers
/// in one batch, every point with its own tokens; others one plan after the other.
///
/// # Errors
/// As [`log_probs_at_each`].
pub(crate) fn log_probs_at_own<D: Decoder, P: Probe<D::Backend>>(
    model: &D,
    parts: &[Part<'_, P>],
) -> Result<Vec<Vec<f32>>, ModelError> {
    // a plan with many probes is cut like any other; one with none is checked all the same
    let cut = parts.iter().flat_map(|(plan, probes)| {
        let runs = super::together(probes, plan.stats().tokens).into_iter();
        runs.map(move |run| (*plan, run))
    });
    let cut: Vec<Part<'_, P>> = cut.collect();
    let mut scores = Vec::new();
    let (mut last, mut still): (Option<&Plan>, _) = (None, Still::new());
    for parts in together(&cut) {
        match in_one_batch(model, parts)? {
            Some(found) => {
                let found = found.into_iter().map(Tensor::into_data);
                scores.extend(found.map(|found| found.iter::<f32>().collect()));
            }
            None => {
                for (plan, probes) in parts {
                    // what stands still is run once for all probes of a plan
                    if !last.is_some_and(|last| std::ptr::eq(last, *plan)) {
                        (last, still) = (Some(*plan), Still::new());
                    }
                    scores.extend(log_probs_at_each(model, plan, probes, &mut still)?);
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
    let moves = |layer: &D::Layer| all.iter().any(|probe| probe.moves(layer));
    // layers that stand still are better run once for all probes of a plan
    if !adds_to_products(model) || !model.layers().iter().any(moves) {
        return Ok(None);
    }
    let mut joint = (*first).clone();
    others.iter().for_each(|plan| joint.append(plan));
    // the vectors of the last layer are those of all its tokens
    let tokens = Tokens {
        read: None,
        ..Tokens::new(model, &joint)
    };
    let blocks = copies.iter().map(|plan| plan.stats().tokens);
    let blocks: Vec<usize> = blocks.collect();
    let entering = parts.iter().flat_map(|(plan, probes)| {
        let probed = Probed { model, plan };
        probes.iter().flat_map(move |probe| probed.embedded(probe))
    });
    let mut x = Tensor::cat(entering.collect(), 0);
    for (index, layer) in model.layers().iter().enumerate() {
        go_on()?;
        if !moves(layer) {
            x = tokens.through(model, (index, layer), x);
            continue;
        }
        let Some(joined) = joined_in_blocks(layer, &all, &blocks) else {
            return Ok(None);
        };
        x = tokens.through(model, (index, &joined), x);
    }
    x = x.select(0, rows::<D::Backend>(joint.logit_tokens(), &device(model)));
    let table = model.head_table();
    let mut scores = Vec::with_capacity(copies.len());
    let mut start = 0;
    for (plan, probes) in parts {
        let probed = Probed { model, plan };
        let read = plan.logit_tokens.len();
        for probe in *probes {
            go_on()?;
            let own = (0..probe.points()).map(|point| {
                let first = start + point * read;
                x.clone().narrow(0, first, read)
            });
            let own = own.collect();
            start += probe.points() * read;
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
