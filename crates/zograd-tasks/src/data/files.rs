use super::{DataError, Shard, Split};
use std::path::Path;

/// The files of a split, by the rules of [`Dataset::open`](super::Dataset::open).
pub(super) fn find(folder: &Path, split: Split) -> Result<Vec<Shard>, DataError> {
    if !folder.is_dir() {
        return Err(DataError::FolderMissing {
            folder: folder.to_owned(),
        });
    }
    for place in [folder.to_owned(), folder.join("data")] {
        if !place.is_dir() {
            continue;
        }
        for ending in ["jsonl", "json", "parquet"] {
            let path = place.join(format!("{split}.{ending}"));
            if zograd_files::exists(&path) {
                return Ok(vec![match ending {
                    "parquet" => Shard::Parquet(path),
                    _ => Shard::JsonLines(path),
                }]);
            }
        }
        let shards = numbered(&place, split)?;
        if !shards.is_empty() {
            return Ok(shards);
        }
    }
    Err(DataError::SplitMissing {
        folder: folder.to_owned(),
        split,
        looked_for: format!(
            "{split}.jsonl, {split}.json, {split}.parquet, {split}-00000-of-00001.parquet"
        ),
    })
}

/// The hub's shards `SPLIT-00000-of-00002.parquet`, checked to be complete.
fn numbered(folder: &Path, split: Split) -> Result<Vec<Shard>, DataError> {
    let unreadable = |source| DataError::Read {
        path: folder.display().to_string(),
        source,
    };
    let mut total = 0;
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name();
        if let Some(shards) = name.to_str().and_then(|name| shards_named(name, split)) {
            total = total.max(shards);
        }
    }
    (0..total)
        .map(|shard| {
            let path = folder.join(format!("{split}-{shard:05}-of-{total:05}.parquet"));
            if zograd_files::exists(&path) {
                Ok(Shard::Parquet(path))
            } else {
                Err(DataError::ShardMissing {
                    path,
                    split,
                    shards: total,
                })
            }
        })
        .collect()
}

/// 2 for `train-00000-of-00002.parquet`, `None` for other names.
fn shards_named(file: &str, split: Split) -> Option<usize> {
    let numbers = file
        .strip_prefix(split.name())?
        .strip_prefix('-')?
        .strip_suffix(".parquet")?;
    let (shard, total) = numbers.split_once("-of-")?;
    let is_number = |digits: &str| digits.len() == 5 && digits.bytes().all(|b| b.is_ascii_digit());
    if is_number(shard) && is_number(total) {
        total.parse().ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hub_names_count_as_shards() {
        let shards = |name| shards_named(name, Split::Train);
        assert_eq!(shards("train-00000-of-00002.parquet"), Some(2));
        assert_eq!(shards("validation-00000-of-00002.parquet"), None);
        assert_eq!(shards("train-0-of-2.parquet"), None);
        assert_eq!(shards("train-00000-of-+0002.parquet"), None);
        assert_eq!(shards("train-00000-of-00002.parquet.tmp"), None);
    }
}
