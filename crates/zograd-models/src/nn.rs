//! The few modules that models are made of, with the parameter names and shapes of PyTorch.

use burn::module::{Module, Param, ParamId};
use burn::tensor::backend::Backend;
use burn::tensor::{DType, Int, Tensor};

use crate::adapter::{Lora, LoraStack};
use crate::backend::plain::of_type;
use crate::backend::{ModelBackend, WeightAndBias};
use crate::low_rank::LowRank;
use crate::parameters::{Initial, ParameterSource, param};

/// `y = x W^T + b`. The weight is stored `[out, in]` as in PyTorch files, so that weights load
/// and save without a transposition.
#[derive(Module, Debug)]
pub struct Linear<B: Backend> {
    /// `[out, in]`.
    pub weight: Param<Tensor<B, 2>>,
    /// `[out]`.
    pub bias: Option<Param<Tensor<B, 1>>>,
    /// What an adapter adds to the map.
    pub lora: Option<Lora<B>>,
    /// What several adapters add to it, each for its own block of the tokens: in no model but that which scores for
    /// several.
    pub(crate) stack: Option<LoraStack<B>>,
    /// What probes of low rank add to it, each for its own block: in no model but that which is looked at there.
    pub(crate) added: Option<LowRank<B>>,
}

impl<B: Backend> Linear<B> {
    /// Of a weight `[out, in]` and, if there is one, a bias `[out]`.
    pub fn new(weight: Param<Tensor<B, 2>>, bias: Option<Param<Tensor<B, 1>>>) -> Self {
        Self {
            weight,
            bias,
            lora: None,
            stack: None,
            added: None,
        }
    }
}

impl<B: ModelBackend> Linear<B> {
    pub(crate) fn build<S: ParameterSource<B>>(
        source: &mut S,
        name: &str,
        [width_in, width_out]: [usize; 2],
        bias: bool,
    ) -> Result<Self, S::Error> {
        let shape = [width_out, width_in];
        let weight = param(source, name, "weight", shape, Initial::Normal)?;
        let bias = bias.then(|| param(source, name, "bias", [width_out], Initial::Zeros));
        Ok(Self::new(weight, bias.transpose()?))
    }

    /// `[tokens, in]` to `[tokens, out]`, with what an adapter adds.
    ///
    /// # Panics
    /// `x` is of another width.
    pub fn forward(&self, x: Tensor<B, 2>) -> Tensor<B, 2> {
        let base = |x| {
            let (weight, bias) = self.weight_and_bias();
            let Some(bias) = bias else {
                return B::packed_linear(x, weight, None);
            };
            let [width, _] = weight.dims();
            in_blocks(x, [bias], width, |x, [bias]| {
                B::packed_linear(x, weight.clone(), Some(bias))
            })
        };
        if let Some(added) = &self.added {
            let (weight, biases) = self.weight_and_bias();
            let base = B::packed_linear(x.clone(), weight, None);
            return B::packed_add(base, added.forward(x, biases));
        }
        match (&self.lora, &self.stack) {
            (Some(lora), _) => B::packed_add(base(x.clone()), lora.forward(x)),
            (None, Some(stack)) => B::packed_add(base(x.clone()), stack.forward(x)),
            (None, None) => base(x),
        }
    }

    /// Whether the layer is its weight and bias, and no adapter adds to it.
    pub(crate) fn is_plain(&self) -> bool {
        let [width, _] = self.weight.dims();
        let bias = self.bias.as_ref();
        let one_bias = bias.is_none_or(|bias| bias.dims() == [width]);
        one_bias && self.lora.is_none() && self.stack.is_none() && self.added.is_none()
    }

    /// The layer without an adapter.
    pub(crate) fn weight_and_bias(&self) -> WeightAndBias<B> {
        (self.weight.val(), self.bias.as_ref().map(Param::val))
    }
}

/// Layer norm over the last dimension, epsilon 1e-5 as PyTorch's default.
#[derive(Module, Debug)]
pub struct LayerNorm<B: Backend> {
    /// `[width]`.
    pub weight: Param<Tensor<B, 1>>,
    /// `[width]`.
    pub bias: Param<Tensor<B, 1>>,
}

impl<B: ModelBackend> LayerNorm<B> {
    const EPSILON: f64 = 1e-5;

    pub(crate) fn build<S: ParameterSource<B>>(
        source: &mut S,
        name: &str,
        width: usize,
    ) -> Result<Self, S::Error> {
        Ok(Self {
            weight: param(source, name, "weight", [width], Initial::Ones)?,
            bias: param(source, name, "bias", [width], Initial::Zeros)?,
        })
    }

    /// `[tokens, width]` to the same.
    ///
    /// # Panics
    /// `x` is of another width.
    pub fn forward(&self, x: Tensor<B, 2>) -> Tensor<B, 2> {
        let [_, width] = x.dims();
        let vectors = [&self.weight, &self.bias].map(Param::val);
        if let [Some(weights), Some(biases)] = vectors.each_ref().map(|all| row_by_row(&x, all)) {
            let (dtype, wide) = (x.dtype(), weights.dtype());
            let one = of_type(vectors[0].clone().narrow(0, 0, width), wide);
            let (one, zero) = (one.ones_like(), one.zeros_like());
            let normal = B::packed_layer_norm(of_type(x, wide), one, zero, Self::EPSILON);
            return of_type(normal * weights + biases, dtype);
        }
        in_blocks(x, vectors, width, |x, [weight, bias]| {
            B::packed_layer_norm(x, weight, bias, Self::EPSILON)
        })
    }
}

/// Norm by the root of the mean square over the last dimension, `x / sqrt(mean(x^2) + epsilon) * (offset + weight)`
/// (arXiv 1910.07467).
#[derive(Module, Debug)]
pub struct RmsNorm<B: Backend> {
    /// `[width]`.
    pub weight: Param<Tensor<B, 1>>,
    /// What families differ in.
    #[module(skip)]
    pub settings: RmsNormSettings,
}

/// What a family adds where.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RmsNormSettings {
    /// To the mean square.
    pub epsilon: f64,
    /// To the weight: 1 in Gemma, else 0.
    pub offset: f64,
}

impl<B: ModelBackend> RmsNorm<B> {
    pub(crate) fn build<S: ParameterSource<B>>(
        source: &mut S,
        name: &str,
        width: usize,
        settings: RmsNormSettings,
    ) -> Result<Self, S::Error> {
        let initial = match settings.offset == 0.0 {
            true => Initial::Ones,
            false => Initial::Zeros,
        };
        Ok(Self {
            weight: param(source, name, "weight", [width], initial)?,
            settings,
        })
    }

    /// `[rows, width]` to the same.
    ///
    /// # Panics
    /// `x` is of another width.
    pub fn forward(&self, x: Tensor<B, 2>) -> Tensor<B, 2> {
        let RmsNormSettings { epsilon, offset } = self.settings;
        let [_, width] = x.dims();
        if let Some(weights) = row_by_row(&x, &self.weight.val()) {
            let (dtype, wide) = (x.dtype(), weights.dtype());
            let neutral = of_type(self.weight.val().narrow(0, 0, width), wide);
            // so that the offset and it make 1
            let neutral = neutral.zeros_like() + (1.0 - offset);
            let normal = B::packed_rms_norm(of_type(x, wide), neutral, epsilon, offset);
            return of_type(normal * (weights + offset), dtype);
        }
        in_blocks(x, [self.weight.val()], width, |x, [weight]| {
            B::packed_rms_norm(x, weight, epsilon, offset)
        })
    }
}

/// More blocks than this have their vectors row by row.
const BLOCKS: usize = 64;

/// The vector of every row of `x`, if they are those of very many blocks, end to end: then one product with all of them is
/// less work than a call for each block. In f32 for an `x` of 16 bits, as norms are computed.
fn row_by_row<B: ModelBackend>(x: &Tensor<B, 2>, vectors: &Tensor<B, 1>) -> Option<Tensor<B, 2>> {
    let [rows, width] = x.dims();
    let blocks = vectors.dims()[0] / width;
    (blocks > BLOCKS).then(|| {
        let each = vectors.clone().reshape([blocks, 1, width]);
        let all = each.repeat_dim(1, rows / blocks).reshape([rows, width]);
        let wide = match x.dtype() {
            DType::F16 | DType::BF16 => DType::F32,
            wide => wide,
        };
        of_type(all, wide)
    })
}

/// Runs `x` with these vectors of one `width`; if they are several times as long, in as many blocks of rows, each with its
/// own.
fn in_blocks<B: Backend, const N: usize>(
    x: Tensor<B, 2>,
    vectors: [Tensor<B, 1>; N],
    width: usize,
    run: impl Fn(Tensor<B, 2>, [Tensor<B, 1>; N]) -> Tensor<B, 2>,
) -> Tensor<B, 2> {
    let lengths = vectors.each_ref().map(|vector| vector.dims()[0]);
    let count = lengths.first().map_or(1, |len| len / width.max(1));
    if count <= 1 || lengths.iter().any(|len| *len != count * width) {
        return run(x, vectors);
    }
    let rows = x.dims()[0] / count;
    let blocks = (0..count).map(|block| {
        let own = vectors
            .each_ref()
            .map(|vector| vector.clone().narrow(0, block * width, width));
        run(x.clone().narrow(0, block * rows, rows), own)
    });
    Tensor::cat(blocks.collect(), 0)
}

/// A table with one row per id.
#[derive(Module, Debug)]
pub struct Embedding<B: Backend> {
    /// `[ids, width]`.
    pub weight: Param<Tensor<B, 2>>,
}

impl<B: ModelBackend> Embedding<B> {
    pub(crate) fn build<S: ParameterSource<B>>(
        source: &mut S,
        name: &str,
        [ids, width]: [usize; 2],
    ) -> Result<Self, S::Error> {
        Ok(Self {
            weight: param(source, name, "weight", [ids, width], Initial::Normal)?,
        })
    }

    /// A table of its own with the same numbers.
    pub(crate) fn copied(&self) -> Self {
        let table = self.weight.val().require_grad();
        Self {
            weight: Param::initialized(ParamId::new(), table),
        }
    }

    /// `[tokens]` to `[tokens, width]`, in the type of what flows between the layers; the ids must be rows of the table.
    pub(crate) fn forward(&self, ids: Tensor<B, 1, Int>) -> Tensor<B, 2> {
        let rows = self.weight.val().select(0, ids);
        let dtype = B::activations(rows.dtype());
        of_type(rows, dtype)
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use burn::tensor::TensorData;
    use burn_flex::Flex;

    /// 1.001 is 1 in bf16: a norm with very many vectors does not round it, no more than one with few.
    #[test]
    fn very_many_vectors_of_16_bits_are_added_to_the_offset_in_f32() {
        let (blocks, rows, width) = (BLOCKS + 1, 2, 16);
        let device = Default::default();
        let data = |count: usize, value: &dyn Fn(usize) -> f32| {
            let values: Vec<f32> = (0..count).map(value).collect();
            TensorData::new(values, [count])
        };
        let narrow = |data| Tensor::<Flex, 1>::from_data(data, (&device, DType::BF16));
        let norm = |weight| RmsNorm::<Flex> {
            weight: Param::from_tensor(weight),
            settings: RmsNormSettings {
                epsilon: 1e-6,
                offset: 1.0,
            },
        };
        let weights = narrow(data(blocks * width, &|i| 1e-3 * (1 + i % 3) as f32));
        let x = data(blocks * rows * width, &|i| {
            ((i * 37) % 101) as f32 / 16.0 - 3.0
        });
        let x = narrow(x).reshape([blocks * rows, width]);
        let found = norm(weights.clone()).forward(x.clone());
        assert_eq!(found.dtype(), DType::BF16);
        let each = (0..blocks).map(|block| {
            let own = weights.clone().narrow(0, block * width, width);
            norm(own).forward(x.clone().narrow(0, block * rows, rows))
        });
        let expected = Tensor::cat(each.collect(), 0).into_data();
        let pairs: Vec<_> = expected
            .iter::<f32>()
            .zip(found.into_data().iter::<f32>())
            .collect();
        let differ = pairs.iter().filter(|(a, b)| a != b).count();
        // a number that lies between two of bf16 may be rounded to either; weights of 1 would change a fifth of all
        assert!(differ * 100 <= pairs.len(), "{differ} of {}", pairs.len());
    }
}
