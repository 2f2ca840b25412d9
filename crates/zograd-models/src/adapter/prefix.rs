//! Keys and values that every token of every sequence sees.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

/// The prefix of one layer.
#[derive(Module, Debug)]
pub struct Prefix<B: Backend> {
    /// `[tokens, hidden_size]`, the heads side by side, as the key projection gives them.
    pub keys: Param<Tensor<B, 2>>,
    /// `[tokens, hidden_size]`, as the value projection gives them.
    pub values: Param<Tensor<B, 2>>,
}
