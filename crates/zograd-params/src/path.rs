//! Where a walk through a module stands.

/// What burn puts before the name of an enum in the type of a container.
const ENUM: &str = "Enum:";

/// The names of the fields on the way to where a [`ModuleVisitor`] or a [`ModuleMapper`] is: what it is told on
/// entering and leaving, put together.
///
/// The variants of an enum are no part of a name. A model that may be of one family or another is an enum of the
/// families, and its parameters are called as in the family's own module.
///
/// [`ModuleVisitor`]: burn::module::ModuleVisitor
/// [`ModuleMapper`]: burn::module::ModuleMapper
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParameterPath {
    fields: Vec<String>,
}

impl ParameterPath {
    /// On entering a module: the name of the field, and the type of the module that has it.
    pub fn enter(&mut self, name: &str, container: &str) {
        if !container.starts_with(ENUM) {
            self.fields.push(name.to_owned());
        }
    }

    /// On leaving it.
    pub fn exit(&mut self, container: &str) {
        if !container.starts_with(ENUM) {
            self.fields.pop();
        }
    }

    /// The fields, joined by dots.
    pub fn name(&self) -> String {
        self.fields.join(".")
    }
}

#[cfg(test)]
mod tests {
    use burn::module::Module;
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::backend::Backend;
    use burn_ndarray::NdArray;

    use crate::{ParameterSpace, Selection};

    #[derive(Module, Debug)]
    struct Stack<B: Backend> {
        layers: Vec<Layer<B>>,
    }

    #[derive(Module, Debug)]
    enum Layer<B: Backend> {
        Plain(Plain<B>),
        Pair(Pair<B>),
    }

    #[derive(Module, Debug)]
    struct Plain<B: Backend> {
        map: Linear<B>,
    }

    #[derive(Module, Debug)]
    struct Pair<B: Backend> {
        up: Linear<B>,
    }

    #[test]
    fn variants_are_no_part_of_a_name() {
        let linear = || {
            LinearConfig::new(2, 2)
                .with_bias(false)
                .init::<NdArray>(&Default::default())
        };
        let layers = vec![
            Layer::Plain(Plain { map: linear() }),
            Layer::Pair(Pair { up: linear() }),
        ];
        let space = ParameterSpace::select(&Stack { layers }, &Selection::All);
        let expected = ["layers.0.map.weight", "layers.1.up.weight"];
        assert!(space.expect("parameters").names().eq(expected));
    }
}
