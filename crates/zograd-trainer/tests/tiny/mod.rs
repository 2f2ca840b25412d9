//! A model that computes in milliseconds.

use burn::tensor::backend::Backend;
use burn_ndarray::NdArray;
use std::sync::LazyLock;
use zograd_models::{Opt, OptConfig};

pub type Cpu = NdArray<f32>;

/// One for all tests: the generator of its weights is shared by the threads.
static MODEL: LazyLock<Opt<Cpu>> = LazyLock::new(|| {
    let config = OptConfig::from_json(
        r#"{"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
            "ffn_dim": 32, "max_position_embeddings": 32, "init_std": 0.3}"#,
    )
    .expect("a valid configuration");
    let device = Default::default();
    Cpu::seed(&device, 11);
    Opt::init(&config, &device)
});

pub fn model() -> Opt<Cpu> {
    MODEL.clone()
}
