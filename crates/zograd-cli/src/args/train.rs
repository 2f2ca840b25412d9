//! Flags of `zograd train`.

use super::settings::{Flags, HasSettings};
use zograd_runs::{Keys, Runs};

/// `zograd train`
#[derive(Clone, Debug)]
pub enum Train {}

impl HasSettings for Train {
    fn keys() -> Keys {
        Runs::new().keys()
    }

    const RESUME: &'static str = "Resume the interrupted run in this folder, with the settings it had; it ends in the \
         same bits as one that was never interrupted (--threads, --device and --json go with it, --steps with a larger number, also for a run that is finished, whose --eval-every stays what it was, and --model, --tokenizer, --task and --data where they have moved)";
}

/// Its flags.
pub type TrainArgs = Flags<Train>;
