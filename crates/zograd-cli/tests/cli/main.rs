//! The real binary in scratch folders, one file a theme.

mod errors;
mod reference;
mod support;
mod train;
mod trajectory;
