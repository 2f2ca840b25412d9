use super::Header;
use crate::LanguageModel;
use burn::module::Module;
use std::path::{Path, PathBuf};
use zograd_perturb::{
    Arithmetic, Grids, NoiseBackend, Originals, ParameterSpace, PerturbError, Perturbation,
    Perturbed, StartWeights,
};

/// How the model of a run is walked: plainly, on grids, or with originals. All that is decided by the weights that
/// the run starts from, for a run that begins, is resumed, or is replayed.
pub struct Walk {
    space: ParameterSpace,
    noise: Perturbation,
    eps: f64,
    arithmetic: Arithmetic,
    /// Where the originals of anchored weights are kept.
    originals: PathBuf,
    grids: Option<Grids>,
    /// If weights decay towards where they start.
    start: Option<StartWeights>,
}

impl Walk {
    /// Of the run with this header, which starts from `model`; the f32 originals of anchored weights are kept in the
    /// file `originals`, and start weights, towards which weights decay, in a file without a name beside that.
    ///
    /// # Errors
    /// A selection that names nothing, weights that are not finite, or perturbations that are not to be had
    /// ([`PerturbationSpec::perturbation`](zograd_perturb::family::PerturbationSpec::perturbation)), or a file of the start
    /// weights that cannot be written.
    pub fn from_start<B: NoiseBackend, M: Module<B> + LanguageModel>(
        model: &M,
        header: &Header,
        originals: PathBuf,
    ) -> Result<Self, PerturbError> {
        let space = ParameterSpace::select(model, &header.selection)?;
        let (kind, seed) = (header.noise, header.perturbation_seed());
        let mut spec = header.perturbation.clone();
        let noise = spec.perturbation(kind, model, &space, seed)?;
        Self::with_noise(model, header, originals, noise)
    }

    /// The same with these perturbations, of which the header says no more than a name
    /// ([`FamilySpec::Own`](zograd_perturb::family::FamilySpec::Own)).
    ///
    /// # Errors
    /// A selection that names nothing, weights that are not finite, or a file of them that cannot be written.
    pub fn with_noise<B: NoiseBackend, M: Module<B> + LanguageModel>(
        model: &M,
        header: &Header,
        originals: PathBuf,
        noise: impl Into<Perturbation>,
    ) -> Result<Self, PerturbError> {
        let noise = noise.into();
        let space = ParameterSpace::select(model, &header.selection)?;
        let space = space.decaying(|name| model.decays(name));
        let (eps, lr) = (header.eps, header.config.lr);
        let grids = match header.arithmetic {
            Arithmetic::Plain => None,
            _ => Some(Grids::of_noise(model, &space, &noise, eps, lr)?),
        };
        let keep = |at| StartWeights::keep(model, &space, grids.as_ref(), at);
        let beside = originals.parent().unwrap_or(Path::new(""));
        let decays = header.config.decays_to_start();
        let start = decays.then(|| keep(beside)).transpose()?;
        Ok(Self {
            space,
            noise,
            eps,
            arithmetic: header.arithmetic,
            originals,
            grids,
            start,
        })
    }

    /// `model` at the weights that the run starts from.
    ///
    /// # Errors
    /// The originals cannot be written.
    pub fn begin<B: NoiseBackend, M: Module<B>>(
        self,
        model: M,
    ) -> Result<Perturbed<B, M>, PerturbError> {
        let kept = self.kept(|file, space, noise, grids| {
            Originals::create(file, &model, space, noise, grids)
        })?;
        self.walker(model, kept)
    }

    /// `model` in the middle of its run, with the originals where [`Walk::from_start`] was told.
    ///
    /// # Errors
    /// The originals cannot be read.
    pub fn resume<B: NoiseBackend, M: Module<B>>(
        self,
        model: M,
    ) -> Result<Perturbed<B, M>, PerturbError> {
        let kept = self.kept(Originals::open)?;
        self.walker(model, kept)
    }

    /// The originals, made or opened, if the weights have any.
    fn kept(
        &self,
        open: impl FnOnce(
            PathBuf,
            ParameterSpace,
            Perturbation,
            Grids,
        ) -> Result<Originals, PerturbError>,
    ) -> Result<Option<Originals>, PerturbError> {
        let (Some(grids), Arithmetic::Anchored) = (&self.grids, self.arithmetic) else {
            return Ok(None);
        };
        let (file, space) = (self.originals.clone(), self.space.clone());
        open(file, space, self.noise.clone(), grids.clone()).map(Some)
    }

    fn walker<B: NoiseBackend, M: Module<B>>(
        self,
        model: M,
        kept: Option<Originals>,
    ) -> Result<Perturbed<B, M>, PerturbError> {
        let Self {
            space,
            noise,
            eps,
            grids,
            start,
            ..
        } = self;
        let walker = match (kept, grids) {
            (Some(kept), _) => Perturbed::new(model, space, noise, eps)?.anchored(kept),
            (None, Some(grids)) => Perturbed::on_grids(model, space, noise, eps, grids)?,
            (None, None) => Perturbed::new(model, space, noise, eps)?,
        };
        Ok(match start {
            Some(start) => walker.decaying_toward(start),
            None => walker,
        })
    }
}
