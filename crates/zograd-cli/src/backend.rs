//! The edge where the backend is chosen: everything behind it is generic.

use crate::args::{BackendName, DtypeName};
use anyhow::{Result, bail};
use burn::tensor::DType;
use zograd_models::ModelBackend;
use zograd_perturb::NoiseBackend;

/// A backend that models run on and noise can be added to.
pub trait TrainBackend: NoiseBackend + ModelBackend {}
impl<B: NoiseBackend + ModelBackend> TrainBackend for B {}

/// Work that runs on any backend.
pub trait Job {
    /// What comes out.
    type Output;
    /// Does it on `B`.
    fn run<B: TrainBackend>(self, device: &B::Device) -> Result<Self::Output>;
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
        other => {
            let name = serde_json::to_string(&other)?.replace('"', "");
            bail!(
                "--backend {name}: this zograd was built without it; build with `--features {name}`"
            )
        }
    }
}

#[allow(dead_code, reason = "used by whichever backends are compiled in")]
fn on<B: TrainBackend, J: Job>(job: J) -> Result<J::Output> {
    job.run::<B>(&<B as burn::tensor::backend::BackendTypes>::Device::default())
}

/// The element type to store weights in.
///
/// # Errors
/// A type the backend does not have.
pub fn dtype(backend: BackendName, dtype: DtypeName) -> Result<DType> {
    match (backend, dtype) {
        (_, DtypeName::F32) => Ok(DType::F32),
        (BackendName::Ndarray, _) => {
            bail!(
                "--dtype: the backend ndarray stores f32 only; use --dtype f32, or --backend flex"
            )
        }
        (BackendName::Wgpu, _) => {
            bail!("--dtype: the backend wgpu stores f32 only; use --dtype f32")
        }
        (_, DtypeName::F16) => Ok(DType::F16),
        (_, DtypeName::Bf16) => Ok(DType::BF16),
    }
}
