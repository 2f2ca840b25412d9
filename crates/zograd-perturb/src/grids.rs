use crate::each::{Look, each};
use crate::family::Perturbation;
use crate::noise::LARGEST_NOISE;
use crate::{Grid, NoiseKind, ParameterSpace, PerturbError};
use burn::module::{Module, Param};
use burn::tensor::backend::Backend;
use burn::tensor::{DType, ElementConversion, Tensor};

/// The grids of the parameters of a space.
///
/// A function of the weights a run starts from, so that a resumed or replayed run has the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Grids {
    names: Vec<String>,
    grids: Vec<Grid>,
}

impl Grids {
    /// The grids for these start weights, probes of scale `eps` and updates with learning rates up to `lr`. Reads every
    /// weight once.
    ///
    /// # Errors
    /// [`PerturbError::NotOnGrids`] if a parameter that moves holds a number that is not finite.
    pub fn of<B: Backend, M: Module<B>>(
        module: &M,
        space: &ParameterSpace,
        eps: f64,
        lr: f64,
    ) -> Result<Self, PerturbError> {
        Self::of_noise(module, space, &NoiseKind::Gaussian.into(), eps, lr)
    }

    /// The same with room for this noise, which need not be dense.
    ///
    /// # Errors
    /// As [`Grids::of`].
    pub fn of_noise<B: Backend, M: Module<B>>(
        module: &M,
        space: &ParameterSpace,
        noise: &Perturbation,
        eps: f64,
        lr: f64,
    ) -> Result<Self, PerturbError> {
        let weights = largest(module, space)?.into_iter();
        let grids = weights.zip(noise.amplitudes(space, 0));
        Ok(Self {
            names: space.names().map(String::from).collect(),
            grids: grids
                .map(|(w, amplitude)| Grid::holding_noise(w, amplitude, eps, lr))
                .collect(),
        })
    }

    /// How far every weight may still move before one of them is where additions are no longer exact, with the longest
    /// hop from there. Reads every weight once.
    ///
    /// # Errors
    /// [`PerturbError::OffGrid`] for the first parameter that has outgrown its grid.
    pub(crate) fn room<B: Backend, M: Module<B>>(
        &self,
        module: &M,
        space: &ParameterSpace,
    ) -> Result<f64, PerturbError> {
        self.check(space)?;
        let mut room = f64::INFINITY;
        for (index, largest) in largest(module, space)?.into_iter().enumerate() {
            self.check_size(index, largest)?;
            room = room.min(self.at(index).limit() - largest);
        }
        Ok(room)
    }

    /// Whether the parameter at this place may have weights of this size.
    pub(crate) fn check_size(&self, index: usize, largest: f64) -> Result<(), PerturbError> {
        let limit = self.at(index).limit();
        match largest <= limit {
            true => Ok(()),
            false => Err(PerturbError::OffGrid {
                name: self.names[index].clone(),
                largest,
                limit,
            }),
        }
    }

    /// How far a weight is moved at most by an update whose coefficients have this sum of magnitudes, rounded at so many
    /// terms and once for the decay, if noise is so many times larger than dense noise.
    pub(crate) fn growth(&self, reach: f64, terms: usize, amplitudes: &[f64]) -> f64 {
        let spacings = self.grids.iter().map(|grid| grid.spacing());
        let amplitude = amplitudes.iter().copied().fold(0.0, f64::max);
        reach * amplitude * LARGEST_NOISE + (terms + 1) as f64 * spacings.fold(0.0, f64::max)
    }

    /// Whether these are the grids of this space.
    pub(crate) fn check(&self, space: &ParameterSpace) -> Result<(), PerturbError> {
        if !space.names().eq(self.names.iter().map(String::as_str)) {
            let reason = "these are the grids of another parameter space".into();
            return Err(PerturbError::NotOnGrids(reason));
        }
        Ok(())
    }

    /// The grid of the parameter at this place of the space.
    pub(crate) fn at(&self, index: usize) -> Grid {
        self.grids[index]
    }

    /// The largest sum of coefficients' magnitudes that a pass over all these may have, where noise is so many times
    /// larger than dense noise.
    pub(crate) fn reach(&self, amplitudes: &[f64]) -> f64 {
        let hops = self.grids.iter().zip(amplitudes);
        let hops = hops.map(|(grid, amplitude)| grid.longest_hop() / amplitude);
        hops.fold(f64::INFINITY, f64::min) / LARGEST_NOISE
    }
}

/// Weights can live on a grid in f32 only.
pub(crate) fn check_dtypes(space: &ParameterSpace) -> Result<(), PerturbError> {
    let wrong = |p: &&crate::ParameterSpec| !matches!(p.dtype, DType::F32 | DType::Flex32);
    match space.parameters().iter().find(wrong) {
        Some(p) => Err(PerturbError::NotOnGrids(format!(
            "{} is {:?}, and exact steps need f32",
            p.name, p.dtype
        ))),
        None => Ok(()),
    }
}

/// The largest magnitude in every parameter of the space.
fn largest<B: Backend, M: Module<B>>(
    module: &M,
    space: &ParameterSpace,
) -> Result<Vec<f64>, PerturbError> {
    let mut largest = Largest(vec![0.0; space.parameters().len()]);
    each(module, space, &mut largest);
    let values = largest.0.iter().zip(space.names());
    for (value, name) in values {
        if !value.is_finite() {
            return Err(PerturbError::NotOnGrids(format!(
                "{name} holds a number that is not finite"
            )));
        }
    }
    Ok(largest.0)
}

struct Largest(Vec<f64>);

impl<B: Backend> Look<B> for Largest {
    fn look<const D: usize>(&mut self, index: usize, param: &Param<Tensor<B, D>>) {
        if param.shape().num_elements() == 0 {
            return;
        }
        // two reductions rather than one of the magnitudes: no second tensor of this size
        let extreme = |tensor: Tensor<B, 1>| tensor.into_scalar().elem::<f64>().abs();
        let (low, high) = (extreme(param.val().min()), extreme(param.val().max()));
        // not f64::max, which hides a NaN
        self.0[index] = if low.is_nan() || low > high {
            low
        } else {
            high
        };
    }
}
