//! The answers of a command that has not come to its end: `FILE.unfinished`, a JSON line for each row.

use super::CHUNK;
use super::answered::Line;
use super::table::{self, TableFormat};
use crate::error::{Blame, Result, refuse};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zograd_tasks::{Dataset, Split, long_numbers_as_texts};

/// The longest line: a row may have 16 MiB, and JSON writes some characters as six.
const MAX_LINE_BYTES: u64 = 128 << 20;

/// The first line: what the answers were made with.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    zograd_predict: String,
}

/// A row with its answer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answered {
    row: Map<String, Value>,
    answer: Map<String, Value>,
}

/// What stands before a row.
const ROW: &str = "{\"row\":";

/// The row of such a line as it stands there, where it has numbers of more digits than its fields.
fn written(line: &[u8]) -> Option<Arc<str>> {
    let text = std::str::from_utf8(line).ok()?.strip_prefix(ROW)?;
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    values.next()?.ok()?;
    let row = &text[..values.byte_offset()];
    long_numbers_as_texts(row).map(|_| row.into())
}

/// The file, open at its end, and nobody else's.
pub(super) struct Unfinished {
    path: PathBuf,
    file: File,
}

impl Unfinished {
    /// Where it is for this output.
    pub fn path(out: &Path) -> PathBuf {
        out.with_added_extension("unfinished")
    }

    /// Makes it, or opens the one that is there.
    ///
    /// # Errors
    /// It is of another model, task or settings, of another process, or cannot be written.
    pub fn open(out: &Path, seal: &str) -> Result<Self> {
        let path = Self::path(out);
        let file = zograd_files::open_or_create(&path).about_file(&path)?;
        if file.try_lock().is_err() {
            refuse!("{}: another process writes into it", path.display());
        }
        let mut this = Self { path, file };
        match this.lines()?.line()? {
            None => {
                let head = Head {
                    zograd_predict: seal.to_owned(),
                };
                let line = serde_json::to_string(&head).while_running()? + "\n";
                this.write(0, line.as_bytes())?;
            }
            Some(line) => match serde_json::from_slice::<Head>(&line) {
                Ok(head) if head.zograd_predict == seal => {}
                _ => refuse!(
                    "{}: it was begun with another model, task or settings; remove it to begin anew, or name another \
                     `out`",
                    this.path.display()
                ),
            },
        }
        Ok(this)
    }

    /// How many rows are in it; what was half written is cut off.
    ///
    /// # Errors
    /// They are not the first of these.
    pub fn check(&mut self, data: &Dataset, split: Split) -> Result<usize> {
        let mut lines = self.lines()?;
        lines.line()?;
        let (mut done, mut end) = (0, lines.bytes);
        'all: loop {
            let chunk = data.range(split, done..done + CHUNK).or_input()?;
            if chunk.is_empty() {
                break;
            }
            for row in &chunk {
                let Some(line) = lines.line()? else {
                    break 'all;
                };
                let answered: Answered = serde_json::from_slice(&line)
                    .about(format!("{}, row {done}", self.path.display()))?;
                let is_same = written(&line).as_ref() == row.written();
                if !is_same || answered.row != *row.fields() {
                    refuse!(
                        "{}: it was begun with other rows: {} is not what it was; remove it to begin anew, or name another \
                         `out`",
                        self.path.display(),
                        row.location()
                    );
                }
                done += 1;
                end = lines.bytes;
            }
        }
        if lines.line()?.is_some() {
            refuse!(
                "{}: it was begun with other rows: it has more than the {done} there are; remove it to begin anew, or name \
                 another `out`",
                self.path.display()
            );
        }
        self.file.set_len(end).on_file(&self.path)?;
        self.file.seek(SeekFrom::End(0)).on_file(&self.path)?;
        Ok(done)
    }

    /// Adds rows with their answers, and hands them to the system.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn append(&mut self, lines: &[Line]) -> Result<()> {
        let mut bytes = Vec::new();
        for line in lines {
            let row = match &line.written {
                Some(text) => text.to_string(),
                None => serde_json::to_string(&line.row).while_running()?,
            };
            let answer = serde_json::to_string(&line.answer).while_running()?;
            let line = format!("{ROW}{row},\"answer\":{answer}}}\n");
            bytes.extend_from_slice(line.as_bytes());
        }
        self.file.write_all(&bytes).on_file(&self.path)
    }

    /// Makes `out` of it, and removes it.
    ///
    /// # Errors
    /// One of the two cannot be read or written.
    pub fn finish(self, out: &Path, format: TableFormat) -> Result<()> {
        let each = |look: &mut dyn FnMut(Line) -> Result<()>| -> Result<()> {
            let mut lines = self.lines()?;
            lines.line()?;
            while let Some(line) = lines.line()? {
                let Answered { row, answer } = serde_json::from_slice(&line).on_file(&self.path)?;
                look(Line {
                    row,
                    written: written(&line),
                    answer,
                })?;
            }
            Ok(())
        };
        table::write(out, format, &each).about(format!("`out = {}`", out.display()))?;
        zograd_files::remove(&self.path).on_file(&self.path)
    }

    fn lines(&self) -> Result<WholeLines> {
        let file = zograd_files::open(&self.path).on_file(&self.path)?;
        Ok(WholeLines {
            path: self.path.clone(),
            reader: BufReader::new(file),
            bytes: 0,
        })
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<()> {
        self.file.set_len(at).on_file(&self.path)?;
        self.file.seek(SeekFrom::Start(at)).on_file(&self.path)?;
        self.file.write_all(bytes).on_file(&self.path)
    }
}

/// Lines that have their end.
struct WholeLines {
    path: PathBuf,
    reader: BufReader<File>,
    /// How many bytes those that were read have.
    bytes: u64,
}

impl WholeLines {
    fn line(&mut self) -> Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let mut bounded = self.reader.by_ref().take(MAX_LINE_BYTES);
        bounded.read_until(b'\n', &mut line).on_file(&self.path)?;
        if line.pop() != Some(b'\n') {
            return Ok(None);
        }
        self.bytes += line.len() as u64 + 1;
        Ok(Some(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zograd_tasks::Opening;

    /// Of rows that differ in digits that no number of 64 bits has.
    #[test]
    fn a_row_is_the_same_to_its_last_digit() {
        let dir = tempfile::tempdir().expect("a folder");
        let (file, out) = (dir.path().join("rows.json"), dir.path().join("out.jsonl"));
        let rows = |last: u64| {
            let text = format!("[{{\"id\": 1}},\n{{\"id\": 12345678901234567890{last}}}]");
            std::fs::write(&file, text).expect("written");
            let opening = Opening {
                splits: &[Split::Train],
                ..Opening::default()
            };
            Dataset::open_as(&file, &opening).expect("rows")
        };
        let data = rows(1);
        let lines: Vec<Line> = data
            .range(Split::Train, 0..2)
            .expect("rows")
            .iter()
            .map(|row| Line {
                row: row.fields().clone(),
                written: row.written().cloned(),
                answer: Map::new(),
            })
            .collect();
        let open = || Unfinished::open(&out, "of this model").expect("a file");
        open().append(&lines).expect("written");
        assert_eq!(open().check(&data, Split::Train).expect("the same"), 2);
        let error = open().check(&rows(2), Split::Train).expect_err("others");
        assert!(
            error.to_string().contains("begun with other rows"),
            "{error}"
        );
        assert!(error.to_string().contains("row 1"), "{error}");
    }
}
