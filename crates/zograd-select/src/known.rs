use crate::near::nearest;
use crate::setting::listed;
use crate::{Method, MethodSpec, Strategy, StrategyError, methods, spec};

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
    /// the defaults of the others. Ranges are checked by [`Self::build`].
    ///
    /// # Errors
    /// No method has this name, it has no such setting, or a value is not of its setting's type.
    ///
    /// # Panics
    /// As [`Method::defaults`].
    pub fn complete(&self, spec: &MethodSpec) -> Result<MethodSpec, StrategyError> {
        let method = self.find(spec)?;
        let mut settings = method.defaults().settings().clone();
        for (key, value) in spec.settings() {
            let Some(setting) = method.setting(key) else {
                return Err(self.unknown_setting(method, key));
            };
            settings = method.with(settings, setting, value)?;
        }
        Ok(MethodSpec::of(method.name, settings))
    }

    /// The strategy, before its first step.
    ///
    /// # Errors
    /// As [`Self::complete`]; a value out of its range.
    ///
    /// # Panics
    /// As [`Method::defaults`].
    pub fn build(&self, spec: &MethodSpec) -> Result<Box<dyn Strategy>, StrategyError> {
        let settings = self.complete(spec)?;
        self.find(spec)?.build(settings.settings())
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
