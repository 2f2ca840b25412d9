use super::format::{MAGIC, MAX_HEADER_BYTES, MAX_RECORD_BYTES, Record, framed};
use super::{Header, TrajectoryError};
use crate::{Observer, StepRecord, TrainError};
use std::fs::File;
use std::io::{ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Appends to a log: every record is handed to the system in one write, so that a killed process loses at
/// most the step it was in.
#[derive(Debug)]
pub struct TrajectoryWriter {
    file: File,
    path: PathBuf,
    header: Header,
    bytes: u64,
}

impl TrajectoryWriter {
    /// Starts a log. A kill leaves a log with its whole header, or none.
    ///
    /// # Errors
    /// The file exists or cannot be written; the header is too large.
    pub fn create(path: &Path, header: Header) -> Result<Self, TrajectoryError> {
        let mut bytes = MAGIC.to_vec();
        let json = serde_json::to_vec(&header).map_err(|e| TrajectoryError::Header {
            path: path.to_owned(),
            reason: e.to_string(),
        })?;
        bytes.extend(framed("a header", &json, MAX_HEADER_BYTES)?);
        if zograd_files::exists(path) {
            return Err(io(path, ErrorKind::AlreadyExists.into()));
        }
        zograd_files::write(path, &bytes).map_err(|source| io(path, source))?;
        Self::resume(path, header, bytes.len() as u64)
    }

    /// Resumes a log: its first `bytes` bytes are kept, and what follows them is cut off.
    ///
    /// # Errors
    /// The file is a link or no regular file, or cannot be opened or cut.
    pub fn resume(path: &Path, header: Header, bytes: u64) -> Result<Self, TrajectoryError> {
        let open = || {
            let mut file = zograd_files::reopen(path)?;
            file.set_len(bytes)?;
            file.seek(SeekFrom::Start(bytes))?;
            file.sync_all()?;
            Ok(file)
        };
        Ok(Self {
            file: open().map_err(|source| io(path, source))?,
            path: path.to_owned(),
            header,
            bytes,
        })
    }

    /// Appends a step.
    ///
    /// # Errors
    /// The record is too large, or the file cannot be written.
    pub fn append(&mut self, record: &Record) -> Result<(), TrajectoryError> {
        let payload = record.encode(self.header.expected(record.step));
        self.write(&framed("a record", &payload, MAX_RECORD_BYTES)?)
    }

    /// Asks the system to bring everything to the disk.
    ///
    /// # Errors
    /// What the system says.
    pub fn sync(&mut self) -> Result<(), TrajectoryError> {
        self.file
            .sync_data()
            .map_err(|source| io(&self.path, source))
    }

    /// Length of the file.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), TrajectoryError> {
        let written = self.file.write_all(bytes);
        written.map_err(|source| io(&self.path, source))?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }
}

/// As an observer, a log takes up every step.
impl<M> Observer<M> for TrajectoryWriter {
    fn on_step(&mut self, record: &StepRecord) -> Result<(), TrainError> {
        self.append(&record.into())
            .map_err(|error| TrainError::Observer(error.into()))
    }
}

fn io(path: &Path, source: std::io::Error) -> TrajectoryError {
    TrajectoryError::Io {
        path: path.to_owned(),
        source,
    }
}
