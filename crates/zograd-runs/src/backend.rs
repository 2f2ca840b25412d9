//! The edge where the backend is chosen: everything behind it is generic.

use crate::error::{Result, refuse};
use crate::settings::{BackendName, Machine};
use zograd_models::ModelBackend;
use zograd_perturb::NoiseBackend;

/// A backend that models run on and noise can be added to.
pub trait RunBackend: NoiseBackend + ModelBackend {}
impl<B: NoiseBackend + ModelBackend> RunBackend for B {}

/// Work that runs on any backend.
pub trait Job {
    /// What comes out.
    type Output;

    /// Does it on `B`.
    ///
    /// # Errors
    /// The job's own.
    fn run<B: RunBackend>(self, device: &B::Device) -> Result<Self::Output>;
}

/// Runs `job` on the backend and the device that are asked for.
///
/// # Errors
/// The job's, a backend that was not compiled in, or a rank whose device is not known.
pub fn dispatch<J: Job>(machine: &Machine, job: J) -> Result<J::Output> {
    match machine.backend() {
        #[cfg(feature = "ndarray")]
        BackendName::Ndarray => on::<burn_ndarray::NdArray<f32>, J>(job),
        #[cfg(feature = "flex")]
        BackendName::Flex => on::<burn_flex::Flex, J>(job),
        #[cfg(feature = "cuda")]
        BackendName::Cuda => {
            let index = machine.device()?;
            let device = burn_cuda::CudaDevice { index };
            answers::<burn_cuda::Cuda>(BackendName::Cuda, &device)?;
            job.run::<burn_cuda::Cuda>(&device)
        }
        #[cfg(feature = "wgpu")]
        BackendName::Wgpu => {
            answers::<burn_wgpu::Wgpu>(BackendName::Wgpu, &Default::default())?;
            on::<burn_wgpu::Wgpu, J>(job)
        }
        #[allow(unreachable_patterns, reason = "reachable without all features")]
        other => refuse!(
            "`backend = {other}`: this zograd was built without it; build with --features {other}"
        ),
    }
}

#[allow(dead_code, reason = "used by whichever backends are compiled in")]
fn on<B: RunBackend, J: Job>(job: J) -> Result<J::Output> {
    job.run::<B>(&<B as burn::tensor::backend::BackendTypes>::Device::default())
}

/// Refuses a GPU whose driver or device is missing: burn panics then, in a thread of its own.
#[cfg(any(feature = "cuda", feature = "wgpu"))]
fn answers<B: RunBackend>(backend: BackendName, device: &B::Device) -> Result<()> {
    use burn::tensor::Tensor;

    let start = || Tensor::<B, 1>::from_floats([1.0], device).into_data();
    if let Err(words) = zograd_files::guarded_with_threads(start) {
        // what comes behind it are lists of all names that were tried
        let first = words.split(" - ").next().unwrap_or_default();
        let first = first.split(". ").next().unwrap_or_default();
        refuse!(
            "`backend = {backend}`: no GPU answers ({}); zograd doctor says what works here",
            first.trim_end_matches('.')
        );
    }
    Ok(())
}
