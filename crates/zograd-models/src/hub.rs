//! Model names to model folders: a path is itself, `org/name` is looked up in the Hugging Face
//! cache and, with the cargo feature `hub`, downloaded.

#[cfg(feature = "hub")]
mod download;

mod environment;

use std::fmt;
use std::path::{Path, PathBuf};

use zograd_files::{Bytes, MAX_SMALL_BYTES};

use crate::config::{ConfigError, ModelConfig};

/// Files worth having beside the weights; each is fetched if the repository has it.
#[cfg(feature = "hub")]
const SMALL_FILES: [&str; 9] = [
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
];

/// Weight files by preference; with `.index.json` appended, the index of a sharded one.
const WEIGHTS: [&str; 2] = ["model.safetensors", "pytorch_model.bin"];

/// Why a model name led to no folder.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// Neither an existing folder nor a possible name on the hub.
    #[error("{0} is neither a folder nor a model name of the form org/name")]
    NotAModel(String),
    /// Not in the cache, and downloading is off.
    #[error("{model} is not in the cache at {cache}, and {reason}. {BY_HAND}")]
    NotCached {
        /// The model name.
        model: String,
        /// Where it was looked for.
        cache: PathBuf,
        /// Why it was not downloaded.
        reason: &'static str,
    },
    /// The hub could not be reached, or does not have the model.
    #[error("{model} is not in the cache at {cache}, and downloading failed: {reason}. {BY_HAND}")]
    Download {
        /// The model name.
        model: String,
        /// Where it was looked for.
        cache: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// The hub has a model that cannot be read.
    #[error("{model}: {source}")]
    Config {
        /// The model name.
        model: String,
        /// What is wrong with it.
        source: Box<ConfigError>,
    },
    /// The disk of the cache has no room for the weights.
    #[error(
        "{model} has {needed} bytes of weights that are not in the cache at {cache} ({}), and {free} are free there ({}); \
         set HF_HOME to a larger disk", Bytes(*needed), Bytes(*free)
    )]
    NoRoom {
        /// The model name.
        model: String,
        /// Where they would go.
        cache: PathBuf,
        /// Their size in bytes.
        needed: u64,
        /// What is free, in bytes.
        free: u64,
    },
    /// Whoever was told of the download refused it.
    #[error("{0}")]
    Refused(String),
}

/// What is about to be fetched.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Download<'a> {
    /// The model's name.
    pub model: &'a str,
    /// Its shape, which has been fetched.
    pub config: &'a ModelConfig,
    /// Bytes of weights that are not in the cache yet.
    pub bytes: u64,
    /// The cache they go to.
    pub cache: &'a Path,
}

/// Is told of a download before its weights are fetched, and may refuse it, in words.
pub type Before<'a> = dyn FnMut(&Download<'_>) -> Result<(), String> + 'a;

const BY_HAND: &str = "Download config.json, the weights and the tokenizer files by hand on any \
    machine and give the folder instead of the name, or set HF_HOME to a cache that has the model";

/// Where models come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hub {
    /// The cache: `models--org--name` folders, as Python's `huggingface_hub` and every other
    /// client lay them out.
    pub cache: PathBuf,
    /// Base address of the hub.
    pub endpoint: String,
    /// Never download.
    pub offline: bool,
    /// What the hub knows the user by; without it only public models are there.
    pub token: Option<Token>,
}

/// A secret of the hub, which is not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(pub String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Hub {
    /// A hub at this address, asked without a token.
    pub fn new(cache: impl Into<PathBuf>, endpoint: &str) -> Self {
        Self {
            cache: cache.into(),
            endpoint: endpoint.to_owned(),
            offline: false,
            token: None,
        }
    }

    /// The cache and hub that Python's `huggingface_hub` would use:
    ///
    /// | variable | what it says |
    /// |---|---|
    /// | `HF_HUB_CACHE`, else `HUGGINGFACE_HUB_CACHE` | the cache |
    /// | `HF_HOME` | its parent, if neither is set: the cache is its `hub` |
    /// | `XDG_CACHE_HOME` | the parent of that, `huggingface`, if it is not set either; else `~/.cache` |
    /// | `HF_ENDPOINT` | the address |
    /// | `HF_HUB_OFFLINE`, else `TRANSFORMERS_OFFLINE` | `1`, `on`, `yes` or `true`: never download |
    /// | `HF_TOKEN`, else `HUGGING_FACE_HUB_TOKEN` | the token; else it is in the file `HF_TOKEN_PATH`, else `HF_HOME/token` |
    /// | `HF_HUB_DISABLE_IMPLICIT_TOKEN` | `1`, `on`, `yes` or `true`: no token |
    ///
    /// In paths `~` and `$NAME` are filled in.
    pub fn from_env() -> Self {
        environment::hub(&|name| std::env::var_os(name), std::env::home_dir())
    }

    /// The folder of `model`: itself if it is one, else the cached or downloaded snapshot of the
    /// model of that name. Looks at the network only if the cache has no complete snapshot.
    ///
    /// # Errors
    /// `model` is no folder and no name, or the model is not cached and cannot be downloaded.
    pub fn resolve(&self, model: &str) -> Result<PathBuf, HubError> {
        self.resolve_with(model, &mut |_| Ok(()))
    }

    /// [`Hub::resolve`], telling `before` of a download before the weights are fetched. By then it is known that they can
    /// be read and that the cache has room for them.
    ///
    /// # Errors
    /// As [`Hub::resolve`], or [`HubError::Refused`].
    pub fn resolve_with(&self, model: &str, before: &mut Before<'_>) -> Result<PathBuf, HubError> {
        let path = Path::new(model);
        if path.exists() {
            return Ok(path.to_owned());
        }
        if !is_name(model) {
            return Err(HubError::NotAModel(model.to_owned()));
        }
        match self.cached(model) {
            Some(folder) => Ok(folder),
            None => self.fetch(model, before),
        }
    }

    fn cached(&self, model: &str) -> Option<PathBuf> {
        let repository = self
            .cache
            .join(format!("models--{}", model.replace('/', "--")));
        let commit = zograd_files::read_text(&repository.join("refs/main"), 1 << 10).ok()?;
        let commit = commit.trim();
        // the file is data: it must not lead out of the cache
        let snapshot = commit
            .chars()
            .all(|c| c.is_ascii_alphanumeric())
            .then(|| repository.join("snapshots").join(commit))?;
        (snapshot.join("config.json").is_file() && has_weights(&snapshot)).then_some(snapshot)
    }

    #[cfg(feature = "hub")]
    fn fetch(&self, model: &str, before: &mut Before<'_>) -> Result<PathBuf, HubError> {
        if self.offline {
            return Err(self.not_cached(
                model,
                "HF_HUB_OFFLINE (or TRANSFORMERS_OFFLINE) forbids downloading",
            ));
        }
        let failed = |reason| HubError::Download {
            model: model.to_owned(),
            cache: self.cache.clone(),
            reason,
        };
        let found = download::Found::on(self, model).map_err(failed)?;
        let config =
            ModelConfig::from_folder(found.folder()).map_err(|source| HubError::Config {
                model: model.to_owned(),
                source: Box::new(source),
            })?;
        let bytes = found.bytes().map_err(failed)?;
        if let Some(free) = zograd_files::free_bytes(&self.cache).filter(|free| *free < bytes) {
            return Err(HubError::NoRoom {
                model: model.to_owned(),
                cache: self.cache.clone(),
                needed: bytes,
                free,
            });
        }
        let download = Download {
            model,
            config: &config,
            bytes,
            cache: &self.cache,
        };
        before(&download).map_err(HubError::Refused)?;
        found.fetch().map_err(failed)
    }

    #[cfg(not(feature = "hub"))]
    fn fetch(&self, model: &str, _before: &mut Before<'_>) -> Result<PathBuf, HubError> {
        Err(self.not_cached(model, "this build cannot download (cargo feature `hub`)"))
    }

    fn not_cached(&self, model: &str, reason: &'static str) -> HubError {
        HubError::NotCached {
            model: model.to_owned(),
            cache: self.cache.clone(),
            reason,
        }
    }
}

/// [`Hub::resolve`] with the cache and hub of the environment.
///
/// ```
/// // an existing folder is itself
/// assert_eq!(zograd_models::hub::resolve("src")?, std::path::Path::new("src"));
/// # Ok::<(), zograd_models::hub::HubError>(())
/// ```
///
/// # Errors
/// As [`Hub::resolve`].
pub fn resolve(model: &str) -> Result<PathBuf, HubError> {
    Hub::from_env().resolve(model)
}

/// [`Hub::resolve_with`] with the cache and hub of the environment.
///
/// # Errors
/// As [`Hub::resolve_with`].
pub fn resolve_with(model: &str, before: &mut Before<'_>) -> Result<PathBuf, HubError> {
    Hub::from_env().resolve_with(model, before)
}

/// Whether this may be a model at all, without looking whether the hub has it.
///
/// # Errors
/// [`HubError::NotAModel`]: neither an existing path nor a name of the form `org/name`.
pub fn check_name(model: &str) -> Result<(), HubError> {
    match Path::new(model).exists() || is_name(model) {
        true => Ok(()),
        false => Err(HubError::NotAModel(model.to_owned())),
    }
}

fn is_name(model: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    model
        .split_once('/')
        .is_some_and(|(organisation, name)| part(organisation) && part(name))
}

/// Whether a folder has a whole weight file or every shard of one: an interrupted download leaves
/// less.
fn has_weights(folder: &Path) -> bool {
    WEIGHTS.iter().any(|name| {
        folder.join(name).is_file()
            || index(folder, name).is_ok_and(|index| {
                let shards = shards(&index);
                !shards.is_empty() && shards.iter().all(|shard| folder.join(shard).is_file())
            })
    })
}

fn index(folder: &Path, weights: &str) -> std::io::Result<Vec<u8>> {
    let path = folder.join(format!("{weights}.index.json"));
    zograd_files::read(&path, MAX_SMALL_BYTES)
}

/// The shard names of an index file, each once; empty if it is not one.
fn shards(index: &[u8]) -> Vec<String> {
    let index: serde_json::Value = serde_json::from_slice(index).unwrap_or_default();
    let map = index.get("weight_map").and_then(|map| map.as_object());
    let mut names: Vec<String> = map
        .into_iter()
        .flat_map(|map| map.values())
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}
