//! What a machine has of what runs need.

use crate::Runs;
use crate::backend::{Job, RunBackend, dispatch};
use crate::error::Result;
use crate::folder::Environment;
use crate::settings::{BackendName, Machine, Storage};
use serde::Serialize;
use std::path::{Path, PathBuf};
use zograd_files::{free_bytes, guarded_with_threads};
use zograd_models::hub::Hub;
use zograd_perturb::{Instructions, is_exact_on};

/// What a machine has, and what of it works.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Diagnosis {
    /// Program, system, processor, threads and memory.
    pub machine: Environment,
    /// The vector instructions that passes over the weights use.
    pub instructions: String,
    /// The backends, in the order of their names in settings.
    pub backends: Vec<BackendHealth>,
    /// Where models from the hub are kept, and what of it there is.
    pub hub: HubHealth,
    /// The folder that runs are written below, by default.
    pub runs: FolderHealth,
}

/// Whether a backend can be used.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct BackendHealth {
    /// Its name.
    pub name: String,
    /// Whether this build has it.
    pub built: bool,
    /// Whether it adds as exact steps need it (`zograd_perturb::is_exact_on`); `None` if it could not be asked.
    pub exact: Option<bool>,
    /// What is wrong.
    pub problem: Option<String>,
}

/// What is known of the hub, without asking it.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct HubHealth {
    /// Its address.
    pub endpoint: String,
    /// Whether it may not be asked.
    pub offline: bool,
    /// Whether there is a token.
    pub token: bool,
    /// The cache.
    pub cache: FolderHealth,
}

/// A folder.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct FolderHealth {
    /// Its path.
    pub path: PathBuf,
    /// Whether it is there; else it is made when it is needed.
    pub exists: bool,
    /// Free room on its disk in bytes, where the system says.
    pub free_bytes: Option<u64>,
}

impl Diagnosis {
    /// Whether the backends that this build has all work.
    pub fn is_well(&self) -> bool {
        self.backends
            .iter()
            .all(|backend| backend.problem.is_none())
    }
}

impl Runs {
    /// Looks at this machine. Nothing is written, and the network is not asked.
    pub fn doctor(&self) -> Diagnosis {
        let hub = Hub::from_env();
        Diagnosis {
            machine: Environment::here(0, "cpu".into(), "f32".into()),
            instructions: Instructions::in_use().to_string(),
            backends: BackendName::CHOICES
                .iter()
                .filter_map(|choice| choice.name.parse().ok())
                .map(BackendHealth::of)
                .collect(),
            hub: HubHealth {
                offline: hub.offline,
                token: hub.token.is_some(),
                cache: FolderHealth::of(hub.cache),
                endpoint: hub.endpoint,
            },
            runs: FolderHealth::of("runs".into()),
        }
    }
}

impl BackendHealth {
    fn of(backend: BackendName) -> Self {
        let built = match backend {
            BackendName::Ndarray => cfg!(feature = "ndarray"),
            BackendName::Flex => cfg!(feature = "flex"),
            BackendName::Cuda => cfg!(feature = "cuda"),
            BackendName::Wgpu => cfg!(feature = "wgpu"),
        };
        let mut health = Self {
            name: backend.to_string(),
            built,
            exact: None,
            problem: None,
        };
        if built {
            // a backend whose driver or device is missing panics
            match guarded_with_threads(|| dispatch(&Machine::new(backend, Storage::F32), Exactness))
            {
                Ok(Ok(exact)) => health.exact = Some(exact),
                Ok(Err(error)) => health.problem = Some(error.to_string()),
                Err(words) => health.problem = Some(words),
            }
        }
        health
    }
}

/// Asks whether a backend adds exactly.
struct Exactness;

impl Job for Exactness {
    type Output = bool;

    fn run<B: RunBackend>(self, device: &B::Device) -> Result<bool> {
        Ok(is_exact_on::<B>(device))
    }
}

impl FolderHealth {
    fn of(path: PathBuf) -> Self {
        let there = path.ancestors().find(|folder| folder.is_dir());
        let there = there.unwrap_or(Path::new("."));
        Self {
            exists: path.is_dir(),
            free_bytes: free_bytes(there),
            path,
        }
    }
}
