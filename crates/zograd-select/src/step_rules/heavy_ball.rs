use super::Rule;
use crate::Update;
use std::collections::VecDeque;
use zograd_direction::Direction;

/// Heavy-ball momentum, made anew from the seeds and slopes of the last `steps` updates, the present one included:
///
/// ```text
/// m_t = sum_{j < steps} beta^j u_{t-j}        theta <- theta - lr_t m_t        u: the updates of the method
/// ```
///
/// Without an end it is `m <- beta m + u`, as in SGD, which keeps a number for every weight. Here nothing is kept but
/// directions: an update makes the noise of `steps` updates, and no loss is asked for more. Steps without an update
/// leave the sum as it is.
///
/// ZO-SGD with momentum of ZO-Bench (arXiv 2402.11592), truncated as AdaMeZO does it.
pub(super) struct HeavyBall {
    beta: f64,
    steps: usize,
    /// Updates of the method, the newest first; as many as the next sum needs, or one more.
    updates: VecDeque<Direction>,
}

impl HeavyBall {
    /// Of updates whose seeds mean the same in every step.
    pub(super) fn new(beta: f64, steps: usize) -> Self {
        Self {
            beta,
            steps,
            updates: VecDeque::new(),
        }
    }

    fn sum(&self) -> Direction {
        let mut terms = Vec::new();
        let mut factor = 1.0;
        for update in &self.updates {
            terms.extend(update.terms().iter().map(|(seed, c)| (*seed, c * factor)));
            factor *= self.beta;
        }
        terms.into()
    }
}

impl Rule for HeavyBall {
    fn changed(&mut self, update: Update) -> Update {
        self.updates.truncate(self.steps.saturating_sub(1));
        self.updates.push_front(update.direction.clone());
        // a sum that is not finite comes back as one that was not applied
        Update {
            direction: self.sum(),
            ..update
        }
    }

    fn not_applied(&mut self) {
        self.updates.pop_front();
    }
}
