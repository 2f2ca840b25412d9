//! A model that computes in milliseconds.

use crate::seeded;
use burn_ndarray::NdArray;
use std::sync::LazyLock;
use zograd_models::{Model, ModelConfig};
use zograd_tasks::{EncodedCandidate, Prompt};

pub type Cpu = NdArray<f32>;

/// One for all tests: the generator of its weights is shared by the threads.
static MODEL: LazyLock<Model<Cpu>> = LazyLock::new(|| {
    let config = ModelConfig::from_json(
        r#"{"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
            "ffn_dim": 32, "max_position_embeddings": 32, "init_std": 0.3}"#,
    )
    .expect("a valid configuration");
    seeded::model(&config, 11)
});

pub fn model() -> Model<Cpu> {
    MODEL.clone()
}

pub fn prompt(row: usize, candidates: &[(Vec<u32>, usize)], correct: usize) -> Prompt {
    let candidate = |(ids, option_len): &(Vec<u32>, usize)| EncodedCandidate {
        ids: ids.clone(),
        option_len: *option_len,
        truncated: 0,
        gaps: vec![],
    };
    Prompt {
        row,
        candidates: candidates.iter().map(candidate).collect(),
        correct: vec![correct],
        ..Prompt::default()
    }
}

/// Prompts whose right answer is told by their first word.
pub fn prompts() -> Vec<Prompt> {
    let one = |row: usize| {
        let right = row % 2;
        let context = [2, 10 + right as u32, 14 + (row as u32 * 7) % 13, 5];
        let option = |answer: &[u32]| ([&context[..], answer].concat(), answer.len());
        prompt(row, &[option(&[7]), option(&[8, 9])], right)
    };
    (0..24).map(one).collect()
}
