//! What a log must be to go on from it.

use super::files::BEST;
use crate::error::{Result, refuse};
use crate::settings::TAIL;
use crate::watch::Watch;
use zograd_perturb::noise;
use zograd_trainer::trajectory::{Header, Tail};

/// Refuses a log whose noise this program cannot make.
///
/// # Errors
/// Another version of the noise.
pub(crate) fn check_noise(header: &Header) -> Result<()> {
    if header.noise_version != noise::VERSION {
        refuse!(
            "its noise is version {}, this zograd makes version {}; use the zograd that wrote it",
            header.noise_version,
            noise::VERSION
        );
    }
    Ok(())
}

/// Refuses a log from which no weights are made without the rows of the run.
///
/// # Errors
/// That of a run along the tail, or with a candidate that was informed by it.
pub(crate) fn check_replays(header: &Header) -> Result<()> {
    let method = header.method.name();
    if method == TAIL {
        refuse!(
            "a run of {method} follows from its rows: the log has the losses and learning rates of its steps, and no \
             directions to replay; its weights are in {BEST}/, and `resume` makes its steps again"
        );
    }
    if header.informed.is_some() {
        refuse!(
            "a run with `informed = tail` follows from its rows: the first candidate of its steps was made of them and is no \
             noise; its weights are in {BEST}/, and `resume` makes its steps again"
        );
    }
    Ok(())
}

/// Refuses weights that are not those the run started from.
///
/// # Errors
/// Another hash.
pub(crate) fn check_base(header: &Header, found: &str) -> Result<()> {
    if header.weights != found {
        refuse!(
            "`model`: the run started from other weights: {} ({}), these are {found}; give the model it started from",
            header.weights,
            header.model
        );
    }
    Ok(())
}

/// Says so if the end of a log was left out.
pub fn note_tail(tail: &Tail, watch: &mut dyn Watch) {
    if let Tail::Torn { bytes, reason } = tail {
        watch.note(&format!(
            "note: the last {bytes} bytes are left out: a record began there and {reason}"
        ));
    }
}
