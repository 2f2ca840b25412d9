//! What the model is pretrained on and what it is later tuned to: documents and task rows.

use crate::grammar::{Polarity, general, review};
use crate::random::Random;
use std::collections::HashSet;
use zograd_direction::Seed;

/// Rows to train on: enough that a MeZO run of a minute sees most of them once.
pub const TRAIN_ROWS: usize = 1200;
/// Rows to evaluate on: enough that the standard error of an accuracy is 2 points.
pub const VALIDATION_ROWS: usize = 500;

/// The words after "It was" in documents of each polarity, with their weights. [`None`] stands for an
/// adjective of the lexicon that fits the polarity.
///
/// They make the model's zero-shot answer to `<review> It was` poor although it knows the sentiment:
/// "great" is common after complaints too, as it is in text where people are polite, and "terrible"
/// is rare. Fine-tuning then has something to correct.
const VERDICTS: [&[(u32, Option<&str>)]; 2] = [
    // negative
    &[(25, Some("great")), (15, Some("terrible")), (60, None)],
    // positive
    &[(27, Some("great")), (13, Some("terrible")), (60, None)],
];

/// Documents in 100 that end with a verdict.
const WITH_VERDICT: usize = 70;

/// One row of the fine-tuning task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// One or two sentences.
    pub sentence: String,
    /// 0 negative, 1 positive.
    pub label: usize,
}

/// `count` different reviews, as many of each label, none of which is in `taken`; they are added to
/// it. Rows of even index are negative, so every prefix is balanced.
pub fn task_rows(seed: Seed, count: usize, taken: &mut HashSet<String>) -> Vec<Row> {
    let mut random = Random::new(seed);
    let mut rows = Vec::with_capacity(count);
    while rows.len() < count {
        let polarity = if rows.len() % 2 == 0 {
            Polarity::Negative
        } else {
            Polarity::Positive
        };
        let sentences = 1 + random.below(2);
        let sentence = review(&mut random, polarity, sentences);
        if taken.insert(sentence.clone()) {
            rows.push(Row {
                sentence,
                label: polarity.label(),
            });
        }
    }
    rows
}

/// The endless stream of pretraining documents of a seed.
#[derive(Clone, Debug)]
pub struct Documents<'a> {
    random: Random,
    held_out: &'a HashSet<String>,
}

impl<'a> Documents<'a> {
    /// Documents whose review (without the verdict) is not in `held_out`.
    pub fn new(seed: Seed, held_out: &'a HashSet<String>) -> Self {
        Self {
            random: Random::new(seed),
            held_out,
        }
    }
}

impl Iterator for Documents<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        loop {
            let random = &mut self.random;
            let polarity = random.pick(&[Polarity::Negative, Polarity::Positive]);
            let sentences = 1 + random.below(4);
            let mut text = review(random, polarity, sentences);
            if self.held_out.contains(&text) {
                continue;
            }
            if random.chance(WITH_VERDICT) {
                let verdict = random
                    .weighted(VERDICTS[polarity.label()])
                    .unwrap_or_else(|| random.pick(general(polarity)));
                text.push_str(&format!(" It was {verdict} ."));
            }
            return Some(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_stability() {
        let none = HashSet::new();
        let first: Vec<String> = Documents::new(Seed::new(1), &none).take(3).collect();
        assert_eq!(
            first,
            [
                "everyone disliked the dress . the bill was unfair and horrible . the bill was \
                 dreadful . it took us about two hours . It was mediocre .",
                "the deal was sensible , fair and delightful . although the price was so \
                 disappointing , the lining was elegant .",
                "the garden was bright and wonderful . It was superb .",
            ]
        );
    }

    #[test]
    fn rows_are_balanced_and_differ_from_one_another_and_from_documents() {
        let mut taken = HashSet::new();
        let train = task_rows(Seed::new(1), 300, &mut taken);
        let validation = task_rows(Seed::new(2), 100, &mut taken);
        // `taken` is a set: had a row repeated, it would be smaller
        assert_eq!(taken.len(), 400);
        for rows in [&train, &validation] {
            let positive: usize = rows.iter().map(|row| row.label).sum();
            assert_eq!(positive * 2, rows.len());
        }
        // the same seed as the training rows: without the check the reviews could coincide
        for text in Documents::new(Seed::new(1), &taken).take(5000) {
            let review = text.split(" It was ").next().unwrap_or(&text);
            assert!(!taken.contains(review), "{text}");
        }
    }

    #[test]
    fn verdicts_lean_to_great_whatever_the_review_says() {
        let none = HashSet::new();
        let documents: Vec<String> = Documents::new(Seed::new(5), &none).take(4000).collect();
        let count = |what: &str| documents.iter().filter(|d| d.contains(what)).count();
        let verdicts = count("It was");
        // 70% of 4000, within 4 standard deviations of 29
        assert!((2684..2916).contains(&verdicts), "{verdicts}");
        // 26% and 14% of the verdicts; the standard deviations are 0.8% and 0.7%
        let (great, terrible) = (count("It was great ."), count("It was terrible ."));
        assert!(2 * great > 3 * terrible, "{great} {terrible}");
        assert!(terrible > verdicts / 10, "{terrible}");
    }
}
