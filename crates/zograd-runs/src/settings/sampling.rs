//! How the answers of steps are drawn, where they are worth something.

use super::owner::Owner;
use crate::error::{Blame, Result};
use serde::{Deserialize, Serialize};
use zograd_models::{Decoding, Generation, Sampling};
use zograd_perturb::Seed;
use zograd_select::Setting;

/// How the answers of steps are drawn.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SamplingOptions {
    /// Divides the logits.
    pub temperature: Option<f64>,
    /// Only so many of the most probable tokens.
    pub top_k: Option<usize>,
    /// Only the most probable tokens that together have this probability.
    pub top_p: Option<f64>,
}

impl Owner for SamplingOptions {
    const NAME: &'static str = "`objective = reward`";
    const HEADING: &'static str = "Rewards";
    const SETTINGS: &'static [Setting] = &[
        Setting::number(
            "temperature",
            "T",
            "Draw the answers of steps, the logits divided by this; a draw is a function of seed, step and row",
        )
        .or("the most probable tokens, or 1 with top-k or top-p"),
        Setting::count(
            "top-k",
            "K",
            "Draw them from the K most probable tokens only",
        ),
        Setting::number(
            "top-p",
            "P",
            "Draw them from the fewest tokens that together have this probability",
        ),
    ];
}

impl SamplingOptions {
    /// How answers are drawn, if they are.
    ///
    /// # Errors
    /// A value out of range.
    pub(super) fn complete(&self) -> Result<Option<Sampling>> {
        let draws = self.temperature.is_some() || self.top_k.is_some() || self.top_p.is_some();
        if !draws {
            return Ok(None);
        }
        let sampling = Sampling {
            temperature: self.temperature.unwrap_or(1.0),
            top_k: self.top_k,
            top_p: self.top_p,
            // each step has its own
            ..Sampling::new(Seed::new(0))
        };
        let generation = Generation {
            decoding: Decoding::Sampling(sampling.clone()),
            ..Generation::greedy(1)
        };
        generation.check().or_input()?;
        Ok(Some(sampling))
    }
}
