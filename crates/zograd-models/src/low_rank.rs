//! What probes of low rank add to matrices, without the matrices that they add.

use burn::module::Module;
use burn::tensor::backend::Backend;
use burn::tensor::{DType, Device, Tensor};
use std::ops::Range;

use crate::backend::ModelBackend;
use crate::backend::plain::of_type;

/// What is added to a matrix `[out, in]` at some points: `left middle right`, or `left right` at points without a middle.
#[derive(Module, Debug)]
pub struct LowRank<B: Backend> {
    /// `[rank, in]`, the same at all points.
    right: Tensor<B, 2>,
    points: Vec<Left<B>>,
    /// How many tokens each point has, where not all have as many.
    #[module(skip)]
    blocks: Option<Vec<usize>>,
}

/// The factors at a point that stand before the shared one.
#[derive(Module, Debug)]
pub struct Left<B: Backend> {
    /// `[out, rank]`.
    pub left: Tensor<B, 2>,
    /// `[rank, rank]`.
    pub middle: Option<Tensor<B, 2>>,
}

impl<B: Backend> LowRank<B> {
    /// `right` is `[rank, in]`.
    pub fn new(right: Tensor<B, 2>, points: Vec<Left<B>>) -> Self {
        Self {
            right,
            points,
            blocks: None,
        }
    }

    /// The same where each point has so many tokens.
    pub(crate) fn in_blocks(self, blocks: &[usize]) -> Self {
        Self {
            blocks: Some(blocks.to_vec()),
            ..self
        }
    }
}

impl<B: ModelBackend> LowRank<B> {
    /// The same in another type.
    pub(crate) fn of_type(self, dtype: DType) -> Self {
        let points = self.points.into_iter().map(|point| Left {
            left: of_type(point.left, dtype),
            middle: point.middle.map(|middle| of_type(middle, dtype)),
        });
        Self {
            points: points.collect(),
            right: of_type(self.right, dtype),
            blocks: self.blocks,
        }
    }

    /// Where it is.
    pub(crate) fn device(&self) -> Device<B> {
        self.right.device()
    }

    /// At some of the points.
    pub(crate) fn at(&self, points: Range<usize>) -> Self {
        Self {
            right: self.right.clone(),
            points: self.points[points].to_vec(),
            blocks: None,
        }
    }

    /// What is added to a linear map of `x`, `[tokens, in]` to `[tokens, out]`: the tokens are as many blocks as there are
    /// points. With the bias of each point, which lie end to end, or the one that all have.
    pub(crate) fn forward(&self, x: Tensor<B, 2>, biases: Option<Tensor<B, 1>>) -> Tensor<B, 2> {
        let low = B::packed_linear(x, self.right.clone(), None);
        let mut start = 0;
        let points = self.points.iter().zip(self.rows(low.dims()[0]));
        let points = points.enumerate().map(|(index, (point, rows))| {
            let low = point.inner(low.clone().narrow(0, start, rows));
            start += rows;
            let out = point.left.dims()[0];
            let bias = biases.clone().map(|biases| match biases.dims() == [out] {
                true => biases,
                false => biases.narrow(0, index * out, out),
            });
            B::packed_linear(low, point.left.clone(), bias)
        });
        Tensor::cat(points.collect(), 0)
    }

    /// How many of so many tokens each point has.
    fn rows(&self, all: usize) -> Vec<usize> {
        let points = self.points.len();
        let alike = || vec![all / points.max(1); points];
        self.blocks.clone().unwrap_or_else(alike)
    }

    /// What is added to the logits of `x` at each point, given what the head is given there, in f32 or wider.
    pub(crate) fn logits(&self, features: &[Tensor<B, 2>]) -> Vec<Tensor<B, 2>> {
        let points = features.iter().zip(&self.points);
        let added = points.map(|(x, point)| {
            let low = B::packed_linear(x.clone(), self.right.clone(), None);
            B::packed_logits(point.inner(low), point.left.clone())
        });
        added.collect()
    }

    /// The matrices that are added, for a few rows: `[out, in]` each.
    pub(crate) fn matrices(&self) -> Vec<Tensor<B, 2>> {
        let matrices = self.points.iter().map(|Left { left, middle }| {
            let left = match middle {
                Some(middle) => B::packed_linear(left.clone(), middle.clone().transpose(), None),
                None => left.clone(),
            };
            B::packed_linear(left, self.right.clone().transpose(), None)
        });
        matrices.collect()
    }
}

impl<B: ModelBackend> Left<B> {
    /// What `left` is multiplied by, `[tokens, rank]`, given what `right` makes of the tokens.
    fn inner(&self, low: Tensor<B, 2>) -> Tensor<B, 2> {
        match &self.middle {
            Some(middle) => B::packed_linear(low, middle.clone(), None),
            None => low,
        }
    }
}
