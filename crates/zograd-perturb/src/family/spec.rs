use super::{BlockOrder, Blocks, Dense, Family, Lozo, Mask, MaskRule, Perturbation, Scales};
use super::{Sparse, Subzero};
use crate::{NoiseKind, ParameterSpace, PerturbError, Seed};
use burn::module::Module;
use burn::tensor::backend::Backend;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A family and its settings, as they stand in a log.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "family", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum FamilySpec {
    /// [`Dense`]
    #[default]
    Dense,
    /// [`Subzero`]
    Subzero {
        /// Columns of its bases.
        rank: u64,
        /// Steps for which they are kept.
        refresh: u64,
    },
    /// [`Lozo`]
    Lozo {
        /// Columns of its factors.
        rank: u64,
        /// Steps for which the right one is kept.
        refresh: u64,
    },
    /// [`Blocks`]
    Blocks {
        /// Which is the next.
        order: BlockOrder,
    },
    /// [`Sparse`]
    Sparse {
        /// Which weights move.
        mask: MaskRule,
        /// Their share of a matrix.
        density: f64,
        /// [`Mask::hash`], once the mask is made.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hash: Option<String>,
    },
    /// A family of another crate, which alone can make its noise again.
    Own {
        /// What it calls itself.
        name: String,
    },
}

/// How a run perturbs its weights, as it stands in its log: all but the distribution of dense noise.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PerturbationSpec {
    /// What a seed means.
    #[serde(flatten)]
    pub family: FamilySpec,
    /// Factors of the noise by kind of tensor.
    #[serde(default, skip_serializing_if = "Scales::are_one")]
    pub scales: Scales,
}

impl PerturbationSpec {
    /// This family, not scaled.
    pub fn new(family: FamilySpec) -> Self {
        Self {
            family,
            scales: Scales::default(),
        }
    }

    /// Whether it is noise in every element, not scaled.
    pub fn is_dense(&self) -> bool {
        *self == Self::default()
    }

    /// The perturbation of a run that starts from `module`; what is drawn once comes from `seed`. Where a mask is made
    /// for the first time, its hash is noted here.
    ///
    /// # Errors
    /// [`PerturbError::Family`]: a setting is out of its range, the mask is not the one whose hash is noted here, or the
    /// family is of another crate.
    pub fn perturbation<B: Backend, M: Module<B>>(
        &mut self,
        kind: NoiseKind,
        module: &M,
        space: &ParameterSpace,
        seed: Seed,
    ) -> Result<Perturbation, PerturbError> {
        self.check()?;
        let family: Arc<dyn Family> = match &mut self.family {
            FamilySpec::Dense => Arc::new(Dense),
            FamilySpec::Subzero { rank, refresh } => {
                Arc::new(Subzero::new(*rank as usize, *refresh, kind, seed))
            }
            FamilySpec::Lozo { rank, refresh } => {
                Arc::new(Lozo::new(*rank as usize, *refresh, kind, seed))
            }
            FamilySpec::Blocks { order } => Arc::new(Blocks::new(space, *order, seed)),
            FamilySpec::Sparse {
                mask,
                density,
                hash,
            } => {
                let mask = Mask::of(module, space, *mask, *density, seed);
                let found = mask.hash();
                let noted = hash.get_or_insert_with(|| found.clone());
                if *noted != found {
                    return Err(PerturbError::Family(format!(
                        "the mask comes out with other bits here: {found}, not {noted}"
                    )));
                }
                Arc::new(Sparse::new(kind, mask))
            }
            FamilySpec::Own { name } => {
                return Err(PerturbError::Family(format!(
                    "\"{name}\" is a family of another program, which alone can make its noise"
                )));
            }
        };
        Ok(Perturbation::of(kind, family).scaled(self.scales))
    }

    /// Whether every setting is in its range.
    ///
    /// # Errors
    /// [`PerturbError::Family`], with the setting as it stands in a file.
    pub fn check(&self) -> Result<(), PerturbError> {
        let refuse = |what: String| Err(PerturbError::Family(what));
        for (key, scale) in [
            ("scale-1d", self.scales.vectors),
            ("scale-positions", self.scales.positions),
        ] {
            // some tens of times larger noise than elsewhere is no probe any more
            if !(0.0..=100.0).contains(&scale) {
                return refuse(format!("`{key} = {scale}`: use a number from 0 to 100"));
            }
        }
        match &self.family {
            FamilySpec::Subzero { rank, refresh } | FamilySpec::Lozo { rank, refresh } => {
                if !(1..=MAX_RANK).contains(rank) {
                    return refuse(format!(
                        "`perturbation-rank = {rank}`: use a number from 1 to {MAX_RANK}"
                    ));
                }
                if *refresh == 0 {
                    return refuse("`refresh = 0`: use at least 1 step".into());
                }
            }
            FamilySpec::Sparse { density, .. } if !(*density > 0.0 && *density <= 1.0) => {
                return refuse(format!(
                    "`density = {density}`: use a share of the weights above 0 and at most 1"
                ));
            }
            _ => {}
        }
        Ok(())
    }
}

/// The largest rank: far beyond use, and harmless to memory.
const MAX_RANK: u64 = 4096;
