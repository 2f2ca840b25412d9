//! The names of the files in the folder of a run.

/// The settings: `zograd train --config` with them runs the same again.
pub const CONFIG: &str = "config.toml";

/// A copy of the chat template that was given, there and beside the best weights. Other programs read it by this name.
pub const CHAT_TEMPLATE: &str = "chat_template.jinja";

/// Which rows were used.
pub const EXAMPLES: &str = "examples.json";

/// Hashes of what the run was made of.
pub const INPUTS: &str = "inputs.json";

/// A line for every step and evaluation.
pub const METRICS: &str = "metrics.jsonl";

/// A hash for every line of the metrics.
pub const SEALS: &str = "metrics.seals";

/// The trajectory log.
pub const LOG: &str = "trajectory.zog";

/// What came out, once the run has ended.
pub const SUMMARY: &str = "summary.json";

/// Why the run of an experiment has an end all the same, where its steps came to none.
pub const OUTGROWN: &str = "outgrown.txt";

/// The best weights: a folder.
pub const BEST: &str = "best";

/// The f32 originals of anchored weights, there and in a checkpoint.
pub const ANCHOR: &str = "anchor.f32";

/// The adapter that the run began with, where the log alone might not be enough to make it again: a folder.
pub const START: &str = "start";
