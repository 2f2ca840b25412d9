//! Named settings: those of the paper's experiments, with the numbers it reports, and starts for models of today.
//!
//! Each is a TOML file of two tables. `[train]` has the keys of `zograd train --config`; the other is `[paper]`, what the
//! paper says of the result, or `[start]`, where the settings come from.

use super::given::Given;
use super::method::{DEFAULT_METHOD, MethodKind};
use super::preset_files::FILES;
use super::rate::LearningRate;
use crate::error::{Blame, Result, RunError};
use serde::{Deserialize, Serialize};
use zograd_select::{MethodSpec, Methods};

/// Settings that do not change what is computed, only where.
const OF_THE_MACHINE: [&str; 3] = ["backend", "device", "threads"];

/// A preset.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// Its name, such as `paper/opt-13b/sst2/gv`.
    #[serde(skip)]
    pub name: &'static str,
    /// Keys of a `zograd train --config` file.
    pub train: toml::Table,
    /// What the paper says, if it is one of its experiments.
    pub paper: Option<Paper>,
    /// Where the settings come from, if they are somewhere to start from.
    pub start: Option<Start>,
}

/// Settings to start from, for a model that the paper does not have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct Start {
    /// Why these.
    pub why: String,
    /// Learning rates for a sweep.
    pub lr_grid: Vec<f64>,
    /// Perturbation scales for a sweep.
    pub eps_grid: Vec<f64>,
}

/// What a paper reports for a setting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The paper's result beside one of ours.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Published {
    /// The preset it was found by.
    pub preset: String,
    /// What the paper says.
    #[serde(flatten)]
    pub paper: Paper,
    /// The settings of the run that are not the preset's.
    pub differs_in: Vec<String>,
}

impl Preset {
    /// The preset with this name.
    ///
    /// # Errors
    /// There is none; near names are suggested.
    pub fn named(name: &str) -> Result<Self> {
        match FILES.iter().find(|(known, _)| *known == name) {
            Some((name, text)) => parse(name, text),
            None => Err(RunError::input(format!(
                "`preset = {name}`: there is none; {}",
                near(name)
            ))),
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

    /// What was given, completed by the preset that it names, if it does.
    ///
    /// # Errors
    /// An unknown preset.
    pub(crate) fn complete(given: Given, methods: &Methods) -> Result<Given> {
        let Some(name) = given.text("preset") else {
            return Ok(given);
        };
        let settings = Self::named(name)?.beside(&given, methods);
        Ok(given.or_suggested(settings))
    }

    /// Learning rates and perturbation scales to try.
    pub fn grids(&self) -> (Vec<f64>, Vec<f64>) {
        let paper = self.paper.as_ref().map(|p| (&p.lr_grid, &p.eps_grid));
        let start = self.start.as_ref().map(|s| (&s.lr_grid, &s.eps_grid));
        let (lr, eps) = paper.or(start).unzip();
        (
            lr.cloned().unwrap_or_default(),
            eps.cloned().unwrap_or_default(),
        )
    }

    /// The settings that hold beside what was given, which may choose another method, or tune something else. What
    /// these choices do not have at all is left out when settings are resolved.
    fn beside(&self, given: &Given, methods: &Methods) -> Given {
        let ours = self.method();
        let theirs = given.text("method").unwrap_or(ours);
        let mut settings = Given::from(self.train.clone());
        let mut drop = |keys: &[&str]| {
            for key in keys {
                settings = std::mem::take(&mut settings).without(key);
            }
        };
        if theirs != ours
            && let Some(method) = methods.get(ours)
        {
            method.settings.iter().for_each(|own| drop(&[own.key]));
        }
        let built = methods
            .get(theirs)
            .map(|method| methods.build(&method.defaults()));
        if built.is_some_and(|built| built.is_ok_and(|strategy| strategy.is_per_example())) {
            // biases are fitted to whole batches, and a rate is measured along noise that examples share
            drop(&["calibrate"]);
            if self.measures_its_rate() {
                drop(&["lr"]);
            }
        }
        match given.text("tune") {
            Some(_) if !self.differs("tune", given) => {}
            // the head is of the base, whose rate can be measured and whose last norm can be fitted
            Some("head") if self.measures_its_rate() => {}
            Some(_) => drop(&["lr", "eps", "head-fit"]),
            None => {}
        }
        if MethodKind::of(theirs) != MethodKind::of(ours) {
            // events that can be guarded against are a method's, too
            drop(&["lr", "eps", "dtype", "guard"]);
        }
        if MethodKind::of(theirs) == MethodKind::LinearProbe {
            drop(&["tune"]);
        }
        settings
    }

    fn measures_its_rate(&self) -> bool {
        let lr = self.train.get("lr").and_then(toml::Value::as_str);
        lr == Some(LearningRate::AUTO)
    }

    /// Its method's name.
    pub fn method(&self) -> &str {
        let method = self.train.get("method").and_then(toml::Value::as_str);
        method.unwrap_or(DEFAULT_METHOD)
    }

    /// The switches of this method that are off and that the preset would turn on, as a file has them.
    pub(super) fn switched_off(&self, method: &MethodSpec) -> toml::Table {
        let off = method.settings().iter().filter(|(_, on)| **on == false);
        let keys = off.map(|(field, _)| field.replace('_', "-"));
        keys.filter(|key| self.train.get(key) == Some(&true.into()))
            .map(|key| (key, false.into()))
            .collect()
    }

    /// This switch as a file has it, if it is off and the preset would turn it on.
    pub(super) fn off(&self, key: &str, on: bool) -> Option<(String, toml::Value)> {
        let would = self.train.get(key) == Some(&true.into());
        (would && !on).then(|| (key.into(), false.into()))
    }

    /// Whether another value was given for a setting than this preset has.
    pub fn differs(&self, key: &str, given: &Given) -> bool {
        given
            .get(key)
            .is_some_and(|value| Some(value) != self.train.get(key))
    }

    /// The paper's result, if there is one, for a run with these settings.
    pub(crate) fn published(&self, run: &Given) -> Option<Published> {
        let paper = self.paper.clone()?;
        let ours = self.train.iter().filter(|(key, value)| {
            !OF_THE_MACHINE.contains(&key.as_str()) && run.get(key) != Some(value)
        });
        Some(Published {
            preset: self.name.into(),
            paper,
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
    let preset: Preset = toml::from_str(text).about(format!("preset {name}"))?;
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
    use crate::settings::{Procedure, Settings};
    use std::path::Path;
    use zograd_trainer::BestBy;

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

    /// A preset by its name, with all settings of `train`.
    fn resolved(preset: &Preset) -> Settings {
        let mut given = Given::new().with("preset", preset.name);
        if preset.start.is_some() {
            given = given.with("task", "sst2").with("data", "data");
        }
        if !preset.train.contains_key("model") {
            given = given.with("model", "any");
        }
        Settings::resolve(given, &Methods::built_in()).expect(preset.name)
    }

    /// The head is of the base, whose last norm can be fitted and whose rate can be measured; an adapter has neither.
    #[test]
    fn what_is_tuned_keeps_what_goes_with_it() {
        let given = |tune: &str| {
            let given = Given::new().with("preset", "start/any/recipe");
            let given = given.with("model", "any").with("task", "sst2");
            let given = given.with("data", "data").with("tune", tune);
            Settings::resolve(given, &Methods::built_in()).expect(tune)
        };
        for (tune, has) in [("full", true), ("head", true), ("lora", false)] {
            let settings = given(tune);
            let Procedure::ZerothOrder(zo) = &settings.procedure else {
                panic!("{tune}: not zeroth-order");
            };
            assert_eq!(zo.head_fit, has.then_some(1000), "{tune}");
            assert_eq!(settings.measuring.is_some(), has, "{tune}");
        }
    }

    #[test]
    fn every_preset_holds_settings_of_train_and_says_what_it_is() {
        let presets = Preset::all("").expect("they parse");
        assert_eq!(presets.len(), FILES.len());
        for preset in presets {
            let name = preset.name;
            let train = resolved(&preset);
            let parts: Vec<&str> = name.split('/').collect();
            let model = train.inputs.model.expect(name).to_lowercase();
            assert!(model.ends_with(parts[1]), "{name}");
            let method = preset.train["method"].as_str().expect(name);
            let file = match preset.train["tune"].as_str().expect(name) {
                "full" => method.into(),
                tune => format!("{method}-{tune}"),
            };
            let file = match preset.train.get("perturbation").and_then(|f| f.as_str()) {
                Some(family) => format!("{file}-{family}"),
                None if preset.train.contains_key("calibrate") => "recipe".into(),
                None => file,
            };
            assert_eq!(
                Some(&&*file),
                parts.last(),
                "its name is its method, and what it perturbs, or recipe: {name}"
            );
            let (lr, eps) = preset.grids();
            assert!(
                lr.contains(&train.config.lr) || train.measuring.is_some(),
                "{name}"
            );
            let Procedure::ZerothOrder(zo) = train.procedure else {
                panic!("{name}: a gradient");
            };
            assert!(eps.contains(&zo.eps), "{name}");
            // no key of the file was passed over
            let text = FILES.iter().find(|(n, _)| *n == name).expect(name).1;
            let file: toml::Table = text.parse().expect(name);
            let (kind, read) = match (&preset.paper, &preset.start) {
                (Some(paper), None) => {
                    assert!(paper.model.eq_ignore_ascii_case(parts[1]), "{name}");
                    assert_eq!(train.inputs.task.as_deref(), Some(parts[2]), "{name}");
                    // as the scripts of the originals choose
                    assert_eq!(train.config.best_by, BestBy::Loss, "{name}");
                    assert!((0.0..100.0).contains(&paper.percent), "{name}");
                    ("paper", toml::Table::try_from(paper))
                }
                (None, Some(start)) => ("start", toml::Table::try_from(start)),
                _ => panic!("{name}: of the paper, or a start"),
            };
            assert_eq!(parts[0], kind, "{name}");
            assert_eq!(file[kind].as_table(), Some(&read.expect(name)), "{name}");
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
            ("paper/opt-13b/rte/mezo-subzero", 59.6, 74.0),
            ("paper/opt-13b/drop/mezo-subzero", 14.6, 32.0),
            ("paper/opt-13b/wsc/gv-subzero", 38.5, 64.4),
            ("paper/opt-13b/sst2/gv-subzero", 58.8, 94.7),
            ("paper/opt-1.3b/copa/mezo", 73.0, 73.0),
            ("paper/opt-1.3b/squad/gv-prefix", 27.2, 78.8),
            ("paper/opt-1.3b/boolq/n-spsa", 44.9, 62.8),
            ("paper/opt-1.3b/wsc/gv", 43.3, 60.6),
        ] {
            let paper = Preset::named(name).expect(name).paper.expect(name);
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

    /// A switch that the preset turns on stays off where it was turned off, also when the run's settings are read again.
    #[test]
    fn what_was_turned_off_stays_off() {
        let methods = Methods::built_in();
        let text = "preset = \"start/opt-125m/recipe\"\ntask = \"sst2\"\ndata = \"d\"\n";
        for (key, others) in [("calibrate", "balanced"), ("balanced", "calibrate")] {
            let given: toml::Table = format!("{text}{key} = false").parse().expect("TOML");
            let settings = Settings::resolve(Given::from(given), &methods).expect("resolves");
            let written = settings.given().expect("TOML");
            assert_eq!(written.get(key), Some(&false.into()));
            assert_eq!(written.get(others), Some(&true.into()));
            let again = Settings::resolve(written.clone(), &methods).expect("resolves");
            assert_eq!(again.given().expect("TOML"), written);
        }
    }

    #[test]
    fn another_method_or_tuning_does_not_inherit_the_settings_of_the_first() {
        let methods = Methods::built_in();
        let resolved = |preset: &str, given: &str| {
            let given: toml::Table = given.parse().expect("TOML");
            let given = Given::from(given).with("preset", preset);
            let settings = Settings::resolve(given, &methods).expect(preset);
            settings.given().expect("TOML")
        };
        let gv = "paper/opt-13b/sst2/gv";
        let preset = Preset::named(gv).expect("it exists").train;
        let mezo = resolved(gv, "method = \"mezo\"\nforwards = 100");
        assert_eq!(mezo.get("pool"), None);
        assert_eq!(mezo.get("steps"), Some(&toml::Value::Integer(50)));
        assert_eq!(mezo.get("lr"), preset.get("lr"));
        let lora = resolved(gv, "tune = \"lora\"");
        assert_eq!(lora.get("lr"), Some(&toml::Value::Float(5e-5)));
        assert_eq!(lora.get("pool"), preset.get("pool"));
        let adam = resolved(gv, "method = \"adam\"\nbackend = \"ndarray\"");
        for key in ["eps", "noise", "arithmetic", "pool"] {
            assert_eq!(adam.get(key), None, "{key}");
        }
        assert_eq!(adam.text("dtype"), Some("f32"));
        assert_eq!(adam.get("steps"), preset.get("steps"));
        for preset in Preset::all("paper").expect("they parse") {
            let probe = "method = \"linear-probing\"\nbackend = \"ndarray\"";
            let probe = resolved(preset.name, probe);
            for key in ["steps", "lr", "prefix-tokens", "prefix-init", "objective"] {
                assert_eq!(probe.get(key), None, "{}: {key}", preset.name);
            }
            assert_eq!(probe.text("tune"), Some("head"));
        }
        let same = resolved(gv, "method = \"gv\"");
        for (key, value) in &preset {
            assert_eq!(same.get(key), Some(value), "{key}");
        }
    }
}
