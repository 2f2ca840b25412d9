//! How many threads compute.

use crate::together;
use std::env::VarError;
use zograd_runs::{Given, MAX_THREADS, Machine, Result, RunError, start_threads};

/// What says the number where no setting does, as for other programs that compute with rayon.
const VARIABLE: &str = "RAYON_NUM_THREADS";

/// The threads that these settings ask for.
pub fn asked_threads(given: &Given) -> Option<usize> {
    let threads = given.get("threads")?.as_integer()?;
    // more than there can be is refused as such
    Some(usize::try_from(threads).unwrap_or(usize::MAX))
}

/// Limits the threads of everything that computes, and starts them, before anything does.
///
/// # Errors
/// No threads, or more than make sense, or more than the system gives.
pub fn set_threads(threads: Option<usize>) -> Result<()> {
    let mut machine = Machine::default();
    machine.threads = threads;
    let threads = machine.complete()?.threads;
    let usual = by_variable(std::env::var(VARIABLE))?;
    start_threads(threads.or(usual).or_else(together::threads))
}

/// What the variable says, if anything; one that says no number of threads is refused.
fn by_variable(value: Result<String, VarError>) -> Result<Option<usize>> {
    let value = match value {
        Err(VarError::NotPresent) => return Ok(None),
        Ok(text) if text.is_empty() => return Ok(None),
        Ok(text) => text,
        Err(VarError::NotUnicode(text)) => text.display().to_string(),
    };
    match value.parse() {
        Ok(threads @ 1..=MAX_THREADS) => Ok(Some(threads)),
        _ => Err(RunError::input(format!(
            "{VARIABLE}={value}: use 1 to {MAX_THREADS}, or leave it out"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_says_nothing_is_refused_by_name() {
        for (fine, threads) in [("", None), ("1", Some(1)), ("1024", Some(1024))] {
            let said = by_variable(Ok(fine.into())).expect(fine);
            assert_eq!(said, threads);
        }
        for wrong in ["0", "x", "-1", "1025", "1e3", "99999999999999999999"] {
            let error = by_variable(Ok(wrong.into())).expect_err(wrong).to_string();
            assert!(
                error.starts_with(&format!("RAYON_NUM_THREADS={wrong}: use 1")),
                "{error}"
            );
        }
    }
}
