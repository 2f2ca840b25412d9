//! How well a method's estimates agree with the gradient.

use super::ParameterVector;
use crate::measure::measure;
use crate::{LanguageModel, Objective, Rule, TrainError, Walking, run_step};
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use zograd_perturb::{AppliedUpdate, Direction, NoiseBackend, Perturbed, Selection};
use zograd_select::{StepContext, Strategy};
use zograd_tasks::Prompt;

/// What one step's estimate is worth, beside the gradient of a reference loss.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Alignment {
    /// Forward passes of the step.
    pub forwards: u64,
    /// Cosine of the angle between the estimate and the gradient; 0 if the step was skipped.
    pub cosine: f64,
    /// What the best length of a step along the estimate takes from the reference loss, to second order, in nats:
    /// (u . g)^2 / (2 u' H u). Not a number where the loss does not curve upwards along it.
    pub gain: f64,
}

/// What estimates are held against.
pub struct Reference<'a> {
    /// The gradient of the loss of the prompts, at the weights where estimates are made.
    pub gradient: &'a ParameterVector,
    /// What the gradient is taken by.
    pub selection: &'a Selection,
    /// The prompts.
    pub prompts: &'a [&'a Prompt],
    /// What is minimised.
    pub objective: &'a dyn Objective,
    /// Prompts of a forward pass.
    pub batch_size: usize,
}

impl Reference<'_> {
    /// Makes one step of `strategy` on `batch` whose learning rate is 0, and holds its estimate against the gradient. `numbers` is
    /// the same model at the origin with a perturbation scale of 1: there weights are the numbers of a direction.
    ///
    /// # Errors
    /// As [`run_step`], or prompts that cannot be scored.
    pub fn alignment<B, M>(
        &self,
        model: &mut Perturbed<B, M>,
        numbers: &mut Perturbed<B, M>,
        strategy: &mut dyn Strategy,
        context: &StepContext,
        batch: &[&Prompt],
    ) -> Result<Alignment, TrainError>
    where
        B: NoiseBackend,
        M: Module<B> + LanguageModel,
    {
        let loss = |model: &M| {
            let measured = measure(model, batch, self.objective, None)?;
            Ok(measured.loss(self.objective))
        };
        let mut walking = Walking::new(model, loss);
        let report = run_step(strategy, context, &mut walking, Rule::new(0.0, 0.0))?;
        let forwards = report.evaluations.len() as u64;
        // from the next draw on both have noise of the same shape
        let nothing = AppliedUpdate::new(Direction::zero(), 0.0).with_decay(0.0, context.step);
        numbers.begin(context.step)?;
        numbers.recall(&nothing.with_learnt(report.learnt))?;
        let estimate = report.direction;
        if estimate.is_zero() {
            return Ok(Alignment {
                forwards,
                cosine: 0.0,
                gain: 0.0,
            });
        }
        // of length one, so that no number depends on how large the slope was
        let unit = &estimate * (1.0 / estimate.norm_squared().sqrt());
        numbers.move_to(&unit)?;
        let values = ParameterVector::of(numbers.module(), self.selection);
        numbers.move_to(&Direction::zero())?;
        let (along, square) = (values.dot(self.gradient), values.dot(&values));
        let (length, slope) = (square.sqrt(), along / square.sqrt());
        Ok(Alignment {
            forwards,
            cosine: slope / self.gradient.dot(self.gradient).sqrt(),
            gain: slope * slope / (2.0 * self.curvature(model, &unit, length)?),
        })
    }

    /// The second derivative of the reference loss along a direction of this length with the perturbation scale 1, by a
    /// length of one, from losses at both sides.
    fn curvature<B, M>(
        &self,
        model: &mut Perturbed<B, M>,
        direction: &Direction,
        length: f64,
    ) -> Result<f64, TrainError>
    where
        B: NoiseBackend,
        M: Module<B> + LanguageModel,
    {
        let here = self.loss(model.module())?;
        model.move_to(direction)?;
        let plus = self.loss(model.module())?;
        model.move_to(&(direction * -1.0))?;
        let minus = self.loss(model.module())?;
        model.move_to(&Direction::zero())?;
        let step = model.eps() * length;
        Ok((plus - 2.0 * here + minus) / (step * step))
    }

    fn loss<M: LanguageModel>(&self, model: &M) -> Result<f64, TrainError> {
        let (mut sum, mut terms) = (0.0, 0);
        for part in self.prompts.chunks(self.batch_size.max(1)) {
            let loss = measure(model, part, self.objective, None)?.loss(self.objective);
            sum += loss.mean * loss.terms as f64;
            terms += loss.terms;
        }
        Ok(sum / terms as f64)
    }
}

/// A module whose float parameters are all zero.
pub fn at_origin<B: Backend, M: Module<B>>(module: M) -> M {
    module.map(&mut Origin)
}

struct Origin;

impl<B: Backend> ModuleMapper<B> for Origin {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        param.map(|values| values.zeros_like())
    }
}
