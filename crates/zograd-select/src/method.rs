use crate::{MethodSpec, Setting, Strategy, StrategyError, spec};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A strategy that can be made from settings, and so has a name in settings, help, config files and logs.
///
/// Everything about a method stands in its own file: this implementation and the strategy. The book's chapter
/// "Writing a strategy" has a complete one.
pub trait Configured: Strategy + Sized + 'static {
    /// Its name in settings and logs, in kebab case; what [`Strategy::name`] returns.
    const NAME: &'static str;
    /// What it does and how many forward passes a step takes, in one line for help.
    const ABOUT: &'static str;
    /// Its settings: one for every field of [`Self::Settings`], under the field's name in kebab case.
    const SETTINGS: &'static [Setting];
    /// The settings' values: a struct, derived with `#[serde(default, deny_unknown_fields)]`. Its
    /// [`Default`] holds the defaults.
    type Settings: Serialize + DeserializeOwned + Default;

    /// The strategy, before its first step.
    ///
    /// # Errors
    /// A value out of its range ([`StrategyError::setting`]).
    fn configured(settings: Self::Settings) -> Result<Self, StrategyError>;
}

/// The settings of a method that has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoSettings {}

/// A method: all that settings, the command and the log need to know of a strategy.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Method {
    /// [`Configured::NAME`]
    pub name: &'static str,
    /// [`Configured::ABOUT`]
    pub about: &'static str,
    /// [`Configured::SETTINGS`]
    pub settings: &'static [Setting],
    defaults: fn() -> Fields,
    normalised: fn(&Fields) -> serde_json::Result<Fields>,
    build: fn(&Fields) -> serde_json::Result<Built>,
}

/// The settings' values by their fields' names, in the fields' order.
type Fields = Map<String, Value>;

type Built = Result<Box<dyn Strategy>, StrategyError>;

impl Method {
    /// The method that makes strategies of this type.
    pub const fn of<S: Configured>() -> Self {
        Self {
            name: S::NAME,
            about: S::ABOUT,
            settings: S::SETTINGS,
            defaults: || fields(&S::Settings::default()),
            normalised: |given| typed::<S>(given).map(|settings| fields(&settings)),
            build: |given| {
                typed::<S>(given).map(|settings| {
                    let strategy = S::configured(settings)?;
                    Ok(Box::new(strategy) as Box<dyn Strategy>)
                })
            },
        }
    }

    /// All its settings, at their defaults.
    ///
    /// # Panics
    /// [`Configured::Settings`] does not serialise as a struct.
    pub fn defaults(&self) -> MethodSpec {
        MethodSpec::of(self.name, (self.defaults)())
    }

    /// Its setting with this key, in kebab or snake case.
    pub(crate) fn setting(&self, key: &str) -> Option<&'static Setting> {
        let key = spec::kebab(key);
        self.settings.iter().find(|setting| setting.key == key)
    }

    /// The same settings with another value for one of them.
    pub(crate) fn with(
        &self,
        mut settings: Fields,
        setting: &Setting,
        value: &Value,
    ) -> Result<Fields, StrategyError> {
        let place = settings
            .entry(spec::snake(setting.key))
            .or_insert(Value::Null);
        // what is `null` by default may be left so
        if !(place.is_null() && value.is_null()) {
            *place = setting.read(value)?;
        }
        let normalised = (self.normalised)(&settings);
        normalised.map_err(|e| StrategyError::setting(setting.key, value, e.to_string()))
    }

    /// The strategy with these settings, before its first step.
    pub(crate) fn build(&self, settings: &Fields) -> Built {
        (self.build)(settings).unwrap_or_else(|e| {
            Err(StrategyError::Unreadable {
                method: self.name.into(),
                reason: e.to_string(),
            })
        })
    }
}

fn typed<S: Configured>(given: &Fields) -> serde_json::Result<S::Settings> {
    serde_json::from_value(given.clone().into())
}

fn fields(settings: &impl Serialize) -> Fields {
    match serde_json::to_value(settings) {
        Ok(Value::Object(fields)) => fields,
        other => panic!("a method's settings are a struct, not {other:?}"),
    }
}
