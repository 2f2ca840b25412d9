//! Who owns which settings.

use super::elsewhere::elsewhere;
use crate::error::{Blame, Result, RunError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zograd_select::{Choice, Kind, Methods, Setting};

/// Settings that belong together. They are declared once, for files, flags and help; their values are the fields of
/// the type, which are all optional: what was not given can be told from what was.
pub trait Owner: Serialize + DeserializeOwned {
    /// Who has these settings, for errors: "zeroth-order methods".
    const NAME: &'static str;
    /// Where they stand in the help of a command.
    const HEADING: &'static str;
    /// The settings; their keys are the fields of the type, in kebab-case.
    const SETTINGS: &'static [Setting];

    /// Whether this is the key of one of them.
    fn has(key: &str) -> bool {
        Self::SETTINGS.iter().any(|setting| setting.key == key)
    }
}

/// A setting among all that a command has.
#[derive(Clone, Debug)]
pub struct Key {
    /// The setting.
    pub setting: Setting,
    /// What it chooses from; empty if it does not.
    pub choices: Vec<Choice>,
    /// Who has it, for errors.
    pub owners: Vec<&'static str>,
    /// Where it stands in the help of a command.
    pub heading: &'static str,
    /// Its default in words; empty if it has none.
    pub default: String,
    /// Whether its owners are methods.
    of_methods: bool,
}

impl Key {
    /// Who has it, as a clause: "gv, greedy have".
    pub(super) fn had(&self) -> String {
        let one = match self.owners.as_slice() {
            // the name of a method is no plural, whatever it ends with
            [one] => self.of_methods || !(one.ends_with('s') || one.contains(',')),
            _ => false,
        };
        let have = if one { "has" } else { "have" };
        format!("{} {have}", self.owners.join(", "))
    }

    /// The methods that have it, if not all have.
    pub fn of_some_methods(&self) -> Option<String> {
        self.of_methods.then(|| self.owners.join(", "))
    }
}

/// All settings that a command has, in the order of its help and of the files it writes.
#[derive(Clone, Debug, Default)]
pub struct Keys(Vec<Key>);

impl Keys {
    /// With those of `T` behind the others.
    #[must_use]
    pub fn and<T: Owner>(mut self) -> Self {
        for setting in T::SETTINGS {
            self.add(*setting, T::NAME, T::HEADING);
        }
        self
    }

    /// With those of these methods.
    #[must_use]
    pub(super) fn and_methods(mut self, methods: &Methods, heading: &'static str) -> Self {
        for method in methods.iter() {
            let defaults = method.defaults();
            for setting in method.settings {
                let key = self.add(*setting, method.name, heading);
                key.of_methods = true;
                let value = defaults.settings().get(&setting.key.replace('-', "_"));
                if let Some(value) = value
                    && key.default.is_empty()
                    && !value.is_boolean()
                {
                    key.default = value.to_string();
                }
            }
        }
        self
    }

    /// One more, or one more owner of one that is there.
    fn add(&mut self, setting: Setting, owner: &'static str, heading: &'static str) -> &mut Key {
        if let Some(at) = self.0.iter().position(|k| k.setting.key == setting.key) {
            self.0[at].owners.push(owner);
            return &mut self.0[at];
        }
        let choices = match setting.kind {
            Kind::Choice(choices) | Kind::Choices(choices) => choices.to_vec(),
            _ => Vec::new(),
        };
        self.0.push(Key {
            setting,
            choices,
            owners: vec![owner],
            heading,
            default: setting.default.into(),
            of_methods: false,
        });
        let last = self.0.len() - 1;
        &mut self.0[last]
    }

    /// What this setting chooses from.
    #[must_use]
    pub(super) fn choosing(mut self, key: &str, choices: Vec<Choice>) -> Self {
        if let Some(found) = self.0.iter_mut().find(|k| k.setting.key == key) {
            found.choices = choices;
        }
        self
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Key> {
        self.0.iter()
    }

    /// The one with this key.
    ///
    /// # Errors
    /// There is none; the nearest one is suggested.
    pub fn named(&self, key: &str) -> Result<&Key> {
        self.0.iter().find(|k| k.setting.key == key).ok_or_else(|| {
            RunError::input(format!("unknown key \"{key}\"{}", self.suggestion(key)))
        })
    }

    /// What was probably meant.
    fn suggestion(&self, word: &str) -> String {
        // what stands in a file is no flag
        if let Some(advice) = elsewhere(word) {
            return format!("; {}", advice.replace('`', "\""));
        }
        let word = word.replace('_', "-");
        let scored = self
            .iter()
            .map(|k| (strsim::jaro_winkler(&word, k.setting.key), k.setting.key));
        match scored.max_by(|a, b| a.0.total_cmp(&b.0)) {
            Some((score, key)) if score > 0.75 => format!("; did you mean \"{key}\"?"),
            _ => "; the keys are the flags of the command, as its help lists them, without the dashes".into(),
        }
    }
}

/// The settings of `owner`, as they stand in a file.
///
/// # Errors
/// A value that TOML cannot hold.
pub(super) fn table(owner: &impl Owner) -> Result<toml::Table> {
    toml::Table::try_from(owner).or_input()
}
