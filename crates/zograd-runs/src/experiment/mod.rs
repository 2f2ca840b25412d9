//! Several runs and what they say together: sweeps, groups of seeds, curves.

mod advice;
mod curve;
mod group;
mod outcome;
mod plan;
mod spread;
mod sweep;

pub use advice::Advice;
pub use curve::{Axis, Curve, smooth};
pub use group::{Group, group, shared};
pub use outcome::Outcome;
pub use plan::{Lists, Point, SweepPlan};
pub use spread::Spread;
pub use sweep::{SWEEP, Sweep, SweepReport};
