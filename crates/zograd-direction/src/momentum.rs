use crate::{Direction, Seed};

/// What a step draws around what was kept of the step before, and how its update is scaled by it.
///
/// Weights that keep a history `m`, a number each and 0 at first, know two seeds more within such a step:
/// [`Self::HISTORY`] is `m` itself, and [`Self::QUOTIENT`] what an update is made of. Element by element, with `p` of
/// the direction `fresh` and `q` of the direction `around`,
///
/// ```text
/// m' = first p + (1 - first) q
/// v  = second p^2 + (1 - second) q^2
/// z(QUOTIENT) = m' / sqrt(v + 1e-8)
/// m <- m', or -m' if the loss falls along it         before the next step
/// ```
///
/// `m'` is a direction ([`Self::along`]) and can be probed like any other; the quotient is none.
#[derive(Clone, Debug, PartialEq)]
pub struct Momentum {
    /// Noise of this step alone.
    pub fresh: Direction,
    /// The history, and noise of this step around it.
    pub around: Direction,
    /// The share of `fresh` in the direction, from 0 to 1.
    pub first: f64,
    /// The share of its square in what the direction is divided by, from 0 to 1.
    pub second: f64,
    /// Whether the loss falls along the direction.
    pub falls: bool,
}

impl Momentum {
    /// The seed whose noise is what the weights have kept. Nothing else has it: seeds of steps are as good as random.
    pub const HISTORY: Seed = Seed::new(0x6869_7374_6f72_7900);
    /// The seed whose noise is the quotient of the step.
    pub const QUOTIENT: Seed = Seed::new(0x7175_6f74_6965_6e74);

    /// `first fresh + (1 - first) around`
    pub fn along(&self) -> Direction {
        &self.fresh * self.first + &self.around * (1.0 - self.first)
    }

    /// Whether every number of it is finite.
    pub fn is_finite(&self) -> bool {
        let shares = self.first.is_finite() && self.second.is_finite();
        shares && self.fresh.is_finite() && self.around.is_finite()
    }
}
