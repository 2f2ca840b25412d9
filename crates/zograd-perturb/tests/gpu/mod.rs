//! The GPU that tests run on: OpenGL through wgpu where that is compiled in (any machine: Mesa's software renderer will
//! do; Debian: libegl1 and libgl1-mesa-dri), otherwise the first NVIDIA GPU.

#![allow(dead_code, reason = "each test binary uses a part of it")]

#[cfg(feature = "wgpu")]
mod chosen {
    use burn_wgpu::graphics::OpenGl;
    use burn_wgpu::{CubeBackend, WgpuDevice, WgpuRuntime};
    use std::sync::Once;

    /// The backend that fuses operations.
    pub type Fused = burn_wgpu::Wgpu;
    /// The one below it.
    pub type Plain = CubeBackend<WgpuRuntime, f32, i32, u32>;
    pub type Device = WgpuDevice;

    /// OpenGL may round a fused multiply-add twice.
    pub const EXTRA_ROUNDINGS: f32 = 1.0;

    pub fn device() -> Device {
        static SETUP: Once = Once::new();
        let device = WgpuDevice::default();
        SETUP.call_once(|| {
            burn_wgpu::init_setup::<OpenGl>(&device, Default::default());
        });
        device
    }
}

#[cfg(not(feature = "wgpu"))]
mod chosen {
    use burn_cubecl::CubeBackend;
    use burn_cubecl::cubecl::cuda::CudaRuntime;
    use burn_cuda::CudaDevice;

    /// The backend that fuses operations.
    pub type Fused = burn_cuda::Cuda;
    /// The one below it.
    pub type Plain = CubeBackend<CudaRuntime, f32, i32, u8>;
    pub type Device = CudaDevice;

    /// A fused multiply-add is rounded once, as on the CPU.
    pub const EXTRA_ROUNDINGS: f32 = 0.0;

    pub fn device() -> Device {
        Device::default()
    }
}

pub use chosen::*;
