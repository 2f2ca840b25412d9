//! Guards: what can go wrong with a step, noticed, named, counted, and acted on.

mod event;
mod monitor;
mod policy;
mod ruling;

pub use event::Event;
pub use monitor::Monitor;
pub use policy::{Guards, Policy};
pub use ruling::{Ruling, Verdict};
