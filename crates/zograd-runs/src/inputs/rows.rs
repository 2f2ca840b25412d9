//! How many rows a run has of each kind, and why.

use crate::watch::Watch;
use zograd_tasks::{SplitCounts, Yields};

/// How many rows there are and what they are for, as part of a line.
pub fn rows_in_words(counts: &SplitCounts) -> String {
    if let Some(dev_rows) = counts.dev_rows {
        return format!(
            "{} of {} train rows, {} of {dev_rows} dev rows, {} of {} test rows",
            counts.train.got,
            counts.train_rows,
            counts.dev.got,
            counts.test.got,
            counts.validation_rows
        );
    }
    format!(
        "{} train and {} dev of {} train rows, {} test of {} validation rows",
        counts.train.got,
        counts.dev.got,
        counts.train_rows,
        counts.test.got,
        counts.validation_rows
    )
}

/// Says where there are fewer examples than were asked for, and why.
pub fn note_shortage(counts: &SplitCounts, yields: Yields, watch: &mut dyn Watch) {
    let (train, dev, test) = (counts.train, counts.dev, counts.test);
    let rows = counts.train_rows;
    // one's own split says itself how many there are
    if counts.dev_rows.is_some() {
        return;
    }
    if train.got < train.asked || dev.got < dev.asked {
        let why = match (yields, train.got == train.asked, dev.got == dev.asked) {
            (Yields::Dev, true, _) => format!(
                "{} are trained on, as asked, and the other {} are for dev, which chooses the best weights",
                train.got, dev.got
            ),
            (Yields::Train, _, true) => format!(
                "{} are for dev, which chooses the best weights, as asked, and the other {} are trained on",
                dev.got, train.got
            ),
            _ => format!(
                "they are shared in proportion, {} to train on and {} for dev, which chooses the best weights",
                train.got, dev.got
            ),
        };
        watch.note(&format!(
            "note: the {rows} train rows are too few for {} train and {} dev examples: {why} (`train-examples`, \
             `dev-examples`)",
            train.asked, dev.asked
        ));
    }
    if test.got < test.asked {
        watch.note(&format!(
            "note: the test examples are all {} validation rows, fewer than {} (`test-examples`)",
            test.got, test.asked
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zograd_tasks::Count;

    struct Notes(Vec<String>);

    impl Watch for Notes {
        fn note(&mut self, line: &str) {
            self.0.push(line.to_owned());
        }
    }

    #[test]
    fn a_shortage_is_explained() {
        let count = |asked, got| Count { asked, got };
        let counts = |train, dev| SplitCounts {
            train,
            dev,
            test: count(1000, 872),
            demonstrations: count(0, 0),
            train_rows: 2000,
            validation_rows: 872,
            dev_rows: None,
        };
        for (train, dev, yields, part) in [
            (
                count(1900, 1900),
                count(500, 100),
                Yields::Dev,
                "1900 are trained on, as asked, and the other 100 are for dev",
            ),
            (
                count(1900, 1584),
                count(500, 416),
                Yields::Both,
                "shared in proportion, 1584 to train on and 416 for dev",
            ),
        ] {
            let mut notes = Notes(Vec::new());
            let counts = counts(train, dev);
            note_shortage(&counts, yields, &mut notes);
            let [rows, test] = &notes.0[..] else {
                panic!("{:?}", notes.0);
            };
            assert!(
                rows.contains("the 2000 train rows are too few for 1900"),
                "{rows}"
            );
            assert!(rows.contains(part), "{rows}");
            assert!(test.contains("all 872 validation rows"), "{test}");
            assert!(rows_in_words(&counts).ends_with("872 test of 872 validation rows"));
        }
    }
}
