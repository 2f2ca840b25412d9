use std::path::PathBuf;

/// What can be wrong with a task file. Every variant names the file and the key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TaskFileError {
    /// It could not be read.
    #[error("cannot read {}: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// It is not TOML, or a value is of another type.
    #[error("{}, line {line}: {reason}", file.display())]
    Toml {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The parser's reason.
        reason: String,
    },
    /// A key that no task has.
    #[error(
        "{}: unknown key {key:?}{}; the keys are {known}",
        file.display(),
        near.as_ref().map(|near| format!(", did you mean {near:?}?")).unwrap_or_default()
    )]
    UnknownKey {
        /// The file.
        file: PathBuf,
        /// The key.
        key: String,
        /// The most similar key there is.
        near: Option<&'static str>,
        /// All keys.
        known: String,
    },
    /// A key that is missing, superfluous, or has a value that makes no sense.
    #[error("{}: {key}: {fix}", file.display())]
    Key {
        /// The file.
        file: PathBuf,
        /// The key.
        key: &'static str,
        /// What is wrong, and what would be right.
        fix: String,
    },
    /// A field that the rows do not have.
    #[error(transparent)]
    UnknownField(Box<UnknownField>),
}

/// A field that a task file names and the rows do not have.
#[derive(Debug, thiserror::Error)]
#[error(
    "{}: {key}: {location} has no field {field:?}{}; its fields are {present}",
    file.display(),
    near.as_ref().map(|near| format!(", did you mean {near:?}?")).unwrap_or_default()
)]
pub struct UnknownField {
    /// The file.
    pub file: PathBuf,
    /// The key that names the field.
    pub key: &'static str,
    /// The field.
    pub field: String,
    /// The most similar field there is.
    pub near: Option<String>,
    /// The row that was looked at: file and line.
    pub location: String,
    /// The fields it has.
    pub present: String,
}
