//! A direction that somebody knows better than noise: numbers that one seed stands for, for one step.

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

/// Those of a parameter.
#[derive(Debug)]
struct Numbers {
    values: Vec<f32>,
    /// The largest magnitude.
    largest: f64,
    /// The sum of the squares.
    squares: f64,
}

impl Informed {
    pub(crate) fn new(step: u64, seed: Seed, values: HashMap<TensorId, Vec<f32>>) -> Self {
        let numbers = values.into_iter().map(|(tensor, values)| {
            let wide = || values.iter().map(|value| f64::from(*value));
            let numbers = Numbers {
                largest: wide().fold(0.0, |most, value| most.max(value.abs())),
                squares: wide().map(|value| value * value).sum(),
                values,
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
        parameters.find(|parameter| !self.squares(parameter).is_finite())
    }

    /// The largest magnitude on a parameter.
    pub(crate) fn largest(&self, parameter: &ParameterSpec) -> f64 {
        let numbers = self.numbers.get(&parameter.id);
        numbers.map_or(0.0, |numbers| numbers.largest)
    }

    /// The sum of the squares on a parameter.
    pub(crate) fn squares(&self, parameter: &ParameterSpec) -> f64 {
        let numbers = self.numbers.get(&parameter.id);
        numbers.map_or(0.0, |numbers| numbers.squares)
    }
}

impl Values for Numbers {
    fn fill(&self, start: usize, out: &mut [f32]) {
        out.copy_from_slice(&self.values[start..start + out.len()]);
    }
}
