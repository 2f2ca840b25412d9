//! What `train` and `eval` read before they compute: model folder, tokenizer, task and rows.

use crate::failure::WhileRunning;
use crate::task;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zograd_tasks::{Dataset, Demonstrations, Form, Prompt, PromptEncoder, Sample, Task};

/// The name of the built-in task.
pub const EMBEDDED_TASK: &str = "toy";
/// The name of the built-in model in reports.
pub const EMBEDDED_MODEL: &str = "embedded";

/// Where the inputs come from.
pub struct Sources {
    /// The model in words, for reports.
    pub model_name: String,
    /// The task in words, for reports.
    pub task_name: String,
    /// The model folder.
    pub model: PathBuf,
    /// The tokenizer folder.
    pub tokenizer: PathBuf,
    /// How rows are read.
    pub task: Arc<dyn Task>,
    /// The rows.
    pub data: Dataset,
    /// Holds the unpacked built-in model while it is in use.
    _unpacked: Option<tempfile::TempDir>,
}

impl Sources {
    /// Finds everything, without loading weights.
    ///
    /// # Errors
    /// Whatever is missing, by the name of its flag.
    pub fn find(
        model: Option<&str>,
        tokenizer: Option<&Path>,
        task: Option<&str>,
        data: Option<&Path>,
    ) -> Result<Self> {
        let (model_name, model, unpacked) = match model {
            Some(name) => {
                let folder = zograd_models::hub::resolve(name).context("--model")?;
                if folder.join("adapter_config.json").exists()
                    && !folder.join("config.json").exists()
                {
                    bail!(
                        "--model {name}: it holds an adapter; give the model it belongs to, and the adapter \
                         with `zograd eval --adapter` or `zograd merge --adapter`"
                    );
                }
                (name.to_string(), folder, None)
            }
            None => {
                // the input is fine: if this fails, a disk is full
                let folder = tempfile::tempdir()
                    .context("a temporary folder for the built-in model")
                    .context(WhileRunning)?;
                zograd_embedded::unpack(folder.path())
                    .context("unpacking the built-in model")
                    .context(WhileRunning)?;
                (
                    EMBEDDED_MODEL.into(),
                    folder.path().join("model"),
                    Some(folder),
                )
            }
        };
        let (task_name, task, data) = match (task, data) {
            (Some(name), Some(folder)) => {
                let (task, data) = task::open(name, folder)?;
                (task.name().to_string(), task, data)
            }
            (None, None) => {
                let task = task::built_in(EMBEDDED_TASK)?;
                let (train, validation) = (zograd_embedded::TRAIN, zograd_embedded::VALIDATION);
                let data = Dataset::from_json_lines("built-in rows", train, validation);
                (EMBEDDED_TASK.into(), task, data)
            }
            (Some(task), None) => bail!("--task {task} needs --data, the folder with its rows"),
            (None, Some(_)) => {
                bail!("--data needs --task, the name of the task its rows belong to")
            }
        };
        Ok(Self {
            tokenizer: tokenizer.map_or_else(|| model.clone(), Path::to_path_buf),
            model_name,
            task_name,
            model,
            task,
            data,
            _unpacked: unpacked,
        })
    }
}

/// An encoder for the tokenizer in `folder`.
///
/// # Errors
/// A tokenizer that cannot be loaded.
pub fn encoder(folder: &Path, bos_id: Option<u32>, max_length: usize) -> Result<PromptEncoder> {
    let tokenizer = zograd_models::tokenizer::load(folder)
        .context("no usable tokenizer (give its folder with --tokenizer)")?;
    let encoder = PromptEncoder::new(tokenizer)
        .with_context(|| format!("--tokenizer {}", folder.display()))?
        .with_max_length(max_length);
    Ok(match bos_id {
        Some(id) => encoder.with_bos(Some(id)),
        None => encoder,
    })
}

/// What to subtract from the scores of candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calibration {
    /// Nothing.
    None,
    /// Their scores without the input.
    Sfc,
    /// Their scores without the input, after the demonstrations.
    IclSfc,
}

/// The prompts of `samples`: after the demonstrations, if there are any.
///
/// # Errors
/// A sample that cannot be made into a prompt.
pub fn prompts(
    encoder: &PromptEncoder,
    task: &dyn Task,
    samples: &[Sample],
    demonstrations: &[Sample],
    calibration: Calibration,
) -> Result<Vec<Prompt>> {
    let shown = Demonstrations::new(task, demonstrations);
    let form = match demonstrations {
        [] => Form::Train,
        _ => Form::InContext(&shown),
    };
    let calibration = match calibration {
        Calibration::None => None,
        Calibration::Sfc => Some(Form::Calibration),
        Calibration::IclSfc => Some(Form::InContextCalibration(&shown)),
    };
    let prepare = |sample| Ok(encoder.prepare(task, sample, form, calibration)?);
    samples.iter().map(prepare).collect()
}
