use super::{Dense, Factors, Family, Part, Scales, Values};
use crate::grid::odd;
use crate::hessian::Hessian;
use crate::history::{Drawn, Draws, History, Quotient};
use crate::informed::Informed;
use crate::kernel::DenseNoise;
use crate::noise::LARGEST_NOISE;
use crate::{
    AppliedUpdate, Direction, Learnt, Momentum, NoiseKind, ParameterSpace, ParameterSpec, Seed,
};
use std::sync::Arc;

/// How seeds become noise: what a seed means, of what numbers dense noise is made, and how it is scaled.
///
/// A [`NoiseKind`] alone is dense noise of this kind:
///
/// ```
/// use zograd_perturb::NoiseKind;
/// use zograd_perturb::family::Perturbation;
///
/// assert_eq!(Perturbation::from(NoiseKind::Gaussian).kind(), NoiseKind::Gaussian);
/// ```
#[derive(Clone, Debug)]
pub struct Perturbation {
    kind: NoiseKind,
    family: Arc<dyn Family>,
    scales: Scales,
    /// What was learnt of the curvature, if something was.
    hessian: Option<Arc<Hessian>>,
    /// What was kept of the steps before, if something was.
    history: Option<Arc<History>>,
    /// What [`Momentum::QUOTIENT`] means, if it means something.
    momentum: Option<Momentum>,
    /// What a seed stands for instead of noise, if one does.
    informed: Option<Arc<Informed>>,
}

impl From<NoiseKind> for Perturbation {
    fn from(kind: NoiseKind) -> Self {
        Self::new(kind, Dense)
    }
}

impl Perturbation {
    /// The noise of this family, which is of this kind where it is dense.
    pub fn new(kind: NoiseKind, family: impl Family + 'static) -> Self {
        Self::of(kind, Arc::new(family))
    }

    /// The same, of a family that others may have, too.
    pub fn of(kind: NoiseKind, family: Arc<dyn Family>) -> Self {
        Self {
            kind,
            family,
            scales: Scales::default(),
            hessian: None,
            history: None,
            momentum: None,
            informed: None,
        }
    }

    /// The same noise, with these scales.
    pub fn scaled(self, scales: Scales) -> Self {
        Self { scales, ..self }
    }

    /// The distribution of dense noise.
    pub fn kind(&self) -> NoiseKind {
        self.kind
    }

    /// [`Family::since`]; where weights keep something, every step may give seeds another meaning.
    pub(crate) fn since(&self, step: u64) -> u64 {
        match self.keeps() {
            false => self.family.since(step),
            true => step,
        }
    }

    /// Whether noise is shaped by what was learnt.
    fn keeps(&self) -> bool {
        self.hessian.is_some() || self.history.is_some()
    }

    /// From now on noise is shaped by this, too, which was learnt in the step after `step` others.
    pub(crate) fn learn(&mut self, space: &ParameterSpace, step: u64, learnt: &Learnt) {
        let parameters = space.parameters().iter();
        match learnt {
            Learnt::Curvature(curvature) => {
                let mut hessian = self.hessian.take().unwrap_or_default();
                let own = Arc::make_mut(&mut hessian);
                for parameter in parameters.filter(|parameter| self.moves(parameter, step)) {
                    let noise = self.values(parameter, step, curvature.seed);
                    own.learn(parameter, noise.as_ref(), curvature);
                }
                self.hessian = Some(hessian);
            }
            Learnt::Momentum(momentum) => {
                let mut history = self.history.take().unwrap_or_default();
                let own = Arc::make_mut(&mut history);
                for parameter in parameters.filter(|parameter| self.moves(parameter, step)) {
                    let draws = self.draws(parameter, step, momentum);
                    own.learn(parameter, &draws, momentum.falls);
                }
                self.history = Some(history);
            }
        }
    }

    /// Whether the history after this update has nothing of that before it: it is fresh noise on all that ever moves.
    pub(crate) fn forgets(&self, space: &ParameterSpace, update: &AppliedUpdate) -> bool {
        let Some(Learnt::Momentum(momentum)) = &update.learnt else {
            return false;
        };
        let is_fresh =
            momentum.first == 1.0 && momentum.fresh.coefficient(Momentum::HISTORY) == 0.0;
        let stands = |parameter| self.scales.of(parameter) == 0.0;
        let mut parameters = space.parameters().iter();
        is_fresh && parameters.all(|p| stands(p) || self.family.moves(p, update.step))
    }

    /// Whether [`Momentum::QUOTIENT`] means something.
    pub(crate) fn divides(&self) -> bool {
        self.momentum.is_some()
    }

    /// From now on it is that of this step, or means nothing.
    pub(crate) fn divide(&mut self, learnt: Option<&Learnt>) {
        self.momentum = match learnt {
            Some(Learnt::Momentum(momentum)) => Some(momentum.clone()),
            _ => None,
        };
    }

    /// What the draws of a step are on a parameter.
    fn draws(&self, parameter: &ParameterSpec, step: u64, momentum: &Momentum) -> Draws {
        let drawn = |direction: &Direction| {
            let terms = direction.terms().iter();
            let noise = terms.filter(|(seed, _)| *seed != Momentum::HISTORY);
            let noise = noise.map(|(seed, c)| (self.shaped(parameter, step, *seed), *c as f32));
            Drawn {
                noise: noise.collect(),
                kept: direction.coefficient(Momentum::HISTORY) as f32,
            }
        };
        let (first, second) = (momentum.first as f32, momentum.second as f32);
        Draws {
            fresh: drawn(&momentum.fresh),
            // no part of it is asked for in the first steps
            around: match first == 1.0 && second == 1.0 {
                true => Drawn::default(),
                false => drawn(&momentum.around),
            },
            first,
            second,
        }
    }

    /// From now on a seed stands for this, or none does.
    pub(crate) fn inform(&mut self, informed: Option<Informed>) {
        self.informed = informed.map(Arc::new);
    }

    /// The step in which a seed stands for something else than noise, if one does.
    pub(crate) fn informed_in(&self) -> Option<u64> {
        self.informed.as_ref().map(|informed| informed.step)
    }

    /// The estimated diagonal of the Hessian of a parameter, if something was learnt of it.
    pub(crate) fn hessian(&self, parameter: &ParameterSpec) -> Option<Vec<f32>> {
        self.hessian.as_ref()?.of(parameter)
    }

    /// What was kept of the steps before for a parameter, if something was.
    pub(crate) fn history(&self, parameter: &ParameterSpec) -> Option<Vec<f32>> {
        Some(self.history.as_ref()?.of(parameter)?.each.clone())
    }

    /// The noise of a seed on a parameter as numbers, which no curvature has shaped.
    fn values(&self, parameter: &ParameterSpec, step: u64, seed: Seed) -> Arc<dyn Values> {
        match self.family.part(parameter, step, seed) {
            Part::Dense => Arc::new(DenseNoise::new(seed, parameter.id, self.kind)),
            Part::Made(values) => values,
        }
    }

    /// The same, shaped by the curvature.
    fn shaped(&self, parameter: &ParameterSpec, step: u64, seed: Seed) -> Arc<dyn Values> {
        let values = self.values(parameter, step, seed);
        match &self.hessian {
            None => values,
            Some(hessian) => hessian.shaped(parameter, values),
        }
    }

    /// The noise of a seed on a parameter; nothing where it is 0.
    fn part(&self, parameter: &ParameterSpec, step: u64, seed: Seed) -> Option<Part> {
        let kept = || Some(Arc::clone(self.history.as_ref()?.of(parameter)?));
        match seed {
            Momentum::HISTORY => return kept().map(|kept| Part::Made(kept)),
            Momentum::QUOTIENT => {
                let draws = self.draws(parameter, step, self.momentum.as_ref()?);
                return Some(Part::made(Quotient {
                    draws,
                    kept: kept(),
                }));
            }
            _ => {}
        }
        let informed = self.informed.as_ref();
        if let Some(values) = informed.and_then(|informed| informed.values(parameter, seed)) {
            return Some(Part::Made(values));
        }
        Some(match &self.hessian {
            None => self.family.part(parameter, step, seed),
            Some(_) => Part::Made(self.shaped(parameter, step, seed)),
        })
    }

    /// Whether `parameter` moves in the step after `step` others.
    pub(crate) fn moves(&self, parameter: &ParameterSpec, step: u64) -> bool {
        self.scales.of(parameter) != 0.0 && self.family.moves(parameter, step)
    }

    /// How much larger the noise of each parameter may be than dense noise is: 1 for dense noise, 0 for what never moves.
    pub(crate) fn amplitudes(&self, space: &ParameterSpace, step: u64) -> Vec<f64> {
        let parameters = space.parameters().iter();
        parameters
            .map(|parameter| {
                let scale = self.scales.of(parameter).abs();
                match scale == 0.0 {
                    true => 0.0,
                    false => {
                        let hessian = self.hessian.as_ref();
                        let shaped = hessian.map_or(1.0, |hessian| hessian.largest(parameter));
                        let kept = self.history.as_ref().map_or(0.0, |m| m.largest(parameter));
                        let informed = self.informed.as_ref();
                        let informed = informed.map_or(0.0, |informed| informed.largest(parameter));
                        let noise = shaped * self.family.largest(parameter, step);
                        // a quotient is no larger than dense noise
                        let least = if self.momentum.is_some() { 1.0 } else { 0.0 };
                        scale * (noise.max(kept).max(informed) / LARGEST_NOISE).max(least)
                    }
                }
            })
            .collect()
    }

    /// The expected square of the length of a direction in a step: that of its coefficients times the number of weights for
    /// dense noise. The numbers of a quotient count as 1.
    pub(crate) fn mean_square_length(
        &self,
        space: &ParameterSpace,
        step: u64,
        direction: &Direction,
    ) -> f64 {
        let sum = |square: &dyn Fn(&ParameterSpec) -> f64| -> f64 {
            let parameters = space.parameters().iter();
            let moving = parameters.filter(|parameter| self.moves(parameter, step));
            let squares = moving.map(|p| self.scales.of(p).powi(2) * p.len() as f64 * square(p));
            squares.sum()
        };
        let noise = sum(&|parameter| {
            let hessian = self.hessian.as_ref();
            let shaped = hessian.map_or(1.0, |hessian| hessian.mean_square(parameter));
            shaped * self.family.mean_square(parameter)
        });
        let terms = direction.terms().iter();
        let squares = terms.map(|(seed, c)| {
            let informed = self.informed.as_ref().filter(|known| known.seed == *seed);
            let square = match (*seed, informed) {
                (_, Some(informed)) => sum(&|parameter| informed.mean_square(parameter)),
                (Momentum::HISTORY, _) => sum(&|parameter| {
                    let history = self.history.as_ref();
                    history.map_or(0.0, |history| history.mean_square(parameter))
                }),
                (Momentum::QUOTIENT, _) => sum(&|_| 1.0),
                _ => noise,
            };
            c * c * square
        });
        squares.sum()
    }

    /// What each of some sums of terms is on one parameter, or these rows of it, by its factors ([`Family::factors`]).
    /// `None` also where it does not move, is shaped by what was learnt, or a seed stands for numbers of no low rank.
    pub(crate) fn factors(
        &self,
        parameter: &ParameterSpec,
        step: u64,
        sums: &[Vec<(Seed, f32)>],
        rows: Option<&[u32]>,
    ) -> Option<Factors> {
        let is_full = self.keeps() || self.informed.is_some();
        if is_full || !self.moves(parameter, step) {
            return None;
        }
        let scale = self.scales.of(parameter);
        let scaled = |terms: &Vec<(Seed, f32)>| {
            // nothing is kept yet
            let terms = terms.iter().filter(|(seed, _)| *seed != Momentum::HISTORY);
            let scaled = terms.map(|(seed, c)| (*seed, (scale * f64::from(*c)) as f32));
            scaled.collect()
        };
        let sums: Vec<_> = sums.iter().map(scaled).collect();
        match rows {
            Some(rows) => self.family.factors_of_rows(parameter, step, &sums, rows),
            None => self.family.factors(parameter, step, &sums),
        }
    }

    /// Whether matrices move in the step after `step` others, and all of them have factors.
    pub(crate) fn has_factors(&self, space: &ParameterSpace, step: u64) -> bool {
        let mut matrices = space
            .parameters()
            .iter()
            .filter(|parameter| parameter.shape.len() > 1 && self.moves(parameter, step))
            .peekable();
        matrices.peek().is_some()
            && matrices.all(|parameter| self.factors(parameter, step, &[], None).is_some())
    }

    /// What `terms` are on one parameter, in the step after `step` others; for exact steps the coefficients stay odd.
    pub(crate) fn streams(
        &self,
        parameter: &ParameterSpec,
        step: u64,
        terms: &[(Seed, f32)],
        exact: bool,
    ) -> Streams {
        let mut streams = Streams {
            kind: self.kind,
            terms: Vec::new(),
            made: Vec::new(),
        };
        if !self.moves(parameter, step) {
            return streams;
        }
        let scale = self.scales.of(parameter);
        let scaled = |c: f32| match scale == 1.0 {
            true => c,
            false => {
                let c = (scale * f64::from(c)) as f32;
                if exact { odd(c) } else { c }
            }
        };
        for same in terms.chunk_by(|a, b| a.0 == b.0) {
            match self.part(parameter, step, same[0].0) {
                None => {}
                Some(Part::Dense) => {
                    let dense = same.iter().map(|(seed, c)| (*seed, scaled(*c)));
                    streams.terms.extend(dense);
                }
                Some(Part::Made(values)) => {
                    let made = same.iter().map(|(_, c)| (Arc::clone(&values), scaled(*c)));
                    streams.made.extend(made);
                }
            }
        }
        streams
    }
}

/// What the terms of a direction are on one parameter.
pub(crate) struct Streams {
    pub(crate) kind: NoiseKind,
    /// Dense noise.
    pub(crate) terms: Vec<(Seed, f32)>,
    /// The rest.
    pub(crate) made: Vec<(Arc<dyn Values>, f32)>,
}

impl Streams {
    /// Whether nothing moves.
    pub(crate) fn is_empty(&self) -> bool {
        self.terms.is_empty() && self.made.is_empty()
    }
}
