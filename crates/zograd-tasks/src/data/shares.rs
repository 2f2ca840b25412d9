//! One file as several splits: which row belongs to which is decided by what the row says.

use super::{DataError, Split};
use crate::Row;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

/// Which shares of a file's rows are its splits: for training, for development and to test on. Without a share of their
/// own, development examples are drawn from the train rows.
///
/// A row's split is a function of its content alone: it stays where it is when rows are added, removed or put in another
/// order, and equal rows are in the same split.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shares {
    train: f64,
    dev: f64,
    test: f64,
}

impl Default for Shares {
    /// 0.8/0.1/0.1.
    fn default() -> Self {
        Self {
            train: 0.8,
            dev: 0.1,
            test: 0.1,
        }
    }
}

impl FromStr for Shares {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        let wrong = |reason| DataError::Shares {
            text: text.to_owned(),
            reason,
        };
        let parts = text.split('/').map(|part| part.trim().parse::<f64>());
        let parts: Vec<f64> = parts
            .collect::<Result<_, _>>()
            .map_err(|_| wrong("numbers with / between them are needed"))?;
        if parts.iter().any(|part| !part.is_finite() || *part <= 0.0) {
            return Err(wrong("each must be more than 0"));
        }
        let sum: f64 = parts.iter().sum();
        let is_whole = |whole: f64| (sum - whole).abs() < 1e-6 * whole;
        if !is_whole(1.0) && !is_whole(100.0) {
            return Err(wrong("they must make 1 (or 100) together"));
        }
        match parts[..] {
            [train, test] => Ok(Self {
                train: train / sum,
                dev: 0.0,
                test: test / sum,
            }),
            [train, dev, test] => Ok(Self {
                train: train / sum,
                dev: dev / sum,
                test: test / sum,
            }),
            _ => Err(wrong("two or three are needed")),
        }
    }
}

impl fmt::Display for Shares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.dev {
            0.0 => write!(f, "{}/{}", self.train, self.test),
            dev => write!(f, "{}/{dev}/{}", self.train, self.test),
        }
    }
}

impl Shares {
    /// Whether development examples have rows of their own.
    pub fn has_dev(&self) -> bool {
        self.dev > 0.0
    }

    /// The split of a row by what stands in these fields; of all where none are named.
    pub(super) fn split_of(&self, row: &Row, fields: &[String]) -> Split {
        let place = place(row, fields);
        match place {
            place if place < self.train => Split::Train,
            place if place < self.train + self.dev => Split::Dev,
            _ => Split::Validation,
        }
    }
}

/// From 0 to 1, as good as random, and the same for the same content.
fn place(row: &Row, fields: &[String]) -> f64 {
    let mut hash = Sha256::new();
    let mut part = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    let mut value = |value: Option<&Value>| match value {
        Some(Value::String(text)) => part(text),
        Some(other) => part(&other.to_string()),
        None => part(""),
    };
    if fields.is_empty() {
        let mut all: Vec<_> = row.fields().iter().collect();
        all.sort_by_key(|(name, _)| name.as_str());
        all.into_iter()
            .for_each(|(_, content)| value(Some(content)));
    } else {
        fields.iter().for_each(|name| value(row.value(name).ok()));
    }
    let bytes = hash.finalize();
    let (first, _) = bytes.split_at(8);
    let number = first
        .iter()
        .fold(0u64, |number, byte| number << 8 | u64::from(*byte));
    // 53 bits, as many as an f64 has
    (number >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: usize, text: &str) -> Row {
        let fields = serde_json::json!({"text": text, "id": number});
        let Value::Object(fields) = fields else {
            unreachable!()
        };
        Row::new(number, "r", fields)
    }

    /// Which rows a run trains on is part of its identity: a change here changes all runs on one file.
    #[test]
    fn value_stability() {
        let by = ["text".to_owned()];
        let places = ["a", "b", ""].map(|text| place(&row(0, text), &by));
        // of SHA-256: eight bytes of length, the text
        assert_eq!(
            places,
            [0.6811696161854759, 0.10529163784791873, 0.6848974799809221]
        );
    }

    #[test]
    fn the_split_is_that_of_the_content() {
        let (shares, by) = (Shares::default(), ["text".to_owned()]);
        let mut counts = [0; 3];
        for k in 0..10_000 {
            let text = format!("text {k}");
            let split = shares.split_of(&row(k, &text), &by);
            assert_eq!(split, shares.split_of(&row(k + 7, &text), &by));
            counts[split as usize] += 1;
        }
        // 8000, 1000 and 1000 expected; standard deviations 40 and 30
        let near = |found: i32, expected: i32| (found - expected).abs() < 200;
        let [train, dev, test] =
            [Split::Train, Split::Dev, Split::Validation].map(|s| counts[s as usize]);
        assert!(
            near(train, 8000) && near(dev, 1000) && near(test, 1000),
            "{counts:?}"
        );
    }

    #[test]
    fn shares_make_a_whole() {
        for (text, shown) in [
            ("0.9/0.1", "0.9/0.1"),
            ("80/10/10", "0.8/0.1/0.1"),
            (" 0.5 / 0.5", "0.5/0.5"),
        ] {
            assert_eq!(text.parse::<Shares>().expect(text).to_string(), shown);
        }
        for (text, part) in [
            ("0.9", "must make 1"),
            ("1", "two or three"),
            ("0.9/0.2", "must make 1"),
            ("1.1/-0.1", "more than 0"),
            ("1/0", "more than 0"),
            ("a/b", "numbers"),
            ("nan/1", "more than 0"),
            ("0.25/0.25/0.25/0.25", "two or three"),
        ] {
            let error = text.parse::<Shares>().expect_err(text).to_string();
            assert!(
                error.contains(part) && error.contains("0.8/0.1/0.1"),
                "{error}"
            );
        }
    }
}
