use crate::{
    NoiseBackend, NoiseKind, NoisePass, ParameterSpace, ParameterSpec, PerturbError, Selection,
};
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Tensor, TensorPrimitive};
use std::collections::HashMap;
use std::marker::PhantomData;
use zograd_direction::{Direction, Seed};

/// A module "at" a direction: its weights are `theta + eps * at`.
///
/// [`Perturbed::move_to`] walks to another direction by adding `eps * (there - here)`, and
/// [`Perturbed::update`] restores and updates in the same single pass. A step of any strategy is a chain
/// of such hops: MeZO makes 3 passes over the weights, MeZO-GV with a pool of M makes M + 3.
///
/// The weights are changed in place. A live clone of the module would turn every pass into a copy (burn's
/// tensors are copy-on-write), so keep none.
///
/// Rounding: a hop adds in f32, so returning to `theta` leaves an error of at most one rounding per pass
/// and weight, 2^-24 of the weight's size for f32 storage.
pub struct Perturbed<B: NoiseBackend, M: Module<B>> {
    /// `None` only while a pass holds the module.
    module: Option<M>,
    space: ParameterSpace,
    by_name: HashMap<String, usize>,
    kind: NoiseKind,
    eps: f64,
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
            at: Direction::zero(),
            passes: 0,
            streams: 0,
            backend: PhantomData,
        })
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
    /// [`PerturbError::NonFinite`], before anything moved.
    pub fn move_to(&mut self, there: &Direction) -> Result<(), PerturbError> {
        if *there == self.at {
            return Ok(());
        }
        let mut hop = there.clone() - &self.at;
        hop = hop * self.eps;
        self.pass(&hop, &hop, 0.0)?;
        self.at = there.clone();
        Ok(())
    }

    /// Replaces `theta` by `theta - lr * (direction + decay * theta)`, the decay acting on the parameters
    /// that [`ParameterSpec::decays`] names, and stands there: restore and update in one pass.
    ///
    /// # Errors
    /// [`PerturbError::NonFinite`], before anything moved.
    pub fn update(
        &mut self,
        direction: &Direction,
        lr: f64,
        decay: f64,
    ) -> Result<(), PerturbError> {
        let shrink = lr * decay;
        // (theta + eps at) (1 - shrink) - eps at (1 - shrink) - lr d  =  theta (1 - shrink) - lr d
        let [decaying, other] = [shrink, 0.0].map(|shrink| {
            let mut hop = &self.at * (-self.eps * (1.0 - shrink));
            hop.add_scaled(direction, -lr);
            hop
        });
        if !(other.is_zero() && shrink == 0.0) {
            self.pass(&decaying, &other, shrink)?;
        }
        self.at = Direction::zero();
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

    /// One pass over the weights: these increments for parameters that decay and for those that do not, and
    /// the share that is taken off the former.
    fn pass(
        &mut self,
        decaying: &Direction,
        other: &Direction,
        shrink: f64,
    ) -> Result<(), PerturbError> {
        let terms = [rounded(decaying)?, rounded(other)?];
        if !shrink.is_finite() {
            return Err(PerturbError::NonFinite(format!("decay {shrink}")));
        }
        let mut mapper = PassMapper {
            path: Vec::new(),
            space: &self.space,
            by_name: &self.by_name,
            kind: self.kind,
            terms: &terms,
            shrink: shrink as f32,
        };
        self.module = self.module.take().map(|module| module.map(&mut mapper));
        self.passes += 1;
        self.streams += terms[0].len() as u64;
        Ok(())
    }
}

/// The coefficients as the kernels take them.
fn rounded(direction: &Direction) -> Result<Vec<(Seed, f32)>, PerturbError> {
    let terms: Vec<_> = direction
        .terms()
        .iter()
        .map(|&(seed, c)| (seed, c as f32))
        .collect();
    match terms.iter().find(|(_, c)| !c.is_finite()) {
        Some((seed, c)) => Err(PerturbError::NonFinite(format!("{c} for seed {seed}"))),
        None => Ok(terms),
    }
}

/// Visits the parameters of a module and applies the pass to those that move.
struct PassMapper<'a> {
    path: Vec<String>,
    space: &'a ParameterSpace,
    by_name: &'a HashMap<String, usize>,
    kind: NoiseKind,
    /// For parameters that decay, and for those that do not.
    terms: &'a [Vec<(Seed, f32)>; 2],
    shrink: f32,
}

impl PassMapper<'_> {
    fn spec(&self) -> Option<&ParameterSpec> {
        let index = *self.by_name.get(&self.path.join("."))?;
        self.space.parameters().get(index)
    }
}

impl<B: NoiseBackend> ModuleMapper<B> for PassMapper<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let Some(spec) = self.spec() else {
            return param;
        };
        let pass = NoisePass {
            tensor: spec.id,
            kind: self.kind,
            terms: &self.terms[usize::from(!spec.decays)],
            shrink: if spec.decays { self.shrink } else { 0.0 },
        };
        // `Param::map` hands over the only handle of the tensor, so the kernel writes in place.
        param.map(|tensor| {
            let moved = B::add_noise(tensor.into_primitive().tensor(), &pass);
            Tensor::from_primitive(TensorPrimitive::Float(moved))
        })
    }
}
