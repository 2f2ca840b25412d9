//! Token ids, texts and option lengths equal those of the public MeZO code.

use crate::reference::{golden, shared};
use serde_json::Value;
use zograd_tasks::{
    Dataset, Demonstrations, Form, Prompt, PromptEncoder, Sample, Split, Task, Tokenizer, tasks,
};

fn encoder() -> Option<PromptEncoder> {
    let file = shared("tokenizer/opt/tokenizer.json")?;
    let tokenizer = Tokenizer::from_file(file).expect("OPT's tokenizer");
    Some(PromptEncoder::new(tokenizer).expect("it encodes"))
}

fn samples(task: &dyn Task, data: &Dataset, split: Split, rows: usize) -> Vec<Sample> {
    let rows = data.range(split, 0..rows).expect("readable rows");
    let samples: Result<_, _> = rows.iter().map(|row| task.sample(row)).collect();
    samples.expect("rows that fit the task")
}

fn assert_equal(encoder: &PromptEncoder, prompt: &Prompt, golden: &Value, at: &str) {
    let list = |field: &str| golden[field].as_array().expect("a list");
    assert_eq!(
        prompt.candidates.len(),
        list("ids").len(),
        "{at}: candidates"
    );
    for (i, candidate) in prompt.candidates.iter().enumerate() {
        let ids: Vec<u64> = candidate.ids.iter().map(|&id| id.into()).collect();
        assert_eq!(list("ids")[i], Value::from(ids), "{at}: ids of {i}");
        assert_eq!(
            list("text")[i],
            encoder.shown(candidate).expect("text"),
            "{at}: text of {i}"
        );
        assert_eq!(
            list("option_lens")[i],
            candidate.option_len,
            "{at}: option length of {i}"
        );
    }
}

fn check(name: &str) {
    let Some(golden) = golden(&format!("reference/prompts/{name}.json")) else {
        return;
    };
    let task = tasks::by_name(name).expect("a built-in task");
    let encoder = encoder().expect("it is where the goldens are");
    // the originals overwrite the tokenizer's BOS
    let long = encoder.with_bos(Some(0));
    let short = match task.is_generation() {
        true => long.clone().with_max_length(114),
        false => long.clone().with_max_length(64),
    };
    let middle = long.clone().with_max_length(256);
    let data = Dataset::open(shared(&format!("data/{name}")).expect("it is here"))
        .expect("the task's data");
    let shown = Demonstrations::new(task, &samples(task, &data, Split::Train, 2));

    assert_eq!(golden["metric"], task.metric().name());
    assert_eq!(golden["generation"], task.is_generation());
    assert_eq!(golden["train_sep"], task.separator());
    let rows = golden["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 6);
    for (sample, row) in samples(task, &data, Split::Validation, 6).iter().zip(rows) {
        assert_eq!(row["row"], sample.row);
        for (form, encoder, name) in [
            (Form::Train, &long, "train"),
            (Form::Train, &short, "train_max_length_64"),
            (Form::ZeroShot, &long, "zero_shot"),
            (Form::InContext(&shown), &long, "icl_2"),
            (Form::InContext(&shown), &middle, "icl_2_max_length_256"),
            (Form::Calibration, &long, "sfc"),
            (Form::InContextCalibration(&shown), &long, "icl_sfc_2"),
        ] {
            let at = format!("{} row {} {name}", task.name(), sample.row);
            let Some(expected) = row.get(name) else {
                let error = encoder.encode(task, sample, form).expect_err(&at);
                assert!(
                    error.to_string().contains("cannot be calibrated"),
                    "{error}"
                );
                continue;
            };
            let prompt = encoder.encode(task, sample, form).expect(&at);
            assert_equal(encoder, &prompt, expected, &at);
            let correct = match &row["correct"] {
                Value::Null => Value::from(sample.answers.clone()),
                one @ Value::Number(_) => Value::from(vec![one.clone()]),
                several => several.clone(),
            };
            match task.is_generation() {
                true => assert_eq!(row["gold"], correct, "{at}"),
                false => assert_eq!(Value::from(prompt.correct), correct, "{at}"),
            }
        }
    }
}

#[test]
fn sst2() {
    check("sst2");
}

#[test]
fn rte() {
    check("rte");
}

#[test]
fn cb() {
    check("cb");
}

#[test]
fn boolq() {
    check("boolq");
}

#[test]
fn wsc() {
    check("wsc");
}

#[test]
fn wic() {
    check("wic");
}

#[test]
fn multirc() {
    check("multirc");
}

#[test]
fn copa() {
    check("copa");
}

#[test]
fn record() {
    check("record");
}

#[test]
fn squad() {
    check("squad");
}

#[test]
fn drop() {
    check("drop");
}

/// Every row there is makes a sample, and every sample a prompt to train on, short or long.
#[test]
fn all_rows_of_all_tasks_can_be_encoded() {
    let Some(encoder) = encoder() else { return };
    for task in tasks::all().iter().filter(|task| task.name() != "toy") {
        let folder = shared(&format!("data/{}", task.name())).expect("it is here");
        let data = Dataset::open(folder).expect("the task's data");
        for split in [Split::Train, Split::Validation] {
            for sample in samples(*task, &data, split, usize::MAX) {
                assert!(!sample.correct.is_empty());
                if sample.row % 20 == 0 {
                    let prompt = encoder.encode(*task, &sample, Form::Train);
                    let prompt = prompt.expect("a prompt to train on");
                    assert_eq!(prompt.candidates.len(), sample.cloze.endings.len());
                }
            }
        }
    }
}

#[test]
fn opts_tokenizer_puts_2_in_front() {
    let Some(encoder) = encoder() else { return };
    assert_eq!(encoder.bos_id(), Some(2));
}
