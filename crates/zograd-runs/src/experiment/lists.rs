//! The values that a sweep tries.

use crate::error::{Blame, Result, refuse};
use crate::settings::{
    Draw, Given, Keys, LearningRate, MethodChoice, PerturbationOptions, StepSizes,
};
use std::path::Path;

/// The settings of which a sweep takes several values.
const KEYS: [&str; 4] = ["method", "lr", "eps", "seed"];

/// Values to try; an empty list leaves the choice open.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Lists {
    /// Methods.
    pub method: Vec<String>,
    /// Learning rates.
    pub lr: Vec<f64>,
    /// Perturbation scales.
    pub eps: Vec<f64>,
    /// Batch sizes.
    pub batch_size: Vec<u64>,
    /// Seeds: every point is run once with each.
    pub seed: Vec<u64>,
}

impl Lists {
    /// Whether all of them are empty.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// These lists, and where one is empty the weaker one.
    #[must_use]
    pub fn or(self, weaker: Self) -> Self {
        fn filled<T>(list: Vec<T>, weaker: Vec<T>) -> Vec<T> {
            if list.is_empty() { weaker } else { list }
        }
        Self {
            method: filled(self.method, weaker.method),
            lr: filled(self.lr, weaker.lr),
            eps: filled(self.eps, weaker.eps),
            batch_size: filled(self.batch_size, weaker.batch_size),
            seed: filled(self.seed, weaker.seed),
        }
    }

    /// Reads a file of settings in which `method`, `lr`, `eps` and `seed` may be lists: the lists, and the other
    /// settings.
    ///
    /// # Errors
    /// As [`Given::read`]; an empty list.
    pub fn read(file: &Path, keys: &Keys) -> Result<(Self, Given)> {
        let (given, lists) = Given::read_with_lists(file, keys, &KEYS)?;
        let mut read = Self::default();
        for (key, values) in lists {
            if values.is_empty() {
                refuse!("{}: `{key} = []`: give at least one value", file.display());
            }
            for value in values {
                let alone = Given::new().with(&key, value);
                read = read.and(alone).about_file(file)?;
            }
        }
        // a run that measured its rate says so in its file; here rates are tried
        let is_measured = match given.get("lr") {
            Some(lr) => lr.as_str() == Some(LearningRate::AUTO),
            None => read.lr.is_empty(),
        };
        let given = match is_measured {
            true => given.without("lr").without("lr-forwards"),
            false => given,
        };
        Ok((read, given))
    }

    /// With the values that were given one by one, where there is no list.
    pub(super) fn completed(self, given: &Given) -> Result<Self> {
        if let Some(forwards) = given.get("lr-forwards") {
            refuse!(
                "`lr-forwards = {forwards}`: learning rates are tried here, and none is measured; leave it out"
            );
        }
        let keys = KEYS.into_iter();
        let single = keys.fold(Given::new(), |single, key| {
            single.with_some(key, given.get(key).cloned())
        });
        Ok(self.or(Self::default().and(single)?))
    }

    /// With these values behind the others.
    fn and(mut self, mut given: Given) -> Result<Self> {
        self.method.extend(given.take::<MethodChoice>()?.method);
        match given.take::<StepSizes>()?.lr {
            Some(LearningRate::Auto) => {
                refuse!("`lr = auto`: learning rates are tried here; name numbers, or leave it out")
            }
            Some(LearningRate::Number(lr)) => self.lr.push(lr),
            None => {}
        }
        self.eps.extend(given.take::<PerturbationOptions>()?.eps);
        self.seed.extend(given.take::<Draw>()?.seed);
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;
    use zograd_select::Methods;

    /// The settings of a run that measured its rate are those of a sweep, but for what was measured.
    #[test]
    fn a_measured_rate_is_no_value() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("config.toml");
        for rate in ["lr = \"auto\"\nlr-forwards = 8", "lr-forwards = 8"] {
            let text = format!("method = \"mezo\"\n{rate}\nbatch-size = 4\n");
            std::fs::write(&file, text).expect("written");
            let keys = Settings::keys(&Methods::built_in());
            let (lists, given) = Lists::read(&file, &keys).expect("settings");
            let left: Vec<&str> = given.keys().collect();
            assert_eq!(left, ["batch-size", "method"], "{rate}");
            let tried = lists.completed(&given).expect("values");
            assert_eq!((tried.lr, tried.method), (vec![], vec!["mezo".to_owned()]));
            let asked = given.with("lr-forwards", 8);
            let error = Lists::default().completed(&asked).expect_err("refused");
            assert!(error.to_string().contains("none is measured"), "{error}");
        }
    }
}
