//! Generation: continuing prompts greedily.

use anyhow::{Result, ensure};
use burn::tensor::DType;
use burn::tensor::backend::BackendTypes;
use serde::Serialize;
use std::time::Instant;
use zograd_models::{Generation, Model, ModelBackend, ModelConfig};

use crate::median;

/// What is continued.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Shape {
    /// How many prompts
    #[arg(long, default_value_t = 16)]
    pub prompts: usize,
    /// Their length in tokens
    #[arg(long, default_value_t = 400)]
    pub prompt_tokens: usize,
    /// New tokens of each
    #[arg(long, default_value_t = 50)]
    pub new_tokens: usize,
}

/// Times; every list has one entry a repetition.
#[derive(Debug, Serialize)]
pub struct GenerationTimes {
    prompts: usize,
    prompt_tokens: usize,
    new_tokens: usize,
    /// All of it.
    pub generate_s: Vec<f64>,
    /// Until the first prompt has its first new token: the prompts are run.
    pub first_token_s: Vec<f64>,
    /// Median over the tokens after the first of the first fifty, each for all prompts.
    pub token_s: Vec<f64>,
}

impl GenerationTimes {
    /// Measures `repeats` times, after one time that is not counted.
    ///
    /// # Errors
    /// Fewer than two new tokens, or more tokens than the model has positions.
    pub fn measure<B: ModelBackend>(
        config: &ModelConfig,
        shape: Shape,
        dtype: DType,
        repeats: usize,
    ) -> Result<Self> {
        ensure!(shape.new_tokens > 1, "--new-tokens: use at least 2");
        let device = <B as BackendTypes>::Device::default();
        let model = Model::<B>::init_with_dtype(config, dtype, &device);
        let vocabulary = config.vocab_size;
        let id = |prompt: usize, place: usize| ((prompt * 401 + place * 7919) % vocabulary) as u32;
        let prompts: Vec<Vec<u32>> = (0..shape.prompts)
            .map(|prompt| (0..shape.prompt_tokens).map(|i| id(prompt, i)).collect())
            .collect();
        let prompts: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
        let mut times = Self {
            prompts: shape.prompts,
            prompt_tokens: shape.prompt_tokens,
            new_tokens: shape.new_tokens,
            generate_s: Vec::new(),
            first_token_s: Vec::new(),
            token_s: Vec::new(),
        };
        for round in 0..=repeats {
            let start = Instant::now();
            let mut told = Vec::with_capacity(shape.new_tokens);
            let generation = Generation::greedy(shape.new_tokens);
            model.generate_with(&prompts, &generation, |prompt, _| {
                if prompt == 0 {
                    told.push(start.elapsed().as_secs_f64());
                }
            })?;
            let all = start.elapsed().as_secs_f64();
            ensure!(told.len() == shape.new_tokens, "generation ended early");
            // the first round warms up
            if round > 0 {
                let steps: Vec<f64> = told.windows(2).map(|pair| pair[1] - pair[0]).collect();
                times.generate_s.push(all);
                times.first_token_s.push(told[0]);
                times.token_s.push(median(&steps[..steps.len().min(50)]));
            }
        }
        Ok(times)
    }
}
