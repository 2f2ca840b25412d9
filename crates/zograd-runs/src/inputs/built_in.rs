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

/// Name of the file that is locked while files are unpacked. It is empty, and stays.
const LOCK: &str = "unpacking.lock";

/// Where the built-in model is.
pub(super) struct BuiltIn {
    /// The model folder.
    pub(super) model: PathBuf,
    /// Holds the files of a process without a cache.
    pub(super) own: Option<tempfile::TempDir>,
}

/// Finds the built-in model, or unpacks it. Where there is no cache, or none that can be written and locked, it goes into a temporary
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
    // one process at a time: a second one would remove what the first has unpacked and reads
    let lock = zograd_files::open_or_create(&cache.join(LOCK))?;
    lock.lock()?;
    if is_whole(&folder) {
        return Ok(folder);
    }
    let unpacked = tempfile::Builder::new()
        .prefix("unpacking-")
        .tempdir_in(cache)?;
    zograd_embedded::unpack(unpacked.path())?;
    zograd_files::remove(&folder)?;
    std::fs::rename(unpacked.path(), &folder)?;
    match is_whole(&folder) {
        true => Ok(folder),
        false => Err(io::Error::other("not as it was written")),
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
        let left = left.map(|entry| entry.expect("an entry").file_name());
        assert_eq!(left.filter(|name| name != LOCK).count(), 1);
    }

    /// As in the first minute of a machine on which several runs are started at once.
    #[test]
    fn many_at_once_get_one_folder_that_stays() {
        let home = tempfile::tempdir().expect("a folder");
        let started = std::sync::Barrier::new(8);
        let found = || {
            started.wait();
            let folder = cached(home.path()).expect("unpacked");
            let model = folder.join("model").metadata().expect("there");
            (model.modified().expect("a time"), is_whole(&folder))
        };
        std::thread::scope(|scope| {
            let threads = [(); 8].map(|()| scope.spawn(found));
            let found = threads.map(|thread| thread.join().expect("no panic"));
            assert_eq!(found, [(found[0].0, true); 8]);
        });
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
