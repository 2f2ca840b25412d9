//! A Hugging Face folder from a model.

use std::path::Path;
use std::{fs, io};

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::backend::Backend;
use burn::tensor::{DType, Tensor};
use zograd_params::ParameterPath;
use zograd_weights::{Float, StoredTensor, pieces, write_safetensors};

use super::error::SaveError;
use crate::backend::ModelBackend;
use crate::config::ModelConfig;
use crate::gguf::{GgufError, GgufModel, is_gguf};
use crate::model::Model;
use crate::tokenizer;

/// Files that make up a tokenizer, and what generation needs; each is copied if it is there.
const TOKENIZER_FILES: [&str; 9] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "tokenizer.model",
    "generation_config.json",
];

/// Writes `model.safetensors`, `config.json` and, if `tokenizer_source` is given, copies of that
/// folder's tokenizer files into `out`, which is created. The result loads in Python's
/// transformers and in [`Model::load`].
///
/// Weights are written in the type they have, one tensor at a time, under the names of
/// its class there. Every file is written under a temporary name, flushed to the disk and then
/// renamed, so that an interruption leaves either the old file or the new one.
///
/// # Errors
/// The model has an adapter, something cannot be written or copied, or a parameter is not of a float type.
pub fn save_pretrained<B: ModelBackend>(
    model: &Model<B>,
    config: &ModelConfig,
    tokenizer_source: Option<&Path>,
    out: &Path,
) -> Result<(), SaveError> {
    if model.adapter().is_some() {
        return Err(SaveError::Adapter);
    }
    fs::create_dir_all(out).map_err(|source| SaveError::Write {
        path: out.to_owned(),
        source,
    })?;
    let parameters = Parameters::of(model, hub_name)?;
    let dtype = parameters.dtype.unwrap_or(DType::F32);
    write_tensors(parameters.tensors, &out.join("model.safetensors"))?;
    write(&out.join("config.json"), config.to_json(dtype))?;
    match tokenizer_source {
        Some(folder) => copy_tokenizer(folder, out),
        None => Ok(()),
    }
}

/// The name in Hugging Face's files of the parameter with this path.
pub(crate) fn hub_name(path: &str) -> Option<String> {
    Some(match path.starts_with("lm_head.") {
        true => path.to_owned(),
        false => format!("model.{path}"),
    })
}

/// Writes a safetensors file as a whole or not at all.
pub(crate) fn write_tensors(
    tensors: Vec<(String, StoredTensor)>,
    path: &Path,
) -> Result<(), SaveError> {
    zograd_files::replace(path, |path| write_safetensors(tensors, path)).map_err(failed(path))
}

fn copy_tokenizer(folder: &Path, out: &Path) -> Result<(), SaveError> {
    if is_gguf(folder) {
        let file = |error: GgufError| SaveError::Tokenizer {
            path: folder.to_owned(),
            source: io::Error::other(error),
        };
        let model = GgufModel::open(folder).map_err(file)?;
        let json = model.tokenizer_json().map_err(file)?;
        write(&out.join("tokenizer.json"), format!("{json:#}\n"))?;
        return match model.chat_template().map_err(file)? {
            Some(template) => write(&out.join("chat_template.jinja"), template),
            None => Ok(()),
        };
    }
    for name in TOKENIZER_FILES {
        let from = folder.join(name);
        if !from.is_file() {
            continue;
        }
        // read whole before writing: `folder` and `out` may be the same
        let bytes = zograd_files::read(&from, tokenizer::MAX_BYTES)
            .map_err(|source| SaveError::Tokenizer { path: from, source })?;
        write(&out.join(name), bytes)?;
    }
    Ok(())
}

/// Writes a file as a whole or not at all.
pub(crate) fn write(path: &Path, contents: impl AsRef<[u8]>) -> Result<(), SaveError> {
    zograd_files::write(path, contents).map_err(failed(path))
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> SaveError {
    let path = path.to_owned();
    |source| SaveError::Write { path, source }
}

/// Collects handles of parameters; the values leave the device when they are written.
pub(crate) struct Parameters {
    /// Name in the file of the parameter at a path; `None`: it is left out.
    name: fn(&str) -> Option<String>,
    /// Names of the modules on the way to the current one.
    path: ParameterPath,
    pub tensors: Vec<(String, StoredTensor)>,
    pub dtype: Option<DType>,
    refused: Option<(String, DType)>,
}

impl Parameters {
    /// Those of `module` that `name` names.
    pub fn of<B: Backend, M: Module<B>>(
        module: &M,
        name: fn(&str) -> Option<String>,
    ) -> Result<Self, SaveError> {
        let mut parameters = Self {
            name,
            path: ParameterPath::default(),
            tensors: Vec::new(),
            dtype: None,
            refused: None,
        };
        module.visit(&mut parameters);
        match parameters.refused {
            Some((tensor, dtype)) => Err(SaveError::Dtype { tensor, dtype }),
            None => Ok(parameters),
        }
    }
}

impl<B: Backend> ModuleVisitor<B> for Parameters {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.path.exit(container);
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let Some(name) = (self.name)(&self.path.name()) else {
            return;
        };
        let tensor = param.val();
        let Some(dtype) = Float::of(tensor.dtype()) else {
            self.refused.get_or_insert((name, tensor.dtype()));
            return;
        };
        self.dtype.get_or_insert(tensor.dtype());
        let tensor = StoredTensor {
            dtype,
            shape: tensor.dims().to_vec(),
            data: Box::new(move || Box::new(pieces(tensor.clone()))),
        };
        self.tensors.push((name, tensor));
    }
}
