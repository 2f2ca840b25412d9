//! Named settings: those of the paper's experiments, with the numbers it reports.
//!
//! Each is a TOML file of two tables. `[train]` has the keys of `zograd train --config`, `[paper]` what the
//! paper says of the result.

mod files;

use crate::args::TrainArgs;
use anyhow::{Context, Result, anyhow};
use files::FILES;
use serde::{Deserialize, Serialize};

/// Settings that belong to the method, and go when another one is chosen.
const OF_THE_METHOD: [&str; 4] = ["pool", "alpha", "queries", "faithful-cost"];
/// Settings that zeroth-order methods have and gradient baselines have not, or have of another size.
const OF_ZEROTH_ORDER: [&str; 5] = ["lr", "eps", "noise", "arithmetic", "dtype"];
/// Settings of methods that take steps.
const OF_STEPS: [&str; 5] = ["steps", "schedule", "weight-decay", "eval-every", "tune"];
/// Settings that belong to what is tuned, and go when something else is.
const OF_THE_TUNING: [&str; 4] = ["lr", "eps", "prefix-tokens", "prefix-init"];
/// Settings that do not change what is computed, only where.
const OF_THE_MACHINE: [&str; 2] = ["backend", "threads"];

/// A preset.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// Its name, such as `paper/opt-13b/sst2/gv`.
    #[serde(skip)]
    pub name: &'static str,
    /// Keys of a `zograd train --config` file.
    pub train: toml::Table,
    /// What the paper says.
    pub paper: Paper,
}

/// What a paper reports for a setting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Paper {
    /// Where the number stands.
    pub source: String,
    /// The model, in the paper's words.
    pub model: String,
    /// The method, in the paper's words.
    pub method: String,
    /// `accuracy` or `f1`.
    pub metric: String,
    /// The result on the test examples, in percent.
    pub percent: f64,
    /// The same before tuning.
    pub zero_shot_percent: f64,
    /// Learning rates among which the paper chose.
    pub lr_grid: Vec<f64>,
    /// Perturbation scales among which it chose.
    pub eps_grid: Vec<f64>,
    /// What else there is to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The paper's result beside one of ours.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Published {
    /// The preset it was found by.
    pub preset: String,
    #[serde(flatten)]
    paper: Paper,
    /// The settings of the run that are not the preset's.
    pub differs_in: Vec<String>,
}

/// `args`, completed by the preset that they name, if they do.
///
/// # Errors
/// An unknown preset.
pub fn complete(args: TrainArgs) -> Result<TrainArgs> {
    let Some(name) = &args.preset else {
        return Ok(args);
    };
    let preset = Preset::named(name)?;
    let given = toml::Table::try_from(&args).context("the flags cannot be written as TOML")?;
    let mut settings = preset.settings(&given);
    settings.extend(given);
    Ok(TrainArgs {
        json: args.json,
        ..settings
            .try_into()
            .with_context(|| format!("preset {name}"))?
    })
}

impl Preset {
    /// The preset with this name.
    ///
    /// # Errors
    /// There is none; near names are suggested.
    pub fn named(name: &str) -> Result<Self> {
        match FILES.iter().find(|(known, _)| *known == name) {
            Some((name, text)) => parse(name, text),
            None => Err(anyhow!("--preset {name}: there is none; {}", near(name))),
        }
    }

    /// All presets whose name contains every one of the parts that `/` separates in `filter`.
    ///
    /// # Errors
    /// A file of ours that does not parse.
    pub fn all(filter: &str) -> Result<Vec<Self>> {
        let parts: Vec<String> = filter.split('/').map(str::to_lowercase).collect();
        let fits = |name: &str| parts.iter().all(|part| name.contains(part.as_str()));
        let files = FILES.iter().filter(|(name, _)| fits(name));
        files.map(|(name, text)| parse(name, text)).collect()
    }

    /// The settings that hold beside `flags`, which may choose another method, or tune something else.
    pub fn settings(&self, flags: &toml::Table) -> toml::Table {
        let mut settings = self.train.clone();
        for (choice, own) in [("method", &OF_THE_METHOD), ("tune", &OF_THE_TUNING)] {
            if self.differs(choice, flags) {
                settings.retain(|key, _| !own.contains(&key));
            }
        }
        let method = flags.get("method").and_then(toml::Value::as_str);
        let probing = method == Some("linear-probing");
        if probing || matches!(method, Some("adam" | "adamw")) {
            settings.retain(|key, _| !OF_ZEROTH_ORDER.contains(&key));
        }
        if probing {
            settings.retain(|key, _| !OF_STEPS.contains(&key) && !OF_THE_TUNING.contains(&key));
        }
        // two ways to say how long to run
        if flags.contains_key("forwards") {
            settings.remove("steps");
        }
        settings
    }

    /// Whether `flags` give a setting another value than this preset does.
    pub fn differs(&self, key: &str, flags: &toml::Table) -> bool {
        let given = flags.get(key);
        given.is_some_and(|value| Some(value) != self.train.get(key))
    }

    /// The paper's result, for a run with these settings.
    ///
    /// # Errors
    /// The settings cannot be written as TOML.
    pub fn published(&self, run: &TrainArgs) -> Result<Published> {
        let run = toml::Table::try_from(run).context("the settings cannot be written as TOML")?;
        let ours = self.train.iter().filter(|(key, value)| {
            !OF_THE_MACHINE.iter().any(|own| *own == *key) && run.get(*key) != Some(value)
        });
        Ok(Published {
            preset: self.name.into(),
            paper: self.paper.clone(),
            differs_in: ours.map(|(key, _)| key.clone()).collect(),
        })
    }
}

impl Published {
    /// In one line, with our result in [0, 1].
    pub fn beside(&self, ours: f64) -> String {
        let Paper {
            model,
            method,
            percent,
            zero_shot_percent,
            metric,
            ..
        } = &self.paper;
        let differs = match self.differs_in.as_slice() {
            [] => String::new(),
            keys => format!("; this run differs in {}", keys.join(", ")),
        };
        format!(
            "{metric} {percent:.1} % ({method}, {model}, zero-shot {zero_shot_percent:.1} %), ours {:.1} %{differs}",
            100.0 * ours
        )
    }
}

fn parse(name: &'static str, text: &str) -> Result<Preset> {
    let preset: Preset = toml::from_str(text).with_context(|| format!("preset {name}"))?;
    Ok(Preset { name, ..preset })
}

/// The names that look most like this one.
fn near(name: &str) -> String {
    let mut scored: Vec<(f64, &str)> = FILES
        .iter()
        .map(|(known, _)| (strsim::normalized_damerau_levenshtein(name, known), *known))
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    let near: Vec<String> = scored
        .iter()
        .take_while(|(score, _)| *score > 0.6)
        .take(3)
        .map(|(_, known)| format!("\"{known}\""))
        .collect();
    match near.as_slice() {
        [] => "`zograd presets` lists them".into(),
        names => format!("did you mean {}?", names.join(" or ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// Names of the files below `folder`.
    fn files_below(folder: &Path, prefix: &str, names: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let name = entry.file_name().into_string().expect("UTF-8");
            match entry.path().is_dir() {
                true => files_below(&entry.path(), &format!("{prefix}{name}/"), names),
                false => names.push(format!("{prefix}{}", name.trim_end_matches(".toml"))),
            }
        }
    }

    #[test]
    fn every_file_is_compiled_in_and_every_line_has_a_file() {
        let mut on_disk = Vec::new();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("presets");
        files_below(&folder, "", &mut on_disk);
        on_disk.sort();
        let mut compiled: Vec<_> = FILES.iter().map(|(name, _)| name.to_string()).collect();
        compiled.sort();
        assert_eq!(on_disk, compiled);
    }

    #[test]
    fn every_preset_holds_settings_of_train_and_says_what_it_is() {
        let presets = Preset::all("").expect("they parse");
        assert_eq!(presets.len(), FILES.len());
        for preset in presets {
            let name = preset.name;
            let train: TrainArgs = preset.train.clone().try_into().expect(name);
            let parts: Vec<&str> = name.split('/').collect();
            let model = train.model.expect(name);
            assert!(model.ends_with(parts[1]), "{name}");
            assert!(preset.paper.model.eq_ignore_ascii_case(parts[1]), "{name}");
            assert_eq!(train.task.as_deref(), Some(parts[2]), "{name}");
            let method = preset.train["method"].as_str().expect(name);
            let file = match preset.train["tune"].as_str().expect(name) {
                "full" => method.into(),
                tune => format!("{method}-{tune}"),
            };
            assert_eq!(file, parts[3], "the file's name is its method: {name}");
            assert!(preset.paper.lr_grid.contains(&train.lr.expect(name)));
            assert!(preset.paper.eps_grid.contains(&train.eps.expect(name)));
            assert!((0.0..100.0).contains(&preset.paper.percent), "{name}");
        }
    }

    /// A few numbers of the paper's tables, so that a shifted column is noticed.
    #[test]
    fn numbers_of_the_paper() {
        for (name, zero_shot, tuned) in [
            ("paper/opt-13b/sst2/gv", 58.8, 93.9),
            ("paper/opt-13b/drop/gv", 14.6, 31.7),
            ("paper/opt-13b/wsc/mezo", 38.5, 63.5),
            ("paper/opt-13b/rte/greedy", 59.6, 72.2),
            ("paper/opt-1.3b/copa/mezo", 73.0, 73.0),
            ("paper/opt-1.3b/squad/gv-prefix", 27.2, 78.8),
            ("paper/opt-1.3b/boolq/n-spsa", 44.9, 62.8),
            ("paper/opt-1.3b/wsc/gv", 43.3, 60.6),
        ] {
            let paper = Preset::named(name).expect(name).paper;
            assert_eq!(
                (paper.zero_shot_percent, paper.percent),
                (zero_shot, tuned),
                "{name}"
            );
        }
    }

    #[test]
    fn an_unknown_name_suggests_near_ones() {
        let error = |name: &str| Preset::named(name).expect_err("unknown").to_string();
        assert!(error("paper/opt-13b/sst-2/gv").contains("\"paper/opt-13b/sst2/gv\""));
        assert!(error("nothing").contains("zograd presets"));
    }

    #[test]
    fn another_method_or_tuning_does_not_inherit_the_settings_of_the_first() {
        let preset = Preset::named("paper/opt-13b/sst2/gv").expect("it exists");
        let flags: toml::Table = "method = \"mezo\"\nforwards = 100".parse().expect("TOML");
        let settings = preset.settings(&flags);
        assert!(!settings.contains_key("pool") && !settings.contains_key("steps"));
        assert!(settings.contains_key("lr"));
        let lora: toml::Table = "tune = \"lora\"".parse().expect("TOML");
        let settings = preset.settings(&lora);
        assert!(!settings.contains_key("lr") && settings.contains_key("pool"));
        let adam: toml::Table = "method = \"adam\"".parse().expect("TOML");
        let settings = preset.settings(&adam);
        for key in ["lr", "eps", "pool", "dtype"] {
            assert!(!settings.contains_key(key), "{key}");
        }
        assert!(settings.contains_key("steps"));
        let probe: toml::Table = "method = \"linear-probing\"".parse().expect("TOML");
        for preset in Preset::all("").expect("they parse") {
            let settings = preset.settings(&probe);
            for key in ["steps", "lr", "tune", "prefix-tokens", "prefix-init"] {
                assert!(!settings.contains_key(key), "{}: {key}", preset.name);
            }
        }
        let same: toml::Table = "method = \"gv\"".parse().expect("TOML");
        assert_eq!(preset.settings(&same), preset.train);
    }
}
