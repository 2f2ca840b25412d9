//! What the libraries tell of their work, with `ZOGRAD_LOG`.

use crate::output::has_colours;
use std::env::VarError;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use zograd_runs::{Blame, Result, RunError};

const VARIABLE: &str = "ZOGRAD_LOG";

/// Prints from now on, on the standard error, what the variable asks for; warnings without it.
///
/// # Errors
/// A value that asks for nothing.
pub fn begin() -> Result<()> {
    let filter = filter(std::env::var(VARIABLE))?;
    let builder = tracing_subscriber::fmt().with_writer(std::io::stderr);
    builder
        .with_env_filter(filter)
        .with_ansi(has_colours())
        .with_target(false)
        .without_time()
        .init();
    Ok(())
}

fn filter(value: Result<String, VarError>) -> Result<EnvFilter> {
    let text = match value {
        Err(VarError::NotPresent) => "warn".into(),
        Ok(text) if text.is_empty() => "warn".into(),
        Ok(text) => text,
        Err(VarError::NotUnicode(text)) => text.display().to_string(),
    };
    // a word that is no level would be the name of a part that nothing has
    let level = |part: &str| {
        part.rsplit_once('=')
            .map_or(part, |(_, level)| level)
            .trim()
            .to_owned()
    };
    let known = |part: &str| level(part).parse::<LevelFilter>().is_ok();
    if let Some(part) = text.split(',').find(|part| !known(part)) {
        return Err(RunError::input(format!(
            "{VARIABLE}={part}: use off, error, warn, info, debug or trace"
        )));
    }
    EnvFilter::try_new(&text).about(format!("{VARIABLE}={text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_asks_for_nothing_is_refused_by_name() {
        for fine in ["", "debug", "WARN", "off", "zograd_trainer=debug,warn"] {
            filter(Ok(fine.into())).expect(fine);
        }
        for (value, wrong) in [
            ("nosuch", "nosuch"),
            ("warn,a=loud", "a=loud"),
            ("a=b=c", "a=b=c"),
        ] {
            let error = filter(Ok(value.into())).expect_err(value).to_string();
            assert!(
                error.starts_with(&format!("ZOGRAD_LOG={wrong}: use off")),
                "{error}"
            );
        }
    }
}
