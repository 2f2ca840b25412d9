//! Times whole steps on random OPT weights and prints one JSON object, for side-by-side runs with another program
//! (`cargo xtask bench step --peer COMMAND`).
//!
//! Two kinds of input: dense (`--batch`, `--seq`: teacher-forced loss on the last one to three tokens of random
//! sequences), or real batches from a JSON file (`--batches`: a list of batches; a batch is a list of examples
//! `{"options": [[id, ..], ..], "option_len": [n, ..], "label": i}`; classification loss).

use anyhow::{Context, Result, ensure};
use burn::tensor::backend::BackendTypes;
use burn_flex::Flex;
use burn_ndarray::NdArray;
use clap::{Parser, ValueEnum};
use serde::Deserialize;
use serde_json::json;
use std::path::PathBuf;
use std::time::Instant;
use zograd_models::{ModelBackend, Opt, OptConfig};
use zograd_perturb::{NoiseBackend, NoiseKind, ParameterSpace, Perturbed, Seed, Selection};
use zograd_select::{Method, StepContext};
use zograd_tasks::{EncodedCandidate, Prompt};
use zograd_trainer::{
    Classification, Objective, TeacherForcing, peak_memory_bytes, run_step, score,
};

#[derive(Parser)]
#[command(about = "Times whole steps on random OPT weights")]
struct Arguments {
    /// A published shape, such as opt-125m
    #[arg(long, default_value = "opt-125m")]
    model_config: String,
    #[arg(long, value_enum, default_value_t = MethodName::Mezo)]
    method: MethodName,
    /// Sequences of a dense batch
    #[arg(long, default_value_t = 16)]
    batch: usize,
    /// Their length in tokens
    #[arg(long, default_value_t = 64)]
    seq: usize,
    /// Real batches instead
    #[arg(long)]
    batches: Option<PathBuf>,
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Timed steps, after the warm-up
    #[arg(long, default_value_t = 3)]
    steps: usize,
    #[arg(long, default_value_t = 1)]
    warmup: usize,
    #[arg(long, value_enum, default_value_t = BackendName::Ndarray)]
    backend: BackendName,
}

#[derive(Clone, Copy, ValueEnum)]
enum MethodName {
    Mezo,
    Gv2,
    Gv4,
    Greedy4,
}

#[derive(Clone, Copy, ValueEnum)]
enum BackendName {
    Ndarray,
    Flex,
}

#[derive(Deserialize)]
struct Example {
    options: Vec<Vec<u32>>,
    option_len: Vec<usize>,
    label: usize,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    rayon::ThreadPoolBuilder::new()
        .num_threads(arguments.threads)
        .build_global()?;
    match arguments.backend {
        BackendName::Ndarray => run::<NdArray<f32>>(&arguments),
        BackendName::Flex => run::<Flex>(&arguments),
    }
}

fn run<B: NoiseBackend + ModelBackend>(arguments: &Arguments) -> Result<()> {
    let config = OptConfig::named(&arguments.model_config)?;
    let device = <B as BackendTypes>::Device::default();
    B::seed(&device, 0);
    let model = Opt::<B>::init(&config, &device);
    let (batches, objective): (_, &dyn Objective) = match &arguments.batches {
        Some(path) => (real(path)?, &Classification),
        None => (vec![dense(arguments, config.vocab_size)], &TeacherForcing),
    };
    let gv = |pool| Method::Gv {
        pool,
        alpha: 0.5,
        faithful_cost: false,
    };
    let mut strategy = match arguments.method {
        MethodName::Mezo => Method::Mezo,
        MethodName::Gv2 => gv(2),
        MethodName::Gv4 => gv(4),
        MethodName::Greedy4 => Method::Greedy { pool: 4 },
    }
    .build()?;

    let space = ParameterSpace::select(&model, &Selection::All)?;
    let parameters = space.dimension();
    let mut model = Perturbed::new(model, space, NoiseKind::Gaussian, 1e-3)?;
    let (mut seconds, mut forward_seconds, mut tokens) = (Vec::new(), Vec::new(), 0);
    for step in 0..arguments.warmup + arguments.steps {
        let batch: Vec<&Prompt> = batches[step % batches.len()].iter().collect();
        let context = StepContext {
            step: step as u64,
            seed: Seed::new(0).child(step as u64),
            eps: model.eps(),
        };
        let start = Instant::now();
        let mut forwards = 0.0;
        run_step(strategy.as_mut(), &context, &mut model, 1e-6, 0.0, |m| {
            let start = Instant::now();
            let (scored, stats) = score(m, &batch, |p| objective.candidates(p))?;
            tokens = stats.tokens;
            forwards += start.elapsed().as_secs_f64();
            Ok(objective.loss(&scored))
        })?;
        if step >= arguments.warmup {
            seconds.push(start.elapsed().as_secs_f64());
            forward_seconds.push(forwards);
        }
    }
    let passes: Vec<f64> = seconds
        .iter()
        .zip(&forward_seconds)
        .map(|(s, f)| s - f)
        .collect();
    println!(
        "{}",
        json!({
            "impl": "zograd",
            "model": arguments.model_config,
            "parameters": parameters,
            "method": strategy.name(),
            "forwards": strategy.forwards(),
            "threads": arguments.threads,
            "tokens_of_last_batch": tokens,
            "step_s_median": median(&seconds),
            "step_s_min": seconds.iter().copied().fold(f64::INFINITY, f64::min),
            "step_s": seconds,
            "forward_s_median": median(&forward_seconds),
            "passes_s_median": median(&passes),
            "peak_rss_mib": peak_memory_bytes().map(|b| b as f64 / f64::from(1 << 20)),
        })
    );
    Ok(())
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Random sequences of equal length whose last one to three tokens are scored.
fn dense(arguments: &Arguments, vocabulary: usize) -> Vec<Prompt> {
    let token = |i: u64| 4 + (Seed::new(1).child(i).value() % (vocabulary as u64 - 4)) as u32;
    let length = arguments.seq as u64;
    (0..arguments.batch)
        .map(|row| {
            let mut ids: Vec<u32> = (0..length)
                .map(|i| token(row as u64 * length + i))
                .collect();
            ids[0] = 2;
            prompt(row, vec![(ids, 1 + row % 3)], 0)
        })
        .collect()
}

fn real(path: &PathBuf) -> Result<Vec<Vec<Prompt>>> {
    let context = || path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(context)?;
    let batches: Vec<Vec<Example>> = serde_json::from_str(&text).with_context(context)?;
    ensure!(!batches.is_empty(), "{}: no batches", path.display());
    let prompts = |batch: Vec<Example>| {
        let examples = batch.into_iter().enumerate();
        examples
            .map(|(row, e)| {
                prompt(
                    row,
                    e.options.into_iter().zip(e.option_len).collect(),
                    e.label,
                )
            })
            .collect()
    };
    Ok(batches.into_iter().map(prompts).collect())
}

fn prompt(row: usize, options: Vec<(Vec<u32>, usize)>, correct: usize) -> Prompt {
    let candidate = |(ids, option_len)| EncodedCandidate {
        text: String::new(),
        ids,
        option_len,
        truncated: 0,
    };
    Prompt {
        row,
        correct: vec![correct],
        candidates: options.into_iter().map(candidate).collect(),
        ..Prompt::default()
    }
}
