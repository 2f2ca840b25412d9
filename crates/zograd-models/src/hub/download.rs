//! Fetches a model into the cache.

use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use hf_hub::Cache;
use hf_hub::api::sync::{ApiBuilder, ApiRepo};
use zograd_files::MAX_SMALL_BYTES;

use super::{Hub, SMALL_FILES, WEIGHTS, shards};

/// How long the hub may take to list the files of a model. A network that swallows packets would
/// otherwise hold the program for minutes.
const LIST_TIMEOUT: Duration = Duration::from_secs(20);

pub(super) fn download(hub: &Hub, model: &str) -> Result<PathBuf, String> {
    let api = ApiBuilder::from_cache(Cache::new(hub.cache.clone()))
        .with_endpoint(hub.endpoint.clone())
        .with_token(hub.token.clone().map(|token| token.0))
        .with_retries(3)
        .build()
        .map_err(|error| error.to_string())?;
    let api = api.model(model.to_owned());
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
    let path = get(&api, &weights)?;
    if weights.ends_with(".index.json") {
        let index =
            zograd_files::read(&path, MAX_SMALL_BYTES).map_err(|error| error.to_string())?;
        for shard in shards(&index) {
            get(&api, &shard)?;
        }
    }
    for name in SMALL_FILES.iter().filter(|name| has(name)) {
        get(&api, name)?;
    }
    let config = get(&api, "config.json")?;
    let folder = config.parent().map(PathBuf::from);
    folder.ok_or_else(|| "the cache is laid out in an unknown way".to_owned())
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
