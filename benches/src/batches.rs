//! The inputs: dense random sequences, or real batches of token ids from a file.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::path::Path;
use zograd_models::{Plan, Sequence, Sharing};
use zograd_perturb::Seed;
use zograd_tasks::{EncodedCandidate, Prompt};
use zograd_trainer::{Classification, Objective, TeacherForcing};

/// Batches, and the loss that is computed on them.
pub struct Batches {
    /// At least one, of at least one prompt each.
    pub batches: Vec<Vec<Prompt>>,
    /// Classification over the candidates, or teacher forcing on the only one.
    pub objective: &'static dyn Objective,
}

#[derive(Deserialize)]
struct Example {
    options: Vec<Vec<u32>>,
    option_len: Vec<usize>,
    label: usize,
}

impl Batches {
    /// One batch of `rows` random sequences of `length` tokens below `vocabulary`, whose last one to three
    /// tokens are scored: nothing to gain by leaving out padding or by sharing prompts.
    pub fn dense(rows: usize, length: usize, vocabulary: usize) -> Self {
        let token = |i: usize| {
            let random = Seed::new(1).child(i as u64).value();
            4 + (random % (vocabulary as u64 - 4)) as u32
        };
        let batch = (0..rows).map(|row| {
            let mut ids: Vec<u32> = (0..length).map(|i| token(row * length + i)).collect();
            ids[0] = 2;
            prompt(row, vec![(ids, 1 + row % 3)], 0)
        });
        Self {
            batches: vec![batch.collect()],
            objective: &TeacherForcing,
        }
    }

    /// Real batches from a JSON file: a list of batches; a batch is a list of examples
    /// `{"options": [[id, ..], ..], "option_len": [n, ..], "label": i}`.
    ///
    /// Ids are taken modulo `vocabulary`: what a batch costs does not depend on which tokens it is made of.
    ///
    /// # Errors
    /// The file cannot be read, is laid out in another way, or holds nothing.
    pub fn read(path: &Path, vocabulary: usize) -> Result<Self> {
        let context = || path.display().to_string();
        let text = std::fs::read_to_string(path).with_context(context)?;
        let batches: Vec<Vec<Example>> = serde_json::from_str(&text).with_context(context)?;
        ensure!(
            !batches.is_empty() && batches.iter().all(|batch| !batch.is_empty()),
            "{}: no batches, or an empty one",
            path.display()
        );
        let prompts = |batch: Vec<Example>| {
            let examples = batch.into_iter().enumerate();
            examples
                .map(|(row, e)| {
                    let below = |id: u32| (id as usize % vocabulary) as u32;
                    let options = e.options.into_iter();
                    let options = options.map(|ids| ids.into_iter().map(below).collect());
                    let options = options.zip(e.option_len).collect();
                    prompt(row, options, e.label)
                })
                .collect()
        };
        Ok(Self {
            batches: batches.into_iter().map(prompts).collect(),
            objective: &Classification,
        })
    }

    /// The plan of one batch, as training makes it.
    ///
    /// # Errors
    /// A candidate that cannot be scored.
    pub fn plan(&self, batch: &[Prompt]) -> Result<Plan> {
        let groups: Vec<Vec<Sequence<'_>>> = batch
            .iter()
            .map(|prompt| {
                let candidates = self.objective.candidates(prompt).into_iter();
                candidates
                    .map(|c| &prompt.candidates[c])
                    .map(|candidate| Sequence {
                        ids: &candidate.ids,
                        scored: candidate.option_len,
                    })
                    .collect()
            })
            .collect();
        Ok(Plan::new(&groups, Sharing::Prefix)?)
    }
}

/// Tokens that the Python originals run for a batch: every candidate, padded to the longest and that to a
/// multiple of 8.
pub fn padded_tokens(batch: &[Prompt]) -> usize {
    let rows = || batch.iter().flat_map(|prompt| &prompt.candidates);
    let longest = rows().map(|row| row.ids.len()).max().unwrap_or(0);
    rows().count() * longest.next_multiple_of(8)
}

fn prompt(row: usize, options: Vec<(Vec<u32>, usize)>, correct: usize) -> Prompt {
    let candidate = |(ids, option_len)| EncodedCandidate {
        ids,
        option_len,
        truncated: 0,
        gaps: vec![],
    };
    Prompt {
        row,
        correct: vec![correct],
        candidates: options.into_iter().map(candidate).collect(),
        ..Prompt::default()
    }
}
