//! Flags. Every flag of `train` and `eval` is also a key of the file given with `--config`; flags win.
//!
//! All values are optional here, so that a flag that was not given can be told from one that was; defaults
//! are filled in by the sub-commands and stated in the help.

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use zograd_perturb::NoiseKind;
use zograd_trainer::Schedule;

/// Fine-tunes OPT language models with forward passes only (MeZO, MeZO-GV, MeZO-Greedy).
#[derive(Debug, Parser)]
#[command(name = "zograd", version, about, max_term_width = 100)]
#[command(after_help = "\
Examples:
  zograd train                              a tiny model and task that are built in, about a minute
  zograd train --model DIR --task sst2 --data DIR --method gv --pool 4 --lr 1e-4 --forwards 3000
  zograd eval --model DIR --task sst2 --data DIR --predictions out.jsonl
  zograd train --resume runs/sst2-gv        go on after Ctrl-C, kill -9 or a power cut
  zograd replay --log runs/sst2-gv/trajectory.zog --model DIR --out tuned
  zograd prompts --task sst2 --data DIR --tokenizer DIR --limit 2

Exit codes: 0 done, 1 failed while running, 2 wrong input, 130 interrupted (and saved).
Environment: NO_COLOR turns colours off; HF_HOME is where models from the hub are cached;
RAYON_NUM_THREADS limits threads like --threads; ZOGRAD_LOG=debug tells more.")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Fine-tune a model on a task and save the best weights
    Train(Box<TrainArgs>),
    /// Measure a model on a task
    Eval(Box<EvalArgs>),
    /// Rebuild the weights of a run from its trajectory log, without a forward pass
    Replay(Box<ReplayArgs>),
    /// Show, check or export a trajectory log
    #[command(subcommand)]
    Log(LogCommand),
    /// Show the exact text and token ids of a task's prompts
    Prompts(Box<PromptsArgs>),
}

/// The optimisation method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[value(rename_all = "kebab-case")]
pub enum MethodName {
    /// SPSA along one random direction: 2 forwards a step
    Mezo,
    /// The mean of --queries independent MeZO estimates: 2 q forwards
    NSpsa,
    /// Guiding vector: mean of the pool's low-loss candidates minus mean of the rest: M + 2 forwards
    Gv,
    /// Guiding vector of one new candidate and the best of the steps before: 4 forwards
    GvHistory,
    /// The pool's best candidate: M + 1 forwards
    Greedy,
    /// Every candidate weighed by its loss: M forwards (not in the paper)
    PoolRegression,
}

/// Where tensors live and are computed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BackendName {
    /// The CPU, f32
    Ndarray,
    /// The CPU, f32, f16 or bf16
    Flex,
    /// An NVIDIA GPU (a build with `--features cuda`)
    Cuda,
    /// Any GPU, f32 (a build with `--features wgpu`)
    Wgpu,
}

/// How weights are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DtypeName {
    /// 32 bits
    F32,
    /// 16 bits, as the paper's experiments
    F16,
    /// 16 bits with the range of f32
    Bf16,
}

/// A split of a data set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SplitName {
    /// The train rows
    Train,
    /// The validation rows
    #[default]
    Validation,
}

/// A form of a prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FormName {
    /// As trained on: with the gold answer in generation tasks
    Train,
    /// The question alone
    #[default]
    ZeroShot,
    /// After demonstrations (in-context learning)
    Icl,
    /// Without the input, for surface-form-competition calibration
    Sfc,
    /// Without the input, after demonstrations
    IclSfc,
}

/// `zograd train`
#[derive(Args, Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct TrainArgs {
    /// Take settings from this TOML file; every flag below is a key there (without the dashes)
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,

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
    /// The task, such as sst2 [default: a small sentiment task that is built in]
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
    /// Distribution of the perturbations: gaussian or rademacher [default: gaussian]
    #[arg(long, value_name = "KIND", value_parser = parse_kebab::<NoiseKind>, help_heading = "Method")]
    pub noise: Option<NoiseKind>,
    /// Perturbation scale [default: 1e-3]
    #[arg(
        long,
        value_name = "E",
        allow_negative_numbers = true,
        help_heading = "Method"
    )]
    pub eps: Option<f64>,
    /// Learning rate: what these methods are most sensitive to; try a few [default: 1e-6]
    #[arg(
        long,
        value_name = "LR",
        allow_negative_numbers = true,
        help_heading = "Method"
    )]
    pub lr: Option<f64>,
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

/// `zograd eval`
#[derive(Args, Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct EvalArgs {
    /// Take settings from this TOML file; every flag below is a key there (without the dashes)
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,

    /// A Hugging Face model folder, or a hub id such as facebook/opt-125m [default: a tiny built-in OPT]
    #[arg(long, value_name = "DIR|ID", help_heading = "Input")]
    pub model: Option<String>,
    /// Tokenizer folder, if the model folder has none
    #[arg(long, value_name = "DIR", help_heading = "Input")]
    pub tokenizer: Option<PathBuf>,
    /// The task, such as sst2 [default: a small sentiment task that is built in]
    #[arg(long, value_name = "NAME", help_heading = "Input")]
    pub task: Option<String>,
    /// Folder with train and validation rows (JSONL or Parquet, Hugging Face field names)
    #[arg(long, value_name = "DIR", help_heading = "Input")]
    pub data: Option<PathBuf>,
    /// Which rows [default: validation]
    #[arg(long, value_enum, help_heading = "Input")]
    pub split: Option<SplitName>,
    /// How many of them, drawn with --seed [default: all]
    #[arg(long, value_name = "N", help_heading = "Input")]
    pub test_examples: Option<usize>,
    /// Demonstrations before each prompt (in-context learning), drawn from the train rows [default: 0]
    #[arg(long, value_name = "N", help_heading = "Input")]
    pub shots: Option<usize>,
    /// Seed of the draws [default: 0]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64), help_heading = "Input")]
    pub seed: Option<u64>,
    /// Token id that begins every prompt [default: the tokenizer's; the originals use 0]
    #[arg(long, value_name = "ID", help_heading = "Input")]
    pub bos_id: Option<u32>,
    /// Longest prompt in tokens, cut from the left [default: the model's positions]
    #[arg(long, value_name = "N", help_heading = "Input")]
    pub max_length: Option<usize>,

    /// Examples of a forward [default: 32]
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
    /// Write one JSON line per example: index, label, prediction and the candidates' scores
    #[arg(long, value_name = "FILE", help_heading = "Run")]
    pub predictions: Option<PathBuf>,
    /// Print one JSON object instead of text
    #[arg(long, help_heading = "Run")]
    #[serde(skip)]
    pub json: bool,
}

/// `zograd replay`
#[derive(Args, Clone, Debug)]
pub struct ReplayArgs {
    /// The log, such as RUN/trajectory.zog
    #[arg(long, value_name = "FILE")]
    pub log: PathBuf,
    /// The weights the run started from: a model folder or hub id [default: the tiny built-in OPT]
    #[arg(long, value_name = "DIR|ID")]
    pub model: Option<String>,
    /// Tokenizer folder to copy from, if the model folder has none
    #[arg(long, value_name = "DIR")]
    pub tokenizer: Option<PathBuf>,
    /// Folder for the tuned model, must not exist yet
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Stop after this step [default: the last]
    #[arg(long, value_name = "N")]
    pub to_step: Option<u64>,
    /// Where to compute: the bits are those of the run on the backend of the run [default: ndarray]
    #[arg(long, value_enum)]
    pub backend: Option<BackendName>,
    /// CPU threads [default: all cores]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// `zograd log`
#[derive(Clone, Debug, Subcommand)]
pub enum LogCommand {
    /// What a log holds, in a few lines
    Show(LogArgs),
    /// Check a log: checksums, order, and that every update follows from the logged losses
    Verify(LogArgs),
    /// Print a log as JSON lines: the header, then one line a step
    Export(LogArgs),
}

/// The log to look at.
#[derive(Args, Clone, Debug)]
pub struct LogArgs {
    /// The log, such as RUN/trajectory.zog
    pub file: PathBuf,
    /// Print JSON instead of text (`export` always does)
    #[arg(long)]
    pub json: bool,
}

/// `zograd prompts`
#[derive(Args, Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct PromptsArgs {
    /// Take settings from this TOML file; every flag below is a key there (without the dashes)
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,

    /// The task, such as sst2
    #[arg(long, value_name = "NAME")]
    pub task: Option<String>,
    /// Folder with train and validation rows (JSONL or Parquet, Hugging Face field names)
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Folder with tokenizer.json, or vocab.json and merges.txt
    #[arg(long, value_name = "DIR")]
    pub tokenizer: Option<PathBuf>,
    /// Which rows [default: validation]
    #[arg(long, value_enum)]
    pub split: Option<SplitName>,
    /// First row to show [default: 0]
    #[arg(long, value_name = "N")]
    pub offset: Option<usize>,
    /// How many rows to show [default: 5]
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Which form of the prompts [default: zero-shot]
    #[arg(long, value_enum)]
    pub form: Option<FormName>,
    /// Demonstrations of the icl forms: the first N train rows [default: 2]
    #[arg(long, value_name = "N")]
    pub shots: Option<usize>,
    /// Longest prompt in tokens, cut from the left [default: 2048]
    #[arg(long, value_name = "N")]
    pub max_length: Option<usize>,
    /// Token id that begins every prompt [default: the tokenizer's; the originals use 0]
    #[arg(long, value_name = "ID")]
    pub bos_id: Option<u32>,
    /// Print one JSON object a row
    #[arg(long)]
    #[serde(skip)]
    pub json: bool,
}

fn is_false(b: &bool) -> bool {
    !b
}

/// Parses a library's enum by its serde name, and lists the names on a mistake.
fn parse_kebab<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, String> {
    T::deserialize(serde::de::value::StrDeserializer::new(text))
        .map_err(|e: serde::de::value::Error| e.to_string())
}
