//! Guards: what can go wrong with a step, noticed, named, counted, and acted on.

mod event;
mod guards;
mod monitor;
mod policy;
mod ruling;

pub use event::Event;
pub use guards::Guards;
pub use monitor::Monitor;
pub use policy::Policy;
pub use ruling::{Ruling, Verdict};
