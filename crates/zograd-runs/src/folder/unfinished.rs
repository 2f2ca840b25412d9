//! A folder that is there as a whole or not at all.

use super::lock::{LOCK, Lock};
use super::manifest::MANIFEST;
use crate::error::{Blame, Result, refuse};
use crate::words::as_text;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// What is behind the name of a folder that is not whole, and in an empty folder that somebody has made the name of the
/// one in it.
const PARTIAL: &str = "partial";

/// What makes others take a folder for a whole one.
const TELLING: [&str; 3] = ["config.json", "adapter_config.json", MANIFEST];

/// A folder that is written under another name, beside the one it is to have: a killed process leaves nothing that looks
/// whole. Where an empty folder was made for it beforehand, it is written inside, and its files are moved up at the end.
/// It is removed if it is dropped before it is finished.
pub(crate) struct Unfinished {
    out: PathBuf,
    place: PathBuf,
    /// Folders that were made for it.
    above: Vec<PathBuf>,
    finished: bool,
    /// No other process writes here.
    _lock: Lock,
}

impl Unfinished {
    /// Refuses a name that is taken: nothing is ever written over, but what an interrupted process has left unfinished.
    ///
    /// # Errors
    /// A file, or a folder with something in it; a name that is no UTF-8.
    pub(crate) fn check(out: &Path) -> Result<()> {
        let named = || format!("`out = {}`", out.display());
        as_text(out).about("`out`")?;
        if out.as_os_str().is_empty() {
            refuse!("`out`: the name of the folder is empty");
        }
        let place = place(out);
        let is_no_matter =
            |entry: &std::fs::DirEntry| entry.path() == place || entry.file_name() == LOCK;
        let taken = match std::fs::read_dir(out) {
            Ok(mut entries) => entries.any(|entry| !entry.is_ok_and(|entry| is_no_matter(&entry))),
            Err(_) if out.is_symlink() && !out.exists() => {
                refuse!("{}: it is a link that leads nowhere; remove it", named())
            }
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            Err(error) => return Err(error).about(named()),
        };
        if taken {
            refuse!(
                "{}: the folder is not empty; name a new one, or remove it",
                named()
            );
        }
        if zograd_files::exists(&place) && !is_ours(&place) {
            refuse!(
                "{}: {} is in the way, where it is written until it is whole; remove it",
                named(),
                place.display()
            );
        }
        Ok(())
    }

    /// Takes the name, and makes the folder under its other name.
    ///
    /// # Errors
    /// As [`Self::check`], another process does the same, or the folder cannot be made.
    pub(crate) fn begin(out: &Path) -> Result<Self> {
        let named = || format!("`out = {}`", out.display());
        Self::check(out)?;
        let place = place(out);
        let missing = place.ancestors().skip(1);
        let missing =
            missing.take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists());
        let above: Vec<PathBuf> = missing.map(Path::to_owned).collect();
        if let Some(folder) = above.first() {
            std::fs::create_dir_all(folder).about(named())?;
        }
        zograd_files::make_folder(&place).about(named())?;
        let begun = Self {
            _lock: Lock::take(&place).about(named())?,
            out: out.to_owned(),
            place,
            above,
            finished: false,
        };
        // what an interrupted process left
        for entry in std::fs::read_dir(&begun.place).about(named())?.flatten() {
            if entry.file_name() != LOCK {
                zograd_files::remove(&entry.path()).about(named())?;
            }
        }
        Ok(begun)
    }

    /// Where to write.
    pub(crate) fn path(&self) -> &Path {
        &self.place
    }

    /// Gives the folder its name. All that is in it is on the disk.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn finish(mut self) -> Result<()> {
        let moved = self.give_name();
        moved.on_file(&self.out)?;
        self.finished = true;
        Ok(())
    }

    fn give_name(&self) -> std::io::Result<()> {
        zograd_files::remove(&self.place.join(LOCK))?;
        if !self.out.exists() {
            std::fs::rename(&self.place, &self.out)?;
            return zograd_files::sync_folder(self.out.parent().unwrap_or(Path::new("")));
        }
        let entries: Result<Vec<_>, _> = std::fs::read_dir(&self.place)?.collect();
        let mut names: Vec<_> = entries?.iter().map(std::fs::DirEntry::file_name).collect();
        // these last
        names.sort_by_key(|name| TELLING.iter().any(|telling| name == telling));
        for name in names {
            std::fs::rename(self.place.join(&name), self.out.join(&name))?;
        }
        std::fs::remove_dir(&self.place)?;
        zograd_files::sync_folder(&self.out)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        // what stays costs space only
        let _ = zograd_files::remove(&self.place);
        for folder in &self.above {
            let _ = std::fs::remove_dir(folder);
        }
    }
}

/// Where a folder is until it is whole.
fn place(out: &Path) -> PathBuf {
    match out.exists() {
        true => out.join(PARTIAL),
        false => out.with_added_extension(PARTIAL),
    }
}

/// Whether a folder was made by this program, which locks it first.
fn is_ours(place: &Path) -> bool {
    let is_folder = place.symlink_metadata().is_ok_and(|found| found.is_dir());
    let is_empty = || std::fs::read_dir(place).is_ok_and(|mut entries| entries.next().is_none());
    is_folder && (place.join(LOCK).exists() || is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("a folder").flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn a_folder_has_its_name_when_it_is_whole() {
        let dir = tempfile::tempdir().expect("a folder");
        for out in ["new", "a/b/new", "made"].map(|name| dir.path().join(name)) {
            if out.ends_with("made") {
                fs::create_dir(&out).expect("made");
            }
            let begun = Unfinished::begin(&out).expect("free");
            fs::write(begun.path().join("config.json"), "{}").expect("written");
            fs::write(begun.path().join("model.safetensors"), "").expect("written");
            assert!(!out.join("config.json").exists());
            begun.finish().expect("whole");
            assert_eq!(names(&out), ["config.json", "model.safetensors"]);
            let error = Unfinished::check(&out).expect_err("taken").to_string();
            assert!(error.contains("not empty"), "{error}");
        }
        assert_eq!(names(dir.path()), ["a", "made", "new"]);
    }

    #[test]
    fn what_is_given_up_leaves_nothing_and_what_was_killed_is_begun_again() {
        let dir = tempfile::tempdir().expect("a folder");
        let out = dir.path().join("a/new");
        drop(Unfinished::begin(&out).expect("free"));
        assert!(names(dir.path()).is_empty());
        let killed = Unfinished::begin(&out).expect("free");
        let error = Unfinished::begin(&out)
            .map(drop)
            .expect_err("two at a time");
        assert!(error.to_string().contains("another process"), "{error}");
        fs::write(killed.path().join("old"), "").expect("written");
        let left = killed.path().to_owned();
        let kept = dir.path().join("kept");
        fs::rename(&left, &kept).expect("moved");
        drop(killed);
        fs::create_dir(dir.path().join("a")).expect("made");
        fs::rename(&kept, &left).expect("moved back");
        Unfinished::begin(&out)
            .expect("again")
            .finish()
            .expect("whole");
        assert!(names(&out).is_empty());
    }

    #[test]
    fn what_somebody_else_made_is_left_alone() {
        let dir = tempfile::tempdir().expect("a folder");
        let theirs = dir.path().join("new.partial");
        fs::create_dir(&theirs).expect("made");
        fs::write(theirs.join("precious"), "x").expect("written");
        let error = Unfinished::begin(&dir.path().join("new")).map(drop);
        let error = error.expect_err("in the way").to_string();
        assert!(error.contains("new.partial is in the way"), "{error}");
        assert_eq!(names(&theirs), ["precious"]);
    }
}
