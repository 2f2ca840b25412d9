use crate::{Event, Guards, Prober, Ruling, TrainError, Verdict};
use zograd_perturb::{AppliedUpdate, Direction, Learnt};
use zograd_select::{SkipReason, StepContext, Strategy, Told, Update, try_run_step_together};
use zograd_tasks::rewards::RewardFailure;

/// How an update is made of a direction: `theta <- theta - lr * (direction + decay * theta)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// Learning rate.
    pub lr: f64,
    /// Weight decay lambda.
    pub decay: f64,
}

impl Rule {
    /// With this learning rate and this weight decay.
    pub fn new(lr: f64, decay: f64) -> Self {
        Self { lr, decay }
    }
}

/// What one step did.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StepReport {
    /// The evaluated directions and their losses, in the order asked.
    pub evaluations: Vec<Told>,
    /// Tokens that went through the layers for them.
    pub tokens: u64,
    /// What was subtracted from the weights, before the factor of the learning rate; zero if skipped.
    pub direction: Direction,
    /// What was learnt for the weights to keep, if something was; nothing if the step was skipped.
    pub learnt: Option<Learnt>,
    /// The projected gradient as it was measured; 0 if none was.
    pub projected_gradient: f64,
    /// The learning rate, after the factor of the verdict.
    pub lr: f64,
    /// Why no update was made.
    pub skipped: Option<SkipReason>,
    /// What the judge said; nothing unusual if there was nothing to judge.
    pub judged: Ruling,
    /// Why answers had no rewards, if some had none. Then no update was made, whatever the strategy thought of it.
    pub reward_failure: Option<RewardFailure>,
}

impl StepReport {
    /// What was unusual about the step, and whether `guards` end the run with it: what the judge said, unless the step
    /// was skipped for another reason, which then counts.
    pub fn ruling(&self, guards: &Guards) -> Ruling {
        if let Some(failure) = self.reward_failure {
            return guards.skipped(Event::of_reward(failure));
        }
        match self.skipped {
            Some(reason) if self.judged.verdict != Verdict::Skip(reason) => {
                let ruling = guards.skipped(Event::of_skip(reason));
                Ruling {
                    stops: ruling.stops || self.judged.stops,
                    ..ruling
                }
            }
            _ => self.judged,
        }
    }
}

/// One step of `strategy`: `prober` gives the losses at every direction the strategy asks about, and makes the
/// update.
///
/// If the step is skipped, or an error ends it, the weights are restored to where they were (to rounding). A
/// non-finite loss or update is skipped and never reaches the weights.
///
/// ```
/// # use burn::module::{Module, Param};
/// # use burn::tensor::{Tensor, backend::Backend};
/// # use burn_ndarray::NdArray;
/// # use zograd_perturb::{NoiseKind, ParameterSpace, Perturbed, Seed, Selection};
/// # use zograd_select::{MethodSpec, Methods, StepContext};
/// # use zograd_trainer::{Rule, TrainError, Walking, run_step};
/// # #[derive(Module, Debug)]
/// # struct Point<B: Backend> { x: Param<Tensor<B, 1>> }
/// # let x = Tensor::<NdArray<f32>, 1>::zeros([10], &Default::default());
/// # let point = Point { x: Param::from_tensor(x) };
/// # let loss = |p: &Point<NdArray<f32>>| -> Result<f64, TrainError> {
/// #     Ok(f64::from((p.x.val() - 1.0).powi_scalar(2).sum().into_scalar()))
/// # };
/// # let space = ParameterSpace::select(&point, &Selection::All)?;
/// # let mut model = Perturbed::new(point, space, NoiseKind::Gaussian, 1e-3)?;
/// # let mut mezo = Methods::built_in().build(&MethodSpec::new("mezo"))?;
/// # let context = StepContext::new(0, Seed::new(0), 1e-3);
/// let report = run_step(mezo.as_mut(), &context, &mut Walking::new(&mut model, loss), Rule::new(0.02, 0.0))?;
/// assert_eq!(report.evaluations.len(), 2);
/// # Ok::<(), TrainError>(())
/// ```
///
/// # Errors
/// Whatever the prober or the strategy returns; [`zograd_select::StrategyError::Losses`] if the prober answers with
/// another number of losses than it was asked for.
pub fn run_step(
    strategy: &mut dyn Strategy,
    context: &StepContext,
    prober: &mut dyn Prober,
    rule: Rule,
) -> Result<StepReport, TrainError> {
    run_judged_step(strategy, context, prober, rule, |_, _| Ruling::default())
}

/// [`run_step`] that lets `judge` shorten or veto the update.
///
/// # Errors
/// As [`run_step`].
pub fn run_judged_step(
    strategy: &mut dyn Strategy,
    context: &StepContext,
    prober: &mut dyn Prober,
    rule: Rule,
    judge: impl FnOnce(&[Told], &Update) -> Ruling,
) -> Result<StepReport, TrainError> {
    let done = attempt(strategy, context, prober, rule, judge);
    // also after an error, which says more than one that follows from it
    let rested = prober.rest();
    let report = done?;
    rested?;
    Ok(report)
}

/// The step up to its end, where the prober may stand anywhere.
fn attempt(
    strategy: &mut dyn Strategy,
    context: &StepContext,
    prober: &mut dyn Prober,
    rule: Rule,
    judge: impl FnOnce(&[Told], &Update) -> Ruling,
) -> Result<StepReport, TrainError> {
    prober.begin(context.step)?;
    let (mut tokens, mut reward_failure) = (0, None);
    let outcome = try_run_step_together(strategy, context, |directions| {
        let losses = prober.losses(directions)?;
        tokens += losses.iter().map(|loss| loss.tokens).sum::<u64>();
        let failed = losses.iter().find_map(|loss| loss.reward_failure);
        reward_failure = reward_failure.or(failed);
        Ok::<_, TrainError>(losses.iter().map(|loss| loss.mean).collect())
    })?;
    let mut report = StepReport {
        evaluations: outcome.evaluations,
        tokens,
        direction: Direction::zero(),
        learnt: None,
        projected_gradient: 0.0,
        lr: rule.lr,
        skipped: outcome.skipped,
        judged: Ruling::default(),
        reward_failure,
    };
    let Some(update) = outcome.update else {
        return Ok(report);
    };
    report.projected_gradient = update.projected_gradient;
    if reward_failure.is_some() {
        report.skipped = Some(SkipReason::NonFiniteLoss);
        strategy.not_applied();
        return Ok(report);
    }
    report.judged = judge(&report.evaluations, &update);
    match report.judged.verdict {
        Verdict::Skip(reason) => report.skipped = Some(reason),
        Verdict::Apply(factor) => {
            report.lr = rule.lr * factor;
            let update = AppliedUpdate::new(update.direction, report.lr)
                .with_decay(rule.decay, context.step)
                .with_learnt(update.learnt);
            report.skipped = prober.update(&update)?;
            if report.skipped.is_none() {
                report.direction = update.direction;
                report.learnt = update.learnt;
            }
        }
    }
    if report.skipped.is_some() {
        strategy.not_applied();
    }
    Ok(report)
}
