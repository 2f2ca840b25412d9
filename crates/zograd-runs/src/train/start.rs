//! The model as a run begins with it.

use crate::backend::RunBackend;
use crate::error::{Blame, Result};
use crate::folder::{Interrupted, START};
use crate::settings::{Settings, Tune};
use std::path::{Path, PathBuf};
use zograd_models::{BaseNote, HEAD, Model, save_adapter};
use zograd_perturb::Selection;
use zograd_trainer::trajectory::{AdapterStart, Header};

/// A run that goes on.
pub(super) struct Resumed<'a> {
    /// What its log says.
    pub(super) header: &'a Header,
    /// The folder that was named.
    pub(super) run: &'a Path,
    /// Where the adapter is that it began with, if it was kept.
    pub(super) start: PathBuf,
}

impl<'a> From<&'a Interrupted> for Resumed<'a> {
    fn from(run: &'a Interrupted) -> Self {
        Self {
            header: run.header(),
            run: run.folder(),
            start: start_folder(run.folder()),
        }
    }
}

/// `base`, with a head of its own if only the head is tuned.
pub(crate) fn without_adapter<B: RunBackend>(base: Model<B>, tune: Tune) -> Model<B> {
    match tune {
        Tune::Head => base.untied(),
        _ => base,
    }
}

/// What a log says is tuned.
pub(crate) fn tuned_by(selection: &Selection) -> Tune {
    match *selection == Selection::matching([HEAD]) {
        true => Tune::Head,
        false => Tune::Full,
    }
}

/// The model as the run begins with it: `base`, or `base` with the adapter.
///
/// # Errors
/// The adapter of an interrupted run comes out otherwise than it did.
pub(super) fn begin<B: RunBackend>(
    settings: &Settings,
    base: Model<B>,
    resumed: Option<&Resumed<'_>>,
) -> Result<(Model<B>, Option<AdapterStart>)> {
    let Some(config) = &settings.adapter else {
        return Ok((without_adapter(base, settings.tune), None));
    };
    let before = resumed.and_then(|run| Some((run, run.header.adapter.as_ref()?)));
    match before {
        Some((run, start)) if start.config == *config => {
            let model = start.again(base, &run.start).about("`resume`")?;
            Ok((model, Some(start.clone())))
        }
        _ => {
            let (start, model) =
                AdapterStart::fresh(config.clone(), settings.config.seed, base).or_input()?;
            Ok((model, Some(start)))
        }
    }
}

/// Where a run keeps the adapter it began with.
pub(crate) fn start_folder(run: &Path) -> PathBuf {
    run.join(START)
}

/// Keeps the adapter that the run begins with, if the log alone might not be enough to make it again.
///
/// # Errors
/// It cannot be written.
pub(super) fn keep_start<B: RunBackend>(
    start: Option<&AdapterStart>,
    model: &Model<B>,
    base: &BaseNote,
    run: &Path,
) -> Result<()> {
    if start.is_some_and(AdapterStart::depends_on_the_machine) {
        save_adapter(model, base, &start_folder(run)).while_running()?;
    }
    Ok(())
}
