//! The real binary in scratch folders, one file a theme.

mod errors;
mod generate;
#[cfg(unix)]
mod hostile;
mod memory;
mod reference;
mod support;
mod tasks;
mod train;
mod trajectory;
