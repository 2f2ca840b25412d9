//! A tuned model as the little that tells it from its base.

use crate::Runs;
use crate::backend::{Job, RunBackend, dispatch};
use crate::error::{Blame, Result, refuse};
use crate::folder::{
    BEST, CONFIG, LOG, MANIFEST, METRICS, Manifest, OptionBiases, RunRecord, SUMMARY, Summary,
    TaskNote, Unfinished, check_replays, names_a_place, note_tail,
};
use crate::inputs::load_own;
use crate::settings::{Machine, Storage};
use crate::watch::Watch;
use crate::words::count;
use serde::Serialize;
use std::path::{Path, PathBuf};
use zograd_files::MAX_SMALL_BYTES;
use zograd_models::content_hash;
use zograd_trainer::trajectory::{Trajectory, TrajectoryWriter};

/// What to do where the best weights are not what they were.
const AGAIN: &str = "a replay of the run's log with `best` makes the best weights again";

/// What was exported.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Exported {
    /// Where it is.
    pub out: PathBuf,
    /// The size of its files together.
    pub bytes: u64,
    /// What it says of itself.
    pub manifest: Manifest,
}

impl Exported {
    /// The exported log.
    pub fn log(&self) -> PathBuf {
        self.out.join(LOG)
    }
}

impl Runs {
    /// Packs the log of a run up to its best step, its settings and the hashes of the weights at both ends.
    ///
    /// # Errors
    /// A folder without a run or without tuned weights, an output folder that is not empty.
    pub fn export(&self, run: &Path, out: &Path, watch: &mut dyn Watch) -> Result<Exported> {
        let named = || run.display().to_string();
        let log = run.join(LOG);
        if run.join(SUMMARY).exists() && !log.exists() {
            refuse!(
                "{}: a run of a gradient method or of linear probing has no log; its weights are in {BEST}/",
                named()
            );
        }
        if !zograd_files::exists(&log) {
            refuse!(
                "{}: no folder of a run that made a step (it has no {LOG}); name the one that `train` wrote",
                named()
            );
        }
        let mut log = Trajectory::read(&log).about_file(run)?;
        check_replays(&log.header).about_file(run)?;
        note_tail(&log.tail, watch);
        Unfinished::check(out)?;
        if log.header.adapter.is_some() {
            refuse!(
                "{}: the run tuned an adapter, which is small already: share {}, or the run's {LOG}",
                named(),
                run.join(BEST).display()
            );
        }
        let last = log.records.len() as u64;
        let summary = summary(run)?;
        if summary.steps != last {
            refuse!(
                "{}: the log has {} and {SUMMARY} says {}: one of them was changed",
                named(),
                count(last, "step"),
                summary.steps
            );
        }
        let record = RunRecord::read(run)?;
        if record.best().map(|best| best.step) != summary.best_step {
            refuse!(
                "{}: {SUMMARY} and {METRICS} name other best steps: one of them was changed",
                named()
            );
        }
        let step = summary.best_step.unwrap_or(last);
        let machine = Machine::cpu(log.header.dtype).complete()?;
        let job = HashJob {
            folder: &run.join(BEST),
            storage: machine.storage(),
        };
        let manifest = Manifest {
            zograd: env!("CARGO_PKG_VERSION").into(),
            base: log.header.model.clone(),
            base_weights: log.header.weights.clone(),
            step,
            logit_shift: summary.logit_shift,
            weights: dispatch(&machine, job).about(AGAIN)?,
        };
        if summary
            .best_weights
            .is_some_and(|best| best != manifest.weights)
        {
            refuse!(
                "{AGAIN}: {}: {BEST}/ does not hold the weights that the run put there",
                named()
            );
        }
        log.records.truncate(step as usize);
        let begun = Unfinished::begin(out)?;
        let bytes = pack(run, begun.path(), &log, &manifest).while_running()?;
        begun.finish()?;
        Ok(Exported {
            out: out.to_owned(),
            bytes,
            manifest,
        })
    }
}

/// What came out of a finished run.
fn summary(run: &Path) -> Result<Summary> {
    let path = run.join(SUMMARY);
    let text = zograd_files::read_text(&path, MAX_SMALL_BYTES)
        .about("the run is not finished")
        .about_file(run)?;
    serde_json::from_str(&text).about_file(&path)
}

/// Writes the files into an empty folder; returns their size.
fn pack(run: &Path, to: &Path, log: &Trajectory, manifest: &Manifest) -> Result<u64> {
    let out = |name: &str| to.join(name);
    let mut writer = TrajectoryWriter::create(&out(LOG), log.header.clone()).while_running()?;
    for record in &log.records {
        writer.append(record).while_running()?;
    }
    writer.sync().while_running()?;
    // what the weights were tuned for
    TaskNote::carry(&run.join(BEST), to)?;
    OptionBiases::carry(&run.join(BEST), to)?;
    let write =
        |name: &str, text: String| zograd_files::write(&out(name), text).on_file(&out(name));
    write(CONFIG, without_places(&run.join(CONFIG))?)?;
    let text = serde_json::to_string_pretty(manifest).while_running()? + "\n";
    write(MANIFEST, text)?;
    let mut bytes = 0;
    for entry in std::fs::read_dir(to).on_file(to)? {
        bytes += entry.and_then(|entry| entry.metadata()).on_file(to)?.len();
    }
    Ok(bytes)
}

/// The settings, in which places on this disk, which are nobody else's business, are left out; of that of the rows its name
/// stays.
fn without_places(config: &Path) -> Result<String> {
    let text = zograd_files::read_text(config, MAX_SMALL_BYTES).about_file(config)?;
    let mut settings: toml::Table = text.parse().about_file(config)?;
    if let Some(toml::Value::String(data)) = settings.get_mut("data")
        && let Some(name) = Path::new(data).file_name().and_then(|name| name.to_str())
    {
        *data = name.to_owned();
    }
    settings.retain(|_, value| !value.as_str().is_some_and(names_a_place));
    Ok(settings.to_string())
}

struct HashJob<'a> {
    folder: &'a Path,
    storage: Storage,
}

impl Job for HashJob<'_> {
    type Output = String;

    fn run<B: RunBackend>(self, device: &B::Device) -> Result<String> {
        let model = load_own::<B>(self.folder, self.storage, device)?;
        Ok(content_hash(&model))
    }
}
