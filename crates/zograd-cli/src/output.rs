//! Words for people on the standard error, results on the standard output.

use std::io::Write;

/// Prints a line on the standard error. Whether anybody reads it does not matter: a run of hours must not end
/// because a terminal was closed.
pub fn say(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Prints a line on the standard output.
///
/// # Errors
/// It cannot be written.
pub fn answer(line: impl std::fmt::Display) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{line}")
}
