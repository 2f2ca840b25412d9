use crate::{DataError, Dataset, Row, Sample, Split, Task, sample_indices};
use serde::{Deserialize, Serialize};
use zograd_direction::Seed;

/// How many samples a run wants of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SplitSizes {
    /// Samples to train on, from the train split. Default 1000, as in the MeZO paper.
    pub train: usize,
    /// Samples to choose a checkpoint by, from the train split but none of `train`. Default 500.
    pub dev: usize,
    /// Samples to test on, from the validation split. Default 1000.
    pub test: usize,
    /// Demonstrations for in-context prompts, from the train split. Default 0.
    pub demonstrations: usize,
    /// What there is less of where the train split is too small for `train` and `dev`. Default both.
    pub yields: Yields,
}

/// Which samples give way where the train split is too small for training and development.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Yields {
    /// Both, in proportion to what they ask for.
    #[default]
    Both,
    /// Those to train on, as long as one is left; else both.
    Train,
    /// Those for development, as long as one is left; else both.
    Dev,
}

impl Default for SplitSizes {
    fn default() -> Self {
        Self {
            train: 1000,
            dev: 500,
            test: 1000,
            demonstrations: 0,
            yields: Yields::Both,
        }
    }
}

impl SplitSizes {
    /// As many training and development samples as were found, so that it fits.
    #[must_use]
    pub fn as_found(self, counts: &SplitCounts) -> Self {
        Self {
            train: counts.train.got,
            dev: counts.dev.got,
            ..self
        }
    }

    /// What is asked for, as it came out for this many rows where one was to give way: then it fits.
    #[must_use]
    pub fn settled(self, counts: &SplitCounts) -> Self {
        match self.yields {
            Yields::Both => self,
            Yields::Train | Yields::Dev => Self {
                yields: Yields::Both,
                ..self.as_found(counts)
            },
        }
    }
}

/// How many samples were asked for and how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Number asked for.
    pub asked: usize,
    /// Number picked, at most `asked`.
    pub got: usize,
}

/// What [`Splits::load`] found: a run should print it, above all where it is short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitCounts {
    /// Training samples.
    pub train: Count,
    /// Development samples.
    pub dev: Count,
    /// Test samples.
    pub test: Count,
    /// Demonstrations.
    pub demonstrations: Count,
    /// Rows in the train split.
    pub train_rows: usize,
    /// Rows in the validation split.
    pub validation_rows: usize,
    /// Rows in the split for development, if it has one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dev_rows: Option<usize>,
}

impl SplitCounts {
    /// The kinds of which there are fewer than asked for, by the names of the fields.
    pub fn short(&self) -> Vec<(&'static str, Count)> {
        [
            ("train", self.train),
            ("dev", self.dev),
            ("test", self.test),
            ("demonstrations", self.demonstrations),
        ]
        .into_iter()
        .filter(|(_, count)| count.got < count.asked)
        .collect()
    }
}

/// The samples of one run, picked by seed.
///
/// As in MeZO (`tasks.py`, `sample_train_sets`), one random permutation of the train split gives the
/// training samples, then the development samples, so the two are disjoint; demonstrations are the
/// first of the same permutation, that is, training samples (if more demonstrations than training
/// samples are asked for, development samples start behind the demonstrations). Test samples are
/// from the validation split. The permutations are ours ([`sample_indices`]), not numpy's.
///
/// Where the train split has too few rows for training and development, both get the same share
/// of what they asked for, unless one of them is to give way ([`Yields`]). (MeZO lets development take all of its rows first, which would leave
/// CB's 250 rows none to train on.)
#[derive(Clone, Debug)]
pub struct Splits {
    /// Samples to train on.
    pub train: Vec<Sample>,
    /// Samples to choose a checkpoint by.
    pub dev: Vec<Sample>,
    /// Samples to test on.
    pub test: Vec<Sample>,
    /// Samples to show as demonstrations.
    pub demonstrations: Vec<Sample>,
    /// What was asked for and what there is.
    pub counts: SplitCounts,
}

impl Splits {
    /// Picks and reads the samples. The train split is permuted with `seed.child(0)`, the
    /// validation split with `seed.child(1)`, a split for development, if there is one, with `seed.child(2)`.
    ///
    /// # Errors
    /// An empty split, a file that cannot be read, or a picked row that does not fit the task.
    pub fn load(
        task: &dyn Task,
        data: &Dataset,
        sizes: SplitSizes,
        seed: Seed,
    ) -> Result<Self, DataError> {
        Self::load_with(|row| task.sample(row), data, sizes, seed)
    }

    /// The same with samples that are made of rows otherwise: [`Row::label_optional`] has a task make some of rows that do
    /// not say what is right.
    ///
    /// # Errors
    /// As [`Splits::load`].
    pub fn load_with(
        sample: impl Fn(&Row) -> Result<Sample, DataError>,
        data: &Dataset,
        sizes: SplitSizes,
        seed: Seed,
    ) -> Result<Self, DataError> {
        let (train_rows, validation_rows) =
            (data.count(Split::Train)?, data.count(Split::Validation)?);
        let dev_rows = match data.has(Split::Dev) {
            true => Some(data.count(Split::Dev)?),
            false => None,
        };
        let head = sizes.train.max(sizes.demonstrations);
        let (head, dev) = match dev_rows {
            Some(_) => (head.min(train_rows), 0),
            None => share(train_rows, head, sizes.dev, sizes.yields),
        };

        let read = |split, numbers: &[usize]| -> Result<Vec<Sample>, DataError> {
            let rows = data.rows(split, numbers)?;
            rows.iter().map(&sample).collect()
        };
        let picked = sample_indices(seed.child(0), train_rows, head + dev);
        let mut train = read(Split::Train, &picked)?;
        let mut dev = train.split_off(head);
        if let Some(rows) = dev_rows {
            dev = read(Split::Dev, &sample_indices(seed.child(2), rows, sizes.dev))?;
        }
        let demonstrations: Vec<_> = train.iter().take(sizes.demonstrations).cloned().collect();
        train.truncate(sizes.train);
        let picked = sample_indices(seed.child(1), validation_rows, sizes.test);
        let test = read(Split::Validation, &picked)?;

        let count = |asked, samples: &[Sample]| Count {
            asked,
            got: samples.len(),
        };
        let counts = SplitCounts {
            train: count(sizes.train, &train),
            dev: count(sizes.dev, &dev),
            test: count(sizes.test, &test),
            demonstrations: count(sizes.demonstrations, &demonstrations),
            train_rows,
            validation_rows,
            dev_rows,
        };
        Ok(Self {
            train,
            dev,
            test,
            demonstrations,
            counts,
        })
    }
}

/// Divides `rows` between two that ask for `first` and `second`: all they ask for if it is there,
/// otherwise what the other leaves to the one that yields, or in proportion, rounded in favour of the first.
fn share(rows: usize, first: usize, second: usize, yields: Yields) -> (usize, usize) {
    match first.checked_add(second) {
        Some(sum) if sum <= rows => (first, second),
        _ if yields == Yields::Dev && first < rows => (first, rows - first),
        _ if yields == Yields::Train && second < rows => (rows - second, second),
        _ => {
            let sum = first as u128 + second as u128;
            // at most `rows`, so it fits
            let second = (rows as u128 * second as u128 / sum) as usize;
            (rows - second, second)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_is_shared() {
        for yields in [Yields::Both, Yields::Train, Yields::Dev] {
            assert_eq!(share(2000, 1000, 500, yields), (1000, 500));
            assert_eq!(share(250, 1000, 500, Yields::Both), (167, 83));
            assert_eq!(share(10, 1000, 0, yields), (10, 0));
            assert_eq!(share(10, 0, 1000, yields).0, 0);
            assert_eq!(share(1, 1000, 500, yields), (1, 0));
            assert_eq!(share(9, usize::MAX, usize::MAX, yields), (5, 4));
        }
    }

    #[test]
    fn what_was_asked_for_is_kept_where_the_other_yields() {
        assert_eq!(share(2000, 1900, 500, Yields::Both), (1584, 416));
        assert_eq!(share(2000, 1900, 500, Yields::Dev), (1900, 100));
        assert_eq!(share(2000, 2000, 500, Yields::Dev), (1600, 400));
        assert_eq!(share(1200, 1000, 300, Yields::Train), (900, 300));
        assert_eq!(share(250, 1000, 250, Yields::Train), (200, 50));
    }
}
