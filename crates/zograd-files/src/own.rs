//! Files and folders that this program wrote and writes again.
//!
//! What lies in a run folder under one of its names may have been put there by somebody else: a link that leads out of the
//! folder, a pipe whose opening waits for ever. Nothing here follows a link, and nothing waits.

use std::fs::{self, File, Metadata};
use std::io::{Error, ErrorKind, Result};
use std::path::Path;

/// Opens a file for writing, as it is: a regular one with this name alone.
///
/// # Errors
/// There is none, it is a link or no regular file, it has a second name (a hard link), or what the system says.
pub fn reopen(path: &Path) -> Result<File> {
    check(&path.symlink_metadata()?)?;
    let mut how = File::options();
    how.write(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt;
        // it may have been exchanged meanwhile
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        how.custom_flags(flags.bits() as i32);
    }
    #[allow(clippy::disallowed_methods, reason = "it is checked on both sides")]
    let file = how.open(path)?;
    check(&file.metadata()?)?;
    Ok(file)
}

/// Opens a file for writing as [`reopen`] does, or makes it.
///
/// # Errors
/// As [`reopen`].
pub fn open_or_create(path: &Path) -> Result<File> {
    match File::create_new(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => reopen(path),
        other => other,
    }
}

/// Makes a folder, unless there is one. What else has its name, a file or a link, is removed.
///
/// # Errors
/// What the system says.
pub fn make_folder(path: &Path) -> Result<()> {
    match path.symlink_metadata() {
        Ok(found) if found.is_dir() => return Ok(()),
        Ok(_) => fs::remove_file(path)?,
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    fs::create_dir(path)
}

/// Removes what has this name, if anything does: a link and not what it leads to, a folder with all that is in it.
///
/// # Errors
/// What the system says.
pub fn remove(path: &Path) -> Result<()> {
    let removed = match path.symlink_metadata() {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn check(found: &Metadata) -> Result<()> {
    let refused = |what| Err(Error::new(ErrorKind::InvalidInput, what));
    if found.is_symlink() {
        return refused("it is a link, and what it leads to is not written into; remove it");
    }
    if !found.is_file() {
        return refused("it is no regular file; remove it");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        if found.nlink() > 1 {
            return refused(
                "it has a second name (a hard link), which would be written into as well; put a copy in its place",
            );
        }
    }
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::symlink;

    #[test]
    fn nothing_is_written_through_another_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::write(at("victim"), "precious").expect("written");
        symlink(at("victim"), at("link")).expect("made");
        symlink(at("none"), at("dangling")).expect("made");
        fs::hard_link(at("victim"), at("second")).expect("made");
        symlink("/dev/zero", at("device")).expect("made");
        let named = ["link", "dangling", "second", "device"].map(at);
        for path in &named {
            let error = open_or_create(path).expect_err("refused").to_string();
            assert!(error.contains("link"), "{error}");
            crate::write(path, "new").expect("replaced");
            assert_eq!(fs::read(path).expect("a file"), b"new");
            assert!(!path.is_symlink());
        }
        assert_eq!(fs::read(at("victim")).expect("there"), b"precious");
        assert!(!crate::exists(&at("none")));
        let mut file = open_or_create(&at("link")).expect("its own now");
        file.write_all(b"N").expect("written");
        assert_eq!(fs::read(at("link")).expect("a file"), b"New");
    }

    #[test]
    fn nothing_waits_for_a_pipe() {
        let folder = tempfile::tempdir().expect("a folder");
        let pipe = |name: &str| {
            let path = folder.path().join(name);
            let made = std::process::Command::new("mkfifo").arg(&path).status();
            assert!(made.expect("mkfifo").success());
            path
        };
        let path = pipe("file");
        let error = open_or_create(&path).expect_err("a pipe").to_string();
        assert!(error.starts_with("it is no regular file"), "{error}");
        pipe("file.partial");
        crate::write(&path, "new").expect("both are replaced");
        assert_eq!(fs::read(&path).expect("a file"), b"new");
        let path = pipe("folder");
        make_folder(&path).expect("replaced");
        assert!(path.is_dir());
    }

    #[test]
    fn a_folder_is_made_in_the_place_of_a_link_and_what_it_led_to_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("victims")).expect("made");
        fs::write(at("victims/a"), "precious").expect("written");
        symlink(at("victims"), at("best")).expect("made");
        make_folder(&at("best")).expect("made");
        assert_eq!(fs::read_dir(at("best")).expect("a folder").count(), 0);
        fs::write(at("best/b"), "ours").expect("written");
        make_folder(&at("best")).expect("there");
        assert!(at("best/b").exists());
        symlink(at("victims"), at("old")).expect("made");
        for name in ["old", "best", "nothing"] {
            remove(&at(name)).expect(name);
            assert!(!crate::exists(&at(name)), "{name}");
        }
        assert_eq!(fs::read(at("victims/a")).expect("there"), b"precious");
    }
}
