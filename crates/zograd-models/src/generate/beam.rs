//! Beam search, one prompt at a time; the beams are the rows of a batch.

use crate::error::ModelError;
use std::cmp::Ordering;

use super::{Continuation, Finish, Generation, host_logits, room};
use crate::decoder::Decoder;
use crate::generate::cache::Cache;

/// A continuation and the sum of the log-probabilities of its tokens.
#[derive(Clone)]
struct Beam {
    ids: Vec<u32>,
    sum: f64,
}

impl Beam {
    /// Mean log-probability: what continuations of different lengths are compared by.
    fn mean(&self) -> f64 {
        self.sum / self.ids.len().max(1) as f64
    }
}

/// One more token for one of the beams.
struct Candidate {
    beam: usize,
    id: u32,
    sum: f64,
}

/// Continues each prompt with `beams` beams. The prompts must have been checked.
///
/// # Errors
/// [`ModelError::Interrupted`].
pub(super) fn search_all<D: Decoder>(
    model: &D,
    prompts: &[&[u32]],
    generation: &Generation,
    beams: usize,
    mut on_token: impl FnMut(usize, u32),
) -> Result<Vec<Continuation>, ModelError> {
    let search_one = |(place, prompt): (usize, &&[u32])| {
        let best = search(model, prompt, generation, beams)?;
        best.ids.iter().for_each(|id| on_token(place, *id));
        Ok(best)
    };
    prompts.iter().enumerate().map(search_one).collect()
}

fn search<D: Decoder>(
    model: &D,
    prompt: &[u32],
    generation: &Generation,
    beams: usize,
) -> Result<Continuation, ModelError> {
    let limit = room(model, prompt.len(), generation);
    let (mut cache, mut hidden) = Cache::prefill(&[model], &[prompt], limit)?;
    let mut running = vec![Beam {
        ids: Vec::new(),
        sum: 0.0,
    }];
    let mut stopped: Vec<Beam> = Vec::new();
    for length in 1..=limit {
        let logits = host_logits(model, hidden);
        let candidates = candidates(&running, &logits, beams * (1 + generation.stop.len()));
        let Some(candidates) = candidates else {
            let ids = running.swap_remove(0).ids;
            return Ok(Continuation {
                ids,
                finish: Finish::NonFinite,
            });
        };
        let mut kept = Vec::with_capacity(beams);
        let mut next = Vec::with_capacity(beams);
        for (rank, candidate) in candidates.into_iter().enumerate() {
            let mut ids = running[candidate.beam].ids.clone();
            ids.push(candidate.id);
            let beam = Beam {
                ids,
                sum: candidate.sum,
            };
            if generation.stop.contains(&candidate.id) {
                // one that would not have been kept is no result either
                if rank < beams {
                    stopped.push(beam);
                }
            } else {
                kept.push(candidate.beam);
                next.push(beam);
            }
            if next.len() == beams {
                break;
            }
        }
        stopped.sort_by(|a, b| b.mean().total_cmp(&a.mean()));
        stopped.truncate(beams);
        running = next;
        let settled = stopped.len() == beams
            && running.first().is_none_or(|best| {
                let worst = stopped.last().map_or(f64::NEG_INFINITY, Beam::mean);
                best.mean() <= worst
            });
        if settled || running.is_empty() || length == limit {
            break;
        }
        cache.select(&kept);
        let last: Vec<u32> = running
            .iter()
            .filter_map(|b| b.ids.last().copied())
            .collect();
        hidden = cache.extend(model, &last)?;
    }
    let unfinished = match limit {
        n if n == generation.max_new_tokens => Finish::Length,
        _ => Finish::Positions,
    };
    let stopped = stopped.into_iter().map(|beam| (beam, Finish::Stop));
    let running = running.into_iter().map(|beam| (beam, unfinished));
    // of equal ones the first, and one that stopped before one that did not
    let best = stopped.chain(running).reduce(|best, other| {
        match other.0.mean().total_cmp(&best.0.mean()) {
            Ordering::Greater => other,
            _ => best,
        }
    });
    let (ids, finish) = best.map_or((Vec::new(), unfinished), |(beam, finish)| {
        (beam.ids, finish)
    });
    Ok(Continuation { ids, finish })
}

/// The `count` most probable ways to go on, best first; `None` if a logit is not finite.
fn candidates(running: &[Beam], logits: &[Vec<f32>], count: usize) -> Option<Vec<Candidate>> {
    let mut all = Vec::new();
    for (beam, (so_far, logits)) in running.iter().zip(logits).enumerate() {
        if logits.iter().any(|logit| !logit.is_finite()) {
            return None;
        }
        let wide = || logits.iter().map(|logit| f64::from(*logit));
        let max = wide().fold(f64::NEG_INFINITY, f64::max);
        let total = max + wide().map(|x| (x - max).exp()).sum::<f64>().ln();
        all.extend(wide().zip(0..).map(|(logit, id)| Candidate {
            beam,
            id,
            sum: so_far.sum + (logit - total),
        }));
    }
    let better = |a: &Candidate, b: &Candidate| {
        let places = (a.beam, a.id).cmp(&(b.beam, b.id));
        b.sum.total_cmp(&a.sum).then(places)
    };
    if count < all.len() {
        all.select_nth_unstable_by(count, better);
        all.truncate(count);
    }
    all.sort_by(better);
    Some(all)
}
