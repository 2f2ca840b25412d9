use crate::{Action, StepContext, Strategy, StrategyError, Told, Update};

/// What is made of the updates of a method.
pub(super) trait Rule: Send {
    /// What this update becomes.
    fn changed(&mut self, update: Update) -> Update;

    /// The last update did not reach the weights: it is as if it had not been.
    fn not_applied(&mut self);

    /// Whether what comes out has no scale of the losses.
    fn divides(&self) -> bool {
        false
    }
}

/// A strategy whose updates go through rules, one after the other. It is what the strategy is in all else.
pub(super) struct Ruled {
    pub(super) inner: Box<dyn Strategy>,
    pub(super) rules: Vec<Box<dyn Rule>>,
}

impl Strategy for Ruled {
    fn next(&mut self, step: &StepContext, told: &[Told]) -> Result<Action, StrategyError> {
        let action = self.inner.next(step, told)?;
        let Action::Update(update) = action else {
            return Ok(action);
        };
        let rules = self.rules.iter_mut();
        let update = rules.fold(update, |update, rule| rule.changed(update));
        Ok(Action::Update(update))
    }

    fn name(&self) -> &str {
        self.inner.name()
    }

    fn forwards(&self) -> usize {
        self.inner.forwards()
    }

    fn is_per_example(&self) -> bool {
        self.inner.is_per_example()
    }

    fn state_bytes_per_weight(&self) -> usize {
        self.inner.state_bytes_per_weight()
    }

    fn not_applied(&mut self) {
        self.rules.iter_mut().for_each(|rule| rule.not_applied());
        self.inner.not_applied();
    }

    fn is_scale_free(&self) -> bool {
        self.inner.is_scale_free() || self.rules.iter().any(|rule| rule.divides())
    }
}
