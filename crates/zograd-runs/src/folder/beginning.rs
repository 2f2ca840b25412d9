//! What is in a folder before its run has begun.

use super::files::{CHAT_TEMPLATE, CONFIG, EXAMPLES, INPUTS, LOG, METRICS, SEALS, START};
use super::lock::LOCK;
use std::ffi::OsStr;
use std::fs::DirEntry;
use std::io::Result;
use std::path::Path;

/// Whether nothing is lost if a run or an experiment begins in this folder: it is empty, or this program has taken it, and was
/// killed while it wrote what comes before the first step.
///
/// # Errors
/// It cannot be read.
pub(super) fn is_free(folder: &Path) -> Result<bool> {
    let (mut is_taken, mut is_empty) = (false, true);
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name() == LOCK {
            is_taken = true;
        } else if is_of_the_beginning(&entry)? {
            is_empty = false;
        } else {
            return Ok(false);
        }
    }
    Ok(is_empty || is_taken)
}

/// Removes what a killed process has left in a folder that [`is_free`] and locked.
///
/// # Errors
/// What the system says.
pub(super) fn clear(folder: &Path) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name() != LOCK {
            zograd_files::remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Files that are written before the log.
const KNOWN: [&str; 4] = [CONFIG, CHAT_TEMPLATE, EXAMPLES, INPUTS];

fn has(name: impl AsRef<Path>, ending: &str) -> bool {
    name.as_ref().extension() == Some(OsStr::new(ending))
}

/// Whether this is written before the log, which comes last.
fn is_of_the_beginning(entry: &DirEntry) -> Result<bool> {
    let (name, found) = (entry.file_name(), entry.metadata()?);
    if name == START {
        return Ok(found.is_dir());
    }
    if name == METRICS || name == SEALS {
        return Ok(found.is_file() && found.len() == 0);
    }
    let is_known = |name: &OsStr| KNOWN.iter().any(|known| *known == name);
    let is_unfinished = |name: &Path| {
        let whole = name.file_stem().filter(|_| has(name, "partial"));
        // the plan of a sweep or a comparison, too
        whole.is_some_and(|whole| is_known(whole) || whole == LOG || has(whole, "toml"))
    };
    Ok(found.is_file() && (is_known(&name) || is_unfinished(name.as_ref())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_comes_before_the_first_step_is_free_to_be_written_over() {
        let dir = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).expect("made");
        let is_free = || is_free(dir.path()).expect("read");
        assert!(is_free());
        // of somebody else
        write(CONFIG, "lr = 1e-5");
        assert!(!is_free());
        write(LOCK, "");
        let unfinished = [
            "inputs.json.partial",
            "trajectory.zog.partial",
            "sweep.toml.partial",
        ];
        for name in unfinished.into_iter().chain([EXAMPLES]) {
            write(name, "{}");
        }
        for name in [METRICS, SEALS] {
            write(name, "");
        }
        fs::create_dir(dir.path().join(START)).expect("made");
        assert!(is_free());
        let others = [
            ("trajectory.zog", ""),
            (METRICS, "{}"),
            ("notes", ""),
            ("thesis.doc.partial", ""),
        ];
        for (name, text) in others {
            write(name, text);
            assert!(!is_free(), "{name}");
            fs::remove_file(dir.path().join(name)).expect("removed");
        }
        assert!(is_free());
        clear(dir.path()).expect("cleared");
        let left = fs::read_dir(dir.path()).expect("read");
        let left: Vec<_> = left.map(|entry| entry.expect("read").file_name()).collect();
        assert_eq!(left, [LOCK]);
    }
}
