//! The edge where the backend is chosen: everything behind it is generic.

use crate::error::{Result, refuse};
use crate::settings::BackendName;
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

/// Runs `job` on the backend with this name.
///
/// # Errors
/// The job's, or a backend that was not compiled in.
pub fn dispatch<J: Job>(backend: BackendName, job: J) -> Result<J::Output> {
    match backend {
        #[cfg(feature = "ndarray")]
        BackendName::Ndarray => on::<burn_ndarray::NdArray<f32>, J>(job),
        #[cfg(feature = "flex")]
        BackendName::Flex => on::<burn_flex::Flex, J>(job),
        #[cfg(feature = "cuda")]
        BackendName::Cuda => on::<burn_cuda::Cuda, J>(job),
        #[cfg(feature = "wgpu")]
        BackendName::Wgpu => on::<burn_wgpu::Wgpu, J>(job),
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
