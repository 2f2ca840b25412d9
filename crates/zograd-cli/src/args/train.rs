//! Flags of `zograd train`.

use super::is_false;
use super::names::{BackendName, DtypeName, MethodName, ObjectiveName, TuneName};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use zograd_models::{PrefixInit, Projection};
use zograd_perturb::{Arithmetic, NoiseKind};
use zograd_trainer::Schedule;

/// `zograd train`
#[derive(Args, Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct TrainArgs {
    /// Take settings from this TOML file; every flag below is a key there (without the dashes)
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,

    /// Start from a named setting, such as paper/opt-13b/sst2/gv; flags and the file win;
    /// `zograd presets` lists them
    #[arg(long, value_name = "NAME")]
    pub preset: Option<String>,

    /// Go on with the interrupted run in this folder, with the settings it had; it ends in the same bits
    /// as one that was never interrupted (only --threads and --json go with it)
    #[arg(long, value_name = "RUN")]
    #[serde(skip)]
    pub resume: Option<PathBuf>,

    /// A Hugging Face model folder, or a hub id such as facebook/opt-125m [default: a tiny built-in OPT]
    #[arg(long, value_name = "DIR|ID", help_heading = "Input")]
    pub model: Option<String>,
    /// Tokenizer folder, if the model folder has none
    #[arg(long, value_name = "DIR", help_heading = "Input")]
    pub tokenizer: Option<PathBuf>,
    /// The task, such as sst2, or the TOML file of your own [default: a small sentiment task that is built in]
    #[arg(long, value_name = "NAME", help_heading = "Input")]
    pub task: Option<String>,
    /// Folder with train and validation rows (JSONL or Parquet, Hugging Face field names)
    #[arg(long, value_name = "DIR", help_heading = "Input")]
    pub data: Option<PathBuf>,
    /// Token id that begins every prompt [default: the tokenizer's; the originals use 0]
    #[arg(long, value_name = "ID", help_heading = "Input")]
    pub bos_id: Option<u32>,
    /// Longest prompt in tokens, cut from the left [default: the model's positions]
    #[arg(long, value_name = "N", help_heading = "Input")]
    pub max_length: Option<usize>,
    /// Longest written answer in tokens; prompts leave room for it (tasks with written answers) [default: 50]
    #[arg(long, value_name = "N", help_heading = "Input")]
    pub max_new_tokens: Option<usize>,
    /// Training examples drawn from the train rows [default: 1000]
    #[arg(long, value_name = "N", help_heading = "Input")]
    pub train_examples: Option<usize>,
    /// Development examples, drawn from the remaining train rows: the best weights are those that do
    /// best on them [default: 500]
    #[arg(long, value_name = "N", help_heading = "Input")]
    pub dev_examples: Option<usize>,
    /// Test examples drawn from the validation rows, scored before and after [default: 1000]
    #[arg(long, value_name = "N", help_heading = "Input")]
    pub test_examples: Option<usize>,

    /// What is tuned; of an adapter (lora, prefix) only its own tensors move and are saved [default: full; head with
    /// --method linear-probing]
    #[arg(long, value_enum, help_heading = "Tuning")]
    pub tune: Option<TuneName>,
    /// Rank of LoRA's additions [default: 8]
    #[arg(long, value_name = "R", help_heading = "Tuning")]
    pub lora_r: Option<usize>,
    /// LoRA's additions are scaled by ALPHA / R [default: 16]
    #[arg(
        long,
        value_name = "ALPHA",
        allow_negative_numbers = true,
        help_heading = "Tuning"
    )]
    pub lora_alpha: Option<f64>,
    /// What LoRA adds to: q_proj, k_proj, v_proj, out_proj, fc1, fc2, with commas [default: q_proj,v_proj]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = Projection::named, help_heading = "Tuning")]
    pub lora_targets: Option<Vec<Projection>>,
    /// Key and value vectors of a prefix, in every layer [default: 5]
    #[arg(long, value_name = "N", help_heading = "Tuning")]
    pub prefix_tokens: Option<usize>,
    /// How a prefix begins: real (the keys and values of random words) or random [default: real]
    #[arg(long, value_name = "HOW", value_parser = parse_kebab::<PrefixInit>, help_heading = "Tuning")]
    pub prefix_init: Option<PrefixInit>,

    /// The method [default: gv]
    #[arg(long, value_enum, help_heading = "Method")]
    pub method: Option<MethodName>,
    /// Candidates M of a pool (gv, greedy, pool-regression) [default: 4]
    #[arg(long, value_name = "M", help_heading = "Method")]
    pub pool: Option<usize>,
    /// Share of the pool that counts as good, in (0, 1) (gv) [default: 0.5]
    #[arg(
        long,
        value_name = "A",
        allow_negative_numbers = true,
        help_heading = "Method"
    )]
    pub alpha: Option<f64>,
    /// Independent estimates q of a step (n-spsa) [default: 2]
    #[arg(long, value_name = "Q", help_heading = "Method")]
    pub queries: Option<usize>,
    /// Also evaluate a pool of two for gv, which cannot change the update
    #[arg(long, help_heading = "Method")]
    #[serde(skip_serializing_if = "is_false")]
    pub faithful_cost: bool,
    /// What to minimise [default: auto]
    #[arg(long, value_enum, help_heading = "Method")]
    pub objective: Option<ObjectiveName>,
    /// Distribution of the perturbations: gaussian or rademacher [default: gaussian]
    #[arg(long, value_name = "KIND", value_parser = parse_kebab::<NoiseKind>, help_heading = "Method")]
    pub noise: Option<NoiseKind>,
    /// How weights are moved: exact (no rounding is left behind; f32 only), anchored (16-bit weights with f32
    /// originals in a file, 4 bytes a weight) or plain [default: exact with f32, else plain]
    #[arg(long, value_name = "HOW", value_parser = parse_kebab::<Arithmetic>, help_heading = "Method")]
    pub arithmetic: Option<Arithmetic>,
    /// Steps after which anchored weights become their rounded originals again (and before every evaluation)
    /// [default: 100]
    #[arg(long, value_name = "N", help_heading = "Method")]
    pub anchor_every: Option<u64>,
    /// Perturbation scale [default: 1e-3; 1e-2 with --tune lora or head, 1e-1 with prefix]
    #[arg(
        long,
        value_name = "E",
        allow_negative_numbers = true,
        help_heading = "Method"
    )]
    pub eps: Option<f64>,
    /// Learning rate: what these methods are most sensitive to; try a few [default: 1e-6;
    /// 5e-5 with --tune lora, 5e-3 with prefix, 1e-4 with head; adam: 1e-5, 1e-4, 1e-3, 1e-4]
    #[arg(
        long,
        value_name = "LR",
        allow_negative_numbers = true,
        help_heading = "Method"
    )]
    pub lr: Option<f64>,
    /// Longest gradient; a longer one is shortened to it; inf: never (adam, adamw) [default: 1]
    #[arg(
        long,
        value_name = "NORM",
        allow_negative_numbers = true,
        help_heading = "Method"
    )]
    pub max_grad_norm: Option<f64>,
    /// Examples whose activations are in memory at a time; gradients are added up (adam, adamw)
    /// [default: the whole batch]
    #[arg(long, value_name = "N", help_heading = "Method")]
    pub micro_batch: Option<usize>,
    /// Compute cheap activations again in the backward pass instead of keeping them (adam, adamw)
    #[arg(long, help_heading = "Method")]
    #[serde(skip_serializing_if = "is_false")]
    pub recompute: bool,
    /// constant, linear or cosine [default: constant]
    #[arg(long, value_name = "NAME", value_parser = parse_kebab::<Schedule>, help_heading = "Method")]
    pub schedule: Option<Schedule>,
    /// Weight decay, not on biases and layer norms [default: 0]
    #[arg(
        long,
        value_name = "L",
        allow_negative_numbers = true,
        help_heading = "Method"
    )]
    pub weight_decay: Option<f64>,
    /// Examples of a step [default: 16]
    #[arg(long, value_name = "B", help_heading = "Method")]
    pub batch_size: Option<usize>,
    /// Seed of the noise, the order and the draw of the examples [default: 0]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64), help_heading = "Method")]
    pub seed: Option<u64>,

    /// Number of steps [default: 1000]
    #[arg(
        long,
        value_name = "N",
        conflicts_with = "forwards",
        help_heading = "Run"
    )]
    pub steps: Option<u64>,
    /// Number of forward passes instead: as many steps as fit, to compare methods at equal cost
    #[arg(long, value_name = "N", help_heading = "Run")]
    pub forwards: Option<u64>,
    /// What to do about a step that is not as it should be: EVENT=POLICY, with commas between several. Events:
    /// non-finite-loss, non-finite-update, update-too-far (skip, stop); loss-explosion, exploding-gradient
    /// (go-on, skip, shrink, stop); flat-loss, vanishing-gradient (go-on, skip, stop)
    /// [default: skip the first three, go on after the others; all are counted]
    #[arg(long, value_name = "EVENT=POLICY", help_heading = "Run")]
    pub guard: Option<String>,
    /// Evaluate on the development examples every N steps; 0: only at the end
    /// [default: a tenth of the steps]
    #[arg(long, value_name = "N", help_heading = "Run")]
    pub eval_every: Option<u64>,
    /// Examples of a forward when evaluating [default: 32]
    #[arg(long, value_name = "N", help_heading = "Run")]
    pub eval_batch_size: Option<usize>,
    /// Where to compute [default: ndarray]
    #[arg(long, value_enum, help_heading = "Run")]
    pub backend: Option<BackendName>,
    /// How to store the weights [default: f32]
    #[arg(long, value_enum, help_heading = "Run")]
    pub dtype: Option<DtypeName>,
    /// CPU threads [default: all cores]
    #[arg(long, value_name = "N", help_heading = "Run")]
    pub threads: Option<usize>,
    /// Folder of the run, must not exist yet [default: runs/TASK-METHOD, numbered if taken]
    #[arg(long, value_name = "DIR", help_heading = "Run")]
    pub out: Option<PathBuf>,
    /// Print one JSON object at the end instead of text
    #[arg(long, help_heading = "Run")]
    #[serde(skip)]
    pub json: bool,
}

/// Parses a library's enum by its serde name, and lists the names on a mistake.
fn parse_kebab<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, String> {
    T::deserialize(serde::de::value::StrDeserializer::new(text))
        .map_err(|e: serde::de::value::Error| e.to_string())
}
