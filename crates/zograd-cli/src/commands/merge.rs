//! `zograd merge`: a plain model from a model and its LoRA adapter.

use super::adapter;
use super::eval::load;
use crate::args::{BackendName, DtypeName, MergeArgs};
use crate::backend::{self, Job, TrainBackend};
use crate::failure::WhileRunning;
use crate::inputs::Sources;
use crate::output::answer;
use crate::run_folder::RunFolder;
use anyhow::{Context, Result, bail};
use burn::tensor::DType;
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;
use zograd_models::{AdapterConfig, OptConfig, content_hash};

/// Merges an adapter into its model.
///
/// # Errors
/// An adapter that does not fit or is no LoRA, a folder that is not empty.
pub fn run(args: &MergeArgs) -> Result<ExitCode> {
    RunFolder::check(&args.out)?;
    let sources = Sources::find(args.model.as_deref(), args.tokenizer.as_deref(), None, None)?;
    let config = OptConfig::from_folder(&sources.model).context("--model")?;
    if let AdapterConfig::Prefix(_) = adapter::check(&args.adapter, &config)? {
        bail!(
            "--adapter {}: a prefix is no change of weights and cannot be merged; use it with `zograd eval --adapter`",
            args.adapter.display()
        );
    }
    let name = args.dtype.unwrap_or(DtypeName::F32);
    let backend = match name {
        DtypeName::F32 => BackendName::Ndarray,
        DtypeName::F16 | DtypeName::Bf16 => BackendName::Flex,
    };
    let job = MergeJob {
        model: &sources.model,
        tokenizer: &sources.tokenizer,
        adapter: &args.adapter,
        out: &args.out,
        dtype: backend::dtype(backend, name)?,
    };
    let weights = backend::dispatch(backend, job)?;
    if args.json {
        answer(json!({"out": args.out, "weights": weights}))?;
    } else {
        answer(format_args!("merged into {}", args.out.display()))?;
        answer(format_args!("weights {weights}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

struct MergeJob<'a> {
    model: &'a Path,
    tokenizer: &'a Path,
    adapter: &'a Path,
    out: &'a Path,
    dtype: DType,
}

impl Job for MergeJob<'_> {
    type Output = String;

    fn run<B: TrainBackend>(self, device: &B::Device) -> Result<String> {
        let base = load::<B>(self.model, self.dtype, device)?;
        let model = adapter::attach(base, self.adapter)?.merged()?;
        zograd_models::save_pretrained(&model, model.config(), Some(self.tokenizer), self.out)
            .context(WhileRunning)?;
        Ok(content_hash(&model))
    }
}
