//! From rows to prompts.

use crate::error::{Blame, Result, RunError, refuse};
use crate::watch::Watch;
use crate::words::count;
use rayon::prelude::*;
use std::path::Path;
use zograd_models::ModelConfig;
use zograd_tasks::{
    Dataset, Demonstrations, EncodedCandidate, Form, Prompt, PromptEncoder, PromptError, Sample,
    Split, Task,
};

/// An encoder for the tokenizer in `folder`.
///
/// # Errors
/// A tokenizer that cannot be loaded.
pub fn encoder(folder: &Path, bos_id: Option<u32>, max_length: usize) -> Result<PromptEncoder> {
    let tokenizer = zograd_models::tokenizer::load(folder)
        .about("no usable tokenizer (give its folder with `tokenizer`)")?;
    let encoder = PromptEncoder::new(tokenizer)
        .about(format!("`tokenizer = {}`", folder.display()))?
        .with_max_length(max_length);
    Ok(match bos_id {
        Some(id) => encoder.with_bos(Some(id)),
        None => encoder,
    })
}

/// What to subtract from the scores of candidates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Calibration {
    /// Nothing.
    #[default]
    None,
    /// Their scores without the input.
    Sfc,
    /// Their scores without the input, after the demonstrations.
    IclSfc,
}

/// The prompts of `samples`, which are `rows`: after the demonstrations, if there are any.
///
/// # Errors
/// A sample that cannot be made into a prompt; of several the first, with its place.
pub fn prompts(
    encoder: &PromptEncoder,
    task: &dyn Task,
    rows: (&Dataset, Split),
    samples: &[Sample],
    demonstrations: &[Sample],
    calibration: Calibration,
) -> Result<Vec<Prompt>> {
    let shown = Demonstrations::new(task, demonstrations);
    let form = match demonstrations {
        [] => Form::Train,
        _ => Form::InContext(&shown),
    };
    let calibration = match calibration {
        Calibration::None => None,
        Calibration::Sfc => Some(Form::Calibration),
        Calibration::IclSfc => Some(Form::InContextCalibration(&shown)),
    };
    let prepare = |sample| encoder.prepare(task, sample, form, calibration);
    let prepared: Vec<_> = samples.par_iter().map(prepare).collect();
    // the first, whichever thread was the first to fail
    prepared
        .into_iter()
        .zip(samples)
        .map(|(prompt, sample)| prompt.map_err(|error| at_row(error, rows, sample.row)))
        .collect()
}

/// The error of a row, with its place before it.
pub fn at_row(error: PromptError, (data, split): (&Dataset, Split), row: usize) -> RunError {
    let is_of_row = error.is_of_a_row();
    let found = is_of_row.then(|| data.rows(split, &[row]).ok()).flatten();
    let error = RunError::of_input(error);
    match found.as_ref().and_then(|rows| rows.first()) {
        Some(row) => error.within(row.location()),
        None => error,
    }
}

/// The longest prompt: what was asked for, or all the model's positions.
///
/// # Errors
/// A length out of range.
pub fn max_length(asked: Option<usize>, config: &ModelConfig) -> Result<usize> {
    let limit = config.max_position_embeddings;
    match asked.unwrap_or(limit) {
        n if n < 2 || n > limit => {
            refuse!("`max-length = {n}`: the model has {limit} positions; use 2 to {limit}")
        }
        n => Ok(n),
    }
}

/// Refuses token ids the model has no row for.
///
/// # Errors
/// Such an id.
pub fn check_ids(prompts: &[Prompt], config: &ModelConfig) -> Result<()> {
    let sequences = prompts.iter().flat_map(sequences);
    let largest = sequences.flat_map(|c| &c.ids).max().copied().unwrap_or(0);
    if largest as usize >= config.vocab_size {
        refuse!(
            "the tokenizer gives token id {largest}, but the model's vocabulary has {} entries; use the \
             tokenizer the model was trained with (`tokenizer`, `bos-id`)",
            config.vocab_size
        );
    }
    Ok(())
}

/// Says so if two of the words that stand for classes begin with the same token: the model tells them apart by what comes
/// behind it alone.
pub fn note_first_tokens(task: &dyn Task, prompts: &[Prompt], watch: &mut dyn Watch) {
    let (Some(prompt), Some(names)) = (prompts.first(), task.option_names()) else {
        return;
    };
    let first = |c: &EncodedCandidate| c.ids.get(c.ids.len().saturating_sub(c.option_len)).copied();
    let firsts: Vec<_> = prompt.candidates.iter().map(first).collect();
    let twin = |(k, id): (usize, &Option<u32>)| {
        Some((firsts[..k].iter().position(|other| other == id)?, k))
    };
    let Some((a, b)) = firsts.iter().enumerate().find_map(twin) else {
        return;
    };
    let (a, b) = match (names.get(a), names.get(b)) {
        (Some(a), Some(b)) => (a, b),
        _ => return,
    };
    watch.note(&format!(
        "note: the words for {a:?} and {b:?} begin with the same token, so that the model has little to tell them apart by; \
         other words may do better: `verbalizer`, such as {a}=WORD,{b}=WORD",
    ));
}

/// Says so if options of a row are the same to the model.
pub fn note_same_options(prompts: &[Prompt], watch: &mut dyn Watch) {
    let are_same = |prompt: &&Prompt| {
        let all = &prompt.candidates;
        let is_twin = |(k, one): (usize, &EncodedCandidate)| {
            all[..k].iter().any(|other| other.ids == one.ids)
        };
        all.iter().enumerate().any(is_twin)
    };
    let same = prompts.iter().filter(are_same).count();
    if same > 0 {
        watch.note(&format!(
            "note: in {same} of {} two options are the same tokens to this tokenizer, so that nothing tells them apart",
            count(prompts.len(), "training row")
        ));
    }
}

/// Every token sequence of a prompt.
fn sequences(prompt: &Prompt) -> impl Iterator<Item = &EncodedCandidate> {
    let question = prompt.question.iter().map(|question| &question.prompt);
    let scored = prompt.candidates.iter().chain(&prompt.calibration);
    scored.chain(question)
}

/// How many prompts were cut to the maximum length.
pub fn truncated(prompts: &[Prompt]) -> usize {
    let is_cut = |p: &&Prompt| sequences(p).any(|c| c.truncated > 0);
    prompts.iter().filter(is_cut).count()
}

/// Says so if prompts, each with this many demonstrations, were cut, and if right answers are longer than those that the
/// model may write.
pub fn note_lengths(
    prompts: &[Prompt],
    shots: usize,
    max_new_tokens: Option<usize>,
    watch: &mut dyn Watch,
) {
    let is_longer = |prompt: &&Prompt| {
        let answer = prompt.candidates.first().map_or(0, |c| c.last_scored());
        // the token that ends it need not be written
        prompt.question.is_some() && max_new_tokens.is_some_and(|most| answer > most + 1)
    };
    let longer = prompts.iter().filter(is_longer).count();
    if let Some(most) = max_new_tokens.filter(|_| longer > 0) {
        watch.note(&format!(
            "note: {longer} of {} right answers are longer than the {most} tokens that the model may write \
             (`max-new-tokens`)",
            prompts.len()
        ));
    }
    let (cut, all) = (truncated(prompts), prompts.len());
    if cut > 0 {
        watch.note(&format!(
            "note: {cut} of {all} prompts are too long and were cut from the left{} (`max-length`)",
            match shots {
                0 => "",
                _ => ", so that demonstrations are missing",
            }
        ));
    }
}
