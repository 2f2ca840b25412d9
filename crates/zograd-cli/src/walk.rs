//! A model that walks as its run does: plainly, on grids, or with an anchor.

use crate::backend::TrainBackend;
use anyhow::Result;
use std::path::PathBuf;
use zograd_models::Opt;
use zograd_perturb::{Anchor, Arithmetic, Grids, NoiseKind, ParameterSpace, Perturbed};
use zograd_trainer::trajectory::Header;

/// How to walk: everything that is decided by the start weights.
pub struct Walk {
    space: ParameterSpace,
    noise: NoiseKind,
    eps: f64,
    arithmetic: Arithmetic,
    /// Where the originals of anchored weights are kept.
    anchor: PathBuf,
    grids: Option<Grids>,
}

impl Walk {
    /// Of the run that starts from `model` and has this header; `anchor` is where the originals of anchored weights
    /// are kept.
    ///
    /// # Errors
    /// Weights that are not finite.
    pub fn from_start<B: TrainBackend>(
        model: &Opt<B>,
        space: ParameterSpace,
        header: &Header,
        anchor: PathBuf,
    ) -> Result<Self> {
        let grids = match header.arithmetic {
            Arithmetic::Plain => None,
            Arithmetic::Exact | Arithmetic::Anchored => {
                Some(Grids::of(model, &space, header.eps, header.config.lr)?)
            }
        };
        Ok(Self {
            space,
            noise: header.noise,
            eps: header.eps,
            arithmetic: header.arithmetic,
            anchor,
            grids,
        })
    }

    /// `model` at its start weights.
    ///
    /// # Errors
    /// The originals cannot be written.
    pub fn begin<B: TrainBackend>(self, model: Opt<B>) -> Result<Perturbed<B, Opt<B>>> {
        let anchor = match (&self.grids, self.arithmetic) {
            (Some(grids), Arithmetic::Anchored) => Some(Anchor::create(
                self.anchor.clone(),
                &model,
                self.space.clone(),
                self.noise,
                grids.clone(),
            )?),
            _ => None,
        };
        self.walker(model, anchor)
    }

    /// `model` in the middle of its run, with the originals where [`Walk::from_start`] was told.
    ///
    /// # Errors
    /// The originals cannot be read.
    pub fn go_on<B: TrainBackend>(self, model: Opt<B>) -> Result<Perturbed<B, Opt<B>>> {
        let anchor = match (&self.grids, self.arithmetic) {
            (Some(grids), Arithmetic::Anchored) => Some(Anchor::open(
                self.anchor.clone(),
                self.space.clone(),
                self.noise,
                grids.clone(),
            )?),
            _ => None,
        };
        self.walker(model, anchor)
    }

    fn walker<B: TrainBackend>(
        self,
        model: Opt<B>,
        anchor: Option<Anchor>,
    ) -> Result<Perturbed<B, Opt<B>>> {
        let Self {
            space, noise, eps, ..
        } = self;
        Ok(match (anchor, self.grids) {
            (Some(anchor), _) => Perturbed::new(model, space, noise, eps)?.anchored(anchor),
            (None, Some(grids)) => Perturbed::on_grids(model, space, noise, eps, grids)?,
            (None, None) => Perturbed::new(model, space, noise, eps)?,
        })
    }
}
