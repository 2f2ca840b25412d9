use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use thiserror::Error;
use zograd_models::{
    AdapterConfig, AdapterError, Model, ModelBackend, PrefixInit, content_hash_of, is_adapter,
};
use zograd_perturb::Seed;

/// Child of the run's seed that the numbers of a fresh adapter come from.
const ADAPTER: u64 = 2;

/// What adapter a run began with: enough to make it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdapterStart {
    /// Its kind and shape.
    #[serde(flatten)]
    pub config: AdapterConfig,
    /// Seed of its numbers ([`Model::with_adapter`]).
    pub seed: Seed,
    /// Content hash of its tensors ([`content_hash_of`]).
    pub weights: String,
}

/// Why the adapter that a run began with could not be made again.
#[derive(Debug, Error)]
pub enum AdapterStartError {
    /// The adapter does not fit the model, or its files are damaged.
    #[error(transparent)]
    Adapter(#[from] AdapterError),
    /// The tensors have other bits than those of the run.
    #[error(
        "the adapter that the run began with comes out with other bits here: {found}, not {expected}; use the \
         backend of the run, or the folder {folder} that it kept"
    )]
    Differs {
        /// Hash of what was made.
        found: String,
        /// Hash in the log.
        expected: String,
        /// Where the run kept it.
        folder: PathBuf,
    },
}

impl AdapterStart {
    /// `base` with a fresh adapter for the run with this seed, and what the log says of it.
    ///
    /// # Errors
    /// A setting is out of range for the model.
    pub fn fresh<B: ModelBackend>(
        config: AdapterConfig,
        run_seed: u64,
        base: Model<B>,
    ) -> Result<(Self, Model<B>), AdapterError> {
        let seed = Seed::new(run_seed).child(ADAPTER);
        let model = base.with_adapter(&config, seed)?;
        let weights = content_hash_of(&model, is_adapter);
        Ok((
            Self {
                config,
                seed,
                weights,
            },
            model,
        ))
    }

    /// Whether only the run's own backend and kind of machine are sure to make it again: a prefix of real
    /// activations is the result of a forward pass. Such a start is worth keeping in files.
    pub fn depends_on_the_machine(&self) -> bool {
        matches!(&self.config, AdapterConfig::Prefix(prefix) if prefix.init == PrefixInit::Real)
    }

    /// `base` with the adapter that the run began with, from the folder `kept` if that exists, else made again.
    ///
    /// # Errors
    /// It does not fit the model, or its bits are not those of the run.
    pub fn again<B: ModelBackend>(
        &self,
        base: Model<B>,
        kept: &Path,
    ) -> Result<Model<B>, AdapterStartError> {
        let model = if kept.is_dir() {
            base.with_adapter_from(kept)?
        } else {
            base.with_adapter(&self.config, self.seed)?
        };
        let found = content_hash_of(&model, is_adapter);
        if found != self.weights {
            return Err(AdapterStartError::Differs {
                found,
                expected: self.weights.clone(),
                folder: kept.to_owned(),
            });
        }
        Ok(model)
    }
}
