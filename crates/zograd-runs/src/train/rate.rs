//! The learning rate that a run measures before its first step.

use super::prepare::Prepared;
use crate::backend::RunBackend;
use crate::error::{Blame, Problem, Result, RunError, refuse};
use crate::watch::Watch;
use crate::words::count;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use zograd_models::Model;
use zograd_perturb::Arithmetic;
use zograd_ranks::Ranks;
use zograd_select::Methods;
use zograd_trainer::trajectory::{Header, Walk};
use zograd_trainer::{Allowance, DecayToward, MeasuredRate, Measuring, Spent};

/// Rates that can be meant, of a method whose estimates are as long as the gradient along one direction.
const USUAL: RangeInclusive<f64> = 1e-8..=1e-2;

/// Measures the rate of the run with this header at its start weights. The weights are not given back: probes may have rounded
/// them.
///
/// # Errors
/// A loss without curvature, or with so little or so much that no rate follows from it; a budget of which nothing is left; it was interrupted, before anything was written.
pub(super) fn measure<B: RunBackend>(
    prepared: &Prepared,
    (model, header): (Model<B>, Option<Header>),
    methods: &Methods,
    measuring: Measuring,
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
    let is_fitted = header.head_fit.is_some();
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
        measuring,
        ranks.asked(),
    );
    watch.work_ends();
    let Some(mut rate) = measured.or_input()? else {
        let line = "interrupted: measuring the learning rate; nothing was written";
        return Err(RunError::Stopped(Problem::new(line)));
    };
    let spent = Spent {
        tokens: rate.tokens,
        // what measuring takes of them does not count
        seconds: 0.0,
    };
    let limit = prepared.settings.config.limit;
    let spent = limit.filter(|limit| limit.is_reached(spent));
    if let Some(Allowance::Tokens(tokens)) = spent.map(|limit| limit.of) {
        refuse!(
            "`tokens = {tokens}`: measuring the learning rate (`lr = auto`) has taken all of it ({}); give more, or a number",
            count(rate.forwards, "forward pass")
        );
    }
    let found = rate.lr;
    match is_fitted {
        // a fit may leave little to be learnt, which is no reason to refuse the run
        true => rate.lr = nearest_usual(&rate),
        false => check_usual(&rate, config.batch_size)?,
    }
    let instead = match rate.lr == found {
        true => String::new(),
        false => format!(" (the nearest usual one, instead of {found:.1e})"),
    };
    watch.note(&format!(
        "learning rate {:.1e}{instead}, measured with {}: curvature {:.1e} (standard error {:.0e}) along the noise",
        rate.lr,
        count(rate.forwards, "forward"),
        rate.curvature,
        rate.curvature_error
    ));
    Ok(rate)
}

/// The rate, or the last one on the way to it that can be meant. Reach and rate were made sure to be finite and above 0.
fn nearest_usual(rate: &MeasuredRate) -> f64 {
    let longer = rate.reach.max(1.0);
    rate.lr.clamp(USUAL.start() * longer, USUAL.end() * longer)
}

/// Batches that biases of two options, fitted to each, explain nearly whole.
const SMALL_BATCH: usize = 4;

/// Refuses a rate that nobody can mean. Longer estimates, as of a large pool, have larger rates.
fn check_usual(rate: &MeasuredRate, batch_size: usize) -> Result<()> {
    let lr = rate.lr / rate.reach.max(1.0);
    let what = if lr > *USUAL.end() {
        "hardly any"
    } else {
        "too much"
    };
    if USUAL.contains(&lr) {
        return Ok(());
    }
    let larger = match lr > *USUAL.end() && batch_size < SMALL_BATCH {
        true => {
            format!("measure with larger batches than of {batch_size} (`batch-size`), or ")
        }
        false => String::new(),
    };
    refuse!(
        "`lr = auto`: at these weights the losses of the examples have {what} curvature along the noise ({:.1e}, standard error \
         {:.0e}); the rate of {:.1e} that would follow is none to train with (usual are {:e} to {:e} for MeZO); {larger}give a \
         number, such as the best one of a short sweep",
        rate.curvature,
        rate.curvature_error,
        rate.lr,
        USUAL.start(),
        USUAL.end()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_that_nobody_means_are_refused() {
        let rate = |lr: f64, reach: f64| {
            let (curvature, error) = (0.05 * reach / lr, 0.0);
            let text = format!(
                "{{\"lr\":{lr},\"curvature\":{curvature},\"curvature_error\":{error},\"reach\":{reach},\"forwards\":8,\"tokens\":1}}"
            );
            let rate = serde_json::from_str(&text).expect("a rate");
            let checked = check_usual(&rate, 16).map_err(|e| e.to_string());
            let small = check_usual(&rate, 1).map_err(|e| e.to_string());
            let is_small = small.is_err_and(|e| e.contains("`batch-size`"));
            assert_eq!(is_small, lr > 1e-2 * reach, "{lr}");
            // behind a fit it is taken, or the nearest one
            let nearest = nearest_usual(&rate);
            assert_eq!(nearest == rate.lr, checked.is_ok(), "{lr}");
            checked
        };
        for (lr, reach) in [(2e-4, 1.0), (1e-2, 1.0), (1.5e-2, 63.0), (3e-8, 1.0)] {
            assert_eq!(rate(lr, reach), Ok(()));
        }
        for (lr, word) in [
            (6e-2, "hardly any"),
            (5.5, "hardly any"),
            (1e-9, "too much"),
        ] {
            let error = rate(lr, 1.0).expect_err("refused");
            assert!(
                error.starts_with("`lr = auto`: ") && error.contains(word),
                "{error}"
            );
        }
    }
}
