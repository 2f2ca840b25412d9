//! What the strategies compute, what every one of them keeps to, and how they are made from settings.

mod alignment;
mod methods;
mod properties;
mod reference;
mod step_rules;
