//! Random numbers of burn: its generator is one for the whole process, and tests run side by side.

use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::tensor::DType;
use zograd_models::{Model, ModelBackend, ModelConfig};

static GENERATOR: Mutex<()> = Mutex::new(());

/// To be held by whoever draws.
pub fn generator() -> MutexGuard<'static, ()> {
    GENERATOR.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The f32 model that belongs to a seed.
pub fn model<B: ModelBackend>(config: &ModelConfig, seed: u64) -> Model<B> {
    model_of(config, DType::F32, seed)
}

/// [`model`], of another type.
pub fn model_of<B: ModelBackend>(config: &ModelConfig, dtype: DType, seed: u64) -> Model<B> {
    let _generator = generator();
    let device = Default::default();
    B::seed(&device, seed);
    Model::init_with_dtype(config, dtype, &device)
}
