//! What a run, or the weights it kept, say of themselves, so that it need not be said again.

use crate::error::{Blame, Result, refuse};
use crate::folder::{BEST, CONFIG, ExampleRows, METRICS, TaskNote};
use crate::settings::{BUILT_IN_MODEL, Columns, Given, Owner, RewardOptions};
use crate::words::as_text;
use std::path::{Path, PathBuf};
use zograd_files::MAX_SMALL_BYTES;
use zograd_models::hub;
use zograd_tasks::{Dataset, Shares};

/// What makes a folder that of an adapter.
const ADAPTER: &str = "adapter_config.json";

/// What was given for a command that uses a model, completed by what its folder says of it: for the folder of a run its
/// best weights (with an adapter, the model it belongs to), and the task they were tuned for, unless one is given.
///
/// # Errors
/// A run that kept no weights, or files in it that cannot be read.
pub fn with_known(mut given: Given) -> Result<Given> {
    if let Some(Tuned { model, adapter }) = tuned(&given)? {
        given = given.with("model", model).with_some("adapter", adapter);
    }
    let Some(weights) = weights(&given) else {
        return Ok(given);
    };
    let Some(known) = TaskNote::read(&weights)? else {
        return Ok(given);
    };
    let is_same = given
        .text("task")
        .is_some_and(|task| known.text("task") == Some(task));
    Ok(match (names_task(&given), is_same) {
        (false, _) => given.or_suggested(known),
        // how chats become texts belongs to the weights, whoever says that the rows are chats
        (true, true) => {
            let template = known.get("chat-template").cloned();
            given.or_suggested(Given::new().with_some("chat-template", template))
        }
        (true, false) => given,
    })
}

/// What was given for a command that uses a tokenizer alone, completed in the same way where the tokenizer's folder is
/// that of a run or of the weights it kept. Then the tokenizer is that of a model, whose name is the second of the two;
/// so it is where the built-in model is named, or one of the hub.
///
/// # Errors
/// As [`with_known`].
pub fn with_known_tokenizer(given: Given) -> Result<(Given, Option<String>)> {
    let Some(folder) = given.text("tokenizer").map(str::to_owned) else {
        return Ok((given, None));
    };
    let known = with_known(given.with("model", folder.as_str()))?;
    let model = known.text("model").map(str::to_owned);
    let is_name = |model: &str| !Path::new(model).exists() && hub::check_name(model).is_ok();
    let model = model.filter(|model| *model != folder || model == BUILT_IN_MODEL || is_name(model));
    Ok((known.without("model").without("adapter"), model))
}

/// The model of the run that is named as one, with its best weights in it or as an adapter of it.
struct Tuned {
    model: String,
    adapter: Option<String>,
}

/// What the model that was given stands for, if it is a run, or the adapter that one kept.
///
/// # Errors
/// A run that kept no weights, or files in it that cannot be read.
fn tuned(given: &Given) -> Result<Option<Tuned>> {
    let (Some(model), None) = (given.text("model"), given.text("adapter")) else {
        return Ok(None);
    };
    let folder = PathBuf::from(model);
    // an adapter that a run kept says nothing of its model, which the run knows
    let of_adapter = folder
        .parent()
        .filter(|run| folder.ends_with(BEST) && folder.join(ADAPTER).is_file() && is_run(run));
    let run = of_adapter.map_or(folder.clone(), Path::to_owned);
    match is_run(&run) {
        true => of_run(&run).map(Some),
        false => Ok(None),
    }
}

/// Whether it says what rows are about.
pub(crate) fn names_task(given: &Given) -> bool {
    let mut columns = Columns::SETTINGS.iter();
    given.get("task").is_some()
        || columns.any(|setting| setting.key != "split" && given.get(setting.key).is_some())
}

/// The folder of what was tuned.
fn weights(given: &Given) -> Option<PathBuf> {
    let named = given.text("adapter").or(given.text("model"));
    named.map(PathBuf::from)
}

/// The run that the weights belong to.
fn run_of_weights(given: &Given) -> Option<PathBuf> {
    let run = weights(given)?.parent()?.to_owned();
    is_run(&run).then_some(run)
}

/// What answers are worth in the run that the weights belong to, if it was told.
///
/// # Errors
/// A run whose settings cannot be read.
pub(crate) fn reward_of_run(given: &Given) -> Result<Option<RewardOptions>> {
    let Some(run) = &run_of_weights(given) else {
        return Ok(None);
    };
    let settings = settings(run)?;
    let own = settings
        .into_iter()
        .filter(|(key, _)| RewardOptions::has(key));
    let own: toml::Table = own.collect();
    match own.is_empty() {
        true => Ok(None),
        false => own.try_into().about_file(&run.join(CONFIG)).map(Some),
    }
}

/// What was given with the rows of the run that the weights belong to, where none are given, and with how they were divided.
///
/// # Errors
/// A run whose settings cannot be read.
pub(crate) fn with_known_rows(given: Given) -> Result<Given> {
    let Some(run) = &run_of_weights(&given) else {
        return Ok(given);
    };
    let settings = settings(run)?;
    let said = |key: &str| settings.get(key).cloned();
    let is_the_same = match (given.text("data"), settings.get("data")) {
        (None, _) => true,
        (Some("-"), _) | (_, None) => false,
        (Some(data), Some(known)) => {
            let data = std::path::absolute(data).ok();
            data.as_deref() == known.as_str().map(Path::new)
        }
    };
    if !is_the_same {
        return Ok(given);
    }
    // of a single file the rows that were held back are those to measure with
    let split = said("split").or_else(|| {
        let file = settings.get("data").and_then(toml::Value::as_str);
        let is_one = file.is_some_and(|file| file != "-" && Dataset::is_one(file));
        is_one.then(|| Shares::default().to_string().into())
    });
    let known = Given::new().with_some(
        "data",
        said("data").filter(|data| data.as_str() != Some("-")),
    );
    Ok(given.or_suggested(known.with_some("split", split)))
}

/// The examples of the run that the weights belong to, where its rows are those that were given, divided in the same way.
///
/// # Errors
/// A run whose settings or examples cannot be read.
pub(crate) fn examples_of_run(given: &Given) -> Result<Option<ExampleRows>> {
    let Some(run) = &run_of_weights(given) else {
        return Ok(None);
    };
    let settings = settings(run)?;
    let said = |key: &str| settings.get(key).and_then(toml::Value::as_str);
    let data = given.text("data");
    let place = data.and_then(|data| std::path::absolute(data).ok());
    let is_there = place.as_deref() == said("data").map(Path::new);
    let usual = Shares::default().to_string();
    let split = given.text("split");
    let is_divided = split.is_none_or(|split| split == said("split").unwrap_or(&usual));
    match is_there && is_divided && data != Some("-") {
        true => ExampleRows::read(run).map(Some),
        false => Ok(None),
    }
}

/// The best weights of a run.
fn of_run(run: &Path) -> Result<Tuned> {
    let best = run.join(BEST);
    if best.join("config.json").is_file() {
        let model = as_text(&best)?.to_owned();
        return Ok(Tuned {
            model,
            adapter: None,
        });
    }
    if !best.join(ADAPTER).is_file() {
        refuse!(
            "`model = {}`: it is the folder of a run, which has kept no weights yet",
            run.display()
        );
    }
    let settings = settings(run)?;
    let model = settings.get("model").and_then(toml::Value::as_str);
    Ok(Tuned {
        model: model.unwrap_or(BUILT_IN_MODEL).to_owned(),
        adapter: Some(as_text(&best)?.to_owned()),
    })
}

fn is_run(folder: &Path) -> bool {
    folder.join(CONFIG).is_file() && folder.join(METRICS).is_file()
}

/// The settings of a run.
pub(super) fn settings(run: &Path) -> Result<toml::Table> {
    let path = run.join(CONFIG);
    let text = zograd_files::read_text(&path, MAX_SMALL_BYTES).about_file(&path)?;
    text.parse::<toml::Table>().about_file(&path)
}
