//! The values that flags choose from.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

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
    /// Baseline: backpropagation with Adam, counted as 3 forwards (a backward as two)
    Adam,
    /// Baseline: backpropagation with AdamW, the same
    #[serde(rename = "adamw")]
    #[value(name = "adamw")]
    AdamW,
    /// Baseline: a new head by logistic regression on what the model gives the head; no steps
    LinearProbing,
}

impl MethodName {
    /// Whether it is a baseline by backpropagation.
    pub fn has_gradient(self) -> bool {
        matches!(self, Self::Adam | Self::AdamW)
    }
}

/// What is tuned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TuneName {
    /// All weights
    Full,
    /// Low-rank additions to projections (LoRA)
    Lora,
    /// Keys and values before every sequence (prefix tuning)
    Prefix,
    /// The head alone, which gets a table of its own for it
    Head,
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

/// What training minimises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectiveName {
    /// What the originals train the task on: one of the next two
    #[default]
    Auto,
    /// Cross-entropy over the candidates
    Classification,
    /// Log-likelihood of the right answer's tokens
    TeacherForcing,
    /// The share of right choices itself
    Accuracy,
    /// The word overlap of written answers itself: the model writes in every forward
    F1,
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
