//! Passes over weights that are on a device of their own, against the bandwidth of that device.

use anyhow::Result;
use burn::tensor::backend::BackendTypes;
use burn::tensor::{DType, Tensor};
use serde::Serialize;
use std::time::Instant;
use zograd_models::{Model, ModelBackend, ModelConfig};
use zograd_perturb::{
    Direction, NoiseBackend, NoiseKind, ParameterSpace, Perturbed, Seed, Selection,
};

use crate::median;

/// Elements of the tensor that the bandwidth is measured on: larger than any cache.
const ELEMENTS: usize = 1 << 28;

/// Times with the queue of the device empty before and after; every list has one entry a repetition.
#[derive(Debug, Serialize)]
pub struct DeviceTimes {
    /// Weights of the model; a pass reads and writes each once.
    pub parameters: u64,
    /// Bytes of one of them.
    pub bytes: usize,
    /// Adding a number to every element of one tensor, in bytes read and written a second, the best repetition.
    pub in_place_bytes_per_s: f64,
    /// The passes.
    pub passes: Vec<Pass>,
}

/// One pass over all weights.
#[derive(Debug, Serialize)]
pub struct Pass {
    /// Which noise.
    pub kind: NoiseKind,
    /// Streams of it that are added.
    pub streams: u64,
    /// Seconds of each repetition.
    pub seconds: Vec<f64>,
    /// Share of the bandwidth above, by the median.
    pub share_of_bandwidth: f64,
    /// Numbers of noise a second, by the median.
    pub numbers_per_s: f64,
}

impl DeviceTimes {
    /// Measures passes with few and with many streams, `repeats` times each.
    ///
    /// # Errors
    /// The device failed.
    pub fn measure<B: NoiseBackend + ModelBackend>(
        config: &ModelConfig,
        dtype: DType,
        repeats: usize,
    ) -> Result<Self> {
        let device = <B as BackendTypes>::Device::default();
        let in_place_bytes_per_s = bandwidth::<B>(dtype, repeats, &device)?;
        let mut model = Model::<B>::init_with_dtype(config, dtype, &device);
        let space = ParameterSpace::select(&model, &Selection::All)?;
        let parameters = space.dimension();
        let moved = 2.0 * parameters as f64 * dtype.size() as f64;
        let mut passes = Vec::new();
        for (kind, streams) in [
            (NoiseKind::Gaussian, 1),
            (NoiseKind::Gaussian, 2),
            (NoiseKind::Gaussian, 4),
            (NoiseKind::Gaussian, 5),
            (NoiseKind::Gaussian, 8),
            (NoiseKind::Rademacher, 1),
            (NoiseKind::Rademacher, 4),
        ] {
            let direction: Direction = (0..streams).map(|s| (Seed::new(s), 1.0)).collect();
            let mut times = Vec::new();
            // the first one compiles the kernel
            for _ in 0..=repeats {
                let mut perturbed = Perturbed::new(model, space.clone(), kind, 1e-3)?;
                B::sync(&device)?;
                let start = Instant::now();
                perturbed.move_to(&direction)?;
                B::sync(&device)?;
                times.push(start.elapsed().as_secs_f64());
                model = perturbed.into_module()?;
            }
            times.remove(0);
            let middle = median(&times);
            passes.push(Pass {
                kind,
                streams,
                seconds: times,
                share_of_bandwidth: moved / middle / in_place_bytes_per_s,
                numbers_per_s: (streams * parameters) as f64 / middle,
            });
        }
        Ok(Self {
            parameters,
            bytes: dtype.size(),
            in_place_bytes_per_s,
            passes,
        })
    }
}

fn bandwidth<B: NoiseBackend>(dtype: DType, repeats: usize, device: &B::Device) -> Result<f64> {
    let mut tensor = Tensor::<B, 1>::ones([ELEMENTS], (device, dtype));
    let bytes = 2.0 * ELEMENTS as f64 * dtype.size() as f64;
    let mut best = 0.0;
    for _ in 0..repeats.max(3) {
        B::sync(device)?;
        let start = Instant::now();
        tensor = tensor.add_scalar(1.0);
        B::sync(device)?;
        let time = start.elapsed().as_secs_f64();
        best = f64::max(best, bytes / time);
    }
    Ok(best)
}
