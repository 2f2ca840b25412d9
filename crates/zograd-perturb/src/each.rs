//! The parameters of a module that are in a space, one after the other.

use crate::ParameterSpace;
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use zograd_params::ParameterPath;

/// What is done with each of them.
pub(crate) trait Look<B: Backend> {
    /// Looks at the parameter that has this place in the space.
    fn look<const D: usize>(&mut self, index: usize, param: &Param<Tensor<B, D>>);
}

/// Shows them in the order of the module.
pub(crate) fn each<B: Backend, M: Module<B>>(
    module: &M,
    space: &ParameterSpace,
    look: &mut impl Look<B>,
) {
    let mut visitor = Visitor {
        path: ParameterPath::default(),
        space,
        look,
    };
    module.visit(&mut visitor);
}

struct Visitor<'a, L> {
    path: ParameterPath,
    space: &'a ParameterSpace,
    look: &'a mut L,
}

impl<B: Backend, L: Look<B>> ModuleVisitor<B> for Visitor<'_, L> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.path.exit(container);
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let name = self.path.name();
        if let Some(index) = self.space.names().position(|other| other == name) {
            self.look.look(index, param);
        }
    }
}
