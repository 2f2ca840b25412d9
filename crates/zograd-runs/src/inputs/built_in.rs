//! The built-in model as a folder of files, which everything else reads like any other model.
//!
//! It is unpacked once, into the user's cache under the hash of what it is, and later runs read it there: a folder of each
//! process would stay behind whenever one is killed.

use crate::error::{Blame, Result};
use crate::folder::Hash;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use zograd_embedded::FILES;

/// Where the built-in model is.
pub(super) struct BuiltIn {
    /// The model folder.
    pub(super) model: PathBuf,
    /// Holds the files of a process without a cache.
    pub(super) own: Option<tempfile::TempDir>,
}

/// Finds the built-in model, or unpacks it. Where there is no cache, or none that can be written, it goes into a temporary
/// folder.
///
/// # Errors
/// That cannot be written either.
pub(super) fn find() -> Result<BuiltIn> {
    let cache = cache(|name| std::env::var_os(name), std::env::home_dir());
    if let Some(Ok(folder)) = cache.map(|cache| cached(&cache)) {
        let model = folder.join("model");
        return Ok(BuiltIn { model, own: None });
    }
    let folder = tempfile::tempdir()
        .while_running()
        .about("a temporary folder for the built-in model")?;
    zograd_embedded::unpack(folder.path())
        .while_running()
        .about("unpacking the built-in model")?;
    Ok(BuiltIn {
        model: folder.path().join("model"),
        own: Some(folder),
    })
}

/// The user's cache of this program; as the hub's, it follows `XDG_CACHE_HOME`.
fn cache(variable: impl Fn(&str) -> Option<OsString>, home: Option<PathBuf>) -> Option<PathBuf> {
    let named = variable("XDG_CACHE_HOME").map(PathBuf::from);
    // a relative one counts for nothing there
    let named = named.filter(|path| path.is_absolute());
    let usual = || {
        home.filter(|path| path.is_absolute())
            .map(|home| home.join(".cache"))
    };
    Some(named.or_else(usual)?.join("zograd"))
}

/// The files in the cache, put there if they are not or are not as they should be.
fn cached(cache: &Path) -> io::Result<PathBuf> {
    let mut hash = Hash::new();
    for (path, bytes) in FILES {
        hash.part(path.as_bytes());
        hash.part(bytes);
    }
    let folder = cache.join(format!("built-in-{}", hash.short()));
    if is_whole(&folder) {
        return Ok(folder);
    }
    std::fs::create_dir_all(cache)?;
    let unpacked = tempfile::Builder::new()
        .prefix("unpacking-")
        .tempdir_in(cache)?;
    zograd_embedded::unpack(unpacked.path())?;
    zograd_files::remove(&folder)?;
    let moved = std::fs::rename(unpacked.path(), &folder);
    // another process may have been faster
    match is_whole(&folder) {
        true => Ok(folder),
        false => Err(moved
            .err()
            .unwrap_or_else(|| io::Error::other("not as it was written"))),
    }
}

fn is_whole(folder: &Path) -> bool {
    FILES.into_iter().all(|(path, bytes)| {
        let found = zograd_files::read(&folder.join(path), bytes.len() as u64);
        found.is_ok_and(|found| found == bytes)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_unpacked_once_and_again_where_it_was_changed() {
        let home = tempfile::tempdir().expect("a folder");
        let first = cached(home.path()).expect("unpacked");
        let age = || {
            first
                .join("model")
                .metadata()
                .and_then(|found| found.modified())
                .expect("a time")
        };
        let unpacked = age();
        assert_eq!(cached(home.path()).expect("there"), first);
        assert_eq!(age(), unpacked);
        let config = first.join("model/config.json");
        std::fs::write(&config, "{}").expect("written");
        assert_eq!(cached(home.path()).expect("unpacked"), first);
        assert!(is_whole(&first));
        let left = std::fs::read_dir(home.path()).expect("a folder");
        assert_eq!(left.count(), 1);
    }

    #[test]
    fn the_cache_is_the_users() {
        let none = |_: &str| None;
        let named = |_: &str| Some(OsString::from("/x"));
        let relative = |_: &str| Some(OsString::from("x"));
        let home = || Some(PathBuf::from("/home/me"));
        let usual = PathBuf::from("/home/me/.cache/zograd");
        assert_eq!(cache(none, home()).as_ref(), Some(&usual));
        assert_eq!(cache(relative, home()).as_ref(), Some(&usual));
        assert_eq!(cache(named, home()), Some("/x/zograd".into()));
        assert_eq!(cache(none, None), None);
    }
}
