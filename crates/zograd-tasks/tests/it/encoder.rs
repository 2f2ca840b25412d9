//! The prompt encoder with a tokenizer of a handful of words.

use zograd_tasks::metrics::Metric;
use zograd_tasks::{
    AnswerEnd, Cloze, DataError, Demonstrations, Form, PromptEncoder, Row, Sample, Task, Tokenizer,
};

/// A word a token (blanks do not count), with what else its file would hold.
fn tokenizer(more: &str) -> Tokenizer {
    let words = [
        "<unk>", "<s>", "</s>", "a", "b", "c", "d", "e", "f", "yes", "no",
    ];
    let vocabulary: Vec<String> = words
        .iter()
        .enumerate()
        .map(|(id, word)| format!("\"{word}\": {id}"))
        .collect();
    Tokenizer::from_bytes(format!(
        r#"{{"version": "1.0", "added_tokens": [], "pre_tokenizer": {{"type": "WhitespaceSplit"}},
            {more} "model": {{"type": "WordLevel", "vocab": {{{}}}, "unk_token": "<unk>"}}}}"#,
        vocabulary.join(", ")
    ))
    .expect("a tokenizer")
}

fn plain() -> PromptEncoder {
    let encoder = PromptEncoder::new(tokenizer("")).expect("it encodes");
    encoder.with_bos(Some(1))
}

/// A task whose samples the tests make themselves.
struct Made {
    generation: bool,
    end: AnswerEnd,
}

impl Task for Made {
    fn name(&self) -> &str {
        "made"
    }

    fn sample(&self, row: &Row) -> Result<Sample, DataError> {
        Ok(sample(row.text("text")?, &[" yes"]))
    }

    fn metric(&self) -> Metric {
        Metric::F1
    }

    fn is_generation(&self) -> bool {
        self.generation
    }

    fn answer_end(&self) -> AnswerEnd {
        self.end
    }
}

const CHOICE: Made = Made {
    generation: false,
    end: AnswerEnd::Line,
};
const GENERATION: Made = Made {
    generation: true,
    end: AnswerEnd::Line,
};
const TO_THE_END: Made = Made {
    generation: true,
    end: AnswerEnd::Eos,
};

fn sample(context: &str, endings: &[&str]) -> Sample {
    Sample {
        row: 3,
        cloze: Cloze::new(context, endings.iter().copied()),
        calibration: Some(Cloze::new("", endings.iter().copied())),
        correct: vec![0],
        answers: vec![],
        chat: None,
    }
}

fn ids(encoder: &PromptEncoder, task: &Made, sample: &Sample, form: Form<'_>) -> Vec<Vec<u32>> {
    let prompt = encoder.encode(task, sample, form).expect("a prompt");
    prompt.candidates.into_iter().map(|c| c.ids).collect()
}

fn message(encoder: &PromptEncoder, task: &Made, sample: &Sample, form: Form<'_>) -> String {
    let error = encoder.encode(task, sample, form).expect_err("no prompt");
    error.to_string()
}

#[test]
fn the_default_bos_is_what_the_tokenizer_puts_in_front() {
    let special = |single: &str| {
        format!(
            r#""post_processor": {{"type": "TemplateProcessing", "single": [{single}], "pair": [],
                "special_tokens": {{
                    "<s>": {{"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
                    "</s>": {{"id": "</s>", "ids": [2], "tokens": ["</s>"]}}}}}},"#
        )
    };
    let text = r#"{"Sequence": {"id": "A", "type_id": 0}}"#;
    let bos = r#"{"SpecialToken": {"id": "<s>", "type_id": 0}}"#;
    let eos = r#"{"SpecialToken": {"id": "</s>", "type_id": 0}}"#;
    for (single, expected) in [
        (format!("{bos}, {text}, {eos}"), Some(1)),
        (format!("{text}, {eos}"), None),
    ] {
        let encoder = PromptEncoder::new(tokenizer(&special(&single))).expect("it encodes");
        assert_eq!(encoder.bos_id(), expected);
        // and nothing of it is put in a second time
        let all = ids(&encoder, &CHOICE, &sample("a", &[" yes"]), Form::Train);
        let expected: Vec<u32> = expected.into_iter().chain([3, 9]).collect();
        assert_eq!(all, [expected]);
    }
}

#[test]
fn truncation_and_padding_of_the_tokenizer_are_switched_off() {
    let tokenizer = tokenizer(
        r#""truncation": {"max_length": 2, "strategy": "LongestFirst", "stride": 0,
                          "direction": "Right"},
           "padding": {"strategy": {"Fixed": 9}, "direction": "Right", "pad_id": 0,
                       "pad_type_id": 0, "pad_token": "<unk>", "pad_to_multiple_of": null},"#,
    );
    let encoder = PromptEncoder::new(tokenizer).expect("it encodes");
    let all = ids(&encoder, &CHOICE, &sample("a b c", &[" yes"]), Form::Train);
    assert_eq!(all, [[3, 4, 5, 9]]);
}

#[test]
fn long_prompts_are_cut_from_the_left_and_keep_their_bos() {
    let sample = sample("a b c d e f", &[" yes", " no no"]);
    let prompt = |encoder: &PromptEncoder| {
        let prompt = encoder.encode(&CHOICE, &sample, Form::Train);
        prompt.expect("a prompt").candidates
    };
    let cut = prompt(&plain().with_max_length(4));
    assert_eq!(cut[0].ids, [1, 7, 8, 9]);
    assert_eq!((cut[0].option_len, cut[0].truncated), (1, 4));
    assert_eq!(plain().shown(&cut[0]).expect("text"), "e f yes");
    assert_eq!(cut[1].ids, [1, 8, 10, 10]);
    assert_eq!((cut[1].option_len, cut[1].truncated), (2, 5));
    let cut = prompt(&plain().with_bos(None).with_max_length(4));
    assert_eq!(cut[1].ids, [7, 8, 10, 10]);
    assert_eq!(prompt(&plain().with_max_length(9))[1].truncated, 0);
}

#[test]
fn generation_keeps_room_for_the_answer() {
    let encoder = plain().with_max_length(8).with_max_new_tokens(4);
    let sample = sample("a b c d", &[" yes"]);
    let trained = ids(&encoder, &GENERATION, &sample, Form::Train);
    assert_eq!(trained, [[1, 5, 6, 9]]);
    let prompt = encoder.encode(&GENERATION, &sample, Form::ZeroShot);
    let prompt = prompt.expect("a prompt");
    assert_eq!(prompt.candidates[0].ids, [1, 4, 5, 6]);
    assert_eq!(prompt.candidates[0].option_len, 0);
    assert!(prompt.correct.is_empty());
    assert_eq!(
        message(
            &encoder.with_max_new_tokens(7),
            &GENERATION,
            &sample,
            Form::Train
        ),
        "a maximum length of 8 ids, less 7 kept for the answer, leaves no room for a prompt: \
         at least 9 is needed"
    );
}

#[test]
fn answers_end_with_the_token_that_ends_a_text() {
    let encoder = plain().with_end_ids(&[2, 10]);
    let asked = sample("a b", &[" yes"]);
    let prompt = encoder.prepare(&TO_THE_END, &asked, Form::Train, None);
    let prompt = prompt.expect("a prompt");
    assert_eq!(prompt.candidates[0].ids, [1, 3, 4, 9, 2]);
    assert_eq!(prompt.candidates[0].option_len, 2);
    assert_eq!(prompt.question.expect("asked").prompt.ids, [1, 3, 4]);
    // room is made for it
    let short = encoder.clone().with_max_length(6).with_max_new_tokens(2);
    assert_eq!(
        ids(&short, &TO_THE_END, &asked, Form::Train),
        [[1, 4, 9, 2]]
    );
    // a demonstration is a text
    let shown = Demonstrations::new(&TO_THE_END, std::slice::from_ref(&asked));
    let prompt = encoder.encode(&TO_THE_END, &asked, Form::InContext(&shown));
    assert_eq!(
        prompt.expect("a prompt").candidates[0].ids,
        [1, 3, 4, 9, 3, 4]
    );
    // this tokenizer does not know that 2 is special
    assert_eq!(encoder.answer(&[9, 10, 2]).expect("text"), "yes no");
    assert_eq!(
        message(&plain(), &TO_THE_END, &asked, Form::Train),
        "task made: its answers end with the model's end-of-text token (`end = \"eos\"`), but the model names none \
         (`eos_token_id` in its config.json)"
    );
}

#[test]
fn an_option_without_tokens_is_an_error() {
    assert_eq!(
        message(
            &plain(),
            &CHOICE,
            &sample("a", &[" yes", "  "]),
            Form::Train
        ),
        "task made, row 3: option 1 (\"  \") adds no token to its context with this tokenizer"
    );
}

#[test]
fn an_option_without_anything_before_it_is_an_error() {
    let long = sample("a", &[" b c d e"]);
    let text = message(&plain().with_max_length(4), &CHOICE, &long, Form::Train);
    assert!(text.contains("option 0 has 4 tokens, but its sequence only 4 ids (2 were cut off)"));
    // there is no context and no BOS either
    let encoder = plain().with_bos(None);
    let text = message(
        &encoder,
        &CHOICE,
        &sample("a", &[" yes"]),
        Form::Calibration,
    );
    assert!(
        text.contains("option 0 has 1 tokens, but its sequence only 1 ids"),
        "{text}"
    );
    let all = ids(
        &plain(),
        &CHOICE,
        &sample("a", &[" yes"]),
        Form::Calibration,
    );
    assert_eq!(all, [[1, 9]]);
}

#[test]
fn demonstrations_come_first_and_leave_option_lengths_alone() {
    let solved = [sample(" a", &[" yes"]), sample("b", &[" no"])];
    let shown = Demonstrations::new(&CHOICE, &solved);
    assert_eq!(shown.as_str(), "a yes\n\nb no");
    let prompt = plain().encode(&CHOICE, &sample("c", &[" yes"]), Form::InContext(&shown));
    let prompt = prompt.expect("a prompt");
    assert_eq!(prompt.candidates[0].ids, [1, 3, 9, 4, 10, 5, 9]);
    assert_eq!(prompt.candidates[0].option_len, 1);
    let calibration = Form::InContextCalibration(&shown);
    let all = ids(&plain(), &CHOICE, &sample("c", &[" yes"]), calibration);
    assert_eq!(all, [[1, 3, 9, 4, 10, 9]]);
}

#[test]
fn prompts_serialise() {
    let prompt = plain().encode(&CHOICE, &sample("a", &[" yes"]), Form::Train);
    assert_eq!(
        serde_json::to_string(&prompt.expect("a prompt")).expect("JSON"),
        r#"{"row":3,"correct":[0],"candidates":[{"ids":[1,3,9],"option_len":1,"truncated":0}]}"#
    );
}
