//! Whole training steps.

use anyhow::Result;
use burn::tensor::DType;
use burn::tensor::backend::BackendTypes;
use serde::Serialize;
use std::time::Instant;
use zograd_models::{Model, ModelBackend, ModelConfig};
use zograd_perturb::{Grids, NoiseBackend, NoiseKind, ParameterSpace, Perturbed, Seed, Selection};
use zograd_select::{MethodSpec, Methods, StepContext, Strategy};
use zograd_tasks::Prompt;
use zograd_trainer::{
    Loss, Prober, Rule, Standing, Walking, measure, measure_at_each, peak_memory_bytes, run_step,
};

use crate::batches::Batches;
use crate::made::Made;
use crate::median;
use crate::perturbations::Family;

/// The methods that are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum MethodName {
    /// Two forwards.
    Mezo,
    /// A pool of two.
    Gv2,
    /// A pool of four.
    Gv4,
    /// A pool of four.
    Greedy4,
}

impl MethodName {
    /// Its strategy.
    ///
    /// # Errors
    /// None that depends on the input.
    pub fn strategy(self) -> Result<Box<dyn Strategy>> {
        let with_pool = |name, pool: usize| MethodSpec::new(name).with("pool", pool);
        let method = match self {
            Self::Mezo => MethodSpec::new("mezo"),
            Self::Gv2 => with_pool("gv", 2),
            Self::Gv4 => with_pool("gv", 4),
            Self::Greedy4 => with_pool("greedy", 4),
        };
        Ok(Methods::built_in().build(&method)?)
    }
}

/// How the losses at probes are had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ProberName {
    /// The weights walk from probe to probe.
    Walking,
    /// They stand still.
    Standing,
    /// They stand still, and layers are made at every probe, whatever the family.
    Made,
}

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub struct StepSettings {
    /// Of the weights.
    pub dtype: DType,
    /// The method.
    pub method: MethodName,
    /// How it has its losses.
    pub prober: ProberName,
    /// What seeds mean.
    pub family: Family,
    /// Steps that are not timed, before those that are.
    pub warmup: usize,
    /// Timed steps.
    pub steps: usize,
}

/// What the steps took. The names of the medians are those of the Python peer's report.
#[derive(Debug, Serialize)]
pub struct StepTimes {
    /// The method.
    pub method: String,
    /// Weights of the model.
    pub parameters: u64,
    /// Forward passes of one step.
    pub forwards: usize,
    /// Passes over the weights of one step; layers that are made although their family has factors are not counted.
    pub passes: u64,
    /// Noise streams of all passes of one step.
    pub streams: u64,
    /// The losses of each step, also of those that are not timed: the same with every prober in f32.
    pub losses: Vec<Vec<f64>>,
    /// Tokens through the layers in the last forward pass.
    pub tokens: usize,
    /// Seconds of each step.
    pub step_s: Vec<f64>,
    /// Their median.
    pub step_s_median: f64,
    /// The time that as many forward passes take without probes.
    pub forward_s_median: f64,
    /// Peak resident memory of this process.
    pub peak_rss_mib: Option<f64>,
}

impl StepTimes {
    /// Makes the steps, a batch each.
    ///
    /// # Errors
    /// Batches the model cannot score.
    pub fn measure<B: NoiseBackend + ModelBackend>(
        config: &ModelConfig,
        batches: &Batches,
        settings: StepSettings,
    ) -> Result<Self> {
        let StepSettings {
            dtype,
            method,
            prober,
            family,
            warmup,
            steps,
        } = settings;
        let device = <B as BackendTypes>::Device::default();
        // the same weights in every process
        B::seed(&device, 0);
        let model = Model::<B>::init_with_dtype(config, dtype, &device);
        let space = ParameterSpace::select(&model, &Selection::All)?;
        let parameters = space.dimension();
        let (kind, eps, lr) = (NoiseKind::Gaussian, 1e-3, 1e-6);
        let mut spec = family.spec();
        let noise = spec.perturbation(kind, &model, &space, Seed::new(1))?;
        // as runs do it
        let mut model = if dtype == DType::F32 {
            let grids = Grids::of_noise(&model, &space, &noise, eps, lr)?;
            Perturbed::on_grids(model, space, noise, eps, grids)?
        } else {
            Perturbed::new(model, space, noise, eps)?
        };
        let mut strategy = method.strategy()?;
        let (mut step_s, mut forward_s, mut tokens) = (Vec::new(), Vec::new(), 0);
        let mut losses: Vec<Vec<f64>> = Vec::new();
        let objective = batches.objective;
        for step in 0..warmup + steps {
            let batch: Vec<&Prompt> = batches.batches[step % batches.batches.len()]
                .iter()
                .collect();
            let seed = Seed::new(0).child(step as u64);
            let context = StepContext::new(step as u64, seed, model.eps());
            let start = Instant::now();
            measure(model.module(), &batch, objective, None)?;
            let forwards = strategy.forwards() as f64 * start.elapsed().as_secs_f64();
            let start = Instant::now();
            let mut walking;
            let mut standing;
            let mut made;
            let prober: &mut dyn Prober = match prober {
                ProberName::Walking => {
                    walking = Walking::new(&mut model, |m| {
                        let measured = measure(m, &batch, objective, None)?;
                        tokens = measured.tokens;
                        Ok(measured.loss(objective))
                    });
                    &mut walking
                }
                ProberName::Standing => {
                    standing = Standing::new(&mut model, |m, probes| {
                        let measured = measure_at_each(m, probes, &batch, objective)?;
                        tokens = measured.first().map_or(0, |first| first.tokens);
                        let losses = measured.iter().map(|found| found.loss(objective));
                        Ok(losses.collect::<Vec<Loss>>())
                    });
                    &mut standing
                }
                ProberName::Made => {
                    made = Standing::new(&mut model, |m, probes| {
                        let probes: Vec<Made<'_>> = probes.iter().copied().map(Made).collect();
                        let measured = measure_at_each(m, &probes, &batch, objective)?;
                        tokens = measured.first().map_or(0, |first| first.tokens);
                        let losses = measured.iter().map(|found| found.loss(objective));
                        Ok(losses.collect::<Vec<Loss>>())
                    });
                    &mut made
                }
            };
            let report = run_step(strategy.as_mut(), &context, prober, Rule::new(lr, 0.0))?;
            losses.push(report.evaluations.iter().map(|told| told.loss).collect());
            // a backend may compute later than it is asked
            B::sync(&device)?;
            if step >= warmup {
                step_s.push(start.elapsed().as_secs_f64());
                forward_s.push(forwards);
            }
        }
        Ok(Self {
            method: strategy.name().into(),
            parameters,
            forwards: strategy.forwards(),
            passes: model.passes() / (warmup + steps).max(1) as u64,
            streams: model.streams() / (warmup + steps).max(1) as u64,
            losses,
            tokens,
            step_s_median: median(&step_s),
            step_s,
            forward_s_median: median(&forward_s),
            peak_rss_mib: peak_memory_bytes().map(|b| b as f64 / f64::from(1 << 20)),
        })
    }
}
