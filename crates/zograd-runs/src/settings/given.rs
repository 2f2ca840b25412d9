//! Settings as users give them: by flags, in a file, by a preset, or in code.

use super::budget::LENGTHS;
use super::owner::{Keys, Owner};
use super::rate::LearningRate;
use crate::error::{Blame, Result, RunError, refuse};
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use toml::{Table, Value};
use zograd_select::{Kind, Method, MethodSpec, Setting};

/// The largest file that is read. Tables nested as deep as they can be take two hundred times its size.
const MAX_BYTES: u64 = 1 << 20;

/// Values by key, as they stand in a file of settings.
///
/// Each part of a run takes the settings it has ([`Given::take`]); what is left over is refused, unless it was only
/// suggested ([`Given::or_suggested`]), as a preset's settings are.
///
/// ```
/// use zograd_runs::Given;
///
/// let flags = Given::new().with("method", "greedy").with("lr", 1e-5);
/// let file = Given::new().with("lr", 1e-3).with("steps", 100);
/// let both = flags.or(file);
/// assert_eq!(both.to_string(), "lr = 1e-5\nmethod = \"greedy\"\nsteps = 100\n");
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Given {
    values: Table,
    /// Keys of those that may be left over.
    suggested: BTreeSet<String>,
}

impl Given {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// With this setting.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.values.insert(key.into(), value.into());
        self.suggested.remove(key);
        self
    }

    /// Without this setting.
    #[must_use]
    pub fn without(mut self, key: &str) -> Self {
        self.values.remove(key);
        self
    }

    /// With this setting, if `value` is one.
    #[must_use]
    pub fn with_some<V: Into<Value>>(self, key: &str, value: Option<V>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    /// What was given for this key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.values.get(key)
    }

    /// What was given for this key, if it is a text.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_str()
    }

    /// Whether this was given, and not only suggested.
    pub(super) fn is_firm(&self, key: &str) -> bool {
        self.values.contains_key(key) && !self.suggested.contains(key)
    }

    /// The keys that were given.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// Keys and values.
    pub fn values(&self) -> &Table {
        &self.values
    }

    /// These settings, completed by weaker ones.
    #[must_use]
    pub fn or(mut self, weaker: Self) -> Self {
        // several ways to say how long to run: the stronger replaces the weaker, whichever it is
        let length = LENGTHS;
        let lr = self.values.get("lr");
        let has_number = lr.is_some_and(|lr| lr.as_str() != Some(LearningRate::AUTO));
        let replaced = length.iter().any(|key| self.values.contains_key(*key));
        for (key, value) in weaker.values {
            if self.values.contains_key(&key) || replaced && length.contains(&key.as_str()) {
                continue;
            }
            // nor does a rate that is a number want to know how another one was measured
            if key == "lr-forwards" && has_number {
                continue;
            }
            if weaker.suggested.contains(&key) {
                self.suggested.insert(key.clone());
            }
            self.values.insert(key, value);
        }
        self
    }

    /// These settings, completed by weaker ones that are left out silently where nothing takes them.
    #[must_use]
    pub fn or_suggested(self, mut weaker: Self) -> Self {
        weaker.suggested = weaker.values.keys().cloned().collect();
        self.or(weaker)
    }

    /// The same, and the settings with these keys may be left over.
    #[must_use]
    pub fn suggesting<'a>(mut self, keys: impl IntoIterator<Item = &'a str>) -> Self {
        let given = keys
            .into_iter()
            .filter(|key| self.values.contains_key(*key));
        self.suggested.extend(given.map(String::from));
        self
    }

    /// Reads a file of settings.
    ///
    /// # Errors
    /// An unreadable file, a key that is none of `keys` (the nearest one is suggested), a value of the wrong type.
    pub fn read(file: &Path, keys: &Keys) -> Result<Self> {
        Self::parse(&text(file)?, keys).about_file(file)
    }

    /// Reads settings from TOML.
    ///
    /// # Errors
    /// As [`Given::read`].
    pub fn parse(text: &str, keys: &Keys) -> Result<Self> {
        Self::of_table(table(text)?, keys)
    }

    /// Reads a file of settings in which these may be lists; the lists come apart, each value checked.
    ///
    /// # Errors
    /// As [`Given::read`].
    pub(crate) fn read_with_lists(
        file: &Path,
        keys: &Keys,
        lists: &[&str],
    ) -> Result<(Self, BTreeMap<String, Vec<Value>>)> {
        let text = text(file)?;
        let mut values = table(&text).about_file(file)?;
        let mut found = BTreeMap::new();
        for key in lists {
            if let Some(Value::Array(list)) = values.get(*key) {
                let setting = &keys.named(key)?.setting;
                let checked = list.iter().map(|value| check(setting, value));
                let checked: Result<Vec<Value>> = checked.collect();
                found.insert((*key).to_owned(), checked.about_file(file)?);
                values.remove(*key);
            }
        }
        Ok((Self::of_table(values, keys).about_file(file)?, found))
    }

    fn of_table(mut values: Table, keys: &Keys) -> Result<Self> {
        for (key, value) in &mut values {
            *value = check(&keys.named(key)?.setting, value)?;
        }
        let lengths = LENGTHS.iter().filter(|key| values.contains_key(**key));
        if let [first, second, ..] = lengths.collect::<Vec<_>>()[..] {
            refuse!("give `{first}` or `{second}`, not both");
        }
        Ok(Self {
            values,
            suggested: BTreeSet::new(),
        })
    }

    /// Takes the settings of `T`.
    ///
    /// # Errors
    /// A value that is none of the setting's.
    pub fn take<T: Owner>(&mut self) -> Result<T> {
        let mut taken = Table::new();
        for setting in T::SETTINGS {
            if let Some((key, value)) = self.values.remove_entry(setting.key) {
                let value = check(setting, &value)?;
                // alone first, so that the error can name it
                let alone = Table::from_iter([(key.clone(), value.clone())]);
                let typed = alone.try_into::<T>();
                typed.map_err(|e| wrong(&key, &value, e.message().trim()))?;
                taken.insert(key, value);
            }
        }
        read(taken)
    }

    /// Takes the settings of a method.
    ///
    /// # Errors
    /// A value of another type than the setting's.
    pub fn take_method(&mut self, method: &Method) -> Result<MethodSpec> {
        let mut spec = MethodSpec::new(method.name);
        for setting in method.settings {
            if let Some(value) = self.values.remove(setting.key) {
                let value = check(setting, &value)?;
                // JSON, which the log is written in, has none
                if value.as_float().is_some_and(|x| !x.is_finite()) {
                    return Err(wrong(setting.key, &value, "it takes a finite number"));
                }
                spec = spec.with(setting.key, serde_json::to_value(value).or_input()?);
            }
        }
        Ok(spec)
    }

    /// Refuses what nobody took, by the names of those who would have; `who` says by key what was chosen instead.
    ///
    /// # Errors
    /// Such a setting.
    pub fn finish(self, keys: &Keys, who: impl Fn(&str) -> String) -> Result<()> {
        let given = self.values.keys();
        let Some(key) = given.into_iter().find(|key| !self.suggested.contains(*key)) else {
            return Ok(());
        };
        refuse!("`{key}`: {} has none; {}", who(key), keys.named(key)?.had())
    }

    /// As TOML, in the order of these keys.
    pub fn in_order(&self, keys: &Keys) -> String {
        let known = keys.iter().map(|key| key.setting.key);
        let given = known.filter_map(|key| Some((key, self.values.get(key)?)));
        given
            .map(|(key, value)| format!("{key} = {}\n", written(value)))
            .collect()
    }

    /// The same without suggestions that were not `taken`; the others are as if they had been given.
    #[must_use]
    pub(crate) fn firm(mut self, taken: &Self) -> Self {
        let suggested = std::mem::take(&mut self.suggested);
        self.values
            .retain(|key, _| !suggested.contains(key) || taken.values.contains_key(key));
        self
    }

    /// Refuses settings that are none of these.
    ///
    /// # Errors
    /// The key of the first.
    pub fn only(&self, allowed: &[&str]) -> Result<(), String> {
        match self.keys().find(|key| !allowed.contains(key)) {
            Some(key) => Err(key.into()),
            None => Ok(()),
        }
    }
}

impl std::fmt::Display for Given {
    /// As TOML.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (key, value) in &self.values {
            writeln!(f, "{key} = {}", written(value))?;
        }
        Ok(())
    }
}

impl From<Table> for Given {
    fn from(values: Table) -> Self {
        Self {
            values,
            suggested: BTreeSet::new(),
        }
    }
}

fn text(file: &Path) -> Result<String> {
    let text = zograd_files::read_text(file, MAX_BYTES);
    text.about("cannot be read").about_file(file)
}

fn table(text: &str) -> Result<Table> {
    text.parse().map_err(|e: toml::de::Error| {
        let line = e
            .span()
            .map_or(0, |span| text[..span.start].lines().count().max(1));
        RunError::input(format!("line {line}: {}", e.message()))
    })
}

/// A value as people write it in a file: `1e-5` rather than `0.00001`.
fn written(value: &Value) -> String {
    match value {
        Value::Float(x) if x.is_finite() && *x != 0.0 && (x.abs() < 0.01 || x.abs() >= 1e6) => {
            format!("{x:e}")
        }
        other => other.to_string(),
    }
}

fn read<T: DeserializeOwned>(table: Table) -> Result<T> {
    let typed = table.try_into();
    typed.map_err(|e: toml::de::Error| RunError::input(e.message().trim()))
}

fn wrong(key: &str, value: &Value, why: &str) -> RunError {
    let value = match value {
        Value::String(text) => text.clone(),
        other => written(other),
    };
    RunError::input(format!("`{key} = {value}`: {why}"))
}

/// Whether a text in quotation marks would be a number without them.
fn is_number(text: &str) -> bool {
    text.trim().parse::<f64>().is_ok()
}

/// The value, if it is of the setting's type; whole numbers are numbers.
fn check(setting: &Setting, value: &Value) -> Result<Value> {
    let what = match (setting.kind, value) {
        (Kind::NumberOr(word), Value::String(text)) if text == word => return Ok(value.clone()),
        (Kind::Number | Kind::NumberOr(_), Value::String(text)) if is_number(text) => {
            "it takes a number: leave the quotation marks away"
        }
        (Kind::Count, Value::String(text)) if is_number(text) => {
            "it takes a whole number: leave the quotation marks away"
        }
        (Kind::NumberOr(word), Value::String(_)) => {
            return Err(wrong(
                setting.key,
                value,
                &format!("it takes a number, or {word}"),
            ));
        }
        (Kind::Number | Kind::NumberOr(_), Value::Integer(n)) => {
            return Ok(Value::Float(*n as f64));
        }
        (Kind::Number | Kind::NumberOr(_), Value::Float(_))
        | (Kind::Switch, Value::Boolean(_))
        | (Kind::Text | Kind::Path | Kind::Choice(_), Value::String(_)) => return Ok(value.clone()),
        // a number, or a word: one of each kind is written as people write it
        (Kind::Text, Value::Integer(n)) if setting.value.starts_with("N|") => {
            return Ok(Value::String(n.to_string()));
        }
        (Kind::Count, Value::Integer(n)) if *n >= 0 => return Ok(value.clone()),
        // whole, if written otherwise
        (Kind::Count, Value::Float(x)) if x.fract() == 0.0 && (0.0..9e15).contains(x) => {
            return Ok(Value::Integer(*x as i64));
        }
        (Kind::Choices(_), Value::Array(list)) if list.iter().all(Value::is_str) => {
            return Ok(value.clone());
        }
        (Kind::Number | Kind::NumberOr(_), Value::Array(_)) => {
            "it takes one number; `zograd sweep` tries several"
        }
        (Kind::Number | Kind::NumberOr(_), _) => "it takes a number",
        (Kind::Switch, _) => "it takes true or false",
        (Kind::Count, _) => "it takes a whole number of at least 0",
        (Kind::Choices(_), _) => "it takes a list of names",
        _ => "it takes a text",
    };
    Err(wrong(setting.key, value, what))
}
