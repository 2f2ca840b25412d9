use super::Decay;
use crate::family::Perturbation;
use crate::grid::odd;
use crate::{AppliedUpdate, Direction, Learnt, Momentum, PerturbError, Seed};

/// The streams of a pass as the kernels take them.
pub(crate) type Terms = Vec<(Seed, f32)>;

/// `direction`, with coefficients in f32.
pub(crate) fn plain(direction: &Direction) -> Result<Terms, PerturbError> {
    let terms = direction.terms().iter().map(|&(seed, c)| (seed, c as f32));
    finite(terms.collect())
}

/// Off `from` and on to `to`, each of them rounded to the grid by itself: two terms a seed, next to one another.
pub(crate) fn exact(from: &Direction, to: &Direction) -> Result<Terms, PerturbError> {
    let on_grid = |direction: &Direction, sign: f32| -> Vec<(Seed, f32)> {
        let terms = direction.terms().iter();
        terms
            .map(|&(seed, c)| (seed, sign * odd(c as f32)))
            .filter(|(_, c)| *c != 0.0)
            .collect()
    };
    let mut terms = on_grid(from, -1.0);
    terms.extend(on_grid(to, 1.0));
    // stable: a seed's terms stay in this order, though on the grid no order matters
    terms.sort_by_key(|(seed, _)| *seed);
    finite(terms)
}

fn finite(terms: Terms) -> Result<Terms, PerturbError> {
    match terms.iter().find(|(_, c)| !c.is_finite()) {
        Some((seed, c)) => Err(PerturbError::NonFinite(format!("{c} for seed {seed}"))),
        None => Ok(terms),
    }
}

/// The sum of the magnitudes of the coefficients.
pub(crate) fn reach(terms: &[(Seed, f32)]) -> f64 {
    terms.iter().map(|(_, c)| f64::from(c.abs())).sum()
}

/// Whether an update that moves weights by a quotient says by which: a log has the seed alone.
pub(crate) fn check_quotient(update: &AppliedUpdate) -> Result<(), PerturbError> {
    let divides = update.direction.coefficient(Momentum::QUOTIENT) != 0.0;
    match divides && !matches!(update.learnt, Some(Learnt::Momentum(_))) {
        true => Err(PerturbError::Quotient { step: update.step }),
        false => Ok(()),
    }
}

/// One pass that makes several updates.
pub(crate) struct MergedPass {
    pub(crate) terms: Terms,
    /// Of parameters that decay.
    pub(crate) decay: Decay,
    /// The first of the steps in which seeds mean what they mean here.
    pub(crate) since: u64,
    /// The most that the reach of such a pass may be, decay aside.
    most: f64,
}

impl MergedPass {
    /// Whether grids have room for the pass, in which its decay is made, or `apart` from it.
    pub(crate) fn check(&self, apart: bool) -> Result<(), PerturbError> {
        let decay = if apart { Decay::NONE } else { self.decay };
        check_reach(&self.terms, self.most, decay)
    }
}

/// Whether a pass on grids that could have a reach of `most` has room beside its decay: it may be as long as the longest hop
/// at a decay of a quarter.
pub(crate) fn check_reach(
    terms: &[(Seed, f32)],
    most: f64,
    decay: Decay,
) -> Result<(), PerturbError> {
    let (by, most) = (reach(terms), most * (1.0 - 4.0 * f64::from(decay.shrink)));
    match by > most {
        true => Err(PerturbError::TooFar { by, most }),
        false => Ok(()),
    }
}

/// Noise streams of a merged pass at most: the bits that are read ahead, 1 KiB a stream, stay in the L2 cache.
const MERGED_STREAMS: usize = 64;

/// `updates` on grids, in as few passes as can be: as many to a pass as `most`, the reach of a pass with seeds from such
/// a step, allows; but for those with decay, which are a share of the weights as they are then, and those in which seeds mean
/// something else.
pub(crate) fn merged(
    updates: &[AppliedUpdate],
    noise: &Perturbation,
    most: impl Fn(u64) -> f64,
) -> Result<Vec<MergedPass>, PerturbError> {
    let mut passes: Vec<MergedPass> = Vec::new();
    let mut known: Option<(u64, f64)> = None;
    for update in updates {
        check_quotient(update)?;
        let terms = exact(&Direction::zero(), &(&update.direction * -update.lr))?;
        let decay = Decay::of(update)?;
        let since = noise.since(update.step);
        let most = match known {
            Some((of, most)) if of == since => most,
            _ => most(since),
        };
        known = Some((since, most));
        match passes.last_mut() {
            Some(last)
                if decay.is_none()
                    && last.decay.is_none()
                    && last.since == since
                    && last.terms.len() + terms.len() <= MERGED_STREAMS
                    && reach(&last.terms) + reach(&terms) <= most =>
            {
                last.terms.extend(terms);
            }
            _ => passes.push(MergedPass {
                terms,
                decay,
                since,
                most,
            }),
        }
    }
    Ok(passes)
}
