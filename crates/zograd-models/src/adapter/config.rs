//! What adapter a model has.

use serde::{Deserialize, Serialize};

use super::error::AdapterError;
use super::projection::Projection;
use crate::shape::Shape;

/// The shape of an adapter, and how it begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AdapterConfig {
    /// Low-rank additions to projections.
    Lora(LoraConfig),
    /// Trained keys and values before every sequence.
    Prefix(PrefixConfig),
}

/// LoRA: `A` begins uniform in `±1 / sqrt(in)` (PyTorch's `kaiming_uniform_` with `a = sqrt(5)`), `B` with
/// zeros, so that the model begins as it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoraConfig {
    /// Rank of the additions.
    pub r: usize,
    /// Their scale is `alpha / r`, or `alpha / sqrt(r)`.
    pub alpha: f64,
    /// Whether it is `alpha / sqrt(r)` (rsLoRA, arXiv 2312.03732).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rank_stabilized: bool,
    /// What they are added to, in every layer; each once.
    pub targets: Vec<Projection>,
}

impl Default for LoraConfig {
    /// The paper's: rank 8, alpha 16, queries and values.
    fn default() -> Self {
        Self {
            r: 8,
            alpha: 16.0,
            rank_stabilized: false,
            targets: vec![Projection::QProj, Projection::VProj],
        }
    }
}

impl LoraConfig {
    /// Factor of the additions.
    pub fn scale(&self) -> f64 {
        let r = self.r as f64;
        match self.rank_stabilized {
            true => self.alpha / r.sqrt(),
            false => self.alpha / r,
        }
    }
}

/// Prefix tuning, without reparametrisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrefixConfig {
    /// Number of key and value vectors a layer.
    pub tokens: usize,
    /// What they begin as.
    pub init: PrefixInit,
}

impl Default for PrefixConfig {
    /// The paper's: 5 tokens, real activations.
    fn default() -> Self {
        Self {
            tokens: 5,
            init: PrefixInit::Real,
        }
    }
}

/// What a prefix begins as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum PrefixInit {
    /// The keys and values that random words of the vocabulary produce.
    #[default]
    Real,
    /// Standard normal numbers.
    Random,
}

impl AdapterConfig {
    /// `lora` or `prefix`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Lora(_) => "lora",
            Self::Prefix(_) => "prefix",
        }
    }

    /// Whether a model of this shape, whose layers have these projections, can have it.
    ///
    /// # Errors
    /// [`AdapterError::Setting`] for the first setting that is out of its range.
    pub fn check(&self, model: Shape, has: &[Projection]) -> Result<(), AdapterError> {
        let refuse =
            |name, value: String, fix: String| Err(AdapterError::Setting { name, value, fix });
        match self {
            Self::Lora(lora) => {
                let limit = model.hidden_size;
                if !(1..=limit).contains(&lora.r) {
                    let fix = format!("use a rank of 1 to {limit}, the width of the model");
                    return refuse("lora-r", lora.r.to_string(), fix);
                }
                if !(lora.alpha.is_finite() && lora.alpha > 0.0) {
                    let fix = "use a number above 0, such as 16".to_owned();
                    return refuse("lora-alpha", lora.alpha.to_string(), fix);
                }
                let mut sorted = lora.targets.clone();
                sorted.sort_unstable();
                sorted.dedup();
                if sorted.is_empty() || sorted.len() != lora.targets.len() {
                    let names = lora.targets.iter().map(|target| target.name());
                    let fix = "name at least one projection, each once".to_owned();
                    return refuse("lora-targets", names.collect::<Vec<_>>().join(","), fix);
                }
                if let Some(target) = sorted.iter().find(|target| !has.contains(target)) {
                    let names: Vec<&str> = has.iter().map(|which| which.name()).collect();
                    let fix = format!("this model has {}", names.join(", "));
                    return refuse("lora-targets", target.to_string(), fix);
                }
            }
            Self::Prefix(prefix) => {
                let limit = model.positions;
                if !(1..=limit).contains(&prefix.tokens) {
                    let fix = format!("use 1 to {limit}, the positions of the model");
                    return refuse("prefix-tokens", prefix.tokens.to_string(), fix);
                }
            }
        }
        Ok(())
    }
}
