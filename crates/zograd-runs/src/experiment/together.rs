//! The folder of several runs, in which all ranks work.

use super::kept::KEPT;
use crate::Runs;
use crate::error::{Blame, Result, RunError};
use crate::folder::{LOCK, Lock, file_hash};
use crate::inputs::ModelSource;
use crate::ranks::{Fact, agreed, alike, from_first};
use crate::settings::{Given, Inputs, WITHOUT_EFFECT};
use crate::watch::Watch;
use crate::words::as_text;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::NamedTempFile;
use zograd_perturb::noise;
use zograd_ranks::{Incoming, Outgoing, Ranks};

/// A folder and the plan of its runs.
pub(super) struct Opened<P> {
    pub(super) folder: PathBuf,
    pub(super) plan: P,
    /// Keeps other programs out. The first rank has it, for all.
    pub(super) lock: Option<Arc<Lock>>,
}

/// What ranks that open a folder of runs were asked for, and with which program.
pub(super) fn asked(given: &Given, more: &[(&str, String)]) -> Vec<Fact> {
    let mut facts = vec![
        (
            "the version of zograd".into(),
            env!("CARGO_PKG_VERSION").into(),
        ),
        (
            "the version of the noise".into(),
            noise::VERSION.to_string(),
        ),
    ];
    for (key, value) in given.values() {
        if !WITHOUT_EFFECT.contains(&key.as_str()) {
            facts.push((format!("`{key}`"), value.to_string()));
        }
    }
    let more = more.iter();
    facts.extend(more.map(|(what, value)| ((*what).to_owned(), value.clone())));
    facts
}

/// What the first rank opens, on all of them: the others have the plan from it. `file` is the one that has the plan.
///
/// # Errors
/// Those of `open`; ranks that were asked for other things, or do not see the folder.
pub(super) fn opened<P: Serialize + DeserializeOwned>(
    ranks: &Ranks,
    asked: &[Fact],
    file: &str,
    open: impl FnOnce() -> Result<(PathBuf, P, Lock)>,
) -> Result<Opened<P>> {
    alike(ranks, asked)?;
    let mine = match ranks.leads() {
        true => open().and_then(|(folder, plan, lock)| {
            let handed = match ranks.is_alone() {
                true => None,
                false => Some(Handed::of(&folder, &plan)?),
            };
            let here = Opened {
                folder,
                plan,
                lock: Some(lock.into()),
            };
            Ok(Some((here, handed)))
        }),
        false => Ok(None),
    };
    let here = agreed(ranks, mine)?;
    if ranks.is_alone()
        && let Some((here, _)) = here
    {
        return Ok(here);
    }
    let (mine, handed) = here.map_or((None, None), |(here, handed)| (Some(here), handed));
    let (seen, sent) = handed.map_or((None, Outgoing::new()), |h| (Some(h.seen), h.sent));
    let said = from_first(ranks, sent)?;
    let folder = mine.as_ref().map(|mine| mine.folder.clone());
    let all = agreed(ranks, mine.map_or_else(|| there(&said), Ok));
    drop(seen);
    if let (Err(_), Some(folder)) = (&all, folder) {
        withdraw(&folder, file);
    }
    all
}

/// What the first rank hands to the others.
struct Handed {
    /// A file whose name nothing else has, by which they know that they see the folder.
    seen: NamedTempFile,
    /// Its name, the folder, the plan.
    sent: Outgoing,
}

impl Handed {
    fn of<P: Serialize>(folder: &Path, plan: &P) -> Result<Self> {
        let mut builder = tempfile::Builder::new();
        let seen = builder.prefix("ranks-").tempfile_in(folder);
        let seen = seen.on_file(folder)?;
        // by the way that leads to the folder, which the others take too
        let name = folder.join(seen.path().file_name().unwrap_or_default());
        let mut sent = Outgoing::new();
        sent.text(Some(as_text(&name)?));
        sent.text(Some(as_text(folder)?));
        sent.text(Some(&toml::to_string(plan).or_input()?));
        Ok(Self { seen, sent })
    }
}

/// What the first rank has opened, on another one.
fn there<P: DeserializeOwned>(bytes: &[u8]) -> Result<Opened<P>> {
    let mut from = Incoming::of(0, bytes);
    let mut text = |what| from.text(what).map(Option::unwrap_or_default);
    let (seen, folder) = (text("a file")?, text("a folder")?);
    let plan = text("a plan")?;
    if !Path::new(&seen).exists() {
        return Err(RunError::input(format!(
            "{folder}: the folder that rank 0 writes into is not to be seen here; ranks share runs by a folder that all of \
             them see, so start them in one folder of a disk that they share"
        )));
    }
    Ok(Opened {
        folder: folder.into(),
        plan: toml::from_str(&plan).or_input()?,
        lock: None,
    })
}

/// Finds the model on all ranks, on the first one first: what has to be fetched is fetched once. From then on a rank that is
/// asked to stop tells the others, which may have something to save. A process alone finds it with its first run.
///
/// # Errors
/// It is not found, or a rank has other files of the model or of the data.
pub(super) fn begin(train: &toml::Table, runs: &Runs, watch: &mut dyn Watch) -> Result<()> {
    let ranks = &runs.ranks();
    if ranks.is_alone() {
        return Ok(());
    }
    let inputs = Given::from(train.clone()).take::<Inputs>()?;
    let mut find = |first| match ranks.leads() == first {
        true => read_files(&inputs, watch).map(Some),
        false => Ok(None),
    };
    let first = agreed(ranks, find(true))?;
    let other = agreed(ranks, find(false))?;
    alike(ranks, &first.or(other).unwrap_or_default())?;
    watch.writing_begins();
    Ok(())
}

/// What the files of the model and of the data hold. They are read once, which is little beside the runs.
fn read_files(inputs: &Inputs, watch: &mut dyn Watch) -> Result<Vec<Fact>> {
    let model = ModelSource::find(inputs, watch)?;
    let mut facts = vec![("the model's files".to_owned(), contents(&model.folder)?)];
    for (what, path) in [
        ("the files of the data", inputs.data.as_deref()),
        ("the tokenizer's files", inputs.tokenizer.as_deref()),
        ("the task", inputs.task.as_deref().map(Path::new)),
        ("the chat template", inputs.chat_template.as_deref()),
    ] {
        // a task may be a name
        if let Some(path) = path.filter(|path| path.exists()) {
            facts.push((what.to_owned(), contents(path)?));
        }
    }
    Ok(facts)
}

/// The SHA-256 of a file, or of each file of a folder and of those in it, behind its name.
fn contents(path: &Path) -> Result<String> {
    if !path.is_dir() {
        return file_hash(path).on_file(path);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).on_file(path)? {
        files.push(entry.on_file(path)?.path());
    }
    // a link to a file counts as that file, and one to a folder not: it may lead in a circle
    files.retain(|file| file.is_file() || (file.is_dir() && !file.is_symlink()));
    files.sort();
    let each = files.iter().map(|file| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        Ok(match file.is_dir() {
            true => format!("{name}/ ({})", contents(file)?),
            false => format!("{name} {}", contents(file)?),
        })
    });
    Ok(each.collect::<Result<Vec<String>>>()?.join(", "))
}

/// Takes away a folder of runs that have not begun: input that is wrong leaves nothing behind.
pub(super) fn withdraw(folder: &Path, file: &str) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let own = [file, LOCK, KEPT];
    let mut names = entries.map(|entry| entry.file_name());
    if names.all(|name| own.iter().any(|own| name == *own)) {
        // what stays is in nobody's way
        let _ = std::fs::remove_dir_all(folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_equal_sizes_differ_by_what_they_hold() {
        let dir = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            std::fs::write(dir.path().join(name), text).expect("written");
            contents(dir.path()).expect("read")
        };
        write("b.json", "{}");
        let first = write("a.json", "[1]");
        assert!(first.starts_with("a.json ") && first.contains(", b.json "));
        assert_ne!(first, write("a.json", "[2]"));
        assert_eq!(first, write("a.json", "[1]"));
        std::fs::create_dir(dir.path().join("c")).expect("made");
        assert_ne!(write("c/d.json", "1"), write("c/d.json", "2"));
        std::fs::remove_dir_all(dir.path().join("c")).expect("removed");
        let file = contents(&dir.path().join("b.json")).expect("read");
        assert!(first.ends_with(&file), "{first}, {file}");
        assert!(contents(&dir.path().join("c.json")).is_err());
    }
}
