//! TOML settings: the same keys as the flags, and the flags win.

use anyhow::{Context, Result, anyhow};
use clap::Args;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::Path;

/// The largest file that is read. Tables nested as deep as they can be take two hundred times its size.
const MAX_BYTES: u64 = 1 << 20;

/// The settings of `flags`, completed by those of the file.
///
/// # Errors
/// An unreadable file, a key that is no flag (the nearest one is suggested), a value of the wrong type.
pub fn overlay<T: Args + Serialize + DeserializeOwned>(flags: &T, file: &Path) -> Result<T> {
    let text = zograd_files::read_text(file, MAX_BYTES)
        .with_context(|| format!("--config {}: cannot be read", file.display()))?;
    parse(flags, &text).with_context(|| format!("--config {}", file.display()))
}

fn parse<T: Args + Serialize + DeserializeOwned>(flags: &T, text: &str) -> Result<T> {
    let mut table: toml::Table = text.parse().map_err(|e: toml::de::Error| {
        let line = e
            .span()
            .map_or(0, |span| text[..span.start].lines().count().max(1));
        anyhow!("line {line}: {}", e.message())
    })?;
    let known = keys::<T>();
    if let Some(key) = table.keys().find(|key| !known.contains(key)) {
        return Err(anyhow!("unknown key \"{key}\"{}", suggestion(key, &known)));
    }
    let given = toml::Table::try_from(flags).context("the flags cannot be written as TOML")?;
    // two ways to say how long to run: the flag replaces the file's, whichever it is
    for (this, other) in [("steps", "forwards"), ("forwards", "steps")] {
        if given.contains_key(this) {
            table.remove(other);
        }
    }
    if table.contains_key("steps") && table.contains_key("forwards") {
        return Err(anyhow!("give steps or forwards, not both"));
    }
    // one key at a time first, so that the error can name it
    for (key, value) in &table {
        let alone = toml::Table::from_iter([(key.clone(), value.clone())]);
        alone
            .try_into::<T>()
            .map_err(|e| anyhow!("{key} = {value}: {}", e.message().trim()))?;
    }
    table.extend(given);
    table
        .try_into()
        .map_err(|e: toml::de::Error| anyhow!("{}", e.message().trim()))
}

/// The flags that may stand in a file.
fn keys<T: Args>() -> Vec<String> {
    let command = T::augment_args(clap::Command::new(""));
    let flags = command.get_arguments().filter_map(|a| a.get_long());
    flags
        .filter(|flag| !["config", "resume", "json", "help"].contains(flag))
        .map(String::from)
        .collect()
}

/// What the user probably meant.
fn suggestion(word: &str, known: &[String]) -> String {
    let near = known
        .iter()
        .map(|k| (strsim::jaro_winkler(&word.replace('_', "-"), k), k))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match near {
        Some((score, k)) if score > 0.75 => format!("; did you mean \"{k}\"?"),
        _ => format!("; known are {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::TrainArgs;

    fn file(text: &str, flags: &TrainArgs) -> Result<TrainArgs> {
        parse(flags, text)
    }

    #[test]
    fn flags_win_over_the_file() {
        let flags = TrainArgs {
            lr: Some(1e-5),
            forwards: Some(100),
            ..TrainArgs::default()
        };
        let merged = file(
            "lr = 1e-3\neps = 1e-2\nsteps = 7\nmethod = \"greedy\"",
            &flags,
        )
        .expect("a valid file");
        assert_eq!((merged.lr, merged.eps), (Some(1e-5), Some(1e-2)));
        assert_eq!((merged.steps, merged.forwards), (None, Some(100)));
        assert_eq!(merged.method, Some(crate::args::MethodName::Greedy));
    }

    #[test]
    fn mistakes_are_named() {
        for (text, part) in [
            ("learning_rate = 1", "\"learning_rate\""),
            ("batch_size = 4", "did you mean \"batch-size\"?"),
            ("bach-size = 4", "did you mean \"batch-size\"?"),
            ("lr = \"much\"", "lr = \"much\""),
            ("lr = ", "line 1"),
            ("method = \"mezzo\"", "mezo"),
            ("steps = 1\nforwards = 2", "not both"),
        ] {
            let error = format!("{:#}", file(text, &TrainArgs::default()).expect_err(text));
            assert!(
                error.contains(part) && !error.contains('\n'),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn a_written_config_reads_back() {
        let args = TrainArgs {
            lr: Some(1e-7),
            pool: Some(4),
            faithful_cost: true,
            ..TrainArgs::default()
        };
        let text = toml::to_string(&args).expect("TOML");
        let back = file(&text, &TrainArgs::default()).expect("the same");
        assert_eq!(toml::to_string(&back).expect("TOML"), text);
    }
}
