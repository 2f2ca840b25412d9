use super::Split;
use std::path::PathBuf;
use zograd_chat::RowError;

/// What can be wrong with a data set. Every variant names the file and, where there is one, the
/// line or row.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// There is nothing at this path, or something that is no file and no folder.
    #[error("{} {state}: give a file of rows, or the folder that holds train and validation files", folder.display())]
    FolderMissing {
        /// The path as given.
        folder: PathBuf,
        /// What is wrong with it.
        state: &'static str,
    },
    /// A file of a format that is not read.
    #[error("{} is not read: rows may be CSV, TSV, JSON, JSON lines or Parquet, by the ending of the file's name{hint}", file.display())]
    FormatNotRead {
        /// The file.
        file: PathBuf,
        /// How it becomes one that is read.
        hint: String,
    },
    /// The folder has no file for a split.
    #[error(
        "{} has no {split} split: looked for {looked_for}, there and in its subfolder data{hint}",
        folder.display()
    )]
    SplitMissing {
        /// The data set's folder.
        folder: PathBuf,
        /// The split that was looked for.
        split: Split,
        /// File names that would have done.
        looked_for: String,
        /// What to do with a file of another format that is there.
        hint: String,
    },
    /// Some Parquet shards of a split are there, others are not.
    #[error("{} is missing: the {split} split has {shards} shards by its file names", path.display())]
    ShardMissing {
        /// The file that should be there.
        path: PathBuf,
        /// The split it belongs to.
        split: Split,
        /// Number of shards according to the names of those that are there.
        shards: usize,
    },
    /// Two files are the same shard of a split, as after two uploads.
    #[error(
        "shard {shard} of the {split} split is there twice: {} and {}; remove the older one",
        first.display(),
        second.display()
    )]
    ShardTwice {
        /// The split.
        split: Split,
        /// Number of the shard, from 0.
        shard: usize,
        /// One file.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// A file or folder could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file or folder.
        path: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A Parquet file is damaged, or uses what is not supported.
    #[error("cannot read {} as Parquet: {source}", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// The reader's reason.
        source: parquet::errors::ParquetError,
    },
    /// A line is not JSON.
    #[error("{location}: not valid JSON (one object a line is expected): {source}")]
    NotJson {
        /// File and line.
        location: String,
        /// The parser's reason; its line is always 1, its column counts in this line.
        source: serde_json::Error,
    },
    /// A file that begins as a list of rows is no JSON.
    #[error("{path}: not valid JSON (it begins as a list, of one object a row): {source}")]
    NotJsonList {
        /// The file.
        path: String,
        /// The parser's reason, with the line and column of the file.
        source: serde_json::Error,
    },
    /// A row is JSON, but not an object.
    #[error("{location}: a row must be a JSON object, not {found}")]
    NotAnObject {
        /// File and line or row.
        location: String,
        /// What the row is.
        found: &'static str,
    },
    /// A file of texts in another encoding.
    #[error("{location}: it is no UTF-8{hint}")]
    Encoding {
        /// File and line.
        location: String,
        /// What it probably is instead, and how it becomes UTF-8.
        hint: String,
    },
    /// A table with two columns of one name, or of texts whose separators or quotation marks do not fit together.
    #[error("{location}: {reason}")]
    Table {
        /// File, and line where it has lines.
        location: String,
        /// What is wrong.
        reason: String,
    },
    /// A row of which nothing stands in its prompt.
    #[error("{location}: nothing of this row would stand in the prompt: {fields} is blank")]
    EmptyPrompt {
        /// File and line or row.
        location: String,
        /// The fields that the prompt is made of.
        fields: String,
    },
    /// A row that is no chat.
    #[error("{location}: {source}")]
    Chat {
        /// File and line or row.
        location: String,
        /// What is wrong.
        source: RowError,
    },
    /// The shares of a file's rows that are to be its splits.
    #[error(
        "{text:?} are no shares: {reason}; give two, such as 0.9/0.1 (train, test), or three, 0.8/0.1/0.1 (train, dev, test)"
    )]
    Shares {
        /// As given.
        text: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A folder that has its splits and is to be divided all the same.
    #[error("{} has a train and a validation split already: give no shares, or one file to divide", folder.display())]
    DividedAlready {
        /// The folder.
        folder: PathBuf,
    },
    /// Rows of one file that were divided, so that no row fell to a split.
    #[error(
        "of the rows of {dataset} ({rows} in all) none fell to the {split} split; there are too few, or its share is too small: a folder with a file for \
         each split divides them as you like"
    )]
    EmptyPart {
        /// The file.
        dataset: String,
        /// The split.
        split: Split,
        /// How many rows there are.
        rows: usize,
    },
    /// A split without rows.
    #[error("the {split} split of {dataset} has no rows")]
    EmptySplit {
        /// The folder or name of the data set.
        dataset: String,
        /// The split.
        split: Split,
    },
    /// A row number behind the end.
    #[error(
        "the {split} split of {dataset} has {rows} rows, so there is no row {row} (they count from 0)"
    )]
    RowOutOfRange {
        /// The folder or name of the data set.
        dataset: String,
        /// The split.
        split: Split,
        /// The number that was asked for.
        row: usize,
        /// Number of rows there are.
        rows: usize,
    },
    /// A row lacks a field.
    #[error(
        "{location}: field {field:?} is missing{}; the row has: {present}",
        near.as_ref().map(|near| format!(", did you mean {near:?}?")).unwrap_or_default()
    )]
    MissingField {
        /// File and line or row.
        location: String,
        /// The field the task needs, nested names joined by dots.
        field: String,
        /// The most similar name there is.
        near: Option<String>,
        /// The names of the row's fields.
        present: String,
    },
    /// A field is of another type.
    #[error("{location}: field {field:?} must be {expected}, not {found}")]
    WrongType {
        /// File and line or row.
        location: String,
        /// The field.
        field: String,
        /// What the task needs.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// A list without entries.
    #[error("{location}: field {field:?} is an empty list, at least one entry is needed")]
    EmptyList {
        /// File and line or row.
        location: String,
        /// The field.
        field: String,
    },
    /// A class label that the task does not have.
    #[error(
        "{location}: field {field:?} is {label}, but this task's labels are 0 to {largest}{}",
        if label == "-1" { " (-1 marks hidden labels: is this a test split?)" } else { "" }
    )]
    LabelOutOfRange {
        /// File and line or row.
        location: String,
        /// The field.
        field: String,
        /// The value found.
        label: String,
        /// The largest label of the task.
        largest: usize,
    },
    /// A field has a value the task does not know.
    #[error("{location}: field {field:?} is {found:?}, but must be {expected}")]
    UnknownValue {
        /// File and line or row.
        location: String,
        /// The field.
        field: String,
        /// The value found.
        found: String,
        /// The values there are.
        expected: String,
    },
    /// A label in words, in a task that does not say what the words mean.
    #[error(
        "{location}: field {field:?} is the text {found:?}: say in {} which text goes with which candidate, in their \
         order: labels = [{found:?}, ...]",
        file.display()
    )]
    TextLabel {
        /// File and line or row.
        location: String,
        /// The field.
        field: String,
        /// The label.
        found: String,
        /// The task's file.
        file: PathBuf,
    },
    /// An answer of several lines in a task whose answers end at a line break.
    #[error(
        "{location}: the answer in field {field:?} has a line break, at which answers end: write end = \"eos\" into {}, \
         so that they end with the model's end-of-text token instead",
        file.display()
    )]
    LineBreak {
        /// File and line or row.
        location: String,
        /// The field.
        field: String,
        /// The task's file.
        file: PathBuf,
    },
}
