//! A layer at all points of some probes, as one.

use std::collections::VecDeque;

use burn::module::{ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorPrimitive};

use crate::adapter::Projection;
use crate::backend::ModelBackend;
use crate::decoder::DecoderLayer;
use crate::low_rank::{Blocks, LowRank};
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
    let (layer, added) = apart(layer, probes)?;
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
    Some(together(layer.map(&mut ends), added))
}

/// The same for blocks of any sizes. `None` also if a vector moves: layers have no vectors for such blocks.
pub(crate) fn joined_in_blocks<L, P>(layer: &L, probes: &[&P], blocks: &Blocks) -> Option<L>
where
    L: DecoderLayer<Backend: ModelBackend>,
    P: Probe<L::Backend>,
{
    let (layer, added) = apart(layer, probes)?;
    if probes.iter().any(|probe| probe.moves(&layer)) {
        return None;
    }
    let added = added.into_iter();
    let added = added.map(|(which, factors)| (which, factors.in_blocks(blocks.clone())));
    Some(together(layer, added.collect()))
}

/// What is added to the matrices of a layer.
type Added<B> = Vec<(Projection, LowRank<B>)>;

/// The layer with matrices that no probe moves, and what is added to them, if to any.
fn apart<L, P>(layer: &L, probes: &[&P]) -> Option<(L, Added<L::Backend>)>
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
    (!added.is_empty()).then_some((layer, added))
}

/// The layer that adds to its products.
fn together<L: DecoderLayer>(mut layer: L, added: Added<L::Backend>) -> L {
    for (which, factors) in added {
        if let Some(linear) = layer.projection_mut(which) {
            linear.added = Some(factors);
        }
    }
    layer
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
