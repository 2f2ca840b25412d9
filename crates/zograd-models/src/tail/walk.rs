//! The walk back, from the head to the tables: one layer after the other is differentiated for the tokens of the tail, and
//! moved.

use std::collections::HashSet;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn_autodiff::Autodiff;
use zograd_params::ParameterPath;

use super::Tail;
use super::head::head_gradient;
use super::layout::TailLayout;
use super::rule::{Follow, TailRule};
use super::table::TableGradient;
use crate::backend::ModelBackend;
use crate::decoder::{Decoder, device, prefix_of};
use crate::indices::indices;
use crate::nn::Embedding;

/// How far back there is something that moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reach {
    /// The first layer that has to be walked; the number of layers if none has.
    pub layer: usize,
    /// Whether something before the layers moves.
    enters: bool,
}

impl Reach {
    pub(super) fn of<A: Decoder>(model: &A) -> Self {
        let positions = model.position_table();
        let enters = moves(model.token_table())
            || positions.is_some_and(|(table, _)| moves(table))
            || moves(&model.entry());
        let layers = model.layers();
        let first = layers.iter().position(moves).unwrap_or(layers.len());
        Self {
            layer: if enters { 0 } else { first },
            enters,
        }
    }
}

/// Whether a parameter of this part of the model requires a gradient.
fn moves<B: Backend, M: Module<B>>(part: &M) -> bool {
    struct Any(bool);
    impl<B: Backend> ModuleVisitor<B> for Any {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
            self.0 |= param.val().is_require_grad();
        }
    }
    let mut any = Any(false);
    part.visit(&mut any);
    any.0
}

/// See [`Model::walked_back`](crate::Model::walked_back).
pub(super) fn back<A, B, R>(mut model: A, tail: Tail<B>, slope: &[f32], rule: &mut R) -> A
where
    B: ModelBackend,
    A: Decoder<Backend = Autodiff<B>>,
    R: TailRule,
{
    let Tail {
        plan,
        scores,
        reach,
        inputs,
        keys_and_values,
        hidden,
    } = tail;
    assert_eq!(slope.len(), scores.len(), "a slope for each score");
    let device = device(&model);
    let decaying = decaying(&model);

    let head = model.head_table().weight.id;
    let mut tables = Tables::default();
    let hidden = leaf(hidden);
    let features = model.leave(&model.exit(), hidden.clone());
    let table = model.head_table().weight.val().inner();
    let (upstream, gradient) = head_gradient(features.clone().inner(), table, &plan, slope);
    tables.of(head).add_head(gradient);
    let mut at_exit = differentiated::<B>(features, upstream);
    let mut upstream = taken(&hidden, &mut at_exit);

    let read = plan.logit_tokens();
    let positions: Vec<u32> = read.iter().map(|token| plan.positions()[*token]).collect();
    let places = model.places(&positions, &device);
    let mut layouts: Vec<TailLayout<Autodiff<B>>> = Vec::new();
    let kept = (reach.layer..).zip(inputs.into_iter().zip(keys_and_values));
    let kept: Vec<_> = kept.collect();
    for (index, (input, kept)) in kept.into_iter().rev() {
        let heads = model.heads(index);
        if layouts.iter().all(|layout| layout.heads != heads) {
            layouts.push(TailLayout::new(&plan, heads, &device));
        }
        let layout = layouts.iter().find(|layout| layout.heads == heads);
        let Some((layout, layer)) = layout.zip(model.layers().get(index).cloned()) else {
            continue;
        };
        let input = leaf(input);
        let kept = kept.map(Tensor::from_inner);
        let part = (index, &layer);
        let output = model.run_layer(part, input.clone(), &places, None, |projected| {
            layout.attend(prefix_of(&layer), projected, kept)
        });
        let mut gradients = differentiated::<B>(output, upstream);
        upstream = taken(&input, &mut gradients);
        let mut follow = Follow::<Autodiff<B>, R> {
            gradients,
            decaying: &decaying,
            rule,
        };
        let moved = layer.map(&mut follow);
        if let Some(layer) = model.layers_mut().get_mut(index) {
            *layer = moved;
        }
    }

    let mut at_entry = None;
    if reach.enters {
        let ids = read.iter().map(|token| plan.ids()[*token]);
        let table = model.token_table();
        let (token_table, tokens, ids) = looked_up(table, ids.collect());
        let table = model.position_table();
        let places = table.map(|(table, first)| {
            let rows = positions.iter().map(|position| position + first as u32);
            looked_up(table, rows.collect())
        });
        let at = places.as_ref().map(|(_, rows, _)| rows.clone());
        let entered = model.enter(&model.entry(), tokens.clone(), at);
        let mut gradients = differentiated::<B>(entered, upstream);
        let rows = taken(&tokens, &mut gradients);
        tables.of(token_table).add_rows(ids, rows);
        if let Some((table, rows, ids)) = places {
            let rows = taken(&rows, &mut gradients);
            tables.of(table).add_rows(ids, rows);
        }
        at_entry = Some(gradients);
    }
    model.map(&mut Ends {
        at_exit: Follow::<Autodiff<B>, R> {
            gradients: at_exit,
            decaying: &decaying,
            rule,
        },
        at_entry,
        tables,
    })
}

type Gradients<B> = <Autodiff<B> as AutodiffBackend>::Gradients;

/// A tensor whose gradient is wanted.
fn leaf<B: ModelBackend>(of: Tensor<B, 2>) -> Tensor<Autodiff<B>, 2> {
    Tensor::from_inner(of).require_grad()
}

/// The gradients of what `output` was made of, given that of `output`.
fn differentiated<B: ModelBackend>(
    output: Tensor<Autodiff<B>, 2>,
    upstream: Tensor<B, 2>,
) -> Gradients<B> {
    (output * Tensor::from_inner(upstream)).sum().backward()
}

/// The gradient of a leaf.
fn taken<B: ModelBackend>(
    leaf: &Tensor<Autodiff<B>, 2>,
    gradients: &mut Gradients<B>,
) -> Tensor<B, 2> {
    let found = leaf.grad_remove(gradients);
    found.unwrap_or_else(|| leaf.clone().inner().zeros_like())
}

/// Rows of a table as leaves, with the table's id.
fn looked_up<B: ModelBackend>(
    table: &Embedding<Autodiff<B>>,
    ids: Vec<u32>,
) -> (ParamId, Tensor<Autodiff<B>, 2>, Vec<u32>) {
    let weight = table.weight.val().inner();
    let places = indices(ids.iter().map(|id| *id as i32), &weight.device());
    (table.weight.id, leaf(weight.select(0, places)), ids)
}

/// The parameters that weight decay acts on.
fn decaying<A: Decoder>(model: &A) -> HashSet<ParamId> {
    struct Decaying<'a, A> {
        model: &'a A,
        path: ParameterPath,
        ids: HashSet<ParamId>,
    }
    impl<A: Decoder> ModuleVisitor<A::Backend> for Decaying<'_, A> {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.path.enter(name, container);
        }
        fn exit_module(&mut self, _name: &str, container: &str) {
            self.path.exit(container);
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<A::Backend, D>>) {
            if self.model.decays(&self.path.name()) {
                self.ids.insert(param.id);
            }
        }
    }
    let mut decaying = Decaying {
        model,
        path: ParameterPath::default(),
        ids: HashSet::new(),
    };
    model.visit(&mut decaying);
    decaying.ids
}

/// The gradients of the tables.
struct Tables<B: ModelBackend>(Vec<(ParamId, TableGradient<B>)>);

impl<B: ModelBackend> Default for Tables<B> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<B: ModelBackend> Tables<B> {
    fn of(&mut self, table: ParamId) -> &mut TableGradient<B> {
        let found = self.0.iter().position(|(id, _)| *id == table);
        let place = found.unwrap_or_else(|| {
            self.0.push((table, TableGradient::none()));
            self.0.len() - 1
        });
        &mut self.0[place].1
    }

    fn take(&mut self, table: ParamId) -> Option<TableGradient<B>> {
        let found = self.0.iter().position(|(id, _)| *id == table)?;
        Some(self.0.swap_remove(found).1)
    }
}

/// Has what is outside of the layers follow its gradients.
struct Ends<'a, B: ModelBackend, R> {
    at_exit: Follow<'a, Autodiff<B>, R>,
    at_entry: Option<Gradients<B>>,
    tables: Tables<B>,
}

impl<B: ModelBackend, R: TailRule> ModuleMapper<Autodiff<B>> for Ends<'_, B, R> {
    fn map_float<const D: usize>(
        &mut self,
        param: Param<Tensor<Autodiff<B>, D>>,
    ) -> Param<Tensor<Autodiff<B>, D>> {
        if let Some(gradient) = self.tables.take(param.id) {
            let (id, weight, mapper) = param.consume();
            let moved = match weight.is_require_grad() && D == 2 {
                true => {
                    let decays = self.at_exit.decaying.contains(&id);
                    let rule = &mut *self.at_exit.rule;
                    let stride = |size| rule.stride(id, size, decays);
                    // the same tensor where its rank is known: a reshape would copy it
                    let table = Tensor::from_primitive(weight.inner().into_primitive());
                    let moved = gradient.follow(table, stride);
                    let moved = Tensor::from_primitive(moved.into_primitive());
                    Tensor::from_inner(moved).require_grad()
                }
                false => weight,
            };
            return Param::from_mapped_value(id, moved, mapper);
        }
        let param = self.at_exit.map_float(param);
        let Some(at_entry) = self.at_entry.take() else {
            return param;
        };
        let at_exit = std::mem::replace(&mut self.at_exit.gradients, at_entry);
        let param = self.at_exit.map_float(param);
        self.at_entry = Some(std::mem::replace(&mut self.at_exit.gradients, at_exit));
        param
    }
}
