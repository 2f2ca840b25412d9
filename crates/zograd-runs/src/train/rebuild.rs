//! The weights after some steps of a run, from its log.

use super::head_fit::fitted;
use super::start::{tuned_by, without_adapter};
use crate::backend::RunBackend;
use crate::error::{Blame, Result};
use crate::folder::check_base;
use crate::inputs;
use crate::settings::Storage;
use crate::watch::Watch;
use std::path::{Path, PathBuf};
use zograd_models::{Model, content_hash};
use zograd_perturb::{Arithmetic, Perturbed};
use zograd_select::{Methods, Strategy};
use zograd_trainer::trajectory::{Header, Record, Walk, replay};

/// What a run's weights are made of again.
pub(crate) struct Rebuild<'a> {
    /// The folder of the weights the run started from.
    pub(crate) model: &'a Path,
    pub(crate) storage: Storage,
    pub(crate) methods: &'a Methods,
    /// Where the run may have kept the adapter it began with.
    pub(crate) start: &'a Path,
    pub(crate) header: &'a Header,
    /// The steps to make.
    pub(crate) records: &'a [Record],
    /// Where the f32 originals of anchored weights are kept meanwhile.
    pub(crate) originals: PathBuf,
}

impl Rebuild<'_> {
    /// The model after these steps.
    ///
    /// # Errors
    /// Weights or records that are not the run's.
    pub(crate) fn run<B: RunBackend>(
        self,
        device: &B::Device,
        watch: &mut dyn Watch,
    ) -> Result<Model<B>> {
        let (header, records) = (self.header, self.records);
        self.made_by(device, watch, |model, strategy, progress| {
            replay(model, strategy, header, records, progress).while_running()
        })
    }

    /// The model after what `make` makes of the start, with the strategy of the run.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub(super) fn made_by<B: RunBackend>(
        self,
        device: &B::Device,
        watch: &mut dyn Watch,
        make: impl FnOnce(
            &mut Perturbed<B, Model<B>>,
            &mut dyn Strategy,
            &mut dyn FnMut(u64),
        ) -> Result<()>,
    ) -> Result<Model<B>> {
        let header = self.header;
        let base = inputs::load::<B>(self.model, self.storage, device).about("`model`")?;
        check_base(header, &content_hash(&base))?;
        let base = fitted(base, header.head_fit.as_ref())?;
        let model = match &header.adapter {
            Some(start) => start.again(base, self.start).about("`log`")?,
            None => without_adapter(base, tuned_by(&header.selection)),
        };
        let anchored = header.arithmetic == Arithmetic::Anchored;
        let _scrap = anchored.then(|| Scrap(self.originals.clone()));
        let walk = Walk::from_start(&model, header, self.originals).or_input()?;
        let mut model = walk.begin(model).while_running()?;
        let mut strategy = self.methods.build(&header.method).about("`log`")?;
        watch.work_begins("replay", self.records.len() as u64);
        let made = make(&mut model, strategy.as_mut(), &mut |step| {
            watch.work_done(step);
        });
        watch.work_ends();
        made?;
        model.into_module().or_input()
    }
}

/// A file that is of no use once this is dropped, however that comes.
struct Scrap(PathBuf);

impl Drop for Scrap {
    fn drop(&mut self) {
        // one that stays costs space only
        let _ = std::fs::remove_file(&self.0);
        let _ = std::fs::remove_file(self.0.with_extension("partial"));
    }
}
