//! The real binary in scratch folders, one file a theme.

mod errors;
#[cfg(unix)]
mod hostile;
mod reference;
mod support;
mod train;
mod trajectory;
