//! The learning rate that a run measures before its first step.

use super::prepare::Prepared;
use crate::backend::RunBackend;
use crate::error::{Blame, Problem, Result, RunError, refuse};
use crate::watch::Watch;
use crate::words::count;
use std::path::PathBuf;
use zograd_models::Model;
use zograd_perturb::Arithmetic;
use zograd_ranks::Ranks;
use zograd_select::Methods;
use zograd_trainer::trajectory::{Header, Walk};
use zograd_trainer::{DecayToward, MeasuredRate};

/// Measures the rate of the run with this header at its start weights, along so many directions. The weights are not given back:
/// probes may have rounded them.
///
/// # Errors
/// A loss without curvature; it was interrupted, before anything was written.
pub(super) fn measure<B: RunBackend>(
    prepared: &Prepared,
    (model, header): (Model<B>, Option<Header>),
    methods: &Methods,
    directions: u64,
    (ranks, watch): (&Ranks, &mut dyn Watch),
) -> Result<MeasuredRate> {
    let Some(mut header) = header else {
        refuse!("`lr = auto`: this method makes no probes; give a number");
    };
    if header.arithmetic == Arithmetic::Anchored {
        // nothing is moved that an original would have to remember
        header.arithmetic = Arithmetic::Plain;
    }
    header.config.decay_toward = DecayToward::Zero;
    let mut strategy = methods.build(&header.method).or_input()?;
    let walk = Walk::from_start(&model, &header, PathBuf::new()).or_input()?;
    let mut model = walk.begin(model).while_running()?;
    let what = (
        prepared.objective.as_ref(),
        prepared.data.examples(&prepared.scoring),
    );
    let config = &prepared.settings.config;
    watch.work_begins("learning rate", 1);
    let measured = MeasuredRate::of(
        &mut model,
        strategy.as_mut(),
        what,
        config,
        directions,
        ranks.asked(),
    );
    watch.work_ends();
    let Some(rate) = measured.or_input()? else {
        let line = "interrupted: measuring the learning rate; nothing was written";
        return Err(RunError::Stopped(Problem::new(line)));
    };
    watch.note(&format!(
        "learning rate {:.1e}, measured with {}: curvature {:.1e} (standard error {:.0e}) along the noise",
        rate.lr,
        count(rate.forwards, "forward"),
        rate.curvature,
        rate.curvature_error
    ));
    Ok(rate)
}
