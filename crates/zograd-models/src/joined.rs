//! A layer at all points of some probes, as one.

use std::collections::VecDeque;

use burn::module::{ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor, TensorPrimitive};

use crate::adapter::Projection;
use crate::backend::ModelBackend;
use crate::decoder::DecoderLayer;
use crate::indices::indices;
use crate::low_rank::LowRank;
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
    let mut ends = EndToEnd {
        points: vectors(&layer, probes),
        owners: None,
    };
    Some(together(layer.map(&mut ends), added))
}

/// The same for tokens in blocks of these sizes, one a point. Norms have a vector for every token.
pub(crate) fn joined_in_blocks<L, P>(layer: &L, probes: &[&P], blocks: &[usize]) -> Option<L>
where
    L: DecoderLayer<Backend: ModelBackend>,
    P: Probe<L::Backend>,
{
    let (mut layer, added) = apart(layer, probes)?;
    let mut biases = Vec::new();
    for (which, _) in &added {
        let linear = layer.projection_mut(*which);
        let Some(bias) = linear.and_then(|linear| linear.bias.take()) else {
            continue;
        };
        // one for each point, next to what is added there
        let points = probes.iter().flat_map(|probe| probe.moved(&bias));
        let own = Tensor::cat(points.map(|bias| bias.val()).collect(), 0);
        biases.push((*which, Param::initialized(ParamId::new(), own)));
    }
    if probes.iter().any(|probe| probe.moves(&layer)) {
        let owners = blocks.iter().enumerate();
        let owners = owners.flat_map(|(point, tokens)| std::iter::repeat_n(point as i32, *tokens));
        let device = added.first()?.1.device();
        let mut ends = EndToEnd {
            points: vectors(&layer, probes),
            owners: Some(indices(owners, &device)),
        };
        layer = layer.map(&mut ends);
    }
    for (which, bias) in biases {
        if let Some(linear) = layer.projection_mut(which) {
            linear.bias = Some(bias);
        }
    }
    let added = added.into_iter();
    let added = added.map(|(which, factors)| (which, factors.in_blocks(blocks)));
    Some(together(layer, added.collect()))
}

/// The vectors of a layer at all points.
fn vectors<L, P>(layer: &L, probes: &[&P]) -> Vec<Vectors<L::Backend>>
where
    L: DecoderLayer<Backend: ModelBackend>,
    P: Probe<L::Backend>,
{
    let points = probes.iter().flat_map(|probe| probe.moved(layer));
    let vectors = points.map(|point| {
        let mut vectors = Vectors(VecDeque::new());
        point.visit(&mut vectors);
        vectors
    });
    vectors.collect()
}

/// What is added to the matrices of a layer.
type Added<B> = Vec<(Projection, LowRank<B>)>;

/// The layer with matrices that no probe moves, and what is added to them. `None` if nothing is, or another matrix moves.
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
    if added.is_empty() {
        return None;
    }
    let mut matrices = Matrices {
        probes,
        move_: false,
    };
    layer.visit(&mut matrices);
    (!matrices.move_).then_some((layer, added))
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

/// Makes every parameter of one dimension those of all points, end to end; or of all tokens, if it is known whose they are.
struct EndToEnd<B: Backend> {
    points: Vec<Vectors<B>>,
    /// The point of each token.
    owners: Option<Tensor<B, 1, Int>>,
}

impl<B: Backend> ModuleMapper<B> for EndToEnd<B> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        if D != 1 {
            return param;
        }
        let points = self.points.iter_mut();
        let points: Vec<_> = points.filter_map(|point| point.0.pop_front()).collect();
        let count = points.len();
        let mut all: Tensor<B, 1> = Tensor::cat(points, 0);
        if let Some(owners) = &self.owners {
            let width = all.dims()[0] / count.max(1);
            let each = all.reshape([count, width]).select(0, owners.clone());
            all = each.flatten(0, 1);
        }
        let all: TensorPrimitive<B> = all.into_primitive();
        param.map(|_| Tensor::from_primitive(all))
    }
}
