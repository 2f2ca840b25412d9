use super::format::{MAGIC, MAX_HEADER_BYTES, MAX_RECORD_BYTES, Record, unframed};
use super::{FORMAT_VERSION, Header, TrajectoryError};
use std::path::{Path, PathBuf};

/// The largest log that is read: some forty million steps.
const MAX_LOG_BYTES: u64 = 4 << 30;

/// What a log says.
#[derive(Clone, Debug, PartialEq)]
pub struct Trajectory {
    /// What the run started from.
    pub header: Header,
    /// The steps, 1, 2, 3 and so on.
    pub records: Vec<Record>,
    /// Length of the file up to the end of each record; the first entry is the end of the header, so there
    /// is one more than there are records.
    pub ends: Vec<u64>,
    /// What follows the last good record.
    pub tail: Tail,
}

/// What follows the last good record of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tail {
    /// Nothing.
    Clean,
    /// Bytes that are no record, as a crash in the middle of a write leaves them.
    Torn {
        /// How many.
        bytes: u64,
        /// What is wrong with them.
        reason: &'static str,
    },
}

/// A file in this folder that is called like a log.
fn log_in(folder: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths = entries.map(|entry| entry.path());
    paths.find(|path| path.extension().is_some_and(|end| end == "zog"))
}

impl Trajectory {
    /// Reads a log. A torn tail is no error: it is left out and reported in [`Self::tail`]. The method may be one
    /// that this program does not know: its updates are in the log.
    ///
    /// # Errors
    /// The file cannot be read, is no log, was written by a newer version, or its header is damaged.
    pub fn read(path: &Path) -> Result<Self, TrajectoryError> {
        if path.is_dir() {
            return Err(TrajectoryError::Folder {
                path: path.to_owned(),
                log: log_in(path),
            });
        }
        let bytes =
            zograd_files::read(path, MAX_LOG_BYTES).map_err(|source| TrajectoryError::Io {
                path: path.to_owned(),
                source,
            })?;
        Self::parse(&bytes, path)
    }

    /// Reads a log from memory; `path` is for errors.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Self, TrajectoryError> {
        let path = || path.to_owned();
        let Some(mut rest) = bytes.strip_prefix(MAGIC) else {
            return Err(TrajectoryError::Magic { path: path() });
        };
        let damaged = |reason: String| TrajectoryError::Header {
            path: path(),
            reason,
        };
        let json = unframed(&mut rest, MAX_HEADER_BYTES).map_err(|e| damaged(e.into()))?;
        // the version first: another version's header may have other fields
        let value: serde_json::Value =
            serde_json::from_slice(json).map_err(|e| damaged(e.to_string()))?;
        match value["format"]
            .as_u64()
            .map(|v| u32::try_from(v).unwrap_or(u32::MAX))
        {
            Some(1..=FORMAT_VERSION) => {}
            Some(found) => {
                return Err(TrajectoryError::Version {
                    path: path(),
                    found,
                });
            }
            None => return Err(damaged("it names no format version".into())),
        }
        let header: Header = serde_json::from_value(value).map_err(|e| damaged(e.to_string()))?;
        header.config.check().map_err(|e| damaged(e.to_string()))?;
        if header.has_lost_decay() {
            return Err(TrajectoryError::LostDecay { path: path() });
        }

        let end = |rest: &[u8]| (bytes.len() - rest.len()) as u64;
        let (mut records, mut ends) = (Vec::new(), vec![end(rest)]);
        let mut tail = Tail::Clean;
        while !rest.is_empty() {
            let mut after = rest;
            let record = unframed(&mut after, MAX_RECORD_BYTES).and_then(|payload| {
                let record = Record::decode(payload, |step| header.expected(step));
                record.ok_or("it is no record")
            });
            let reason = match record {
                Ok(record) if record.step == records.len() as u64 + 1 => {
                    records.push(record);
                    ends.push(end(after));
                    rest = after;
                    continue;
                }
                Ok(_) => "it is not the next step",
                Err(reason) => reason,
            };
            let bytes = rest.len() as u64;
            tail = Tail::Torn { bytes, reason };
            break;
        }
        Ok(Self {
            header,
            records,
            ends,
            tail,
        })
    }
}
