mod decay;
mod inform;
mod mapper;
mod probe;
mod pull;
pub(crate) mod terms;
mod update;
use zograd_params::ParameterPath;

use crate::backend::AnyRooms;
use crate::family::Perturbation;
use crate::grids::check_dtypes;
use crate::{
    Arithmetic, Grids, Learnt, NoiseBackend, Originals, ParameterSpace, ParameterSpec,
    PerturbError, Resolution, Seed, Selection, Sides, StartWeights,
};
use burn::module::{Module, ParamId};
pub(crate) use decay::Decay;
use mapper::{AddNoise, FromOriginals, Mapper, ParameterPass, RoundTo, TowardStart};
pub use probe::Probe;
pub(crate) use pull::Pull;
use std::collections::HashMap;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Mutex;
use terms::{MergedPass, Terms};
pub use update::AppliedUpdate;
use zograd_direction::Direction;

/// A module "at" a direction: its weights are `theta + eps * at`.
///
/// [`Perturbed::move_to`] walks to another direction by adding `eps * (there - here)`, and
/// [`Perturbed::update`] restores and updates in the same single pass. A step of any strategy is a chain
/// of such hops: MeZO makes 3 passes over the weights, MeZO-GV with a pool of M makes M + 3. Who can look at a part of the
/// module at a time need not walk: [`Perturbed::at_probes`] leaves the weights where they are.
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
    places: HashMap<ParamId, usize>,
    noise: Perturbation,
    /// The first of the steps in which seeds mean what they mean now.
    since: u64,
    /// How much larger noise may be meanwhile than dense noise, by parameter.
    amplitudes: Vec<f64>,
    /// Whether all matrices have factors meanwhile ([`Probe::factors`]).
    has_factors: bool,
    eps: f64,
    /// If the arithmetic is exact.
    grids: Option<Grids>,
    /// How far every weight may still move on its grid before they are looked at again.
    room: f64,
    /// If the arithmetic is anchored.
    originals: Option<Originals>,
    /// If weights decay towards where they started.
    start: Option<StartWeights>,
    /// Updates that the originals lack.
    queued: Vec<AppliedUpdate>,
    /// What the last step has learnt: it shapes the noise of the next one.
    learnt: Option<Lesson>,
    at: Direction,
    passes: u64,
    streams: u64,
    backend: PhantomData<B>,
}

/// What a step has learnt, until the next one begins.
struct Lesson {
    step: u64,
    /// The first of the steps in which seeds mean what they meant then.
    since: u64,
    learnt: Learnt,
}

impl<B: NoiseBackend, M: Module<B>> Perturbed<B, M> {
    /// Wraps `module`, whose weights become `theta`; the step is the first. `eps` is the scale of perturbations.
    ///
    /// # Errors
    /// [`PerturbError::ForeignSpace`] if `space` names a parameter that the module does not have in this
    /// shape and dtype; what [`ParameterSpace::select`] finds wrong with the module.
    pub fn new(
        module: M,
        space: ParameterSpace,
        noise: impl Into<Perturbation>,
        eps: f64,
    ) -> Result<Self, PerturbError> {
        let noise = noise.into();
        let whole = ParameterSpace::select(&module, &Selection::All)?;
        let foreign = |p: &&ParameterSpec| {
            let own = whole.get(&p.name);
            !own.is_some_and(|own| own.is_tensor_of(p))
        };
        if let Some(parameter) = space.parameters().iter().find(foreign) {
            return Err(PerturbError::ForeignSpace(parameter.name.clone()));
        }
        let by_name = space.names().map(String::from).zip(0..).collect();
        Ok(Self {
            places: probe::places(&module, &by_name),
            by_name,
            module: Some(module),
            since: noise.since(0),
            amplitudes: noise.amplitudes(&space, 0),
            has_factors: noise.has_factors(&space, 0),
            space,
            noise,
            eps,
            grids: None,
            room: f64::NEG_INFINITY,
            originals: None,
            start: None,
            queued: Vec::new(),
            learnt: None,
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
        noise: impl Into<Perturbation>,
        eps: f64,
        grids: Grids,
    ) -> Result<Self, PerturbError> {
        grids.check(&space)?;
        check_dtypes(&space)?;
        let mut this = Self::new(module, space, noise, eps)?;
        this.map(RoundTo(&grids));
        this.grids = Some(grids);
        Ok(this)
    }

    pub(crate) fn grids(&self) -> Option<&Grids> {
        self.grids.as_ref()
    }

    pub(crate) fn noise(&self) -> &Perturbation {
        &self.noise
    }

    /// How the weights are moved.
    pub fn arithmetic(&self) -> Arithmetic {
        match (&self.grids, &self.originals) {
            (Some(_), _) => Arithmetic::Exact,
            (None, Some(_)) => Arithmetic::Anchored,
            (None, None) => Arithmetic::Plain,
        }
    }

    /// Whether additions will still be exact: no weight has outgrown its grid. Every pass that leaves `theta` makes sure
    /// of that first; this is for the time after the last. Reads the weights only if the updates since they were last
    /// read may have made one too large; nothing to do for [`Arithmetic::Plain`].
    ///
    /// # Errors
    /// [`PerturbError::OffGrid`] names the parameter that has.
    pub fn check_range(&mut self) -> Result<(), PerturbError> {
        if let (Some(grids), Some(module)) = (&self.grids, &self.module)
            && self.at.is_zero()
            && self.room < 0.0
        {
            self.room = grids.room(module, &self.space)?;
        }
        Ok(())
    }

    /// `theta` was moved by coefficients with this sum of magnitudes.
    fn grow(&mut self, reach: f64, terms: usize) {
        if let Some(grids) = &self.grids {
            self.room -= grids.growth(reach, terms, &self.amplitudes);
        }
    }

    /// How finely the weights, or their originals, can be moved; `None` if they are on no grids.
    pub fn resolution(&self) -> Option<Resolution> {
        match (&self.grids, &self.originals) {
            (Some(grids), _) => Some(Resolution::new(self.noise.kind(), &self.space, grids)),
            (None, originals) => originals.as_ref().map(Originals::resolution),
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

    /// Passes over the weights so far. A probe out of place counts as one; so does one with its opposite. Where all
    /// matrices have factors ([`Probe::factors`]) it counts as none: who takes them reads no weight more than a forward pass
    /// does.
    pub fn passes(&self) -> u64 {
        self.passes
    }

    /// Noise streams generated so far, summed over passes: the cost of the passes.
    pub fn streams(&self) -> u64 {
        self.streams
    }

    /// From now on seeds mean what they mean in the step after `step` others. If that is something else, the module
    /// returns to `theta` first. Dense noise is the same in all steps, unless something was learnt in the one before.
    ///
    /// # Errors
    /// As [`Self::move_to`].
    pub fn begin(&mut self, step: u64) -> Result<(), PerturbError> {
        if self.learnt.as_ref().is_some_and(|last| last.step != step) {
            self.move_to(&Direction::zero())?;
            if let Some(last) = self.learnt.take() {
                self.noise.learn(&self.space, last.since, &last.learnt);
            }
        }
        if self.noise.informed_in().is_some_and(|of| of != step) {
            self.move_to(&Direction::zero())?;
            self.noise.inform(None);
            self.look_at_noise();
        }
        let since = self.noise.since(step);
        if since != self.since || self.noise.divides() {
            self.move_to(&Direction::zero())?;
            self.noise.divide(None);
            self.since = since;
            self.look_at_noise();
        }
        Ok(())
    }

    /// Finds again what depends on what seeds mean.
    fn look_at_noise(&mut self) {
        self.amplitudes = self.noise.amplitudes(&self.space, self.since);
        self.has_factors = self.noise.has_factors(&self.space, self.since);
    }

    /// Takes up what was learnt in the step of this update, which the weights have already: a run that is
    /// resumed does so with every update of its past.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub fn recall(&mut self, update: &AppliedUpdate) -> Result<(), PerturbError> {
        if update.learnt.is_some() {
            self.begin(update.step)?;
            self.divide(update);
            self.note(update);
        }
        Ok(())
    }

    /// [`Self::recall`] of updates in their order, without those of which a later one leaves no trace.
    ///
    /// # Errors
    /// As [`Self::recall`].
    pub fn recall_all(&mut self, updates: &[AppliedUpdate]) -> Result<(), PerturbError> {
        let forgets = |update: &AppliedUpdate| self.noise.forgets(&self.space, update);
        let first = updates.iter().rposition(forgets).unwrap_or(0);
        let (before, after) = updates.split_at(first);
        let others = before.iter();
        let others = others.filter(|update| !matches!(update.learnt, Some(Learnt::Momentum(_))));
        let mut left = others.chain(after);
        left.try_for_each(|update| self.recall(update))
    }

    /// Seeds mean what they mean to this update.
    fn divide(&mut self, update: &AppliedUpdate) {
        self.noise.divide(update.learnt.as_ref());
        self.amplitudes = self.noise.amplitudes(&self.space, self.since);
    }

    /// Notes what is learnt when the next step begins.
    fn note(&mut self, update: &AppliedUpdate) {
        self.learnt = update.learnt.clone().map(|learnt| Lesson {
            step: update.step,
            since: self.since,
            learnt,
        });
    }

    /// The estimated diagonal of the Hessian of the parameter with this name, which shapes noise in the present step: 1 at
    /// first. `None` if nothing was learnt of it ([`AppliedUpdate::learnt`]).
    pub fn hessian(&self, name: &str) -> Option<Vec<f32>> {
        self.noise.hessian(self.space.get(name)?)
    }

    /// The history of the parameter with this name ([`Momentum::HISTORY`](crate::Momentum::HISTORY)): 0 at first. `None` if nothing was learnt of it.
    pub fn history(&self, name: &str) -> Option<Vec<f32>> {
        self.noise.history(self.space.get(name)?)
    }

    /// The expected length of `direction` as a change of all weights, in the present step: for dense noise the root of
    /// `d` times [`Direction::norm_squared`].
    pub fn length(&self, direction: &Direction) -> f64 {
        let noise = &self.noise;
        noise
            .mean_square_length(&self.space, self.since, direction)
            .sqrt()
    }

    /// Moves to `theta + eps * there`. Costs one pass, or none if the module is there already.
    ///
    /// # Errors
    /// [`PerturbError::NonFinite`], [`PerturbError::TooFar`] and [`PerturbError::OffGrid`], before anything moved.
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

    /// Lets `look` see the module, which stands at `theta`, and probes that make its parts as they are at the
    /// `directions`, in their order: a probe for each, but one for two neighbours that are opposite. Costs a pass and the
    /// noise streams of a direction for each probe, if all parts are asked for once.
    ///
    /// # Errors
    /// [`PerturbError::NonFinite`], [`PerturbError::TooFar`] and [`PerturbError::OffGrid`], before anything was looked at.
    pub fn at_probes<R>(
        &mut self,
        directions: &[Direction],
        look: impl FnOnce(&M, &[Probe<'_>]) -> R,
    ) -> Result<R, PerturbError> {
        self.at_some_probes(directions, 0..directions.len(), look)
    }

    /// [`Self::at_probes`] at some of the directions, those of `mine`: others look at the rest elsewhere. Counts the passes
    /// and streams of all of them, and refuses what [`Self::at_probes`] of all of them refuses.
    ///
    /// # Errors
    /// As [`Self::at_probes`].
    ///
    /// # Panics
    /// `mine` does not lie within the directions.
    pub fn at_some_probes<R>(
        &mut self,
        directions: &[Direction],
        mine: Range<usize>,
        look: impl FnOnce(&M, &[Probe<'_>]) -> R,
    ) -> Result<R, PerturbError> {
        self.move_to(&Direction::zero())?;
        self.check_range()?;
        for (terms, _) in self.probes(directions)? {
            self.streams += terms.len() as u64;
            self.passes += u64::from(!terms.is_empty() && !self.has_factors);
        }
        let rooms = AnyRooms::default();
        let probe = |(terms, sides)| Probe {
            space: &self.space,
            places: &self.places,
            noise: &self.noise,
            step: self.since,
            grids: self.grids.as_ref(),
            terms,
            sides,
            rooms: &rooms,
            table: Mutex::default(),
        };
        let probes = self.probes(&directions[mine])?;
        let probes: Vec<Probe<'_>> = probes.into_iter().map(probe).collect();
        Ok(look(self.module(), &probes))
    }

    /// What the probes at these directions add to `theta`: one for each, but one for two neighbours that are opposite.
    fn probes(&self, directions: &[Direction]) -> Result<Vec<(Terms, Sides)>, PerturbError> {
        let mut rest = directions;
        let mut all: Vec<(Terms, Sides)> = Vec::with_capacity(rest.len());
        while let [first, others @ ..] = rest {
            let both = !first.is_zero() && others.first() == Some(&-first);
            let sides = if both { Sides::Both } else { Sides::One };
            rest = &rest[sides.count()..];
            let terms = self.terms_at_theta(&(first * self.eps))?;
            self.check_reach(&terms, Decay::NONE)?;
            all.push((terms, sides));
        }
        Ok(all)
    }

    /// The terms of a pass that adds this to `theta`.
    fn terms_at_theta(&self, added: &Direction) -> Result<Terms, PerturbError> {
        match &self.grids {
            Some(_) => terms::exact(&Direction::zero(), added),
            None => terms::plain(added),
        }
    }

    /// Replaces `theta` by `theta - lr * (direction + decay * theta)`, the decay acting on the parameters
    /// that [`ParameterSpec::decays`] names, and stands there: restore and update in one pass. Where weights decay towards
    /// their start ([`Self::decaying_toward`]) it is `theta - start` that is decayed, in a pass more.
    ///
    /// # Errors
    /// [`PerturbError::NonFinite`], [`PerturbError::TooFar`] and [`PerturbError::OffGrid`], before anything moved;
    /// [`PerturbError::OtherStep`] if seeds mean something else in the step of the update than in the one that
    /// [`Self::begin`] was told; [`PerturbError::Quotient`] if the update has one and does not say of what; [`PerturbError::Start`] if the start weights cannot be read, when some weights have moved and
    /// others have not.
    pub fn update(&mut self, update: &AppliedUpdate) -> Result<(), PerturbError> {
        if update.learnt.is_some() && self.originals.is_some() {
            let why = "they do not know what was learnt";
            return Err(PerturbError::Originals(why.into()));
        }
        terms::check_quotient(update)?;
        if self.noise.since(update.step) != self.since {
            return Err(PerturbError::OtherStep {
                update: update.step,
                since: self.since,
            });
        }
        let mut decay = Decay::of(update)?;
        if update.learnt.is_some() {
            self.divide(update);
        }
        let (direction, lr) = (&update.direction, update.lr);
        if self.start.is_some() && !decay.is_none() {
            self.move_to(&Direction::zero())?;
            let terms = self.terms_at_theta(&(direction * -lr))?;
            decay = self.pull(decay, &terms)?;
        }
        let terms = if self.grids.is_some() {
            let step = direction * -lr;
            if !decay.is_none() {
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
            [hop(lr * update.decay)?, hop(0.0)?]
        };
        if !(terms[1].is_empty() && decay.is_none()) {
            self.pass(&terms, decay)?;
        }
        self.at = Direction::zero();
        let reach: f64 = direction.terms().iter().map(|(_, c)| (c * lr).abs()).sum();
        self.grow(reach, direction.len());
        if self.originals.is_some() {
            self.queue(update.clone());
        }
        self.note(update);
        Ok(())
    }

    /// Makes many updates in turn, with the bits of [`Self::update`] for each. On grids ([`Arithmetic::Exact`]), where
    /// no order of sums matters, many of them share a pass.
    ///
    /// # Errors
    /// As [`Self::update`]; the updates before the one that is refused have been made, but on grids only if a weight has
    /// outgrown them.
    pub fn update_all(&mut self, updates: &[AppliedUpdate]) -> Result<(), PerturbError> {
        let learns = updates.iter().any(|update| update.learnt.is_some());
        let Some(grids) = self.grids.as_ref().filter(|_| !learns) else {
            let mut updates = updates.iter();
            return updates.try_for_each(|update| {
                self.begin(update.step)?;
                self.update(update)
            });
        };
        let most = |since| grids.reach(&self.noise.amplitudes(&self.space, since));
        let passes = terms::merged(updates, &self.noise, most)?;
        let apart = self.start.is_some();
        passes.iter().try_for_each(|pass| pass.check(apart))?;
        self.move_to(&Direction::zero())?;
        for MergedPass {
            terms,
            decay,
            since,
            ..
        } in passes
        {
            self.begin(since)?;
            let (reach, count) = (terms::reach(&terms), terms.len());
            let decay = self.pull(decay, &terms)?;
            self.pass(&[terms.clone(), terms], decay)?;
            self.grow(reach, count);
        }
        if self.originals.is_some() {
            self.queued.extend_from_slice(updates);
        }
        Ok(())
    }

    /// Gives 16-bit weights their f32 originals ([`Arithmetic::Anchored`]), which [`Self::reanchor`] goes back to. They
    /// must be those of the weights as they stand, or as they stood before the updates that [`Self::queue`] is told
    /// of.
    pub fn anchored(mut self, originals: Originals) -> Self {
        self.originals = Some(originals);
        self
    }

    /// From now on decay goes towards these weights, in the place of zero.
    pub fn decaying_toward(mut self, start: StartWeights) -> Self {
        self.start = Some(start);
        self
    }

    /// Whether decay goes towards the start weights.
    pub fn decays_to_start(&self) -> bool {
        self.start.is_some()
    }

    pub(crate) fn start(&self) -> Option<&StartWeights> {
        self.start.as_ref()
    }

    /// The f32 originals, if the arithmetic is anchored.
    pub fn originals(&self) -> Option<&Originals> {
        self.originals.as_ref()
    }

    /// Queues an update for the originals, which lack it, without making it in the weights.
    pub fn queue(&mut self, update: AppliedUpdate) {
        self.queued.push(update);
    }

    /// Makes all queued updates in the originals, and rounds these to the weights anew. Returns the largest distance
    /// that a weight has drifted from its original, among the first 1,024 of every tensor; `None` without originals.
    /// After an error it can be called again: no update is lost or made twice.
    ///
    /// # Errors
    /// [`PerturbError::Originals`] if they cannot be read or written; [`PerturbError::TooFar`] if an update is longer
    /// than their grids have room for.
    pub fn reanchor(&mut self) -> Result<Option<f64>, PerturbError> {
        if self.originals.is_some() {
            self.move_to(&Direction::zero())?;
            self.make_queued()?;
        }
        let Some(originals) = &self.originals else {
            return Ok(None);
        };
        let pass = FromOriginals::new(originals.reader()?);
        self.map(&pass);
        pass.finish().map(Some)
    }

    /// Makes the queued updates in the originals, and forgets them.
    fn make_queued(&mut self) -> Result<(), PerturbError> {
        if let Some(originals) = &mut self.originals
            && !self.queued.is_empty()
        {
            originals.advance(&self.queued, self.start.as_ref())?;
            self.queued.clear();
        }
        Ok(())
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
        self.pass(&[terms.clone(), terms], Decay::NONE)
    }

    /// One pass over the weights: these increments for parameters that decay and for those that do not, and
    /// what is taken off the former.
    fn pass(&mut self, terms: &[Terms; 2], decay: Decay) -> Result<(), PerturbError> {
        self.check_reach(&terms[1], decay)?;
        self.check_range()?;
        self.streams += terms[0].chunk_by(|a, b| a.0 == b.0).count() as u64;
        let grids = self.grids.take();
        let noise = self.noise.clone();
        self.map(AddNoise {
            noise: &noise,
            step: self.since,
            terms,
            decay,
            grids: grids.as_ref(),
        });
        self.grids = grids;
        self.passes += 1;
        Ok(())
    }

    /// Makes `decay` if it goes towards the start weights: a pass over `theta`, before the one that adds `terms`. What is left
    /// to that one.
    fn pull(&mut self, decay: Decay, terms: &Terms) -> Result<Decay, PerturbError> {
        let Some(start) = self.start.as_ref().filter(|_| !decay.is_none()) else {
            return Ok(decay);
        };
        let start = start.reader()?;
        self.check_reach(terms, Decay::NONE)?;
        self.check_range()?;
        let grids = self.grids.take();
        let pass = TowardStart::new(decay, start, grids.as_ref());
        self.map(&pass);
        let pulled = pass.finish();
        self.grids = grids;
        self.passes += 1;
        pulled.map(|()| Decay::NONE)
    }

    fn check_reach(&self, terms: &Terms, decay: Decay) -> Result<(), PerturbError> {
        let Some(grids) = &self.grids else {
            return self.check_scaled(terms);
        };
        terms::check_reach(terms, grids.reach(&self.amplitudes), decay)
    }

    /// Coefficients are finite, and larger noise must not make more than the largest number of them.
    fn check_scaled(&self, terms: &Terms) -> Result<(), PerturbError> {
        let amplitudes = self.amplitudes.iter().copied();
        let most = amplitudes.fold(1.0, f64::max);
        let too_large = |(_, c): &&(Seed, f32)| !((f64::from(*c) * most) as f32).is_finite();
        match terms.iter().find(too_large) {
            Some((seed, c)) => Err(PerturbError::NonFinite(format!("{c} for seed {seed}"))),
            None => Ok(()),
        }
    }

    /// Does something to every parameter that moves.
    fn map(&mut self, pass: impl ParameterPass) {
        let module = self.module.take();
        self.module = module.map(|module| module.map(&mut self.mapper(pass)));
    }

    /// What does something to every parameter that moves.
    fn mapper<P: ParameterPass>(&self, pass: P) -> Mapper<'_, P> {
        Mapper {
            path: ParameterPath::default(),
            space: &self.space,
            by_name: &self.by_name,
            pass,
        }
    }
}

#[cfg(all(test, feature = "ndarray"))]
mod tests {
    use super::*;
    use crate::NoiseKind;
    use burn::module::Param;
    use burn::tensor::Tensor;
    use burn_ndarray::NdArray;

    type Vector = Param<Tensor<NdArray<f32>, 1>>;

    fn weights(model: &Perturbed<NdArray<f32>, Vector>) -> Vec<f32> {
        model.module().val().into_data().iter().collect()
    }

    /// Originals that cannot be read back have their updates already: going back again must not make them twice.
    #[test]
    fn a_failed_return_to_the_originals_can_be_repeated() {
        let folder = tempfile::tempdir().expect("a folder");
        let model = |name: &str| {
            let numbers: Vec<f32> = (0..100u8).map(|i| f32::from(i) / 256.0).collect();
            let module = Param::from_tensor(Tensor::from_floats(&numbers[..], &Default::default()));
            let space = ParameterSpace::select(&module, &Selection::All).expect("one parameter");
            let grids = Grids::of(&module, &space, 1e-3, 1e-2).expect("finite");
            let kind = NoiseKind::Gaussian;
            let path = folder.path().join(name);
            let originals = Originals::create(path, &module, space.clone(), kind, grids);
            let model = Perturbed::new(module, space, kind, 1e-3).expect("its own space");
            let mut model = model.anchored(originals.expect("a file"));
            let z = Direction::unit(Seed::new(1));
            model.update(&AppliedUpdate::new(z, 1e-2)).expect("a pass");
            model
        };
        let mut undisturbed = model("a");
        undisturbed.reanchor().expect("a file");

        let mut disturbed = model("b");
        disturbed.make_queued().expect("a file");
        let (path, aside) = (folder.path().join("b"), folder.path().join("aside"));
        std::fs::rename(&path, &aside).expect("a file");
        disturbed.reanchor().expect_err("no file");
        std::fs::rename(&aside, &path).expect("a file");
        disturbed.reanchor().expect("a file").expect("originals");
        assert_eq!(weights(&disturbed), weights(&undisturbed));
    }
}
