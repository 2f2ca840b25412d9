//! The factors of several adapters at one linear map.

use burn::module::{Module, Param, ParamId};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::lora::{Lora, addition};
use crate::backend::ModelBackend;

/// The factors of several adapters of one shape, each of which adds to its own block of the tokens. The blocks are of one size
/// unless they were told theirs.
#[derive(Module, Debug)]
pub struct LoraStack<B: Backend> {
    /// `[adapters * r, in]`, one below the other.
    a: Param<Tensor<B, 2>>,
    /// `[adapters * out, r]`, one below the other.
    b: Param<Tensor<B, 2>>,
    #[module(skip)]
    scale: f64,
    #[module(skip)]
    adapters: usize,
    /// Tokens of each block.
    #[module(skip)]
    sizes: Option<Vec<usize>>,
}

impl<B: ModelBackend> LoraStack<B> {
    /// `None` for no adapters.
    pub(super) fn of(adapters: &[&Lora<B>]) -> Option<Self> {
        let below = |factor: fn(&Lora<B>) -> &Param<Tensor<B, 2>>| {
            let factors = adapters.iter().map(|lora| factor(lora).val());
            Param::initialized(ParamId::new(), Tensor::cat(factors.collect(), 0))
        };
        Some(Self {
            scale: adapters.first()?.scale,
            a: below(|lora| &lora.a),
            b: below(|lora| &lora.b),
            adapters: adapters.len(),
            sizes: None,
        })
    }

    /// From now on the blocks have so many tokens, which may be none.
    pub(super) fn set_sizes(&mut self, sizes: &[usize]) {
        self.sizes = Some(sizes.to_vec());
    }

    /// What is added to the projection of `x`, `[tokens, in]` to `[tokens, out]`: block by block.
    pub(crate) fn forward(&self, x: Tensor<B, 2>) -> Tensor<B, 2> {
        let factors = blocks([self.a.val(), self.b.val()], self.adapters);
        let even = x.dims()[0] / self.adapters;
        let mut start = 0;
        let added = factors.enumerate().filter_map(|(adapter, [a, b])| {
            let size = self.sizes.as_ref().map_or(even, |sizes| sizes[adapter]);
            let block = (size > 0).then(|| x.clone().narrow(0, start, size))?;
            start += size;
            Some(addition(block, a, b, self.scale))
        });
        Tensor::cat(added.collect(), 0)
    }
}

/// Cuts each tensor into `count` blocks of rows, and gives those that belong together.
pub(super) fn blocks<B: Backend, const N: usize>(
    tensors: [Tensor<B, 2>; N],
    count: usize,
) -> impl Iterator<Item = [Tensor<B, 2>; N]> {
    (0..count).map(move |block| {
        tensors.each_ref().map(|tensor| {
            let rows = tensor.dims()[0] / count;
            tensor.clone().narrow(0, block * rows, rows)
        })
    })
}
