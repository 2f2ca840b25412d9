//! `zograd export`: a tuned model as the little that tells it from its base.

use super::eval::{load, set_threads};
use super::log::note_tail;
use crate::args::{BackendName, DtypeName, ExportArgs};
use crate::backend::{self, Job, TrainBackend};
use crate::failure::WhileRunning;
use crate::output::answer;
use crate::run_folder::{LOG, RunFolder};
use anyhow::{Context, Result, bail};
use burn::tensor::DType;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::Path;
use std::process::ExitCode;
use zograd_files::MAX_SMALL_BYTES;
use zograd_models::content_hash;
use zograd_trainer::trajectory::{Trajectory, TrajectoryWriter};

/// Name of the file that says what an exported log leads to.
pub const MANIFEST: &str = "export.json";

/// What an exported log leads from and to.
#[derive(Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of zograd that packed it.
    pub zograd: String,
    /// The base model as the run was given it.
    pub base: String,
    /// Content hash of the base's weights.
    pub base_weights: String,
    /// The step of the tuned weights: the last one in the log.
    pub step: u64,
    /// Content hash of the tuned weights.
    pub weights: String,
}

/// Packs the log of a run up to its best step, its settings and the hashes of the weights at both ends.
///
/// # Errors
/// A folder without a run or without tuned weights, an output folder that is not empty.
pub fn run(args: ExportArgs) -> Result<ExitCode> {
    if !args.log_only {
        bail!(
            "--log-only: say so; the tuned model itself is the folder {} already",
            args.run.join("best").display()
        );
    }
    set_threads(None)?;
    let named = || args.run.display().to_string();
    let log = args.run.join(LOG);
    if args.run.join("summary.json").exists() && !log.exists() {
        bail!(
            "{}: a run of a gradient method or of linear probing has no log; its weights are in best/",
            named()
        );
    }
    let mut log = Trajectory::read(&log).with_context(named)?;
    note_tail(&log.tail);
    RunFolder::check(&args.out)?;
    if log.header.adapter.is_some() {
        bail!(
            "{}: the run tuned an adapter, which is small already: share {}, or the run's {LOG}",
            named(),
            args.run.join("best").display()
        );
    }
    let summary = zograd_files::read_text(&args.run.join("summary.json"), MAX_SMALL_BYTES)
        .with_context(|| format!("{}: the run is not finished", named()))?;
    let summary: Value = serde_json::from_str(&summary).with_context(named)?;
    let last = log.records.len() as u64;
    let step = summary["best_step"].as_u64().unwrap_or(last);
    if step > last {
        bail!("{}: the log ends before the best step, {step}", named());
    }
    let backend = match log.header.dtype.as_str() {
        "f32" => BackendName::Ndarray,
        _ => BackendName::Flex,
    };
    let name: DtypeName = serde_json::from_value(json!(log.header.dtype)).with_context(named)?;
    let job = HashJob {
        folder: &args.run.join("best"),
        dtype: backend::dtype(backend, name)?,
    };
    let manifest = Manifest {
        zograd: env!("CARGO_PKG_VERSION").into(),
        base: log.header.model.clone(),
        base_weights: log.header.weights.clone(),
        step,
        weights: backend::dispatch(backend, job)?,
    };
    log.records.truncate(step as usize);
    let bytes = pack(&args, &log, &manifest).context(WhileRunning)?;
    if args.json {
        answer(json!({"out": args.out, "bytes": bytes, "manifest": manifest}))?;
    } else {
        answer(format_args!(
            "{step} steps in {bytes} bytes: {}",
            args.out.display()
        ))?;
        answer(format_args!(
            "rebuild it with: zograd replay --log {} --model {} --out tuned",
            args.out.join(LOG).display(),
            manifest.base
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes the three files; returns their size.
fn pack(args: &ExportArgs, log: &Trajectory, manifest: &Manifest) -> Result<u64> {
    let out = |name: &str| args.out.join(name);
    std::fs::create_dir_all(&args.out).with_context(|| args.out.display().to_string())?;
    let mut writer = TrajectoryWriter::create(&out(LOG), log.header.clone())?;
    for record in &log.records {
        writer.append(record)?;
    }
    writer.sync()?;
    let config = args.run.join("config.toml");
    let copied =
        std::fs::copy(&config, out("config.toml")).with_context(|| config.display().to_string())?;
    let text = serde_json::to_string_pretty(manifest)? + "\n";
    std::fs::write(out(MANIFEST), &text).with_context(|| out(MANIFEST).display().to_string())?;
    Ok(writer.bytes() + copied + text.len() as u64)
}

/// Whether replayed weights are those that the file beside the log promises; `None` if there is no such file, or it
/// speaks of another step.
pub fn as_promised(log: &Path, step: u64, weights: &str) -> Option<bool> {
    let text = zograd_files::read_text(&log.with_file_name(MANIFEST), MAX_SMALL_BYTES).ok()?;
    let manifest: Manifest = serde_json::from_str(&text).ok()?;
    (manifest.step == step).then(|| manifest.weights == weights)
}

struct HashJob<'a> {
    folder: &'a Path,
    dtype: DType,
}

impl Job for HashJob<'_> {
    type Output = String;

    fn run<B: TrainBackend>(self, device: &B::Device) -> Result<String> {
        Ok(content_hash(&load::<B>(self.folder, self.dtype, device)?))
    }
}
