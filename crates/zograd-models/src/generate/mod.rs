//! Continuing prompts token by token.

mod beam;
mod cache;
mod choose;
mod settings;
mod together;

use burn::tensor::Tensor;
use serde::Serialize;

use crate::adapter::stack::{Stack, check_alike};
use crate::decoder::Decoder;
use crate::error::ModelError;
use crate::forward::check_packing;
use crate::packing::Packing;
use crate::run::head;
use cache::Cache;
pub use settings::{Decoding, Generation, Sampling};

/// Why a continuation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Finish {
    /// Its last token is one of [`Generation::stop`].
    Stop,
    /// It has [`Generation::max_new_tokens`].
    Length,
    /// The model has no position for another token.
    Positions,
    /// The logits after its last token are not finite, so that no token could be chosen.
    NonFinite,
}

/// What a model wrote after a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Continuation {
    /// The new token ids; a stop token is the last of them.
    pub ids: Vec<u32>,
    /// Why generation stopped.
    pub finish: Finish,
}

/// A continuation that is being written.
struct Growing {
    /// The place among the models of that which writes it.
    model: usize,
    /// Its place among the prompts.
    prompt: usize,
    ids: Vec<u32>,
    /// How many tokens it may have.
    limit: usize,
}

/// See [`Model::generate_with`](crate::Model::generate_with).
pub(crate) fn generate_with<D: Decoder>(
    model: &D,
    prompts: &[&[u32]],
    generation: &Generation,
    mut on_token: impl FnMut(usize, u32),
) -> Result<Vec<Continuation>, ModelError> {
    generation.check()?;
    check_packing(model, &Packing::whole(prompts))?;
    if let Decoding::Beams(beams) = generation.decoding {
        return beam::search_all(model, prompts, generation, beams, on_token);
    }
    write(&[model], prompts, generation, &mut on_token)
}

/// [`generate_with`] by each of several models that differ in the numbers of their adapters alone: the prompts go through the
/// layers model by model, and after them the new tokens of several models side by side.
///
/// # Panics
/// The adapters are of different kinds or shapes.
pub(crate) fn generate_by_each<D: Decoder>(
    models: &[&D],
    prompts: &[&[u32]],
    generation: &Generation,
) -> Result<Vec<Vec<Continuation>>, ModelError> {
    check_alike(models);
    let Some(first) = models.first().copied() else {
        return Ok(Vec::new());
    };
    generation.check()?;
    check_packing(first, &Packing::whole(prompts))?;
    let at_once = together::written_together(first, prompts, generation);
    let mut written = Vec::with_capacity(models.len());
    for models in models.chunks(at_once) {
        match models {
            [model] => written.push(generate_with(*model, prompts, generation, |_, _| ())?),
            models => {
                let all = write(models, prompts, generation, &mut |_, _| ())?;
                written.extend(all.chunks(prompts.len()).map(<[Continuation]>::to_vec));
            }
        }
    }
    Ok(written)
}

/// What each of the models writes, one token of all after the other. All was checked, and no beams are wanted.
fn write<D: Decoder>(
    models: &[&D],
    prompts: &[&[u32]],
    generation: &Generation,
    on_token: &mut impl FnMut(usize, u32),
) -> Result<Vec<Continuation>, ModelError> {
    let mut stack = (models.len() > 1).then(|| Stack::of(models));
    let model = models[0];
    let mut done: Vec<Option<Continuation>> = vec![None; models.len() * prompts.len()];
    // neighbours of similar length make full rectangles
    let mut order: Vec<usize> = (0..prompts.len()).collect();
    order.sort_by_key(|prompt| std::cmp::Reverse(prompts[*prompt].len()));
    let sorted: Vec<&[u32]> = order.iter().map(|prompt| prompts[*prompt]).collect();
    let rooms = sorted
        .iter()
        .map(|prompt| room(model, prompt.len(), generation));
    let (mut cache, mut hidden) = Cache::prefill(models, &sorted, rooms.max().unwrap_or(0))?;
    let each = (0..models.len()).flat_map(|model| order.iter().map(move |prompt| (model, *prompt)));
    let mut growing: Vec<Growing> = each
        .map(|(place, prompt)| Growing {
            model: place,
            prompt,
            ids: Vec::new(),
            limit: room(model, prompts[prompt].len(), generation),
        })
        .collect();
    loop {
        let logits = host_logits(model, hidden);
        let mut kept = Vec::new();
        for (row, (mut this, logits)) in growing.drain(..).zip(&logits).enumerate() {
            let finish = this.advance(logits, generation, on_token);
            match finish {
                Some(finish) => {
                    done[this.model * prompts.len() + this.prompt] = Some(Continuation {
                        ids: this.ids,
                        finish,
                    });
                }
                None => kept.push((row, this)),
            }
        }
        if kept.is_empty() {
            break;
        }
        let (rows, still): (Vec<usize>, Vec<Growing>) = kept.into_iter().unzip();
        growing = still;
        cache.select(&rows);
        let last: Vec<u32> = growing
            .iter()
            .filter_map(|g| g.ids.last().copied())
            .collect();
        let model = match &mut stack {
            None => model,
            Some(stack) => {
                let mut sizes = vec![0; models.len()];
                growing.iter().for_each(|g| sizes[g.model] += 1);
                stack.set_sizes(&sizes);
                stack.base()
            }
        };
        hidden = cache.extend(model, &last)?;
    }
    Ok(done.into_iter().flatten().collect())
}

/// How many tokens may follow a prompt: the last of them is never run, so it needs no position.
fn room<D: Decoder>(model: &D, prompt: usize, generation: &Generation) -> usize {
    let positions = model.shape().positions + 1;
    generation
        .max_new_tokens
        .min(positions.saturating_sub(prompt))
}

/// The logits of each row, on the host.
fn host_logits<D: Decoder>(model: &D, hidden: Tensor<D::Backend, 2>) -> Vec<Vec<f32>> {
    let logits = head(model, hidden).into_data();
    let logits: Vec<f32> = logits.iter::<f32>().collect();
    let rows = logits.chunks(model.shape().vocab_size);
    rows.map(<[f32]>::to_vec).collect()
}

impl Growing {
    /// Chooses the next token, unless there is no room for it; tells whether this was the end.
    fn advance(
        &mut self,
        logits: &[f32],
        generation: &Generation,
        on_token: &mut impl FnMut(usize, u32),
    ) -> Option<Finish> {
        let full = |length| match length {
            n if n >= generation.max_new_tokens => Some(Finish::Length),
            n if n >= self.limit => Some(Finish::Positions),
            _ => None,
        };
        if let Some(finish) = full(self.ids.len()) {
            return Some(finish);
        }
        if logits.iter().any(|logit| !logit.is_finite()) {
            return Some(Finish::NonFinite);
        }
        let chosen = match &generation.decoding {
            Decoding::Greedy | Decoding::Beams(_) => choose::largest(logits),
            Decoding::Sampling(sampling) => {
                let random = sampling.stream(self.prompt).child(self.ids.len() as u64);
                choose::sample(logits, sampling, choose::unit(random))
            }
        };
        let ended = full(self.ids.len() + 1);
        self.ids.push(chosen);
        on_token(self.prompt, chosen);
        if generation.stop.contains(&chosen) {
            return Some(Finish::Stop);
        }
        ended
    }
}
