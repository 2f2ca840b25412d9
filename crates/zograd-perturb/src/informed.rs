//! A direction that somebody knows better than noise: numbers that one seed stands for, for one step.

use crate::kept::Numbers;
use crate::values::Values;
use crate::{ParameterSpace, ParameterSpec};
use std::collections::HashMap;
use std::sync::Arc;
use zograd_direction::Seed;
use zograd_params::TensorId;

/// The numbers that a seed stands for, of every parameter that moves.
#[derive(Debug)]
pub(crate) struct Informed {
    /// Steps before the one in which it does.
    pub(crate) step: u64,
    pub(crate) seed: Seed,
    numbers: HashMap<TensorId, Arc<Numbers>>,
}

impl Informed {
    pub(crate) fn new(step: u64, seed: Seed, values: HashMap<TensorId, Vec<f32>>) -> Self {
        let numbers = values.into_iter().map(|(tensor, values)| {
            let wide = || values.iter().map(|value| f64::from(*value));
            let squares: f64 = wide().map(|value| value * value).sum();
            let numbers = Numbers {
                largest: wide().fold(0.0, |most, value| most.max(value.abs())),
                mean_square: squares / values.len().max(1) as f64,
                each: values,
            };
            (tensor, Arc::new(numbers))
        });
        Self {
            step,
            seed,
            numbers: numbers.collect(),
        }
    }

    /// What `seed` is on a parameter, if it is the one that stands for numbers.
    pub(crate) fn values(&self, parameter: &ParameterSpec, seed: Seed) -> Option<Arc<dyn Values>> {
        let numbers = self.numbers.get(&parameter.id)?;
        (seed == self.seed).then(|| Arc::clone(numbers) as Arc<dyn Values>)
    }

    /// The first parameter of which a number is not finite, or the squares are too large to be added up.
    pub(crate) fn non_finite<'a>(&self, space: &'a ParameterSpace) -> Option<&'a ParameterSpec> {
        let mut parameters = space.parameters().iter();
        parameters.find(|parameter| !self.mean_square(parameter).is_finite())
    }

    /// The largest magnitude on a parameter.
    pub(crate) fn largest(&self, parameter: &ParameterSpec) -> f64 {
        let numbers = self.numbers.get(&parameter.id);
        numbers.map_or(0.0, |numbers| numbers.largest)
    }

    /// The mean square on a parameter.
    pub(crate) fn mean_square(&self, parameter: &ParameterSpec) -> f64 {
        let numbers = self.numbers.get(&parameter.id);
        numbers.map_or(0.0, |numbers| numbers.mean_square)
    }
}
