//! Continuing prompts token by token.

mod beam;
mod cache;
mod choose;
mod settings;

use burn::tensor::Tensor;
use serde::Serialize;

use crate::backend::ModelBackend;
use crate::error::ModelError;
use crate::opt::Opt;
use crate::packing::Packing;
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
    /// Its place among the prompts.
    prompt: usize,
    ids: Vec<u32>,
    /// How many tokens it may have.
    limit: usize,
}

impl<B: ModelBackend> Opt<B> {
    /// Continues every prompt. Keys and values of earlier tokens are kept, so that a new token runs
    /// alone; the prompts, which may differ in length, are run without padding.
    ///
    /// ```
    /// use burn_ndarray::NdArray;
    /// use zograd_models::{Generation, Opt, OptConfig};
    ///
    /// let config = OptConfig::from_json(r#"{
    ///     "vocab_size": 32, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
    ///     "ffn_dim": 16, "max_position_embeddings": 64}"#)?;
    /// let model = Opt::<NdArray>::init(&config, &Default::default());
    /// let written = model.generate(&[&[2, 10, 11], &[2, 7]], &Generation::greedy(5))?;
    /// assert_eq!([written[0].ids.len(), written[1].ids.len()], [5, 5]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A setting out of its range, no prompts, an empty prompt, a token id outside the vocabulary, or
    /// a prompt longer than the position table.
    pub fn generate(
        &self,
        prompts: &[&[u32]],
        generation: &Generation,
    ) -> Result<Vec<Continuation>, ModelError> {
        self.generate_with(prompts, generation, |_, _| ())
    }

    /// [`Opt::generate`], telling `on_token` the place of the prompt and the token as soon as one is
    /// chosen; with beams, whose tokens are known at the end only, then.
    ///
    /// # Errors
    /// As [`Opt::generate`].
    pub fn generate_with(
        &self,
        prompts: &[&[u32]],
        generation: &Generation,
        mut on_token: impl FnMut(usize, u32),
    ) -> Result<Vec<Continuation>, ModelError> {
        generation.check()?;
        self.check_packing(&Packing::whole(prompts))?;
        if let Decoding::Beams(beams) = generation.decoding {
            return Ok(beam::search_all(self, prompts, generation, beams, on_token));
        }
        let mut done: Vec<Option<Continuation>> = vec![None; prompts.len()];
        // neighbours of similar length make full rectangles
        let mut order: Vec<usize> = (0..prompts.len()).collect();
        order.sort_by_key(|prompt| std::cmp::Reverse(prompts[*prompt].len()));
        let sorted: Vec<&[u32]> = order.iter().map(|prompt| prompts[*prompt]).collect();
        let rooms = sorted
            .iter()
            .map(|prompt| self.room(prompt.len(), generation));
        let (mut cache, mut hidden) = Cache::prefill(self, &sorted, rooms.max().unwrap_or(0));
        let mut growing: Vec<Growing> = order
            .into_iter()
            .map(|prompt| Growing {
                prompt,
                ids: Vec::new(),
                limit: self.room(prompts[prompt].len(), generation),
            })
            .collect();
        loop {
            let logits = self.host_logits(hidden);
            let mut kept = Vec::new();
            for (row, (mut this, logits)) in growing.drain(..).zip(&logits).enumerate() {
                let finish = this.advance(logits, generation, &mut on_token);
                match finish {
                    Some(finish) => {
                        done[this.prompt] = Some(Continuation {
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
            hidden = cache.extend(self, &last);
        }
        Ok(done.into_iter().flatten().collect())
    }

    /// How many tokens may follow a prompt: the last of them is never run, so it needs no position.
    fn room(&self, prompt: usize, generation: &Generation) -> usize {
        let positions = self.config().max_position_embeddings + 1;
        generation
            .max_new_tokens
            .min(positions.saturating_sub(prompt))
    }

    /// The logits of each row, on the host.
    fn host_logits(&self, hidden: Tensor<B, 2>) -> Vec<Vec<f32>> {
        let logits: Vec<f32> = self.head(hidden).into_data().iter::<f32>().collect();
        let rows = logits.chunks(self.config().vocab_size);
        rows.map(<[f32]>::to_vec).collect()
    }
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
                let stream = sampling.seed.child(self.prompt as u64);
                let random = stream.child(self.ids.len() as u64);
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
