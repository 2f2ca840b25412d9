//! Files that are there as a whole or not at all.

use std::fs::{self, File};
use std::io::{ErrorKind, Result};
use std::path::Path;

/// Lets `write` make a file beside `path` (under its name and `.partial`), brings it to the disk and puts it
/// in the place of `path`: after a kill or a power cut there is either the old file or the new one. On Unix
/// the new name, too, is on the disk when this returns. A link or a pipe that has one of the two names is replaced;
/// what a link leads to is left alone.
///
/// # Errors
/// What `write` or the system says, or one of the two names is a folder's; an unfinished file is removed.
pub fn replace(path: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let partial = path.with_added_extension("partial");
    // what a kill left behind, or something that writing would follow or wait for
    match fs::remove_file(&partial) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let result = write(&partial).and_then(|()| {
        // Windows brings no file to the disk that was opened for reading; a copied file may be read-only
        let mut how = File::options();
        how.read(true).write(cfg!(windows));
        #[allow(clippy::disallowed_methods, reason = "it was written just now")]
        how.open(&partial)?.sync_all()?;
        fs::rename(&partial, path)?;
        match path.parent() {
            Some(folder) => sync_folder(folder),
            None => Ok(()),
        }
    });
    if result.is_err() {
        // the error that is reported matters, not whether the remains could be removed
        let _ = fs::remove_file(&partial);
    }
    result
}

/// Puts a file with these contents in the place of `path`, as [`replace`] does.
///
/// # Errors
/// What the system says; the old file, if there was one, is then still there.
pub fn write(path: &Path, contents: impl AsRef<[u8]>) -> Result<()> {
    #[allow(clippy::disallowed_methods, reason = "half of a file is put nowhere")]
    replace(path, |partial| fs::write(partial, contents))
}

/// Writes a file with these contents that does not exist yet, as [`replace`] does: as a whole or not at all, with the
/// permissions of every new file.
///
/// # Errors
/// It exists, or what the system says.
pub fn create(path: &Path, contents: impl AsRef<[u8]>) -> Result<()> {
    // takes the name, so that no other process does
    File::create_new(path)?;
    let written = write(path, contents);
    if written.is_err() {
        // the error that is reported matters, not whether the empty file could be removed
        let _ = fs::remove_file(path);
    }
    written
}

/// Brings the names in a folder to the disk, where the system can: not where folders are no files (Windows), on file
/// systems that know no such thing, or in a folder that may not be read.
///
/// # Errors
/// What the system says.
pub fn sync_folder(folder: &Path) -> Result<()> {
    if cfg!(unix) {
        let here = folder.as_os_str().is_empty();
        let folder = if here { Path::new(".") } else { folder };
        #[allow(clippy::disallowed_methods, reason = "a folder is no file")]
        let opened = File::open(folder);
        return match opened.and_then(|folder| folder.sync_all()) {
            Err(error) if cannot(error.kind()) => Ok(()),
            other => other,
        };
    }
    Ok(())
}

fn cannot(kind: ErrorKind) -> bool {
    use ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
    matches!(kind, InvalidInput | PermissionDenied | Unsupported)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Error;

    #[test]
    fn a_file_is_created_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        create(&path, "one").expect("created");
        let error = create(&path, "two").expect_err("it exists");
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).expect("there"), b"one");
    }

    #[test]
    fn the_old_file_stays_until_the_new_one_is_complete() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file.json");
        super::write(&path, "old").expect("written");
        let error = replace(&path, |partial| {
            fs::write(partial, "ne")?;
            assert_eq!(fs::read(&path)?, b"old");
            Err(Error::other("cut off"))
        });
        assert_eq!(error.expect_err("given on").to_string(), "cut off");
        assert_eq!(fs::read(&path).expect("there"), b"old");
        super::write(&path, "new").expect("written");
        assert_eq!(fs::read(&path).expect("there"), b"new");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
        // a copy of a read-only file is read-only
        let mut permissions = fs::metadata(&path).expect("there").permissions();
        permissions.set_readonly(true);
        fs::set_permissions(&path, permissions).expect("set");
        let other = folder.path().join("copy");
        replace(&other, |partial| fs::copy(&path, partial).map(|_| ())).expect("copied");
        assert_eq!(fs::read(&other).expect("there"), b"new");
    }
}
