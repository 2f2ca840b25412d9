use serde_json::Value;
use std::fmt::Display;
use thiserror::Error;

/// One setting: its key in config files, and its words for people. Flags, help and the reading of files are
/// generated from it.
///
/// ```
/// use zograd_select::Setting;
///
/// const POOL: Setting = Setting::count("pool", "M", "Candidates of a pool");
/// assert_eq!(POOL.read(&4.0.into()), Ok(4.into()));
/// let error = POOL.read(&(-1).into()).expect_err("refused");
/// assert_eq!(error.to_string(), "`pool = -1`: use a whole number from 0 to 2^64 - 1");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Setting {
    /// Its key in config files, in kebab case; the command's flag is `--key`.
    pub key: &'static str,
    /// What values it has.
    pub kind: Kind,
    /// Stands for the value in help, such as `M`; empty for switches.
    pub value: &'static str,
    /// What it does, without the default and without the methods that have it.
    pub help: &'static str,
    /// The default in words; empty if there is none, or if its owner knows it
    /// ([`Method::defaults`](crate::Method::defaults)).
    pub default: &'static str,
}

/// What values a setting has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// `true` or `false`.
    Switch,
    /// A whole number from 0 to 2^64 - 1.
    Count,
    /// A finite `f64`.
    Number,
    /// A finite `f64`, or this word.
    NumberOr(&'static str),
    /// Any text.
    Text,
    /// A path of a file or folder.
    Path,
    /// One of these.
    Choice(&'static [Choice]),
    /// A list of these; as text, with commas between them.
    Choices(&'static [Choice]),
}

/// A value that can be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// As it stands in config files.
    pub name: &'static str,
    /// What it does.
    pub help: &'static str,
}

/// A value that a setting cannot have. It reads `` `key = value`: fix ``.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("`{name} = {value}`: {fix}")]
pub struct SettingError {
    /// The setting's key.
    pub name: &'static str,
    /// Its value.
    pub value: String,
    /// What it should be.
    pub fix: String,
}

impl SettingError {
    /// The error of the setting `name`, with advice on what its value should be.
    pub fn new(name: &'static str, value: impl Display, fix: impl Into<String>) -> Self {
        Self {
            name,
            value: value.to_string(),
            fix: fix.into(),
        }
    }
}

impl Setting {
    /// A setting that is on or off.
    pub const fn switch(key: &'static str, help: &'static str) -> Self {
        Self::of(Kind::Switch, key, "", help)
    }

    /// A whole number.
    pub const fn count(key: &'static str, value: &'static str, help: &'static str) -> Self {
        Self::of(Kind::Count, key, value, help)
    }

    /// A number.
    pub const fn number(key: &'static str, value: &'static str, help: &'static str) -> Self {
        Self::of(Kind::Number, key, value, help)
    }

    /// A number, or `word`.
    pub const fn number_or(
        key: &'static str,
        value: &'static str,
        word: &'static str,
        help: &'static str,
    ) -> Self {
        Self::of(Kind::NumberOr(word), key, value, help)
    }

    /// A text.
    pub const fn text(key: &'static str, value: &'static str, help: &'static str) -> Self {
        Self::of(Kind::Text, key, value, help)
    }

    /// A path.
    pub const fn path(key: &'static str, value: &'static str, help: &'static str) -> Self {
        Self::of(Kind::Path, key, value, help)
    }

    /// One of `choices`.
    pub const fn choice(
        key: &'static str,
        value: &'static str,
        help: &'static str,
        choices: &'static [Choice],
    ) -> Self {
        Self::of(Kind::Choice(choices), key, value, help)
    }

    /// A list of `choices`.
    pub const fn choices(
        key: &'static str,
        value: &'static str,
        help: &'static str,
        choices: &'static [Choice],
    ) -> Self {
        Self::of(Kind::Choices(choices), key, value, help)
    }

    /// With the default in words.
    pub const fn or(self, default: &'static str) -> Self {
        Self { default, ..self }
    }

    const fn of(kind: Kind, key: &'static str, value: &'static str, help: &'static str) -> Self {
        Self {
            key,
            kind,
            value,
            help,
            default: "",
        }
    }

    /// The value as this setting's type: a whole `f64` becomes the integer it is, a text with commas a list.
    ///
    /// # Errors
    /// The value is of another type, or none of the choices.
    pub fn read(&self, value: &Value) -> Result<Value, SettingError> {
        let read = match (self.kind, value) {
            (Kind::Switch, Value::Bool(_)) => Some(value.clone()),
            (Kind::Text | Kind::Path, Value::String(_)) => Some(value.clone()),
            (Kind::Count, _) => whole(value).map(Value::from),
            (Kind::NumberOr(word), Value::String(text)) => (text == word).then(|| value.clone()),
            (Kind::Number | Kind::NumberOr(_), _) => {
                value.as_f64().filter(|x| x.is_finite()).map(Value::from)
            }
            (Kind::Choice(choices), _) => chosen(choices, value),
            (Kind::Choices(choices), Value::Array(values)) => {
                values.iter().map(|value| chosen(choices, value)).collect()
            }
            (Kind::Choices(choices), Value::String(text)) => {
                let names = text.split(',').map(|name| name.trim().into());
                names.map(|name| chosen(choices, &name)).collect()
            }
            _ => None,
        };
        read.ok_or_else(|| self.refused(value))
    }

    fn refused(&self, value: &Value) -> SettingError {
        let names = |choices: &[Choice]| listed(choices.iter().map(|choice| choice.name));
        let fix = match self.kind {
            Kind::Switch => "use true or false".into(),
            Kind::Count => "use a whole number from 0 to 2^64 - 1".into(),
            Kind::Number => "use a number".into(),
            Kind::NumberOr(word) => format!("use a number or {word}"),
            Kind::Text => "use a text".into(),
            Kind::Path => "use a path".into(),
            Kind::Choice(choices) => format!("the choices are {}", names(choices)),
            Kind::Choices(choices) => format!("a list; the choices are {}", names(choices)),
        };
        match (self.kind, value) {
            // quotes tell a text from a number; among texts they tell nothing
            (Kind::Choice(_) | Kind::Choices(_), Value::String(text)) => {
                SettingError::new(self.key, text, fix)
            }
            _ => SettingError::new(self.key, value, fix),
        }
    }
}

/// A number without a fraction, be it written as an integer or not.
fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| {
        let x = value.as_f64()?;
        // 2^64 is the first that does not fit; below it the conversion is exact
        (x.fract() == 0.0 && (0.0..18_446_744_073_709_551_616.0).contains(&x)).then_some(x as u64)
    })
}

fn chosen(choices: &[Choice], value: &Value) -> Option<Value> {
    let name = value.as_str()?;
    let known = choices.iter().any(|choice| choice.name == name);
    known.then(|| value.clone())
}

/// "a, b and c".
pub(crate) fn listed<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    match names.split_last() {
        Some((last, [])) => (*last).into(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => "none".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOISE: &[Choice] = &[
        Choice {
            name: "gaussian",
            help: "Normal",
        },
        Choice {
            name: "rademacher",
            help: "Plus or minus one",
        },
    ];

    #[test]
    fn values_become_the_settings_type() {
        for (setting, value, read) in [
            (Setting::count("n", "N", ""), json!(4), json!(4)),
            (Setting::count("n", "N", ""), json!(4.0), json!(4)),
            (Setting::count("n", "N", ""), json!(0), json!(0)),
            (
                Setting::count("n", "N", ""),
                json!(u64::MAX),
                json!(u64::MAX),
            ),
            (Setting::number("x", "X", ""), json!(1), json!(1.0)),
            (Setting::number("x", "X", ""), json!(-2.5), json!(-2.5)),
            (
                Setting::number_or("x", "X", "auto", ""),
                json!(2),
                json!(2.0),
            ),
            (
                Setting::number_or("x", "X", "auto", ""),
                json!("auto"),
                json!("auto"),
            ),
            (Setting::switch("s", ""), json!(true), json!(true)),
            (Setting::text("t", "T", ""), json!("4"), json!("4")),
            (Setting::path("p", "P", ""), json!("a/b"), json!("a/b")),
            (
                Setting::choice("noise", "N", "", NOISE),
                json!("gaussian"),
                json!("gaussian"),
            ),
            (
                Setting::choices("noise", "N", "", NOISE),
                json!("gaussian, rademacher"),
                json!(["gaussian", "rademacher"]),
            ),
            (
                Setting::choices("noise", "N", "", NOISE),
                json!(["rademacher"]),
                json!(["rademacher"]),
            ),
        ] {
            assert_eq!(setting.read(&value), Ok(read), "{setting:?}");
        }
    }

    #[test]
    fn values_of_another_type_are_refused_in_words() {
        let count = Setting::count("pool", "M", "");
        let whole = "use a whole number from 0 to 2^64 - 1";
        let noise = Setting::choice("noise", "N", "", NOISE);
        let list = Setting::choices("noise", "N", "", NOISE);
        let known = "the choices are gaussian and rademacher";
        for (setting, value, expected) in [
            (count, json!(-1), format!("`pool = -1`: {whole}")),
            (count, json!(0.5), format!("`pool = 0.5`: {whole}")),
            (count, json!(1e30), format!("`pool = 1e+30`: {whole}")),
            (count, json!("4"), format!("`pool = \"4\"`: {whole}")),
            (count, json!(null), format!("`pool = null`: {whole}")),
            (count, json!([4]), format!("`pool = [4]`: {whole}")),
            (noise, json!("gauss"), format!("`noise = gauss`: {known}")),
            (noise, json!(1), format!("`noise = 1`: {known}")),
            (
                list,
                json!("gaussian,,"),
                format!("`noise = gaussian,,`: a list; {known}"),
            ),
            (
                Setting::switch("s", ""),
                json!(1),
                "`s = 1`: use true or false".into(),
            ),
            (
                Setting::number("x", "X", ""),
                json!("1"),
                "`x = \"1\"`: use a number".into(),
            ),
            (
                Setting::text("t", "T", ""),
                json!(1),
                "`t = 1`: use a text".into(),
            ),
        ] {
            let error = setting.read(&value).expect_err("refused").to_string();
            assert_eq!(error, expected);
        }
        // the first whole numbers that do not fit
        assert!(count.read(&json!(18_446_744_073_709_551_616.0)).is_err());
        assert!(count.read(&json!(18_446_744_073_709_549_568.0)).is_ok());
    }

    #[test]
    fn a_default_in_words_changes_nothing_else() {
        let setting = Setting::count("pool", "M", "Candidates");
        assert_eq!(setting.default, "");
        assert_eq!(setting.or("4").default, "4");
        assert_eq!(setting.or("4").or(""), setting);
    }
}
