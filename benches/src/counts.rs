//! Work that can be counted: the same on every machine, so a test can hold it.

use anyhow::Result;
use burn_ndarray::NdArray;
use serde::{Deserialize, Serialize};
use zograd_models::{Model, ModelConfig, Probe};
use zograd_perturb::{NoiseKind, ParameterSpace, Perturbed, Seed, Selection};
use zograd_select::StepContext;
use zograd_tasks::Prompt;
use zograd_trainer::{Loss, Rule, Standing, run_step};

use crate::batches::{Batches, padded_tokens};
use crate::perturbations::{Family, FamilyName};
use crate::steps::MethodName;

/// What one step of a method does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepCounts {
    /// Forward passes.
    pub forwards: usize,
    /// Passes over the weights.
    pub passes: u64,
    /// Noise streams generated, summed over the passes.
    pub streams: u64,
}

impl StepCounts {
    /// Counted on a model of a few hundred weights.
    ///
    /// # Errors
    /// None that depends on the input.
    pub fn of(method: MethodName, family: FamilyName) -> Result<Self> {
        let config = ModelConfig::from_json(
            r#"{"vocab_size": 32, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
                "ffn_dim": 16, "max_position_embeddings": 16}"#,
        )?;
        let model = Model::<NdArray>::init(&config, &Default::default());
        let space = ParameterSpace::select(&model, &Selection::All)?;
        let family = Family {
            name: family,
            rank: 2,
            refresh: 10,
        };
        let noise =
            family
                .spec()
                .perturbation(NoiseKind::Gaussian, &model, &space, Seed::new(1))?;
        let mut model = Perturbed::new(model, space, noise, 1e-3)?;
        let mut strategy = method.strategy()?;
        let context = StepContext::new(0, Seed::new(0), model.eps());
        let mut forwards = 0;
        // rising losses: which candidate wins, and so how many streams are needed, must not be left to chance
        let mut prober = Standing::new(&mut model, |_, probes| {
            let points = probes.iter().map(Probe::<NdArray>::points);
            let losses = points.sum::<usize>();
            forwards += losses;
            let first = forwards - losses;
            Ok((first..forwards)
                .map(|loss| Loss::new(loss as f64))
                .collect())
        });
        run_step(
            strategy.as_mut(),
            &context,
            &mut prober,
            Rule::new(1e-6, 0.0),
        )?;
        Ok(Self {
            forwards,
            passes: model.passes(),
            streams: model.streams(),
        })
    }
}

/// What one forward pass over a batch does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchCounts {
    /// Tokens through the layers.
    pub tokens: usize,
    /// Tokens the Python originals push through them.
    pub padded_tokens: usize,
    /// Positions at which logits are computed.
    pub logit_positions: usize,
    /// Floating-point operations of the matrix products.
    pub flops: u64,
}

impl BatchCounts {
    /// Of each batch, on a model of this shape.
    ///
    /// # Errors
    /// A candidate that cannot be scored.
    pub fn of(batches: &Batches, config: &ModelConfig) -> Result<Vec<Self>> {
        let count = |batch: &Vec<Prompt>| {
            let plan = batches.plan(batch)?;
            Ok(Self {
                tokens: plan.stats().tokens,
                padded_tokens: padded_tokens(batch),
                logit_positions: plan.stats().logit_positions,
                flops: plan.flops(config),
            })
        };
        batches.batches.iter().map(count).collect()
    }
}
