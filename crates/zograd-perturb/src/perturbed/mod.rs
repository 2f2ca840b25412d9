mod mapper;
pub(crate) mod terms;

use crate::{
    Arithmetic, Grids, NoiseBackend, NoiseKind, ParameterSpace, ParameterSpec, PerturbError,
    Selection,
};
use burn::module::Module;
use mapper::{Action, Mapper, Pass, RoundTo};
use std::collections::HashMap;
use std::marker::PhantomData;
use terms::Terms;
use zograd_direction::Direction;

/// Noise streams that a merged pass walks at most: their states stay in the L1 cache.
const MERGED: usize = 64;

/// A module "at" a direction: its weights are `theta + eps * at`.
///
/// [`Perturbed::move_to`] walks to another direction by adding `eps * (there - here)`, and
/// [`Perturbed::update`] restores and updates in the same single pass. A step of any strategy is a chain
/// of such hops: MeZO makes 3 passes over the weights, MeZO-GV with a pool of M makes M + 3.
///
/// The weights are changed in place. A live clone of the module would turn every pass into a copy (burn's
/// tensors are copy-on-write), so keep none.
///
/// Rounding: with [`Arithmetic::Plain`] a hop adds in f32, so returning to `theta` leaves an error of at most
/// one rounding per pass and weight, 2^-24 of the weight's size for f32 storage. With [`Arithmetic::Exact`]
/// `theta` is rounded to a [`Grid`](crate::Grid) at the start, and from then on comes back to the bit.
pub struct Perturbed<B: NoiseBackend, M: Module<B>> {
    /// `None` only while a pass holds the module.
    module: Option<M>,
    space: ParameterSpace,
    by_name: HashMap<String, usize>,
    kind: NoiseKind,
    eps: f64,
    /// If the arithmetic is exact.
    grids: Option<Grids>,
    at: Direction,
    passes: u64,
    streams: u64,
    backend: PhantomData<B>,
}

impl<B: NoiseBackend, M: Module<B>> Perturbed<B, M> {
    /// Wraps `module`, whose weights become `theta`. `eps` is the scale of perturbations.
    ///
    /// # Errors
    /// [`PerturbError::ForeignSpace`] if `space` names a parameter that the module does not have in this
    /// shape and dtype; what [`ParameterSpace::select`] finds wrong with the module.
    pub fn new(
        module: M,
        space: ParameterSpace,
        kind: NoiseKind,
        eps: f64,
    ) -> Result<Self, PerturbError> {
        let whole = ParameterSpace::select(&module, &Selection::All)?;
        let foreign = |p: &&ParameterSpec| whole.get(&p.name) != Some(*p);
        if let Some(parameter) = space.parameters().iter().find(foreign) {
            return Err(PerturbError::ForeignSpace(parameter.name.clone()));
        }
        let names = space.names().map(String::from);
        Ok(Self {
            by_name: names.zip(0..).collect(),
            module: Some(module),
            space,
            kind,
            eps,
            grids: None,
            at: Direction::zero(),
            passes: 0,
            streams: 0,
            backend: PhantomData,
        })
    }

    /// As [`Self::new`], with [`Arithmetic::Exact`]: `theta` is rounded to `grids`, which [`Grids::of`] makes
    /// from the weights that the run starts from.
    ///
    /// # Errors
    /// As [`Self::new`]; [`PerturbError::NotOnGrids`] if a parameter that moves is not f32, or the grids are
    /// those of another space.
    pub fn on_grids(
        module: M,
        space: ParameterSpace,
        kind: NoiseKind,
        eps: f64,
        grids: Grids,
    ) -> Result<Self, PerturbError> {
        grids.check(&space)?;
        let mut this = Self::new(module, space, kind, eps)?;
        this.map(RoundTo(&grids));
        this.grids = Some(grids);
        Ok(this)
    }

    pub(crate) fn grids(&self) -> Option<&Grids> {
        self.grids.as_ref()
    }

    pub(crate) fn kind(&self) -> NoiseKind {
        self.kind
    }

    /// How the weights are moved.
    pub fn arithmetic(&self) -> Arithmetic {
        match self.grids {
            Some(_) => Arithmetic::Exact,
            None => Arithmetic::Plain,
        }
    }

    /// Whether additions are still exact: no weight has outgrown its grid. Reads every weight once; nothing to
    /// do for [`Arithmetic::Plain`].
    ///
    /// # Errors
    /// [`PerturbError::OffGrid`] names the parameter that has.
    pub fn check_range(&self) -> Result<(), PerturbError> {
        match &self.grids {
            Some(grids) => grids.hold(self.module(), &self.space),
            None => Ok(()),
        }
    }

    /// The module as it stands, at [`Self::at`].
    ///
    /// # Panics
    /// If a pass panicked before: the weights are then in an unknown state and must not be used.
    pub fn module(&self) -> &M {
        self.module
            .as_ref()
            .expect("only a panicking pass leaves no module")
    }

    /// Where the module stands, in units of `eps`.
    pub fn at(&self) -> &Direction {
        &self.at
    }

    /// The scale of perturbations.
    pub fn eps(&self) -> f64 {
        self.eps
    }

    /// The parameters that move.
    pub fn space(&self) -> &ParameterSpace {
        &self.space
    }

    /// Passes over the weights so far.
    pub fn passes(&self) -> u64 {
        self.passes
    }

    /// Noise streams generated so far, summed over passes: the cost of the passes.
    pub fn streams(&self) -> u64 {
        self.streams
    }

    /// Moves to `theta + eps * there`. Costs one pass, or none if the module is there already.
    ///
    /// # Errors
    /// [`PerturbError::NonFinite`] and [`PerturbError::TooFar`], before anything moved.
    pub fn move_to(&mut self, there: &Direction) -> Result<(), PerturbError> {
        if *there == self.at {
            return Ok(());
        }
        let terms = if self.grids.is_some() {
            terms::exact(&(&self.at * self.eps), &(there * self.eps))?
        } else {
            let hop = there.clone() - &self.at;
            terms::plain(&(hop * self.eps))?
        };
        self.pass_everywhere(terms)?;
        self.at = there.clone();
        Ok(())
    }

    /// Replaces `theta` by `theta - lr * (direction + decay * theta)`, the decay acting on the parameters
    /// that [`ParameterSpec::decays`] names, and stands there: restore and update in one pass.
    ///
    /// # Errors
    /// [`PerturbError::NonFinite`] and [`PerturbError::TooFar`], before anything moved.
    pub fn update(
        &mut self,
        direction: &Direction,
        lr: f64,
        decay: f64,
    ) -> Result<(), PerturbError> {
        let shrink = lr * decay;
        if !shrink.is_finite() {
            return Err(PerturbError::NonFinite(format!("decay {shrink}")));
        }
        let terms = if self.grids.is_some() {
            let step = direction * -lr;
            if shrink != 0.0 {
                // the decay is a share of theta, so theta must be there
                let step = terms::exact(&Direction::zero(), &step)?;
                self.move_to(&Direction::zero())?;
                [step.clone(), step]
            } else {
                let terms = terms::exact(&(&self.at * self.eps), &step)?;
                [terms.clone(), terms]
            }
        } else {
            // (theta + eps at) (1 - shrink) - eps at (1 - shrink) - lr d  =  theta (1 - shrink) - lr d
            let hop = |shrink: f64| {
                let mut hop = &self.at * (-self.eps * (1.0 - shrink));
                hop.add_scaled(direction, -lr);
                terms::plain(&hop)
            };
            [hop(shrink)?, hop(0.0)?]
        };
        if !(terms[1].is_empty() && shrink == 0.0) {
            self.pass(&terms, shrink)?;
        }
        self.at = Direction::zero();
        Ok(())
    }

    /// Makes many updates without decay, `theta <- theta - lr * direction` for every pair in turn, in as few
    /// passes as can be. On grids ([`Arithmetic::Exact`]) the bits are those of [`Self::update`] for each.
    ///
    /// # Errors
    /// [`PerturbError::NonFinite`], [`PerturbError::TooFar`]; the updates before it may have been made.
    pub fn update_all(&mut self, updates: &[(f64, Direction)]) -> Result<(), PerturbError> {
        self.move_to(&Direction::zero())?;
        let reach = self.reach();
        let mut merged = Terms::new();
        for (lr, direction) in updates {
            let more = terms::exact(&Direction::zero(), &(direction * -lr))?;
            let full = merged.len() + more.len() > MERGED
                || terms::reach(&merged) + terms::reach(&more) > reach;
            if full && !merged.is_empty() {
                self.pass_everywhere(std::mem::take(&mut merged))?;
            }
            merged.extend(more);
        }
        match merged.is_empty() {
            true => Ok(()),
            false => self.pass_everywhere(merged),
        }
    }

    /// Returns to `theta` and hands the module back.
    ///
    /// # Errors
    /// As [`Self::move_to`].
    ///
    /// # Panics
    /// As [`Self::module`].
    pub fn into_module(mut self) -> Result<M, PerturbError> {
        self.move_to(&Direction::zero())?;
        Ok(self.module.expect("only a panicking pass leaves no module"))
    }

    /// A pass that does the same to parameters that decay and to those that do not.
    fn pass_everywhere(&mut self, terms: Terms) -> Result<(), PerturbError> {
        self.pass(&[terms.clone(), terms], 0.0)
    }

    /// One pass over the weights: these increments for parameters that decay and for those that do not, and
    /// the share that is taken off the former.
    fn pass(&mut self, terms: &[Terms; 2], shrink: f64) -> Result<(), PerturbError> {
        let reach = terms::reach(&terms[1]);
        if reach > self.reach() {
            return Err(PerturbError::TooFar {
                by: reach,
                most: self.reach(),
            });
        }
        self.streams += terms[0].chunk_by(|a, b| a.0 == b.0).count() as u64;
        let grids = self.grids.take();
        self.map(Pass {
            kind: self.kind,
            terms,
            shrink: shrink as f32,
            grids: grids.as_ref(),
        });
        self.grids = grids;
        self.passes += 1;
        Ok(())
    }

    /// The largest sum of coefficients' magnitudes of a pass.
    fn reach(&self) -> f64 {
        self.grids.as_ref().map_or(f64::INFINITY, Grids::reach)
    }

    /// Does something to every parameter that moves.
    fn map(&mut self, action: impl Action) {
        let mut mapper = Mapper {
            path: Vec::new(),
            space: &self.space,
            by_name: &self.by_name,
            action,
        };
        self.module = self.module.take().map(|module| module.map(&mut mapper));
    }
}
