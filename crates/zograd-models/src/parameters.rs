//! Where the parameters of a new model come from: a random generator or files, by name.

use std::convert::Infallible;

use burn::module::{Param, ParamId};
use burn::tensor::backend::Backend;
use burn::tensor::{DType, Distribution, Tensor};

/// What a parameter holds in a model that was never trained.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Initial {
    /// Gaussian with the standard deviation `init_std` of the configuration.
    Normal,
    Ones,
    Zeros,
}

/// Hands out the parameters of a model one by one, in the order in which the model is built, so
/// that no more than one of them is held twice.
pub(crate) trait ParameterSource<B: Backend> {
    type Error;

    /// The tensor called `name` (as in Hugging Face files, without the leading `model.`).
    fn tensor<const D: usize>(
        &mut self,
        name: &str,
        shape: [usize; D],
        initial: Initial,
    ) -> Result<Tensor<B, D>, Self::Error>;
}

pub(crate) fn param<B: Backend, S: ParameterSource<B>, const D: usize>(
    source: &mut S,
    module: &str,
    name: &str,
    shape: [usize; D],
    initial: Initial,
) -> Result<Param<Tensor<B, D>>, S::Error> {
    let tensor = source.tensor(&format!("{module}.{name}"), shape, initial)?;
    Ok(Param::initialized(ParamId::new(), tensor.require_grad()))
}

/// Fresh parameters, as Hugging Face initialises them.
pub(crate) struct Fresh<'d, B: Backend> {
    pub std: f64,
    pub dtype: DType,
    pub device: &'d B::Device,
}

impl<B: Backend> ParameterSource<B> for Fresh<'_, B> {
    type Error = Infallible;

    fn tensor<const D: usize>(
        &mut self,
        _name: &str,
        shape: [usize; D],
        initial: Initial,
    ) -> Result<Tensor<B, D>, Infallible> {
        let options = (self.device, self.dtype);
        Ok(match initial {
            Initial::Normal => Tensor::random(shape, Distribution::Normal(0.0, self.std), options),
            Initial::Ones => Tensor::ones(shape, options),
            Initial::Zeros => Tensor::zeros(shape, options),
        })
    }
}
