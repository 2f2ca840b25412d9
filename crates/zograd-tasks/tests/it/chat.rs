//! Chats as token ids, and which of them count.

use proptest::prelude::*;
use zograd_tasks::{
    ChatTask, ChatTemplate, Demonstrations, EncodedCandidate, Form, Prompt, PromptEncoder,
    PromptError, Row, Sample, Task, Tokenizer,
};

/// Roles between special tokens, answers up to another: no token goes over the end of a turn.
const TEMPLATE: &str = "{% for m in messages %}{{ '<s>' + m.role + '<pad>' + m.content + '</s>' }}{% endfor %}\
                        {% if add_generation_prompt %}<s>assistant<pad>{% endif %}";

fn encoder() -> PromptEncoder {
    let files = zograd_embedded::FILES.into_iter();
    let (_, bytes) = files
        .into_iter()
        .find(|(path, _)| path.ends_with("tokenizer.json"))
        .expect("a tokenizer");
    let tokenizer = Tokenizer::from_bytes(bytes).expect("a tokenizer");
    let encoder = PromptEncoder::new(tokenizer).expect("it encodes");
    let template = ChatTemplate::new(TEMPLATE, [("eos_token", "</s>")]).expect("a template");
    encoder.with_chat_template(template).expect("it encodes")
}

fn sample(turns: &[(&str, &str)]) -> Sample {
    let messages: Vec<_> = turns
        .iter()
        .map(|(role, content)| serde_json::json!({"role": role, "content": content}))
        .collect();
    let row = serde_json::json!({"messages": messages});
    let row = Row::new(4, "c.jsonl:5", row.as_object().expect("an object").clone());
    ChatTask.sample(&row.label_optional()).expect("a chat")
}

fn prepared(encoder: &PromptEncoder, turns: &[(&str, &str)]) -> Prompt {
    let prompt = encoder.prepare(&ChatTask, &sample(turns), Form::Train, None);
    prompt.expect("a prompt")
}

/// The texts that count, those of the assistant's turns one by one.
fn counted(encoder: &PromptEncoder, candidate: &EncodedCandidate) -> Vec<String> {
    let option = &candidate.ids[candidate.ids.len() - candidate.option_len..];
    let mut turns = vec![Vec::new()];
    for (place, id) in option.iter().enumerate() {
        match (candidate.is_gap(place), turns.last_mut()) {
            (true, Some(last)) if !last.is_empty() => turns.push(Vec::new()),
            (false, Some(last)) => last.push(*id),
            _ => {}
        }
    }
    let text = |ids: &Vec<u32>| encoder.tokenizer().decode(ids, false).expect("text");
    turns.iter().map(text).collect()
}

#[test]
fn the_mask_of_a_small_chat() {
    let encoder = encoder();
    let turns = [
        ("user", "a"),
        ("assistant", "b"),
        ("user", "c"),
        ("assistant", "d"),
    ];
    let prompt = prepared(&encoder, &turns);
    let [candidate] = &prompt.candidates[..] else {
        panic!("{prompt:?}");
    };
    let ids = |text: &str| {
        let encoding = encoder.tokenizer().encode(text, false).expect("encodes");
        encoding.get_ids().to_vec()
    };
    // no token is put before what the template begins with
    let whole = "<s>user<pad>a</s><s>assistant<pad>b</s><s>user<pad>c</s><s>assistant<pad>d</s>";
    assert_eq!(candidate.ids, ids(whole));
    let between = ids("<s>user<pad>c</s><s>assistant<pad>").len();
    // "b" and "</s>", what stands between, "d" and "</s>"
    assert_eq!(candidate.option_len, 2 + between + 2);
    assert_eq!(
        candidate.gaps,
        std::iter::once(2..2 + between).collect::<Vec<_>>()
    );
    assert_eq!((candidate.scored(), candidate.last_scored()), (4, 2));
    assert_eq!(candidate.truncated, 0);
    assert_eq!(counted(&encoder, candidate), ["b</s>", "d</s>"]);
    let question = prompt.question.expect("a question");
    let asked = "<s>user<pad>a</s><s>assistant<pad>b</s><s>user<pad>c</s><s>assistant<pad>";
    assert_eq!(question.prompt.ids, ids(asked));
    assert_eq!(question.answers, ["d"]);
    assert_eq!(encoder.turn_end(), Some(2));
    assert_eq!(encoder.answer(&[ids("d")[0], 2]).expect("text"), "d");
    assert_eq!(encoder.shown(candidate).expect("text"), whole);
}

#[test]
fn a_long_chat_loses_its_beginning() {
    let turns = [
        ("user", "a a a a"),
        ("assistant", "b b"),
        ("user", "c"),
        ("assistant", "d"),
    ];
    let whole = prepared(&encoder(), &turns).candidates.remove(0);
    for limit in 8..whole.ids.len() {
        let encoder = encoder().with_max_length(limit).with_max_new_tokens(2);
        let prompt = prepared(&encoder, &turns);
        let cut = &prompt.candidates[0];
        assert_eq!(cut.ids, whole.ids[whole.ids.len() - limit..]);
        assert_eq!(cut.truncated, whole.ids.len() - limit);
        assert!(cut.option_len < cut.ids.len());
        let counted = counted(&encoder, cut);
        assert_eq!(counted.last().expect("a turn"), "d</s>");
        // room for the answer
        assert!(prompt.question.expect("a question").prompt.ids.len() <= limit - 2);
    }
}

#[test]
fn a_question_is_asked_and_not_learnt() {
    let prompt = prepared(&encoder(), &[("user", "a")]);
    assert!(prompt.candidates.is_empty() && prompt.correct.is_empty());
    assert!(prompt.question.is_some());
}

#[test]
fn chats_have_one_form() {
    let encoder = encoder();
    let sample = sample(&[("user", "a"), ("assistant", "b")]);
    let shown = Demonstrations::default();
    let error = encoder.prepare(&ChatTask, &sample, Form::InContext(&shown), None);
    assert!(matches!(error, Err(PromptError::NoDemonstrations { .. })));
    let error = encoder.prepare(&ChatTask, &sample, Form::Train, Some(Form::Calibration));
    assert!(matches!(error, Err(PromptError::NoCalibration { .. })));
    let asked = encoder
        .encode(&ChatTask, &sample, Form::ZeroShot)
        .expect("a prompt");
    assert_eq!(asked.candidates[0].option_len, 0);
    let learnt = encoder
        .encode(&ChatTask, &sample, Form::Train)
        .expect("a prompt");
    assert_eq!(learnt.candidates[0].scored(), 2);
}

#[test]
fn without_a_template_there_is_no_text() {
    let tokenizer = Tokenizer::clone(encoder().tokenizer());
    let plain = PromptEncoder::new(tokenizer).expect("it encodes");
    let sample = sample(&[("user", "a"), ("assistant", "b")]);
    let error = plain
        .prepare(&ChatTask, &sample, Form::Train, None)
        .expect_err("no template");
    assert!(error.to_string().contains("`chat-template`"), "{error}");
    assert!(!error.is_of_a_row());
}

proptest! {
    /// Whatever is said, the tokens that count are the assistant's text.
    #[test]
    fn tokens_that_count_are_the_assistants(turns in prop::collection::vec(("[a-z ]{1,12}", ".{0,12}"), 1..4)) {
        let encoder = encoder();
        let mut messages = Vec::new();
        for (question, answer) in &turns {
            messages.push(("user", format!("q{question}")));
            messages.push(("assistant", answer.clone()));
        }
        let messages: Vec<(&str, &str)> = messages.iter().map(|(role, text)| (*role, text.as_str())).collect();
        let prompt = prepared(&encoder, &messages);
        let expected: Vec<String> = turns.iter().map(|(_, answer)| format!("{answer}</s>")).collect();
        prop_assert_eq!(counted(&encoder, &prompt.candidates[0]), expected);
    }
}
