//! What 16-bit weights do to the slope of a probe.

use anyhow::{Result, ensure};
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::backend::Backend;
use burn::tensor::{DType, Tensor};
use burn_flex::Flex;
use serde::Serialize;
use zograd_models::Model;
use zograd_perturb::{Direction, NoiseKind, ParameterSpace, Perturbed, Seed, Selection};
use zograd_tasks::Prompt;
use zograd_trainer::{Objective, measure};

/// Slopes of one batch along the same directions, with weights of each type.
#[derive(Debug, Serialize)]
pub struct Slopes {
    /// Half the distance of the two losses.
    pub eps: f64,
    /// The loss before any probe, with f32 weights.
    pub loss: f64,
    /// One a seed, with f32 weights.
    pub f32: Vec<f64>,
    /// The same seeds.
    pub f16: Vec<f64>,
    /// The same seeds.
    pub bf16: Vec<f64>,
    /// Root mean square of the f32 slopes.
    pub size: f64,
    /// Root mean square of the difference between an f16 slope and its f32 slope.
    pub f16_noise: f64,
    /// The same of bf16.
    pub bf16_noise: f64,
}

impl Slopes {
    /// Measures `(L(w + eps z) - L(w - eps z)) / (2 eps)` for `seeds` directions; each probe starts from weights that have
    /// not moved yet.
    ///
    /// # Errors
    /// A batch the model cannot score, or no seeds.
    pub fn measure(
        model: &Model<Flex>,
        batch: &[Prompt],
        objective: &dyn Objective,
        eps: f64,
        seeds: u64,
    ) -> Result<Self> {
        ensure!(seeds > 0, "no seeds");
        let prompts: Vec<&Prompt> = batch.iter().collect();
        let loss = |model: &Model<Flex>| -> Result<f64> {
            Ok(measure(model, &prompts, objective, None)?
                .loss(objective)
                .mean)
        };
        let slopes = |dtype| -> Result<Vec<f64>> {
            let model = model.clone().map(&mut To(dtype));
            let at = |direction: &Direction| -> Result<f64> {
                let space = ParameterSpace::select(&model, &Selection::All)?;
                let mut moved = Perturbed::new(model.clone(), space, NoiseKind::Gaussian, eps)?;
                moved.move_to(direction)?;
                loss(moved.module())
            };
            let seeds = (0..seeds).map(|seed| Direction::unit(Seed::new(seed)));
            seeds
                .map(|z| Ok((at(&z)? - at(&-z)?) / (2.0 * eps)))
                .collect()
        };
        let (f32, f16, bf16) = (
            slopes(DType::F32)?,
            slopes(DType::F16)?,
            slopes(DType::BF16)?,
        );
        let noise = |narrow: &[f64]| size(f32.iter().zip(narrow).map(|(a, b)| a - b));
        Ok(Self {
            eps,
            loss: loss(&model.clone().map(&mut To(DType::F32)))?,
            size: size(f32.iter().copied()),
            f16_noise: noise(&f16),
            bf16_noise: noise(&bf16),
            f32,
            f16,
            bf16,
        })
    }
}

/// Root mean square.
fn size(numbers: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = numbers.len() as f64;
    (numbers.map(|number| number * number).sum::<f64>() / count).sqrt()
}

/// All parameters in a type.
struct To(DType);

impl<B: Backend> ModuleMapper<B> for To {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        param.map(|tensor| tensor.cast(self.0))
    }
}
