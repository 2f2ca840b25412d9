//! What a candidate knows that noise does not.

use super::machine::Storage;
use super::names::names;
use super::owner::Owner;
use super::zeroth_order::PerturbationOptions;
use crate::error::{Result, refuse};
use crate::words::number;
use serde::{Deserialize, Serialize};
use zograd_perturb::Arithmetic;
use zograd_perturb::family::PerturbationSpec;
use zograd_select::{Choice, Setting};

names! {
    /// What informs a candidate.
    pub enum InformedBy {
        Tail = "tail", "Down the gradient of the answers' own positions, with the prompt held fixed";
    }
}

/// The methods that have one: their first candidate is looked at in the step in which it is drawn, and in no other.
const METHODS: [&str; 3] = ["mezo", "gv", "greedy"];

/// Its root of mean square in a tensor, beside 1 of noise.
const SCALE: f64 = 0.01;

/// What a candidate knows that noise does not.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct InformedOptions {
    /// What informs the first candidate, if something does.
    pub informed: Option<InformedBy>,
    /// How large it is beside noise.
    pub informed_scale: Option<f64>,
}

impl Owner for InformedOptions {
    const NAME: &'static str = "zeroth-order methods";
    const HEADING: &'static str = "Method";
    const SETTINGS: &'static [Setting] = &[
        Setting::choice(
            "informed",
            "BY",
            "Have the first candidate of a step know more than noise (mezo, gv, greedy; 1 forward more, 4 bytes a weight)",
            InformedBy::CHOICES,
        ),
        Setting::number(
            "informed-scale",
            "X",
            "Its root of mean square in a tensor, beside 1 of noise",
        )
        .or("1e-2, with `informed`"),
    ];
}

impl InformedOptions {
    /// Fills in what was left open here and of how the weights are moved; the scale, if a candidate is informed.
    pub(super) fn complete(
        &mut self,
        method: &str,
        options: &mut PerturbationOptions,
        perturbation: &PerturbationSpec,
        storage: Storage,
    ) -> Result<Option<f64>> {
        let Some(by) = self.informed else {
            if let Some(scale) = self.informed_scale {
                let scale = number(scale);
                refuse!("`informed-scale = {scale}`: only with `informed = tail`");
            }
            return Ok(None);
        };
        if !METHODS.contains(&method) {
            refuse!(
                "`informed = {by}`: not with `method = {method}`; use mezo, gv or greedy, whose first candidate is looked at \
                 by itself"
            );
        }
        if !perturbation.is_dense() {
            refuse!(
                "`informed = {by}`: only with `perturbation = dense` and scales of 1, beside whose noise it is as large in \
                 every tensor"
            );
        }
        if storage != Storage::F32 {
            refuse!(
                "`dtype = {storage}`: `informed = {by}` moves weights by less than 16 bits can hold; use `dtype = f32`"
            );
        }
        if let Some(Arithmetic::Exact) = options.arithmetic {
            refuse!(
                "`arithmetic = exact`: grids have no room for `informed = {by}`, whose numbers may have any size; use plain"
            );
        }
        options.arithmetic = Some(Arithmetic::Plain);
        let scale = *self.informed_scale.get_or_insert(SCALE);
        if !(scale > 0.0 && scale <= 1.0) {
            let scale = number(scale);
            refuse!("`informed-scale = {scale}`: use a number above 0 and at most 1, such as 1e-2");
        }
        Ok(Some(scale))
    }
}
