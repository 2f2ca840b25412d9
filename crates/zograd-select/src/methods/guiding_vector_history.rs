use super::guiding_vector::guiding_vector;
use super::mezo::{all_finite, two_sided};
use crate::{
    Action, Configured, NoSettings, Setting, SkipReason, StepContext, Strategy, StrategyError, Told,
};
use zograd_direction::{Direction, Seed};

/// MeZO-GV with history: the best seed so far is evaluated again, at the present weights and batch, beside
/// one new candidate; `v` = better minus worse, then the two-sided estimate along `v`, and the better seed
/// becomes the record. Four forwards. The first step draws two new candidates.
///
/// The default path of the authors of arXiv 2601.04710. On a tie their `v` is 0 and the step is lost;
/// here the new candidate counts as the better one.
#[derive(Clone, Copy, Debug, Default)]
pub struct GuidingVectorHistory {
    best: Option<Seed>,
}

impl GuidingVectorHistory {
    /// A strategy that remembers nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn candidates(&self, step: &StepContext) -> [Seed; 2] {
        let fresh = step.seed.child(0);
        [fresh, self.best.unwrap_or_else(|| step.seed.child(1))]
    }
}

impl Configured for GuidingVectorHistory {
    const NAME: &'static str = "gv-history";
    const ABOUT: &'static str =
        "Guiding vector of one new candidate and the best of the steps before: 4 forwards";
    const SETTINGS: &'static [Setting] = &[];
    type Settings = NoSettings;

    fn configured(NoSettings {}: NoSettings) -> Result<Self, StrategyError> {
        Ok(Self::new())
    }
}

impl Strategy for GuidingVectorHistory {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn forwards(&self) -> usize {
        4
    }

    fn next(&mut self, step: &StepContext, told: &[Told]) -> Result<Action, StrategyError> {
        let candidates = self.candidates(step);
        if told.is_empty() {
            return Ok(Action::Evaluate(candidates.map(Direction::unit).to_vec()));
        }
        if !all_finite(told) {
            return Ok(Action::Skip(SkipReason::NonFiniteLoss));
        }
        let (pool, rest) = told.split_at(2.min(told.len()));
        let action = two_sided(step, guiding_vector(pool, 1), rest);
        if let (Action::Update(_), [fresh, record]) = (&action, pool) {
            // the order in which `guiding_vector` ranked them, ties included
            let fresh_won = fresh.loss.total_cmp(&record.loss).is_le();
            self.best = Some(candidates[usize::from(!fresh_won)]);
        }
        Ok(action)
    }
}
