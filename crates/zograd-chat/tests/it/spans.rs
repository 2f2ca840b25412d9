//! Where the assistant speaks.

use crate::goldens::{chat, fixture, template};
use proptest::prelude::*;
use zograd_chat::{Chat, ChatError, ChatTemplate, Rendered};

/// The assistant's texts.
fn said(rendered: &Rendered) -> Vec<&str> {
    let spans = rendered.spans.iter();
    spans.map(|span| &rendered.text[span.clone()]).collect()
}

#[test]
fn spans_without_marks_are_those_with_them() {
    let fixture = fixture();
    let marked = fixture["templates"]["marked"].as_str().expect("a template");
    let plain = marked
        .replace("{% generation %}", "")
        .replace("{% endgeneration %}", "");
    let plain = ChatTemplate::new(&plain, [("eos_token", "</s>")]).expect("a template");
    assert!(!plain.has_marks());
    for name in ["one", "system", "two"] {
        let chat = chat(&fixture, name);
        let with = template(&fixture, "marked").assistant(&chat).expect(name);
        assert_eq!(plain.assistant(&chat).expect(name), with, "{name}");
    }
}

#[test]
fn a_turn_is_what_it_adds_with_the_token_that_ends_it() {
    let fixture = fixture();
    for (name, conversation, texts, left_out) in [
        ("chatml", "one", vec!["A litre of water.<|im_end|>\n"], 0),
        (
            "chatml",
            "two",
            vec![
                "4<|im_end|>\n",
                "<think>\n4*3\n</think>\n\n12 – done 你好<|im_end|>\n",
            ],
            0,
        ),
        ("headers", "system", vec!["Lima<|eot_id|>"], 0),
        ("inst", "one", vec![" A litre of water.</s>"], 0),
        ("turns", "one", vec!["A litre of water.<end_of_turn>\n"], 0),
        // of the first answer the template would write empty thoughts, were it the last
        (
            "thinking",
            "two",
            vec!["<think>\n\n</think>\n\n12 – done 你好<|im_end|>\n"],
            1,
        ),
    ] {
        let rendered = template(&fixture, name).assistant(&chat(&fixture, conversation));
        let rendered = rendered.expect(name);
        assert_eq!(said(&rendered), texts, "{name}");
        assert_eq!(rendered.left_out, left_out, "{name}");
    }
}

#[test]
fn an_answer_that_cannot_be_found_is_refused() {
    let fixture = fixture();
    let chat = chat(&fixture, "one");
    for (template, error) in [
        // how many turns there are stands in front
        (
            "{{ messages|length }}{% for m in messages %}{{ m.content }}{% endfor %}",
            ChatError::NotFound,
        ),
        // answers are left out
        (
            "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% endif %}{% endfor %}",
            ChatError::NotFound,
        ),
        (
            "{{ messages[0].content }}{% if false %}{% generation %}{% endgeneration %}{% endif %}",
            ChatError::NothingMarked,
        ),
    ] {
        let compiled = ChatTemplate::new(template, [("", "")]).expect(template);
        assert_eq!(compiled.assistant(&chat), Err(error), "{template}");
    }
}

#[test]
fn the_end_of_a_turn_is_what_stands_behind_an_answer() {
    let fixture = fixture();
    for (name, end) in [
        ("chatml", "<|im_end|>\n"),
        ("headers", "<|eot_id|>"),
        ("inst", "</s>"),
        ("turns", "<end_of_turn>\n"),
        ("marked", "</s>"),
    ] {
        assert_eq!(template(&fixture, name).turn_end().as_deref(), Some(end));
    }
}

proptest! {
    /// Whatever is said, the spans are the assistant's turns and nothing else.
    #[test]
    fn spans_are_the_assistants_text(turns in prop::collection::vec(("[^\u{fdd0}\u{fdd1}]{1,8}", ".{0,8}"), 1..4)) {
        let fixture = fixture();
        let mut messages = Vec::new();
        for (question, answer) in &turns {
            messages.push(serde_json::json!({"role": "user", "content": format!("q{question}")}));
            messages.push(serde_json::json!({"role": "assistant", "content": answer}));
        }
        let row = serde_json::json!({"messages": messages});
        let chat = Chat::of_row_to_answer(row.as_object().expect("an object")).expect("a chat");
        for (name, end) in [("chatml", "<|im_end|>\n"), ("marked", "</s>")] {
            let rendered = template(&fixture, name).assistant(&chat).expect(name);
            let expected: Vec<String> = turns.iter().map(|(_, answer)| format!("{answer}{end}")).collect();
            prop_assert_eq!(said(&rendered), expected);
        }
    }
}
