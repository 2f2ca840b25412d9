//! Several runs and what they say together: sweeps, groups of seeds, curves.

mod advice;
mod belongs;
mod chance;
mod compare;
mod curve;
mod dealt;
mod estimate;
mod group;
mod kept;
mod lists;
mod opened;
mod outcome;
mod plan;
mod spread;
mod sweep;
mod together;

pub use advice::Advice;
pub use compare::{
    Amount, COMPARISON, Comparison, ComparisonPlan, ComparisonReport, Interval, Kind, MethodReport,
    Reached, Rules, Target,
};
pub use curve::{Axis, Curve, smooth};
pub use group::{Group, group, shared};
pub use lists::Lists;
pub use outcome::{Outcome, RunOutcome};
pub use plan::{Point, SweepPlan};
pub use spread::Spread;
pub use sweep::{SWEEP, Sweep, SweepReport};
