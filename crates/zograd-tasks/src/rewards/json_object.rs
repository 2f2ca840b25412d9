use super::{Reward, RewardError, RuleError};
use crate::Question;
use crate::row::whole;
use serde_json::{Map, Value};
use std::str::FromStr;

/// How much of an answer is the JSON object that was asked for: of n keys, each with its type, every one that is there
/// gives 1 / (n + 1), and so does that the answer is an object at all. 0 for what is no JSON object. Blanks and line
/// breaks around it do not count; other keys may stand in it.
#[derive(Clone, Debug)]
pub struct JsonObject {
    keys: Vec<(String, JsonType)>,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JsonType {
    /// A string.
    Text,
    /// Any number.
    Number,
    /// A whole number.
    Whole,
    /// `true` or `false`.
    Truth,
    /// An array.
    List,
    /// An object.
    Object,
    /// Anything, `null` included.
    Any,
}

impl JsonType {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "text" => Self::Text,
            "number" => Self::Number,
            "whole" => Self::Whole,
            "truth" => Self::Truth,
            "list" => Self::List,
            "object" => Self::Object,
            "any" => Self::Any,
            _ => return None,
        })
    }

    fn is_of(self, value: &Value) -> bool {
        match (self, value) {
            (Self::Any, _)
            | (Self::Text, Value::String(_))
            | (Self::Number, Value::Number(_))
            | (Self::Truth, Value::Bool(_))
            | (Self::List, Value::Array(_))
            | (Self::Object, Value::Object(_)) => true,
            (Self::Whole, Value::Number(number)) => whole(number).is_some(),
            _ => false,
        }
    }
}

impl JsonObject {
    /// An object with these keys, or any object.
    pub fn new(keys: impl IntoIterator<Item = (String, JsonType)>) -> Self {
        let keys = keys.into_iter().collect();
        Self { keys }
    }
}

impl FromStr for JsonObject {
    type Err = RuleError;

    /// `KEY:TYPE`, with commas between several; the last colon of an entry divides it. Nothing is any object.
    fn from_str(text: &str) -> Result<Self, RuleError> {
        let entries = text.split(',').map(str::trim).filter(|e| !e.is_empty());
        let key = |entry: &str| {
            let parts = entry.rsplit_once(':');
            let parts = parts.map(|(key, name)| (key.trim(), JsonType::named(name.trim())));
            match parts {
                Some((key, Some(kind))) if !key.is_empty() => Ok((key.to_owned(), kind)),
                _ => Err(RuleError::Key {
                    entry: entry.to_owned(),
                }),
            }
        };
        let keys = entries.map(key).collect::<Result<_, _>>()?;
        Ok(Self { keys })
    }
}

impl Reward for JsonObject {
    fn reward(&self, _question: &Question, answer: &str) -> Result<f64, RewardError> {
        let Ok(object) = serde_json::from_str::<Map<String, Value>>(answer) else {
            return Ok(0.0);
        };
        let fits = |(key, kind): &&(String, JsonType)| {
            object.get(key).is_some_and(|value| kind.is_of(value))
        };
        let there = self.keys.iter().filter(fits).count();
        Ok((there + 1) as f64 / (self.keys.len() + 1) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rewards::tests::rewards;

    #[test]
    fn every_key_of_its_type_counts() {
        let person: JsonObject = "name:text, age:whole, tags : list".parse().expect("keys");
        let answers = [
            r#" {"name": "Ann", "age": 3, "tags": [], "more": null} "#,
            r#"{"name": "Ann", "age": 3.5, "tags": []}"#,
            r#"{"name": 1, "age": "3"}"#,
            r#"{"name": "Ann", "age": 3, "tags": []} and more"#,
            r#"["name"]"#,
            "",
        ];
        let found = rewards(&person, &[], &answers);
        assert_eq!(found, [1.0, 0.75, 0.25, 0.0, 0.0, 0.0]);
        let any: JsonObject = "".parse().expect("no keys");
        assert_eq!(rewards(&any, &[], &["{}", "3"]), [1.0, 0.0]);
    }

    #[test]
    fn every_type_is_told_from_the_others() {
        let values = [r#""a""#, "1.5", "2", "true", "[1]", "{}", "null"];
        for (name, fitting) in [
            ("text", &[0][..]),
            ("number", &[1, 2]),
            ("whole", &[2]),
            ("truth", &[3]),
            ("list", &[4]),
            ("object", &[5]),
            ("any", &[0, 1, 2, 3, 4, 5, 6]),
        ] {
            let rule: JsonObject = format!("a:b:{name}").parse().expect(name);
            let answers = values.map(|value| format!(r#"{{"a:b": {value}}}"#));
            let answers: Vec<&str> = answers.iter().map(String::as_str).collect();
            let found = rewards(&rule, &[], &answers);
            let full = (0..values.len()).filter(|k| found[*k] == 1.0);
            assert!(full.eq(fitting.iter().copied()), "{name}: {found:?}");
        }
    }

    #[test]
    fn keys_without_types_are_refused() {
        for wrong in ["name", "name:string", ":text", "a:text,b"] {
            let error = wrong.parse::<JsonObject>().expect_err(wrong).to_string();
            assert!(error.contains("KEY:TYPE"), "{error}");
        }
    }
}
