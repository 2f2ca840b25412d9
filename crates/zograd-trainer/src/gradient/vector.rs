use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use zograd_params::ParameterPath;
use zograd_perturb::Selection;

/// A number for each selected parameter, in host memory: weights, a gradient, a direction.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ParameterVector {
    tensors: Vec<(String, Vec<f32>)>,
}

impl ParameterVector {
    /// The parameters of a module that `selection` includes, in the module's order.
    pub fn of<B: Backend, M: Module<B>>(module: &M, selection: &Selection) -> Self {
        let mut reading = Reading {
            selection,
            path: ParameterPath::default(),
            read: Self::default(),
        };
        module.visit(&mut reading);
        reading.read
    }

    pub(super) fn push(&mut self, name: String, values: Vec<f32>) {
        self.tensors.push((name, values));
    }

    /// Name and values of each tensor.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &[f32])> {
        let tensors = self.tensors.iter();
        tensors.map(|(name, values)| (name.as_str(), values.as_slice()))
    }

    /// How many numbers it has.
    pub fn dimension(&self) -> usize {
        self.tensors.iter().map(|(_, values)| values.len()).sum()
    }

    /// Every number times this.
    #[must_use]
    pub fn times(mut self, by: f32) -> Self {
        for (_, values) in &mut self.tensors {
            values.iter_mut().for_each(|value| *value *= by);
        }
        self
    }

    /// The scalar product, summed in f64.
    ///
    /// # Panics
    /// If the other has other tensors.
    pub fn dot(&self, other: &Self) -> f64 {
        assert_eq!(self.tensors.len(), other.tensors.len());
        let mut sum = 0.0;
        for (a, b) in self.tensors.iter().zip(&other.tensors) {
            assert_eq!((&a.0, a.1.len()), (&b.0, b.1.len()));
            let products = a.1.iter().zip(&b.1);
            sum += products
                .map(|(a, b)| f64::from(*a) * f64::from(*b))
                .sum::<f64>();
        }
        sum
    }

    /// Adds another, or becomes it if it is empty.
    ///
    /// # Panics
    /// If the other has other tensors.
    pub fn add(&mut self, other: Self) {
        if self.tensors.is_empty() {
            *self = other;
            return;
        }
        assert_eq!(self.tensors.len(), other.tensors.len());
        for (sum, term) in self.tensors.iter_mut().zip(other.tensors) {
            assert_eq!((&sum.0, sum.1.len()), (&term.0, term.1.len()));
            for (a, b) in sum.1.iter_mut().zip(term.1) {
                *a += b;
            }
        }
    }
}

struct Reading<'a> {
    selection: &'a Selection,
    path: ParameterPath,
    read: ParameterVector,
}

impl<B: Backend> ModuleVisitor<B> for Reading<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.path.exit(container);
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let name = self.path.name();
        if self.selection.includes(&name) {
            let values = param.val().into_data().iter::<f32>().collect();
            self.read.push(name, values);
        }
    }
}
