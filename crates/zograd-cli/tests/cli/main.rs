//! The real binary in scratch folders, one file a theme.

mod adapters;
mod errors;
mod generate;
#[cfg(unix)]
mod hostile;
mod reference;
mod support;
mod tasks;
mod train;
mod trajectory;
