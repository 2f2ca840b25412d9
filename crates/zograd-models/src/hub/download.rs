//! Fetches a model into the cache: small files first, which say what the weights are.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use hf_hub::api::sync::{Api, ApiBuilder, ApiRepo};
use hf_hub::{Cache, CacheRepo, Repo};
use zograd_files::MAX_SMALL_BYTES;

use super::{Hub, SMALL_FILES, WEIGHTS, shards};

/// How long the hub may take to list the files of a model. A network that swallows packets would
/// otherwise hold the program for minutes.
const LIST_TIMEOUT: Duration = Duration::from_secs(20);

/// A model on the hub whose small files are in the cache.
pub(super) struct Found {
    api: Api,
    repository: ApiRepo,
    cache: CacheRepo,
    folder: PathBuf,
    /// The files of the weights.
    weights: Vec<String>,
}

impl Found {
    /// Looks a model up and fetches all but its weights.
    pub fn on(hub: &Hub, model: &str) -> Result<Self, String> {
        let api = ApiBuilder::from_cache(Cache::new(hub.cache.clone()))
            .with_endpoint(hub.endpoint.clone())
            .with_token(hub.token.clone().map(|token| token.0))
            .with_retries(3)
            .build()
            .map_err(|error| error.to_string())?;
        let repository = api.model(model.to_owned());
        let names = list(hub, model)?;
        let has = |name: &str| names.iter().any(|other| other == name);
        if !has("config.json") {
            return Err("the repository has no config.json".to_owned());
        }
        let weights = WEIGHTS
            .iter()
            .flat_map(|name| [(*name).to_owned(), format!("{name}.index.json")])
            .find(|name| has(name))
            .ok_or_else(|| format!("the repository has none of {}", WEIGHTS.join(", ")))?;
        for name in SMALL_FILES.iter().filter(|name| has(name)) {
            get(&repository, name)?;
        }
        let config = get(&repository, "config.json")?;
        let folder = config.parent().map(PathBuf::from);
        let folder = folder.ok_or_else(|| "the cache is laid out in an unknown way".to_owned())?;
        let weights = match weights.ends_with(".index.json") {
            true => {
                let path = get(&repository, &weights)?;
                let index =
                    zograd_files::read(&path, MAX_SMALL_BYTES).map_err(|e| e.to_string())?;
                shards(&index)
            }
            false => vec![weights],
        };
        let cache = Cache::new(hub.cache.clone()).repo(Repo::model(model.to_owned()));
        Ok(Self {
            api,
            repository,
            cache,
            folder,
            weights,
        })
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Bytes of weights that are not in the cache.
    pub fn bytes(&self) -> Result<u64, String> {
        let missing = self
            .weights
            .iter()
            .filter(|name| self.cache.get(name).is_none());
        let mut bytes = 0u64;
        for name in missing {
            let about = self.api.metadata(&self.repository.url(name));
            let about = about.map_err(|error| format!("{name}: {error}"))?;
            bytes = bytes.saturating_add(about.size() as u64);
        }
        Ok(bytes)
    }

    /// Fetches the weights; gives the folder of all files.
    pub fn fetch(self) -> Result<PathBuf, String> {
        for name in &self.weights {
            get(&self.repository, name)?;
        }
        Ok(self.folder)
    }
}

fn list(hub: &Hub, model: &str) -> Result<Vec<String>, String> {
    let (sender, receiver) = mpsc::channel();
    let (hub, model) = (hub.clone(), model.to_owned());
    thread::spawn(move || {
        let names = ApiBuilder::from_cache(Cache::new(hub.cache))
            .with_endpoint(hub.endpoint)
            .with_token(hub.token.map(|token| token.0))
            .build()
            .and_then(|api| api.model(model).info())
            .map(|info| {
                info.siblings
                    .into_iter()
                    .map(|file| file.rfilename)
                    .collect()
            })
            .map_err(|error| error.to_string());
        // nobody listens any more after the timeout
        let _ = sender.send(names);
    });
    receiver
        .recv_timeout(LIST_TIMEOUT)
        .map_err(|_| format!("the hub did not answer within {} s", LIST_TIMEOUT.as_secs()))?
}

fn get(api: &ApiRepo, name: &str) -> Result<PathBuf, String> {
    api.get(name).map_err(|error| format!("{name}: {error}"))
}
