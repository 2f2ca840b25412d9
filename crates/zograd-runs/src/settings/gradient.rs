//! What a run by backpropagation has settings for.

use super::machine::Storage;
use super::owner::Owner;
use crate::error::{Result, refuse};
use crate::words::number;
use serde::{Deserialize, Serialize};
use zograd_select::Setting;
use zograd_trainer::{Backpropagation, GradientOptimizer};

/// The settings of backpropagation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct GradientOptions {
    /// Longest gradient.
    pub max_grad_norm: Option<f64>,
    /// Examples whose activations are in memory at a time.
    pub micro_batch: Option<usize>,
    /// Compute cheap activations again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub recompute: bool,
}

impl Owner for GradientOptions {
    const NAME: &'static str = "adam, adamw";
    const HEADING: &'static str = "Method";
    const SETTINGS: &'static [Setting] = &[
        Setting::number(
            "max-grad-norm",
            "NORM",
            "Longest gradient; a longer one is shortened to it; inf: never",
        )
        .or("1"),
        Setting::count(
            "micro-batch",
            "N",
            "Examples whose activations are in memory at a time; gradients are added up",
        )
        .or("the whole batch"),
        Setting::switch(
            "recompute",
            "Compute cheap activations again in the backward pass instead of keeping them",
        ),
    ];
}

impl GradientOptions {
    /// Fills in what was left open.
    pub(super) fn complete(
        &mut self,
        optimizer: GradientOptimizer,
        storage: Storage,
        batch_size: usize,
    ) -> Result<Backpropagation> {
        if storage != Storage::F32 {
            refuse!(
                "`dtype = {storage}`: {optimizer:?} moves weights by less than 16 bits can hold; use `dtype = f32`"
            );
        }
        let max_norm = *self.max_grad_norm.get_or_insert(1.0);
        if max_norm.is_nan() || max_norm <= 0.0 {
            let max_norm = number(max_norm);
            refuse!("`max-grad-norm = {max_norm}`: use a number above 0, or inf");
        }
        let micro_batch = *self.micro_batch.get_or_insert(batch_size);
        let micro_batch = super::budget::at_least_one("micro-batch", micro_batch)?;
        Ok(Backpropagation {
            optimizer,
            max_norm,
            micro_batch,
            recompute: self.recompute,
        })
    }
}
