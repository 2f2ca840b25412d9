//! One file a sub-command.

pub mod align;
pub mod compare;
pub mod completions;
pub mod convert;
pub mod data;
pub mod doctor;
pub mod eval;
pub mod export;
pub mod generate;
pub mod log;
pub mod man;
pub mod merge;
pub mod predict;
pub mod presets;
pub mod prompts;
pub mod replay;
pub mod report;
pub mod sweep;
pub mod train;
