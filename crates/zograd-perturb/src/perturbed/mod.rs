mod mapper;
pub(crate) mod terms;

use crate::grids::check_dtypes;
use crate::{
    Anchor, Arithmetic, Grids, NoiseBackend, NoiseKind, ParameterSpace, ParameterSpec,
    PerturbError, Selection,
};
use burn::module::Module;
use mapper::{Action, FromAnchor, Mapper, Pass, RoundTo};
use std::collections::HashMap;
use std::marker::PhantomData;
pub use terms::AppliedUpdate;
use terms::{MergedPass, Terms};
use zograd_direction::Direction;

/// A module "at" a direction: its weights are `theta + eps * at`.
///
/// [`Perturbed::move_to`] walks to another direction by adding `eps * (there - here)`, and
/// [`Perturbed::update`] restores and updates in the same single pass. A step of any strategy is a chain
/// of such hops: MeZO makes 3 passes over the weights, MeZO-GV with a pool of M makes M + 3.
///
/// The weights are changed in place. A live clone of the module would turn every pass into a copy of what moves (burn's
/// tensors are copy-on-write), so keep none, unless what moves is small and the clones are what you want.
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
    /// If the arithmetic is anchored.
    anchor: Option<Anchor>,
    /// Updates that the anchor lacks.
    pending: Vec<AppliedUpdate>,
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
            anchor: None,
            pending: Vec::new(),
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
        check_dtypes(&space)?;
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
        match (&self.grids, &self.anchor) {
            (Some(_), _) => Arithmetic::Exact,
            (None, Some(_)) => Arithmetic::Anchored,
            (None, None) => Arithmetic::Plain,
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
        if self.anchor.is_some() {
            self.remember(AppliedUpdate {
                direction: direction.clone(),
                lr,
                decay,
            });
        }
        Ok(())
    }

    /// Makes many updates in turn, in as few passes as can be. On grids ([`Arithmetic::Exact`]) the bits are those of
    /// [`Self::update`] for each.
    ///
    /// # Errors
    /// [`PerturbError::NonFinite`], before anything moved; [`PerturbError::TooFar`], when the updates before it have
    /// been made.
    pub fn update_all(&mut self, updates: &[AppliedUpdate]) -> Result<(), PerturbError> {
        let passes = terms::merged(updates, self.reach())?;
        self.move_to(&Direction::zero())?;
        for MergedPass { terms, shrink } in passes {
            self.pass(&[terms.clone(), terms], f64::from(shrink))?;
        }
        Ok(())
    }

    /// Gives 16-bit weights an anchor ([`Arithmetic::Anchored`]): the f32 originals that [`Self::reanchor`] goes back
    /// to. They must be those of the weights as they stand, or as they stood before the updates that are told to
    /// [`Self::remember`].
    pub fn anchored(mut self, anchor: Anchor) -> Self {
        self.anchor = Some(anchor);
        self
    }

    /// The anchor, if there is one.
    pub fn anchor(&self) -> Option<&Anchor> {
        self.anchor.as_ref()
    }

    /// Tells of an update that the originals lack, without making it.
    pub fn remember(&mut self, update: AppliedUpdate) {
        self.pending.push(update);
    }

    /// Makes all updates since the last time in the originals, and rounds these to the weights anew. Returns the
    /// largest distance that a weight has drifted from its original, among the first 1,024 of every tensor; `None`
    /// without an anchor.
    ///
    /// # Errors
    /// [`PerturbError::Anchor`] if the originals cannot be read or written; [`PerturbError::TooFar`] if an update is
    /// longer than their grids have room for.
    pub fn reanchor(&mut self) -> Result<Option<f64>, PerturbError> {
        let Some(mut anchor) = self.anchor.take() else {
            return Ok(None);
        };
        self.move_to(&Direction::zero())?;
        let drifted = anchor.advance(&self.pending).and_then(|()| {
            let action = FromAnchor::new(anchor.reader()?);
            self.map(&action);
            action.finish()
        });
        self.anchor = Some(anchor);
        let drifted = drifted?;
        self.pending.clear();
        Ok(Some(drifted))
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
