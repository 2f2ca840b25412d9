//! Which files of a folder are a split's: one file, numbered shards, or a folder of the split's name.

use super::source::{Shard, Source};
use super::{DataError, Format, Split};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const ENDINGS: [&str; 8] = Format::ENDINGS;

/// Whether a file of a folder holds rows, by its name; one that ends in txt may be anything.
fn is_of_rows(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    path.is_file()
        && ending.is_some_and(|ending| ENDINGS.contains(&ending.to_ascii_lowercase().as_str()))
}

/// What a split is called in file names, by preference: the names that Hugging Face's `datasets` knows.
fn names(split: Split) -> &'static [&'static str] {
    match split {
        Split::Train => &["train"],
        Split::Dev => &[],
        Split::Validation => &["validation", "valid", "val", "dev"],
    }
}

/// What rows to test on are called where there are none for validation.
const TEST: &str = "test";

/// The files of a split, by the rules of [`Dataset::open`](super::Dataset::open).
pub(super) fn find(folder: &Path, split: Split) -> Result<Vec<Shard>, DataError> {
    if !folder.is_dir() {
        return Err(DataError::FolderMissing {
            folder: folder.to_owned(),
            state: match folder.exists() {
                true => "is no regular file and no folder",
                false => "is not there",
            },
        });
    }
    let named = |names: &[&str]| -> Result<Vec<Vec<PathBuf>>, DataError> {
        let mut found = Vec::new();
        for place in [folder.to_owned(), folder.join("data")] {
            if place.is_dir() {
                for name in names {
                    found.extend(forms(&place, name, split)?);
                }
            }
        }
        Ok(found)
    };
    let mut found = named(names(split))?;
    if found.is_empty() && split == Split::Validation {
        found = named(&[TEST])?;
    }
    let mut found = found.into_iter();
    let Some(taken) = found.next() else {
        return Err(DataError::SplitMissing {
            folder: folder.to_owned(),
            split,
            looked_for: format!(
                "{split}.jsonl, {split}.json, {split}.csv, {split}.tsv, {split}.parquet, \
                 {split}-00000-of-00001.parquet, {split}/0000.parquet"
            ),
            hint: hint_of_folder(folder, split),
        });
    };
    for other in found {
        if let (Some(taken), Some(other)) = (taken.first(), other.first()) {
            tracing::warn!(
                "the {split} split is read from {}; {} beside it is not read",
                taken.display(),
                other.display()
            );
        }
    }
    Ok(taken.into_iter().map(shard).collect())
}

fn shard(path: PathBuf) -> Shard {
    let format = Format::of(&path).unwrap_or(Format::Json);
    Shard::File(path, format)
}

/// One file as all there is.
///
/// # Errors
/// Its format is not read.
pub(super) fn one(file: &Path) -> Result<Source, DataError> {
    match Format::of(file) {
        Some(_) => Ok(Source::new(vec![shard(file.to_owned())])),
        None => Err(DataError::FormatNotRead {
            file: file.to_owned(),
            hint: hint_of_file(file),
        }),
    }
}

/// The file of rows in a folder that has no other, unless it is one split of several by its name.
pub(super) fn only_file(folder: &Path) -> Option<PathBuf> {
    let mut files = entries(folder).ok()?;
    files.retain(|path| is_of_rows(path));
    let [file] = &files[..] else { return None };
    let stem = file.file_stem()?.to_str()?;
    let mut all = names(Split::Train).iter().chain(names(Split::Validation));
    let is_split = |name: &str| {
        stem.strip_prefix(name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    (!all.any(|name| is_split(name)) && !is_split(TEST) && !folder.join("data").is_dir())
        .then(|| file.clone())
}

/// Formats that people have tables in and that are not read.
const NOT_READ: [&str; 10] = [
    "xls", "xlsx", "ods", "arrow", "feather", "gz", "zip", "zst", "xml", "sqlite",
];

/// How a table in another format becomes one that is read.
fn conversion(format: &str, name: &str) -> String {
    let read = match format {
        "xls" | "xlsx" | "ods" => "read_excel(FILE)",
        "arrow" | "feather" => "read_feather(FILE)",
        "gz" | "zip" | "zst" => return "unpack it first".into(),
        "xml" => "read_xml(FILE)",
        _ => return "write its rows as CSV or as one JSON object a line".into(),
    };
    format!(
        "save it as CSV (UTF-8), or write one JSON object a line, as pandas does: \
         pandas.{read}.to_json(\"{name}.jsonl\", orient=\"records\", lines=True)"
    )
}

/// What to do with a file of another format.
fn hint_of_file(path: &Path) -> String {
    let ending = path.extension().and_then(|ending| ending.to_str());
    let ending = ending.map(str::to_ascii_lowercase);
    match ending.filter(|ending| NOT_READ.contains(&ending.as_str())) {
        Some(format) => {
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            format!("; {}", conversion(&format, stem.unwrap_or("rows")))
        }
        None => String::new(),
    }
}

/// What to do with a file of another format that is there in the place of a split.
fn hint_of_folder(folder: &Path, split: Split) -> String {
    let files = entries(folder).unwrap_or_default();
    let mut rows = files.iter().filter(|path| is_of_rows(path));
    if let (Some(one), Some(_)) = (rows.next(), rows.next()) {
        return format!(
            "; name one of the files in it to have it divided, such as {}",
            one.display()
        );
    }
    let found = files.iter().find_map(|path| {
        let (stem, ending) = (path.file_stem()?.to_str()?, path.extension()?.to_str()?);
        let is_split = names(split).iter().any(|name| stem.starts_with(name));
        (is_split && NOT_READ.contains(&ending)).then_some((path, ending))
    });
    match found {
        Some((path, format)) => format!(
            "; {} is not read: {}",
            path.display(),
            conversion(format, split.name())
        ),
        None => {
            let inside = files.iter().filter(|path| has(path, split));
            let inside: Vec<String> = inside.map(|path| path.display().to_string()).collect();
            match inside.as_slice() {
                [] => String::new(),
                [one] => format!("; {one} has one"),
                several => format!("; each of these has one: {}", several.join(", ")),
            }
        }
    }
}

/// Whether a folder inside has a split.
fn has(folder: &Path, split: Split) -> bool {
    let found = |name: &&str| forms(folder, name, split).is_ok_and(|forms| !forms.is_empty());
    folder.is_dir() && names(split).iter().any(found)
}

/// Every form in which a place has the split called `name`, by preference; each is a list of files in order.
fn forms(place: &Path, name: &str, split: Split) -> Result<Vec<Vec<PathBuf>>, DataError> {
    let mut forms = Vec::new();
    for ending in ENDINGS {
        let path = place.join(format!("{name}.{ending}"));
        if zograd_files::exists(&path) {
            forms.push(vec![path]);
        }
    }
    for ending in ENDINGS {
        forms.extend(numbered(place, name, ending, split)?);
    }
    let inside = place.join(name);
    if inside.is_dir() {
        let files = entries(&inside)?;
        for ending in ENDINGS {
            let of_ending = |path: &&PathBuf| path.extension().is_some_and(|e| e == ending);
            let files: Vec<PathBuf> = files.iter().filter(of_ending).cloned().collect();
            if !files.is_empty() {
                forms.push(files);
            }
        }
    }
    Ok(forms)
}

/// The hub's shards `NAME-00000-of-00002.parquet`, checked to be complete. Files of older uploads have a hash
/// behind the numbers (`NAME-00000-of-00001-6c5ed1c45bcb5a1e.parquet`).
fn numbered(
    folder: &Path,
    name: &str,
    ending: &str,
    split: Split,
) -> Result<Option<Vec<PathBuf>>, DataError> {
    let mut total = 0;
    let mut shards: BTreeMap<usize, PathBuf> = BTreeMap::new();
    for path in entries(folder)? {
        let file = path.file_name().and_then(|file| file.to_str());
        let Some((shard, of)) = file.and_then(|file| numbers(file, name, ending)) else {
            continue;
        };
        total = total.max(of);
        if let Some(other) = shards.insert(shard, path.clone()) {
            return Err(DataError::ShardTwice {
                split,
                shard,
                first: other,
                second: path,
            });
        }
    }
    if total == 0 {
        return Ok(None);
    }
    let present = (0..total).map(|shard| {
        shards
            .remove(&shard)
            .ok_or_else(|| DataError::ShardMissing {
                path: folder.join(format!("{name}-{shard:05}-of-{total:05}.{ending}")),
                split,
                shards: total,
            })
    });
    present.collect::<Result<_, _>>().map(Some)
}

/// 0 and 2 for `train-00000-of-00002.parquet`, `None` for other names.
fn numbers(file: &str, name: &str, ending: &str) -> Option<(usize, usize)> {
    let numbers = file
        .strip_prefix(name)?
        .strip_prefix('-')?
        .strip_suffix(ending)?
        .strip_suffix('.')?;
    let (shard, total) = numbers.split_once("-of-")?;
    let (total, hash) = total.split_once('-').unwrap_or((total, ""));
    let is_number = |digits: &str| digits.len() == 5 && digits.bytes().all(|b| b.is_ascii_digit());
    let is_hash = hash.bytes().all(|b| b.is_ascii_hexdigit());
    if is_number(shard) && is_number(total) && is_hash {
        Some((shard.parse().ok()?, total.parse().ok()?))
    } else {
        None
    }
}

/// What a folder has, by name.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let unreadable = |source| DataError::Read {
        path: folder.display().to_string(),
        source,
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        paths.push(entry.map_err(unreadable)?.path());
    }
    paths.sort_unstable();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hub_names_count_as_shards() {
        let shard = |name| numbers(name, "train", "parquet");
        assert_eq!(shard("train-00001-of-00002.parquet"), Some((1, 2)));
        assert_eq!(
            shard("train-00000-of-00001-6c5ed1c45bcb5a1e.parquet"),
            Some((0, 1))
        );
        assert_eq!(shard("validation-00000-of-00002.parquet"), None);
        assert_eq!(shard("train-0-of-2.parquet"), None);
        assert_eq!(shard("train-00000-of-+0002.parquet"), None);
        assert_eq!(shard("train-00000-of-00001-copy.parquet"), None);
        assert_eq!(shard("train-00000-of-00002.parquet.tmp"), None);
    }

    /// The files of a split of a folder with these files, as paths inside it.
    fn found(files: &[&str], split: Split) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().expect("a folder");
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().expect("inside")).expect("made");
            std::fs::write(path, "").expect("written");
        }
        let shards = find(folder.path(), split).map_err(|error| error.to_string())?;
        let name = |shard: &Shard| match shard {
            Shard::File(path, _) => {
                let inside = path.strip_prefix(folder.path()).expect("inside");
                inside.to_str().expect("text").to_owned()
            }
            Shard::Memory { name, .. } => name.clone(),
        };
        Ok(shards.iter().map(name).collect())
    }

    #[test]
    fn the_names_of_hub_repositories_are_known() {
        for files in [
            &["train-00000-of-00001-6c5ed1c45bcb5a1e.parquet"][..],
            &["train/0000.parquet", "train/0001.parquet"],
            &[
                "data/train-00000-of-00002-aa.parquet",
                "data/train-00001-of-00002-bb.parquet",
            ],
            &["train-00000-of-00001.jsonl"],
            &["train/rows.jsonl"],
        ] {
            let names = files.iter().map(|file| String::from(*file)).collect();
            assert_eq!(found(files, Split::Train), Ok(names));
        }
        for file in ["val.jsonl", "dev.json", "valid.parquet", "data/dev.jsonl"] {
            assert_eq!(found(&[file], Split::Validation), Ok(vec![file.to_owned()]));
        }
    }

    #[test]
    fn the_first_form_is_taken() {
        let both = ["train.jsonl", "train.parquet", "train/0000.parquet"];
        assert_eq!(
            found(&both, Split::Train),
            Ok(vec!["train.jsonl".to_owned()])
        );
        let names = ["dev.jsonl", "validation.parquet"];
        assert_eq!(
            found(&names, Split::Validation),
            Ok(vec!["validation.parquet".to_owned()])
        );
    }

    #[test]
    fn what_is_not_read_is_said_to_be_convertible() {
        let error = found(&["train.xlsx", "validation.jsonl"], Split::Train).expect_err("no split");
        for part in [
            "has no train split",
            "train.xlsx is not read",
            "to_json(\"train.jsonl\"",
        ] {
            assert!(error.contains(part), "{error}");
        }
        let error = found(&["sst2/train.jsonl"], Split::Train).expect_err("no split");
        assert!(error.ends_with("/sst2 has one"), "{error}");
        let several = ["boolq/train.jsonl", "sst2/train.jsonl"];
        let error = found(&several, Split::Train).expect_err("no split");
        assert!(
            error.contains("/boolq, ") && error.ends_with("/sst2"),
            "{error}"
        );
        let error = found(&["a.csv", "b.csv"], Split::Train).expect_err("which?");
        assert!(
            error.contains("name one of the files") && error.ends_with("/a.csv"),
            "{error}"
        );
        let folder = tempfile::tempdir().expect("a folder");
        for (name, part) in [
            ("tickets.XLSX", "save it as CSV (UTF-8)"),
            ("tickets.csv.gz", "unpack it first"),
            ("tickets.doc", "CSV, TSV, JSON"),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, "").expect("written");
            let error = one(&path).expect_err("another format").to_string();
            assert!(error.contains(name) && error.contains(part), "{error}");
        }
    }

    #[test]
    fn one_file_is_found_in_a_folder_of_any_name_and_a_test_split_stands_in() {
        let folder = tempfile::tempdir().expect("a folder");
        let put = |name: &str| std::fs::write(folder.path().join(name), "").expect("written");
        put("notes.md");
        assert_eq!(only_file(folder.path()), None);
        put("tickets.csv");
        assert_eq!(
            only_file(folder.path()),
            Some(folder.path().join("tickets.csv"))
        );
        put("more.csv");
        assert_eq!(only_file(folder.path()), None);
        for files in [&["train.csv", "test.csv"][..], &["test.csv"]] {
            assert_eq!(
                found(files, Split::Validation),
                Ok(vec!["test.csv".to_owned()])
            );
        }
        let all = ["train.csv", "validation.csv", "test.csv"];
        assert_eq!(
            found(&all, Split::Validation),
            Ok(vec!["validation.csv".to_owned()])
        );
    }

    #[test]
    fn a_shard_that_is_there_twice_is_refused() {
        let twice = [
            "train-00000-of-00001-aa.parquet",
            "train-00000-of-00001-bb.parquet",
        ];
        let error = found(&twice, Split::Train).expect_err("which of them?");
        assert!(
            error.contains("-aa.parquet") && error.contains("-bb.parquet"),
            "{error}"
        );
    }
}
