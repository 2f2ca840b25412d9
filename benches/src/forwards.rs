//! Forward passes, against the rate of the matrix library.

use anyhow::Result;
use burn::tensor::backend::BackendTypes;
use burn::tensor::{DType, Distribution, Tensor};
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, Par};
use serde::Serialize;
use std::collections::HashMap;
use std::hint::black_box;
use zograd_models::{Linear, Model, ModelBackend, ModelConfig, Plan};

use crate::batches::Batches;
use crate::seconds;

/// Times of the forward passes over some batches; every list has one entry a repetition.
#[derive(Debug, Default, Serialize)]
pub struct ForwardTimes {
    /// Batches of a repetition.
    pub batches: usize,
    /// Tokens through the layers in all of them.
    pub tokens: usize,
    /// Positions at which logits are computed.
    pub logit_positions: usize,
    /// Floating-point operations that the plans need ([`Plan::flops`]).
    pub flops: u64,
    /// Scores of all batches.
    pub forward_s: Vec<f64>,
    /// The matrix products of the linear layers alone, with their biases, on as many tokens: what is left is
    /// attention, norms, activations, residuals and logits.
    pub linear_s: Vec<f64>,
    /// Floating-point operations of those.
    pub linear_flops: u64,
    /// The matrix library at a size that suits it, in operations a second.
    pub peak_flops: Vec<f64>,
}

impl ForwardTimes {
    /// Measures all of them in turn, `repeats` times.
    ///
    /// # Errors
    /// Batches the model cannot score.
    pub fn measure<B: ModelBackend>(
        config: &ModelConfig,
        batches: &Batches,
        dtype: DType,
        repeats: usize,
    ) -> Result<Self> {
        let device = <B as BackendTypes>::Device::default();
        let model = Model::<B>::init_with_dtype(config, dtype, &device);
        let plans = batches
            .batches
            .iter()
            .map(|batch| batches.plan(batch))
            .collect::<Result<Vec<Plan>>>()?;
        let stats = || plans.iter().map(Plan::stats);
        let widths = config.projections().into_iter();
        let layer_weights: usize = widths
            .map(|(_, [width_in, width_out])| width_in * width_out)
            .sum();
        let mut times = Self {
            batches: plans.len(),
            tokens: stats().map(|s| s.tokens).sum(),
            logit_positions: stats().map(|s| s.logit_positions).sum(),
            flops: plans.iter().map(|plan| plan.flops(config)).sum(),
            linear_flops: stats()
                .map(|s| 2 * (s.tokens * layer_weights * config.num_hidden_layers) as u64)
                .sum(),
            ..Self::default()
        };
        let mut peak = Peak::new();
        for round in 0..=repeats {
            let mut outcome = Ok(());
            let forward = seconds(|| {
                for plan in &plans {
                    match model.log_probs(plan) {
                        Ok(scores) => drop(black_box(scores)),
                        Err(error) => outcome = Err(error),
                    }
                }
            });
            outcome?;
            let linear = stats().map(|s| linear_layers(&model, s.tokens)).sum();
            let rate = peak.measure();
            // the first round warms up
            if round > 0 {
                times.forward_s.push(forward);
                times.linear_s.push(linear);
                times.peak_flops.push(rate);
            }
        }
        Ok(times)
    }
}

/// Seconds that the linear layers of all decoder layers take on `tokens` tokens.
fn linear_layers<B: ModelBackend>(model: &Model<B>, tokens: usize) -> f64 {
    let device = model.device();
    let random = |width| {
        let x = Tensor::<B, 2>::random([tokens, width], Distribution::Default, &device);
        x.cast(B::activations(model.dtype()))
    };
    let config = model.config();
    let projections = config.projections();
    // one input for each width
    let inputs = projections
        .iter()
        .map(|(_, [width_in, _])| (*width_in, random(*width_in)));
    let inputs: HashMap<usize, Tensor<B, 2>> = inputs.collect();
    let apply = |linear: &Linear<B>, x: &Tensor<B, 2>| {
        let bias = linear.bias.as_ref().map(|bias| bias.val());
        drop(black_box(B::packed_linear(
            x.clone(),
            linear.weight.val(),
            bias,
        )));
    };
    let _ = B::sync(&device);
    seconds(|| {
        for layer in 0..config.num_hidden_layers {
            for (which, [width_in, _]) in &projections {
                let linear = model.projection(layer, *which);
                apply(linear.expect("a layer of the model"), &inputs[width_in]);
            }
        }
        // a backend may compute later than it is asked
        let _ = B::sync(&device);
    })
}

/// Products of square matrices in the layout of a linear layer: `A` row-major, `B` column-major.
struct Peak {
    a: Mat<f32>,
    b: Mat<f32>,
    c: Mat<f32>,
}

impl Peak {
    /// Large enough that packing and threads cost nothing, small enough for a tenth of a second.
    const SIZE: usize = 2048;

    fn new() -> Self {
        let value = |i: usize, j: usize| ((i * 7 + j * 13) % 17) as f32 - 8.0;
        let filled = || Mat::from_fn(Self::SIZE, Self::SIZE, value);
        Self {
            a: filled(),
            b: filled(),
            c: Mat::zeros(Self::SIZE, Self::SIZE),
        }
    }

    /// Operations a second, the best of three products.
    fn measure(&mut self) -> f64 {
        let flops = 2.0 * (Self::SIZE as f64).powi(3);
        let once = || {
            flops
                / seconds(|| {
                    matmul(
                        self.c.as_mut().transpose_mut(),
                        Accum::Replace,
                        self.a.as_ref().transpose(),
                        self.b.as_ref(),
                        1.0,
                        Par::rayon(0),
                    );
                    black_box(&self.c);
                })
        };
        std::iter::repeat_with(once).take(3).fold(0.0, f64::max)
    }
}
