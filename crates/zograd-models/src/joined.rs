//! A layer at all points of some probes, as one.

use std::collections::VecDeque;

use burn::module::{ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorPrimitive};

use crate::adapter::Projection;
use crate::backend::ModelBackend;
use crate::decoder::DecoderLayer;
use crate::probe::Probe;

/// The layer at all points of the probes, for tokens that are as many blocks as there are points. Its matrices are those of
/// the model, with what is added to them beside them; its vectors are as many as there are points, end to end.
///
/// `None` if that is not all that moves, or nothing is added to a matrix.
pub(crate) fn joined<L, P>(layer: &L, probes: &[&P]) -> Option<L>
where
    L: DecoderLayer<Backend: ModelBackend>,
    P: Probe<L::Backend>,
{
    let mut layer = layer.clone();
    let mut added = Vec::new();
    for which in Projection::ALL {
        let Some(linear) = layer.projection_mut(which) else {
            continue;
        };
        let Some(factors) = P::added(probes, &linear.weight, None) else {
            continue;
        };
        let weight = linear.weight.val();
        let dtype = L::Backend::activations(weight.dtype());
        // by this id no probe knows it, so that none moves it
        linear.weight = Param::initialized(ParamId::new(), weight);
        added.push((which, factors.of_type(dtype)));
    }
    if added.is_empty() {
        return None;
    }
    let mut matrices = Matrices {
        probes,
        move_: false,
    };
    layer.visit(&mut matrices);
    if matrices.move_ {
        return None;
    }
    let points = probes.iter().flat_map(|probe| probe.moved(&layer));
    let vectors = points.map(|point| {
        let mut vectors = Vectors(VecDeque::new());
        point.visit(&mut vectors);
        vectors
    });
    let mut ends = EndToEnd(vectors.collect());
    let mut layer = layer.map(&mut ends);
    for (which, factors) in added {
        if let Some(linear) = layer.projection_mut(which) {
            linear.added = Some(factors);
        }
    }
    Some(layer)
}

/// Whether a parameter of several dimensions moves.
struct Matrices<'p, P> {
    probes: &'p [&'p P],
    move_: bool,
}

impl<B: Backend, P: Probe<B>> ModuleVisitor<B> for Matrices<'_, P> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        self.move_ |= D > 1 && self.probes.iter().any(|probe| probe.moves(param));
    }
}

/// The parameters of one dimension, in their order.
struct Vectors<B: Backend>(VecDeque<Tensor<B, 1>>);

impl<B: Backend> ModuleVisitor<B> for Vectors<B> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if D == 1 {
            let vector = param.val().into_primitive();
            self.0.push_back(Tensor::from_primitive(vector));
        }
    }
}

/// Makes every parameter of one dimension those of all points, end to end.
struct EndToEnd<B: Backend>(Vec<Vectors<B>>);

impl<B: Backend> ModuleMapper<B> for EndToEnd<B> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        if D != 1 {
            return param;
        }
        let points = self.0.iter_mut().filter_map(|point| point.0.pop_front());
        let all: Tensor<B, 1> = Tensor::cat(points.collect(), 0);
        let all: TensorPrimitive<B> = all.into_primitive();
        param.map(|_| Tensor::from_primitive(all))
    }
}
