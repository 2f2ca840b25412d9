//! A task of one's own in Rust: what a row means, how it reads as a prompt, and what the model is to choose.
//!
//! `zograd_runs::Runs::with_task` runs it; a task that is text with fields in it needs no Rust (`UserTask`).
//!
//!     cargo run --release --example own_task

use std::error::Error;
use zograd_tasks::{
    Cloze, DataError, Dataset, Form, PromptEncoder, Row, Sample, SplitSizes, Splits, Task,
    Tokenizer,
};

/// Whether a parcel is late, from two numbers, which no template can compare.
struct Parcels;

impl Task for Parcels {
    fn name(&self) -> &str {
        "parcels"
    }

    fn sample(&self, row: &Row) -> Result<Sample, DataError> {
        let [promised, taken] = [row.label("promised", 100)?, row.label("taken", 100)?];
        let context = format!("{} It came after {taken} days. That was", row.text("note")?);
        Ok(Sample {
            row: row.number(),
            cloze: Cloze::new(context, [" good", " bad"]),
            // what the model thinks of the endings by themselves
            calibration: Some(Cloze::new("That was", [" good", " bad"])),
            correct: vec![usize::from(taken > promised)],
            answers: Vec::new(),
            chat: None,
        })
    }
}

const TRAIN: &str = r#"{"note": "A gift.", "promised": 3, "taken": 2}
{"note": "A book.", "promised": 3, "taken": 9}
{"note": "A lamp.", "promised": 5, "taken": 5}
{"note": "A coat.", "promised": 1, "taken": 4}"#;

const VALIDATION: &str = r#"{"note": "A film.", "promised": 2, "taken": 8}"#;

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    // a folder with train.jsonl and validation.jsonl opens with Dataset::open
    let data = Dataset::from_json_lines("parcels", TRAIN, VALIDATION);
    let sizes = SplitSizes {
        train: 3,
        dev: 1,
        test: 1,
        demonstrations: 0,
        ..SplitSizes::default()
    };
    let splits = Splits::load(&Parcels, &data, sizes, 7.into())?;
    let tokenizer = Tokenizer::from_bytes(zograd_embedded::TOKENIZER)?;
    let encoder = PromptEncoder::new(tokenizer)?.with_max_length(64);

    for sample in splits.train.iter().chain(&splits.dev).chain(&splits.test) {
        let prompt = encoder.encode(&Parcels, sample, Form::Train)?;
        let right = prompt.correct[0];
        for (k, candidate) in prompt.candidates.iter().enumerate() {
            let mark = if k == right { '*' } else { ' ' };
            let of = candidate.ids.len();
            println!(
                "{mark} {:?}, the last {} of {of} ids",
                encoder.shown(candidate)?,
                candidate.option_len
            );
        }
        let [good, bad] = &prompt.candidates[..] else {
            return Err("two endings".into());
        };
        assert!(encoder.shown(good)?.ends_with("That was good"));
        assert!(encoder.shown(bad)?.ends_with("That was bad"));
        // both begin with the same ids, which a model reads once
        let shared = good.ids.len() - good.option_len;
        assert_eq!(
            good.ids[..shared],
            bad.ids[..bad.ids.len() - bad.option_len]
        );
        assert_eq!((good.ids[0], good.truncated), (2, 0));
    }
    let late: Vec<usize> = splits.test.iter().map(|sample| sample.correct[0]).collect();
    assert_eq!(late, [1]);

    // a row that is wrong is told by its place
    let fields = serde_json::from_str(r#"{"note": "A hat.", "promised": "soon", "taken": 2}"#)?;
    let error = Parcels
        .sample(&Row::new(4, "train.jsonl:5", fields))
        .expect_err("no number");
    assert_eq!(
        error.to_string(),
        "train.jsonl:5: field \"promised\" must be a whole number, not a text"
    );
    println!("{error}");
    Ok(())
}
