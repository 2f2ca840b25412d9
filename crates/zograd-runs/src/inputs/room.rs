//! Whether a run has room for what it writes.

use crate::error::{Result, refuse};
use crate::settings::{MethodKind, Settings, Storage};
use std::path::PathBuf;
use zograd_files::{Bytes, free_bytes, is_same_disk};
use zograd_models::ModelConfig;
use zograd_models::hub::Download;
use zograd_perturb::Arithmetic;

/// Runs that need less are not looked at: where they find no room, little is lost.
const SMALL_BYTES: u64 = 256 << 20;

/// What a run that saves whole models writes.
pub struct Room {
    out: PathBuf,
    /// Models that are there at the same time at most.
    copies: u64,
    storage: Storage,
    /// Bytes a weight of what else is there: the f32 originals of 16-bit weights, and start weights to decay towards.
    beside: u64,
}

impl Room {
    /// That of a run with these settings; none of one that saves adapters.
    pub fn of(settings: &Settings) -> Option<Self> {
        let has_log = MethodKind::of(&settings.method).has_log();
        settings.adapter.is_none().then(|| Self {
            out: settings.out.clone().unwrap_or_else(|| "runs".into()),
            // best/, a checkpoint, and the one of them that is being replaced
            copies: if has_log { 3 } else { 2 },
            storage: settings.machine.storage(),
            beside: {
                let anchored = settings.arithmetic() == Some(Arithmetic::Anchored);
                4 * u64::from(anchored) + 4 * u64::from(settings.config.decays_to_start())
            },
        })
    }

    /// Refuses a disk that has not enough room for the models of a run with this model, and for its `download`, if that
    /// goes to the same disk.
    ///
    /// # Errors
    /// It has not: how much is needed and how much there is.
    pub fn check(&self, model: &ModelConfig, download: Option<&Download<'_>>) -> Result<()> {
        let size = self.copies * self.storage.bytes() as u64 + self.beside;
        let own = (model.num_parameters() as u64).saturating_mul(size);
        if own < SMALL_BYTES {
            return Ok(());
        }
        let before = download.filter(|download| is_same_disk(download.cache, &self.out));
        let needed = own.saturating_add(before.map_or(0, |download| download.bytes));
        match free_bytes(&self.out) {
            Some(free) if free < needed => refuse!(
                "`out = {}`: the run needs {needed} bytes there ({}: {} times the weights in {}, for the best ones, a \
                 checkpoint and what replaces them{}), and {free} are free ({})",
                self.out.display(),
                Bytes(needed),
                self.copies,
                self.storage,
                match before {
                    Some(_) => "; and the download",
                    None => "",
                },
                Bytes(free)
            ),
            _ => Ok(()),
        }
    }
}
