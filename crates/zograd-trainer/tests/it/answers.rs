//! Metrics as objectives, and answers in a model's own words, on a model small enough to check.

use crate::seeded;
use burn_ndarray::NdArray;
use std::ops::ControlFlow;
use zograd_models::{Decoding, Generation, Model, ModelConfig};
use zograd_tasks::metrics::{Metric, exact_match, f1};
use zograd_tasks::{Cloze, Form, Prompt, PromptEncoder, Row, Sample, Task, Tokenizer};
use zograd_tasks::{DataError, tasks};
use zograd_trainer::{
    Accuracy, Answer, AnswerF1, Objective, Scoring, TeacherForcing, TrainError, Writer, evaluate,
    measure,
};

type B = NdArray<f32>;
const WORDS: u32 = 40;

pub fn model() -> Model<B> {
    let config = ModelConfig::from_json(&format!(
        r#"{{"vocab_size": {WORDS}, "hidden_size": 16, "num_hidden_layers": 2,
            "num_attention_heads": 2, "ffn_dim": 32, "max_position_embeddings": 64, "init_std": 0.3}}"#
    ));
    seeded::model(&config.expect("a valid configuration"), 3)
}

/// The words `w1` to `w39`, by their ids.
fn encoder() -> PromptEncoder {
    let words: Vec<String> = (1..WORDS).map(|id| format!("\"w{id}\": {id}")).collect();
    let json = format!(
        r#"{{"version": "1.0", "pre_tokenizer": {{"type": "WhitespaceSplit"}}, "added_tokens": [],
            "model": {{"type": "WordLevel", "vocab": {{"<unk>": 0, {}}}, "unk_token": "<unk>"}}}}"#,
        words.join(", ")
    );
    let tokenizer = Tokenizer::from_bytes(json).expect("a tokenizer");
    let encoder = PromptEncoder::new(tokenizer).expect("an encoder");
    encoder.with_bos(Some(2)).with_max_new_tokens(6)
}

/// Texts made of words, with answers in words or two options.
struct Words {
    written: bool,
}

impl Task for Words {
    fn name(&self) -> &str {
        "words"
    }

    fn sample(&self, row: &Row) -> Result<Sample, DataError> {
        let (n, answers) = (row.number(), ["w7 w9".to_owned(), "w5".to_owned()]);
        let context = (0..=n).map(|k| format!("w{}", 3 + (5 * k + n) % 30));
        let context = context.collect::<Vec<_>>().join(" ");
        let (endings, calibration) = match self.written {
            true => (vec![format!(" {}", answers[0])], None),
            false => {
                let endings = [" w11", " w12 w13"];
                (
                    endings.map(String::from).to_vec(),
                    Some(Cloze::new("w4", endings)),
                )
            }
        };
        Ok(Sample {
            row: n,
            correct: vec![n % endings.len()],
            cloze: Cloze { context, endings },
            calibration,
            answers: if self.written {
                answers.to_vec()
            } else {
                vec![]
            },
            chat: None,
        })
    }

    fn metric(&self) -> Metric {
        match self.written {
            true => Metric::F1,
            false => Metric::Accuracy,
        }
    }

    fn is_generation(&self) -> bool {
        self.written
    }
}

pub fn prompts(written: bool, calibration: bool) -> Vec<Prompt> {
    let (task, encoder) = (Words { written }, encoder());
    let prompt = |n| {
        let sample = task.sample(&Row::new(n, "here", Default::default()));
        let sample = sample.expect("a sample");
        let calibration = calibration.then_some(Form::Calibration);
        encoder.prepare(&task, &sample, Form::Train, calibration)
    };
    (0..7).map(|n| prompt(n).expect("a prompt")).collect()
}

pub fn scoring(metric: Metric) -> Scoring {
    Scoring::written(metric, writer())
}

pub fn writer() -> Writer {
    Writer::new(encoder(), Generation::greedy(6))
}

/// Minus the loss of a metric is the score of an evaluation, whatever the batches.
#[test]
fn metrics_as_objectives_are_minus_the_scores() {
    let model = model();
    for (written, scoring, objective) in [
        (true, scoring(Metric::F1), &AnswerF1 as &dyn Objective),
        (false, Scoring::choice(), &Accuracy),
    ] {
        let prompts = prompts(written, false);
        let found = evaluate(&model, &prompts, &scoring, 3, |_| ControlFlow::Continue(()))
            .expect("evaluated");
        let batch: Vec<&Prompt> = prompts.iter().collect();
        let measured = measure(&model, &batch, objective, scoring.writer()).expect("measured");
        let loss = measured.loss(objective);
        assert!((loss.mean + found.score).abs() < 1e-12);
        assert_eq!((loss.terms, loss.tokens), (7, measured.tokens as u64));
        // every prompt went through the layers
        let least: usize = prompts.iter().map(|p| p.candidates[0].ids.len() - 2).sum();
        assert!(measured.tokens >= least, "{measured:?}");
        assert_eq!(found.examples, prompts.len());
    }
}

#[test]
fn written_answers_are_what_the_model_generates() {
    let model = model();
    let prompts = prompts(true, false);
    let [by_f1, by_match] = [Metric::F1, Metric::ExactMatch].map(|m| {
        evaluate(&model, &prompts, &scoring(m), 2, |_| {
            ControlFlow::Continue(())
        })
        .expect("evaluated")
    });
    let (mut f1s, mut matches) = (0.0, 0.0);
    for (prompt, prediction) in prompts.iter().zip(&by_f1.predictions) {
        let question = prompt.question.as_ref().expect("a question");
        assert_eq!(question.prompt.option_len, 0);
        assert_eq!(question.answers, ["w7 w9", "w5"]);
        // the gold answer stands behind the same prompt
        let gold = &prompt.candidates[0];
        assert_eq!(gold.ids, [&question.prompt.ids[..], &[7, 9]].concat());
        let alone = model
            .generate(&[&question.prompt.ids], &Generation::greedy(6))
            .expect("fits");
        let text = encoder().answer(&alone[0].ids).expect("known ids");
        let Answer::Text { prediction, .. } = &prediction.answer else {
            panic!("{prediction:?} is no text");
        };
        assert_eq!(prediction.as_ref(), Some(&text));
        f1s += f1(&text, &question.answers);
        matches += f64::from(u8::from(exact_match(&text, &question.answers)));
    }
    let n = prompts.len() as f64;
    assert!((by_f1.score - f1s / n).abs() < 1e-12);
    assert!((by_match.score - matches / n).abs() < 1e-12);
    assert_eq!(by_f1.exact_match, Some(by_match.score));

    let batch: Vec<&Prompt> = prompts.iter().collect();
    let measured = measure(&model, &batch, &TeacherForcing, None).expect("measured");
    assert!((measured.loss(&TeacherForcing).mean - by_f1.loss).abs() < 1e-6);
}

/// Sums over the tokens after the input, less the sums without it.
#[test]
fn calibrated_scores_are_differences_of_sums() {
    let model = model();
    let plain = prompts(false, false);
    let found = evaluate(&model, &prompts(false, true), &Scoring::choice(), 3, |_| {
        ControlFlow::Continue(())
    });
    let mean = |ids: &[u32], scored| {
        let prompt = Prompt {
            candidates: vec![zograd_tasks::EncodedCandidate {
                ids: ids.to_vec(),
                option_len: scored,
                truncated: 0,
                gaps: vec![],
            }],
            correct: vec![0],
            ..Prompt::default()
        };
        // whole log-probabilities: an objective that compares candidates may leave out what they have in common
        let measured = measure(&model, &[&prompt], &TeacherForcing, None).expect("measured");
        measured.examples[0].means().next().expect("one")
    };
    for (prompt, prediction) in plain.iter().zip(found.expect("evaluated").predictions) {
        let Answer::Choice { scores, .. } = prediction.answer else {
            panic!("no choice");
        };
        for (score, (candidate, without)) in scores.iter().zip(
            prompt
                .candidates
                .iter()
                .zip([&[2, 4, 11][..], &[2, 4, 12, 13]]),
        ) {
            let n = candidate.option_len;
            let expected = n as f64 * (mean(&candidate.ids, n) - mean(without, n));
            assert!((score - expected).abs() < 1e-4, "{score} {expected}");
        }
    }
}

/// Beams find another answer than greedy decoding where it is more probable, and evaluate uses them.
#[test]
fn the_writer_decodes_as_it_was_told() {
    let model = model();
    let prompts = prompts(true, false);
    let beams = Generation {
        decoding: Decoding::Beams(4),
        ..Generation::greedy(6)
    };
    let scoring = Scoring::written(Metric::F1, Writer::new(encoder(), beams.clone()));
    let found =
        evaluate(&model, &prompts, &scoring, 3, |_| ControlFlow::Continue(())).expect("evaluated");
    for (prompt, prediction) in prompts.iter().zip(found.predictions) {
        let ids = &prompt.question.as_ref().expect("a question").prompt.ids;
        let alone = model.generate(&[ids], &beams).expect("fits");
        let text = encoder().answer(&alone[0].ids).expect("known ids");
        assert!(matches!(prediction.answer, Answer::Text { prediction: Some(p), .. } if p == text));
    }
}

#[test]
fn objectives_for_the_other_kind_of_task_are_refused() {
    let model = model();
    let chosen = prompts(false, false);
    let batch: Vec<&Prompt> = chosen.iter().collect();
    let without_writer = measure(&model, &batch, &AnswerF1, None);
    assert!(matches!(without_writer, Err(TrainError::NoWriter)));
    let scoring = scoring(Metric::F1);
    let without_question = measure(&model, &batch, &AnswerF1, scoring.writer());
    assert!(matches!(
        without_question,
        Err(TrainError::NoQuestion { row: 0 })
    ));
}

/// What the originals train on: `train_as_classification` of their script, by task.
#[test]
fn tasks_are_trained_as_the_originals_do() {
    let by_text = tasks::all()
        .iter()
        .filter(|t| !t.trains_as_classification());
    let by_text: Vec<&str> = by_text.map(|task| task.name()).collect();
    assert_eq!(by_text, ["copa", "record", "squad", "drop"]);
}
