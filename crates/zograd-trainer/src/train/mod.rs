//! Many steps: what a run is made of, and the loop.

mod best_by;
mod config;
mod course;
mod decay_toward;
mod examples;
mod gain;
mod informant;
mod limit;
mod state;
mod steps;
mod summary;
mod training;

use crate::Batches;
pub use best_by::BestBy;
pub use config::TrainConfig;
pub(crate) use course::{Course, Done, Stepper};
pub use decay_toward::DecayToward;
pub use examples::Examples;
pub use gain::Gain;
pub use informant::{Informant, Informed};
pub use limit::{Allowance, Limit, Spent};
pub use state::TrainState;
pub use summary::{StopReason, TrainSummary};
pub use training::Training;
use zograd_perturb::Seed;

/// Children of the run's seed: one for the noise of the steps, one for the order of the examples, one for answers that are
/// drawn.
const NOISE: u64 = 0;
const ORDER: u64 = 1;
const ANSWERS: u64 = 2;

/// The batches of a run.
pub(crate) fn batches_of(config: &TrainConfig, examples: Examples<'_>) -> Batches {
    let order = Seed::new(config.seed).child(ORDER);
    match config.balanced {
        true => Batches::balanced(order, &examples.classes(), config.batch_size),
        false => Batches::new(order, examples.train.len(), config.batch_size),
    }
}

/// Seed of the step after `step` steps of the run with this seed.
pub(crate) fn step_seed(seed: u64, step: u64) -> Seed {
    Seed::new(seed).child(NOISE).child(step)
}

/// Seed of the answers that are drawn in that step, the same at all of its directions.
fn answer_seed(seed: u64, step: u64) -> Seed {
    Seed::new(seed).child(ANSWERS).child(step)
}
