//! Where to compute, and how weights are stored.

use super::device::DeviceChoice;
use super::names::names;
use super::owner::Owner;
use crate::error::{Result, refuse};
use crate::threads::MAX_THREADS;
use serde::{Deserialize, Serialize};
pub use zograd_models::Storage;
use zograd_ranks::Launched;
use zograd_select::{Choice, Setting};

names! {
    /// Where tensors live and are computed with.
    pub enum BackendName {
        Ndarray = "ndarray", "The CPU, f32";
        Flex = "flex", "The CPU, f32, f16 or bf16";
        Cuda = "cuda", "An NVIDIA GPU (a build with `--features cuda`)";
        Wgpu = "wgpu", "Any GPU, f32 (a build with `--features wgpu`)";
    }
}

/// The ways to store weights, in words.
pub const STORAGES: &[Choice] = &[
    Choice {
        name: "f32",
        help: "32 bits",
    },
    Choice {
        name: "f16",
        help: "16 bits, as the paper's experiments",
    },
    Choice {
        name: "bf16",
        help: "16 bits with the range of f32",
    },
];

/// Where to compute.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Machine {
    /// Where tensors live.
    pub backend: Option<BackendName>,
    /// Which of the devices of the machine.
    pub device: Option<DeviceChoice>,
    /// How weights are stored.
    pub dtype: Option<Storage>,
    /// CPU threads.
    pub threads: Option<usize>,
}

impl Owner for Machine {
    const NAME: &'static str = "every run";
    const HEADING: &'static str = "Run";
    const SETTINGS: &'static [Setting] = &[
        Setting::choice(
            "backend",
            "BACKEND",
            "Where to compute",
            BackendName::CHOICES,
        )
        .or("ndarray"),
        Setting::text(
            "device",
            "N|local-rank",
            "Which GPU, by its number; local-rank: each rank of a machine takes another one",
        )
        .or("the first"),
        Setting::choice("dtype", "DTYPE", "How to store the weights", STORAGES).or("f32"),
        Setting::count("threads", "N", "CPU threads").or("all cores"),
    ];
}

impl Machine {
    /// On this backend, with weights stored so.
    pub fn new(backend: BackendName, dtype: Storage) -> Self {
        Self {
            backend: Some(backend),
            dtype: Some(dtype),
            ..Self::default()
        }
    }

    /// A CPU backend that stores weights so, of those that this program was built with.
    pub fn cpu(dtype: Storage) -> Self {
        let ndarray = cfg!(feature = "ndarray") && dtype == Storage::F32;
        let backend = match ndarray {
            true => BackendName::Ndarray,
            false => BackendName::Flex,
        };
        Self::new(backend, dtype)
    }

    /// The backend.
    pub fn backend(&self) -> BackendName {
        self.backend.unwrap_or(BackendName::Ndarray)
    }

    /// The number of the device of this process.
    ///
    /// # Errors
    /// As [`DeviceChoice::number`].
    pub fn device(&self) -> Result<usize> {
        let choice = self.device.unwrap_or(DeviceChoice::Number(0));
        choice.number(Launched::here())
    }

    /// How weights are stored.
    pub fn storage(&self) -> Storage {
        self.dtype.unwrap_or(Storage::F32)
    }

    /// The same, nothing left open.
    ///
    /// # Errors
    /// A type or a choice of devices that the backend does not have, a number of threads out of range.
    pub fn complete(self) -> Result<Self> {
        let (backend, dtype) = (self.backend(), self.storage());
        match (backend, dtype) {
            (_, Storage::F32) => {}
            (BackendName::Ndarray, _) => refuse!(
                "`dtype`: the backend ndarray stores f32 only; use `dtype = f32`, or `backend = flex`"
            ),
            (BackendName::Wgpu, _) => {
                refuse!("`dtype`: the backend wgpu stores f32 only; use `dtype = f32`")
            }
            _ => {}
        }
        if let (Some(device), true) = (self.device, backend != BackendName::Cuda) {
            refuse!(
                "`device = {device}`: the backend {backend} has no devices to choose from; leave it out, or use \
                 `backend = cuda`"
            );
        }
        if let Some(n) = self.threads
            && !(1..=MAX_THREADS).contains(&n)
        {
            refuse!("`threads = {n}`: use 1 to {MAX_THREADS}");
        }
        Ok(Self {
            backend: Some(backend),
            dtype: Some(dtype),
            ..self
        })
    }
}
