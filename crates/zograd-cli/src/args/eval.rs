//! Flags of `zograd eval`.

use super::settings::{Flags, HasSettings};
use zograd_runs::{Keys, Runs};

/// `zograd eval`
#[derive(Clone, Debug)]
pub enum Eval {}

impl HasSettings for Eval {
    fn keys() -> Keys {
        Runs::measurement_keys()
    }
}

/// Its flags.
pub type EvalArgs = Flags<Eval>;
