//! Pretraining by backpropagation, the only gradient in this project's assets: zeroth-order methods
//! tune models that already know something.

use crate::random::Random;
use anyhow::{Result, ensure};
use burn::grad_clipping::GradientClippingConfig;
use burn::module::{AutodiffModule, Module, ModuleMapper, Param};
use burn::optim::{AdamWConfig, GradientsParams, Optimizer};
use burn::tensor::{Tensor, TensorData};
use burn_autodiff::Autodiff;
use burn_ndarray::NdArray;
use std::time::Instant;
use zograd_direction::Seed;
use zograd_models::{Model, ModelBackend, ModelConfig, Plan, Sequence, Sharing};

/// Where the model is trained and probed.
pub type Cpu = NdArray<f32>;

type Trained = Autodiff<Cpu>;

/// Steps between two lines of progress.
const REPORT_EVERY: usize = 100;

/// How the learning rate goes: up in a straight line, down along a half cosine to a twentieth.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// Optimiser steps.
    pub steps: usize,
    /// The largest learning rate of AdamW.
    pub peak: f64,
}

impl Schedule {
    const WARMUP: usize = 50;

    /// The learning rate of a step, counted from 0.
    fn rate(self, step: usize) -> f64 {
        let warm = ((step + 1) as f64 / Self::WARMUP as f64).min(1.0);
        let done = step as f64 / self.steps.max(1) as f64;
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * done).cos());
        self.peak * warm * (0.05 + 0.95 * cosine)
    }
}

/// Trains a fresh model to predict the next token of `documents`, each of which is seen once;
/// `documents.len() / schedule.steps` make a batch. Batches hold documents of similar length: they
/// are sorted within windows of 16 batches, and the batches shuffled.
///
/// # Errors
///
/// There are fewer documents than steps, a document is empty or longer than the position table, or the
/// loss stops being a number.
pub fn pretrain(
    config: &ModelConfig,
    mut documents: Vec<Vec<u32>>,
    held_out: &[Vec<u32>],
    schedule: Schedule,
    seed: Seed,
) -> Result<Model<Cpu>> {
    let batch = documents.len() / schedule.steps.max(1);
    ensure!(batch > 0, "fewer documents than steps: nothing to train on");
    let mut random = Random::new(seed);
    let mut batches: Vec<&[Vec<u32>]> = Vec::with_capacity(schedule.steps);
    for window in documents.chunks_mut(16 * batch) {
        window.sort_by_key(Vec::len);
        batches.extend(window.chunks_exact(batch));
    }
    batches.truncate(schedule.steps);
    random.shuffle(&mut batches);

    let mut model = fresh(config, &mut random);
    let mut optimizer = AdamWConfig::new()
        .with_beta_2(0.98)
        .with_epsilon(1e-8)
        .with_weight_decay(0.05)
        .with_grad_clipping(Some(GradientClippingConfig::Norm(1.0)))
        .init();
    let start = Instant::now();
    for (step, batch) in batches.into_iter().enumerate() {
        let loss = mean_loss(&model, batch)?;
        let value: f32 = loss.clone().into_scalar();
        ensure!(value.is_finite(), "the loss is {value} in step {step}");
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(schedule.rate(step), model, gradients);
        if (step + 1) % REPORT_EVERY == 0 {
            println!(
                "step {:5}/{}  loss {value:.3}  held out {:.3}  {:.0} s",
                step + 1,
                schedule.steps,
                held_out_loss(&model.valid(), held_out)?,
                start.elapsed().as_secs_f64(),
            );
        }
    }
    Ok(model.valid())
}

/// The mean over all tokens of `documents` but each first one of `-ln p(token | tokens before it)`.
///
/// # Errors
///
/// `documents` is empty, one of them has fewer than two tokens or is longer than the position table.
pub fn held_out_loss(model: &Model<Cpu>, documents: &[Vec<u32>]) -> Result<f32> {
    Ok(mean_loss(model, documents)?.into_scalar())
}

fn mean_loss<B: ModelBackend>(model: &Model<B>, documents: &[Vec<u32>]) -> Result<Tensor<B, 1>> {
    let groups: Vec<Vec<Sequence<'_>>> = documents
        .iter()
        .map(|ids| {
            vec![Sequence {
                ids,
                scored: ids.len().saturating_sub(1),
            }]
        })
        .collect();
    let plan = Plan::new(&groups, Sharing::None)?;
    Ok(model.log_probs_tensor(&plan)?.mean().neg())
}

/// An untrained model whose matrices come from `random`: burn's own generator may change between
/// versions and devices.
fn fresh(config: &ModelConfig, random: &mut Random) -> Model<Trained> {
    let model = Model::<Trained>::init(config, &Default::default());
    model.map(&mut Redraw {
        random,
        std: config.init_std as f32,
    })
}

/// Draws every matrix anew; vectors (biases, norms) keep their zeros and ones.
struct Redraw<'a> {
    random: &'a mut Random,
    std: f32,
}

impl ModuleMapper<Trained> for Redraw<'_> {
    fn map_float<const D: usize>(
        &mut self,
        param: Param<Tensor<Trained, D>>,
    ) -> Param<Tensor<Trained, D>> {
        if D < 2 {
            return param;
        }
        param.map(|tensor| {
            let shape = tensor.shape();
            let values: Vec<f32> = (0..shape.num_elements())
                .map(|_| self.std * self.random.normal())
                .collect();
            Tensor::from_data(TensorData::new(values, shape), &tensor.device()).require_grad()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiny() -> ModelConfig {
        ModelConfig::from_json(
            r#"{"model_type": "opt", "vocab_size": 16, "hidden_size": 16, "ffn_dim": 32,
                "num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 16,
                "init_std": 0.06}"#,
        )
        .expect("a valid shape")
    }

    /// Documents that count upwards from a random start: the next token is a function of the last.
    fn counting(count: usize) -> Vec<Vec<u32>> {
        let mut random = Random::new(Seed::new(9));
        (0..count)
            .map(|_| {
                let start = random.below(8) as u32;
                (start..start + 5).collect()
            })
            .collect()
    }

    #[test]
    fn learns_to_count_and_does_so_again() {
        let schedule = Schedule {
            steps: 150,
            peak: 1e-2,
        };
        let train = || {
            pretrain(
                &tiny(),
                counting(1200),
                &counting(8),
                schedule,
                Seed::new(1),
            )
            .expect("trains")
        };
        let losses = [train(), train()]
            .map(|model| held_out_loss(&model, &counting(32)).expect("documents fit"));
        // a uniform guess costs ln 16 = 2.77
        assert!(losses[0] < 0.3, "{losses:?}");
        assert_eq!(losses[0], losses[1]);
    }

    #[test]
    fn the_rate_rises_and_falls() {
        let schedule = Schedule {
            steps: 1000,
            peak: 1.0,
        };
        assert!(schedule.rate(0) < 0.05);
        assert!(schedule.rate(60) > 0.98);
        assert!((schedule.rate(999) - 0.05).abs() < 1e-3);
    }

    #[test]
    fn too_few_documents_are_refused() {
        let schedule = Schedule {
            steps: 10,
            peak: 1.0,
        };
        assert!(pretrain(&tiny(), counting(3), &[], schedule, Seed::new(1)).is_err());
    }
}
