//! Which samples a seed picks.

use proptest::prelude::*;
use std::collections::HashSet;
use zograd_direction::Seed;
use zograd_tasks::{Count, Dataset, Sample, SplitSizes, Splits, tasks};

fn data(train: usize, validation: usize) -> Dataset {
    let lines = |rows: usize| -> String {
        let line = |i| format!("{{\"sentence\": \"s{i}\", \"label\": {}}}\n", i % 2);
        (0..rows).map(line).collect()
    };
    Dataset::from_json_lines("numbers", lines(train), lines(validation))
}

fn load(data: &Dataset, sizes: SplitSizes, seed: u64) -> Splits {
    let task = tasks::by_name("sst2").expect("built in");
    Splits::load(task, data, sizes, Seed::new(seed)).expect("samples")
}

fn rows(samples: &[Sample]) -> Vec<usize> {
    samples.iter().map(|sample| sample.row).collect()
}

fn parts(splits: &Splits) -> [&[Sample]; 3] {
    [&splits.train, &splits.dev, &splits.test]
}

#[test]
fn a_seed_picks_the_same_samples_every_time_and_another_others() {
    let data = data(3000, 1200);
    let sizes = SplitSizes {
        demonstrations: 32,
        ..SplitSizes::default()
    };
    let (one, again, other) = (
        load(&data, sizes, 1),
        load(&data, sizes, 1),
        load(&data, sizes, 2),
    );
    assert_eq!(parts(&one), parts(&again));
    for (part, others) in parts(&one).into_iter().zip(parts(&other)) {
        assert_ne!(part, others);
    }
    assert_eq!(one.demonstrations, one.train[..32]);
    assert!(one.counts.short().is_empty());
    assert_eq!(
        (one.counts.train_rows, one.counts.validation_rows),
        (3000, 1200)
    );
    // a sample is the row it says it is
    assert_eq!(
        one.test[0].cloze.context,
        format!("s{} It was", one.test[0].row)
    );
}

#[test]
fn what_is_short_is_reported() {
    let splits = load(&data(250, 56), SplitSizes::default(), 0);
    let count = |asked, got| Count { asked, got };
    assert_eq!(
        splits.counts.short(),
        [
            ("train", count(1000, 167)),
            ("dev", count(500, 83)),
            ("test", count(1000, 56))
        ]
    );
}

#[test]
fn a_row_that_does_not_fit_names_itself() {
    let data = Dataset::from_json_lines("bad", "{\"sentence\": \"x\"}", "{\"label\": 0}");
    let task = tasks::by_name("sst2").expect("built in");
    let error = Splits::load(task, &data, SplitSizes::default(), Seed::new(0));
    assert_eq!(
        error.expect_err("no label").to_string(),
        "bad/train:1: field \"label\" is missing; the row has: sentence"
    );
}

proptest! {
    #[test]
    fn training_and_development_are_disjoint(
        seed: u64, train_rows in 1usize..60, train in 0usize..40, dev in 0usize..40,
        demonstrations in 0usize..40, test in 0usize..40
    ) {
        let sizes = SplitSizes { train, dev, test, demonstrations, ..SplitSizes::default() };
        let splits = load(&data(train_rows, 20), sizes, seed);
        let (train, dev) = (rows(&splits.train), rows(&splits.dev));
        let unique = |rows: &[usize]| rows.iter().collect::<HashSet<_>>().len() == rows.len();
        prop_assert!(unique(&[&train[..], &dev].concat()));
        let shown = rows(&splits.demonstrations);
        prop_assert!(unique(&[&shown[..], &dev].concat()));
        let both = shown.len().min(train.len());
        prop_assert_eq!(&shown[..both], &train[..both]);
        prop_assert!(unique(&rows(&splits.test)));
        // nothing is left over while something is short
        let counts = splits.counts;
        for (count, got) in [(counts.train, train.len()), (counts.dev, dev.len())] {
            prop_assert_eq!(count.got, got);
            prop_assert!(got <= count.asked);
        }
        if sizes.train.max(sizes.demonstrations) + sizes.dev > train_rows {
            prop_assert_eq!(train.len().max(shown.len()) + dev.len(), train_rows);
        } else {
            prop_assert!(counts.short().iter().all(|(name, _)| *name == "test"));
        }
        prop_assert_eq!(counts.test.got, sizes.test.min(20));
    }
}
