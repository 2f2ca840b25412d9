//! The probes of an adapter's step: together in one pass, and one after the other.

use anyhow::{Result, ensure};
use burn::tensor::backend::BackendTypes;
use serde::Serialize;
use std::hint::black_box;
use zograd_models::{
    ADAPTERS, AdapterConfig, LoraConfig, Model, ModelBackend, ModelConfig, ModelError, Plan,
    PrefixConfig,
};
use zograd_perturb::{
    Direction, NoiseBackend, NoiseKind, ParameterSpace, Perturbed, Seed, Selection,
};

use crate::batches::Batches;
use crate::seconds;

/// An adapter with the paper's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum AdapterName {
    /// Rank 8 on queries and values.
    Lora,
    /// Five tokens.
    Prefix,
}

impl AdapterName {
    fn config(self) -> AdapterConfig {
        match self {
            Self::Lora => AdapterConfig::Lora(LoraConfig::default()),
            Self::Prefix => AdapterConfig::Prefix(PrefixConfig::default()),
        }
    }
}

/// Times of both ways; every list has one entry a repetition.
#[derive(Debug, Default, Serialize)]
pub struct ProbeTimes {
    /// Adapters that are scored.
    pub probes: usize,
    /// Batches of a repetition.
    pub batches: usize,
    /// Tokens of all batches, for one adapter.
    pub tokens: usize,
    /// All adapters by [`Model::log_probs_of_each`].
    pub together_s: Vec<f64>,
    /// All adapters, a pass each.
    pub one_by_one_s: Vec<f64>,
    /// The largest difference between a log-probability of the one way and of the other.
    pub difference: f32,
}

impl ProbeTimes {
    /// Measures both in turn, `repeats` times.
    ///
    /// # Errors
    /// Batches or an adapter that the model cannot have.
    pub fn measure<B: NoiseBackend + ModelBackend>(
        config: &ModelConfig,
        batches: &Batches,
        (adapter, probes): (AdapterName, usize),
        repeats: usize,
    ) -> Result<Self> {
        ensure!(probes > 0, "--probes 0: use at least 1");
        let device = <B as BackendTypes>::Device::default();
        let base = Model::<B>::init(config, &device);
        let start = base.with_adapter(&adapter.config(), Seed::new(0))?;
        let space = ParameterSpace::select(&start, &Selection::matching(ADAPTERS))?;
        let mut walk = Perturbed::new(start, space, NoiseKind::Gaussian, 1e-2)?;
        let mut models = Vec::with_capacity(probes);
        for probe in 0..probes as u64 {
            walk.move_to(&Direction::unit(Seed::new(probe)))?;
            models.push(walk.module().clone());
        }
        let plans = batches
            .batches
            .iter()
            .map(|batch| batches.plan(batch))
            .collect::<Result<Vec<Plan>>>()?;
        let mut times = Self {
            probes,
            batches: plans.len(),
            tokens: plans.iter().map(|plan| plan.stats().tokens).sum(),
            ..Self::default()
        };
        let together = |plan: &Plan| Model::log_probs_of_each(&models, plan);
        let one_by_one = |plan: &Plan| models.iter().map(|model| model.log_probs(plan)).collect();
        for plan in &plans {
            let (a, b): (Vec<Vec<f32>>, Vec<Vec<f32>>) = (together(plan)?, one_by_one(plan)?);
            let differences = a.iter().flatten().zip(b.iter().flatten());
            let largest = differences.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            times.difference = times.difference.max(largest);
        }
        for round in 0..=repeats {
            let mut outcome = Ok(());
            let together = all(&plans, &mut outcome, together);
            let one_by_one = all(&plans, &mut outcome, one_by_one);
            outcome?;
            // the first round warms up
            if round > 0 {
                times.together_s.push(together);
                times.one_by_one_s.push(one_by_one);
            }
        }
        Ok(times)
    }
}

/// Seconds that all plans take.
fn all(
    plans: &[Plan],
    outcome: &mut Result<(), ModelError>,
    score: impl Fn(&Plan) -> Result<Vec<Vec<f32>>, ModelError>,
) -> f64 {
    seconds(|| {
        for plan in plans {
            match score(plan) {
                Ok(scores) => drop(black_box(scores)),
                Err(error) => *outcome = Err(error),
            }
        }
    })
}
