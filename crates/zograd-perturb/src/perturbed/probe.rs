//! Probes out of place: the weights stand still, and a part of the module is made as it is at a direction.
use zograd_params::ParameterPath;

use super::Decay;
use super::terms::Terms;
use crate::backend::AnyRooms;
use crate::family::{Factors, Perturbation, Streams};
use crate::{Grids, NoiseBackend, ParameterSpace, Seed, Sides};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorPrimitive};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

/// The parameters of a module at `theta + eps * d`, and at `theta - eps * d` as well for both sides.
///
/// They are made when they are asked for, a part of the module at a time ([`Probe::moved`]), and are gone when that part
/// is dropped; the module itself stands still. [`Perturbed::at_probes`](super::Perturbed::at_probes) gives probes.
///
/// The bits of what moves are those that walking there from `theta` gives. What is added to a matrix of low rank can be had
/// instead ([`Probe::factors`]).
pub struct Probe<'a> {
    pub(super) space: &'a ParameterSpace,
    pub(super) places: &'a HashMap<ParamId, usize>,
    pub(super) noise: &'a Perturbation,
    /// Seeds mean what they mean in the step after so many others.
    pub(super) step: u64,
    pub(super) grids: Option<&'a Grids>,
    pub(super) terms: Terms,
    pub(super) sides: Sides,
    /// What was made and is no longer used, by this probe or another one.
    pub(super) rooms: &'a AnyRooms,
    /// What the terms are on the table whose rows were asked for last: it may be made in many parts.
    pub(super) table: Mutex<Option<(usize, Arc<Streams>)>>,
}

impl Probe<'_> {
    /// How many points there are: 2 for a direction and its opposite, else 1.
    pub fn points(&self) -> usize {
        self.sides.count()
    }

    /// Whether a parameter of this part of the module moves.
    pub fn moves<B: Backend, M: Module<B>>(&self, part: &M) -> bool {
        let mut moving = Moving {
            probe: self,
            found: false,
        };
        part.visit(&mut moving);
        moving.found
    }

    /// This part of the module (a layer, a parameter) as it is at each of the points.
    pub fn moved<B: NoiseBackend, M: Module<B>>(&self, part: &M) -> Vec<M> {
        let mut opposite = Opposite(VecDeque::new());
        let first = part.clone().map(&mut Mover {
            probe: self,
            others: &mut opposite.0,
        });
        match self.sides {
            Sides::One => vec![first],
            Sides::Both => vec![first, part.clone().map(&mut opposite)],
        }
    }

    /// These rows of a table, `[rows, width]`, as they are at each of the points. On a CPU noise is made for them alone.
    ///
    /// # Panics
    /// A row is not in the table.
    pub fn rows<B: NoiseBackend>(
        &self,
        table: &Param<Tensor<B, 2>>,
        rows: &[u32],
    ) -> Vec<Tensor<B, 2>> {
        self.tensors(table.id, table.val(), Some(rows))
    }

    /// What the probes add to a matrix `[out, in]` at all their points, one probe after the other, by its factors; or to
    /// these rows of it. So the matrix itself need not be moved. `None` where it does not move, or has no factors
    /// ([`Family::factors`](crate::Family::factors)).
    ///
    /// The probes must be those of one call of [`Perturbed::at_probes`](super::Perturbed::at_probes). What they add is
    /// not rounded to grids, nor with the weights: losses differ from those at moved weights by rounding.
    ///
    /// # Panics
    /// A row is not in the matrix.
    pub fn factors<B: Backend>(
        probes: &[&Self],
        matrix: &Param<Tensor<B, 2>>,
        rows: Option<&[u32]>,
    ) -> Option<Factors> {
        let first = probes.first()?;
        let spec = &first.space.parameters()[*first.places.get(&matrix.id)?];
        let sums: Vec<Terms> = probes.iter().map(|probe| probe.terms.clone()).collect();
        let factors = first.noise.factors(spec, first.step, &sums, rows)?;
        Some(factors.at_sides(probes.iter().map(|probe| probe.sides)))
    }

    /// Whether [`Probe::rows`] makes noise for the rows alone that it is asked for ([`NoiseBackend::MAKES_ROWS`]).
    pub fn makes_rows<B: NoiseBackend>(&self) -> bool {
        B::MAKES_ROWS
    }

    /// The tensor of the parameter with this id at each of the points, or the rows asked for.
    fn tensors<B: NoiseBackend, const D: usize>(
        &self,
        id: ParamId,
        tensor: Tensor<B, D>,
        rows: Option<&[u32]>,
    ) -> Vec<Tensor<B, D>> {
        // for what does not move a pass without terms copies the rows
        let place = self.place(id);
        if place.is_none() && rows.is_none() {
            return vec![tensor; self.points()];
        }
        let streams = match (place, rows) {
            (None, _) => Arc::new(self.streams(0, &[])),
            (Some(index), None) => Arc::new(self.streams(index, &self.terms)),
            (Some(index), Some(_)) => self.streams_of_table(index),
        };
        let index = place.unwrap_or_default();
        let grid = self.grids.map(|grids| grids.at(index));
        let spec = &self.space.parameters()[index];
        let pass = Decay::NONE.pass_over(spec, &streams, grid);
        let standing = tensor.into_primitive().tensor();
        let make = |spare: &mut _| B::moved(&standing, rows, &pass, self.sides, spare);
        let moved = self.rooms.with(make);
        let tensors = moved.into_iter().map(TensorPrimitive::Float);
        tensors.map(Tensor::from_primitive).collect()
    }

    /// What `terms` are on the parameter at this place.
    fn streams(&self, index: usize, terms: &[(Seed, f32)]) -> Streams {
        let spec = &self.space.parameters()[index];
        self.noise
            .streams(spec, self.step, terms, self.grids.is_some())
    }

    fn streams_of_table(&self, index: usize) -> Arc<Streams> {
        // what a panic has left behind is whole all the same
        let mut last = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((known, streams)) if *known == index => Arc::clone(streams),
            _ => {
                let streams = Arc::new(self.streams(index, &self.terms));
                *last = Some((index, Arc::clone(&streams)));
                streams
            }
        }
    }

    /// The place in the space of a parameter that moves.
    fn place(&self, id: ParamId) -> Option<usize> {
        let place = self.places.get(&id).copied();
        place.filter(|index| {
            let spec = &self.space.parameters()[*index];
            !self.terms.is_empty() && self.noise.moves(spec, self.step)
        })
    }
}

/// Moves every parameter that moves to the first of the points, and keeps what it is at the other one.
struct Mover<'a, 'p, B: Backend> {
    probe: &'a Probe<'p>,
    others: &'a mut VecDeque<TensorPrimitive<B>>,
}

impl<B: NoiseBackend> ModuleMapper<B> for Mover<'_, '_, B> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let id = param.id;
        param.map(|tensor| {
            let mut points = self.probe.tensors(id, tensor, None);
            let others = points.split_off(1).into_iter();
            self.others.extend(others.map(Tensor::into_primitive));
            points.swap_remove(0)
        })
    }
}

/// Puts what was kept, in the order of the parameters, where it belongs.
struct Opposite<B: Backend>(VecDeque<TensorPrimitive<B>>);

impl<B: Backend> ModuleMapper<B> for Opposite<B> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        param.map(|tensor| match self.0.pop_front() {
            Some(moved) => Tensor::from_primitive(moved),
            None => tensor,
        })
    }
}

struct Moving<'a, 'p> {
    probe: &'a Probe<'p>,
    found: bool,
}

impl<B: Backend> ModuleVisitor<B> for Moving<'_, '_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        self.found |= self.probe.place(param.id).is_some();
    }
}

/// The ids of the parameters of a space, with their places in it.
pub(super) fn places<B: Backend, M: Module<B>>(
    module: &M,
    by_name: &HashMap<String, usize>,
) -> HashMap<ParamId, usize> {
    let mut places = Places {
        path: ParameterPath::default(),
        by_name,
        found: HashMap::new(),
    };
    module.visit(&mut places);
    places.found
}

struct Places<'a> {
    path: ParameterPath,
    by_name: &'a HashMap<String, usize>,
    found: HashMap<ParamId, usize>,
}

impl<B: Backend> ModuleVisitor<B> for Places<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.path.exit(container);
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if let Some(place) = self.by_name.get(&self.path.name()) {
            self.found.insert(param.id, *place);
        }
    }
}
