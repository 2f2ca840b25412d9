//! How well the estimates of methods agree with the gradient, at the weights that a run would start from.

use super::prepare::Prepared;
use super::run::begin;
use crate::Runs;
use crate::backend::{Job, RunBackend, dispatch};
use crate::error::{Blame, Problem, Result, RunError, refuse};
use crate::experiment::SweepPlan;
use crate::settings::Procedure;
use crate::threads::with_threads;
use crate::watch::Watch;
use serde::Serialize;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use zograd_perturb::{Arithmetic, Seed};
use zograd_ranks::Ranks;
use zograd_select::{Methods, StepContext};
use zograd_tasks::Prompt;
use zograd_trainer::trajectory::{Header, Walk};
use zograd_trainer::{
    Alignment, Batches, DecayToward, ParameterVector, Reference, at_origin, exact_gradient,
};

/// Child of the seed that the order of the batches is drawn from.
const ORDER: u64 = 1;

/// What estimates are worth beside the gradient.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct AlignReport {
    /// The model in words.
    pub model: String,
    /// The task in words.
    pub task: String,
    /// How many numbers move.
    pub parameters: usize,
    /// Rows of the reference loss.
    pub rows: usize,
    /// Rows of a step.
    pub batch_size: usize,
    /// The reference loss, in nats a row.
    pub loss: f64,
    /// Length of its gradient g.
    pub gradient_norm: f64,
    /// Noise of a batch's gradient beside the gradient: the trace of its covariance over |g|^2. Above 1 most of what a batch says is
    /// chance. None with fewer than two batches.
    pub gradient_noise: Option<f64>,
    /// Where the gradient is, by parts of the model.
    pub blocks: Vec<BlockShare>,
    /// The methods.
    pub methods: Vec<MethodAlignment>,
}

/// A part of a model.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct BlockShare {
    /// Its name.
    pub name: String,
    /// How many numbers of it move.
    pub parameters: usize,
    /// Its share of |g|^2.
    pub share: f64,
}

/// What the estimates of a method are worth.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct MethodAlignment {
    /// The method.
    pub method: String,
    /// Forward passes of an estimate.
    pub forwards: u64,
    /// How many estimates there were.
    pub draws: usize,
    /// Mean cosine of the angle between estimate and gradient.
    pub cosine: f64,
    /// Its standard error.
    pub cosine_error: f64,
    /// What one random direction of dense noise, followed downhill without an error, has on average: sqrt(2 / (pi d)).
    pub cosine_of_one_direction: f64,
    /// What the best step along an estimate takes from the reference loss, to second order, in nats: the median.
    pub gain: f64,
    /// The same a forward pass.
    pub gain_per_forward: f64,
}

impl Runs {
    /// Holds `draws` estimates of each method of a plan against the gradient of the loss on the training rows. Nothing is
    /// trained, and nothing written.
    ///
    /// # Errors
    /// Wrong input: a method with a gradient, an objective without one; [`RunError::Stopped`] if it was asked to stop.
    pub fn align(
        &self,
        plan: &SweepPlan,
        draws: usize,
        watch: &mut dyn Watch,
    ) -> Result<AlignReport> {
        if draws < 2 {
            refuse!("`draws = {draws}`: use at least 2");
        }
        let (ranks, seed) = (self.ranks(), plan.seed.first().copied().unwrap_or(0));
        let mut points = plan.points();
        // estimates do not depend on the rate
        points.dedup_by(|a, b| (&a.method, a.eps) == (&b.method, b.eps));
        let settings = points.iter().map(|point| {
            let given = plan.settings(point, seed, self.methods());
            self.check(given.without("out"))
        });
        let settings = settings.collect::<Result<Vec<_>>>()?;
        if let Some(objective) = settings.iter().find_map(|s| s.objective)
            && objective.check_differentiable().is_err()
        {
            refuse!(
                "`objective = {objective}`: it has no gradient to hold estimates against; leave it out"
            );
        }
        with_threads(plan.threads(), || {
            let prepared = settings.into_iter().map(|settings| {
                let prepared = Prepared::new(
                    settings,
                    (self.tasks(), self.methods()),
                    None,
                    &ranks,
                    watch,
                );
                prepared.map(|(prepared, _)| prepared)
            });
            let prepared = prepared.collect::<Result<Vec<_>>>()?;
            let Some(first) = prepared.first() else {
                refuse!("`method`: name at least one");
            };
            let machine = first.machine().clone();
            let job = Aligning {
                prepared: &prepared,
                methods: self.methods(),
                ranks: &ranks,
                draws,
                watch,
            };
            dispatch(&machine, job)
        })
    }
}

struct Aligning<'a> {
    prepared: &'a [Prepared],
    methods: &'a Methods,
    ranks: &'a Ranks,
    draws: usize,
    watch: &'a mut dyn Watch,
}

impl Job for Aligning<'_> {
    type Output = AlignReport;

    fn run<B: RunBackend>(self, device: &B::Device) -> Result<AlignReport> {
        let mut report: Option<(AlignReport, ParameterVector)> = None;
        for prepared in self.prepared {
            let settings = &prepared.settings;
            let Procedure::ZerothOrder(_) = &settings.procedure else {
                refuse!(
                    "`method = {}`: it has the gradient itself; name methods by forward passes",
                    settings.method
                );
            };
            if settings.calibrates() {
                refuse!(
                    "`calibrate`: an alignment is of the loss itself, without biases of the options; leave it out"
                );
            }
            if settings.config.balanced {
                refuse!("`balanced`: an alignment draws its batches evenly; leave it out");
            }
            if settings.procedure.is_informed() {
                refuse!("`informed`: an alignment is of estimates by noise alone; leave it out");
            }
            if let Some(rule) = settings.procedure.step_rule() {
                refuse!("`{rule}`: an alignment is of the estimate of one step; leave it out");
            }
            if settings.procedure.is_per_example() {
                refuse!(
                    "`method = {}`: an alignment is of estimates by losses of whole batches; name other methods",
                    settings.method
                );
            }
            let beginning =
                begin::<B>(prepared, None, None, (self.ranks, &mut *self.watch), device)?;
            let Some(mut header) = beginning.header else {
                refuse!("`method = {}`: it makes no estimates", settings.method);
            };
            let model = beginning.model;
            let (objective, selection) = (prepared.objective.as_ref(), settings.selection());
            let rows: Vec<&Prompt> = prepared.data.train.iter().collect();
            let size = settings.config.batch_size;
            if report.is_none() {
                let mut sums = Sums::default();
                let parts = rows.chunks(size);
                self.watch.work_begins("gradient", parts.len() as u64);
                for (place, part) in rows.chunks(size).enumerate() {
                    self.go_on()?;
                    let found = exact_gradient(model.clone(), &selection, objective, part, size);
                    sums.take(part.len() == size, found.or_input()?, part.len());
                    self.watch.work_done(place as u64 + 1);
                }
                self.watch.work_ends();
                let found = sums.report(prepared);
                if !(found.0.loss.is_finite() && found.0.gradient_norm.is_finite()) {
                    refuse!(
                        "the loss or the gradient of the weights is not finite: there is nothing to hold an estimate against"
                    );
                }
                report = Some(found);
            }
            let Some((report, gradient)) = &mut report else {
                continue;
            };
            // directions as numbers: the same noise from the origin, by steps of one
            header.arithmetic = Arithmetic::Plain;
            header.config.decay_toward = DecayToward::Zero;
            let walk =
                |header: &Header| Walk::from_start(&model, header, PathBuf::new()).or_input();
            let mut at = walk(&header)?.begin(model.clone()).while_running()?;
            header.eps = 1.0;
            let origin = at_origin(model.clone());
            let mut numbers = walk(&header)?.begin(origin).while_running()?;
            let mut strategy = self.methods.build(&header.method).or_input()?;
            let reference = Reference {
                gradient,
                selection: &selection,
                prompts: &rows,
                objective,
                batch_size: settings.config.eval_batch_size,
            };
            let seed = Seed::new(settings.config.seed);
            let mut batches = Batches::new(seed.child(ORDER), rows.len(), size);
            let mut found = Vec::new();
            self.watch.work_begins("estimates", self.draws as u64);
            for draw in 0..self.draws as u64 {
                self.go_on()?;
                let batch: Vec<&Prompt> = batches.at(draw).into_iter().map(|i| rows[i]).collect();
                let context = StepContext::new(draw, seed.child(draw), at.eps());
                let one =
                    reference.alignment(&mut at, &mut numbers, strategy.as_mut(), &context, &batch);
                found.push(one.or_input()?);
                self.watch.work_done(draw + 1);
            }
            self.watch.work_ends();
            let method = sum_up(settings.method.clone(), &found, report.parameters);
            report.methods.push(method);
        }
        match report {
            Some((report, _)) => Ok(report),
            None => refuse!("`method`: name at least one"),
        }
    }
}

impl Aligning<'_> {
    fn go_on(&self) -> Result<()> {
        match self.ranks.asked().load(Ordering::Relaxed) {
            true => Err(RunError::Stopped(Problem::new(
                "interrupted; nothing was written",
            ))),
            false => Ok(()),
        }
    }
}

/// Gradients of batches.
#[derive(Default)]
struct Sums {
    sum: ParameterVector,
    loss: f64,
    rows: usize,
    /// Squared lengths of those of whole batches.
    squares: Vec<f64>,
    /// That of their mean.
    square_of_mean: f64,
}

impl Sums {
    fn take(&mut self, whole: bool, (loss, gradient): (f64, ParameterVector), rows: usize) {
        let square = gradient.dot(&gradient);
        self.loss += loss * rows as f64;
        self.rows += rows;
        self.sum.add(gradient.times(rows as f32));
        if whole {
            self.squares.push(square);
            self.square_of_mean = self.sum.dot(&self.sum) / (self.rows as f64).powi(2);
        }
    }

    fn report(self, prepared: &Prepared) -> (AlignReport, ParameterVector) {
        let gradient = self.sum.times(1.0 / self.rows as f32);
        let square = gradient.dot(&gradient);
        let batches = self.squares.len() as f64;
        let noise = (self.squares.len() > 1).then(|| {
            let mean = self.squares.iter().sum::<f64>() / batches;
            let spread = (mean - self.square_of_mean).max(0.0);
            spread * batches / (batches - 1.0) / square
        });
        let report = AlignReport {
            model: prepared.sources.model_name.clone(),
            task: prepared.sources.task_name.clone(),
            parameters: gradient.dimension(),
            rows: self.rows,
            batch_size: prepared.settings.config.batch_size,
            loss: self.loss / self.rows as f64,
            gradient_norm: square.sqrt(),
            gradient_noise: noise,
            blocks: blocks(&gradient, square),
            methods: Vec::new(),
        };
        (report, gradient)
    }
}

/// The parts of the model, in its order.
fn blocks(gradient: &ParameterVector, square: f64) -> Vec<BlockShare> {
    let mut blocks: Vec<BlockShare> = Vec::new();
    for (name, values) in gradient.tensors() {
        let name = block(name);
        let share = values.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>() / square;
        match blocks.last_mut().filter(|last| last.name == name) {
            Some(last) => {
                last.parameters += values.len();
                last.share += share;
            }
            None => blocks.push(BlockShare {
                name: name.into(),
                parameters: values.len(),
                share,
            }),
        }
    }
    blocks
}

/// The part that a tensor belongs to: its layer, or the module that holds it.
fn block(name: &str) -> &str {
    let layer = name.find("layers.").and_then(|at| {
        let number = at + "layers.".len();
        let end = name[number..].find('.')?;
        Some(&name[..number + end])
    });
    layer.unwrap_or_else(|| name.rsplit_once('.').map_or(name, |(module, _)| module))
}

fn sum_up(method: String, found: &[Alignment], parameters: usize) -> MethodAlignment {
    let draws = found.len();
    let n = draws as f64;
    let cosine = found.iter().map(|one| one.cosine).sum::<f64>() / n;
    let spread = found
        .iter()
        .map(|one| (one.cosine - cosine).powi(2))
        .sum::<f64>()
        / (n - 1.0);
    let forwards = found.iter().map(|one| one.forwards).max().unwrap_or(0);
    let mut gains: Vec<f64> = found.iter().map(|one| one.gain).collect();
    gains.sort_by(f64::total_cmp);
    let gain = gains[draws / 2];
    MethodAlignment {
        method,
        forwards,
        draws,
        cosine,
        cosine_error: (spread / n).sqrt(),
        cosine_of_one_direction: (2.0 / (std::f64::consts::PI * parameters as f64)).sqrt(),
        gain,
        gain_per_forward: gain / forwards.max(1) as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tensor_belongs_to_its_layer() {
        assert_eq!(block("decoder.layers.10.fc1.weight"), "decoder.layers.10");
        assert_eq!(block("decoder.embed_tokens.weight"), "decoder.embed_tokens");
        assert_eq!(block("layers.0.x"), "layers.0");
        assert_eq!(block("scale"), "scale");
    }
}
