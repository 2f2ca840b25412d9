//! Random weights: the generator of burn is one for the whole process, and tests run side by side.

use burn::tensor::backend::Backend;
use std::sync::{Mutex, PoisonError};
use zograd_models::{Model, ModelConfig};

use crate::tiny::Cpu;

static GENERATOR: Mutex<()> = Mutex::new(());

/// The model that belongs to a seed.
pub fn model(config: &ModelConfig, seed: u64) -> Model<Cpu> {
    let _generator = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
    let device = Default::default();
    Cpu::seed(&device, seed);
    Model::init(config, &device)
}
