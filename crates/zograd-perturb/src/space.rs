use crate::PerturbError;
use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::backend::Backend;
use burn::tensor::{DType, Tensor};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use zograd_params::ParameterPath;

/// The number that selects a tensor's noise: a hash of its name.
///
/// Taken from the name alone, so that it depends neither on the order in which parameters are
/// visited nor on which others move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TensorId(u64);

impl TensorId {
    /// The id of the tensor with this name: 64-bit FNV-1a of its UTF-8 bytes.
    pub const fn of(name: &str) -> Self {
        let (bytes, mut hash, mut i) = (name.as_bytes(), 0xcbf2_9ce4_8422_2325u64, 0);
        while i < bytes.len() {
            hash = (hash ^ bytes[i] as u64).wrapping_mul(0x0100_0000_01b3);
            i += 1;
        }
        Self(hash)
    }

    /// The number itself.
    pub const fn value(self) -> u64 {
        self.0
    }
}

/// Which parameters of a module move.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Selection {
    /// Every float parameter (full fine-tuning).
    #[default]
    All,
    /// Those whose name matches one of these patterns; `*` stands for any run of characters.
    Matching(Vec<String>),
}

impl Selection {
    /// Those whose name matches one of these patterns; `*` stands for any run of characters.
    pub fn matching(patterns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::Matching(patterns.into_iter().map(Into::into).collect())
    }

    /// Whether a parameter of this name moves.
    pub fn includes(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Matching(patterns) => patterns.iter().any(|p| matches(p, name)),
        }
    }
}

/// Whether `name` matches `pattern`, in which `*` stands for any run of characters.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, rest)) => match name.strip_prefix(head) {
            None => false,
            Some(tail) => (0..=tail.len())
                .filter(|&i| tail.is_char_boundary(i))
                .any(|i| matches(rest, &tail[i..])),
        },
    }
}

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
    fn new(name: String, shape: Vec<usize>, dtype: DType) -> Self {
        Self {
            id: TensorId::of(&name),
            name,
            shape,
            dtype,
            decays: true,
        }
    }

    /// Whether both are the same tensor, whether it decays or not.
    pub(crate) fn is_tensor_of(&self, other: &Self) -> bool {
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
    ) -> Result<Self, PerturbError> {
        let mut census = Census::default();
        module.visit(&mut census);
        let names = census.parameters.iter().map(|p| p.name.as_str());
        if let Selection::Matching(patterns) = selection
            && !names.clone().any(|name| selection.includes(name))
        {
            return Err(PerturbError::NothingSelected {
                patterns: patterns.join(", "),
                names: names.take(8).collect::<Vec<_>>().join(", "),
            });
        }
        let mut places: HashMap<ParamId, &str> = HashMap::new();
        for (p, id) in census.parameters.iter().zip(&census.ids) {
            if let Some(first) = places.insert(*id, &p.name) {
                return Err(PerturbError::SharedParameter {
                    first: first.into(),
                    second: p.name.clone(),
                });
            }
        }
        let mut seen: HashMap<TensorId, &str> = HashMap::new();
        for p in &census.parameters {
            if let Some(first) = seen.insert(p.id, &p.name) {
                return Err(PerturbError::IdCollision {
                    first: first.into(),
                    second: p.name.clone(),
                });
            }
        }
        let mut parameters = census.parameters;
        parameters.retain(|p| selection.includes(&p.name));
        if let Some(p) = parameters.iter().find(|p| !is_supported(p.dtype)) {
            return Err(PerturbError::UnsupportedDtype {
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
    fn patterns_match_like_a_shell() {
        for (pattern, name, expected) in [
            ("*", "anything", true),
            ("*.bias", "fc1.bias", true),
            ("*.bias", "fc1.bias_like", false),
            ("decoder.*.fc*.weight", "decoder.layers.0.fc2.weight", true),
            ("decoder", "decoder.x", false),
            ("*.lora.*", "q_proj.lora.a", true),
            ("*.lora.*", "explora.weight", false),
            ("", "", true),
            ("*é*", "caféteria", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[cfg(feature = "ndarray")]
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

    /// FNV-1a's published test vector, and the id of a real name.
    #[test]
    fn value_stability() {
        assert_eq!(TensorId::of("foobar").value(), 0x85944171f73967e8);
    }
}
