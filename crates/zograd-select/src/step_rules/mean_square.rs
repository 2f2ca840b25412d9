use super::Rule;
use crate::Update;

/// What keeps the quotient finite where all slopes so far are 0; Adam's.
const ZETA: f64 = 1e-8;

/// Updates over the root of the running mean of the squares of their slopes, one number for all weights:
///
/// ```text
/// v <- beta2 v + (1 - beta2) g^2        update <- update / (sqrt(v / (1 - beta2^t)) + 1e-8)
/// ```
///
/// `g` is the slope that is recorded ([`Update::projected_gradient`]), `t` counts updates. A first step is as long for
/// a steep loss as for a flat one. Behind momentum, the whole sum is divided, as in Adam.
///
/// MEAZO's (arXiv 2605.03869): Adam's second moment as a scalar.
pub(super) struct MeanSquare {
    beta2: f64,
    now: Mean,
    /// What it was before the last update.
    before: Mean,
}

/// A decayed sum of squares, and the same sum of ones, `1 - beta2^t`.
#[derive(Clone, Copy, Default)]
struct Mean {
    squares: f64,
    ones: f64,
}

impl Mean {
    fn with(self, slope: f64, beta2: f64) -> Self {
        let share = 1.0 - beta2;
        Self {
            squares: beta2 * self.squares + share * slope * slope,
            ones: beta2 * self.ones + share,
        }
    }

    fn root(self) -> f64 {
        (self.squares / self.ones).sqrt()
    }
}

impl MeanSquare {
    pub(super) fn new(beta2: f64) -> Self {
        Self {
            beta2,
            now: Mean::default(),
            before: Mean::default(),
        }
    }
}

impl Rule for MeanSquare {
    fn changed(&mut self, update: Update) -> Update {
        self.before = self.now;
        self.now = self.now.with(update.projected_gradient, self.beta2);
        let root = self.now.root();
        // so long a slope would leave an update of nothing
        let scale = if root.is_finite() {
            1.0 / (root + ZETA)
        } else {
            f64::NAN
        };
        Update {
            direction: update.direction * scale,
            ..update
        }
    }

    fn not_applied(&mut self) {
        self.now = self.before;
    }

    fn divides(&self) -> bool {
        true
    }
}
