use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;

/// A method's name and its settings, as they stand in a log; with those of the [`StepRules`](crate::StepRules) it has.
///
/// It can name a method that this program does not know, so that a log can be read without its method.
/// [`Methods::complete`](crate::Methods::complete) checks it and fills in the defaults.
///
/// ```
/// use zograd_select::{MethodSpec, Methods};
///
/// let gv = Methods::built_in().complete(&MethodSpec::new("gv").with("pool", 6))?;
/// let text = r#"{"method":"gv","pool":6,"alpha":0.5,"faithful_cost":false}"#;
/// assert_eq!(serde_json::to_string(&gv)?, text);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MethodSpec {
    #[serde(rename = "method")]
    name: String,
    #[serde(flatten)]
    settings: Map<String, Value>,
}

impl MethodSpec {
    /// The method with this name, with all settings at their defaults.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            settings: Map::new(),
        }
    }

    /// With this setting, whose key may be written `faithful-cost` or `faithful_cost`.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.settings.insert(snake(key), value.into());
        self
    }

    /// The method's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The settings that are given, by their keys in snake case.
    pub fn settings(&self) -> &Map<String, Value> {
        &self.settings
    }

    pub(crate) fn of(name: &str, settings: Map<String, Value>) -> Self {
        Self {
            name: name.into(),
            settings,
        }
    }
}

/// A key as it stands in logs, where keys are the names of fields.
pub(crate) fn snake(key: &str) -> String {
    key.replace('-', "_")
}

/// A key as it stands in config files.
pub(crate) fn kebab(key: &str) -> String {
    key.replace('_', "-")
}

impl fmt::Display for MethodSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
