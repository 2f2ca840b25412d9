//! Runs as a library, from outside.

mod hostile;
