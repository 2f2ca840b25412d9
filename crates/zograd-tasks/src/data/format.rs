//! The formats that rows are read in.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;

/// A format of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// One JSON object a line, or one list of objects.
    Json,
    /// Texts with a separator between them, the names of the columns in the first line.
    Csv,
    /// Parquet.
    Parquet,
}

impl Format {
    /// What files of these formats are called, by preference.
    pub(super) const ENDINGS: [&str; 8] = [
        "jsonl", "json", "parquet", "csv", "tsv", "ndjson", "tab", "pq",
    ];

    /// The format of a file by its ending, in any case.
    pub fn of(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        match ending.as_str() {
            "jsonl" | "json" | "ndjson" => Some(Self::Json),
            "csv" | "tsv" | "tab" | "txt" => Some(Self::Csv),
            "parquet" | "pq" => Some(Self::Parquet),
            _ => None,
        }
    }

    /// The format of what begins so.
    pub(super) fn of_bytes(begin: &[u8]) -> Self {
        let begin = begin.strip_prefix(b"\xef\xbb\xbf").unwrap_or(begin);
        match begin.trim_ascii_start() {
            [b'{' | b'[', ..] => Self::Json,
            [b'P', b'A', b'R', b'1', ..] => Self::Parquet,
            _ => Self::Csv,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Json => "JSON",
            Self::Csv => "CSV",
            Self::Parquet => "Parquet",
        })
    }
}
