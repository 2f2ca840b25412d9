//! The parameters of a module that move.

use std::collections::HashMap;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::backend::Backend;
use burn::tensor::{DType, Tensor};
use serde::{Deserialize, Serialize};

use crate::error::ParameterError;
use crate::path::ParameterPath;
use crate::selection::Selection;
use crate::tensor_id::TensorId;

/// One parameter that moves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ParameterSpec {
    /// Path of the parameter in its module, e.g. `decoder.layers.0.fc1.weight`.
    pub name: String,
    /// Its noise.
    pub id: TensorId,
    /// Its shape.
    pub shape: Vec<usize>,
    /// How it is stored.
    pub dtype: DType,
    /// Whether weight decay acts on it ([`ParameterSpace::decaying`]).
    pub decays: bool,
}

impl ParameterSpec {
    /// A parameter that decays.
    pub fn new(name: String, shape: Vec<usize>, dtype: DType) -> Self {
        Self {
            id: TensorId::of(&name),
            name,
            shape,
            dtype,
            decays: true,
        }
    }

    /// Whether both are the same tensor, whether it decays or not.
    pub fn is_tensor_of(&self, other: &Self) -> bool {
        let tensor = |spec: &Self| (spec.id, spec.dtype);
        tensor(self) == tensor(other) && self.name == other.name && self.shape == other.shape
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether the tensor has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The tensors of a module that move, in the module's order.
///
/// A parameter that is used twice (tied embeddings) stands at one place of its module and occurs once; a
/// module that holds one parameter at two places is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParameterSpace {
    parameters: Vec<ParameterSpec>,
}

impl ParameterSpace {
    /// The parameters of `module` that `selection` includes. All of them decay, unless [`Self::decaying`] says otherwise.
    ///
    /// # Errors
    /// If nothing is selected, one parameter stands at two places, a selected parameter is stored in a type no
    /// kernel handles, or two names have the same [`TensorId`].
    pub fn select<B: Backend, M: Module<B>>(
        module: &M,
        selection: &Selection,
    ) -> Result<Self, ParameterError> {
        let mut census = Census::default();
        module.visit(&mut census);
        let names = census.parameters.iter().map(|p| p.name.as_str());
        if let Selection::Matching(patterns) = selection
            && !names.clone().any(|name| selection.includes(name))
        {
            return Err(ParameterError::NothingSelected {
                patterns: patterns.join(", "),
                names: names.take(8).collect::<Vec<_>>().join(", "),
            });
        }
        let mut places: HashMap<ParamId, &str> = HashMap::new();
        for (p, id) in census.parameters.iter().zip(&census.ids) {
            if let Some(first) = places.insert(*id, &p.name) {
                return Err(ParameterError::SharedParameter {
                    first: first.into(),
                    second: p.name.clone(),
                });
            }
        }
        let mut seen: HashMap<TensorId, &str> = HashMap::new();
        for p in &census.parameters {
            if let Some(first) = seen.insert(p.id, &p.name) {
                return Err(ParameterError::IdCollision {
                    first: first.into(),
                    second: p.name.clone(),
                });
            }
        }
        let mut parameters = census.parameters;
        parameters.retain(|p| selection.includes(&p.name));
        if let Some(p) = parameters.iter().find(|p| !is_supported(p.dtype)) {
            return Err(ParameterError::UnsupportedDtype {
                name: p.name.clone(),
                dtype: format!("{:?}", p.dtype),
            });
        }
        Ok(Self { parameters })
    }

    /// The same parameters, of which those decay whose names `decays` says so of. What should not decay is the model's to
    /// say: biases and norms as a rule.
    pub fn decaying(mut self, decays: impl Fn(&str) -> bool) -> Self {
        for parameter in &mut self.parameters {
            parameter.decays = decays(&parameter.name);
        }
        self
    }

    /// The selected parameters, in the module's order.
    pub fn parameters(&self) -> &[ParameterSpec] {
        &self.parameters
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parameters.iter().map(|p| p.name.as_str())
    }

    /// The name and the number of elements of each.
    pub fn sizes(&self) -> Vec<(&str, usize)> {
        let parameters = self.parameters.iter();
        parameters.map(|p| (p.name.as_str(), p.len())).collect()
    }

    /// The selected parameter of this name.
    pub fn get(&self, name: &str) -> Option<&ParameterSpec> {
        self.parameters.iter().find(|p| p.name == name)
    }

    /// Number of weights that move: the dimension `d` of the search space.
    pub fn dimension(&self) -> u64 {
        self.parameters.iter().map(|p| p.len() as u64).sum()
    }
}

fn is_supported(dtype: DType) -> bool {
    matches!(
        dtype,
        DType::F64 | DType::F32 | DType::Flex32 | DType::F16 | DType::BF16
    )
}

/// Collects the float parameters of a module with their paths.
#[derive(Default)]
struct Census {
    path: ParameterPath,
    parameters: Vec<ParameterSpec>,
    ids: Vec<ParamId>,
}

impl<B: Backend> ModuleVisitor<B> for Census {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.path.exit(container);
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        self.ids.push(param.id);
        self.parameters.push(ParameterSpec::new(
            self.path.name(),
            param.shape().iter().copied().collect(),
            param.val().dtype(),
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_parameters_decay_unless_the_model_says_otherwise() {
        type B = burn_ndarray::NdArray<f32>;
        let layer = burn::nn::LinearConfig::new(3, 2).init::<B>(&Default::default());
        let space = ParameterSpace::select(&layer, &Selection::All).expect("two parameters");
        let decaying = |space: &ParameterSpace| -> Vec<bool> {
            space.parameters().iter().map(|p| p.decays).collect()
        };
        assert_eq!(decaying(&space), [true, true]);
        let space = space.decaying(|name| name == "weight");
        assert_eq!(decaying(&space), [true, false]);
    }
}
