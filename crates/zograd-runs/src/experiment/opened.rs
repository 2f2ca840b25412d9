//! The folder of several runs: made anew, or opened again.

use super::kept;
use super::together::{self, Opened};
use crate::Runs;
use crate::error::{Blame, Result, RunError, refuse};
use crate::folder::{Lock, RunFolder};
use crate::ranks::Fact;
use crate::settings::{Given, Machine};
use crate::words::as_text;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use zograd_files::MAX_SMALL_BYTES;

/// Settings that say where something is which the runs do not keep.
pub(super) const PLACES: [&str; 3] = ["model", "tokenizer", "data"];

/// What is to be done in a folder, written in a file of it.
pub(super) trait Plan: Serialize + DeserializeOwned {
    /// The name of its file.
    const FILE: &'static str;
    /// What the folder is called.
    const NAME: &'static str;
    /// How the name of a folder ends that nobody named.
    const ENDING: &'static str;

    /// The task of its runs.
    fn task(&self) -> String;

    /// The settings that its runs share, as often as they stand in it.
    fn shared(&mut self) -> Vec<&mut toml::Table>;
}

impl<P: Plan> Opened<P> {
    /// A new folder, `out` if it is named, in which nothing but the plan and copies of the files that it names has been
    /// written. The first of several ranks makes it.
    ///
    /// # Errors
    /// Those of `plan`, or the folder cannot be made; ranks that were asked for other things, or do not see it.
    pub(super) fn new(
        runs: &Runs,
        asked: &[Fact],
        out: Option<PathBuf>,
        plan: impl FnOnce() -> Result<P>,
    ) -> Result<Self> {
        together::opened(&runs.ranks(), asked, P::FILE, || {
            let mut plan = plan()?;
            let text = toml::to_string(&plan).or_input()?;
            // each table names the same
            let files = plan.shared().first().map(|train| kept::read(train));
            let files = files.transpose()?.unwrap_or_default();
            let claimed = match out {
                Some(out) => RunFolder::claim(out)?,
                None => RunFolder::claim_free(&format!("{}-{}", plan.task(), P::ENDING))?,
            };
            let folder = claimed.path;
            let file = folder.join(P::FILE);
            zograd_files::write(&file, text).on_file(&file)?;
            kept::write(&folder, &files)?;
            Ok((folder, plan, claimed.lock))
        })
    }

    /// A folder that is there; `more` may hold `threads`, and `model`, `tokenizer` and `data` if they have moved: that they are
    /// the same is made sure of.
    ///
    /// # Errors
    /// There is no plan in it, or another process works in it.
    pub(super) fn again(runs: &Runs, folder: &Path, more: &Given) -> Result<Self> {
        let asked = together::asked(more, &[("`resume`", folder.display().to_string())]);
        together::opened(&runs.ranks(), &asked, P::FILE, || read(folder, more))
    }
}

fn read<P: Plan>(folder: &Path, more: &Given) -> Result<(PathBuf, P, Lock)> {
    let file = folder.join(P::FILE);
    let named = || format!("`resume = {}`", file.display());
    if let Err(key) = more.only(&["threads", "model", "tokenizer", "data"]) {
        refuse!(
            "`resume`: a {} is resumed with the settings it had ({}); only `threads` goes with it, and `model`, `tokenizer` and \
             `data` where they have moved; not `{key}`",
            P::NAME,
            file.display()
        );
    }
    more.clone().take::<Machine>()?.complete()?;
    let text = zograd_files::read_text(&file, MAX_SMALL_BYTES)
        .about(format!("this folder holds no {}", P::NAME))
        .about(named())?;
    let lock = Lock::take(folder).about("`resume`")?;
    let mut plan: P = toml::from_str(&text)
        .map_err(|e| RunError::input(e.message().trim()))
        .about(named())?;
    for train in plan.shared() {
        if let Some(threads) = more.get("threads") {
            train.insert("threads".into(), threads.clone());
        }
        for key in PLACES {
            if let Some(place) = more.text(key) {
                train.insert(key.into(), absolute(place)?.into());
            }
        }
        kept::put_back(folder, train)?;
    }
    Ok((folder.to_owned(), plan, lock))
}

/// A place as the settings of a run have it: a name of the hub stays one.
fn absolute(place: &str) -> Result<String> {
    match Path::new(place).exists() {
        true => as_text(&std::path::absolute(place).or_input()?).map(str::to_owned),
        false => Ok(place.to_owned()),
    }
}
