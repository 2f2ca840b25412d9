//! Opening files that somebody else wrote, and writing ones that survive.
//!
//! A path given by a user or found in a downloaded folder may lead to anything: a named pipe, whose
//! opening waits for ever; a device that never ends; a folder; a link to itself; a file of a terabyte.
//! All readers of files open theirs through this crate, which lets regular files pass and gives the others
//! an error in words. Links are followed: the cache of Hugging Face consists of them.
//!
//! [`guarded`] is for parsers of other libraries that panic on some input, [`guarded_with_threads`] for libraries that begin with a
//! panic where a driver is missing, and [`write()`], [`create`] and [`replace`] write files that an interruption must not leave half written. What is written goes where its name is and nowhere else: a link or a
//! pipe that has it is replaced. [`reopen`] and [`open_or_create`] are for the few files that grow and are written into; they
//! refuse links. [`free_bytes`] says beforehand whether there is room for them.

#![cfg_attr(
    not(test),
    warn(clippy::disallowed_methods, clippy::print_stderr, clippy::print_stdout)
)]

mod guard;
mod own;
mod replace;
mod room;

pub use guard::{guarded, guarded_with_threads};
pub use own::{make_folder, open_or_create, remove, reopen};
pub use replace::{create, replace, sync_folder, write};
pub use room::{Bytes, free_bytes, is_same_disk};

use std::fs::{File, Metadata};
use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;

/// The largest configuration or index that is read: twenty times the index of the largest OPT. Parsed, a
/// file may take some fifty times its size.
pub const MAX_SMALL_BYTES: u64 = 4 << 20;

/// Whether a folder has an entry at this path, usable or not: a link that leads nowhere counts, so that it
/// is named in an error instead of being passed over.
pub fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Opens a regular file for reading.
///
/// # Errors
/// What the system says, or that the path leads to something that is no regular file.
pub fn open(path: &Path) -> Result<File> {
    check(&path.metadata()?)?;
    #[allow(
        clippy::disallowed_methods,
        reason = "it is known to be a regular file"
    )]
    File::open(path)
}

/// Reads a regular file of at most `most` bytes.
///
/// # Errors
/// As [`open`], or the file is larger.
pub fn read(path: &Path, most: u64) -> Result<Vec<u8>> {
    let file = open(path)?;
    let size = file.metadata()?.len();
    if size > most {
        return Err(Error::new(
            ErrorKind::FileTooLarge,
            format!("it has {size} bytes, and at most {most} are read"),
        ));
    }
    let mut bytes = Vec::new();
    bytes
        .try_reserve_exact(size as usize)
        .map_err(|_| Error::from(ErrorKind::OutOfMemory))?;
    // a file may grow while it is read, and those of /proc have no size at all
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a regular file of at most `most` bytes of UTF-8, as [`plain`] text.
///
/// # Errors
/// As [`read`], or the bytes are no UTF-8.
pub fn read_text(path: &Path, most: u64) -> Result<String> {
    text(read(path, most)?)
}

/// Reads at most `most` bytes of UTF-8 from an input that may have no end, as [`plain`] text.
///
/// # Errors
/// What the system says, the input is longer, or the bytes are no UTF-8.
pub fn read_text_of(input: impl Read, most: u64) -> Result<String> {
    let mut bytes = Vec::new();
    input.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(Error::new(
            ErrorKind::FileTooLarge,
            format!("it has more than {most} bytes, and at most as many are read"),
        ));
    }
    text(bytes)
}

fn text(bytes: Vec<u8>) -> Result<String> {
    let text = String::from_utf8(bytes).map_err(|error| {
        Error::new(
            ErrorKind::InvalidData,
            format!("byte {} is no UTF-8", error.utf8_error().valid_up_to()),
        )
    })?;
    Ok(plain(text))
}

/// A text without what editors add to it: the byte order mark in front, and the carriage returns of line breaks
/// (`\r\n` becomes `\n`, as where Python reads a text file).
pub fn plain(text: String) -> String {
    let marked = text.starts_with('\u{feff}');
    if !marked && !text.contains("\r\n") {
        return text;
    }
    let without_mark = text.strip_prefix('\u{feff}').unwrap_or(&text);
    without_mark.replace("\r\n", "\n")
}

fn check(metadata: &Metadata) -> Result<()> {
    if metadata.is_file() {
        Ok(())
    } else if metadata.is_dir() {
        Err(Error::new(ErrorKind::IsADirectory, "it is a folder"))
    } else {
        Err(Error::new(
            ErrorKind::InvalidInput,
            "it is a pipe, a socket or a device; only regular files are read",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regular_files_are_read_up_to_the_limit() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        std::fs::write(&path, "Gr\u{fc}n").expect("written");
        assert_eq!(read(&path, 5).expect("read"), "Gr\u{fc}n".as_bytes());
        assert_eq!(read_text(&path, 5).expect("read"), "Gr\u{fc}n");
        let error = read(&path, 4).expect_err("too large").to_string();
        assert_eq!(error, "it has 5 bytes, and at most 4 are read");
        std::fs::write(&path, b"ab\xff").expect("written");
        let error = read_text(&path, 5).expect_err("no text").to_string();
        assert_eq!(error, "byte 2 is no UTF-8");
    }

    #[test]
    fn an_input_is_read_up_to_the_limit() {
        let text = |input: &[u8]| read_text_of(input, 3).map_err(|error| error.to_string());
        assert_eq!(text(b"abc"), Ok("abc".to_owned()));
        // a letter that the limit cuts is too long, not broken
        let error = Err("it has more than 3 bytes, and at most as many are read".to_owned());
        assert_eq!(text("abcd\u{fc}".as_bytes()), error);
        assert_eq!(text("abc\u{fc}".as_bytes()), error);
        assert_eq!(
            read_text_of(std::io::repeat(0), 3).map_err(|e| e.to_string()),
            error
        );
        assert_eq!(text(b"ab\xff"), Err("byte 2 is no UTF-8".to_owned()));
    }

    #[test]
    fn a_text_has_neither_byte_order_mark_nor_carriage_returns() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        for (written, text) in [
            ("\u{feff}a\r\nb\r\n", "a\nb\n"),
            ("\u{feff}", ""),
            // neither a mark nor a line break
            ("a\u{feff}\rb", "a\u{feff}\rb"),
        ] {
            std::fs::write(&path, written).expect("written");
            assert_eq!(read_text(&path, 20).expect("read"), text, "{written:?}");
            let bytes = read(&path, 20).expect("read");
            assert_eq!(bytes, written.as_bytes());
        }
    }

    #[test]
    fn what_is_no_file_is_refused_in_words() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = open(folder.path()).expect_err("a folder").to_string();
        assert_eq!(error, "it is a folder");
        assert!(open(&folder.path().join("none")).is_err());
        assert!(!exists(&folder.path().join("none")));
    }

    #[cfg(unix)]
    #[test]
    fn devices_pipes_and_loops_do_not_hold_anything_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = open(Path::new("/dev/zero"))
            .expect_err("endless")
            .to_string();
        assert!(error.contains("a device"), "{error}");
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.expect("mkfifo").success());
        assert!(
            open(&pipe)
                .expect_err("a pipe")
                .to_string()
                .contains("a pipe")
        );
        let looped = folder.path().join("loop");
        std::os::unix::fs::symlink("loop", &looped).expect("a link");
        assert!(exists(&looped) && open(&looped).is_err());
    }
}
