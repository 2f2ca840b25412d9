//! How many models write side by side.

use super::{Decoding, Generation, room};
use crate::decoder::Decoder;
use crate::scores::LOGIT_ROWS;

/// Numbers of keys and values that no machine misses (256 MiB in f32), however small the model is.
const SMALL_CACHES: usize = 1 << 26;

/// How many models write answers to these prompts side by side. As in scoring, no more than there is room for: the tokens of
/// a pass are read at no more places than exist at a time there, and the caches of all have no more numbers than an eighth of the model,
/// or than the one of a model that writes alone. Beams are searched for by one model after the other.
pub(super) fn written_together<D: Decoder>(
    model: &D,
    prompts: &[&[u32]],
    generation: &Generation,
) -> usize {
    if matches!(generation.decoding, Decoding::Beams(_)) {
        return 1;
    }
    let numbers = |layer| {
        let heads = model.heads(layer);
        2 * heads.key_value * heads.width
    };
    let numbers: usize = (0..model.layers().len()).map(numbers).sum();
    // of a slot: every one has room for the longest prompt and answer
    let longest = prompts.iter().map(|prompt| prompt.len()).max();
    let answers = prompts.iter();
    let answers = answers.map(|prompt| room(model, prompt.len(), generation));
    let tokens = longest.unwrap_or(0) + answers.max().unwrap_or(0);
    let cache = (numbers * tokens * prompts.len()).max(1);
    let caches = (model.num_params() / 8).max(SMALL_CACHES) / cache;
    caches.min(LOGIT_ROWS / prompts.len().max(1)).max(1)
}
