use crate::near::nearest;
use crate::setting::listed;
use crate::{Method, MethodSpec, StepRules, Strategy, StrategyError, methods, spec};
use serde_json::{Map, Value};

/// The methods that a program knows: those built in, and its own.
///
/// ```
/// use zograd_select::{MethodSpec, Methods};
///
/// let methods = Methods::built_in();
/// let gv = methods.build(&MethodSpec::new("gv").with("pool", 4))?;
/// assert_eq!(gv.forwards(), 6);
/// let error = methods.build(&MethodSpec::new("greedy").with("pool", 0)).err().expect("refused");
/// assert_eq!(error.to_string(), "`pool = 0`: use at least 1 candidate, such as 4");
/// # Ok::<(), zograd_select::StrategyError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Methods(Vec<Method>);

impl Methods {
    /// The methods of this crate.
    pub fn built_in() -> Self {
        Self(methods::BUILT_IN.to_vec())
    }

    /// With one more, in place of one with the same name.
    #[must_use]
    pub fn with(mut self, method: Method) -> Self {
        match self.0.iter_mut().find(|known| known.name == method.name) {
            Some(known) => *known = method,
            None => self.0.push(method),
        }
        self
    }

    /// All of them, those built in first.
    pub fn iter(&self) -> impl Iterator<Item = &Method> {
        self.0.iter()
    }

    /// The method with this name.
    pub fn get(&self, name: &str) -> Option<&Method> {
        self.iter().find(|method| method.name == name)
    }

    /// The same method with all its settings, in the order of their declaration: those given, as their types, and
    /// the defaults of the others; behind them the [`StepRules`] that change something. Ranges of the method's own are
    /// checked by [`Self::build`].
    ///
    /// # Errors
    /// No method has this name, it has no such setting, or a value is not of its setting's type; as
    /// [`StepRules::completed`].
    ///
    /// # Panics
    /// As [`Method::defaults`].
    pub fn complete(&self, spec: &MethodSpec) -> Result<MethodSpec, StrategyError> {
        let method = self.find(spec)?;
        let mut settings = method.defaults().settings().clone();
        let mut rules = Map::new();
        for (key, value) in spec.settings() {
            if let Some(setting) = method.setting(key) {
                settings = method.with(settings, setting, value)?;
            } else if let Some(setting) = StepRules::setting(key) {
                rules.insert(spec::snake(setting.key), setting.read(value)?);
            } else {
                return Err(self.unknown_setting(method, key));
            }
        }
        settings.extend(step_rules(method, rules)?.completed()?.fields());
        Ok(MethodSpec::of(method.name, settings))
    }

    /// The strategy, before its first step.
    ///
    /// # Errors
    /// As [`Self::complete`] and [`StepRules::around`]; a value out of its range.
    ///
    /// # Panics
    /// As [`Method::defaults`].
    pub fn build(&self, spec: &MethodSpec) -> Result<Box<dyn Strategy>, StrategyError> {
        let settings = self.complete(spec)?.settings().clone();
        let method = self.find(spec)?;
        let (own, rules): (Map<_, _>, Map<_, _>) = settings.into_iter().partition(|(key, _)| {
            method.setting(key).is_some() || StepRules::setting(key).is_none()
        });
        step_rules(method, rules)?.around(method.build(&own)?)
    }

    fn find(&self, spec: &MethodSpec) -> Result<&Method, StrategyError> {
        self.get(spec.name()).ok_or_else(|| {
            let names = || self.iter().map(|method| method.name);
            let known = format!("the methods are {}", listed(names()));
            StrategyError::UnknownMethod {
                method: spec.name().into(),
                hint: match nearest(spec.name(), names()) {
                    Some(name) => format!("did you mean {name}? {known}"),
                    None => known,
                },
            }
        })
    }

    fn unknown_setting(&self, method: &Method, key: &str) -> StrategyError {
        let setting = spec::kebab(key);
        let keys = || method.settings.iter().map(|setting| setting.key);
        let mut owners = self.iter().filter(|m| m.setting(key).is_some()).peekable();
        let hint = if owners.peek().is_some() {
            let names = listed(owners.map(|owner| owner.name));
            format!("methods with it: {names}")
        } else if let Some(near) = nearest(&setting, keys()) {
            format!("did you mean {near}?")
        } else {
            format!("its settings: {}", listed(keys()))
        };
        StrategyError::UnknownSetting {
            setting,
            method: method.name.into(),
            hint,
        }
    }
}

/// The rules that stand beside the settings of a method.
fn step_rules(method: &Method, fields: Map<String, Value>) -> Result<StepRules, StrategyError> {
    StepRules::read(fields).map_err(|e| StrategyError::Unreadable {
        method: method.name.into(),
        reason: e.to_string(),
    })
}
