//! How many threads compute.

use std::env::VarError;
use zograd_runs::{Given, Machine, Result, RunError, start_threads};

/// What rayon takes the number from where no setting says it. It passes over what it does not understand.
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
    check_variable(std::env::var(VARIABLE))?;
    start_threads(threads)
}

/// Refuses a variable that would be passed over.
fn check_variable(value: Result<String, VarError>) -> Result<()> {
    let value = match value {
        Err(VarError::NotPresent) => return Ok(()),
        Ok(text) if text.is_empty() => return Ok(()),
        Ok(text) => text,
        Err(VarError::NotUnicode(text)) => text.display().to_string(),
    };
    match value.parse() {
        Ok(1..=1024_usize) => Ok(()),
        _ => Err(RunError::input(format!(
            "{VARIABLE}={value}: use 1 to 1024, or leave it out"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_says_nothing_is_refused_by_name() {
        for fine in ["", "1", "1024"] {
            check_variable(Ok(fine.into())).expect(fine);
        }
        for wrong in ["0", "x", "-1", "1025", "1e3", "99999999999999999999"] {
            let error = check_variable(Ok(wrong.into()))
                .expect_err(wrong)
                .to_string();
            assert!(
                error.starts_with(&format!("RAYON_NUM_THREADS={wrong}: use 1")),
                "{error}"
            );
        }
    }
}
