//! One file a sub-command.

pub mod eval;
pub mod prompts;
pub mod train;
