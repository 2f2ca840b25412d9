//! Passes over the weights, against the machine's copy bandwidth.

use anyhow::Result;
use burn::tensor::backend::BackendTypes;
use rayon::prelude::*;
use serde::Serialize;
use std::hint::black_box;
use zograd_models::{Model, ModelBackend, ModelConfig};
use zograd_perturb::{
    Direction, Instructions, NoiseBackend, NoiseKind, ParameterSpace, Perturbed, Seed, Selection,
};

use crate::seconds;

/// Times of one read and write of all weights of a model; every list has one entry a repetition.
#[derive(Debug, Default, Serialize)]
pub struct PassTimes {
    /// The vector instructions that the passes used.
    pub instructions: String,
    /// Weights of the model; a pass reads and writes 4 bytes of each.
    pub parameters: u64,
    /// One stream of Gaussian noise added to every weight.
    pub gaussian_s: Vec<f64>,
    /// Five streams in one pass, as between two guided points of MeZO-GV with a pool of four.
    pub gaussian5_s: Vec<f64>,
    /// One stream of Rademacher noise.
    pub rademacher_s: Vec<f64>,
    /// Adding 1 to as many f32 in place on all threads: the least a pass can do.
    pub in_place_s: Vec<f64>,
    /// Copying as many f32 into a second buffer on all threads.
    pub copy_s: Vec<f64>,
}

impl PassTimes {
    /// Measures all of them in turn, `repeats` times.
    ///
    /// # Errors
    /// None that depends on the input.
    pub fn measure<B: NoiseBackend + ModelBackend>(
        config: &ModelConfig,
        repeats: usize,
    ) -> Result<Self> {
        let device = <B as BackendTypes>::Device::default();
        let mut model = Model::<B>::init(config, &device);
        let space = ParameterSpace::select(&model, &Selection::All)?;
        let mut times = Self {
            instructions: Instructions::in_use().to_string(),
            parameters: space.dimension(),
            ..Self::default()
        };
        let one = Direction::unit(Seed::new(7));
        let five: Direction = (0..5).map(|s| (Seed::new(s), 1.0)).collect();
        let mut buffer = vec![0f32; times.parameters as usize];
        let mut target = buffer.clone();
        for round in 0..=repeats {
            let mut timed = Self::default();
            for (kind, direction, list) in [
                (NoiseKind::Gaussian, &one, &mut timed.gaussian_s),
                (NoiseKind::Rademacher, &one, &mut timed.rademacher_s),
                (NoiseKind::Gaussian, &five, &mut timed.gaussian5_s),
            ] {
                let mut perturbed = Perturbed::new(model, space.clone(), kind, 1e-3)?;
                let mut outcome = Ok(());
                list.push(seconds(|| outcome = perturbed.move_to(direction)));
                outcome?;
                model = perturbed.into_module()?;
            }
            timed.in_place_s.push(seconds(|| add_one(&mut buffer)));
            timed.copy_s.push(seconds(|| copy(&buffer, &mut target)));
            // the first round touches the memory
            if round > 0 {
                times.extend(timed);
            }
        }
        Ok(times)
    }

    fn extend(&mut self, other: Self) {
        self.gaussian_s.extend(other.gaussian_s);
        self.gaussian5_s.extend(other.gaussian5_s);
        self.rademacher_s.extend(other.rademacher_s);
        self.in_place_s.extend(other.in_place_s);
        self.copy_s.extend(other.copy_s);
    }
}

fn add_one(buffer: &mut [f32]) {
    let chunk = share(buffer.len());
    let add = |part: &mut [f32]| part.iter_mut().for_each(|x| *x += 1.0);
    black_box(buffer).par_chunks_mut(chunk).for_each(add);
}

fn copy(source: &[f32], target: &mut [f32]) {
    let chunk = share(source.len());
    let source = black_box(source).par_chunks(chunk);
    let target = black_box(target).par_chunks_mut(chunk);
    target
        .zip(source)
        .for_each(|(target, source)| target.copy_from_slice(source));
}

/// Large pieces, so that `memcpy` may write past the caches, but several a thread, so that both cores end
/// together.
fn share(len: usize) -> usize {
    len.div_ceil(8 * rayon::current_num_threads()).max(1)
}
