use super::{Decay, Pull, terms::Terms};
use crate::excerpt::{EXCERPT, leading};
use crate::family::Perturbation;
use crate::numbers::Reader;
use crate::start_weights::failed;
use crate::{Grid, Grids, NoiseBackend, ParameterSpace, ParameterSpec, PerturbError, TensorId};
use burn::module::{ModuleMapper, Param};
use burn::tensor::{DType, Element, Tensor, TensorData, TensorPrimitive};
use std::cell::RefCell;
use std::collections::HashMap;

/// What a pass does to every parameter that moves; `index` is its place in the space.
pub(super) trait ParameterPass {
    fn apply<B: NoiseBackend, const D: usize>(
        &self,
        index: usize,
        spec: &ParameterSpec,
        tensor: Tensor<B, D>,
    ) -> Tensor<B, D>;
}

/// Visits the parameters of a module and does something to those that move.
pub(super) struct Mapper<'a, P> {
    pub path: ParameterPath,
    pub space: &'a ParameterSpace,
    pub by_name: &'a HashMap<String, usize>,
    pub pass: P,
}

impl<B: NoiseBackend, P: ParameterPass> ModuleMapper<B> for Mapper<'_, P> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.path.exit(container);
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let Some(&index) = self.by_name.get(&self.path.name()) else {
            return param;
        };
        let Some(spec) = self.space.parameters().get(index) else {
            return param;
        };
        // `Param::map` hands over the only handle of the tensor, so the kernel writes in place.
        param.map(|tensor| self.pass.apply(index, spec, tensor))
    }
}

/// Adds noise and takes off the decay.
pub(super) struct AddNoise<'a> {
    pub noise: &'a Perturbation,
    /// Seeds mean what they mean in the step after so many others.
    pub step: u64,
    /// For parameters that decay, and for those that do not.
    pub terms: &'a [Terms; 2],
    pub decay: Decay,
    pub grids: Option<&'a Grids>,
}

impl ParameterPass for AddNoise<'_> {
    fn apply<B: NoiseBackend, const D: usize>(
        &self,
        index: usize,
        spec: &ParameterSpec,
        tensor: Tensor<B, D>,
    ) -> Tensor<B, D> {
        let terms = &self.terms[usize::from(!spec.decays)];
        let grid = self.grids.map(|grids| grids.at(index));
        let streams = self.noise.streams(spec, self.step, terms, grid.is_some());
        let pass = self.decay.pass_over(spec, &streams, grid);
        if streams.is_empty() && pass.shrink == 0.0 {
            return tensor;
        }
        let moved = B::add_noise(tensor.into_primitive().tensor(), &pass);
        Tensor::from_primitive(TensorPrimitive::Float(moved))
    }
}

/// Takes a share off the distance of every weight that decays to where it started.
pub(super) struct TowardStart<'a> {
    decay: Decay,
    grids: Option<&'a Grids>,
    start: RefCell<Reader>,
    failed: RefCell<Option<std::io::Error>>,
}

/// Weights that are pulled between two looks into the file.
const PIECE: usize = 1 << 18;

impl<'a> TowardStart<'a> {
    pub(super) fn new(decay: Decay, start: Reader, grids: Option<&'a Grids>) -> Self {
        Self {
            decay,
            grids,
            start: RefCell::new(start),
            failed: RefCell::new(None),
        }
    }

    /// Whether all was read; if not, some weights have been pulled and others have not.
    pub(super) fn finish(self) -> Result<(), PerturbError> {
        self.failed.into_inner().map_or(Ok(()), |e| Err(failed(e)))
    }

    /// Pulls the weights that the file goes on with.
    fn pull<W: Element>(&self, data: &mut TensorData, pull: Pull) {
        // the caller has chosen `W` by the type of the numbers
        let weights = data.as_mut_slice::<W>().expect("numbers of their type");
        let mut start = vec![0.0; PIECE.min(weights.len())];
        for weights in weights.chunks_mut(PIECE) {
            let start = &mut start[..weights.len()];
            if let Err(error) = self.start.borrow_mut().fill(start) {
                self.failed.borrow_mut().get_or_insert(error);
                return;
            }
            pull.over(weights, start);
        }
    }
}

impl ParameterPass for &TowardStart<'_> {
    fn apply<B: NoiseBackend, const D: usize>(
        &self,
        index: usize,
        spec: &ParameterSpec,
        tensor: Tensor<B, D>,
    ) -> Tensor<B, D> {
        if self.failed.borrow().is_some() {
            return tensor;
        }
        if !spec.decays {
            let skipped = self.start.borrow_mut().skip(spec.len());
            *self.failed.borrow_mut() = skipped.err();
            return tensor;
        }
        // here, wherever the weights are: the same bits everywhere
        let (device, dtype) = (tensor.device(), tensor.dtype());
        let mut data = tensor.into_data();
        let grid = self.grids.map(|grids| grids.at(index));
        let pull = Pull::of(self.decay, data.dtype, grid);
        match data.dtype {
            DType::F16 => self.pull::<half::f16>(&mut data, pull),
            DType::BF16 => self.pull::<half::bf16>(&mut data, pull),
            DType::F64 => self.pull::<f64>(&mut data, pull),
            _ => self.pull::<f32>(&mut data, pull),
        }
        Tensor::from_data(data, (&device, dtype))
    }
}

/// Rounds every weight to the nearest multiple of its grid.
pub(super) struct RoundTo<'a>(pub &'a Grids);

impl ParameterPass for RoundTo<'_> {
    fn apply<B: NoiseBackend, const D: usize>(
        &self,
        index: usize,
        _spec: &ParameterSpec,
        tensor: Tensor<B, D>,
    ) -> Tensor<B, D> {
        // powers of two: only `round` rounds
        let spacing = Grid::spacing(self.0.at(index));
        let multiples = tensor.mul_scalar(1.0 / spacing).round();
        // adding 0 makes 0 of -0, as every later pass does: whether one was made must not be seen in the bits
        multiples.mul_scalar(spacing).add_scalar(0.0)
    }
}

/// Takes the numbers of every parameter, and leaves nothing of it.
#[derive(Default)]
pub(super) struct Taken(RefCell<HashMap<TensorId, Vec<f32>>>);

impl Taken {
    pub(super) fn into_values(self) -> HashMap<TensorId, Vec<f32>> {
        self.0.into_inner()
    }
}

impl ParameterPass for &Taken {
    fn apply<B: NoiseBackend, const D: usize>(
        &self,
        _index: usize,
        spec: &ParameterSpec,
        tensor: Tensor<B, D>,
    ) -> Tensor<B, D> {
        let nothing = Tensor::zeros([1; D], (&tensor.device(), tensor.dtype()));
        let values = tensor.into_data().iter::<f32>().collect();
        self.0.borrow_mut().insert(spec.id, values);
        nothing
    }
}

/// Replaces every parameter by its original, and finds how far it was from it.
pub(super) struct FromOriginals(RefCell<Restored>);

struct Restored {
    reader: Reader,
    drift: f64,
    failed: Option<std::io::Error>,
}

impl FromOriginals {
    pub(super) fn new(reader: Reader) -> Self {
        Self(RefCell::new(Restored {
            reader,
            drift: 0.0,
            failed: None,
        }))
    }

    /// The largest drift.
    pub(super) fn finish(self) -> Result<f64, PerturbError> {
        let Restored { drift, failed, .. } = self.0.into_inner();
        match failed {
            Some(error) => Err(PerturbError::Originals(error.to_string())),
            None => Ok(drift),
        }
    }
}

impl ParameterPass for &FromOriginals {
    fn apply<B: NoiseBackend, const D: usize>(
        &self,
        _index: usize,
        spec: &ParameterSpec,
        tensor: Tensor<B, D>,
    ) -> Tensor<B, D> {
        let mut restored = self.0.borrow_mut();
        let weights = match restored.reader.next(spec) {
            Ok(weights) if restored.failed.is_none() => weights,
            Ok(_) => return tensor,
            Err(error) => {
                restored.failed.get_or_insert(error);
                return tensor;
            }
        };
        let (device, dtype, shape) = (tensor.device(), tensor.dtype(), tensor.shape());
        let old = leading(tensor, EXCERPT).into_data();
        for (new, old) in weights.iter().zip(old.iter::<f32>()) {
            restored.drift = restored.drift.max(f64::from((new - old).abs()));
        }
        let data = TensorData::new(weights, shape).convert_dtype(dtype);
        Tensor::from_data(data, (&device, dtype))
    }
}
use zograd_params::ParameterPath;
