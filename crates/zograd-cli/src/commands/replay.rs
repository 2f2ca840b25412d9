//! `zograd replay`: the weights of a run from its log.

use super::adapter;
use super::eval::{load, set_threads};
use super::export::as_promised;
use super::log::note_tail;
use super::train::{start_folder, without_adapter};
use crate::args::{BackendName, DtypeName, ReplayArgs};
use crate::backend::{self, Job, TrainBackend};
use crate::failure::WhileRunning;
use crate::inputs::Sources;
use crate::output::answer;
use crate::progress::Progress;
use crate::run_folder::RunFolder;
use crate::walk::Walk;
use anyhow::{Context, Result, bail};
use burn::tensor::DType;
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;
use zograd_models::{BaseNote, content_hash};
use zograd_perturb::{Arithmetic, ParameterSpace, noise};
use zograd_trainer::trajectory::{Header, Record, Trajectory, replay};

/// Rebuilds a tuned model.
///
/// # Errors
/// A log that cannot be read or is not this model's, a step it does not have, a folder that is not empty.
pub fn run(args: ReplayArgs) -> Result<ExitCode> {
    set_threads(args.threads)?;
    let log = Trajectory::read(&args.log).context("--log")?;
    note_tail(&log.tail);
    let steps = args.to_step.unwrap_or(log.records.len() as u64);
    let Some(records) = log.records.get(..steps as usize) else {
        bail!("--to-step {steps}: the log has {} steps", log.records.len());
    };
    check_noise(&log.header).with_context(|| format!("--log {}", args.log.display()))?;
    RunFolder::check(&args.out)?;
    let sources = Sources::find(args.model.as_deref(), args.tokenizer.as_deref(), None, None)?;
    let backend = args.backend.unwrap_or(BackendName::Ndarray);
    let name: DtypeName = serde_json::from_value(json!(log.header.dtype)).context("--log")?;
    let job = ReplayJob {
        model: &sources.model,
        tokenizer: &sources.tokenizer,
        dtype: backend::dtype(backend, name)?,
        start: &start_folder(args.log.parent().unwrap_or(Path::new(""))),
        header: &log.header,
        records,
        out: &args.out,
    };
    let weights = backend::dispatch(backend, job)?;
    let promised = as_promised(&args.log, steps, &weights);
    if args.json {
        let report =
            json!({"steps": steps, "weights": weights, "out": args.out, "as_exported": promised});
        answer(report)?;
    } else {
        answer(format_args!(
            "{steps} steps replayed into {}",
            args.out.display()
        ))?;
        let note = match promised {
            Some(true) => ", as exported",
            Some(false) => ", NOT those that were exported",
            None => "",
        };
        answer(format_args!("weights {weights}{note}"))?;
    }
    Ok(ExitCode::from(u8::from(promised == Some(false))))
}

/// Refuses a log whose noise this program cannot make.
///
/// # Errors
/// Another version of the noise.
pub fn check_noise(header: &Header) -> Result<()> {
    if header.noise_version != noise::VERSION {
        bail!(
            "its noise is version {}, this zograd makes version {}; use the zograd that wrote it",
            header.noise_version,
            noise::VERSION
        );
    }
    Ok(())
}

/// Refuses weights that are not those the run started from.
///
/// # Errors
/// Another hash.
pub fn check_base(header: &Header, found: &str) -> Result<()> {
    if header.weights != found {
        bail!(
            "--model: the run started from other weights: {} ({}), these are {found}; give the model it \
             started from",
            header.weights,
            header.model
        );
    }
    Ok(())
}

struct ReplayJob<'a> {
    model: &'a Path,
    tokenizer: &'a Path,
    dtype: DType,
    /// Where the run may have kept the adapter it began with.
    start: &'a Path,
    header: &'a Header,
    records: &'a [Record],
    out: &'a Path,
}

impl Job for ReplayJob<'_> {
    type Output = String;

    fn run<B: TrainBackend>(self, device: &B::Device) -> Result<String> {
        let base = load::<B>(self.model, self.dtype, device)?;
        check_base(self.header, &content_hash(&base))?;
        let model = match &self.header.adapter {
            Some(start) => start.again(base, self.start).context("--log")?,
            None => without_adapter(base, &self.header.selection),
        };
        let space = ParameterSpace::select(&model, &self.header.selection)?;
        let header = self.header;
        let anchor = self.out.with_extension("anchor.f32");
        let walk = Walk::from_start(&model, space, header, anchor.clone())?;
        let mut model = walk.begin(model)?;
        let mut strategy = self.header.method.build()?;
        let mut progress = Progress::new("replay", self.records.len() as u64);
        replay(
            &mut model,
            strategy.as_mut(),
            self.header,
            self.records,
            |step| {
                progress.set(step, String::new);
            },
        )
        .context(WhileRunning)?;
        progress.finish();
        if header.arithmetic == Arithmetic::Anchored {
            std::fs::remove_file(&anchor)
                .with_context(|| anchor.display().to_string())
                .context(WhileRunning)?;
        }
        let model = model.into_module()?;
        let base = BaseNote {
            model: self.header.model.clone(),
            weights: self.header.weights.clone(),
            dtype: self.header.dtype.clone(),
        };
        adapter::keep(&model, &base, Some(self.tokenizer), self.out).context(WhileRunning)?;
        Ok(adapter::tuned_hash(&model))
    }
}
